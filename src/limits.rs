//! What the operating system allows this process: descriptors and threads (getrlimit(2)). The libraries beneath panic for want of
//! either where they should fail, so it is looked at before they are started.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that a pass with a panel of 8 makes use of, and then some; `LEAST` is what it can't do without.
const DESCRIPTORS: u64 = 1024;
/// Sixteen logins at once take 32, the rest of natwatch a dozen.
const LEAST: u64 = 64;

/// Takes the descriptors that may be had, and tries for a thread.
///
/// # Errors
/// There are too few of either: which, and what to do.
pub(crate) fn raise() -> Result<(), String> {
    let mut limit = getrlimit(Resource::Nofile);
    if let Some(now) = limit.current.filter(|now| *now < DESCRIPTORS) {
        limit.current = Some(limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS)).max(now));
        // What may not be raised is judged as it is.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    if let Some(few) = getrlimit(Resource::Nofile).current.filter(|now| *now < LEAST) {
        return Err(format!("only {few} files may be open, and {LEAST} are needed: ulimit -n {DESCRIPTORS}"));
    }
    let thread = std::thread::Builder::new().spawn(|| ());
    thread.map(drop).map_err(|error| format!("no thread can be started, nor a process: {error}; see ulimit -u"))
}
