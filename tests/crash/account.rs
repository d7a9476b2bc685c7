//! EC2 as the crash tests have it: in a file, so that what was done outlives the process that asked for it.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natwatch::act::{Addresses, ChangeError, Changer, Held, Routes};
use natwatch::model::{
    AllocationId, Association, AssociationId, Cidr, EipAssociationId, Holder, Instance, InstanceId, Interface,
    InterfaceId, Route, RouteTable, RouteTableId, Subnet, SubnetId, Way,
};
use natwatch::preflight::Cloud;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// What any call takes each way.
const LATENCY: Duration = Duration::from_millis(40);

pub(crate) const SUBNETS: usize = 3;
pub(crate) const PRIMARY: &str = "rtb-0a";
pub(crate) const STANDBY: &str = "rtb-0b";

/// A subnet's association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) table: RouteTableId,
    token: AssociationId,
}

/// The account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) primary_dead: bool,
    pub(crate) check_on: bool,
    /// The subnet whose moves EC2 refuses.
    pub(crate) refused: Option<usize>,
    pub(crate) places: Vec<Place>,
    /// Every change of an association that was carried out, in order: the subnet, and where it went.
    pub(crate) applied: Vec<(usize, RouteTableId)>,
}

impl Account {
    /// All subnets on a primary that is well; the standby's source/destination check is on, so that a plan has that step too.
    pub(crate) fn new() -> Self {
        let place = |n| Place { table: PRIMARY.parse().unwrap(), token: format!("rtbassoc-0{n}").parse().unwrap() };
        Self {
            primary_dead: false,
            check_on: true,
            refused: None,
            places: (0..SUBNETS).map(place).collect(),
            applied: Vec::new(),
        }
    }

    pub(crate) fn load(path: &Path) -> Self {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// All or nothing: a process that is killed meanwhile has asked in vain, or been heard.
    pub(crate) fn save(&self, path: &Path) {
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self).unwrap()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn put(&mut self, n: usize, to: &RouteTableId) -> AssociationId {
        self.applied.push((n, to.clone()));
        let token: AssociationId = format!("rtbassoc-n{}", self.applied.len()).parse().unwrap();
        self.places[n] = Place { table: to.clone(), token: token.clone() };
        token
    }

    fn table(&self, id: &RouteTableId) -> RouteTable {
        let leads = if id.as_str() == STANDBY { "i-0b" } else { "i-0a" };
        let association = |n: usize| Association {
            id: self.places[n].token.clone(),
            subnet: Some(subnet(n)),
            main: false,
            failed: None,
        };
        RouteTable {
            id: id.clone(),
            vpc: "vpc-1".parse().unwrap(),
            name: None,
            routes: vec![Route {
                destination: "0.0.0.0/0".to_owned(),
                instance: Some(leads.parse().unwrap()),
                interface: None,
                other: None,
                blackhole: false,
            }],
            associations: (0..SUBNETS).filter(|n| self.places[*n].table == *id).map(association).collect(),
        }
    }
}

pub(crate) fn subnet(n: usize) -> SubnetId {
    format!("subnet-{n}").parse().unwrap()
}

fn number(subnet: &SubnetId) -> usize {
    subnet.as_str().trim_start_matches("subnet-").parse().unwrap()
}

/// The account as a process uses it, which may be told to die in the middle of a call.
pub(crate) struct Client {
    pub(crate) path: PathBuf,
    /// At which instant of a call to end by SIGKILL: before and after the effect of each, counted from 1.
    pub(crate) fatal: Option<u32>,
    pub(crate) instants: Cell<u32>,
}

impl Client {
    fn instant(&self) {
        self.instants.set(self.instants.get() + 1);
        if self.fatal == Some(self.instants.get()) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort();
        }
    }

    async fn read<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        sleep(LATENCY).await;
        self.instant();
        let seen = look(&Account::load(&self.path));
        sleep(LATENCY).await;
        seen
    }

    async fn change<T>(&self, takes: Duration, effect: impl FnOnce(&mut Account) -> T) -> T {
        sleep(takes).await;
        self.instant();
        let mut account = Account::load(&self.path);
        let answer = effect(&mut account);
        account.save(&self.path);
        self.instant();
        sleep(LATENCY).await;
        answer
    }
}

