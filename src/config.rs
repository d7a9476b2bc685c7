//! From what was typed and written to checked settings, one per stage.

use std::path::PathBuf;
use std::time::Duration;

use crate::act::ActSettings;
use crate::decide::DecideSettings;
use crate::observe::ObserveSettings;
use crate::preflight::PreflightSettings;

/// Everything natwatch was told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `name`; the state lives in a folder of this name.
    pub name: String,
    /// `<state.dir>/<name>`.
    pub state: PathBuf,
    /// `standby.region`; `None`: AWS_REGION, profile, IMDS.
    pub region: Option<String>,
    /// `primary.address`: pinged for the report only.
    pub primary_address: Option<std::net::IpAddr>,
    /// `decision.deadline`: of one `run`.
    pub deadline: Duration,
    /// For `observe`.
    pub observe: ObserveSettings,
    /// For `decide`.
    pub decide: DecideSettings,
    /// For `preflight`.
    pub preflight: PreflightSettings,
    /// For `act`.
    pub act: ActSettings,
    /// What is allowed but not advised; printed by `-v` and `doctor`.
    pub advice: Vec<String>,
}
