//! The way back to the primary: one subnet first, verified by its own backends, then the others; whoever does not recover goes to
//! the standby again.
//!
//! Nobody is cut off when it begins, so nothing is urgent: what can't be recorded, and what nobody could verify, is not begun. Every
//! step is recorded before and after, in the takeover's own record: a subnet's entry there says where it is going. Who is killed, or
//! told to stop, leaves a record of phase `failing-back`, with which the next failback goes on.

mod finish;
mod lend;
mod step;
mod tell;

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::lag::in_doubt;
use super::pass::{Done, Going, Mode, World};
use super::planned::PATIENCE;
use super::signals::Stop;
use super::verify;
use crate::act::{self, Carried, Changer};
use crate::config::Settings;
use crate::decide::{self, Case, Lock, Steps, WayBack, Wish};
use crate::model::failure::exit;
use crate::model::{Conclusion, Hold, InstanceId, Move, Outcome, Plan, Record, RouteTable, SubnetId, Survey};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::StateError;
use crate::record::lock::{LockError, RunLock};
use crate::record::witnesses::Witnesses;
use step::Failback;
pub(super) use step::{How, ToldAs};

/// A failback has at most so many parts of a run's length (the canary there and back, the others there and back, the address): beyond that,
/// and so many looks, others call the holder of the lock overdue.
const PARTS: u32 = 6;

/// Each of its moves is looked at.
const LOOKS: u32 = 4;

