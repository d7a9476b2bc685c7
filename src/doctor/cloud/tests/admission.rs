//! Security groups and ACLs.

use super::seeded::SIX;
use super::*;

/// With other rules for what comes in at one group.
fn with(name: &'static str, rules: Vec<GroupRule>) -> impl FnOnce(&mut Facts) {
    move |facts| {
        let all = facts.groups.as_mut().unwrap();
        all.iter_mut().find(|one| one.id.as_str() == name).unwrap().ingress = rules;
    }
}

const PRIMARY: [(&str, &str); 1] = [("primary", "instance = \"i-0a\"")];

#[test]
fn f109_what_the_standbys_groups_admit_is_told_subnet_by_subnet() {
    let vpc = &["10.0.0.0/16"][..];
    let web = || vec![rule(Packets::Tcp(80, 80), vpc), rule(Packets::HTTPS, vpc)];
    let found = troubles(with("sg-0b", web()));
    let one = only(found, "admits", Fitness::Warning, "admit TCP 80, TCP 443 and no pings from", "");
    assert_eq!(one.of.as_deref(), Some("standby"));
    assert!(one.text.contains("10.0.10.0/24 (private-1), 10.0.11.0/24 (private-2)"), "{one:?}");
    assert_eq!(
        one.remedy.unwrap(),
        "aws ec2 authorize-security-group-ingress --group-id sg-0b --protocol icmp --port -1 --cidr 10.0.10.0/24; \
         aws ec2 authorize-security-group-ingress --group-id sg-0b --protocol icmp --port -1 --cidr 10.0.11.0/24"
    );
    let found = troubles(with("sg-0b", vec![rule(Packets::Tcp(22, 22), &["192.0.2.7/32"])]));
    only(
        found,
        "admits",
        Fitness::Unfit,
        "admit nothing from 10.0.10.0/24 (private-1), 10.0.11.0/24",
        "--protocol all --cidr 10.0.10.0/24",
    );
    let found = troubles(with("sg-0b", vec![rule(Packets::All, &["10.0.10.0/24"])]));
    only(found, "admits", Fitness::Unfit, "admit nothing from 10.0.11.0/24 (private-2)", "--cidr 10.0.11.0/24");
    let pings = [web(), vec![rule(Packets::Icmp(None), vpc)]].concat();
    let both = |facts: &mut Facts| {
        with("sg-0a", pings.clone())(facts);
        with("sg-0b", pings.clone())(facts);
    };
    assert_eq!(troubles(both), [], "what is forwarded is the operator's choice");
    for lines in [&[][..], &PRIMARY] {
        let less = troubles_with(lines, with("sg-0b", pings.clone()));
        only(less, "admits", Fitness::Warning, "those of the primary also admit", "authorize-security-group-ingress");
    }
}

#[test]
fn f109_groups_that_would_drop_all_tcp_are_not_fit_whoever_the_primary_is() {
    let vpc = &["10.0.0.0/16"][..];
    let icmp = || rule(Packets::Icmp(None), vpc);
    // The primary admits no more, or nobody knows who it is.
    let alike = |rules: Vec<GroupRule>| {
        move |facts: &mut Facts| {
            with("sg-0a", rules.clone())(facts);
            with("sg-0b", rules)(facts);
        }
    };
    let nobodys = |rules: Vec<GroupRule>| {
        move |facts: &mut Facts| {
            with("sg-0b", rules)(facts);
            facts.interfaces.as_mut().unwrap().retain(|one| one.id.as_str() == "eni-0b");
        }
    };
    for rules in [vec![icmp()], vec![icmp(), rule(Packets::Tcp(22, 22), vpc)]] {
        for found in [troubles(alike(rules.clone())), troubles(nobodys(rules.clone()))] {
            let one =
                only(found, "admits", Fitness::Warning, "not TCP 443 (HTTPS), which a takeover would cut off", "");
            assert_eq!(one.of.as_deref(), Some("standby"));
            assert!(one.remedy.unwrap().starts_with(
                "aws ec2 authorize-security-group-ingress --group-id sg-0b --protocol tcp --port 443 --cidr 10.0.10.0/24; "
            ));
        }
    }
    // From one of the two subnets, from a part of one, by two rules together.
    let web = |blocks: &[&str]| vec![icmp(), rule(Packets::HTTPS, blocks)];
    let found = troubles(alike(web(&["10.0.10.0/24"])));
    only(
        found,
        "admits",
        Fitness::Warning,
        "admit ICMP from 10.0.11.0/24 (private-2); not TCP 443",
        "--cidr 10.0.11.0/24",
    );
    let found = troubles(alike(web(&["10.0.10.0/24", "10.0.11.0/25"])));
    only(found, "admits", Fitness::Warning, "from 10.0.11.0/24 (private-2); not TCP 443", "--port 443");
    let halves = vec![
        icmp(),
        rule(Packets::Tcp(80, 443), &["10.0.10.0/25", "10.0.11.0/24"]),
        rule(Packets::Tcp(443, 444), &["10.0.10.128/25"]),
    ];
    assert_eq!(troubles(alike(halves)), []);
    let listed = GroupRule { lists: vec!["pl-1".to_owned()], ..rule(Packets::HTTPS, &[]) };
    let found = troubles(alike(vec![icmp(), listed]));
    only(found, "admits", Fitness::Unknown, "whether TCP 443 (HTTPS) too", "--port 443");
    // Neither pings nor HTTPS: both are to be opened.
    let found = troubles_with(&[], with("sg-0b", vec![rule(Packets::Tcp(22, 22), vpc)]));
    let one = only(found, "admits", Fitness::Warning, "not TCP 443 (HTTPS)", "--protocol icmp --port -1");
    assert!(one.remedy.as_ref().unwrap().contains("--protocol tcp --port 443"), "{one:?}");
}

