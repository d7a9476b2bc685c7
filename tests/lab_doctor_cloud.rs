//! What `natwatch doctor` says of EC2 and IMDS in the lab: an account as it should be, and one fault after the other. Needs root; `make test`
//! runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use natwatch_lab::testing::json;
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Options};
use serde_json::Value;

/// What is looked at by asking EC2 or IMDS, by topic and id.
const OURS: [&str; 25] = [
    "identity/imds",
    "identity/region",
    "identity/standby-instance",
    "identity/primary-instance",
    "permissions/credentials",
    "permissions/allowed",
    "permissions/action",
    "routes/tables",
    "routes/standby-route",
    "routes/primary-route",
    "routes/destination",
    "routes/differences",
    "routes/elastic-ip",
    "subnets/guarded",
    "subnets/listed",
    "subnets/left-out",
    "forwarding/source-dest-check",
    "forwarding/admits",
    "forwarding/lets-out",
    "forwarding/acl",
    "backends/pings-out",
    "backends/subnet-acl",
    "uplink/own-route",
    "uplink/ec2-route",
    "backends/behind-primary",
];

fn raise(changes: &[(&str, &str)]) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, traffic: false, ..Options::default() }).unwrap();
    lab.configure(changes).unwrap();
    lab
}

fn key(finding: &Value) -> String {
    format!("{}/{}", finding["topic"].as_str().unwrap(), finding["id"].as_str().unwrap())
}

/// What a doctor says of EC2 and IMDS: it changes nothing there.
#[track_caller]
fn said(lab: &Lab) -> Vec<Value> {
    let mutations = lab.api().mutations().len();
    let run = lab.natwatch(&["doctor", "--format", "json"]).unwrap();
    assert_eq!(lab.api().mutations().len(), mutations, "{run}");
    let findings = json(&run)["findings"].as_array().unwrap().clone();
    for one in &findings {
        let fit = one["fitness"] == "fit";
        assert_eq!((one["cause"].is_null(), fit || one["remedy"].is_string()), (fit, true), "{one}: {run}");
    }
    let cloud = ["backends/outside", "backends/public-address", "subnets/main-table"];
    findings.into_iter().filter(|one| OURS.contains(&&*key(one)) || cloud.contains(&&*key(one))).collect()
}

/// Of these what is not fit: which, how bad, what is said and what is to be done.
#[track_caller]
fn troubles(lab: &Lab) -> Vec<(String, String, String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let told = |one: &Value| (key(one), text(one, "fitness"), text(one, "text"), text(one, "remedy"));
    said(lab).iter().filter(|one| one["fitness"] != "fit").map(told).collect()
}

/// The one trouble there is.
#[track_caller]
fn only(lab: &Lab, key: &str, fitness: &str, text: &str, remedy: &str) {
    let found = troubles(lab);
    let [one] = &found[..] else { panic!("not one: {found:#?}") };
    assert_eq!((one.0.as_str(), one.1.as_str()), (key, fitness), "{found:#?}");
    assert!(one.2.contains(text), "{text:?} is not said: {one:?}");
    assert!(one.3.contains(remedy), "{remedy:?} is no remedy: {one:?}");
}

#[track_caller]
fn has(found: &[(String, String, String, String)], key: &str, fitness: &str, text: &str) {
    let fits = |one: &&(String, String, String, String)| one.0 == key && one.1 == fitness && one.2.contains(text);
    assert!(found.iter().any(|one| fits(&one)), "{key} {fitness} {text:?}: {found:#?}");
}

/// A healthy lab in which the configuration names both instances.
fn pinned() -> Lab {
    let lab = raise(&[]);
    pin(&lab, &[]);
    lab
}

fn pin(lab: &Lab, changes: &[(&str, &str)]) {
    let (primary, standby) =
        (format!("\"{}\"", lab.ids().primary.instance), format!("\"{}\"", lab.ids().standby.instance));
    let both = [("primary.instance", primary.as_str()), ("standby.instance", standby.as_str())];
    lab.configure(&[&both, changes].concat()).unwrap();
}

