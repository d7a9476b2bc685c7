//! Whole rounds on a paused clock, with vantages and an uplink made by hand.

mod rounds;
mod sessions;
