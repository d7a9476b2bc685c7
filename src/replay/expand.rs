//! From a scenario to the [`Case`] that it stands for: what is left out is a healthy pair.
//!
//! The primary's table is `rtb-0a`, the standby's `rtb-0b`, this instance `i-0b` with the interface `eni-0b`, the primary `i-0a`;
//! the association of `subnet-x` is `rtbassoc-x`.

mod rounds;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::scenario::{Fault, MoveWord, Moved, Rules, Scenario};
use crate::decide::{Case, DecideSettings, Decision, decide};
use crate::model::{
    Change, IdError, InstanceId, Method, Move, MoveResult, Plan, RouteTableId, SubnetId, Verification, VpcId,
};

impl From<IdError> for Fault {
    fn from(error: IdError) -> Self {
        Self { at: None, text: error.to_string() }
    }
}

/// Who is who.
struct Ids {
    primary_table: RouteTableId,
    standby_table: RouteTableId,
    primary: InstanceId,
    standby: InstanceId,
    vpc: VpcId,
}

impl Ids {
    fn new() -> Result<Self, IdError> {
        Ok(Self {
            primary_table: "rtb-0a".parse()?,
            standby_table: "rtb-0b".parse()?,
            primary: "i-0a".parse()?,
            standby: "i-0b".parse()?,
            vpc: "vpc-0".parse()?,
        })
    }

    /// The defaults of the configuration for `run`, and what the scenario has instead.
    fn rules(&self, rules: &Rules, names_primary: bool) -> DecideSettings {
        DecideSettings {
            threshold: rules.threshold.map_or(3, |many| many.0),
            fraction: rules.fraction.map_or(0.5, |share| share.0),
            rounds: rules.rounds.map_or(2, |many| many.0),
            span: rules.span.map_or(Duration::from_secs(3), |time| time.0),
            tries: rules.tries.map_or(2, |many| many.0),
            min_uptime: rules.min_uptime.map_or(Duration::from_mins(5), |time| time.0),
            primary_table: self.primary_table.clone(),
            primary_instance: names_primary.then(|| self.primary.clone()),
            standby_table: self.standby_table.clone(),
            subnets: rules.subnets.clone(),
            max_subnets: rules.max_subnets.map_or(50, |few| few.0),
            disable_source_dest_check: rules.disable_source_dest_check.unwrap_or(true),
            method: Method::Association,
            elastic_ip: None,
            reboot_primary: false,
        }
    }
}

/// The case, or all that is wrong with the scenario.
pub(super) fn expand(scenario: &Scenario) -> Result<Case, Vec<Fault>> {
    let ids = Ids::new().map_err(|error| vec![error.into()])?;
    let mut faults = Vec::new();
    let survey = &scenario.survey;
    let names_primary = survey.primary.is_some() || survey.primary_unknown || survey.failed.primary.is_some();
    let mut case = Case::new(ids.rules(&scenario.rules, names_primary));
    case.looks = rounds::expand(&scenario.rounds, &mut faults);
    case.planned = scenario.planned;
    case.out_of_time = scenario.out_of_time;
    case.busy.clone_from(&scenario.busy);
    case.forgets.clone_from(&scenario.forgets);
    if let Err(fault) = world::expand(scenario, &ids, &mut case) {
        faults.push(fault);
    }
    match (decide(&case), scenario.carried_out) {
        (Decision::TakeOver(plan), true) => case.moves = Some(moves(&plan, scenario, &mut faults)),
        (Decision::TakeOver(_) | Decision::Over(_), _) => {
            let strays = scenario.moves.iter().map(|(subnet, one)| Fault {
                at: Some(one.span().start),
                text: format!("{subnet}: nothing is moved in this scenario; accepted: no [moves]"),
            });
            faults.extend(strays);
        }
    }
    if faults.is_empty() { Ok(case) } else { Err(faults) }
}

/// What becomes of each move: where nothing else is said, it is made, and verified.
fn moves(plan: &Plan, scenario: &Scenario, faults: &mut Vec<Fault>) -> Vec<Move> {
    let planned: Vec<&SubnetId> = plan.moves.iter().flat_map(Change::subnets).collect();
    for (subnet, one) in scenario.moves.iter().filter(|(subnet, _)| !planned.contains(subnet)) {
        let accepted: Vec<String> = planned.iter().map(ToString::to_string).collect();
        faults.push(Fault {
            at: Some(one.span().start),
            text: format!("{subnet} is not in the plan; accepted: {}", accepted.join(", ")),
        });
    }
    let usual = if scenario.dry_run { MoveWord::WouldMove } else { MoveWord::Moved };
    plan.moves.iter().map(|one| outcome(one, &scenario.moves, usual, faults)).collect()
}

fn outcome(
    plan: &Change,
    written: &BTreeMap<SubnetId, Spanned<Moved>>,
    usual: MoveWord,
    faults: &mut Vec<Fault>,
) -> Move {
    let spanned = plan.subnets().iter().find_map(|subnet| written.get(subnet));
    let written = spanned.map(Spanned::get_ref);
    let detail = written.and_then(|one| one.detail.clone());
    let word = written.and_then(|one| one.result).unwrap_or(usual);
    let result = match word {
        MoveWord::Pending => MoveResult::Pending,
        MoveWord::Moved => MoveResult::Moved,
        MoveWord::AlreadyThere => MoveResult::AlreadyThere,
        MoveWord::WouldMove => MoveResult::WouldMove,
        MoveWord::Failed => MoveResult::Failed(detail.unwrap_or_else(|| "EC2 said no".to_owned())),
        MoveWord::Unknown => MoveResult::Unknown(detail.unwrap_or_else(|| "EC2's answer was lost".to_owned())),
        MoveWord::Elsewhere => match detail.unwrap_or_default().parse::<RouteTableId>() {
            Ok(table) => MoveResult::Elsewhere(table.to_string()),
            Err(error) => {
                let at = spanned.map(|one| one.span().start);
                faults.push(Fault { at, text: format!("detail: {error}") });
                MoveResult::Pending
            }
        },
    };
    let seen = if result.moved() { Verification::Verified } else { Verification::Pending };
    Move {
        plan: plan.clone(),
        result,
        took: written.and_then(|one| one.took).map_or(Duration::from_millis(250), |time| time.0),
        verification: written.and_then(|one| one.verification.clone()).unwrap_or(seen),
    }
}