#[test]
fn a_healthy_account_is_fit_and_nothing_is_changed_by_asking() {
    let lab = raise(&[]);
    assert_eq!(troubles(&lab), []);
    pin(&lab, &[("standby.region", "")]);
    let found = said(&lab);
    let not: Vec<_> = found.iter().filter(|one| one["fitness"] != "fit").collect();
    assert!(not.is_empty(), "{not:#?}");
    let text = |key_: &str| found.iter().find(|one| key(one) == key_).unwrap()["text"].as_str().unwrap().to_owned();
    assert_eq!(text("identity/region"), "the region is ap-northeast-1, by IMDS");
    assert!(text("identity/standby-instance").ends_with("(standby), as standby.instance says"));
    assert!(text("permissions/allowed").contains("ReplaceRouteTableAssociation"));
    assert_eq!(text("subnets/guarded"), "2 subnets are guarded");
    assert!(text("uplink/ec2-route").contains("203.0.113.200"));
    assert_eq!(text("backends/behind-primary"), "6 backends are behind the primary");
    for (key_, what) in [("forwarding/admits", 2), ("forwarding/acl", 2)] {
        assert_eq!(found.iter().filter(|one| key(one) == key_).count(), what, "{key_}: {found:#?}");
    }
}

#[test]
fn f057_an_action_that_is_denied_is_found_beforehand_and_named() {
    let lab = raise(&[]);
    for (action, fitness) in [
        ("ReplaceRouteTableAssociation", "unfit"),
        ("ModifyNetworkInterfaceAttribute", "warning"),
        ("DescribeSecurityGroups", "warning"),
    ] {
        let fault = ApiFault::new(ApiFaultKind::Deny).on(action);
        lab.api().arm(fault.clone());
        let found = troubles(&lab);
        has(&found, "permissions/action", fitness, &format!("ec2:{action} is not allowed"));
        assert!(found.iter().any(|one| one.3.contains("natwatch print iam-policy")), "{found:#?}");
        lab.api().disarm(Some(&fault));
    }
    pin(&lab, &[("takeover.reboot_primary", "true")]);
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("RebootInstances"));
    only(&lab, "permissions/action", "warning", "ec2:RebootInstances is not allowed", "put-role-policy");
}

#[test]
fn f057_f058_without_imds_there_are_no_credentials_and_both_are_said() {
    let lab = raise(&[]);
    lab.inject(&Fault::ImdsDown).unwrap();
    let found = troubles(&lab);
    has(&found, "identity/imds", "unfit", "no connection to the instance metadata service");
    has(&found, "identity/standby-instance", "unfit", "it is not known which instance this is");
    has(&found, "permissions/credentials", "unfit", "no AWS credentials");
    pin(&lab, &[]);
    let found = troubles(&lab);
    has(&found, "identity/imds", "warning", "169.254.169.254");
    has(&found, "permissions/credentials", "unfit", "no AWS credentials");
}

#[test]
fn f061_an_ec2_that_does_not_answer_is_unknown_and_bounded() {
    let lab = raise(&[]);
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang));
    // What hangs is killed, and says nothing that could be read.
    let found = troubles(&lab);
    has(&found, "routes/tables", "unknown", "EC2 can't be asked about the route tables");
    has(&found, "permissions/credentials", "unknown", "what the credentials allow is not known");
}

#[test]
fn f054_f056_tables_that_are_wrong_missing_or_lead_nowhere_are_found() {
    let lab = pinned();
    pin(&lab, &[("primary.route_table", "\"rtb-0123\"")]);
    has(&troubles(&lab), "routes/tables", "unfit", "primary.route_table = rtb-0123 does not exist");
    pin(&lab, &[]);
    let (primary, standby) = (lab.ids().primary.table.clone(), lab.ids().standby.table.clone());
    let default = ("DestinationCidrBlock", "0.0.0.0/0");
    lab.ec2("DeleteRoute", &[("RouteTableId", &standby), default]).unwrap();
    has(&troubles(&lab), "routes/standby-route", "unfit", &format!("{standby} has no route for 0.0.0.0/0"));
    lab.ec2("CreateRoute", &[("RouteTableId", &standby), default, ("InstanceId", &lab.ids().primary.instance)])
        .unwrap();
    has(&troubles(&lab), "routes/standby-route", "unfit", "not to this instance");
    lab.ec2("ReplaceRoute", &[("RouteTableId", &standby), default, ("InstanceId", &lab.ids().standby.instance)])
        .unwrap();
    assert_eq!(troubles(&lab), []);
    lab.ec2("ReplaceRoute", &[("RouteTableId", &primary), default, ("GatewayId", &lab.ids().internet_gateway)])
        .unwrap();
    has(&troubles(&lab), "routes/primary-route", "unfit", "and not to a NAT instance");
    lab.ec2("ReplaceRoute", &[("RouteTableId", &primary), default, ("InstanceId", &lab.ids().primary.instance)])
        .unwrap();
    lab.inject(&Fault::Stopped(Nat::Primary)).unwrap();
    let found = troubles(&lab);
    has(&found, "routes/primary-route", "warning", "to a black hole: the primary is stopped, or gone");
    has(&found, "identity/primary-instance", "warning", "is stopped");
}

