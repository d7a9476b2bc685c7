//! A scenario as written: TOML, short enough to be typed, and strict, since a key that is ignored would prove nothing.
//!
//! It knows which keys there are and what their values look like. What is left out means a healthy pair with the defaults of the
//! configuration; what that is, `expand` knows. `tests/scenarios/README.md` describes the form for who writes one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::expect::Expect;
use super::values::{At, Called, Few, Many, Place, Share, Time};
use crate::model::{InstanceId, InterfaceId, Phase, SilenceReason, SubnetId, VpcId};

/// The whole file.
#[expect(clippy::struct_excessive_bools, reason = "keys of a file, which are independent of each other")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it shows, in one sentence.
    pub(super) about: String,
    /// Rows of the fault catalogue.
    #[serde(default)]
    pub(super) rows: Vec<u16>,
    /// An operator asked for the takeover.
    #[serde(default)]
    pub(super) planned: bool,
    #[serde(default)]
    pub(super) out_of_time: bool,
    pub(super) busy: Option<String>,
    pub(super) forgets: Option<String>,
    /// Moves are tried with `DryRun` only.
    #[serde(default)]
    pub(super) dry_run: bool,
    #[serde(default = "yes")]
    pub(super) carried_out: bool,
    #[serde(default)]
    pub(super) rules: Rules,
    #[serde(default)]
    pub(super) rounds: Vec<Spanned<Rounds>>,
    #[serde(default)]
    pub(super) world: World,
    #[serde(default)]
    pub(super) survey: Survey,
    #[serde(default)]
    pub(super) moves: BTreeMap<SubnetId, Spanned<Moved>>,
    pub(super) expect: Option<Expect>,
}

const fn yes() -> bool {
    true
}

/// What differs from the defaults of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) threshold: Option<Many>,
    pub(super) fraction: Option<Share>,
    pub(super) rounds: Option<Many>,
    pub(super) span: Option<Time>,
    pub(super) tries: Option<Many>,
    pub(super) min_uptime: Option<Time>,
    pub(super) max_subnets: Option<Few>,
    pub(super) disable_source_dest_check: Option<bool>,
    #[serde(default)]
    pub(super) subnets: Vec<SubnetId>,
}

/// One round, or several alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rounds {
    pub(super) repeat: Option<Many>,
    pub(super) every: Option<Time>,
    pub(super) started: Option<Time>,
    pub(super) ended: Option<Time>,
    pub(super) limit: Option<Time>,
    pub(super) weighed: Option<Time>,
    /// From the start to the earliest moment at which a ping can have left.
    pub(super) earliest: Option<Time>,
    /// And to the latest.
    pub(super) latest: Option<Time>,
    pub(super) good: Option<Vec<At>>,
    #[serde(default)]
    pub(super) dead: Vec<At>,
    #[serde(default)]
    pub(super) unresolved: Vec<String>,
    /// Why the standby could not ask any of its targets that are not good.
    pub(super) not_asked: Option<String>,
    /// By subnet, how many.
    #[serde(default)]
    pub(super) cut_off: BTreeMap<String, Few>,
    #[serde(default)]
    pub(super) reaching: BTreeMap<String, Few>,
    #[serde(default)]
    pub(super) unproven: BTreeMap<String, Few>,
    #[serde(default)]
    pub(super) silent: BTreeMap<String, Few>,
    #[serde(default)]
    pub(super) awaited: BTreeMap<String, Few>,
    #[serde(default)]
    pub(super) backends: BTreeMap<String, Spanned<Backend>>,
}

/// One backend that the counts don't describe well enough.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backend {
    pub(super) subnet: String,
    #[serde(default)]
    pub(super) missed: Vec<At>,
    pub(super) reached: Option<At>,
    pub(super) silent: Option<SilenceReason>,
    pub(super) detail: Option<String>,
    /// The families in which it may accuse.
    pub(super) witness: Option<Vec<Called>>,
}

