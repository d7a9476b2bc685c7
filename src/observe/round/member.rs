//! One member's part in a round: its pings.

use std::time::Duration;

use futures_util::future::{join, join_all};
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Event, Observer, Pace, Shout};
use crate::model::{Backend, Family, Fate, Moment, Probe, Silence, Target};
use crate::observe::{Asked, TargetName, Uplink, Vantages};

/// How many pings one backend has under way at once per family: sshd allows ten sessions on a connection (`MaxSessions`,
/// `sshd_config(5)`), and a command given up keeps its own until it ends.
pub(super) const AT_ONCE: usize = 4;

/// How many pings of good targets, all unanswered, a member that is cut off has behind it in each round, whatever the number of
/// targets. The chance that plain packet loss does this to one is the fourth power of that of a single miss, and the odds in
/// `docs/design.md` rest on it: with two, a path that loses a fifth of its packets would be taken for dead within the hour.
const PINGS: usize = 4;

/// What a member of the panel is asked.
pub(in crate::observe) struct Question {
    pub(in crate::observe) backend: Backend,
    /// What it has missed already, from which the round goes on.
    pub(in crate::observe) missed: Vec<Probe>,
    pub(in crate::observe) pace: Pace,
}

impl<V: Vantages, U: Uplink> Observer<'_, V, U> {
    pub(super) async fn hear(
        &self,
        index: usize,
        question: Question,
        targets: &[(TargetName, Result<Target, String>)],
        start: Instant,
        shout: Shout,
    ) -> Event {
        let testimony = async {
            let session = self.session(&question.backend).await?;
            sleep_until(start).await;
            shout.left.set(Some(Instant::now()));
            let of = |family| {
                targets
                    .iter()
                    .filter_map(|(_, one)| one.as_ref().ok())
                    .filter(|one| one.family() == family)
                    .cloned()
                    .collect()
            };
            let of = |family| {
                let mut targets: Vec<Target> = of(family);
                targets.shuffle(&mut *self.rng.borrow_mut());
                targets
            };
            let (v4, v6): (Vec<Target>, Vec<Target>) = (of(Family::V4), of(Family::V6));
            let asked = join_all(
                [v4, v6]
                    .into_iter()
                    .filter(|one| !one.is_empty())
                    .map(|one| self.question(&question, &session, one, &shout)),
            )
            .await;
            let mut probes = Vec::new();
            let mut silence = None;
            for one in asked {
                match one {
                    Ok(found) => probes.extend(found),
                    Err(why) => silence = Some(why),
                }
            }
            match silence {
                Some(why) if probes.is_empty() => {
                    self.leave(&question.backend.host);
                    Err(why)
                }
                _ => Ok(probes),
            }
        };
        let testimony = testimony.await;
        Event::Member(index, testimony)
    }

    /// The pings of one family, `targets`: the first of them first (or several, in a burst), and after a miss the good ones, others
    /// before those that have been asked, until [`Self::wanted`] pings of good targets have been missed or one is answered.
    pub(in crate::observe) async fn question(
        &self,
        question: &Question,
        session: &V::Session,
        mut targets: Vec<Target>,
        shout: &Shout,
    ) -> Result<Vec<Probe>, Silence> {
        let backend = &question.backend;
        let family = targets.first().map(Target::family);
        let missed: Vec<&Probe> =
            question.missed.iter().filter(|probe| Some(probe.target.family()) == family).collect();
        let (mut probes, mut silence) = self.first_pings(backend, session, &targets, question.pace, missed.len()).await;
        // What it missed before does not speak for one who can't be asked now.
        if probes.is_empty()
            && let Some(why) = silence
        {
            return Err(why);
        }
        probes.extend(missed.into_iter().cloned());
        let replied = |probes: &[Probe]| probes.iter().any(|probe| matches!(probe.fate, Fate::Reply { .. }));
        if replied(&probes) {
            return Ok(probes);
        }
        if let Some(first) = probes.first() {
            // The round may be over and nobody listening.
            let _ = shout.miss.send((backend.host.clone(), first.clone()));
        }
        let mut seen = shout.good.clone();
        let good =
            seen.wait_for(Option::is_some).await.map_or_else(|_| Vec::new(), |good| good.clone().unwrap_or_default());
        targets.retain(|target| good.contains(target));
        let counted = |probes: &[Probe]| probes.iter().filter(|probe| good.contains(&probe.target)).count();
        loop {
            if silence.is_some() || replied(&probes) {
                break;
            }
            let missing = self.wanted(targets.len()).saturating_sub(counted(&probes));
            let times = |target: &Target| probes.iter().filter(|probe| probe.target == *target).count();
            targets.sort_by_key(times);
            let next: Vec<Target> = targets.iter().cycle().take(missing.min(AT_ONCE)).cloned().collect();
            if next.is_empty() {
                break;
            }
            let (more, why) = self.ask(backend, session, &next).await;
            probes.extend(more);
            silence = why;
        }
        match silence {
            Some(why) if !replied(&probes) && counted(&probes) < self.settings.tries => Err(why),
            _ => Ok(probes),
        }
    }

    /// One ping; in a burst others too where it has no answer after a while. Not at once, unless a burst has found the
    /// primary down: a whole panel's pings in one moment are more than a target, or a NAT, that limits pings lets pass, and would be
    /// misses of our own making. Those few who have `missed` something already go on at once from there: theirs are the earliest misses,
    /// and a round that ended without them would span less than is known.
    async fn first_pings(
        &self,
        backend: &Backend,
        session: &V::Session,
        targets: &[Target],
        pace: Pace,
        missed: usize,
    ) -> (Vec<Probe>, Option<Silence>) {
        let pings: Vec<Target> = match pace {
            Pace::Calm => targets.first().cloned().into_iter().collect(),
            Pace::Burst(_) | Pace::AtOnce => self.in_turn(targets, AT_ONCE.saturating_sub(missed).max(1)),
        };
        let (first, after) = match pace {
            Pace::AtOnce => (pings.len(), Duration::ZERO),
            Pace::Burst(_) if missed > 0 => (pings.len(), Duration::ZERO),
            Pace::Calm => (pings.len().min(1), Duration::ZERO),
            Pace::Burst(after) => (pings.len().min(1), after),
        };
        let (first, others) = pings.split_at(first);
        let mut asking = std::pin::pin!(self.ask(backend, session, first));
        if others.is_empty() {
            return asking.await;
        }
        if let Ok(done) = timeout(after, &mut asking).await {
            return done;
        }
        let ((mut probes, silence), (more, why)) = join(asking, self.ask(backend, session, others)).await;
        probes.extend(more);
        (probes, silence.or(why))
    }

    /// How many pings of good targets are asked for before a backend is left to its misses. Where `good` are too few to accuse
    /// anybody, each is asked once: any may clear.
    fn wanted(&self, good: usize) -> usize {
        if good < self.settings.tries { good } else { PINGS.max(self.settings.tries) }
    }

    /// So `many` targets, to be asked at once in a burst: those that were good a round ago, where they are enough, so that none is
    /// asked in vain; each again, where there are few.
    fn in_turn(&self, targets: &[Target], many: usize) -> Vec<Target> {
        let known = self.known_good.borrow();
        let good: Vec<Target> = targets.iter().filter(|target| known.contains(&target.addr)).cloned().collect();
        let targets = if good.len() < self.settings.tries { targets } else { &good };
        targets.iter().cycle().take(many).cloned().collect()
    }

    async fn ask(&self, backend: &Backend, session: &V::Session, targets: &[Target]) -> (Vec<Probe>, Option<Silence>) {
        let wait = self.settings.timeout;
        let pings = targets.iter().map(|target| async move {
            let answer = self.vantages.ping(backend, session, target, wait).await;
            (target, answer, Instant::now(), (self.clock)())
        });
        let mut probes = Vec::new();
        let mut silence = None;
        for (target, answer, answered, moment) in join_all(pings).await {
            match answer {
                Ok(asked) => probes.push(probe(target, asked, answered, moment, wait)),
                Err(why) => silence = Some(why),
            }
        }
        (probes, silence)
    }
}

/// A ping as evidence, where `answered` is `moment`.
pub(super) fn probe(target: &Target, asked: Asked, answered: Instant, moment: Moment, wait: Duration) -> Probe {
    let at = |instant: Instant| moment.saturating_sub(answered.saturating_duration_since(instant));
    // It had to be sent a whole timeout before it could be called a miss, unless a router refused it earlier.
    let waited = answered.checked_sub(wait).filter(|sent| asked.fate == Fate::NoReply && *sent >= asked.asked);
    let latest = waited.map_or(asked.begun, |sent| sent.min(asked.begun));
    Probe { target: target.clone(), earliest: at(asked.asked), latest: at(latest), fate: asked.fate }
}
