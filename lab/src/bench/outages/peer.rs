//! The script with which a NAT pings its peer.

use std::time::Duration;

use natwatch_lab::{Lab, Nat, Running, Signal};

use super::Tool;
use super::scripts::Scripts;

const SCRIPT: &str = include_str!("peer.sh");

/// Two seconds for three pings that are answered, and two between rounds.
const PERIOD: Duration = Duration::from_secs(4);

/// Moves of both subnets take two seconds.
const MOVES: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Peer {
    scripts: Option<Scripts>,
    running: Option<Running>,
}

impl Tool for Peer {
    fn label(&self) -> &'static str {
        "peer-ping script"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    fn begin(&mut self, lab: &Lab) -> anyhow::Result<()> {
        self.scripts = Some(Scripts::install(lab, &[("peer.sh", SCRIPT)])?);
        Ok(())
    }

    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()> {
        if let Some(scripts) = &self.scripts {
            scripts.associations(lab)?;
            let script = scripts.program(lab, Nat::Standby, "/bin/sh", &[&scripts.path("peer.sh")]);
            self.running = Some(script.env("PEER", &Nat::Primary.address().to_string()).spawn()?);
        }
        Ok(())
    }

    fn rest(&mut self, _: &Lab, taken: bool) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        if taken {
            let run = running.wait(MOVES)?;
            anyhow::ensure!(run.status == Some(0), "the script has not ended well: {run}");
        } else {
            running.kill(Signal::KILL)?;
            running.wait(MOVES)?;
        }
        Ok(())
    }
}
