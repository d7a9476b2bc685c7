//! Gates and plan: each hold's exact words, and what is moved.

use std::time::Duration;

use jiff::Timestamp;

use super::support::{ms, round, settings};
use crate::decide::{Case, DecideSettings, Lock, Look, Situation, conclude, misled, plan, unfit};
use crate::model::cloud::{Masquerade, Sighting};
use crate::model::{
    Admission, Association, Change, Family, Gate, Guarded, GuardedSet, Hold, Instance, Interface, LastSteps, Outcome,
    Own, Paused, Phase, Plan, Route, RouteTable, Survey,
};

pub(super) fn association(id: &str, subnet: Option<&str>) -> Association {
    Association {
        id: id.parse().unwrap(),
        subnet: subnet.map(|id| id.parse().unwrap()),
        main: subnet.is_none(),
        failed: None,
    }
}

pub(super) fn table(id: &str, subnets: &[&str]) -> RouteTable {
    let number = |subnet: &str| subnet.trim_start_matches("subnet-").to_owned();
    RouteTable {
        id: id.parse().unwrap(),
        vpc: "vpc-0".parse().unwrap(),
        name: None,
        routes: Vec::new(),
        associations: subnets.iter().map(|one| association(&format!("rtbassoc-{}", number(one)), Some(one))).collect(),
    }
}

pub(super) fn route(destination: &str, instance: Option<&str>, interface: Option<&str>) -> Route {
    Route {
        destination: destination.to_owned(),
        instance: instance.map(|id| id.parse().unwrap()),
        interface: interface.map(|id| id.parse().unwrap()),
        other: None,
        blackhole: false,
    }
}

pub(super) fn interface(id: &str, device_index: i32, source_dest_check: bool) -> Interface {
    Interface { id: id.parse().unwrap(), device_index, source_dest_check }
}

fn instance(id: &str) -> Instance {
    Instance {
        id: id.parse().unwrap(),
        name: None,
        state: "running".to_owned(),
        subnet: Some("subnet-0public".parse().unwrap()),
        launched_ago: Some(Duration::from_hours(24)),
        interfaces: vec![interface("eni-0b", 0, false)],
    }
}

/// Everything as it should be: two subnets on the primary's table, the standby fit.
pub(super) fn survey() -> Survey {
    let mut standby = table("rtb-0b", &[]);
    standby.routes.push(route("0.0.0.0/0", Some("i-0b"), Some("eni-0b")));
    let mut primary = table("rtb-0a", &["subnet-1", "subnet-2"]);
    primary.associations.push(association("rtbassoc-main", None));
    Survey {
        identity: Ok("i-0b".parse().unwrap()),
        tables: Ok(vec![primary, standby]),
        standby: Ok(Some(instance("i-0b"))),
        primary: None,
        uptime: Ok(Duration::from_hours(24)),
        ip_forward: Ok(true),
        ip_forward_of: Family::V4,
        masquerade: Masquerade::Present,
    }
}

pub(super) fn edit(change: impl FnOnce(&mut Survey)) -> Survey {
    let mut survey = survey();
    change(&mut survey);
    survey
}

/// The `n`th table: 0 the primary's, 1 the standby's.
pub(super) fn tables(survey: &mut Survey) -> &mut Vec<RouteTable> {
    survey.tables.as_mut().unwrap()
}

pub(super) fn standby(survey: &mut Survey) -> &mut Instance {
    survey.standby.as_mut().unwrap().as_mut().unwrap()
}

pub(super) fn guarded(on: &[(&str, &str)]) -> GuardedSet {
    GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: on
            .iter()
            .map(|(subnet, table)| Guarded {
                subnet: subnet.parse().unwrap(),
                name: Some(format!("name of {subnet}")),
                cidrs: Vec::new(),
                on: table.parse().unwrap(),
            })
            .collect(),
        families: vec![Family::V4],
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    }
}

fn held(phase: Phase) -> Lock {
    Lock::Held { phase, moves: Vec::new(), last: LastSteps::default() }
}

#[expect(clippy::needless_pass_by_value, reason = "a lock is written where it is asked about")]
pub(super) fn ask_all(
    survey: &Survey,
    lock: Lock,
    guarded: Option<&GuardedSet>,
    families: &[Family],
    settings: &DecideSettings,
) -> Result<Plan, Vec<Hold>> {
    plan(Situation { survey, lock: &lock, paused: None, guarded, families, planned: false }, settings)
}

