//! Whether this standby is able to take over, and the backends to witness: every precondition, looked at.

pub mod cloud;
