//! Where the subnets of a takeover that was cut short went, when neither the primary's table nor the standby's has them: another standby
//! took them, or an operator did. Without that the record would wait for them for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::pass::Going;
use crate::act::Changer;
use crate::model::{GuardedSet, Record, RouteTableId, SubnetId};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};

/// What EC2 may take to answer: it is off the path, and must not hold a cron job up.
const ASKING: Duration = Duration::from_secs(5);

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// The tables of those subnets of moves not settled that are not guarded any more. Where EC2 does not say, the next pass asks again.
    pub(super) async fn astray(&self, record: &Record, guarded: &GuardedSet) -> BTreeMap<SubnetId, RouteTableId> {
        let open = record.moves.iter().filter(|one| !one.result.settled()).flat_map(|one| one.plan.subnets());
        let gone = |subnet: &&SubnetId| guarded.subnets.iter().all(|one| one.subnet != **subnet);
        let gone: Vec<SubnetId> = open.filter(gone).cloned().collect();
        if gone.is_empty() {
            return BTreeMap::new();
        }
        let left = ASKING.min(self.deadline.saturating_duration_since(Instant::now()));
        let Ok(Ok(found)) = timeout(left, self.world.cloud.whereabouts(&gone)).await else { return BTreeMap::new() };
        found.into_iter().filter_map(|(table, association)| Some((association.subnet?, table))).collect()
    }
}
