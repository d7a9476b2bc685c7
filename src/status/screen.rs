//! Where `status --watch` shows itself: a terminal's screen, which is as it was before once we leave it, or a pipe.
//!
//! What is written is written by a thread that nobody waits for without end: a reader that has stopped reading must not keep us from
//! being told to stop.

use std::fs::File;
use std::future::{pending, poll_fn};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal as Number, getpid, kill_process};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::report::live::Size;

/// Alternate screen on, cursor off, no line is wrapped (xterm's control sequences: DECSET 1049, 25, 7).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// All as it was.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// What a terminal has that does not tell: that of a VT100.
const USUAL: Size = Size { columns: 80, lines: 24 };

/// The last words may wait so long for a terminal that is stopped (Ctrl-S).
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What comes from outside.
pub(super) enum Event {
    /// SIGINT, SIGTERM: that is how it ends. Or the reader has gone, or the terminal.
    Stop,
    /// Ctrl-Z: we are to be stopped, and go on later.
    Suspend,
}

/// See the module.
pub(super) struct Output {
    file: Arc<File>,
    /// It is a terminal that can be written to at any place.
    pub(super) screen: bool,
    entered: bool,
    writing: Option<JoinHandle<io::Result<()>>>,
    stops: Vec<Signal>,
    suspend: Option<Signal>,
}

impl Output {
    /// Standard output; `plain`: even a terminal gets lines.
    ///
    /// # Errors
    /// It is closed.
    pub(super) fn new(plain: bool) -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let able = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let screen = file.is_terminal() && able && !plain;
        // Where no handler can be had, a signal does what it does by default.
        let stops = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let stops = stops.into_iter().filter_map(|kind| signal(kind).ok()).collect();
        let suspend = SignalKind::from_raw(Number::TSTP.as_raw());
        let suspend = if screen { signal(suspend).ok() } else { None };
        Ok(Self { file: Arc::new(file), screen, entered: false, writing: None, stops, suspend })
    }

    /// The room there is.
    pub(super) fn size(&self) -> Size {
        let size = tcgetwinsize(&*self.file).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(USUAL, |size| Size { columns: size.ws_col.into(), lines: size.ws_row.into() })
    }

    /// The reader has gone, which a pipe tells although nothing is written (`POLLERR`, poll(2)).
    pub(super) fn abandoned(&self) -> bool {
        let mut polled = [PollFd::new(&*self.file, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|told| told > 0)
            && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// Shows `lines` in place of what was there. While what came before is still being written, nothing.
    pub(super) fn show(&mut self, lines: &[String]) {
        let mut text = String::new();
        if !self.entered {
            text.push_str(ENTER);
        }
        text.push_str("\x1b[H");
        for (n, line) in lines.iter().enumerate() {
            // No end after the last one: it would scroll.
            text.push_str(if n == 0 { "" } else { "\r\n" });
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        self.entered |= self.write(text);
    }

    /// Writes it all at once, unless what came before is still being written: whether it is.
    pub(super) fn write(&mut self, text: String) -> bool {
        if self.writing.is_some() {
            return false;
        }
        let file = Arc::clone(&self.file);
        self.writing = Some(spawn_blocking(move || (&*file).write_all(text.as_bytes())));
        true
    }

    /// What comes from outside, while what is to be written is.
    ///
    /// # Errors
    /// It can't be written (a full disk); not where nobody is left to read it.
    pub(super) async fn next(&mut self) -> io::Result<Event> {
        loop {
            let Self { writing, stops, suspend, .. } = self;
            tokio::select! {
                biased;
                () = poll_fn(|cx| heard(stops.iter_mut(), cx)) => return Ok(Event::Stop),
                () = poll_fn(|cx| heard(suspend.iter_mut(), cx)) => return Ok(Event::Suspend),
                wrote = written(writing) => match wrote {
                    Err(error) if !closed(&error) => return Err(error),
                    Err(_) => return Ok(Event::Stop),
                    Ok(()) => {}
                },
            }
        }
    }

    /// Leaves the screen as it was.
    pub(super) async fn leave(&mut self) {
        // What can't be written now can't be mended either.
        let _ = timeout(LAST_WORDS, async {
            if self.writing.is_some() {
                let _ = written(&mut self.writing).await;
            }
            if std::mem::take(&mut self.entered) && self.write(LEAVE.to_owned()) {
                let _ = written(&mut self.writing).await;
            }
        })
        .await;
    }

    /// Lets the shell have the terminal until it says that we go on (SIGCONT).
    pub(super) async fn suspend(&mut self) {
        self.leave().await;
        // Of ourselves alone: everybody else was told by the terminal.
        let _ = kill_process(getpid(), Number::STOP);
    }
}

fn heard<'s>(signals: impl Iterator<Item = &'s mut Signal>, cx: &mut Context<'_>) -> Poll<()> {
    // Each is asked, so that each wakes us.
    let heard = signals.filter_map(|one| one.poll_recv(cx).is_ready().then_some(())).count();
    if heard > 0 { Poll::Ready(()) } else { Poll::Pending }
}

/// The end of what is being written; without end where nothing is.
async fn written(writing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let Some(handle) = writing else { return pending().await };
    let wrote = handle.await;
    *writing = None;
    // It neither panics nor is it given up.
    wrote.unwrap_or(Ok(()))
}

/// Nobody is left to read: a closed pipe, or a terminal that has hung up.
fn closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
