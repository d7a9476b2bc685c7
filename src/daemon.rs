//! What systemd is told of a `watch` ([`Manager`]), and what tells a `watch` to read its configuration again ([`Changes`]).
//!
//! It decides nothing and reads no configuration. Nothing here fails: a `watch` is worth more than who looks on.

mod manager;
mod reload;

pub use manager::Manager;
pub use reload::{Changes, Why};

#[cfg(test)]
mod tests;
