//! What a signal does to a pass: nothing further is begun, what is under way is brought to its end and recorded.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{self, Signal, SignalKind};
use tokio::sync::watch;
use tokio::time::timeout;

/// After the first signal, moves under way have this long to be brought to their end: systemd and operators lose patience
/// after ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(9);

/// The wish that nothing further be begun. Who works step by step looks at it between the steps.
#[derive(Debug)]
pub struct Stop {
    asked: watch::Sender<bool>,
    patience: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self::within(LAST_WORDS)
    }
}

impl Stop {
    /// With another bound for what is under way: who has to undo what was begun may take as long as that takes.
    pub(crate) fn within(patience: Duration) -> Self {
        Self { asked: watch::Sender::new(false), patience }
    }

    /// From now on.
    pub fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until it is asked for.
    pub async fn wait(&self) {
        // Fails only where the sender is gone, and that is us.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }
}

/// SIGTERM and SIGINT, heard from the moment this is made. Where no handler can be had, a signal does what it does by default.
#[derive(Debug)]
pub(crate) struct Signals {
    ending: Option<(Signal, Signal)>,
    hangup: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        let ending = unix::signal(SignalKind::terminate())
            .and_then(|term| Ok((term, unix::signal(SignalKind::interrupt())?)))
            .ok();
        Self { ending, hangup: None }
    }

    /// These, and SIGHUP: the terminal of whoever asked for something has gone. Not where it is ignored (nohup(1)).
    pub(crate) fn or_hangup() -> Self {
        let hangup = if hangup_ignored() { None } else { unix::signal(SignalKind::hangup()).ok() };
        Self { hangup, ..Self::new() }
    }

    /// Waits for one of them, and returns its number (signal(7)).
    pub(crate) async fn next(&mut self) -> u8 {
        let Self { ending, hangup } = self;
        let Some((term, int)) = ending else { return std::future::pending().await };
        let hung_up = async {
            match hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = term.recv() => 15,
            _ = int.recv() => 2,
            _ = hung_up => 1,
        }
    }
}

/// Whether this process was started with SIGHUP ignored (`SigIgn` of `proc_pid_status(5)`, bit 0). Where that can't be read, it is not.
fn hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Waits for SIGTERM or SIGINT, and returns its number.
pub(crate) async fn signal() -> u8 {
    Signals::new().next().await
}

/// Waits for `passing`. A signal while nothing is `moving` ends it there, and its number is the error; later, what is under way
/// has nine seconds (or what `stop` gives it) to come to its end, unless there is a second signal; that it is not `moving` any more tells
/// it to begin nothing further.
pub(crate) async fn to_its_end<T>(
    signals: &mut Signals,
    mut passing: Pin<Box<impl Future<Output = T>>>,
    moving: &Cell<bool>,
    stop: &Stop,
) -> Result<T, u8> {
    let number = tokio::select! {
        // A signal first: what has been asked for is not begun by another poll.
        biased;
        number = signals.next() => number,
        done = &mut passing => return Ok(done),
    };
    tracing::warn!(event = "signal", "ended by signal {number}");
    stop.ask();
    let moving = moving.replace(false);
    let last = tokio::select! {
        last = timeout(stop.patience, &mut passing), if moving => last.ok(),
        _ = signals.next(), if moving => None,
        else => None,
    };
    last.ok_or(number)
}
