//! What is asked of EC2 and IMDS besides what a takeover needs.

use std::future::Future;
use std::net::IpAddr;

use crate::model::{
    Acl, AllocationId, AssociationId, Cidr, EipAssociationId, GroupId, InstanceId, InterfaceId, NetworkInterface,
    RouteTable, RouteTableId, SecurityGroup, Subnet, VpcId, Way,
};

/// The way to EC2 and IMDS themselves.
pub trait Account {
    /// The region that is asked, and where it is known from. The error is one line with its remedy.
    fn region(&self) -> impl Future<Output = Result<Region, String>>;
    /// How the instance metadata service answers, by plain requests.
    fn metadata(&self) -> impl Future<Output = Metadata>;
    /// Where calls are sent. Nothing is sent to find that out.
    fn endpoint(&self) -> impl Future<Output = Result<Endpoint, String>>;
    /// Whether the credentials may do this. It is asked with `DryRun`, so nothing is done.
    fn may(&self, right: &Right) -> impl Future<Output = Answer>;
}

/// A VPC's network. Every method is one call (all its pages); an error is one line fit to print, naming the action.
pub trait Network {
    /// All route tables of a VPC.
    fn tables_in(&self, vpc: &VpcId) -> impl Future<Output = Result<Vec<RouteTable>, String>>;
    /// All subnets of a VPC.
    fn subnets_in(&self, vpc: &VpcId) -> impl Future<Output = Result<Vec<Subnet>, String>>;
    /// All network ACLs of a VPC.
    fn acls_in(&self, vpc: &VpcId) -> impl Future<Output = Result<Vec<Acl>, String>>;
    /// The interfaces with these ids; those that do not exist are left out.
    fn interfaces(&self, ids: &[InterfaceId]) -> impl Future<Output = Result<Vec<NetworkInterface>, String>>;
    /// The interfaces of a VPC that have these private IPv4 addresses.
    fn interfaces_at(
        &self,
        vpc: &VpcId,
        addresses: &[IpAddr],
    ) -> impl Future<Output = Result<Vec<NetworkInterface>, String>>;
    /// The security groups with these ids; those that do not exist are left out.
    fn groups(&self, ids: &[GroupId]) -> impl Future<Output = Result<Vec<SecurityGroup>, String>>;
}

/// The region that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Such as `eu-central-1`.
    pub name: String,
    /// What says so: `standby.region`, `AWS_REGION`…
    pub source: &'static str,
}

/// Where calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host that is connected to: EC2's, or a proxy's.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It is a proxy's.
    pub proxy: bool,
}

/// How the instance metadata service answers a client that speaks version 2: a `PUT` for a token, then a `GET` with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// As it should.
    Answers,
    /// By `AWS_EC2_METADATA_DISABLED` it is not to be asked.
    SwitchedOff,
    /// Nobody is there: no connection within the bound.
    Absent,
    /// A token is given out, but its answer does not arrive, while a plain `GET` is answered with this HTTP status.
    TokenLost(u16),
    /// A token is refused with this HTTP status; a plain `GET` has this one, where it has any.
    TokenRefused(u16, Option<u16>),
    /// A connection comes about, and nothing comes over it.
    Silent,
}

/// Something that credentials may or may not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// `DescribeAddresses`.
    DescribeAddresses,
    /// `DescribeInstances`.
    DescribeInstances,
    /// `DescribeNetworkAcls`.
    DescribeNetworkAcls,
    /// `DescribeNetworkInterfaces`.
    DescribeNetworkInterfaces,
    /// `DescribeRouteTables`.
    DescribeRouteTables,
    /// `DescribeSecurityGroups`.
    DescribeSecurityGroups,
    /// `DescribeSubnets`.
    DescribeSubnets,
    /// `ReplaceRouteTableAssociation`: this association, to this table.
    Associate(AssociationId, RouteTableId),
    /// `ReplaceRoute`: in this table, for this destination, to here.
    ReplaceRoute(RouteTableId, Cidr, Way),
    /// `CreateRoute`, likewise.
    CreateRoute(RouteTableId, Cidr, Way),
    /// `DeleteRoute`, likewise.
    DeleteRoute(RouteTableId, Cidr),
    /// `ModifyNetworkInterfaceAttribute`: the source/destination check of this interface.
    DisableCheck(InterfaceId),
    /// `AssociateAddress`: this address, with this interface.
    AssociateAddress(AllocationId, Way),
    /// `DisassociateAddress`.
    DisassociateAddress(EipAssociationId),
    /// `RebootInstances`.
    Reboot(InstanceId),
}

impl Right {
    /// Its IAM action without `ec2:`.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::DescribeAddresses => "DescribeAddresses",
            Self::DescribeInstances => "DescribeInstances",
            Self::DescribeNetworkAcls => "DescribeNetworkAcls",
            Self::DescribeNetworkInterfaces => "DescribeNetworkInterfaces",
            Self::DescribeRouteTables => "DescribeRouteTables",
            Self::DescribeSecurityGroups => "DescribeSecurityGroups",
            Self::DescribeSubnets => "DescribeSubnets",
            Self::Associate(..) => "ReplaceRouteTableAssociation",
            Self::ReplaceRoute(..) => "ReplaceRoute",
            Self::CreateRoute(..) => "CreateRoute",
            Self::DeleteRoute(..) => "DeleteRoute",
            Self::DisableCheck(_) => "ModifyNetworkInterfaceAttribute",
            Self::AssociateAddress(..) => "AssociateAddress",
            Self::DisassociateAddress(_) => "DisassociateAddress",
            Self::Reboot(_) => "RebootInstances",
        }
    }
}

/// What EC2 says to a [`Right`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It would be done (`DryRunOperation`).
    Allowed,
    /// IAM does not allow it (`UnauthorizedOperation`).
    Denied,
    /// EC2 was not even told who asks: no credentials, expired ones, or ones that it does not accept. One line with the remedy.
    Unsigned(String),
    /// Anything else: one line, naming the action.
    Unclear(String),
}
