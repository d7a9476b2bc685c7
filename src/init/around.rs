//! What surrounds this instance: its VPC's route tables, who they lead to, and which of them could be meant.

use std::fmt;

use crate::model::{
    Family, Instance, InstanceId, InterfaceId, Machine, Route, RouteTable, RouteTableId, Subnet, SubnetId, printable,
};
use crate::preflight::{Atlas, Identity};

/// Names from EC2 are shown so long.
const NAME: usize = 60;

/// What was found; of what was not, why.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub(super) region: Result<String, String>,
    pub(super) own: Result<Machine, String>,
    pub(super) tables: Result<Vec<RouteTable>, String>,
    /// Whoever a default route of these tables leads to.
    pub(super) others: Result<Vec<Machine>, String>,
    /// The subnets of these tables.
    pub(super) subnets: Result<Vec<Subnet>, String>,
}

impl Around {
    /// Asks IMDS, then EC2. Each call is bounded; what needs an answer that did not come is not asked.
    pub(super) async fn look(ec2: &(impl Atlas + Identity)) -> Self {
        let (region, id) = tokio::join!(ec2.region(), ec2.instance());
        let own = match (&region, &id) {
            (Ok(_), Ok(id)) => own(ec2, id).await,
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        };
        let tables = match own.as_ref().map(|own| own.vpc.clone()) {
            Ok(Some(vpc)) => ec2.tables_in(&vpc).await,
            Ok(None) => Err("EC2 does not say in which VPC this instance is".to_owned()),
            Err(why) => Err(why.clone()),
        };
        let known = tables.as_deref().unwrap_or_default();
        let routes: Vec<&Route> = known.iter().filter_map(default_route).collect();
        let instances: Vec<InstanceId> = routes.iter().filter_map(|route| route.instance.clone()).collect();
        let nameless = routes.iter().filter(|route| route.instance.is_none());
        let interfaces: Vec<InterfaceId> = nameless.filter_map(|route| route.interface.clone()).collect();
        let ids: Vec<SubnetId> = known.iter().flat_map(of_table).cloned().collect();
        let (others, subnets) = tokio::join!(ec2.machines(&instances, &interfaces), ec2.subnets(&ids));
        let asked = tables.is_ok();
        Self {
            region,
            own,
            tables,
            others: if asked { others } else { Ok(Vec::new()) },
            subnets: if asked { subnets } else { Ok(Vec::new()) },
        }
    }

    /// The tables whose default route leads to this instance.
    pub(super) fn standbys(&self) -> Choice {
        let (Ok(own), Ok(tables)) = (&self.own, &self.tables) else { return Choice::Unknown(self.unknown()) };
        let ours = |table: &&RouteTable| default_route(table).is_some_and(|route| leads_to(route, &own.instance));
        Choice::of(tables.iter().filter(ours).map(|table| self.candidate(table)).collect(), || {
            format!("no route table of the VPC has its default route to this instance, {}", own.instance.id)
        })
    }

    /// The tables with subnets whose default route leads to another instance; where there is none, those without subnets.
    pub(super) fn primaries(&self) -> Choice {
        let (Ok(own), Ok(tables)) = (&self.own, &self.tables) else { return Choice::Unknown(self.unknown()) };
        let other =
            |route: &Route| (route.instance.is_some() || route.interface.is_some()) && !leads_to(route, &own.instance);
        let theirs = |table: &&RouteTable| default_route(table).is_some_and(other);
        let all: Vec<Candidate> = tables.iter().filter(theirs).map(|table| self.candidate(table)).collect();
        let (with, without): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| !one.subnets.is_empty());
        Choice::of(if with.is_empty() { without } else { with }, || {
            "no route table of the VPC has its default route to another instance".to_owned()
        })
    }

    /// Every table of the VPC: whatever could be meant where none looks as if it were.
    pub(super) fn all(&self) -> Vec<Candidate> {
        self.tables.iter().flatten().map(|table| self.candidate(table)).collect()
    }

    fn candidate(&self, table: &RouteTable) -> Candidate {
        let route = default_route(table);
        let machine = route.and_then(|route| {
            let others = self.others.as_deref().unwrap_or_default();
            others.iter().chain(&self.own).find(|one| leads_to(route, &one.instance))
        });
        let subnets = of_table(table).map(|id| {
            let known = self.subnets.as_deref().unwrap_or_default().iter().find(|one| one.id == *id);
            known.cloned().unwrap_or_else(|| Subnet { id: id.clone(), name: None, cidrs: Vec::new() })
        });
        Candidate { machine: machine.cloned(), subnets: subnets.collect(), table: table.clone() }
    }

    fn unknown(&self) -> String {
        let why = self.own.as_ref().err().or(self.tables.as_ref().err());
        why.cloned().unwrap_or_else(|| "EC2 was not asked".to_owned())
    }
}

