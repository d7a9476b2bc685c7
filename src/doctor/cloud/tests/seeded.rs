//! Every way in which a precondition is not met of which EC2 or IMDS tells, seeded in a healthy account.

use super::*;
use crate::act::Held;
use crate::model::{Holder, InstanceId, Way};

fn why() -> String {
    "no answer".to_owned()
}

type Change = fn(&mut Facts);

fn group_of<'a>(facts: &'a mut Facts, name: &str) -> &'a mut SecurityGroup {
    facts.groups.as_mut().unwrap().iter_mut().find(|one| one.id.as_str() == name).unwrap()
}

/// Who has the address that comes along.
fn held(instance: &str) -> Held {
    let way = Way { interface: None, instance: Some(id::<InstanceId>(instance)) };
    Held { holder: Holder { way, private: None }, association: id("eipassoc-1") }
}

/// The standby's own subnet on another table.
fn uplink_on(facts: &mut Facts, name: &str) {
    edit(facts, "rtb-0c", |table| table.associations.clear());
    edit(facts, name, |table| table.associations.push(association(Some("subnet-0p"))));
}

const NOTHING: &[(&str, &str)] = &[];
const PRIMARY: &[(&str, &str)] = &[("primary", "instance = \"i-0a\"")];
const ADDRESS: &[(&str, &str)] = &[("takeover", "elastic_ip = \"eipalloc-1\"")];
const ROUTES: &[(&str, &str)] =
    &[("takeover", "method = \"route\"\ndestinations = [\"0.0.0.0/0\", \"10.9.9.9/32\"]\nsubnets = [\"subnet-1\"]")];

const OF_IDENTITY: &[(&[(&str, &str)], Change)] = &[
    (NOTHING, |facts| facts.imds = Err(why())),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::SwitchedOff, Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::Absent, Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::TokenLost(401), Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::TokenRefused(403, None), Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::TokenRefused(404, Some(200)), Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::TokenRefused(500, None), Err(why()))),
    (NOTHING, |facts| (facts.metadata, facts.imds) = (Metadata::Silent, Err(why()))),
    (NOTHING, |facts| facts.region = Err(why())),
    (&[("standby", "instance = \"i-0c\"")], |_| {}),
    (PRIMARY, |facts| facts.instances = Err(why())),
    (PRIMARY, |facts| facts.instances = Ok(Vec::new())),
    (&[("primary", "instance = \"i-0b\"")], |_| {}),
    (PRIMARY, |facts| facts.instances.as_mut().unwrap()[0].state = "stopped".to_owned()),
    (NOTHING, |facts| facts.answers = vec![(Right::DescribeSubnets, Answer::Unsigned(why()))]),
    (NOTHING, |facts| facts.answers = vec![(Right::DescribeSubnets, Answer::Unclear(why()))]),
    (NOTHING, |facts| facts.answers.push((Right::Reboot(id("i-0a")), Answer::Denied))),
    (NOTHING, |facts| facts.answers.push((Right::Reboot(id("i-0a")), Answer::Unclear(why())))),
    (NOTHING, |facts| facts.unasked.push(("ReplaceRoute", why()))),
    (NOTHING, |facts| {
        let to = |one: &str| Right::Associate(id(one), id("rtb-0b"));
        facts.answers.extend([(to("rtbassoc-1"), Answer::Allowed), (to("rtbassoc-2"), Answer::Denied)]);
    }),
];

const OF_ROUTES: &[(&[(&str, &str)], Change)] = &[
    (NOTHING, |facts| facts.tables = Err(why())),
    (NOTHING, |facts| facts.tables.as_mut().unwrap().truncate(1)),
    (NOTHING, |facts| edit(facts, "rtb-0b", |table| table.vpc = id("vpc-2"))),
    (NOTHING, |facts| edit(facts, "rtb-0b", |table| table.routes.truncate(1))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes.push(route("::/0", "i-0a")))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes.truncate(1))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes[1] = route("0.0.0.0/0", "igw-1"))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes[1] = route("0.0.0.0/0", "i-0b"))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes[1].blackhole = true)),
    (PRIMARY, |facts| edit(facts, "rtb-0a", |table| table.routes[1] = route("0.0.0.0/0", "i-0z"))),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.routes.push(route("192.0.2.0/24", "pcx-1")))),
    (ROUTES, |_| {}),
    (ROUTES, |facts| edit(facts, "rtb-0a", |table| table.routes.push(route("10.9.9.9/32", "igw-1")))),
    (ADDRESS, |facts| facts.address = Some(Err(why()))),
    (ADDRESS, |facts| (facts.address, facts.tables) = (Some(Err(why())), Err(why()))),
    (ADDRESS, |facts| facts.address = Some(Ok(Some(held("i-0b"))))),
    (ADDRESS, |facts| facts.address = Some(Ok(Some(held("i-0z"))))),
];

