//! The two route tables: whether they are there, where they lead, and in what they differ; and the address that is brought along.

mod standby;

use super::{Facts, Subject, fit, named, unfit, unknown, warning};
use crate::act::Held;
use crate::model::{
    AllocationId, Cidr, Family, Finding, Fitness, Holder, Instance, InstanceId, Route, RouteTable, Topic, Way,
};
use crate::preflight::families;

const TOPIC: Topic = Topic::Routes;

/// How many commands stand in one remedy.
const COMMANDS: usize = 5;

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let mut found = tables(facts, subject);
    if let Some((primary, standby)) = facts.pair(subject) {
        let guarded = families(&subject.settings.preflight, std::slice::from_ref(primary));
        found.extend(standby::routes(facts, subject, standby, &guarded));
        found.push(primary_route(facts, subject, primary));
        found.extend(
            subject.settings.decide.method.destinations().iter().map(|one| destination(facts, subject, primary, one)),
        );
        found.push(differences(primary, standby));
    }
    let address = subject.settings.decide.elastic_ip.as_ref().zip(facts.address.as_ref());
    found.extend(address.map(|(id, held)| elastic_ip(facts, subject, id, held)));
    found
}

fn tables(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let rules = &subject.settings.decide;
    let tables = match &facts.tables {
        Ok(tables) => tables,
        Err(why) => {
            let text = format!("EC2 can't be asked about the route tables: {why}");
            let ids = format!("{} {}", rules.primary_table, rules.standby_table);
            let remedy = format!("aws ec2 describe-route-tables --route-table-ids {ids}");
            return vec![unknown(TOPIC, "tables", text).cause("tables-not-told").remedy(remedy)];
        }
    };
    let missing = |key: &'static str, id: &crate::model::RouteTableId| {
        if tables.iter().any(|table| &table.id == id) {
            return None;
        }
        let text = format!("{key} = {id} does not exist in this region and account");
        Some(
            unfit(TOPIC, "tables", text)
                .cause("table-absent")
                .of(id)
                .remedy("aws ec2 describe-route-tables")
                .change(key, "route_table = \"one that is there\"")
                .change("standby.region", "region = \"where it is\""),
        )
    };
    let missing: Vec<Finding> =
        [missing("primary.route_table", &rules.primary_table), missing("standby.route_table", &rules.standby_table)]
            .into_iter()
            .flatten()
            .collect();
    let Some((primary, standby)) = facts.pair(subject) else { return missing };
    let (one, other) = (called(primary), called(standby));
    if primary.vpc != standby.vpc {
        let text = format!("{one} is in {}, {other} in {}", primary.vpc, standby.vpc);
        let table = |of: &RouteTable| format!("route_table = \"one of {}\"", of.vpc);
        return vec![
            unfit(TOPIC, "tables", text)
                .cause("two-vpcs")
                .change("standby.route_table", table(primary))
                .change("primary.route_table", table(standby)),
        ];
    }
    vec![fit(TOPIC, "tables", format!("{one} and {other} are in {}", primary.vpc))]
}

fn called(table: &RouteTable) -> String {
    named(&table.id, table.name.as_deref())
}

fn replace(table: &RouteTable, destination: &str, primary: Option<&InstanceId>) -> String {
    let option = if destination.contains(':') { "--destination-ipv6-cidr-block" } else { "--destination-cidr-block" };
    let instance = primary.map_or("PRIMARY", InstanceId::as_str);
    format!("aws ec2 replace-route --route-table-id {} {option} {destination} --instance-id {instance}", table.id)
}

/// Whether a way leads to this instance, by id or interface.
fn to(way: &Way, instance: &Instance) -> bool {
    let by_interface = way.interface.as_ref().is_some_and(|id| instance.interfaces.iter().any(|one| &one.id == id));
    by_interface || way.instance.as_ref() == Some(&instance.id)
}

