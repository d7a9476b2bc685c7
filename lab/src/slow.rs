//! A target that answers late. This kernel may have no `netem`, so the answer is made here: the target's own is dropped, and ours
//! leaves when it is due.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto};

use crate::fabric::word;
use crate::netns;
use crate::pings::{Packet, Tap, parse};
use crate::plan::Plan;

/// Answers for one target, until dropped.
#[derive(Debug)]
pub(crate) struct SlowTarget {
    _taps: Vec<Tap>,
}

impl SlowTarget {
    pub(crate) fn start(plan: &Plan, n: u8, delay: Duration) -> anyhow::Result<Self> {
        let inet = plan.internet()?.ns.clone();
        let taps = plan.target_addresses(n).into_iter().map(|target| {
            let socket = Arc::new(netns::within(&inet, || open(target))?);
            Tap::start(&inet, target.is_ipv6(), move |packet| {
                if let Some(Packet::Request(ping, message)) = parse(packet)
                    && ping.target == target
                {
                    let (socket, reply) = (Arc::clone(&socket), reply(message, target.is_ipv6()));
                    thread::spawn(move || {
                        thread::sleep(delay);
                        // A reply that cannot be sent is one that got lost on the way.
                        let _ =
                            rustix::net::sendto(&*socket, &reply, SendFlags::empty(), &SocketAddr::new(ping.source, 0));
                    });
                }
            })
        });
        Ok(Self { _taps: taps.collect::<anyhow::Result<_>>()? })
    }

    /// What keeps the target itself from answering, in nft's words.
    pub(crate) fn rules(plan: &Plan, n: u8) -> Vec<String> {
        let rule = |target: &IpAddr| {
            let icmp = if target.is_ipv4() { "icmp" } else { "icmpv6" };
            format!("{} daddr {target} {icmp} type echo-request drop", word(target))
        };
        plan.target_addresses(n).iter().map(rule).collect()
    }
}

/// A raw socket that sends as `target` (raw(7)); the kernel does the checksum of `ICMPv6` (RFC 3542, 3.1), and not that of ICMP.
fn open(target: IpAddr) -> anyhow::Result<OwnedFd> {
    let (family, protocol) =
        if target.is_ipv4() { (AddressFamily::INET, ipproto::ICMP) } else { (AddressFamily::INET6, ipproto::ICMPV6) };
    let socket = rustix::net::socket(family, SocketType::RAW, Some(protocol)).context("open a raw socket")?;
    rustix::net::bind(&socket, &SocketAddr::new(target, 0)).with_context(|| format!("be {target}"))?;
    Ok(socket)
}

/// The echo reply to a request: its message with another type.
fn reply(request: &[u8], ipv6: bool) -> Vec<u8> {
    let mut reply = request.to_vec();
    let kind: u8 = if ipv6 { 129 } else { 0 };
    for (place, byte) in [(0, kind), (2, 0), (3, 0)] {
        if let Some(at) = reply.get_mut(place) {
            *at = byte;
        }
    }
    if !ipv6 {
        let [high, low] = checksum(&reply).to_be_bytes();
        for (place, byte) in [(2, high), (3, low)] {
            if let Some(at) = reply.get_mut(place) {
                *at = byte;
            }
        }
    }
    reply
}

/// RFC 1071.
fn checksum(message: &[u8]) -> u16 {
    let word =
        |pair: &[u8]| u32::from_be_bytes([0, 0, pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]);
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_sums_up_to_nothing_and_keeps_the_rest() {
        let request = [8, 0, 0x12, 0x34, 0xab, 0xcd, 0, 1, 7, 7, 7];
        let reply = reply(&request, false);
        assert_eq!(checksum(&reply), 0, "{reply:?}");
        assert_eq!((reply[0], &reply[4..]), (0, &request[4..]));
    }
}