/// One failback, of the subnets `wanted` or, where that is empty, of those that were taken; between its steps it looks at `stop`.
pub async fn failback<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    wanted: &[SubnetId],
    mode: Mode,
    stop: &Stop,
) -> Done {
    let began = Instant::now();
    let case = Case { planned: true, ..Case::new(settings.decide.clone()) };
    let mut going = Going::begin(world, settings, witnesses, mode, case).await;
    going.behind = Some(settings.decide.standby_table.clone());
    going.look().await;
    let concluded = going.back(wanted, stop).await;
    going.end(concluded, began).await
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    async fn back(&mut self, wanted: &[SubnetId], stop: &Stop) -> Conclusion {
        let lock = if self.mode == Mode::Act {
            let term = self.settings.deadline * PARTS + self.settings.act.verify_for * LOOKS;
            match RunLock::acquire(self.world.state, PATIENCE, term).await {
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => {
                    return Conclusion::new(Outcome::Busy, exit::BUSY, error.to_string());
                }
                Err(error) => return failed(format!("nothing is moved: {error}")),
            }
        } else {
            None
        };
        self.part();
        self.case.paused = self.paused();
        let survey = self.survey().await;
        let remembered = self.remember(survey.identity.clone().ok());
        if let Some(why) = remembered.record.as_ref().and_then(|record| self.too_soon(record, &survey)) {
            return failed(why);
        }
        let concluded = match self.way_back(&survey, &remembered.lock(), wanted) {
            Err(holds) => refused(holds),
            Ok(way) if self.mode != Mode::Act => self.would_bring_back(&way, remembered.record.as_ref()).await,
            Ok(way) => {
                let tables = survey.tables.as_deref().unwrap_or_default();
                let how = How { stop, told_as: None, lends: None };
                match self.bring_back(way, remembered.record, tables, how).await {
                    Ok((steps, left)) => {
                        let concluded = decide::failed_back(&steps, left);
                        self.case.last.address = steps.address;
                        self.case.moves = Some(steps.back.into_iter().chain(steps.again).collect());
                        concluded
                    }
                    Err(why) => failed(format!("nothing is moved, since nothing can be remembered: {why}")),
                }
            }
        };
        drop(lock);
        concluded
    }

    /// Why what EC2 shows is not to be believed yet: the record has just been written, and says otherwise.
    fn too_soon(&self, record: &Record, survey: &Survey) -> Option<String> {
        let tables = survey.tables.as_ref().ok()?;
        let doubt = in_doubt(record, tables, &self.settings.decide.primary_table, &self.world.now())?;
        Some(format!(
            "nothing is moved: EC2 shows {} as it was before it was sent to the standby a moment ago; try again in half a minute",
            doubt.plan
        ))
    }

    /// Each part of what an operator asked for has a run's time: what is moved at once, and the look at what that came to.
    pub(super) fn part(&mut self) {
        self.deadline = Instant::now() + self.settings.deadline;
    }

    pub(super) fn way_back(&mut self, survey: &Survey, lock: &Lock, wanted: &[SubnetId]) -> Result<WayBack, Vec<Hold>> {
        let witnesses: BTreeMap<SubnetId, usize> = verify::able(self);
        let way = decide::failback(
            &Wish {
                survey,
                lock,
                guarded: self.case.guarded.as_ref(),
                wanted,
                canary: self.settings.canary.as_ref(),
                witnesses: &witnesses,
            },
            &self.settings.decide,
        )?;
        self.notes.extend(way.stays.iter().cloned());
        if let Some(age) = survey.primary.iter().flatten().flatten().find_map(|one| one.launched_ago)
            && age < self.settings.decide.min_uptime
        {
            self.notes.push(format!("the primary was started {} s ago", age.as_secs()));
        }
        Ok(way)
    }

    /// What EC2 would say; nothing is changed.
    async fn would_bring_back(&mut self, way: &WayBack, record: Option<&Record>) -> Conclusion {
        let address = record.and_then(decide::address_back);
        let plan =
            Plan { standby: way.standby.clone(), disable_check: None, moves: way.moves.clone(), address, reboot: None };
        let Carried { moves: back, address } =
            act::carry_out(self.world.cloud, &plan, self.deadline, 0, true, |_| ()).await;
        if let Some(canary) = &way.canary {
            self.notes.push(format!("{canary} would go first, and the others once it is seen to reach the internet"));
        }
        let steps = Steps { back, address, ..Steps::default() };
        let mut concluded = decide::failed_back(&steps, 0);
        let home: Vec<String> = way.unproven.iter().map(|one| one.plan.to_string()).collect();
        if !home.is_empty() {
            self.notes.push(format!("at home by now, and to be verified there first: {}", home.join(", ")));
        }
        if way.moves.is_empty() && steps.address.is_none() {
            let because = if home.is_empty() {
                "nothing that was taken is on the standby any more; the lock would be cleared"
            } else {
                "what is at home by now would be verified there"
            };
            concluded = Conclusion::new(Outcome::WouldFailBack, exit::DONE, because.to_owned());
        }
        self.case.last.address = steps.address;
        self.case.moves = Some(steps.back);
        concluded
    }

    /// What was done, and how many subnets of the record are still on the standby.
    ///
    /// # Errors
    /// The intent could not be recorded, and nothing was done.
    pub(super) async fn bring_back(
        &mut self,
        way: WayBack,
        record: Option<Record>,
        tables: &[RouteTable],
        how: How<'_>,
    ) -> Result<(Steps, usize), StateError> {
        Ok(Failback::begin(self, way, record, tables, how)?.carry_out().await)
    }

    /// Where the subnets of these moves are from now on, for the next run too; what there is to say of that.
    pub(super) fn place(&mut self, moves: &[Move], own: &InstanceId) -> Option<String> {
        let rules = &self.settings.decide;
        let guarded = self.case.guarded.as_mut()?;
        for one in moves.iter().filter(|one| one.result.moved()) {
            let home = decide::homeward(&one.plan, &rules.primary_table, own);
            let table = if home { &rules.primary_table } else { &rules.standby_table };
            for subnet in guarded.subnets.iter_mut().filter(|subnet| one.plan.carries(&subnet.subnet)) {
                subnet.on.clone_from(table);
            }
        }
        self.world.state.write_guarded(guarded).err().map(|error| error.to_string())
    }
}

fn failed(why: String) -> Conclusion {
    Conclusion::new(Outcome::Failed, exit::FAILED, why)
}

fn refused(holds: Vec<Hold>) -> Conclusion {
    let why = holds.first().map_or("", |hold| hold.why.as_str());
    let over = failed(format!("nothing is moved: {why}"));
    Conclusion { holds, ..over }
}
