//! What the credentials allow, asked with `DryRun`: EC2 looks at the right and does nothing ("`DryRun`: checks whether you have the
//! required permissions for the action, without actually making the request", in every action of the EC2 API reference).

use std::time::Instant;

use aws_sdk_ec2::types::AttributeBooleanValue;

use super::{Ec2, errors, route};
use crate::doctor::cloud::{Answer, Right};

/// Sends a call that is complete but for its dry run, and says what the answer means. EC2 never answers a dry run with success; whoever does
/// so, an emulator that takes no notice of `DryRun`, has carried the call out, and subnets or routes may have been moved by it. That can't be
/// told beforehand and is said afterwards.
macro_rules! asked {
    ($right:ident, $call:expr) => {{
        let began = Instant::now();
        match $call.dry_run(true).send().await {
            Ok(_) => Answer::Unclear(format!("{}: EC2 took no notice of DryRun", $right.action())),
            Err(error) => errors::right($right.action(), &error, began),
        }
    }};
}

impl Ec2 {
    /// Asks for one right; see [`Account::may`](crate::doctor::cloud::Account::may).
    pub(super) async fn ask(&self, right: &Right) -> Answer {
        let client = match self.reading().await {
            Ok(client) => client,
            Err(why) => return Answer::Unclear(format!("{}: {why}", right.action())),
        };
        match right {
            Right::DescribeAddresses => asked!(right, client.describe_addresses()),
            Right::DescribeInstances => asked!(right, client.describe_instances()),
            Right::DescribeNetworkAcls => asked!(right, client.describe_network_acls()),
            Right::DescribeNetworkInterfaces => asked!(right, client.describe_network_interfaces()),
            Right::DescribeRouteTables => asked!(right, client.describe_route_tables()),
            Right::DescribeSecurityGroups => asked!(right, client.describe_security_groups()),
            Right::DescribeSubnets => asked!(right, client.describe_subnets()),
            Right::Associate(association, table) => {
                let call = client.replace_route_table_association();
                asked!(right, call.association_id(association.as_str()).route_table_id(table.as_str()))
            }
            Right::ReplaceRoute(table, cidr, to) => {
                let ((v4, v6), (interface, instance)) = (route::destination(cidr), route::target(to));
                let call = client.replace_route().route_table_id(table.as_str());
                let call = call.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6);
                asked!(right, call.set_network_interface_id(interface).set_instance_id(instance))
            }
            Right::CreateRoute(table, cidr, to) => {
                let ((v4, v6), (interface, instance)) = (route::destination(cidr), route::target(to));
                let call = client.create_route().route_table_id(table.as_str());
                let call = call.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6);
                asked!(right, call.set_network_interface_id(interface).set_instance_id(instance))
            }
            Right::DeleteRoute(table, cidr) => {
                let (v4, v6) = route::destination(cidr);
                let call = client.delete_route().route_table_id(table.as_str());
                asked!(right, call.set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6))
            }
            Right::DisableCheck(interface) => {
                let off = AttributeBooleanValue::builder().value(false).build();
                let call = client.modify_network_interface_attribute();
                asked!(right, call.network_interface_id(interface.as_str()).source_dest_check(off))
            }
            Right::AssociateAddress(address, to) => {
                let (interface, instance) = route::target(to);
                let call = client.associate_address().allocation_id(address.as_str()).allow_reassociation(true);
                asked!(right, call.set_network_interface_id(interface).set_instance_id(instance))
            }
            Right::DisassociateAddress(association) => {
                asked!(right, client.disassociate_address().association_id(association.as_str()))
            }
            Right::Reboot(instance) => asked!(right, client.reboot_instances().instance_ids(instance.as_str())),
        }
    }
}
