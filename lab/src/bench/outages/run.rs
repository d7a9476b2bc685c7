//! `natwatch run`, started in the moment of the fault, as by cron at its best.

use std::time::Duration;

use natwatch_lab::{Lab, Running};

use super::Tool;

/// A run takes four seconds; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(super) struct Cron(Option<Running>);

impl Tool for Cron {
    fn label(&self) -> &'static str {
        "natwatch run, from its start"
    }

    fn ours(&self) -> bool {
        true
    }

    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()> {
        lab.reset_state()?;
        seasoned(lab)
    }

    fn fault(&mut self, lab: &Lab) -> anyhow::Result<()> {
        self.0 = Some(lab.command(&["run"]).spawn()?);
        Ok(())
    }

    fn rest(&mut self, _: &Lab, taken: bool) -> anyhow::Result<()> {
        let Some(running) = self.0.take() else { return Ok(()) };
        let run = running.wait(PATIENCE)?;
        anyhow::ensure!(!taken || run.status == Some(4), "a run that should have taken over has not: {run}");
        Ok(())
    }
}

/// Runs until everybody is a witness: a round ends when its verdict is clear, so not everybody is after the first.
pub(in crate::bench) fn seasoned(lab: &Lab) -> anyhow::Result<()> {
    for _ in 0..3 {
        let run = lab.natwatch(&["run"])?;
        anyhow::ensure!(run.status == Some(0), "a run that should be healthy is not: {run}");
    }
    Ok(())
}
