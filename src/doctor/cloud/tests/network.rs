//! Tables, routes, subnets, the check, the way out, and who is behind the primary.

use super::*;
use crate::act::Held;
use crate::model::{Holder, Way};

#[test]
fn f056_tables_that_do_not_exist_or_are_of_two_vpcs_are_unfit() {
    let found = troubles(|facts| {
        for tables in [&mut facts.tables, &mut facts.all_tables] {
            tables.as_mut().unwrap().retain(|one| one.id.as_str() != "rtb-0b");
        }
    });
    let one = found.iter().find(|one| one.id == "tables").unwrap();
    assert_eq!((one.fitness, one.of.as_deref()), (Fitness::Unfit, Some("rtb-0b")));
    assert!(one.text.contains("standby.route_table = rtb-0b does not exist"), "{one:?}");
    assert_eq!(one.remedy.as_deref(), Some("aws ec2 describe-route-tables"));
    let keys = ["standby.route_table: route_table = \"one that is there\"", "standby.region: region = \"where it is\""];
    assert!(keys.iter().all(|key| crate::doctor::tests::to_do(one).contains(key)), "{one:?}");
    let found = troubles(|facts| edit(facts, "rtb-0b", |table| table.vpc = id("vpc-2")));
    only(
        found,
        "tables",
        Fitness::Unfit,
        "rtb-0a is in vpc-1, rtb-0b in vpc-2",
        "primary.route_table: route_table = \"one of vpc-2\"",
    );
    let found = troubles(|facts| facts.tables = Err("DescribeRouteTables: no answer".to_owned()));
    assert!(found.iter().all(|one| one.fitness == Fitness::Unknown), "{found:?}");
    assert!(found.iter().any(|one| one.id == "tables"), "{found:?}");
}

#[test]
fn f054_the_standbys_own_route_leads_here_and_is_active() {
    let set = |change: fn(&mut RouteTable)| troubles(|facts| edit(facts, "rtb-0b", change));
    let missing = set(|table| table.routes.retain(|route| route.destination != "0.0.0.0/0"));
    only(
        missing,
        "standby-route",
        Fitness::Unfit,
        "rtb-0b has no route for 0.0.0.0/0",
        "aws ec2 create-route --route-table-id rtb-0b",
    );
    let blackhole = set(|table| table.routes[1].blackhole = true);
    only(blackhole, "standby-route", Fitness::Unfit, "is a blackhole", "aws ec2 replace-route");
    let elsewhere = set(|table| table.routes[1] = route("0.0.0.0/0", "i-0a"));
    only(elsewhere, "standby-route", Fitness::Unfit, "to i-0a, not to this instance (i-0b)", "--instance-id i-0b");
}

#[test]
fn f085_ipv6_that_the_standbys_table_does_not_lead_here_is_unfit_only_where_a_target_is_of_it() {
    let six = |lines: &[(&str, &str)], way: Option<&str>| {
        let mut facts = facts();
        edit(&mut facts, "rtb-0a", |table| table.routes.push(route("::/0", "i-0a")));
        edit(&mut facts, "rtb-0b", |table| table.routes.extend(way.map(|way| route("::/0", way))));
        let all = found(&facts, &settings(lines)).into_iter().filter(|one| one.id == "standby-route");
        let all: Vec<Finding> = all.filter(|one| one.text.contains("::/0")).collect();
        let [one] = all.try_into().unwrap();
        let one: Finding = one;
        one
    };
    let lost = six(&[], None);
    assert_eq!((lost.fitness, lost.cause), (Fitness::Warning, Some("carries-less")), "{lost:?}");
    assert!(lost.text.contains("rtb-0b has no route for ::/0: whoever is moved loses IPv6"), "{lost:?}");
    let back = six(&[], Some("i-0a"));
    assert_eq!((back.fitness, back.cause), (Fitness::Warning, Some("carries-less")), "{back:?}");
    let beside = six(&[], Some("eigw-1"));
    assert!(beside.fitness == Fitness::Fit && beside.text.contains("sends ::/0 to eigw-1"), "{beside:?}");
    assert_eq!(six(&[], Some("i-0b")).fitness, Fitness::Fit);
    for way in [None, Some("eigw-1")] {
        let judged = six(super::seeded::SIX, way);
        assert_eq!((judged.fitness, judged.cause), (Fitness::Unfit, Some("leads-elsewhere")), "{judged:?}");
    }
}

