//! What keeps a command from being carried out.

use std::fmt;

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
