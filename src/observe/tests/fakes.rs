//! A fleet of backends and an internet that die at a given moment, and an account of all that was asked of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use crate::decide::{DecideSettings, judge, outlook};
use crate::model::{Backend, ControlFate, Family, Fate, Judgement, Moment, Round, Silence, SilenceReason, Target};
use crate::observe::panel::Drawn;
use crate::observe::{
    Ask, Asked, HostKeys, ObserveSettings, Observer, Pace, SshSettings, TargetName, Uplink, Vantages,
};

/// A login, a round trip of SSH, and one of a ping.
pub(in crate::observe) const LOGIN: Duration = ms(200);
pub(in crate::observe) const SSH: Duration = ms(10);
pub(in crate::observe) const RTT: Duration = ms(20);
pub(in crate::observe) const TIMEOUT: Duration = ms(300);

pub(in crate::observe) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(in crate::observe) fn rng() -> RefCell<SmallRng> {
    RefCell::new(SmallRng::seed_from_u64(7))
}

/// How a backend behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) enum Nature {
    /// Logs in after `LOGIN`, pings as the world lets it.
    Well,
    /// Logs in after so long.
    Slow(Duration),
    /// No answer to the connection; its address is black-holed.
    Gone,
    /// Refuses at once.
    Refuses,
    /// Logs in, then its command never answers.
    Hangs,
    /// Logs in, and none of its pings is answered.
    CutOff,
    /// Logs in, and has no `ping`.
    NoPing,
    /// Logs in; from this moment on, sessions opened before it are broken.
    BreaksAt(Duration),
}

/// What was asked, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::observe) struct Seen {
    pub(in crate::observe) at: Moment,
    pub(in crate::observe) host: String,
    pub(in crate::observe) target: IpAddr,
}

/// A session: who, and since when.
#[derive(Debug)]
pub(in crate::observe) struct Session {
    opened: Instant,
}

pub(in crate::observe) struct World {
    epoch: Instant,
    natures: RefCell<BTreeMap<String, Nature>>,
    /// Behind the primary nothing answers from this moment on.
    pub(in crate::observe) primary_dies: Cell<Option<Moment>>,
    /// Targets that no longer answer anyone, and since when.
    pub(in crate::observe) dead: RefCell<BTreeMap<IpAddr, Moment>>,
    /// A ping's round trip.
    pub(in crate::observe) rtt: Cell<Duration>,
    pub(in crate::observe) pings: RefCell<Vec<Seen>>,
    pub(in crate::observe) controls: RefCell<Vec<Seen>>,
    pub(in crate::observe) logins: RefCell<Vec<String>>,
    pub(in crate::observe) closed: Cell<usize>,
}

impl World {
    pub(in crate::observe) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            natures: RefCell::default(),
            primary_dies: Cell::new(None),
            dead: RefCell::default(),
            rtt: Cell::new(RTT),
            pings: RefCell::default(),
            controls: RefCell::default(),
            logins: RefCell::default(),
            closed: Cell::new(0),
        }
    }

    pub(in crate::observe) fn now(&self) -> Moment {
        self.epoch.elapsed()
    }

    /// These backends, by number, are of another nature than `Well`.
    pub(in crate::observe) fn are(&self, nature: Nature, backends: impl IntoIterator<Item = usize>) {
        self.natures.borrow_mut().extend(backends.into_iter().map(|n| (host(n), nature)));
    }

    fn nature(&self, backend: &Backend) -> Nature {
        self.natures.borrow().get(&backend.host).copied().unwrap_or(Nature::Well)
    }

    pub(in crate::observe) fn target_dies(&self, n: usize, at: Moment) {
        self.dead.borrow_mut().insert(target(n).addr, at);
    }

    fn answers(&self, addr: IpAddr) -> bool {
        self.dead.borrow().get(&addr).is_none_or(|since| self.now() < *since)
    }

    pub(in crate::observe) fn pings_of(&self, n: usize) -> usize {
        self.pings.borrow().iter().filter(|seen| seen.host == host(n)).count()
    }

    fn note(&self, list: &RefCell<Vec<Seen>>, host: &str, target: IpAddr) {
        list.borrow_mut().push(Seen { at: self.now(), host: host.to_owned(), target });
    }
}

fn silence(reason: SilenceReason) -> Silence {
    Silence { reason, detail: reason.to_string() }
}

impl Vantages for World {
    type Session = Session;

    async fn connect(&self, backend: &Backend) -> Result<Session, Silence> {
        self.logins.borrow_mut().push(backend.host.clone());
        match self.nature(backend) {
            Nature::Slow(after) => sleep(after).await,
            Nature::Gone => {
                sleep(Duration::from_secs(3)).await;
                return Err(silence(SilenceReason::Unreachable));
            }
            Nature::Refuses => return Err(silence(SilenceReason::Refused)),
            Nature::Well | Nature::Hangs | Nature::CutOff | Nature::NoPing | Nature::BreaksAt(_) => sleep(LOGIN).await,
        }
        Ok(Session { opened: Instant::now() })
    }

