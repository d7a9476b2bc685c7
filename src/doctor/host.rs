//! Whether this machine could carry the traffic: forwarding, masquerading, reverse paths, and since when it is up.

use std::path::Path;
use std::time::Duration;

use super::firewall::{of_family, rule};
use crate::config::Settings;
use crate::model::cloud::{Masquerade, Sighting};
use crate::model::{Family, Finding, Fitness, Topic};
use crate::preflight::{self, Host};

/// Where the kernel keeps what it was told of each interface.
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

/// By a configuration where there is one: without it, for IPv4, and whatever the uptime. `brings_six`: a takeover would bring IPv6 here.
pub(super) fn findings(
    host: &impl Host,
    settings: Option<&Settings>,
    brings_six: bool,
    masquerades: &[(Family, Masquerade)],
) -> Vec<Finding> {
    let targets = settings.into_iter().flat_map(|settings| &settings.observe.targets);
    let six = targets.filter_map(|name| name.parse().ok()).any(|addr| Family::of(addr) == Family::V6);
    let mut findings = vec![forwarding(Family::V4, host.forwards(Family::V4))];
    if six || brings_six {
        findings.push(forwarding(Family::V6, host.forwards(Family::V6)));
    }
    findings.extend(masquerades.iter().map(|(family, seen)| {
        masquerading(*family, seen, preflight::host::uplink(*family).as_deref().unwrap_or("UPLINK"))
    }));
    findings.push(reverse_path(&interfaces()));
    findings.push(uptime(host.uptime(), settings.map_or(Duration::ZERO, |settings| settings.decide.min_uptime)));
    findings
}

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Forwarding, id, fitness, text.into())
}

fn forwarding(family: Family, seen: Result<bool, String>) -> Finding {
    // A file for each family: what mends one must not undo the other at the next boot.
    let (sysctl, file) = match family {
        Family::V4 => ("net.ipv4.ip_forward", "/etc/sysctl.d/50-nat.conf"),
        Family::V6 => ("net.ipv6.conf.all.forwarding", "/etc/sysctl.d/50-nat6.conf"),
    };
    match seen {
        Ok(true) => finding("forwarding", Fitness::Fit, format!("{family} packets are forwarded ({sysctl})")),
        Ok(false) => finding(
            "forwarding",
            Fitness::Unfit,
            format!("this instance does not forward {family} packets: {sysctl} is 0"),
        )
        .cause("not-forwarding")
        .remedy(format!("echo '{sysctl} = 1' > {file} && sysctl -p {file}")),
        Err(why) => finding(
            "forwarding",
            Fitness::Unfit,
            format!("{sysctl} can't be read, which holds every takeover: {why}; a unit must not have ProcSubset=pid"),
        )
        .cause("sysctl-unreadable")
        .remedy("systemctl show -p ProcSubset natwatch-watch.service natwatch.service"),
    }
    .of(family)
}

