//! What a scenario must come to, as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::decide::Next;
use crate::model::{Gate, InterfaceId, Outcome, SilenceReason, SubnetId, Verdict};

/// What it must come to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Of each round, the families of one round next to each other.
    pub verdicts: Vec<Verdict>,
    /// The outcome.
    pub outcome: Outcome,
    /// The exit status.
    pub exit: u8,
    /// The gate that is reported first; none where it is left out.
    pub gate: Option<Gate>,
    /// Every gate that holds, in order.
    pub gates: Option<Vec<Gate>>,
    /// The subnets that are to be moved, in order.
    pub plan: Option<Vec<SubnetId>>,
    /// The interface whose source/destination check the plan switches off.
    pub disable_check: Option<InterfaceId>,
    /// The whole sentence.
    pub because: Option<String>,
    /// What follows from the evidence: there is nothing to pursue, it is looked again, or it is enough.
    pub next: Option<Follows>,
    /// The commands that an operator may paste.
    pub commands: Option<Vec<String>>,
    /// Backends that must be silent in the last round, and why.
    #[serde(default)]
    pub reasons: BTreeMap<String, SilenceReason>,
}

/// What follows from the evidence, without the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follows {
    /// There is nothing to pursue.
    Rest,
    /// Not enough yet.
    Look,
    /// Enough.
    Act,
}

impl From<Next> for Follows {
    fn from(next: Next) -> Self {
        match next {
            Next::Rest => Self::Rest,
            Next::Look { .. } => Self::Look,
            Next::Act => Self::Act,
        }
    }
}

impl fmt::Display for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rest => "rest",
            Self::Look => "look",
            Self::Act => "act",
        })
    }
}
