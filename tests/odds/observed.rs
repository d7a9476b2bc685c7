//! The odds, observed: real rounds of the real observer, judged by the real rules, over a path that loses packets.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use natwatch::decide::{Course, Next, judge, outlook};
use natwatch::model::{Backend, ControlFate, Family, Fate, Judgement, Silence, SilenceReason, Target, Verdict};
use natwatch::observe::panel::Drawn;
use natwatch::observe::{Ask, Asked, ObserveSettings, Observer, TargetName, Uplink, Vantages};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::model::Numbers;

/// A path that loses packets, backends of which some are dead, and a standby with a path of its own.
pub(crate) struct Path {
    /// Each way, for the backends.
    pub(crate) loss: f64,
    /// Each way, for the standby.
    pub(crate) uplink_loss: f64,
    /// The chance that a backend is dead.
    pub(crate) dead: f64,
    /// The backends that are, of this pool.
    pub(crate) gone: RefCell<Vec<bool>>,
    pub(crate) rng: RefCell<SmallRng>,
}

impl Path {
    pub(crate) fn new(loss: f64, uplink_loss: f64, dead: f64) -> Self {
        Self { loss, uplink_loss, dead, gone: RefCell::default(), rng: RefCell::new(SmallRng::seed_from_u64(22)) }
    }

    fn chance(&self, of: f64) -> bool {
        of > 0.0 && (of >= 1.0 || self.rng.borrow_mut().random_bool(of))
    }

    fn lost(&self, loss: f64) -> bool {
        self.chance(loss) || self.chance(loss)
    }
}

impl Vantages for Path {
    type Session = ();

    async fn connect(&self, backend: &Backend) -> Result<(), Silence> {
        if self.gone.borrow()[backend.host.parse::<usize>().unwrap()] {
            sleep(Duration::from_secs(3)).await;
            return Err(Silence { reason: SilenceReason::Unreachable, detail: String::new() });
        }
        sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn ping(&self, _: &Backend, (): &(), _: &Target, wait: Duration) -> Result<Asked, Silence> {
        let asked = Instant::now();
        if self.lost(self.loss) {
            sleep(wait).await;
            Ok(Asked { asked, begun: asked, fate: Fate::NoReply })
        } else {
            let rtt = Duration::from_millis(20);
            sleep(rtt).await;
            Ok(Asked { asked, begun: asked, fate: Fate::Reply { rtt } })
        }
    }

    async fn close(&self, _: Vec<()>) {}
}

impl Uplink for Path {
    async fn ping(&self, _: IpAddr, timeout: Duration, tries: u32) -> ControlFate {
        let rtt = Duration::from_millis(10);
        for n in 0..tries {
            if !self.lost(self.uplink_loss) {
                sleep(timeout * n / tries + rtt).await;
                return ControlFate::Good { rtt };
            }
        }
        sleep(timeout).await;
        ControlFate::NoReply
    }
}

/// What became of many passes: rounds until the evidence was enough, or there was none.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passes: u32,
    /// Whose first round was down.
    pub(crate) down: u32,
    /// Whose first round heard too few.
    pub(crate) unheard: u32,
    /// Whose evidence was enough.
    pub(crate) acted: u32,
}

/// So many passes over `path`, with a pool of so many backends.
pub(crate) fn passes(count: u32, pool: usize, path: &Path, numbers: &Numbers, settings: &ObserveSettings) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let settings = ObserveSettings { panel: numbers.panel, ..settings.clone() };
    let targets: Vec<(TargetName, Result<Target, String>)> = (1..=numbers.targets)
        .map(|n| {
            let addr = IpAddr::from([203, 0, 113, u8::try_from(n).unwrap()]);
            (n.to_string(), Ok(Target { name: n.to_string(), addr }))
        })
        .collect();
    let mut counts = Counts::default();
    runtime.block_on(async {
        let epoch = Instant::now();
        let clock = || epoch.elapsed();
        let rng = RefCell::new(SmallRng::seed_from_u64(7));
        for _ in 0..count {
            let gone: Vec<bool> = (0..pool).map(|_| path.chance(path.dead)).collect();
            path.gone.replace(gone);
            let observer = Observer::new(&settings, path, path, &clock, &rng);
            let mut course = Course::default();
            let mut ask =
                Ask { not_before: clock(), pace: numbers.paces.0, until: Instant::now() + Duration::from_mins(1) };
            counts.passes += 1;
            loop {
                let first = ask.pace == numbers.paces.0;
                let judgement = round(&observer, pool, &targets, ask, numbers).await;
                counts.down += u32::from(first && judgement.verdict == Verdict::Down);
                counts.unheard += u32::from(first && judgement.verdict == Verdict::Unheard);
                course = course.step(&judgement);
                match course.next(&numbers.rules, clock()) {
                    Next::Rest => break,
                    Next::Act => {
                        counts.acted += 1;
                        break;
                    }
                    Next::Look { not_before } => ask = Ask { not_before, pace: numbers.paces.1, ..ask },
                }
            }
        }
    });
    counts
}

async fn round(
    observer: &Observer<'_, Path, Path>,
    pool: usize,
    targets: &[(TargetName, Result<Target, String>)],
    ask: Ask,
    numbers: &Numbers,
) -> Judgement {
    let drawn = |n: usize| Drawn {
        backend: Backend { host: n.to_string(), destination: n.to_string(), addr: None },
        subnet: "a".to_owned(),
        witness: vec![Family::V4],
        reached: Vec::new(),
        missed: Vec::new(),
    };
    let rules = &numbers.rules;
    let round = observer.round((0..pool).map(drawn).collect(), targets, ask, &|round| outlook(round, rules)).await;
    judge(&round, rules, Family::V4)
}
