//! Elastic IP addresses, and the primary's reboot.
//!
//! Where this instance's own public address changes, every connection that it has to EC2 is dead without a sign of it: packets to the
//! old address reach nobody. So a call that may change it is the last one over its connections; what comes next has new ones, and
//! an answer that is lost costs one attempt and no more.

use std::time::Instant;

use aws_sdk_ec2::types::Address;

use super::{Ec2, errors, filter_of};
use crate::act::{Addresses, ChangeError, Held};
use crate::model::{AllocationId, EipAssociationId, Holder, InterfaceId, Way};

fn held(address: &Address) -> Option<Held> {
    let association: EipAssociationId = address.association_id()?.parse().ok()?;
    let way = Way {
        interface: address.network_interface_id().and_then(|id| id.parse().ok()),
        instance: address.instance_id().and_then(|id| id.parse().ok()),
    };
    let private = address.private_ip_address().and_then(|private| private.parse().ok());
    Some(Held { holder: Holder { way, private }, association })
}

impl Ec2 {
    async fn addresses(&self, filter: &str, value: &str) -> Result<Vec<Address>, String> {
        let client = self.reading().await?;
        let began = Instant::now();
        let answer = client.describe_addresses().filters(filter_of(filter, &[value])).send().await;
        let answer = answer.map_err(|e| errors::read("DescribeAddresses", &e, began))?;
        Ok(answer.addresses.unwrap_or_default())
    }
}

impl Addresses for Ec2 {
    async fn address(&self, address: &AllocationId) -> Result<Option<Held>, String> {
        let found = self.addresses("allocation-id", address.as_str()).await?;
        let found = found.first().ok_or_else(|| format!("{address} does not exist in this region and account"))?;
        Ok(held(found))
    }

    async fn addresses_of(&self, interface: &InterfaceId) -> Result<Vec<AllocationId>, String> {
        let found = self.addresses("network-interface-id", interface.as_str()).await?;
        Ok(found.iter().filter_map(|one| one.allocation_id()?.parse().ok()).collect())
    }

    async fn associate_address(&self, address: &AllocationId, to: &Holder, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let interface = to.way.interface.as_ref().map(ToString::to_string);
        let instance = to.way.instance.as_ref().filter(|_| interface.is_none()).map(ToString::to_string);
        let call = client
            .associate_address()
            .allocation_id(address.as_str())
            .set_network_interface_id(interface)
            .set_instance_id(instance)
            .set_private_ip_address(to.private.map(|private| private.to_string()))
            .allow_reassociation(true)
            .set_dry_run(dry_run.then_some(true));
        if !dry_run {
            self.renew().await;
        }
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("AssociateAddress", &error, began),
        }
    }

    async fn disassociate_address(&self, association: &EipAssociationId, dry_run: bool) -> Result<(), ChangeError> {
        let client = self.changing().await?;
        let began = Instant::now();
        let call =
            client.disassociate_address().association_id(association.as_str()).set_dry_run(dry_run.then_some(true));
        if !dry_run {
            self.renew().await;
        }
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => errors::change("DisassociateAddress", &error, began),
        }
    }
}
