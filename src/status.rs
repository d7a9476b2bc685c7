//! `natwatch status`: who carries each subnet now, the lock, the last round, takeover and drill, the gates that would hold, and while it is
//! locked whether the primary looks well.
//!
//! It asks EC2 and changes nothing, nowhere.

pub mod live;
mod outlook;
mod screen;

use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use crate::cli::{Format, Global};
use crate::config::{Joining, Settings};
use crate::decide::{self, Lock, Situation};
use crate::ec2::Ec2;
use crate::model::failure::exit;
use crate::model::{Failure, Found, GuardedSet, Move, Names, Pass, Paused, Record, RouteTable, Survey};
use crate::preflight::{self, Guarding, LocalHost};
use crate::record::events::Events;
use crate::record::history::Deed;
use crate::record::pause::{Boot, in_force};
use crate::record::{State, lock};
use crate::report;
use crate::report::status::{Active, Carrier, LastDrill, LastTakeover, Status, Watcher};

/// What EC2 may take to answer: somebody waits at a terminal.
const ASKING: Duration = Duration::from_secs(8);

/// Prints the status; exit status 0.
///
/// # Errors
/// The state folder can't be used.
pub async fn command(settings: &Settings, global: &Global) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let state = State::open(&settings.state).map_err(|error| failed(error.to_string()))?;
    let status = Box::pin(gather(settings, &state)).await.map_err(failed)?;
    let text = match global.format {
        Format::Json => report::status::json(&status),
        Format::Text => report::status::text(&status, crate::run::style(global, std::io::stdout().is_terminal())),
    };
    report::stdout(&text).map_err(|error| failed(format!("stdout: {error}")))?;
    Ok(0)
}

/// Everything that `status` tells.
///
/// # Errors
/// The way to EC2 can't be set up (`AWS_CA_BUNDLE`).
pub(crate) async fn gather(settings: &Settings, state: &State) -> Result<Status, String> {
    Ok(Box::pin(gather_with_tables(settings, state)).await?.0)
}

/// The same, with the route tables that it goes by; none where EC2 did not show them.
///
/// # Errors
/// As [`gather`].
pub(crate) async fn gather_with_tables(
    settings: &Settings,
    state: &State,
) -> Result<(Status, Vec<RouteTable>), String> {
    let ec2 = Ec2::connect(settings.region.as_deref())?;
    let asked = Box::pin(ask(&ec2, settings, state)).await;
    let last = state.read_last_round::<IgnoredAny>();
    let last = (last.trouble(), last.present().map(|last| (last.at, last.pass)));
    let status = tell(settings, state, Some(&asked), last);
    Ok((status, asked.survey.tables.unwrap_or_default()))
}

/// What EC2 and this machine said.
struct Asked {
    at: Timestamp,
    survey: Survey,
    guarded: Result<GuardedSet, String>,
    /// Whether `primary.address` answers pings, where a takeover is on record; `None`: it was not asked.
    answers: Option<bool>,
}

async fn ask(ec2: &Ec2, settings: &Settings, state: &State) -> Asked {
    let at = Timestamp::now();
    let saved = saved(settings, state).0;
    let observe = &settings.observe;
    let guarding = Guarding::of(&settings.preflight, &observe.targets, &observe.backends, saved.as_ref());
    let host = LocalHost::new(ec2).told(state.sightings(Boot::now().as_ref())).guarding(move || guarding.clone());
    let locked = !matches!(state.read_record(None), Found::Absent);
    let (survey, mut guarded, answers) = tokio::join!(
        preflight::survey(ec2, &host, &settings.preflight, ASKING),
        preflight::guarded_set(ec2, &settings.preflight, saved.as_ref(), at),
        outlook::answers(settings, locked),
    );
    if let Ok(set) = &mut guarded {
        set.forget_refusals(at);
    }
    Asked { at, survey, guarded, answers }
}

/// The guarded subnets as last seen, of this configuration, and what to warn about.
fn saved(settings: &Settings, state: &State) -> (Option<GuardedSet>, Option<String>) {
    let (mut saved, trouble) = state.read_guarded();
    if let Some(set) = &mut saved {
        set.forget_refusals(Timestamp::now());
    }
    (saved.filter(|set| set.primary == settings.decide.primary_table), trouble)
}

