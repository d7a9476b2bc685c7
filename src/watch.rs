//! `natwatch watch`: passes without end.
//!
//! What it watches by is one snapshot of the configuration; a new one is read when somebody asks for it (SIGHUP) or when the hosts file or
//! the list of what EC2 shows is another, and then everything is made anew from it, sessions too. One that is not valid changes nothing.
//!
//! | file | job |
//! |---|---|
//! | `again` | the configuration, read again |
//! | `keep` | what is kept for others, and the watch lock |
//! | `outward` | the hook and the metrics |
//! | `pulse` | when systemd is told that it is ready and alive |
//! | `tell` | which passes are worth an event |

mod again;
mod keep;
mod outward;
mod pulse;
mod tell;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::daemon::{Changes, Manager, Why};
use crate::model::failure::exit;
use crate::model::{Failure, Outcome};
use crate::record::lock::WatchLock;
use crate::record::witnesses::Witnesses;
use crate::record::{FLEET, State};
use crate::run::clients::{self, Clients, Live};
use crate::run::lasting::Lasting;
use crate::run::pass::Mode;
use crate::run::{self, Gauges, Post, Signals, Stop};
use again::Behind;
use keep::Keeper;
use outward::Outward;
use pulse::Pulse;
use tell::Teller;

/// What a watch is made of, by one configuration.
struct Made {
    settings: Settings,
    clients: Clients,
}

/// What outlives a configuration.
struct Watch<'a> {
    global: &'a Global,
    mode: Mode,
    state: State,
    manager: RefCell<Manager>,
    changes: Changes,
    teller: Teller,
    keeper: Keeper,
    behind: Behind,
    ready: bool,
}

/// What interrupts the calm.
enum Wish {
    Stop,
    Read(Why),
    Breathe,
}

/// Why a watch by one configuration ended.
enum End {
    Stop,
    Again(Box<Made>),
}

/// Watches until a signal ends it: 0.
///
/// # Errors
/// The state folder can't be used, another `watch` of this name is at work, or SSH can't be prepared; 78: the configuration is another
/// instance's.
pub async fn command(settings: &Settings, global: &Global, dry_run: bool) -> Result<u8, Failure> {
    let mut signals = Signals::new();
    let lists = lists(settings);
    let changes = Changes::new(lists.iter().map(PathBuf::as_path));
    let state = run::open(settings)?;
    let lock = if dry_run { None } else { Some(lock(&state).await?) };
    let mut made = Box::new(Made::of(again::lasting(settings.clone())).await?);
    let mut watch = Watch {
        global,
        mode: if dry_run { Mode::DryRun } else { Mode::Act },
        state,
        manager: RefCell::new(Manager::from_env()),
        changes,
        teller: Teller::new(&settings.name, global.format == Format::Json),
        keeper: Keeper::new(lock),
        behind: Behind::default(),
        ready: false,
    };
    loop {
        watch.begins(&made.settings);
        match Box::pin(watch.by(&made, &mut signals)).await? {
            End::Stop => break,
            End::Again(next) => made = next,
        }
    }
    watch.manager.borrow_mut().stopping();
    Ok(0)
}

/// The files that say who the backends are, besides the configuration.
fn lists(settings: &Settings) -> Vec<PathBuf> {
    let fleet = settings.fleet.as_ref().map(|_| settings.state.join(FLEET));
    settings.hosts_file.iter().cloned().chain(fleet).collect()
}

async fn lock(state: &State) -> Result<WatchLock, Failure> {
    WatchLock::acquire(state).await.map_err(|error| Failure::new(exit::FAILED, error.to_string()))
}

impl Made {
    /// # Errors
    /// SSH can't be prepared; 78: the configuration is another instance's.
    async fn of(settings: Settings) -> Result<Self, Failure> {
        // What can't be read of them is said where they are used.
        let witnesses = State::look(&settings.state).map(|state| Witnesses::load(&state, Timestamp::now()).0);
        let clients = Clients::build(&settings, &witnesses.unwrap_or_default())?;
        clients.host(&settings).await?;
        Ok(Self { settings, clients })
    }
}