fn ask(survey: &Survey) -> Result<Plan, Vec<Hold>> {
    ask_all(survey, Lock::Free, None, &[Family::V4], &settings())
}

#[track_caller]
pub(super) fn holds(answer: Result<Plan, Vec<Hold>>) -> Vec<(Gate, String, String)> {
    answer.unwrap_err().into_iter().map(|one| (one.gate, one.why, one.remedy)).collect()
}

/// One hold and no other, in these words.
#[track_caller]
pub(super) fn assert_hold(answer: Result<Plan, Vec<Hold>>, gate: Gate, why: &str, remedy: &str) {
    assert_eq!(holds(answer), [(gate, why.to_owned(), remedy.to_owned())]);
}

#[test]
fn a_plan_names_each_subnet_its_token_and_both_tables() {
    let saved = guarded(&[("subnet-1", "rtb-0a")]);
    let plan = ask_all(&survey(), Lock::Free, Some(&saved), &[Family::V4], &settings()).unwrap();
    assert_eq!((plan.standby.as_str(), plan.disable_check), ("i-0b", None));
    let moves: Vec<_> = plan
        .moves
        .iter()
        .map(|one| {
            let Change::Association(one) = one else { panic!("{one:?}") };
            (one.subnet.as_str(), one.name.as_deref(), one.association.as_str(), one.from.as_str(), one.to.as_str())
        })
        .collect();
    assert_eq!(
        moves,
        [
            ("subnet-1", Some("name of subnet-1"), "rtbassoc-1", "rtb-0a", "rtb-0b"),
            ("subnet-2", None, "rtbassoc-2", "rtb-0a", "rtb-0b"),
        ]
    );
}

#[test]
fn f053_f066_only_explicit_associations_of_the_primarys_table_are_moved() {
    let survey = edit(|survey| {
        tables(survey)[1]
            .associations
            .extend([association("rtbassoc-9", Some("subnet-9")), association("rtbassoc-8", None)]);
        tables(survey).push(table("rtb-0c", &["subnet-7"]));
    });
    let saved = guarded(&[("subnet-1", "rtb-0a"), ("subnet-7", "rtb-0c"), ("subnet-9", "rtb-0b")]);
    let plan = ask_all(&survey, Lock::Free, Some(&saved), &[Family::V4], &settings()).unwrap();
    let moved: Vec<String> = plan.moves.iter().map(ToString::to_string).collect();
    assert_eq!(moved, ["subnet-1", "subnet-2"]);
}

fn listing(subnets: &[&str]) -> DecideSettings {
    DecideSettings { subnets: subnets.iter().map(|id| id.parse().unwrap()).collect(), ..settings() }
}

#[test]
fn listed_subnets_alone_are_moved_and_those_on_the_standby_stay_there() {
    let survey = edit(|survey| tables(survey)[1].associations.push(association("rtbassoc-9", Some("subnet-9"))));
    let plan = ask_all(&survey, Lock::Free, None, &[Family::V4], &listing(&["subnet-2", "subnet-9"])).unwrap();
    let moved: Vec<String> = plan.moves.iter().map(ToString::to_string).collect();
    assert_eq!(moved, ["subnet-2"]);
}

#[test]
fn f053_a_listed_subnet_without_an_explicit_association_is_refused_with_the_command() {
    assert_hold(
        ask_all(&survey(), Lock::Free, None, &[Family::V4], &listing(&["subnet-1", "subnet-5"])),
        Gate::Foreign,
        "subnet-5 of takeover.subnets has no explicit association with rtb-0a or rtb-0b",
        "aws ec2 associate-route-table --subnet-id subnet-5 --route-table-id rtb-0a",
    );
}

#[test]
fn a_listed_subnet_on_a_third_table_is_named_with_that_table() {
    let survey = edit(|survey| tables(survey).push(table("rtb-0c", &["subnet-7"])));
    assert_hold(
        ask_all(&survey, Lock::Free, None, &[Family::V4], &listing(&["subnet-1", "subnet-7"])),
        Gate::Foreign,
        "subnet-7 of takeover.subnets is on rtb-0c, not on rtb-0a or rtb-0b",
        "aws ec2 replace-route-table-association --association-id rtbassoc-7 --route-table-id rtb-0a",
    );
}