impl Cloud for Client {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        Ok(self.read(|account| ids.iter().map(|id| account.table(id)).collect()).await)
    }

    async fn tables_of(&self, _: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        Ok(Vec::new())
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        let of = |account: &Account, id: &InstanceId| Instance {
            id: id.clone(),
            name: None,
            state: "running".to_owned(),
            launched_ago: None,
            subnet: None,
            interfaces: vec![Interface {
                id: format!("eni-{}", &id.as_str()[2..]).parse().unwrap(),
                device_index: 0,
                source_dest_check: account.check_on,
            }],
        };
        Ok(self.read(|account| ids.iter().map(|id| of(account, id)).collect()).await)
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        let block = |id: &SubnetId| -> Cidr { format!("10.0.{}.0/24", 10 + number(id)).parse().unwrap() };
        Ok(self
            .read(|_| ids.iter().map(|id| Subnet { id: id.clone(), name: None, cidrs: vec![block(id)] }).collect())
            .await)
    }

    async fn public(&self, _: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        Ok(Vec::new())
    }
}

impl Changer for Client {
    async fn associate(
        &self,
        association: &AssociationId,
        to: &RouteTableId,
        dry_run: bool,
    ) -> Result<AssociationId, ChangeError> {
        assert!(!dry_run, "nobody asks for a dry run here");
        let now = Account::load(&self.path);
        let of = now.places.iter().position(|place| place.token == *association);
        // Each subnet takes its own time, so that the record is written between the calls.
        let takes = LATENCY * u32::try_from(2 + of.unwrap_or_default()).unwrap();
        self.change(takes, |account| {
            let of = account.places.iter().position(|place| place.token == *association);
            let n = of.ok_or_else(|| ChangeError::Stale("InvalidAssociationID.NotFound".to_owned()))?;
            if account.refused == Some(n) {
                return Err(ChangeError::Refused("not allowed: ec2:ReplaceRouteTableAssociation".to_owned()));
            }
            Ok(account.put(n, to))
        })
        .await
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        let of = |account: &Account, id: &SubnetId| {
            let table = account.table(&account.places[number(id)].table);
            let found = table.associations.into_iter().find(|one| one.subnet.as_ref() == Some(id)).unwrap();
            (table.id, found)
        };
        Ok(self.read(|account| subnets.iter().map(|id| of(account, id)).collect()).await)
    }

    async fn disable_check(&self, _: &InterfaceId, _: bool) -> Result<(), ChangeError> {
        self.change(LATENCY, |account| account.check_on = false).await;
        Ok(())
    }

    async fn reboot(&self, _: &InstanceId, _: bool) -> Result<(), ChangeError> {
        unreachable!("nobody is configured to reboot anything")
    }
}

/// Associations are moved here; whoever calls these has lost his way.
impl Routes for Client {
    async fn route(&self, _: &RouteTableId, _: &Cidr) -> Result<Option<Route>, String> {
        unreachable!("a route is read")
    }

    async fn replace_route(&self, _: &RouteTableId, _: &Cidr, _: &Way, _: bool) -> Result<(), ChangeError> {
        unreachable!("a route is replaced")
    }

    async fn create_route(&self, _: &RouteTableId, _: &Cidr, _: &Way, _: bool) -> Result<(), ChangeError> {
        unreachable!("a route is made")
    }

    async fn delete_route(&self, _: &RouteTableId, _: &Cidr, _: bool) -> Result<(), ChangeError> {
        unreachable!("a route is deleted")
    }
}

impl Addresses for Client {
    async fn address(&self, _: &AllocationId) -> Result<Option<Held>, String> {
        unreachable!("nobody has an Elastic IP address")
    }

    async fn addresses_of(&self, _: &InterfaceId) -> Result<Vec<AllocationId>, String> {
        unreachable!("nobody has an Elastic IP address")
    }

    async fn associate_address(&self, _: &AllocationId, _: &Holder, _: bool) -> Result<(), ChangeError> {
        unreachable!("nobody has an Elastic IP address")
    }

    async fn disassociate_address(&self, _: &EipAssociationId, _: bool) -> Result<(), ChangeError> {
        unreachable!("nobody has an Elastic IP address")
    }
}
