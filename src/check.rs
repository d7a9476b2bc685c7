//! `natwatch check`: what a monitoring system is told, from one round made now or from the last pass of `run`.
//!
//! It changes nothing: neither in AWS, nor in the state folder, nor does it take a lock. Whatever keeps it from looking is UNKNOWN, on
//! stdout, since nobody reads a plugin's stderr.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use crate::cli::{Format, Global};
use crate::config::{Settings, duration};
use crate::decide;
use crate::model::failure::exit;
use crate::model::{Failure, Found, Outcome, Pass, ServiceState, printable};
use crate::record::State;
use crate::record::events::Events;
use crate::record::lock::{self, LockError, Watcher};
use crate::record::pause::in_force;
use crate::record::round::LastRound;
use crate::record::witnesses::Witnesses;
use crate::report;
use crate::report::plugin::{self, Check};
use crate::run::clients::{self, Clients};
use crate::run::pass::{self, Mode};
use crate::run::signal;

/// What `--max-age` takes: a timer does not run more often than each second, and what is a month old is no state.
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);

/// Nagios and Icinga kill a check after 60 s (`service_check_timeout`, `check_timeout`), and then nobody learns why. The longest way
/// takes about half of this: EC2 twice, 5 s each, and a round with slow logins between.
const ANSWER_WITHIN: Duration = Duration::from_secs(50);

/// Of a pause, whose reason an operator may have given at length.
const PAUSE_SHOWN: usize = 100;

/// Looks, prints the line, and returns the exit status 0 to 3.
///
/// # Errors
/// What kept it from looking, for [`unknown`]; 64: `--max-age` makes no sense.
pub async fn command(settings: &Settings, global: &Global, max_age: Option<&str>) -> Result<u8, Failure> {
    let began = Instant::now();
    let max_age = max_age
        .map(|text| duration(text).ok().filter(|age| MAX_AGE.contains(age)).ok_or_else(|| wrong(text)))
        .transpose()?;
    let state = State::look(&settings.state).map_err(|error| Failure::new(exit::FAILED, error.to_string()))?;
    let last = Last::read(&state, Timestamp::now());
    let watcher = lock::watching(&state);
    // Beside a `watch` its last round is judged, unless that is of one that hangs.
    let within = settings.watched_within();
    let mut check = match last.young(max_age.or(watcher.as_ref().map(|_| within))) {
        Some(pass) => Check { saved: true, ..judged(settings, pass.clone(), pass.because.clone()) },
        None => look(settings, &state).await?,
    };
    check.age = last.age();
    check.max_age = max_age;
    let paused = in_force(state.read_pause(), Timestamp::now());
    let (remark, unwatched) = last.remark(check.saved, max_age, watcher.as_ref().map(|watcher| (watcher, within)));
    if (unwatched || paused.is_some()) && check.state == ServiceState::Ok {
        // The network is well, and nobody would do anything about it if it were not.
        check.state = ServiceState::Warning;
    }
    check.remarks.extend(paused.map(|paused| printable(&paused.to_string(), PAUSE_SHOWN)));
    check.remarks.push(remark);
    let waiting = Events::look(&state).map_or(0, |events| events.count());
    check.remarks.extend((waiting > 0).then(|| report::undelivered(waiting)));
    check.elapsed = began.elapsed();
    let text = match global.format {
        Format::Json => plugin::json(&check),
        Format::Text => plugin::line(&check),
    };
    // The status says it, whether or not anybody could be told more.
    if let Err(error) = report::stdout(&text) {
        tracing::warn!(event = "stdout", "stdout: {error}");
    }
    Ok(check.state.exit())
}

/// Tells a monitoring system what kept the check from being made: UNKNOWN, exit status 3.
///
/// # Errors
/// A wrong command line stays what it is, 64: consumers take any status above 3 for UNKNOWN.
pub fn unknown(global: &Global, failure: Failure) -> Result<u8, Failure> {
    if failure.exit == exit::USAGE {
        return Err(failure);
    }
    for line in failure.text.lines() {
        tracing::info!(event = "error", "{line}");
    }
    let text = match global.format {
        Format::Json => plugin::failure_json(&failure),
        Format::Text => plugin::failure(&failure),
    };
    if let Err(error) = report::stdout(&text) {
        tracing::warn!(event = "stdout", "stdout: {error}");
    }
    Ok(ServiceState::Unknown.exit())
}

fn wrong(age: &str) -> Failure {
    let text = format!("--max-age {}: a duration within \"1s\" and \"720h\" is wanted, like 10m", printable(age, 40));
    Failure::new(exit::USAGE, text)
}

/// The last pass of `run`, as far as it is of use now.
#[derive(Debug)]
enum Last {
    /// There is none.
    Never,
    /// There is something, but not one to go by.
    Unusable(String),
    /// Read, and not dated in the future.
    Known {
        /// What it came to.
        pass: Box<Pass>,
        /// How old it is.
        age: Duration,
        /// Nothing has happened since that it can't know of.
        stands: bool,
    },
}

