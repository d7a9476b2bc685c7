//! Which subnets are guarded: those whose home is the primary's table.
//!
//! A subnet that has been taken over is on the standby's table and still guarded, so what was guarded before is remembered;
//! without that memory a subnet of the standby's own would look the same. Whoever is forgotten is forgotten for good, so who is shown nowhere is
//! not, before EC2 was given the time to show him. It does not decide whether anything is to move.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join4;
use jiff::{SignedDuration, Timestamp};

use super::{Cloud, PreflightSettings, admission};
use crate::model::{Cidr, Family, Guarded, GuardedSet, Names, Route, RouteTable, RouteTableId, Subnet, SubnetId, Way};

/// Layout of `guarded.json`.
const VERSION: u32 = 1;

/// While an association is replaced a describe may show the subnet nowhere, for seconds as a rule. Only what two readings in a row show nowhere that lie
/// so far apart is taken off for good.
pub const UNSHOWN_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Asks EC2 which subnets are guarded now; `previous` is what was guarded when last seen.
///
/// # Errors
///
/// Where EC2 could not be asked, or the primary's table does not exist: one line fit to print.
pub async fn guarded_set(
    cloud: &impl Cloud,
    settings: &PreflightSettings,
    previous: Option<&GuardedSet>,
    now: Timestamp,
) -> Result<GuardedSet, String> {
    // Whose subnet is on neither table may have it on a third one, and only EC2 can tell that from a move of which it shows nothing for a moment.
    let ours = |set: &&GuardedSet| set.primary == settings.primary_table && set.standby == settings.standby_table;
    let known: Vec<&Guarded> = previous.filter(ours).into_iter().flat_map(|set| &set.subnets).collect();
    let listed = |one: &SubnetId| settings.subnets.is_empty() || settings.subnets.contains(one);
    let known: Vec<&Guarded> = known.into_iter().filter(|one| listed(&one.subnet)).collect();
    let looked_for: BTreeSet<&SubnetId> = settings.subnets.iter().chain(known.iter().map(|one| &one.subnet)).collect();
    let mut tables = super::tables(cloud, settings, []).await?;
    let primary = &settings.primary_table;
    if tables.iter().all(|table| &table.id != primary) {
        return Err(format!(
            "primary.route_table: {primary} does not exist in this region; aws ec2 describe-route-tables lists them"
        ));
    }
    let missing = looked_for.into_iter().filter(|subnet| now_on(&tables, subnet).is_none());
    let missing: Vec<SubnetId> = missing.cloned().collect();
    let ids: BTreeSet<SubnetId> = members(settings, &tables, previous).into_keys().chain(missing.clone()).collect();
    if ids.is_empty() {
        return Ok(make_guarded(settings, &tables, &[], previous, now));
    }
    let ids: Vec<SubnetId> = ids.into_iter().collect();
    // Beside the others: one describe behind the other, a slow EC2 would never have this reading done in time.
    let elsewhere = async { if missing.is_empty() { Ok(Vec::new()) } else { cloud.tables_of(&missing).await } };
    let groups = admission::groups(cloud, settings, &tables, previous, now);
    let (subnets, public, groups, elsewhere) = join4(cloud.subnets(&ids), cloud.public(&ids), groups, elsewhere).await;
    let subnets = subnets?;
    let others = elsewhere?.into_iter().filter(|table| ![primary, &settings.standby_table].contains(&&table.id));
    tables.extend(others);
    let mut kept = unshown(&known, &tables, previous, now);
    for one in &mut kept {
        if let Some(now) = subnets.iter().find(|subnet| subnet.id == one.subnet) {
            (one.name, one.cidrs) = (now.name.clone(), now.cidrs.clone());
        }
    }
    let mut set = GuardedSet { public: public?, ..make_guarded(settings, &tables, &subnets, previous, now) };
    set.subnets.extend(kept);
    set.subnets.sort_by(|one, other| one.subnet.cmp(&other.subnet));
    admission::judge(&mut set, groups, now);
    Ok(set)
}

