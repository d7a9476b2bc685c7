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
use crate::model::{Failure, Found, Record};
use crate::record::history::{Deed, Entry};
use crate::record::lock::RunLock;
use crate::record::{State, VERSION};
use crate::report;
use crate::report::status::{Carrier, Status};

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
    let status = Box::pin(crate::status::gather(settings, &state)).await.map_err(failed)?;
    if matches!(status.record, Found::Absent) {
        return say(global, &status, false, "there is no lock to clear");
    }
    if !force {
        refuse(&status).map_or(Ok(()), |why| Err(failed(why)))?;
    }
    if !yes {
        QUESTION.ask(&report::status::places(&status)).await?;
    }
    let began = Instant::now();
    let _lock = RunLock::acquire(&state, PATIENCE, PATIENCE)
        .await
        .map_err(|error| Failure::new(exit::BUSY, error.to_string()))?;
    // Whoever had the lock until now may have moved something.
    let status = Box::pin(crate::status::gather(settings, &state)).await.map_err(failed)?;
    if !force {
        refuse(&status).map_or(Ok(()), |why| Err(failed(why)))?;
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
    say(global, &status, true, "the lock is cleared; the next run stands by again")
}

/// Why the lock must stay.
fn refuse(status: &Status) -> Option<String> {
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
