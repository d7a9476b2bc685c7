//! `natwatch watch`: a process for each run, as one that has just been brought home would not know so for half a minute, and nobody's
//! primary dies then. The state folder stays.

use std::time::{Duration, Instant};

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
        seasoned(lab)
    }

    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()> {
        self.watcher.take().map_or(Ok(()), Watcher::stop)?;
        watcher::unlock(lab)?;
        lab.api().forget_calls();
        // Its steps are shown beside the packets.
        let watcher = Watcher::start(lab, &["-v", "watch"])?;
        watcher.settle(lab)?;
        watcher.at_hand(lab)?;
        self.watcher = Some(watcher);
        Ok(())
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
