//! Whether this instance could carry the traffic, as far as can be known beforehand: gate `unfit`.

use std::collections::BTreeSet;

use super::{Situation, hold};
use crate::decide::DecideSettings;
use crate::model::cloud::Masquerade;
use crate::model::{Family, Gate, Hold, Instance, InstanceId, Interface, InterfaceId, RouteTable, Survey};

/// What this machine itself lacks to carry the traffic.
pub(super) fn machine(survey: &Survey) -> Vec<Hold> {
    let mut holds = Vec::new();
    match &survey.ip_forward {
        Ok(true) => {}
        Ok(false) => holds.push(hold(
            Gate::Unfit,
            "this instance does not forward: net.ipv4.ip_forward is 0",
            "sysctl -w net.ipv4.ip_forward=1",
        )),
        Err(why) => holds.push(hold(
            Gate::Unfit,
            format!("net.ipv4.ip_forward can't be read: {why}"),
            "let the service read /proc/sys",
        )),
    }
    if survey.masquerade.is_absent() {
        let rule = "iptables -t nat -A POSTROUTING -o <uplink> -j MASQUERADE";
        let (seen, again) = match &survey.masquerade {
            // Who decides by what root saw must be told anew.
            Masquerade::Told(seen) => (format!(", {seen}"), "; then, as root: natwatch run"),
            _ => (String::new(), ""),
        };
        let why = format!("this instance does not masquerade: no such rule in nftables or iptables{seen}");
        holds.push(hold(Gate::Unfit, why, format!("{rule}{again}")));
    }
    holds
}

/// Whether the standby's table leads to this instance, over an interface that lets foreign packets pass.
///
/// Returns the interface whose source/destination check the plan has to switch off, where there is one.
pub(super) fn carries(
    situation: Situation<'_>,
    identity: &InstanceId,
    table: &RouteTable,
    settings: &DecideSettings,
) -> Result<Option<InterfaceId>, Vec<Hold>> {
    let instance = match &situation.survey.standby {
        Ok(Some(instance)) => instance,
        Ok(None) => {
            return Err(vec![hold(
                Gate::Foreign,
                format!("this instance, {identity}, is not known to EC2 in this region"),
                "correct standby.instance or standby.region",
            )]);
        }
        Err(why) => return Err(vec![hold(Gate::Unfit, format!("EC2 can't be asked about this instance: {why}"), "")]),
    };
    let mut holds: Vec<Hold> = behind_the_primary(situation.survey, instance, settings).into_iter().collect();
    let mut checked: Vec<&Interface> = Vec::new();
    let routes = settings.method.destinations().iter().map(|one| Family::of(one.addr()));
    let families: BTreeSet<Family> = situation.families.iter().copied().chain(routes).collect();
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
fn behind_the_primary(survey: &Survey, instance: &Instance, settings: &DecideSettings) -> Option<Hold> {
    let subnet = instance.subnet.as_ref()?;
    let primary = survey.table(&settings.primary_table)?;
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
