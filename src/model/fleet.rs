//! The running instances of the guarded subnets, as EC2 showed them: backends that nobody has to list.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Backend, InstanceId, RouteTableId};

/// So many characters of a `Name` tag stand in a backend's name: EC2 allows 256, and a line of a report has several backends.
const NAMED: usize = 40;

/// The running instances of the guarded subnets, without the NATs (`fleet.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// Layout of the file.
    pub version: u32,
    /// The primary's table, whose subnets they are in.
    pub primary: RouteTableId,
    /// The standby's table.
    pub standby: RouteTableId,
    /// Each of them, by instance id.
    pub members: Vec<Resident>,
    /// How many more there were than are kept.
    #[serde(default)]
    pub more: usize,
    /// How many have no private IPv4 address.
    #[serde(default)]
    pub without_address: usize,
    /// When EC2 first showed just these.
    pub seen: Timestamp,
}

impl Fleet {
    /// Whether the same backends follow from both, whenever they were seen.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self == &Self { seen: self.seen, ..other.clone() }
    }
}

/// One running instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// The instance.
    pub instance: InstanceId,
    /// Its `Name` tag, printable.
    pub name: Option<String>,
    /// The primary private IPv4 address of its primary interface.
    pub addr: IpAddr,
}

impl Resident {
    /// As a backend. It is called `web/i-0abc`, or by its id alone: those of an autoscaling group have one `Name` tag between them, and a
    /// backend's name is its own. Of the tag only what a host name may have is shown.
    #[must_use]
    pub fn backend(&self) -> Backend {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = self.name.as_deref().unwrap_or_default().chars().take(NAMED).map(plain).collect();
        let host = if name.is_empty() { self.instance.to_string() } else { format!("{name}/{}", self.instance) };
        Backend { host, destination: self.addr.to_string(), addr: Some(self.addr) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(name: Option<&str>) -> Resident {
        let name = name.map(str::to_owned);
        Resident { instance: "i-0a1".parse().unwrap(), name, addr: "10.0.10.5".parse().unwrap() }
    }

    #[test]
    fn f035_a_name_tag_is_shown_as_far_as_a_host_name_could_have_it_and_never_stands_alone() {
        for (name, host) in [
            (Some("web"), "web/i-0a1"),
            (None, "i-0a1"),
            (Some(""), "i-0a1"),
            (Some("a b/\u{1b}[31m;rm\n\u{e9}"), "a-b---31m-rm--/i-0a1"),
            (Some("-oProxyCommand=x"), "-oProxyCommand-x/i-0a1"),
        ] {
            let backend = resident(name).backend();
            // What ssh is given is the address.
            assert_eq!((backend.host.as_str(), backend.destination.as_str()), (host, "10.0.10.5"), "{name:?}");
        }
        assert_eq!(resident(Some(&"x".repeat(256))).backend().host.len(), NAMED + "/i-0a1".len());
    }

    #[test]
    fn the_same_instances_are_the_same_fleet_whenever_they_were_seen() {
        let one = Fleet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            members: vec![resident(None)],
            more: 0,
            without_address: 0,
            seen: Timestamp::UNIX_EPOCH,
        };
        assert!(one.same(&Fleet { seen: Timestamp::MAX, ..one.clone() }));
        assert!(!one.same(&Fleet { members: vec![resident(Some("web"))], ..one.clone() }));
        assert!(!one.same(&Fleet { members: Vec::new(), ..one.clone() }));
    }
}