fn masquerading(family: Family, seen: &Masquerade, uplink: &str) -> Finding {
    let rule = rule(family, uplink);
    let found = match seen {
        Masquerade::Plain { private: true } | Masquerade::Told(Sighting { family: Family::V6, masquerade: false, dropped: false, .. }) => {
            let told = if let Masquerade::Told(told) = seen { format!(", {told}") } else { String::new() };
            finding(
                "masquerade",
                Fitness::Unfit,
                format!("no rule of this instance translates IPv6's sources, and those of the guarded subnets are unique local addresses (RFC 4193), to which nothing comes back from the internet{told}"),
            )
            .cause("private-untranslated")
            .remedy(format!("{rule} && natwatch doctor"))
        }
        Masquerade::Plain { private: false } => finding(
            "masquerade",
            Fitness::Warning,
            "no rule of this instance translates IPv6's sources: they leave as they are, which is right where global addresses are meant to, and answers are led to them by no table of an internet gateway that names the primary; only a drill shows",
        )
        .cause("untranslated")
        .remedy(rule),
        Masquerade::Present => finding("masquerade", Fitness::Fit, "a rule that masquerades is there"),
        Masquerade::Dropped { chain, remedy } => {
            finding("masquerade", Fitness::Unfit, format!("{chain} drops all before it could be masqueraded"))
                .cause("nothing-comes-so-far")
                .remedy(remedy)
        }
        Masquerade::Told(told) if told.dropped => finding(
            "masquerade",
            Fitness::Unfit,
            format!("a chain of this instance's filter drops all that is forwarded, whatever masquerades, {told}"),
        )
        .cause("root-saw-all-dropped")
        .remedy("sudo natwatch doctor"),
        Masquerade::Told(told @ Sighting { masquerade: true, .. }) => {
            finding("masquerade", Fitness::Fit, format!("a rule that masquerades was there, {told}"))
        }
        Masquerade::Absent => finding(
            "masquerade",
            Fitness::Unfit,
            "this instance does not masquerade: no such rule in nftables or iptables for what the guarded subnets send",
        )
        .cause("no-rule")
        .remedy(rule),
        Masquerade::Told(told) => finding(
            "masquerade",
            Fitness::Unfit,
            format!("this instance does not masquerade: no such rule in nftables or iptables for what the guarded subnets send, {told}"),
        )
        .cause("root-saw-no-rule")
        // Root's doctor leaves what it sees.
        .remedy(format!("{rule} && natwatch doctor")),
        Masquerade::Unknown(why) => finding(
            "masquerade",
            Fitness::Unknown,
            format!(
                "whether this instance masquerades is not known: {why}; natwatch doctor once as root leaves what it sees for natwatch's user"
            ),
        )
        .cause("rules-unreadable")
        .remedy("sudo natwatch doctor"),
    };
    of_family(family, found)
}

/// An interface and its effective `rp_filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interface {
    name: String,
    filter: u8,
}

/// Every interface but the loopback one that is not administratively down; `Err`: can't be read.
fn interfaces() -> Result<Vec<Interface>, String> {
    let filter = |name: &str| {
        let path = Path::new(INTERFACES).join(name).join("rp_filter");
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u8>().ok())
    };
    let all = filter("all").ok_or_else(|| format!("{INTERFACES}/all/rp_filter can't be read"))?;
    let entries = std::fs::read_dir(INTERFACES).map_err(|error| format!("{INTERFACES}: {error}"))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let used = names.filter(|name| !["all", "default", "lo"].contains(&name.as_str()) && is_up(name));
    // "The max value from conf/{all,interface}/rp_filter is used" (the kernel's ip-sysctl).
    let mut found: Vec<Interface> =
        used.filter_map(|name| Some(Interface { filter: filter(&name)?.max(all), name })).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// `IFF_UP` (netdevice(7)) of an interface's flags; where they can't be read it counts as up.
fn is_up(name: &str) -> bool {
    let flags = std::fs::read_to_string(format!("/sys/class/net/{name}/flags")).unwrap_or_default();
    u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).map_or(true, |flags| flags & 1 != 0)
}

/// A strict filter drops what comes in by another interface than the way back leads out by. Where there is a single one, it can't.
fn reverse_path(seen: &Result<Vec<Interface>, String>) -> Finding {
    let id = "reverse-path";
    let found = match seen {
        Ok(found) => found,
        Err(why) => {
            return finding(id, Fitness::Unknown, format!("whether reverse paths are filtered is not known: {why}"))
                .cause("filters-unreadable")
                .remedy("sysctl -a --pattern '\\.rp_filter$'");
        }
    };
    let strict: Vec<&str> = found.iter().filter(|one| one.filter == 1).map(|one| one.name.as_str()).collect();
    if strict.is_empty() {
        return finding(id, Fitness::Fit, "no strict reverse-path filter (rp_filter)");
    }
    let names = strict.join(", ");
    if found.len() == 1 {
        let text = format!("a strict reverse-path filter (rp_filter = 1) on {names}, harmless with a single interface");
        return finding(id, Fitness::Fit, text);
    }
    let text = format!(
        "a strict reverse-path filter (rp_filter = 1) on {names}, of {} interfaces: it drops what comes in by another one than the way back leads out by",
        found.len()
    );
    let loose = strict.iter().map(|name| format!("net.ipv4.conf.{name}.rp_filter=2"));
    // The higher of the two rules, and 2 is higher.
    finding(id, Fitness::Warning, text)
        .cause("strict")
        .remedy(format!("sysctl -w {}", loose.collect::<Vec<_>>().join(" ")))
}

