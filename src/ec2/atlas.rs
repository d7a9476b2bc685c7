//! What surrounds this instance: for who has no configuration yet.

use aws_sdk_ec2::types;
use jiff::Timestamp;

use super::{Ec2, convert, texts};
use crate::model::{InstanceId, InterfaceId, Machine, RouteTable, VpcId};
use crate::preflight::Atlas;

pub(super) fn machine(found: &types::Instance) -> Result<Machine, String> {
    Ok(Machine {
        instance: convert::instance(found, Timestamp::now())?,
        vpc: found.vpc_id().and_then(|id| id.parse().ok()),
        address: found.private_ip_address().and_then(|address| address.parse().ok()),
    })
}

impl Atlas for Ec2 {
    async fn region(&self) -> Result<String, String> {
        self.find_region().await.map(|(region, _)| region.to_string())
    }

    async fn machines(&self, ids: &[InstanceId], interfaces: &[InterfaceId]) -> Result<Vec<Machine>, String> {
        let by_id = self.reservations("instance-id", &texts(ids)).await?;
        let by_interface = self.reservations("network-interface.network-interface-id", &texts(interfaces)).await?;
        let found = by_id.iter().chain(&by_interface).flat_map(types::Reservation::instances);
        let mut machines: Vec<Machine> = found.map(machine).collect::<Result<_, _>>()?;
        machines.sort_by(|one, other| one.instance.id.cmp(&other.instance.id));
        machines.dedup_by(|one, other| one.instance.id == other.instance.id);
        Ok(machines)
    }

    async fn tables_in(&self, vpc: &VpcId) -> Result<Vec<RouteTable>, String> {
        self.route_tables("vpc-id", &[vpc.as_str()]).await
    }
}