#[test]
fn f006_a_standby_that_has_just_booted_says_how_long_still() {
    for (millis, why) in [
        (0, "this instance booted 0 s ago, decision.min_uptime is 300 s; 300 s to go"),
        (60_000, "this instance booted 60 s ago, decision.min_uptime is 300 s; 240 s to go"),
        (299_999, "this instance booted 299 s ago, decision.min_uptime is 300 s; 1 s to go"),
    ] {
        let survey = edit(|survey| survey.uptime = Ok(Duration::from_millis(millis)));
        assert_hold(ask(&survey), Gate::Booting, why, "");
    }
    assert!(ask(&edit(|survey| survey.uptime = Ok(Duration::from_mins(5)))).is_ok());
}

#[test]
fn f007_an_uptime_that_cannot_be_read_counts_as_just_booted() {
    assert_hold(
        ask(&edit(|survey| survey.uptime = Err("/proc/uptime: no such file".to_owned()))),
        Gate::Booting,
        "the uptime can't be read, so this instance counts as just booted: /proc/uptime: no such file",
        "let the service read /proc (no ProcSubset=pid, no PrivateUsers)",
    );
}

#[test]
fn f008_the_source_destination_check_is_part_of_the_plan_where_the_plan_may() {
    let survey = edit(|survey| standby(survey).interfaces[0].source_dest_check = true);
    assert_eq!(ask(&survey).unwrap().disable_check.unwrap().as_str(), "eni-0b");
}

#[test]
fn f008_the_source_destination_check_is_a_gate_where_it_may_not() {
    let survey = edit(|survey| standby(survey).interfaces[0].source_dest_check = true);
    let settings = DecideSettings { disable_source_dest_check: false, ..settings() };
    assert_hold(
        ask_all(&survey, Lock::Free, None, &[Family::V4], &settings),
        Gate::Unfit,
        "EC2 drops foreign packets at this instance: the source/destination check of eni-0b is on",
        "aws ec2 modify-network-interface-attribute --network-interface-id eni-0b --no-source-dest-check",
    );
}

#[test]
fn f009_an_instance_that_does_not_forward_is_unfit() {
    assert_hold(
        ask(&edit(|survey| survey.ip_forward = Ok(false))),
        Gate::Unfit,
        "this instance does not forward: net.ipv4.ip_forward is 0",
        "sysctl -w net.ipv4.ip_forward=1",
    );
    assert_hold(
        ask(&edit(|survey| survey.ip_forward = Err("permission denied".to_owned()))),
        Gate::Unfit,
        "net.ipv4.ip_forward can't be read: permission denied",
        "let the service read /proc/sys",
    );
    assert_hold(
        ask(&edit(|survey| (survey.ip_forward, survey.ip_forward_of) = (Ok(false), Family::V6))),
        Gate::Unfit,
        "this instance does not forward IPv6: net.ipv6.conf.all.forwarding is 0",
        "sysctl -w net.ipv6.conf.all.forwarding=1",
    );
}

#[test]
fn f010_no_masquerade_rule_is_unfit_where_it_is_known() {
    assert_hold(
        ask(&edit(|survey| survey.masquerade = Masquerade::Absent)),
        Gate::Unfit,
        "this instance does not masquerade: no such rule in nftables or iptables for what the guarded subnets send",
        "iptables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE",
    );
    let unknown = edit(|survey| survey.masquerade = Masquerade::Unknown("not root".to_owned()));
    assert!(ask(&unknown).is_ok(), "what is unknown is left to verification");
}

#[test]
fn f010_a_filter_that_drops_all_that_is_forwarded_is_unfit_for_who_sees_it_and_for_who_was_told() {
    let dropped = Masquerade::Dropped { chain: "the chain f (table t, ip)".to_owned(), remedy: "nft x".to_owned() };
    assert_hold(
        ask(&edit(|survey| survey.masquerade = dropped.clone())),
        Gate::Unfit,
        "the chain f (table t, ip) drops all that is forwarded, and no rule accepts anything before",
        "nft x",
    );
    let ago = std::time::Duration::from_mins(3);
    let told = |masquerade, dropped| Masquerade::Told(Sighting { family: Family::V4, masquerade, dropped, ago });
    assert_hold(
        ask(&edit(|survey| survey.masquerade = told(false, true))),
        Gate::Unfit,
        "a chain of this instance's filter drops all that is forwarded, and no rule accepts anything before, as root saw 3 min ago, by \
         facts.json",
        "natwatch doctor, as root, names the chain and what to do",
    );
    assert!(ask(&edit(|survey| survey.masquerade = told(true, false))).is_ok());
}