const OF_SUBNETS: &[(&[(&str, &str)], Change)] = &[
    (NOTHING, |facts| facts.subnets = Err(why())),
    (NOTHING, |facts| edit(facts, "rtb-0a", |table| table.associations.clear())),
    (&[("takeover", "max_subnets = 1")], |_| {}),
    (&[("takeover", "subnets = [\"subnet-1\", \"subnet-2\"]")], |facts| {
        edit(facts, "rtb-0a", |table| table.associations.clear());
        edit(facts, "rtb-0b", |table| {
            table.associations = vec![association(Some("subnet-1")), association(Some("subnet-2"))];
        });
    }),
    (&[("takeover", "subnets = [\"subnet-1\", \"subnet-0p\", \"subnet-9\"]")], |_| {}),
    (&[("takeover", "subnets = [\"subnet-1\", \"subnet-2\"]")], |facts| {
        edit(facts, "rtb-0a", |table| table.associations.truncate(1));
        edit(facts, "rtb-0m", |table| table.routes.push(route("0.0.0.0/0", "i-0a")));
    }),
    (NOTHING, |facts| {
        facts.all_tables.as_mut().unwrap().push(table("rtb-0t", &[("0.0.0.0/0", "i-0a")], &["subnet-4"]));
    }),
    (ROUTES, |facts| {
        edit(facts, "rtb-0m", |table| table.associations.clear());
        edit(facts, "rtb-0a", |table| table.associations.push(association(None)));
    }),
    (NOTHING, |facts| facts.backends = Err(why())),
    (NOTHING, |facts| {
        let one = &mut facts.backends.as_mut().unwrap()[0];
        one.public = one.addresses.clone();
    }),
    (NOTHING, |facts| facts.subnets.as_mut().unwrap()[1].cidrs = vec!["10.0.99.0/24".parse().unwrap()]),
];

const OF_TRAFFIC: &[(&[(&str, &str)], Change)] = &[
    (&[("takeover", "disable_source_dest_check = false")], |facts| {
        facts.instances.as_mut().unwrap()[1].interfaces[0].source_dest_check = true;
    }),
    (NOTHING, |facts| {
        facts.instances.as_mut().unwrap()[1].interfaces[0].source_dest_check = true;
        facts.answers.push((Right::DisableCheck(id("eni-0b")), Answer::Denied));
    }),
    (SIX, |facts| {
        // Each family by an interface of its own.
        let second = Interface { id: id("eni-0b2"), device_index: 1, source_dest_check: true };
        let instance = &mut facts.instances.as_mut().unwrap()[1];
        instance.interfaces[0].source_dest_check = true;
        instance.interfaces.push(second);
        edit(facts, "rtb-0a", |table| table.routes.push(route("::/0", "i-0a")));
        edit(facts, "rtb-0b", |table| {
            table.routes.push(Route { interface: Some(id("eni-0b2")), ..route("::/0", "i-0b") });
        });
    }),
    (NOTHING, |facts| facts.groups = Err(why())),
    (NOTHING, |facts| group_of(facts, "sg-0b").egress.clear()),
    (NOTHING, |facts| group_of(facts, "sg-1").egress.clear()),
    (NOTHING, |facts| group_of(facts, "sg-0b").ingress.clear()),
    (NOTHING, |facts| group_of(facts, "sg-0b").ingress = vec![rule(Packets::HTTPS, &["10.0.0.0/16"])]),
    (NOTHING, |facts| group_of(facts, "sg-0b").ingress = vec![rule(Packets::Icmp(None), &["10.0.0.0/16"])]),
    (NOTHING, |facts| {
        for name in ["sg-0a", "sg-0b"] {
            group_of(facts, name).ingress = vec![rule(Packets::Icmp(None), &["10.0.0.0/16"])];
        }
    }),
    (NOTHING, |facts| group_of(facts, "sg-0b").ingress[0].lists = vec!["pl-1".to_owned()]),
    (NOTHING, |facts| {
        group_of(facts, "sg-0b").ingress =
            vec![GroupRule { lists: vec!["pl-1".to_owned()], ..rule(Packets::All, &[]) }];
    }),
    (NOTHING, |facts| facts.acls.as_mut().unwrap()[0].entries.clear()),
    (NOTHING, |facts| (facts.imds, facts.way.from) = (Err(why()), None)),
    (NOTHING, |facts| {
        facts.instances.as_mut().unwrap()[1].subnet = None;
        facts.way.from = None;
    }),
    (NOTHING, |facts| facts.all_tables = Err(why())),
    (NOTHING, |facts| {
        edit(facts, "rtb-0c", |table| table.associations.clear());
        edit(facts, "rtb-0m", |table| table.associations.clear());
    }),
    (NOTHING, |facts| uplink_on(facts, "rtb-0m")),
    (NOTHING, |facts| uplink_on(facts, "rtb-0a")),
    (NOTHING, |facts| uplink_on(facts, "rtb-0b")),
    (NOTHING, |facts| edit(facts, "rtb-0c", |table| table.routes[1].blackhole = true)),
    (NOTHING, |facts| facts.way.endpoint = Err(why())),
    (NOTHING, |facts| facts.way.addresses = Ok(Vec::new())),
    (NOTHING, |facts| facts.way.addresses = Err(why())),
    (PRIMARY, |facts| facts.way.gateway = Some("10.0.0.10".parse().unwrap())),
    (NOTHING, |facts| facts.way.addresses = Ok(vec!["10.77.0.1".parse().unwrap()])),
];

/// IPv6 is watched, too.
pub(super) const SIX: &[(&str, &str)] =
    &[("targets", "hosts = [\"1.1.1.1\", \"8.8.8.8\", \"2001:db8::1\", \"2001:db8::2\"]")];

pub(in crate::doctor) fn seeds() -> Vec<Finding> {
    let of = |(lines, change): &(&[(&str, &str)], Change)| troubles_with(lines, change);
    let all = [OF_IDENTITY, OF_ROUTES, OF_SUBNETS, OF_TRAFFIC].concat();
    all.iter().flat_map(of).chain([no_client("no certificates")]).collect()
}
