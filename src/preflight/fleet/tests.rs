//! An EC2 that shows whatever it is told to, and who of that is a backend.

use std::cell::RefCell;

use super::*;
use crate::model::{Association, Guarded, Instance, Interface, Method, Names, Route, RouteTable, RouteTableId, Subnet};

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

struct Ec2 {
    shows: Result<Vec<Machine>, String>,
    asked: RefCell<Vec<Vec<SubnetId>>>,
}

impl Cloud for Ec2 {
    async fn tables(&self, _: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        panic!("not asked")
    }
    async fn tables_of(&self, _: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        panic!("not asked")
    }
    async fn instances(&self, _: &[InstanceId]) -> Result<Vec<Instance>, String> {
        panic!("not asked")
    }
    async fn subnets(&self, _: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        panic!("not asked")
    }
    async fn public(&self, _: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        panic!("not asked")
    }
    async fn running(&self, subnets: &[SubnetId]) -> Result<Vec<Machine>, String> {
        self.asked.borrow_mut().push(subnets.to_vec());
        self.shows.clone()
    }
}

/// An instance of `subnet` with an interface `eni-` of its own.
fn machine(name: &str, state: &str, subnet: &str, address: Option<&str>) -> Machine {
    Machine {
        instance: Instance {
            id: id(&format!("i-{name}")),
            name: Some("web".to_owned()),
            state: state.to_owned(),
            subnet: Some(id(subnet)),
            launched_ago: None,
            interfaces: vec![Interface { id: id(&format!("eni-{name}")), device_index: 0, source_dest_check: true }],
        },
        vpc: None,
        address: address.map(|address| address.parse().unwrap()),
    }
}

fn backend(name: &str, last: u8) -> Machine {
    machine(name, "running", "subnet-1", Some(&format!("10.0.1.{last}")))
}

fn settings() -> PreflightSettings {
    PreflightSettings {
        primary_table: id("rtb-0a"),
        primary_instance: Some(id("i-named")),
        standby_table: id("rtb-0b"),
        standby_instance: None,
        subnets: Vec::new(),
        method: Method::Association,
    }
}

fn table(name: &str, instance: Option<&str>, interface: Option<&str>) -> RouteTable {
    let route = Route {
        destination: "0.0.0.0/0".to_owned(),
        instance: instance.map(id),
        interface: interface.map(id),
        other: None,
        blackhole: false,
    };
    RouteTable {
        id: id(name),
        vpc: id("vpc-1"),
        name: None,
        routes: vec![route],
        associations: Vec::<Association>::new(),
    }
}

/// Two guarded subnets; the primary's table leads to an instance, the standby's to an interface.
fn guarded() -> GuardedSet {
    let one = |subnet: &str| Guarded { subnet: id(subnet), name: None, cidrs: Vec::new(), on: id("rtb-0a") };
    GuardedSet {
        version: 1,
        primary: id("rtb-0a"),
        standby: id("rtb-0b"),
        subnets: vec![one("subnet-1"), one("subnet-2")],
        families: Vec::new(),
        public: Vec::new(),
        leads_to: Some(Way { interface: None, instance: Some(id("i-before")) }),
        names: Names::new(),
        admission: None,
        own: None,
        tables: Some(vec![table("rtb-0a", Some("i-led"), None), table("rtb-0b", None, Some("eni-here"))]),
        seen: Timestamp::UNIX_EPOCH,
    }
}

async fn ask(shows: Vec<Machine>, set: &GuardedSet) -> (Fleet, Vec<Vec<SubnetId>>) {
    let ec2 = Ec2 { shows: Ok(shows), asked: RefCell::default() };
    let own = id("i-own");
    let fleet = fleet(&ec2, &settings(), set, Some(&own), Timestamp::UNIX_EPOCH).await.unwrap();
    (fleet, ec2.asked.into_inner())
}

fn ids(fleet: &Fleet) -> Vec<&str> {
    fleet.members.iter().map(|one| one.instance.as_str()).collect()
}

#[tokio::test]
async fn backends_are_what_runs_in_the_guarded_subnets_with_an_ipv4_address_and_is_no_nat() {
    let shows = vec![
        backend("b2", 12),
        backend("b1", 11),
        machine("other", "running", "subnet-2", Some("10.0.2.5")),
        // The filter says so already; an answer that is late need not.
        machine("off", "stopped", "subnet-1", Some("10.0.1.20")),
        machine("going", "shutting-down", "subnet-1", Some("10.0.1.21")),
        machine("coming", "pending", "subnet-1", Some("10.0.1.22")),
        machine("away", "running", "subnet-9", Some("10.0.9.5")),
        machine("six", "running", "subnet-1", None),
        machine("v6", "running", "subnet-1", Some("2001:db8::5")),
        // Each of them a NAT, for a reason of its own.
        backend("own", 31),
        backend("named", 32),
        backend("led", 33),
        backend("before", 34),
        backend("here", 35),
        backend("b1", 11),
    ];
    let (fleet, asked) = ask(shows, &guarded()).await;
    assert_eq!(ids(&fleet), ["i-b1", "i-b2", "i-other"]);
    assert_eq!(fleet.members[0].addr, "10.0.1.11".parse::<IpAddr>().unwrap());
    assert_eq!((fleet.without_address, fleet.more), (2, 0));
    assert_eq!((fleet.primary.as_str(), fleet.standby.as_str()), ("rtb-0a", "rtb-0b"));
    assert_eq!(asked, [["subnet-1", "subnet-2"].map(id::<SubnetId>)]);
}

#[tokio::test]
async fn without_a_guarded_subnet_nobody_is_asked_about_and_no_answer_is_no_list() {
    let ec2 = Ec2 { shows: Err("no answer within 2 s".to_owned()), asked: RefCell::default() };
    let nothing = GuardedSet { subnets: Vec::new(), ..guarded() };
    for (set, said, times) in [(nothing, "no subnet is guarded", 0), (guarded(), "no answer within 2 s", 1)] {
        let found = fleet(&ec2, &settings(), &set, None, Timestamp::UNIX_EPOCH).await;
        assert_eq!(found, Err(said.to_owned()));
        assert_eq!(ec2.asked.borrow().len(), times, "a filter without values finds the whole account");
    }
    // Nobody runs there: that is an answer.
    assert!(ask(Vec::new(), &guarded()).await.0.members.is_empty());
}

#[tokio::test]
async fn f042_of_thousands_the_same_two_thousand_are_kept_and_the_rest_is_counted() {
    let shows = |order: &mut dyn Iterator<Item = usize>| -> Vec<Machine> {
        order
            .map(|n| machine(&format!("{n:05}"), "running", "subnet-1", Some(&format!("10.0.{}.{}", n / 250, n % 250))))
            .collect()
    };
    let (one, _) = ask(shows(&mut (0..2100)), &guarded()).await;
    let (two, _) = ask(shows(&mut (0..2100).rev()), &guarded()).await;
    assert_eq!((one.members.len(), one.more), (2000, 100));
    assert!(one.same(&two), "whatever the order of the pages");
}
