//! What a takeover record is worth beside what EC2 shows, by its age: EC2 is eventually consistent, and whoever wrote a young record may have
//! changed something in his last moment, whatever it says of that.

use std::time::Duration;

use crate::decide;
use crate::model::{Change, Move, MoveResult, Record, RouteTable, RouteTableId, Stamp};

/// For so long after a change a describe may still show what was before it: EC2 is eventually consistent, "several minutes" at the
/// very worst, seconds as a rule. Whoever wrote a younger record may have changed something in its last moment.
pub(super) const LAG: Duration = Duration::from_secs(30);

/// How long ago something was last done that is on record: within one boot by its clock, which nobody can set (`clock_gettime(2)`). Since a reboot
/// the wall clock tells, and what was written before this boot is as old as the boot at least, whatever that clock was set to. So it is where a
/// record has no moment of a boot. A time in the future (the clock was set back) is as old as it is far off.
fn age(record: &Record, now: &Stamp) -> Duration {
    let by_wall = now.wall.duration_since(record.changed).unsigned_abs();
    match (&record.boot, &now.boot) {
        (Some(then), Some(now)) if then.id == now.id => now.at.abs_diff(then.at),
        (Some(_), Some(now)) => by_wall.max(now.at),
        (None, _) | (_, None) => by_wall,
    }
}

/// Whether what EC2 shows may clear a record: the one rule for whoever clears one that he did not bring to its end himself.
pub(super) fn outlived(record: &Record, now: &Stamp) -> bool {
    age(record, now) >= LAG
}

/// Whether nobody can be at work any more at what the record says: who lives writes it anew before each way, and verifies each for
/// `verify_for` at most.
pub(super) fn left(record: &Record, now: &Stamp, verify_for: Duration) -> bool {
    age(record, now) >= LAG.saturating_add(verify_for.saturating_mul(2))
}

/// What EC2 shows as it was before it was sent to the standby, as long as nobody can know by that whether it is there: a call whose outcome is on
/// record, or one that was under way when the record was written.
pub(super) fn in_doubt<'r>(
    record: &'r Record,
    tables: &[RouteTable],
    primary: &RouteTableId,
    now: &Stamp,
) -> Option<&'r Move> {
    let away = |one: &&Move| one.result.sent() && !decide::homeward(&one.plan, primary, &record.instance);
    let mut sent = record.moves.iter().filter(|_| !outlived(record, now)).filter(away);
    sent.find(|one| decide::shows_before(&one.plan, tables))
}

/// What a young record leaves open: a call for it may have been carried out, and nobody was left to write down whether it was.
#[must_use]
pub(crate) fn open<'r>(record: &'r Record, now: &Stamp) -> Option<&'r Move> {
    let open = |one: &&Move| matches!(one.result, MoveResult::Pending | MoveResult::Unknown(_));
    record.moves.iter().filter(|_| !outlived(record, now)).find(open)
}