/// The guarded set from what has been read already.
///
/// A guarded subnet that is not in `subnets` is taken with what `previous` knows of it, or without name and blocks.
#[must_use]
pub fn make_guarded(
    settings: &PreflightSettings,
    tables: &[RouteTable],
    subnets: &[Subnet],
    previous: Option<&GuardedSet>,
    now: Timestamp,
) -> GuardedSet {
    let known = |id: &SubnetId| subnets.iter().find(|subnet| &subnet.id == id);
    let before = |id: &SubnetId| previous.and_then(|set| set.subnets.iter().find(|guarded| &guarded.subnet == id));
    let ours = routed_here(settings, tables);
    let guarded = members(settings, tables, previous).into_iter().map(|(subnet, on)| {
        let on = if ours && on == settings.primary_table { settings.standby_table.clone() } else { on };
        let (name, cidrs) = match (known(&subnet), before(&subnet)) {
            (Some(now), _) => (now.name.clone(), now.cidrs.clone()),
            (None, Some(then)) => (then.name.clone(), then.cidrs.clone()),
            (None, None) => (None, Vec::new()),
        };
        Guarded { subnet, name, cidrs, on }
    });
    let mut names = Names::new();
    names.learn_tables(tables);
    GuardedSet {
        version: VERSION,
        primary: settings.primary_table.clone(),
        standby: settings.standby_table.clone(),
        subnets: guarded.collect(),
        families: families(settings, tables),
        public: previous.map_or_else(Vec::new, |set| set.public.clone()),
        leads_to: leads_to(settings, tables)
            .or_else(|| previous.filter(|set| set.primary == settings.primary_table)?.leads_to.clone()),
        admission: previous.filter(|set| set.standby == settings.standby_table).and_then(|set| set.admission.clone()),
        names,
        tables: Some(both(settings, tables)),
        own: None,
        seen: now,
    }
}

/// What tells whether the standby's own table leads to it, where what is to be moved leads, and by which tokens subnets are on them, without what is
/// of no use for that.
fn both(settings: &PreflightSettings, tables: &[RouteTable]) -> Vec<RouteTable> {
    let both = tables.iter().filter(|one| one.id == settings.primary_table || one.id == settings.standby_table);
    let destinations = settings.method.destinations();
    let of_use = |route: &&Route| {
        [Family::V4, Family::V6].iter().any(|one| route.destination == one.default_route())
            || destinations.iter().any(|one| route.is_for(one))
    };
    both.map(|table| RouteTable { routes: table.routes.iter().filter(of_use).cloned().collect(), ..table.clone() })
        .collect()
}

/// The guarded subnets and the table each is on. One that the configuration names and that has no explicit association is
/// on no table, and so is left out.
fn members(
    settings: &PreflightSettings,
    tables: &[RouteTable],
    previous: Option<&GuardedSet>,
) -> BTreeMap<SubnetId, RouteTableId> {
    let on = |subnet: &SubnetId| now_on(tables, subnet).map(|table| (subnet.clone(), table.clone()));
    if !settings.subnets.is_empty() {
        return settings.subnets.iter().filter_map(on).collect();
    }
    let primary = tables.iter().filter(|table| table.id == settings.primary_table);
    let at_home =
        primary.flat_map(|table| &table.associations).filter_map(|association| on(association.subnet.as_ref()?));
    // Memory of another primary's subnets says nothing about this one's.
    let remembered = previous.filter(|set| set.primary == settings.primary_table).map_or(&[][..], |set| &set.subnets);
    let away = remembered
        .iter()
        .filter_map(|guarded| on(&guarded.subnet))
        .filter(|(_, table)| *table == settings.standby_table);
    at_home.chain(away).collect()
}

/// Those of the `known` that EC2 shows nowhere for now, where they were: as long as it was not asked twice, with time for the change in between.
fn unshown(known: &[&Guarded], tables: &[RouteTable], previous: Option<&GuardedSet>, now: Timestamp) -> Vec<Guarded> {
    let soon = previous.is_some_and(|set| now.duration_since(set.seen).abs() < UNSHOWN_FOR);
    // An older natwatch did not write down what was shown.
    let before = previous.and_then(|set| set.tables.as_deref());
    let was_shown = |subnet: &SubnetId| before.is_none_or(|tables| now_on(tables, subnet).is_some());
    let nowhere = |one: &&&Guarded| now_on(tables, &one.subnet).is_none();
    known.iter().filter(nowhere).filter(|one| soon || was_shown(&one.subnet)).map(|one| (*one).clone()).collect()
}

/// Whether EC2 showed any subnet of the set nowhere when it was asked, so that it is to be asked again.
#[must_use]
pub fn half_shown(set: &GuardedSet) -> bool {
    set.subnets.iter().any(|one| is_nowhere((&set.primary, &set.standby), set.tables.as_deref(), one))
}

