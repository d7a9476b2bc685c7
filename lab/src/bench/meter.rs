//! What a run takes: time, processor, memory, of the whole tree of processes.
//!
//! ssh's masters put themselves in the background, so no `wait` tells of them. Processor time comes from a control group (version 2)
//! that the run is put into; memory from all processes in the standby's network namespace, in which nothing else runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use natwatch_lab::{Invocation, Lab, Nat, Run, Running};

/// Between two looks at memory. Logins take 50 ms and more, so a peak is seen several times.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Masters end within half a second of natwatch; who stays longer was left behind.
const ENDING: Duration = Duration::from_secs(1);

/// The longest a run may take; the script's takes half of it.
const PATIENCE: Duration = Duration::from_secs(90);

const GROUP: &str = "natwatch-bench-";

/// One run, measured.
pub(super) struct Measured {
    pub(super) run: Run,
    /// User and system time; nothing without control groups.
    pub(super) processor: Option<Duration>,
}

/// Peaks, or what is seen in one look, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    /// The sum over the tree, pages that are shared counted by share (PSS).
    pub(super) tree: u64,
    /// natwatch's own resident pages.
    pub(super) own: u64,
    /// Processes at once.
    pub(super) processes: u64,
}

/// Runs something for its time and processor.
pub(super) fn measure(invocation: &Invocation) -> anyhow::Result<Measured> {
    let (group, running) = start(invocation)?;
    let run = running.wait(PATIENCE)?;
    let processor = group.map(|group| group.close()).transpose()?;
    Ok(Measured { run, processor })
}

/// Runs something for its memory; looking slows it down, so its time is not worth knowing.
pub(super) fn weigh(lab: &Lab, invocation: &Invocation) -> anyhow::Result<(Run, Peak)> {
    let (group, running) = start(invocation)?;
    let sampler = Sampler::start(standby(lab)?, running.pid());
    let run = running.wait(PATIENCE);
    let peak = sampler.stop();
    let run = run?;
    group.map(|group| group.close()).transpose()?;
    anyhow::ensure!(peak.own > 0, "the run's memory was never seen: {run}");
    Ok((run, peak))
}

/// The standby's network namespace, for [`look`].
pub(super) fn standby(lab: &Lab) -> anyhow::Result<(u64, u64)> {
    let standby = fs::metadata(lab.plan().nat(Nat::Standby)?.ns_path()).context("the standby's namespace")?;
    Ok((standby.dev(), standby.ino()))
}

fn start(invocation: &Invocation) -> anyhow::Result<(Option<Group>, Running)> {
    let group = Group::make();
    let running = match &group {
        Some(group) => group.inside(|| invocation.spawn())?,
        None => invocation.spawn()?,
    };
    Ok((group, running))
}

/// A control group of its own for each run.
pub(super) struct Group(PathBuf);

impl Group {
    pub(super) fn make() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mount.filter(|words| words.get(2) == Some(&"cgroup2")).find_map(|words| words.get(1).copied())?;
        // What a bench that was killed left: only an empty group can be removed.
        for entry in fs::read_dir(mount).ok()?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(GROUP) {
                let _ = fs::remove_dir(entry.path());
            }
        }
        let path = Path::new(mount).join(format!("{GROUP}{}-{}", std::process::id(), rand::random::<u32>()));
        fs::create_dir(&path).ok()?;
        path.join("cpu.stat").exists().then_some(Self(path))
    }

    /// Does `start` while this process is in the group, as children are born where their parent is. To move them afterwards would
    /// be too late for those they have started by then.
    pub(super) fn inside<T>(&self, start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let home = fs::read_to_string("/proc/self/cgroup").context("find our own control group")?;
        let home = home.lines().find_map(|line| line.strip_prefix("0::/")).context("we are in no control group")?;
        let home = self.0.parent().context("a group without a parent")?.join(home);
        enter(&self.0)?;
        let started = start();
        enter(&home)?;
        started
    }

    /// User and system time of all who were in it. Who is left after a while is told of and ended, so that the next run is alone.
    fn close(&self) -> anyhow::Result<Duration> {
        let patience = Instant::now() + ENDING;
        loop {
            let left = fs::read_to_string(self.0.join("cgroup.procs")).context("look into a control group")?;
            if left.trim().is_empty() {
                break;
            }
            if Instant::now() > patience {
                super::progress(&format!("left behind by the run, {ENDING:?} after its end:{}", named(&left)));
                fs::write(self.0.join("cgroup.kill"), "1").context("end what a run left behind")?;
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        self.spent()
    }

    /// User and system time so far of all who were or are in it.
    pub(super) fn spent(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(self.0.join("cpu.stat"))?;
        let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
        Ok(Duration::from_micros(micros.context("the control group tells no processor time")?))
    }
}

/// Processes with their command lines.
fn named(pids: &str) -> String {
    let line = |pid: &str| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        format!("\n  {pid} {}", words.chars().take(300).collect::<String>())
    };
    pids.split_whitespace().map(line).collect()
}

fn enter(group: &Path) -> anyhow::Result<()> {
    let path = group.join("cgroup.procs");
    fs::write(&path, std::process::id().to_string()).with_context(|| format!("enter {}", path.display()))
}

impl Drop for Group {
    fn drop(&mut self) {
        // What cannot be removed now is by the next one.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Looks at memory until it is told to stop.
struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Peak>,
}

impl Sampler {
    fn start(namespace: (u64, u64), own: i32) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut peak = Peak::default();
            while !told.load(Ordering::SeqCst) {
                let next = Instant::now() + LOOK_EVERY;
                let seen = look(namespace, own);
                peak.tree = peak.tree.max(seen.tree);
                peak.own = peak.own.max(seen.own);
                peak.processes = peak.processes.max(seen.processes);
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            peak
        });
        Self { stop, thread }
    }

    fn stop(self) -> Peak {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap_or_default()
    }
}

/// All processes in a namespace as they are now; `own` is natwatch's.
pub(super) fn look(namespace: (u64, u64), own: i32) -> Peak {
    let mut peak = Peak::default();
    let line = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).ok();
    let own_line = line(own);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let inside = fs::metadata(entry.path().join("ns/net")).is_ok_and(|meta| (meta.dev(), meta.ino()) == namespace);
        // A child that natwatch has just made shares all its memory until it becomes ssh (vfork(2)): PSS counts that twice.
        let inside = inside && (pid == own || line(pid) != own_line);
        // A process that has just ended has no memory any more.
        let Some(memory) = inside.then(|| fs::read_to_string(entry.path().join("smaps_rollup")).ok()).flatten() else {
            continue;
        };
        let of = |key: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or_default()
        };
        peak.tree += of("Pss:");
        peak.processes += 1;
        if pid == own {
            peak.own = of("Rss:");
        }
    }
    peak
}
