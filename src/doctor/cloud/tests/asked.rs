//! What is asked of EC2, by a hand-written one.

use std::cell::RefCell;
use std::net::IpAddr;

use super::*;
use crate::act::{ChangeError, Held};
use crate::doctor::cloud::{permissions, subnets};
use crate::model::{
    AllocationId, Cidr, EipAssociationId, GroupId, Holder, InstanceId, InterfaceId, RouteTableId, SubnetId, VpcId, Way,
};

/// Answers from facts, and notes what it was asked; or never answers.
struct Cloud {
    facts: Facts,
    asked: RefCell<Vec<String>>,
    hangs: bool,
}

impl Cloud {
    async fn note<T>(&self, call: String, answer: T) -> T {
        self.asked.borrow_mut().push(call);
        if self.hangs { std::future::pending().await } else { answer }
    }
}

impl Account for Cloud {
    async fn region(&self) -> Result<Region, String> {
        self.facts.region.clone()
    }

    async fn metadata(&self) -> Metadata {
        self.facts.metadata
    }

    async fn endpoint(&self) -> Result<Endpoint, String> {
        Err("there is none in a test".to_owned())
    }

    async fn may(&self, right: &Right) -> Answer {
        let with = if let Right::Associate(id, table) = right { format!(" {id} to {table}") } else { String::new() };
        self.note(format!("may {}{with}", right.action()), Answer::Allowed).await
    }
}

impl Network for Cloud {
    async fn tables_in(&self, vpc: &VpcId) -> Result<Vec<RouteTable>, String> {
        self.note(format!("tables in {vpc}"), self.facts.all_tables.clone()).await
    }

    async fn subnets_in(&self, vpc: &VpcId) -> Result<Vec<Subnet>, String> {
        self.note(format!("subnets in {vpc}"), self.facts.subnets.clone()).await
    }

    async fn acls_in(&self, vpc: &VpcId) -> Result<Vec<Acl>, String> {
        self.note(format!("ACLs in {vpc}"), self.facts.acls.clone()).await
    }

    async fn interfaces(&self, ids: &[InterfaceId]) -> Result<Vec<NetworkInterface>, String> {
        self.note(format!("{} interfaces", ids.len()), self.facts.interfaces.clone()).await
    }

    async fn interfaces_at(&self, vpc: &VpcId, at: &[IpAddr]) -> Result<Vec<NetworkInterface>, String> {
        self.note(format!("interfaces in {vpc} at {} addresses", at.len()), self.facts.backends.clone()).await
    }

    async fn groups(&self, ids: &[GroupId]) -> Result<Vec<SecurityGroup>, String> {
        self.note(format!("{} groups", ids.len()), self.facts.groups.clone()).await
    }
}

impl crate::preflight::Cloud for Cloud {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.note(format!("{} tables", ids.len()), self.facts.tables.clone()).await
    }

    async fn tables_of(&self, _: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        Err("not for doctor".to_owned())
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        let ids: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
        self.note(format!("instances {}", ids.join(" ")), self.facts.instances.clone()).await
    }

    async fn subnets(&self, _: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        Err("not for doctor".to_owned())
    }

    async fn public(&self, _: &[SubnetId]) -> Result<Vec<IpAddr>, String> {
        Err("not for doctor".to_owned())
    }
}

impl Addresses for Cloud {
    async fn address(&self, address: &AllocationId) -> Result<Option<Held>, String> {
        self.note(format!("address {address}"), Ok(None)).await
    }

    async fn addresses_of(&self, _: &InterfaceId) -> Result<Vec<AllocationId>, String> {
        Err("not for doctor".to_owned())
    }

    async fn associate_address(&self, _: &AllocationId, _: &Holder, _: bool) -> Result<(), ChangeError> {
        Err(ChangeError::Refused("not for doctor".to_owned()))
    }

    async fn disassociate_address(&self, _: &EipAssociationId, _: bool) -> Result<(), ChangeError> {
        Err(ChangeError::Refused("not for doctor".to_owned()))
    }
}

impl Identity for Cloud {
    async fn instance(&self) -> Result<InstanceId, String> {
        self.facts.imds.clone()
    }
}

