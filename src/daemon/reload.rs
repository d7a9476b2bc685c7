//! When the configuration is to be read again: at SIGHUP (signal(7): what daemons re-read their configuration for), or when a file that lists
//! backends for it is another: a hosts file, or the list of what EC2 shows. What is read then, and whether it will do, is for the caller.
//!
//! The files are looked at every ten seconds; nothing is read of it. A configuration file that is edited changes nothing by itself:
//! who edits it may be in the middle of it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two looks at the files: hosts come and go by the day, a look takes microseconds, and a dependency for less would be worth
/// nothing.
const LOOK: Duration = Duration::from_secs(10);

/// Why the configuration is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// SIGHUP.
    Asked,
    /// This list of hosts is another than before, or there is none any more.
    Hosts(PathBuf),
}

/// What tells of changes.
#[derive(Debug)]
pub struct Changes {
    hangup: Option<Signal>,
    lists: Vec<Followed>,
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
    /// From now on SIGHUP ends nothing, and these `lists` are looked at.
    #[must_use]
    pub fn new<'p>(lists: impl IntoIterator<Item = &'p Path>) -> Self {
        Self::every(LOOK, lists)
    }

    pub(super) fn every<'p>(period: Duration, lists: impl IntoIterator<Item = &'p Path>) -> Self {
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
        let mut changes = Self { hangup: hangup.ok(), lists: Vec::new(), looks };
        changes.follow(lists);
        changes
    }

    /// The lists of the configuration that holds now. Of the same path, what was last seen still counts, so that what changed while
    /// the configuration was read is not missed.
    pub fn follow<'p>(&mut self, lists: impl IntoIterator<Item = &'p Path>) {
        let mut before = std::mem::take(&mut self.lists);
        let mut followed = |path: &Path| match before.iter().position(|one| one.path == path) {
            Some(at) => before.swap_remove(at),
            None => Followed { path: path.to_owned(), seen: look(path) },
        };
        self.lists = lists.into_iter().map(&mut followed).collect();
    }

    /// This list could not be followed: as long as it is there, the next look tells of it again.
    pub fn again(&mut self, list: &Path) {
        for one in self.lists.iter_mut().filter(|one| one.path == list) {
            one.seen = None;
        }
    }

    /// Waits until the configuration is to be read again. What happens while nobody waits is told by the next call; dropped while it
    /// waits, it loses nothing.
    pub async fn next(&mut self) -> Why {
        loop {
            let Self { hangup, lists, looks } = self;
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
            // All are read again with the first one, so one that has changed is enough to tell of.
            let mut changed = None;
            for one in lists {
                let now = look(&one.path);
                if now != one.seen {
                    changed.get_or_insert_with(|| one.path.clone());
                }
                one.seen = now;
            }
            if asked {
                // What is read now is what was looked at just now.
                return Why::Asked;
            }
            if let Some(path) = changed {
                return Why::Hosts(path);
            }
        }
    }
}
