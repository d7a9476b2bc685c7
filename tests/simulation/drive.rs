//! One simulation: its standbys pass after pass, its operator, and what breaks a pass off or freezes it.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natwatch::config::{Files, Role, Settings};
use natwatch::model::{Backend, Boot, Found, GuardedSet, Moment, Phase};
use natwatch::observe::ObserveSettings;
use natwatch::record::State;
use natwatch::record::lock::RunLock;
use natwatch::record::pause::Pause;
use natwatch::record::witnesses::Witnesses;
use natwatch::run::lasting::Lasting;
use natwatch::run::pass::{self, Done, Mode, World};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, advance, sleep, sleep_until};

use super::check::{self, Seen, Tally};
use super::cloud::{Carrier, Client, Ec2, Mover, instance, table};
use super::network::{Machine, Network, host, target_name};
use super::script::{Cadence, Meddling, Script, Spec, secs};

/// When the simulation begins, by the wall clock.
const BEGIN: i64 = 1_790_000_000;

/// The configuration that all simulations vary: the defaults.
const CONFIG: &str = r#"
name = "simulated"
[primary]
route_table = "rtb-0a"
[standby]
route_table = "rtb-0b"
[backends]
hosts = ["10.0.10.10", "10.0.10.11", "10.0.10.12", "10.0.10.13", "10.0.10.14", "10.0.10.15", "10.0.10.16", "10.0.10.17"]
[targets]
hosts = ["203.0.113.1", "203.0.113.2"]
"#;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

/// The defaults, as a configuration gives them.
pub(crate) fn defaults() -> Settings {
    Settings::parse(CONFIG, Path::new("/etc/natwatch/simulated.toml"), &NoFiles).unwrap()
}

/// One simulation.
pub(crate) struct Sim<'s> {
    pub(crate) script: &'s Script,
    pub(crate) ec2: &'s Ec2<'s>,
    pub(crate) settings: Settings,
    /// When the process was frozen: from and to.
    pub(crate) freezes: RefCell<Vec<(Duration, Duration)>>,
    pub(crate) tally: RefCell<Tally>,
    /// What an operator has done: when.
    pub(crate) operated: RefCell<Vec<Duration>>,
    pub(crate) trace: bool,
    wall: Cell<i64>,
    /// How long the machine was suspended, which the clock of the boot counts and the simulation's does not.
    suspended: Cell<Duration>,
}

impl Sim<'_> {
    pub(crate) fn now(&self) -> Duration {
        self.ec2.now()
    }

    /// The clock of the boot.
    fn boot(&self) -> Moment {
        self.now() + self.suspended.get()
    }

    /// The same, as it is written down. The machine is never started anew.
    fn booted(&self) -> Boot {
        Boot { id: "simulated".to_owned(), at: self.boot() }
    }

    /// What a pass says of itself.
    fn says(&self, standby: usize, text: &str) {
        if text.contains("; moving ") {
            self.suspended.set(self.script.suspended);
        }
        self.tell(&|| format!("standby {standby}: {text}"));
    }

    pub(crate) fn wall(&self) -> Timestamp {
        let jumped: i64 = self.script.wall_jumps.iter().filter(|(at, _)| *at <= self.now()).map(|(_, by)| *by).sum();
        let since = SignedDuration::try_from(self.now()).unwrap() + SignedDuration::from_secs(jumped);
        Timestamp::from_second(self.wall.get()).unwrap().checked_add(since).unwrap()
    }

    pub(crate) fn tell(&self, what: &dyn Fn() -> String) {
        if self.trace {
            println!("{:>10.3} {}", self.now().as_secs_f64(), what());
        }
    }
}

/// A standby: its state folder, and what its processes leave to one another.
struct Standby<'s> {
    n: usize,
    settings: Settings,
    state: &'s State,
    network: Network<'s>,
    machine: Machine<'s>,
    client: Client<'s>,
    witnesses: Witnesses,
    /// What only the simulation draws: freezes, kills, cadence.
    rng: SmallRng,
}

/// The backends of a script, as a configuration would have them.
fn backends(script: &Script) -> Vec<Backend> {
    let mut in_subnet = [0_u8; 8];
    let backend = |(n, spec): (usize, &Spec)| {
        in_subnet[spec.subnet] += 1;
        let addr = format!("10.0.{}.{}", 10 + spec.subnet, 10 + in_subnet[spec.subnet]);
        Backend { host: host(n), destination: addr.clone(), addr: addr.parse().ok() }
    };
    script.backends.iter().enumerate().map(backend).collect()
}