/// What a young record says was moved, and EC2 shows as it was before: by the very token that the move has used up, which who brought it back by
/// hand has not.
pub(crate) fn shown_as_before<'r>(
    record: &'r Record,
    tables: &[RouteTable],
    now: &Stamp,
) -> impl Iterator<Item = &'r Move> {
    let token = move |one: &&Move| match &one.plan {
        Change::Association(plan) => {
            let mut all = tables.iter().filter(|table| table.id == plan.from).flat_map(|table| &table.associations);
            all.any(|known| known.id == plan.association)
        }
        Change::Route(_) => decide::shows_before(&one.plan, tables),
    };
    let young = !outlived(record, now);
    record.moves.iter().filter(move |one| young && one.result.moved()).filter(token)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::model::{Association, Boot, LastSteps, Phase, PlannedMove, Purpose, Verification};

    fn one(subnet: &str, from: &str, to: &str, result: MoveResult) -> Move {
        Move {
            plan: Change::Association(PlannedMove {
                subnet: subnet.parse().unwrap(),
                name: None,
                association: "rtbassoc-1".parse().unwrap(),
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            }),
            result,
            took: Duration::ZERO,
            verification: Verification::Pending,
        }
    }

    fn record(moves: Vec<Move>) -> Record {
        let at = Timestamp::UNIX_EPOCH;
        Record {
            version: 1,
            instance: "i-0b".parse().unwrap(),
            purpose: Purpose::Takeover,
            phase: Phase::FailingBack,
            began: at,
            changed: at,
            boot: None,
            because: "3 of 3 backends are cut off".to_owned(),
            moves,
            last: LastSteps::default(),
        }
    }

    /// So many seconds after an old record was written.
    fn after(record: &Record, seconds: i64) -> Stamp {
        Stamp { wall: record.changed + SignedDuration::from_secs(seconds), boot: None }
    }

    fn boot(id: &str, at: u64) -> Boot {
        Boot { id: id.to_owned(), at: Duration::from_secs(at) }
    }

    #[test]
    fn f005_f060_a_record_is_as_old_as_the_clock_of_the_boot_says_whatever_the_wall_clock_does() {
        let first = |at| Some(boot("first", at));
        let second = |at| Some(boot("second", at));
        for (then, now, by_wall, age) in [
            // Set forward, back, and not at all.
            (first(100), first(110), 3600, 10),
            (first(100), first(110), -3600, 10),
            (first(100), first(140), 0, 40),
            (first(100), first(140), 40, 40),
            // Written in the moment between a look at the clock and a look at the record.
            (first(100), first(99), 0, 1),
            // A reboot lies between: what was written before it is no younger than the boot.
            (first(1000), second(20), 25, 25),
            (first(1000), second(20), 3600, 3600),
            (first(1000), second(20), -3600, 3600),
            (first(1000), second(50), 0, 50),
            (first(10), second(50), -20, 50),
            // By an older natwatch, or where nobody knows which boot this is.
            (None, first(100), 10, 10),
            (None, first(100), -40, 40),
            (first(100), None, 10, 10),
            (None, None, 10, 10),
        ] {
            let record = Record { boot: then.clone(), ..record(Vec::new()) };
            let now = Stamp { boot: now, ..after(&record, by_wall) };
            assert_eq!(super::age(&record, &now), Duration::from_secs(age), "{then:?}, {now:?}");
            assert_eq!(outlived(&record, &now), age >= 30, "{then:?}, {now:?}");
            assert_eq!(left(&record, &now, Duration::from_secs(10)), age >= 50, "{then:?}, {now:?}");
        }
    }

    fn at_home(subnet: &str) -> Vec<RouteTable> {
        let association = Association {
            id: "rtbassoc-1".parse().unwrap(),
            subnet: Some(subnet.parse().unwrap()),
            main: false,
            failed: None,
        };
        let table = RouteTable {
            id: "rtb-0a".parse().unwrap(),
            vpc: "vpc-1".parse().unwrap(),
            name: None,
            routes: Vec::new(),
            associations: vec![association],
        };
        vec![table]
    }

    #[test]
    fn f060_f068_a_record_younger_than_half_a_minute_is_not_cleared_by_what_ec2_shows() {
        let record = record(Vec::new());
        for (age, expected) in
            [(0, false), (29, false), (30, true), (3600, true), (-1, false), (-29, false), (-31, true)]
        {
            let now = after(&record, age);
            assert_eq!(outlived(&record, &now), expected, "{age} s");
        }
    }

    #[test]
    fn f068_whoever_drills_may_be_at_work_for_both_verifications_and_half_a_minute() {
        let record = record(Vec::new());
        for (age, expected) in [(0, false), (30, false), (59, false), (60, true), (-59, false), (-60, true)] {
            let now = after(&record, age);
            assert_eq!(left(&record, &now, Duration::from_secs(15)), expected, "{age} s");
        }
        assert!(!left(&record, &after(&record, 0), Duration::MAX));
    }

    #[test]
    fn f060_f068_what_may_have_been_moved_a_moment_ago_is_in_doubt_whatever_its_record_says_of_the_call() {
        let lost = || MoveResult::Unknown("lost".to_owned());
        let failed = || MoveResult::Failed("no".to_owned());
        let primary = "rtb-0a".parse().unwrap();
        for (result, doubtful, left_open) in [
            (MoveResult::Moved, true, false),
            (MoveResult::AlreadyThere, true, false),
            (MoveResult::Pending, true, true),
            (lost(), true, true),
            (failed(), false, false),
            (MoveResult::Elsewhere("rtb-0c".to_owned()), false, false),
        ] {
            let sent = record(vec![one("subnet-1", "rtb-0a", "rtb-0b", result.clone())]);
            for (age, of_now) in [(0, true), (29, true), (30, false)] {
                let now = after(&sent, age);
                let doubt = in_doubt(&sent, &at_home("subnet-1"), &primary, &now);
                assert_eq!(doubt.is_some(), doubtful && of_now, "{result:?}, {age} s");
                assert_eq!(open(&sent, &now).is_some(), left_open && of_now, "{result:?}, {age} s");
                assert_eq!(in_doubt(&sent, &at_home("subnet-2"), &primary, &now), None, "it does not show");
            }
        }
        let home = record(vec![one("subnet-1", "rtb-0b", "rtb-0a", MoveResult::Pending)]);
        assert_eq!(in_doubt(&home, &at_home("subnet-1"), &primary, &after(&home, 0)), None, "that is where it goes");
    }
}
