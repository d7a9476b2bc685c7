//! This machine, read: uptime, forwarding, masquerading.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Host, Identity};
use crate::model::cloud::Masquerade;
use crate::model::{Family, InstanceId};

/// Listing the rules takes milliseconds; a netfilter lock held by somebody else must not hold a takeover up.
const LISTING: Duration = Duration::from_secs(1);

/// Rule sets of a NAT are a few kB; this is far above one, and bounded.
const LISTING_CAP: u64 = 1 << 20;

/// `CAP_NET_ADMIN`, which reading netfilter rules takes (capabilities(7)).
const CAP_NET_ADMIN: u32 = 12;

/// Where the programs that list the rules are: absolute, since cron's PATH has no sbin and a hostile one has anything.
const LISTERS: &[(&[&str], &[&str])] = &[
    (&["/usr/sbin/nft", "/sbin/nft"], &["list", "ruleset"]),
    (&["/usr/sbin/iptables-legacy-save", "/sbin/iptables-legacy-save"], &["-t", "nat"]),
    (&["/usr/sbin/iptables-save", "/sbin/iptables-save"], &["-t", "nat"]),
];

/// The machine that this process runs on.
pub struct LocalHost<'a, I> {
    identity: &'a I,
    pinned: Option<InstanceId>,
}

impl<'a, I: Identity> LocalHost<'a, I> {
    /// `identity` tells who this is; `pinned` is `standby.instance`, which goes where IMDS is down.
    pub const fn new(identity: &'a I, pinned: Option<InstanceId>) -> Self {
        Self { identity, pinned }
    }
}

impl<I: Identity> Host for LocalHost<'_, I> {
    async fn instance(&self) -> Result<InstanceId, String> {
        let found = self.identity.instance().await;
        match (&self.pinned, found) {
            (Some(pinned), Err(_)) => Ok(pinned.clone()),
            (_, found) => found,
        }
    }

    fn uptime(&self) -> Result<Duration, String> {
        let path = "/proc/uptime";
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        uptime(&text).ok_or_else(|| format!("{path} says {text:?}"))
    }

    fn forwards(&self, family: Family) -> Result<bool, String> {
        let path = match family {
            Family::V4 => "/proc/sys/net/ipv4/ip_forward",
            Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
        };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(text.trim() != "0")
    }

    async fn masquerade(&self) -> Masquerade {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !has_capability(&status, CAP_NET_ADMIN) {
            return Masquerade::Unknown("reading the rules takes root or CAP_NET_ADMIN".to_owned());
        }
        let mut listed = false;
        for (places, arguments) in LISTERS {
            let Some(program) = places.iter().find(|place| Path::new(place).exists()) else { continue };
            let Some(rules) = list(program, arguments).await else { continue };
            if masquerades(&rules) {
                return Masquerade::Present;
            }
            listed = true;
        }
        if listed { Masquerade::Absent } else { Masquerade::Unknown("neither nft nor iptables-save could list the rules".to_owned()) }
    }
}

async fn list(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut rules = String::new();
    let stdout = child.stdout.take()?;
    let listing = async {
        stdout.take(LISTING_CAP).read_to_string(&mut rules).await.ok()?;
        child.wait().await.ok().filter(std::process::ExitStatus::success)
    };
    timeout(LISTING, listing).await.ok().flatten()?;
    Some(rules)
}

/// Whether rules as nft(8) or iptables-save(8) print them translate source addresses.
fn masquerades(rules: &str) -> bool {
    rules.lines().any(|line| {
        let line = line.trim_start();
        let words = || line.split(|c: char| c.is_whitespace() || c == '"');
        !line.starts_with('#') && words().any(|word| matches!(word, "masquerade" | "snat" | "MASQUERADE" | "SNAT"))
    })
}

/// The first figure of `/proc/uptime` (proc(5)): seconds since boot.
fn uptime(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

/// Whether `CapEff` of `/proc/self/status` has the capability.
fn has_capability(status: &str, number: u32) -> bool {
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f010_a_masquerade_rule_is_seen_however_it_was_made() {
        for rules in [
            "table ip nat {\n\tchain POSTROUTING {\n\t\toifname \"eth0\" masquerade\n\t}\n}",
            "\t\toifname \"eth0\" counter packets 0 bytes 0 snat to 10.0.0.20",
            "\t\toifname \"eth0\" counter packets 1 bytes 84 xt target \"MASQUERADE\"",
            "*nat\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT",
            "-A POSTROUTING -o eth0 -j SNAT --to-source 10.0.0.20",
        ] {
            assert!(masquerades(rules), "{rules}");
        }
        for rules in ["", "*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT", "# Warning: MASQUERADE is elsewhere", "\t\toifname \"x\" accept"] {
            assert!(!masquerades(rules), "{rules}");
        }
    }

    #[test]
    fn f007_an_uptime_that_makes_no_sense_is_none() {
        assert_eq!(uptime("350735.47 234388.90\n"), Some(Duration::from_millis(350_735_470)));
        for text in ["", "never", "-3 1", "inf 1"] {
            assert_eq!(uptime(text), None, "{text:?}");
        }
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        assert!(has_capability("CapPrm:\t0\nCapEff:\t0000000000003000\n", 12));
        assert!(!has_capability("CapEff:\t0000000000002000\n", 12));
        assert!(!has_capability("", 12));
    }
}
