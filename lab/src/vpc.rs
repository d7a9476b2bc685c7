//! The VPC's objects at EC2: made once at the start, named by [`Ids`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::moto::Moto;
use crate::options::Options;
use crate::plan::{Nat, Plan, REGION, Role};
use crate::stack::{self, Deployed, Network};
use crate::xml;

/// The VPC's block.
pub(crate) const VPC: &str = "10.0.0.0/16";

/// Of a default route.
const EVERYWHERE: (&str, &str) = ("DestinationCidrBlock", "0.0.0.0/0");

/// A NAT instance at EC2.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NatIds {
    /// Instance id.
    pub instance: String,
    /// Network interface id.
    pub eni: String,
    /// The interface's hardware address, as EC2 and IMDS tell it.
    pub mac: String,
    /// The route table whose default route is this instance.
    pub table: String,
}

/// A private subnet at EC2.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubnetIds {
    /// Subnet id.
    pub id: String,
    /// Its block.
    pub cidr: Ipv4Net,
}

/// What EC2 calls the lab's parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ids {
    /// The VPC.
    pub vpc: String,
    /// The NATs' own subnet, 10.0.0.0/24.
    pub public_subnet: String,
    /// The NATs' own route table: default route to the internet gateway.
    pub public_table: String,
    /// The internet gateway.
    pub internet_gateway: String,
    /// The NATs' security group; admits everything from the VPC.
    pub security_group: String,
    /// `nat1`.
    pub primary: NatIds,
    /// `nat2`.
    pub standby: NatIds,
    /// The private subnets in order.
    pub subnets: Vec<SubnetIds>,
    /// The backends' instances, `b0` first.
    pub backends: Vec<String>,
}

impl Ids {
    /// A NAT's ids.
    #[must_use]
    pub const fn nat(&self, nat: Nat) -> &NatIds {
        match nat {
            Nat::Primary => &self.primary,
            Nat::Standby => &self.standby,
        }
    }

    /// Which NAT an instance or interface is.
    #[must_use]
    pub fn which(&self, id: &str) -> Option<Nat> {
        Nat::BOTH.into_iter().find(|nat| self.nat(*nat).instance == id || self.nat(*nat).eni == id)
    }
}

/// Makes everything at EC2: the primary's table carries every private subnet, the standby's none. Where a template makes the NATs, also
/// what came of it.
pub(crate) fn make(moto: &Moto, plan: &Plan, options: &Options) -> anyhow::Result<(Ids, Option<Deployed>)> {
    let ask = |action: &str, params: &[(&str, &str)], name: &str| xml::first(&moto.call(action, params)?, name);
    let vpc = ask("CreateVpc", &[("CidrBlock", VPC)], "vpcId")?;
    let subnet = |cidr: &Ipv4Net, name: &str| -> anyhow::Result<String> {
        let (zone, block) = (format!("{REGION}a"), cidr.to_string());
        let block6 = plan.subnet6(cidr).map(|block| block.to_string());
        let mut params = vec![("VpcId", vpc.as_str()), ("CidrBlock", &block), ("AvailabilityZone", &zone)];
        params.extend(block6.as_deref().map(|block| ("Ipv6CidrBlock", block)));
        let id = ask("CreateSubnet", &params, "subnetId")?;
        tag(moto, &id, name)?;
        Ok(id)
    };
    let internet_gateway = ask("CreateInternetGateway", &[], "internetGatewayId")?;
    moto.call("AttachInternetGateway", &[("InternetGatewayId", &internet_gateway), ("VpcId", &vpc)])?;
    let public_subnet = subnet(&Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), 24)?, "public")?;
    let public_table = table(moto, &vpc, "public")?;
    moto.call("CreateRoute", &[("RouteTableId", &public_table), EVERYWHERE, ("GatewayId", &internet_gateway)])?;
    moto.call("AssociateRouteTable", &[("RouteTableId", &public_table), ("SubnetId", &public_subnet)])?;
    let mut subnets = Vec::new();
    for (n, cidr) in plan.subnets.iter().enumerate() {
        subnets.push(SubnetIds { id: subnet(cidr, &format!("private-{n}"))?, cidr: *cidr });
    }
    let (pair, deployed) = match &options.stack {
        Some(stack) => {
            let network = Network { vpc: &vpc, public: &public_subnet, private: &subnets };
            let deployed = stack::deploy(plan, stack::NAME, stack, &network)?;
            (of_stack(moto, &deployed)?, Some(deployed))
        }
        None => (of_ours(moto, plan, &vpc, &public_subnet, &subnets)?, None),
    };
    let Pair { security_group, primary, standby } = pair;
    let mut backends = Vec::new();
    for host in plan.backends() {
        let Role::Backend(n) = host.role else { continue };
        let subnet = subnets.get(n).context("a backend without a subnet")?;
        backends.push(run(moto, &host.name, &subnet.id, &host.address.to_string(), &security_group)?);
    }
    let ids =
        Ids { vpc, public_subnet, public_table, internet_gateway, security_group, primary, standby, subnets, backends };
    Ok((ids, deployed))
}