#[test]
fn f054_the_primarys_route_leads_to_the_primary() {
    let set = |lines: &[(&str, &str)], to: Route| {
        troubles_with(lines, |facts| edit(facts, "rtb-0a", |table| table.routes[1] = to.clone()))
    };
    let all = |found: Vec<Finding>| found.into_iter().find(|one| one.id == "primary-route").unwrap();
    let blackhole = Route { blackhole: true, ..route("0.0.0.0/0", "i-0a") };
    let one = all(set(&[], blackhole));
    assert!(one.fitness == Fitness::Warning && one.text.contains("black hole"), "{one:?}");
    let one = all(set(&[], route("0.0.0.0/0", "igw-1")));
    assert!(one.fitness == Fitness::Unfit && one.text.contains("to igw-1, and not to a NAT instance"), "{one:?}");
    let one = all(set(&[], route("0.0.0.0/0", "i-0b")));
    assert!(one.fitness == Fitness::Unfit && one.text.contains("to this instance, which is the standby"), "{one:?}");
    let one = all(set(&[], route("192.0.2.0/24", "i-0a")));
    assert!(one.fitness == Fitness::Unfit && one.text.contains("has no default route"), "{one:?}");
    assert!(one.remedy.unwrap().starts_with("aws ec2 create-route --route-table-id rtb-0a"));
    let named = [("primary", "instance = \"i-0a\"")];
    let one = all(set(&named, route("0.0.0.0/0", "i-0z")));
    assert!(one.fitness == Fitness::Warning && one.text.contains("to i-0z, not to primary.instance = i-0a"), "{one:?}");
    assert!(one.remedy.unwrap().ends_with("--instance-id i-0a"));
    // A route that leads to somebody else is nothing that a takeover by routes would replace.
    let by_route = [named[0], ("takeover", "method = \"route\"")];
    assert_eq!(all(set(&by_route, route("0.0.0.0/0", "i-0z"))).fitness, Fitness::Unfit);
}

#[test]
fn f055_the_difference_of_the_tables_is_printed_as_one() {
    let found = troubles(|facts| {
        edit(facts, "rtb-0a", |table| {
            table.routes.push(route("192.168.0.0/16", "pcx-1"));
            table.routes.push(route("172.16.0.0/12", "tgw-1"));
            table.routes.push(route("pl-1", "vpce-1"));
        });
        edit(facts, "rtb-0b", |table| {
            table.routes.push(route("172.16.0.0/12", "vgw-1"));
            table.routes.push(route("198.18.0.0/15", "pcx-2"));
        });
    });
    let one = only(found, "differences", Fitness::Warning, "rtb-0b lacks 3 routes of rtb-0a", "");
    assert_eq!(
        one.details,
        [
            "- 192.168.0.0/16 to pcx-1",
            "- 172.16.0.0/12 to tgw-1",
            "+ 172.16.0.0/12 to vgw-1",
            "- pl-1 to vpce-1",
            "+ 198.18.0.0/15 to pcx-2",
        ]
    );
    assert_eq!(
        one.remedy.unwrap(),
        "aws ec2 create-route --route-table-id rtb-0b --destination-cidr-block 192.168.0.0/16 --vpc-peering-connection-id pcx-1; \
         aws ec2 replace-route --route-table-id rtb-0b --destination-cidr-block 172.16.0.0/12 --transit-gateway-id tgw-1; \
         aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-1 --add-route-table-ids rtb-0b"
    );
    let more = troubles(|facts| edit(facts, "rtb-0b", |table| table.routes.push(route("198.18.0.0/15", "pcx-2"))));
    assert_eq!(more, [], "who is moved loses nothing");
}

#[test]
fn the_address_that_comes_along_is_with_the_primary_or_with_nobody() {
    let lines = [("takeover", "elastic_ip = \"eipalloc-1\"")];
    let with = |instance: &str| {
        let way = Way { interface: None, instance: Some(id(instance)) };
        Ok(Some(Held { holder: Holder { way, private: None }, association: id("eipassoc-1") }))
    };
    let set = |held: Result<Option<Held>, String>| troubles_with(&lines, |facts| facts.address = Some(held));
    assert_eq!(set(with("i-0a")), []);
    assert_eq!(set(Ok(None)), []);
    only(set(with("i-0b")), "elastic-ip", Fitness::Warning, "with this instance already", "aws ec2 associate-address");
    only(set(with("i-0z")), "elastic-ip", Fitness::Warning, "i-0z, which is not the primary", "--allow-reassociation");
    let gone = set(Err("eipalloc-1 does not exist".to_owned()));
    let one = only(gone, "elastic-ip", Fitness::Unfit, "does not exist", "aws ec2 describe-addresses");
    assert!(crate::doctor::tests::to_do(&one).ends_with("takeover.elastic_ip: elastic_ip = \"one that is there\""));
}

