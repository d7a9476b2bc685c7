//! What a whole pass came to, as it is told and remembered, and what was found where a file of ours belongs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Drill, Family, Hold, InstanceId, Judgement, LastSteps, Move, Outcome, Paused};

/// One pass, from the first question to the last verification: what the user reads and `last-round.json` keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// What it came to.
    pub outcome: Outcome,
    /// The exit status that goes with it.
    pub exit: u8,
    /// Why, in one sentence without a full stop.
    pub because: String,
    /// The gates that held, the one that is reported first.
    pub holds: Vec<Hold>,
    /// Each round as judged, in order; one per family where there are several.
    pub judgements: Vec<Judgement>,
    /// Each subnet of the plan and what became of it; empty where nothing was planned.
    pub moves: Vec<Move>,
    /// What was done when all of them stood.
    #[serde(default, skip_serializing_if = "LastSteps::is_empty")]
    pub last: LastSteps,
    /// The pause that held all automatic action meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// What a drill showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// How long the pass took.
    pub elapsed: Duration,
    /// `--dry-run`: nothing was changed.
    pub dry_run: bool,
    /// What the user should know besides: one line each (a record that could not be written, a name that did not resolve).
    pub notes: Vec<String>,
    /// AWS CLI commands that an operator may paste to go on by hand.
    pub commands: Vec<String>,
}

impl Pass {
    /// The latest judgement of each family: the one that counted.
    #[must_use]
    pub fn latest(&self) -> Vec<Judgement> {
        let last: BTreeMap<Family, &Judgement> = self.judgements.iter().map(|one| (one.family, one)).collect();
        last.into_values().cloned().collect()
    }
}

/// What the rules make of a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// What it came to.
    pub outcome: Outcome,
    /// The exit status that goes with it.
    pub exit: u8,
    /// Why, in one sentence without a full stop.
    pub because: String,
    /// The gates that held, the one that is reported first.
    pub holds: Vec<Hold>,
    /// AWS CLI commands that an operator may paste to go on by hand.
    pub commands: Vec<String>,
}

impl Conclusion {
    /// One without gates and commands.
    #[must_use]
    pub const fn new(outcome: Outcome, exit: u8, because: String) -> Self {
        Self { outcome, exit, because, holds: Vec::new(), commands: Vec::new() }
    }
}

/// What was found where a file of ours belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// No such file.
    Absent,
    /// The file, read.
    Present(T),
    /// A file that can't be read or believed: broken, not ours, or refused by the operating system.
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Why, one line.
        why: String,
    },
    /// Written by a later natwatch, whose meaning we can't know.
    Newer {
        /// Which.
        path: PathBuf,
        /// The version of its layout.
        version: u64,
    },
    /// About another instance: the state was copied (a cloned AMI).
    Foreign {
        /// Which.
        path: PathBuf,
        /// The instance that it is about.
        instance: InstanceId,
    },
}

impl<T> Found<T> {
    /// The content, where it can be used.
    #[must_use]
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            _ => None,
        }
    }

    /// What is wrong, in one line; `None` where the file is absent or fine.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Absent | Self::Present(_) => None,
            Self::Corrupt { path, why } => Some(format!("{} can't be used: {why}", path.display())),
            Self::Newer { path, version } => {
                Some(format!("{} was written by a newer natwatch (layout {version})", path.display()))
            }
            Self::Foreign { path, instance } => {
                Some(format!("{} is about another instance, {instance}", path.display()))
            }
        }
    }
}
