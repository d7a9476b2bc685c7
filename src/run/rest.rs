//! The end of a pass whose verdict is not `down`: what the lock and the guarded subnets make of it, and what is refreshed now
//! that nobody waits.

use std::time::Duration;

use futures_util::future::join;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::fleet::{asked, gone};
use super::lag::left;
use super::pass::{Going, Mode, World};
use super::remember::Remembered;
use super::sent;
use crate::act::Changer;
use crate::config::Settings;
use crate::decide::{self, DecideSettings, Lock};
use crate::model::{Conclusion, Fleet, Found, GuardedSet, Instance, Judgement, Own, Phase, Verdict};
use crate::observe::panel::SubnetMap;
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::lock::{self, LockError};

/// The guarded set is asked for anew after this long: a subnet added today is guarded within the hour.
const GUARDED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// And after this long where whole subnets are cut off while others reach: half of them may have been moved to a table of
/// somebody else's, and as long as that is not known they clear a dead primary. It keeps a `watch` that sees this for hours
/// from asking at every round.
const GUARDED_IN_DOUBT: SignedDuration = SignedDuration::from_secs(2);

/// And after this long where routes are moved and nobody knows who the primary is: a natwatch that moved associations did not look at that,
/// and its set is an hour old at most. Where it cannot be learned (the table leads here, or nowhere) every pass would ask in vain.
const GUARDED_UNLED: SignedDuration = SignedDuration::from_mins(5);

/// And after this long where the standby's security groups were seen to admit nothing, its table not to lead to it, or EC2 to drop what it would
/// forward: who mends them wants to be taken over.
const GUARDED_REFUSED: SignedDuration = SignedDuration::from_secs(30);

/// What a refresh off the path may take at most, when EC2 is slow: it must not hold a cron job up.
pub(super) const REFRESH: Duration = Duration::from_secs(5);

/// And after this long where backends are those that EC2 showed, and most of them are silent: they may have been replaced. A `run` comes once in
/// minutes and asks each time, a `watch` reads EC2 each half a minute.
const FLEET_GONE: SignedDuration = SignedDuration::from_secs(30);

/// What EC2 said of the guarded subnets, and of who runs there, where that is asked.
pub(super) type Refreshed = Result<(GuardedSet, Option<Result<Fleet, String>>), String>;

/// How long a set is good for.
fn good_for(set: &GuardedSet, rules: &DecideSettings, in_doubt: bool) -> SignedDuration {
    let unled = !rules.method.is_association() && rules.primary_instance.is_none() && set.leads_to.is_none();
    match (in_doubt, set.refuses(), unled) {
        (true, ..) => GUARDED_IN_DOUBT,
        // Who is not seen there again by then is on it no more.
        (false, ..) if preflight::half_shown(set) => preflight::UNSHOWN_FOR,
        (false, true, _) => GUARDED_REFUSED,
        (false, false, true) => GUARDED_UNLED,
        (false, false, false) => GUARDED_FOR,
    }
}

