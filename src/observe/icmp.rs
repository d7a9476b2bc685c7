//! The control pings: what the standby itself reaches over its own uplink.
//!
//! Unprivileged datagram sockets where `net.ipv4.ping_group_range` allows them, else raw ones with `CAP_NET_RAW` (icmp(7)).

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::time::{Instant, sleep_until};

use super::Uplink;
use crate::model::{ControlFate, Family};

/// The standby's ICMP sockets, opened when first needed.
pub struct Icmp {
    v4: OnceLock<Result<Client, String>>,
    v6: OnceLock<Result<Client, String>>,
    identifier: PingIdentifier,
    sequence: std::cell::Cell<u16>,
}

impl Icmp {
    /// `identifier` tells our raw replies from those of another process; draw it at random.
    #[must_use]
    pub const fn new(identifier: u16) -> Self {
        Self {
            v4: OnceLock::new(),
            v6: OnceLock::new(),
            identifier: PingIdentifier(identifier),
            sequence: std::cell::Cell::new(0),
        }
    }

    /// Whether pings of `family` can be sent at all.
    ///
    /// # Errors
    /// Why no socket can be opened, with the remedy where it is a matter of rights.
    pub fn ready(&self, family: Family) -> Result<(), String> {
        self.client(family).map(drop)
    }

    fn client(&self, family: Family) -> Result<&Client, String> {
        let (slot, kind) = match family {
            Family::V4 => (&self.v4, ICMP::V4),
            Family::V6 => (&self.v6, ICMP::V6),
        };
        let open = || {
            Client::new(&Config::builder().kind(kind).build()).map_err(|error| {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    "this user may not send pings: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or run with CAP_NET_RAW".to_owned()
                } else {
                    format!("no {family} ICMP socket: {error}")
                }
            })
        };
        slot.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    async fn once(
        &self,
        client: &Client,
        addr: IpAddr,
        at: Instant,
        until: Instant,
    ) -> Result<Option<Duration>, String> {
        sleep_until(at).await;
        let mut pinger = client.pinger(addr, self.identifier).await;
        pinger.timeout(until.saturating_duration_since(Instant::now()));
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        match pinger.ping(PingSequence(sequence), &[0; 16]).await {
            Ok((packet, rtt)) if is_echo_reply(&packet) => Ok(Some(rtt)),
            // On a raw socket an ICMP error about our packet comes back as an answer; it is none.
            Ok(_) | Err(SurgeError::Timeout { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn is_echo_reply(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == 0,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == 129,
    }
}

impl Uplink for Icmp {
    async fn ping(&self, addr: IpAddr, timeout: Duration, tries: u32) -> ControlFate {
        let client = match self.client(Family::of(addr)) {
            Ok(client) => client,
            Err(why) => return ControlFate::NotAsked(why),
        };
        let start = Instant::now();
        let mut answers: FuturesUnordered<_> =
            (0..tries).map(|n| self.once(client, addr, start + timeout * n / tries, start + timeout)).collect();
        let mut refused = None;
        let mut asked = false;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(rtt)) => return ControlFate::Good { rtt },
                Ok(None) => asked = true,
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) if !asked => ControlFate::NotAsked(why),
            _ => ControlFate::NoReply,
        }
    }
}
