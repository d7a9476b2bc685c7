//! Which event the hook is called with next, and when again.
//!
//! An event whose call fails holds no other one up, so that their order may change; the document has its moment. One call at a time: a hook need
//! not know of others.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{Called, Hook, Letter, Outbox};

/// How often a call that failed is made again. With the doubling delay that is over an hour; by cron, twenty minutes.
pub const RETRIES: u32 = 10;

/// Before the first of them; each further one waits twice as long: 5 s, 10 s, … 43 min, 85 min in all. A mail server that is being restarted is
/// back by the third.
const FIRST: Duration = Duration::from_secs(5);

/// Between two looks at what waits, for what another process has put there.
const LOOK: Duration = Duration::from_secs(5);

/// Calls the hook once with each event that waits, those first that it does not know yet, all within one timeout: whoever waits for us to
/// end (cron, systemd) has counted with one. What is left is for the next time.
pub async fn once(outbox: &impl Outbox, hook: &impl Hook) {
    let until = Instant::now() + hook.timeout();
    let mut letters = outbox.waiting();
    letters.sort_by_key(|letter| letter.calls > 0);
    for (n, letter) in letters.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let called = call(outbox, hook, letter, left).await;
        if n > 0 && matches!(called, Called::Again(_)) && Instant::now() >= until {
            // It had less than its time, and nobody knows whether it would have failed.
            outbox.calling(&letter.id, letter.calls);
            return;
        }
        settle(outbox, letter, &called, "the next run tries again");
    }
}

/// Calls the hook with each event as it comes, and again after a delay that doubles. `wake`: there is one.
pub async fn forever(outbox: &impl Outbox, hook: &impl Hook, wake: &Notify) -> Infallible {
    let mut due: BTreeMap<String, Instant> = BTreeMap::new();
    // What a folder that can't be written does not keep: how often each was called, and which are off our hands though they still lie there.
    let mut calls: BTreeMap<String, u32> = BTreeMap::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    loop {
        let mut letters = outbox.waiting();
        let waits = |id: &String| letters.iter().any(|letter| letter.id == *id);
        gone.retain(|id| waits(id));
        calls.retain(|id, _| waits(id));
        due.retain(|id, _| waits(id) && !gone.contains(id));
        letters.retain(|letter| !gone.contains(&letter.id));
        for letter in &mut letters {
            letter.calls = letter.calls.max(calls.get(&letter.id).copied().unwrap_or_default());
        }
        let now = Instant::now();
        let ready = letters.iter().find(|letter| due.get(&letter.id).is_none_or(|at| *at <= now));
        let Some(letter) = ready else {
            let next = due.values().min().map_or(LOOK, |at| at.saturating_duration_since(now).min(LOOK));
            // Woken, or time to look.
            let _ = timeout(next, wake.notified()).await;
            continue;
        };
        let called = call(outbox, hook, letter, hook.timeout()).await;
        calls.insert(letter.id.clone(), letter.calls + 1);
        let delay = FIRST.saturating_mul(1 << letter.calls.min(RETRIES));
        if settle(outbox, letter, &called, &format!("it is called again in {} s", delay.as_secs())) {
            gone.insert(letter.id.clone());
        } else {
            due.insert(letter.id.clone(), Instant::now() + delay);
        }
    }
}

async fn call(outbox: &impl Outbox, hook: &impl Hook, letter: &Letter, wait: Duration) -> Called {
    // Before the call: whatever it does to us, it is not made for ever.
    outbox.calling(&letter.id, letter.calls + 1);
    hook.call(letter, wait).await
}

