//! The calls that change something. Each is sent once: whoever asks for it knows what a repeated one would mean.

use std::time::Instant;

use aws_sdk_ec2::types::{AttributeBooleanValue, RouteTableAssociationStateCode};

use super::{Ec2, errors};
use crate::act::{ChangeError, Changer};
use crate::model::{Association, AssociationId, InstanceId, InterfaceId, RouteTableId, SubnetId, printable};
use crate::preflight::Cloud;

impl Changer for Ec2 {
    async fn associate(
        &self,
        association: &AssociationId,
        table: &RouteTableId,
        dry_run: bool,
    ) -> Result<AssociationId, ChangeError> {
        const ACTION: &str = "ReplaceRouteTableAssociation";
        let client = self.changing().await?;
        let began = Instant::now();
        let call = client
            .replace_route_table_association()
            .association_id(association.as_str())
            .route_table_id(table.as_str())
            .set_dry_run(dry_run.then_some(true));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => return errors::change(ACTION, &error, began).map(|()| association.clone()),
        };
        if let Some(state) = answer.association_state()
            && state.state() == Some(&RouteTableAssociationStateCode::Failed)
        {
            let why = printable(state.status_message().unwrap_or("no reason given"), 200);
            return Err(ChangeError::Unknown(format!("{ACTION}: the association failed: {why}")));
        }
        let id = answer.new_association_id().unwrap_or_default();
        id.parse()
            .map_err(|e| ChangeError::Unknown(format!("{ACTION}: answered without the new association's id: {e}")))
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        let tables = Cloud::tables_of(self, subnets).await?;
        let pairs = tables
            .into_iter()
            .flat_map(|table| table.associations.into_iter().map(move |association| (table.id.clone(), association)));
        Ok(pairs
            .filter(|(_, association)| association.subnet.as_ref().is_some_and(|subnet| subnets.contains(subnet)))
            .collect())
    }

    async fn disable_check(&self, interface: &InterfaceId, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let call = client
            .modify_network_interface_attribute()
            .network_interface_id(interface.as_str())
            .source_dest_check(AttributeBooleanValue::builder().value(false).build())
            .set_dry_run(dry_run.then_some(true));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("ModifyNetworkInterfaceAttribute", &error, began),
        }
    }

    async fn warm(&self, connections: usize) {
        self.open(connections).await;
    }

    async fn reboot(&self, instance: &InstanceId, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let call = client.reboot_instances().instance_ids(instance.as_str()).set_dry_run(dry_run.then_some(true));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("RebootInstances", &error, began),
        }
    }
}
