//! One natwatch of a race: its configuration, its state folder, its passes.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natwatch::config::{Files, Role, Settings};
use natwatch::model::{Admission, Boot, Family, Outcome, Pass, Record, Stamp};
use natwatch::record::State;
use natwatch::record::history::Deed;
use natwatch::record::lock::RunLock;
use natwatch::record::pause::Pause;
use natwatch::record::witnesses::Witnesses;
use natwatch::run::lasting::Lasting;
use natwatch::run::pass::{self, Done, Mode, World};
use natwatch::run::{Stop, drill, failback, planned};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::world::{Nat, View, Vpc, address};

/// The wall clock when a race begins.
const BEGIN: i64 = 1_790_000_000;

/// How many backends a subnet has.
const EACH: usize = 3;

pub(crate) struct Watchdog<'v> {
    view: View<'v>,
    settings: Settings,
    state: State,
    witnesses: RefCell<Witnesses>,
    began: Instant,
    /// By how much the wall clock was set, forward or back.
    set: Cell<SignedDuration>,
    seed: Cell<u64>,
}

/// The world as a natwatch of a race sees it.
type Own<'w, 'v> = World<'w, View<'v>, View<'v>, View<'v>, View<'v>>;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn hosts(subnets: &[usize]) -> Vec<String> {
    subnets.iter().flat_map(|subnet| (0..EACH).map(|n| address(*subnet, n))).collect()
}

impl<'v> Watchdog<'v> {
    /// On `nat`, guarding the `subnets` of `primary`; the hosts of the subnets `own` are its witnesses.
    pub(crate) fn new(
        vpc: &'v Vpc,
        (nat, primary): (Nat, Nat),
        subnets: &[usize],
        own: &[usize],
        folder: &Path,
        seed: u64,
    ) -> Self {
        let text = format!(
            "name = \"on-{nat}\"\n[primary]\nroute_table = \"rtb-0{primary}\"\n\
             [standby]\nroute_table = \"rtb-0{nat}\"\ninstance = \"i-0{nat}\"\nwitnesses = {:?}\n\
             [backends]\nhosts = {:?}\n[targets]\nhosts = [\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\"]\n",
            hosts(own),
            hosts(subnets),
        );
        let mut settings = Settings::parse(&text, Path::new("/etc/natwatch/race.toml"), &NoFiles).unwrap();
        let state = State::open(&folder.join(format!("on-{nat}"))).unwrap();
        state.dir().clone_into(&mut settings.state);
        let mut witnesses = Witnesses::default();
        for backend in &settings.observe.backends {
            witnesses.saw(&backend.host, backend.addr, Family::V4, Timestamp::from_second(BEGIN).unwrap());
        }
        Self {
            view: View { vpc, nat },
            settings,
            state,
            witnesses: RefCell::new(witnesses),
            began: Instant::now(),
            set: Cell::default(),
            seed: Cell::new(seed),
        }
    }

    /// One pass of `natwatch run`.
    pub(crate) async fn pass(&self) -> Done {
        let done = self
            .made(async |world, witnesses| Box::pin(pass::pass(world, &self.settings, witnesses, Mode::Act)).await)
            .await;
        self.witnesses.borrow_mut().merge(&done.witnesses);
        done
    }

    /// One `natwatch drill`.
    pub(crate) async fn drill(&self, stop: &Stop) -> Done {
        self.made(async |world, witnesses| {
            Box::pin(drill::drill(world, &self.settings, witnesses, None, Mode::Act, stop)).await
        })
        .await
    }

    /// Somebody removes `guarded.json`.
    pub(crate) fn forget_guarded(&self) {
        std::fs::remove_file(self.state.dir().join("guarded.json")).unwrap();
    }

    /// One `natwatch failback`.
    pub(crate) async fn failback(&self) -> Done {
        let stop = Stop::default();
        self.made(async |world, witnesses| {
            Box::pin(failback::failback(world, &self.settings, witnesses, &[], Mode::Act, &stop)).await
        })
        .await
    }

    /// One `natwatch takeover`.
    pub(crate) async fn takeover(&self) -> Done {
        self.made(async |world, witnesses| {
            Box::pin(planned::planned(world, &self.settings, witnesses, Mode::Act)).await
        })
        .await
    }

