//! Why a pass came to what it came to, rule by rule: data, made by `decide` and told by `report`.

use super::{Conclusion, Family, Moment, Plan, Verdict};

/// All rules that had a say, in the order of "How a round is judged" in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Each round, oldest first; one per family where there are several.
    pub rounds: Vec<RoundWhy>,
    /// What the row of rounds amounts to, one per family.
    pub rows: Vec<RowWhy>,
    /// Whether the evidence of any family is enough to act on.
    pub enough: bool,
    /// The gates, each [`Rule::met`] where it holds nothing back; empty where the evidence asked for no takeover.
    pub gates: Vec<Rule>,
    /// What is moved, where no gate holds.
    pub plan: Option<Plan>,
    /// What else had a say: the lock, the record, what was moved and whether it helped. Each is met where it is as it should be.
    pub ending: Vec<Rule>,
    /// What it came to.
    pub conclusion: Conclusion,
}

/// One rule as it applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is called: one or two words.
    pub name: &'static str,
    /// Whether its condition is fulfilled.
    pub met: bool,
    /// What was found and what was needed, in one sentence without a full stop.
    pub says: String,
    /// What it was found in.
    pub items: Vec<Item>,
}

impl Rule {
    /// A rule that was found in nothing in particular.
    #[must_use]
    pub const fn new(name: &'static str, met: bool, says: String) -> Self {
        Self { name, met, says, items: Vec::new() }
    }
}

/// One target, backend or step, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub name: String,
    /// What became of it.
    pub says: String,
}

/// One round, for one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundWhy {
    /// Which round of the pass, from 1.
    pub number: usize,
    /// By the targets of which family.
    pub family: Family,
    /// When it began.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// The rules, in order: each is met where it speaks for `down`.
    pub rules: Vec<Rule>,
    /// What follows from them.
    pub verdict: Verdict,
    /// In one sentence.
    pub because: String,
}

/// The rounds of one family in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWhy {
    /// Which family.
    pub family: Family,
    /// What each round made of the course, oldest first.
    pub steps: Vec<Item>,
    /// The rules: all are met where the evidence is enough.
    pub rules: Vec<Rule>,
    /// What follows from them.
    pub enough: bool,
}
