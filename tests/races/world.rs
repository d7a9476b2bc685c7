//! A VPC in which several NATs, operators and a slow EC2 get in each other's way. Associations are compare-and-swap tokens; a call is
//! carried out at a moment of its own, its reply may be lost, and a describe may show what was before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::pending;
use std::net::IpAddr;
use std::time::Duration;

use natwatch::act::{Addresses, ChangeError, Changer, Held};
use natwatch::model::cloud::Masquerade;
use natwatch::model::{
    AllocationId, Association, AssociationId, Backend, Cidr, ControlFate, EipAssociationId, Family, Fate, Holder,
    Instance, InstanceId, Interface, InterfaceId, Route, RouteTable, RouteTableId, Silence, Subnet, SubnetId, Target,
    Way,
};
use natwatch::observe::{Asked, Uplink, Vantages};
use natwatch::preflight::{Cloud, Host};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::associations::associations_only;

/// The letter that ends a table's, an instance's and an interface's id.
pub(crate) type Nat = char;

/// A table of an operator's own, whose way out always works.
pub(crate) const OPERATORS: Nat = 'f';

/// A change that was carried out: by whom (an operator is [`OPERATORS`]), of which subnet, from where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) by: Nat,
    pub(crate) subnet: usize,
    pub(crate) from: Nat,
    pub(crate) to: Nat,
}

struct Place {
    on: Nat,
    token: AssociationId,
    before: (Nat, AssociationId),
    shown: Instant,
}

pub(crate) struct Vpc {
    places: RefCell<Vec<Place>>,
    /// NATs that carry nobody's packets, though their own pings are answered: since when.
    pub(crate) dead: RefCell<Vec<(Nat, Instant)>>,
    pub(crate) moved: RefCell<Vec<Moved>>,
    rng: RefCell<SmallRng>,
    /// The longest for which a describe shows what was before.
    lag: Duration,
    /// How many calls in a hundred fail, in one way or another.
    faults: u32,
    /// EC2 refuses to move anything.
    pub(crate) refuses: Cell<bool>,
    /// A subnet that a describe shows on no table, as while its association is replaced.
    pub(crate) hidden: Cell<Option<usize>>,
    /// What a call that only reads takes besides.
    pub(crate) slow: Cell<Duration>,
    /// No call that only reads is ever answered.
    pub(crate) hangs: Cell<bool>,
    /// Nor is any that asks where subnets went.
    pub(crate) secretive: Cell<bool>,
    /// A subnet that EC2 asks for patience to move, whoever asks.
    pub(crate) throttled: Cell<Option<usize>>,
}

pub(crate) fn table(nat: Nat) -> RouteTableId {
    format!("rtb-0{nat}").parse().unwrap()
}

pub(crate) fn instance(nat: Nat) -> InstanceId {
    format!("i-0{nat}").parse().unwrap()
}

fn nat_of(table: &RouteTableId) -> Nat {
    table.as_str().chars().last().unwrap()
}

fn subnet(n: usize) -> SubnetId {
    format!("subnet-{n}").parse().unwrap()
}

pub(crate) fn number(subnet: &SubnetId) -> usize {
    subnet.as_str().trim_start_matches("subnet-").parse().unwrap()
}

/// The address of backend `n` of a subnet.
pub(crate) fn address(subnet: usize, n: usize) -> String {
    format!("10.0.{}.{}", 10 + subnet, 10 + n)
}

fn subnet_of(backend: &Backend) -> usize {
    let Some(IpAddr::V4(addr)) = backend.addr else { unreachable!("backends have addresses here") };
    usize::from(addr.octets()[2]) - 10
}

impl Vpc {
    /// Subnet `n` is on the table of `homes[n]`.
    pub(crate) fn new(homes: &[Nat], mut rng: SmallRng) -> Self {
        let now = Instant::now();
        let place = |(n, home): (usize, &Nat)| {
            let token: AssociationId = format!("rtbassoc-0{n}").parse().unwrap();
            Place { on: *home, token: token.clone(), before: (*home, token), shown: now }
        };
        let (lags, lag) = (rng.random_bool(0.3), Duration::from_millis(rng.random_range(1..2000)));
        Self {
            places: RefCell::new(homes.iter().enumerate().map(place).collect()),
            dead: RefCell::default(),
            moved: RefCell::default(),
            lag: if lags { lag } else { Duration::ZERO },
            faults: if rng.random_bool(0.5) { rng.random_range(1..25) } else { 0 },
            rng: RefCell::new(rng),
            refuses: Cell::new(false),
            hidden: Cell::new(None),
            slow: Cell::default(),
            hangs: Cell::default(),
            secretive: Cell::default(),
            throttled: Cell::default(),
        }
    }