impl Watch<'_> {
    fn begins(&self, settings: &Settings) {
        let observe = &settings.observe;
        let (backends, targets) = (observe.backends.len(), observe.targets.len());
        let text = format!(
            "{}: watching by {backends} backends and {targets} targets, each pinged every {} ms{}",
            settings.name,
            settings.watch.interval.as_millis(),
            if self.mode == Mode::DryRun { "; dry run: nothing is changed" } else { "" }
        );
        tracing::info!(event = "watching", "{text}");
        self.manager.borrow_mut().status(&text);
    }

    /// Watches by one configuration.
    async fn by(&mut self, made: &Made, signals: &mut Signals) -> Result<End, Failure> {
        let Made { settings, clients } = made;
        let (witnesses, trouble) = Witnesses::load(&self.state, Timestamp::now());
        if let Some(trouble) = trouble {
            tracing::warn!(event = "state", "{trouble}");
        }
        let host = clients.host(settings).await?;
        let clock = clients::clock();
        let Self { state, manager, changes, teller, keeper, behind, ready, mode, global } = self;
        let tell = |text: &str| {
            tracing::debug!(event = "progress", "{text}");
            manager.borrow_mut().status(text);
        };
        let world: Live<'_> = clients.world(&host, state, &clock, &tell);
        let stop = Stop::default();
        let post = Post::new(settings, state).beside_rounds();
        let watching = async {
            let mut outward = Outward::new(&post, Gauges::new(settings, state).beside_rounds());
            let mut lasting = Lasting::begin(&world, settings, witnesses, *mode, settings.watch.interval).await;
            manager.borrow_mut().waits_for(settings.longest_pass());
            let mut pulse = Pulse::new(settings.calm_pass(), manager.borrow().watchdog(), *ready);
            let end = loop {
                let wish = async {
                    tokio::select! {
                        biased;
                        () = stop.wait() => Wish::Stop,
                        why = changes.next() => Wish::Read(why),
                        () = pulse.due() => Wish::Breathe,
                    }
                };
                match Box::pin(lasting.next(wish)).await {
                    Ok(passed) => {
                        let told = teller.tell(&passed.pass, lasting.case().moved_anew(), Instant::now());
                        if *mode == Mode::Act && passed.pass.outcome != Outcome::Busy {
                            keeper.keep(&mut lasting, made, state, &passed, told.is_some()).await?;
                            let lasts = teller.lasts(&passed.pass);
                            outward.passed(&passed.pass, told.as_ref(), lasts, lasting.known());
                        }
                        let mut manager = manager.borrow_mut();
                        manager.status(&tell::status(&passed.pass, Timestamp::now(), behind.refused));
                        pulse.passed(&mut manager);
                    }
                    Err(Wish::Stop) => break End::Stop,
                    Err(Wish::Breathe) => pulse.breathe(&mut manager.borrow_mut()),
                    Err(Wish::Read(why)) => {
                        let (read, tells) = ((&*global.config, &why), (&*manager, &mut *changes));
                        match Box::pin(behind.read(read, settings, tells, Made::of)).await {
                            Some(next) => {
                                changes.follow(lists(&next.settings).iter().map(PathBuf::as_path));
                                keeper.anew();
                                break End::Again(next);
                            }
                            None => pulse.ready(&mut manager.borrow_mut()),
                        }
                    }
                }
            };
            *ready = true;
            lasting.close().await;
            Ok(end)
        };
        // Beside the rounds: whatever the hook does, they go on.
        let tells = *mode == Mode::Act;
        let watching = async {
            tokio::select! {
                biased;
                end = watching => end,
                never = post.forever(), if tells => match never {},
            }
        };
        if let Ok(end) = run::to_its_end(signals, Box::pin(watching), &world.moving, &stop).await {
            end
        } else {
            clients.close().await;
            Ok(End::Stop)
        }
    }
}
