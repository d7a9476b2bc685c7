//! This machine: who it is, how long it has been up, whether it forwards and masquerades.
//!
//! It reads the kernel and, for the rules that masquerade and drop, what `nft` and `iptables-save` print; where it may not, it goes by what it was told that root
//! saw. It changes nothing, not even by
//! having a kernel module loaded. Every outside command is bounded in time and output, run by its absolute path and with
//! an empty environment.

pub mod forward;
mod masquerade;
mod rules;
mod uplink;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use forward::{Dropping, Passes};
use rules::Limit;

use super::{Host, PreflightSettings, guarded};
use crate::model::cloud::{Cidr, Masquerade, Sighting};
use crate::model::{Backend, Family, GuardedSet, InstanceId};

pub use uplink::uplink;

/// Who can tell which instance this is: the instance metadata service.
pub trait Identity {
    /// The id of this instance. The error is one line with its remedy.
    fn instance(&self) -> impl Future<Output = Result<InstanceId, String>>;
}

/// The machine that this runs on.
pub struct LocalHost<'a, I> {
    imds: &'a I,
    told: Option<Told>,
    guarding: Box<dyn Fn() -> Vec<Guarding>>,
}

/// Whose packets this machine is to carry, of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarding {
    /// Of the first: IPv4, but where every target is of IPv6.
    pub family: Family,
    /// Their blocks, or else the addresses of the backends that are known; none: neither is.
    pub blocks: Vec<Cidr>,
    /// EC2 has named them, and they are all.
    pub seen: bool,
    /// They are unique local addresses, which the internet does not route (RFC 4193, section 4.1), and it is to be reached: a target is there.
    pub private: bool,
}

impl Default for Guarding {
    fn default() -> Self {
        Self { family: Family::V4, blocks: Vec::new(), seen: false, private: false }
    }
}

impl Guarding {
    /// By what was guarded when last seen, if that was by these tables: one or two, of a family each. IPv6 is the second where the primary's
    /// table sends it to an instance and a takeover would bring it here.
    #[must_use]
    pub fn of(
        settings: &PreflightSettings,
        targets: &[String],
        backends: &[Backend],
        known: Option<&GuardedSet>,
    ) -> Vec<Self> {
        let ours = |set: &&GuardedSet| set.primary == settings.primary_table && set.standby == settings.standby_table;
        let known = known.filter(ours);
        let targets: Vec<IpAddr> =
            targets.iter().map(|name| name.parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into())).collect();
        let six = !targets.is_empty() && targets.iter().all(IpAddr::is_ipv6);
        let first = Self::one(if six { Family::V6 } else { Family::V4 }, &targets, backends, known);
        let second = !six && known.is_some_and(|set| guarded::brings_six(settings, set));
        let second = second.then(|| Self::one(Family::V6, &targets, backends, known));
        std::iter::once(first).chain(second).collect()
    }

    /// Whether they may leave as they are: IPv6's, which are global on AWS but where somebody chose otherwise.
    const fn routed(&self) -> bool {
        matches!(self.family, Family::V6) && !self.private
    }

    fn one(family: Family, targets: &[IpAddr], backends: &[Backend], known: Option<&GuardedSet>) -> Self {
        let of_family = |block: &Cidr| Family::of(block.addr()) == family;
        let subnets = known.into_iter().flat_map(|set| &set.subnets);
        let blocks: Vec<Cidr> = subnets.flat_map(|subnet| subnet.cidrs.clone()).filter(of_family).collect();
        if !blocks.is_empty() {
            let local = |addr: IpAddr| matches!(addr, IpAddr::V6(addr) if addr.is_unique_local());
            let outside = targets.iter().any(|addr| addr.is_ipv6() && !local(*addr));
            let private = outside && blocks.iter().all(|block| local(block.network()));
            return Self { family, blocks, seen: true, private };
        }
        let addrs = backends.iter().filter_map(|backend| backend.addr).map(Cidr::from);
        Self { family, blocks: addrs.filter(of_family).collect(), seen: false, private: false }
    }
}

/// What is known of each without a look at the rules.
#[must_use]
pub fn told(guarding: &[Guarding], told: impl Fn(Family) -> Result<Sighting, String> + 'static) -> Masquerade {
    let told: Told = Box::new(told);
    let unseen = || Masquerade::Unknown("not looked at".to_owned());
    Masquerade::decisive(guarding.iter().map(|one| combine(one, unseen(), Some(&told))).collect())
}

/// What is guarded, and what the kernel has.
struct Place<'a> {
    guarding: &'a Guarding,
    /// The interface that the default route leads out by.
    uplink: Option<&'a str>,
    there: &'a dyn Fn(&str) -> bool,
}

impl<'a> Place<'a> {
    fn new(guarding: &'a Guarding, uplink: Option<&'a str>, there: &'a dyn Fn(&str) -> bool) -> Self {
        Self { guarding, uplink, there }
    }

    /// Whether packets of the guarded subnets may come in or leave by this interface: by no bridge of containers, and by none that is not there.
    fn carries(&self, name: &str) -> bool {
        self.uplink == Some(name) || ((self.there)(name) && !name.starts_with("docker") && !name.starts_with("br-"))
    }

