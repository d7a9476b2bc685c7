//! What IPv6 needs besides: addresses, neighbours and routes like IPv4's, and the NATs' masquerading (NAT66).
//!
//! A NAT instance that masquerades IPv6 is the case in which one family can die while the other lives. Neighbours are permanent here
//! too, so there is no neighbour discovery; there are no link-local addresses and no router advertisements.

use super::{PUBLIC_TABLE, masquerade_by};
use crate::plan::{Host, Nat, Plan, Role, VPC6, v6};
use crate::{netns, shell};

/// A lab without IPv6.
pub(super) const OFF: [(&str, &str); 2] =
    [("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1")];

/// A lab with IPv6. Only `default` matters where links are still to come.
pub(super) const ON: [(&str, &str); 5] = [
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    // No link-local addresses: nobody needs one, and nobody has to wait for one.
    ("ipv6/conf/default/addr_gen_mode", "1"),
    // A crashed host's link comes back with the addresses that it had.
    ("ipv6/conf/default/keep_addr_on_down", "1"),
    ("ipv6/conf/all/keep_addr_on_down", "1"),
];

/// Gives everybody IPv6; the links stand.
pub(super) fn raise(plan: &Plan) -> anyhow::Result<()> {
    let router = plan.router();
    netns::sysctl(&router, &[("ipv6/conf/all/forwarding", "1")])?;
    shell::ip6(&router, &router_setup(plan)?)?;
    for host in &plan.hosts {
        let mut lines: Vec<String> =
            host.addresses6().iter().map(|address| format!("address add {address}/128 dev eth0 nodad")).collect();
        lines.extend(link_up(host));
        shell::ip6(&host.ns, &lines)?;
    }
    for nat in Nat::BOTH {
        let ns = &plan.nat(nat)?.ns;
        netns::sysctl(ns, &[("ipv6/conf/all/forwarding", "1")])?;
        masquerade(ns, true)?;
    }
    Ok(())
}

/// What a link that was down has lost.
pub(super) fn link_up(host: &Host) -> Vec<String> {
    let gateway = v6(host.gateway());
    vec![
        format!("neigh replace {gateway} lladdr {} dev eth0 nud permanent", host.router_mac()),
        format!("route replace default via {gateway} dev eth0 onlink"),
    ]
}

/// Adds or removes a NAT's rule. Running flows feel it at once.
pub(super) fn masquerade(ns: &str, on: bool) -> anyhow::Result<()> {
    masquerade_by("ip6tables", ns, on)
}

fn router_setup(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let internet = v6(plan.internet()?.address);
    let mut rules = vec!["rule add pref 10 lookup main".to_owned(), format!("route add blackhole {VPC6}")];
    let mut lines = Vec::new();
    for host in &plan.hosts {
        let name = &host.name;
        for address in host.addresses6() {
            lines.push(format!("neigh add {address} lladdr {} dev {name} nud permanent", host.mac()));
            if !matches!(host.role, Role::Internet) {
                lines.push(format!("route add {address}/128 dev {name}"));
            }
        }
        let table = match host.role {
            Role::Nat(_) => PUBLIC_TABLE,
            Role::Backend(subnet) | Role::Flow(subnet) => PUBLIC_TABLE + 1 + subnet,
            Role::Internet => continue,
        };
        rules.push(format!("rule add pref {PUBLIC_TABLE} iif {name} lookup {table}"));
    }
    lines.extend(rules);
    lines.push(format!("route add default via {internet} dev inet onlink table {PUBLIC_TABLE}"));
    Ok(lines)
}
