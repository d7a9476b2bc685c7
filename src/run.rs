//! `natwatch run`: builds the clients, runs one pass, keeps what must be kept, prints what is to be printed.
//!
//! | file | job |
//! |---|---|
//! | `clients` | what a pass is made with |
//! | `pass` | the pass itself, on traits |
//! | `rounds` | its rounds, until the evidence is enough or there is none |
//! | `rest` | the end of a pass that is not down: lock, guarded subnets, refresh |
//! | `down` | the end of a pass that is: the lock and the decision |
//! | `planned` | a takeover that an operator asks for |
//! | `takeover` | a takeover as carried out and recorded |
//! | `failback` | the way back: one subnet first, then the others |
//! | `drill` | practice: one subnet there and back |
//! | `verify` | whether it helped |
//! | `targets` | where the targets are, and what is remembered of them |
//! | `remember` | the takeover record as found |
//! | `aside` | what may hang in the kernel, beside everything else |
//! | `lapse` | evidence again, where it lapsed before EC2 did what it called for |
//! | `lag` | what a record is worth by its age |
//! | `asked` | what EC2 says of a record that is not complete |
//! | `untold` | a complete takeover that a killed process did not tell |
//! | `own` | the standby's own witnesses |
//! | `fleet` | whom EC2 shows running in the guarded subnets |
//! | `facts` | what only root can see, left for those who can't |
//! | `beside` | a pass beside a `watch` |
//! | `lasting` | passes without end |
//! | `post` | events, and what brings them to the hook |
//! | `figures` | the metrics |
//! | `signals` | what a signal does to a pass |

mod aside;
mod asked;
mod beside;
pub(crate) mod clients;
mod down;
pub mod drill;
pub(crate) mod facts;
pub mod failback;
mod figures;
pub(crate) mod fleet;
pub(crate) mod lag;
mod lapse;
pub mod lasting;
mod own;
pub mod pass;
pub mod planned;
mod post;
mod remember;
mod rest;
mod rounds;
mod sent;
mod signals;
mod takeover;
mod targets;
mod untold;
mod verify;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use jiff::Timestamp;

use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::model::failure::exit;
use crate::model::{Failure, Names, Outcome, Pass};
use crate::observe::ssh::Ssh;
use crate::record::printed::{Printed, should_print};
use crate::record::round::LastRound;
use crate::record::witnesses::Witnesses;
use crate::record::{State, VERSION};
use crate::report::{self, Color, Style};
use clients::{Clients, Live};
pub use figures::Gauges;
use pass::{Done, Mode};
pub use planned::planned;
pub use post::{Deed, Post};
pub use signals::Stop;
pub(crate) use signals::{Signals, signal, to_its_end};

/// One pass, told and remembered; returns the exit status, which after a signal that ended it is 128 and the signal's number.
///
/// # Errors
/// The state folder can't be used, or SSH can't be prepared; 78: the configuration is another instance's.
pub async fn command(settings: &Settings, global: &Global, dry_run: bool) -> Result<u8, Failure> {
    let mode = if dry_run { Mode::DryRun } else { Mode::Act };
    let state = open(settings)?;
    let pass = async |world: &Live<'_>, witnesses| Box::pin(pass::pass(world, settings, witnesses, mode)).await;
    // Whoever is told to end in a takeover brings that to its end, and has no time for a hook.
    let mut heard = Signals::or_hangup();
    let done = match make(settings, global, &state, &Stop::default(), !dry_run, pass).await? {
        Ok(done) => done,
        Err(number) => return Ok(128 + number),
    };
    let post = Post::new(settings, &state);
    let gauges = Gauges::new(settings, &state);
    let tells = !dry_run && done.pass.outcome != Outcome::Busy;
    if tells {
        post.passed(&done.pass, &done.case);
        measured(gauges.passed(&done.pass, &done.witnesses, true));
    }
    // What has happened is in the exit status, whether or not anybody could be told.
    if let Err(error) = print(settings, global, &state, &done, dry_run) {
        tracing::warn!(event = "stdout", "stdout: {error}");
    }
    measured(gauges.settle().await);
    // Last of all, since it may take as long as `notify.timeout`: the run lock is free, and the next run need not wait for this one.
    if tells && post.deliver(&mut heard).await {
        measured(gauges.write(&done.pass, &done.witnesses));
        measured(gauges.settle().await);
    }
    Ok(done.pass.exit)
}

fn measured(written: Result<(), String>) {
    if let Err(why) = written {
        tracing::warn!(event = "metrics", "metrics: {why}");
    }
}

