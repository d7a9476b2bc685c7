//! What the standby's own witnesses say: hosts behind its own table, which show whether it can carry anybody.

use serde::{Deserialize, Serialize};

use super::{Family, Silence};

/// A host of `standby.witnesses`, as heard in the round that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnWitness {
    /// What the configuration calls it.
    pub host: String,
    /// What it said.
    pub said: Said,
}

impl OwnWitness {
    /// Whether a target of `family` answered it.
    #[must_use]
    pub fn reaches(&self, family: Family) -> bool {
        matches!(&self.said, Said::Reaches(families) if families.contains(&family))
    }
}

/// What one of them said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Targets of these families answered it.
    Reaches(Vec<Family>),
    /// No target did.
    Missed,
    /// It could not be asked, or not be heard.
    Silent(Silence),
    /// It had not spoken when the round was weighed.
    Awaited,
}