/// The NATs, and the security group of both.
struct Pair {
    security_group: String,
    primary: NatIds,
    standby: NatIds,
}

/// The pair as the lab makes it.
fn of_ours(moto: &Moto, plan: &Plan, vpc: &str, public: &str, subnets: &[SubnetIds]) -> anyhow::Result<Pair> {
    let security_group = make_group(moto, vpc)?;
    let mut nats = BTreeMap::new();
    for nat in Nat::BOTH {
        let role = nat.to_string();
        let instance = run(moto, &role, public, &nat.address().to_string(), &security_group)?;
        let table = table(moto, vpc, &role)?;
        moto.call("CreateRoute", &[("RouteTableId", &table), EVERYWHERE, ("InstanceId", &instance)])?;
        if plan.ipv6 {
            let everywhere = ("DestinationIpv6CidrBlock", "::/0");
            moto.call("CreateRoute", &[("RouteTableId", &table), everywhere, ("InstanceId", &instance)])?;
        }
        nats.insert(nat, (instance, table));
    }
    let mut of = |nat| -> anyhow::Result<NatIds> {
        let (instance, table) = nats.remove(&nat).context("a NAT without an instance")?;
        let ids = nat_ids(moto, instance, table)?;
        set_check(moto, &ids.instance, &ids.eni, false)?;
        Ok(ids)
    };
    let (primary, standby) = (of(Nat::Primary)?, of(Nat::Standby)?);
    for subnet in subnets {
        moto.call("AssociateRouteTable", &[("RouteTableId", &primary.table), ("SubnetId", &subnet.id)])?;
    }
    Ok(Pair { security_group, primary, standby })
}

/// The pair as a stack has made it, by its outputs.
fn of_stack(moto: &Moto, deployed: &Deployed) -> anyhow::Result<Pair> {
    let output = |name: &str| deployed.output(name).map(str::to_owned);
    let of = |instance: &str, table: &str| nat_ids(moto, output(instance)?, output(table)?);
    Ok(Pair {
        security_group: output("NatGroup")?,
        primary: of("PrimaryInstance", "PrimaryRouteTable")?,
        standby: of("StandbyInstance", "StandbyRouteTable")?,
    })
}

fn nat_ids(moto: &Moto, instance: String, table: String) -> anyhow::Result<NatIds> {
    let seen = xml::instances(&moto.call("DescribeInstances", &[])?)?;
    let seen = seen.get(&instance).context("an instance EC2 does not know")?;
    Ok(NatIds { eni: seen.eni.clone(), mac: seen.mac.clone(), instance, table })
}

fn table(moto: &Moto, vpc: &str, name: &str) -> anyhow::Result<String> {
    let id = xml::first(&moto.call("CreateRouteTable", &[("VpcId", vpc)])?, "routeTableId")?;
    tag(moto, &id, name)?;
    Ok(id)
}

fn run(moto: &Moto, name: &str, subnet: &str, address: &str, security_group: &str) -> anyhow::Result<String> {
    let params = [
        ("ImageId", "ami-12c6146b"),
        ("InstanceType", "t3.nano"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet),
        ("PrivateIpAddress", address),
        ("SecurityGroupId.1", security_group),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", name),
    ];
    xml::first(&moto.call("RunInstances", &params)?, "instanceId")
}

/// EC2 keeps one source/destination check per interface and shows it at the instance too; moto keeps two, so both are set.
pub(crate) fn set_check(moto: &Moto, instance: &str, eni: &str, on: bool) -> anyhow::Result<()> {
    let value = ("SourceDestCheck.Value", if on { "true" } else { "false" });
    moto.call("ModifyInstanceAttribute", &[("InstanceId", instance), value])?;
    moto.call("ModifyNetworkInterfaceAttribute", &[("NetworkInterfaceId", eni), value]).map(drop)
}

fn make_group(moto: &Moto, vpc: &str) -> anyhow::Result<String> {
    let params = [("GroupName", "lab"), ("GroupDescription", "everything from the VPC"), ("VpcId", vpc)];
    let id = xml::first(&moto.call("CreateSecurityGroup", &params)?, "groupId")?;
    let rule =
        [("GroupId", id.as_str()), ("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.IpRanges.1.CidrIp", VPC)];
    moto.call("AuthorizeSecurityGroupIngress", &rule)?;
    Ok(id)
}

fn tag(moto: &Moto, id: &str, name: &str) -> anyhow::Result<()> {
    moto.call("CreateTags", &[("ResourceId.1", id), ("Tag.1.Key", "Name"), ("Tag.1.Value", name)]).map(drop)
}
