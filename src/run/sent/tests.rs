//! Who is where by a record of this moment.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{
    Association, Guarded, LastSteps, Move, MoveResult, PlannedMove, PlannedRoute, Route, RouteTable, Verification, Way,
};
use crate::record::VERSION;

fn one(subnet: &str, to: &str, result: MoveResult) -> Move {
    Move {
        plan: Change::Association(PlannedMove {
            subnet: subnet.parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: to.parse().unwrap(),
        }),
        result,
        took: Duration::ZERO,
        verification: Verification::Pending,
    }
}

fn record(phase: Phase) -> Record {
    let at = Timestamp::UNIX_EPOCH;
    let moves = vec![
        one("subnet-1", "rtb-0b", MoveResult::Moved),
        one("subnet-2", "rtb-0b", MoveResult::Pending),
        one("subnet-3", "rtb-0b", MoveResult::Unknown("lost".to_owned())),
        one("subnet-4", "rtb-0b", MoveResult::Failed("no".to_owned())),
        // On their way home: the one is, and whether the other is nobody knows.
        one("subnet-5", "rtb-0a", MoveResult::Moved),
        one("subnet-6", "rtb-0a", MoveResult::Pending),
    ];
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: crate::model::Purpose::Drill,
        phase,
        began: at,
        changed: at,
        boot: None,
        because: "a drill".to_owned(),
        moves,
        last: LastSteps::default(),
    }
}

fn known() -> GuardedSet {
    let on = |n| Guarded {
        subnet: format!("subnet-{n}").parse().unwrap(),
        name: None,
        cidrs: Vec::new(),
        on: if n < 5 { "rtb-0a" } else { "rtb-0b" }.parse().unwrap(),
    };
    GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: (1..=6).map(on).collect(),
        families: Vec::new(),
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    }
}

/// So many seconds after a record was written.
fn after(record: &Record, seconds: i64) -> Stamp {
    Stamp { wall: record.changed + SignedDuration::from_secs(seconds), boot: None }
}

#[test]
fn what_a_record_of_this_moment_sends_to_the_standby_is_there_and_an_older_one_holds_nothing() {
    for (phase, age, expected) in [
        (Phase::FailingBack, 0, &["subnet-1", "subnet-2", "subnet-3", "subnet-6"][..]),
        (Phase::FailingBack, 29, &["subnet-1", "subnet-2", "subnet-3", "subnet-6"]),
        (Phase::FailingBack, 30, &["subnet-5", "subnet-6"]),
        (Phase::Taking, 0, &["subnet-5", "subnet-6"]),
        (Phase::Partial, 0, &["subnet-5", "subnet-6"]),
        (Phase::Taken, 0, &["subnet-5", "subnet-6"]),
    ] {
        let (record, mut guarded) = (record(phase), known());
        let sent = sent(&record, &guarded, &after(&record, age));
        place(&mut guarded, &sent);
        let standby: RouteTableId = "rtb-0b".parse().unwrap();
        let there: Vec<&str> =
            guarded.subnets.iter().filter(|one| one.on == standby).map(|one| one.subnet.as_str()).collect();
        assert_eq!(there, expected, "{phase}, {age} s");
    }
}

/// What EC2 shows with everybody on the primary's table by this token.
fn behind(token: &str) -> GuardedSet {
    let association = Association { id: token.parse().unwrap(), subnet: None, main: false, failed: None };
    let primary = RouteTable {
        id: "rtb-0a".parse().unwrap(),
        vpc: "vpc-1".parse().unwrap(),
        name: None,
        routes: Vec::new(),
        associations: vec![association],
    };
    GuardedSet { tables: Some(vec![primary]), ..known() }
}

#[test]
fn f060_what_ec2_shows_as_before_a_takeover_is_not_believed_for_half_a_minute() {
    let away = |set: &GuardedSet| -> Vec<String> {
        let there = set.subnets.iter().filter(|one| one.on == set.standby);
        there.map(|one| one.subnet.to_string()).collect()
    };
    for (phase, age, expected) in [
        (Phase::Taken, 0, &["subnet-1", "subnet-5", "subnet-6"][..]),
        (Phase::Partial, 29, &["subnet-1", "subnet-5", "subnet-6"]),
        (Phase::Taking, 29, &["subnet-1", "subnet-5", "subnet-6"]),
        (Phase::Taken, 30, &["subnet-5", "subnet-6"]),
        (Phase::FailingBack, 0, &["subnet-5", "subnet-6"]),
    ] {
        let mut shown = behind("rtbassoc-1");
        let record = record(phase);
        taken(&mut shown, &record, &after(&record, age));
        assert_eq!(away(&shown), expected, "{phase:?}, {age} s");
    }
    let (mut shown, record) = (behind("rtbassoc-2"), record(Phase::Taken));
    taken(&mut shown, &record, &after(&record, 0));
    assert_eq!(away(&shown), ["subnet-5", "subnet-6"], "somebody has brought it back since, by another token");
    let mut shown = behind("rtbassoc-1");
    shown.subnets[0].on = "rtb-0c".parse().unwrap();
    taken(&mut shown, &record, &after(&record, 0));
    assert_eq!(shown.subnets[0].on.as_str(), "rtb-0c", "somebody has moved it since");
}

