//! The address plan: which hosts there are, their names, namespaces and addresses. Pure data, no system call.
//!
//! It is written to the runtime folder as `lab.json`, so that a second terminal can address a running lab.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::options::Options;

/// Where the lab keeps what it must find again; one folder per lab.
pub const RUNTIME: &str = "/run/natwatch-lab";
/// The internet's targets: 203.0.113.1 to 203.0.113.5.
pub const TARGETS: u8 = 5;
/// UDP echo service of the measuring flows.
pub const ECHO: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 100), 7);
/// Where EC2 answers.
pub const API: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);
/// The instance metadata service, as everywhere in EC2.
pub const IMDS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The VPC's IPv6 block, of the size that EC2 gives out: documentation addresses (RFC 3849).
pub(crate) const VPC6: &str = "2001:db8::/56";
/// Region of everything in the lab.
pub const REGION: &str = "ap-northeast-1";

/// One of the two NAT instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// `nat1`, 10.0.0.10.
    Primary,
    /// `nat2`, 10.0.0.20: where natwatch runs.
    Standby,
}

impl Nat {
    /// Both, primary first.
    pub const BOTH: [Self; 2] = [Self::Primary, Self::Standby];

    /// The host's name.
    #[must_use]
    pub const fn host(self) -> &'static str {
        match self {
            Self::Primary => "nat1",
            Self::Standby => "nat2",
        }
    }

    /// The instance's private address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Primary => Ipv4Addr::new(10, 0, 0, 10),
            Self::Standby => Ipv4Addr::new(10, 0, 0, 20),
        }
    }
}

impl std::fmt::Display for Nat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
        })
    }
}

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A NAT instance.
    Nat(Nat),
    /// A backend in the private subnet of this number.
    Backend(usize),
    /// The sender of the measuring flow in the private subnet of this number.
    Flow(usize),
    /// Targets, echo service, API.
    Internet,
}

/// A network namespace that plays a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Name within the lab, such as `b0`; also the name of its interface in the router.
    pub name: String,
    /// Name of the network namespace, such as `nw1f2e-b0`.
    pub ns: String,
    /// Its first address.
    pub address: Ipv4Addr,
    /// What it is for.
    pub role: Role,
}

impl Host {
    /// The router's address in this host's subnet: the first one, as in a VPC.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.address.octets();
        match self.role {
            Role::Internet => Ipv4Addr::new(a, b, c, 254),
            _ => Ipv4Addr::new(a, b, c, 1),
        }
    }

    /// Every address the host owns on its interface.
    #[must_use]
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        match self.role {
            Role::Internet => (1..=TARGETS).map(target).chain([ECHO.0, API]).collect(),
            _ => vec![self.address],
        }
    }

    /// Likewise of IPv6, in a lab that has it.
    #[must_use]
    pub fn addresses6(&self) -> Vec<Ipv6Addr> {
        match self.role {
            Role::Internet => (1..=TARGETS).map(target6).collect(),
            _ => vec![v6(self.address)],
        }
    }

    /// Hardware address of the host's end of its link; fixed, so that no ARP is ever needed.
    #[must_use]
    pub fn mac(&self) -> String {
        mac(0x0a, self.address)
    }

    /// Hardware address of the router's end.
    #[must_use]
    pub fn router_mac(&self) -> String {
        mac(0x0e, self.address)
    }

    /// The namespace's file.
    #[must_use]
    pub fn ns_path(&self) -> PathBuf {
        ns_path(&self.ns)
    }
}

fn mac(kind: u8, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:{kind:02x}:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The file iproute2 keeps for a named namespace.
#[must_use]
pub fn ns_path(ns: &str) -> PathBuf {
    Path::new("/run/netns").join(ns)
}

/// The address of target `n`, counted from 1.
#[must_use]
pub const fn target(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, n)
}

/// The IPv6 address of target `n`, counted from 1.
#[must_use]
pub const fn target6(n: u8) -> Ipv6Addr {
    v6(target(n))
}

/// The IPv6 address that goes with an IPv4 one of the lab's: a /64 for each /24, below [`VPC6`] in the VPC and beside it elsewhere.
pub(crate) const fn v6(address: Ipv4Addr) -> Ipv6Addr {
    let [a, _, c, d] = address.octets();
    // A literal of one byte is a segment as it is.
    let subnet = if a == 10 { c as u16 } else { 0x0100 };
    Ipv6Addr::new(0x2001, 0x0db8, 0, subnet, 0, 0, 0, d as u16)
}

/// All of a lab's hosts and places.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's short name and the prefix of all its namespaces, such as `nw1f2e`.
    pub id: String,
    /// Its folder under [`RUNTIME`].
    pub root: PathBuf,
    /// CIDRs of the private subnets.
    pub subnets: Vec<Ipv4Net>,
    /// Every host but the router.
    pub hosts: Vec<Host>,
    /// Whether the API speaks TLS.
    pub tls: bool,
    /// Whether there is IPv6.
    pub ipv6: bool,
}

