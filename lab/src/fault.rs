//! The faults by name. Pure: what they do is `inject`'s.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;

use crate::api::ApiFault;
use crate::plan::{Nat, TARGETS};

/// Something that goes wrong in the lab, until it is healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The masquerade rule of that NAT is gone.
    MasqueradeGone(Nat),
    /// `ip_forward` of that NAT is 0.
    ForwardOff(Nat),
    /// That NAT's link is down: it answers nobody.
    Crash(Nat),
    /// That NAT still answers its neighbours, but its way to the internet is dead.
    UplinkDead(Nat),
    /// That NAT's way to the internet loses this many percent of packets, in each direction.
    Loss(Nat, u8),
    /// Every link of the VPC and to the internet loses this many percent of packets, in each direction.
    LinksLose(u8),
    /// The primary drops everything for so long, then goes on by itself.
    Pause(Duration),
    /// A target (1 to 5) answers nobody.
    TargetDead(u8),
    /// No target answers anybody.
    AllTargetsDead,
    /// That NAT's masquerade rule for IPv6 is gone.
    Masquerade6Gone(Nat),
    /// That NAT does not forward IPv6.
    Forward6Off(Nat),
    /// That NAT's way to the IPv6 internet is dead.
    Uplink6Dead(Nat),
    /// A target (1 to 5) answers so much later.
    TargetSlow(u8, Duration),
    /// Every target answers so many pings a second from one address, after a burst of so many more.
    TargetsLimit(u32, u32),
    /// A target answers everybody but the primary.
    TargetShunsPrimary(u8),
    /// A backend is black-holed.
    BackendDead(usize),
    /// A backend's SSH is refused.
    SshdDead(usize),
    /// A backend's SSH server is stopped: connections open, and nothing comes.
    SshdFrozen(usize),
    /// A backend authenticates, then commands hang.
    SshdHang(usize),
    /// A backend refuses the key.
    SshdRefusesKey(usize),
    /// A backend has a new host key.
    SshdNewHostKey(usize),
    /// A backend's login prints a banner and a forged ping summary.
    NoisyShell(usize),
    /// A backend's login takes so many seconds.
    SlowLogin(usize, u64),
    /// A backend has no `ping`.
    NoPing(usize),
    /// A backend's `ping` may not be executed.
    PingForbidden(usize),
    /// A backend's `ping` is busybox's.
    BusyboxPing(usize),
    /// A backend's `ping` goes on for ever.
    EndlessPing(usize),
    /// A backend's login prints without end.
    EndlessShell(usize),
    /// A backend's login shell understands words and single quotes, and nothing else of `sh`.
    OddShell(usize),
    /// A backend's account has `nologin` as its shell.
    NoShell(usize),
    /// No backend's echo requests get out, whoever carries its subnet.
    IcmpBlocked,
    /// A fault of the API.
    Api(ApiFault),
    /// The API is a black hole.
    ApiDown,
    /// Packets follow the API's changes so much later.
    Propagation(Duration),
    /// The metadata service is a black hole, on both NATs.
    ImdsDown,
    /// Source/destination check is on for that NAT, at EC2 and in the fabric.
    SourceDestCheckOn(Nat),
    /// That NAT's instance is stopped: its routes are black holes, its link is down.
    Stopped(Nat),
}

