//! What holds a takeover back, what is guarded, what is remembered of a takeover, and what a pass comes to.

use std::fmt;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::cloud::{Cidr, RouteTable};
use super::evidence::words;
use super::{Boot, Family, GroupId, Instance, InstanceId, LastSteps, Move, Names, RouteTableId, Stamp, SubnetId, Way};

words! {
    /// What can hold a takeover back although the primary is down.
    Gate {
        /// This instance, or the primary, has only just started.
        Booting => "booting",
        /// An earlier takeover awaits `failback` or `reset`.
        Locked => "locked",
        /// An operator holds all automatic action for a while.
        Paused => "paused",
        /// No guarded subnet is on the primary's table.
        AlreadyActive => "already-active",
        /// This instance could not carry the traffic.
        Unfit => "unfit",
        /// More subnets than `takeover.max_subnets`.
        TooMany => "too-many",
        /// A table or subnet is not what the configuration says, or nothing is guarded.
        Foreign => "foreign",
    }
}

/// A pause that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When it ends, by the wall clock.
    pub until: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "paused until {:.0}: {}", self.until, super::printable(&self.reason, 200))
    }
}

/// A gate that holds, with what was seen and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which gate.
    pub gate: Gate,
    /// What was seen: one line, no full stop.
    pub why: String,
    /// What to do about it: one line, a command to paste where there is one. Empty where only waiting helps.
    pub remedy: String,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.why)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

/// A subnet that natwatch guards: its home is the primary's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its blocks.
    pub cidrs: Vec<Cidr>,
    /// The table it was on when last seen; where routes are moved, and all of them lead to this instance, the standby's: that is
    /// whose traffic it is.
    pub on: RouteTableId,
}

/// The guarded subnets as last seen (`guarded.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedSet {
    /// Layout of the file.
    pub version: u32,
    /// The primary's table they belong to.
    pub primary: RouteTableId,
    /// The standby's table.
    pub standby: RouteTableId,
    /// The subnets.
    pub subnets: Vec<Guarded>,
    /// The families whose default route the primary's table sends to an instance.
    pub families: Vec<Family>,
    /// Addresses in these subnets that have a public IPv4 address of their own: whoever has one is no witness.
    #[serde(default)]
    pub public: Vec<IpAddr>,
    /// Where the primary's table led when it was last seen in health and did not lead to this instance: that is the primary, where
    /// the configuration does not name it. Kept where routes are moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<Way>,
    /// The `Name` tags of the tables; a subnet has its own.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// What this instance's security groups were last seen to admit; `None`: that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// Both tables as EC2 showed them, of their routes the default ones; `None`: by an older natwatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<RouteTable>>,
    /// This instance as EC2 showed it at the same time; `None`: that was not asked, or had no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
    /// When EC2 was asked.
    pub seen: Timestamp,
}

/// An instance as EC2 showed it to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Which.
    pub id: InstanceId,
    /// `None`: EC2 knows no such instance.
    pub instance: Option<Instance>,
}

/// What security groups were seen to refuse, and what was seen of this instance, holds for so long. It is asked about again every half a minute
/// where it holds anything, so where it gets as old as this EC2 does not answer, and a rule that was added since would hold no less.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(1);

impl GuardedSet {
    /// Forgets what was refused longer than an hour ago, so that it is unknown; returns when that was seen. A time in the future is as old as
    /// it is far off. What was seen of this instance so long ago is forgotten likewise.
    pub fn forget_refusals(&mut self, now: Timestamp) -> Option<Timestamp> {
        let seen = self.seen;
        self.own.take_if(|_| now.duration_since(seen).abs() >= REFUSED_FOR);
        let old = |seen: &mut Admission| now.duration_since(seen.seen).abs() >= REFUSED_FOR;
        if !self.refuses() {
            return None;
        }
        self.admission.take_if(old).map(|seen| seen.seen)
    }

    /// Whether any guarded subnet was seen to be refused by the standby's security groups.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.admission.as_ref().is_some_and(|seen| !seen.refused.is_empty())
    }
}

/// What the security groups of the standby admit of what the guarded subnets send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The groups of the interface that the standby's table names; none where they could not be read.
    pub groups: Vec<GroupId>,
    /// The guarded subnets of which they admit nothing at all. Those of which anything is in doubt are not among them.
    pub refused: Vec<SubnetId>,
    /// When EC2 was asked.
    pub seen: Timestamp,
}

words! {
    /// How far a takeover has come.
    Phase {
        /// Begun: moves may have been made.
        Taking => "taking",
        /// Ended with subnets not moved: the next run finishes them on fresh evidence.
        Partial => "partial",
        /// All that was to be moved is moved: the gate `locked` holds.
        Taken => "taken",
        /// Subnets are on their way back to the primary, or some are back and others are not: those that are back are guarded again.
        FailingBack => "failing-back",
    }
}

