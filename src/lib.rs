//! natwatch: the watchdog that keeps private subnets online when their AWS NAT instance dies.

pub mod act;
pub mod config;
pub mod decide;
pub mod ec2;
pub mod model;
pub mod observe;
pub mod preflight;