/// Every fault: its words and what it does, for help and README.
pub const FAULTS: [(&str, &str); 42] = [
    ("masquerade-gone [standby]", "the NAT's masquerade rule is removed"),
    ("forward-off [standby]", "`ip_forward` is 0"),
    ("masquerade6-gone [standby]", "likewise its rule for IPv6, in a lab with `--ipv6`"),
    ("forward6-off [standby]", "`net.ipv6.conf.all.forwarding` is 0"),
    ("primary-crash", "the primary's link is down"),
    ("standby-crash", "the standby's link is down"),
    ("primary-uplink-dead", "the primary answers pings, its way to the internet is dead"),
    ("standby-uplink-dead", "likewise the standby's, and with it its way to the API"),
    ("primary-uplink6-dead | standby-uplink6-dead", "its way to the IPv6 internet is dead"),
    ("primary-loss PERCENT", "the primary's way to the internet loses packets, each way"),
    ("standby-loss PERCENT", "likewise the standby's"),
    ("links-lose PERCENT", "every link of the VPC, and the internet's, loses packets, each way"),
    ("primary-pause MS", "the primary drops everything for so long, then heals by itself"),
    ("primary-stopped", "the instance is stopped: its routes become black holes"),
    ("target-dead N", "target 203.0.113.N (1 to 5) answers nobody"),
    ("all-targets-dead", "no target answers anybody"),
    ("target-shuns-primary N", "target N answers everybody but the primary's address"),
    ("target-slow N MS", "target N answers so much later"),
    ("targets-limit RATE BURST", "every target answers RATE pings a second from one address, after BURST at once"),
    ("backend-dead N", "backend bN is black-holed"),
    ("sshd-dead N", "bN refuses SSH connections"),
    ("sshd-frozen N", "bN accepts connections, and no banner comes"),
    ("sshd-hang N", "bN authenticates, then every command hangs"),
    ("sshd-refuses-key N", "bN refuses the key"),
    ("sshd-new-host-key N", "bN shows a host key nobody knows"),
    ("noisy-shell N", "bN prints a banner and a forged ping summary at each command"),
    ("slow-login N SECONDS", "bN's authentication takes so long"),
    ("no-ping N", "bN has no `ping`"),
    ("ping-forbidden N", "bN's `ping` may not be executed"),
    ("busybox-ping N", "bN's `ping` is busybox's"),
    ("endless-ping N", "bN's `ping` never ends"),
    ("endless-shell N", "bN's login prints without end"),
    ("odd-shell N", "bN's login shell knows words and single quotes, and nothing else of `sh`"),
    ("no-shell N", "bN's login shell is `nologin`"),
    ("icmp-blocked", "no backend's ping gets out, whichever NAT carries it"),
    ("api-500 | -throttle | -deny [ACTION [AFTER [TIMES]]]", "the API answers with that error; ACTION `*`: all"),
    ("api-hang [ACTION [AFTER [TIMES]]]", "the API never answers, and does nothing"),
    ("api-lost | -failed [ACTION [AFTER [TIMES]]]", "done but no reply; or answered with state `failed`, not done"),
    ("api-stale [* [AFTER [TIMES]]]", "DescribeRouteTables answers the state before the last change"),
    ("api-down | imds-down", "the API, or the metadata service, is a black hole"),
    ("propagation MS", "packets follow the API's changes so much later"),
    ("source-dest-check-on [primary]", "the check is on for the standby (or the primary)"),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standby = |nat: &Nat| if *nat == Nat::Standby { " standby" } else { "" };
        match self {
            Self::MasqueradeGone(nat) => write!(f, "masquerade-gone{}", standby(nat)),
            Self::ForwardOff(nat) => write!(f, "forward-off{}", standby(nat)),
            Self::Masquerade6Gone(nat) => write!(f, "masquerade6-gone{}", standby(nat)),
            Self::Forward6Off(nat) => write!(f, "forward6-off{}", standby(nat)),
            Self::Uplink6Dead(nat) => write!(f, "{nat}-uplink6-dead"),
            Self::TargetSlow(n, delay) => write!(f, "target-slow {n} {}", delay.as_millis()),
            Self::TargetsLimit(rate, burst) => write!(f, "targets-limit {rate} {burst}"),
            Self::Crash(nat) => write!(f, "{nat}-crash"),
            Self::UplinkDead(nat) => write!(f, "{nat}-uplink-dead"),
            Self::Loss(nat, percent) => write!(f, "{nat}-loss {percent}"),
            Self::LinksLose(percent) => write!(f, "links-lose {percent}"),
            Self::Pause(time) => write!(f, "primary-pause {}", time.as_millis()),
            Self::TargetDead(n) => write!(f, "target-dead {n}"),
            Self::AllTargetsDead => f.write_str("all-targets-dead"),
            Self::TargetShunsPrimary(n) => write!(f, "target-shuns-primary {n}"),
            Self::BackendDead(n) => write!(f, "backend-dead {n}"),
            Self::SshdDead(n) => write!(f, "sshd-dead {n}"),
            Self::SshdFrozen(n) => write!(f, "sshd-frozen {n}"),
            Self::SshdHang(n) => write!(f, "sshd-hang {n}"),
            Self::SshdRefusesKey(n) => write!(f, "sshd-refuses-key {n}"),
            Self::SshdNewHostKey(n) => write!(f, "sshd-new-host-key {n}"),
            Self::NoisyShell(n) => write!(f, "noisy-shell {n}"),
            Self::SlowLogin(n, seconds) => write!(f, "slow-login {n} {seconds}"),
            Self::NoPing(n) => write!(f, "no-ping {n}"),
            Self::PingForbidden(n) => write!(f, "ping-forbidden {n}"),
            Self::BusyboxPing(n) => write!(f, "busybox-ping {n}"),
            Self::EndlessPing(n) => write!(f, "endless-ping {n}"),
            Self::EndlessShell(n) => write!(f, "endless-shell {n}"),
            Self::OddShell(n) => write!(f, "odd-shell {n}"),
            Self::NoShell(n) => write!(f, "no-shell {n}"),
            Self::IcmpBlocked => f.write_str("icmp-blocked"),
            Self::Api(fault) => write!(f, "{fault}"),
            Self::ApiDown => f.write_str("api-down"),
            Self::Propagation(delay) => write!(f, "propagation {}", delay.as_millis()),
            Self::ImdsDown => f.write_str("imds-down"),
            Self::SourceDestCheckOn(nat) => write!(f, "source-dest-check-on {nat}"),
            Self::Stopped(nat) => write!(f, "{nat}-stopped"),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    /// The words of [`FAULTS`].
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (name, args) = words.split_first().context("a fault has a name; `lab fault --help` lists them")?;
        if let Some(rest) = name.strip_prefix("api-").filter(|rest| *rest != "down") {
            return text.parse().map(Self::Api).with_context(|| format!("api-{rest}"));
        }
        let nat = |default: Nat| match args {
            [] => Ok(default),
            ["primary"] => Ok(Nat::Primary),
            ["standby"] => Ok(Nat::Standby),
            _ => anyhow::bail!("{name}: `primary`, `standby` or nothing, not `{}`", args.join(" ")),
        };
        let numbers = |count: usize| -> anyhow::Result<Vec<u64>> {
            anyhow::ensure!(args.len() == count, "{name}: takes {count} argument(s), not {}", args.len());
            args.iter().map(|arg| arg.parse().with_context(|| format!("{name}: `{arg}` is no number"))).collect()
        };
        let none = |fault: Self| numbers(0).map(|_| fault);
        let one = || Ok::<_, anyhow::Error>(numbers(1)?.first().copied().unwrap_or_default());
        let backend = || Ok::<_, anyhow::Error>(usize::try_from(one()?)?);
        let a_target = |n: u64| {
            let n = u8::try_from(n).unwrap_or(u8::MAX);
            anyhow::ensure!((1..=TARGETS).contains(&n), "{name}: targets are 1 to {TARGETS}");
            Ok(n)
        };
        let target = || a_target(one()?);
        let two = || {
            let numbers = numbers(2)?;
            let of = |n: usize| numbers.get(n).copied().unwrap_or_default();
            Ok::<_, anyhow::Error>((of(0), of(1)))
        };
        let percent = || {
            let n = u8::try_from(one()?).unwrap_or(u8::MAX);
            anyhow::ensure!((1..=100).contains(&n), "{name}: percent are 1 to 100");
            Ok(n)
        };
        match *name {
            "masquerade-gone" => nat(Nat::Primary).map(Self::MasqueradeGone),
            "forward-off" => nat(Nat::Primary).map(Self::ForwardOff),
            "primary-crash" => none(Self::Crash(Nat::Primary)),
            "standby-crash" => none(Self::Crash(Nat::Standby)),
            "primary-uplink-dead" => none(Self::UplinkDead(Nat::Primary)),
            "standby-uplink-dead" => none(Self::UplinkDead(Nat::Standby)),
            "primary-loss" => Ok(Self::Loss(Nat::Primary, percent()?)),
            "standby-loss" => Ok(Self::Loss(Nat::Standby, percent()?)),
            "links-lose" => Ok(Self::LinksLose(percent()?)),
            "primary-pause" => Ok(Self::Pause(Duration::from_millis(one()?))),
            "primary-stopped" => none(Self::Stopped(Nat::Primary)),
            "standby-stopped" => none(Self::Stopped(Nat::Standby)),
            "target-dead" => target().map(Self::TargetDead),
            "all-targets-dead" => none(Self::AllTargetsDead),
            "target-shuns-primary" => target().map(Self::TargetShunsPrimary),
            "backend-dead" => backend().map(Self::BackendDead),
            "sshd-dead" => backend().map(Self::SshdDead),
            "sshd-frozen" => backend().map(Self::SshdFrozen),
            "sshd-hang" => backend().map(Self::SshdHang),
            "sshd-refuses-key" => backend().map(Self::SshdRefusesKey),
            "sshd-new-host-key" => backend().map(Self::SshdNewHostKey),
            "noisy-shell" => backend().map(Self::NoisyShell),
            "slow-login" => {
                let (n, seconds) = two()?;
                Ok(Self::SlowLogin(usize::try_from(n)?, seconds))
            }
            "masquerade6-gone" => nat(Nat::Primary).map(Self::Masquerade6Gone),
            "forward6-off" => nat(Nat::Primary).map(Self::Forward6Off),
            "primary-uplink6-dead" => none(Self::Uplink6Dead(Nat::Primary)),
            "standby-uplink6-dead" => none(Self::Uplink6Dead(Nat::Standby)),
            "target-slow" => {
                let (n, delay) = two()?;
                Ok(Self::TargetSlow(a_target(n)?, Duration::from_millis(delay)))
            }
            "targets-limit" => {
                let (rate, burst) = two()?;
                Ok(Self::TargetsLimit(u32::try_from(rate)?, u32::try_from(burst)?))
            }
            "no-ping" => backend().map(Self::NoPing),
            "ping-forbidden" => backend().map(Self::PingForbidden),
            "busybox-ping" => backend().map(Self::BusyboxPing),
            "endless-ping" => backend().map(Self::EndlessPing),
            "endless-shell" => backend().map(Self::EndlessShell),
            "odd-shell" => backend().map(Self::OddShell),
            "no-shell" => backend().map(Self::NoShell),
            "icmp-blocked" => none(Self::IcmpBlocked),
            "api-down" => none(Self::ApiDown),
            "propagation" => Ok(Self::Propagation(Duration::from_millis(one()?))),
            "imds-down" => none(Self::ImdsDown),
            "source-dest-check-on" => nat(Nat::Standby).map(Self::SourceDestCheckOn),
            _ => anyhow::bail!("there is no fault `{name}`; `lab fault --help` lists them"),
        }
    }
}

