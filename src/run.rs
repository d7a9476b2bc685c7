//! `natwatch run`: builds the clients, runs one pass, keeps what must be kept, prints what is to be printed.
//!
//! | file | job |
//! |---|---|
//! | `clients` | what a pass is made with |
//! | `pass` | the pass itself, on traits |
//! | `rounds` | its rounds, until the evidence is enough or there is none |
//! | `rest` | the end of a pass that is not down: lock, guarded subnets, refresh |
//! | `down` | the end of a pass that is: the lock and the decision |
//! | `takeover` | a takeover as carried out and recorded |
//! | `verify` | whether it helped |
//! | `targets` | where the targets are, and what is remembered of them |
//! | `remember` | the takeover record as found |
//! | `untold` | a complete takeover that a killed process did not tell |
//! | `own` | the standby's own witnesses |
//! | `facts` | what only root can see, left for those who can't |

pub(crate) mod clients;
mod down;
mod facts;
mod own;
pub mod pass;
mod remember;
mod rest;
mod rounds;
mod takeover;
mod targets;
mod untold;
mod verify;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{self, SignalKind};
use tokio::time::timeout;

use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::model::failure::exit;
use crate::model::{Failure, Outcome};
use crate::observe::ssh::Ssh;
use crate::record::printed::{Printed, should_print};
use crate::record::round::LastRound;
use crate::record::witnesses::Witnesses;
use crate::record::{State, VERSION};
use crate::report::{self, Color, Style};
use clients::Clients;
use pass::{Done, Mode};

/// After the first signal, moves under way have this long to be brought to their end: systemd and operators lose patience
/// after ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(9);

/// One pass, told and remembered; returns the exit status, which after a signal that ended it is 128 and the signal's number.
///
/// # Errors
/// The state folder can't be used, or SSH can't be prepared; 78: the configuration is another instance's.
pub async fn command(settings: &Settings, global: &Global, dry_run: bool) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let state = State::open(&settings.state).map_err(|error| failed(error.to_string()))?;
    let (witnesses, trouble) = Witnesses::load(&state, Timestamp::now());
    let clients = Clients::build(settings, &witnesses)?;
    let host = clients.host(settings).await?;
    let clock = clients::clock();
    let watched = std::io::stderr().is_terminal() && !global.quiet;
    let tell = |text: &str| {
        if watched {
            report::progress(text);
        } else {
            tracing::info!("{text}");
        }
    };
    let world = clients.world(&host, &state, &clock, &tell);
    if watched {
        report::progress(&format!("asking {} of {} backends", panel(settings), settings.observe.backends.len()));
    }
    let mut passing = Box::pin(pass::pass(&world, settings, witnesses, if dry_run { Mode::DryRun } else { Mode::Act }));
    let finished = tokio::select! {
        // The handlers first: until they are there, a signal ends the process and leaves what it has started.
        biased;
        signal = signal() => Err(signal),
        done = &mut passing => Ok(done),
    };
    let mut done = match finished {
        Ok(done) => done,
        Err(number) => {
            tracing::warn!("ended by signal {number}");
            // Moves that are under way are brought to their end and recorded; a second signal ends that too.
            let moving = world.moving.get();
            let last = tokio::select! {
                last = timeout(LAST_WORDS, &mut passing), if moving => last.ok(),
                _ = signal(), if moving => None,
                else => None,
            };
            let Some(done) = last else {
                drop(passing);
                clients.close().await;
                return Ok(128 + number);
            };
            done
        }
    };
    done.pass.notes.splice(0..0, trouble);
    if !dry_run && done.pass.outcome != Outcome::Busy {
        done.pass.notes.extend(facts::leave(&state).await);
        remember(settings, &state, &clients.ssh, &mut done);
    }
    // What has happened is in the exit status, whether or not anybody could be told.
    if let Err(error) = print(settings, global, &state, &done, dry_run) {
        tracing::warn!("stdout: {error}");
    }
    Ok(done.pass.exit)
}

/// Waits for SIGTERM or SIGINT, and returns its number (signal(7)). Where no handler can be had, it waits for ever, and the
/// signal does what it does by default.
pub(crate) async fn signal() -> u8 {
    let (Ok(mut term), Ok(mut int)) = (unix::signal(SignalKind::terminate()), unix::signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => 15,
        _ = int.recv() => 2,
    }
}

fn panel(settings: &Settings) -> usize {
    let all = settings.observe.backends.len();
    if settings.observe.panel == 0 { all } else { settings.observe.panel.min(all) }
}

/// Keeps what the next pass needs. What can't be kept is a note, never a failure: the pass has happened.
fn remember(settings: &Settings, state: &State, ssh: &Ssh, done: &mut Done) {
    let now = Timestamp::now();
    let found: BTreeSet<String> = ssh.whole_seconds().into_iter().collect();
    for one in settings.observe.backends.iter().filter(|one| found.contains(&one.host)) {
        if !done.witnesses.whole_seconds_ping(&one.host, one.addr, now) {
            done.witnesses.found_whole_seconds(&one.host, one.addr, now);
        }
    }
    if let Err(error) = done.witnesses.save(state, now) {
        done.forgets(error.to_string());
    }
    let last = LastRound { version: VERSION, at: now, case: done.case.clone(), pass: done.pass.clone() };
    if let Err(error) = state.write_last_round(&last) {
        done.forgets(error.to_string());
    }
}

fn print(settings: &Settings, global: &Global, state: &State, done: &Done, dry_run: bool) -> std::io::Result<()> {
    let pass = &done.pass;
    if global.format == Format::Json {
        return report::stdout(&report::json::run(pass));
    }
    let terminal = std::io::stdout().is_terminal();
    let gate = pass.holds.first().map(|hold| hold.gate);
    let now = Timestamp::now();
    // Whoever asks for a dry run wants to see it. A holder of the lock that is past its deadline is worth a mail.
    let told = dry_run
        || should_print(state.read_printed().as_ref(), (pass.outcome, gate), now, terminal)
        || (pass.outcome == Outcome::Busy && !pass.notes.is_empty());
    if told && !(global.quiet && pass.exit == 0) {
        report::stdout(&report::text::run(pass, &settings.name, style(global, terminal)))?;
    }
    if told && !terminal && !dry_run && pass.outcome != Outcome::Busy {
        // At worst the same mail comes again.
        if let Err(error) = state.write_printed(&Printed::new(pass.outcome, gate, now)) {
            tracing::warn!("{error}");
        }
    }
    Ok(())
}

/// How text on stdout is to look.
pub(crate) fn style(global: &Global, terminal: bool) -> Style {
    let choice = match global.color {
        crate::cli::Color::Auto => Color::Auto,
        crate::cli::Color::Always => Color::Always,
        crate::cli::Color::Never => Color::Never,
    };
    Style::new(choice, terminal, |name| std::env::var(name).ok())
}
