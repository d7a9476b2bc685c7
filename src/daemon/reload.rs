//! When the configuration is to be read again: at SIGHUP (signal(7): what daemons re-read their configuration for), or when the hosts file
//! that it names is another. What is read then, and whether it will do, is for the caller.
//!
//! The hosts file is looked at every ten seconds; nothing is read of it. A configuration file that is edited changes nothing by itself:
//! who edits it may be in the middle of it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two looks at the hosts file: hosts come and go by the day, a look takes microseconds, and a dependency for less would be worth
/// nothing.
const LOOK: Duration = Duration::from_secs(10);

/// Why the configuration is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// SIGHUP.
    Asked,
    /// This hosts file is another than before, or there is none any more.
    Hosts(PathBuf),
}

/// What tells of changes.
#[derive(Debug)]
pub struct Changes {
    hangup: Option<Signal>,
    hosts: Option<Followed>,
    looks: Interval,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    seen: Option<Look>,
}

/// What tells one content of a file from another, by stat(2): device, inode, size, and the moment of the last change, of whatever.
type Look = (u64, u64, u64, (i64, i64));

fn look(path: &Path) -> Option<Look> {
    // Follows links: where they lead is what is read. A local file, so nothing waits.
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), (meta.ctime(), meta.ctime_nsec())))
}

impl Changes {
    /// From now on SIGHUP ends nothing, and `hosts` is looked at.
    #[must_use]
    pub fn new(hosts: Option<&Path>) -> Self {
        Self::every(LOOK, hosts)
    }

    pub(super) fn every(period: Duration, hosts: Option<&Path>) -> Self {
        let hangup = signal(SignalKind::hangup());
        if let Err(error) = &hangup {
            tracing::warn!(
                event = "signal",
                "SIGHUP can't be heard: {error}; restart to have a changed configuration read"
            );
        }
        let mut looks = interval(period);
        // After a suspend one look is enough.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = Self { hangup: hangup.ok(), hosts: None, looks };
        changes.follow(hosts);
        changes
    }

    /// The hosts file of the configuration that holds now. Of the same path, what was last seen still counts, so that what changed while
    /// the configuration was read is not missed.
    pub fn follow(&mut self, hosts: Option<&Path>) {
        if self.hosts.as_ref().map(|one| one.path.as_path()) != hosts {
            self.hosts = hosts.map(|path| Followed { path: path.to_owned(), seen: look(path) });
        }
    }

    /// Waits until the configuration is to be read again. What happens while nobody waits is told by the next call; dropped while it
    /// waits, it loses nothing.
    pub async fn next(&mut self) -> Why {
        loop {
            let Self { hangup, hosts, looks } = self;
            let asked = async {
                // `None`: the runtime ends.
                if let Some(hangup) = hangup
                    && hangup.recv().await.is_some()
                {
                    return;
                }
                std::future::pending::<()>().await;
            };
            let asked = tokio::select! {
                () = asked => true,
                _ = looks.tick() => false,
            };
            let Some(hosts) = hosts else {
                if asked {
                    return Why::Asked;
                }
                continue;
            };
            let now = look(&hosts.path);
            let changed = now != hosts.seen;
            hosts.seen = now;
            if asked {
                // What is read now is what was looked at just now.
                return Why::Asked;
            }
            if changed {
                return Why::Hosts(hosts.path.clone());
            }
        }
    }
}