/// The primary's default route leads to the primary.
fn primary_route(facts: &Facts, subject: Subject<'_>, table: &RouteTable) -> Finding {
    const ID: &str = "primary-route";
    let rules = &subject.settings.decide;
    let primary = rules.primary_instance.as_ref();
    let destination = Family::V4.default_route();
    let name = called(table);
    let route = [Family::V4, Family::V6].iter().find_map(|family| table.route(family.default_route()));
    let Some(route) = route else {
        let command = replace(table, destination, primary).replace("replace-route", "create-route");
        let text = format!("{name} has no default route: nothing of its subnets depends on a NAT instance");
        return unfit(TOPIC, ID, text).cause("no-default-route").remedy(command);
    };
    let (destination, way) = (&route.destination, Way::from(route));
    let put_back = || replace(table, destination, primary);
    let standby = facts.standby(subject);
    if way.interface.is_none() && way.instance.is_none() && !route.blackhole {
        let text = format!(
            "{name} sends {destination} to {}, and not to a NAT instance: it does not depend on one",
            route.target()
        );
        return unfit(TOPIC, ID, text)
            .cause("no-nat-instance")
            .change("primary.route_table", "route_table = \"that of the private subnets\"");
    }
    if standby.is_some_and(|standby| to(&way, standby)) {
        let text = format!("{name} sends {destination} to this instance, which is the standby");
        let finding = if rules.method.is_association() { unfit } else { warning };
        return finding(TOPIC, ID, text).cause("primarys-route-leads-here").remedy(put_back());
    }
    if route.blackhole {
        let text = format!("{name} sends {destination} to a black hole: the primary is stopped, or gone");
        return warning(TOPIC, ID, text).cause("primarys-black-hole").remedy(put_back());
    }
    let another = primary.filter(|id| way.instance.as_ref().is_some_and(|led| led != *id));
    if let Some(id) = another {
        let text = format!("{name} sends {destination} to {}, not to primary.instance = {id}", route.target());
        let finding = if rules.method.is_association() { warning } else { unfit };
        return finding(TOPIC, ID, text).cause("not-the-primary").remedy(put_back());
    }
    let known = way.instance.as_ref().and_then(|id| facts.instance(id)).and_then(|one| one.name.as_deref());
    fit(TOPIC, ID, format!("{name} sends {destination} to {}, the primary", named(&route.target(), known)))
}

/// A route that method `route` replaces.
fn destination(facts: &Facts, subject: Subject<'_>, table: &RouteTable, destination: &Cidr) -> Finding {
    const ID: &str = "destination";
    let primary = subject.settings.decide.primary_instance.as_ref();
    let Some(route) = table.routes.iter().find(|route| route.is_for(destination)) else {
        let text = format!("{} has no route for {destination}: a takeover makes one", called(table));
        let command = replace(table, &destination.to_string(), primary).replace("replace-route", "create-route");
        return warning(TOPIC, ID, text).cause("destination-absent").of(destination).remedy(command);
    };
    let way = Way::from(route);
    let of_primary = primary.is_none_or(|id| way.instance.as_ref() == Some(id));
    let here = facts.standby(subject).is_some_and(|standby| to(&way, standby));
    let nobody = way.interface.is_none() && way.instance.is_none();
    let text = format!("{} sends {destination} to {}", called(table), route.target());
    if route.blackhole || (!nobody && of_primary && !here) {
        return fit(TOPIC, ID, text).of(destination);
    }
    let finding = if here { warning } else { unfit };
    finding(TOPIC, ID, text).cause("destination-elsewhere").of(destination).remedy(replace(
        table,
        &destination.to_string(),
        primary,
    ))
}

/// What who is moved loses or finds elsewhere, as a difference of the tables: the gate does not hold for it, since the way to the internet is
/// worth more than a peering.
fn differences(primary: &RouteTable, standby: &RouteTable) -> Finding {
    const ID: &str = "differences";
    let default = |route: &&Route| [Family::V4, Family::V6].iter().all(|one| one.default_route() != route.destination);
    let line = |sign: char, route: &Route| {
        let blackhole = if route.blackhole { " (a black hole)" } else { "" };
        format!("{sign} {} to {}{blackhole}", route.destination, route.target())
    };
    let (mut details, mut commands, mut lost) = (Vec::new(), Vec::new(), 0_usize);
    for route in primary.routes.iter().filter(default) {
        let there = standby.route(&route.destination);
        if there.is_some_and(|there| there.target() == route.target() && there.blackhole == route.blackhole) {
            continue;
        }
        lost += 1;
        details.push(line('-', route));
        details.extend(there.map(|there| line('+', there)));
        commands.push(command(standby, route, there.is_some()));
    }
    let more = standby.routes.iter().filter(default).filter(|route| primary.route(&route.destination).is_none());
    details.extend(more.map(|route| line('+', route)));
    let (one, other) = (called(primary), called(standby));
    if lost == 0 {
        let text = format!("{other} has all the routes of {one}");
        return Finding::new(TOPIC, ID, Fitness::Fit, text).details(details);
    }
    commands.truncate(COMMANDS);
    let text = format!(
        "{other} lacks {} of {one}, which whoever is moved loses (-: {}, +: {})",
        super::count(lost, "route"),
        primary.id,
        standby.id
    );
    warning(TOPIC, ID, text).cause("lacking").details(details).remedy(commands.join("; "))
}

