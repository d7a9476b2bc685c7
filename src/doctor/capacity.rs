//! What this machine has room for: tracked connections, ports of translated ones, and descriptors of natwatch itself.

use rustix::process::{Resource, getrlimit};

use crate::config::Settings;
use crate::model::{Finding, Fitness, Topic};

/// Per cent of the connection table from which on it is nearly full: a takeover brings the primary's connections besides, and beyond the
/// last entry new ones are dropped (`nf_conntrack: table full`).
const FULL: u64 = 80;

/// A translated connection from a port of 1024 or higher keeps to those (`nf_nat_l4proto_unique_tuple` in the kernel), whatever
/// `ip_local_port_range` says: so many connections to one address and port of one protocol.
const PORTS: u64 = 65_535 - 1024 + 1;

/// A session over which natwatch asks takes so many descriptors while a burst is on: its socket, and three for each of two commands.
const EACH: u64 = 7;

/// And so many natwatch has open besides.
const BESIDES: u64 = 64;

/// By a configuration where there is one.
pub(super) fn findings(settings: Option<&Settings>) -> Vec<Finding> {
    let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let tracked = number("/proc/sys/net/netfilter/nf_conntrack_count")
        .zip(number("/proc/sys/net/netfilter/nf_conntrack_max"))
        .map(|(count, most)| Tracked { count, most });
    let own = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let own = own.split_whitespace().collect::<Vec<_>>().join(" to ");
    let mut findings = vec![table(tracked), ports(tracked, &own)];
    findings.extend(settings.map(|settings| {
        let backends = settings.observe.backends.len() + settings.own.len();
        descriptors(getrlimit(Resource::Nofile).current, settings.observe.panel, backends)
    }));
    findings
}

/// Tracked connections, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tracked {
    count: u64,
    most: u64,
}

fn table(seen: Option<Tracked>) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Forwarding, "conntrack", fitness, text);
    let Some(Tracked { count, most }) = seen else {
        return finding(Fitness::Fit, "no connections are tracked yet (nf_conntrack is not loaded)".to_owned());
    };
    let share = count.saturating_mul(100) / most.max(1);
    let text = format!("{count} of {most} connections are tracked, {share} %");
    if share < FULL {
        return finding(Fitness::Fit, text);
    }
    finding(
        Fitness::Warning,
        format!("{text}: beyond the last one new connections are dropped, and a takeover brings the primary's besides"),
    )
    .remedy(format!("sysctl -w net.netfilter.nf_conntrack_max={}", most.saturating_mul(4)))
}

fn ports(seen: Option<Tracked>, own: &str) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Forwarding, "ports", fitness, text);
    let count = seen.map_or(0, |seen| seen.count);
    let room = format!("{PORTS} translated connections to one address and port");
    let own = if own.is_empty() { String::new() } else { format!("; this machine's own leave from {own}") };
    // As long as all of them together are fewer, no destination can have more.
    if count * 100 < PORTS * FULL {
        return finding(Fitness::Fit, format!("room for {room}, with {count} to all of them now{own}"));
    }
    finding(
        Fitness::Warning,
        format!("room for {room}, and {count} connections are tracked: the busiest destination may be short of ports{own}"),
    )
    .remedy("conntrack -L -o extended | grep -o 'dst=[0-9.]* sport=[0-9]* dport=[0-9]*' | sed 's/sport=[0-9]* //' | sort | uniq -c | sort -rn | head -3; more addresses (snat to a range) give more ports")
}

/// `watch` keeps sessions to two panels; with `panel = 0` to all.
fn descriptors(limit: Option<u64>, panel: usize, backends: usize) -> Finding {
    let sessions = if panel == 0 { backends } else { backends.min(panel * 2) };
    let needed = BESIDES + EACH * u64::try_from(sessions).unwrap_or(u64::MAX / EACH - BESIDES);
    let finding = |fitness, text| Finding::new(Topic::Service, "descriptors", fitness, text);
    match limit {
        Some(limit) if limit < needed => finding(
            Fitness::Warning,
            format!(
                "{limit} files may be open, and sessions to {sessions} backends may take {needed}: some would be silent"
            ),
        )
        .remedy(format!(
            "LimitNOFILE={needed} in the unit, ulimit -n {needed} in cron's entry, or a smaller backends.panel"
        )),
        Some(limit) => finding(Fitness::Fit, format!("{limit} files may be open, of which up to {needed} are needed")),
        None => finding(Fitness::Fit, "any number of files may be open".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f011_a_connection_table_that_is_nearly_full_warns_with_figures() {
        let seen = |count, most| table(Some(Tracked { count, most }));
        assert_eq!(seen(79, 100).fitness, Fitness::Fit);
        let full = seen(209_716, 262_144);
        assert_eq!(
            (full.fitness, full.remedy.as_deref()),
            (Fitness::Warning, Some("sysctl -w net.netfilter.nf_conntrack_max=1048576"))
        );
        assert!(full.text.starts_with("209716 of 262144 connections are tracked, 80 %"), "{}", full.text);
        assert_eq!(table(None).fitness, Fitness::Fit);
        assert_eq!(seen(0, 0).fitness, Fitness::Fit, "no division by nothing");
    }

    #[test]
    fn f011_few_ports_left_for_one_destination_warn_with_figures() {
        let seen = |count| ports(Some(Tracked { count, most: 1 << 20 }), "32768 to 60999");
        assert_eq!(seen(51_609).fitness, Fitness::Fit);
        let few = seen(51_610);
        assert_eq!(few.fitness, Fitness::Warning);
        assert!(
            few.text.contains("64512") && few.text.contains("51610") && few.text.contains("32768 to 60999"),
            "{}",
            few.text
        );
        assert!(few.remedy.unwrap().contains("conntrack -L"));
    }

    #[test]
    fn f093_too_few_descriptors_for_the_panel_warn_with_figures() {
        assert_eq!(descriptors(Some(1024), 8, 200).fitness, Fitness::Fit);
        let few = descriptors(Some(1024), 0, 200);
        assert_eq!(few.fitness, Fitness::Warning);
        assert!(few.text.contains("1024 files") && few.text.contains("200 backends may take 1464"), "{}", few.text);
        assert!(few.remedy.unwrap().contains("LimitNOFILE=1464"));
        assert_eq!(descriptors(None, 0, 200).fitness, Fitness::Fit);
    }
}