#[test]
fn f010_ipv6_that_nothing_translates_holds_only_where_its_addresses_are_private() {
    let lacks = "this instance translates no source of IPv6, and all IPv6 addresses of the guarded subnets are unique local ones (RFC 4193), to \
                 which nothing comes back from the internet: no such rule in nftables or ip6tables";
    let rule = "ip6tables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE";
    let plain = |private| edit(|survey| survey.masquerade = Masquerade::Plain { private });
    assert_hold(ask(&plain(true)), Gate::Unfit, lacks, rule);
    assert!(ask(&plain(false)).is_ok(), "global addresses may be meant to leave as they are");
    let ago = std::time::Duration::from_mins(3);
    let told = Sighting { family: Family::V6, masquerade: false, dropped: false, ago };
    assert_hold(
        ask(&edit(|survey| survey.masquerade = Masquerade::Told(told))),
        Gate::Unfit,
        &format!("{lacks}, as root saw 3 min ago, by facts.json"),
        &format!("{rule}; then, as root: natwatch run"),
    );
}

#[test]
fn f012_nothing_on_the_primarys_table_is_already_active() {
    let on_standby = edit(|survey| {
        let moved = std::mem::take(&mut tables(survey)[0].associations);
        tables(survey)[1].associations = moved;
    });
    let saved = guarded(&[("subnet-1", "rtb-0b"), ("subnet-2", "rtb-0b")]);
    assert_hold(
        ask_all(&on_standby, Lock::Free, Some(&saved), &[Family::V4], &settings()),
        Gate::AlreadyActive,
        "no guarded subnet is on rtb-0a; rtb-0b has them",
        "",
    );
    assert_hold(
        ask_all(&on_standby, Lock::Free, None, &[Family::V4], &listing(&["subnet-1"])),
        Gate::AlreadyActive,
        "no guarded subnet is on rtb-0a; rtb-0b has them",
        "",
    );
}

#[test]
fn f052_who_carries_is_said_of_the_guarded_subnets_and_of_no_others() {
    let saved = guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]);
    let elsewhere = edit(|survey| {
        tables(survey)[0].associations.clear();
        // The standby's table serves a subnet of its own.
        tables(survey)[1].associations.push(association("rtbassoc-9", Some("subnet-9")));
        tables(survey).push(table("rtb-0c", &["subnet-1", "subnet-2"]));
    });
    let why =
        |survey: &Survey| holds(ask_all(survey, Lock::Free, Some(&saved), &[Family::V4], &settings())).remove(0).1;
    assert_eq!(why(&elsewhere), "no guarded subnet is on rtb-0a; other tables have them");
    let both = edit(|survey| {
        tables(survey)[0].associations.clear();
        tables(survey)[1].associations.push(association("rtbassoc-1", Some("subnet-1")));
    });
    assert_eq!(why(&both), "no guarded subnet is on rtb-0a; rtb-0b and other tables have them");
}

#[test]
fn f003_a_standby_whose_own_subnet_is_on_the_primarys_table_is_unfit() {
    let mut survey = survey();
    standby(&mut survey).subnet = Some("subnet-1".parse().unwrap());
    let found = holds(ask(&survey));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == Gate::Unfit && found[0].1.contains("its pings leave through the primary"), "{found:?}");
    standby(&mut survey).subnet = Some("subnet-99".parse().unwrap());
    assert!(ask(&survey).is_ok());
}

/// A healthy pass that asked EC2 nothing, an hour after it was shown these.
fn remembering(seen: &Survey, settings: DecideSettings) -> Case {
    let own = seen.standby.clone().ok().map(|instance| Own { id: "i-0b".parse().unwrap(), instance });
    let tables = seen.tables.clone().ok();
    let unasked = || "EC2 was not asked".to_owned();
    Case {
        looks: vec![Look { round: round().reaching("subnet-1", 3), weighed: ms(700) }],
        guarded: Some(GuardedSet { tables, own, ..guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]) }),
        survey: Some(Survey { tables: Err(unasked()), standby: Err(unasked()), ..seen.clone() }),
        ..Case::new(settings)
    }
}

