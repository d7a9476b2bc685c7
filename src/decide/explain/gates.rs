//! The gates, each with what was seen: those that hold in the words of the decision, the others in ours.

use crate::decide::{Case, Lock, own};
use crate::model::{Gate, Hold, Item, Phase, Rule, Survey};

use super::{exact, subnets};

/// Every gate, in the order of the vocabulary.
pub(super) fn explain(case: &Case, holds: &[Hold]) -> Vec<Rule> {
    Gate::ALL
        .iter()
        .map(|gate| {
            let items: Vec<Item> = holds
                .iter()
                .filter(|hold| hold.gate == *gate)
                .map(|hold| Item { name: hold.why.clone(), says: hold.remedy.clone() })
                .collect();
            let met = items.is_empty();
            let says = match &case.survey {
                _ if !met => String::new(),
                Some(survey) => free(*gate, holds.is_empty(), case, survey),
                None => "EC2 was not asked".to_owned(),
            };
            Rule { items, ..Rule::new(gate.as_str(), met, says) }
        })
        .collect()
}

/// What was seen of a gate that holds nothing back.
fn free(gate: Gate, planned: bool, case: &Case, survey: &Survey) -> String {
    let rules = &case.rules;
    let known = survey.table(&rules.primary_table).is_some() && survey.table(&rules.standby_table).is_some();
    if !known && matches!(gate, Gate::AlreadyActive | Gate::TooMany | Gate::Foreign) {
        return "not looked at: the route tables are not known".to_owned();
    }
    let on_primary = survey.table(&rules.primary_table).map_or(0, |table| {
        let wanted = |id| rules.subnets.is_empty() || rules.subnets.contains(id);
        table.associations.iter().filter(|one| one.subnet.as_ref().is_some_and(wanted)).count()
    });
    match gate {
        Gate::Booting => {
            let uptime = survey.uptime.as_ref().map_or_else(Clone::clone, |up| exact(*up));
            let primary = match &survey.primary {
                None => "the configuration does not name the primary".to_owned(),
                Some(Ok(Some(one))) => {
                    let ago = one.launched_ago.map(|ago| format!(", started {} ago", exact(ago))).unwrap_or_default();
                    format!("the primary {} is {}{ago}", one.id, one.state)
                }
                Some(Ok(None)) => "EC2 does not know the primary".to_owned(),
                Some(Err(why)) => format!("EC2 can't be asked about the primary: {why}"),
            };
            format!("this instance is up {uptime}, {} needed; {primary}", exact(rules.min_uptime))
        }
        Gate::Locked => match &case.lock {
            Lock::Free => "no takeover is on record".to_owned(),
            Lock::Held { phase, .. } => match phase {
                Phase::Taking | Phase::Partial => {
                    format!("the takeover on record is not complete ({phase}) and may be gone on with")
                }
                Phase::FailingBack => "a failback is on record; what it has brought back is guarded again".to_owned(),
                Phase::Taken => "a takeover is on record, and this one is asked for".to_owned(),
            },
            Lock::Unreadable(why) => why.clone(),
        },
        Gate::Paused => case
            .paused
            .as_ref()
            .map_or_else(|| "no pause is on".to_owned(), |_| "a pause is on, and this is asked for".to_owned()),
        Gate::AlreadyActive => format!("{} on {}", subnets(on_primary), rules.primary_table),
        Gate::TooMany => {
            format!("{} on {}, at most {} may move", subnets(on_primary), rules.primary_table, rules.max_subnets)
        }
        Gate::Unfit => {
            let leads = if known { "leads here" } else { "was not looked at" };
            let own = case.own.as_deref().map_or_else(String::new, |own| format!("; {}", own::free(case, own)));
            format!("it forwards, {} {leads}; masquerading: {}{own}", rules.standby_table, survey.masquerade)
        }
        Gate::Foreign => format!(
            "{} and {} are in one VPC{}",
            rules.primary_table,
            rules.standby_table,
            if planned { "; those behind the primary are evidence enough by themselves" } else { "" }
        ),
    }
}