/// Whether EC2 showed this subnet nowhere, by both `tables` of its set, and it is where it is by memory alone. One on a third table was shown there.
#[must_use]
pub fn is_nowhere(
    (primary, standby): (&RouteTableId, &RouteTableId),
    tables: Option<&[RouteTable]>,
    one: &Guarded,
) -> bool {
    let ours = one.on == *primary || one.on == *standby;
    ours && tables.is_some_and(|tables| now_on(tables, &one.subnet).is_none())
}

/// Method `route`: whether the primary's table sends all that is to be moved where the standby's own table sends its default, so that
/// the standby has what is on the primary's table.
fn routed_here(settings: &PreflightSettings, tables: &[RouteTable]) -> bool {
    let destinations = settings.method.destinations();
    let Some(primary) = table(tables, &settings.primary_table) else { return false };
    let led_here = |destination: &Cidr| {
        let way = primary.routes.iter().find(|route| route.is_for(destination)).map(Way::from);
        way.zip(own_way(settings, tables, destination)).is_some_and(|(way, own)| way.same(&own))
    };
    !destinations.is_empty() && destinations.iter().all(led_here)
}

/// Where the standby's own table sends the default of a destination's family.
fn own_way(settings: &PreflightSettings, tables: &[RouteTable], destination: &Cidr) -> Option<Way> {
    let standby = table(tables, &settings.standby_table)?;
    standby.route(Family::of(destination.addr()).default_route()).map(Way::from)
}

/// Method `route`: where the primary's table leads, unless that is here, or nowhere.
fn leads_to(settings: &PreflightSettings, tables: &[RouteTable]) -> Option<Way> {
    let primary = table(tables, &settings.primary_table)?;
    settings.method.destinations().iter().find_map(|destination| {
        let route = primary.routes.iter().find(|route| route.is_for(destination))?;
        let way = Way::from(route);
        let somewhere = !route.blackhole && (way.interface.is_some() || way.instance.is_some());
        let here = own_way(settings, tables, destination).is_some_and(|own| own.same(&way));
        (somewhere && !here).then_some(way)
    })
}

/// Whether a takeover would bring IPv6 here: the primary's table sent it to an instance, and what is moved leads it where it leads IPv4.
///
/// A standby's table that leads it elsewhere (an egress-only gateway) asks nothing of this machine. By a set of an older natwatch, without the
/// tables, it does as the primary's.
#[must_use]
pub fn brings_six(settings: &PreflightSettings, set: &GuardedSet) -> bool {
    six_comes(settings, &set.families, set.tables.as_deref())
}

/// The same, by these tables and the families that the primary's sends to an instance.
pub(super) fn six_comes(settings: &PreflightSettings, families: &[Family], tables: Option<&[RouteTable]>) -> bool {
    let here = || {
        let Some(standby) = tables.and_then(|tables| table(tables, &settings.standby_table)) else {
            return tables.is_none();
        };
        let way = |family: Family| standby.route(family.default_route()).map(Way::from);
        let somewhere = |way: &Way| way.interface.is_some() || way.instance.is_some();
        way(Family::V6).filter(somewhere).is_some_and(|six| {
            let alike = |four: Way| four.instance.is_some() && four.instance == six.instance || four.same(&six);
            way(Family::V4).filter(somewhere).is_none_or(alike)
        })
    };
    let destinations = settings.method.destinations();
    let moved = destinations.is_empty() || destinations.iter().any(|one| Family::of(one.addr()) == Family::V6);
    families.contains(&Family::V6) && moved && here()
}

fn table<'a>(tables: &'a [RouteTable], id: &RouteTableId) -> Option<&'a RouteTable> {
    tables.iter().find(|table| &table.id == id)
}

/// The table that `subnet` is explicitly associated with, by these tables.
#[must_use]
pub fn now_on<'a>(tables: &'a [RouteTable], subnet: &SubnetId) -> Option<&'a RouteTableId> {
    tables
        .iter()
        .find(|table| table.associations.iter().any(|association| association.subnet.as_ref() == Some(subnet)))
        .map(|table| &table.id)
}

/// The families whose default route the primary's table sends to an instance: what a dead NAT instance takes down.
///
/// A blackhole counts, as it is what such a route becomes when the instance is gone.
#[must_use]
pub fn families(settings: &PreflightSettings, tables: &[RouteTable]) -> Vec<Family> {
    let Some(primary) = tables.iter().find(|table| table.id == settings.primary_table) else { return Vec::new() };
    let guarded = |family: &Family| {
        let route = primary.route(family.default_route());
        route.is_some_and(|route| route.instance.is_some() || route.interface.is_some() || route.blackhole)
    };
    [Family::V4, Family::V6].into_iter().filter(guarded).collect()
}
