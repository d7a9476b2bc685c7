//! Tables of configurations and what is said about them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::{any, proptest};

use super::{Disk, Files, KEYS, Kind, Presence, Role, Settings, WatchSettings, sample};
use crate::model::Method;
use crate::observe::HostKeys;

/// A hosts file (or none), and nothing wrong with any permission.
struct Fake(Option<&'static [u8]>);

impl Files for Fake {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        self.0.map(<[u8]>::to_vec).ok_or_else(|| "there is no such file".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

const PATH: &str = "/etc/natwatch/n.toml";

/// The smallest configuration, as six tables for one to change.
const MINIMAL: [(&str, &str); 6] = [
    ("primary", "route_table = \"rtb-0aaa\""),
    ("standby", "route_table = \"rtb-0bbb\""),
    ("backends", "hosts = [\"web1\", \"web2\", \"10.0.10.5\"]"),
    ("targets", "hosts = [\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]"),
    ("decision", ""),
    ("takeover", ""),
];

/// The smallest configuration with `extra` at the end of `table`, or with `own` instead of its content.
fn with(table: &str, extra: &str, own: bool) -> String {
    let mut text = String::new();
    for (name, content) in MINIMAL {
        let here = name == table;
        let lines = [
            format!("[{name}]"),
            if here && own { String::new() } else { content.to_owned() },
            if here { extra.to_owned() } else { String::new() },
        ];
        for line in lines.iter().filter(|line| !line.is_empty()) {
            text += line;
            text.push('\n');
        }
    }
    text
}

fn parse(text: &str, hosts: Option<&'static [u8]>) -> Result<Settings, String> {
    Settings::parse(text, Path::new(PATH), &Fake(hosts)).map_err(|error| error.to_string())
}

/// What is said, without the file's path in front.
fn said(text: &str) -> String {
    parse(text, None).expect_err(text).replace(&format!("{PATH}:"), "")
}

/// A configuration of three targets and of these lines, with dotted keys.
pub(super) fn parsed(more: &str) -> Settings {
    let known = "primary.route_table = \"rtb-0a\"\nstandby.route_table = \"rtb-0b\"\n\
                 targets.hosts = [\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\"]\n";
    parse(&format!("{known}{more}"), None).unwrap()
}

fn minimal() -> Settings {
    parse(&with("", "", false), None).unwrap()
}

fn hosts(settings: &Settings) -> Vec<(&str, &str, Option<String>)> {
    settings
        .observe
        .backends
        .iter()
        .map(|b| (b.host.as_str(), b.destination.as_str(), b.addr.map(|a| a.to_string())))
        .collect()
}

fn from_file(filters: &str, content: &'static [u8]) -> Result<Settings, String> {
    let text = with("backends", &format!("hosts_file = \"/etc/hosts\"\n{filters}"), true)
        .replace("[decision]", "[decision]\nthreshold = 1");
    parse(&text, Some(content)).map_err(|error| error.replace(&format!("{PATH}:"), ""))
}

#[test]
fn the_smallest_configuration_has_the_contract_s_defaults() {
    let settings = minimal();
    let seconds = Duration::from_secs;
    assert_eq!((settings.name.as_str(), settings.state.to_str()), ("n", Some("/var/lib/natwatch/n")));
    assert_eq!((settings.region, settings.primary_address, settings.deadline), (None, None, seconds(60)));
    let observe = settings.observe;
    assert_eq!(
        (observe.panel, observe.timeout, observe.tries, observe.within.len()),
        (8, Duration::from_millis(200), 2, 0)
    );
    assert_eq!(observe.targets, ["1.1.1.1", "8.8.8.8", "9.9.9.9"]);
    let ssh = observe.ssh;
    assert_eq!((ssh.user, ssh.port, ssh.identity, ssh.known_hosts, ssh.ssh_config), (None, None, None, None, None));
    assert_eq!((ssh.host_keys, ssh.connect_timeout, ssh.login_timeout), (HostKeys::Strict, seconds(3), seconds(10)));
    let decide = settings.decide;
    assert_eq!((decide.threshold, decide.rounds, decide.tries, decide.max_subnets), (3, 2, 2, 50));
    assert_eq!((decide.span, decide.min_uptime, decide.disable_source_dest_check), (seconds(3), seconds(300), true));
    assert!((decide.fraction - 0.5).abs() < f64::EPSILON);
    assert!(decide.subnets.is_empty() && settings.preflight.subnets.is_empty());
    assert_eq!(settings.act.verify_for, seconds(15));
    assert_eq!(settings.watch, WatchSettings { span: Duration::from_millis(700), interval: seconds(1) });
    assert_eq!(settings.canary, None);
    assert_eq!(settings.advice, Vec::<String>::new());
}

#[test]
fn a_canary_may_be_named() {
    for extra in ["", "subnets = [\"subnet-0a\"]\n"] {
        let text = with("takeover", &format!("{extra}[failback]\ncanary = \"subnet-0a\""), false);
        let canary = parse(&text, None).unwrap().canary;
        assert_eq!(canary.map(String::from).as_deref(), Some("subnet-0a"));
    }
}

#[test]
fn values_that_are_written_are_the_ones_that_hold() {
    let extra = "user = \"nat\"\nport = 2222\nidentity = \"/etc/k\"\nhost_keys = \"accept-new\"\nwithin = [\"10.0.10.0/24\", \"fd00::/64\"]\nec2_subnets = false\npanel = 0";
    let settings =
        parse(&format!("name = \"edge-1\"\nstate.dir = \"/s\"\n{}", with("backends", extra, false)), None).unwrap();
    let ssh = &settings.observe.ssh;
    assert_eq!(
        (ssh.user.as_deref(), ssh.port, ssh.identity.as_deref(), ssh.host_keys),
        (Some("nat"), Some(2222), Some(Path::new("/etc/k")), HostKeys::AcceptNew)
    );
    assert_eq!(
        (settings.state.to_str(), settings.observe.panel, settings.observe.within.len()),
        (Some("/s/edge-1"), 0, 2)
    );
    assert_eq!(
        hosts(&settings),
        [("10.0.10.5", "10.0.10.5", Some("10.0.10.5".to_owned())), ("web1", "web1", None), ("web2", "web2", None)]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row for each rule")]
fn each_violated_rule_has_its_exact_line() {
    for (table, extra, own, expected) in [
        // Types, ranges, spelling.
        ("decision", "rounds = \"2\"", false, "10: decision.rounds = \"2\": not an integer; accepted: 1 to 20"),
        ("decision", "rounds = 0", false, "10: decision.rounds = 0: out of range; accepted: 1 to 20"),
        (
            "decision",
            "rounds = 99999999999999999999",
            false,
            "10: decision.rounds = 99999999999999999999: out of range; accepted: 1 to 20",
        ),
        (
            "decision",
            "fraction = 1.0",
            false,
            "10: decision.fraction = 1.0: out of range; accepted: 0 up to but not including 1",
        ),
        (
            "decision",
            "fraction = nan",
            false,
            "10: decision.fraction = nan: out of range; accepted: 0 up to but not including 1",
        ),
        ("decision", "treshold = 3", false, "10: decision.treshold = 3: unknown key; did you mean decision.threshold?"),
        ("decision", "panel = 3", false, "10: decision.panel = 3: unknown key; did you mean backends.panel?"),
        (
            "decision",
            "rounds = 2\nrounds = 3",
            false,
            "11: decision.rounds = 3: is there twice; accepted: each key once",
        ),
        (
            "decision",
            "run_span = 3",
            false,
            "10: decision.run_span = 3: not a duration in quotes; accepted: \"0s\" to \"5m\"",
        ),
        (
            "decision",
            "run_span = \"3 s\"",
            false,
            "10: decision.run_span = \"3 s\": not a duration (a number and ms, s, m or h); accepted: \"0s\" to \"5m\"",
        ),
        (
            "targets",
            "timeout = \"10ms\"",
            false,
            "9: targets.timeout = \"10ms\": out of range; accepted: \"50ms\" to \"5s\"",
        ),
        (
            "backends",
            "connect_timeout = \"1.5s\"",
            false,
            "7: backends.connect_timeout = \"1.5s\": not in whole seconds; accepted: \"1s\" to \"1m\" in whole seconds",
        ),
        ("backends", "port = 65536", false, "7: backends.port = 65536: out of range; accepted: 1 to 65535"),
        (
            "backends",
            "user = \"-oX\"",
            false,
            "7: backends.user = \"-oX\": not a user name; accepted: 1 to 32 of A-Z, a-z, 0-9, '.', '_', '-', not starting with '-'",
        ),
        (
            "backends",
            "match = \"^(web|app\"",
            false,
            "7: backends.match = \"^(web|app\": not a regular expression, at character 2: found open group without closing ')'; accepted: a regular expression (Perl's, without look-around and back-references), 500 characters at most",
        ),
        (
            "backends",
            "within = [\"10.0.10.5/24\"]",
            false,
            "7: backends.within = \"10.0.10.5/24\": has host bits set; did you mean \"10.0.10.0/24\"?; accepted: a list of CIDRs such as \"10.0.10.0/24\"",
        ),
        (
            "backends",
            "identity = \"id\"",
            false,
            "7: backends.identity = \"id\": a relative path, which would mean another file in cron than in a shell; accepted: an absolute path without spaces, quotes, '%', '$' and '\\'",
        ),
        (
            "backends",
            "identity = \"/a b\"",
            false,
            "7: backends.identity = \"/a b\": ' ' in a path, which ssh would interpret; accepted: an absolute path without spaces, quotes, '%', '$' and '\\'",
        ),
        (
            "backends",
            "host_keys = \"no\"",
            false,
            "7: backends.host_keys = \"no\": no such way; accepted: \"strict\" or \"accept-new\"",
        ),
        (
            "standby",
            "region = \"Tokyo\"",
            false,
            "5: standby.region = \"Tokyo\": does not look like a region; accepted: a region such as \"eu-west-1\"",
        ),
        (
            "takeover",
            "disable_source_dest_check = 1",
            false,
            "11: takeover.disable_source_dest_check = 1: not true or false; accepted: true or false",
        ),
        (
            "primary",
            "",
            true,
            "1: primary.route_table: missing; accepted: \"rtb-\" and 1 to 32 of 0-9, a-z, such as \"rtb-0aaa\"",
        ),
        (
            "primary",
            "route_table = \"subnet-0a\"",
            true,
            "2: primary.route_table = \"subnet-0a\": not such an id; accepted: \"rtb-\" and 1 to 32 of 0-9, a-z",
        ),
        ("takeover", "[metric]", false, "11: [metric]: unknown table; did you mean [metrics]?"),
        (
            "standby",
            "witnesses = [\"db1\", \"DB1\"]",
            false,
            "5: standby.witnesses = \"DB1\": a duplicate of \"db1\" in line 5; accepted: each one once",
        ),
        (
            "backends",
            "ec2_subnets = \"yes\"",
            false,
            "7: backends.ec2_subnets = \"yes\": not true or false; accepted: true or false",
        ),
        (
            "decision",
            "watch_span = \"301s\"",
            false,
            "10: decision.watch_span = \"301s\": out of range; accepted: \"0s\" to \"5m\"",
        ),
        (
            "decision",
            "interval = \"99ms\"",
            false,
            "10: decision.interval = \"99ms\": out of range; accepted: \"100ms\" to \"1h\"",
        ),
        (
            "decision",
            "interval = \"61m\"",
            false,
            "10: decision.interval = \"61m\": out of range; accepted: \"100ms\" to \"1h\"",
        ),
        (
            "takeover",
            "method = \"arp\"",
            false,
            "11: takeover.method = \"arp\": no such method; accepted: \"association\" or \"route\"",
        ),
        (
            "takeover",
            "destinations = [\"10.0.0.1/8\"]",
            false,
            "11: takeover.destinations = \"10.0.0.1/8\": has host bits set; did you mean \"10.0.0.0/8\"?; accepted: a list of CIDRs such as \"0.0.0.0/0\", \"::/0\" or a virtual address's \"10.9.9.9/32\"",
        ),
        (
            "takeover",
            "method = \"route\"\ndestinations = []",
            false,
            "12: takeover.destinations = []: no routes: nothing would ever be moved; accepted: a list of CIDRs such as \"0.0.0.0/0\", \"::/0\" or a virtual address's \"10.9.9.9/32\"",
        ),
        (
            "takeover",
            "destinations = [\"::/0\", \"0.0.0.0/0\", \"0::0/0\"]",
            false,
            "11: takeover.destinations = \"0::0/0\": a duplicate of \"::/0\" in line 11; accepted: each one once",
        ),
        (
            "takeover",
            "elastic_ip = \"198.51.100.7\"",
            false,
            "11: takeover.elastic_ip = \"198.51.100.7\": not such an id; accepted: \"eipalloc-\" and 1 to 32 of 0-9, a-z",
        ),
        (
            "takeover",
            "reboot_primary = true",
            false,
            "11: takeover.reboot_primary = true: primary.instance is missing; accepted: false, or with primary.instance",
        ),
        (
            "takeover",
            "[notify]\ncommand = []",
            false,
            "12: notify.command = []: no program; accepted: a list of strings, the first one an absolute path",
        ),
        (
            "takeover",
            "[notify]\ncommand = [\"mail\", \"/x\"]",
            false,
            "12: notify.command = [\"mail\", \"/x\"]: a relative path, which would mean another file in cron than in a shell; accepted: a list of strings, the first one an absolute path",
        ),
        (
            "takeover",
            "[notify]\ncommand = \"/x\"",
            false,
            "12: notify.command = \"/x\": not a list; accepted: a list of strings, the first one an absolute path",
        ),
        (
            "takeover",
            "[notify]\ncommand = [\"/x\", \"a\\u0000b\"]",
            false,
            "12: notify.command = \"a\\u0000b\": a NUL in an argument; accepted: a list of strings, the first one an absolute path",
        ),
        (
            "takeover",
            "[notify]\ntimeout = \"0s\"",
            false,
            "12: notify.timeout = \"0s\": out of range; accepted: \"1s\" to \"5m\"",
        ),
        (
            "takeover",
            "[metrics]\ntextfile = \"/var/lib/natwatch.txt\"",
            false,
            "12: metrics.textfile = \"/var/lib/natwatch.txt\": not a name that node_exporter collects; accepted: an absolute path that ends in .prom",
        ),
        (
            "takeover",
            "[metrics]\ntextfile = \"natwatch.prom\"",
            false,
            "12: metrics.textfile = \"natwatch.prom\": a relative path, which would mean another file in cron than in a shell; accepted: an absolute path that ends in .prom",
        ),
        (
            "takeover",
            "[failback]\ncanary = \"rtb-0a\"",
            false,
            "12: failback.canary = \"rtb-0a\": not such an id; accepted: \"subnet-\" and 1 to 32 of 0-9, a-z",
        ),
        // Between keys.
        (
            "takeover",
            "subnets = [\"subnet-0a\"]\n[failback]\ncanary = \"subnet-0b\"",
            false,
            "13: failback.canary = \"subnet-0b\": not one of takeover.subnets; accepted: one of takeover.subnets",
        ),
        (
            "standby",
            "route_table = \"rtb-0aaa\"",
            true,
            "4: standby.route_table = \"rtb-0aaa\": the same as primary.route_table; accepted: another route table than the primary's",
        ),
        (
            "backends",
            "login_timeout = \"2s\"",
            false,
            "7: backends.login_timeout = \"2s\": shorter than backends.connect_timeout (3s); accepted: \"3s\" to \"5m\"",
        ),
        (
            "backends",
            "connect_timeout = \"11s\"",
            false,
            "7: backends.connect_timeout = \"11s\": longer than backends.login_timeout (10s); accepted: \"1s\" to \"10s\"",
        ),
        (
            "backends",
            "panel = 2",
            false,
            "7: backends.panel = 2: less than decision.threshold (3); accepted: 0 (all), or 3 to 1000",
        ),
        (
            "decision",
            "threshold = 4",
            false,
            "10: decision.threshold = 4: more than the 3 backends there are; accepted: 1 to 3, or more backends",
        ),
        (
            "targets",
            "tries = 4",
            false,
            "9: targets.tries = 4: a backend is to miss 4 different targets, and there are 3 targets; accepted: targets.tries up to the number of targets",
        ),
        (
            "targets",
            "hosts = [\"1.1.1.1\", \"8.8.8.8\", \"2606:4700::1111\"]\ntries = 1",
            true,
            "8: targets.hosts = [\"1.1.1.1\", \"8.8.8.8\", \"2606:4700::1111\"]: a single IPv6 target, which can't accuse anybody; accepted: none, or two or more of a family",
        ),
        (
            "targets",
            "hosts = [\"1.1.1.1\"]",
            true,
            "8: targets.hosts = [\"1.1.1.1\"]: a single target: its own failure would look like an outage; accepted: two or more, better three",
        ),
        (
            "decision",
            "rounds = 1\nrun_span = \"0s\"",
            false,
            "10: decision.rounds = 1: one round and no span: a hiccup would move every subnet; accepted: decision.rounds of 2 or more, or a decision.run_span longer than \"0s\"",
        ),
        (
            "decision",
            "rounds = 1\nwatch_span = \"0s\"",
            false,
            "10: decision.rounds = 1: one round and no span: a hiccup would move every subnet; accepted: decision.rounds of 2 or more, or a decision.watch_span longer than \"0s\"",
        ),
        (
            "decision",
            "deadline = \"20s\"",
            false,
            "10: decision.deadline = \"20s\": shorter than a takeover may take: 33200ms = backends.login_timeout 10s + rounds 3200ms + EC2 5s + takeover.verify_for 15s; accepted: \"33200ms\" to \"1h\"",
        ),
        (
            "takeover",
            "max_subnets = 1\nsubnets = [\"subnet-0a\", \"subnet-0b\"]",
            false,
            "11: takeover.max_subnets = 1: less than the 2 of takeover.subnets: nothing would ever be moved; accepted: 2 to 500",
        ),
        (
            "backends",
            "",
            true,
            " backends.hosts = [] (the default): no backends; accepted: at least decision.threshold backends in backends.hosts, backends.hosts_file or both, or backends.ec2_subnets = true",
        ),
    ] {
        assert_eq!(said(&with(table, extra, own)), expected, "[{table}] {extra}");
    }
}

#[test]
fn every_violated_rule_is_said_in_one_run_in_the_order_of_the_file() {
    let text = "name = \".n\"\nnmae = 1\n[primary]\nroute_table = 7\n[backends]\nhosts = [\"a\", 3, \"-f\"]\n[targets]\nhosts = \"1.1.1.1\"\n[decision]\nrounds = 0\n";
    let lines: Vec<String> = said(text).lines().map(|line| line.chars().take(34).collect()).collect();
    assert_eq!(
        lines,
        [
            "1: name = \".n\": not a usable name; ",
            "2: nmae = 1: unknown key; did you ",
            "4: primary.route_table = 7: not a ",
            "6: backends.hosts = 3: not a strin",
            "6: backends.hosts = \"-f\": starts w",
            "8: targets.hosts = \"1.1.1.1\": not ",
            "10: decision.rounds = 0: out of ran",
            " standby.route_table: missing; acc",
        ]
        .map(|line| line.chars().take(34).collect::<String>())
    );
}

#[test]
fn broken_syntax_is_said_with_its_line_and_nothing_is_guessed_from_the_rest() {
    let said = said("[primary]\nroute_table = rtb-0aaa\n");
    assert!(said.starts_with("2: route_table = rtb-0aaa: "), "{said}");
    assert!(!said.contains("missing"), "{said}");
}

#[test]
fn f038_hosts_and_targets_that_a_shell_or_an_option_parser_could_misread_are_refused() {
    let long = "a".repeat(10_000);
    for bad in [
        "-oProxyCommand=touch /tmp/x",
        "-f",
        "8.8.8.8; reboot",
        "$(reboot)",
        "`id`",
        "a b",
        "a\\nb",
        "a\\u0000b",
        "a\\u001b[31m",
        "",
        ".",
        "a..b",
        "user@host",
        "ssh://host",
        "host:22",
        "[::1]",
        "a|b",
        "a'b",
        "a\\\"b",
        "é",
        "%h",
        "~",
        &long,
        "10.0.0.300",
        "0x7f000001",
        "10.1",
        "fe80::1%eth0",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "169.254.169.254",
        "fe80::1",
        "localhost",
        "::ffff:1.1.1.1",
    ] {
        for (table, line) in [("backends", 6), ("targets", 8)] {
            let said = said(&with(table, &format!("hosts = [\"9.9.9.9\", \"8.8.4.4\", \"1.0.0.1\", \"{bad}\"]"), true));
            assert!(said.starts_with(&format!("{line}: {table}.hosts = \"")), "{bad:.40}: {said:.200}");
            assert_eq!(said.lines().count(), 1, "{said:.300}");
            assert!(said.len() < 400 && !said.contains('\x1b'), "{said}");
        }
    }
    let said = said(&with("backends", "hosts = [\n  \"web1\",\n  \"-oProxyCommand=x\"]", true));
    assert_eq!(
        said,
        "8: backends.hosts = \"-oProxyCommand=x\": starts with '-', as an option would; accepted: a list of names (letters, digits, '-', '_', '.'; 253 at most, not starting with '-') or IP addresses of other hosts"
    );
}

#[test]
fn a_host_or_target_that_is_listed_twice_is_refused_however_it_is_spelled() {
    for (list, expected) in [
        (
            "\"web1\", \"web2\", \"web1\"",
            "6: backends.hosts = \"web1\": a duplicate of \"web1\" in line 6; accepted: each one once",
        ),
        (
            "\"web1\", \"WEB1.\"",
            "6: backends.hosts = \"WEB1.\": a duplicate of \"web1\" in line 6; accepted: each one once",
        ),
        (
            "\"fd00::1\", \"fd00:0::1\"",
            "6: backends.hosts = \"fd00:0::1\": a duplicate of \"fd00::1\" in line 6; accepted: each one once",
        ),
    ] {
        assert_eq!(said(&with("backends", &format!("hosts = [{list}]"), true)), expected);
    }
}

#[test]
fn what_is_allowed_but_not_wise_is_advice() {
    let text = with("targets", "hosts = [\"1.1.1.1\", \"10.0.0.2\"]\ntimeout = \"300ms\"", true).replace(
        "[decision]",
        "[decision]\nrun_span = \"0s\"\nwatch_span = \"499ms\"\ninterval = \"140ms\"\ndeadline = \"5m\"",
    );
    assert_eq!(
        parse(&text, None).unwrap().advice,
        [
            "targets.hosts: two targets; with three or more, one of them may fail",
            "targets.hosts: \"10.0.0.2\" (line 8) is a private address; a ping of it does not test the NAT",
            "decision.run_span: evidence that spans only 0s takes a hiccup for an outage; \"3s\" is advised",
            "decision.watch_span: evidence that spans only 499ms takes a hiccup for an outage; \"700ms\" is advised",
            "decision.interval: 140ms, and so a probe each 70 ms; what waits for its answer for 300ms (targets.timeout) finds an outage hardly sooner than one each 75 ms would",
            "decision.deadline: 5m; under the shipped cron entry a run is ended after 150s",
        ]
    );
    let text = with("decision", "watch_span = \"500ms\"\ninterval = \"225ms\"", true)
        .replace("[targets]", "[targets]\ntimeout = \"300ms\"");
    assert_eq!(parse(&text, None).unwrap().advice, Vec::<String>::new());
}

#[test]
fn a_watch_is_not_held_to_the_span_of_a_run() {
    let text = with("decision", "run_span = \"4s\"\nwatch_span = \"1s\"\ninterval = \"100ms\"", true);
    let settings = parse(&text, None).unwrap();
    assert_eq!(settings.decide.span, Duration::from_secs(4));
    let asked = WatchSettings { span: Duration::from_secs(1), interval: Duration::from_millis(100) };
    assert_eq!(settings.watch, asked);
    let long = with("decision", "watch_span = \"40s\"", true);
    assert_eq!(
        said(&long),
        " decision.deadline = \"60s\" (the default): shorter than a takeover may take: 70200ms = backends.login_timeout 10s + rounds 40200ms + EC2 5s + takeover.verify_for 15s; accepted: \"70200ms\" to \"1h\""
    );
}

#[test]
fn f042_a_hosts_file_of_10_000_entries_is_read_right() {
    let content: String = (0..10_000).fold(String::from("127.0.0.1 localhost\n"), |text, n| {
        format!("{text}10.{}.{}.{} web{n} alias{n}\n", n / 62_500, n / 250 % 250, n % 250 + 1)
    });
    let settings = from_file("match = \"^web\"", content.leak().as_bytes()).unwrap();
    assert_eq!(settings.observe.backends.len(), 10_000);
    let last = settings.observe.backends.iter().find(|backend| backend.host == "web9999").unwrap();
    assert_eq!((last.destination.as_str(), last.addr), ("10.0.39.250", Some("10.0.39.250".parse().unwrap())));
}

#[test]
fn f043_a_hosts_file_that_gives_no_backend_is_refused_with_the_reason() {
    let missing = with("backends", "hosts_file = \"/etc/hosts\"", true);
    assert_eq!(
        said(&missing),
        "6: backends.hosts_file = \"/etc/hosts\": there is no such file; accepted: a readable hosts file"
    );
    for (filters, content, reason) in [
        ("", "", "has no entries"),
        ("", "# nothing\n\n", "has no entries"),
        (
            "",
            "127.0.0.1 localhost\n",
            "none of its 1 entries is another host's that passes backends.match and backends.within",
        ),
        (
            "match = \"^web\"",
            "10.0.0.1 db\n",
            "none of its 1 entries is another host's that passes backends.match and backends.within",
        ),
        (
            "within = [\"10.1.0.0/16\"]",
            "10.0.0.1 web\n",
            "none of its 1 entries is another host's that passes backends.match and backends.within",
        ),
    ] {
        let expected = format!(
            "6: backends.hosts_file = \"/etc/hosts\": {reason}; accepted: a file with an entry for every backend"
        );
        assert_eq!(from_file(filters, content.as_bytes()).unwrap_err(), expected, "{content:?}");
    }
}

#[test]
fn f044_hosts_files_are_read_as_others_read_them() {
    // Debian's and Amazon Linux's own lines, BOM, CRLF, tabs, comments (Latin-1 too), several names, zones.
    let content: &[u8] = b"\xef\xbb\xbf127.0.0.1   localhost localhost.localdomain localhost4\r\n127.0.1.1\tip-10-0-0-9.ec2.internal\r\n\
        ::1 localhost ip6-localhost ip6-loopback\nfe00::0 ip6-localnet\nff00::0 ip6-mcastprefix\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n\
        fe80::1%eth0 gw\n255.255.255.255 broadcasthost\n\n   # caf\xe9\n\t10.0.0.2\tdb1.example.com  web2\tdb1 # comment\r\n10.0.0.1 web1#x\n::ffff:10.0.0.3 web3\nfd00::4 web_4.\n10.0.0.5 app";
    let settings = from_file("match = \"^web\"", content).unwrap();
    let addr = |text: &str| Some(text.to_owned());
    assert_eq!(
        hosts(&settings),
        [
            ("web1", "10.0.0.1", addr("10.0.0.1")),
            ("web2", "10.0.0.2", addr("10.0.0.2")),
            ("web3", "10.0.0.3", addr("10.0.0.3")),
            ("web_4.", "fd00::4", addr("fd00::4"))
        ]
    );
    let all = from_file("", content).unwrap();
    assert_eq!(
        all.observe.backends.iter().map(|b| b.host.as_str()).collect::<Vec<_>>(),
        ["app", "db1.example.com", "web1", "web3", "web_4."]
    );
}

#[test]
fn f044_junk_in_a_hosts_file_is_an_error_with_its_line() {
    for (line, expected) in [
        ("10.0.0.300 web", "10.0.0.300: not an IP address; accepted: an IP address, then names"),
        ("web1 10.0.0.1", "web1: not an IP address; accepted: an IP address, then names"),
        ("10.0.0.1", "10.0.0.1: an address without a name; accepted: an IP address, then names"),
        ("10.0.0.1 10.0.0.2", "10.0.0.2: an address where a name belongs; accepted: one address a line"),
        ("10.0.0.1 -oX", "-oX: starts with '-', as an option would; accepted: letters, digits, '-', '_', '.'"),
        ("10.0.0.1 a;b", "a;b: ';' in a host name; accepted: letters, digits, '-', '_', '.'"),
        ("10.0.0.1 a\x1b[0m", "a\\u{1b}[0m: '\\u{1b}' in a host name; accepted: letters, digits, '-', '_', '.'"),
    ] {
        let content = format!("10.0.0.9 ok\n{line}\n").leak();
        assert_eq!(from_file("", content.as_bytes()).unwrap_err(), format!("/etc/hosts:2: {expected}"));
    }
    let junk = "x\n".repeat(30).leak();
    let said = from_file("", junk.as_bytes()).unwrap_err();
    assert_eq!(
        (said.lines().count(), said.lines().last()),
        (21, Some("/etc/hosts: and 10 more lines that are no entries"))
    );
}

#[test]
fn f044_the_union_has_each_host_once() {
    for (typed, content, expected) in [
        // Typed names keep their spelling and gain the address.
        (
            "\"web1\"",
            "10.0.0.1 web1\n10.0.0.2 web2\n",
            vec![("web1", "web1", "10.0.0.1"), ("web2", "10.0.0.2", "10.0.0.2")],
        ),
        ("\"www\"", "10.0.0.1 web1 www\n", vec![("www", "www", "10.0.0.1")]),
        ("\"10.0.0.1\"", "10.0.0.1 web1\n", vec![("10.0.0.1", "10.0.0.1", "10.0.0.1")]),
        ("\"web1\", \"10.0.0.1\"", "10.0.0.1 web1\n", vec![("web1", "web1", "10.0.0.1")]),
        // The same address or name on two lines.
        ("", "10.0.0.1 web1\n10.0.0.1 app1\n", vec![("web1", "10.0.0.1", "10.0.0.1")]),
        ("", "10.0.0.1 web1\nfd00::1 WEB1\n", vec![("web1", "10.0.0.1", "10.0.0.1")]),
        // A shared alias is not a shared host.
        (
            "",
            "10.0.0.1 web1 web\n10.0.0.2 web2 web\n",
            vec![("web1", "10.0.0.1", "10.0.0.1"), ("web2", "10.0.0.2", "10.0.0.2")],
        ),
        (
            "\"web\"",
            "10.0.0.1 web1 web\n10.0.0.2 web2 web\n",
            vec![("web", "web", "10.0.0.1"), ("web2", "10.0.0.2", "10.0.0.2")],
        ),
    ] {
        let settings = from_file(&format!("hosts = [{typed}]"), content.as_bytes()).unwrap();
        let expected: Vec<_> =
            expected.into_iter().map(|(host, dest, addr)| (host, dest, Some(addr.to_owned()))).collect();
        assert_eq!(hosts(&settings), expected, "{typed} and {content:?}");
    }
}

#[test]
fn the_shipped_sample_is_made_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/natwatch.toml");
    let shipped = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(shipped, sample(), "deploy/natwatch.toml is not what config::sample() says");
}

/// The sample with the keys for which `wanted` holds uncommented, and three backends.
fn uncommented(wanted: impl Fn(&Presence) -> bool) -> String {
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in sample().lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_end_matches(']'));
        }
        let key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        let path = key.and_then(|rest| rest.split_once(" = ")).map(|(own, _)| format!("{table}{own}"));
        let key_wanted =
            path.and_then(|path| KEYS.iter().find(|key| key.path == path)).is_some_and(|key| wanted(&key.presence));
        match key {
            _ if line == "#hosts = []" => lines.push("hosts = [\"web1\", \"web2\", \"10.0.10.5\"]".to_owned()),
            Some(rest) if key_wanted => lines.push(rest.to_owned()),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn the_sample_shows_the_defaults_and_examples_that_are_accepted() {
    let plain = parse(&uncommented(|_| false), None).unwrap();
    assert_eq!(plain, minimal());
    assert_eq!(parse(&uncommented(|presence| matches!(presence, Presence::Default(_))), None).unwrap(), plain);
    let all = parse(&uncommented(|_| true), Some(b"10.0.10.7 web7\n10.0.11.7 web8\n")).unwrap();
    assert_eq!((all.name.as_str(), all.observe.ssh.port, all.observe.backends.len()), ("natwatch", Some(22), 5));
    for key in KEYS {
        assert!(sample().contains(&format!("{} = ", key.split().1)), "{}", key.path);
    }
}

#[test]
fn the_reader_asks_for_every_key_of_the_table_once() {
    let text = with("backends", "port = 22", false);
    let (document, _) = super::file::read(&text, PATH);
    let mut reader = super::reader::Reader::new(PATH, document.unwrap(), Vec::new());
    assert!(super::check::settings(&mut reader, Path::new(PATH), &Fake(None)).is_some());
    let asked: BTreeSet<&str> = reader.asked.iter().copied().collect();
    assert_eq!(asked.len(), reader.asked.len());
    assert_eq!(asked, KEYS.iter().map(|key| key.path).collect());
}

#[test]
fn each_end_of_each_range_is_accepted_and_what_is_beyond_is_not() {
    for key in KEYS {
        let (inside, outside) = match key.kind {
            Kind::Integer { min, max } => {
                ([min.to_string(), max.to_string()], [(min - 1).to_string(), (max + 1).to_string()])
            }
            Kind::Duration { min, max, .. } => {
                let text = |duration| format!("{:?}", super::values::written(duration));
                let below = min.checked_sub(Duration::from_millis(1)).map_or_else(|| "\"-1s\"".to_owned(), text);
                ([text(min), text(max)], [below, text(max + Duration::from_secs(1))])
            }
            _ => continue,
        };
        let (table, own) = key.split();
        let complaint = |value: &str| {
            let line = format!("{own} = {value}");
            let text = if MINIMAL.iter().any(|(name, _)| *name == table) {
                with(table, &line, false)
            } else {
                with("takeover", &format!("[{table}]\n{line}"), false)
            };
            let said = parse(&text, None).err().unwrap_or_default();
            said.contains(&format!("accepted: {}", key.accepted()))
        };
        for value in inside {
            assert!(!complaint(&value), "{} = {value}", key.path);
        }
        for value in outside {
            assert!(complaint(&value), "{} = {value}", key.path);
        }
    }
}

#[test]
fn f074_a_configuration_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    std::fs::write(&path, with("", "", false)).unwrap();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(&path, 0o640);
    assert_eq!(Settings::load(&path).unwrap(), minimal());
    let shown = path.display().to_string();
    for mode in [0o660, 0o646] {
        chmod(&path, mode);
        let expected = format!(
            "{shown}: mode {mode:04o} lets others write it; accepted: writable by its owner only; chmod go-w {shown}"
        );
        assert_eq!(Settings::load(&path).unwrap_err().to_string(), expected);
    }
    chmod(&path, 0o640);
    chmod(dir.path(), 0o777);
    let folder = dir.path().display();
    let expected = format!(
        "{shown}: mode 0777 of its folder {folder} lets others replace it; accepted: writable by its owner only, or sticky; chmod go-w {folder}"
    );
    assert_eq!(Settings::load(&path).unwrap_err().to_string(), expected);
    chmod(dir.path(), 0o700);
    assert!(
        Settings::load(&dir.path().join("none.toml"))
            .unwrap_err()
            .to_string()
            .ends_with("none.toml: there is no such file; natwatch init writes one")
    );
    assert!(Settings::load(dir.path()).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn f040_a_private_key_that_others_can_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("id");
    std::fs::write(&key, "key").unwrap();
    let text = with("backends", &format!("identity = {:?}", key.to_str().unwrap()), false);
    let load = || Settings::parse(&text, Path::new(PATH), &Disk).map_err(|error| error.to_string());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let said = load().unwrap_err();
    assert!(said.starts_with(&format!("{PATH}:7: backends.identity = ")), "{said}");
    assert!(
        said.ends_with(&format!(
            ": mode 0640 opens the private key to others; accepted: 0600 or less; chmod 600 {}",
            key.display()
        )),
        "{said}"
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(load().unwrap().observe.ssh.identity, Some(key.clone()));
    std::fs::remove_file(&key).unwrap();
    let said = load().unwrap_err();
    assert!(said.contains(": there is no such file"), "{said}");
}

#[test]
fn f074_a_hook_that_others_can_write_is_refused_and_one_that_is_gone_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hook");
    let shown = path.display().to_string();
    let chmod = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for command in [format!("[{shown:?}, \"-v\", \"-v\"]"), format!("[\"/bin/sh\", {shown:?}]")] {
        let text = with("takeover", &format!("[notify]\ncommand = {command}"), false);
        let load = || Settings::parse(&text, Path::new(PATH), &Disk).map_err(|error| error.to_string());
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        chmod(0o755);
        let hook = load().unwrap().notify.unwrap();
        assert_eq!((hook.command.len() >= 2, hook.timeout), (true, Duration::from_secs(20)));
        for mode in [0o775, 0o757] {
            chmod(mode);
            let said = load().unwrap_err();
            assert!(said.starts_with(&format!("{PATH}:12: notify.command = ")), "{said}");
            let fault = format!(
                "{shown}: mode {mode:04o} lets others write it; accepted: writable by its owner only; chmod go-w {shown}"
            );
            assert!(said.ends_with(&fault), "{said}");
        }
        std::fs::remove_file(&path).unwrap();
        let advice = load().unwrap().advice;
        let gone = advice.iter().any(|one| one.contains("can't be run: No such file"));
        assert_eq!(gone, !command.contains("/bin/sh"), "{advice:?}");
    }
}

#[test]
fn metrics_and_a_long_hook_are_read() {
    let settings = parse(&with("takeover", "[metrics]\ntextfile = \"/m/n.prom\"", false), None).unwrap();
    assert_eq!((settings.textfile.as_deref(), settings.notify), (Some(Path::new("/m/n.prom")), None));
    let long = |timeout: &str| {
        let text = with("takeover", &format!("[notify]\ncommand = [\"/bin/true\"]\ntimeout = \"{timeout}\""), false);
        parse(&text, None).unwrap().advice.iter().any(|one| one.contains("a run whose hook hangs"))
    };
    assert!(long("81s") && !long("80s"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = parse(&text, None);
    }

    #[test]
    fn no_toml_like_text_makes_the_reader_panic(
        lines in proptest::collection::vec("(\\[\\[?[a-z]{1,9}(\\.[a-z]{1,4})?\\]\\]?|(name|hosts|match|rounds|backends\\.hosts|a) = (\"[ -~é]{0,9}\"|[0-9._eE+-]{1,20}|\\[(\"[a-z0-9.:/]*\",?){0,3}\\]|\\{a=1\\}|true|nan)|[ -~\u{feff}]{0,12})", 0..12),
    ) {
        let _ = parse(&lines.join("\n"), None);
    }

    #[test]
    fn no_value_of_a_key_makes_the_reader_panic(n in 0..KEYS.len(), value in "(\"\\PC{0,20}\"|[0-9._-]{1,25}(\"[0-9.]{1,20}(ms|s|m|h)\")?|\"[0-9]{0,20}\\.?[0-9]{0,12}(ms|s|m|h)\"|\\[\"\\PC{0,9}\"\\])") {
        let _ = parse(&format!("{} = {value}", KEYS[n].path), Some(b"10.0.0.1 a"));
    }

    #[test]
    fn no_hosts_file_makes_the_reader_panic(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = super::hosts::parse(&content);
    }

    #[test]
    fn every_hosts_file_entry_is_one_that_was_written(lines in proptest::collection::vec("(10\\.0\\.0\\.[0-9]{1,3}|fd00::[0-9a-f]{1,4}|[a-z%.:]{1,9})([ \t]{1,2}[a-z0-9.#-]{1,6}){0,3}\r?", 0..20)) {
        let text = lines.join("\n");
        let (entries, junk) = super::hosts::parse(text.as_bytes());
        assert!(entries.len() + junk.len() <= lines.len());
        assert!(entries.iter().all(|entry| !entry.names.is_empty() && entry.names.iter().all(|name| text.contains(name.as_str()))));
    }
}

#[test]
fn routes_are_moved_where_the_configuration_says_so() {
    let taking = |takeover: &str| parse(&with("takeover", takeover, false), None).unwrap();
    let association = taking("destinations = [\"::/0\"]");
    assert_eq!(association.decide.method, Method::Association);
    assert!(
        association.advice[0].starts_with("takeover.destinations is for takeover.method"),
        "{:?}",
        association.advice
    );
    let default = taking("method = \"route\"");
    assert_eq!(default.decide.method.destinations(), ["0.0.0.0/0".parse().unwrap()]);
    let routes = taking(
        "method = \"route\"\ndestinations = [\"0.0.0.0/0\", \"::/0\", \"10.9.9.9/32\"]\nelastic_ip = \"eipalloc-0c\"",
    );
    assert_eq!(routes.decide.method.destinations().len(), 3);
    assert_eq!(routes.preflight.method, routes.decide.method);
    assert_eq!(routes.decide.elastic_ip.unwrap().as_str(), "eipalloc-0c");
}
