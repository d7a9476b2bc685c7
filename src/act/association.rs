//! Method `association`: replace a subnet's route table association, and find out what became of it.
//!
//! The association id is the compare-and-swap token: EC2 gives out a new one at every move and refuses a stale one
//! (`InvalidAssociationID.NotFound`). That is why an unknown outcome may be tried again with the same id: if the lost call
//! was carried out, the id is stale and the second one does nothing. It does not decide whether the subnet should move.
//!
//! Invariants: a subnet that is on another table than the planned one is left there; after EC2's "done" nothing is called
//! for that subnet again, whatever a describe, which may lag behind, still shows.

use super::budget::Budget;
use super::{ChangeError, Changer};
use crate::model::{AssociationId, MoveResult, PlannedMove, RouteTableId};

/// Where a subnet was seen.
enum Seen {
    /// On the planned table; the association failed, with EC2's message, where there is one.
    There { token: AssociationId, failed: Option<String> },
    /// Still on the table it is to leave.
    Still { token: AssociationId },
    /// On a third one.
    Elsewhere(RouteTableId),
    /// It has no explicit association (any more).
    Nowhere,
    /// Could not ask.
    Unseen(String),
}

/// What is to be done next.
enum Next {
    Call,
    Look,
    End(MoveResult),
}

#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Attempt<'a, C> {
    changer: &'a C,
    planned: &'a PlannedMove,
    budget: Budget<'a>,
    dry_run: bool,
    /// The association to replace, as last seen.
    token: AssociationId,
    /// EC2 has refused `token`: calling with it is in vain.
    stale: bool,
    /// A call of ours may have been carried out.
    in_doubt: bool,
    /// The association came back `failed` once.
    failed_once: bool,
    /// The subnet was seen without an association once.
    missing_once: bool,
    /// What EC2 said last.
    last: Option<String>,
}

/// Moves one subnet, by the deadline, whatever it takes.
pub(super) async fn replace(
    changer: &impl Changer,
    planned: &PlannedMove,
    budget: Budget<'_>,
    dry_run: bool,
) -> MoveResult {
    let mut attempt = Attempt {
        changer,
        planned,
        budget,
        dry_run,
        token: planned.association.clone(),
        stale: false,
        in_doubt: false,
        failed_once: false,
        missing_once: false,
        last: None,
    };
    let mut next = Next::Call;
    loop {
        next = match next {
            Next::Call => attempt.call().await,
            Next::Look => attempt.look().await,
            Next::End(result) => return result,
        };
    }
}

impl<C: Changer> Attempt<'_, C> {
    async fn call(&mut self) -> Next {
        if self.budget.closed() {
            return self.give_up().await;
        }
        let answer = self.budget.call(self.changer.associate(&self.token, &self.planned.to, self.dry_run)).await;
        match answer {
            Some(Ok(_)) => Next::End(if self.dry_run { MoveResult::WouldMove } else { MoveResult::Moved }),
            Some(Err(ChangeError::Refused(why))) => {
                self.last = Some(why.clone());
                if self.in_doubt { self.last_look(why).await } else { Next::End(MoveResult::Failed(why)) }
            }
            // Throttled means not carried out: to describe as well would only add to the load.
            Some(Err(ChangeError::Throttled(why))) => self.again(why, Next::Call).await,
            Some(Err(ChangeError::Stale(why))) => {
                self.last = Some(why);
                self.stale = true;
                Next::Look
            }
            Some(Err(ChangeError::Unknown(why))) => {
                self.last = Some(why);
                self.in_doubt |= !self.dry_run;
                Next::Look
            }
            None => {
                self.in_doubt |= !self.dry_run;
                self.give_up().await
            }
        }
    }

    async fn look(&mut self) -> Next {
        let Some(seen) = self.budget.call(self.see()).await else { return self.give_up().await };
        match seen {
            Seen::There { failed: None, .. } => Next::End(self.there()),
            Seen::Elsewhere(table) => Next::End(MoveResult::Elsewhere(table.to_string())),
            Seen::There { failed: Some(why), .. } if self.failed_once => {
                Next::End(MoveResult::Failed(format!("EC2 made the association and it failed, twice: {why}")))
            }
            Seen::There { token, failed: Some(why) } => {
                self.failed_once = true;
                self.token_is(token);
                self.again(format!("the association failed: {why}"), Next::Call).await
            }
            Seen::Still { token } => {
                self.token_is(token);
                let last = self.last.take().unwrap_or_default();
                // A refused id that is still shown: the describe lags behind, so ask again rather than call again.
                let next = if self.stale { Next::Look } else { Next::Call };
                self.again(last, next).await
            }
            // While an association is replaced, a describe may show neither; seen twice, somebody has removed it.
            Seen::Nowhere if self.missing_once => Next::End(MoveResult::Failed(format!(
                "somebody removed its association, so it follows the VPC's main table; if that is not wanted: \
                 aws ec2 associate-route-table --subnet-id {} --route-table-id {}",
                self.planned.subnet, self.planned.to
            ))),
            Seen::Nowhere => {
                self.missing_once = true;
                self.again("the subnet has no association".to_owned(), Next::Look).await
            }
            Seen::Unseen(why) => {
                let next = if self.stale { Next::Look } else { Next::Call };
                self.again(why, next).await
            }
        }
    }

    /// Where the subnet is now, by EC2.
    async fn see(&self) -> Seen {
        let found = match self.changer.whereabouts(std::slice::from_ref(&self.planned.subnet)).await {
            Ok(found) => found,
            Err(why) => return Seen::Unseen(why),
        };
        let Some((table, association)) =
            found.into_iter().find(|(_, a)| a.subnet.as_ref() == Some(&self.planned.subnet))
        else {
            return Seen::Nowhere;
        };
        if table == self.planned.to {
            Seen::There { token: association.id, failed: association.failed }
        } else if table == self.planned.from {
            Seen::Still { token: association.id }
        } else {
            Seen::Elsewhere(table)
        }
    }

    fn token_is(&mut self, token: AssociationId) {
        if self.token != token {
            self.token = token;
            self.stale = false;
        }
    }

    /// The subnet is where it is to be. After a lost reply that is our own doing.
    fn there(&self) -> MoveResult {
        if self.in_doubt { MoveResult::Moved } else { MoveResult::AlreadyThere }
    }

    async fn again(&mut self, why: String, next: Next) -> Next {
        self.last = Some(why);
        if self.budget.pause().await { next } else { self.give_up().await }
    }

    /// The time for calls is over.
    async fn give_up(&mut self) -> Next {
        let why = self.budget.spent(self.last.as_deref());
        if self.in_doubt || self.stale { self.last_look(why).await } else { Next::End(MoveResult::Failed(why)) }
    }

    /// One reading more, to tell "still where it was" from "nobody knows".
    async fn last_look(&mut self, why: String) -> Next {
        let seen = self.budget.last_look(self.see()).await;
        Next::End(match seen {
            Some(Seen::There { failed: None, .. }) => self.there(),
            Some(Seen::Elsewhere(table)) => MoveResult::Elsewhere(table.to_string()),
            // A describe may lag behind: it proves that the subnet still is where it was only if nothing of ours was lost.
            Some(Seen::Still { .. }) if self.in_doubt => {
                MoveResult::Unknown(format!("outcome not certain, last seen on {}: {why}", self.planned.from))
            }
            Some(Seen::Unseen(_) | Seen::There { .. } | Seen::Nowhere) | None if self.in_doubt => {
                MoveResult::Unknown(format!("unknown outcome: {why}"))
            }
            _ => MoveResult::Failed(why),
        })
    }
}
