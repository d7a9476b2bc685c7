//! By what nft 1.0.6 and iptables 1.8.9 print of rules as people have them: Docker's, a policy beside a rule for IPv6, sets and jumps.

use super::forward::{Passes, dropping};
use super::masquerade::judge;
use super::rules::{Rules, iptables, nft};
use super::*;
use crate::model::{Guarded, Route, RouteTable};

const DOCKER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/docker.json"));
const DOCKER_SAVED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/docker.save"));
const SIX_AND_A_POLICY: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/six-and-a-policy.json"));
const SIX_DROPS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/six-drops.json"));
const SIX_DROPS_SAVED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/six-drops.save"));
const MANY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/many.json"));

fn guarding(blocks: &[&str]) -> Guarding {
    let blocks = blocks.iter().map(|one| one.parse().unwrap()).collect();
    Guarding { family: Family::V4, blocks, seen: true, private: false }
}

/// A machine with these two interfaces, docker's bridge, and the default route by the first.
fn read(rules: Rules, guarding: &Guarding) -> Reading {
    let there = |name: &str| ["eth0", "eth1", "docker0"].contains(&name);
    judge(vec![Ok(rules)], &Place::new(guarding, Some("eth0"), &there))
}

fn four(json: &str) -> Rules {
    nft(json, Family::V4).unwrap()
}

/// A rule set of one rule for translating sources, by its conditions.
fn translating(family: &str, matches: &str) -> String {
    format!(
        r#"{{"nftables":[{{"metainfo":{{}}}},{{"rule":{{"family":"{family}","table":"nat","chain":"p","expr":[{matches}{{"masquerade":null}}]}}}}]}}"#
    )
}