/// What is remembered: the lock, and the guarded subnets as last seen.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct World {
    pub(super) lock: Option<Phase>,
    #[serde(default)]
    pub(super) lock_moved: Vec<SubnetId>,
    #[serde(default)]
    pub(super) lock_open: Vec<SubnetId>,
    pub(super) unreadable: Option<String>,
    /// Why an operator holds all automatic action.
    pub(super) paused: Option<String>,
    pub(super) guarded: Option<BTreeMap<SubnetId, Place>>,
    pub(super) guarded_families: Option<Vec<Called>>,
    #[serde(default)]
    pub(super) never_asked: bool,
    pub(super) unknown: Option<String>,
}

/// What EC2 and this machine look like just before a takeover.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Survey {
    #[serde(default)]
    pub(super) never_made: bool,
    #[serde(default)]
    pub(super) failed: Failed,
    pub(super) uptime: Option<Time>,
    pub(super) ip_forward: Option<bool>,
    pub(super) masquerade: Option<Masquerading>,
    /// How long ago root saw that, where this process may not look itself.
    pub(super) masquerade_seen: Option<Time>,
    pub(super) on: Option<BTreeMap<SubnetId, Place>>,
    /// What the standby's own witnesses said.
    pub(super) own: Option<BTreeMap<String, OwnWord>>,
    pub(super) main: Option<Side>,
    #[serde(default)]
    pub(super) missing: BTreeSet<Side>,
    pub(super) standby_vpc: Option<VpcId>,
    #[serde(default)]
    pub(super) standby_unknown: bool,
    pub(super) standby_subnet: Option<SubnetId>,
    pub(super) routes: Option<Vec<Route>>,
    pub(super) interfaces: Option<Vec<Interface>>,
    pub(super) primary: Option<Primary>,
    #[serde(default)]
    pub(super) primary_unknown: bool,
}

/// Readings that failed, and why.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub(super) identity: Option<String>,
    pub(super) tables: Option<String>,
    pub(super) standby: Option<String>,
    pub(super) primary: Option<String>,
    pub(super) uptime: Option<String>,
    pub(super) ip_forward: Option<String>,
    pub(super) masquerade: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Masquerading {
    Present,
    Absent,
}

/// What a host of `standby.witnesses` said; who reaches reaches over each family that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OwnWord {
    Reaches,
    ReachesV4,
    Missed,
    Silent,
    Awaited,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    Primary,
    Standby,
}

/// A route of the standby's table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) to: String,
    pub(super) instance: Option<InstanceId>,
    pub(super) interface: Option<InterfaceId>,
    pub(super) other: Option<String>,
    #[serde(default)]
    pub(super) blackhole: bool,
}

/// An interface of this instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interface {
    pub(super) id: InterfaceId,
    #[serde(default)]
    pub(super) index: i32,
    #[serde(default)]
    pub(super) source_dest_check: bool,
}

/// The primary, as EC2 sees it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Primary {
    pub(super) state: String,
    pub(super) launched_ago: Option<Time>,
}

/// What became of one subnet of the plan.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    pub(super) result: Option<MoveWord>,
    /// Why it failed, or the table it is on.
    pub(super) detail: Option<String>,
    pub(super) verification: Option<crate::model::Verification>,
    pub(super) took: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MoveWord {
    Pending,
    Moved,
    AlreadyThere,
    Elsewhere,
    Failed,
    Unknown,
    WouldMove,
}

/// What is wrong with a scenario, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offset in the text, where one is known.
    pub(super) at: Option<usize>,
    pub(super) text: String,
}

/// A scenario has a page or two; more is no scenario, and the parser needs stack for what is nested, wrongly or not.
const LONGEST: usize = 64 << 10;

/// Four times what the worst text of that length was seen to need.
const STACK: usize = 64 << 20;

/// Reads a scenario.
pub(super) fn parse(text: &str) -> Result<Scenario, Fault> {
    let fault = |at, text| Fault { at, text };
    if text.len() > LONGEST {
        return Err(fault(None, format!("{} bytes are no scenario; accepted: up to {LONGEST}", text.len())));
    }
    let text = text.to_owned();
    let reading = std::thread::Builder::new().stack_size(STACK).spawn(move || toml::from_str(&text));
    let read = reading.map_err(|error| fault(None, format!("no thread to read it in: {error}")))?;
    let parsed: Result<Scenario, toml::de::Error> =
        read.join().map_err(|_| fault(None, "it can't be read".to_owned()))?;
    parsed.map_err(|error| fault(error.span().map(|span| span.start), error.message().to_owned()))
}
