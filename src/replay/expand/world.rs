//! What a scenario's pass remembers, and what EC2 and this machine look like to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Ids;
use crate::decide::{Case, Lock, families};
use crate::model::cloud::{Masquerade, Sighting};
use crate::model::{
    Association, AssociationId, Change, Family, Guarded, GuardedSet, IdError, Instance, Interface, LastSteps, Move,
    MoveResult, OwnWitness, Paused, PlannedMove, Route, RouteTable, RouteTableId, Said, Silence, SilenceReason,
    SubnetId, Survey, Verification,
};
use crate::record::VERSION;
use crate::replay::scenario::{self, Fault, Masquerading, OwnWord, Scenario, Side};
use crate::replay::values::Place;

/// What a machine has been up for that is not told to have just booted.
const UP: Duration = Duration::from_hours(24);

/// Fills in all but the rounds.
pub(super) fn expand(scenario: &Scenario, ids: &Ids, case: &mut Case) -> Result<(), Fault> {
    let judged: BTreeSet<Family> = case.looks.iter().flat_map(|look| families(&look.round)).collect();
    let world = &scenario.world;
    let places = world.guarded.clone().map_or_else(|| at_home(case), Ok)?;
    if !world.never_asked && world.unknown.is_none() {
        let guarded_families =
            world.guarded_families.as_ref().map(|all| all.iter().map(|one| Family::from(*one)).collect());
        case.guarded = Some(GuardedSet {
            version: VERSION,
            primary: ids.primary_table.clone(),
            standby: ids.standby_table.clone(),
            subnets: places
                .iter()
                .map(|(subnet, place)| Guarded {
                    subnet: subnet.clone(),
                    name: None,
                    cidrs: Vec::new(),
                    on: ids.table(place).clone(),
                })
                .collect(),
            families: guarded_families.unwrap_or_else(|| judged.iter().copied().collect()),
            public: Vec::new(),
            leads_to: None,
            admission: None,
            tables: None,
            own: None,
            names: crate::model::Names::new(),
            seen: Timestamp::UNIX_EPOCH,
        });
    }
    case.unknown.clone_from(&world.unknown);
    case.lock = lock(world, ids)?;
    case.paused = world.paused.clone().map(|reason| Paused { until: Timestamp::UNIX_EPOCH, reason });
    case.own =
        scenario.survey.own.as_ref().map(|own| own.iter().map(|(host, word)| said(host, *word, &judged)).collect());
    if !scenario.survey.never_made {
        let on = scenario.survey.on.as_ref().unwrap_or(&places);
        case.survey = Some(survey(&scenario.survey, on, ids, &judged)?);
    }
    Ok(())
}

/// Every subnet that a backend counts for, else one, on the primary's table.
fn at_home(case: &Case) -> Result<BTreeMap<SubnetId, Place>, IdError> {
    let members = case.looks.iter().flat_map(|look| &look.round.members);
    let subnets: BTreeSet<SubnetId> = members.filter_map(|member| member.subnet.parse().ok()).collect();
    let one = if subnets.is_empty() { Some("subnet-a".parse()?) } else { None };
    Ok(subnets.into_iter().chain(one).map(|subnet| (subnet, Place::Primary)).collect())
}

impl Ids {
    fn table<'a>(&'a self, place: &'a Place) -> &'a RouteTableId {
        match place {
            Place::Primary => &self.primary_table,
            Place::Standby => &self.standby_table,
            Place::Table(table) => table,
        }
    }
}

fn lock(world: &scenario::World, ids: &Ids) -> Result<Lock, Fault> {
    if let Some(why) = &world.unreadable {
        return Ok(Lock::Unreadable(why.clone()));
    }
    let remembered = |subnet: &SubnetId, result| {
        Ok::<_, IdError>(Move {
            plan: Change::Association(PlannedMove {
                subnet: subnet.clone(),
                name: None,
                association: association_of(subnet)?,
                from: ids.primary_table.clone(),
                to: ids.standby_table.clone(),
            }),
            result,
            took: Duration::ZERO,
            verification: Verification::Pending,
        })
    };
    let done = world.lock_moved.iter().map(|subnet| remembered(subnet, MoveResult::Moved));
    let open = world.lock_open.iter().map(|subnet| remembered(subnet, MoveResult::Pending));
    let moves: Vec<Move> = done.chain(open).collect::<Result<_, _>>()?;
    match world.lock {
        None if moves.is_empty() => Ok(Lock::Free),
        None => Err(Fault {
            at: None,
            text: "world.lock_moved and lock_open are moves of a takeover on record; accepted: with world.lock = \"taking\", \
                   \"partial\", \"taken\" or \"failing-back\""
                .to_owned(),
        }),
        Some(phase) => Ok(Lock::Held { phase, moves, last: LastSteps::default() }),
    }
}

fn association_of(subnet: &SubnetId) -> Result<AssociationId, IdError> {
    format!("rtbassoc-{}", subnet.as_str().trim_start_matches("subnet-")).parse()
}