/// What is guarded and where it is, and who runs there, as EC2 says within `left`.
pub(super) async fn guarded_set<V, U, C: Cloud, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    known: Option<&GuardedSet>,
    left: Duration,
) -> Refreshed {
    let (left, now) = (REFRESH.min(left), (world.wall)());
    let until = Instant::now() + left;
    let record = world.state.read_record(None).present();
    let known = sent::with_record(known, record.as_ref(), &settings.preflight, now);
    let asking = preflight::guarded_set(world.cloud, &settings.preflight, known.as_ref(), now);
    let set = tokio::time::timeout_at(until, asking)
        .await
        .unwrap_or_else(|_| Err(format!("EC2 gave no answer within {} s", left.as_secs())))?;
    let fleet = match settings.fleet {
        Some(_) => Some(asked(world.cloud, world.host, settings, &set, (now, until)).await),
        None => None,
    };
    Ok((set, fleet))
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// The verdict is final and not `down`.
    pub(super) async fn rested(&mut self) -> Conclusion {
        let mut remembered = Remembered { record: None, unreadable: None };
        // What is known of the subnets goes with the record that was there when it was learned, and with no other.
        let found = self.world.state.read_record(None);
        let meanwhile = !self.lasting && found != self.found;
        if meanwhile {
            self.read_guarded_again();
        }
        if !matches!(found, Found::Absent) {
            // In a watch that is asked beside the calm, and subnets may be guarded while a record is there.
            let own = if self.lasting {
                self.own.clone()
            } else {
                preflight::identity(self.world.host, &self.settings.preflight).await.ok()
            };
            remembered = self.remember(own);
        }
        self.see_fitness().await;
        if !self.lasting && (meanwhile || self.refresh_due() || self.misled()) {
            self.refresh().await;
        }
        if let Some(record) = remembered.record.take() {
            remembered.record = self.reconcile(record).await;
        }
        if let Some(record) = remembered.record.take() {
            remembered.record = Some(self.make_up(record).await);
        }
        let (now, verify_for) = (self.world.now(), self.settings.act.verify_for);
        self.case.left = remembered.record.as_ref().is_some_and(|record| left(record, &now, verify_for));
        self.case.accusers = self.accusers();
        self.forget_refusals();
        self.case.lock = remembered.lock();
        let incomplete = matches!(self.case.lock, Lock::Held { phase: Phase::Taking | Phase::Partial, .. });
        if incomplete && self.mode != Mode::Look {
            // Who holds the lock is at it still, and nothing was cut short.
            self.case.busy = lock::peek(self.world.state).map(|holder| LockError::Busy(Some(holder)).to_string());
        }
        self.case.paused = self.paused();
        decide::conclude(&self.case)
    }

    /// What this machine shows of whether it could take over. In a `watch` what takes longer is read beside the rounds.
    async fn see_fitness(&mut self) {
        let guarded = self.case.guarded.as_ref();
        let six = guarded.is_some_and(|set| preflight::brings_six(&self.settings.preflight, set));
        match &mut self.case.survey {
            Some(survey) => {
                (survey.ip_forward, survey.ip_forward_of) = preflight::forwards(self.world.host, six);
            }
            None if self.lasting => {}
            none => *none = Some(preflight::here(self.world.host, &self.settings.preflight, six).await),
        }
    }

    /// Whether the standby was seen to be unable to carry anything, a moment ago or more: its table leads elsewhere, its check is on.
    fn misled(&self) -> bool {
        let set = self.case.guarded.as_ref().filter(|_| decide::misled(&self.case));
        set.is_some_and(|set| (self.world.wall)().duration_since(set.seen).abs() >= GUARDED_REFUSED)
    }

    /// What was refused long ago holds nothing.
    pub(super) fn forget_refusals(&mut self) {
        let now = (self.world.wall)();
        if let Some(seen) = self.case.guarded.as_mut().and_then(|set| set.forget_refusals(now)) {
            self.notes.push(format!(
                "whether the security groups of this instance admit anything from the guarded subnets is not known: they were last read at \
                 {seen:.0}, and admitted nothing then"
            ));
        }
    }

    /// How many backends are where they could ever become witnesses.
    fn accusers(&self) -> Option<usize> {
        let map = SubnetMap::new(Some(self.case.guarded.as_ref()?), &[]);
        Some(self.backends.iter().filter(|one| one.addr.is_some() && map.of(one).is_some()).count())
    }

    pub(super) fn refresh_due(&self) -> bool {
        let Some(set) = &self.case.guarded else { return true };
        let age = (self.world.wall)().duration_since(set.seen);
        let in_doubt = self.case.latest().iter().any(|one| !one.cut_off_subnets.is_empty());
        let stale = self.settings.fleet.is_some() && gone(&self.case.latest()) && age >= FLEET_GONE;
        stale || age >= good_for(set, &self.settings.decide, in_doubt) || age.is_negative()
    }

    /// Asks EC2 what is guarded and where it is. What that shows to be wrong is kept for the report.
    pub(super) async fn refresh(&mut self) {
        self.asked = Some(self.world.now());
        let left = self.deadline.saturating_duration_since(Instant::now());
        let known = self.case.guarded.as_ref();
        let (found, own) = join(guarded_set(self.world, self.settings, known, left), self.itself(left)).await;
        self.learn(found.map(|(set, fleet)| (GuardedSet { own, ..set }, fleet)));
    }

    /// This instance as EC2 shows it: what a takeover would go by besides the tables, in one call beside those for the guarded set. Nobody is waited
    /// for to learn which one it is.
    async fn itself(&self, left: Duration) -> Option<Own> {
        let seen = self.case.survey.as_ref().and_then(|survey| survey.identity.as_ref().ok());
        let before = self.case.guarded.as_ref().and_then(|set| set.own.as_ref()).map(|own| &own.id);
        let id = seen.or(self.own.as_ref()).or(before)?.clone();
        let asked = self.world.cloud.instances(std::slice::from_ref(&id));
        let all = tokio::time::timeout(REFRESH.min(left), asked).await.ok()?.ok()?;
        // When it was launched is another time whenever it is read.
        let still = |instance: Instance| Instance { launched_ago: None, ..instance };
        let instance = all.into_iter().find(|one| one.id == id).map(still);
        Some(Own { id, instance })
    }

    /// What EC2 said of the guarded subnets.
    pub(super) fn learn(&mut self, found: Refreshed) {
        self.certain = found.is_ok();
        match found {
            Ok((mut set, fleet)) => {
                if let Some(fleet) = fleet {
                    self.learn_fleet(fleet);
                }
                // Who the table leads to in an outage may have been put there against it, and is not the primary for that.
                let known = self.case.guarded.as_ref().and_then(|before| before.leads_to.clone());
                self.place_taken(&mut set);
                let latest = self.case.latest();
                let well = if latest.is_empty() {
                    self.well
                } else {
                    latest.iter().all(|one| one.verdict == Verdict::Healthy)
                };
                if !well {
                    set.leads_to = known.or(set.leads_to);
                }
                if self.mode == Mode::Act {
                    // What a killed process left would lie about until the next takeover, which may be years.
                    self.world.state.sweep();
                    if let Err(error) = self.world.state.write_guarded(&set) {
                        self.notes.push(error.to_string());
                    }
                }
                self.case.unknown = None;
                if self.case.guarded.replace(set).is_none() {
                    // Judged by the /24 so far; whose subnet is known now may become a witness.
                    for judgement in self.case.latest() {
                        let relabelled = self.relabel(judgement);
                        self.note_witnesses(&relabelled);
                    }
                }
            }
            Err(why) if self.case.guarded.is_none() => self.case.unknown = Some(why),
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

#[cfg(test)]
mod tests;