/// The settings of one standby of this script: the defaults, but for what the script draws.
fn settings(defaults: &Settings, script: &Script, standby: usize, dir: &Path) -> Settings {
    let mut settings = defaults.clone();
    dir.clone_into(&mut settings.state);
    settings.observe.backends = backends(script);
    settings.observe.panel = script.panel;
    settings.observe.targets = (0..script.targets).map(target_name).collect();
    settings.decide.span = script.span;
    settings.decide.standby_table = table(Carrier::Standby(standby));
    settings.preflight.standby_table = table(Carrier::Standby(standby));
    settings.preflight.standby_instance = Some(instance(standby));
    settings
}

/// Runs the simulation of `seed` in `folder` (which must be empty) and checks every pass of it.
pub(crate) fn simulate(seed: u64, defaults: &Settings, folder: &Path, trace: bool) -> Tally {
    play(&Script::draw(seed), seed, defaults, folder, trace).tally
}

/// What is left of a simulation.
pub(crate) struct Played {
    pub(crate) tally: Tally,
    /// When the first standby asked for changes.
    pub(crate) asked: Vec<Duration>,
    /// How often EC2 was read.
    pub(crate) reads: usize,
}

/// Plays `script`, with the chances of `seed`.
pub(crate) fn play(script: &Script, seed: u64, defaults: &Settings, folder: &Path, trace: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut rng = SmallRng::seed_from_u64(!seed);
        let mut rng = || SmallRng::seed_from_u64(rng.random());
        let ec2 = Ec2::new(script, Instant::now(), rng());
        let sim = Sim {
            script,
            ec2: &ec2,
            settings: Settings {
                observe: ObserveSettings { backends: backends(script), ..defaults.observe.clone() },
                ..defaults.clone()
            },
            freezes: RefCell::default(),
            tally: RefCell::default(),
            operated: RefCell::default(),
            trace,
            wall: Cell::new(BEGIN),
            suspended: Cell::default(),
        };
        if trace {
            println!("{script:#?}");
        }
        let states: Vec<State> =
            (0..script.standbys.len()).map(|n| State::open(&folder.join(n.to_string())).unwrap()).collect();
        let mut standbys: Vec<Standby<'_>> = (0..script.standbys.len())
            .map(|n| Standby {
                n,
                settings: settings(defaults, script, n, states[n].dir()),
                state: &states[n],
                network: Network { script, ec2: &ec2, standby: n, rng: RefCell::new(rng()) },
                machine: Machine { script, ec2: &ec2, standby: n },
                client: Client { ec2: &ec2, standby: n },
                witnesses: Witnesses::default(),
                rng: rng(),
            })
            .collect();
        let working = futures_util::future::join_all(standbys.iter_mut().map(|one| one.work(&sim)));
        let operator = operate(&sim, &states);
        tokio::join!(working, operator);
        check::end(&sim);
        let asked = ec2.asked[0].borrow().clone();
        Played { tally: sim.tally.into_inner(), asked, reads: ec2.reads.get() }
    })
}

/// What people do.
#[derive(Clone, Copy)]
enum Deed {
    Repair,
    Meddle(Meddling),
    /// Until then.
    Pause(Duration),
}

/// What people do: repairs with a reset, and moves nobody asked for.
async fn operate(sim: &Sim<'_>, states: &[State]) {
    let repairs = sim.script.repairs.iter().map(|at| (*at, Deed::Repair));
    let meddling = sim.script.meddling.iter().map(|one| (one.at, Deed::Meddle(*one)));
    let pauses = sim.script.paused.0.iter().map(|(from, to)| (*from, Deed::Pause(*to)));
    let mut all: Vec<_> = repairs.chain(meddling).chain(pauses).collect();
    all.sort_by_key(|(at, _)| *at);
    for (at, deed) in all {
        sleep(at.saturating_sub(sim.now())).await;
        if let Deed::Pause(until) = deed {
            for state in states {
                // Without the boot's clock, which is not the simulation's.
                let length = until.saturating_sub(sim.now());
                state.write_pause(&Pause::new(sim.wall(), None, length, "simulated".to_owned())).unwrap();
            }
            continue;
        }
        sim.operated.borrow_mut().push(sim.now());
        if let Deed::Meddle(one) = deed {
            let to = if one.away { Carrier::Other } else { Carrier::Primary };
            if sim.ec2.on(one.subnet) != to {
                sim.tell(&|| format!("someone moves subnet {} to {to:?}", one.subnet));
                sim.ec2.put(one.subnet, to, Mover::Operator);
            }
            continue;
        }
        sim.tell(&|| "the operator brings all back".to_owned());
        for subnet in 0..sim.script.subnets {
            if sim.ec2.on(subnet) != Carrier::Primary {
                sim.ec2.put(subnet, Carrier::Primary, Mover::Operator);
            }
        }
        for state in states {
            // As `natwatch reset` does: never while somebody is moving.
            let _lock = RunLock::acquire(state, secs(1800.0), secs(10.0)).await.unwrap();
            state.clear_record().unwrap();
        }
        sim.operated.borrow_mut().push(sim.now());
        sim.tell(&|| "reset".to_owned());
    }
}

