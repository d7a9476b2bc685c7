//! Method `route`: make a table's route lead somewhere else, and find out what became of it.
//!
//! EC2 gives routes no compare-and-swap token. So a route is read right before it is changed, and is changed only where it leads to
//! where it is expected to, or nowhere (a blackhole, or no route at all); what leads anywhere else was put there by somebody else
//! and stands. Between that reading and EC2's carrying the call out somebody may still come in: that window is as long as one call,
//! and cannot be closed. A route that is *made* has no such window, as EC2 refuses to make one that is there.
//!
//! Invariants: nothing is called for a route that could not be read; after EC2's "done" nothing is called for it again, whatever a
//! describe, which may lag behind, still shows; after an unknown outcome it takes two readings that agree to call again.

use super::budget::Budget;
use super::{ChangeError, Routes};
use crate::model::{MoveResult, PlannedRoute, Way};

/// So many readings must show the old state before a call whose outcome is not known is made again: describes lag behind.
const READINGS_IN_DOUBT: u8 = 2;

/// How a route was seen.
enum Seen {
    /// As it is to be.
    There,
    /// There is none, and there is to be one.
    Missing,
    /// It leads where it is expected to, or nowhere.
    Ours,
    /// It leads to something else.
    Elsewhere(String),
    /// Could not ask.
    Unseen(String),
}

/// The call that is due.
enum Call {
    Create,
    Replace,
    Delete,
}

/// What is to be done next.
enum Next {
    Look,
    Call(Call),
    End(MoveResult),
}

struct Attempt<'a, C> {
    changer: &'a C,
    planned: &'a PlannedRoute,
    budget: Budget<'a>,
    dry_run: bool,
    /// A call of ours may have been carried out.
    in_doubt: bool,
    /// Readings since the last call of unknown outcome that showed the old state.
    unchanged: u8,
    /// What EC2 said last.
    last: Option<String>,
}

/// Changes one route, by the deadline.
pub(super) async fn replace(
    changer: &impl Routes,
    planned: &PlannedRoute,
    budget: Budget<'_>,
    dry_run: bool,
) -> MoveResult {
    if planned.to.as_ref().is_some_and(|to| to.interface.is_none() && to.instance.is_none()) {
        return MoveResult::Failed(
            "what it led to was gone then already, so there is nothing to put it back to".to_owned(),
        );
    }
    let mut attempt = Attempt { changer, planned, budget, dry_run, in_doubt: false, unchanged: 0, last: None };
    let mut next = Next::Look;
    loop {
        next = match next {
            Next::Look => attempt.look().await,
            Next::Call(call) => attempt.call(call).await,
            Next::End(result) => return result,
        };
    }
}

impl<C: Routes> Attempt<'_, C> {
    async fn look(&mut self) -> Next {
        let Some(seen) = self.budget.call(self.see()).await else { return self.give_up().await };
        let call = match seen {
            Seen::There => return Next::End(self.there()),
            Seen::Elsewhere(place) => return Next::End(MoveResult::Elsewhere(place)),
            Seen::Unseen(why) => return self.again(why).await,
            Seen::Missing => Call::Create,
            Seen::Ours if self.planned.to.is_none() => Call::Delete,
            Seen::Ours => Call::Replace,
        };
        if self.in_doubt && self.unchanged + 1 < READINGS_IN_DOUBT {
            self.unchanged += 1;
            let last = self.last.take().unwrap_or_default();
            return self.again(last).await;
        }
        Next::Call(call)
    }

    async fn call(&mut self, call: Call) -> Next {
        let (changer, PlannedRoute { table, destination, to, .. }) = (self.changer, self.planned);
        let dry_run = self.dry_run;
        if self.budget.closed() {
            return self.give_up().await;
        }
        self.unchanged = 0;
        let answer = self
            .budget
            .call(async {
                match (call, to) {
                    (Call::Create, Some(to)) => changer.create_route(table, destination, to, dry_run).await,
                    (Call::Replace, Some(to)) => changer.replace_route(table, destination, to, dry_run).await,
                    (_, _) => changer.delete_route(table, destination, dry_run).await,
                }
            })
            .await;
        match answer {
            Some(Ok(())) => Next::End(if dry_run { MoveResult::WouldMove } else { MoveResult::Moved }),
            Some(Err(ChangeError::Refused(why))) => {
                self.last = Some(why.clone());
                if self.in_doubt { self.last_look(why).await } else { Next::End(MoveResult::Failed(why)) }
            }
            // Not carried out, or not as things are now. Time has passed, so that it takes another look.
            Some(Err(ChangeError::Throttled(why) | ChangeError::Stale(why))) => self.again(why).await,
            Some(Err(ChangeError::Unknown(why))) => {
                self.in_doubt |= !dry_run;
                self.again(why).await
            }
            None => {
                self.in_doubt |= !dry_run;
                self.give_up().await
            }
        }
    }

    /// Where the route leads now, by EC2.
    async fn see(&self) -> Seen {
        let PlannedRoute { table, destination, from, to, .. } = self.planned;
        let route = match self.changer.route(table, destination).await {
            Ok(route) => route,
            Err(why) => return Seen::Unseen(why),
        };
        let Some(route) = route else { return if to.is_some() { Seen::Missing } else { Seen::There } };
        let way = Way::from(&route);
        if to.as_ref().is_some_and(|to| to.same(&way)) {
            Seen::There
        } else if from.as_ref().is_some_and(|from| from.same(&way)) || (route.blackhole && to.is_some()) {
            Seen::Ours
        } else {
            Seen::Elsewhere(route.target())
        }
    }

    /// The route is as it is to be. After a lost reply that is our own doing.
    fn there(&self) -> MoveResult {
        if self.in_doubt { MoveResult::Moved } else { MoveResult::AlreadyThere }
    }

    async fn again(&mut self, why: String) -> Next {
        self.last = Some(why);
        if self.budget.pause().await { Next::Look } else { self.give_up().await }
    }

    /// The time for calls is over.
    async fn give_up(&mut self) -> Next {
        let why = self.budget.spent(self.last.as_deref());
        if self.in_doubt { self.last_look(why).await } else { Next::End(MoveResult::Failed(why)) }
    }

    /// One reading more, to tell "as it was" from "nobody knows".
    async fn last_look(&mut self, why: String) -> Next {
        Next::End(match self.budget.last_look(self.see()).await {
            Some(Seen::There) => self.there(),
            Some(Seen::Elsewhere(place)) => MoveResult::Elsewhere(place),
            // A describe may lag behind: it does not prove that nothing of ours was carried out.
            Some(Seen::Ours | Seen::Missing) => {
                MoveResult::Unknown(format!("outcome not certain, last seen as it was: {why}"))
            }
            Some(Seen::Unseen(_)) | None => MoveResult::Unknown(format!("unknown outcome: {why}")),
        })
    }
}
