//! The EC2 API as natwatch meets it: moto, with a layer in front that brings latency, faults, `DryRun`, a log of all calls, and a
//! fabric that follows every change.
//!
//! A successful change reaches the packets before its reply leaves, unless a propagation delay is set. The layer answers
//! `DryRun` itself, as moto would carry some of those calls out.

mod faults;
mod serve;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use faults::{ApiFault, ApiFaultKind};
pub(crate) use serve::{Listener, listen};

use crate::fabric::Fabric;
use crate::moto::Moto;
use crate::options::Options;
use crate::vpc::Ids;
use faults::Armed;
use world::World;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Under way.
    Pending,
    /// Answered with success.
    Done,
    /// Answered with this EC2 error code, `DryRunOperation` included.
    Refused(String),
    /// Never answered, and not done.
    Hung,
    /// Done, and the connection closed without a reply.
    Lost,
    /// A describe, answered with the state before the last change.
    Stale,
}

/// One call of the log.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it arrived.
    pub at: Instant,
    /// Over which of [`Api::connections`].
    pub connection: usize,
    /// Such as `DescribeRouteTables`.
    pub action: String,
    /// Its parameters, `Action` and `Version` left out.
    pub params: BTreeMap<String, String>,
    /// What became of it.
    pub outcome: Outcome,
    /// From arrival to reply; zero while pending.
    pub took: Duration,
}

impl Call {
    /// Whether it asked with `DryRun=true`.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.params.get("DryRun").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether it could have changed anything.
    #[must_use]
    pub fn is_mutating(&self) -> bool {
        is_mutating(&self.action)
    }
}

fn is_mutating(action: &str) -> bool {
    !["Describe", "Get", "Search", "List"].iter().any(|verb| action.starts_with(verb))
}

#[derive(Debug)]
struct Settings {
    describe_latency: Duration,
    mutate_latency: Duration,
    propagation: Duration,
    idle: Option<Duration>,
}

/// The layer in front of moto.
#[derive(Debug)]
pub struct Api {
    moto: Moto,
    world: World,
    calls: Mutex<Vec<Call>>,
    connections: Mutex<Vec<Instant>>,
    armed: Mutex<Vec<Armed>>,
    settings: Mutex<Settings>,
    /// Unfiltered `DescribeRouteTables` before the last change; kept while a `stale` fault is armed.
    before: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Api {
    pub(crate) fn new(
        moto: &Moto,
        fabric: &Arc<Fabric>,
        ids: &Arc<Ids>,
        options: &Options,
    ) -> anyhow::Result<Arc<Self>> {
        let api = Self {
            world: World::new(moto, fabric, ids),
            moto: moto.clone(),
            calls: Mutex::default(),
            connections: Mutex::default(),
            armed: Mutex::default(),
            settings: Mutex::new(Settings {
                describe_latency: options.describe_latency,
                mutate_latency: options.mutate_latency,
                propagation: Duration::ZERO,
                idle: None,
            }),
            before: Mutex::default(),
        };
        api.sync()?;
        Ok(Arc::new(api))
    }

    /// Every call so far, in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    /// Calls that could change something and were no dry runs.
    #[must_use]
    pub fn mutations(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.is_mutating() && !call.is_dry_run()).collect()
    }

    /// Forgets all calls.
    pub fn forget_calls(&self) {
        lock(&self.calls).clear();
    }

    /// Arms a fault, in addition to those armed before it; the first that fits a call is used.
    pub fn arm(&self, fault: ApiFault) {
        lock(&self.armed).push(Armed::new(fault));
    }

    /// Disarms this fault, or all.
    pub fn disarm(&self, fault: Option<&ApiFault>) {
        lock(&self.armed).retain(|armed| fault.is_some_and(|fault| armed.fault != *fault));
        *lock(&self.before) = None;
    }

    /// How long calls take from now on.
    pub fn latency(&self, describe: Duration, mutate: Duration) {
        let mut settings = lock(&self.settings);
        settings.describe_latency = describe;
        settings.mutate_latency = mutate;
    }

    /// How long packets take to follow a change from now on; EC2 promises nothing, seconds have been seen.
    pub fn propagation(&self, delay: Duration) {
        lock(&self.settings).propagation = delay;
    }

    /// When each connection so far was ready for requests, its TLS handshake included. A connection carries one request at a time.
    #[must_use]
    pub fn connections(&self) -> Vec<Instant> {
        lock(&self.connections).clone()
    }

    /// Connections are closed once they have been without a request for so long; `None`: they are the client's to close.
    pub fn idle(&self, limit: Option<Duration>) {
        lock(&self.settings).idle = limit;
    }

    /// Makes the fabric follow what EC2 says now.
    ///
    /// # Errors
    /// When moto or the router cannot be asked.
    pub fn sync(&self) -> anyhow::Result<()> {
        self.world.sync()
    }

    /// Numbers a connection.
    fn opened(&self) -> usize {
        let mut connections = lock(&self.connections);
        connections.push(Instant::now());
        connections.len() - 1
    }

    fn log(&self, connection: usize, action: &str, params: &BTreeMap<String, String>) -> Ticket {
        let mut params = params.clone();
        params.retain(|key, _| key != "Action" && key != "Version");
        let at = Instant::now();
        let (action, outcome) = (action.to_owned(), Outcome::Pending);
        let call = Call { at, connection, action, params, outcome, took: Duration::ZERO };
        lock(&self.calls).push(call);
        Ticket(at)
    }

    fn close(&self, ticket: Ticket, outcome: Outcome) {
        // By time and not by index: the log may have been emptied meanwhile.
        if let Some(call) = lock(&self.calls).iter_mut().find(|call| call.at == ticket.0) {
            call.outcome = outcome;
            call.took = ticket.0.elapsed();
        }
    }
}

/// Names a call in the log: arrivals are strictly ordered by the log's lock and the clock's nanoseconds.
#[derive(Clone, Copy)]
struct Ticket(Instant);
