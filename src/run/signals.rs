//! What a signal does to a pass: nothing further is begun, what is under way is brought to its end and recorded.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;
use tokio::time::timeout;

/// After the first signal, moves under way have this long to be brought to their end: systemd and operators lose patience
/// after ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(9);

/// The wish that nothing further be begun. Who works step by step looks at it between the steps.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// From now on.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked for.
    pub async fn wait(&self) {
        // Fails only where the sender is gone, and that is us.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// Waits for SIGTERM or SIGINT, and returns its number (signal(7)). Where no handler can be had, it waits for ever, and the
/// signal does what it does by default.
pub(crate) async fn signal() -> u8 {
    let (Ok(mut term), Ok(mut int)) = (unix::signal(SignalKind::terminate()), unix::signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => 15,
        _ = int.recv() => 2,
    }
}

/// Waits for `passing`. A signal while nothing is `moving` ends it there, and its number is the error; later, what is under way
/// has nine seconds to come to its end, unless there is a second signal.
pub(crate) async fn to_its_end<T>(
    mut passing: Pin<Box<impl Future<Output = T>>>,
    moving: &Cell<bool>,
    stop: &Stop,
) -> Result<T, u8> {
    let number = tokio::select! {
        // The handlers first: until they are there, a signal ends the process and leaves what it has started.
        biased;
        number = signal() => number,
        done = &mut passing => return Ok(done),
    };
    tracing::warn!("ended by signal {number}");
    stop.ask();
    let last = tokio::select! {
        last = timeout(LAST_WORDS, &mut passing), if moving.get() => last.ok(),
        _ = signal(), if moving.get() => None,
        else => None,
    };
    last.ok_or(number)
}
