//! Why a [`Case`] leads to what it leads to, rule by rule, with what was found and what was needed.
//!
//! It decides nothing: every condition is asked of the function that decides by it, and what follows from the rules it lists is
//! what the decision says (a property test compares the two). It only words.
//!
//! | file | explains |
//! |---|---|
//! | `round` | one round: rules 1 to 4 of the contract |
//! | `row` | the row of rounds: rule 5 |
//! | `gates` | what holds a takeover back, and what doesn't |

mod gates;
mod round;
mod row;

use std::time::Duration;

use super::case::considered;
use super::{Case, Lock, Next, Redundancy, conclude, families, grounds, guarded, unfit};
use crate::model::{Explanation, Item, Move, Phase, Rule, Verification};

/// Explains a pass.
#[must_use]
pub fn explain(case: &Case) -> Explanation {
    let mut rounds = Vec::new();
    for (n, look) in case.looks.iter().enumerate() {
        rounds.extend(families(&look.round).into_iter().map(|family| round::explain(n + 1, look, &case.rules, family)));
    }
    let enough = case.planned || case.next() == Next::Act;
    let considered = considered(case);
    let (gates, plan) = match &considered {
        _ if !enough || case.busy.is_some() => (Vec::new(), None),
        Ok(plan) => (gates::explain(case, &[]), Some(plan.clone())),
        Err(over) => (gates::explain(case, &over.holds), None),
    };
    Explanation {
        rounds,
        rows: row::explain(case),
        enough,
        gates,
        ending: if case.busy.is_none() && enough { moved(case, plan.is_some()) } else { rested(case) },
        plan,
        conclusion: conclude(case),
    }
}

/// What has a say where nothing is to be moved.
fn rested(case: &Case) -> Vec<Rule> {
    if let Some(who) = &case.busy {
        return vec![Rule::new("busy", false, format!("another natwatch of this name is moving subnets: {who}"))];
    }
    let mut rules = vec![Rule::new(
        "deadline",
        !case.out_of_time,
        if case.out_of_time {
            "it came before there was enough evidence".to_owned()
        } else {
            "the rounds came to their end before it".to_owned()
        },
    )];
    rules.push(lock(case));
    let faults = guarded::faults(case);
    rules.push(Rule {
        items: faults.iter().map(|one| Item { name: one.gate.to_string(), says: one.why.clone() }).collect(),
        ..Rule::new("guarded", faults.is_empty(), guarded_says(case))
    });
    let unfit = unfit(case);
    let says = match (&case.survey, unfit.is_empty()) {
        (None, _) => "whether this standby could take over was not looked at",
        (Some(_), true) => "nothing is known that would hold a takeover",
        (Some(_), false) => "this standby could not take over",
    };
    rules.push(Rule {
        items: unfit.iter().map(|one| Item { name: one.gate.to_string(), says: one.why.clone() }).collect(),
        ..Rule::new("fit", unfit.is_empty(), says.to_owned())
    });
    rules.push(Rule::new(
        "memory",
        case.forgets.is_none(),
        case.forgets
            .as_ref()
            .map_or_else(|| "what was seen can be kept".to_owned(), |why| format!("nothing can be kept: {why}")),
    ));
    rules
}

fn lock(case: &Case) -> Rule {
    let (met, says) = match &case.lock {
        Lock::Unreadable(why) => (false, format!("the takeover record can't be used: {why}")),
        Lock::Free => match Redundancy::of(None, case.guarded.as_ref()) {
            Redundancy::Gone => {
                (false, "no takeover is on record, and no guarded subnet is on the primary's table".to_owned())
            }
            _ => (true, "no takeover is on record".to_owned()),
        },
        Lock::Held { phase, .. } => match Redundancy::of(Some(*phase), case.guarded.as_ref()) {
            Redundancy::Gone => {
                (false, "a complete takeover is on record, but no guarded subnet is on the standby's table".to_owned())
            }
            Redundancy::StandsBy => (true, "a failback is on record, and all subnets are back".to_owned()),
            _ if *phase == Phase::FailingBack => {
                (false, "a failback is on record, and some subnets are still on the standby's table".to_owned())
            }
            _ if *phase == Phase::Taken => (false, "a complete takeover is on record".to_owned()),
            _ => (false, format!("a takeover that is not complete is on record ({phase})")),
        },
    };
    Rule::new("lock", met, says)
}

fn guarded_says(case: &Case) -> String {
    let Some(set) = &case.guarded else { return "it is not known yet what is guarded".to_owned() };
    let on = |table| set.subnets.iter().filter(|one| &one.on == table).count();
    format!(
        "{} guarded, at most {} are allowed; {} on {}, {} on {}",
        subnets(set.subnets.len()),
        case.rules.max_subnets,
        on(&set.primary),
        set.primary,
        on(&set.standby),
        set.standby,
    )
}

/// What has a say where the evidence is enough.
fn moved(case: &Case, planned: bool) -> Vec<Rule> {
    if !planned {
        return Vec::new();
    }
    let moves = case.moves.as_deref().unwrap_or_default();
    let asked = case.planned.then(|| Rule::new("asked for", true, format!("{}: no evidence is needed", grounds(case))));
    let settled = moves.iter().filter(|one| one.result.settled()).count();
    let says = if case.moves.is_none() {
        "the plan was not carried out".to_owned()
    } else {
        format!("{settled} of {} are where they belong", subnets(moves.len()))
    };
    let made = Rule {
        items: moves.iter().map(step).collect(),
        ..Rule::new("moves", !moves.is_empty() && settled == moves.len(), says)
    };
    if !moves.iter().any(|one| one.result.moved()) {
        return asked.into_iter().chain([made]).collect();
    }
    let seen = |wanted| moves.iter().filter(|one| one.result.moved() && one.verification == wanted).count();
    let (unverified, pending) = (seen(Verification::Unverified), seen(Verification::Pending));
    let says = format!(
        "{} seen to reach again, {unverified} not, {pending} not looked at, {} without a backend that could tell",
        subnets(seen(Verification::Verified)),
        seen(Verification::Unwitnessed)
    );
    asked.into_iter().chain([made, Rule::new("verified", unverified + pending == 0, says)]).collect()
}

fn step(one: &Move) -> Item {
    use crate::model::MoveResult::{Elsewhere, Failed, Unknown};
    let detail = match &one.result {
        Elsewhere(table) => format!(", on {table}"),
        Failed(why) | Unknown(why) => format!(": {why}"),
        _ => String::new(),
    };
    let seen = match one.verification {
        Verification::Pending => "",
        Verification::Verified => ", verified",
        Verification::Unverified => ", unverified",
        Verification::Unwitnessed => ", unwitnessed",
    };
    Item { name: one.plan.to_string(), says: format!("{}{detail}{seen}", one.result.as_str()) }
}

/// `1 subnet`, `2 subnets`.
fn subnets(n: usize) -> String {
    counted(n, "subnet")
}

fn counted(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Exact, unlike what people say, since a millisecond decides: `12 ms`, `1.25 ms`, `2.999 s`, `3 s`.
fn exact(time: Duration) -> String {
    let (whole, rest, digits, unit) = if time < Duration::from_secs(1) {
        (u64::from(time.subsec_millis()), time.subsec_nanos() % 1_000_000, 6, "ms")
    } else {
        (time.as_secs(), time.subsec_nanos(), 9, "s")
    };
    let decimals = format!(".{rest:0digits$}");
    format!("{whole}{} {unit}", decimals.trim_end_matches('0').trim_end_matches('.'))
}
