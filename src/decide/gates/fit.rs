//! Whether this instance could carry the traffic, as far as can be known beforehand: gate `unfit`.

use std::collections::BTreeSet;

use super::hold;
use crate::decide::DecideSettings;
use crate::model::cloud::{Masquerade, Sighting};
use crate::model::{Family, Gate, Hold, Instance, InstanceId, Interface, InterfaceId, RouteTable, Survey};

/// What this machine itself lacks to carry the traffic.
pub(in crate::decide) fn machine(survey: &Survey) -> Vec<Hold> {
    let mut holds = Vec::new();
    let (lacks, sysctl) = match survey.ip_forward_of {
        Family::V4 => ("this instance does not forward", "net.ipv4.ip_forward"),
        Family::V6 => ("this instance does not forward IPv6", "net.ipv6.conf.all.forwarding"),
    };
    match &survey.ip_forward {
        Ok(true) => {}
        Ok(false) => {
            holds.push(hold(Gate::Unfit, format!("{lacks}: {sysctl} is 0"), format!("sysctl -w {sysctl}=1")));
        }
        Err(why) => {
            let why = format!("{sysctl} can't be read: {why}");
            holds.push(hold(Gate::Unfit, why, "let the service read /proc/sys"));
        }
    }
    let all = "all that is forwarded, and no rule accepts anything before";
    match &survey.masquerade {
        Masquerade::Dropped { chain, remedy } => {
            holds.push(hold(Gate::Unfit, format!("{chain} drops {all}"), remedy.clone()));
        }
        Masquerade::Told(seen) if seen.dropped => {
            let why = format!("a chain of this instance's filter drops {all}, {seen}");
            holds.push(hold(Gate::Unfit, why, "natwatch doctor, as root, names the chain and what to do"));
        }
        _ => {}
    }
    if survey.masquerade.is_absent() {
        let six = matches!(
            survey.masquerade,
            Masquerade::Plain { .. } | Masquerade::Told(Sighting { family: Family::V6, .. })
        );
        let (lacks, rule) = if six {
            (
                "this instance translates no source of IPv6, and all IPv6 addresses of the guarded subnets are unique local ones (RFC 4193), to which \
                 nothing comes back from the internet: no such rule in nftables or ip6tables",
                "ip6tables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE",
            )
        } else {
            (
                "this instance does not masquerade: no such rule in nftables or iptables for what the guarded subnets send",
                "iptables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE",
            )
        };
        let (seen, again) = match &survey.masquerade {
            // Who decides by what root saw must be told anew.
            Masquerade::Told(seen) => (format!(", {seen}"), "; then, as root: natwatch run"),
            _ => (String::new(), ""),
        };
        holds.push(hold(Gate::Unfit, format!("{lacks}{seen}"), format!("{rule}{again}")));
    }
    holds
}

/// Nothing can be planned for an instance that does not know which one it is.
pub(in crate::decide) fn unknown_identity(why: &str) -> Hold {
    hold(Gate::Unfit, format!("this instance's id is not known: {why}"), "set standby.instance")
}

/// Whether the standby's table leads to this instance, over an interface that lets foreign packets pass.
///
/// Returns the interface whose source/destination check the plan has to switch off, where there is one.
pub(super) fn carries(
    (identity, own): (&InstanceId, Option<&Instance>),
    judged: &[Family],
    (primary, table): (&RouteTable, &RouteTable),
    settings: &DecideSettings,
) -> Result<Option<InterfaceId>, Vec<Hold>> {
    let Some(instance) = own else {
        return Err(vec![hold(
            Gate::Foreign,
            format!("this instance, {identity}, is not known to EC2 in this region"),
            "correct standby.instance or standby.region",
        )]);
    };
    let mut holds: Vec<Hold> = behind_the_primary(primary, instance).into_iter().collect();
    let mut checked: Vec<&Interface> = Vec::new();
    let routes = settings.method.destinations().iter().map(|one| Family::of(one.addr()));
    let families: BTreeSet<Family> = judged.iter().copied().chain(routes).collect();
    for family in families {
        match leads_here(table, instance, family) {
            Ok(interface) => checked.extend(interface.filter(|one| one.source_dest_check && !checked.contains(one))),
            Err(found) => holds.push(found),
        }
    }
    // The plan switches one check off; a second interface (one for each family) is the operator's to mend.
    let ours = usize::from(settings.disable_source_dest_check);
    holds.extend(checked.iter().skip(ours).map(|interface| {
        let id = &interface.id;
        hold(
            Gate::Unfit,
            format!("EC2 drops foreign packets at this instance: the source/destination check of {id} is on"),
            format!("aws ec2 modify-network-interface-attribute --network-interface-id {id} --no-source-dest-check"),
        )
    }));
    if holds.is_empty() { Ok(checked.first().map(|interface| interface.id.clone())) } else { Err(holds) }
}

/// An instance that leaves through the primary has no control pings of its own: what it calls good is good through the primary.
fn behind_the_primary(primary: &RouteTable, instance: &Instance) -> Option<Hold> {
    let subnet = instance.subnet.as_ref()?;
    super::association(primary, subnet).map(|_| {
        hold(
            Gate::Unfit,
            format!("this instance's own subnet, {subnet}, is on the primary's table, so its pings leave through the primary"),
            format!("associate {subnet} with a table whose default route is an internet gateway"),
        )
    })
}

/// The interface of `instance` that the default route of `table` leads to.
///
/// # Errors
/// It does not lead there: gate `unfit`.
pub fn leads_here<'a>(
    table: &RouteTable,
    instance: &'a Instance,
    family: Family,
) -> Result<Option<&'a Interface>, Hold> {
    let destination = family.default_route();
    let option = match family {
        Family::V4 => "--destination-cidr-block",
        Family::V6 => "--destination-ipv6-cidr-block",
    };
    let unfit = |why: String, command: &str| {
        let remedy = format!(
            "aws ec2 {command} --route-table-id {} {option} {destination} --instance-id {}",
            table.id, instance.id
        );
        Err(hold(Gate::Unfit, why, remedy))
    };
    let Some(route) = table.route(destination) else {
        return unfit(format!("{} has no route for {destination}", table.id), "create-route");
    };
    let by_interface = instance.interfaces.iter().find(|one| route.interface.as_ref() == Some(&one.id));
    let by_instance = route.instance.as_ref() == Some(&instance.id);
    if by_interface.is_none() && !by_instance {
        let why =
            format!("{} sends {destination} to {}, not to this instance ({})", table.id, route.target(), instance.id);
        return unfit(why, "replace-route");
    }
    if route.blackhole {
        return unfit(format!("the route of {} for {destination} is a blackhole", table.id), "replace-route");
    }
    Ok(by_interface.or_else(|| instance.interfaces.iter().find(|one| one.device_index == 0)))
}
