//! How this instance itself gets out: its pings, and its calls to EC2, must not need the primary.

use std::net::IpAddr;

use super::{Facts, Subject, fit, named, unfit, unknown, warning};
use crate::model::{Family, Finding, Instance, NetworkInterface, Route, RouteTable, SubnetId, Topic, Way, address};

const TOPIC: Topic = Topic::Uplink;

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let nobody = || {
        let text = "how this instance gets out is not known, as EC2 does not tell which it is";
        // Of its own id nothing is needed: whoever asks EC2 by hand sees what it says, or that it says nothing.
        (
            unknown(TOPIC, "own-route", text).cause("own-route-nobody").remedy("aws ec2 describe-instances"),
            Through::Unknown,
        )
    };
    let (own, through) = facts.standby(subject).map_or_else(nobody, |standby| own_route(facts, subject, standby));
    std::iter::once(own).chain(ec2_route(facts, subject, through)).collect()
}

/// Where this instance's packets go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    Primary,
    Elsewhere,
    Unknown,
}

/// The table by which this instance's own packets leave; and whether that leads through the primary.
fn own_route(facts: &Facts, subject: Subject<'_>, standby: &Instance) -> (Finding, Through) {
    const ID: &str = "own-route";
    let bad =
        |cause, why: String, remedy: String| (unknown(TOPIC, ID, why).cause(cause).remedy(remedy), Through::Unknown);
    let Some(subnet) = uplink(facts, standby) else {
        let remedy = format!("aws ec2 describe-instances --instance-ids {}", standby.id);
        return bad("own-subnet-unknown", format!("EC2 does not say in which subnet {} is", standby.id), remedy);
    };
    let describe = || "aws ec2 describe-route-tables".to_owned();
    let tables = match &facts.all_tables {
        Ok(tables) => tables,
        Err(why) => {
            return bad("own-route-not-told", format!("how this instance gets out is not known: {why}"), describe());
        }
    };
    let has = |table: &&RouteTable| table.associations.iter().any(|one| one.subnet.as_ref() == Some(&subnet));
    let main = |table: &&RouteTable| table.associations.iter().any(|one| one.main);
    let Some(table) = tables.iter().find(has).or_else(|| tables.iter().find(main)) else {
        return bad("own-table-unknown", format!("no route table of {subnet} is known"), describe());
    };
    let (place, name) = (facts.called(&subnet), named(&table.id, table.name.as_deref()));
    let rules = &subject.settings.decide;
    let remedy = mend(&subnet, tables);
    let Some(route) = table.route(Family::V4.default_route()) else {
        let text = format!("this instance's own subnet, {place}, has no default route ({name})");
        return (unfit(TOPIC, ID, text).cause("no-way-out").remedy(remedy), Through::Unknown);
    };
    let way = Way::from(route);
    let led = facts.pair(subject).and_then(|(primary, _)| primary.route(Family::V4.default_route()).map(Way::from));
    let same =
        led.is_some_and(|led| led.same(&way)) || (way.instance.is_some() && way.instance == rules.primary_instance);
    if table.id == rules.primary_table || same {
        let text = format!(
            "this instance's own subnet, {place}, is routed through the primary ({name}): its pings and its calls to EC2 would die with it"
        );
        return (unfit(TOPIC, ID, text).cause("through-the-primary").remedy(remedy), Through::Primary);
    }
    if table.id == rules.standby_table || way.instance.as_ref() == Some(&standby.id) {
        let text = format!("this instance's own subnet, {place}, is routed to this instance itself ({name})");
        return (unfit(TOPIC, ID, text).cause("to-itself").remedy(remedy), Through::Elsewhere);
    }
    if route.blackhole {
        let text = format!("the default route of this instance's own subnet, {place}, is a black hole ({name})");
        return (unfit(TOPIC, ID, text).cause("own-black-hole").remedy(remedy), Through::Elsewhere);
    }
    let text = format!("this instance gets out by {} ({place}, {name})", route.target());
    (fit(TOPIC, ID, text), Through::Elsewhere)
}

/// The command that gives a subnet a table whose default route is an internet gateway; the first such table, where there is one, else `TABLE`.
fn mend(subnet: &SubnetId, tables: &[RouteTable]) -> String {
    let gateway = |route: &Route| route.other.as_deref().is_some_and(|id| id.starts_with("igw-"));
    let open = tables.iter().find(|table| table.route(Family::V4.default_route()).is_some_and(gateway));
    let table = open.map_or("TABLE", |table| table.id.as_str());
    let mut associations = tables.iter().flat_map(|table| &table.associations);
    match associations.find(|one| one.subnet.as_ref() == Some(subnet)) {
        Some(one) => {
            format!("aws ec2 replace-route-table-association --association-id {} --route-table-id {table}", one.id)
        }
        None => format!("aws ec2 associate-route-table --subnet-id {subnet} --route-table-id {table}"),
    }
}

