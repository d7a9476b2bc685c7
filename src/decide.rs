//! Judge a round, judge a run of rounds, gates: pure.
//!
//! Nothing here knows a clock, randomness, I/O, a log or async: time comes in as an argument, the world as a value. The
//! same functions serve `run` and everything that decides again from what was saved.
//!
//! | file | rule |
//! |---|---|
//! | `judge` | what one round amounts to; when a running round is settled |
//! | `course` | whether a row of rounds is enough to act on, and when to look again: a state machine |
//! | `gates` | whether this standby may take over, and the plan; `gates/fit`: whether it could carry the traffic; `gates/route`: the plan of method `route` |
//! | `lock` | the takeover record as the rules see it |
//! | `guarded` | what is wrong with the guarded subnets themselves |
//! | `unfit` | what would hold a takeover, while all is well |
//! | `differences` | what who is moved loses, besides |
//! | `own` | whether the standby carries its own subnets |
//! | `carried` | whether the traffic of a recorded change is this standby's now |
//! | `case` | a whole pass: from all that it knew to the plan, or to what it came to |
//! | `failback` | the way back: which subnets, which one first, and what it came to |
//! | `drill` | practice: which subnet, what keeps it from being begun, and what it came to |
//! | `unseen` | what a failback or drill that was cut short left on the standby, unverified |
//! | `outcome` | what a pass came to, and its exit status |
//! | `reason` | why, in one sentence |
//! | `ruled` | whether a kept pass went by the rules of now |
//! | `explain` | the same, rule by rule, for who asks why |
//! | `service` | what a pass is in the terms of a monitoring system |
//! | `commands` | what an operator would type instead |

mod carried;
mod case;
mod commands;
mod course;
mod differences;
mod drill;
mod explain;
mod failback;
mod gates;
mod guarded;
mod judge;
mod lock;
mod outcome;
mod own;
mod reason;
mod ruled;
mod service;
mod unfit;
mod unseen;

pub use carried::{carried, shows_before};
pub use case::{Case, Decision, Look, because, conclude, decide, grounds};
pub use commands::{finish_commands, held_commands, reboot_commands, undo_commands};
pub use course::{Course, Next, Row};
pub use differences::differences;
pub use drill::{OVERTAKEN, Practice, drill, drilled, not_back};
pub use explain::explain;
pub use failback::{Steps, WayBack, Wish, address_back, failback, failed_back, homeward, unready};
pub use gates::{Situation, leads_here, plan};
pub use judge::{families, judge, outlook};
pub use lock::Lock;
pub use outcome::{Ending, Redundancy, lead, outcome, outcome_of};
pub use ruled::{Ruled, another, apart};
pub use service::{bearable, service_state};
pub use unfit::{misled, unfit};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{AllocationId, InstanceId, Method, RouteTableId, SubnetId};

/// Everything `decide` needs to know. Kept with the evidence, so that a pass can be decided again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecideSettings {
    /// Backends cut off (`decision.threshold`).
    pub threshold: usize,
    /// And more than this share of those that gave a verdict, 0 up to but not including 1.
    pub fraction: f64,
    /// Rounds of `down` in a row.
    pub rounds: usize,
    /// The first miss and the last are at least this far apart.
    pub span: Duration,
    /// How many different good targets a backend must miss to be cut off.
    pub tries: usize,
    /// Uptime below which an instance is `booting`.
    pub min_uptime: Duration,
    /// The table whose subnets are guarded.
    pub primary_table: RouteTableId,
    /// The primary, where the configuration names it.
    pub primary_instance: Option<InstanceId>,
    /// The table that leads to this instance.
    pub standby_table: RouteTableId,
    /// `takeover.subnets`: only these; empty: every subnet of the primary's table.
    pub subnets: Vec<SubnetId>,
    /// More than this: refuse.
    pub max_subnets: usize,
    /// Whether the plan may switch the source/destination check off.
    pub disable_source_dest_check: bool,
    /// How traffic is moved.
    #[serde(default, skip_serializing_if = "Method::is_association")]
    pub method: Method,
    /// `takeover.elastic_ip`: an address to bring along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic_ip: Option<AllocationId>,
    /// Whether the primary is rebooted after a verified takeover. Only where `primary_instance` names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboot_primary: bool,
}

#[cfg(test)]
mod tests;
