//! Method `route` against one route of a hand-written table: it has no token, it lags, calls are lost, and others change it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::super::budget::Budget;
use super::super::route::replace;
use super::super::{ChangeError, Routes};
use crate::model::{Cidr, MoveResult, PlannedRoute, Route, RouteTableId, Way};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Throttle,
    /// Not carried out.
    Broken,
    /// Carried out, no reply.
    Lost,
    Refuse,
    /// Neither.
    Hang,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Called {
    Look,
    Create,
    Replace,
    Delete,
}

struct Table {
    route: RefCell<Option<Route>>,
    /// What describes show as long as `shown_until` has not come.
    before: RefCell<Option<Route>>,
    shown_until: Cell<Option<Instant>>,
    lag: Duration,
    faults: RefCell<VecDeque<Fault>>,
    unreadable: Cell<usize>,
    calls: RefCell<Vec<Called>>,
    /// Each route that a call of ours found in its place.
    replaced: RefCell<Vec<Option<Route>>>,
    /// Somebody else's change, and after how many readings it comes.
    somebody: RefCell<Option<(usize, Option<Route>)>>,
}

fn way(name: &str) -> Way {
    Way { interface: format!("eni-{name}").parse().ok(), instance: format!("i-{name}").parse().ok() }
}

fn route(to: &str, blackhole: bool) -> Route {
    let Way { interface, instance } = way(to);
    Route { destination: "0.0.0.0/0".to_owned(), instance, interface, other: None, blackhole }
}

fn gateway() -> Route {
    Route { instance: None, interface: None, other: Some("nat-0c".to_owned()), ..route("none", false) }
}

impl Table {
    fn with(route: Option<Route>) -> Self {
        Self {
            before: RefCell::new(route.clone()),
            route: RefCell::new(route),
            shown_until: Cell::default(),
            lag: Duration::ZERO,
            faults: RefCell::default(),
            unreadable: Cell::default(),
            calls: RefCell::default(),
            replaced: RefCell::default(),
            somebody: RefCell::default(),
        }
    }

    fn faults(self, faults: &[Fault]) -> Self {
        self.faults.borrow_mut().extend(faults);
        self
    }

    fn put(&self, route: Option<Route>) {
        self.before.replace(self.route.replace(route));
        self.shown_until.set(Some(Instant::now() + self.lag));
    }

    fn stands(&self) -> Option<Route> {
        self.route.borrow().clone()
    }

    fn looks(&self) -> usize {
        self.calls.borrow().iter().filter(|one| **one == Called::Look).count()
    }

    fn changes(&self) -> Vec<Called> {
        self.calls.borrow().iter().filter(|one| **one != Called::Look).cloned().collect()
    }

    async fn change(&self, what: Called, to: Option<&Way>, dry_run: bool) -> Result<(), ChangeError> {
        self.calls.borrow_mut().push(what.clone());
        sleep(Duration::from_millis(40)).await;
        let fault = self.faults.borrow_mut().pop_front();
        match fault {
            Some(Fault::Throttle) => return Err(ChangeError::Throttled("RequestLimitExceeded".to_owned())),
            Some(Fault::Broken) => return Err(ChangeError::Unknown("503".to_owned())),
            Some(Fault::Refuse) => return Err(ChangeError::Refused("not allowed: ec2:ReplaceRoute".to_owned())),
            Some(Fault::Hang) => {
                sleep(Duration::from_secs(2)).await;
                return Err(ChangeError::Unknown("no answer within 2 s".to_owned()));
            }
            Some(Fault::Lost) | None => {}
        }
        let there = self.stands().is_some();
        if there == (what == Called::Create) {
            return Err(ChangeError::Stale(
                if there { "RouteAlreadyExists" } else { "InvalidRoute.NotFound" }.to_owned(),
            ));
        }
        if !dry_run {
            self.replaced.borrow_mut().push(self.stands());
            self.put(to.map(|to| Route {
                instance: to.instance.clone(),
                interface: to.interface.clone(),
                ..route("none", false)
            }));
        }
        if fault == Some(Fault::Lost) { Err(ChangeError::Unknown("connection lost".to_owned())) } else { Ok(()) }
    }
}

