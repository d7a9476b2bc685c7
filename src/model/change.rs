//! What is to be changed, and what came of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AssociationId, Cidr, Family, InstanceId, InterfaceId, PlannedAddress, Route, RouteTableId, SubnetId};

/// How traffic is moved (`takeover.method`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Every subnet gets the standby's table.
    #[default]
    Association,
    /// The primary's table leads to the standby.
    Route {
        /// Which of its routes: one at least.
        destinations: Vec<Cidr>,
    },
}

impl Method {
    /// Whether it is the one that is used where nothing else is said.
    #[must_use]
    pub const fn is_association(&self) -> bool {
        matches!(self, Self::Association)
    }

    /// The routes that are replaced; none where none is.
    #[must_use]
    pub fn destinations(&self) -> &[Cidr] {
        match self {
            Self::Association => &[],
            Self::Route { destinations } => destinations,
        }
    }

    /// The families whose default route is among them.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let defaults = self.destinations().iter().filter(|one| one.prefix_len() == 0);
        defaults.map(|one| Family::of(one.addr())).collect()
    }
}

/// One subnet to be moved to another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMove {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// The association to replace: the compare-and-swap token.
    pub association: AssociationId,
    /// The table it is expected on.
    pub from: RouteTableId,
    /// The table it goes to.
    pub to: RouteTableId,
}

/// Where a route leads: to an interface, and to the instance that has it, as far as EC2 says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The interface.
    pub interface: Option<InterfaceId>,
    /// The instance.
    pub instance: Option<InstanceId>,
}

impl Way {
    /// Whether both lead to the same place. An interface that another instance has by now is another place: somebody moved it.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (&self.instance, &other.instance) {
            (Some(one), Some(other)) if one != other => false,
            _ => match (&self.interface, &other.interface) {
                (Some(one), Some(other)) => one == other,
                _ => self.instance.is_some() && self.instance == other.instance,
            },
        }
    }
}

impl From<&Route> for Way {
    fn from(route: &Route) -> Self {
        Self { interface: route.interface.clone(), instance: route.instance.clone() }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.interface, &self.instance) {
            (Some(interface), Some(instance)) => write!(f, "{interface} ({instance})"),
            (Some(interface), None) => interface.fmt(f),
            (None, Some(instance)) => instance.fmt(f),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// One route to be changed, made or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRoute {
    /// The table it is in.
    pub table: RouteTableId,
    /// Where it is for.
    pub destination: Cidr,
    /// Where it is expected to lead; `None`: there is no such route.
    pub from: Option<Way>,
    /// Where it is to lead; `None`: it is deleted.
    pub to: Option<Way>,
    /// The subnets on the table, all of which go by it.
    pub subnets: Vec<SubnetId>,
}

/// One thing that a takeover, or its way back, changes in the routing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Change {
    /// A subnet's route table.
    Association(PlannedMove),
    /// A table's route.
    Route(PlannedRoute),
}

impl Change {
    /// The subnets whose traffic it moves.
    #[must_use]
    pub fn subnets(&self) -> &[SubnetId] {
        match self {
            Self::Association(one) => std::slice::from_ref(&one.subnet),
            Self::Route(one) => &one.subnets,
        }
    }

    /// Whether it moves this subnet's traffic.
    #[must_use]
    pub fn carries(&self, subnet: &SubnetId) -> bool {
        self.subnets().contains(subnet)
    }

    /// The subnet that is moved, where it is a single one.
    #[must_use]
    pub const fn subnet(&self) -> Option<&SubnetId> {
        match self {
            Self::Association(one) => Some(&one.subnet),
            Self::Route(_) => None,
        }
    }

    /// Where it leads before, as EC2 has it.
    #[must_use]
    pub fn from(&self) -> String {
        match self {
            Self::Association(one) => one.from.to_string(),
            Self::Route(one) => way(one.from.as_ref()),
        }
    }

    /// Where it leads afterwards, as EC2 has it.
    #[must_use]
    pub fn to(&self) -> String {
        match self {
            Self::Association(one) => one.to.to_string(),
            Self::Route(one) => way(one.to.as_ref()),
        }
    }

    /// Whether both change the same thing, whatever from and to.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Association(one), Self::Association(other)) => one.subnet == other.subnet,
            (Self::Route(one), Self::Route(other)) => one.table == other.table && one.destination == other.destination,
            _ => false,
        }
    }

    /// The way back. An association has a new id since it was made, which `token` knows; `None` where it doesn't.
    #[must_use]
    pub fn reversed(&self, token: impl FnOnce(&SubnetId) -> Option<AssociationId>) -> Option<Self> {
        Some(match self {
            Self::Association(one) => Self::Association(PlannedMove {
                subnet: one.subnet.clone(),
                name: one.name.clone(),
                association: token(&one.subnet)?,
                from: one.to.clone(),
                to: one.from.clone(),
            }),
            Self::Route(one) => Self::Route(PlannedRoute { from: one.to.clone(), to: one.from.clone(), ..one.clone() }),
        })
    }
}