fn route(destination: &str, result: MoveResult) -> Move {
    let way = |interface: &str| Way { interface: Some(interface.parse().unwrap()), instance: None };
    let plan = Change::Route(PlannedRoute {
        table: "rtb-0a".parse().unwrap(),
        destination: destination.parse().unwrap(),
        from: (destination == "0.0.0.0/0").then(|| way("eni-0a")),
        to: Some(way("eni-0b")),
        subnets: (1..=4).map(|n| format!("subnet-{n}").parse().unwrap()).collect(),
    });
    Move { plan, result, took: Duration::ZERO, verification: Verification::Pending }
}

/// What EC2 shows with one route on the primary's table, which leads to this interface.
fn led_to(interface: &str) -> GuardedSet {
    let mut shown = behind("rtbassoc-1");
    let default = Route {
        destination: "0.0.0.0/0".to_owned(),
        instance: None,
        interface: Some(interface.parse().unwrap()),
        other: None,
        blackhole: false,
    };
    for table in shown.tables.iter_mut().flatten() {
        table.routes.push(default.clone());
    }
    shown
}

#[test]
fn f051_f060_routes_that_ec2_shows_as_before_are_where_their_record_has_all_of_them_and_nowhere_by_a_part() {
    let failed = || MoveResult::Failed("no".to_owned());
    for (default, other, shows, away) in [
        (MoveResult::Moved, MoveResult::Moved, "eni-0a", true),
        // One is shown by now, the other is not.
        (MoveResult::Moved, MoveResult::Moved, "eni-0b", true),
        (failed(), MoveResult::Moved, "eni-0a", false),
        (MoveResult::Moved, failed(), "eni-0a", false),
        (failed(), failed(), "eni-0a", false),
    ] {
        let mut record = record(Phase::Partial);
        record.moves = vec![route("0.0.0.0/0", default.clone()), route("10.9.9.9/32", other.clone())];
        let mut shown = led_to(shows);
        taken(&mut shown, &record, &after(&record, 0));
        let there = shown.subnets.iter().filter(|one| one.on == shown.standby).count();
        assert_eq!(there, if away { 6 } else { 2 }, "{default:?}, {other:?}, EC2 shows {shows}");
    }
}

#[test]
fn f060_what_ec2_shows_nowhere_is_where_a_record_of_this_moment_sends_it() {
    for (phase, age, young) in [(Phase::Taken, 0, true), (Phase::FailingBack, 29, true), (Phase::Partial, 30, false)] {
        let record = record(phase);
        // Nobody has an association, and the last two are known to be on the standby's table.
        let mut shown = behind("rtbassoc-9");
        arrived(&mut shown, &record, &after(&record, age));
        let on: Vec<&str> = shown.subnets.iter().map(|one| one.on.as_str()).collect();
        let before = ["rtb-0a", "rtb-0a", "rtb-0a", "rtb-0a", "rtb-0b", "rtb-0b"];
        let sent = ["rtb-0b", "rtb-0b", "rtb-0b", "rtb-0a", "rtb-0a", "rtb-0b"];
        assert_eq!(on, if young { sent } else { before }, "{phase}, {age} s");
    }
    let (record, mut shown) = (record(Phase::Taken), behind("rtbassoc-9"));
    shown.subnets[0].on = "rtb-0c".parse().unwrap();
    let tables = shown.tables.as_mut().unwrap();
    tables[0].associations[0].subnet = Some("subnet-5".parse().unwrap());
    arrived(&mut shown, &record, &after(&record, 0));
    assert_eq!(shown.subnets[0].on.as_str(), "rtb-0c", "it is shown on a third table");
    assert_eq!(shown.subnets[4].on.as_str(), "rtb-0b", "it is shown");
}

#[test]
fn f060_f066_what_is_on_record_is_remembered_whatever_has_become_of_the_guarded_set() {
    let settings = PreflightSettings {
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        standby_instance: None,
        subnets: Vec::new(),
        method: crate::model::Method::Association,
    };
    let now = Timestamp::UNIX_EPOCH;
    let names = |set: Option<GuardedSet>| -> Vec<String> {
        set.iter().flat_map(|set| &set.subnets).map(|one| one.subnet.to_string()).collect()
    };
    let mut record = record(Phase::Taken);
    record.moves.truncate(2);
    assert_eq!(names(with_record(None, None, &settings, now)), [""; 0]);
    assert_eq!(names(with_record(None, Some(&record), &settings, now)), ["subnet-1", "subnet-2"]);
    assert_eq!(with_record(Some(&known()), Some(&record), &settings, now), Some(known()));
    let mut narrowed = known();
    narrowed.subnets.truncate(1);
    assert_eq!(names(with_record(Some(&narrowed), Some(&record), &settings, now)), ["subnet-1", "subnet-2"]);
    let other = PreflightSettings { standby_table: "rtb-0c".parse().unwrap(), ..settings };
    assert_eq!(names(with_record(Some(&narrowed), Some(&record), &other, now)), ["subnet-1"], "of another table");
}
