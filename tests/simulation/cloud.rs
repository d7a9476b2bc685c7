//! EC2 as the simulation has it: associations are compare-and-swap tokens; calls take time, fail, lag, and are lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use natwatch::act::{ChangeError, Changer};
use natwatch::model::{
    Association, AssociationId, Cidr, Instance, InstanceId, Interface, InterfaceId, Route, RouteTable, RouteTableId,
    Subnet, SubnetId,
};
use natwatch::preflight::Cloud;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::associations::associations_only;
use super::script::{Script, secs};

/// Who a subnet's traffic goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Primary,
    Standby(usize),
    /// A table of somebody else's, whose way out works.
    Other,
}

/// Who moved a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mover {
    Standby(usize),
    Operator,
}

/// A change that was carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) at: Duration,
    pub(crate) by: Mover,
    pub(crate) subnet: usize,
    pub(crate) from: Carrier,
    pub(crate) to: Carrier,
}

#[derive(Debug, Clone)]
struct Place {
    carrier: Carrier,
    token: AssociationId,
    /// Where it was: until then packets still go that way, and describes may still show it.
    before: (Carrier, AssociationId),
    effective: Duration,
    shown: Duration,
    /// Until then a describe shows it nowhere.
    nowhere: Duration,
}

/// The account.
pub(crate) struct Ec2<'s> {
    script: &'s Script,
    epoch: Instant,
    rng: RefCell<SmallRng>,
    places: RefCell<Vec<Place>>,
    issued: Cell<u32>,
    /// In order.
    pub(crate) changes: RefCell<Vec<Change>>,
    /// Per standby: when a change was asked for, dry runs left out.
    pub(crate) asked: [RefCell<Vec<Duration>>; 2],
    /// Calls that read.
    pub(crate) reads: Cell<usize>,
    /// Per standby: told of each change asked for.
    pub(crate) changing: [Notify; 2],
    check_on: [Cell<bool>; 2],
}

pub(crate) fn table(carrier: Carrier) -> RouteTableId {
    let name = match carrier {
        Carrier::Primary => "rtb-0a",
        Carrier::Standby(0) => "rtb-0b",
        Carrier::Standby(_) => "rtb-0c",
        Carrier::Other => "rtb-0d",
    };
    name.parse().unwrap()
}

fn carrier(table: &RouteTableId) -> Carrier {
    match table.as_str() {
        "rtb-0a" => Carrier::Primary,
        "rtb-0b" => Carrier::Standby(0),
        "rtb-0c" => Carrier::Standby(1),
        _ => Carrier::Other,
    }
}

pub(crate) fn instance(standby: usize) -> InstanceId {
    format!("i-0{}", standby + 1).parse().unwrap()
}

pub(crate) fn subnet(n: usize) -> SubnetId {
    format!("subnet-{n}").parse().unwrap()
}

fn number(subnet: &SubnetId) -> usize {
    subnet.as_str().trim_start_matches("subnet-").parse().unwrap()
}

