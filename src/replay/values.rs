//! What single values of a scenario mean, each with the range that is accepted; pure.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::config::duration;
use crate::model::{Family, RouteTableId, Target, printable};

/// How much of a value is shown that is not accepted.
const SHOWN: usize = 100;

/// A duration as configurations have it: `"700ms"`, `"1.5s"`, `"5m"`, `"24h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let accepted = "a duration within \"0s\" and \"99999h\", such as \"700ms\", \"3s\" or \"24h\"";
        // Far more than any pass, and no sum of them overflows.
        let time = duration(&text).ok().filter(|time| *time <= Duration::from_hours(99_999));
        time.map(Self).ok_or_else(|| unfit(quoted(&text), accepted))
    }
}

/// A count of backends, rounds or subnets in a scenario: 0 to 1000, far more than a panel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Few(pub(super) usize);

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        let few = usize::try_from(number).ok().filter(|few| *few <= 1000);
        few.map(Self).ok_or_else(|| unfit(number, "0 to 1000"))
    }
}

/// How many times a round is repeated, how many rounds or backends a rule wants: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Many(pub(super) usize);

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        let few = usize::try_from(number).ok().filter(|few| (1..=1000).contains(few));
        few.map(Self).ok_or_else(|| unfit(number, "1 to 1000"))
    }
}

/// A share, 0 up to but not including 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(from)?;
        // As it would be written: `1.0`.
        let written = if share.fract() == 0.0 { format!("{share:.1}") } else { share.to_string() };
        if (0.0..1.0).contains(&share) { Ok(Self(share)) } else { Err(unfit(written, "0 up to but not including 1")) }
    }
}

/// A target: an address, or `name=address` where it has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At(pub(super) Target);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (name, addr) = text.rsplit_once('=').unwrap_or((&text, &text));
        let addr: Result<IpAddr, _> = addr.parse();
        addr.map(|addr| Self(Target { name: name.to_owned(), addr }))
            .map_err(|_| unfit(quoted(&text), "an address such as \"192.0.2.1\" or \"2001:db8::1\", or name=address"))
    }
}

/// Where a subnet is: on the primary's table, the standby's, or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Primary,
    Standby,
    Table(RouteTableId),
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "primary" => Ok(Self::Primary),
            "standby" => Ok(Self::Standby),
            id => id
                .parse()
                .map(Self::Table)
                .map_err(|_| unfit(quoted(&text), "\"primary\", \"standby\" or a table's id, \"rtb-…\"")),
        }
    }
}

/// The families by the names that reports have for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Called {
    IPv4,
    IPv6,
}

impl From<Called> for Family {
    fn from(called: Called) -> Self {
        match called {
            Called::IPv4 => Self::V4,
            Called::IPv6 => Self::V6,
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text, SHOWN))
}

fn unfit<E: de::Error>(found: impl fmt::Display, accepted: &str) -> E {
    E::custom(format!("{found} is not accepted; accepted: {accepted}"))
}
