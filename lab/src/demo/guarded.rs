//! Cleans up behind a command that may be interrupted at any point.
//!
//! The work is done by a second process of this program. Whatever ends that one (Ctrl-C, a kill, a crash), the kernel ends its
//! children with it, and this one sweeps the namespaces and folders it left. So the work itself needs no signal handling.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use natwatch_lab::{Signal, sweep};
use tokio::signal::unix::{SignalKind, signal};

/// Set for the process that does the work.
const MARK: &str = "NATWATCH_LAB_GUARDED";

/// Does `work` in a process of its own, and cleans up if that one cannot.
pub(crate) fn guarded(work: impl FnOnce() -> anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    if std::env::var_os(MARK).is_some() {
        return work();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        // A terminal's Ctrl-C reaches both processes; the other signals only this one, so they are handed on.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(std::env::args_os().skip(1)).env(MARK, "1");
        let mut child = tokio::process::Command::from(command).spawn().context("start this program once more")?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        loop {
            tokio::select! {
                status = child.wait() => break status.context("wait for the work's process"),
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // It may have ended in this very moment.
            let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM));
        }
    })?;
    if let Some(signal) = status.signal() {
        sweep().context("clean up after an interruption")?;
        crate::cli::complain("ended early; all that the lab had made is gone");
        // As a shell tells it.
        return Ok(u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