impl<'s> Ec2<'s> {
    pub(crate) fn new(script: &'s Script, epoch: Instant, rng: SmallRng) -> Self {
        let place = |n| Place {
            carrier: Carrier::Primary,
            token: format!("rtbassoc-0{n}").parse().unwrap(),
            before: (Carrier::Primary, format!("rtbassoc-0{n}").parse().unwrap()),
            effective: Duration::ZERO,
            shown: Duration::ZERO,
            nowhere: Duration::ZERO,
        };
        let check = |n: usize| Cell::new(script.standbys.get(n).is_some_and(|one| one.source_dest_check));
        Self {
            script,
            epoch,
            rng: RefCell::new(rng),
            places: RefCell::new((0..script.subnets).map(place).collect()),
            issued: Cell::new(0),
            changes: RefCell::default(),
            asked: Default::default(),
            reads: Cell::new(0),
            changing: Default::default(),
            check_on: [check(0), check(1)],
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Whose the subnet is by its association.
    pub(crate) fn on(&self, subnet: usize) -> Carrier {
        self.places.borrow()[subnet].carrier
    }

    /// Whom its packets go to.
    pub(crate) fn carries(&self, subnet: usize) -> Carrier {
        let place = &self.places.borrow()[subnet];
        if self.now() < place.effective { place.before.0 } else { place.carrier }
    }

    /// Whether the primary has carried the subnet since `from`, without a change since then.
    pub(crate) fn primary_since(&self, subnet: usize, from: Duration) -> bool {
        let settled = self.places.borrow()[subnet].effective <= from;
        let moved = self.changes.borrow().iter().any(|one| one.subnet == subnet && one.at >= from);
        settled && !moved && self.on(subnet) == Carrier::Primary
    }

    /// Whether the standby would drop foreign packets.
    pub(crate) fn drops(&self, standby: usize) -> bool {
        self.check_on[standby].get()
    }

    pub(crate) fn put(&self, subnet: usize, to: Carrier, by: Mover) -> AssociationId {
        let now = self.now();
        self.issued.set(self.issued.get() + 1);
        let token: AssociationId = format!("rtbassoc-n{}", self.issued.get()).parse().unwrap();
        let part = |longest: Duration| longest.mul_f64(self.rng.borrow_mut().random_range(0.0..1.0));
        let (effect, lag) = (part(self.script.ec2.effect), part(self.script.ec2.lag));
        let from = self.on(subnet);
        let before = (self.carries(subnet), self.places.borrow()[subnet].token.clone());
        self.changes.borrow_mut().push(Change { at: now, by, subnet, from, to });
        self.places.borrow_mut()[subnet] = Place {
            carrier: to,
            token: token.clone(),
            before,
            effective: now + effect,
            shown: now + lag,
            nowhere: now + self.script.ec2.nowhere,
        };
        token
    }

    fn random(&self, from: f64, to: f64) -> Duration {
        secs(self.rng.borrow_mut().random_range(from..to))
    }

    fn latency(&self) -> Duration {
        self.random(0.02, 0.15)
    }

    fn fails(&self) -> bool {
        self.script.ec2.errors > 0.0 && self.rng.borrow_mut().random_bool(self.script.ec2.errors)
    }

    async fn read(&self) -> Result<(), String> {
        self.reads.set(self.reads.get() + 1);
        sleep(self.latency()).await;
        if self.script.ec2.down.at(self.now()) || self.fails() {
            sleep(self.random(0.1, 2.0)).await;
            return Err("EC2 does not answer".to_owned());
        }
        Ok(())
    }

    /// Where a describe shows the subnet, and by which association; `None`: nowhere.
    fn shown(&self, n: usize) -> Option<(Carrier, Association)> {
        let place = &self.places.borrow()[n];
        if self.now() < place.nowhere {
            return None;
        }
        let (carrier, id) =
            if self.now() < place.shown { place.before.clone() } else { (place.carrier, place.token.clone()) };
        Some((carrier, Association { id, subnet: Some(subnet(n)), main: false, failed: None }))
    }

    fn route_table(&self, id: &RouteTableId) -> RouteTable {
        let of = carrier(id);
        let to = match of {
            Carrier::Primary => "i-0a".parse().unwrap(),
            Carrier::Standby(n) => instance(n),
            Carrier::Other => "i-0d".parse().unwrap(),
        };
        let route = |destination: &str, instance: Option<InstanceId>| Route {
            destination: destination.to_owned(),
            other: instance.is_none().then(|| "eigw-1".to_owned()),
            instance,
            interface: None,
            blackhole: false,
        };
        // The primary carries IPv6, and a standby's table has another way out for it.
        let six = self.script.dual.then(|| route("::/0", Some(to.clone()).filter(|_| of == Carrier::Primary)));
        RouteTable {
            id: id.clone(),
            vpc: "vpc-1".parse().unwrap(),
            name: None,
            routes: std::iter::once(route("0.0.0.0/0", Some(to))).chain(six).collect(),
            associations: (0..self.script.subnets)
                .filter_map(|n| self.shown(n))
                .filter(|(on, _)| *on == of)
                .map(|(_, association)| association)
                .collect(),
        }
    }
}

/// The account as one standby uses it.
pub(crate) struct Client<'e> {
    pub(crate) ec2: &'e Ec2<'e>,
    pub(crate) standby: usize,
}

impl Client<'_> {
    /// A change is asked for; what its fate is, before the call is carried out.
    fn ask(&self) {
        self.ec2.asked[self.standby].borrow_mut().push(self.ec2.now());
        self.ec2.changing[self.standby].notify_one();
    }
}