#[test]
fn f097_without_its_instance_the_primary_is_who_its_table_leads_to() {
    let found = troubles(with("sg-0a", Vec::new()));
    let one = only(found, "admits", Fitness::Unfit, "of the primary (sg-0a (nat)) admit nothing", "--group-id sg-0a");
    assert_eq!(one.of.as_deref(), Some("primary"));
    // By its interface alone, where EC2 does not say whose that is.
    let found = troubles(|facts| {
        with("sg-0a", Vec::new())(facts);
        edit(facts, "rtb-0a", |table| table.routes[1].instance = None);
        facts.instances.as_mut().unwrap().retain(|one| one.id.as_str() == "i-0b");
    });
    only(found, "admits", Fitness::Unfit, "of the primary (sg-0a (nat)) admit nothing", "--group-id sg-0a");
    // A table that leads here says nothing of the primary.
    let found = troubles(|facts| {
        with("sg-0a", Vec::new())(facts);
        edit(facts, "rtb-0a", |table| table.routes[1] = route("0.0.0.0/0", "i-0b"));
    });
    assert!(found.iter().all(|one| one.of.as_deref() != Some("primary")), "{found:?}");
}

#[test]
fn f109_a_rule_that_admits_a_group_is_looked_up_with_the_backends() {
    let by = |group: &str| vec![rule(Packets::All, &[group])];
    assert_eq!(troubles(with("sg-0b", by("sg-1"))), []);
    let found = troubles(with("sg-0b", by("sg-9")));
    only(found, "admits", Fitness::Unfit, "admit nothing from", "");
    let found = troubles(|facts| {
        with("sg-0b", by("sg-9"))(facts);
        facts.backends = Ok(Vec::new());
    });
    only(found, "admits", Fitness::Unknown, "is not known", "");
    let found = troubles(|facts| {
        with("sg-0b", by("sg-1"))(facts);
        facts.backends.as_mut().unwrap()[0].groups = vec![id("sg-2")];
    });
    only(found, "admits", Fitness::Unknown, "from 10.0.10.0/24 (private-1) is not known", "");
}

#[test]
fn f097_where_the_primary_admits_no_pings_nobody_can_become_a_witness() {
    let vpc = &["10.0.0.0/16"][..];
    let found = troubles_with(&PRIMARY, with("sg-0a", vec![rule(Packets::HTTPS, vpc)]));
    let one =
        only(found, "admits", Fitness::Unfit, "nobody there can become a witness", "--group-id sg-0a --protocol icmp");
    assert_eq!(one.of.as_deref(), Some("primary"));
    let rules = vec![rule(Packets::HTTPS, vpc), rule(Packets::PING, &["10.0.10.0/24"])];
    let found = troubles_with(&PRIMARY, with("sg-0a", rules));
    only(found, "admits", Fitness::Warning, "no pings from 10.0.11.0/24 (private-2)", "");
}