#[test]
fn routes_that_a_takeover_replaces_are_there_and_lead_to_the_primary() {
    let lines = [("takeover", "method = \"route\"\ndestinations = [\"0.0.0.0/0\", \"10.9.9.9/32\"]")];
    let found = troubles_with(&lines, |_| {});
    only(
        found,
        "destination",
        Fitness::Warning,
        "no route for 10.9.9.9/32",
        "aws ec2 create-route --route-table-id rtb-0a",
    );
    let led = |target: &'static str| {
        troubles_with(&lines, |facts| {
            for name in ["rtb-0a", "rtb-0b"] {
                edit(facts, name, |table| table.routes.push(route("10.9.9.9/32", target)));
            }
        })
    };
    assert_eq!(led("i-0a"), []);
    only(led("igw-1"), "destination", Fitness::Unfit, "10.9.9.9/32 to igw-1", "aws ec2 replace-route");
}

#[test]
fn f053_subnets_that_depend_on_the_primary_by_the_main_table_are_named_with_the_command() {
    let subnet = |name: &str| Subnet { id: id(name), name: None, cidrs: vec!["10.0.12.0/24".parse().unwrap()] };
    let found = troubles(|facts| {
        facts.subnets.as_mut().unwrap().push(subnet("subnet-3"));
        edit(facts, "rtb-0m", |table| table.routes.push(route("0.0.0.0/0", "i-0a")));
    });
    let remedy = "aws ec2 associate-route-table --subnet-id subnet-3 --route-table-id rtb-0a";
    only(found, "left-out", Fitness::Warning, "1 subnet is on the VPC's main table, rtb-0m", remedy);
    // One that does not lead to the primary leaves nobody without a guard.
    assert_eq!(troubles(|facts| facts.subnets.as_mut().unwrap().push(subnet("subnet-3"))), []);
    let third = table("rtb-0t", &[("0.0.0.0/0", "i-0a")], &["subnet-4"]);
    let found = troubles(|facts| facts.all_tables.as_mut().unwrap().push(third.clone()));
    let remedy = "aws ec2 replace-route-table-association --association-id rtbassoc-4 --route-table-id rtb-0a";
    let one = only(found, "left-out", Fitness::Warning, "rtb-0t also leads to the primary", remedy);
    assert_eq!(one.details, ["or a natwatch of its own, with this table in primary.route_table"]);
}

#[test]
fn f053_f056_a_listed_subnet_that_is_on_neither_table_is_unfit() {
    let set = |subnet: &str, change: fn(&mut Facts)| {
        troubles_with(&[("takeover", &format!("subnets = [\"subnet-1\", \"subnet-2\", \"{subnet}\"]"))], change)
    };
    let one = set("subnet-0p", |_| {});
    let one = one.iter().find(|one| one.id == "listed").unwrap();
    assert!(one.text.contains("subnet-0p (public) of takeover.subnets is on rtb-0c"), "{one:?}");
    assert!(one.remedy.as_ref().unwrap().contains("--association-id rtbassoc-0p --route-table-id rtb-0a"), "{one:?}");
    let gone = set("subnet-9", |_| {});
    let text = "subnet-9 of takeover.subnets does not exist in vpc-1";
    let one = only(gone, "listed", Fitness::Unfit, text, "aws ec2 describe-subnets");
    assert!(crate::doctor::tests::to_do(&one).ends_with("takeover.subnets: without subnet-9"), "{one:?}");
    let implicit = set("subnet-3", |facts| {
        facts.subnets.as_mut().unwrap().push(Subnet { id: id("subnet-3"), name: None, cidrs: Vec::new() });
    });
    only(
        implicit,
        "listed",
        Fitness::Unfit,
        "has no explicit association",
        "aws ec2 associate-route-table --subnet-id subnet-3",
    );
}