impl Plan {
    /// Lays out a lab of that size; `options` have been checked.
    pub(crate) fn new(id: &str, options: &Options) -> anyhow::Result<Self> {
        let host =
            |name: String, address: Ipv4Addr, role: Role| Host { ns: format!("{id}-{name}"), name, address, role };
        let octet = |n: usize| u8::try_from(n).context("the address plan has no room for so many");
        let mut hosts = vec![host("inet".to_owned(), target(1), Role::Internet)];
        hosts.extend(Nat::BOTH.map(|nat| host(nat.host().to_owned(), nat.address(), Role::Nat(nat))));
        let mut subnets = Vec::new();
        for subnet in 0..options.subnets {
            let third = octet(10 + subnet)?;
            subnets.push(Ipv4Net::new(Ipv4Addr::new(10, 0, third, 0), 24)?);
            hosts.push(host(format!("f{subnet}"), Ipv4Addr::new(10, 0, third, 250), Role::Flow(subnet)));
        }
        for n in 0..options.backends {
            let subnet = n % options.subnets;
            let address = Ipv4Addr::new(10, 0, octet(10 + subnet)?, octet(10 + n)?);
            hosts.push(host(format!("b{n}"), address, Role::Backend(subnet)));
        }
        Ok(Self {
            id: id.to_owned(),
            root: Path::new(RUNTIME).join(id),
            subnets,
            hosts,
            tls: options.tls,
            ipv6: options.ipv6,
        })
    }

    /// The router's namespace.
    #[must_use]
    pub fn router(&self) -> String {
        format!("{}-vpc", self.id)
    }

    /// The IPv6 block of a private subnet, in a lab that has IPv6.
    #[must_use]
    pub fn subnet6(&self, subnet: &Ipv4Net) -> Option<Ipv6Net> {
        Ipv6Net::new(v6(subnet.network()), 64).ok().filter(|_| self.ipv6)
    }

    /// A NAT's addresses: one, or two in a lab that has IPv6.
    #[must_use]
    pub fn nat_addresses(&self, nat: Nat) -> Vec<IpAddr> {
        self.both(nat.address())
    }

    /// A target's addresses: one, or two in a lab that has IPv6.
    #[must_use]
    pub fn target_addresses(&self, n: u8) -> Vec<IpAddr> {
        self.both(target(n))
    }

    fn both(&self, address: Ipv4Addr) -> Vec<IpAddr> {
        std::iter::once(address.into()).chain(self.ipv6.then(|| v6(address).into())).collect()
    }

    /// Every namespace of the lab, the router's first.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        std::iter::once(self.router()).chain(self.hosts.iter().map(|host| host.ns.clone())).collect()
    }

    /// The host of that name.
    ///
    /// # Errors
    /// When there is none, with the names there are.
    pub fn host(&self, name: &str) -> anyhow::Result<&Host> {
        self.hosts.iter().find(|host| host.name == name).with_context(|| {
            let names: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            format!("there is no host `{name}` in this lab, only {}", names.join(", "))
        })
    }

    /// A NAT instance's host.
    ///
    /// # Errors
    /// Never in a plan made by `new`.
    pub fn nat(&self, nat: Nat) -> anyhow::Result<&Host> {
        self.host(nat.host())
    }

    /// The host that plays the internet.
    ///
    /// # Errors
    /// Never in a plan made by `new`.
    pub fn internet(&self) -> anyhow::Result<&Host> {
        self.host("inet")
    }

    /// All backends, `b0` first.
    pub fn backends(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| matches!(host.role, Role::Backend(_)))
    }

    /// Where the API answers.
    #[must_use]
    pub fn endpoint(&self) -> String {
        if self.tls { format!("https://{API}") } else { format!("http://{API}") }
    }

    /// Certificate of the lab's authority, PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// natwatch's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("etc/natwatch.toml")
    }

    /// natwatch's state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The service user's private key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.root.join("keys/id_ed25519")
    }

    /// All backends' host keys, by address and by name.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.root.join("keys/known_hosts")
    }

    /// A hosts file with the backends and nobody else.
    #[must_use]
    pub fn hosts_file(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// The copy of the binary under test.
    #[must_use]
    pub fn binary(&self) -> PathBuf {
        self.root.join("bin/natwatch")
    }

    /// The socket on which a running `lab up` takes commands.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_spread_round_robin() {
        let plan = Plan::new("nw0000", &Options::default()).unwrap();
        let of = |name| plan.host(name).unwrap().address.to_string();
        assert_eq!(of("b0"), "10.0.10.10");
        assert_eq!(of("b1"), "10.0.11.11");
        assert_eq!(of("b4"), "10.0.10.14");
        assert_eq!(of("f1"), "10.0.11.250");
        assert_eq!(plan.host("b3").unwrap().gateway().to_string(), "10.0.11.1");
        assert_eq!(plan.backends().count(), 6);
        assert!(plan.host("b6").is_err());
    }

    #[test]
    fn the_largest_lab_has_distinct_addresses() {
        let options = Options { subnets: 64, backends: 200, ..Options::default() };
        let plan = Plan::new("nw0000", &options).unwrap();
        let addresses: std::collections::BTreeSet<_> = plan.hosts.iter().map(|host| host.address).collect();
        assert_eq!(addresses.len(), plan.hosts.len());
    }
}
