//! Passes without end, for `watch`: one for each round of the calm, and one for each burst that a miss begins.
//!
//! Nothing that EC2 or a resolver has to say is waited for on the way: what a takeover needs to know is read beside the calm
//! (`reading`), and is at hand when it is needed. What it leads to is a compare-and-swap, so what was true a few minutes ago can make a
//! takeover fail and be repeated with what is true now, but not move anything that is not the primary's.

mod reading;

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pass::{Going, Mode, World, told};
use crate::act::Changer;
use crate::config::Settings;
use crate::decide::{Case, Next};
use crate::model::{Conclusion, Guarded, Outcome, Pass, Round, Verdict};
use crate::observe::calm::{Calm, Cut, Missed};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::witnesses::Witnesses;
use reading::{Reading, Told};

/// Whoever may be asked is drawn anew after this, as witnesses come and go; and at once where EC2 or the names say otherwise.
const DRAWN_FOR: Duration = Duration::from_mins(1);

/// A pass of a watch.
pub struct Passed {
    /// What it came to.
    pub pass: Pass,
    /// It was a burst: something was missed.
    pub burst: bool,
}

/// See the module.
pub struct Lasting<'a, V: Vantages, U, C, H> {
    going: Going<'a, V, U, C, H>,
    calm: Calm<'a, V, U>,
    reading: Reading<'a>,
    drawn: Option<Instant>,
}

impl<'a, V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Lasting<'a, V, U, C, H>
where
    V::Session: 'a,
{
    /// What is remembered, and where everybody is. Each target is pinged once per `interval` while all is well.
    pub async fn begin(
        world: &'a World<'a, V, U, C, H>,
        settings: &'a Settings,
        witnesses: Witnesses,
        mode: Mode,
        interval: Duration,
    ) -> Self {
        let case = Case::new(settings.decide.clone());
        let mut going = Going::prepare(world, settings, witnesses, mode, case).await;
        going.lasting = true;
        let calm = Calm::new(Rc::clone(&going.observer), interval);
        Self { going, calm, reading: Reading::default(), drawn: None }
    }

    /// One pass. Its error is what `wish` came to, which is looked at while all is calm and nowhere else.
    ///
    /// # Errors
    /// The wish.
    pub async fn next<W>(&mut self, wish: impl Future<Output = W>) -> Result<Passed, W> {
        let mut wish = pin!(wish);
        loop {
            // By what the last pass saw.
            self.reading.consider(&self.going);
            let before = self.places();
            self.going.renew();
            if self.places() != before {
                self.drawn = None;
            }
            let missed = match self.calm(wish.as_mut()).await? {
                Cut::Missed(missed) => missed,
                Cut::Round(round) => {
                    let began = self.begin_pass();
                    self.weigh(round);
                    if self.going.case.next() == Next::Rest {
                        self.calm.all_clear();
                        self.going.case.survey = self.reading.seen();
                        let concluded = self.going.rested().await;
                        return Ok(Passed { pass: self.account(concluded, began), burst: false });
                    }
                    // Down, by misses that were no news, and spread over seconds in which much may have come and gone.
                    if !self.calm.rings() {
                        continue;
                    }
                    self.going.case.looks.clear();
                    Vec::new()
                }
            };
            let began = self.begin_pass();
            let concluded = self.burst(missed).await;
            self.going.world.moving.set(false);
            return Ok(Passed { pass: self.account(concluded, began), burst: true });
        }
    }

    /// Where each subnet is.
    fn places(&self) -> Option<Vec<Guarded>> {
        self.going.case.guarded.as_ref().map(|set| set.subnets.clone())
    }

    fn begin_pass(&mut self) -> Instant {
        let began = Instant::now();
        self.going.deadline = began + self.going.settings.deadline;
        began
    }

    /// What all passes of it knew when they decided; of the latest.
    pub const fn case(&self) -> &Case {
        &self.going.case
    }

    /// Who was seen reaching.
    pub const fn witnesses(&mut self) -> &mut Witnesses {
        &mut self.going.witnesses
    }

    /// Both at once.
    pub const fn known(&self) -> (&Case, &Witnesses) {
        (&self.going.case, &self.going.witnesses)
    }

    /// Ends all sessions.
    pub async fn close(self) {
        self.going.observer.close().await;
    }

    async fn calm<W>(&mut self, mut wish: Pin<&mut impl Future<Output = W>>) -> Result<Cut, W> {
        loop {
            self.reading.begin(&self.going);
            if self.drawn.is_none_or(|at| at.elapsed() >= DRAWN_FOR) {
                self.calm.draw(self.going.order());
                self.drawn = Some(Instant::now());
            }
            let due = self.reading.due();
            tokio::select! {
                biased;
                wished = &mut wish => return Err(wished),
                told = self.reading.next() => {
                    self.learn(told);
                    self.going.own = self.reading.own().or(self.going.own.take());
                }
                cut = self.calm.next(self.going.targets.located()) => return Ok(cut),
                () = sleep_until(due) => {}
            }
        }
    }

    /// What was read beside the calm.
    fn learn(&mut self, told: Told) {
        match told {
            Told::Guarded(found, sight) => {
                let before = self.places();
                self.going.learn(*found);
                self.going.sight = sight.map(|sight| *sight);
                if self.places() != before {
                    self.drawn = None;
                    self.reading.again();
                }
            }
            Told::Names(targets, backends) => {
                self.going.targets.take(targets, (self.going.world.wall)());
                if backends != self.going.backends {
                    self.going.backends = backends;
                    self.drawn = None;
                }
            }
        }
    }

    /// A round of the calm.
    fn weigh(&mut self, mut round: Round) {
        // Who was drawn before his subnet went to the standby says nothing of the primary by now.
        let asked = self.going.subnets();
        round.members.retain(|one| asked.of(&one.backend).is_some());
        for one in &mut round.members {
            one.witness = self.going.witness(&one.backend);
        }
        self.going.weigh(round, (self.going.world.clock)());
    }

    /// Rounds in a burst, until it is clear what was missed.
    async fn burst(&mut self, missed: Vec<Missed>) -> Conclusion {
        self.going.missed = missed;
        self.going.place_sent();
        self.going.case.survey = self.reading.survey();
        let enough = self.going.rounds().await;
        if !enough && self.going.case.survey.is_none() {
            self.going.case.survey = self.reading.seen();
        }
        let concluded = if enough { self.going.down().await } else { self.going.rested().await };
        let moved = self.going.case.moves.is_some();
        if moved || enough {
            // Where everything is now is to be asked.
            self.reading.hurry();
        }
        // Who was answered is a witness, and who carries what tells who may be asked.
        self.drawn = None;
        let down = self.going.case.latest().iter().any(|one| one.verdict == Verdict::Down);
        let in_vain = down && concluded.outcome != Outcome::TakenOver;
        self.calm.resume(in_vain, self.going.targets.located().len());
        concluded
    }

    fn account(&mut self, concluded: Conclusion, began: Instant) -> Pass {
        let notes = self.going.tell_of_targets();
        self.going.notes.extend(notes);
        told(&self.going.case, concluded, std::mem::take(&mut self.going.notes), began, self.going.mode)
    }
}
