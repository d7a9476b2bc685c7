//! EC2's answers in the vocabulary. An id that is not one is an error: nothing is to be moved on such an answer.

pub(super) mod firewall;

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_ec2::types;
use jiff::Timestamp;

use crate::model::{Association, Cidr, IdError, Instance, Interface, Route, RouteTable, Subnet, printable};

/// A `Name` tag has at most 256 characters.
const NAME: usize = 256;

fn id<T: FromStr<Err = IdError>>(text: Option<&str>) -> Result<T, String> {
    text.unwrap_or_default().parse().map_err(|e| format!("EC2 answered nonsense: {e}"))
}

fn name(tags: &[types::Tag]) -> Option<String> {
    let value = tags.iter().find(|tag| tag.key() == Some("Name"))?.value()?;
    (!value.is_empty()).then(|| printable(value, NAME))
}

pub(super) fn table(table: &types::RouteTable) -> Result<RouteTable, String> {
    Ok(RouteTable {
        id: id(table.route_table_id())?,
        vpc: id(table.vpc_id())?,
        name: name(table.tags()),
        routes: table.routes().iter().filter_map(route).collect(),
        associations: table.associations().iter().filter(|a| present(a)).map(association).collect::<Result<_, _>>()?,
    })
}

fn route(route: &types::Route) -> Option<Route> {
    let destination =
        route.destination_cidr_block().or(route.destination_ipv6_cidr_block()).or(route.destination_prefix_list_id())?;
    let others = [
        route.gateway_id(),
        route.nat_gateway_id(),
        route.egress_only_internet_gateway_id(),
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.carrier_gateway_id(),
        route.local_gateway_id(),
        route.core_network_arn(),
        route.odb_network_arn(),
    ];
    Some(Route {
        destination: destination.to_owned(),
        instance: route.instance_id().and_then(|id| id.parse().ok()),
        interface: route.network_interface_id().and_then(|id| id.parse().ok()),
        other: others.into_iter().flatten().next().map(str::to_owned),
        blackhole: route.state() == Some(&types::RouteState::Blackhole),
    })
}

/// The private addresses of an interface that have a public one (an Elastic IP or one of the subnet's).
pub(super) fn public(interface: &types::InstanceNetworkInterface) -> Vec<IpAddr> {
    let addresses = interface.private_ip_addresses().iter();
    let public = addresses.filter(|one| one.association().is_some_and(|found| found.public_ip().is_some()));
    public.filter_map(|one| one.private_ip_address()?.parse().ok()).collect()
}

/// One that is being removed, or is, counts no more: its subnet is elsewhere already.
fn present(association: &types::RouteTableAssociation) -> bool {
    use types::RouteTableAssociationStateCode::{Disassociated, Disassociating};
    !matches!(association.association_state().and_then(|state| state.state()), Some(Disassociated | Disassociating))
}

fn association(association: &types::RouteTableAssociation) -> Result<Association, String> {
    let state = association.association_state();
    let failed = state.filter(|state| state.state() == Some(&types::RouteTableAssociationStateCode::Failed));
    Ok(Association {
        id: id(association.route_table_association_id())?,
        subnet: association.subnet_id().map(|subnet| id(Some(subnet))).transpose()?,
        main: association.main().unwrap_or_default(),
        failed: failed.map(|state| printable(state.status_message().unwrap_or("no reason given"), 200)),
    })
}

pub(super) fn instance(instance: &types::Instance, now: Timestamp) -> Result<Instance, String> {
    // A launch time in the future is a clock that is off by a little: launched just now.
    let launched =
        instance.launch_time().map(|at| u64::try_from(now.as_second().saturating_sub(at.secs())).unwrap_or(0));
    Ok(Instance {
        id: id(instance.instance_id())?,
        name: name(instance.tags()),
        state: instance.state().and_then(|state| state.name()).map_or("unknown", |name| name.as_str()).to_owned(),
        subnet: instance.subnet_id().map(|subnet| id(Some(subnet))).transpose()?,
        launched_ago: launched.map(Duration::from_secs),
        interfaces: instance.network_interfaces().iter().map(interface).collect::<Result<_, _>>()?,
    })
}

fn interface(interface: &types::InstanceNetworkInterface) -> Result<Interface, String> {
    Ok(Interface {
        id: id(interface.network_interface_id())?,
        device_index: interface
            .attachment()
            .and_then(types::InstanceNetworkInterfaceAttachment::device_index)
            .unwrap_or_default(),
        // Where EC2 does not say, it is on: that is what a new interface has.
        source_dest_check: interface.source_dest_check().unwrap_or(true),
    })
}

pub(super) fn subnet(subnet: &types::Subnet) -> Result<Subnet, String> {
    let v4 = subnet.cidr_block().into_iter();
    let v6 = subnet.ipv6_cidr_block_association_set().iter().filter_map(|association| association.ipv6_cidr_block());
    Ok(Subnet {
        id: id(subnet.subnet_id())?,
        name: name(subnet.tags()),
        cidrs: v4.chain(v6).filter_map(|cidr| cidr.parse::<Cidr>().ok()).collect(),
    })
}