async fn own(ec2: &impl Atlas, id: &InstanceId) -> Result<Machine, String> {
    let found = ec2.machines(std::slice::from_ref(id), &[]).await?;
    found.into_iter().next().ok_or_else(|| format!("this instance, {id}, is not known to EC2 in this region"))
}

fn default_route(table: &RouteTable) -> Option<&Route> {
    table.route(Family::V4.default_route())
}

fn of_table(table: &RouteTable) -> impl Iterator<Item = &SubnetId> {
    table.associations.iter().filter_map(|one| one.subnet.as_ref())
}

fn leads_to(route: &Route, instance: &Instance) -> bool {
    let by_interface = instance.interfaces.iter().any(|one| route.interface.as_ref() == Some(&one.id));
    by_interface || route.instance.as_ref() == Some(&instance.id)
}

/// A table that could be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) table: RouteTable,
    /// Who its default route leads to, where EC2 knows.
    pub(super) machine: Option<Machine>,
    pub(super) subnets: Vec<Subnet>,
}

fn named(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{id} ({})", printable(name, NAME)))
}

/// `rtb-0aaa (nat1): its default route leads to i-0aaa (nat1); 2 subnets: 10.0.10.0/24, 10.0.11.0/24`
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", named(self.table.id.as_str(), self.table.name.as_deref()))?;
        match (&self.machine, default_route(&self.table)) {
            (Some(one), _) => {
                let instance = &one.instance;
                write!(f, "its default route leads to {}", named(instance.id.as_str(), instance.name.as_deref()))?;
            }
            (None, Some(route)) => write!(f, "its default route leads to {}", route.target())?,
            (None, None) => f.write_str("it has no default route")?,
        }
        let blocks: Vec<String> = self.subnets.iter().flat_map(|one| &one.cidrs).map(ToString::to_string).collect();
        match self.subnets.len() {
            0 => f.write_str("; no subnets of its own"),
            1 => write!(f, "; 1 subnet: {}", blocks.join(", ")),
            n => write!(f, "; {n} subnets: {}", blocks.join(", ")),
        }
    }
}

/// Which table is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    One(Box<Candidate>),
    /// One of these.
    Several(Vec<Candidate>),
    /// None that could be, or it could not be asked, and why.
    Unknown(String),
    /// This one, as it was typed, of which EC2 has said nothing.
    Typed(RouteTableId),
}

impl Choice {
    fn of(mut all: Vec<Candidate>, none: impl FnOnce() -> String) -> Self {
        match (all.len(), all.pop()) {
            (1, Some(one)) => Self::One(Box::new(one)),
            (_, Some(last)) => {
                all.push(last);
                Self::Several(all)
            }
            (_, None) => Self::Unknown(none()),
        }
    }

    /// The table, where it is clear which one.
    pub(super) fn id(&self) -> Option<&RouteTableId> {
        match self {
            Self::One(one) => Some(&one.table.id),
            Self::Typed(id) => Some(id),
            Self::Several(_) | Self::Unknown(_) => None,
        }
    }

    pub(super) fn one(&self) -> Option<&Candidate> {
        match self {
            Self::One(one) => Some(one),
            Self::Several(_) | Self::Unknown(_) | Self::Typed(_) => None,
        }
    }
}
