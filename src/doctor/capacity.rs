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

/// By a configuration where there is one, and by the process of its `watch` where that is at work.
pub(super) fn findings(settings: Option<&Settings>, watch: Option<u32>) -> Vec<Finding> {
    let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let tracked = number("/proc/sys/net/netfilter/nf_conntrack_count")
        .zip(number("/proc/sys/net/netfilter/nf_conntrack_max"))
        .map(|(count, most)| Tracked { count, most });
    let own = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let own = own.split_whitespace().collect::<Vec<_>>().join(" to ");
    let mut findings = vec![table(tracked), ports(tracked, &own)];
    findings.extend(settings.map(|settings| {
        let backends = settings.observe.backends.len() + settings.own.len();
        let limit = watch.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/limits")).ok());
        let (limit, watched) = match limit.as_deref().and_then(open_files) {
            Some(files) => (Some(files).filter(|files| *files != u64::MAX), true),
            None => (getrlimit(Resource::Nofile).current, false),
        };
        descriptors(limit, watched, settings.observe.panel, backends)
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
    .cause("full")
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
        format!("room for {room}, and {count} connections are tracked: the busiest destination may be short of ports (more addresses, by snat to a range, give more of them){own}"),
    )
    .cause("ports-scarce")
    .remedy("conntrack -L -o extended | grep -o 'dst=[0-9.]* sport=[0-9]* dport=[0-9]*' | sed 's/sport=[0-9]* //' | sort | uniq -c | sort -rn | head -3")
}

/// The soft limit of open files by `/proc/PID/limits` (`proc_pid_limits(5)`); the largest number: there is none.
fn open_files(limits: &str) -> Option<u64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// `watch` keeps sessions to two panels; with `panel = 0` to all. `watched`: the limit is that of the `watch` at work, and else our own,
/// which a unit of systemd's may have raised for natwatch.
fn descriptors(limit: Option<u64>, watched: bool, panel: usize, backends: usize) -> Finding {
    let sessions = if panel == 0 { backends } else { backends.min(panel * 2) };
    let needed = BESIDES + EACH * u64::try_from(sessions).unwrap_or(u64::MAX / EACH - BESIDES);
    let finding = |fitness, text| Finding::new(Topic::Service, "descriptors", fitness, text);
    let whose = if watched { "by the watch at work" } else { "by who is started as this doctor was" };
    match limit {
        Some(limit) if limit < needed => {
            let folder = "/etc/systemd/system/natwatch-watch.service.d";
            finding(
                Fitness::Warning,
                format!("{limit} files may be open {whose}, and sessions to {sessions} backends may take {needed}: some would be silent"),
            )
            .cause("too-few")
            .remedy(format!(
                "mkdir -p {folder} && printf '[Service]\nLimitNOFILE={needed}\n' > {folder}/files.conf && systemctl daemon-reload && systemctl try-restart natwatch-watch.service"
            ))
            .change("backends.panel", "panel = 8")
        }
        Some(limit) => {
            finding(Fitness::Fit, format!("{limit} files may be open {whose}, of which up to {needed} are needed"))
        }
        None => finding(Fitness::Fit, format!("any number of files may be open {whose}")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let full = Some(Tracked { count: PORTS, most: PORTS });
        vec![table(full), ports(full, ""), descriptors(Some(1024), false, 0, 200)]
    }

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
        assert_eq!(descriptors(Some(1024), false, 8, 200).fitness, Fitness::Fit);
        let few = descriptors(Some(1024), false, 0, 200);
        assert_eq!(few.fitness, Fitness::Warning);
        assert!(few.text.contains("1024 files") && few.text.contains("200 backends may take 1464"), "{}", few.text);
        assert!(few.remedy.unwrap().contains("LimitNOFILE=1464"));
        assert_eq!(descriptors(None, true, 0, 200).fitness, Fitness::Fit);
    }

    #[test]
    fn f093_the_limit_that_counts_is_that_of_the_watch_at_work() {
        let of = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\nMax open files            {soft}                 524288               files\n"
            )
        };
        assert_eq!(
            [of("8192"), of("unlimited"), of("?")].map(|text| open_files(&text)),
            [Some(8192), Some(u64::MAX), None]
        );
        assert_eq!(
            open_files(&std::fs::read_to_string("/proc/self/limits").unwrap()),
            Some(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
        );
        assert!(descriptors(Some(1024), true, 0, 200).text.contains("by the watch at work"));
        assert!(descriptors(Some(1024), false, 0, 200).text.contains("by who is started as this doctor was"));
    }
}