/// The subnet of the interface that the kernel sends packets to EC2 over; else that of the first interface.
fn uplink(facts: &Facts, standby: &Instance) -> Option<SubnetId> {
    let own = facts.interfaces.iter().flatten().filter(|one| one.instance.as_ref() == Some(&standby.id));
    let by_address = |one: &&NetworkInterface| facts.way.from.is_some_and(|from| one.addresses.contains(&from));
    own.into_iter().find(by_address).map(|one| one.subnet.clone()).or_else(|| standby.subnet.clone())
}

/// EC2 without the primary.
fn ec2_route(facts: &Facts, subject: Subject<'_>, through: Through) -> Option<Finding> {
    const ID: &str = "ec2-route";
    let endpoint = match &facts.way.endpoint {
        Ok(endpoint) => endpoint,
        Err(why) => {
            let text = format!("where EC2 is asked is not known: {why}");
            return Some(unknown(TOPIC, ID, text).cause("no-endpoint").remedy("aws ec2 describe-regions --debug"));
        }
    };
    let whom = if endpoint.proxy { format!("the proxy {}", endpoint.host) } else { endpoint.host.clone() };
    let resolver = format!("getent ahosts {}; cat /etc/resolv.conf", endpoint.host);
    let addresses = match &facts.way.addresses {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => {
            let text = format!("{whom}, by which EC2 is asked, has no address");
            return Some(unfit(TOPIC, ID, text).cause("endpoint-without-address").remedy(resolver));
        }
        Err(why) => {
            let text = format!("EC2 can't be asked: {why}");
            return Some(unfit(TOPIC, ID, text).cause("endpoint-unresolved").remedy(resolver));
        }
    };
    // One that leads nowhere is tried like the others.
    let address = addresses.first()?;
    let at = if endpoint.host == address.to_string() { whom.clone() } else { format!("{whom} ({address})") };
    if let Some(gateway) =
        facts.way.gateway.map(IpAddr::V4).filter(|gateway| primarys(facts, subject).contains(gateway))
    {
        let text = format!("this machine's own routes send what goes to EC2, {at}, to the primary, {gateway}");
        let details = vec!["the route that is to be removed:".to_owned()];
        return Some(
            unfit(TOPIC, ID, text)
                .cause("kernel-route-to-the-primary")
                .details(details)
                .remedy(format!("ip route get {address}; ip route | grep -F 'via {gateway}'")),
        );
    }
    let known: Vec<&crate::model::Cidr> = facts.subnets.iter().flatten().flat_map(|one| &one.cidrs).collect();
    if known.iter().any(|block| block.contains(address)) {
        let what = if endpoint.proxy { "inside the VPC" } else { "by a VPC endpoint" };
        return Some(fit(TOPIC, ID, format!("EC2 is asked at {at}, {what}: the primary has no part in it")));
    }
    if address::private(*address) {
        let text = format!(
            "EC2 is asked at {at}, a private address outside of this VPC: whether the way there leads through the primary is not known"
        );
        let details = vec!["look at the route of this instance's subnet for it, too".to_owned()];
        return Some(
            warning(TOPIC, ID, text)
                .cause("endpoint-elsewhere")
                .details(details)
                .remedy(format!("ip route get {address}; aws ec2 describe-route-tables")),
        );
    }
    match through {
        Through::Primary => {
            let text = format!("EC2 is asked at {at}, through the primary: with it dead nothing could be moved");
            let region = facts.region.as_ref().map_or("REGION", |region| region.name.as_str());
            let vpc = facts.pair(subject).map_or("VPC", |(primary, _)| primary.vpc.as_str());
            let details = vec!["or mend the route of this instance's own subnet".to_owned()];
            Some(unfit(TOPIC, ID, text).cause("ec2-through-the-primary").details(details).remedy(format!(
                "aws ec2 create-vpc-endpoint --vpc-id {vpc} --vpc-endpoint-type Interface --service-name com.amazonaws.{region}.ec2 \
                 --subnet-ids SUBNET"
            )))
        }
        Through::Elsewhere => Some(fit(TOPIC, ID, format!("EC2 is asked at {at}, without the primary"))),
        Through::Unknown => None,
    }
}

/// The primary's private addresses, as far as they are known.
fn primarys(facts: &Facts, subject: Subject<'_>) -> Vec<IpAddr> {
    let id = subject.settings.decide.primary_instance.as_ref();
    let interfaces = facts.interfaces.iter().flatten().filter(|one| id.is_some() && one.instance.as_ref() == id);
    interfaces.flat_map(|one| one.addresses.clone()).chain(subject.settings.primary_address).collect()
}
