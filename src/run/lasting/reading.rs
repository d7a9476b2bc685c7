//! What is read beside the calm, off the path of a takeover: EC2 (what it says of a record that is not complete, too) and this machine, and the
//! addresses of names.

use std::future::pending;
use std::time::Duration;

use futures_util::future::{FutureExt as _, LocalBoxFuture, join};
use jiff::Timestamp;
use tokio::time::Instant;

use super::super::asked::{Sight, beside, incomplete};
use super::super::pass::Going;
use super::super::rest::{Refreshed, guarded_set};
use super::super::rounds::survey;
use crate::act::Changer;
use crate::decide;
use crate::model::{Backend, Instance, InstanceId, Survey};
use crate::observe::resolve::{self, Located, System};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};

/// EC2 is read this often while all is well: a handful of describes, where an account's bucket of them is refilled with 20 each second
/// ("Request throttling for the Amazon EC2 API" in the EC2 developer guide).
const EVERY: Duration = Duration::from_mins(5);

/// And this often while a takeover is on record, a subnet is away from home, whole subnets are cut off, this standby could not take over, or
/// EC2 gave no answer: who brings the subnets back by hand wants them guarded again.
const IN_DOUBT: Duration = Duration::from_secs(30);

/// And once more after this, when subnets are seen to have moved: EC2 may have said the half of it ("Eventual consistency in the Amazon EC2
/// API" in the EC2 developer guide).
const SETTLED: Duration = Duration::from_secs(10);

/// What a takeover may go by: two readings, one of which may have failed.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// Names are looked up this often: the resolver of a VPC is on the link, and a name that has moved is asked where it was for no longer.
const NAMES_EVERY: Duration = Duration::from_secs(10);

/// What EC2 may take. Nobody waits for it, and a next reading must not be kept from coming.
const WITHIN: Duration = Duration::from_secs(8);

/// Something was read.
pub(super) enum Told {
    /// What is guarded, and where it is; who runs there; and what there is to say of a record that is not complete.
    Guarded(Box<Refreshed>, Option<Box<Sight>>),
    /// Where everybody is.
    Names(Vec<Located>, Vec<Backend>),
}

/// What is guarded and who runs there, and what EC2 says of the record.
type Known = (Refreshed, Option<Sight>);

/// See the module.
#[derive(Default)]
pub(super) struct Reading<'a> {
    ec2: Option<LocalBoxFuture<'a, (Known, Survey)>>,
    names: Option<LocalBoxFuture<'a, (Vec<Located>, Vec<Backend>)>>,
    /// When EC2 is to be read; `None`: at once.
    ec2_due: Option<Instant>,
    names_due: Option<Instant>,
    survey: Option<(Instant, Survey)>,
    /// The latest, whatever EC2 answered of it.
    latest: Option<Survey>,
    /// This instance.
    own: Option<InstanceId>,
    /// When EC2 was last asked.
    begun: Option<Instant>,
    /// When the takeover record that was last looked at was written; the earliest there is: there was none that can be read.
    recorded: Option<Timestamp>,
}

