//! The guarded subnets: which they are, and what is left out although it may need them too.
//!
//! A subnet without an explicit association goes by the VPC's main table ("Subnet route tables" in the Amazon VPC user guide). There is no
//! association of its own that could be replaced, so it is never moved; one that depends on the primary all the same is named.

use jiff::Timestamp;

use super::{Facts, Subject, count, fit, listed, unfit, unknown, warning};
use crate::model::{
    Association, AssociationId, Family, Finding, Fitness, Guarded, InstanceId, RouteTable, Subnet, SubnetId, Topic, Way,
};
use crate::preflight::{make_guarded, now_on};

const TOPIC: Topic = Topic::Subnets;

/// The guarded subnets, by what EC2 says now. Nobody else sees the time that the set carries.
pub(super) fn guarded(facts: &Facts, subject: Subject<'_>) -> Vec<Guarded> {
    let tables = everything(facts);
    let subnets = facts.subnets.as_deref().unwrap_or_default();
    make_guarded(&subject.settings.preflight, &tables, subnets, subject.known, Timestamp::UNIX_EPOCH).subnets
}

/// All tables that are known: those of the VPC, or at least the two.
fn everything(facts: &Facts) -> Vec<RouteTable> {
    match &facts.all_tables {
        Ok(all) if !all.is_empty() => all.clone(),
        _ => facts.tables.clone().unwrap_or_default(),
    }
}

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let Some((primary, standby)) = facts.pair(subject) else {
        let text = "which subnets are guarded is not known, as the route tables are not";
        return vec![unknown(TOPIC, "guarded", text).cause("guarded-not-told").remedy("aws ec2 describe-route-tables")];
    };
    let tables = everything(facts);
    let mut found = vec![set(facts, subject, (primary, standby))];
    found.extend(
        subject.settings.decide.subnets.iter().filter_map(|one| astray(facts, one, &tables, (primary, standby))),
    );
    match (&facts.all_tables, &facts.subnets) {
        (Ok(all), Ok(subnets)) => found.extend(left_out(facts, subject, all, subnets, primary)),
        (Err(why), _) | (_, Err(why)) => {
            let text = format!("whether other subnets depend on the primary is not known: {why}");
            let remedy = "aws ec2 describe-route-tables; aws ec2 describe-subnets";
            found.push(unknown(TOPIC, "left-out", text).cause("left-out-not-told").remedy(remedy));
        }
    }
    found
}

fn set(facts: &Facts, subject: Subject<'_>, (primary, standby): (&RouteTable, &RouteTable)) -> Finding {
    const ID: &str = "guarded";
    let rules = &subject.settings.decide;
    let guarded = guarded(facts, subject);
    if guarded.is_empty() {
        let text =
            format!("no subnet is explicitly associated with primary.route_table = {}: nothing is guarded", primary.id);
        let command = format!("aws ec2 associate-route-table --subnet-id SUBNET --route-table-id {}", primary.id);
        return unfit(TOPIC, ID, text).cause("nothing-guarded").remedy(command);
    }
    let details = guarded.iter().map(|one| {
        let blocks: Vec<String> = one.cidrs.iter().map(ToString::to_string).collect();
        let on = if one.on == primary.id {
            "on the primary"
        } else if one.on == standby.id {
            "on this standby"
        } else {
            "elsewhere"
        };
        format!("{} {}: {on}", super::named(&one.subnet, one.name.as_deref()), blocks.join(", "))
    });
    let all = count(guarded.len(), "subnet");
    if guarded.len() > rules.max_subnets {
        let text = format!("{all} are guarded, takeover.max_subnets is {}: nothing would be moved", rules.max_subnets);
        return unfit(TOPIC, ID, text)
            .cause("too-many")
            .details(details.collect())
            .change("takeover.max_subnets", format!("max_subnets = {}", guarded.len()))
            .change("takeover.subnets", "subnets = [\"fewer of them\"]");
    }
    let away = guarded.iter().filter(|one| one.on != primary.id).count();
    if away == guarded.len() {
        let text = format!("{all} are guarded, and none is on the primary: there is nothing to take over");
        let then = std::iter::once("when the primary is well: natwatch failback".to_owned());
        return warning(TOPIC, ID, text)
            .cause("none-at-home")
            .details(details.chain(then).collect())
            .remedy("natwatch status");
    }
    let away = if away > 0 { format!(", {away} of them not on the primary now") } else { String::new() };
    let are = if guarded.len() == 1 { "is" } else { "are" };
    fit(TOPIC, ID, format!("{all} {are} guarded{away}")).details(details.collect())
}

/// One of `takeover.subnets` that is on neither table: nothing is moved then.
fn astray(
    facts: &Facts,
    subnet: &SubnetId,
    tables: &[RouteTable],
    (primary, standby): (&RouteTable, &RouteTable),
) -> Option<Finding> {
    let name = facts.called(subnet);
    let associate = || format!("aws ec2 associate-route-table --subnet-id {subnet} --route-table-id {}", primary.id);
    let finding = match now_on(tables, subnet) {
        Some(on) if *on == primary.id || *on == standby.id => return None,
        Some(on) => {
            let associations = tables.iter().flat_map(|table| &table.associations);
            let id =
                associations.filter(|one| one.subnet.as_ref() == Some(subnet)).map(|one| one.id.to_string()).next();
            let text = format!(
                "{name} of takeover.subnets is on {on}, not on {} or {}: nothing would be moved",
                primary.id, standby.id
            );
            unfit(TOPIC, "listed", text).cause("listed-elsewhere").remedy(format!(
                "aws ec2 replace-route-table-association --association-id {} --route-table-id {}",
                id.unwrap_or_default(),
                primary.id
            ))
        }
        None if facts.subnets.as_ref().is_ok_and(|all| all.iter().all(|one| &one.id != subnet)) => {
            let text =
                format!("{subnet} of takeover.subnets does not exist in {}: nothing would be moved", primary.vpc);
            unfit(TOPIC, "listed", text)
                .cause("listed-absent")
                .remedy("aws ec2 describe-subnets")
                .change("takeover.subnets", format!("without {subnet}"))
        }
        None => {
            let text = format!("{name} of takeover.subnets has no explicit association: nothing would be moved");
            unfit(TOPIC, "listed", text).cause("listed-by-no-association").remedy(associate())
        }
    };
    Some(finding.of(subnet))
}

