//! What may hang in the kernel (a file on a mount that does not answer) is done in a thread of its own, so that nobody else waits for it: one piece of
//! work at a time, and what hangs keeps the next one from being begun.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// Work under way, or done and not asked for yet.
struct Work<T> {
    begun: Instant,
    handle: JoinHandle<T>,
}

/// See the module.
pub(super) struct Aside<T>(RefCell<Option<Work<T>>>);

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Send + 'static> Aside<T> {
    /// Begins `work` and returns what the work before came to, where there was any.
    ///
    /// # Errors
    /// That one is not done, and for how long it has been under way; `work` is not begun.
    pub(super) fn begin(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, Duration> {
        let mut slot = self.0.borrow_mut();
        let before = match slot.take() {
            Some(one) if !one.handle.is_finished() => {
                let age = one.begun.elapsed();
                *slot = Some(one);
                return Err(age);
            }
            // It is there at once; one that panicked has come to nothing.
            Some(one) => one.handle.now_or_never().and_then(Result::ok),
            None => None,
        };
        *slot = Some(Work { begun: Instant::now(), handle: spawn_blocking(work) });
        Ok(before)
    }

    /// What the work came to, if there is any; waits for it.
    ///
    /// # Errors
    /// It was not done within `patience`, and may be later.
    pub(super) async fn end(&self, patience: Duration) -> Result<Option<T>, Duration> {
        let Some(mut one) = self.0.borrow_mut().take() else { return Ok(None) };
        if let Ok(done) = timeout(patience, &mut one.handle).await {
            return Ok(done.ok());
        }
        let age = one.begun.elapsed();
        self.0.replace(Some(one));
        Err(age)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Longer than any of this takes; a bound, not a measure.
    const LONG: Duration = Duration::from_secs(20);

    /// Work that hangs until it is told to end.
    fn hangs() -> (Sender<&'static str>, impl FnOnce() -> &'static str) {
        let (end, told) = channel();
        (end, move || told.recv_timeout(LONG).unwrap_or("given up"))
    }

    #[tokio::test]
    async fn f091_work_that_hangs_holds_nobody_up_and_is_not_piled_up() {
        let aside = Aside::default();
        assert_eq!(aside.end(LONG).await, Ok(None));
        let (end, work) = hangs();
        assert_eq!(aside.begin(work), Ok(None));
        // Nobody waits for it, and as long as it hangs no other is begun.
        for _ in 0..3 {
            assert!(aside.begin(|| panic!("there are two")).is_err());
        }
        assert!(aside.end(Duration::ZERO).await.is_err());
        end.send("done").unwrap();
        assert_eq!(aside.end(LONG).await, Ok(Some("done")));
        assert_eq!(aside.begin(|| "next"), Ok(None));
        assert_eq!(aside.end(LONG).await, Ok(Some("next")));
    }

    #[tokio::test]
    async fn what_came_of_it_is_told_when_the_next_is_begun() {
        let aside = Aside::default();
        assert_eq!(aside.begin(|| 1), Ok(None));
        let next = async {
            loop {
                match aside.begin(|| 2) {
                    Ok(before) => break before,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        assert_eq!(timeout(LONG, next).await, Ok(Some(1)));
        assert_eq!(aside.end(LONG).await, Ok(Some(2)));
    }
}