/// What is changed: the subnet, or the table and the destination of its route.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Association(one) => one.subnet.fmt(f),
            Self::Route(one) => write!(f, "{} {}", one.table, one.destination),
        }
    }
}

fn way(way: Option<&Way>) -> String {
    way.map_or_else(|| "no route".to_owned(), Way::to_string)
}

/// All that a takeover does. It leaves execution no choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The instance that takes over.
    pub standby: InstanceId,
    /// The interface whose source/destination check is switched off first, where it is on.
    pub disable_check: Option<InterfaceId>,
    /// The subnets, or the routes.
    pub moves: Vec<Change>,
    /// The address that is brought along when every move is settled.
    pub address: Option<PlannedAddress>,
    /// The primary, where it is to be rebooted after a verified takeover.
    pub reboot: Option<InstanceId>,
}

/// What became of one move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "detail")]
pub enum MoveResult {
    /// Not begun, or its outcome is not known yet.
    Pending,
    /// Where it is to be, by our call.
    Moved,
    /// Where it is to be already: an earlier call of ours whose reply was lost, or another standby with the same table.
    AlreadyThere,
    /// Somebody else put it somewhere else (a table, or what a route leads to, by its id); theirs stands.
    Elsewhere(String),
    /// Still where it was, and why.
    Failed(String),
    /// A call may have been carried out, and EC2 could not be asked, or may lag behind: nobody knows where it is, and why.
    Unknown(String),
    /// `--dry-run`: EC2 would have allowed it.
    WouldMove,
}

/// Whether traffic was seen to flow again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// Not looked at (yet), or not for as long as it takes to say that it did not help.
    Pending,
    /// Its cut-off backends were seen reaching a target again.
    Verified,
    /// They were not, within `takeover.verify_for`.
    Unverified,
    /// No backend of this subnet could tell.
    Unwitnessed,
}

/// One change as done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// What was planned.
    #[serde(flatten)]
    pub plan: Change,
    /// What became of it.
    #[serde(flatten)]
    pub result: MoveResult,
    /// From the start of the moves to this outcome.
    pub took: Duration,
    /// Whether it helped.
    pub verification: Verification,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(interface: Option<&str>, instance: Option<&str>) -> Way {
        Way { interface: interface.map(|id| id.parse().unwrap()), instance: instance.map(|id| id.parse().unwrap()) }
    }

    fn association() -> Change {
        Change::Association(PlannedMove {
            subnet: "subnet-1".parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: "rtb-0b".parse().unwrap(),
        })
    }

    fn route() -> Change {
        Change::Route(PlannedRoute {
            table: "rtb-0a".parse().unwrap(),
            destination: "::/0".parse().unwrap(),
            from: None,
            to: Some(way(Some("eni-0b"), Some("i-0b"))),
            subnets: vec!["subnet-1".parse().unwrap(), "subnet-2".parse().unwrap()],
        })
    }

    #[test]
    fn both_kinds_of_changes_are_written_and_read_and_an_association_as_it_ever_was() {
        let done = |plan| Move {
            plan,
            result: MoveResult::Elsewhere("rtb-0c".to_owned()),
            took: Duration::ZERO,
            verification: Verification::Pending,
        };
        let written = serde_json::to_string(&done(association())).unwrap();
        assert_eq!(
            written,
            r#"{"subnet":"subnet-1","name":null,"association":"rtbassoc-1","from":"rtb-0a","to":"rtb-0b","result":"elsewhere","detail":"rtb-0c","took":{"secs":0,"nanos":0},"verification":"pending"}"#
        );
        for change in [association(), route()] {
            let done = done(change);
            assert_eq!(serde_json::from_str::<Move>(&serde_json::to_string(&done).unwrap()).unwrap(), done);
        }
    }

    #[test]
    fn the_way_back_is_the_way_there_reversed_and_an_association_needs_its_present_id() {
        let back = association().reversed(|_| "rtbassoc-2".parse().ok()).unwrap();
        let Change::Association(one) = &back else { panic!("{back:?}") };
        assert_eq!(
            (one.association.as_str(), back.from(), back.to()),
            ("rtbassoc-2", "rtb-0b".into(), "rtb-0a".into())
        );
        assert_eq!(association().reversed(|_| None), None);
        let back = route().reversed(|_| None).unwrap();
        assert_eq!((back.from(), back.to()), ("eni-0b (i-0b)".into(), "no route".into()));
        assert!(back.same(&route()) && !back.same(&association()));
        assert_eq!(back.reversed(|_| None), Some(route()));
    }

    #[test]
    fn an_interface_that_another_instance_has_by_now_is_another_way() {
        let ours = way(Some("eni-1"), Some("i-1"));
        assert!(ours.same(&way(Some("eni-1"), None)) && ours.same(&way(None, Some("i-1"))));
        assert!(!ours.same(&way(Some("eni-1"), Some("i-2"))));
        assert!(!ours.same(&way(Some("eni-2"), Some("i-1"))), "another interface of the same instance");
        assert!(!way(None, None).same(&way(None, None)), "two that lead nowhere are not known to be the same");
    }
}
