//! The time that a step may spend: calls, pauses between them, and a last look.
//!
//! Invariants: nothing that goes through a [`Budget`] is waited for past its deadline; no attempt begins, and none is paused for, when
//! what calls for it has lapsed.

use std::future::Future;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The first pause. EC2's buckets refill several tokens a second, and most 5xx are gone at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause: seldom enough for a throttled API, often enough that one which recovers is used.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Time kept back from the calls for a last look at what became of one whose reply was lost. A describe takes 0.1 to
/// 0.3 s; a fresh connection and a slow answer fit as well.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What a step has at least, whatever is kept free after it: two attempts, of which the first is not answered.
const LEAST: Duration = Duration::from_secs(5);

/// What is not done on evidence may begin as long as there is time.
const WHENEVER: &dyn Fn() -> bool = &|| true;

/// What a step may still spend, and how long its next pause is.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    deadline: Instant,
    calls_until: Instant,
    pause: Duration,
    /// Of the jitter; another for each move.
    seed: u64,
    /// Whether what calls for the step still does.
    current: &'a dyn Fn() -> bool,
}

impl<'a> Budget<'a> {
    /// All the time from now to `deadline`; a last look may take a second of it, of little time a quarter.
    pub(super) fn until(deadline: Instant, seed: u64) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let calls_until = deadline.checked_sub(LAST_LOOK.min(left / 4)).unwrap_or(deadline);
        Self { deadline, calls_until, pause: FIRST_PAUSE, seed, current: WHENEVER }
    }

    /// All the time but for what is `kept` before `deadline` for whatever comes after the step. Where so little is left that the step would hardly
    /// be tried, it comes first.
    pub(super) fn but_for(kept: Duration, deadline: Instant, seed: u64) -> Self {
        let least = deadline.min(Instant::now() + LEAST);
        Self::until(deadline.checked_sub(kept).map_or(least, |until| until.max(least)), seed)
    }

    /// The same for a step that may be tried only as long as it is `current`.
    pub(super) fn while_current(self, current: &'a dyn Fn() -> bool) -> Self {
        Self { current, ..self }
    }

    /// Waits for a call; `None`: it was given up, or, where the time had run out before, not even begun.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        if self.over() { None } else { timeout_at(self.calls_until, call).await.ok() }
    }

    /// Waits for a last reading.
    pub(super) async fn last_look<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline, call).await.ok()
    }

    /// Whether no further attempt may begin. To be asked right before each call that changes something: a process that was frozen
    /// since it last asked knows nothing of the present.
    pub(super) fn closed(&self) -> bool {
        self.over() || !(self.current)()
    }

    fn over(&self) -> bool {
        Instant::now() >= self.calls_until
    }

    /// Sleeps before the next attempt, each time about twice as long; `false`, without sleeping to the end, where no time would be left.
    ///
    /// The jitter keeps moves that were throttled together from coming back together.
    pub(super) async fn pause(&mut self) -> bool {
        let mut jitter = SmallRng::seed_from_u64(self.seed);
        let until = Instant::now() + self.pause.mul_f64(jitter.random_range(0.5..=1.0));
        self.seed = jitter.random();
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if until >= self.calls_until || !(self.current)() {
            return false;
        }
        sleep_until(until).await;
        true
    }

    /// Why a step was given up, in words.
    pub(super) fn spent(&self, last: Option<&str>) -> String {
        match (last, (self.current)()) {
            (Some(last), true) => format!("deadline reached; last answer: {last}"),
            (None, true) => "deadline reached without an answer".to_owned(),
            (Some(last), false) => format!("what called for it has lapsed; last answer: {last}"),
            (None, false) => "what called for it has lapsed".to_owned(),
        }
    }
}