#[test]
fn f097_groups_that_let_no_pings_out_are_found_at_all_three_places() {
    let out = |name: &'static str| {
        move |facts: &mut Facts| {
            let all = facts.groups.as_mut().unwrap();
            all.iter_mut().find(|one| one.id.as_str() == name).unwrap().egress =
                vec![rule(Packets::HTTPS, &["0.0.0.0/0"])];
        }
    };
    only(
        troubles(out("sg-0b")),
        "lets-out",
        Fitness::Unfit,
        "no target ever answers this instance",
        "--group-id sg-0b",
    );
    only(
        troubles_with(&PRIMARY, out("sg-0a")),
        "lets-out",
        Fitness::Unfit,
        "nobody can become a witness",
        "--group-id sg-0a",
    );
    let one =
        only(troubles(out("sg-1")), "pings-out", Fitness::Unfit, "3 backends let no pings out", "--group-id sg-1");
    assert!(one.text.ends_with("10.0.10.10, 10.0.11.11, 10.0.10.12"), "{one:?}");
    let found = troubles_with(&[("decision", "threshold = 2")], |facts| {
        facts.groups.as_mut().unwrap().push(SecurityGroup { egress: Vec::new(), ..group("sg-2", Vec::new()) });
        facts.backends.as_mut().unwrap()[0].groups = vec![id("sg-2")];
    });
    only(found, "pings-out", Fitness::Warning, "1 backend let no pings out", "--group-id sg-2");
}

#[test]
fn f097_f109_acls_are_looked_at_both_ways() {
    let acl = |subnets: &[&str], entries: Vec<AclEntry>| Acl {
        id: id("acl-2"),
        name: Some("tight".to_owned()),
        subnets: subnets.iter().map(|one| id(one)).collect(),
        entries,
    };
    let open =
        || vec![entry(100, true, true, Packets::All, "0.0.0.0/0"), entry(100, false, true, Packets::All, "0.0.0.0/0")];
    let behind = |subnets: &'static [&'static str], more: Vec<AclEntry>| {
        move |facts: &mut Facts| {
            let acls = facts.acls.as_mut().unwrap();
            acls[0].subnets.retain(|one| !subnets.contains(&one.as_str()));
            acls.push(acl(subnets, [open(), more].concat()));
        }
    };
    let standbys = |found: Vec<Finding>| -> Vec<Finding> {
        found.into_iter().filter(|one| one.of.as_deref() != Some("primary")).collect()
    };
    let no_pings_in = vec![entry(50, false, false, Packets::Icmp(Some(8)), "10.0.0.0/8")];
    let found = standbys(troubles(behind(&["subnet-0p"], no_pings_in.clone())));
    let one = only(found, "acl", Fitness::Warning, "acl-2 (tight)) drops pings", "");
    assert_eq!(one.details[0], "pings from 10.0.10.0/24 can't come in: entry 50 denies it");
    assert!(one.remedy.unwrap().starts_with(
        "aws ec2 create-network-acl-entry --network-acl-id acl-2 --ingress --rule-number 49 --protocol icmp --icmp-type-code Type=8,Code=-1 \
         --cidr-block 10.0.10.0/24 --rule-action allow"
    ));
    for lines in [&[][..], &PRIMARY] {
        let found = troubles_with(lines, behind(&["subnet-0p"], no_pings_in.clone()));
        let fitness: Vec<_> = found.iter().map(|one| (one.of.as_deref(), one.fitness)).collect();
        assert_eq!(fitness, [(Some("standby"), Fitness::Warning), (Some("primary"), Fitness::Unfit)]);
    }
    // What the standby itself can't hear makes every target bad.
    let no_answers = vec![entry(50, false, false, Packets::Icmp(Some(0)), "0.0.0.0/0")];
    only(
        standbys(troubles(behind(&["subnet-0p"], no_answers.clone()))),
        "acl",
        Fitness::Unfit,
        "drops the answers to pings",
        "--ingress",
    );
    let no_web = vec![entry(50, true, false, Packets::Tcp(0, 65535), "0.0.0.0/0")];
    only(troubles(behind(&["subnet-0p"], no_web)), "acl", Fitness::Unfit, "drops TCP 443", "--egress");
    let found = troubles(behind(&["subnet-1"], no_answers.clone()));
    let one = only(found, "subnet-acl", Fitness::Warning, "of subnet-1 (private-1)", "");
    assert_eq!(one.of.as_deref(), Some("subnet-1"));
    let all = troubles(behind(&["subnet-1", "subnet-2"], no_answers));
    assert!(all.len() == 2 && all.iter().all(|one| one.fitness == Fitness::Unfit), "{all:?}");
}

