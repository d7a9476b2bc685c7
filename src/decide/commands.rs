//! What an operator would type to make, finish or undo a takeover without natwatch.
//!
//! Plain AWS CLI, safe to paste into a POSIX shell: ids are `[a-z0-9-]` by their types. It runs nothing.

use super::DecideSettings;
use crate::model::{Change, GuardedSet, Move, MoveResult, PlannedMove, Survey};

/// Commands that put back what was moved.
///
/// A moved subnet has a new association id that only EC2 knows for certain, so each command looks it up.
#[must_use]
pub fn undo_commands(moves: &[Move]) -> Vec<String> {
    associations(moves, |result| matches!(result, MoveResult::Moved | MoveResult::AlreadyThere))
        .map(|plan| {
            let subnet = &plan.subnet;
            format!(
                "aws ec2 replace-route-table-association --route-table-id {} --association-id \"$(aws ec2 describe-route-tables \
                 --filters Name=association.subnet-id,Values={subnet} \
                 --query \"RouteTables[0].Associations[?SubnetId=='{subnet}'] | [0].RouteTableAssociationId\" --output text)\"",
                plan.from
            )
        })
        .collect()
}

/// Commands that move what was not moved.
///
/// They carry the association id of the plan: where somebody has moved the subnet meanwhile, EC2 refuses, as it should.
#[must_use]
pub fn finish_commands(moves: &[Move]) -> Vec<String> {
    associations(moves, |result| matches!(result, MoveResult::Failed(_) | MoveResult::Pending))
        .map(|plan| {
            format!(
                "aws ec2 replace-route-table-association --association-id {} --route-table-id {}",
                plan.association, plan.to
            )
        })
        .collect()
}

fn associations(moves: &[Move], which: fn(&MoveResult) -> bool) -> impl Iterator<Item = &PlannedMove> {
    moves.iter().filter(move |done| which(&done.result)).filter_map(|done| match &done.plan {
        Change::Association(plan) => Some(plan),
        Change::Route(_) => None,
    })
}

/// Commands that move what a gate holds back.
#[must_use]
pub fn held_commands(survey: &Survey, guarded: Option<&GuardedSet>, settings: &DecideSettings) -> Vec<String> {
    let associations =
        survey.table(&settings.primary_table).map(|table| table.associations.as_slice()).unwrap_or_default();
    let known: Vec<String> = associations
        .iter()
        .filter(|one| one.subnet.is_some())
        .map(|one| {
            format!(
                "aws ec2 replace-route-table-association --association-id {} --route-table-id {}",
                one.id, settings.standby_table
            )
        })
        .collect();
    if !known.is_empty() || survey.tables.is_ok() {
        return known;
    }
    // EC2 could not be asked, so the ids are not known: how to find them, and what to do with each.
    let count = guarded.map_or_else(String::new, |set| format!(" # {} subnets", set.subnets.len()));
    vec![
        format!(
            "aws ec2 describe-route-tables --route-table-ids {} --query 'RouteTables[].Associations[].[RouteTableAssociationId,SubnetId]' --output text{count}",
            settings.primary_table
        ),
        format!(
            "aws ec2 replace-route-table-association --association-id <each of them> --route-table-id {}",
            settings.standby_table
        ),
    ]
}