async fn ask(facts: Facts, lines: &[(&str, &str)], hangs: bool) -> (Vec<String>, Vec<Finding>) {
    let cloud = Cloud { facts, asked: RefCell::default(), hangs };
    let settings = settings(lines);
    let subject = Subject { settings: &settings, backends: &settings.observe.backends, known: None };
    let findings = findings(&cloud, subject, Duration::from_secs(8)).await;
    (cloud.asked.into_inner(), findings)
}

#[tokio::test]
async fn everything_is_asked_once_and_nobody_about_nothing() {
    let (mut asked, found) = ask(facts(), &[], false).await;
    assert!(found.iter().any(|one| one.id == "behind-primary"));
    asked.sort();
    assert_eq!(
        asked,
        [
            "2 interfaces",
            "2 tables",
            "3 groups",
            "ACLs in vpc-1",
            "instances i-0a i-0b",
            "interfaces in vpc-1 at 3 addresses",
            "may DescribeInstances",
            "may DescribeNetworkAcls",
            "may DescribeNetworkInterfaces",
            "may DescribeRouteTables",
            "may DescribeSecurityGroups",
            "may DescribeSubnets",
            "may ModifyNetworkInterfaceAttribute",
            "may ReplaceRouteTableAssociation rtbassoc-1 to rtb-0a",
            "may ReplaceRouteTableAssociation rtbassoc-1 to rtb-0b",
            "may ReplaceRouteTableAssociation rtbassoc-2 to rtb-0a",
            "may ReplaceRouteTableAssociation rtbassoc-2 to rtb-0b",
            "subnets in vpc-1",
            "tables in vpc-1",
        ]
    );
    // An interface that the primary's table leads to is asked about, whosever it is.
    let mut elsewhere = facts();
    edit(&mut elsewhere, "rtb-0a", |table| {
        (table.routes[1].instance, table.routes[1].interface) = (None, Some(id("eni-0z")));
    });
    elsewhere.instances.as_mut().unwrap().remove(0);
    let (asked, _) = ask(elsewhere, &[], false).await;
    assert!(
        asked.iter().any(|one| one == "instances i-0b") && asked.iter().any(|one| one == "2 interfaces"),
        "{asked:?}"
    );
    // Without tables there is no VPC to ask about, and without an instance no interface.
    let nothing = Facts { tables: Ok(Vec::new()), instances: Ok(Vec::new()), ..facts() };
    let (asked, _) = ask(nothing, &[], false).await;
    assert!(asked.iter().all(|one| !one.contains(" in vpc") && !one.ends_with("interfaces")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ec2_that_never_answers_takes_as_long_as_there_is_patience_and_is_not_told_from_nothing() {
    let began = tokio::time::Instant::now();
    let (_, found) = ask(facts(), &[], true).await;
    assert_eq!(began.elapsed(), Duration::from_secs(8));
    let known = ["imds", "region"];
    assert!(found.iter().all(|one| known.contains(&one.id) || one.fitness == Fitness::Unknown), "{found:#?}");
    assert!(
        found.iter().any(|one| one.id == "tables" && one.text.ends_with("EC2 gave no answer within 8 s")),
        "{found:#?}"
    );
}

/// The rights that a configuration asks for, but for those of reading.
fn wanted(lines: &[(&str, &str)], change: impl FnOnce(&mut Facts)) -> (Vec<Right>, Vec<&'static str>) {
    let mut facts = facts();
    change(&mut facts);
    let settings = settings(lines);
    let subject = Subject { settings: &settings, backends: &[], known: None };
    let (rights, unasked) = permissions::wanted(&facts, subject);
    let changes = rights.into_iter().filter(|right| !right.action().starts_with("Describe")).collect();
    (changes, unasked.into_iter().map(|(action, _)| action).collect())
}

fn found_with(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = facts();
    change(&mut facts);
    found(&facts, &settings(&[]))
}

#[test]
fn f057_only_what_the_configuration_needs_is_asked_with_what_a_takeover_would_say() {
    let here = || Way { interface: Some(id("eni-0b")), instance: None };
    let moved = |one: &str| Right::Associate(id(&format!("rtbassoc-{one}")), id("rtb-0b"));
    let back = |one: &str| Right::Associate(id(&format!("rtbassoc-{one}")), id("rtb-0a"));
    let usual = || vec![moved("1"), moved("2"), back("1"), back("2")];
    let and = |more: &[Right]| [usual(), more.to_vec()].concat();
    let check = Right::DisableCheck(id("eni-0b"));
    let all: Cidr = "0.0.0.0/0".parse().unwrap();
    assert_eq!(wanted(&[], |_| {}).0, and(std::slice::from_ref(&check)));
    assert_eq!(wanted(&[("takeover", "disable_source_dest_check = false")], |_| {}).0, usual());
    assert_eq!(wanted(&[("takeover", "subnets = [\"subnet-2\"]")], |_| {}).0, [moved("2"), back("2"), check.clone()]);
    let routes = [
        Right::ReplaceRoute(id("rtb-0a"), all, here()),
        Right::CreateRoute(id("rtb-0a"), all, here()),
        Right::DeleteRoute(id("rtb-0a"), all),
        check.clone(),
    ];
    assert_eq!(wanted(&[("takeover", "method = \"route\"")], |_| {}).0, routes);
    let reboot = [("primary", "instance = \"i-0a\""), ("takeover", "reboot_primary = true")];
    assert_eq!(wanted(&reboot, |_| {}).0, and(&[check.clone(), Right::Reboot(id("i-0a"))]));
    let address = [("takeover", "elastic_ip = \"eipalloc-1\"")];
    let (rights, unasked) = wanted(&address, |facts| facts.address = Some(Ok(None)));
    assert_eq!(rights, and(&[check, Right::AssociateAddress(id("eipalloc-1"), here())]));
    assert_eq!(unasked, ["DisassociateAddress"]);
    let (_, unasked) = wanted(&[], |facts| {
        edit(facts, "rtb-0a", |table| table.associations.clear());
        facts.instances = Ok(Vec::new());
    });
    assert_eq!(unasked, ["ReplaceRouteTableAssociation", "ModifyNetworkInterfaceAttribute"]);
    // Who is here already is asked about too, after those who are at home.
    let (rights, _) = wanted(&[("takeover", "disable_source_dest_check = false")], |facts| {
        edit(facts, "rtb-0a", |table| table.associations.retain(|one| one.id.as_str() == "rtbassoc-2"));
        edit(facts, "rtb-0b", |table| table.associations.push(association(Some("subnet-1"))));
    });
    assert_eq!(rights, [moved("2"), moved("1"), back("2"), back("1")]);
    let many = |facts: &mut Facts| {
        let all: Vec<String> = (0..20).map(|one| format!("subnet-{one}")).collect();
        edit(facts, "rtb-0a", |table| table.associations = all.iter().map(|one| association(Some(one))).collect());
    };
    let (rights, _) = wanted(&[("takeover", "disable_source_dest_check = false")], many);
    assert_eq!(rights.len(), 16 + 16, "no more than a burst that leaves room for a takeover: {rights:?}");
    let found = found_with(many);
    let allowed = found.iter().find(|one| one.id == "allowed").unwrap();
    assert_eq!(allowed.details, ["ReplaceRouteTableAssociation: asked for 16 of 20 subnets, each way"]);
}

#[test]
fn who_is_away_is_guarded_still_as_far_as_it_is_remembered() {
    let mut facts = facts();
    let settings = settings(&[]);
    let subject = Subject { settings: &settings, backends: &[], known: None };
    let known = crate::preflight::make_guarded(
        &settings.preflight,
        facts.tables.as_ref().unwrap(),
        facts.subnets.as_ref().unwrap(),
        None,
        jiff::Timestamp::UNIX_EPOCH,
    );
    edit(&mut facts, "rtb-0a", |table| table.associations.truncate(1));
    edit(&mut facts, "rtb-0b", |table| table.associations = vec![association(Some("subnet-2"))]);
    assert_eq!(subnets::guarded(&facts, subject).len(), 1);
    assert_eq!(subnets::guarded(&facts, Subject { known: Some(&known), ..subject }).len(), 2);
}