/// The state folder, for a pass that may write to it.
///
/// # Errors
/// 2: it can't be used.
pub(crate) fn open(settings: &Settings) -> Result<State, Failure> {
    State::open(&settings.state).map_err(|error| Failure::new(exit::FAILED, error.to_string()))
}

/// Makes a pass with everything it needs, brings it to its end whatever signals come, and, with `keep`, keeps what the next one
/// needs. The inner error is the number of the signal that ended it.
///
/// # Errors
/// SSH can't be prepared, or the way to EC2 can't be set up; 78: the configuration is another instance's.
pub(crate) async fn make(
    settings: &Settings,
    global: &Global,
    state: &State,
    stop: &Stop,
    keep: bool,
    pass: impl AsyncFnOnce(&Live<'_>, Witnesses) -> Done,
) -> Result<Result<Done, u8>, Failure> {
    let (witnesses, trouble) = Witnesses::load(state, Timestamp::now());
    let clients = Clients::build(settings, &witnesses)?;
    let host = clients.host(settings).await?;
    let clock = clients::clock();
    let watched = std::io::stderr().is_terminal() && !global.quiet && global.format != Format::Json;
    let mut names = Names::new();
    if let Some(guarded) = state.read_guarded().0 {
        names.learn_guarded(&guarded);
    }
    let tell = |text: &str| {
        let text = names.tell(text);
        if watched {
            report::progress(&text);
        } else {
            tracing::info!(event = "progress", "{text}");
        }
    };
    let world = clients.world(&host, state, &clock, &tell);
    if watched {
        report::progress(&format!("asking {} of {} backends", panel(settings), settings.observe.backends.len()));
    }
    let mut signals = Signals::or_hangup();
    let passing = Box::pin(pass(&world, witnesses));
    let mut done = match to_its_end(&mut signals, passing, &world.moving, stop).await {
        Ok(done) => done,
        Err(number) => {
            clients.close().await;
            return Ok(Err(number));
        }
    };
    done.pass.notes.splice(0..0, trouble);
    // A takeover that was asked for and held says nothing of the network.
    let held = done.case.planned && done.case.moves.is_none();
    if keep && !held && done.pass.outcome != Outcome::Busy {
        let seen = done.case.survey.as_ref().map(|survey| &survey.masquerade);
        done.pass.notes.extend(facts::leave(settings, state, seen).await);
        remember(settings, state, &clients.ssh, &mut done);
    }
    Ok(Ok(done))
}

fn panel(settings: &Settings) -> usize {
    let all = settings.observe.backends.len();
    if settings.observe.panel == 0 { all } else { settings.observe.panel.min(all) }
}

/// Keeps what the next pass needs. What can't be kept is a note, never a failure: the pass has happened.
fn remember(settings: &Settings, state: &State, ssh: &Ssh, done: &mut Done) {
    let now = Timestamp::now();
    remember_whole_seconds(settings, ssh, &mut done.witnesses, now);
    if let Err(error) = done.witnesses.save(state, now) {
        done.forgets(error.to_string());
    }
    let last = LastRound { version: VERSION, at: now, case: done.case.clone(), pass: done.pass.clone() };
    if let Err(error) = state.write_last_round(&last) {
        done.forgets(error.to_string());
    }
}

/// Keeps whose `ping` takes whole seconds only.
pub(crate) fn remember_whole_seconds(settings: &Settings, ssh: &Ssh, witnesses: &mut Witnesses, now: Timestamp) {
    let found: BTreeSet<String> = ssh.whole_seconds().into_iter().collect();
    for one in settings.observe.backends.iter().filter(|one| found.contains(&one.host)) {
        if !witnesses.whole_seconds_ping(&one.host, one.addr, now) {
            witnesses.found_whole_seconds(&one.host, one.addr, now);
        }
    }
}

/// Tells an operator what came of what was asked for. That nobody could be told changes no exit status.
pub(crate) fn tell(settings: &Settings, global: &Global, pass: &Pass, text: fn(&Pass, &str, Style) -> String) {
    let out = match global.format {
        Format::Json => report::json::run(pass),
        Format::Text if global.quiet && pass.exit == 0 => return,
        Format::Text => text(pass, &settings.name, style(global, std::io::stdout().is_terminal())),
    };
    if let Err(error) = report::stdout(&out) {
        tracing::warn!(event = "stdout", "stdout: {error}");
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
            tracing::warn!(event = "state", "{error}");
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
