//! The plan of method `route`, the address and the reboot: what is changed, what is refused, and in which words.

use super::gates::{ask_all, assert_hold, edit, guarded, holds, interface, route, standby, survey, tables};
use super::support::{round, settings};
use crate::decide::{Case, DecideSettings, Decision, Lock, Look, conclude, decide, outcome_of};
use crate::model::{
    AddressStep, Association, Change, Family, Gate, GuardedSet, Hold, Holder, Instance, LastSteps, Method, Move,
    MoveResult, Outcome, Plan, PlannedAddress, PlannedRoute, RebootResult, RebootStep, Route, SubnetId, Survey,
    Verification, Way,
};

fn routes(destinations: &[&str]) -> DecideSettings {
    let destinations = destinations.iter().map(|one| one.parse().unwrap()).collect();
    DecideSettings {
        method: Method::Route { destinations },
        primary_instance: Some("i-0a".parse().unwrap()),
        ..settings()
    }
}

/// Two subnets behind a primary's table that leads to the primary; no main association.
fn there(primary: Vec<Route>) -> Survey {
    edit(|survey| {
        tables(survey)[0].associations.retain(|one| !one.main);
        tables(survey)[0].routes = primary;
    })
}

fn to_primary() -> Vec<Route> {
    vec![route("0.0.0.0/0", Some("i-0a"), Some("eni-0a"))]
}

fn ask(survey: &Survey, settings: &DecideSettings) -> Result<Plan, Vec<Hold>> {
    ask_all(survey, Lock::Free, None, &[Family::V4], settings)
}

fn way(interface: &str, instance: &str) -> Way {
    Way { interface: interface.parse().ok(), instance: instance.parse().ok() }
}

fn changes(plan: &Plan) -> Vec<(String, String, String)> {
    plan.moves.iter().map(|one| (one.to_string(), one.from(), one.to())).collect()
}

fn row(what: &str, from: &str, to: &str) -> (String, String, String) {
    (what.to_owned(), from.to_owned(), to.to_owned())
}

#[test]
fn a_plan_names_table_destination_what_it_leads_to_and_where_it_goes() {
    let plan = ask(&there(to_primary()), &routes(&["0.0.0.0/0"])).unwrap();
    assert_eq!(changes(&plan), [row("rtb-0a 0.0.0.0/0", "eni-0a (i-0a)", "eni-0b (i-0b)")]);
    let subnets: Vec<&str> = plan.moves[0].subnets().iter().map(SubnetId::as_str).collect();
    assert_eq!(subnets, ["subnet-1", "subnet-2"], "a route carries all that are on the table");
}

#[test]
fn a_missing_route_is_made_and_a_blackhole_is_replaced_whoever_it_led_to() {
    let gone = Route { blackhole: true, ..route("10.9.9.9/32", None, Some("eni-0gone")) };
    let survey = there(vec![gone]);
    let plan = ask(&survey, &routes(&["0.0.0.0/0", "10.9.9.9/32"])).unwrap();
    assert_eq!(
        changes(&plan),
        [row("rtb-0a 0.0.0.0/0", "no route", "eni-0b (i-0b)"), row("rtb-0a 10.9.9.9/32", "eni-0gone", "eni-0b (i-0b)")]
    );
}

#[test]
fn f052_a_route_to_anybody_else_is_foreign_and_named() {
    let survey = there(vec![route("0.0.0.0/0", Some("i-0c"), Some("eni-0c"))]);
    assert_hold(
        ask(&survey, &routes(&["0.0.0.0/0"])),
        Gate::Foreign,
        "rtb-0a sends 0.0.0.0/0 to i-0c, neither to the primary (i-0a) nor to this instance",
        "aws ec2 replace-route --route-table-id rtb-0a --destination-cidr-block 0.0.0.0/0 --instance-id i-0a",
    );
    let gateway = Route { other: Some("nat-0c".to_owned()), ..route("0.0.0.0/0", None, None) };
    let held = holds(ask(&there(vec![gateway]), &routes(&["0.0.0.0/0"])));
    assert_eq!(held[0].1, "rtb-0a sends 0.0.0.0/0 to nat-0c, neither to the primary (i-0a) nor to this instance");
}

