//! One pass: observe, decide, act, record. The only place besides `watch` where the stages meet.
//!
//! Everything outside comes in through traits and values ([`World`]), so that a test runs whole passes on a paused clock.
//! A healthy pass asks EC2 nothing, but for what is refreshed after the verdict ([`Pass::refresh_due`]).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::takeover::{self, Takeover};
use crate::act::{self, Changer};
use crate::config::Settings;
use crate::decide::{self, Ending, Evidence, Lock, Redundancy, Situation};
use crate::model::failure::exit;
use crate::model::{
    Backend, BackendVerdict, Family, Found, GuardedSet, Hold, InstanceId, Judgement, Moment, Move, Outcome, Pass,
    Phase, Record, Round, Survey, Target,
};
use crate::observe::panel::{Drawn, SubnetMap, draw};
use crate::observe::{Ask, Observer, TargetName, Uplink, Vantages, resolve};
use crate::preflight::{self, Cloud, Host};
use crate::record::State;
use crate::record::lock::{self, LockError, RunLock};
use crate::record::witnesses::Witnesses;

/// The guarded set is asked for anew after this long: a subnet added today is guarded within the hour.
const GUARDED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What a refresh off the path may take at most, when EC2 is slow: it must not hold a cron job up.
const REFRESH: Duration = Duration::from_secs(5);

/// What a survey may take: EC2 answers a describe in a tenth of a second, and a control plane that takes this long is down.
const SURVEY: Duration = Duration::from_secs(8);

/// Kept free at the end of the deadline, so that the record is written and the report printed in time.
const WRAP_UP: Duration = Duration::from_secs(1);

/// Everything that is not in the settings.
pub struct World<'a, V, U, C, H> {
    /// SSH to the backends.
    pub vantages: &'a V,
    /// The standby's own pings.
    pub uplink: &'a U,
    /// EC2.
    pub cloud: &'a C,
    /// This machine.
    pub host: &'a H,
    /// The state folder.
    pub state: &'a State,
    /// The moment; see [`Moment`].
    pub clock: &'a dyn Fn() -> Moment,
    /// The wall clock, for what is printed and remembered only.
    pub wall: &'a dyn Fn() -> Timestamp,
    /// Told what happens, for who watches.
    pub tell: &'a dyn Fn(&str),
}

/// What a pass leaves besides its report.
pub struct Done {
    /// The report.
    pub pass: Pass,
    /// The evidence.
    pub rounds: Vec<Round>,
    /// Who was seen reaching.
    pub witnesses: Witnesses,
    /// The families that were judged.
    pub families: Vec<Family>,
}

/// What goes through a pass.
pub(super) struct Going<'a, V: Vantages, U, C, H> {
    pub(super) world: &'a World<'a, V, U, C, H>,
    pub(super) settings: &'a Settings,
    pub(super) dry_run: bool,
    pub(super) observer: Observer<'a, V, U>,
    pub(super) targets: Vec<(TargetName, Result<Target, String>)>,
    pub(super) backends: Vec<Backend>,
    pub(super) witnesses: Witnesses,
    pub(super) guarded: Option<GuardedSet>,
    pub(super) deadline: Instant,
    pub(super) notes: Vec<String>,
    pub(super) rounds: Vec<Round>,
    /// By family, oldest first.
    pub(super) judgements: BTreeMap<Family, Vec<Judgement>>,
}

/// The record as far as a pass goes by it.
struct Remembered {
    record: Option<Record>,
    /// Why the record can't be used, with the remedy.
    unreadable: Option<String>,
}

/// One pass from the first question to the last verification.
pub async fn pass<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    dry_run: bool,
) -> Done {
    let began = Instant::now();
    if let Some(holder) = lock::peek(world.state) {
        let overdue = holder.overdue((world.wall)());
        let note = overdue
            .then(|| format!("process {} has held the lock past its deadline ({:.0})", holder.pid, holder.deadline));
        let pass = busy(LockError::Busy(Some(holder)).to_string(), note, began);
        return Done { pass, rounds: Vec::new(), witnesses, families: vec![Family::V4] };
    }
    let (guarded, trouble) = world.state.read_guarded();
    let guarded = guarded
        .filter(|set| set.primary == settings.decide.primary_table && set.standby == settings.decide.standby_table);
    let (targets, backends) =
        tokio::join!(resolve::targets(&settings.observe.targets), resolve::backends(&settings.observe.backends),);
    let going = Going {
        world,
        settings,
        dry_run,
        observer: Observer::new(&settings.observe, world.vantages, world.uplink, world.clock),
        targets,
        backends,
        witnesses,
        guarded,
        deadline: began + settings.deadline,
        notes: trouble.into_iter().collect(),
        rounds: Vec::new(),
        judgements: BTreeMap::new(),
    };
    going.go(began).await
}

