//! The mutating calls. Each is sent once: whether it is worth sending again is decided by who knows what it did.

use aws_config::retry::RetryConfig;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::AttributeBooleanValue;

use super::Ec2;
use super::error::change;
use crate::act::{ChangeError, Changer};
use crate::model::{Association, AssociationId, InterfaceId, RouteTableId, SubnetId};

/// EC2's answer to a dry run that would have been carried out.
const WOULD: &str = "DryRunOperation";

impl Changer for Ec2 {
    async fn associate(&self, association: &AssociationId, table: &RouteTableId, dry_run: bool) -> Result<AssociationId, ChangeError> {
        let client = self.client().await.map_err(ChangeError::Refused)?;
        let answer = client
            .replace_route_table_association()
            .association_id(association.as_str())
            .route_table_id(table.as_str())
            .dry_run(dry_run)
            .customize()
            .config_override(aws_sdk_ec2::Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let id = answer.new_association_id().unwrap_or_default();
                id.parse().map_err(|error| ChangeError::Unknown(format!("ReplaceRouteTableAssociation answered {error}")))
            }
            Err(error) if dry_run && error.code() == Some(WOULD) => Ok(association.clone()),
            Err(error) => Err(change("ReplaceRouteTableAssociation", &error)),
        }
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        let tables = self.route_tables("association.subnet-id", subnets.iter().map(ToString::to_string).collect()).await?;
        let wanted = |one: &Association| one.subnet.as_ref().is_some_and(|subnet| subnets.contains(subnet));
        Ok(tables
            .into_iter()
            .flat_map(|table| table.associations.into_iter().filter(wanted).map(move |one| (table.id.clone(), one)))
            .collect())
    }

    async fn disable_check(&self, interface: &InterfaceId, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.client().await.map_err(ChangeError::Refused)?;
        let answer = client
            .modify_network_interface_attribute()
            .network_interface_id(interface.as_str())
            .source_dest_check(AttributeBooleanValue::builder().value(false).build())
            .dry_run(dry_run)
            .customize()
            .config_override(aws_sdk_ec2::Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if dry_run && error.code() == Some(WOULD) => Ok(()),
            Err(error) => Err(change("ModifyNetworkInterfaceAttribute", &error)),
        }
    }
}