impl Last {
    fn read(state: &State, now: Timestamp) -> Self {
        let last = match state.read_last_round::<IgnoredAny>() {
            Found::Present(last) => last,
            Found::Absent => return Self::Never,
            other => return Self::Unusable(other.trouble().unwrap_or_default()),
        };
        match Duration::try_from(now.duration_since(last.at)) {
            Ok(age) => Self::Known { stands: stands(state, &last), pass: Box::new(last.pass), age },
            Err(_) => Self::Unusable(format!("the last run is dated {:.0}: was the clock set back?", last.at)),
        }
    }

    /// The pass, if it may be judged in place of a round made now.
    fn young(&self, max_age: Option<Duration>) -> Option<&Pass> {
        match self {
            Self::Known { pass, age, stands: true } if max_age.is_some_and(|limit| *age <= limit) => Some(pass),
            _ => None,
        }
    }

    const fn age(&self) -> Option<Duration> {
        match self {
            Self::Known { age, .. } => Some(*age),
            Self::Never | Self::Unusable(_) => None,
        }
    }

    /// What to say of it, and whether it shows that nobody watches; with a watcher, the age from which on it hangs.
    fn remark(&self, judged: bool, max_age: Option<Duration>, watcher: Option<(&Watcher, Duration)>) -> (String, bool) {
        match (self, watcher) {
            (Self::Known { age, .. }, Some((Watcher { pid, .. }, within))) => {
                let ago = report::span(*age);
                let late = *age > max_age.unwrap_or(within);
                let text = if judged {
                    format!("by the watch (process {pid}) {ago} ago")
                } else if late {
                    format!("the last round of the watch (process {pid}) was {ago} ago: does it hang?")
                } else {
                    format!("last round of the watch (process {pid}) {ago} ago")
                };
                (text, late)
            }
            (Self::Known { age, .. }, None) => {
                let ago = report::span(*age);
                match max_age {
                    _ if judged => (format!("by the run {ago} ago"), false),
                    Some(limit) if *age > limit => (format!("the last run was {ago} ago: is the timer running?"), true),
                    _ => (format!("last run {ago} ago"), false),
                }
            }
            (Self::Never, Some((Watcher { pid, .. }, _))) => {
                (format!("a watch (process {pid}) is at work, and no round of it is on record"), false)
            }
            (Self::Never, None) => {
                let mut text = "no run is on record".to_owned();
                if max_age.is_some() {
                    let _ = write!(text, ": is the timer running?");
                }
                (text, max_age.is_some())
            }
            (Self::Unusable(why), _) => (why.clone(), max_age.is_some()),
        }
    }
}

/// Whether a pass still says what is: nobody is moving subnets, and the takeover record is as it left it. A run that was killed in a
/// takeover has left a record and no pass; after a reset there is a pass that knows of a lock and none to be found.
fn stands(state: &State, last: &LastRound<IgnoredAny>) -> bool {
    let of_lock =
        matches!(last.pass.outcome, Outcome::Locked | Outcome::TakenOver | Outcome::Partial | Outcome::Unverified);
    let unchanged = match state.read_record(None) {
        Found::Absent => !of_lock,
        Found::Present(record) => record.changed <= last.at,
        Found::Corrupt { .. } | Found::Newer { .. } | Found::Foreign { .. } => false,
    };
    unchanged && lock::peek(state).is_none()
}

/// One round now.
async fn look(settings: &Settings, state: &State) -> Result<Check, Failure> {
    let (witnesses, trouble) = Witnesses::load(state, Timestamp::now());
    let clients = Clients::build(settings, &witnesses)?;
    let host = clients.host(settings).await?;
    let clock = clients::clock();
    let world = clients.world(&host, state, &clock, &|text| tracing::info!(event = "progress", "{text}"));
    let busy = lock::peek(state).map(|holder| LockError::Busy(Some(holder)).to_string());
    let looking = timeout(ANSWER_WITHIN, pass::pass(&world, settings, witnesses, Mode::Look));
    let given_up = |why: String| Failure::new(exit::UNKNOWN, why);
    let done = tokio::select! {
        // First: its handlers must be there before anything is started that a signal has to end.
        biased;
        number = signal() => Err(given_up(format!("ended by signal {number}"))),
        done = Box::pin(looking) => done.map_err(|_| given_up(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
    };
    let mut done = match done {
        Ok(done) => done,
        Err(failure) => {
            clients.close().await;
            return Err(failure);
        }
    };
    done.pass.notes.splice(0..0, trouble);
    let because = match decide::lead(&done.pass.latest()) {
        // A pass that plans nothing has nothing to say of plans and gates.
        Some(round) if done.pass.outcome == Outcome::Down => round.because.clone(),
        _ => done.pass.because.clone(),
    };
    let mut check = judged(settings, done.pass, because);
    check.remarks.extend(busy);
    Ok(check)
}

fn judged(settings: &Settings, pass: Pass, because: String) -> Check {
    let bearable =
        pass.latest().iter().map(|round| (round.family, decide::bearable(round, &settings.decide))).collect();
    Check {
        name: settings.name.clone(),
        state: decide::service_state(&pass),
        because,
        remarks: Vec::new(),
        pass,
        saved: false,
        age: None,
        max_age: None,
        bearable,
        elapsed: Duration::ZERO,
    }
}
