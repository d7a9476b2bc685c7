//! A way back looks for longer than it moves. Whoever lends the run lock meanwhile leaves an outage to whoever sees it, and goes on only
//! with the record that he has written.

use super::step::Failback;
use crate::act::Changer;
use crate::model::{Found, Move};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::lock::RunLock;
use crate::run::verify::{self, After};

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Failback<'_, '_, V, U, C, H> {
    /// Looks whether these moves helped; returns whether that was seen to its end, and all is still ours to go on with. However long the slowest of
    /// them took, the others are looked at for as long as ever.
    pub(super) async fn look(&mut self, moves: &mut [Move], after: After) -> bool {
        self.going.part();
        let lent = self.lends.take().map(drop).is_some();
        let seen = tokio::select! {
            () = verify::look(self.going, moves, after) => true,
            () = self.stop.wait() => false,
        };
        if lent {
            self.take_back().await;
        }
        seen && !self.steps.overtaken
    }

    /// As long as a run may hold the lock it is waited for.
    async fn take_back(&mut self) {
        let (state, term) = (self.going.world.state, self.going.settings.deadline);
        self.lends = RunLock::acquire(state, term, term * 2).await.ok();
        let ours = match state.read_record(Some(&self.way.standby)) {
            Found::Present(found) => found == *self.written.borrow(),
            Found::Absent | Found::Corrupt { .. } | Found::Newer { .. } | Found::Foreign { .. } => false,
        };
        self.steps.overtaken = self.lends.is_none() || !ours;
    }
}
