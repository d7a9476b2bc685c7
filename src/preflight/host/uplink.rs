//! Which interface packets leave by (`/proc/net/route`, `/proc/net/ipv6_route`; `proc_pid_net(5)`).

use crate::model::Family;

/// `RTF_REJECT` (`linux/ipv6_route.h`, `route(8)`): the kernel's own route for what leads nowhere, on `lo`.
const REJECT: u32 = 0x200;

/// The interface that the default route of `family` leads out by, that with the lowest metric.
#[must_use]
pub fn uplink(family: Family) -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    match family {
        Family::V4 => leads_out(&read("/proc/net/route")),
        Family::V6 => leads_out_6(&read("/proc/net/ipv6_route")),
    }
}

fn leads_out(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let default = routes.filter(|words| words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000"));
    let metric = |words: &Vec<&str>| words.get(6).and_then(|metric| metric.parse::<u32>().ok());
    default.min_by_key(metric).and_then(|words| words.first().map(|name| (*name).to_owned()))
}

/// Destination, its length, source, its length, next hop, metric, two counts, flags, interface; all numbers are hexadecimal.
fn leads_out_6(table: &str) -> Option<String> {
    let number = |word: &str| u32::from_str_radix(word, 16).ok();
    let default = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [to, "00", _, "00", _, metric, _, _, flags, name] = words.as_slice() else { return None };
        let leads = to.bytes().all(|digit| digit == b'0') && number(flags)? & REJECT == 0;
        leads.then_some((number(metric)?, (*name).to_owned()))
    };
    table.lines().filter_map(default).min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_lowest_metric_leads_out() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth2\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(leads_out(table).as_deref(), Some("eth0"));
        assert_eq!(leads_out("Iface\n"), None);
    }

    #[test]
    fn of_ipv6_likewise_and_the_kernels_route_for_what_leads_nowhere_is_none() {
        let none = "0".repeat(32);
        let hop = format!("fe80{:0>28}", 1);
        let prefix = format!("fd00{:0>28}", 0);
        let line = |to: &str, length: &str, metric: &str, flags: &str, name: &str| {
            format!("{to} {length} {none} 00 {hop} {metric} 00000001 00000000 {flags} {name}\n")
        };
        let nowhere = line(&none, "00", "ffffffff", "00200200", "lo");
        let local = line(&prefix, "40", "00000001", "00000001", "eth3");
        let routes = [
            line(&none, "00", "00000400", "00450003", "eth1"),
            line(&none, "00", "00000200", "00450003", "eth0"),
            line(&none, "00", "00000100", "00000200", "lo"),
        ];
        assert_eq!(leads_out_6(&format!("{nowhere}{local}{}", routes.concat())).as_deref(), Some("eth0"));
        assert_eq!(leads_out_6(&format!("{nowhere}{local}")), None);
        assert_eq!(leads_out_6(""), None);
    }
}