/// What happens to a pass from outside.
struct Fate {
    freeze: Option<(Duration, Duration)>,
    /// After so many changes, and so much later.
    kill: Option<(usize, Duration)>,
    twin: Option<Duration>,
}

impl Fate {
    fn draw(script: &Script, now: Duration, rng: &mut SmallRng) -> Self {
        // Most of all where something is at stake.
        let freezes = if script.dead.at(now) { (script.freezes * 7.0).min(1.0) } else { script.freezes };
        Self {
            freeze: (freezes > 0.0 && rng.random_bool(freezes))
                .then(|| (secs(rng.random_range(0.0..4.0)), secs(rng.random_range(30.0..600.0)))),
            kill: (script.kills > 0.0 && rng.random_bool(script.kills))
                .then(|| (rng.random_range(1..=script.subnets), secs(rng.random_range(0.0..0.3)))),
            twin: (script.twins > 0.0 && rng.random_bool(script.twins)).then(|| secs(rng.random_range(0.0..4.0))),
        }
    }

    /// Brings `passing` to its end, unless it is killed.
    async fn meet<T>(&self, sim: &Sim<'_>, standby: usize, passing: impl Future<Output = T>) -> Option<T> {
        let killed = async {
            let Some((changes, later)) = self.kill else { return pending().await };
            for _ in 0..changes {
                sim.ec2.changing[standby].notified().await;
            }
            sleep(later).await;
        };
        let frozen = async {
            let Some((after, length)) = self.freeze else { return pending().await };
            sleep(after).await;
            let from = sim.now();
            sim.tell(&|| format!("frozen for {length:?}"));
            sim.freezes.borrow_mut().push((from, from + length));
            advance(length).await;
            pending::<()>().await;
        };
        let done = tokio::select! {
            biased;
            done = passing => Some(done),
            () = killed => None,
            () = frozen => None,
        };
        if done.is_none() {
            sim.tell(&|| format!("standby {standby}: killed"));
        }
        done
    }
}

impl<'s> Standby<'s> {
    async fn work(&mut self, sim: &Sim<'s>) {
        match sim.script.cadence {
            Cadence::Cron => self.run_by_cron(sim).await,
            Cadence::Watch => Box::pin(self.watch(sim)).await,
        }
    }

    async fn run_by_cron(&mut self, sim: &Sim<'s>) {
        let mut next = Instant::now() + secs(self.rng.random_range(0.0..120.0));
        loop {
            sleep_until(next).await;
            if sim.now() >= sim.script.end {
                return;
            }
            self.turn(sim).await;
            // Of the runs that were due meanwhile, cron starts the next one only.
            let late = secs(self.rng.random_range(0.0..2.0));
            let minutes = sim.now().as_secs() / 120 + 1;
            next = Instant::now() + (Duration::from_secs(minutes * 120) + late).saturating_sub(sim.now());
        }
    }

    /// A `watch`, and whenever it is killed the next one, as systemd would start it.
    async fn watch(&mut self, sim: &Sim<'s>) {
        sleep(secs(self.rng.random_range(0.0..1.0))).await;
        let script = sim.script;
        while sim.now() < script.end {
            let dry = script.dry > 0.0 && self.rng.random_bool(script.dry);
            let mode = if dry { Mode::DryRun } else { Mode::Act };
            let (first, second) = (self.rng.random(), self.rng.random());
            let mut rng = SmallRng::seed_from_u64(self.rng.random());
            let this = &*self;
            let clock = || sim.boot();
            let (wall, boot) = (|| sim.wall(), || Some(sim.booted()));
            let tell = |text: &str| sim.says(this.n, text);
            let world = this.world(first, &clock, (&wall, &boot), &tell);
            let (witnesses, _) = Witnesses::load(this.state, sim.wall());
            let mut lasting = Lasting::begin(&world, &this.settings, witnesses, mode, script.interval).await;
            loop {
                let seen = this.before(sim, dry, lasting.witnesses().clone());
                let fate = Fate::draw(script, sim.now(), &mut rng);
                let twin = async {
                    let Some(after) = fate.twin else { return pending().await };
                    sleep(after).await;
                    let (witnesses, _) = Witnesses::load(this.state, sim.wall());
                    this.pass(sim, witnesses, dry, second).await
                };
                let passing = async {
                    let over = sleep(script.end.saturating_sub(sim.now()));
                    // A run by hand beside it.
                    let (passed, twin) = if fate.twin.is_some() {
                        let (passed, twin) = tokio::join!(lasting.next(over), twin);
                        (passed, Some(twin))
                    } else {
                        (lasting.next(over).await, None)
                    };
                    passed.ok().map(|passed| {
                        let case = lasting.case().clone();
                        let one = Done { pass: passed.pass, case, witnesses: Witnesses::default() };
                        this.trace(sim, &one);
                        std::iter::once(one).chain(twin).collect::<Vec<Done>>()
                    })
                };
                match Box::pin(fate.meet(sim, this.n, passing)).await {
                    Some(Some(done)) => check::after(sim, &seen, &done, this.state),
                    Some(None) => return,
                    None => {
                        check::after(sim, &seen, &[], this.state);
                        break;
                    }
                }
                if !dry {
                    lasting.witnesses().save(this.state, sim.wall()).unwrap();
                }
            }
            sleep(secs(1.0)).await;
        }
    }

