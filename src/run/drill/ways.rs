//! Both ways of a drill: each with its record before and after, and the run lock while something is moved.

use std::cell::RefCell;
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::{Begun, PRACTICE, failed};
use crate::act::{self, Changer};
use crate::decide::{self, Steps};
use crate::model::{
    Conclusion, Hold, LastSteps, Move, MoveResult, Phase, Purpose, Record, SubnetId, Survey, Verification,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::VERSION;
use crate::record::lock::RunLock;
use crate::run::failback::{How, ToldAs};
use crate::run::lag::outlived;
use crate::run::pass::Going;
use crate::run::signals::Stop;
use crate::run::takeover::{pending, replace, step};
use crate::run::verify::{self, After};

/// Between two readings of EC2 of which the first was not to be believed.
const AGAIN: Duration = Duration::from_millis(500);

/// Why the subnet was not brought back.
struct Astray {
    why: String,
    holds: Vec<Hold>,
}

impl Astray {
    const fn because(why: String) -> Self {
        Self { why, holds: Vec::new() }
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Moves the subnet to the standby, has it verified, and brings it back. `lock` is let go of in between.
    pub(super) async fn there_and_back(
        &mut self,
        begun: Begun<'_>,
        subnet: &SubnetId,
        lock: Option<RunLock>,
        stop: &Stop,
    ) -> Conclusion {
        let mut there = match self.away(&begun).await {
            Ok(there) => there,
            Err(over) => return over,
        };
        // Who else has put it here wants it here: only what our own call did, or may have done, is undone.
        if !matches!(there.result, MoveResult::Moved | MoveResult::Unknown(_)) {
            let concluded = decide::drilled(&there, None, None);
            self.tell_drill(&begun.entry(vec![there.clone()], concluded.outcome, None));
            if let Err(error) = self.world.state.clear_record() {
                self.notes.push(error.to_string());
            }
            self.case.moves = Some(vec![there]);
            return concluded;
        }
        // From here on an outage is anybody's to take over.
        drop(lock);
        self.part();
        tokio::select! {
            () = verify::look(self, std::slice::from_mut(&mut there), After::Flowing) => {}
            () = stop.wait() => {}
        }
        let took = begun.start.elapsed();
        let back = Instant::now();
        let entry = |steps: &Steps, left: usize| {
            let drill = begun.measure((subnet, took), Some(back));
            let outcome = decide::drilled(&there, Some((steps, left)), Some(&drill)).outcome;
            begun.measured.replace(Some(drill.clone()));
            let moves = std::iter::once(&there).chain(&steps.back).chain(&steps.again).cloned().collect();
            begun.entry(moves, outcome, Some(drill))
        };
        let carried = there.verification == Verification::Verified;
        let brought = self.home_again(subnet, &ToldAs { entry: &entry, carried }).await;
        let (concluded, moves) = match brought {
            Ok((steps, left)) => {
                let concluded = decide::drilled(&there, Some((&steps, left)), begun.measured.borrow().as_ref());
                (concluded, steps.back.into_iter().chain(steps.again).collect())
            }
            Err(Astray { why, holds }) => {
                let drill = begun.measure((subnet, took), None);
                begun.measured.replace(Some(drill.clone()));
                let concluded = decide::not_back(&there, &why, holds);
                self.tell_drill(&begun.entry(vec![there.clone()], concluded.outcome, Some(drill)));
                (concluded, Vec::new())
            }
        };
        self.case.moves = Some(std::iter::once(there).chain(moves).collect());
        concluded
    }

    /// The intent recorded, and the move to the standby made.
    ///
    /// # Errors
    /// The intent could not be recorded, and nothing was moved.
    async fn away(&mut self, begun: &Begun<'_>) -> Result<Move, Conclusion> {
        let Begun { at, plan, .. } = begun;
        let world = self.world;
        let now = world.now();
        let record = RefCell::new(Record {
            version: VERSION,
            instance: plan.standby.clone(),
            purpose: Purpose::Drill,
            phase: Phase::FailingBack,
            began: *at,
            changed: now.wall,
            boot: now.boot,
            because: PRACTICE.to_owned(),
            moves: plan.moves.iter().map(pending).collect(),
            last: LastSteps::default(),
        });
        world.moving.set(true);
        world.state.sweep();
        if let Err(why) = world.state.write_record(&record.borrow()) {
            return Err(failed(format!("nothing is moved, since nothing can be remembered: {why}")));
        }
        self.part();
        let names: Vec<String> = plan.moves.iter().map(ToString::to_string).collect();
        (world.tell)(&format!("{PRACTICE}: moving {} to the standby", names.join(", ")));
        let seed = world.rng.borrow_mut().random();
        let trouble = RefCell::new(None);
        let carried = act::carry_out(world.cloud, plan, self.deadline, seed, false, |one| {
            (world.tell)(&step(one));
            let mut record = record.borrow_mut();
            replace(&mut record.moves, one);
            record.stamp(world.now());
            let done = world.state.write_record(&record);
            trouble.replace(done.err().map(|error| format!("THE DRILL IS NOT ON RECORD: {error}")));
        })
        .await;
        self.notes.extend(trouble.into_inner());
        let placed = self.place(&carried.moves, &plan.standby);
        self.notes.extend(placed);
        carried.moves.into_iter().next().ok_or_else(|| failed("there is no subnet to practise with".to_owned()))
    }

    /// Brings the subnet back as a failback does, unless the record is not the drill's any more.
    async fn home_again(&mut self, subnet: &SubnetId, told_as: &ToldAs<'_>) -> Result<(Steps, usize), Astray> {
        let until = Instant::now() + self.settings.deadline;
        let term = self.settings.deadline * 2 + self.settings.act.verify_for;
        let lock = RunLock::acquire(self.world.state, self.settings.deadline, term).await;
        let lock = lock.map_err(|error| Astray::because(error.to_string()))?;
        let (survey, remembered) = loop {
            self.part();
            let survey = self.survey().await;
            let remembered = self.remember(survey.identity.clone().ok());
            let ours = remembered.record.as_ref().filter(|record| {
                record.phase == Phase::FailingBack && record.moves.iter().any(|one| one.plan.carries(subnet))
            });
            let Some(record) = ours else {
                return Err(Astray::because(decide::OVERTAKEN.to_owned()));
            };
            if self.believable(record, &survey, subnet) || Instant::now() + AGAIN >= until {
                break (survey, remembered);
            }
            sleep(AGAIN).await;
        };
        let way = self
            .way_back(&survey, &remembered.lock(), std::slice::from_ref(subnet))
            .map_err(|holds| Astray { why: holds.first().map_or_else(String::new, |hold| hold.why.clone()), holds })?;
        let tables = survey.tables.as_deref().unwrap_or_default();
        // Where the standby was not seen to carry it, no takeover would help, and what is missed while the way home takes effect is the
        // standby's doing: nobody is to move anything by that.
        let (lends, _held) = if told_as.carried { (Some(lock), None) } else { (None, Some(lock)) };
        // Whoever asks for an end wants everything where it was.
        let how = How { stop: &Stop::default(), told_as: Some(told_as), lends };
        let brought = self.bring_back(way, remembered.record, tables, how).await;
        brought.map_err(|why| Astray::because(format!("nothing can be remembered: {why}")))
    }

    /// Whether EC2 has answered, and shows the subnet where a call of a moment ago has put it, or may have.
    fn believable(&self, record: &Record, survey: &Survey, subnet: &SubnetId) -> bool {
        let Ok(tables) = &survey.tables else { return false };
        let home = preflight::now_on(tables, subnet) == Some(&self.settings.decide.primary_table);
        survey.answered() && (!home || outlived(record, &self.world.now()))
    }
}