#[test]
fn f055_routes_that_the_standby_lacks_are_printed_as_a_difference() {
    let lab = raise(&[]);
    let (table, gateway) = (lab.ids().primary.table.clone(), lab.ids().internet_gateway.clone());
    let route = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "192.0.2.0/24"), ("GatewayId", &gateway)];
    lab.ec2("CreateRoute", &route).unwrap();
    let command = format!(
        "aws ec2 create-route --route-table-id {} --destination-cidr-block 192.0.2.0/24 --gateway-id {gateway}",
        lab.ids().standby.table
    );
    only(&lab, "routes/differences", "warning", "lacks 1 route of", &command);
    let found = said(&lab);
    let one = found.iter().find(|one| one["id"] == "differences").unwrap();
    assert_eq!(one["details"][0], format!("- 192.0.2.0/24 to {gateway}"));
}

#[test]
fn f053_subnets_that_fall_to_a_main_table_behind_the_primary_are_named_with_the_command() {
    let lab = raise(&[]);
    let (association, _) = lab.association(1).unwrap();
    lab.ec2("DisassociateRouteTable", &[("AssociationId", &association)]).unwrap();
    let tables = lab
        .ec2(
            "DescribeRouteTables",
            &[
                ("Filter.1.Name", "association.main"),
                ("Filter.1.Value.1", "true"),
                ("Filter.2.Name", "vpc-id"),
                ("Filter.2.Value.1", &lab.ids().vpc),
            ],
        )
        .unwrap();
    let main = tables.split("<routeTableId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let route = [
        ("RouteTableId", main.as_str()),
        ("DestinationCidrBlock", "0.0.0.0/0"),
        ("InstanceId", &lab.ids().primary.instance),
    ];
    lab.ec2("CreateRoute", &route).unwrap();
    let subnet = lab.ids().subnets[1].id.clone();
    let found = troubles(&lab);
    has(&found, "subnets/left-out", "warning", &format!("{subnet} (private-1)"));
    let command =
        format!("aws ec2 associate-route-table --subnet-id {subnet} --route-table-id {}", lab.ids().primary.table);
    assert!(found.iter().any(|one| one.3 == command), "{found:#?}");
    has(&found, "backends/outside", "warning", "3 backends are in no guarded subnet");
    lab.configure(&[("takeover.subnets", &format!("[\"{}\", \"{subnet}\"]", lab.ids().subnets[0].id))]).unwrap();
    has(&troubles(&lab), "subnets/listed", "unfit", "has no explicit association");
}

#[test]
fn f008_f110_a_source_dest_check_that_nobody_may_switch_off_is_unfit() {
    let lab = raise(&[("takeover.disable_source_dest_check", "false")]);
    lab.inject(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    let command = format!("--network-interface-id {} --no-source-dest-check", lab.ids().standby.eni);
    only(&lab, "forwarding/source-dest-check", "unfit", "takeover.disable_source_dest_check is false", &command);
    lab.configure(&[]).unwrap();
    assert_eq!(troubles(&lab), [], "a takeover switches it off");
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("ModifyNetworkInterfaceAttribute"));
    has(&troubles(&lab), "forwarding/source-dest-check", "unfit", "is not allowed to");
}