#[test]
fn without_primary_instance_the_primary_is_who_the_table_led_to_in_health() {
    let unnamed = DecideSettings { primary_instance: None, ..routes(&["0.0.0.0/0"]) };
    let survey = there(to_primary());
    assert_hold(
        ask(&survey, &unnamed),
        Gate::Foreign,
        "rtb-0a sends 0.0.0.0/0 to i-0a, and which instance is the primary is not known",
        "set primary.instance",
    );
    let seen = |leads_to| GuardedSet { leads_to: Some(leads_to), ..guarded(&[("subnet-1", "rtb-0a")]) };
    let known = seen(way("eni-0a", "i-0a"));
    let ask = |guarded: &GuardedSet| ask_all(&survey, Lock::Free, Some(guarded), &[Family::V4], &unnamed);
    assert_eq!(changes(&ask(&known).unwrap()).len(), 1);
    // The interface is the same, and another instance has it by now.
    assert_eq!(holds(ask(&seen(way("eni-0a", "i-0z"))))[0].0, Gate::Foreign);
    let of_another = GuardedSet { primary: "rtb-0z".parse().unwrap(), ..known };
    assert_eq!(holds(ask(&of_another))[0].2, "set primary.instance");
}

#[test]
fn the_primarys_own_interfaces_count_where_ec2_names_no_instance() {
    let mut survey = there(vec![route("0.0.0.0/0", None, Some("eni-1a"))]);
    assert_eq!(holds(ask(&survey, &routes(&["0.0.0.0/0"])))[0].0, Gate::Foreign);
    let primary = Instance {
        id: "i-0a".parse().unwrap(),
        interfaces: vec![interface("eni-0a", 0, false), interface("eni-1a", 1, false)],
        ..standby(&mut survey).clone()
    };
    survey.primary = Some(Ok(Some(primary)));
    assert_eq!(changes(&ask(&survey, &routes(&["0.0.0.0/0"])).unwrap()).len(), 1);
}

#[test]
fn f012_routes_that_lead_here_already_are_left_and_all_of_them_are_already_active() {
    let mut here = vec![route("0.0.0.0/0", Some("i-0b"), Some("eni-0b"))];
    assert_hold(
        ask(&there(here.clone()), &routes(&["0.0.0.0/0"])),
        Gate::AlreadyActive,
        "rtb-0a sends 0.0.0.0/0 to this instance already",
        "",
    );
    here.push(route("10.9.9.9/32", Some("i-0a"), Some("eni-0a")));
    let plan = ask(&there(here), &routes(&["0.0.0.0/0", "10.9.9.9/32"])).unwrap();
    assert_eq!(changes(&plan), [row("rtb-0a 10.9.9.9/32", "eni-0a (i-0a)", "eni-0b (i-0b)")]);
}

#[test]
fn f008_f054_f110_each_family_goes_to_the_interface_that_the_standbys_own_default_route_names() {
    let both = routes(&["0.0.0.0/0", "::/0", "10.9.9.9/32"]);
    let primary = || {
        let mut all = to_primary();
        all.push(route("::/0", Some("i-0a"), Some("eni-0a")));
        all.push(route("10.9.9.9/32", Some("i-0a"), Some("eni-0a")));
        all
    };
    // IPv4 alone was judged; but IPv6 is to be moved, and the standby's table has no way for it.
    let held = holds(ask(&there(primary()), &both));
    assert_eq!((held[0].0, held[0].1.as_str()), (Gate::Unfit, "rtb-0b has no route for ::/0"));
    let mut survey = there(primary());
    standby(&mut survey).interfaces = vec![interface("eni-0b", 0, false), interface("eni-1b", 1, true)];
    tables(&mut survey)[1].routes.push(route("::/0", Some("i-0b"), Some("eni-1b")));
    let plan = ask(&survey, &both).unwrap();
    let to: Vec<String> = plan.moves.iter().map(Change::to).collect();
    assert_eq!(to, ["eni-0b (i-0b)", "eni-1b (i-0b)", "eni-0b (i-0b)"]);
    assert_eq!(plan.disable_check.unwrap().as_str(), "eni-1b", "f008: the check of the interface that will carry it");
}

