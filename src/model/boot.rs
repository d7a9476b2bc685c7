//! Moments that are written down, and told apart by another process: by the wall clock, which may be set, and by that of the boot, which nobody can
//! set.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Which boot: `/proc/sys/kernel/random/boot_id` (random(4)).
    pub id: String,
    /// Time since then, suspend included.
    pub at: Duration,
}

/// A moment by both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// By the wall clock.
    pub wall: Timestamp,
    /// By the clock of the boot; `None` where it is not known which boot this is.
    pub boot: Option<Boot>,
}