    /// With an address that is to come along.
    pub(crate) fn bringing(mut self, address: &str) -> Self {
        self.settings.decide.elastic_ip = address.parse().ok();
        self
    }

    /// `natwatch pause`, from now on.
    pub(crate) fn pause(&self, length: Duration) {
        self.state.write_pause(&Pause::new(self.wall(), None, length, "work on it".to_owned())).unwrap();
    }

    /// Notes that the standby's security groups were seen to admit nothing, so long ago.
    pub(crate) fn refused(&self, ago: SignedDuration) {
        let mut set = self.state.read_guarded().0.unwrap();
        let refused = set.subnets.iter().map(|one| one.subnet.clone()).collect();
        let seen = self.wall().checked_sub(ago).unwrap();
        set.admission = Some(Admission { groups: vec!["sg-0b".parse().unwrap()], refused, seen });
        self.state.write_guarded(&set).unwrap();
    }

    /// What the history has, oldest first.
    pub(crate) fn history(&self) -> Vec<(Deed, Option<Outcome>)> {
        self.state.read_history().unwrap().0.into_iter().map(|entry| (entry.kind, entry.outcome)).collect()
    }

    /// Whether a takeover, failback or drill is on record.
    pub(crate) fn recorded(&self) -> Option<Record> {
        self.state.read_record(None).present()
    }

    /// Another process writes this record, in this moment.
    pub(crate) fn writes(&self, mut record: Record) {
        record.stamp(Stamp { wall: self.wall(), boot: Some(self.boot()) });
        self.state.write_record(&record).unwrap();
    }

    /// Another process takes the run lock.
    pub(crate) async fn lock(&self) -> RunLock {
        RunLock::acquire(&self.state, Duration::ZERO, Duration::from_mins(10)).await.unwrap()
    }

    /// Another process waits for the run lock, and takes it as soon as it is let go of.
    pub(crate) async fn next_lock(&self) -> RunLock {
        RunLock::acquire(&self.state, Duration::from_mins(1), Duration::from_mins(10)).await.unwrap()
    }

    /// `natwatch watch`, until `over`; what its passes came to, and when.
    pub(crate) async fn watch(&self, over: impl Future<Output = ()>) -> Vec<(Instant, Pass)> {
        let mut over = pin!(over);
        let mut all = Vec::new();
        let mut settings = self.settings.clone();
        settings.decide.span = settings.watch.span;
        let watching = self.made(async |world, witnesses| {
            let interval = settings.watch.interval;
            let mut lasting = Lasting::begin(world, &settings, witnesses, Mode::Act, interval).await;
            while let Ok(passed) = lasting.next(&mut over).await {
                all.push((Instant::now(), passed.pass));
            }
            lasting.close().await;
        });
        Box::pin(watching).await;
        all
    }

    /// Sets the wall clock, forward or back.
    pub(crate) fn set_clock(&self, by: SignedDuration) {
        self.set.set(self.set.get() + by);
    }

    fn wall(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.began.elapsed()).unwrap() + self.set.get();
        Timestamp::from_second(BEGIN).unwrap().checked_add(since).unwrap()
    }

    fn boot(&self) -> Boot {
        Boot { id: "race".to_owned(), at: self.began.elapsed() }
    }

    async fn made<T>(&self, pass: impl AsyncFnOnce(&Own<'_, 'v>, Witnesses) -> T) -> T {
        let wall = || self.wall();
        self.seed.set(self.seed.get().wrapping_add(1));
        let world = World {
            vantages: &self.view,
            uplink: &self.view,
            cloud: &self.view,
            host: &self.view,
            state: &self.state,
            moving: Cell::new(false),
            rng: RefCell::new(SmallRng::seed_from_u64(self.seed.get())),
            clock: &|| self.began.elapsed(),
            wall: &wall,
            boot: &|| Some(self.boot()),
            tell: &|_| (),
        };
        let witnesses = self.witnesses.borrow().clone();
        pass(&world, witnesses).await
    }

    /// Passes one after the other, `pause` apart.
    pub(crate) async fn passes(&self, count: usize, pause: Duration) -> Vec<Done> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.pass().await);
            tokio::time::sleep(pause).await;
        }
        all
    }
}