fn survey(
    written: &scenario::Survey,
    on: &BTreeMap<SubnetId, Place>,
    ids: &Ids,
    judged: &BTreeSet<Family>,
) -> Result<Survey, Fault> {
    let failed = &written.failed;
    let reading = |why: &Option<String>| why.clone().map_or(Ok(()), Err);
    let primary = match (&failed.primary, written.primary_unknown, &written.primary) {
        (Some(why), ..) => Some(Err(why.clone())),
        (None, true, _) => Some(Ok(None)),
        (None, false, Some(one)) => Some(Ok(Some(Instance {
            id: ids.primary.clone(),
            name: None,
            state: one.state.clone(),
            subnet: None,
            launched_ago: one.launched_ago.map(|time| time.0),
            interfaces: Vec::new(),
        }))),
        (None, false, None) => None,
    };
    let tables = tables(written, on, ids, judged)?;
    let standby = (!written.standby_unknown).then(|| interfaces(written)).transpose()?.map(|interfaces| Instance {
        id: ids.standby.clone(),
        name: None,
        state: "running".to_owned(),
        subnet: written.standby_subnet.clone(),
        launched_ago: Some(UP),
        interfaces,
    });
    Ok(Survey {
        identity: reading(&failed.identity).map(|()| ids.standby.clone()),
        tables: reading(&failed.tables).map(|()| tables),
        standby: reading(&failed.standby).map(|()| standby),
        primary,
        uptime: reading(&failed.uptime).map(|()| written.uptime.map_or(UP, |time| time.0)),
        ip_forward: reading(&failed.ip_forward).map(|()| written.ip_forward.unwrap_or(true)),
        ip_forward_of: Family::V4,
        masquerade: masquerade(written),
    })
}

fn said(host: &str, word: OwnWord, judged: &BTreeSet<Family>) -> OwnWitness {
    let said = match word {
        OwnWord::Reaches => Said::Reaches(judged.iter().copied().collect()),
        OwnWord::ReachesV4 => Said::Reaches(vec![Family::V4]),
        OwnWord::Missed => Said::Missed,
        OwnWord::Silent => Said::Silent(Silence { reason: SilenceReason::Unreachable, detail: "no answer".to_owned() }),
        OwnWord::Awaited => Said::Awaited,
    };
    OwnWitness { host: host.to_owned(), said }
}

fn masquerade(written: &scenario::Survey) -> Masquerade {
    let present = written.masquerade != Some(Masquerading::Absent);
    match (&written.failed.masquerade, written.masquerade_seen) {
        (Some(why), _) => Masquerade::Unknown(why.clone()),
        (None, Some(ago)) => {
            Masquerade::Told(Sighting { family: Family::V4, masquerade: present, dropped: false, ago: ago.0 })
        }
        (None, None) if present => Masquerade::Present,
        (None, None) => Masquerade::Absent,
    }
}

fn interfaces(written: &scenario::Survey) -> Result<Vec<Interface>, IdError> {
    let Some(all) = &written.interfaces else {
        return Ok(vec![Interface { id: "eni-0b".parse()?, device_index: 0, source_dest_check: false }]);
    };
    Ok(all
        .iter()
        .map(|one| Interface { id: one.id.clone(), device_index: one.index, source_dest_check: one.source_dest_check })
        .collect())
}

fn tables(
    written: &scenario::Survey,
    on: &BTreeMap<SubnetId, Place>,
    ids: &Ids,
    judged: &BTreeSet<Family>,
) -> Result<Vec<RouteTable>, Fault> {
    let routes: Vec<Route> = match &written.routes {
        Some(routes) => routes
            .iter()
            .map(|one| Route {
                destination: one.to.clone(),
                instance: one.instance.clone(),
                interface: one.interface.clone(),
                other: one.other.clone(),
                blackhole: one.blackhole,
            })
            .collect(),
        None => judged
            .iter()
            .map(|family| {
                Ok(Route {
                    destination: family.default_route().to_owned(),
                    instance: Some(ids.standby.clone()),
                    interface: Some("eni-0b".parse()?),
                    other: None,
                    blackhole: false,
                })
            })
            .collect::<Result<_, IdError>>()?,
    };
    let mut named: Vec<&RouteTableId> = vec![&ids.primary_table, &ids.standby_table];
    named.extend(on.values().map(|place| ids.table(place)));
    let mut tables: Vec<RouteTable> = Vec::new();
    for id in named {
        if tables.iter().any(|table| &table.id == id) {
            continue;
        }
        let side = [(Side::Primary, &ids.primary_table), (Side::Standby, &ids.standby_table)]
            .into_iter()
            .find_map(|(side, table)| (table == id).then_some(side));
        if side.is_some_and(|side| written.missing.contains(&side)) {
            continue;
        }
        let ours = side == Some(Side::Standby);
        let mut associations = Vec::new();
        for (subnet, _) in on.iter().filter(|(_, place)| ids.table(place) == id) {
            associations.push(Association {
                id: association_of(subnet)?,
                subnet: Some(subnet.clone()),
                main: false,
                failed: None,
            });
        }
        if side.is_some() && side == written.main {
            associations.push(Association { id: "rtbassoc-main".parse()?, subnet: None, main: true, failed: None });
        }
        tables.push(RouteTable {
            id: id.clone(),
            vpc: written.standby_vpc.clone().filter(|_| ours).unwrap_or_else(|| ids.vpc.clone()),
            name: None,
            routes: if ours { routes.clone() } else { Vec::new() },
            associations,
        });
    }
    Ok(tables)
}
