//! Network namespaces: enter one in a thread of its own, make sockets there, find and end who lives in one.
//!
//! A thread that enters never comes back; it ends with its job. So no other code ever runs in the wrong namespace.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use crate::plan::ns_path;

/// Does `job` on a thread inside the namespace, and gives what it gave.
///
/// Children started by `job` live in the namespace too, but must not ask for a parent-death signal: the thread ends at once.
pub(crate) fn within<T: Send>(ns: &str, job: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(ns)?;
            job()
        });
        inside.join().map_err(|_| anyhow::anyhow!("a job in namespace {ns} panicked"))?
    })
}

/// Moves the calling thread, for good.
pub(crate) fn enter(ns: &str) -> anyhow::Result<()> {
    let file = File::open(ns_path(ns)).with_context(|| format!("open namespace {ns}"))?;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network))
        .with_context(|| format!("enter namespace {ns}"))
}

/// Sets sysctls below `/proc/sys/net`, which shows each thread its own namespace's.
pub(crate) fn sysctl(ns: &str, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    within(ns, || {
        for (key, value) in settings {
            let path = Path::new("/proc/sys/net").join(key);
            // A kernel without IPv6 has no IPv6 to switch off.
            if key.starts_with("ipv6") && !path.exists() {
                continue;
            }
            fs::write(&path, value).with_context(|| format!("write {value} to {}", path.display()))?;
        }
        Ok(())
    })
}

/// Bytes received and sent by `eth0` of the namespace since it was made, by the table of `proc_net_dev`(5).
pub(crate) fn bytes(ns: &str) -> anyhow::Result<(u64, u64)> {
    let table = within(ns, || Ok(fs::read_to_string("/proc/thread-self/net/dev")?))?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
    let counts: Vec<u64> = line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // Eight columns of what was received, bytes first, then likewise of what was sent.
    counts.first().copied().zip(counts.get(8).copied()).with_context(|| format!("{ns} has no counts of eth0"))
}

/// A command line that runs in the namespace with the namespace's own `/etc` files, and dies with the thread that starts it.
pub(crate) fn exec(ns: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", ns, "setpriv", "--pdeathsig", "KILL", "--"]);
    command
}

/// The processes whose main thread lives in one of these namespaces; never this one.
pub(crate) fn residents(namespaces: &[String]) -> Vec<Pid> {
    let inodes: BTreeSet<_> = namespaces
        .iter()
        .filter_map(|ns| fs::metadata(ns_path(ns)).ok())
        .map(|meta| (meta.dev(), meta.ino()))
        .collect();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .filter(|pid| *pid != rustix::process::getpid())
        .filter(|pid| {
            let link = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
            fs::metadata(link).is_ok_and(|meta| inodes.contains(&(meta.dev(), meta.ino())))
        })
        .collect()
}

/// Kills everything that lives in these namespaces, and waits until it is gone, for at most five seconds.
pub(crate) fn evict(namespaces: &[String]) -> anyhow::Result<()> {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        let residents = residents(namespaces);
        if residents.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < patience, "these processes cannot be killed: {residents:?}");
        for pid in residents {
            // It may have ended by itself meanwhile.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        // The kernel takes a moment to reap; there is no event to wait for on somebody else's child.
        thread::sleep(Duration::from_millis(5));
    }
}

/// Forgets every tracked connection of the namespace, so that a change of its NAT rules holds for running flows too.
///
/// `IPCTNL_MSG_CT_DELETE` without a tuple, see the kernel's `nf_conntrack_netlink.c`; spares a dependency on conntrack-tools.
pub(crate) fn flush_conntrack(ns: &str) -> anyhow::Result<()> {
    const LENGTH: u32 = 20;
    const CT_DELETE: u16 = 0x0102;
    const REQUEST_AND_ACK: u16 = 0x0005;
    within(ns, || {
        use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink};
        let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::NETFILTER))?;
        let mut message = Vec::new();
        message.extend(LENGTH.to_ne_bytes());
        message.extend(CT_DELETE.to_ne_bytes());
        message.extend(REQUEST_AND_ACK.to_ne_bytes());
        // Sequence, port, and a header of family "any": all zero.
        message.resize(LENGTH as usize, 0);
        rustix::net::send(&socket, &message, SendFlags::empty())?;
        let mut answer = [0_u8; 64];
        let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
        // Answer: a header of 16 bytes and an errno, 0 for done.
        let code = answer
            .get(16..20)
            .filter(|_| length >= 20)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(-1, i32::from_ne_bytes);
        anyhow::ensure!(code == 0, "the kernel refuses to flush conntrack: errno {}", -code);
        Ok(())
    })
}
