//! One natwatch of a race: its configuration, its state folder, its passes.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natwatch::config::{Files, Role, Settings};
use natwatch::model::{Family, Pass, Record};
use natwatch::record::State;
use natwatch::record::witnesses::Witnesses;
use natwatch::run::lasting::Lasting;
use natwatch::run::pass::{self, Done, Mode, World};
use natwatch::run::{Stop, drill, failback};
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

    /// One `natwatch failback`.
    pub(crate) async fn failback(&self) -> Done {
        let stop = Stop::default();
        self.made(async |world, witnesses| {
            Box::pin(failback::failback(world, &self.settings, witnesses, &[], Mode::Act, &stop)).await
        })
        .await
    }

    /// Whether a takeover, failback or drill is on record.
    pub(crate) fn recorded(&self) -> Option<Record> {
        self.state.read_record(None).present()
    }

    /// `natwatch watch`, until `over`; what its passes came to.
    pub(crate) async fn watch(&self, over: impl Future<Output = ()>) -> Vec<Pass> {
        let mut over = pin!(over);
        let mut all = Vec::new();
        self.made(async |world, witnesses| {
            let interval = self.settings.watch.interval;
            let mut lasting = Lasting::begin(world, &self.settings, witnesses, Mode::Act, interval).await;
            while let Ok(passed) = lasting.next(&mut over).await {
                all.push(passed.pass);
            }
            lasting.close().await;
        })
        .await;
        all
    }

    async fn made<T>(&self, pass: impl AsyncFnOnce(&Own<'_, 'v>, Witnesses) -> T) -> T {
        let wall = || {
            let since = SignedDuration::try_from(self.began.elapsed()).unwrap();
            Timestamp::from_second(BEGIN).unwrap().checked_add(since).unwrap()
        };
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
