//! What keeps a command from being carried out.

use std::fmt;

/// Exit statuses by name (sysexits(3) where it has one). Those of a pass go with its outcome.
pub mod exit {
    /// Done as asked.
    pub const DONE: u8 = 0;
    /// Traffic flows, but something is wrong.
    pub const WARNING: u8 = 1;
    /// What was asked could not be done.
    pub const FAILED: u8 = 2;
    /// The network's state is not known.
    pub const UNKNOWN: u8 = 3;
    /// The command line (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// Another natwatch of this name is moving subnets now (`EX_TEMPFAIL`).
    pub const BUSY: u8 = 75;
    /// The configuration (`EX_CONFIG`).
    pub const CONFIG: u8 = 78;
}

/// An error for the user: printed once, with its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit status.
    pub exit: u8,
    /// One line per fault, each with its remedy where there is one.
    pub text: String,
}

impl Failure {
    /// `text` and the exit status that goes with it.
    #[must_use]
    pub const fn new(exit: u8, text: String) -> Self {
        Self { exit, text }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