fn uptime(seen: Result<Duration, String>, least: Duration) -> Finding {
    let id = "uptime";
    match seen {
        Err(why) => {
            finding(id, Fitness::Unfit, format!("the uptime can't be read, which counts as just booted: {why}"))
                .cause("uptime-unreadable")
                .remedy("systemctl show -p ProcSubset natwatch-watch.service natwatch.service")
        }
        Ok(up) if up < least => {
            let left = least.saturating_sub(up).as_secs() + 1;
            let text =
                format!("up for {} s: the gate `booting` holds for {left} s more (decision.min_uptime)", up.as_secs());
            finding(id, Fitness::Warning, text).cause("young").remedy(format!("sleep {left} && natwatch doctor"))
        }
        Ok(up) => finding(id, Fitness::Fit, format!("up for {} min", up.as_secs() / 60)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let why = || "no right".to_owned();
        let interface = |name: &str| Interface { name: name.to_owned(), filter: 1 };
        let ago = Duration::from_mins(3);
        let told = |dropped| Masquerade::Told(Sighting { family: Family::V4, masquerade: false, dropped, ago });
        let dropped = Masquerade::Dropped { chain: "the chain f".to_owned(), remedy: "nft flush chain".to_owned() };
        let rules = [Masquerade::Absent, dropped, told(false), told(true), Masquerade::Unknown(why())];
        let mut all: Vec<Finding> = rules.iter().map(|seen| masquerading(Family::V4, seen, "eth0")).collect();
        all.extend([true, false].map(|private| masquerading(Family::V6, &Masquerade::Plain { private }, "eth0")));
        all.extend([Ok(false), Err(why())].map(|seen| forwarding(Family::V4, seen)));
        all.extend([Ok(vec![interface("eth0"), interface("eth1")]), Err(why())].map(|seen| reverse_path(&seen)));
        all.extend([Ok(Duration::ZERO), Err(why())].map(|seen| uptime(seen, Duration::from_mins(5))));
        all
    }

    #[track_caller]
    fn says(found: &Finding, fitness: Fitness, words: &[&str]) {
        let all = format!("{} {}", found.text, found.remedy.clone().unwrap_or_default());
        assert_eq!(found.fitness, fitness, "{all}");
        crate::doctor::tests::can_be_pasted(std::slice::from_ref(found));
        for word in words {
            assert!(all.contains(word), "{word:?} is not in {all}");
        }
    }

    #[test]
    fn f009_no_forwarding_is_unfit_and_names_the_sysctl_of_its_family() {
        says(&forwarding(Family::V4, Ok(true)), Fitness::Fit, &["IPv4"]);
        says(&forwarding(Family::V4, Ok(false)), Fitness::Unfit, &["net.ipv4.ip_forward is 0", "sysctl -p"]);
        says(&forwarding(Family::V6, Ok(false)), Fitness::Unfit, &["net.ipv6.conf.all.forwarding is 0"]);
        for (family, file) in [(Family::V4, "/etc/sysctl.d/50-nat.conf"), (Family::V6, "/etc/sysctl.d/50-nat6.conf")] {
            let remedy = forwarding(family, Ok(false)).remedy.unwrap();
            assert!(remedy.ends_with(&format!("= 1' > {file} && sysctl -p {file}")), "{remedy}");
        }
        says(&forwarding(Family::V4, Err("no right".to_owned())), Fitness::Unfit, &["no right", "ProcSubset"]);
    }

    #[test]
    fn f010_no_masquerade_is_unfit_and_what_may_not_be_read_is_unknown_with_who_can() {
        let told = |masquerade| {
            let ago = Duration::from_mins(3);
            Masquerade::Told(Sighting { family: Family::V4, masquerade, dropped: false, ago })
        };
        let masquerading = |seen: &Masquerade, uplink: &str| masquerading(Family::V4, seen, uplink);
        says(&masquerading(&Masquerade::Present, "eth0"), Fitness::Fit, &[]);
        says(&masquerading(&told(true), "eth0"), Fitness::Fit, &["as root saw 3 min ago"]);
        says(&masquerading(&Masquerade::Absent, "eth0"), Fitness::Unfit, &["masquerade", "oifname eth0 masquerade"]);
        says(&masquerading(&told(false), "eth0"), Fitness::Unfit, &["as root saw", "masquerade && natwatch doctor"]);
        let unknown = Masquerade::Unknown("takes root or CAP_NET_ADMIN".to_owned());
        says(&masquerading(&unknown, "eth0"), Fitness::Unknown, &["takes root", "once as root"]);
    }

    #[test]
    fn f010_ipv6_that_nothing_translates_is_unfit_only_where_its_addresses_are_certain_to_need_it() {
        let seen = |seen: &Masquerade| masquerading(Family::V6, seen, "eth0");
        let rule = "nft add rule ip6 nat postrouting oifname eth0 masquerade";
        says(&seen(&Masquerade::Plain { private: false }), Fitness::Warning, &["leave as they are", "a drill", rule]);
        says(&seen(&Masquerade::Plain { private: true }), Fitness::Unfit, &["RFC 4193", rule]);
        let told = Sighting { family: Family::V6, masquerade: false, dropped: false, ago: Duration::from_mins(3) };
        says(&seen(&Masquerade::Told(told)), Fitness::Unfit, &["RFC 4193", "as root saw 3 min ago", rule]);
        says(&seen(&Masquerade::Present), Fitness::Fit, &["is there"]);
        assert_eq!(seen(&Masquerade::Present).of.as_deref(), Some("IPv6"));
        assert_eq!(masquerading(Family::V4, &Masquerade::Present, "eth0").of, None);
    }

    #[test]
    fn f011_a_strict_reverse_path_filter_warns_where_there_is_more_than_one_way_in() {
        let all = |filters: &[u8]| {
            let one = |(n, filter): (usize, &u8)| Interface { name: format!("eth{n}"), filter: *filter };
            Ok(filters.iter().enumerate().map(one).collect())
        };
        says(&reverse_path(&all(&[0, 2])), Fitness::Fit, &["no strict"]);
        says(&reverse_path(&all(&[1])), Fitness::Fit, &["eth0", "single interface"]);
        says(
            &reverse_path(&all(&[0, 1])),
            Fitness::Warning,
            &["on eth1, of 2", "sysctl -w net.ipv4.conf.eth1.rp_filter=2"],
        );
        says(
            &reverse_path(&all(&[1, 1])),
            Fitness::Warning,
            &["eth0, eth1", "conf.eth0.rp_filter=2 net.ipv4.conf.eth1"],
        );
        says(&reverse_path(&Err("gone".to_owned())), Fitness::Unknown, &["gone"]);
        assert!(interfaces().unwrap().iter().all(|one| one.name != "lo"));
    }

    #[test]
    fn f006_f007_a_young_machine_is_a_warning_and_one_of_unknown_age_unfit() {
        let least = Duration::from_mins(5);
        says(&uptime(Ok(least), least), Fitness::Fit, &["5 min"]);
        says(&uptime(Ok(Duration::from_secs(100)), least), Fitness::Warning, &["up for 100 s", "for 201 s more"]);
        says(&uptime(Err("no clock".to_owned()), least), Fitness::Unfit, &["no clock"]);
    }
}