#[test]
fn f003_f008_what_ec2_has_shown_of_this_instance_is_judged_while_all_is_well_as_it_would_be_before_a_takeover() {
    let left_on = DecideSettings { disable_source_dest_check: false, ..settings() };
    let checked = edit(|survey| standby(survey).interfaces = vec![interface("eni-0b", 0, true)]);
    let behind = edit(|survey| standby(survey).subnet = Some("subnet-1".parse().unwrap()));
    let unknown = edit(|survey| survey.standby = Ok(None));
    let by_another = edit(|survey| {
        tables(survey)[1].routes = vec![route("0.0.0.0/0", None, Some("eni-0c"))];
    });
    for (seen, rules) in [
        (survey(), settings()),
        (checked.clone(), settings()),
        (checked.clone(), left_on.clone()),
        (behind, settings()),
        (unknown, settings()),
        (by_another, settings()),
    ] {
        let before = ask_all(&seen, Lock::Free, None, &[Family::V4], &rules).err().unwrap_or_default();
        let case = remembering(&seen, rules);
        assert_eq!(unfit(&case), before);
        assert_eq!(misled(&case), !before.is_empty(), "{before:?}");
        let conclusion = conclude(&case);
        let expected = if before.is_empty() { (Outcome::Healthy, 0) } else { (Outcome::NoRedundancy, 1) };
        assert_eq!((conclusion.outcome, conclusion.exit), expected);
    }
    // Another instance's, by a folder that was copied, or none: it says nothing.
    let seen = remembering(&checked, left_on);
    assert!(!unfit(&seen).is_empty());
    for own in [Some(Own { id: "i-0c".parse().unwrap(), instance: None }), None] {
        let mut case = seen.clone();
        case.guarded.as_mut().unwrap().own = own;
        assert_eq!((unfit(&case), misled(&case)), (Vec::new(), false));
    }
}

#[test]
fn f079_a_pause_holds_until_it_is_over() {
    let pause = crate::model::Paused { until: Timestamp::UNIX_EPOCH, reason: "kernel update\u{1b}".to_owned() };
    let survey = survey();
    let situation = Situation {
        survey: &survey,
        lock: &Lock::Free,
        paused: Some(&pause),
        guarded: None,
        families: &[Family::V4],
        planned: false,
    };
    assert_hold(
        plan(situation, &settings()),
        Gate::Paused,
        "paused until 1970-01-01T00:00:00Z: kernel update\\u{1b}",
        "natwatch resume",
    );
}

#[test]
fn f054_a_standby_table_that_does_not_lead_here_is_unfit_and_names_what_was_found() {
    let create = "aws ec2 create-route --route-table-id rtb-0b --destination-cidr-block 0.0.0.0/0 --instance-id i-0b";
    let replace = "aws ec2 replace-route --route-table-id rtb-0b --destination-cidr-block 0.0.0.0/0 --instance-id i-0b";
    let with = |routes: Vec<Route>| edit(|survey| tables(survey)[1].routes = routes);
    let gateway = Route { other: Some("igw-0c".to_owned()), ..route("0.0.0.0/0", None, None) };
    let hole = Route { blackhole: true, ..route("0.0.0.0/0", Some("i-0b"), Some("eni-0b")) };
    for (routes, why, remedy) in [
        (vec![], "rtb-0b has no route for 0.0.0.0/0", create),
        (vec![gateway], "rtb-0b sends 0.0.0.0/0 to igw-0c, not to this instance (i-0b)", replace),
        (
            vec![route("0.0.0.0/0", Some("i-0a"), Some("eni-0a"))],
            "rtb-0b sends 0.0.0.0/0 to i-0a, not to this instance (i-0b)",
            replace,
        ),
        (
            vec![route("0.0.0.0/0", None, None)],
            "rtb-0b sends 0.0.0.0/0 to nothing, not to this instance (i-0b)",
            replace,
        ),
        (vec![hole], "the route of rtb-0b for 0.0.0.0/0 is a blackhole", replace),
    ] {
        assert_hold(ask(&with(routes)), Gate::Unfit, why, remedy);
    }
    assert!(ask(&with(vec![route("0.0.0.0/0", Some("i-0b"), None)])).is_ok(), "by the instance alone");
    assert!(ask(&with(vec![route("0.0.0.0/0", None, Some("eni-0b"))])).is_ok(), "by the interface alone");
}

#[test]
fn f085_an_ipv6_route_is_asked_for_where_ipv6_is_judged_with_its_own_option() {
    let answer = ask_all(&survey(), Lock::Free, None, &[Family::V4, Family::V6], &settings());
    assert_hold(
        answer,
        Gate::Unfit,
        "rtb-0b has no route for ::/0",
        "aws ec2 create-route --route-table-id rtb-0b --destination-ipv6-cidr-block ::/0 --instance-id i-0b",
    );
    let with = edit(|survey| tables(survey)[1].routes.push(route("::/0", Some("i-0b"), None)));
    assert!(ask_all(&with, Lock::Free, None, &[Family::V4, Family::V6], &settings()).is_ok());
}