/// The command that gives the standby's table a route of the primary's.
fn command(table: &RouteTable, route: &Route, replaces: bool) -> String {
    let target = route.target();
    // The way to a gateway endpoint is made by the endpoint and not by hand.
    if target.starts_with("vpce-") && route.destination.starts_with("pl-") {
        return format!("aws ec2 modify-vpc-endpoint --vpc-endpoint-id {target} --add-route-table-ids {}", table.id);
    }
    let verb = if replaces { "replace-route" } else { "create-route" };
    let destination = match &route.destination {
        list if list.starts_with("pl-") => "--destination-prefix-list-id",
        v6 if v6.contains(':') => "--destination-ipv6-cidr-block",
        _ => "--destination-cidr-block",
    };
    let option = [
        ("i-", "--instance-id"),
        ("eni-", "--network-interface-id"),
        ("pcx-", "--vpc-peering-connection-id"),
        ("tgw-", "--transit-gateway-id"),
        ("nat-", "--nat-gateway-id"),
        ("eigw-", "--egress-only-internet-gateway-id"),
        ("lgw-", "--local-gateway-id"),
        ("cagw-", "--carrier-gateway-id"),
        ("vpce-", "--vpc-endpoint-id"),
        ("arn:", "--core-network-arn"),
    ];
    let option =
        option.iter().find(|(prefix, _)| target.starts_with(prefix)).map_or("--gateway-id", |(_, option)| option);
    format!("aws ec2 {verb} --route-table-id {} {destination} {} {option} {target}", table.id, route.destination)
}

/// The address that is to come along is with the primary, or with nobody.
fn elastic_ip(facts: &Facts, subject: Subject<'_>, id: &AllocationId, held: &Result<Option<Held>, String>) -> Finding {
    const ID: &str = "elastic-ip";
    let holder = match held {
        // EC2 answers, and not about this: it is not there, or must not be looked at.
        Err(why) if facts.tables.is_ok() => {
            let text = format!("takeover.elastic_ip does not come along: {why}");
            return unfit(TOPIC, ID, text)
                .cause("address-absent")
                .remedy("aws ec2 describe-addresses")
                .change("takeover.elastic_ip", "elastic_ip = \"one that is there\"");
        }
        Err(why) => {
            let remedy = format!("aws ec2 describe-addresses --allocation-ids {id}");
            return unknown(TOPIC, ID, format!("EC2 can't be asked about {id}: {why}"))
                .cause("address-not-told")
                .remedy(remedy);
        }
        Ok(None) => return fit(TOPIC, ID, format!("{id} is with nobody, and will come along")),
        Ok(Some(Held { holder, .. })) => holder,
    };
    if facts.standby(subject).is_some_and(|standby| to(&holder.way, standby)) {
        return warning(TOPIC, ID, format!("{id} is with this instance already"))
            .cause("address-here")
            .remedy(give_back(id, subject));
    }
    let led = facts.pair(subject).and_then(|(primary, _)| primary.route(Family::V4.default_route()).map(Way::from));
    let primary = subject.settings.decide.primary_instance.clone();
    let ways = [primary.map(|id| Way { interface: None, instance: Some(id) }), led];
    let with_primary = ways.into_iter().flatten().any(|way| holder.same(&Holder { way, private: None }));
    if with_primary {
        return fit(TOPIC, ID, format!("{id} is with the primary ({holder}), and will come along"));
    }
    warning(TOPIC, ID, format!("{id} is with {holder}, which is not the primary, and stays there"))
        .cause("address-elsewhere")
        .remedy(give_back(id, subject))
}

fn give_back(id: &AllocationId, subject: Subject<'_>) -> String {
    let primary = subject.settings.decide.primary_instance.as_ref();
    let instance = primary.map_or("PRIMARY", InstanceId::as_str);
    format!("aws ec2 associate-address --allocation-id {id} --instance-id {instance} --allow-reassociation")
}
