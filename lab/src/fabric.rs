//! The VPC's fabric: namespaces, links, the implicit router with one routing table per private subnet, the internet gateway's rule,
//! source/destination checks, and the rules of packet faults.
//!
//! What IPv6 needs besides, in a lab that has it, is in `six`.
//!
//! It carries out what it is told and knows nothing of EC2; `api` decides what the route tables mean.
//! Neighbours are permanent on both ends of a link: no ARP, so a dead host is a black hole as in a VPC, never "host unreachable".

mod six;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net};

use crate::plan::{Host, IMDS, Nat, Plan, Role, v6};
use crate::{netns, shell};

/// Where a route sends packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// To a NAT instance.
    Nat(Nat),
    /// Nowhere: the instance is stopped, or unknown.
    Blackhole,
}

/// What a private subnet's route table says, local routes aside.
pub type Routes = BTreeMap<IpNet, Hop>;

#[derive(Debug, Default)]
struct State {
    /// Rules of active packet faults by the fault's name.
    blocks: BTreeMap<String, Vec<String>>,
    /// Likewise of those that the internet's hosts have themselves.
    at_targets: BTreeMap<String, Vec<String>>,
    /// NATs with source/destination check on.
    checked: Vec<Nat>,
    /// What the router has now, by subnet.
    routes: Vec<Routes>,
}

#[derive(Debug)]
pub(crate) struct Fabric {
    plan: Arc<Plan>,
    state: Mutex<State>,
}

/// Routing table number of the NATs' own subnet; private subnet `s` has the one `s + 1` after it.
const PUBLIC_TABLE: usize = 1000;

