//! What a drill showed: one subnet moved to the standby and back, with what its own backends' pings say of the time around each move.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SubnetId;

/// What pings of a subnet's backends say of the time around one move. They are new flows, each of them: an established connection
/// breaks at a move whatever they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many backends pinged.
    pub backends: usize,
    /// How many pings were sent, and heard of.
    pub pings: usize,
    /// How many of them were not answered within `targets.timeout`.
    pub lost: usize,
    /// The longest time between two pings of one backend that were answered, from the sending of the one to that of the other: the
    /// outage was no longer. Without any loss it is the pause between two pings.
    pub longest: Duration,
    /// None was answered after it: the outage was no shorter.
    pub open: bool,
}

/// One way of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// From the first call of EC2 to the end of the verification, which waits some seconds for a move to take effect.
    pub took: Duration,
    /// What the pings say; `None`: no backend could be heard.
    pub gap: Option<Gap>,
}

/// A drill as far as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// The subnet.
    pub subnet: SubnetId,
    /// To the standby.
    pub there: Leg,
    /// And back to the primary; `None`: it was not begun.
    pub back: Option<Leg>,
}
