//! What the tests of `round` and `calm` share.

pub(super) mod fakes;