fn busy(because: String, note: Option<String>, began: Instant) -> Pass {
    Pass {
        outcome: Outcome::Busy,
        exit: exit::BUSY,
        because,
        holds: Vec::new(),
        judgements: Vec::new(),
        moves: Vec::new(),
        elapsed: began.elapsed(),
        dry_run: false,
        notes: note.into_iter().collect(),
        commands: Vec::new(),
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    async fn go(mut self, began: Instant) -> Done {
        let mut survey = None;
        let conclusive = self.rounds(&mut survey).await;
        let mut report = match conclusive {
            true => self.down(survey).await,
            false => self.rested().await,
        };
        if let Some(address) = self.settings.primary_address.filter(|_| report.outcome != Outcome::Healthy) {
            let fate = self.world.uplink.ping(address, self.settings.observe.timeout).await;
            let answers = matches!(fate, crate::model::ControlFate::Good { .. });
            self.notes.push(format!(
                "the primary itself, {address}, {} pings (no evidence either way)",
                if answers { "answers" } else { "does not answer" }
            ));
        }
        report.elapsed = began.elapsed();
        report.notes.splice(0..0, self.notes);
        let families = self.judgements.keys().copied().collect();
        report.judgements = interleave(self.judgements);
        self.observer.close().await;
        Done { pass: report, rounds: self.rounds, witnesses: self.witnesses, families }
    }

    /// Rounds until the evidence is conclusive (`true`), or there is none.
    async fn rounds(&mut self, survey: &mut Option<Survey>) -> bool {
        let mut ask = Ask { not_before: (self.world.clock)(), burst: false, until: self.deadline };
        loop {
            if self.rounds.is_empty() {
                let round = self.round(ask).await;
                self.judge(round);
            } else {
                // What a takeover needs to know is read in the shadow of the confirming rounds. A survey that EC2 did not
                // answer is made again.
                let complete = survey.as_ref().is_some_and(answered);
                let (round, fresh) =
                    tokio::join!(self.round(ask), async { if complete { None } else { Some(self.survey().await) } });
                if fresh.is_some() {
                    *survey = fresh;
                }
                self.judge(round);
            }
            // Evidence must be fresh for a move. Where EC2 could not be asked there will be none, so nothing is gained by
            // looking again until the deadline: what is known now is said now.
            let unasked = survey.as_ref().is_some_and(|survey| !answered(survey));
            let now = match self.rounds.last() {
                Some(round) if unasked => round.ended,
                _ => (self.world.clock)(),
            };
            let mut not_before = None;
            for judgements in self.judgements.values() {
                match decide::evidence(judgements, &self.settings.decide, now) {
                    Evidence::Conclusive => return true,
                    Evidence::More { not_before: at } => {
                        not_before = Some(not_before.map_or(at, |other: Moment| other.min(at)))
                    }
                    Evidence::Clear => {}
                }
            }
            let Some(not_before) = not_before else { return false };
            if Instant::now() + (not_before.saturating_sub(now)) + WRAP_UP >= self.deadline {
                self.notes.push("the deadline came before there was enough evidence".to_owned());
                return false;
            }
            (self.world.tell)(&format!("{}; looking again", self.latest().map_or("down", |one| one.because.as_str())));
            ask = Ask { not_before, burst: true, until: self.deadline };
        }
    }

    async fn survey(&self) -> Survey {
        let left = self.deadline.saturating_duration_since(Instant::now()).saturating_sub(WRAP_UP);
        preflight::survey(self.world.cloud, self.world.host, &self.settings.preflight, left.min(SURVEY)).await
    }

    async fn round(&self, ask: Ask) -> Round {
        let now = (self.world.wall)();
        let map = SubnetMap::new(self.guarded.as_ref(), &self.settings.observe.within);
        let candidates = self.backends.iter().filter_map(|backend| {
            let subnet = map.of(backend)?;
            let witness = [Family::V4, Family::V6]
                .into_iter()
                .filter(|family| self.witnesses.is_witness(&backend.host, backend.addr, *family, now))
                .collect();
            Some(Drawn { backend: backend.clone(), subnet, witness })
        });
        let draw = draw(candidates.collect(), &mut rand::rng());
        self.observer.round(draw, &self.targets, ask, &|round| decide::outlook(round, &self.settings.decide)).await
    }

    fn judge(&mut self, round: Round) {
        for family in decide::families(&round) {
            let judgement = decide::judge(&round, &self.settings.decide, family);
            self.note_witnesses(&judgement);
            self.judgements.entry(family).or_default().push(judgement);
        }
        self.rounds.push(round);
    }

    /// Who reaches while the primary carries its subnet is a witness from now on.
    fn note_witnesses(&mut self, judgement: &Judgement) {
        let Some(guarded) = &self.guarded else { return };
        let now = (self.world.wall)();
        for judged in judgement.backends.iter().filter(|one| one.verdict == BackendVerdict::Reaches) {
            let on_primary =
                guarded.subnets.iter().any(|one| one.subnet.as_str() == judged.subnet && one.on == guarded.primary);
            if let Some(backend) = self.backends.iter().find(|backend| on_primary && backend.host == judged.host) {
                self.witnesses.saw(&backend.host, backend.addr, judgement.family, now);
            }
        }
    }

    pub(super) fn latest(&self) -> Option<&Judgement> {
        self.judgements
            .values()
            .filter_map(|all| all.last())
            .rev()
            .max_by_key(|one| one.verdict == crate::model::Verdict::Down)
    }

    /// The verdict is final and not `down`.
    async fn rested(&mut self) -> Pass {
        let mut remembered = Remembered { record: None, unreadable: None };
        if !matches!(self.world.state.read_record(None), Found::Absent) {
            let own = preflight::identity(self.world.host, &self.settings.preflight).await;
            remembered = self.remember(own.ok());
        }
        let mut holds = Vec::new();
        if self.refresh_due(&remembered) {
            holds = self.refresh().await;
        }
        if let Some(record) = remembered.record.take() {
            remembered.record = self.reconcile(record).await;
        }
        let phase = remembered.record.as_ref().map(|record| record.phase);
        let redundancy = Redundancy::of(phase, self.guarded.as_ref());
        let last: Vec<Judgement> = self.judgements.values().filter_map(|all| all.last()).cloned().collect();
        let Some(judgement) = decide::lead(&last) else {
            return self.report(Outcome::Unheard, 3, "nothing was observed".to_owned());
        };
        let (outcome, exit) = decide::outcome(Ending::Rested { judgement, redundancy });
        let because = match outcome {
            Outcome::Partial => {
                format!("a takeover is not complete, and there is no evidence to go on with it: {}", judgement.because)
            }
            Outcome::Locked => format!("an earlier takeover carries the subnets; {}", judgement.because),
            Outcome::NoRedundancy => format!(
                "traffic flows ({}), but nothing stands by: no guarded subnet is where this standby would take it from",
                judgement.because
            ),
            _ => judgement.because.clone(),
        };
        let mut report = self.report(outcome, exit, because);
        if let Some(why) = remembered.unreadable {
            holds.push(Hold { gate: crate::model::Gate::Locked, why, remedy: String::new() });
        }
        if !holds.is_empty() && report.exit != 3 {
            // Nothing is guarded, or the record can't be trusted: that must never look healthy.
            report = self.report(Outcome::Failed, 2, holds[0].why.clone());
        }
        report.holds = holds;
        report
    }

    /// Enough evidence: gates, plan, moves.
    async fn down(&mut self, survey: Option<Survey>) -> Pass {
        let because = self.latest().map_or_else(String::new, |one| one.because.clone());
        let survey = match survey {
            Some(survey) => survey,
            None => self.survey().await,
        };
        // A dry run takes no lock; whoever moves holds it from here to the record.
        let lock = if self.dry_run {
            None
        } else {
            match RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await {
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => return self.report(Outcome::Busy, exit::BUSY, error.to_string()),
                // The lock file can't be used (disk, rights): the move is worth more. A second takeover is impossible
                // all the same, since the association ids are good only once.
                Err(error) => {
                    self.notes.push(format!("moving without the run lock: {error}"));
                    None
                }
            }
        };
        let remembered = self.remember(survey.identity.as_ref().ok().cloned());
        let families: Vec<Family> = self.judgements.keys().copied().collect();
        let situation = Situation {
            survey: &survey,
            lock: match (&remembered.unreadable, &remembered.record) {
                (Some(why), _) => Lock::Unreadable(why),
                (None, Some(record)) => Lock::Held(record.phase),
                (None, None) => Lock::Free,
            },
            guarded: self.guarded.as_ref(),
            families: &families,
        };
        let plan = match decide::plan(situation, &self.settings.decide) {
            Ok(plan) => plan,
            Err(holds) => {
                let (outcome, exit) = decide::outcome(Ending::Held(&holds));
                let mut report = self.report(
                    outcome,
                    exit,
                    format!("{because}, and nothing is moved: {}", holds.first().map_or("", |hold| hold.why.as_str())),
                );
                report.commands = takeover::commands(&survey, self.guarded.as_ref(), &self.settings.decide);
                report.holds = holds;
                return report;
            }
        };
        let moves =
            Takeover { going: self, plan: &plan, because: &because, earlier: remembered.record }.carry_out().await;
        let (outcome, exit) = decide::outcome(Ending::Moved(&moves));
        let mut report = self.report(outcome, exit, takeover::sentence(&moves, &because));
        report.commands = match outcome {
            Outcome::Partial | Outcome::Failed => act::finish_commands(&moves),
            Outcome::Unverified => act::undo_commands(&moves),
            _ => Vec::new(),
        };
        report.moves = moves;
        drop(lock);
        report
    }

    fn report(&self, outcome: Outcome, exit: u8, because: String) -> Pass {
        Pass {
            outcome,
            exit,
            because,
            holds: Vec::new(),
            judgements: Vec::new(),
            moves: Vec::<Move>::new(),
            elapsed: Duration::ZERO,
            dry_run: self.dry_run,
            notes: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Reads the record, and puts one that is about another instance aside.
    fn remember(&mut self, own: Option<InstanceId>) -> Remembered {
        let found = self.world.state.read_record(own.as_ref());
        let trouble = found.trouble();
        match found {
            Found::Absent => Remembered { record: None, unreadable: None },
            Found::Present(record) => Remembered { record: Some(record), unreadable: None },
            Found::Foreign { .. } => {
                self.notes.extend(trouble);
                if let Some(own) = own.filter(|_| !self.dry_run) {
                    match self.world.state.set_foreign_aside(&own) {
                        Ok(Some(path)) => self.notes.push(format!("it was set aside as {}", path.display())),
                        Ok(None) => {}
                        Err(error) => self.notes.push(error.to_string()),
                    }
                }
                Remembered { record: None, unreadable: None }
            }
            Found::Corrupt { .. } => {
                if let Some(Ok(path)) = (!self.dry_run).then(|| self.world.state.keep_corrupt()) {
                    self.notes.push(format!("a copy is kept as {}", path.display()));
                }
                let why = format!(
                    "{}; look where the subnets are (natwatch status), then: natwatch reset --force",
                    trouble.unwrap_or_default()
                );
                Remembered { record: None, unreadable: Some(why) }
            }
            Found::Newer { .. } => {
                let why = format!("{}; install that version again, or move the file away", trouble.unwrap_or_default());
                Remembered { record: None, unreadable: Some(why) }
            }
        }
    }

    fn refresh_due(&self, remembered: &Remembered) -> bool {
        let Some(set) = &self.guarded else { return true };
        let age = (self.world.wall)().duration_since(set.seen);
        let nothing_on_primary = !set.subnets.iter().any(|one| one.on == set.primary);
        remembered.record.is_some() || nothing_on_primary || age >= GUARDED_FOR || age.is_negative()
    }

    /// Asks EC2 what is guarded. What that shows to be wrong is returned as holds.
    async fn refresh(&mut self) -> Vec<Hold> {
        let first = self.guarded.is_none();
        let asked = preflight::guarded_set(
            self.world.cloud,
            &self.settings.preflight,
            self.guarded.as_ref(),
            (self.world.wall)(),
        );
        let left = REFRESH.min(self.deadline.saturating_duration_since(Instant::now()));
        let found = tokio::time::timeout(left, asked)
            .await
            .unwrap_or_else(|_| Err(format!("EC2 gave no answer within {} s", left.as_secs())));
        match found {
            Ok(set) => {
                let v6 =
                    self.targets.iter().filter_map(|(_, one)| one.as_ref().ok()).any(|one| one.family() == Family::V6);
                let holds = guarded_holds(&set, v6, self.settings);
                if !self.dry_run
                    && let Err(error) = self.world.state.write_guarded(&set)
                {
                    self.notes.push(error.to_string());
                }
                self.guarded = Some(set);
                let seen: Vec<Judgement> = self.judgements.values().filter_map(|all| all.last()).cloned().collect();
                if first {
                    // Judged by the /24 so far; whose subnet is known now may become a witness.
                    for judgement in seen {
                        let relabelled = self.relabel(judgement);
                        self.note_witnesses(&relabelled);
                    }
                }
                holds
            }
            Err(why) if first => vec![Hold {
                gate: crate::model::Gate::Unfit,
                why: format!("it is not known what to guard: {why}"),
                remedy: String::new(),
            }],
            Err(why) => {
                self.notes.push(format!("the guarded subnets could not be refreshed: {why}"));
                Vec::new()
            }
        }
    }

    fn relabel(&self, mut judgement: Judgement) -> Judgement {
        let map = SubnetMap::new(self.guarded.as_ref(), &self.settings.observe.within);
        for judged in &mut judgement.backends {
            let subnet = self.backends.iter().find(|one| one.host == judged.host).and_then(|one| map.of(one));
            judged.subnet = subnet.unwrap_or_default();
        }
        judgement
    }

    /// A takeover that was cut short is what the route tables say it is. Returns the record as it stands then.
    async fn reconcile(&mut self, mut record: Record) -> Option<Record> {
        let Some(guarded) = self.guarded.clone() else { return Some(record) };
        if record.phase == Phase::Taken || self.dry_run {
            return Some(record);
        }
        let Ok(_lock) = RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await else {
            return Some(record);
        };
        takeover::reconcile(&mut record, &guarded, (self.world.wall)());
        let nothing_moved = record.moves.iter().all(|one| !one.result.settled());
        let written =
            if nothing_moved { self.world.state.clear_record() } else { self.world.state.write_record(&record) };
        if let Err(error) = written {
            self.notes.push(error.to_string());
            return Some(record);
        }
        if nothing_moved {
            self.notes
                .push("an earlier takeover was cut short before anything was moved; its record is cleared".to_owned());
            return None;
        }
        if record.phase == Phase::Taken {
            self.notes.push(
                "an earlier takeover was cut short, but all its subnets are moved; its record says so now".to_owned(),
            );
        }
        Some(record)
    }
}

/// Whether EC2 answered all that a plan needs.
fn answered(survey: &Survey) -> bool {
    survey.tables.is_ok() && survey.standby.is_ok()
}

/// What is wrong with the guarded set itself, although the network is healthy: it would hold the takeover that is due one
/// night, so it must not look healthy today.
fn guarded_holds(set: &GuardedSet, v6_targets: bool, settings: &Settings) -> Vec<Hold> {
    let hold = |why: String, remedy: String| Hold { gate: crate::model::Gate::Foreign, why, remedy };
    let mut holds = Vec::new();
    if set.subnets.is_empty() {
        let why = format!(
            "no subnet is explicitly associated with primary.route_table = {}: nothing is guarded",
            set.primary
        );
        let remedy =
            format!("aws ec2 associate-route-table --subnet-id <private subnet> --route-table-id {}", set.primary);
        holds.push(hold(why, remedy));
    }
    if set.subnets.len() > settings.decide.max_subnets {
        let why = format!(
            "{} subnets are guarded, takeover.max_subnets is {}",
            set.subnets.len(),
            settings.decide.max_subnets
        );
        holds.push(Hold {
            gate: crate::model::Gate::TooMany,
            why,
            remedy: "raise takeover.max_subnets or name the subnets in takeover.subnets".to_owned(),
        });
    }
    if v6_targets && !set.families.contains(&Family::V6) {
        let why = format!(
            "targets.hosts has an IPv6 address, but {} does not send ::/0 to an instance: it says nothing of the primary",
            set.primary
        );
        holds.push(hold(why, "remove the IPv6 targets".to_owned()));
    }
    holds
}

/// Rounds in order, the families of one round next to each other.
fn interleave(judgements: BTreeMap<Family, Vec<Judgement>>) -> Vec<Judgement> {
    let mut all: Vec<Judgement> = judgements.into_values().flatten().collect();
    all.sort_by_key(|one| one.ended);
    all
}