    /// Every call is carried out and answered, and shows at once.
    pub(crate) fn at_its_best(self) -> Self {
        Self { lag: Duration::ZERO, faults: 0, ..self }
    }

    /// A describe may show what was before for as long as this.
    pub(crate) fn late(self, lag: Duration) -> Self {
        Self { lag, ..self }
    }

    pub(crate) fn on(&self, subnet: usize) -> Nat {
        self.places.borrow()[subnet].on
    }

    pub(crate) fn put(&self, subnet: usize, to: Nat, by: Nat) -> AssociationId {
        let lag = self.lag.mul_f64(self.rng.borrow_mut().random_range(0.0..=1.0));
        let mut places = self.places.borrow_mut();
        let mut moved = self.moved.borrow_mut();
        let place = &mut places[subnet];
        moved.push(Moved { by, subnet, from: place.on, to });
        let token: AssociationId = format!("rtbassoc-n{}", moved.len()).parse().unwrap();
        let before = (place.on, place.token.clone());
        *place = Place { on: to, token: token.clone(), before, shown: Instant::now() + lag };
        token
    }

    pub(crate) fn carries(&self, nat: Nat) -> bool {
        let now = Instant::now();
        nat == OPERATORS || !self.dead.borrow().iter().any(|(dead, since)| *dead == nat && *since <= now)
    }

    async fn latency(&self) {
        let ms = self.rng.borrow_mut().random_range(5..150);
        sleep(Duration::from_millis(ms)).await;
    }

    /// What becomes of a call: 0, it is carried out.
    fn fate(&self) -> u32 {
        let mut rng = self.rng.borrow_mut();
        if rng.random_range(0..100) < self.faults { rng.random_range(1..=4) } else { 0 }
    }

    fn shown(&self, n: usize) -> (Nat, Association) {
        let place = &self.places.borrow()[n];
        let (on, id) =
            if Instant::now() < place.shown { place.before.clone() } else { (place.on, place.token.clone()) };
        (on, Association { id, subnet: Some(subnet(n)), main: false, failed: None })
    }

    fn table(&self, id: &RouteTableId) -> RouteTable {
        let of = nat_of(id);
        let all = (0..self.places.borrow().len()).filter(|n| self.hidden.get() != Some(*n));
        RouteTable {
            id: id.clone(),
            vpc: "vpc-1".parse().unwrap(),
            name: None,
            routes: vec![Route {
                destination: "0.0.0.0/0".to_owned(),
                instance: Some(instance(of)),
                interface: None,
                other: None,
                blackhole: false,
            }],
            associations: all.map(|n| self.shown(n)).filter(|(on, _)| *on == of).map(|(_, one)| one).collect(),
        }
    }
}

/// The VPC as one natwatch sees and uses it.
pub(crate) struct View<'v> {
    pub(crate) vpc: &'v Vpc,
    pub(crate) nat: Nat,
}

impl View<'_> {
    async fn read(&self) -> Result<(), String> {
        if self.vpc.hangs.get() {
            pending::<()>().await;
        }
        sleep(self.vpc.slow.get()).await;
        self.vpc.latency().await;
        // What only reads is tried again by the SDK itself, twice.
        for _ in 0..3 {
            if self.vpc.fate() == 0 {
                return Ok(());
            }
            self.vpc.latency().await;
        }
        Err("503".to_owned())
    }
}

impl Cloud for View<'_> {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.read().await?;
        Ok(ids.iter().map(|id| self.vpc.table(id)).collect())
    }

    async fn tables_of(&self, subnets: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        self.read().await?;
        let shown = subnets.iter().map(number).filter(|n| self.vpc.hidden.get() != Some(*n));
        let on: BTreeSet<RouteTableId> = shown.map(|n| table(self.vpc.shown(n).0)).collect();
        Ok(on.iter().map(|id| self.vpc.table(id)).collect())
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        self.read().await?;
        let of = |id: &InstanceId| Instance {
            id: id.clone(),
            name: None,
            state: "running".to_owned(),
            launched_ago: None,
            subnet: None,
            interfaces: vec![Interface {
                id: format!("eni-{}", &id.as_str()[2..]).parse().unwrap(),
                device_index: 0,
                source_dest_check: false,
            }],
        };
        Ok(ids.iter().map(of).collect())
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        self.read().await?;
        let block = |id: &SubnetId| -> Cidr { format!("10.0.{}.0/24", 10 + number(id)).parse().unwrap() };
        Ok(ids.iter().map(|id| Subnet { id: id.clone(), name: None, cidrs: vec![block(id)] }).collect())
    }

    async fn public(&self, _: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        Ok(Vec::new())
    }
}

