//! `natwatch reset`: clears the lock after a repair by hand. It changes nothing in AWS.
//!
//! It says where each subnet is, and refuses while a recorded subnet is still on the standby: without the lock, and with
//! nothing on the primary, nobody would stand by and nothing would say so.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::confirm::Question;
use crate::model::failure::exit;
use crate::model::{Boot, EventKind, Failure, Found, Record, RouteTable, Stamp};
use crate::record::history::{Deed, Entry};
use crate::record::lock::{LockError, RunLock};
use crate::record::{State, VERSION};
use crate::report;
use crate::report::status::{Carrier, Status};
use crate::run::{Deed as Told, Post, Signals, lag};

const QUESTION: Question = Question {
    command: "natwatch reset",
    asks: "Clear the lock? Then the next run may take over again.",
    otherwise: "the lock stays",
};

/// How long another natwatch that is moving subnets is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clears the lock; exit status 0, also where there is none.
///
/// # Errors
/// 2: subnets are still on the standby, EC2 can't be asked, or the record can't be removed (all but the last: unless
/// `--force`). 64: no terminal to ask on, and no `--yes`.
pub async fn command(settings: &Settings, global: &Global, yes: bool, force: bool) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let state = State::open(&settings.state).map_err(|error| failed(error.to_string()))?;
    let now = moment();
    let (status, tables) = Box::pin(crate::status::gather_with_tables(settings, &state)).await.map_err(failed)?;
    if matches!(status.record, Found::Absent) {
        return say(global, &status, false, "there is no lock to clear");
    }
    if !force {
        refuse(&status, &tables, &now).map_or(Ok(()), |why| Err(failed(why)))?;
    }
    if !yes {
        QUESTION.ask(&report::status::places(&status)).await?;
    }
    let began = Instant::now();
    let lock = RunLock::acquire(&state, PATIENCE, PATIENCE).await.map_err(|error| unlocked(&error))?;
    // Whoever had the lock until now may have moved something.
    let now = moment();
    let (status, tables) = Box::pin(crate::status::gather_with_tables(settings, &state)).await.map_err(failed)?;
    if !force {
        refuse(&status, &tables, &now).map_or(Ok(()), |why| Err(failed(why)))?;
    }
    state.clear_record().map_err(|error| failed(error.to_string()))?;
    let entry = Entry {
        version: VERSION,
        kind: Deed::Reset,
        at: Timestamp::now(),
        instance: None,
        why: if force { "by an operator, forced" } else { "by an operator" }.to_owned(),
        outcome: None,
        last: crate::model::LastSteps::default(),
        drill: None,
        moves: match &status.record {
            Found::Present(record) => record.moves.clone(),
            _ => Vec::new(),
        },
        took: began.elapsed(),
    };
    state
        .append_history(&entry)
        .map_err(|error| failed(format!("the lock is cleared, but the history could not be written: {error}")))?;
    drop(lock);
    let post = Post::new(settings, &state);
    let because = format!("the lock is cleared, {}", entry.why);
    let instance = match &status.record {
        Found::Present(record) => Some(&record.instance),
        _ => None,
    };
    post.did(EventKind::Reset, Told { because: &because, instance, ..Told::default() });
    let said = say(global, &status, true, "the lock is cleared; the next run stands by again");
    post.deliver(&mut Signals::new()).await;
    said
}

/// 75 is for who has only to wait: a lock file that can't be used is to be mended.
fn unlocked(error: &LockError) -> Failure {
    let status = if matches!(error, LockError::Busy(_)) { exit::BUSY } else { exit::FAILED };
    Failure::new(status, error.to_string())
}

/// Before EC2 is asked: what it shows is no younger.
fn moment() -> Stamp {
    Stamp { wall: Timestamp::now(), boot: Boot::now() }
}