fn meets(key: &str, op: &str, right: &str) -> String {
    format!(r#"{{"match":{{"op":"{op}","left":{{"meta":{{"key":"{key}"}}}},"right":{right}}}}},"#)
}

fn from(op: &str, right: &str) -> String {
    format!(r#"{{"match":{{"op":"{op}","left":{{"payload":{{"protocol":"ip","field":"saddr"}}}},"right":{right}}}}},"#)
}

#[test]
fn f010_f077_dockers_rules_masquerade_nothing_that_is_guarded_and_let_nothing_of_it_pass() {
    let private = guarding(&["10.0.10.0/24"]);
    for rules in [four(DOCKER), iptables(DOCKER_SAVED, "iptables-legacy")] {
        let seen = read(rules.clone(), &private);
        assert_eq!(seen.masquerade, Masquerade::Absent, "{rules:?}");
        let [one] = seen.dropping.as_deref().unwrap() else { panic!("{seen:?}") };
        assert_eq!((one.passes, one.by_rule), (Passes::Others, false), "{one:?}");
        assert!(one.remedy.contains("FORWARD"), "{one:?}");
        // What Docker's own rules let pass might be ours by ways that nobody thought of: that holds nothing.
        assert_eq!(seen.decisive(), Masquerade::Absent);
        // Before EC2 has been asked, which sources are guarded is a guess.
        for early in [Guarding::default(), Guarding { seen: false, ..private.clone() }] {
            assert!(matches!(read(rules.clone(), &early).masquerade, Masquerade::Unknown(_)), "{early:?}");
        }
        assert_eq!(read(rules, &guarding(&["172.16.0.0/12"])).masquerade, Masquerade::Present);
    }
}

#[test]
fn f010_a_rule_of_the_other_family_is_none_and_a_policy_that_drops_everything_holds() {
    let private = guarding(&["10.0.10.0/24"]);
    let seen = read(four(SIX_AND_A_POLICY), &private);
    assert_eq!(seen.masquerade, Masquerade::Absent);
    let Masquerade::Dropped { chain, remedy } = seen.decisive() else { panic!("not told") };
    assert_eq!(chain, "the chain forward (table filter, ip)");
    assert_eq!(remedy, "nft add chain ip filter forward '{ policy accept; }'");
    let six = Guarding { family: Family::V6, ..Guarding::default() };
    let seen = read(nft(SIX_AND_A_POLICY, Family::V6).unwrap(), &six);
    assert_eq!(seen, Reading { family: Family::V6, masquerade: Masquerade::Present, dropping: Some(Vec::new()) });
}

#[test]
fn f010_sets_jumps_and_tables_that_sleep_are_read_as_far_as_they_are_understood() {
    let seen = read(four(MANY), &guarding(&["10.0.10.0/24"]));
    assert_eq!(seen.masquerade, Masquerade::Present);
    let [one] = seen.dropping.as_deref().unwrap() else { panic!("the table that sleeps drops nothing: {seen:?}") };
    assert_eq!(one.passes, Passes::Some, "eth1 is there: {one:?}");
}

#[test]
fn f010_a_rule_counts_by_its_family_source_and_interface_and_is_absent_only_where_that_is_certain() {
    let private = guarding(&["10.0.10.0/24", "10.0.20.0/24"]);
    let all = |family: &str, matches: &str| read(four(&translating(family, matches)), &private).masquerade;
    let out = |op: &str, right: &str| all("ip", &meets("oifname", op, right));
    let source = |op: &str, right: &str| all("ip", &from(op, right));
    let unsure = |seen: &Masquerade| matches!(seen, Masquerade::Unknown(_));
    assert_eq!(all("ip", ""), Masquerade::Present);
    assert_eq!(all("inet", ""), Masquerade::Present);
    assert_eq!(all("ip6", ""), Masquerade::Absent);
    assert_eq!(all("inet", &meets("nfproto", "==", "\"ipv6\"")), Masquerade::Absent);
    assert_eq!(all("inet", &meets("nfproto", "==", "\"ipv4\"")), Masquerade::Present);
    assert_eq!(out("==", "\"eth0\""), Masquerade::Present);
    assert_eq!(out("==", "\"eth*\""), Masquerade::Present);
    assert_eq!(out("==", r#"{"set":["eth1","eth0"]}"#), Masquerade::Present);
    assert_eq!(out("==", "\"@ways\""), Masquerade::Present);
    assert_eq!(out("!=", "\"docker0\""), Masquerade::Present);
    assert_eq!(out("==", "\"ens9\""), Masquerade::Absent);
    // Policy routing may lead there.
    assert!(unsure(&out("==", "\"eth1\"")) && unsure(&out("!=", "\"eth0\"")));
    assert_eq!(source("==", "\"@private\""), Masquerade::Present);
    assert_eq!(source("==", r#"{"prefix":{"addr":"10.0.0.0","len":16}}"#), Masquerade::Present);
    assert_eq!(source("==", r#"{"range":["10.0.20.9","10.0.20.11"]}"#), Masquerade::Present);
    assert_eq!(source("==", "\"10.0.30.1\""), Masquerade::Absent);
    assert_eq!(source("!=", r#"{"prefix":{"addr":"10.0.0.0","len":8}}"#), Masquerade::Absent);
    assert_eq!(source("!=", r#"{"prefix":{"addr":"10.0.10.0","len":24}}"#), Masquerade::Present);
    let opaque = r#"{"nftables":[{"rule":{"family":"ip","table":"nat","chain":"p","expr":[{"xt":null}]}}]}"#;
    assert!(unsure(&read(four(opaque), &private).masquerade));
    for text in ["{}", "", "[]"] {
        assert!(nft(text, Family::V4).is_err(), "{text:?}");
    }
    let saved = |rule: &str| {
        read(iptables(&format!("*nat\n:POSTROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"), "iptables-legacy"), &private)
    };
    for (rule, expected) in [
        ("-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE", Masquerade::Present),
        ("-A POSTROUTING -o eth+ -j SNAT --to-source 192.0.2.1", Masquerade::Present),
        ("-A POSTROUTING ! -d 10.0.0.0/8 -j MASQUERADE", Masquerade::Present),
        ("-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE", Masquerade::Absent),
        ("-A POSTROUTING -m comment --comment \"-j MASQUERADE of ours\" -j RETURN", Masquerade::Absent),
        ("-A PREROUTING -j DNAT --to-destination 10.0.0.9", Masquerade::Absent),
        (":MASQUERADE - [0:0]", Masquerade::Absent),
    ] {
        assert_eq!(saved(rule).masquerade, expected, "{rule}");
    }
}

#[test]
fn f010_f077_what_a_filter_lets_pass_is_nothing_only_where_no_rule_could() {
    let private = guarding(&["10.0.10.0/24"]);
    let there = |name: &str| ["eth0", "eth1", "docker0"].contains(&name);
    let place = Place::new(&private, Some("eth0"), &there);
    for (policy, rules, expected) in [
        ("ACCEPT", "", None),
        ("DROP", "", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -j LOG --log-prefix \"a b\"", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -s 192.0.2.1/32 -j DROP", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -j ACCEPT", None),
        ("DROP", "-A INPUT -j ACCEPT", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -j OPEN\n-A OPEN -j ACCEPT", None),
        ("DROP", "-A FORWARD -j OPEN\n-A OPEN -i eth1 -j RETURN\n-A OPEN -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -j OPEN\n-A OPEN -i eth1 -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -o docker0 -j OPEN\n-A OPEN -j ACCEPT", Some(Passes::Others)),
        ("DROP", "-A FORWARD -j OPEN", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -j SOMETHING", Some(Passes::Some)),
        ("DROP", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", Some(Passes::Others)),
        ("DROP", "-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -s 10.0.10.0/24 -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -s 172.17.0.0/16 -j ACCEPT", Some(Passes::Others)),
        ("DROP", "-A FORWARD -o eth7 -j ACCEPT", Some(Passes::Others)),
        ("ACCEPT", "-A FORWARD -j REJECT --reject-with icmp-host-prohibited", Some(Passes::Nothing)),
        ("ACCEPT", "-A FORWARD -i eth1 -j ACCEPT\n-A FORWARD -j DROP", Some(Passes::Some)),
        ("ACCEPT", "-A FORWARD -j OPEN\n-A OPEN -j DROP", Some(Passes::Nothing)),
        ("ACCEPT", "-A FORWARD -j OPEN\n-A OPEN -i eth1 -j RETURN\n-A OPEN -j DROP", None),
        ("ACCEPT", "-A FORWARD -s 192.0.2.0/24 -j DROP", None),
        // What comes back from where a `goto` led has left the chain that it is in: for the policy, or for the chain before.
        ("ACCEPT", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j DROP", None),
        ("ACCEPT", "-A FORWARD -g OPEN\n-A FORWARD -j DROP", None),
        ("ACCEPT", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j DROP\n-A OPEN -i eth1 -j RETURN\n-A OPEN -j DROP", None),
        ("ACCEPT", "-A FORWARD -i eth0 -j OPEN\n-A FORWARD -j DROP", Some(Passes::Nothing)),
        ("ACCEPT", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j DROP\n-A OPEN -j DROP", Some(Passes::Nothing)),
        ("ACCEPT", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j DROP\n-A OPEN -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j DROP", Some(Passes::Nothing)),
        ("DROP", "-A FORWARD -i eth0 -g OPEN\n-A FORWARD -j ACCEPT", Some(Passes::Some)),
        ("DROP", "-A FORWARD -j OPEN\n-A FORWARD -j ACCEPT\n-A OPEN -g NEXT\n-A OPEN -j DROP", None),
        ("ACCEPT", "-A FORWARD -j OPEN\n-A FORWARD -j DROP\n-A OPEN -g NEXT\n-A OPEN -j ACCEPT", Some(Passes::Nothing)),
    ] {
        let chains = ":INPUT ACCEPT [0:0]\n:OPEN - [0:0]\n:NEXT - [0:0]";
        let said = format!("*filter\n{chains}\n:FORWARD {policy} [0:0]\n{rules}\nCOMMIT\n");
        let found = dropping(&iptables(&said, "iptables-legacy"), &place);
        assert_eq!(found.first().map(|one| one.passes), expected, "{said}");
    }
}

/// A filter of both families: this policy, and rules by their chain and expressions.
fn filtering(policy: &str, rules: &[(&str, &str)]) -> String {
    let of = r#""family":"inet","table":"f""#;
    let rules: Vec<String> =
        rules.iter().map(|(chain, expr)| format!(r#"{{"rule":{{{of},"chain":"{chain}","expr":[{expr}]}}}}"#)).collect();
    let base = format!(
        r#"{{"chain":{{{of},"name":"forward","type":"filter","hook":"forward","prio":0,"policy":"{policy}"}}}}"#
    );
    let chain = |name: &str| format!(r#"{{"chain":{{{of},"name":"{name}"}}}}"#);
    format!(r#"{{"nftables":[{base},{},{},{}]}}"#, chain("trusted"), chain("next"), rules.join(","))
}

/// What such a filter lets pass of what this machine is to carry, of IPv4 and of IPv6; `None`: it drops nothing.
fn let_pass(json: &str) -> [Option<Passes>; 2] {
    let there = |name: &str| ["eth0", "eth1", "docker0"].contains(&name);
    let six = Guarding { family: Family::V6, ..guarding(&["2001:db8::/64"]) };
    [guarding(&["10.0.10.0/24"]), six].map(|guarding| {
        let place = Place::new(&guarding, Some("eth0"), &there);
        dropping(&nft(json, guarding.family).unwrap(), &place).first().map(|one| one.passes)
    })
}

#[test]
fn f010_a_drop_of_one_family_is_none_of_the_others_however_its_rule_says_so() {
    let drop = |matches: String| matches + r#"{"drop":null}"#;
    let proto = |op: &str, right: &str| drop(meets("nfproto", op, right));
    let reject = |kind: &str| format!(r#"{{"reject":{{"type":"{kind}","expr":"admin-prohibited"}}}}"#);
    let ether = r#"{"match":{"op":"==","left":{"payload":{"protocol":"ether","field":"type"}},"right":"ip6"}},"#;
    let established =
        r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}"#;
    let ours = from("==", r#"{"prefix":{"addr":"10.0.0.0","len":8}}"#) + r#"{"accept":null}"#;
    // Neither is dropped by that rule: what follows accepts IPv4's, and of IPv6's nothing that is new.
    let neither = [Some(Passes::Some), Some(Passes::Others)];
    let (only_six, only_four) =
        ([Some(Passes::Some), Some(Passes::Nothing)], [Some(Passes::Nothing), Some(Passes::Others)]);
    for (rule, expected) in [
        (proto("!=", "\"ipv4\""), only_six),
        (proto("==", "\"ipv6\""), only_six),
        (proto("==", r#"{"set":["ipv6"]}"#), only_six),
        (proto("!=", r#"{"set":["ipv4"]}"#), only_six),
        (proto("==", "\"ipv4\""), only_four),
        (proto("!=", "\"ipv6\""), only_four),
        (proto("!=", r#"{"set":["ipv4","ipv6"]}"#), neither),
        (proto("==", r#"{"set":["ipv4","ipv6"]}"#), [Some(Passes::Nothing); 2]),
        // Not understood, so not certain: a named set, a number, another comparison.
        (proto("==", "\"@families\""), neither),
        (proto("!=", "\"@families\""), neither),
        (proto("!=", r#"{"set":["ipv4",7]}"#), neither),
        (proto(">", "\"ipv4\""), neither),
        // Other words for a family are a condition like any other.
        (drop(meets("protocol", "!=", "\"ip\"")), neither),
        (drop(meets("protocol", "==", r#"{"set":["arp","ip6"]}"#)), neither),
        (drop(ether.to_owned()), neither),
        // nft prints no condition beside an answer that only one family has.
        (reject("icmpv6"), only_six),
        (reject("icmp"), only_four),
        (reject("icmpx"), [Some(Passes::Nothing); 2]),
        (reject("tcp reset"), neither),
        (r#"{"reject":null}"#.to_owned(), [Some(Passes::Nothing); 2]),
    ] {
        let json = filtering("drop", &[("forward", &rule), ("forward", established), ("forward", &ours)]);
        assert_eq!(let_pass(&json), expected, "{rule}");
    }
    let theirs = proto("!=", "\"ipv4\"");
    let json = filtering("drop", &[("forward", &theirs), ("forward", established), ("forward", &ours)]);
    let seen = read(four(&json), &guarding(&["10.0.10.0/24"]));
    assert!(!seen.decisive().is_dropped(), "a takeover that is due is held");
    let outward = |op: &str, right: &str| translating("inet", &meets("nfproto", op, right));
    let masquerade = |json: &str| read(four(json), &guarding(&["10.0.10.0/24"])).masquerade;
    assert_eq!(masquerade(&outward("!=", "\"ipv4\"")), Masquerade::Absent);
    assert_eq!(masquerade(&outward("==", r#"{"set":["ipv6"]}"#)), Masquerade::Absent);
    assert_eq!(masquerade(&outward("==", "\"@families\"")), Masquerade::Present);
}

#[test]
fn f010_what_a_goto_leads_to_does_not_come_back_to_the_rule_behind_it() {
    let go = |matches: &str, how: &str, to: &str| format!(r#"{matches}{{"{how}":{{"target":"{to}"}}}}"#);
    let eth0 = meets("iifname", "==", "\"eth0\"");
    let (drop, accept, back) = (r#"{"drop":null}"#, r#"{"accept":null}"#, r#"{"return":null}"#);
    let behind = |how: &str, trusted: &[&str]| {
        let first = go(&eth0, how, "trusted");
        let trusted = trusted.iter().map(|one| ("trusted", *one));
        let rules: Vec<(&str, &str)> = [("forward", &*first), ("forward", drop)].into_iter().chain(trusted).collect();
        let_pass(&filtering("accept", &rules))
    };
    // Empty, or with a return at its end: the base chain's policy is next, and accepts.
    assert_eq!(behind("goto", &[]), [None; 2]);
    assert_eq!(behind("goto", &[back]), [None; 2]);
    assert_eq!(behind("jump", &[]), [Some(Passes::Nothing); 2]);
    assert_eq!(behind("goto", &[drop]), [Some(Passes::Nothing); 2]);
    assert_eq!(behind("goto", &[accept]), [Some(Passes::Some); 2]);
    // In a chain that was called, the one that called it is next.
    let (called, on) = (go("", "jump", "trusted"), go("", "goto", "next"));
    let rules = [("forward", &*called), ("forward", accept), ("trusted", &on), ("trusted", drop), ("next", back)];
    assert_eq!(let_pass(&filtering("drop", &rules)), [None; 2]);
}

#[test]
fn f010_whose_packets_are_meant_is_what_ec2_named_else_what_the_backends_have() {
    let settings = PreflightSettings {
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        standby_instance: None,
        subnets: Vec::new(),
        method: crate::model::Method::Association,
    };
    let backend = |addr: Option<&str>| Backend {
        host: "b".to_owned(),
        destination: "b".to_owned(),
        addr: addr.map(|addr| addr.parse().unwrap()),
    };
    let of = |targets: &[&str]| {
        let targets: Vec<String> = targets.iter().map(|one| (*one).to_owned()).collect();
        Guarding::of(&settings, &targets, &[backend(Some("10.0.10.7")), backend(None)], None)
    };
    let early = Guarding { seen: false, ..guarding(&["10.0.10.7/32"]) };
    assert_eq!(of(&["192.0.2.1", "2001:db8::1"]), std::slice::from_ref(&early));
    assert_eq!(of(&["example.com"]), [early]);
    assert_eq!(of(&["2001:db8::1"]), [Guarding { family: Family::V6, ..Guarding::default() }]);
}

/// What is guarded by EC2, with IPv6 at the primary, and where the standby's table leads it.
fn known(blocks: &[&str], six: Option<Route>) -> GuardedSet {
    let to = |destination: &str, instance: &str| Route {
        destination: destination.to_owned(),
        instance: instance.parse().ok(),
        interface: None,
        other: None,
        blackhole: false,
    };
    let table = |id: &str, routes| RouteTable {
        id: id.parse().unwrap(),
        vpc: "vpc-1".parse().unwrap(),
        name: None,
        routes,
        associations: Vec::new(),
    };
    let standby = std::iter::once(to("0.0.0.0/0", "i-0b")).chain(six).collect();
    GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: vec![Guarded {
            subnet: "subnet-1".parse().unwrap(),
            name: None,
            cidrs: blocks.iter().map(|one| one.parse().unwrap()).collect(),
            on: "rtb-0a".parse().unwrap(),
        }],
        families: vec![Family::V4, Family::V6],
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: Some(vec![table("rtb-0a", vec![to("::/0", "i-0a")]), table("rtb-0b", standby)]),
        own: None,
        names: crate::model::Names::new(),
        seen: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn six_to(instance: Option<&str>) -> Route {
    let instance = instance.map(|id| id.parse().unwrap());
    let other = instance.is_none().then(|| "eigw-1".to_owned());
    Route { destination: "::/0".to_owned(), instance, interface: None, other, blackhole: false }
}

fn tables_settings(method: crate::model::Method) -> PreflightSettings {
    PreflightSettings {
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        standby_instance: None,
        subnets: Vec::new(),
        method,
    }
}

#[test]
fn f010_ipv6_is_looked_at_beside_ipv4_where_a_takeover_would_bring_it_here() {
    let four = ["10.0.10.0/24", "2001:db8:10::/64"];
    let of = |targets: &[&str], method: crate::model::Method, set: &GuardedSet| {
        let targets: Vec<String> = targets.iter().map(|one| (*one).to_owned()).collect();
        let found = Guarding::of(&tables_settings(method), &targets, &[], Some(set));
        found.into_iter().map(|one| (one.family, one.blocks.len(), one.private)).collect::<Vec<_>>()
    };
    let association = || crate::model::Method::Association;
    let route =
        |to: &[&str]| crate::model::Method::Route { destinations: to.iter().map(|one| one.parse().unwrap()).collect() };
    let (v4, v6) = ((Family::V4, 1, false), (Family::V6, 1, false));
    let here = known(&four, Some(six_to(Some("i-0b"))));
    assert_eq!(of(&["192.0.2.1"], association(), &here), [v4, v6]);
    assert_eq!(of(&["192.0.2.1", "2001:db8::1"], association(), &here), [v4, v6]);
    assert_eq!(of(&["2001:db8::1"], association(), &here), [v6]);
    assert_eq!(of(&[], route(&["0.0.0.0/0", "::/0"]), &here), [v4, v6]);
    assert_eq!(of(&[], route(&["0.0.0.0/0"]), &here), [v4]);
    for elsewhere in [Some(six_to(None)), Some(six_to(Some("i-0c"))), None] {
        assert_eq!(of(&[], association(), &known(&four, elsewhere.clone())), [v4], "{elsewhere:?}");
    }
    let not_guarded = GuardedSet { families: vec![Family::V4], ..here.clone() };
    assert_eq!(of(&[], association(), &not_guarded), [v4]);
    let of_an_older = GuardedSet { tables: None, ..here.clone() };
    assert_eq!(of(&[], association(), &of_an_older), [v4, v6]);
    let anothers = GuardedSet { standby: "rtb-0c".parse().unwrap(), ..here };
    assert_eq!(of(&[], association(), &anothers), [(Family::V4, 0, false)]);
    // Unique local addresses, all of them, and a target on the internet.
    let outside: &[&str] = &["192.0.2.1", "2001:db8::1"];
    for (blocks, targets, private) in [
        (&["fd00:10::/64"][..], outside, true),
        (&["fd00:10::/64", "2001:db8:10::/64"], outside, false),
        (&["fd00:10::/64"], &["192.0.2.1"], false),
        (&["fd00:10::/64"], &["fd00:99::1"], false),
    ] {
        let found = of(targets, association(), &known(blocks, Some(six_to(Some("i-0b")))));
        assert_eq!(found.last().unwrap().2, private, "{blocks:?} {targets:?}");
    }
}

#[test]
fn f010_of_ipv6_a_filter_that_drops_everything_holds_and_a_missing_rule_only_where_sources_are_private() {
    let six = |blocks: &[&str], private| Guarding { family: Family::V6, private, ..guarding(blocks) };
    let rules = |json: &str| nft(json, Family::V6).unwrap();
    let global = six(&["2001:db8:10::/64"], false);
    let local = six(&["fd00:10::/64"], true);
    let seen = read(rules(SIX_DROPS), &local);
    assert_eq!(seen.masquerade, Masquerade::Present);
    let Masquerade::Dropped { chain, remedy } = seen.decisive() else { panic!("not told") };
    assert_eq!(chain, "the chain FORWARD (table filter, ip6)");
    assert_eq!(remedy, "nft add chain ip6 filter FORWARD '{ policy accept; }'");
    let saved = read(iptables(SIX_DROPS_SAVED, "ip6tables-legacy"), &local);
    assert_eq!(saved.masquerade, Masquerade::Present);
    let Masquerade::Dropped { remedy, .. } = saved.decisive() else { panic!("not told") };
    assert_eq!(remedy, "ip6tables-legacy -t filter -P FORWARD ACCEPT");
    // IPv4's, of the same rules, is as it should be.
    let seen = read(four(SIX_DROPS), &guarding(&["10.0.10.0/24"]));
    assert_eq!((seen.masquerade, seen.dropping), (Masquerade::Present, Some(Vec::new())));
    // The rule there is for unique local addresses.
    let plain = |private| Masquerade::Plain { private };
    assert_eq!(read(rules(SIX_DROPS), &global).masquerade, plain(false));
    for (family, matches, expected) in [
        ("ip", "", [plain(false), plain(true)]),
        ("ip6", "", [Masquerade::Present, Masquerade::Present]),
        ("inet", &meets("nfproto", "==", "\"ipv4\""), [plain(false), plain(true)]),
        ("inet", &from("==", "\"10.0.10.0\""), [plain(false), plain(true)]),
    ] {
        let all = [&global, &local].map(|one| read(rules(&translating(family, matches)), one).masquerade);
        assert_eq!(all, expected, "{family} {matches}");
    }
    // By prefixes, in a table that filters (RFC 6296).
    let npt = "*mangle\n:FORWARD ACCEPT [0:0]\n-A POSTROUTING -s fd00:10::/48 -o eth0 -j SNPT --src-pfx fd00:10::/48 --dst-pfx 2001:db8:10::/48\nCOMMIT\n";
    assert_eq!(read(iptables(npt, "ip6tables-legacy"), &local).masquerade, Masquerade::Present);
}

#[test]
fn f010_a_table_of_both_families_translates_those_that_its_rule_names() {
    let rules = |to: &str, addr: &str| {
        format!(
            r#"{{"nftables":[{{"rule":{{"family":"inet","table":"t","chain":"p","expr":[{{"snat":{{"family":"{to}","addr":"{addr}"}}}}]}}}}]}}"#
        )
    };
    let (private, global) =
        (guarding(&["10.0.10.0/24"]), Guarding { family: Family::V6, ..guarding(&["2001:db8::/64"]) });
    let (ours, theirs) = (rules("ip", "192.0.2.1"), rules("ip6", "2001:db8::1"));
    assert_eq!(read(four(&ours), &private).masquerade, Masquerade::Present);
    assert_eq!(read(four(&theirs), &private).masquerade, Masquerade::Absent);
    assert_eq!(read(nft(&theirs, Family::V6).unwrap(), &global).masquerade, Masquerade::Present);
    assert_eq!(read(nft(&ours, Family::V6).unwrap(), &global).masquerade, Masquerade::Plain { private: false });
}

#[test]
fn f010_of_two_families_that_counts_which_would_hold() {
    let dropped = || Masquerade::Dropped { chain: "f".to_owned(), remedy: "nft x".to_owned() };
    let unknown = || Masquerade::Unknown("takes root".to_owned());
    let plain = |private| Masquerade::Plain { private };
    for (four, six, expected) in [
        (Masquerade::Present, dropped(), dropped()),
        (Masquerade::Absent, dropped(), dropped()),
        (Masquerade::Absent, plain(true), Masquerade::Absent),
        (Masquerade::Present, plain(true), plain(true)),
        (Masquerade::Present, plain(false), Masquerade::Present),
        (Masquerade::Present, unknown(), Masquerade::Present),
        (unknown(), Masquerade::Present, unknown()),
        (unknown(), dropped(), dropped()),
    ] {
        assert_eq!(Masquerade::decisive(vec![four.clone(), six.clone()]), expected, "{four:?} {six:?}");
    }
    assert!(matches!(Masquerade::decisive(Vec::new()), Masquerade::Unknown(_)));
}

#[test]
fn f010_whether_ipv6_has_to_be_translated_is_known_without_what_root_saw() {
    let of = |private, dropped| {
        let six = Guarding { family: Family::V6, private, ..Guarding::default() };
        told(&[six], move |family| Ok(Sighting { family, masquerade: false, dropped, ago: Duration::from_mins(1) }))
    };
    assert_eq!(of(false, false), Masquerade::Plain { private: false });
    assert!(of(true, false).is_absent());
    assert!(of(false, true).is_dropped() && of(true, true).is_dropped());
}

struct Known;

impl Identity for Known {
    async fn instance(&self) -> Result<InstanceId, String> {
        Ok("i-0b".parse().unwrap())
    }
}

#[test]
fn sysctls_are_numbers() {
    assert_eq!((flag("1\n"), flag("0\n"), flag("2"), flag("")), (Some(true), Some(false), Some(true), None));
}

#[test]
fn f010_what_root_saw_counts_for_who_may_not_look_and_for_nobody_else() {
    fn combine(seen: Masquerade, told: Option<&Told>) -> Masquerade {
        super::combine(&Guarding::default(), seen, told)
    }
    let unknown = || Masquerade::Unknown("takes root".to_owned());
    for masquerade in [true, false] {
        let told = Sighting { family: Family::V4, masquerade, dropped: false, ago: Duration::from_mins(1) };
        let told_so: Told = Box::new(move |_| Ok(told));
        assert_eq!(combine(unknown(), Some(&told_so)), Masquerade::Told(told));
        assert_eq!(combine(Masquerade::Present, Some(&told_so)), Masquerade::Present);
        assert_eq!(combine(Masquerade::Absent, Some(&told_so)), Masquerade::Absent);
    }
    let nothing: Told = Box::new(|_| Err("facts.json is of another boot".to_owned()));
    let why = "takes root; facts.json is of another boot".to_owned();
    assert_eq!(combine(unknown(), Some(&nothing)), Masquerade::Unknown(why));
    assert_eq!(combine(unknown(), None), unknown());
}

#[tokio::test]
async fn this_machine_can_be_read() {
    let host = LocalHost::new(&Known);
    assert!(host.uptime().unwrap() > std::time::Duration::ZERO);
    assert!(host.forwards(Family::V4).is_ok());
    let _ = host.masquerade().await;
}
