//! A healthy account, and what is found when one thing of it is otherwise.

mod admission;
mod asked;
mod identity;
mod network;
mod seeded;

use std::path::Path;
use std::time::Duration;

pub(in crate::doctor) use seeded::seeds;

use super::facts::Facts;
use super::way::Way as ToEc2;
use super::*;
use crate::config::{Files, Role};
use crate::model::{
    Acl, AclEntry, Association, GroupRule, Instance, Interface, NetworkInterface, Packets, Route, RouteTable,
    SecurityGroup, Subnet,
};

pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("there are no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

const TARGETS: &str = "hosts = [\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]\n";

/// Two tables, three backends, and these lines: `("takeover", "max_subnets = 1")`.
pub(super) fn settings(lines: &[(&str, &str)]) -> Settings {
    let of = |section: &str| {
        lines.iter().filter(|(of, _)| *of == section).flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
    };
    let text = format!(
        "[primary]\nroute_table = \"rtb-0a\"\n{}[standby]\nroute_table = \"rtb-0b\"\n{}[backends]\nhosts = [\"10.0.10.10\", \
         \"10.0.11.11\", \"10.0.10.12\"]\n{}[targets]\n{}[decision]\n{}[takeover]\n{}",
        of("primary"),
        of("standby"),
        of("backends"),
        if lines.iter().any(|(of, _)| *of == "targets") { of("targets") } else { TARGETS.to_owned() },
        of("decision"),
        of("takeover")
    );
    Settings::parse(&text, Path::new("/etc/natwatch/n.toml"), &NoFiles).unwrap()
}

pub(super) fn association(subnet: Option<&str>) -> Association {
    let number = subnet.map_or("main", |one| one.trim_start_matches("subnet-"));
    Association { id: id(&format!("rtbassoc-{number}")), subnet: subnet.map(id), main: subnet.is_none(), failed: None }
}

pub(super) fn route(destination: &str, target: &str) -> Route {
    let (instance, interface) = match target {
        "i-0a" => (Some("i-0a"), Some("eni-0a")),
        "i-0b" => (Some("i-0b"), Some("eni-0b")),
        target if target.starts_with("i-") => (Some(target), None),
        _ => (None, None),
    };
    Route {
        destination: destination.to_owned(),
        instance: instance.map(id),
        interface: interface.map(id),
        other: instance.is_none().then(|| target.to_owned()),
        blackhole: false,
    }
}

pub(super) fn table(name: &str, routes: &[(&str, &str)], subnets: &[&str]) -> RouteTable {
    RouteTable {
        id: id(name),
        vpc: id("vpc-1"),
        name: None,
        routes: std::iter::once(route("10.0.0.0/16", "local"))
            .chain(routes.iter().map(|(destination, target)| route(destination, target)))
            .collect(),
        associations: subnets.iter().map(|one| association(Some(one))).collect(),
    }
}

fn instance(name: &str, number: &str) -> Instance {
    Instance {
        id: id(&format!("i-{number}")),
        name: Some(name.to_owned()),
        state: "running".to_owned(),
        subnet: Some(id("subnet-0p")),
        launched_ago: Some(Duration::from_hours(24)),
        interfaces: vec![Interface { id: id(&format!("eni-{number}")), device_index: 0, source_dest_check: false }],
    }
}

pub(super) fn interface(number: &str, subnet: &str, instance: &str, address: &str, group: &str) -> NetworkInterface {
    NetworkInterface {
        id: id(&format!("eni-{number}")),
        subnet: id(subnet),
        instance: Some(id(instance)),
        addresses: vec![address.parse().unwrap()],
        public: Vec::new(),
        groups: vec![id(group)],
    }
}

pub(super) fn rule(what: Packets, peers: &[&str]) -> GroupRule {
    let (groups, blocks): (Vec<&&str>, Vec<&&str>) = peers.iter().partition(|one| one.starts_with("sg-"));
    GroupRule {
        what,
        blocks: blocks.into_iter().map(|one| one.parse().unwrap()).collect(),
        groups: groups.into_iter().map(|one| id(one)).collect(),
        lists: Vec::new(),
    }
}

pub(super) fn group(name: &str, ingress: Vec<GroupRule>) -> SecurityGroup {
    SecurityGroup {
        id: id(name),
        name: Some("nat".to_owned()),
        ingress,
        egress: vec![rule(Packets::All, &["0.0.0.0/0"])],
    }
}

pub(super) fn entry(number: i32, egress: bool, allow: bool, what: Packets, block: &str) -> AclEntry {
    AclEntry { number, egress, allow, what, block: block.parse().unwrap() }
}

/// All as it should be.
pub(super) fn facts() -> Facts {
    let primary = table("rtb-0a", &[("0.0.0.0/0", "i-0a")], &["subnet-1", "subnet-2"]);
    let standby = table("rtb-0b", &[("0.0.0.0/0", "i-0b")], &[]);
    let mut main = table("rtb-0m", &[], &[]);
    main.associations.push(association(None));
    let public = table("rtb-0c", &[("0.0.0.0/0", "igw-1")], &["subnet-0p"]);
    let subnet = |name: &str, called: &str, block: &str| Subnet {
        id: id(name),
        name: Some(called.to_owned()),
        cidrs: vec![block.parse().unwrap()],
    };
    let open = |egress| entry(100, egress, true, Packets::All, "0.0.0.0/0");
    Facts {
        metadata: Metadata::Answers,
        imds: Ok(id("i-0b")),
        region: Ok(Region { name: "eu-central-1".to_owned(), source: "IMDS" }),
        tables: Ok(vec![primary.clone(), standby.clone()]),
        instances: Ok(vec![instance("nat1", "0a"), instance("nat2", "0b")]),
        address: None,
        way: ToEc2 {
            endpoint: Ok(Endpoint { host: "ec2.eu-central-1.amazonaws.com".to_owned(), port: 443, proxy: false }),
            addresses: Ok(vec!["52.94.1.1".parse().unwrap()]),
            from: Some("10.0.0.20".parse().unwrap()),
            gateway: Some("10.0.0.1".parse().unwrap()),
        },
        all_tables: Ok(vec![primary, standby, main, public]),
        subnets: Ok(vec![
            subnet("subnet-0p", "public", "10.0.0.0/24"),
            subnet("subnet-1", "private-1", "10.0.10.0/24"),
            subnet("subnet-2", "private-2", "10.0.11.0/24"),
        ]),
        acls: Ok(vec![Acl {
            id: id("acl-1"),
            name: None,
            subnets: vec![id("subnet-0p"), id("subnet-1"), id("subnet-2")],
            entries: vec![open(false), open(true)],
        }]),
        interfaces: Ok(vec![
            interface("0a", "subnet-0p", "i-0a", "10.0.0.10", "sg-0a"),
            interface("0b", "subnet-0p", "i-0b", "10.0.0.20", "sg-0b"),
        ]),
        backends: Ok(vec![
            interface("10", "subnet-1", "i-10", "10.0.10.10", "sg-1"),
            interface("11", "subnet-2", "i-11", "10.0.11.11", "sg-1"),
            interface("12", "subnet-1", "i-12", "10.0.10.12", "sg-1"),
        ]),
        groups: Ok(vec![
            group("sg-0a", vec![rule(Packets::All, &["10.0.0.0/16"])]),
            group("sg-0b", vec![rule(Packets::All, &["10.0.0.0/16"])]),
            group("sg-1", vec![]),
        ]),
        answers: vec![(Right::DescribeRouteTables, Answer::Allowed)],
        unasked: Vec::new(),
    }
}

/// Both copies of one of the tables: what is read first, and what is read of the VPC.
pub(super) fn edit(facts: &mut Facts, name: &str, change: impl Fn(&mut RouteTable)) {
    let tables = facts.tables.as_mut().unwrap().iter_mut();
    let all = tables.chain(facts.all_tables.as_mut().unwrap().iter_mut());
    all.filter(|table| table.id.as_str() == name).for_each(change);
}

/// What is found, with the configuration's own backends. Whatever a table of a test has wrong, what is to be done is fit to paste.
#[track_caller]
pub(super) fn found(facts: &Facts, settings: &Settings) -> Vec<Finding> {
    let found = judge(facts, Subject { settings, backends: &settings.observe.backends, known: None });
    crate::doctor::tests::can_be_done(&found);
    found
}

/// What is found with the usual configuration when one thing is otherwise, but for what is fit.
#[track_caller]
pub(super) fn troubles(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    troubles_with(&[], change)
}

#[track_caller]
pub(super) fn troubles_with(lines: &[(&str, &str)], change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = facts();
    change(&mut facts);
    found(&facts, &settings(lines)).into_iter().filter(|one| one.fitness != Fitness::Fit).collect()
}

/// The only finding that is not fit: its id, what it says and what to do.
#[track_caller]
pub(super) fn only(found: Vec<Finding>, id: &str, fitness: Fitness, text: &str, remedy: &str) -> Finding {
    let [one] = found.try_into().unwrap_or_else(|all| panic!("not one: {all:#?}"));
    let one: Finding = one;
    assert_eq!((one.id, one.fitness), (id, fitness), "{one:?}");
    assert!(one.text.contains(text), "{text:?} is not in {:?}", one.text);
    let said = crate::doctor::tests::to_do(&one);
    assert!(said.contains(remedy), "{remedy:?} is not in {said:?}");
    one
}

#[test]
fn a_healthy_account_is_fit_in_everything() {
    let lines = [
        ("primary", "instance = \"i-0a\""),
        ("standby", "instance = \"i-0b\""),
        ("takeover", "subnets = [\"subnet-1\", \"subnet-2\"]"),
    ];
    for lines in [&[][..], &lines] {
        let found = found(&facts(), &settings(lines));
        let not: Vec<_> = found.iter().filter(|one| one.fitness != Fitness::Fit).collect();
        assert!(not.is_empty(), "{not:#?}");
        let mut ids: Vec<_> = found.iter().map(|one| one.id).collect();
        ids.dedup();
        for id in [
            "imds",
            "region",
            "standby-instance",
            "credentials",
            "allowed",
            "tables",
            "standby-route",
            "primary-route",
            "differences",
            "guarded",
            "admits",
            "acl",
            "pings-out",
            "subnet-acl",
            "own-route",
            "ec2-route",
            "behind-primary",
            "source-dest-check",
        ] {
            assert!(ids.contains(&id), "nothing is said of {id}: {ids:?}");
        }
    }
}

#[test]
fn where_nothing_is_told_or_nobody_is_named_there_is_still_something_to_be_done() {
    let why = || "no answer".to_owned();
    let nothing = |facts: &mut Facts| {
        (facts.tables, facts.instances, facts.subnets) = (Err(why()), Err(why()), Err(why()));
        (facts.all_tables, facts.acls, facts.interfaces) = (Err(why()), Err(why()), Err(why()));
        (facts.backends, facts.groups, facts.address) = (Err(why()), Err(why()), Some(Err(why())));
        facts.way.endpoint = Err(why());
        facts.answers = vec![(Right::DescribeSubnets, Answer::Unclear(why()))];
    };
    let lines = [("primary", "instance = \"i-0a\""), ("takeover", "elastic_ip = \"eipalloc-1\"")];
    let unknown: Vec<&str> = troubles_with(&lines, nothing).iter().map(|one| one.id).collect();
    for id in ["tables", "credentials", "guarded", "own-route", "ec2-route", "behind-primary", "standby-instance"] {
        assert!(unknown.contains(&id), "{id}: {unknown:?}");
    }
    let said = |change: &dyn Fn(&mut Facts), id: &str| {
        let found = troubles(change);
        found.into_iter().find(|one| one.id == id).unwrap_or_else(|| panic!("{id}")).remedy.unwrap()
    };
    let later = |facts: &mut Facts| {
        (facts.all_tables, facts.subnets) = (Err(why()), Err(why()));
    };
    assert_eq!(said(&later, "left-out"), "aws ec2 describe-route-tables; aws ec2 describe-subnets");
    assert_eq!(said(&later, "own-route"), "aws ec2 describe-route-tables");
    assert_eq!(said(&nothing, "credentials"), "aws sts get-caller-identity");
    assert_eq!(said(&nothing, "tables"), "aws ec2 describe-route-tables --route-table-ids rtb-0a rtb-0b");
    // Whose name is not known stands as a word in its place.
    let gone = |facts: &mut Facts| edit(facts, "rtb-0a", |table| table.routes.truncate(1));
    assert!(said(&gone, "primary-route").ends_with("--instance-id PRIMARY"));
    let nobody = |facts: &mut Facts| edit(facts, "rtb-0a", |table| table.associations.clear());
    assert!(said(&nobody, "guarded").contains("--subnet-id SUBNET"));
    let bare = |facts: &mut Facts| facts.interfaces.as_mut().unwrap()[1].groups.clear();
    assert!(said(&bare, "admits").contains("--group-id GROUP"));
}

#[test]
fn a_table_that_is_the_main_one_or_has_others_subnets_is_mended_by_a_command() {
    let lines = [("takeover", "method = \"route\"\nsubnets = [\"subnet-1\"]")];
    let found = troubles_with(&lines, |facts| {
        edit(facts, "rtb-0m", |table| table.associations.clear());
        edit(facts, "rtb-0a", |table| table.associations.push(association(None)));
    });
    let said: Vec<_> = found.iter().map(|one| (one.id, crate::doctor::tests::to_do(one))).collect();
    let said: Vec<_> = said.iter().map(|(id, line)| (*id, line.as_str())).collect();
    let line = "takeover.subnets: subnets = [\"subnet-1\", \"subnet-2\"]";
    assert!(said.contains(&("left-out", line)), "{said:?}");
    let command = "aws ec2 replace-route-table-association --association-id rtbassoc-main --route-table-id TABLE";
    assert!(said.contains(&("main-table", command)), "{said:?}");
}

#[test]
fn names_are_listed_up_to_a_handful() {
    let many: Vec<String> = (0..10).map(|n| format!("b{n}")).collect();
    assert_eq!(listed(&many), "b0, b1, b2, b3, b4, b5, b6, b7 and 2 more");
    assert_eq!((count(1, "subnet"), count(2, "subnet")), ("1 subnet".to_owned(), "2 subnets".to_owned()));
}