#[test]
fn nothing_too_much_and_what_is_away_are_told_of_the_guarded_subnets() {
    let found = troubles(|facts| edit(facts, "rtb-0a", |table| table.associations.clear()));
    let one = found.iter().find(|one| one.id == "guarded").unwrap();
    assert!(one.fitness == Fitness::Unfit && one.text.contains("nothing is guarded"), "{one:?}");
    let found = troubles_with(&[("takeover", "max_subnets = 1")], |_| {});
    only(
        found,
        "guarded",
        Fitness::Unfit,
        "2 subnets are guarded, takeover.max_subnets is 1",
        "takeover.max_subnets: max_subnets = 2",
    );
    let lines = [("takeover", "subnets = [\"subnet-1\", \"subnet-2\"]")];
    let found = troubles_with(&lines, |facts| {
        edit(facts, "rtb-0a", |table| table.associations.clear());
        edit(facts, "rtb-0b", |table| {
            table.associations = ["subnet-1", "subnet-2"].map(|one| association(Some(one))).into();
        });
    });
    let one = only(found, "guarded", Fitness::Warning, "none is on the primary", "natwatch status");
    assert_eq!(one.details[2], "when the primary is well: natwatch failback");
    assert_eq!(one.details[0], "subnet-1 (private-1) 10.0.10.0/24: on this standby");
}

#[test]
fn f008_f110_the_check_of_the_interface_that_the_route_names_is_looked_at() {
    let second = |on| Interface { id: id("eni-0b2"), device_index: 1, source_dest_check: on };
    let on = |facts: &mut Facts| facts.instances.as_mut().unwrap()[1].interfaces[0].source_dest_check = true;
    let said = |lines: &[(&str, &str)], change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        found(&facts, &settings(lines)).into_iter().find(|one| one.id == "source-dest-check").unwrap()
    };
    assert_eq!(said(&[], &|_| {}).text, "the source/destination check of eni-0b is off");
    let one = said(&[], &on);
    assert!(one.fitness == Fitness::Fit && one.text.contains("a takeover switches it off first"), "{one:?}");
    let one = said(&[("takeover", "disable_source_dest_check = false")], &on);
    assert!(
        one.fitness == Fitness::Unfit
            && one.remedy.unwrap().ends_with("--network-interface-id eni-0b --no-source-dest-check")
    );
    let one = said(&[], &|facts| {
        on(facts);
        facts.answers.push((Right::DisableCheck(id("eni-0b")), Answer::Denied));
    });
    assert!(one.fitness == Fitness::Unfit && one.text.contains("is not allowed to"), "{one:?}");
    // The first interface's is of no interest where the route names the second.
    let one = said(&[], &|facts| {
        on(facts);
        facts.instances.as_mut().unwrap()[1].interfaces.push(second(false));
        edit(facts, "rtb-0b", |table| table.routes[1].interface = Some(id("eni-0b2")));
    });
    assert_eq!((one.fitness, one.of.as_deref()), (Fitness::Fit, Some("eni-0b2")));
}

#[test]
fn f003_the_standbys_own_way_out_does_not_lead_through_the_primary() {
    let found = troubles(|facts| {
        edit(facts, "rtb-0c", |table| table.associations.clear());
        edit(facts, "rtb-0a", |table| table.associations.push(association(Some("subnet-0p"))));
    });
    let of = |id: &str| found.iter().find(|one| one.id == id).unwrap();
    assert!(
        of("own-route").fitness == Fitness::Unfit
            && of("own-route").text.contains("routed through the primary (rtb-0a)")
    );
    assert!(
        of("ec2-route").fitness == Fitness::Unfit
            && of("ec2-route").text.contains("with it dead nothing could be moved")
    );
    let remedy = "aws ec2 replace-route-table-association --association-id rtbassoc-0p --route-table-id rtb-0c";
    assert_eq!(of("own-route").remedy.as_deref(), Some(remedy));
    // By the main table, which leads to the primary too.
    let found = troubles(|facts| {
        edit(facts, "rtb-0c", |table| table.associations.clear());
        edit(facts, "rtb-0m", |table| table.routes.push(route("0.0.0.0/0", "i-0a")));
    });
    assert!(found.iter().any(|one| one.id == "own-route" && one.fitness == Fitness::Unfit), "{found:?}");
    let found = troubles(|facts| edit(facts, "rtb-0c", |table| table.routes[1] = route("0.0.0.0/0", "i-0b")));
    only(
        found,
        "own-route",
        Fitness::Unfit,
        "is routed to this instance itself",
        "aws ec2 replace-route-table-association --association-id rtbassoc-0p --route-table-id TABLE",
    );
    let found = troubles(|facts| edit(facts, "rtb-0c", |table| table.routes.truncate(1)));
    only(found, "own-route", Fitness::Unfit, "has no default route", "--association-id rtbassoc-0p");
}

