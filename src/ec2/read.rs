//! The describes. By filter and not by id: a missing object is absent then, where an id would make the whole call fail.

use std::time::Duration;

use aws_sdk_ec2::types;
use jiff::Timestamp;

use super::Ec2;
use super::error::words;
use crate::model::{
    Association, Instance, InstanceId, Interface, Route, RouteTable, RouteTableId, Subnet, SubnetId,
};
use crate::preflight::Cloud;

/// EC2 answers at most 200 values of a filter in one call.
const VALUES: usize = 200;

impl Cloud for Ec2 {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.route_tables("route-table-id", ids.iter().map(ToString::to_string).collect()).await
    }

    async fn tables_of(&self, subnets: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        self.route_tables("association.subnet-id", subnets.iter().map(ToString::to_string).collect()).await
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        let client = self.client().await?;
        let now = Timestamp::now();
        let mut found = Vec::new();
        for values in ids.chunks(VALUES) {
            let filter = filter("instance-id", values.iter().map(ToString::to_string).collect());
            let mut pages = client.describe_instances().filters(filter).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| words("DescribeInstances", &error))?;
                let instances = page.reservations().iter().flat_map(types::Reservation::instances);
                found.extend(instances.filter_map(|one| instance(one, now)));
            }
        }
        Ok(found)
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        let client = self.client().await?;
        let mut found = Vec::new();
        for values in ids.chunks(VALUES) {
            let filter = filter("subnet-id", values.iter().map(ToString::to_string).collect());
            let mut pages = client.describe_subnets().filters(filter).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| words("DescribeSubnets", &error))?;
                found.extend(page.subnets().iter().filter_map(subnet));
            }
        }
        Ok(found)
    }
}

impl Ec2 {
    pub(super) async fn route_tables(&self, by: &str, ids: Vec<String>) -> Result<Vec<RouteTable>, String> {
        let client = self.client().await?;
        let mut found = Vec::new();
        for values in ids.chunks(VALUES) {
            let mut pages = client.describe_route_tables().filters(filter(by, values.to_vec())).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| words("DescribeRouteTables", &error))?;
                found.extend(page.route_tables().iter().filter_map(table));
            }
        }
        Ok(found)
    }
}

fn filter(name: &str, values: Vec<String>) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values)).build()
}

fn name(tags: &[types::Tag]) -> Option<String> {
    let tag = tags.iter().find(|tag| tag.key() == Some("Name"))?;
    tag.value().filter(|value| !value.is_empty()).map(ToOwned::to_owned)
}

fn table(table: &types::RouteTable) -> Option<RouteTable> {
    Some(RouteTable {
        id: table.route_table_id()?.parse().ok()?,
        vpc: table.vpc_id()?.parse().ok()?,
        name: name(table.tags()),
        routes: table.routes().iter().filter_map(route).collect(),
        associations: table.associations().iter().filter_map(association).collect(),
    })
}

fn route(route: &types::Route) -> Option<Route> {
    let destination = route.destination_cidr_block().or(route.destination_ipv6_cidr_block()).or(route.destination_prefix_list_id())?;
    let other = [
        route.gateway_id(),
        route.nat_gateway_id(),
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.egress_only_internet_gateway_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
    ];
    Some(Route {
        destination: destination.to_owned(),
        instance: route.instance_id().and_then(|id| id.parse().ok()),
        interface: route.network_interface_id().and_then(|id| id.parse().ok()),
        other: other.into_iter().flatten().next().map(ToOwned::to_owned),
        blackhole: route.state() == Some(&types::RouteState::Blackhole),
    })
}

fn association(association: &types::RouteTableAssociation) -> Option<Association> {
    let state = association.association_state();
    let failed = state.filter(|state| state.state() == Some(&types::RouteTableAssociationStateCode::Failed));
    Some(Association {
        id: association.route_table_association_id()?.parse().ok()?,
        subnet: association.subnet_id().and_then(|id| id.parse().ok()),
        main: association.main().unwrap_or_default(),
        failed: failed.map(|state| state.status_message().unwrap_or("no reason given").to_owned()),
    })
}

fn instance(instance: &types::Instance, now: Timestamp) -> Option<Instance> {
    let launched = instance.launch_time().and_then(|time| Timestamp::from_second(time.secs()).ok());
    Some(Instance {
        id: instance.instance_id()?.parse().ok()?,
        name: name(instance.tags()),
        state: instance.state().and_then(types::InstanceState::name).map_or_else(String::new, |state| state.as_str().to_owned()),
        launched_ago: launched.and_then(|at| Duration::try_from(now.duration_since(at)).ok()),
        interfaces: instance.network_interfaces().iter().filter_map(interface).collect(),
    })
}

fn interface(interface: &types::InstanceNetworkInterface) -> Option<Interface> {
    Some(Interface {
        id: interface.network_interface_id()?.parse().ok()?,
        device_index: interface.attachment().and_then(types::InstanceNetworkInterfaceAttachment::device_index).unwrap_or_default(),
        source_dest_check: interface.source_dest_check().unwrap_or(true),
    })
}

fn subnet(subnet: &types::Subnet) -> Option<Subnet> {
    let v4 = subnet.cidr_block().and_then(|cidr| cidr.parse().ok());
    let v6 = subnet.ipv6_cidr_block_association_set().iter().filter_map(|one| one.ipv6_cidr_block()?.parse().ok());
    Some(Subnet { id: subnet.subnet_id()?.parse().ok()?, name: name(subnet.tags()), cidrs: v4.into_iter().chain(v6).collect() })
}