impl Fault {
    /// The first word of its text.
    #[must_use]
    pub fn name(&self) -> String {
        let text = self.to_string();
        text.split(' ').next().unwrap_or_default().to_owned()
    }

    /// Whether it is about IPv6, which not every lab has.
    pub(crate) const fn ipv6(&self) -> bool {
        matches!(self, Self::Masquerade6Gone(_) | Self::Forward6Off(_) | Self::Uplink6Dead(_))
    }

    /// The backend it is about, if it is about one's SSH server.
    pub(crate) fn server(&self) -> Option<usize> {
        match self {
            Self::SshdDead(n)
            | Self::SshdFrozen(n)
            | Self::SshdHang(n)
            | Self::SshdRefusesKey(n)
            | Self::SshdNewHostKey(n)
            | Self::NoisyShell(n)
            | Self::SlowLogin(n, _)
            | Self::NoPing(n)
            | Self::PingForbidden(n)
            | Self::BusyboxPing(n)
            | Self::EndlessPing(n)
            | Self::EndlessShell(n)
            | Self::OddShell(n)
            | Self::NoShell(n) => Some(*n),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_as_it_prints() {
        for text in [
            "masquerade-gone",
            "masquerade-gone standby",
            "masquerade6-gone",
            "forward6-off standby",
            "standby-uplink6-dead",
            "target-slow 2 400",
            "targets-limit 1 3",
            "forward-off",
            "primary-crash",
            "standby-uplink-dead",
            "primary-loss 30",
            "links-lose 5",
            "primary-pause 500",
            "primary-stopped",
            "target-dead 5",
            "all-targets-dead",
            "target-shuns-primary 1",
            "backend-dead 0",
            "sshd-dead 3",
            "slow-login 2 10",
            "busybox-ping 1",
            "odd-shell 5",
            "icmp-blocked",
            "api-down",
            "imds-down",
            "propagation 2000",
            "source-dest-check-on standby",
            "api-lost ReplaceRouteTableAssociation 0 1",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_list_for_help_names_only_faults_that_are_read() {
        for (words, _) in FAULTS {
            let name = words.split(' ').next().unwrap();
            let fits = ["", " 1", " 1 1"].iter().any(|args| format!("{name}{args}").parse::<Fault>().is_ok());
            assert!(fits, "{words}");
        }
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../README.md");
        for (words, what) in FAULTS {
            let row = format!("| `{}` | {what} |", words.replace('|', "\\|"));
            assert!(readme.contains(&row), "README.md lacks: {row}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "has a name"),
            ("primary-los 3", "no fault `primary-los`"),
            ("primary-loss 101", "1 to 100"),
            ("primary-loss", "takes 1 argument"),
            ("target-dead 6", "1 to 5"),
            ("target-slow 6 100", "1 to 5"),
            ("masquerade-gone b0", "not `b0`"),
            ("primary-crash now", "takes 0"),
        ] {
            let error = format!("{:#}", text.parse::<Fault>().unwrap_err());
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
