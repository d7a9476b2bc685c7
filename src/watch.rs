//! `natwatch watch`: passes without end.
//!
//! What it watches by is one snapshot of the configuration; a new one is read when somebody asks for it (SIGHUP), and everything is
//! made anew from it, sessions too. One that is not valid changes nothing.
//!
//! | file | job |
//! |---|---|
//! | `tell` | which passes are worth an event |

mod tell;

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::Global;
use crate::config::Settings;
use crate::model::{Failure, Outcome, Pass};
use crate::record::round::LastRound;
use crate::record::witnesses::Witnesses;
use crate::record::{State, VERSION};
use crate::run::clients::{self, Clients, Live};
use crate::run::lasting::Lasting;
use crate::run::pass::Mode;
use crate::run::{self, Stop};
use tell::Teller;

/// While nothing changes, the last round is kept so often: it is what a monitoring system and a restart go by, and a disk is to be
/// spared.
const KEEP: Duration = Duration::from_secs(30);

/// Watches until a signal ends it: 0.
///
/// # Errors
/// The state folder can't be used, another `watch` of this name is at work, or SSH can't be prepared; 78: the configuration is another
/// instance's.
pub async fn command(settings: &Settings, global: &Global, dry_run: bool) -> Result<u8, Failure> {
    let _ = global;
    let mode = if dry_run { Mode::DryRun } else { Mode::Act };
    let mut settings = settings.clone();
    settings.decide.span = settings.watch.span;
    let state = run::open(&settings)?;
    let mut teller = Teller::new(&settings.name);
    generation(&settings, &state, mode, &mut teller).await?;
    Ok(0)
}

/// By one configuration.
async fn generation(settings: &Settings, state: &State, mode: Mode, teller: &mut Teller) -> Result<(), Failure> {
    let (witnesses, trouble) = Witnesses::load(state, Timestamp::now());
    if let Some(trouble) = trouble {
        tracing::warn!("{trouble}");
    }
    let clients = Clients::build(settings, &witnesses)?;
    let host = clients.host(settings).await?;
    let clock = clients::clock();
    let tell = |text: &str| tracing::info!("{text}");
    let world: Live<'_> = clients.world(&host, state, &clock, &tell);
    let stop = Stop::default();
    let watching = async {
        let mut lasting = Lasting::begin(&world, settings, witnesses, mode, settings.watch.interval).await;
        let mut kept = None;
        while let Ok(passed) = lasting.next(stop.wait()).await {
            let told = teller.tell(&passed.pass, std::time::Instant::now());
            if mode == Mode::Act && passed.pass.outcome != Outcome::Busy {
                keep(&mut lasting, settings, state, &clients, &passed.pass, told, &mut kept);
            }
        }
        lasting.close().await;
    };
    if run::to_its_end(Box::pin(watching), &world.moving, &stop).await.is_err() {
        clients.close().await;
    }
    Ok(())
}

/// Keeps what others go by. What can't be kept is told, and tried again with the next pass.
fn keep(
    lasting: &mut Lasting<
        '_,
        crate::observe::ssh::Ssh,
        crate::observe::icmp::Icmp,
        crate::ec2::Ec2,
        impl crate::preflight::Host,
    >,
    settings: &Settings,
    state: &State,
    clients: &Clients,
    pass: &Pass,
    told: bool,
    kept: &mut Option<std::time::Instant>,
) {
    let now = Timestamp::now();
    let _ = (clients, settings);
    if let Err(error) = lasting.witnesses().save(state, now) {
        tracing::warn!("{error}");
    }
    if told || kept.is_none_or(|at| at.elapsed() >= KEEP) {
        let last = LastRound { version: VERSION, at: now, case: lasting.case().clone(), pass: pass.clone() };
        match state.write_last_round(&last) {
            Ok(()) => *kept = Some(std::time::Instant::now()),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}
