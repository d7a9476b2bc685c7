//! natwatch: the watchdog that keeps private subnets online when their AWS NAT instance dies.
//!
//! ```text
//!  argv, env, file -> config -> observe -> decide -> act -> record -> exit status, one summary event
//!                               (evidence) (pure)    (EC2)  (durable)
//! ```
//!
//! One direction, no way back. `observe` cannot change anything, `decide` cannot touch anything, `act` has nothing left to
//! choose, `record` says what happened and not what was meant.
//!
//! | room | job | may use from this crate |
//! |---|---|---|
//! | `cli` | what was typed | – |
//! | `config` | what it means: file as written, then checked settings, one per stage | cli, model, the stages' settings |
//! | `run` | one pass: builds the clients, holds the lock, owns clock and seed | all |
//! | `watch` | passes without end: keeps what others go by, tells what changes | all |
//! | `check`, `status`, `takeover`, `failback`, `drill`, `reset`, `pause`, `history` | one command each, made of the stages' parts | what they need of the stages, and `run`'s passes |
//! | `doctor` | looks at everything that a takeover and its evidence depend on | the stages' parts and clients, `report` |
//! | `init` | a first configuration from what is there | cli, config, confirm, model, the traits of preflight, ec2, report |
//! | `confirm` | asks on a terminal: before something is changed, and what only an operator knows | model, report |
//! | `replay` | decide again from a saved round or a scenario, and say why | cli, model, decide, record (what it reads), report |
//! | `print` | what is installed elsewhere | the rooms that know it |
//! | `limits` | descriptors and threads that this process may have | – |
//! | `model` | the vocabulary: data and `Display` only | – |
//! | `observe` | evidence: panel, SSH, pings, controls | model |
//! | `decide` | judge a round, judge a row of rounds, gates, plan, outcome: pure | model |
//! | `preflight` | facts for gates and plan, read just before they are needed | model |
//! | `act` | carry out a plan step by step, reconcile | model |
//! | `record` | run lock, takeover record, history, last round; durable writes | model |
//! | `daemon` | what systemd is told of a `watch`, and what tells it to read its configuration again | model |
//! | `notify` | calls an operator's program with events | model |
//! | `ec2` | the only room that names the AWS SDK | model, the traits of preflight, act and doctor |
//! | `report` | text, JSON, metrics, an event as a hook reads it | model |

pub mod act;
pub mod check;
pub mod cli;
pub mod config;
mod confirm;
pub mod daemon;
pub mod decide;
pub mod doctor;
pub mod drill;
pub mod ec2;
pub mod failback;
pub mod history;
pub mod init;
mod limits;
pub mod model;
pub mod notify;
pub mod observe;
pub mod pause;
pub mod preflight;
mod print;
pub mod record;
pub mod replay;
pub mod report;
pub mod reset;
pub mod run;
pub mod status;
pub mod takeover;
pub mod watch;

use std::future::Future;
use std::time::Duration;

use cli::{Cli, Command};
use config::Settings;
use model::Failure;
use model::failure::exit;
use run::fleet::{self, First};

/// Does what was typed, and returns the exit status.
///
/// # Errors
/// What kept the command from being carried out, with its exit status: 78 for a configuration, 2 for the rest. A monitoring system is
/// told so by `check` itself.
pub fn execute(cli: &Cli) -> Result<u8, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    let json = cli.global.format == cli::Format::Json;
    // A daemon says when it begins and when all is well again; `-v` brings what it thinks of each pass.
    let more = u8::from(matches!(cli.command, Command::Watch { .. }));
    report::log::Log::new(cli.global.verbose.saturating_add(more), cli.global.quiet, json, env).init();
    match (carry_out(cli, json), &cli.command) {
        (Err(failure), Command::Check { .. }) => check::unknown(&cli.global, failure),
        (done, _) => done,
    }
}

