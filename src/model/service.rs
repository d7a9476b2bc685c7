//! What a monitoring system is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::evidence::words;

words! {
    /// The state of a service as monitoring systems know it, by the Monitoring Plugins Development Guidelines, "Plugin Return Codes".
    ServiceState {
        /// All is as it should be.
        Ok => "OK",
        /// Traffic flows, and somebody should look.
        Warning => "WARNING",
        /// Backends are cut off, or would stay so.
        Critical => "CRITICAL",
        /// Nothing can be said.
        Unknown => "UNKNOWN",
    }
}

impl ServiceState {
    /// The process's exit status that means it.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}