impl Fabric {
    /// Makes everything; packets flow, but no private subnet has a route yet.
    pub(crate) fn raise(plan: &Arc<Plan>) -> anyhow::Result<Self> {
        let router = plan.router();
        shell::ip(None, &plan.namespaces().iter().map(|ns| format!("netns add {ns}")).collect::<Vec<_>>())?;
        harden(plan)?;
        let link = |host: &Host| {
            let Host { name, ns, .. } = host;
            let (near, far) = (host.router_mac(), host.mac());
            format!("link add {name} netns {router} address {near} type veth peer name eth0 netns {ns} address {far}")
        };
        shell::ip(None, &plan.hosts.iter().map(link).collect::<Vec<_>>())?;
        shell::ip(Some(&router), &router_setup(plan)?)?;
        for host in &plan.hosts {
            let mut lines = vec!["link set lo up".to_owned()];
            lines.extend(host.addresses().iter().map(|address| format!("address add {address}/32 dev eth0")));
            if let Role::Nat(_) = host.role {
                lines.push(format!("address add {IMDS}/32 dev lo"));
            }
            lines.extend(link_up(host));
            shell::ip(Some(&host.ns), &lines)?;
        }
        for nat in Nat::BOTH {
            masquerade(&plan.nat(nat)?.ns, true)?;
        }
        if plan.ipv6 {
            six::raise(plan)?;
        }
        let fabric = Self {
            plan: Arc::clone(plan),
            state: Mutex::new(State { routes: vec![Routes::new(); plan.subnets.len()], ..State::default() }),
        };
        fabric.write_rules(&fabric.lock())?;
        Ok(fabric)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves this state whole: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the router follow a subnet's route table.
    pub(crate) fn route(&self, subnet: usize, wanted: &Routes) -> anyhow::Result<()> {
        self.route_all(&[(subnet, wanted.clone())])
    }

    /// The same for several at once: the process that tells the router is what takes the time.
    pub(crate) fn route_all(&self, all: &[(usize, Routes)]) -> anyhow::Result<()> {
        let mut state = self.lock();
        let mut lines = Vec::new();
        for (subnet, wanted) in all {
            let present = state.routes.get(*subnet).with_context(|| format!("there is no private subnet {subnet}"))?;
            lines.extend(self.changes(PUBLIC_TABLE + 1 + subnet, present, wanted));
        }
        if !lines.is_empty() {
            shell::ip(Some(&self.plan.router()), &lines)?;
            for (subnet, wanted) in all {
                state.routes[*subnet].clone_from(wanted);
            }
        }
        Ok(())
    }

    /// What `ip` is told to make `wanted` of `present`.
    fn changes(&self, table: usize, present: &Routes, wanted: &Routes) -> Vec<String> {
        let carried = |net: &IpNet| self.plan.ipv6 || net.addr().is_ipv4();
        let mut lines = Vec::new();
        for (net, hop) in wanted.iter().filter(|(net, hop)| carried(net) && present.get(*net) != Some(*hop)) {
            lines.push(match hop {
                Hop::Nat(nat) => {
                    let address = nat_address(*nat, net);
                    format!("route replace {net} via {address} dev {} onlink table {table}", nat.host())
                }
                Hop::Blackhole => format!("route replace blackhole {net} table {table}"),
            });
        }
        lines.extend(
            present
                .keys()
                .filter(|net| carried(net) && !wanted.contains_key(*net))
                .map(|net| format!("route del {net} table {table}")),
        );
        lines
    }

    /// Where the router sends this subnet's traffic to the internet now.
    pub(crate) fn carrier(&self, subnet: usize) -> Option<Hop> {
        self.lock().routes.get(subnet)?.get(&Ipv4Net::default().into()).copied()
    }

    /// Switches a NAT's source/destination check.
    pub(crate) fn check(&self, nat: Nat, on: bool) -> anyhow::Result<()> {
        let mut state = self.lock();
        if state.checked.contains(&nat) == on {
            return Ok(());
        }
        state.checked.retain(|other| *other != nat);
        if on {
            state.checked.push(nat);
        }
        self.write_rules(&state)
    }

    /// Adds the rules of a packet fault, in nft's words, to the router; in place of those it may have.
    pub(crate) fn block(&self, fault: &str, rules: Vec<String>) -> anyhow::Result<()> {
        let mut state = self.lock();
        state.blocks.insert(fault.to_owned(), rules);
        self.write_rules(&state)
    }

    /// Takes a packet fault's rules away again.
    pub(crate) fn unblock(&self, fault: &str) -> anyhow::Result<()> {
        let mut state = self.lock();
        if state.blocks.remove(fault).is_none() {
            return Ok(());
        }
        self.write_rules(&state)
    }

    /// Gives the internet's hosts the rules of a fault, in nft's words, against what comes in; in place of those it may have.
    pub(crate) fn block_at_targets(&self, fault: &str, rules: Option<Vec<String>>) -> anyhow::Result<()> {
        let mut state = self.lock();
        match rules {
            Some(rules) => drop(state.at_targets.insert(fault.to_owned(), rules)),
            None => drop(state.at_targets.remove(fault)),
        }
        let rules: Vec<String> = state.at_targets.values().flatten().cloned().collect();
        replace_rules(&self.plan.internet()?.ns, &chain("input", &rules))
    }

    /// Replaces all rules of the router in one transaction.
    fn write_rules(&self, state: &State) -> anyhow::Result<()> {
        let mut rules: Vec<String> = state.blocks.values().flatten().cloned().collect();
        for nat in &state.checked {
            for address in self.plan.nat_addresses(*nat) {
                let (name, ip) = (nat.host(), word(&address));
                rules.push(format!("iifname \"{name}\" {ip} saddr != {address} drop"));
                rules.push(format!("oifname \"{name}\" {ip} daddr != {address} drop"));
            }
        }
        // The internet gateway carries hosts with a public address only.
        let nats: Vec<IpAddr> = Nat::BOTH.iter().flat_map(|nat| self.plan.nat_addresses(*nat)).collect();
        for ip in ["ip", "ip6"] {
            let of: Vec<String> = nats.iter().filter(|nat| word(nat) == ip).map(ToString::to_string).collect();
            if !of.is_empty() {
                let nats = of.join(", ");
                rules.push(format!("oifname \"inet\" {ip} saddr != {{ {nats} }} drop"));
                rules.push(format!("iifname \"inet\" {ip} daddr != {{ {nats} }} drop"));
            }
        }
        let quiet = ["icmp", "icmpv6"].map(|icmp| format!("{icmp} type destination-unreachable drop"));
        replace_rules(&self.plan.router(), &(chain("forward", &rules) + &chain("output", &quiet)))
    }

    /// Takes a host's link down, or up again with the routes that went with it.
    pub(crate) fn link(&self, name: &str, up: bool) -> anyhow::Result<()> {
        let host = self.plan.host(name)?;
        let lines = if up { link_up(host) } else { vec!["link set eth0 down".to_owned()] };
        shell::ip(Some(&host.ns), &lines)?;
        if up && self.plan.ipv6 { shell::ip6(&host.ns, &six::link_up(host)) } else { Ok(()) }
    }

    /// Gives a NAT's interface the hardware address EC2 has for it, so that what IMDS says is true of the host.
    pub(crate) fn readdress(&self, nat: Nat, mac: &str) -> anyhow::Result<()> {
        let host = self.plan.nat(nat)?;
        shell::ip(Some(&host.ns), &[format!("link set eth0 address {mac}")])?;
        // A link with a new address forgets its neighbours.
        self.link(&host.name, true)?;
        let neighbours = self.plan.nat_addresses(nat).into_iter();
        let neighbours =
            neighbours.map(|address| format!("neigh replace {address} lladdr {mac} dev {} nud permanent", host.name));
        shell::ip(Some(&self.plan.router()), &neighbours.collect::<Vec<_>>())
    }

    /// Adds or removes a NAT's masquerade rule. Running flows feel it at once.
    pub(crate) fn masquerade(&self, nat: Nat, on: bool) -> anyhow::Result<()> {
        masquerade(&self.plan.nat(nat)?.ns, on)
    }

    /// Switches a NAT's `ip_forward`.
    pub(crate) fn forward(&self, nat: Nat, on: bool) -> anyhow::Result<()> {
        netns::sysctl(&self.plan.nat(nat)?.ns, &[("ipv4/ip_forward", if on { "1" } else { "0" })])
    }

    /// Likewise of IPv6.
    pub(crate) fn masquerade6(&self, nat: Nat, on: bool) -> anyhow::Result<()> {
        six::masquerade(&self.plan.nat(nat)?.ns, on)
    }

    /// Likewise of IPv6: `net.ipv6.conf.all.forwarding`.
    pub(crate) fn forward6(&self, nat: Nat, on: bool) -> anyhow::Result<()> {
        netns::sysctl(&self.plan.nat(nat)?.ns, &[("ipv6/conf/all/forwarding", if on { "1" } else { "0" })])
    }

    /// Takes the metadata service's address away, or gives it back: requests vanish in the meantime.
    pub(crate) fn imds(&self, on: bool) -> anyhow::Result<()> {
        for nat in Nat::BOTH {
            let verb = if on { "replace" } else { "del" };
            shell::ip(Some(&self.plan.nat(nat)?.ns), &[format!("address {verb} {IMDS}/32 dev lo")])?;
        }
        Ok(())
    }
}

/// Settings that must stand before the first link, because links inherit them.
fn harden(plan: &Plan) -> anyhow::Result<()> {
    const QUIET: [(&str, &str); 4] = [
        // Redirects would teach backends a way around the NAT; a VPC never sends one.
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ];
    for ns in plan.namespaces() {
        netns::sysctl(&ns, &QUIET)?;
        netns::sysctl(&ns, if plan.ipv6 { &six::ON } else { &six::OFF })?;
    }
    netns::sysctl(&plan.router(), &[("ipv4/ip_forward", "1")])?;
    for nat in Nat::BOTH {
        netns::sysctl(&plan.nat(nat)?.ns, &[("ipv4/ip_forward", "1")])?;
    }
    for host in plan.backends() {
        // Newer iputils relies on it instead of a capability.
        netns::sysctl(&host.ns, &[("ipv4/ping_group_range", "0 2147483647")])?;
    }
    Ok(())
}

/// nft's word for the address's family.
pub(crate) const fn word(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

/// The NAT's address that a route to `net` goes by.
fn nat_address(nat: Nat, net: &IpNet) -> IpAddr {
    if net.addr().is_ipv4() { nat.address().into() } else { v6(nat.address()).into() }
}

fn chain(hook: &str, rules: &[String]) -> String {
    let rules = rules.join("\n");
    format!("chain {hook} {{ type filter hook {hook} priority filter; policy accept;\n{rules}\n}}\n")
}

fn replace_rules(ns: &str, chains: &str) -> anyhow::Result<()> {
    let script = format!("add table inet lab\ndelete table inet lab\ntable inet lab {{\n{chains}}}\n");
    netns::within(ns, || shell::run(Command::new("nft").args(["-f", "-"]), &script).map(drop))
}

fn router_setup(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let internet = plan.internet()?.address;
    let mut lines = vec![
        "link set lo up".to_owned(),
        // Local traffic first, as the VPC's `local` route; what nobody owns in the VPC goes nowhere.
        "rule add pref 10 lookup main".to_owned(),
        "route add blackhole 10.0.0.0/16".to_owned(),
        format!("route add default via {internet} dev inet onlink table {PUBLIC_TABLE}"),
    ];
    let gateways: std::collections::BTreeSet<_> = plan.hosts.iter().map(Host::gateway).collect();
    lines.extend(gateways.iter().map(|gateway| format!("address add {gateway}/32 dev lo")));
    for host in &plan.hosts {
        let name = &host.name;
        lines.push(format!("link set {name} up"));
        for address in host.addresses() {
            lines.push(format!("neigh add {address} lladdr {} dev {name} nud permanent", host.mac()));
            if !matches!(host.role, Role::Internet) {
                lines.push(format!("route add {address}/32 dev {name}"));
            }
        }
        let table = match host.role {
            Role::Nat(_) => PUBLIC_TABLE,
            Role::Backend(subnet) | Role::Flow(subnet) => PUBLIC_TABLE + 1 + subnet,
            Role::Internet => continue,
        };
        lines.push(format!("rule add pref {PUBLIC_TABLE} iif {name} lookup {table}"));
    }
    // `route` with link routes needs every link to be up first.
    lines.sort_by_key(|line| !line.starts_with("link "));
    Ok(lines)
}

fn link_up(host: &Host) -> Vec<String> {
    let gateway = host.gateway();
    vec![
        "link set eth0 up".to_owned(),
        format!("neigh replace {gateway} lladdr {} dev eth0 nud permanent", host.router_mac()),
        format!("route replace default via {gateway} dev eth0 onlink"),
    ]
}

fn masquerade(ns: &str, on: bool) -> anyhow::Result<()> {
    masquerade_by("iptables", ns, on)
}

fn masquerade_by(iptables: &str, ns: &str, on: bool) -> anyhow::Result<()> {
    let verb = if on { "-A" } else { "-D" };
    netns::within(ns, || {
        let mut iptables = Command::new(iptables);
        iptables.args(["-w", "5", "-t", "nat", verb, "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"]);
        shell::run(&mut iptables, "").map(drop)
    })?;
    netns::flush_conntrack(ns)
}
