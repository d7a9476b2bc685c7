//! What the metrics are made of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Family, Outcome, Pass, Phase, Verdict};

/// What is counted for as long as the state folder lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rounds by family and verdict.
    pub rounds: BTreeMap<Family, BTreeMap<Verdict, u64>>,
    /// Events that a hook has taken.
    pub delivered: u64,
    /// Events that no hook will take any more.
    pub lost: u64,
    /// When everything was healthy last.
    pub healthy: Option<Timestamp>,
}

impl Counts {
    /// A pass that ended then.
    pub fn count(&mut self, pass: &Pass, at: Timestamp) {
        for judgement in &pass.judgements {
            *self.rounds.entry(judgement.family).or_default().entry(judgement.verdict).or_default() += 1;
        }
        if pass.outcome == Outcome::Healthy {
            self.healthy = Some(at);
        }
    }

    /// With what was counted besides.
    #[must_use]
    pub fn plus(mut self, more: &Self) -> Self {
        for (family, verdicts) in &more.rounds {
            for (verdict, n) in verdicts {
                *self.rounds.entry(*family).or_default().entry(*verdict).or_default() += n;
            }
        }
        self.delivered += more.delivered;
        self.lost += more.lost;
        self.healthy = more.healthy.or(self.healthy);
        self
    }
}

/// All that there is to show, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The configuration's name.
    pub name: String,
    /// When the last pass ended, and what it came to.
    pub last: (Timestamp, Pass),
    /// What was counted.
    pub counts: Counts,
    /// How far a takeover has come; `None`: none is on record, or it can't be read.
    pub phase: Option<Phase>,
    /// A takeover is on record, readable or not.
    pub locked: bool,
    /// Until when all automatic action is held.
    pub paused_until: Option<Timestamp>,
    /// How many backends are configured.
    pub backends: usize,
    /// How many of them are witnesses.
    pub witnesses: usize,
    /// How many of them have to be cut off.
    pub threshold: usize,
    /// How many targets are configured.
    pub targets: usize,
    /// Guarded subnets on the primary's table, on the standby's, and on others.
    pub subnets: [usize; 3],
    /// Takeovers by what they came to, as the history has them.
    pub takeovers: BTreeMap<Outcome, u64>,
    /// Failbacks likewise.
    pub failbacks: BTreeMap<Outcome, u64>,
    /// When the last takeover began.
    pub last_takeover: Option<Timestamp>,
    /// How many events wait for a hook.
    pub waiting: usize,
}