impl Cloud for Client<'_> {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.ec2.read().await?;
        Ok(ids.iter().map(|id| self.ec2.route_table(id)).collect())
    }

    async fn tables_of(&self, subnets: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        self.ec2.read().await?;
        let on: BTreeSet<RouteTableId> =
            subnets.iter().filter_map(|id| Some(table(self.ec2.shown(number(id))?.0))).collect();
        Ok(on.iter().map(|id| self.ec2.route_table(id)).collect())
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        self.ec2.read().await?;
        let of = |id: &InstanceId| {
            let standby = (0..2).find(|n| instance(*n) == *id);
            Instance {
                id: id.clone(),
                name: None,
                state: "running".to_owned(),
                launched_ago: None,
                subnet: None,
                interfaces: vec![Interface {
                    id: format!("eni-{}", &id.as_str()[2..]).parse().unwrap(),
                    device_index: 0,
                    source_dest_check: standby.is_some_and(|n| self.ec2.drops(n)),
                }],
            }
        };
        Ok(ids.iter().map(of).collect())
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        self.ec2.read().await?;
        let block = |id: &SubnetId| -> Cidr { format!("10.0.{}.0/24", 10 + number(id)).parse().unwrap() };
        Ok(ids.iter().map(|id| Subnet { id: id.clone(), name: None, cidrs: vec![block(id)] }).collect())
    }

    async fn public(&self, _: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        self.ec2.read().await?;
        Ok(Vec::new())
    }
}

impl Changer for Client<'_> {
    async fn associate(
        &self,
        association: &AssociationId,
        to: &RouteTableId,
        dry_run: bool,
    ) -> Result<AssociationId, ChangeError> {
        if !dry_run {
            self.ask();
        }
        let ec2 = self.ec2;
        sleep(ec2.latency()).await;
        let lost = ec2.fails();
        if ec2.script.ec2.down.at(ec2.now()) {
            sleep(secs(2.0)).await;
            return Err(ChangeError::Unknown("no answer within 2 s".to_owned()));
        }
        let kind = ec2.rng.borrow_mut().random_range(0..3);
        if ec2.script.ec2.throttles.at(ec2.now()) {
            return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()));
        }
        if lost && kind == 0 {
            return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()));
        }
        if lost && kind == 1 {
            return Err(ChangeError::Unknown("503".to_owned()));
        }
        let found = (0..ec2.script.subnets).find(|n| ec2.places.borrow()[*n].token == *association);
        let Some(found) = found else { return Err(ChangeError::Stale("InvalidAssociationID.NotFound".to_owned())) };
        if dry_run {
            return Ok(association.clone());
        }
        let new = ec2.put(found, carrier(to), Mover::Standby(self.standby));
        sleep(ec2.latency()).await;
        if lost { Err(ChangeError::Unknown("connection lost".to_owned())) } else { Ok(new) }
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        self.ec2.read().await?;
        let shown = subnets.iter().filter_map(|id| self.ec2.shown(number(id)));
        Ok(shown.map(|(carrier, association)| (table(carrier), association)).collect())
    }

    async fn disable_check(&self, _: &InterfaceId, dry_run: bool) -> Result<(), ChangeError> {
        if !dry_run {
            self.ask();
        }
        sleep(self.ec2.latency()).await;
        if self.ec2.script.ec2.down.at(self.ec2.now()) || self.ec2.fails() {
            return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()));
        }
        if !dry_run {
            self.ec2.check_on[self.standby].set(false);
        }
        Ok(())
    }

    async fn reboot(&self, _: &InstanceId, _: bool) -> Result<(), ChangeError> {
        unreachable!("no simulation is configured to reboot anything")
    }
}

associations_only!(Client<'_>);