/// What follows from a call; whether the event is off our hands.
fn settle(outbox: &impl Outbox, letter: &Letter, called: &Called, again: &str) -> bool {
    let Letter { id, event, calls, .. } = letter;
    let lost = match called {
        Called::Taken => false,
        Called::Again(why) if *calls < RETRIES => {
            tracing::warn!(event = "hook-failed", id, "the hook did not take {event}: {why}; {again}");
            return false;
        }
        Called::Again(why) => {
            tracing::error!(
                event = "hook-gave-up",
                id,
                "the hook did not take {event} in {} calls ({why}); nobody is told of it",
                calls + 1
            );
            true
        }
        Called::Never(why) => {
            tracing::error!(
                event = "hook-gave-up",
                id,
                "the hook refused {event} ({why}; 1 would be tried again); nobody is told of it"
            );
            true
        }
    };
    outbox.done(id, lost);
    true
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;
    use crate::model::EventKind;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[derive(Default)]
    struct Bag {
        letters: RefCell<Vec<Letter>>,
        lost: RefCell<Vec<String>>,
    }

    impl Bag {
        fn put(&self, id: &str, calls: u32) {
            let letter = Letter { id: id.to_owned(), event: EventKind::Down, document: String::new(), calls };
            self.letters.borrow_mut().push(letter);
        }

        fn calls(&self, id: &str) -> Option<u32> {
            self.letters.borrow().iter().find(|one| one.id == id).map(|one| one.calls)
        }
    }

    impl Outbox for Bag {
        fn waiting(&self) -> Vec<Letter> {
            self.letters.borrow().clone()
        }

        fn calling(&self, id: &str, calls: u32) {
            for one in self.letters.borrow_mut().iter_mut().filter(|one| one.id == id) {
                one.calls = calls;
            }
        }

        fn done(&self, id: &str, lost: bool) {
            self.letters.borrow_mut().retain(|one| one.id != id);
            if lost {
                self.lost.borrow_mut().push(id.to_owned());
            }
        }
    }

    /// A hook that answers so, after a time, and notes when it was called.
    struct Fake {
        began: Instant,
        takes: Duration,
        calls: RefCell<Vec<(u64, String)>>,
        answer: fn(&str) -> Called,
    }

    impl Fake {
        fn new(takes: Duration, answer: fn(&str) -> Called) -> Self {
            Self { began: Instant::now(), takes, calls: RefCell::default(), answer }
        }

        fn ids(&self) -> Vec<String> {
            self.calls.borrow().iter().map(|(_, id)| id.clone()).collect()
        }
    }

    impl Hook for Fake {
        fn timeout(&self) -> Duration {
            TIMEOUT
        }

        async fn call(&self, letter: &Letter, wait: Duration) -> Called {
            self.calls.borrow_mut().push((self.began.elapsed().as_secs(), letter.id.clone()));
            tokio::time::sleep(self.takes.min(wait)).await;
            if self.takes > wait { Called::Again("killed".to_owned()) } else { (self.answer)(&letter.id) }
        }
    }

    fn again(_: &str) -> Called {
        Called::Again("not now".to_owned())
    }

    /// Delivers for so long.
    async fn deliver(outbox: &Bag, hook: &Fake, length: Duration) {
        let wake = Notify::new();
        assert!(timeout(length, forever(outbox, hook, &wake)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_calls_again_after_a_delay_that_doubles_ten_times_and_no_more() {
        let (outbox, hook) = (Bag::default(), Fake::new(Duration::ZERO, again));
        outbox.put("a", 0);
        deliver(&outbox, &hook, Duration::from_hours(24)).await;
        let at: Vec<u64> = hook.calls.borrow().iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 5115]);
        assert_eq!((outbox.waiting().len(), outbox.lost.take()), (0, vec!["a".to_owned()]));
    }

    /// A folder on a disk that has become read-only.
    struct Stone(Bag);

    impl Outbox for Stone {
        fn waiting(&self) -> Vec<Letter> {
            self.0.waiting()
        }

        fn calling(&self, _: &str, _: u32) {}

        fn done(&self, _: &str, _: bool) {}
    }

    #[tokio::test(start_paused = true)]
    async fn f070_an_event_that_cannot_be_removed_is_called_no_more_often_than_any() {
        for (answer, most) in [((|_| Called::Taken) as fn(&str) -> Called, 1), (again, 11)] {
            let (outbox, hook) = (Stone(Bag::default()), Fake::new(Duration::ZERO, answer));
            outbox.0.put("a", 0);
            let wake = Notify::new();
            assert!(timeout(Duration::from_hours(24), forever(&outbox, &hook, &wake)).await.is_err());
            assert_eq!(hook.ids().len(), most);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_refused_is_called_once_and_one_that_fails_holds_no_other_up() {
        let answer = |id: &str| match id {
            "fails" => Called::Again("not now".to_owned()),
            "refused" => Called::Never("its exit status was 2".to_owned()),
            _ => Called::Taken,
        };
        let (outbox, hook) = (Bag::default(), Fake::new(Duration::ZERO, answer));
        for id in ["fails", "refused", "good"] {
            outbox.put(id, 0);
        }
        deliver(&outbox, &hook, Duration::from_secs(1)).await;
        assert_eq!(hook.ids(), ["fails", "refused", "good"]);
        assert_eq!((outbox.calls("fails"), outbox.lost.take()), (Some(1), vec!["refused".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_called_with_at_once_where_we_are_woken_and_within_seconds_where_another_process_put_it() {
        let (outbox, hook) = (Rc::new(Bag::default()), Fake::new(Duration::ZERO, |_| Called::Taken));
        let wake = Notify::new();
        let comes = async {
            tokio::time::sleep(Duration::from_secs(62)).await;
            outbox.put("a", 0);
            wake.notify_one();
            tokio::time::sleep(Duration::from_secs(61)).await;
            outbox.put("b", 0);
            tokio::time::sleep(Duration::from_mins(1)).await;
        };
        tokio::select! {
            never = forever(&*outbox, &hook, &wake) => match never {},
            () = comes => {}
        }
        let calls = hook.calls.borrow();
        assert_eq!(calls[0], (62, "a".to_owned()));
        assert!(calls.len() == 2 && (123..=128).contains(&calls[1].0), "{calls:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn f091_a_run_waits_for_hooks_no_longer_than_one_timeout_and_begins_with_what_is_new() {
        let (outbox, hook) = (Bag::default(), Fake::new(Duration::from_secs(9), |_| Called::Taken));
        outbox.put("failed-before", 3);
        for id in ["a", "b", "c"] {
            outbox.put(id, 0);
        }
        let began = Instant::now();
        once(&outbox, &hook).await;
        assert_eq!(began.elapsed(), TIMEOUT);
        assert_eq!(hook.ids(), ["a", "b", "c"]);
        // It was ended before its time, and that is not held against it.
        assert_eq!((outbox.calls("c"), outbox.calls("failed-before")), (Some(0), Some(3)));
        once(&outbox, &hook).await;
        assert_eq!(outbox.waiting(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn f091_a_hook_that_hangs_is_tried_by_ten_later_runs_and_no_more() {
        let (outbox, hook) = (Bag::default(), Fake::new(Duration::from_hours(1), again));
        outbox.put("a", 0);
        let runs = Cell::new(0);
        while !outbox.waiting().is_empty() {
            let began = Instant::now();
            once(&outbox, &hook).await;
            assert_eq!(began.elapsed(), TIMEOUT);
            runs.set(runs.get() + 1);
        }
        assert_eq!((runs.get(), outbox.lost.take()), (11, vec!["a".to_owned()]));
    }
}