impl Routes for Table {
    async fn route(&self, _: &RouteTableId, _: &Cidr) -> Result<Option<Route>, String> {
        self.calls.borrow_mut().push(Called::Look);
        sleep(Duration::from_millis(10)).await;
        if self.unreadable.get() > 0 {
            self.unreadable.set(self.unreadable.get() - 1);
            return Err("DescribeRouteTables: no answer".to_owned());
        }
        let lags = self.shown_until.get().is_some_and(|until| Instant::now() < until);
        let seen = if lags { self.before.borrow().clone() } else { self.stands() };
        let due = self.somebody.borrow().as_ref().is_some_and(|(after, _)| self.looks() >= *after);
        if due && let Some((_, theirs)) = self.somebody.borrow_mut().take() {
            self.put(theirs);
        }
        Ok(seen)
    }

    async fn replace_route(&self, _: &RouteTableId, _: &Cidr, to: &Way, dry_run: bool) -> Result<(), ChangeError> {
        self.change(Called::Replace, Some(to), dry_run).await
    }

    async fn create_route(&self, _: &RouteTableId, _: &Cidr, to: &Way, dry_run: bool) -> Result<(), ChangeError> {
        self.change(Called::Create, Some(to), dry_run).await
    }

    async fn delete_route(&self, _: &RouteTableId, _: &Cidr, dry_run: bool) -> Result<(), ChangeError> {
        self.change(Called::Delete, None, dry_run).await
    }
}

fn planned(from: Option<&str>, to: Option<&str>) -> PlannedRoute {
    PlannedRoute {
        table: "rtb-0a".parse().unwrap(),
        destination: "0.0.0.0/0".parse().unwrap(),
        from: from.map(way),
        to: to.map(way),
        subnets: Vec::new(),
    }
}

async fn run(table: &Table, plan: &PlannedRoute) -> MoveResult {
    let deadline = Instant::now() + Duration::from_secs(20);
    let result = replace(table, plan, Budget::until(deadline, 7), false).await;
    assert!(Instant::now() <= deadline, "went past the deadline");
    result
}

fn reason(result: &MoveResult) -> &str {
    let MoveResult::Failed(why) = result else { panic!("{result:?} is not a failure") };
    why
}

