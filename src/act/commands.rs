//! What an operator would type to finish or to undo a takeover without natwatch.
//!
//! Plain AWS CLI, safe to paste into a POSIX shell: ids are `[a-z0-9-]` by their types. It runs nothing.

use crate::model::{Move, MoveResult};

/// Commands that put back what was moved.
///
/// A moved subnet has a new association id that only EC2 knows for certain, so each command looks it up.
#[must_use]
pub fn undo_commands(moves: &[Move]) -> Vec<String> {
    let on_standby = moves.iter().filter(|done| matches!(done.result, MoveResult::Moved | MoveResult::AlreadyThere));
    on_standby
        .map(|done| {
            let subnet = &done.plan.subnet;
            format!(
                "aws ec2 replace-route-table-association --route-table-id {} --association-id \"$(aws ec2 describe-route-tables \
                 --filters Name=association.subnet-id,Values={subnet} \
                 --query \"RouteTables[0].Associations[?SubnetId=='{subnet}'] | [0].RouteTableAssociationId\" --output text)\"",
                done.plan.from
            )
        })
        .collect()
}

/// Commands that move what was not moved.
///
/// They carry the association id of the plan: where somebody has moved the subnet meanwhile, EC2 refuses, as it should.
#[must_use]
pub fn finish_commands(moves: &[Move]) -> Vec<String> {
    let open = moves.iter().filter(|done| matches!(done.result, MoveResult::Failed(_) | MoveResult::Pending));
    open.map(|done| {
        format!(
            "aws ec2 replace-route-table-association --association-id {} --route-table-id {}",
            done.plan.association, done.plan.to
        )
    })
    .collect()
}
