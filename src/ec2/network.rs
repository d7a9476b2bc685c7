//! The network of a VPC as `doctor` asks about it: route tables, subnets, interfaces, security groups, ACLs.

use std::net::IpAddr;
use std::time::Instant;

use super::{Ec2, FILTER_VALUES, convert, errors, filter_of, texts};
use crate::doctor::cloud::Network;
use crate::model::{Acl, GroupId, InterfaceId, NetworkInterface, RouteTable, SecurityGroup, Subnet, VpcId};

impl Network for Ec2 {
    async fn tables_in(&self, vpc: &VpcId) -> Result<Vec<RouteTable>, String> {
        self.route_tables("vpc-id", &[vpc.as_str()]).await
    }

    async fn subnets_in(&self, vpc: &VpcId) -> Result<Vec<Subnet>, String> {
        self.subnets_by("vpc-id", &[vpc.to_string()]).await
    }

    async fn acls_in(&self, vpc: &VpcId) -> Result<Vec<Acl>, String> {
        let client = self.reading().await?;
        let began = Instant::now();
        let filter = filter_of("vpc-id", &[vpc.as_str()]);
        let pages = client.describe_network_acls().filters(filter).into_paginator().items().send();
        let acls: Vec<_> = pages.try_collect().await.map_err(|e| errors::read("DescribeNetworkAcls", &e, began))?;
        acls.iter().map(convert::firewall::acl).collect()
    }

    async fn interfaces(&self, ids: &[InterfaceId]) -> Result<Vec<NetworkInterface>, String> {
        self.network_interfaces(None, "network-interface-id", &texts(ids)).await
    }

    async fn interfaces_at(&self, vpc: &VpcId, addresses: &[IpAddr]) -> Result<Vec<NetworkInterface>, String> {
        let v4: Vec<String> = addresses.iter().filter(|one| one.is_ipv4()).map(ToString::to_string).collect();
        self.network_interfaces(Some(vpc), "addresses.private-ip-address", &v4).await
    }

    async fn groups(&self, ids: &[GroupId]) -> Result<Vec<SecurityGroup>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in texts(ids).chunks(FILTER_VALUES) {
            let began = Instant::now();
            let filter = filter_of("group-id", some);
            let pages = client.describe_security_groups().filters(filter).into_paginator().items().send();
            let page: Vec<_> =
                pages.try_collect().await.map_err(|e| errors::read("DescribeSecurityGroups", &e, began))?;
            found.extend(page.iter().map(convert::firewall::group).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }
}