/// What the folder says, and what EC2 was `asked`; the last round, or what is wrong with it, is at hand.
fn tell(
    settings: &Settings,
    state: &State,
    asked: Option<&Asked>,
    (trouble, last_round): (Option<String>, Option<(Timestamp, Pass)>),
) -> Status {
    let now = Timestamp::now();
    let (saved, of_guarded) = saved(settings, state);
    let record = state.read_record(asked.and_then(|asked| asked.survey.identity.as_ref().ok()));
    let mut notes: Vec<String> = of_guarded.into_iter().chain(trouble).collect();
    let pause = state.read_pause();
    notes.extend(pause.trouble());
    let paused = in_force(pause, now);
    let locked = !matches!(record, Found::Absent | Found::Foreign { .. });
    let not_before = outlook::not_before(settings, asked, paused.as_ref(), now);
    let primary = asked.filter(|_| locked).and_then(|asked| outlook::primary(settings, asked, saved.as_ref()));
    notes.extend(settings.fleet.as_ref().and_then(Joining::told));
    notes.extend(undelivered(state));
    notes.extend(outdated(settings, state));
    notes.extend(asked.into_iter().flat_map(|asked| outlook::besides(settings, asked, state)));
    let (active, holds) = match asked {
        None => (Err("EC2 has not answered yet".to_owned()), Vec::new()),
        Some(Asked { survey, guarded, .. }) => (
            guarded.as_ref().map(|set| active(set, settings, survey, &record)).map_err(Clone::clone),
            holds(settings, survey, &record, paused.as_ref(), guarded.as_ref().ok().or(saved.as_ref())),
        ),
    };
    let last_takeover = last_takeover(state, &record, &mut notes);
    let mut names = Names::new();
    names.learn_moves(last_takeover.iter().flat_map(|last| &last.moves));
    if let Some((_, pass)) = &last_round {
        names.extend(&pass.names);
    }
    let now_guarded = asked.and_then(|asked| asked.guarded.as_ref().ok());
    for set in saved.iter().chain(now_guarded) {
        names.learn_guarded(set);
    }
    if let Some(asked) = asked {
        names.learn_survey(&asked.survey);
    }
    Status {
        name: settings.name.clone(),
        now,
        active,
        holds,
        not_before,
        primary,
        paused,
        watcher: lock::watching(state).map(|watcher| Watcher { pid: watcher.pid, since: watcher.began }),
        last_round,
        last_drill: last_drill(state),
        last_takeover,
        record,
        notes,
        names,
    }
}

/// That a `watch` at work goes by other rules than this configuration has.
fn outdated(settings: &Settings, state: &State) -> Option<String> {
    lock::watching(state)?;
    let Found::Present(last) = state.read_last_round::<decide::Ruled>() else { return None };
    let apart = decide::apart(&last.case.rules, &settings.watched());
    (!apart.is_empty()).then(|| format!("{}: systemctl reload natwatch-watch", decide::another(&apart)))
}

/// Who carries each guarded subnet; and of the record's, whether or not they are guarded still, those that the standby does.
fn active(set: &GuardedSet, settings: &Settings, survey: &Survey, record: &Found<Record>) -> Vec<Active> {
    let mut all = carriers(set, settings);
    let (Found::Present(record), Ok(tables)) = (record, &survey.tables) else { return all };
    let here = |one: &&Move| decide::carried(&one.plan, tables, &settings.decide.standby_table, &record.instance);
    for subnet in record.moves.iter().filter(here).flat_map(|one| one.plan.subnets()) {
        match all.iter_mut().find(|one| one.subnet == *subnet) {
            Some(one) => one.by = Carrier::Standby,
            None => all.push(Active { subnet: subnet.clone(), name: None, by: Carrier::Standby }),
        }
    }
    all
}

fn carriers(set: &GuardedSet, settings: &Settings) -> Vec<Active> {
    set.subnets
        .iter()
        .map(|one| Active {
            subnet: one.subnet.clone(),
            name: one.name.clone(),
            by: if one.on == settings.decide.primary_table {
                Carrier::Primary
            } else if one.on == settings.decide.standby_table {
                Carrier::Standby
            } else {
                Carrier::Table(one.on.clone())
            },
        })
        .collect()
}

/// The gates that would hold a takeover if the primary were down now.
fn holds(
    settings: &Settings,
    survey: &Survey,
    record: &Found<Record>,
    paused: Option<&Paused>,
    guarded: Option<&GuardedSet>,
) -> Vec<crate::model::Hold> {
    let lock = match record {
        Found::Present(record) => {
            Lock::Held { phase: record.phase, moves: record.moves.clone(), last: record.last.clone() }
        }
        Found::Absent | Found::Foreign { .. } => Lock::Free,
        Found::Corrupt { .. } | Found::Newer { .. } => Lock::Unreadable(record.trouble().unwrap_or_default()),
    };
    // As a pass has it that has judged the configured targets.
    let families = settings.observe.families();
    decide::plan(
        Situation { survey, lock: &lock, paused, guarded, families: &families, planned: false },
        &settings.decide,
    )
    .err()
    .unwrap_or_default()
}

/// That the history can't be read is told with the last takeover.
fn last_drill(state: &State) -> Option<LastDrill> {
    let (entries, _) = state.read_history().ok()?;
    let last = entries.into_iter().rev().find(|entry| entry.kind == Deed::Drill)?;
    Some(LastDrill { at: last.at, outcome: last.outcome, drill: last.drill })
}

/// What waits for the hook.
fn undelivered(state: &State) -> Option<String> {
    let waiting = Events::look(state).map_or(0, |events| events.count());
    (waiting > 0).then(|| report::undelivered(waiting))
}

fn last_takeover(state: &State, record: &Found<Record>, notes: &mut Vec<String>) -> Option<LastTakeover> {
    let history = match state.read_history() {
        Ok((entries, _)) => entries,
        Err(error) => {
            notes.push(error.to_string());
            Vec::new()
        }
    };
    let told = history.into_iter().rev().find(|entry| entry.kind == Deed::Takeover).map(|entry| LastTakeover {
        at: entry.at,
        because: entry.why,
        outcome: entry.outcome,
        moves: entry.moves,
        took: Some(entry.took),
    });
    // A takeover that was cut short has a record and no line in the history yet.
    match record {
        Found::Present(record) if told.as_ref().is_none_or(|told| told.at < record.began) => Some(LastTakeover {
            at: record.began,
            because: record.because.clone(),
            outcome: None,
            moves: record.moves.clone(),
            took: None,
        }),
        _ => told,
    }
}

#[cfg(test)]
mod tests;