    /// One pass (or two that overlap), whatever becomes of it.
    async fn turn(&mut self, sim: &Sim<'s>) {
        let script = sim.script;
        let dry = script.dry > 0.0 && self.rng.random_bool(script.dry);
        let fate = Fate::draw(script, sim.now(), &mut self.rng);
        let seen = self.before(sim, dry, self.witnesses.clone());
        let witnesses = self.witnesses.clone();
        let (first, second) = (self.rng.random(), self.rng.random());
        let this = &*self;
        let passing = async {
            let Some(after) = fate.twin else { return vec![this.pass(sim, witnesses, dry, first).await] };
            let one = this.pass(sim, witnesses.clone(), dry, first);
            let two = async {
                sleep(after).await;
                this.pass(sim, witnesses, dry, second).await
            };
            let (one, two) = tokio::join!(one, two);
            vec![one, two]
        };
        let done = fate.meet(sim, this.n, passing).await.unwrap_or_default();
        check::after(sim, &seen, &done, self.state);
        if dry {
            return;
        }
        for one in done {
            self.witnesses.merge(&one.witnesses);
        }
    }

    fn world<'w>(
        &'w self,
        seed: u64,
        clock: &'w dyn Fn() -> Moment,
        (wall, boot): (&'w dyn Fn() -> Timestamp, &'w dyn Fn() -> Option<Boot>),
        tell: &'w dyn Fn(&str),
    ) -> World<'w, Network<'s>, Network<'s>, Client<'s>, Machine<'s>> {
        World {
            vantages: &self.network,
            uplink: &self.network,
            cloud: &self.client,
            host: &self.machine,
            state: self.state,
            moving: Cell::new(false),
            rng: RefCell::new(SmallRng::seed_from_u64(seed)),
            clock,
            wall,
            boot,
            tell,
        }
    }

    /// One pass, as `run` would make it.
    async fn pass(&self, sim: &Sim<'s>, witnesses: Witnesses, dry: bool, seed: u64) -> Done {
        let (clock, wall, boot) = (|| sim.boot(), || sim.wall(), || Some(sim.booted()));
        let tell = |text: &str| sim.says(self.n, text);
        let world = self.world(seed, &clock, (&wall, &boot), &tell);
        let mode = if dry { Mode::DryRun } else { Mode::Act };
        let done = Box::pin(pass::pass(&world, &self.settings, witnesses, mode)).await;
        self.trace(sim, &done);
        done
    }

    fn trace(&self, sim: &Sim<'s>, done: &Done) {
        sim.tell(&|| {
            let verdicts: Vec<String> = done.pass.judgements.iter().map(|one| one.because.clone()).collect();
            let holds: Vec<String> = done.pass.holds.iter().map(ToString::to_string).collect();
            format!(
                "standby {}: {} ({}) {verdicts:?} {holds:?} {:?}",
                self.n, done.pass.outcome, done.pass.exit, done.pass.notes
            )
        });
    }

    fn before(&self, sim: &Sim<'s>, dry: bool, witnesses: Witnesses) -> Seen {
        let known = |set: GuardedSet| {
            set.subnets.len() == sim.script.subnets
                && set.subnets.iter().enumerate().all(|(n, one)| one.on == table(sim.ec2.on(n)))
        };
        Seen {
            standby: self.n,
            from: sim.now(),
            dry,
            taken: matches!(self.state.read_record(None), Found::Present(record) if record.phase == Phase::Taken),
            witnesses,
            wall: sim.wall(),
            // Asked for only in an outage, and it costs a file to read.
            known: sim.script.dead.at(sim.now()) && self.state.read_guarded().0.is_some_and(known),
            asked: sim.ec2.asked[self.n].borrow().len(),
            changes: sim.ec2.changes.borrow().len(),
        }
    }
}
