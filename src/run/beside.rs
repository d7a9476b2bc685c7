//! A pass beside a `watch` that is at work: who moves subnets is waited for, since that is over within seconds, and what is seen then
//! is what counts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::pass::{Going, Mode};
use super::planned::PATIENCE;
use crate::act::Changer;
use crate::model::{Found, Phase};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::State;
use crate::record::lock::{self, Holder};

/// Between two looks at the run lock: short against a move, long against what a look costs.
const AGAIN: Duration = Duration::from_millis(100);

/// Who is moving subnets, if that goes on for longer than is to be waited for: ten seconds beside a `watch` of another process, else not
/// at all.
pub(super) async fn mover(state: &State) -> Option<Holder> {
    let mut holder = lock::peek(state)?;
    let beside = lock::watching(state).is_some_and(|watcher| watcher.pid != std::process::id());
    let until = Instant::now() + if beside { PATIENCE } else { Duration::ZERO };
    while Instant::now() < until {
        sleep(AGAIN).await;
        holder = lock::peek(state)?;
    }
    Some(holder)
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Whether somebody has brought a move to its end since this pass began.
    pub(super) fn done_meanwhile(&self) -> bool {
        let found = self.world.state.read_record(None);
        let done = match &found {
            Found::Absent => true,
            Found::Present(record) => record.phase == Phase::Taken,
            Found::Corrupt { .. } | Found::Newer { .. } | Found::Foreign { .. } => false,
        };
        done && found != self.found
    }

    /// Whether somebody has moved subnets while this pass gathered its evidence, which then says nothing any more: it is forgotten, and
    /// is to be gathered anew. Who goes on moving keeps the lock, and this pass from acting; who was broken off leaves a record that this
    /// pass may go on with, and its evidence.
    pub(super) async fn overtaken(&mut self) -> bool {
        if self.mode == Mode::Look || self.lasting {
            return false;
        }
        let held = lock::peek(self.world.state).is_some();
        if held && mover(self.world.state).await.is_some() {
            return false;
        }
        if !held && !self.done_meanwhile() {
            return false;
        }
        self.found = self.world.state.read_record(None);
        self.renew();
        self.deadline = Instant::now() + self.settings.deadline;
        if self.moved() {
            self.refresh().await;
        }
        true
    }
}