/// Why the lock must stay, by what EC2 showed at this moment or later.
fn refuse(status: &Status, tables: &[RouteTable], now: &Stamp) -> Option<String> {
    if let Found::Present(record) = &status.record
        && let Some(open) = lag::open(record, now)
    {
        return Some(format!(
            "{} may have been moved a moment ago by a natwatch that was ended, and EC2 may not show it yet; try again in half a minute, \
             or clear the lock all the same: natwatch reset --force",
            open.plan
        ));
    }
    if let Found::Present(record) = &status.record
        && let Some(stale) = lag::shown_as_before(record, tables, now).next()
    {
        return Some(format!(
            "EC2 still shows {} as it was before it was moved a moment ago, and may be behind; try again in half a minute, or clear the lock \
             all the same: natwatch reset --force",
            stale.plan
        ));
    }
    let active = match &status.active {
        Ok(active) => active,
        Err(why) => {
            return Some(format!(
                "it is not known where the subnets are: {why}; clear the lock all the same: natwatch reset --force"
            ));
        }
    };
    let recorded = |subnet| match &status.record {
        Found::Present(record) => of_record(record, subnet),
        // A record that can't be read may be about any of them.
        _ => true,
    };
    let on_standby: Vec<String> = active
        .iter()
        .filter(|one| one.by == Carrier::Standby && recorded(&one.subnet))
        .map(|one| one.subnet.to_string())
        .collect();
    if on_standby.is_empty() {
        return None;
    }
    Some(format!(
        "{} still on the standby: {}; bring them back (aws ec2 replace-route-table-association) or, to leave them there: natwatch reset --force",
        if on_standby.len() == 1 { "a subnet is" } else { "subnets are" },
        on_standby.join(", ")
    ))
}

fn of_record(record: &Record, subnet: &crate::model::SubnetId) -> bool {
    record.moves.iter().any(|one| one.plan.carries(subnet))
}

fn say(global: &Global, status: &Status, cleared: bool, text: &str) -> Result<u8, Failure> {
    let out = match global.format {
        Format::Json => report::status::reset_json(status, cleared),
        Format::Text if global.quiet => String::new(),
        Format::Text => format!("{}{text}\n", report::status::places(status)),
    };
    report::stdout(&out).map_err(|error| Failure::new(exit::FAILED, format!("stdout: {error}")))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;

    use super::*;
    use crate::model::{Change, LastSteps, Move, MoveResult, Names, Phase, PlannedMove, Purpose, Verification};
    use crate::record::StateError;
    use crate::report::status::Active;

    fn status(result: MoveResult, seconds: i64) -> Status {
        let now = Timestamp::UNIX_EPOCH;
        let plan = Change::Association(PlannedMove {
            subnet: "subnet-1".parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: "rtb-0b".parse().unwrap(),
        });
        let record = Record {
            version: VERSION,
            instance: "i-0b".parse().unwrap(),
            purpose: Purpose::Takeover,
            phase: Phase::Taking,
            began: now,
            changed: now,
            boot: None,
            because: "3 of 3 backends are cut off".to_owned(),
            moves: vec![Move { plan, result, took: Duration::ZERO, verification: Verification::Pending }],
            last: LastSteps::default(),
        };
        Status {
            name: "nat".to_owned(),
            now: now + SignedDuration::from_secs(seconds),
            record: Found::Present(record),
            paused: None,
            watcher: None,
            active: Ok(vec![Active { subnet: "subnet-1".parse().unwrap(), name: None, by: Carrier::Primary }]),
            holds: Vec::new(),
            not_before: BTreeMap::new(),
            last_round: None,
            last_takeover: None,
            last_drill: None,
            primary: None,
            notes: Vec::new(),
            names: Names::new(),
        }
    }

    #[test]
    fn f060_f068_the_lock_stays_while_ec2_may_not_show_yet_what_a_killed_process_has_moved() {
        let lost = || MoveResult::Unknown("lost".to_owned());
        for (result, age, refused) in [
            (MoveResult::Pending, 0, true),
            (lost(), 29, true),
            (MoveResult::Pending, 30, false),
            // Settled, and seen at home since: somebody has brought it there.
            (MoveResult::Moved, 0, false),
        ] {
            let status = status(result.clone(), age);
            let why = refuse(&status, &[], &Stamp { wall: status.now, boot: None });
            assert_eq!(why.is_some(), refused, "{result:?}, {age} s: {why:?}");
            assert!(why.is_none_or(|why| why.contains("subnet-1") && why.contains("--force")));
        }
    }

    #[test]
    fn only_who_has_to_wait_is_told_to_come_again() {
        assert_eq!(unlocked(&LockError::Busy(None)).exit, exit::BUSY);
        let refused =
            StateError::Refused { path: "run.lock".into(), why: "is a folder".to_owned(), remedy: String::new() };
        assert_eq!(unlocked(&LockError::State(refused)).exit, exit::FAILED);
    }
}