#[test]
fn f053_a_table_with_subnets_that_nobody_guards_is_foreign() {
    let mut main = there(to_primary());
    tables(&mut main)[0].associations.push(Association {
        id: "rtbassoc-main".parse().unwrap(),
        subnet: None,
        main: true,
        failed: None,
    });
    let held = holds(ask(&main, &routes(&["0.0.0.0/0"])));
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].0, Gate::Foreign);
    assert!(held[0].1.starts_with("rtb-0a is the VPC's main table"), "{held:?}");

    let listed = DecideSettings { subnets: vec!["subnet-1".parse().unwrap()], ..routes(&["0.0.0.0/0"]) };
    assert_hold(
        ask(&there(to_primary()), &listed),
        Gate::Foreign,
        "rtb-0a also has subnet-2, not in takeover.subnets, and a change of its routes moves all it has",
        "name them in takeover.subnets, or give them another table",
    );
    let mut nothing = there(to_primary());
    tables(&mut nothing)[0].associations.clear();
    assert_eq!(holds(ask(&nothing, &routes(&["0.0.0.0/0"])))[0].0, Gate::Foreign, "f104");
}

#[test]
fn f064_a_route_counts_for_every_subnet_that_it_moves() {
    let few = DecideSettings { max_subnets: 1, ..routes(&["0.0.0.0/0", "10.9.9.9/32"]) };
    let held = holds(ask(&there(to_primary()), &few));
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].1, "2 subnets are to be moved, takeover.max_subnets is 1");
}

#[test]
fn the_address_comes_from_the_primary_however_that_is_known() {
    let wants = |settings: DecideSettings| DecideSettings {
        elastic_ip: Some("eipalloc-0".parse().unwrap()),
        reboot_primary: settings.primary_instance.is_some(),
        ..settings
    };
    let plan = ask(&there(to_primary()), &wants(routes(&["0.0.0.0/0"]))).unwrap();
    let address = plan.address.unwrap();
    assert_eq!(address.from.unwrap().to_string(), "i-0a");
    assert_eq!(address.to.unwrap().to_string(), "eni-0b (i-0b)");
    assert_eq!(plan.reboot.unwrap().as_str(), "i-0a");
    // An association leaves the primary's table as it is: its default route tells.
    let plan = ask(&there(to_primary()), &wants(settings())).unwrap();
    assert_eq!(plan.address.unwrap().from.unwrap().to_string(), "eni-0a (i-0a)");
    assert_eq!(plan.reboot, None);
    assert_eq!(ask(&survey(), &settings()).unwrap().address, None);
}

#[test]
fn an_address_is_never_given_to_nobody() {
    let settings = DecideSettings { elastic_ip: Some("eipalloc-0".parse().unwrap()), ..routes(&["::/0"]) };
    let mut survey = there(vec![route("::/0", Some("i-0a"), Some("eni-0a"))]);
    tables(&mut survey)[1].routes.push(route("::/0", Some("i-0b"), Some("eni-0b")));
    let ask = |survey: &Survey| ask_all(survey, Lock::Free, None, &[Family::V6], &settings).unwrap();
    assert_eq!(ask(&survey).address.unwrap().to.unwrap().way, way("eni-0b", "i-0b"));
    tables(&mut survey)[1].routes.retain(|route| !route.is_for(&"0.0.0.0/0".parse().unwrap()));
    assert_eq!(ask(&survey).address, None, "its table leads no IPv4 here");
}

#[test]
fn a_subnet_to_be_guarded_that_would_not_move_along_is_refused() {
    let mut settings = routes(&["0.0.0.0/0"]);
    settings.subnets = ["subnet-1", "subnet-2", "subnet-7"].map(|one| one.parse().unwrap()).to_vec();
    assert_hold(
        ask(&there(to_primary()), &settings),
        Gate::Foreign,
        "subnet-7 of takeover.subnets has no explicit association with rtb-0a or rtb-0b",
        "aws ec2 associate-route-table --subnet-id subnet-7 --route-table-id rtb-0a",
    );
    settings.subnets.pop();
    assert!(ask(&there(to_primary()), &settings).is_ok());
}

