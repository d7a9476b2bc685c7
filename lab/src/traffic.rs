//! The measure: in every private subnet a flow of 50 datagrams a second through the NAT to the echo service and back.
//!
//! A tool's own log is never the measure; what its users feel is the longest silence.

mod outage;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use outage::{Outage, Sample};

use crate::netns;
use crate::plan::{ECHO, Plan, Role};
use crate::prompt::prompt;

/// Time between two datagrams of a flow.
pub const PERIOD: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Flow {
    samples: Arc<Mutex<Vec<Sample>>>,
    threads: Vec<JoinHandle<()>>,
}

/// The flows of all private subnets.
#[derive(Debug)]
pub struct Traffic {
    plan: Arc<Plan>,
    running: Arc<AtomicBool>,
    flows: Mutex<Vec<Flow>>,
}

impl Traffic {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), running: Arc::default(), flows: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Flow>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts all flows with empty records; nothing if they run.
    ///
    /// # Errors
    /// When a socket cannot be made in its namespace.
    pub fn start(&self) -> anyhow::Result<()> {
        let mut flows = self.lock();
        if self.running.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        flows.clear();
        for host in self.plan.hosts.iter().filter(|host| matches!(host.role, Role::Flow(_))) {
            let socket = netns::within(&host.ns, || {
                let socket = UdpSocket::bind((host.address, 0))?;
                socket.connect(ECHO)?;
                socket.set_read_timeout(Some(Duration::from_millis(100)))?;
                Ok(socket)
            })?;
            flows.push(Flow::start(socket, &self.running).with_context(|| format!("start the flow of {}", host.name))?);
        }
        Ok(())
    }

    /// Stops all flows; their records stay until the next start.
    pub fn stop(&self) {
        let mut flows = self.lock();
        self.running.store(false, Ordering::SeqCst);
        for thread in flows.iter_mut().flat_map(|flow| flow.threads.drain(..)) {
            // A panic there has been printed; the record tells that replies are missing.
            let _ = thread.join();
        }
    }

    /// A point in time to measure from.
    #[must_use]
    pub fn mark(&self) -> Instant {
        Instant::now()
    }

    /// Everything a subnet's flow has sent, in order.
    #[must_use]
    pub fn samples(&self, subnet: usize) -> Vec<Sample> {
        let flows = self.lock();
        flows
            .get(subnet)
            .map(|flow| flow.samples.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    /// The longest silence of every subnet's flow that ends after `since`, or goes on now.
    #[must_use]
    pub fn outages_since(&self, since: Instant) -> Vec<Outage> {
        let now = Instant::now();
        (0..self.plan.subnets.len()).map(|subnet| Outage::find(subnet, &self.samples(subnet), since, now)).collect()
    }

    /// The worst of [`Self::outages_since`].
    #[must_use]
    pub fn outage_since(&self, since: Instant) -> Duration {
        self.outages_since(since).into_iter().map(|outage| outage.silence).max().unwrap_or_default()
    }

    /// A subnet's flow as text, one character a bucket: `#` all came back, `+` some, `.` none, ` ` nothing sent.
    #[must_use]
    pub fn strip(&self, subnet: usize, from: Instant, to: Instant, bucket: Duration) -> String {
        outage::strip(&self.samples(subnet), from, to, bucket)
    }

    /// Waits until in every subnet a datagram sent after this call has come back.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn wait_flowing(&self, patience: Duration) -> anyhow::Result<()> {
        self.wait(patience, "flows", |samples, since| {
            samples.iter().any(|sample| sample.sent >= since && sample.back.is_some())
        })
    }

    /// Waits until in every subnet nothing has come back for a quarter of a second.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn wait_silent(&self, patience: Duration) -> anyhow::Result<()> {
        // A reply takes a millisecond, so twelve datagrams without one are no hiccup of a busy machine; none sent would be one.
        let quiet = Duration::from_millis(250);
        self.wait(patience, "is silent", |samples, since| {
            let late = samples.iter().rev().take_while(|sample| sample.sent.elapsed() <= quiet);
            let asked = late.clone().count();
            since.elapsed() >= quiet && asked >= 6 && late.clone().all(|sample| sample.back.is_none())
        })
    }

    fn wait(&self, patience: Duration, what: &str, holds: impl Fn(&[Sample], Instant) -> bool) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            let missing = (0..self.plan.subnets.len()).find(|subnet| !holds(&self.samples(*subnet), since));
            let Some(subnet) = missing else { return Ok(()) };
            anyhow::ensure!(since.elapsed() < patience, "after {patience:?}, it is not so that subnet {subnet} {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Flow {
    fn start(socket: UdpSocket, running: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let samples = Arc::<Mutex<Vec<Sample>>>::default();
        let (echo, record, run) = (socket.try_clone()?, Arc::clone(&samples), Arc::clone(running));
        let receiver =
            thread::Builder::new().name("lab-flow-in".to_owned()).spawn(move || receive(&echo, &record, &run))?;
        let (record, run) = (Arc::clone(&samples), Arc::clone(running));
        let sender =
            thread::Builder::new().name("lab-flow-out".to_owned()).spawn(move || send(&socket, &record, &run))?;
        Ok(Self { samples, threads: vec![sender, receiver] })
    }
}

fn send(socket: &UdpSocket, record: &Mutex<Vec<Sample>>, running: &AtomicBool) {
    prompt();
    let mut next = Instant::now();
    while running.load(Ordering::SeqCst) {
        let number = {
            let mut samples = record.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push(Sample { sent: Instant::now(), back: None });
            samples.len() as u64 - 1
        };
        // A send that fails (no route, link down) is a lost datagram, which is what is measured.
        let _ = socket.send(&number.to_be_bytes());
        next += PERIOD;
        // A frozen machine must not make up for what it missed with a burst.
        next = next.max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn receive(socket: &UdpSocket, record: &Mutex<Vec<Sample>>, running: &AtomicBool) {
    prompt();
    let mut buffer = [0_u8; 8];
    while running.load(Ordering::SeqCst) {
        if let Ok(8) = socket.recv(&mut buffer) {
            let back = Instant::now();
            let mut samples = record.lock().unwrap_or_else(PoisonError::into_inner);
            let number = usize::try_from(u64::from_be_bytes(buffer)).unwrap_or(usize::MAX);
            if let Some(sample) = samples.get_mut(number) {
                sample.back.get_or_insert(back);
            }
        }
    }
}
