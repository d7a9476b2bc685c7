//! What was measured of outages, as it is kept in `docs/bench/outages.json`; tables and pictures are made of it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bench::figures::Seconds;

/// All of it. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Data {
    /// When, with what, and where.
    pub(in crate::bench) measured: String,
    /// After so long without a takeover an outage is missed.
    pub(in crate::bench) limit: u64,
    /// What happens to the primary, in the order of [`Measured::faults`].
    pub(in crate::bench) faults: Vec<String>,
    pub(in crate::bench) tools: Vec<Measured>,
    /// One takeover of `natwatch watch`, packet by packet.
    pub(in crate::bench) takeover: Option<Takeover>,
}

/// A tool, and what became of its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Measured {
    pub(in crate::bench) tool: String,
    /// Whether it is natwatch.
    pub(in crate::bench) ours: bool,
    /// One for each of [`Data::faults`].
    pub(in crate::bench) faults: Vec<Runs>,
}

/// The runs of one tool with one fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Runs {
    /// From the last packet before to the first packet after, in the subnet that is worst.
    pub(in crate::bench) outages: Vec<u64>,
    /// Runs in which not every subnet was carried by the standby within the limit.
    pub(in crate::bench) missed: usize,
    /// Times that a subnet was moved while nothing was wrong.
    pub(in crate::bench) astray: usize,
}

impl Runs {
    pub(in crate::bench) fn seconds(&self) -> Seconds {
        let mut seconds = Seconds::default();
        self.outages.iter().for_each(|one| seconds.add(Duration::from_millis(*one)));
        seconds
    }

    pub(in crate::bench) fn count(&self) -> usize {
        self.outages.len() + self.missed
    }
}

/// A takeover, from a while before the fault; times are since the fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Takeover {
    /// The outage as in the table.
    pub(in crate::bench) outage: u64,
    pub(in crate::bench) subnets: Vec<Flow>,
    pub(in crate::bench) marks: Vec<Mark>,
}

/// The datagrams of a subnet by the time they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Flow {
    pub(in crate::bench) back: Vec<i64>,
    pub(in crate::bench) lost: Vec<i64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Mark {
    pub(in crate::bench) at: i64,
    pub(in crate::bench) what: String,
}
