//! `natwatch watch`: one process for all runs of a lab.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use natwatch_lab::{Lab, Running};

use super::Tool;
use super::run::seasoned;
use crate::bench::watcher::{self, Pace, Watcher};

pub(super) struct Watch {
    pace: Pace,
    watcher: Option<Watcher>,
}

impl Watch {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace, watcher: None }
    }
}

impl Tool for Watch {
    fn label(&self) -> &'static str {
        match self.pace {
            Pace::Usual => "natwatch watch",
            Pace::Fast => "natwatch watch, fast",
        }
    }

    fn ours(&self) -> bool {
        true
    }

    fn period(&self) -> Duration {
        self.pace.interval()
    }

    fn begin(&mut self, lab: &Lab) -> anyhow::Result<()> {
        lab.configure(self.pace.changes())?;
        seasoned(lab)?;
        // Its steps are shown beside the packets.
        self.watcher = Some(Watcher::start(lab, &["-v", "watch"])?);
        Ok(())
    }

    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()> {
        self.watcher.as_ref().context("the watch has not been begun")?.settle(lab)
    }

    fn rest(&mut self, lab: &Lab, taken: bool) -> anyhow::Result<()> {
        if taken { watcher::recorded(lab) } else { Ok(()) }
    }

    fn burst(&self, since: Instant) -> anyhow::Result<Option<Instant>> {
        self.watcher.as_ref().map_or(Ok(None), |watcher| watcher.burst(since))
    }

    fn log(&self) -> String {
        self.watcher.as_ref().map(|watcher| Running::stderr(&watcher.running)).unwrap_or_default()
    }
}