#[test]
fn f110_the_interface_that_the_route_names_is_the_one_that_counts() {
    let survey = edit(|survey| {
        standby(survey).interfaces = vec![interface("eni-0b", 0, true), interface("eni-1b", 1, false)];
        tables(survey)[1].routes = vec![route("0.0.0.0/0", Some("i-0b"), Some("eni-1b"))];
    });
    assert_eq!(ask(&survey).unwrap().disable_check, None);
    let other = edit(|survey| {
        standby(survey).interfaces = vec![interface("eni-0b", 0, false), interface("eni-1b", 1, true)];
        tables(survey)[1].routes = vec![route("0.0.0.0/0", Some("i-0b"), Some("eni-1b"))];
    });
    assert_eq!(ask(&other).unwrap().disable_check.unwrap().as_str(), "eni-1b");
}

#[test]
fn f110_where_the_families_leave_by_two_interfaces_both_are_looked_at() {
    let two = |first, second| {
        edit(|survey| {
            standby(survey).interfaces = vec![interface("eni-0b", 0, first), interface("eni-1b", 1, second)];
            tables(survey)[1].routes.push(route("::/0", Some("i-0b"), Some("eni-1b")));
        })
    };
    let ask = |survey: &Survey| ask_all(survey, Lock::Free, None, &[Family::V4, Family::V6], &settings());
    assert_eq!(ask(&two(false, true)).unwrap().disable_check.unwrap().as_str(), "eni-1b");
    assert_hold(
        ask(&two(true, true)),
        Gate::Unfit,
        "EC2 drops foreign packets at this instance: the source/destination check of eni-1b is on",
        "aws ec2 modify-network-interface-attribute --network-interface-id eni-1b --no-source-dest-check",
    );
}

#[test]
fn f056_f104_a_table_that_does_not_exist_is_foreign() {
    assert_hold(
        ask(&edit(|survey| {
            tables(survey).remove(0);
        })),
        Gate::Foreign,
        "primary.route_table = rtb-0a does not exist in this region and account",
        "aws ec2 describe-route-tables --route-table-ids rtb-0a; correct primary.route_table or standby.region",
    );
    let neither = holds(ask(&edit(|survey| tables(survey).clear())));
    assert_eq!(neither.len(), 2, "{neither:?}");
    assert!(neither[1].1.starts_with("standby.route_table = rtb-0b"), "{neither:?}");
}

#[test]
fn f056_tables_of_two_vpcs_are_foreign() {
    assert_hold(
        ask(&edit(|survey| tables(survey)[1].vpc = "vpc-1".parse().unwrap())),
        Gate::Foreign,
        "rtb-0a is in vpc-0, rtb-0b in vpc-1",
        "name two tables of one VPC",
    );
}

#[test]
fn f058_f059_an_instance_that_is_not_known_does_not_act() {
    assert_hold(
        ask(&edit(|survey| survey.identity = Err("IMDS: no answer".to_owned()))),
        Gate::Unfit,
        "this instance's id is not known: IMDS: no answer",
        "set standby.instance",
    );
    assert_hold(
        ask(&edit(|survey| survey.standby = Ok(None))),
        Gate::Foreign,
        "this instance, i-0b, is not known to EC2 in this region",
        "correct standby.instance or standby.region",
    );
}

#[test]
fn f059_a_clone_is_not_the_instance_that_the_table_leads_to() {
    let clone = edit(|survey| {
        survey.identity = Ok("i-0c".parse().unwrap());
        survey.standby = Ok(Some(Instance { interfaces: vec![interface("eni-0c", 0, false)], ..instance("i-0c") }));
    });
    assert_eq!(holds(ask(&clone))[0].1, "rtb-0b sends 0.0.0.0/0 to i-0b, not to this instance (i-0c)");
}

#[test]
fn f057_f061_what_ec2_was_asked_in_vain_is_said() {
    assert_hold(
        ask(&edit(|survey| survey.tables = Err("ec2:DescribeRouteTables: not authorized".to_owned()))),
        Gate::Unfit,
        "EC2 can't be asked about the route tables: ec2:DescribeRouteTables: not authorized",
        "",
    );
    assert_hold(
        ask(&edit(|survey| survey.standby = Err("ec2:DescribeInstances: timed out".to_owned()))),
        Gate::Unfit,
        "EC2 can't be asked about this instance: ec2:DescribeInstances: timed out",
        "",
    );
}