    async fn ping(
        &self,
        backend: &Backend,
        session: &Session,
        target: &Target,
        wait: Duration,
    ) -> Result<Asked, Silence> {
        let asked = Instant::now();
        match self.nature(backend) {
            Nature::Hangs => {
                sleep(wait + Duration::from_secs(3)).await;
                return Err(silence(SilenceReason::Hung));
            }
            Nature::NoPing => return Err(silence(SilenceReason::NoPing)),
            Nature::BreaksAt(at) if self.now() >= at && session.opened < self.epoch + at => {
                return Err(silence(SilenceReason::Disconnected));
            }
            _ => {}
        }
        sleep(SSH).await;
        let begun = Instant::now();
        self.note(&self.pings, &backend.host, target.addr);
        let lets_through = self.nature(backend) != Nature::CutOff;
        let reaches =
            lets_through && self.primary_dies.get().is_none_or(|since| self.now() < since) && self.answers(target.addr);
        let fate = if reaches {
            sleep(self.rtt.get()).await;
            Fate::Reply { rtt: self.rtt.get() }
        } else {
            sleep(wait).await;
            Fate::NoReply
        };
        Ok(Asked { asked, begun, fate })
    }

    async fn close(&self, sessions: Vec<Session>) {
        self.closed.set(sessions.len());
    }
}

impl Uplink for World {
    async fn ping(&self, addr: IpAddr, timeout: Duration, _: u32) -> ControlFate {
        self.note(&self.controls, "standby", addr);
        if self.answers(addr) {
            sleep(self.rtt.get()).await;
            ControlFate::Good { rtt: self.rtt.get() }
        } else {
            sleep(timeout).await;
            ControlFate::NoReply
        }
    }
}

pub(in crate::observe) fn host(n: usize) -> String {
    format!("b{n}")
}

pub(in crate::observe) fn target(n: usize) -> Target {
    let name = format!("203.0.113.{n}");
    Target { addr: name.parse().unwrap(), name }
}

pub(in crate::observe) fn targets(count: usize) -> Vec<(TargetName, Result<Target, String>)> {
    (1..=count).map(|n| (target(n).name, Ok(target(n)))).collect()
}

pub(in crate::observe) fn settings(panel: usize) -> ObserveSettings {
    ObserveSettings {
        backends: Vec::new(),
        within: Vec::new(),
        ssh: SshSettings {
            user: None,
            port: None,
            identity: None,
            known_hosts: None,
            host_keys: HostKeys::Strict,
            ssh_config: None,
            connect_timeout: Duration::from_secs(3),
            login_timeout: Duration::from_secs(10),
            idle: SshSettings::IDLE,
        },
        panel,
        targets: Vec::new(),
        timeout: TIMEOUT,
        tries: 2,
    }
}

/// The draw: backends 0 to `count`, in this order, witnesses all, in one subnet.
pub(in crate::observe) fn draw(count: usize) -> Vec<Drawn> {
    (0..count)
        .map(|n| Drawn {
            backend: Backend { host: host(n), destination: host(n), addr: None },
            subnet: "a".to_owned(),
            witness: vec![Family::V4],
            reached: Vec::new(),
            missed: Vec::new(),
        })
        .collect()
}

pub(in crate::observe) fn rules() -> DecideSettings {
    DecideSettings {
        threshold: 3,
        fraction: 0.5,
        rounds: 2,
        span: Duration::from_secs(3),
        tries: 2,
        min_uptime: Duration::from_mins(5),
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        subnets: Vec::new(),
        max_subnets: 50,
        disable_source_dest_check: true,
        method: crate::model::Method::Association,
        elastic_ip: None,
        reboot_primary: false,
    }
}

pub(in crate::observe) fn judged(round: &Round) -> Judgement {
    judge(round, &rules(), Family::V4)
}

/// At once, without a burst, within a minute.
pub(in crate::observe) fn at_once(world: &World) -> Ask {
    Ask { not_before: world.now(), pace: Pace::Calm, until: Instant::now() + Duration::from_mins(1) }
}

/// One round of `panel` of `drawn` with `count` targets.
pub(in crate::observe) async fn one_round(world: &World, panel: usize, drawn: usize, count: usize, ask: Ask) -> Round {
    let settings = settings(panel);
    let clock = || world.now();
    let rng = rng();
    let observer = Observer::new(&settings, world, world, &clock, &rng);
    observer.round(draw(drawn), &targets(count), ask, &|round| outlook(round, &rules())).await
}