#[test]
fn f003_a_standby_whose_own_subnet_is_routed_through_the_primary_is_unfit() {
    let lab = raise(&[]);
    let tables = lab.ec2("DescribeRouteTables", &[("RouteTableId.1", &lab.ids().public_table)]).unwrap();
    let association = tables.split("<routeTableAssociationId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let moved = [("AssociationId", association.as_str()), ("RouteTableId", &lab.ids().primary.table)];
    lab.ec2("ReplaceRouteTableAssociation", &moved).unwrap();
    let found = troubles(&lab);
    has(&found, "uplink/own-route", "unfit", "is routed through the primary");
    has(&found, "uplink/ec2-route", "unfit", "with it dead nothing could be moved");
}

#[test]
fn f003_a_route_of_the_standbys_kernel_that_leads_to_the_primary_is_found() {
    let lab = raise(&[("primary.address", "\"10.0.0.10\"")]);
    let route = ["route", "add", "203.0.113.200/32", "via", "10.0.0.10", "onlink", "dev", "eth0"];
    let links = lab.program("nat2", "ip", &["-o", "route", "show", "default"]).run().unwrap();
    let device = links.stdout.split(" dev ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let route: Vec<&str> = route.iter().map(|word| if *word == "eth0" { device.as_str() } else { *word }).collect();
    let added = lab.program("nat2", "ip", &route).run().unwrap();
    assert_eq!(added.status, Some(0), "{added}");
    let found = troubles(&lab);
    has(&found, "uplink/ec2-route", "unfit", "this machine's own routes send what goes to EC2");
}

/// Takes the rule away that admits everything from the VPC.
fn close(lab: &Lab) {
    let rule = [
        ("GroupId", lab.ids().security_group.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/16"),
    ];
    lab.ec2("RevokeSecurityGroupIngress", &rule).unwrap();
}

#[test]
fn f097_f109_groups_that_admit_too_little_are_found_at_standby_and_primary() {
    let lab = pinned();
    close(&lab);
    let found = troubles(&lab);
    has(&found, "forwarding/admits", "unfit", "of this instance (");
    has(&found, "forwarding/admits", "unfit", "of the primary (");
    assert!(found[0].3.starts_with("aws ec2 authorize-security-group-ingress --group-id sg-"), "{found:#?}");
    for port in ["80", "443"] {
        let rule = [
            ("GroupId", lab.ids().security_group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", port),
            ("IpPermissions.1.ToPort", port),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/16"),
        ];
        lab.ec2("AuthorizeSecurityGroupIngress", &rule).unwrap();
    }
    let found = troubles(&lab);
    has(
        &found,
        "forwarding/admits",
        "warning",
        "admit TCP 80, TCP 443 and no pings from 10.0.10.0/24 (private-0), 10.0.11.0/24 (private-1): a takeover could not be verified",
    );
    has(&found, "forwarding/admits", "unfit", "nobody there can become a witness");
}

#[test]
fn f097_f109_an_acl_that_drops_pings_is_found() {
    let lab = pinned();
    let acls =
        lab.ec2("DescribeNetworkAcls", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &lab.ids().vpc)]).unwrap();
    let acl = acls.split("<networkAclId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let entry = [
        ("NetworkAclId", acl.as_str()),
        ("RuleNumber", "50"),
        ("Protocol", "1"),
        ("RuleAction", "deny"),
        ("Egress", "false"),
        ("CidrBlock", "10.0.0.0/8"),
        ("Icmp.Type", "8"),
        ("Icmp.Code", "-1"),
    ];
    lab.ec2("CreateNetworkAclEntry", &entry).unwrap();
    let found = troubles(&lab);
    has(&found, "forwarding/acl", "warning", &format!("({acl}) drops pings"));
    has(&found, "forwarding/acl", "unfit", &format!("({acl}) drops pings"));
    assert!(found.iter().any(|one| one.3.contains("--ingress --rule-number 49 --protocol icmp")), "{found:#?}");
}

#[test]
fn f045_backends_with_public_addresses_and_elsewhere_are_named() {
    let lab = raise(&[]);
    let allocated = lab.ec2("AllocateAddress", &[("Domain", "vpc")]).unwrap();
    let allocation = allocated.split("<allocationId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    lab.ec2("AssociateAddress", &[("AllocationId", &allocation), ("InstanceId", &lab.ids().backends[0])]).unwrap();
    only(&lab, "backends/public-address", "warning", ": b0; without those addresses they would do", ": without b0");
    lab.configure(&[
        ("backends.hosts_file", ""),
        ("backends.hosts", "[\"10.0.10.12\", \"10.0.11.11\", \"10.0.11.13\", \"10.0.0.77\"]"),
    ])
    .unwrap();
    only(&lab, "backends/outside", "warning", "10.0.0.77 (", "(backends.hosts): without 10.0.0.77");
}

#[test]
fn f109_a_run_says_beforehand_that_the_standbys_groups_admit_nothing_and_moves_nothing() {
    let lab = raise(&[("decision.run_span", "\"200ms\""), ("backends.panel", "0")]);
    close(&lab);
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!((run.status, json(&run)["outcome"].as_str()), (Some(2), Some("failed")), "{run}");
    assert_eq!(json(&run)["gate"], "unfit", "{run}");
    assert!(json(&run)["holds"][0]["why"].as_str().unwrap().contains("admitted nothing from"), "{run}");
    lab.natwatch(&["run"]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let held = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!((held.status, json(&held)["gate"].as_str()), (Some(2), Some("unfit")), "{held}");
    assert_eq!(lab.api().mutations().len(), 0, "{held}");
    // Mended in the outage: the run that was held has looked again, and the next one goes by that.
    let rule = [
        ("GroupId", lab.ids().security_group.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/16"),
    ];
    lab.ec2("AuthorizeSecurityGroupIngress", &rule).unwrap();
    let held = lab.natwatch(&["run"]).unwrap();
    assert_eq!(held.status, Some(2), "by what was seen before: {held}");
    let over = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(over.status, Some(4), "{over}");
}
