//! What a filter finds, page by page and in chunks of as many values as EC2 takes.

use std::time::Instant;

use aws_sdk_ec2::types::{Filter, Reservation};

use super::{Ec2, FILTER_VALUES, convert, errors, filter_of};
use crate::model::{NetworkInterface, RouteTable, Subnet, VpcId};

/// As the filter `instance-state-name` has it.
const RUNNING: &str = "running";

impl Ec2 {
    /// All route tables that a filter finds, page by page.
    pub(super) async fn route_tables(
        &self,
        filter: &str,
        values: &[impl AsRef<str>],
    ) -> Result<Vec<RouteTable>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in values.chunks(FILTER_VALUES) {
            let began = Instant::now();
            let pages = client.describe_route_tables().filters(filter_of(filter, some)).into_paginator().items().send();
            let tables = pages.try_collect().await.map_err(|e| errors::read("DescribeRouteTables", &e, began))?;
            found.extend(tables.iter().map(convert::table).collect::<Result<Vec<_>, _>>()?);
        }
        // A table may hold subnets of two chunks.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    /// The instances that a filter finds, page by page, as EC2 groups them.
    pub(super) async fn reservations(&self, filter: &str, values: &[String]) -> Result<Vec<Reservation>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in values.chunks(FILTER_VALUES) {
            let began = Instant::now();
            let pages = client.describe_instances().filters(filter_of(filter, some)).into_paginator().items().send();
            let page: Vec<_> = pages.try_collect().await.map_err(|e| errors::read("DescribeInstances", &e, began))?;
            found.extend(page);
        }
        Ok(found)
    }

    /// The instances that run in these subnets by their primary interface, page by page.
    pub(super) async fn running_in(&self, subnets: &[String]) -> Result<Vec<Reservation>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in subnets.chunks(FILTER_VALUES) {
            let began = Instant::now();
            let filters = [filter_of("subnet-id", some), filter_of("instance-state-name", &[RUNNING])];
            let pages = client.describe_instances().set_filters(Some(filters.into())).into_paginator().items().send();
            let page: Vec<_> = pages.try_collect().await.map_err(|e| errors::read("DescribeInstances", &e, began))?;
            found.extend(page);
        }
        Ok(found)
    }

    /// The subnets that a filter finds, page by page.
    pub(super) async fn subnets_by(&self, filter: &str, values: &[String]) -> Result<Vec<Subnet>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in values.chunks(FILTER_VALUES) {
            let began = Instant::now();
            let pages = client.describe_subnets().filters(filter_of(filter, some)).into_paginator().items().send();
            let subnets = pages.try_collect().await.map_err(|e| errors::read("DescribeSubnets", &e, began))?;
            found.extend(subnets.iter().map(convert::subnet).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The interfaces that a filter finds, in `vpc` where one is named.
    pub(super) async fn network_interfaces(
        &self,
        vpc: Option<&VpcId>,
        filter: &str,
        values: &[String],
    ) -> Result<Vec<NetworkInterface>, String> {
        let client = self.reading().await?;
        let mut found = Vec::new();
        for some in values.chunks(FILTER_VALUES) {
            let began = Instant::now();
            let within = vpc.map(|vpc| filter_of("vpc-id", &[vpc.as_str()]));
            let filters: Vec<Filter> = std::iter::once(filter_of(filter, some)).chain(within).collect();
            let asked = client.describe_network_interfaces().set_filters(Some(filters));
            let pages = asked.into_paginator().items().send();
            let page: Vec<_> =
                pages.try_collect().await.map_err(|e| errors::read("DescribeNetworkInterfaces", &e, began))?;
            found.extend(page.iter().map(convert::firewall::interface).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }
}
