//! What EC2 says of a record that is not complete: where routes, address and subnets of its moves are, or those of a failback.
//!
//! A `watch` asks beside the calm and without the run lock, and judges a moment later. It goes by what was said of the very record that is there then,
//! if nobody had the lock when it was asked: whoever moves anything writes down what he is about to do before he does it, so nothing of ours
//! has moved since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pass::{Going, Mode, World};
use super::takeover::reconcile_routes;
use crate::act::Changer;
use crate::decide::DecideSettings;
use crate::model::{Change, GuardedSet, MoveResult, Phase, Record, RouteTable, RouteTableId, Stamp, SubnetId};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::lock;

/// What EC2 may take to say where routes and address are, and again to say where subnets went: it must not hold a cron job up.
const ASKING: Duration = Duration::from_secs(5);

/// What EC2 has said of a record.
pub(super) struct Sight {
    /// The record, as it was when EC2 was asked.
    of: Record,
    /// Before that.
    pub(super) asked: Stamp,
    pub(super) said: Said,
}

/// See [`Sight`].
pub(super) enum Said {
    /// Of a failback: the primary's table and the standby's.
    Failback(Vec<RouteTable>),
    /// Of a takeover: its record, brought up to where routes and address are, and on which tables the subnets are that are not guarded any more.
    Takeover(Box<Record>, BTreeMap<SubnetId, RouteTableId>),
}

impl Sight {
    /// Asks EC2 about `record`, whose subnets are `guarded` unless they are gone; at `asked` nothing was asked yet. `None`: it is complete, or EC2 did
    /// not say by `until`.
    async fn of(
        cloud: &(impl Cloud + Changer),
        rules: &DecideSettings,
        (record, asked): (Record, Stamp),
        guarded: &GuardedSet,
        until: Instant,
    ) -> Option<Self> {
        let said = match record.phase {
            Phase::Taken => return None,
            Phase::FailingBack => {
                let both = [rules.primary_table.clone(), rules.standby_table.clone()];
                Said::Failback(timeout_at(soon(until), cloud.tables(&both)).await.ok()?.ok()?)
            }
            Phase::Taking | Phase::Partial => {
                let mut seen = record.clone();
                look_again(cloud, &mut seen, soon(until)).await?;
                let astray = astray(cloud, &seen, guarded, soon(until)).await?;
                Said::Takeover(Box::new(seen), astray)
            }
        };
        Some(Self { of: record, asked, said })
    }
}

fn soon(until: Instant) -> Instant {
    until.min(Instant::now() + ASKING)
}

/// What is on record that EC2 is to be asked about, while nobody is at work at it; and the moment.
pub(super) fn incomplete<V, U, C, H>(world: &World<'_, V, U, C, H>, mode: Mode) -> Option<(Record, Stamp)> {
    let record = world.state.read_record(None).present()?;
    // After the record was read: who takes the lock from now on leaves another.
    let idle = record.phase != Phase::Taken && mode == Mode::Act && lock::peek(world.state).is_none();
    idle.then(|| (record, world.now()))
}

/// The same, of what was [`incomplete`] before the guarded subnets were read.
pub(super) async fn beside<V, U, C: Cloud + Changer, H>(
    world: &World<'_, V, U, C, H>,
    rules: &DecideSettings,
    record: Option<(Record, Stamp)>,
    guarded: Option<&GuardedSet>,
    within: Duration,
) -> Option<Sight> {
    Sight::of(world.cloud, rules, record?, guarded?, Instant::now() + within).await
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// What EC2 says of this record, under the run lock; in a `watch`, what it has said beside the calm.
    pub(super) async fn sight(&mut self, record: &Record, guarded: &GuardedSet) -> Option<Sight> {
        if self.lasting {
            return self.sight.take().filter(|sight| sight.of == *record);
        }
        // What is guarded was read before this, and no later than that is what it shows.
        let asked = self.asked.clone().unwrap_or_else(|| self.world.now());
        let now = (record.clone(), asked);
        Sight::of(self.world.cloud, &self.settings.decide, now, guarded, self.deadline).await
    }
}

/// Brings the routes and the address of a record that is not complete up to what EC2 says. `None`: it does not say where the routes lead. An address
/// of which it says nothing stays as it is.
async fn look_again(cloud: &(impl Cloud + Changer), record: &mut Record, until: Instant) -> Option<()> {
    let open = record.moves.iter().filter(|one| !one.result.settled()).filter_map(|one| match &one.plan {
        Change::Route(plan) => Some(plan.table.clone()),
        Change::Association(_) => None,
    });
    let tables: BTreeSet<RouteTableId> = open.collect();
    if !tables.is_empty() {
        let tables: Vec<RouteTableId> = tables.into_iter().collect();
        let found = timeout_at(until, cloud.tables(&tables)).await.ok()?.ok()?;
        reconcile_routes(record, &found);
    }
    if let Some(step) = record.last.address.as_mut().filter(|step| !step.came_along())
        && let Ok(Ok(Some(held))) = timeout_at(until, cloud.address(&step.plan.address)).await
        && step.plan.to.as_ref().is_some_and(|to| to.same(&held.holder))
    {
        step.result = MoveResult::AlreadyThere;
    }
    Some(())
}

/// The table on which EC2 showed a guarded subnet; `None`: on none that it was asked for, and where memory has it settles nothing.
pub(super) fn shown_on<'g>(guarded: &'g GuardedSet, subnet: &SubnetId) -> Option<&'g RouteTableId> {
    let one = guarded.subnets.iter().find(|one| one.subnet == *subnet)?;
    let both = (&guarded.primary, &guarded.standby);
    (!preflight::is_nowhere(both, guarded.tables.as_deref(), one)).then_some(&one.on)
}

/// The tables of those subnets of moves not settled that are not guarded any more, or not shown: another standby took them, or an operator did, and
/// the record would wait for them for ever. `None`: EC2 does not say.
async fn astray(
    cloud: &impl Changer,
    record: &Record,
    guarded: &GuardedSet,
    until: Instant,
) -> Option<BTreeMap<SubnetId, RouteTableId>> {
    let open = record.moves.iter().filter(|one| !one.result.settled()).flat_map(|one| one.plan.subnets());
    let gone = |subnet: &&SubnetId| shown_on(guarded, subnet).is_none();
    let gone: Vec<SubnetId> = open.filter(gone).cloned().collect();
    if gone.is_empty() {
        return Some(BTreeMap::new());
    }
    let found = timeout_at(until, cloud.whereabouts(&gone)).await.ok()?.ok()?;
    Some(found.into_iter().filter_map(|(table, association)| Some((association.subnet?, table))).collect())
}