/// The numbers in a remedy, with the side that each is of.
fn numbers(remedy: &str) -> Vec<(&str, i32)> {
    let of = |command: &'_ str| {
        let number = command.split("--rule-number ").nth(1)?.split(' ').next()?.parse().ok()?;
        Some((if command.contains("--egress") { "egress" } else { "ingress" }, number))
    };
    remedy.split("; ").filter_map(of).collect()
}

#[test]
fn f097_f109_each_entry_that_is_to_be_made_has_a_number_of_its_own() {
    let with =
        |entries: Vec<AclEntry>| troubles_with(&PRIMARY, |facts| facts.acls.as_mut().unwrap()[0].entries = entries);
    let open = |egress| entry(100, egress, true, Packets::All, "0.0.0.0/0");
    let deny = |number| entry(number, false, false, Packets::All, "0.0.0.0/0");
    let said = |found: &[Finding], role: &str| {
        let of = |one: &&Finding| one.id == "acl" && one.of.as_deref() == Some(role);
        found.iter().find(of).unwrap().clone()
    };
    let found =
        with(vec![open(false), open(true), deny(50), entry(49, false, true, Packets::Tcp(22, 22), "0.0.0.0/0")]);
    let (standby, primary) = (said(&found, "standby"), said(&found, "primary"));
    let in_order = [48, 47, 46, 45, 44].map(|number| ("ingress", number));
    assert_eq!(numbers(standby.remedy.as_deref().unwrap()), in_order, "{standby:?}");
    // What the primary needs too is the same entry: no command is made for it that EC2 would refuse beside the first.
    for command in primary.remedy.as_deref().unwrap().split("; ").take(2) {
        assert!(standby.remedy.as_deref().unwrap().contains(command), "{primary:?}");
    }
    let all: Vec<&str> = found.iter().flat_map(|one| one.remedy.as_deref().unwrap().split("; ")).collect();
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
        assert!(one == other || numbers(one) != numbers(other), "{one} and {other}");
    }
    // An empty list is opened from below 100, each side by itself.
    let found = with(Vec::new());
    let numbers = numbers(said(&found, "standby").remedy.unwrap().leak());
    assert_eq!(numbers, [("egress", 99), ("ingress", 99), ("egress", 98), ("ingress", 98), ("ingress", 97)]);
}

#[test]
fn f097_f109_where_no_number_is_free_before_the_entry_that_denies_that_is_said() {
    let found = troubles_with(&PRIMARY, |facts| {
        facts.acls.as_mut().unwrap()[0].entries.push(entry(1, false, false, Packets::Icmp(None), "0.0.0.0/0"));
    });
    let of = |one: &&Finding| one.id == "acl" && one.of.as_deref() == Some("standby");
    let one = found.iter().find(of).unwrap();
    assert_eq!(
        one.details[0],
        "the answers to pings from 0.0.0.0/0 can't come in: entry 1 denies it; no number before it is free for an entry \
         that allows it: number its entries anew"
    );
    assert_eq!(one.remedy.as_deref(), Some("aws ec2 describe-network-acls --network-acl-ids acl-1"));
    // Two are free below entry 3, and more are needed.
    let found = troubles_with(&PRIMARY, |facts| {
        facts.acls.as_mut().unwrap()[0].entries.push(entry(3, false, false, Packets::All, "0.0.0.0/0"));
    });
    let one = found.iter().find(of).unwrap();
    assert_eq!(numbers(one.remedy.as_deref().unwrap()), [("ingress", 2), ("ingress", 1)], "{one:?}");
    assert!(one.details[2].ends_with("number its entries anew"), "{one:?}");
}

#[test]
fn what_may_not_be_read_is_said_and_accuses_nobody() {
    let found = troubles(|facts| facts.groups = Err("DescribeSecurityGroups: not allowed".to_owned()));
    only(found, "admits", Fitness::Unknown, "DescribeSecurityGroups: not allowed", "");
}