    /// Whether any of them are from there; `None`: that can't be told.
    fn sends(&self, from: &Limit<(IpAddr, IpAddr)>) -> Option<bool> {
        let blocks = &self.guarding.blocks;
        match from {
            Limit::None => Some(true),
            Limit::Only(_) | Limit::Not(_) if blocks.is_empty() => None,
            Limit::Only(ranges) => {
                let meets = |block: &Cidr| {
                    ranges.iter().any(|(first, last)| *first <= block.broadcast() && block.network() <= *last)
                };
                Some(blocks.iter().any(meets))
            }
            Limit::Not(ranges) => {
                let within = |block: &Cidr| {
                    ranges.iter().any(|(first, last)| *first <= block.network() && block.broadcast() <= *last)
                };
                Some(!blocks.iter().all(within))
            }
            Limit::Unclear => None,
        }
    }
}

/// What the rules of this machine do to packets of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Which.
    pub family: Family,
    /// Whether something masquerades.
    pub masquerade: Masquerade,
    /// What drops forwarded packets, as far as rules could be read; `None`: they could not.
    pub dropping: Option<Vec<Dropping>>,
}

impl Reading {
    /// What a takeover goes by: nothing is masqueraded that was dropped before.
    #[must_use]
    pub fn decisive(self) -> Masquerade {
        let all = |one: &Dropping| one.passes == Passes::Nothing;
        match self.dropping.into_iter().flatten().find(all) {
            Some(Dropping { chain, remedy, .. }) => Masquerade::Dropped { chain, remedy },
            None => self.masquerade,
        }
    }
}

/// What somebody who may see more saw in this boot, or why nothing is known of that; read each time, since he may look again.
type Told = Box<dyn Fn(Family) -> Result<Sighting, String>>;

impl<'a, I: Identity> LocalHost<'a, I> {
    /// This machine, with `imds` to say which instance it is.
    pub fn new(imds: &'a I) -> Self {
        Self { imds, told: None, guarding: Box::new(|| vec![Guarding::default()]) }
    }

    /// What becomes of a sighting of those packets where others may have seen more.
    #[must_use]
    pub fn with_what_was_told(&self, guarding: &Guarding, seen: Masquerade) -> Masquerade {
        combine(guarding, seen, self.told.as_ref())
    }

    /// For those packets; asked each time, since what is guarded may change.
    #[must_use]
    pub fn guarding(self, guarding: impl Fn() -> Vec<Guarding> + 'static) -> Self {
        Self { guarding: Box::new(guarding), ..self }
    }

    /// With what somebody who may see more saw in this boot, or why nothing is known of that.
    #[must_use]
    pub fn told(self, told: impl Fn(Family) -> Result<Sighting, String> + 'static) -> Self {
        Self { told: Some(Box::new(told)), ..self }
    }
}

/// What becomes of those packets by this machine's rules, as far as this process may see: a reading for each.
pub async fn rules(guarding: &[Guarding]) -> Vec<Reading> {
    let all = guarding.to_vec();
    // It waits for a child process, and rounds are running beside it.
    let ended = || guarding.iter().map(|one| unread(one.family, "the reading was ended")).collect();
    tokio::task::spawn_blocking(move || masquerade::read(&all)).await.unwrap_or_else(|_| ended())
}

fn unread(family: Family, why: &str) -> Reading {
    Reading { family, masquerade: Masquerade::Unknown(why.to_owned()), dropping: None }
}

/// What we see ourselves counts; what we may not see is as we were told.
fn combine(guarding: &Guarding, seen: Masquerade, told: Option<&Told>) -> Masquerade {
    match (seen, told.map(|told| told(guarding.family))) {
        // Whether IPv6's sources have to be translated is no secret of root's.
        (Masquerade::Unknown(_), Some(Ok(told))) if guarding.routed() && !told.masquerade && !told.dropped => {
            Masquerade::Plain { private: false }
        }
        (Masquerade::Unknown(_), Some(Ok(told))) => Masquerade::Told(told),
        (Masquerade::Unknown(why), Some(Err(nothing))) => Masquerade::Unknown(format!("{why}; {nothing}")),
        (seen, _) => seen,
    }
}

impl<I: Identity> Host for LocalHost<'_, I> {
    async fn instance(&self) -> Result<InstanceId, String> {
        self.imds.instance().await
    }

    fn uptime(&self) -> Result<Duration, String> {
        // CLOCK_BOOTTIME and not /proc/uptime: it is there under ProcSubset=pid too.
        let up = clock_gettime(ClockId::Boottime);
        Duration::try_from(up).map_err(|_| "the kernel's boot clock (CLOCK_BOOTTIME) is before boot".to_owned())
    }

    fn forwards(&self, family: Family) -> Result<bool, String> {
        let path = match family {
            Family::V4 => "/proc/sys/net/ipv4/ip_forward",
            Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
        };
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
        flag(&text).ok_or_else(|| format!("{path} holds \"{}\", not a number", crate::model::printable(&text, 40)))
    }

    async fn masquerade(&self) -> Masquerade {
        let all = (self.guarding)();
        let seen = all.iter().zip(rules(&all).await);
        Masquerade::decisive(seen.map(|(one, seen)| self.with_what_was_told(one, seen.decisive())).collect())
    }
}

/// 0 is off; `forwarding` may be 2, which is on.
fn flag(text: &str) -> Option<bool> {
    text.trim().parse::<u32>().ok().map(|value| value != 0)
}

#[cfg(test)]
mod tests;