impl<'a> Reading<'a> {
    /// Looks at what bears on when EC2 is to be read, once a pass.
    pub(super) fn consider<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
        &mut self,
        going: &Going<'a, V, U, C, H>,
    ) {
        let written = going.world.state.read_record(None).present().map_or(Timestamp::MIN, |record| record.changed);
        if self.recorded.replace(written).is_some_and(|before| before != written) {
            // Somebody moves subnets, step by step, or says that they are home: what was read between two steps is out of date.
            self.hurry();
        }
        if going.moved() || going.refresh_due() || !decide::unfit(&going.case).is_empty() {
            let sooner = self.begun.map_or_else(Instant::now, |at| at + IN_DOUBT);
            self.ec2_due = self.ec2_due.map(|due| due.min(sooner));
        }
    }

    /// Begins what is due.
    pub(super) fn begin<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(&mut self, going: &Going<'a, V, U, C, H>) {
        let now = Instant::now();
        let (world, settings) = (going.world, going.settings);
        if self.ec2.is_none() && self.ec2_due.is_none_or(|due| due <= now) {
            let known = going.case.guarded.clone();
            let record = incomplete(world, going.mode);
            let guarded = async move {
                let guarded = guarded_set(world, settings, known.as_ref(), WITHIN).await;
                let set = guarded.as_ref().ok().map(|(set, _)| set);
                let sight = beside(world, &settings.decide, record, set, WITHIN).await;
                (guarded, sight)
            };
            let reading = async move { join(guarded, survey(world, settings, WITHIN)).await };
            self.ec2 = Some(reading.boxed_local());
            self.begun = Some(now);
        }
        if self.names.is_none() && self.names_due.is_none_or(|due| due <= now) {
            let known = going.targets.known((world.wall)());
            let before = going.backends.clone();
            let names = &settings.observe.targets;
            let looking = async move {
                join(
                    resolve::targets(&System, names, &known, None),
                    resolve::backends(&System, &settings.observe.backends, &before),
                )
                .await
            };
            self.names = Some(looking.boxed_local());
        }
    }

    /// When something is to be begun that is not under way.
    pub(super) fn due(&self) -> Instant {
        let far = Instant::now() + EVERY;
        let ec2 = if self.ec2.is_some() { far } else { self.ec2_due.unwrap_or(far) };
        let names = if self.names.is_some() { far } else { self.names_due.unwrap_or(far) };
        ec2.min(names)
    }

    /// Waits for the next of what is under way. May be dropped: nothing is lost by that.
    pub(super) async fn next(&mut self) -> Told {
        let Self { ec2, names, .. } = self;
        let ec2 = async { if let Some(reading) = ec2 { reading.await } else { pending().await } };
        let names = async { if let Some(looking) = names { looking.await } else { pending().await } };
        tokio::select! {
            ((guarded, sight), survey) = ec2 => {
                let now = Instant::now();
                self.ec2 = None;
                self.own = survey.identity.as_ref().ok().cloned().or(self.own.take());
                let answered = survey.answered();
                self.ec2_due = Some(now + if answered && guarded.is_ok() { EVERY } else { IN_DOUBT });
                self.latest = Some(survey.clone());
                if answered {
                    self.survey = Some((now, survey));
                }
                Told::Guarded(Box::new(guarded), sight.map(Box::new))
            }
            (targets, backends) = names => {
                self.names = None;
                self.names_due = Some(Instant::now() + NAMES_EVERY);
                Told::Names(targets, backends)
            }
        }
    }

    /// The latest survey, where a takeover may go by it.
    pub(super) fn survey(&self) -> Option<Survey> {
        let good = self.survey.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR);
        good.map(|(at, survey)| aged(survey.clone(), at.elapsed()))
    }

    /// What is known of whether this standby could take over: by what EC2 has answered, or else by what it has not.
    pub(super) fn seen(&self) -> Option<Survey> {
        self.survey().or_else(|| self.latest.clone())
    }

    /// This instance, as soon as it is known.
    pub(super) fn own(&self) -> Option<InstanceId> {
        self.own.clone()
    }

    /// Subnets have moved since the reading before.
    pub(super) fn again(&mut self) {
        let sooner = Instant::now() + SETTLED;
        self.ec2_due = self.ec2_due.map(|due| due.min(sooner));
    }

    /// What was read is no longer so.
    pub(super) fn hurry(&mut self) {
        (self.survey, self.latest, self.ec2, self.ec2_due) = (None, None, None, None);
    }
}

/// What was read so long ago, with the ages that it has by now: gate `booting` opens by itself.
fn aged(mut survey: Survey, by: Duration) -> Survey {
    if let Ok(uptime) = &mut survey.uptime {
        *uptime += by;
    }
    if let Some(Ok(Some(Instance { launched_ago: Some(ago), .. }))) = &mut survey.primary {
        *ago += by;
    }
    survey
}
