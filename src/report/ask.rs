//! Questions, where somebody sits at a terminal.

use std::io::{self, Write as _};

use super::whole;

/// Writes a question to stderr, with room for the answer behind it; in one piece, as an answer may be on its way already.
pub fn question(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{} ", whole(text)).as_bytes());
}
