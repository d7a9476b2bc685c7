//! Whether the primary could carry anything, as far as EC2 shows it.

use super::gates::{self, hold};
use crate::decide::DecideSettings;
use crate::model::{Family, Gate, GuardedSet, Hold, Instance, InstanceId, Route, RouteTable, Survey};

/// What is known to keep the primary from being gone back to; nothing where all that can be seen looks well, which is no proof.
#[must_use]
pub fn unready(survey: &Survey, guarded: Option<&GuardedSet>, rules: &DecideSettings) -> Vec<Hold> {
    let (Ok((primary, _)), Ok(own)) = (gates::tables(survey, rules), &survey.identity) else { return Vec::new() };
    let home =
        if rules.method.is_association() { leads_home((survey, guarded), primary, own, rules) } else { Vec::new() };
    primary_runs(survey, rules).into_iter().chain(home).collect()
}

/// What is known of the primary itself to keep it from carrying anything.
pub(super) fn primary_runs(survey: &Survey, rules: &DecideSettings) -> Option<Hold> {
    match survey.primary.as_ref()? {
        Ok(Some(one)) if one.state != "running" => {
            let remedy = format!("aws ec2 start-instances --instance-ids {}", one.id);
            Some(hold(Gate::Unfit, format!("the primary {} is {}", one.id, one.state), remedy))
        }
        Ok(Some(_)) => None,
        Ok(None) => Some(hold(
            Gate::Foreign,
            format!("the primary {} is not known to EC2 in this region", named(rules)),
            "correct primary.instance or standby.region",
        )),
        Err(why) => Some(hold(Gate::Unfit, format!("EC2 can't be asked about the primary: {why}"), "")),
    }
}

/// And of the default routes of its table, for each family that it carries.
pub(super) fn leads_home(
    (survey, guarded): (&Survey, Option<&GuardedSet>),
    table: &RouteTable,
    own: &InstanceId,
    rules: &DecideSettings,
) -> Vec<Hold> {
    let families = guarded.map_or(&[][..], |set| &set.families);
    [Family::V4, Family::V6]
        .into_iter()
        .filter(|one| *one == Family::V4 || families.contains(one))
        .filter_map(|family| leads_to_the_primary(table, family, own, survey, rules))
        .collect()
}

fn named(rules: &DecideSettings) -> String {
    rules.primary_instance.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn leads_to_the_primary(
    table: &RouteTable,
    family: Family,
    own: &InstanceId,
    survey: &Survey,
    rules: &DecideSettings,
) -> Option<Hold> {
    let destination = family.default_route();
    let look = format!("aws ec2 describe-route-tables --route-table-ids {}", table.id);
    let Some(route) = table.route(destination) else {
        return Some(hold(Gate::Unfit, format!("{} has no route for {destination}", table.id), look));
    };
    let says = |what: &str| format!("{} sends {destination} to {}, {what}", table.id, route.target());
    if route.blackhole {
        return Some(hold(Gate::Unfit, says("which is a blackhole"), look));
    }
    if route.instance.is_none() && route.interface.is_none() {
        return Some(hold(Gate::Foreign, says("and not to an instance"), look));
    }
    let ours = survey.standby.as_ref().ok().and_then(Option::as_ref);
    if route.instance.as_ref() == Some(own) || ours.is_some_and(|instance| through(route, instance)) {
        return Some(hold(Gate::Foreign, says("which is this standby itself"), look));
    }
    let expected = rules.primary_instance.as_ref();
    if route.instance.as_ref().is_some_and(|leads| expected.is_some_and(|expected| expected != leads)) {
        let remedy = "correct primary.instance, or the route";
        return Some(hold(Gate::Foreign, says("and primary.instance is another"), remedy));
    }
    None
}

fn through(route: &Route, instance: &Instance) -> bool {
    instance.interfaces.iter().any(|one| route.interface.as_ref() == Some(&one.id))
}
