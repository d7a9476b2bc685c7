//! What the rules make of a round.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Family;
use super::evidence::{Moment, Silence, Target, words};

words! {
    /// What a backend's testimony amounts to.
    BackendVerdict {
        /// A target answered it.
        Reaches => "reaches",
        /// A witness that missed `tries` different good targets.
        CutOff => "cut-off",
        /// No evidence.
        Silent => "silent",
    }
}

words! {
    /// What a round amounts to.
    Verdict {
        /// Nobody is cut off.
        Healthy => "healthy",
        /// Somebody is cut off, but not enough to act on.
        Degraded => "degraded",
        /// Enough backends are cut off although targets answer the standby.
        Down => "down",
        /// No target answers the standby: it can't accuse anybody.
        Isolated => "isolated",
        /// Too few backends gave a verdict.
        Unheard => "unheard",
    }
}

/// A backend as judged in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The backend's name.
    pub host: String,
    /// The subnet it counts for.
    pub subnet: String,
    /// The verdict.
    pub verdict: BackendVerdict,
    /// Why, where it is not simply a reply: kind and detail.
    pub silence: Option<Silence>,
    /// The target that answered, or the last one missed.
    pub target: Option<Target>,
    /// The reply's round trip.
    pub rtt: Option<Duration>,
}

/// A round as judged, for one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Which family's targets it is about.
    pub family: Family,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub because: String,
    /// How many targets answered the standby.
    pub good_targets: usize,
    /// How many reach.
    pub reaches: usize,
    /// How many are cut off.
    pub cut_off: usize,
    /// How many gave no evidence.
    pub silent: usize,
    /// Each member of the panel.
    pub backends: Vec<Judged>,
    /// Subnets in which every heard backend is cut off, while some in others reach.
    pub cut_off_subnets: Vec<String>,
    /// The first counted miss was sent no later than this.
    pub first_miss: Option<Moment>,
    /// The last counted miss was sent no earlier than this.
    pub last_miss: Option<Moment>,
    /// When the round began.
    pub started: Moment,
    /// When the round ended.
    pub ended: Moment,
    /// The round took longer than its limit (a frozen process): its evidence must not be acted on.
    pub stale: bool,
}

impl Judgement {
    /// How many gave a verdict.
    #[must_use]
    pub const fn heard(&self) -> usize {
        self.reaches.saturating_add(self.cut_off)
    }
}

/// What the rest of a running round can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// An outstanding answer can make or unmake `down`.
    Open,
    /// `down`, whatever comes.
    Down,
    /// Not `down`, whatever comes.
    NotDown,
}
