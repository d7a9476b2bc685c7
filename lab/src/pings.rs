//! The pings that arrive at the targets, as the targets see them: after the NAT, and before any rule of the targets' own.
//!
//! A packet socket (packet(7)) in the `inet` namespace hears every packet that comes in, whatever becomes of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketType};

use crate::netns;
use crate::plan::Plan;
use crate::prompt::prompt;

/// How long a tap sleeps at most when nothing comes, before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(50);

/// An echo request that has arrived at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// When it was seen; later than it arrived by what a busy machine takes to run a thread.
    pub at: Instant,
    /// Whose it seems to be: behind a NAT, the NAT's address.
    pub source: IpAddr,
    /// Which target.
    pub target: IpAddr,
}

#[derive(Debug, Default)]
struct Seen {
    pings: Vec<Ping>,
    /// Port of the latest mark of each family.
    marks: Vec<u16>,
}

/// A record of pings from the moment it was asked for; ends when dropped.
#[derive(Debug)]
pub struct Pings {
    inet: String,
    families: Vec<IpAddr>,
    seen: Arc<Mutex<Seen>>,
    _taps: Vec<Tap>,
}

impl Pings {
    pub(crate) fn listen(plan: &Plan) -> anyhow::Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let inet = plan.internet()?.ns.clone();
        let families: Vec<IpAddr> = std::iter::once(Ipv4Addr::LOCALHOST.into())
            .chain(plan.ipv6.then_some(Ipv6Addr::LOCALHOST.into()))
            .collect();
        let tap = |loopback: &IpAddr| {
            let record = Arc::clone(&seen);
            Tap::start(&inet, loopback.is_ipv6(), move |packet| match parse(packet) {
                Some(Packet::Request(ping, _)) => lock(&record).pings.push(ping),
                Some(Packet::Mark(port)) => lock(&record).marks.push(port),
                None => {}
            })
        };
        let taps = families.iter().map(tap).collect::<anyhow::Result<_>>()?;
        Ok(Self { inet, families, seen, _taps: taps })
    }

    /// Every ping that has arrived before this call, in order.
    ///
    /// # Errors
    /// When the record does not keep up for five seconds.
    pub fn seen(&self) -> anyhow::Result<Vec<Ping>> {
        // Packets are heard in order: what came before a mark is on record when the mark is.
        for loopback in &self.families {
            let port = netns::within(&self.inet, || {
                let socket = UdpSocket::bind((*loopback, 0))?;
                socket.send_to(&[], (*loopback, MARK))?;
                Ok(socket.local_addr()?.port())
            })?;
            let patience = Instant::now() + Duration::from_secs(5);
            while !lock(&self.seen).marks.contains(&port) {
                anyhow::ensure!(Instant::now() < patience, "the record of pings does not keep up");
                thread::sleep(Duration::from_millis(1));
            }
        }
        let mut seen = lock(&self.seen);
        seen.marks.clear();
        Ok(seen.pings.clone())
    }

    /// Forgets every ping so far.
    ///
    /// # Errors
    /// As [`Self::seen`].
    pub fn forget(&self) -> anyhow::Result<()> {
        self.seen()?;
        lock(&self.seen).pings.clear();
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One family's ear in the `inet` namespace.
#[derive(Debug)]
pub(crate) struct Tap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Every packet goes to `heard`, from the network header on; an empty one now and then when nothing comes.
    pub(crate) fn start(inet: &str, ipv6: bool, mut heard: impl FnMut(&[u8]) + Send + 'static) -> anyhow::Result<Self> {
        let socket = netns::within(inet, || {
            // ETH_P_IPV6 and ETH_P_IP of linux/if_ether.h, in network order as packet(7) wants them. A protocol given here needs no bind.
            let protocol: u16 = if ipv6 { 0x86dd } else { 0x0800 };
            let protocol = NonZeroU32::new(protocol.to_be().into()).map(Protocol::from_raw);
            let socket = rustix::net::socket(AddressFamily::PACKET, SocketType::DGRAM, protocol)
                .context("open a packet socket")?;
            set_socket_timeout(&socket, Timeout::Recv, Some(NAP))?;
            Ok(socket)
        })?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("lab-tap".to_owned()).spawn(move || {
            prompt();
            while !stopped.load(Ordering::SeqCst) {
                match receive(&socket) {
                    Ok(packet) => heard(&packet),
                    Err(Errno::AGAIN | Errno::INTR) => heard(&[]),
                    // Its namespace is gone.
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

fn receive(socket: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 2048];
    let (length, _) = rustix::net::recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Discard (RFC 863): nobody listens there, and whoever pings does not use it.
const MARK: u16 = 9;

/// A packet that somebody wants to know of.
pub(crate) enum Packet<'a> {
    /// An echo request, and its ICMP message.
    Request(Ping, &'a [u8]),
    /// A datagram of ours on the loopback interface, from this port.
    Mark(u16),
}

/// Reads an IP packet from its header on.
pub(crate) fn parse(packet: &[u8]) -> Option<Packet<'_>> {
    let version = packet.first()? >> 4;
    let (source, target, protocol, payload): (IpAddr, IpAddr, u8, &[u8]) = if version == 4 {
        let length = usize::from(packet.first()? & 0x0f) * 4;
        let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
        (address(12)?.into(), address(16)?.into(), *packet.get(9)?, packet.get(length..)?)
    } else {
        let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
        (address(8)?.into(), address(24)?.into(), *packet.get(6)?, packet.get(40..)?)
    };
    let port = |at: usize| Some(u16::from_be_bytes(payload.get(at..at + 2)?.try_into().ok()?));
    match (protocol, payload.first()?) {
        // ICMP and ICMPv6, each with its own number for an echo request.
        (1, 8) | (58, 128) => Some(Packet::Request(Ping { at: Instant::now(), source, target }, payload)),
        (17, _) if source.is_loopback() && port(2)? == MARK => Some(Packet::Mark(port(0)?)),
        _ => None,
    }
}