#[tokio::test(start_paused = true)]
async fn a_route_to_the_primary_is_read_and_replaced_once_each() {
    let table = Table::with(Some(route("primary", false)));
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    assert_eq!(*table.calls.borrow(), [Called::Look, Called::Replace]);
    assert_eq!(table.stands(), Some(route("standby", false)));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_missing_is_made_and_the_way_back_deletes_it() {
    let table = Table::with(None);
    let there = planned(None, Some("standby"));
    assert_eq!(run(&table, &there).await, MoveResult::Moved);
    let back = planned(Some("standby"), None);
    assert_eq!(run(&table, &back).await, MoveResult::Moved);
    assert_eq!(table.changes(), [Called::Create, Called::Delete]);
    assert_eq!(run(&table, &back).await, MoveResult::AlreadyThere, "what is gone needs no deleting");
    // Between plan and call somebody has deleted the primary's: one that leads nowhere is as good as a blackhole.
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    assert_eq!(table.stands(), Some(route("standby", false)));
}

#[tokio::test(start_paused = true)]
async fn f052_a_route_to_anybody_else_stands_and_is_named() {
    for (theirs, plan) in [
        (route("other", false), planned(Some("primary"), Some("standby"))),
        (gateway(), planned(Some("primary"), Some("standby"))),
        (route("primary", false), planned(None, Some("standby"))),
        (route("other", false), planned(Some("standby"), None)),
        (route("other", true), planned(Some("standby"), None)),
    ] {
        let table = Table::with(Some(theirs.clone()));
        assert_eq!(run(&table, &plan).await, MoveResult::Elsewhere(theirs.target()), "{plan:?}");
        assert_eq!((table.changes(), table.stands()), (Vec::new(), Some(theirs)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_blackhole_is_replaced_whoever_it_led_to_and_one_that_leads_here_is_left() {
    let table = Table::with(Some(route("gone", true)));
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    let table = Table::with(Some(route("standby", false)));
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::AlreadyThere);
    assert_eq!(table.changes(), []);
}

#[tokio::test(start_paused = true)]
async fn f049_a_route_whose_reply_was_lost_is_found_and_not_changed_again() {
    for (before, plan) in [
        (Some(route("primary", false)), planned(Some("primary"), Some("standby"))),
        (None, planned(None, Some("standby"))),
        (Some(route("standby", false)), planned(Some("standby"), None)),
    ] {
        let table = Table::with(before).faults(&[Fault::Lost]);
        assert_eq!(run(&table, &plan).await, MoveResult::Moved);
        assert_eq!(table.changes().len(), 1, "{plan:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f048_f046_a_call_that_was_not_carried_out_is_made_again_after_another_look() {
    let table = Table::with(Some(route("primary", false))).faults(&[Fault::Broken, Fault::Throttle, Fault::Hang]);
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    assert_eq!(
        *table.calls.borrow(),
        [
            Called::Look,
            Called::Replace,
            // Its outcome is not known: two readings.
            Called::Look,
            Called::Look,
            Called::Replace,
            // Throttled, while an earlier one is in doubt.
            Called::Look,
            Called::Look,
            Called::Replace,
            Called::Look,
            Called::Look,
            Called::Replace,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn f052_what_somebody_changes_between_two_attempts_stands() {
    let theirs = Some(route("other", false));
    for fault in [Fault::Throttle, Fault::Broken] {
        let table = Table::with(Some(route("primary", false))).faults(&[fault]);
        table.somebody.replace(Some((2, theirs.clone())));
        // It comes after the second reading; the one that follows the next call, or the next reading, sees it.
        let result = run(&table, &planned(Some("primary"), Some("standby"))).await;
        if fault == Fault::Broken {
            assert_eq!(result, MoveResult::Elsewhere("i-other".to_owned()));
            assert_eq!((table.changes().len(), table.stands()), (1, theirs.clone()));
        } else {
            assert_eq!(result, MoveResult::Moved, "the window of one call, which EC2 gives no token to close");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f060_a_describe_that_lags_behind_after_done_is_not_asked() {
    let mut table = Table::with(Some(route("primary", false)));
    table.lag = Duration::from_secs(5);
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    assert_eq!(*table.calls.borrow(), [Called::Look, Called::Replace]);
}

#[tokio::test(start_paused = true)]
async fn f060_after_a_lost_reply_a_lagging_describe_leads_to_the_same_call_at_worst() {
    let mut table = Table::with(Some(route("primary", false))).faults(&[Fault::Lost]);
    table.lag = Duration::from_secs(3);
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    assert_eq!(table.stands(), Some(route("standby", false)));
    // One that was made is refused the second time, and then waited for.
    let mut table = Table::with(None).faults(&[Fault::Lost]);
    table.lag = Duration::from_secs(3);
    assert_eq!(run(&table, &planned(None, Some("standby"))).await, MoveResult::Moved);
    assert_eq!(table.replaced.borrow().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn f061_a_route_that_cannot_be_read_is_not_changed_and_read_again_until_the_deadline() {
    let table = Table::with(Some(route("primary", false)));
    table.unreadable.set(3);
    assert_eq!(run(&table, &planned(Some("primary"), Some("standby"))).await, MoveResult::Moved);
    let table = Table::with(Some(route("primary", false)));
    table.unreadable.set(usize::MAX);
    let result = run(&table, &planned(Some("primary"), Some("standby"))).await;
    assert_eq!(reason(&result), "deadline reached; last answer: DescribeRouteTables: no answer");
    assert_eq!(table.changes(), []);
}

#[tokio::test(start_paused = true)]
async fn f046_f061_a_route_is_not_changed_when_what_called_for_it_has_lapsed_since_it_was_read() {
    let table = Table::with(Some(route("primary", false)));
    let read = || table.calls.borrow().is_empty();
    let budget = Budget::until(Instant::now() + Duration::from_mins(1), 7).while_current(&read);
    let result = replace(&table, &planned(Some("primary"), Some("standby")), budget, false).await;
    assert_eq!(reason(&result), "what called for it has lapsed");
    assert_eq!((table.changes(), &*table.calls.borrow()), (Vec::new(), &vec![Called::Look]));
}

#[tokio::test(start_paused = true)]
async fn f057_a_refused_change_is_final_and_says_why() {
    let table = Table::with(Some(route("primary", false))).faults(&[Fault::Refuse]);
    let result = run(&table, &planned(Some("primary"), Some("standby"))).await;
    assert_eq!(reason(&result), "not allowed: ec2:ReplaceRoute");
    assert_eq!(table.calls.borrow().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_led_nowhere_that_is_known_cannot_be_put_back() {
    let table = Table::with(Some(route("standby", false)));
    let nowhere =
        PlannedRoute { to: Some(Way { interface: None, instance: None }), ..planned(Some("standby"), Some("standby")) };
    assert!(reason(&run(&table, &nowhere).await).starts_with("what it led to was gone then already"));
    assert_eq!(table.calls.borrow().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_for_the_call_that_would_be_made_and_changes_nothing() {
    for (before, plan, call) in [
        (Some(route("primary", false)), planned(Some("primary"), Some("standby")), Called::Replace),
        (None, planned(None, Some("standby")), Called::Create),
        (Some(route("standby", false)), planned(Some("standby"), None), Called::Delete),
    ] {
        let table = Table::with(before.clone());
        let budget = Budget::until(Instant::now() + Duration::from_secs(5), 7);
        assert_eq!(replace(&table, &plan, budget, true).await, MoveResult::WouldMove);
        assert_eq!((table.changes(), table.stands()), (vec![call], before));
    }
}

fn a_route() -> impl Strategy<Value = Option<Route>> {
    prop_oneof![
        1 => Just(None),
        3 => Just(Some(route("primary", false))),
        1 => Just(Some(route("primary", true))),
        1 => Just(Some(route("gone", true))),
        1 => Just(Some(route("standby", false))),
        2 => Just(Some(route("other", false))),
        1 => Just(Some(gateway())),
    ]
}

fn a_fault() -> impl Strategy<Value = Fault> {
    proptest::sample::select(&[Fault::Throttle, Fault::Broken, Fault::Lost, Fault::Refuse, Fault::Hang][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whatever fails, and whoever was there before: nothing is ever changed that led to somebody else, and the result is the truth.
    #[test]
    fn f052_nothing_is_ever_moved_that_does_not_lead_to_the_primary_or_nowhere(
        before in a_route(),
        to in proptest::option::weighted(0.8, Just("standby")),
        faults in proptest::collection::vec(a_fault(), 0..5),
        unreadable in 0..3usize,
        lag in 0..2000u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let mut table = Table::with(before.clone()).faults(&faults);
        table.lag = Duration::from_millis(lag);
        table.unreadable.set(unreadable);
        // The way there, or the way back of a route that was made.
        let plan = match to {
            Some(_) => planned(Some("primary"), to),
            None => planned(Some("standby"), None),
        };
        let result = runtime.block_on(run(&table, &plan));
        for found in table.replaced.borrow().iter().flatten() {
            let way = Way::from(found);
            let allowed = plan.from.as_ref().is_some_and(|from| from.same(&way))
                || (found.blackhole && plan.to.is_some())
                // The same call with the same values, after one whose reply was lost.
                || plan.to.as_ref().is_some_and(|to| to.same(&way));
            prop_assert!(allowed, "{found:?} was changed");
        }
        let stands = table.stands();
        let there = match (&stands, &plan.to) {
            (Some(route), Some(to)) => to.same(&Way::from(route)),
            (None, None) => true,
            _ => false,
        };
        match &result {
            MoveResult::Moved | MoveResult::AlreadyThere => prop_assert!(there, "{result:?}, and {stands:?}"),
            MoveResult::Elsewhere(place) => {
                prop_assert_eq!(&stands, &before);
                prop_assert_eq!(Some(place.clone()), stands.map(|route| route.target()));
            }
            MoveResult::Failed(_) => prop_assert_eq!(&stands, &before, "a failure is known to have changed nothing"),
            MoveResult::Unknown(_) => {
                let certain = faults.iter().all(|fault| !matches!(fault, Fault::Lost));
                prop_assert!(!certain || stands == before, "{result:?}, and {stands:?}");
            }
            MoveResult::Pending | MoveResult::WouldMove => prop_assert!(false, "{result:?}"),
        }
    }
}