/// A pass in which everybody behind the primary is cut off, over IPv4.
pub(super) fn down(settings: DecideSettings, survey: Survey) -> Case {
    let look = |started: u64| {
        let mut round = round().cut_off("subnet-1", 3);
        (round.started, round.ended) = (super::support::ms(started), super::support::ms(started + 700));
        for member in &mut round.members {
            if let crate::model::Testimony::Probes(probes) = &mut member.testimony {
                for probe in probes {
                    (probe.earliest, probe.latest) = (super::support::ms(started), super::support::ms(started));
                }
            }
        }
        Look { weighed: round.ended, round }
    };
    Case {
        looks: vec![look(0), look(3_000), look(6_000)],
        survey: Some(survey),
        guarded: Some(guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")])),
        ..Case::new(settings)
    }
}

#[test]
fn f085_what_is_not_down_is_not_moved_alone() {
    let primary = || {
        let mut all = to_primary();
        all.push(route("::/0", Some("i-0a"), Some("eni-0a")));
        all
    };
    let survey = || {
        let mut survey = there(primary());
        tables(&mut survey)[1].routes.push(route("::/0", Some("i-0b"), Some("eni-0b")));
        survey
    };
    let over = conclude(&down(routes(&["::/0"]), survey()));
    assert_eq!((over.outcome, over.exit, over.holds[0].gate), (Outcome::Down, 2, Gate::Foreign));
    assert_eq!(
        over.holds[0].why,
        "IPv4 is down, and 0.0.0.0/0 is not in takeover.destinations: what would be moved is not what is down"
    );
    assert_eq!(over.holds[0].remedy, "add \"0.0.0.0/0\" to takeover.destinations");
    for destinations in [&["0.0.0.0/0", "::/0"][..], &["10.9.9.9/32"]] {
        let decision = decide(&down(routes(destinations), survey()));
        assert!(matches!(decision, Decision::TakeOver(_)), "{destinations:?}: {decision:?}");
    }
}

#[test]
fn a_takeover_that_is_held_names_the_routes_to_change_by_hand() {
    let case = down(routes(&["0.0.0.0/0", "::/0"]), there(vec![route("0.0.0.0/0", Some("i-0c"), None)]));
    assert_eq!(
        conclude(&case).commands,
        [
            "aws ec2 replace-route --route-table-id rtb-0a --destination-cidr-block 0.0.0.0/0 --network-interface-id eni-0b",
            "aws ec2 create-route --route-table-id rtb-0a --destination-ipv6-cidr-block ::/0 --network-interface-id <an interface>"
        ]
    );
}

fn done(destination: &str, from: Option<Way>, result: MoveResult, verification: Verification) -> Move {
    let plan = Change::Route(PlannedRoute {
        table: "rtb-0a".parse().unwrap(),
        destination: destination.parse().unwrap(),
        from,
        to: Some(way("eni-0b", "i-0b")),
        subnets: vec!["subnet-1".parse().unwrap(), "subnet-2".parse().unwrap()],
    });
    Move { plan, result, took: super::support::ms(250), verification }
}

fn address(result: MoveResult) -> LastSteps {
    let plan = PlannedAddress {
        address: "eipalloc-0".parse().unwrap(),
        from: Some(Holder { way: way("eni-0a", "i-0a"), private: "10.0.0.10".parse().ok() }),
        to: Some(Holder { way: way("eni-0b", "i-0b"), private: None }),
        displaced: "eipalloc-1".parse().ok(),
    };
    LastSteps { address: Some(AddressStep { plan, result, took: super::support::ms(0) }), reboot: None }
}

#[test]
fn the_commands_finish_and_undo_routes_and_the_address() {
    let case = |moves, last| Case { moves: Some(moves), last, ..down(routes(&["0.0.0.0/0", "::/0"]), six()) };
    let primary = || Some(way("eni-0a", "i-0a"));
    let partial = case(
        vec![
            done("0.0.0.0/0", primary(), MoveResult::Moved, Verification::Verified),
            done("::/0", None, MoveResult::Failed("no".to_owned()), Verification::Pending),
        ],
        address(MoveResult::Pending),
    );
    let over = conclude(&partial);
    assert_eq!((over.outcome, over.exit), (Outcome::Partial, 2));
    assert!(over.because.ends_with("1 of 2 routes are moved"), "{}", over.because);
    assert_eq!(
        over.commands,
        [
            "aws ec2 create-route --route-table-id rtb-0a --destination-ipv6-cidr-block ::/0 --network-interface-id eni-0b",
            "aws ec2 associate-address --allow-reassociation --allocation-id eipalloc-0 --network-interface-id eni-0b"
        ]
    );
    let unverified = case(
        vec![
            done("0.0.0.0/0", primary(), MoveResult::Moved, Verification::Unverified),
            done("::/0", None, MoveResult::Moved, Verification::Unverified),
        ],
        address(MoveResult::Moved),
    );
    assert_eq!(
        conclude(&unverified).commands,
        [
            "aws ec2 replace-route --route-table-id rtb-0a --destination-cidr-block 0.0.0.0/0 --network-interface-id eni-0a",
            "aws ec2 delete-route --route-table-id rtb-0a --destination-ipv6-cidr-block ::/0",
            "aws ec2 associate-address --allow-reassociation --allocation-id eipalloc-0 --network-interface-id eni-0a --private-ip-address 10.0.0.10",
            "aws ec2 associate-address --allow-reassociation --allocation-id eipalloc-1 --network-interface-id eni-0b",
        ]
    );
}

/// Both families lead to the primary, and the standby has a way for both.
fn six() -> Survey {
    let mut primary = to_primary();
    primary.push(route("::/0", Some("i-0a"), Some("eni-0a")));
    let mut survey = there(primary);
    tables(&mut survey)[1].routes.push(route("::/0", Some("i-0b"), Some("eni-0b")));
    survey
}

#[test]
fn an_address_that_did_not_come_along_leaves_the_takeover_half_done() {
    let moves = vec![done("0.0.0.0/0", Some(way("eni-0a", "i-0a")), MoveResult::Moved, Verification::Verified)];
    assert_eq!(outcome_of(&moves, &address(MoveResult::Moved)), (Outcome::TakenOver, 4));
    assert_eq!(outcome_of(&moves, &LastSteps::default()), (Outcome::TakenOver, 4));
    for result in [MoveResult::Pending, MoveResult::Failed("no".to_owned()), MoveResult::Elsewhere("eni-0c".to_owned())]
    {
        assert_eq!(outcome_of(&moves, &address(result.clone())), (Outcome::Partial, 2), "{result:?}");
    }
    let case = Case {
        moves: Some(moves.clone()),
        last: address(MoveResult::Failed("no".to_owned())),
        ..down(routes(&["0.0.0.0/0"]), there(to_primary()))
    };
    let over = conclude(&case);
    assert!(
        over.because.ends_with("all 1 routes lead to this standby, but eipalloc-0 did not come along"),
        "{}",
        over.because
    );
    assert_eq!(over.commands.len(), 1);

    // A reboot that was not accepted changes no status, and is told with its command.
    let reboot = RebootStep { instance: "i-0a".parse().unwrap(), result: RebootResult::Failed("no".to_owned()) };
    let last = LastSteps { reboot: Some(reboot), ..address(MoveResult::Moved) };
    let over = conclude(&Case { moves: Some(moves), last, ..case });
    assert_eq!((over.outcome, over.exit), (Outcome::TakenOver, 4));
    assert_eq!(over.commands, ["aws ec2 reboot-instances --instance-ids i-0a"]);
}

#[test]
fn a_virtual_address_alone_is_moved_and_nothing_is_claimed_of_its_traffic() {
    let moves = vec![done("10.9.9.9/32", None, MoveResult::Moved, Verification::Unwitnessed)];
    let case = Case { moves: Some(moves), ..down(routes(&["10.9.9.9/32"]), there(to_primary())) };
    let over = conclude(&case);
    assert_eq!((over.outcome, over.exit), (Outcome::TakenOver, 4));
    assert!(over.because.ends_with("no ping can tell whether traffic flows by them"), "{}", over.because);
}