fn carry_out(cli: &Cli, json: bool) -> Result<u8, Failure> {
    if let Command::Print { what } = &cli.command {
        return print::command(what, json);
    }
    if let Command::Replay { file } = &cli.command {
        return replay::command(file, &cli.global);
    }
    if let Command::Init { output, hosts_file, yes } = &cli.command {
        return waiting(Box::pin(init::command(&cli.global, output.as_deref(), hosts_file.as_deref(), *yes)));
    }
    let loaded = Settings::load(&cli.global.config);
    if let Command::Doctor { all } = cli.command {
        // What is wrong with a configuration is one of its findings.
        return waiting(Box::pin(doctor::command(loaded, &cli.global, all)));
    }
    let settings = loaded.map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
    for advice in &settings.advice {
        tracing::info!(event = "advice", "{advice}");
    }
    waiting(Box::pin(async {
        let settings = fleet::joined(settings, first(&cli.command)).await;
        configured(cli, &settings).await
    }))
}

/// What a command does where nobody has seen yet who runs in the guarded subnets: what makes rounds asks, what changes something saves it.
const fn first(command: &Command) -> First {
    match command {
        Command::Run { dry_run: false }
        | Command::Watch { dry_run: false }
        | Command::Takeover { dry_run: false, .. }
        | Command::Failback { dry_run: false, .. }
        | Command::Drill { dry_run: false, .. } => First::Keep,
        Command::Run { .. }
        | Command::Watch { .. }
        | Command::Takeover { .. }
        | Command::Failback { .. }
        | Command::Drill { .. }
        | Command::Check { .. } => First::Ask,
        _ => First::Leave,
    }
}

/// Waits for a command on a runtime of its own, with the descriptors and threads that it takes.
fn waiting(command: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    limits::raise().map_err(|why| Failure::new(exit::FAILED, why))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(Duration::MAX)
        .build()
        .map_err(|error| {
        Failure::new(
            exit::FAILED,
            format!("nothing can be waited for (epoll, a timer, a thread): {error}; see ulimit -n and ulimit -u"),
        )
    })?;
    // Name look-ups need a thread. With one to begin with, no more is a wait; without any, tokio panics.
    drop(runtime.spawn_blocking(|| ()));
    let status = runtime.block_on(command);
    // A blocking name look-up (getaddrinfo(3)) that hangs must not keep the process from ending.
    runtime.shutdown_background();
    status
}

async fn configured(cli: &Cli, settings: &Settings) -> Result<u8, Failure> {
    match &cli.command {
        Command::Run { dry_run } => Box::pin(run::command(settings, &cli.global, *dry_run)).await,
        Command::Watch { dry_run } => Box::pin(watch::command(settings, &cli.global, *dry_run)).await,
        Command::Check { max_age } => Box::pin(check::command(settings, &cli.global, max_age.as_deref())).await,
        Command::Status { watch: false } => Box::pin(status::command(settings, &cli.global)).await,
        Command::Status { watch: true } => Box::pin(status::live::command(settings, &cli.global)).await,
        Command::Takeover { yes, dry_run } => Box::pin(takeover::command(settings, &cli.global, *yes, *dry_run)).await,
        Command::Failback { subnet, yes, dry_run } => {
            Box::pin(failback::command(settings, &cli.global, subnet, *yes, *dry_run)).await
        }
        Command::Drill { subnet, yes, dry_run } => {
            Box::pin(drill::command(settings, &cli.global, subnet.as_deref(), *yes, *dry_run)).await
        }
        Command::History => history::command(settings, &cli.global),
        Command::Reset { yes, force } => Box::pin(reset::command(settings, &cli.global, *yes, *force)).await,
        Command::Pause { length, reason } => Box::pin(pause::pause(settings, &cli.global, length, reason)).await,
        Command::Resume => Box::pin(pause::resume(settings, &cli.global)).await,
        Command::Doctor { .. } | Command::Replay { .. } | Command::Print { .. } | Command::Init { .. } => Ok(0),
    }
}