#[test]
fn f003_f110_the_way_out_is_that_of_the_interface_that_the_kernel_uses() {
    let found = troubles(|facts| {
        let second =
            NetworkInterface { id: id("eni-0b2"), ..interface("0b", "subnet-1", "i-0b", "10.0.10.20", "sg-0b") };
        facts.interfaces.as_mut().unwrap().push(second);
        facts.way.from = Some("10.0.10.20".parse().unwrap());
    });
    assert!(
        found.iter().any(
            |one| one.id == "own-route" && one.text.contains("subnet-1 (private-1), is routed through the primary")
        )
    );
}

#[test]
fn f003_ec2_is_reached_without_the_primary() {
    let primary = [("primary", "address = \"10.0.0.10\"")];
    let found = troubles_with(&primary, |facts| facts.way.gateway = Some("10.0.0.10".parse().unwrap()));
    only(
        found,
        "ec2-route",
        Fitness::Unfit,
        "this machine's own routes send what goes to EC2",
        "ip route get 52.94.1.1",
    );
    // Also where that is why EC2 does not answer.
    let found = troubles_with(&primary, |facts| {
        facts.way.gateway = Some("10.0.0.10".parse().unwrap());
        facts.instances = Err("no answer".to_owned());
        facts.tables = Err("no answer".to_owned());
    });
    assert!(found.iter().any(|one| one.id == "ec2-route" && one.fitness == Fitness::Unfit), "{found:?}");
    // The same by the interfaces of the instance that is the primary.
    let named = [("primary", "instance = \"i-0a\"")];
    let found = troubles_with(&named, |facts| facts.way.gateway = Some("10.0.0.10".parse().unwrap()));
    only(found, "ec2-route", Fitness::Unfit, "to the primary, 10.0.0.10", "");
    let behind = |facts: &mut Facts| {
        edit(facts, "rtb-0c", |table| table.associations.clear());
        edit(facts, "rtb-0m", |table| table.routes.push(route("0.0.0.0/0", "i-0a")));
        facts.way.addresses = Ok(vec!["10.0.11.77".parse().unwrap()]);
    };
    let found = troubles(behind);
    assert!(found.iter().all(|one| one.id != "ec2-route"), "an endpoint inside the VPC needs no NAT: {found:?}");
    let found = troubles(|facts| facts.way.addresses = Ok(vec!["10.77.0.1".parse().unwrap()]));
    only(found, "ec2-route", Fitness::Warning, "a private address outside of this VPC", "ip route get 10.77.0.1");
    let found = troubles(|facts| facts.way.addresses = Err("ec2 does not resolve: no such name".to_owned()));
    only(found, "ec2-route", Fitness::Unfit, "does not resolve", "resolv.conf");
}

#[test]
fn f045_backends_that_are_not_behind_the_primary_are_named() {
    let found = troubles_with(&[("decision", "threshold = 2")], |facts| {
        let one = &mut facts.backends.as_mut().unwrap()[0];
        one.public = one.addresses.clone();
    });
    only(
        found,
        "public-address",
        Fitness::Warning,
        "1 backend has a public address of their own and do not need the primary, so are never asked: 10.0.10.10; without those addresses they would do",
        "backends.hosts: without 10.0.10.10",
    );
    let mut settings = settings(&[("decision", "threshold = 2")]);
    let moved = settings.observe.backends.iter().position(|one| one.host == "10.0.11.11").unwrap();
    settings.observe.backends[moved].addr = Some("10.0.0.30".parse().unwrap());
    let outside = found_of(&settings);
    only(outside, "outside", Fitness::Warning, "10.0.11.11 (subnet-0p (public))", "backends.hosts: without 10.0.11.11");
    settings.observe.backends[moved].addr = None;
    settings.decide.threshold = 3;
    let found = found_of(&settings);
    let one = found.iter().find(|one| one.id == "behind-primary").unwrap();
    assert!(
        one.fitness == Fitness::Unfit && one.text.contains("2 backends are behind the primary, and it takes 3"),
        "{one:?}"
    );
    assert!(crate::doctor::tests::to_do(one).ends_with("decision.threshold: threshold = 2"), "{one:?}");
}

fn found_of(settings: &Settings) -> Vec<Finding> {
    found(&facts(), settings).into_iter().filter(|one| one.fitness != Fitness::Fit).collect()
}