#[test]
fn f064_more_subnets_than_allowed_are_too_many() {
    let settings = |max_subnets| DecideSettings { max_subnets, ..settings() };
    assert_hold(
        ask_all(&survey(), Lock::Free, None, &[Family::V4], &settings(1)),
        Gate::TooMany,
        "2 subnets are to be moved, takeover.max_subnets is 1",
        "raise takeover.max_subnets or name the subnets in takeover.subnets",
    );
    assert!(ask_all(&survey(), Lock::Free, None, &[Family::V4], &settings(2)).is_ok());
}

#[test]
fn f103_a_primary_that_is_starting_holds() {
    let primary = |state: &str, ago: Option<u64>| {
        let ago = ago.map(Duration::from_secs);
        let primary = Instance { state: state.to_owned(), launched_ago: ago, ..instance("i-0a") };
        ask(&edit(|survey| survey.primary = Some(Ok(Some(primary)))))
    };
    assert_hold(primary("pending", Some(2)), Gate::Booting, "the primary i-0a is pending", "");
    assert_hold(
        primary("running", Some(100)),
        Gate::Booting,
        "the primary i-0a was started 100 s ago; 200 s to go",
        "",
    );
    for (state, ago) in [("running", Some(300)), ("running", None), ("stopped", Some(10)), ("stopping", Some(10))] {
        assert!(primary(state, ago).is_ok(), "{state} {ago:?}");
    }
    for unknown in [Ok(None), Err("timed out".to_owned())] {
        assert!(ask(&edit(|survey| survey.primary = Some(unknown))).is_ok(), "a primary that is gone holds nothing");
    }
}

#[test]
fn f104_nothing_associated_and_nothing_guarded_is_foreign() {
    let empty = edit(|survey| tables(survey)[0].associations.retain(|one| one.main));
    for saved in [
        None,
        Some(guarded(&[])),
        Some(GuardedSet { primary: "rtb-0z".parse().unwrap(), ..guarded(&[("subnet-1", "rtb-0z")]) }),
    ] {
        assert_hold(
            ask_all(&empty, Lock::Free, saved.as_ref(), &[Family::V4], &settings()),
            Gate::Foreign,
            "no subnet is explicitly associated with primary.route_table = rtb-0a: nothing is guarded",
            "aws ec2 associate-route-table --subnet-id <private subnet> --route-table-id rtb-0a",
        );
    }
}

#[test]
fn f080_a_takeover_on_record_holds_and_one_that_is_not_complete_goes_on() {
    let ask = |lock| ask_all(&survey(), lock, None, &[Family::V4], &settings());
    assert_hold(
        ask(held(Phase::Taken)),
        Gate::Locked,
        "an earlier takeover is on record and nothing is moved twice",
        "repair the primary, then: natwatch failback",
    );
    for phase in [Phase::Taking, Phase::Partial, Phase::FailingBack] {
        assert!(ask(held(phase)).is_ok(), "{phase}");
    }
}

#[test]
fn f096_what_is_asked_for_is_held_by_what_would_do_harm_and_by_nothing_else() {
    let pause = Paused { until: Timestamp::UNIX_EPOCH, reason: "new kernel".to_owned() };
    let young = edit(|survey| survey.uptime = Ok(Duration::from_secs(1)));
    let ask = |survey: &Survey, lock: &Lock, planned| {
        let families = &[Family::V4];
        let situation = Situation { survey, lock, paused: Some(&pause), guarded: None, families, planned };
        plan(situation, &settings()).map_err(|holds| holds.iter().map(|one| one.gate).collect::<Vec<_>>())
    };
    let lock = held(Phase::Taken);
    assert_eq!(ask(&young, &lock, false), Err(vec![Gate::Locked, Gate::Booting, Gate::Paused]));
    assert_eq!(ask(&young, &lock, true).map(|plan| plan.moves.len()), Ok(2));
    let unreadable = Lock::Unreadable("torn".to_owned());
    assert_eq!(ask(&young, &unreadable, true), Err(vec![Gate::Locked]));
    let forwards_not = edit(|survey| survey.ip_forward = Ok(false));
    assert_eq!(ask(&forwards_not, &lock, true), Err(vec![Gate::Unfit]));
    let all_here = edit(|survey| tables(survey).iter_mut().for_each(|table| table.associations.clear()));
    assert!(ask(&all_here, &lock, true).is_err());
}

