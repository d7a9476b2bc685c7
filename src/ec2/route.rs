//! Routes, changed. Each call is sent once: there is no token that would make a repeated one harmless.

use std::time::Instant;

use super::{Ec2, errors};
use crate::act::{ChangeError, Routes};
use crate::model::{Cidr, Route, RouteTableId, Way};
use crate::preflight::Cloud;

/// EC2 has two names for a destination, by its family.
pub(super) fn destination(cidr: &Cidr) -> (Option<String>, Option<String>) {
    match cidr {
        Cidr::V4(_) => (Some(cidr.to_string()), None),
        Cidr::V6(_) => (None, Some(cidr.to_string())),
    }
}

/// A route leads to an interface; to an instance only where that is all that is known, as EC2 refuses it for one with several
/// interfaces.
pub(super) fn target(to: &Way) -> (Option<String>, Option<String>) {
    let interface = to.interface.as_ref().map(ToString::to_string);
    let instance = to.instance.as_ref().filter(|_| interface.is_none()).map(ToString::to_string);
    (interface, instance)
}

impl Routes for Ec2 {
    async fn route(&self, table: &RouteTableId, destination: &Cidr) -> Result<Option<Route>, String> {
        let tables = Cloud::tables(self, std::slice::from_ref(table)).await?;
        let table = tables.into_iter().next().ok_or_else(|| format!("{table} does not exist (any more)"))?;
        Ok(table.routes.into_iter().find(|route| route.is_for(destination)))
    }

    async fn replace_route(
        &self,
        table: &RouteTableId,
        cidr: &Cidr,
        to: &Way,
        dry_run: bool,
    ) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let ((v4, v6), (interface, instance)) = (destination(cidr), target(to));
        let call = client
            .replace_route()
            .route_table_id(table.as_str())
            .set_destination_cidr_block(v4)
            .set_destination_ipv6_cidr_block(v6)
            .set_network_interface_id(interface)
            .set_instance_id(instance)
            .set_dry_run(dry_run.then_some(true));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("ReplaceRoute", &error, began),
        }
    }

    async fn create_route(
        &self,
        table: &RouteTableId,
        cidr: &Cidr,
        to: &Way,
        dry_run: bool,
    ) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let ((v4, v6), (interface, instance)) = (destination(cidr), target(to));
        let call = client
            .create_route()
            .route_table_id(table.as_str())
            .set_destination_cidr_block(v4)
            .set_destination_ipv6_cidr_block(v6)
            .set_network_interface_id(interface)
            .set_instance_id(instance)
            .set_dry_run(dry_run.then_some(true));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("CreateRoute", &error, began),
        }
    }

    async fn delete_route(&self, table: &RouteTableId, cidr: &Cidr, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let (v4, v6) = destination(cidr);
        let call = client
            .delete_route()
            .route_table_id(table.as_str())
            .set_destination_cidr_block(v4)
            .set_destination_ipv6_cidr_block(v6)
            .set_dry_run(dry_run.then_some(true));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("DeleteRoute", &error, began),
        }
    }
}