impl Changer for View<'_> {
    async fn associate(
        &self,
        association: &AssociationId,
        to: &RouteTableId,
        _: bool,
    ) -> Result<AssociationId, ChangeError> {
        self.vpc.latency().await;
        if self.vpc.refuses.get() {
            return Err(ChangeError::Refused("UnauthorizedOperation".to_owned()));
        }
        let fate = self.vpc.fate();
        match fate {
            1 => return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned())),
            2 => return Err(ChangeError::Unknown("503".to_owned())),
            3 => {
                sleep(Duration::from_secs(2)).await;
                return Err(ChangeError::Unknown("no answer within 2 s".to_owned()));
            }
            _ => {}
        }
        let found = self.vpc.places.borrow().iter().position(|place| place.token == *association);
        let n = found.ok_or_else(|| ChangeError::Stale("InvalidAssociationID.NotFound".to_owned()))?;
        if self.vpc.throttled.get() == Some(n) {
            return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()));
        }
        let token = self.vpc.put(n, nat_of(to), self.nat);
        self.vpc.latency().await;
        if fate == 4 { Err(ChangeError::Unknown("connection lost".to_owned())) } else { Ok(token) }
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        if self.vpc.secretive.get() {
            pending::<()>().await;
        }
        self.read().await?;
        Ok(subnets.iter().map(|id| self.vpc.shown(number(id))).map(|(on, one)| (table(on), one)).collect())
    }

    async fn disable_check(&self, _: &InterfaceId, _: bool) -> Result<(), ChangeError> {
        unreachable!("the check is off")
    }

    async fn reboot(&self, _: &InstanceId, _: bool) -> Result<(), ChangeError> {
        unreachable!("nothing is rebooted here")
    }
}

associations_only!(no routes: View<'_>);

/// The primary has the only address that there is, and EC2 asks whoever wants it for patience.
impl Addresses for View<'_> {
    async fn address(&self, _: &AllocationId) -> Result<Option<Held>, String> {
        self.read().await?;
        let holder = Holder { way: Way { interface: None, instance: Some(instance('a')) }, private: None };
        Ok(Some(Held { holder, association: "eipassoc-1".parse().unwrap() }))
    }

    async fn addresses_of(&self, _: &InterfaceId) -> Result<Vec<AllocationId>, String> {
        Ok(Vec::new())
    }

    async fn associate_address(&self, _: &AllocationId, _: &Holder, _: bool) -> Result<(), ChangeError> {
        self.vpc.latency().await;
        Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()))
    }

    async fn disassociate_address(&self, _: &EipAssociationId, _: bool) -> Result<(), ChangeError> {
        unreachable!("nobody takes an address away")
    }
}

impl Vantages for View<'_> {
    type Session = ();

    async fn connect(&self, _: &Backend) -> Result<(), Silence> {
        let ms = self.vpc.rng.borrow_mut().random_range(50..400);
        sleep(Duration::from_millis(ms)).await;
        Ok(())
    }

    async fn ping(&self, backend: &Backend, (): &(), _: &Target, wait: Duration) -> Result<Asked, Silence> {
        let asked = Instant::now();
        let reaches = self.vpc.carries(self.vpc.on(subnet_of(backend)));
        let rtt = Duration::from_millis(12);
        sleep(if reaches { rtt } else { wait }).await;
        Ok(Asked { asked, begun: asked, fate: if reaches { Fate::Reply { rtt } } else { Fate::NoReply } })
    }

    async fn close(&self, _: Vec<()>) {}
}

impl Uplink for View<'_> {
    async fn ping(&self, _: IpAddr, _: Duration, _: u32) -> ControlFate {
        let rtt = Duration::from_millis(10);
        sleep(rtt).await;
        ControlFate::Good { rtt }
    }
}

impl Host for View<'_> {
    async fn instance(&self) -> Result<InstanceId, String> {
        Ok(instance(self.nat))
    }

    fn uptime(&self) -> Result<Duration, String> {
        Ok(Duration::from_hours(24))
    }

    fn forwards(&self, _: Family) -> Result<bool, String> {
        Ok(true)
    }

    async fn masquerade(&self) -> Masquerade {
        Masquerade::Unknown("takes root".to_owned())
    }
}
