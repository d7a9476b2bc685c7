//! natwatch's lab: a VPC on one machine. Network namespaces play the hosts, real sshd, ping and NAT do what they do, moto plays EC2,
//! and a layer in front of it brings what moto lacks. See `README.md` for its shape and limits.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use natwatch_lab::{Fault, Lab, Nat, Options};
//!
//! let lab = Lab::up(&Options { natwatch: "target/debug/natwatch".into(), ..Options::default() })?;
//! lab.natwatch(&["run"])?; // healthy: the backends become witnesses
//! let mark = lab.traffic().mark();
//! lab.inject(&Fault::MasqueradeGone(Nat::Primary))?;
//! let run = lab.natwatch(&["run"])?;
//! assert_eq!(run.status, Some(4), "{run}");
//! assert_eq!(lab.carrier(0)?, lab.ids().standby.table);
//! assert!(lab.traffic().outage_since(mark) < std::time::Duration::from_secs(8));
//! # Ok(())
//! # }
//! ```
//!
//! Everything lives in namespaces with the lab's prefix and goes when the [`Lab`] is dropped; labs whose owner was killed are swept
//! by the next one. Nothing here sleeps for a while: waits are bounded and for a condition.

mod accounts;
mod api;
mod config;
pub mod control;
mod description;
mod fabric;
mod fault;
mod footprint;
mod imds;
mod inject;
mod keeper;
mod lab;
mod moto;
mod natwatch;
mod netns;
mod options;
mod os;
mod pings;
mod plan;
mod prompt;
mod promtool;
mod runtime;
mod services;
mod setup;
mod shell;
mod slow;
mod sshd;
mod stack;
pub mod testing;
mod traffic;
mod vpc;
mod xml;

pub use accounts::{UID, USER};
pub use api::{Api, ApiFault, ApiFaultKind, Call, Outcome};
pub use description::Description;
pub use fabric::{Hop, Routes};
pub use fault::{FAULTS, Fault};
pub use footprint::Footprint;
pub use lab::Lab;
pub use natwatch::{Invocation, Run, Running};
pub use options::Options;
pub use os::Os;
pub use pings::{Ping, Pings};
pub use plan::{API, ECHO, Host, IMDS, Nat, Plan, REGION, RUNTIME, Role, TARGETS, ns_path, target, target6};
pub use prompt::prompt;
pub use promtool::promtool;
pub use runtime::{running, sweep};
pub use rustix::process::Signal;
pub use setup::{setup, venv};
pub use stack::{Deployed, Stack};
pub use traffic::{Outage, PERIOD, Sample, Traffic};
pub use vpc::{Ids, NatIds, SubnetIds};