/// Subnets that depend on the primary, and that nobody guards.
fn left_out(
    facts: &Facts,
    subject: Subject<'_>,
    tables: &[RouteTable],
    subnets: &[Subnet],
    primary: &RouteTable,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let main = tables.iter().find(|table| table.associations.iter().any(|one| one.main));
    let implicit: Vec<&Subnet> = subnets.iter().filter(|one| now_on(tables, &one.id).is_none()).collect();
    let names = |all: &[&SubnetId]| listed(&all.iter().map(|id| facts.called(id)).collect::<Vec<_>>());
    let ids: Vec<&SubnetId> = implicit.iter().map(|one| &one.id).collect();
    if let Some(main) = main.filter(|main| !ids.is_empty() && depends(main, primary, subject)) {
        let text = format!(
            "{} on the VPC's main table, {}, by no association of their own: they depend on the primary and are not guarded: {}",
            if ids.len() == 1 { "1 subnet is".to_owned() } else { format!("{} subnets are", ids.len()) },
            main.id,
            names(&ids)
        );
        let commands = ids
            .iter()
            .map(|id| format!("aws ec2 associate-route-table --subnet-id {id} --route-table-id {}", primary.id));
        found.push(
            warning(TOPIC, "left-out", text)
                .cause("on-the-main-table")
                .of(&main.id)
                .remedy(commands.collect::<Vec<_>>().join("; ")),
        );
    }
    for table in tables.iter().filter(|table| table.id != primary.id && depends(table, primary, subject)) {
        let on: Vec<(&Association, &SubnetId)> =
            table.associations.iter().filter_map(|one| Some((one, one.subnet.as_ref()?))).collect();
        if !on.is_empty() {
            let (ids, on): (Vec<&AssociationId>, Vec<&SubnetId>) = on.iter().map(|(one, on)| (&one.id, *on)).unzip();
            let text =
                format!("{} also leads to the primary, and its subnets are not guarded: {}", table.id, names(&on));
            let command = |id: &&AssociationId| {
                format!("aws ec2 replace-route-table-association --association-id {id} --route-table-id {}", primary.id)
            };
            let details = vec!["or a natwatch of its own, with this table in primary.route_table".to_owned()];
            let remedy = ids.iter().map(command).collect::<Vec<_>>().join("; ");
            found.push(
                warning(TOPIC, "left-out", text)
                    .cause("on-another-table")
                    .of(&table.id)
                    .details(details)
                    .remedy(remedy),
            );
        }
    }
    let listed_only = &subject.settings.decide.subnets;
    let unlisted: Vec<&SubnetId> = primary.associations.iter().filter_map(|one| one.subnet.as_ref()).collect();
    let unlisted: Vec<&SubnetId> =
        unlisted.into_iter().filter(|one| !listed_only.is_empty() && !listed_only.contains(one)).collect();
    if !unlisted.is_empty() {
        // Method `route` moves whatever is on the table, and refuses to move these unasked.
        let fitness = if subject.settings.decide.method.is_association() { Fitness::Fit } else { Fitness::Unfit };
        let text = format!("on the primary's table, and not in takeover.subnets: {}", names(&unlisted));
        let finding = Finding::new(TOPIC, "left-out", fitness, text).of(&primary.id);
        let all: Vec<String> =
            listed_only.iter().chain(unlisted.iter().copied()).map(|one| format!("\"{one}\"")).collect();
        found.push(if fitness == Fitness::Fit {
            finding
        } else {
            finding.cause("not-listed").change("takeover.subnets", format!("subnets = [{}]", all.join(", ")))
        });
    }
    let main = primary.associations.iter().find(|one| one.main);
    if let Some(main) = main.filter(|_| !subject.settings.decide.method.is_association()) {
        let text = format!(
            "{} is the VPC's main table: a change of its routes would move every subnet without a table of its own, so nothing is moved",
            primary.id
        );
        let details = vec![
            "TABLE: another one, to be the VPC's main table; or take over by takeover.method = \"association\""
                .to_owned(),
        ];
        let remedy =
            format!("aws ec2 replace-route-table-association --association-id {} --route-table-id TABLE", main.id);
        found.push(unfit(TOPIC, "main-table", text).cause("primarys-is-main").details(details).remedy(remedy));
    }
    found
}

/// Whether a table's default route leads where the primary's does, or to `primary.instance`.
fn depends(table: &RouteTable, primary: &RouteTable, subject: Subject<'_>) -> bool {
    if table.id == primary.id {
        return true;
    }
    let destination = Family::V4.default_route();
    let Some(way) = table.route(destination).map(Way::from) else { return false };
    let led = primary.route(destination).map(Way::from).is_some_and(|led| led.same(&way));
    let named: Option<&InstanceId> = subject.settings.decide.primary_instance.as_ref();
    // A standby that carries the primary's table is not the primary.
    let own = table.id == subject.settings.decide.standby_table;
    !own && (led || named.is_some_and(|id| way.instance.as_ref() == Some(id)))
}