/// Blocks of IPv6, open wherever those of IPv4 are.
fn six(facts: &mut Facts) {
    for (at, block) in [(1, "2001:db8:0:1::/64"), (2, "2001:db8:0:2::/64")] {
        facts.subnets.as_mut().unwrap()[at].cidrs.push(block.parse().unwrap());
    }
    for group in facts.groups.as_mut().unwrap() {
        group.ingress.push(rule(Packets::All, &["2001:db8::/32"]));
        group.egress.push(rule(Packets::All, &["::/0"]));
    }
    let all = |egress| entry(101, egress, true, Packets::All, "::/0");
    facts.acls.as_mut().unwrap()[0].entries.extend([all(false), all(true)]);
}

#[test]
fn f085_f097_f109_groups_and_acls_are_judged_for_ipv6_where_it_is_watched() {
    assert_eq!(troubles_with(SIX, six), []);
    let group = |name: &'static str, change: fn(&mut SecurityGroup)| {
        move |facts: &mut Facts| {
            six(facts);
            change(facts.groups.as_mut().unwrap().iter_mut().find(|one| one.id.as_str() == name).unwrap());
        }
    };
    let close: fn(&mut SecurityGroup) = |group| drop(group.ingress.pop());
    assert_eq!(troubles(group("sg-0b", close)), [], "where no target is of IPv6, nobody pings by it");
    let one = only(
        troubles_with(SIX, group("sg-0b", close)),
        "admits",
        Fitness::Unfit,
        "admit nothing from 2001:db8:0:1::/64 (private-1), 2001:db8:0:2::/64 (private-2)",
        "",
    );
    assert_eq!(
        one.remedy.unwrap().split("; ").next().unwrap(),
        "aws ec2 authorize-security-group-ingress --group-id sg-0b --ip-permissions 'IpProtocol=-1,Ipv6Ranges=[{CidrIpv6=2001:db8:0:1::/64}]'"
    );
    // A rule for ICMP speaks of IPv4's alone, and none of ICMP is none of ICMPv6.
    let no_pings: fn(&mut SecurityGroup) = |group| {
        group.ingress.pop();
        group.ingress.push(rule(Packets::HTTPS, &["2001:db8::/32"]));
        group.ingress.push(rule(Packets::Icmp(None), &["2001:db8::/32"]));
    };
    let remedy = "'IpProtocol=icmpv6,FromPort=-1,ToPort=-1,Ipv6Ranges=[{CidrIpv6=2001:db8:0:1::/64}]'";
    let found = troubles_with(SIX, group("sg-0a", no_pings));
    only(found, "admits", Fitness::Unfit, "nobody there can become a witness", remedy);
    let by_type: fn(&mut SecurityGroup) = |group| {
        group.ingress.pop();
        group.ingress.push(rule(Packets::Icmp6(None), &["2001:db8::/32"]));
        group.ingress.push(rule(Packets::HTTPS, &["2001:db8::/32"]));
    };
    assert!(troubles_with(SIX, group("sg-0a", by_type)).is_empty());
    let mute: fn(&mut SecurityGroup) = |group| drop(group.egress.pop());
    let remedy = "Ipv6Ranges=[{CidrIpv6=::/0}]'";
    let found = troubles_with(SIX, group("sg-0b", mute));
    only(found, "lets-out", Fitness::Unfit, "let no IPv6 pings out: no target ever answers", remedy);
    let found = troubles_with(SIX, group("sg-1", mute));
    only(found, "pings-out", Fitness::Unfit, "3 backends let no IPv6 pings out", "'IpProtocol=icmpv6,");
    let found = troubles_with(SIX, |facts| {
        six(facts);
        facts.acls.as_mut().unwrap()[0].entries.retain(|one| one.number != 101);
    });
    let said: Vec<_> = found.iter().map(|one| (one.id, one.fitness)).collect();
    let unfit = Fitness::Unfit;
    assert_eq!(said, [("acl", unfit), ("acl", unfit), ("subnet-acl", unfit), ("subnet-acl", unfit)], "{found:#?}");
    assert!(
        found[0].text.ends_with("drops IPv6 pings, the answers to IPv6 pings, TCP 443, TCP 1024-65535"),
        "{found:#?}"
    );
    let first = "aws ec2 create-network-acl-entry --network-acl-id acl-1 --egress --rule-number 99 --protocol 58 \
                 --icmp-type-code Type=128,Code=-1 --ipv6-cidr-block ::/0 --rule-action allow";
    assert_eq!(found[0].remedy.as_ref().unwrap().split("; ").next().unwrap(), first);
}