#[test]
fn f071_f072_a_record_that_cannot_be_read_holds() {
    let lock = Lock::Unreadable("takeover.json is corrupt".to_owned());
    let answer = ask_all(&survey(), lock, None, &[Family::V4], &settings());
    assert_hold(answer, Gate::Locked, "takeover.json is corrupt", "");
}

#[test]
fn every_gate_that_holds_is_named() {
    let survey = edit(|survey| {
        survey.uptime = Ok(Duration::ZERO);
        survey.primary = Some(Ok(Some(Instance { state: "pending".to_owned(), ..instance("i-0a") })));
        survey.ip_forward = Ok(false);
        survey.masquerade = Masquerade::Absent;
        tables(survey)[1].routes.clear();
    });
    let settings = DecideSettings { max_subnets: 1, ..listing(&["subnet-1", "subnet-2", "subnet-5"]) };
    let found = holds(ask_all(&survey, held(Phase::Taken), None, &[Family::V4, Family::V6], &settings));
    let gates: Vec<Gate> = found.iter().map(|(gate, ..)| *gate).collect();
    assert_eq!(
        gates,
        [
            Gate::Locked,
            Gate::Booting,
            Gate::Booting,
            Gate::Unfit, // forwarding
            Gate::Unfit, // masquerading
            Gate::Foreign,
            Gate::TooMany,
            Gate::Unfit, // the route
            Gate::Unfit, // the route of IPv6
        ],
        "{found:#?}"
    );
}

#[test]
fn f084_where_nothing_can_be_asked_each_reason_is_said_and_nothing_panics() {
    let blind = Survey {
        identity: Err("no IMDS".to_owned()),
        tables: Err("no EC2".to_owned()),
        standby: Err("no EC2".to_owned()),
        primary: Some(Err("no EC2".to_owned())),
        uptime: Err("no /proc".to_owned()),
        ip_forward: Err("no /proc".to_owned()),
        ip_forward_of: Family::V4,
        masquerade: Masquerade::Unknown("no root".to_owned()),
    };
    let gates: Vec<Gate> = holds(ask(&blind)).into_iter().map(|(gate, ..)| gate).collect();
    assert_eq!(gates, [Gate::Booting, Gate::Unfit, Gate::Unfit, Gate::Unfit]);
}

/// What was guarded when last seen, of which the standby's groups refuse these.
fn refusing(refused: &[&str]) -> GuardedSet {
    let mut set = guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]);
    set.subnets[0].cidrs = vec!["10.0.1.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
    set.subnets[1].cidrs = vec!["10.0.2.0/24".parse().unwrap()];
    set.admission = Some(Admission {
        groups: vec!["sg-0b".parse().unwrap()],
        refused: refused.iter().map(|one| one.parse().unwrap()).collect(),
        seen: Timestamp::UNIX_EPOCH,
    });
    set
}

#[test]
fn f109_a_standby_whose_groups_admit_nothing_of_what_is_to_be_moved_is_unfit() {
    let ask = |set: &GuardedSet| ask_all(&survey(), Lock::Free, Some(set), &[Family::V4], &settings());
    let hold = Hold {
        gate: Gate::Unfit,
        why: "the security groups of this instance (sg-0b) admitted nothing from subnet-1, subnet-2 at 1970-01-01T00:00:00Z".to_owned(),
        remedy: "aws ec2 authorize-security-group-ingress --group-id sg-0b --protocol all --cidr 10.0.1.0/24; \
                 aws ec2 authorize-security-group-ingress --group-id sg-0b --protocol all --cidr 10.0.2.0/24"
            .to_owned(),
    };
    assert_eq!(ask(&refusing(&["subnet-1", "subnet-2"])), Err(vec![hold]));
    // Somebody is helped, so that is done; and what nobody has seen holds nothing.
    for set in [refusing(&["subnet-1"]), refusing(&[]), GuardedSet { admission: None, ..refusing(&[]) }] {
        assert!(ask(&set).is_ok(), "{set:?}");
    }
    let of_another = GuardedSet { standby: "rtb-0z".parse().unwrap(), ..refusing(&["subnet-1", "subnet-2"]) };
    assert!(ask(&of_another).is_ok());
    // What is not to be moved is of no interest.
    let only = DecideSettings { subnets: vec!["subnet-2".parse().unwrap()], ..settings() };
    let ask = |refused| ask_all(&survey(), Lock::Free, Some(&refusing(refused)), &[Family::V4], &only);
    assert!(ask(&["subnet-1"]).is_ok());
    assert_eq!(ask(&["subnet-2"]).unwrap_err()[0].gate, Gate::Unfit);
}
