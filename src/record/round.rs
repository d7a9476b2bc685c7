//! The last pass with its evidence (`last-round.json`): what `replay` decides again and `status` tells.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LAST_ROUND, State, StateError};
use crate::model::{Family, Found, InstanceId, Pass, Round, RouteTableId, SubnetId};

/// The settings by which a pass was decided, as far as they bear on judging its rounds and on its plan. The meanings are
/// those of the decision's own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// `decision.threshold`.
    pub threshold: usize,
    /// `decision.fraction`.
    pub fraction: f64,
    /// `decision.rounds`.
    pub rounds: usize,
    /// The span of the evidence.
    pub span: Duration,
    /// `targets.tries`.
    pub tries: usize,
    /// `decision.min_uptime`.
    pub min_uptime: Duration,
    /// `primary.route_table`.
    pub primary_table: RouteTableId,
    /// `primary.instance`.
    pub primary_instance: Option<InstanceId>,
    /// `standby.route_table`.
    pub standby_table: RouteTableId,
    /// `takeover.subnets`.
    pub subnets: Vec<SubnetId>,
    /// `takeover.max_subnets`.
    pub max_subnets: usize,
    /// `takeover.disable_source_dest_check`.
    pub disable_source_dest_check: bool,
    /// The families that were judged.
    pub families: Vec<Family>,
}

/// The last pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRound {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When the pass ended, by the wall clock.
    pub at: Timestamp,
    /// By which rules.
    pub rules: Rules,
    /// The evidence.
    pub rounds: Vec<Round>,
    /// What it came to.
    pub pass: Pass,
}

impl State {
    /// The last pass.
    #[must_use]
    pub fn read_last_round(&self) -> Found<LastRound> {
        self.read_json(LAST_ROUND)
    }

    /// Remembers a pass.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn write_last_round(&self, last: &LastRound) -> Result<(), StateError> {
        self.write_json(LAST_ROUND, last)
    }
}
