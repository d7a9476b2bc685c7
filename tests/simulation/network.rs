//! The packets of the simulation: what a ping meets, from a backend and from a standby, by the script and the route tables.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use natwatch::model::cloud::Masquerade;
use natwatch::model::{Backend, ControlFate, Family, Fate, InstanceId, Silence, SilenceReason, Target};
use natwatch::observe::{Asked, Uplink, Vantages};
use natwatch::preflight::Host;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::cloud::{Carrier, Ec2, instance};
use super::script::{Nature, Script, secs};

/// From the request over SSH to the packet's departure.
const SSH: Duration = Duration::from_millis(8);

/// What one standby sees of the world.
pub(crate) struct Network<'s> {
    pub(crate) script: &'s Script,
    pub(crate) ec2: &'s Ec2<'s>,
    pub(crate) standby: usize,
    pub(crate) rng: RefCell<SmallRng>,
}

/// An open session.
pub(crate) struct Session;

pub(crate) fn target_number(addr: IpAddr) -> usize {
    match addr {
        IpAddr::V4(addr) => usize::from(addr.octets()[3]) - 1,
        IpAddr::V6(_) => usize::MAX,
    }
}

pub(crate) fn target_name(n: usize) -> String {
    format!("203.0.113.{}", n + 1)
}

pub(crate) fn host(n: usize) -> String {
    format!("b{n:02}")
}

pub(crate) fn backend_number(host: &str) -> usize {
    host[1..].parse().unwrap()
}

fn silence(reason: SilenceReason) -> Silence {
    Silence { reason, detail: String::new() }
}

impl Network<'_> {
    fn random(&self, from: f64, to: f64) -> f64 {
        self.rng.borrow_mut().random_range(from..to)
    }

    fn lost(&self, chance: f64) -> bool {
        chance > 0.0 && self.rng.borrow_mut().random_bool(chance)
    }

    /// Whether a ping that leaves `backend` now is answered.
    fn answered(&self, backend: usize, target: usize) -> bool {
        let now = self.ec2.now();
        let carrier = self.ec2.carries(self.script.backends[backend].subnet);
        reachable(self.script, self.ec2, backend, carrier, target, now) && {
            let loss = match carrier {
                Carrier::Primary => self.script.loss_at(now),
                Carrier::Standby(_) => self.script.uplink_loss,
                Carrier::Other => 0.0,
            };
            !self.lost(loss) && !self.lost(loss)
        }
    }
}

/// Whether `target` could answer `backend` through `carrier`, but for lost packets.
pub(crate) fn reachable(
    script: &Script,
    ec2: &Ec2<'_>,
    backend: usize,
    carrier: Carrier,
    target: usize,
    now: Duration,
) -> bool {
    if script.internet_out.at(now) || script.target_dead[target].at(now) || script.cut(backend, now) {
        return false;
    }
    match carrier {
        Carrier::Primary => {
            let limited = script.limited.as_ref().is_some_and(|(limits, times)| *limits == target && times.at(now));
            !limited && !script.dead.at(now)
        }
        Carrier::Standby(n) => {
            let standby = &script.standbys[n];
            standby.carries && standby.forwards && !ec2.drops(n) && !standby.uplink_out.at(now)
        }
        Carrier::Other => true,
    }
}

impl Vantages for Network<'_> {
    type Session = Session;

    async fn connect(&self, backend: &Backend) -> Result<Session, Silence> {
        match self.script.nature(backend_number(&backend.host), self.ec2.now()) {
            Nature::Well | Nature::Hangs => sleep(secs(self.random(0.05, 0.4))).await,
            Nature::Slow(after) if after < secs(10.0) => sleep(after).await,
            Nature::Slow(_) => {
                sleep(secs(10.0)).await;
                return Err(silence(SilenceReason::SlowLogin));
            }
            Nature::Gone => {
                sleep(secs(3.0)).await;
                return Err(silence(SilenceReason::Unreachable));
            }
            Nature::Refuses => {
                sleep(secs(0.002)).await;
                return Err(silence(SilenceReason::Refused));
            }
        }
        Ok(Session)
    }

    async fn ping(&self, backend: &Backend, _: &Session, target: &Target, wait: Duration) -> Result<Asked, Silence> {
        let asked = Instant::now();
        let number = backend_number(&backend.host);
        match self.script.nature(number, self.ec2.now()) {
            Nature::Gone => {
                sleep(wait + secs(3.0)).await;
                return Err(silence(SilenceReason::Disconnected));
            }
            Nature::Hangs => {
                sleep(wait + secs(3.0)).await;
                return Err(silence(SilenceReason::Hung));
            }
            _ => {}
        }
        sleep(SSH).await;
        let begun = Instant::now();
        let rtt = secs(self.random(0.001, self.script.rtt));
        if self.answered(number, target_number(target.addr)) {
            sleep(rtt).await;
            Ok(Asked { asked, begun, fate: Fate::Reply { rtt } })
        } else {
            sleep(wait).await;
            Ok(Asked { asked, begun, fate: Fate::NoReply })
        }
    }

    async fn close(&self, _: Vec<Session>) {}
}

impl Uplink for Network<'_> {
    async fn ping(&self, addr: IpAddr, timeout: Duration, tries: u32) -> ControlFate {
        let target = target_number(addr);
        let start = self.ec2.now();
        let rtt = secs(self.random(0.001, self.script.rtt.min(0.05)));
        for n in 0..tries {
            let at = start + timeout * n / tries;
            let up = !self.script.internet_out.at(at)
                && !self.script.standbys[self.standby].uplink_out.at(at)
                && !self.script.target_dead[target].at(at);
            if up && !self.lost(self.script.uplink_loss) && !self.lost(self.script.uplink_loss) {
                sleep(timeout * n / tries + rtt).await;
                return ControlFate::Good { rtt };
            }
        }
        sleep(timeout).await;
        ControlFate::NoReply
    }
}

/// The standby's own machine.
pub(crate) struct Machine<'s> {
    pub(crate) script: &'s Script,
    pub(crate) ec2: &'s Ec2<'s>,
    pub(crate) standby: usize,
}

impl Host for Machine<'_> {
    async fn instance(&self) -> Result<InstanceId, String> {
        sleep(self.script.imds).await;
        Ok(instance(self.standby))
    }

    fn uptime(&self) -> Result<Duration, String> {
        Ok(self.script.standbys[self.standby].uptime + self.ec2.now())
    }

    fn forwards(&self, _: Family) -> Result<bool, String> {
        Ok(self.script.standbys[self.standby].forwards)
    }

    async fn masquerade(&self) -> Masquerade {
        Masquerade::Present
    }
}
