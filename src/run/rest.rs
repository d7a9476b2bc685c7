//! The end of a pass whose verdict is not `down`: what the lock and the guarded subnets make of it, and what is refreshed now
//! that nobody waits.

use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::Instant;

use super::pass::Going;
use super::remember::Remembered;
use crate::act::{self, Changer};
use crate::config::Settings;
use crate::decide::{self, Ending, Redundancy};
use crate::model::{Family, Found, Gate, GuardedSet, Hold, Judgement, Outcome, Pass};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};

/// The guarded set is asked for anew after this long: a subnet added today is guarded within the hour.
const GUARDED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What a refresh off the path may take at most, when EC2 is slow: it must not hold a cron job up.
const REFRESH: Duration = Duration::from_secs(5);

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// The verdict is final and not `down`.
    pub(super) async fn rested(&mut self) -> Pass {
        let mut remembered = Remembered { record: None, unreadable: None };
        if !matches!(self.world.state.read_record(None), Found::Absent) {
            let own = preflight::identity(self.world.host, &self.settings.preflight).await;
            remembered = self.remember(own.ok());
        }
        if self.refresh_due() {
            self.refresh().await;
        }
        let mut holds = std::mem::take(&mut self.faults);
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
        let untrusted = remembered.unreadable.is_some();
        holds.extend(remembered.unreadable.map(|why| Hold { gate: Gate::Locked, why, remedy: String::new() }));
        if untrusted || (!holds.is_empty() && report.exit != 3) {
            // Nothing is guarded, or the record can't be trusted: that must never look healthy.
            report = self.report(Outcome::Failed, 2, holds[0].why.clone());
        }
        if outcome == Outcome::Partial {
            report.commands = act::finish_commands(remembered.record.as_ref().map_or(&[], |record| &record.moves));
        }
        report.holds = holds;
        report
    }

    fn refresh_due(&self) -> bool {
        let Some(set) = &self.guarded else { return true };
        let age = (self.world.wall)().duration_since(set.seen);
        age >= GUARDED_FOR || age.is_negative()
    }

    /// Asks EC2 what is guarded and where it is. What that shows to be wrong is kept for the report.
    pub(super) async fn refresh(&mut self) {
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
        self.certain = found.is_ok();
        match found {
            Ok(set) => {
                let v6 =
                    self.targets.iter().filter_map(|(_, one)| one.as_ref().ok()).any(|one| one.family() == Family::V6);
                self.faults = guarded_faults(&set, v6, self.settings);
                if !self.dry_run
                    && let Err(error) = self.world.state.write_guarded(&set)
                {
                    self.notes.push(error.to_string());
                }
                if self.guarded.replace(set).is_none() {
                    // Judged by the /24 so far; whose subnet is known now may become a witness.
                    let seen: Vec<Judgement> = self.judgements.values().filter_map(|all| all.last()).cloned().collect();
                    for judgement in seen {
                        let relabelled = self.relabel(judgement);
                        self.note_witnesses(&relabelled);
                    }
                }
            }
            Err(why) if self.guarded.is_none() => {
                self.faults = vec![Hold {
                    gate: Gate::Unfit,
                    why: format!("it is not known what to guard: {why}"),
                    remedy: String::new(),
                }];
            }
            Err(why) => self.notes.push(format!("the guarded subnets could not be refreshed: {why}")),
        }
    }

    fn relabel(&self, mut judgement: Judgement) -> Judgement {
        let map = self.subnets();
        for judged in &mut judgement.backends {
            let subnet = self.backends.iter().find(|one| one.host == judged.host).and_then(|one| map.of(one));
            judged.subnet = subnet.unwrap_or_default();
        }
        judgement
    }
}

/// What is wrong with the guarded set itself, although the network is healthy: it would hold the takeover that is due one
/// night, so it must not look healthy today.
fn guarded_faults(set: &GuardedSet, v6_targets: bool, settings: &Settings) -> Vec<Hold> {
    let hold = |why: String, remedy: String| Hold { gate: Gate::Foreign, why, remedy };
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
            gate: Gate::TooMany,
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