words! {
    /// What a record was begun for.
    Purpose {
        /// A takeover, on evidence or asked for.
        Takeover => "takeover",
        /// The way back of subnets that no takeover on record had moved.
        Failback => "failback",
        /// Practice.
        Drill => "drill",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as the attribute that skips it calls it")]
const fn of_a_takeover(purpose: &Purpose) -> bool {
    matches!(purpose, Purpose::Takeover)
}

impl Default for Purpose {
    /// What every record was for that does not say.
    fn default() -> Self {
        Self::Takeover
    }
}

/// The takeover record, which is the lock (`takeover.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Layout of the file.
    pub version: u32,
    /// The instance it is about: a copy on another instance says nothing there.
    pub instance: InstanceId,
    /// What it was begun for. Only what a takeover has moved is ever told as one.
    #[serde(default, skip_serializing_if = "of_a_takeover")]
    pub purpose: Purpose,
    /// How far it has come.
    pub phase: Phase,
    /// When it began.
    pub began: Timestamp,
    /// When it was last written for what was done, by the wall clock.
    pub changed: Timestamp,
    /// The same by the clock of the boot; `None`: that could not be read, or an older natwatch wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Why: the evidence in one sentence.
    pub because: String,
    /// Every change of the plan and what became of it.
    pub moves: Vec<Move>,
    /// What was done when all of them stood.
    #[serde(default, skip_serializing_if = "LastSteps::is_empty")]
    pub last: LastSteps,
}

impl Record {
    /// Notes when something was done.
    pub fn stamp(&mut self, now: Stamp) {
        (self.changed, self.boot) = (now.wall, now.boot);
    }
}

words! {
    /// What a pass came to.
    Outcome {
        /// Nothing wrong.
        Healthy => "healthy",
        /// Some backends are cut off, too few to act.
        Degraded => "degraded",
        /// Down, and held by a gate.
        Down => "down",
        /// No target answers the standby.
        Isolated => "isolated",
        /// Too few backends gave a verdict.
        Unheard => "unheard",
        /// The subnets were moved in this pass, and traffic flows.
        TakenOver => "taken-over",
        /// `--dry-run`: they would have been.
        WouldTakeOver => "would-take-over",
        /// An earlier takeover carries the subnets; traffic flows.
        Locked => "locked",
        /// Nothing could be moved.
        Failed => "failed",
        /// Some subnets could not be moved.
        Partial => "partial",
        /// Moved, and traffic was not seen to flow.
        Unverified => "unverified",
        /// Traffic flows, but nothing stands by.
        NoRedundancy => "no-redundancy",
        /// Another natwatch of this name is moving subnets.
        Busy => "busy",
        /// The subnets that an operator asked for are back on the primary, and traffic flows.
        FailedBack => "failed-back",
        /// `--dry-run`: they would have been brought back.
        WouldFailBack => "would-fail-back",
        /// One subnet went to the standby for practice and is back, verified each way.
        Drilled => "drilled",
        /// `--dry-run`: it would have.
        WouldDrill => "would-drill",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f109_what_was_refused_an_hour_ago_is_unknown() {
        let seen = Timestamp::UNIX_EPOCH;
        let set = |refused: &[&str]| GuardedSet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            subnets: Vec::new(),
            families: Vec::new(),
            public: Vec::new(),
            leads_to: None,
            names: Names::new(),
            tables: None,
            own: None,
            admission: Some(Admission {
                groups: vec!["sg-0b".parse().unwrap()],
                refused: refused.iter().map(|one| one.parse().unwrap()).collect(),
                seen,
            }),
            seen,
        };
        for (age, forgotten) in [(0, false), (3599, false), (3600, true), (86_400, true), (-3599, false), (-3600, true)]
        {
            let now = seen + SignedDuration::from_secs(age);
            let mut refusing = set(&["subnet-1"]);
            assert_eq!(refusing.forget_refusals(now), forgotten.then_some(seen), "{age} s");
            assert_eq!(refusing.refuses(), !forgotten, "{age} s");
            let own = Some(Own { id: "i-0b".parse().unwrap(), instance: None });
            let mut shown = GuardedSet { own, ..set(&[]) };
            assert_eq!((shown.forget_refusals(now), shown.own.is_none()), (None, forgotten), "{age} s");
            // What admits is asked about again where the guarded set is.
            let mut admitting = set(&[]);
            assert_eq!((admitting.forget_refusals(now), admitting.admission.is_some()), (None, true), "{age} s");
        }
    }
}
