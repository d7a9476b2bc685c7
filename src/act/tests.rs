//! A hand-written EC2 with compare-and-swap associations, and the fault rows that concern the moves.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use super::*;

mod address;
mod route;

use crate::decide::{finish_commands, undo_commands};
use crate::model::{InstanceId, LastSteps, PlannedMove};

/// What the next `associate` of the script does.
#[derive(Clone)]
enum Fault {
    Throttle,
    /// 5xx, not carried out.
    Broken,
    /// Carried out, no reply.
    Lost,
    /// Neither.
    Hang,
    Refuse,
    /// Carried out, and the association comes back `failed`.
    ComesBackFailed,
}

struct Ec2 {
    /// Subnet → its table and association.
    at: RefCell<BTreeMap<SubnetId, (RouteTableId, Association)>>,
    /// What describes show, as long as `lag` lasts.
    before: RefCell<BTreeMap<SubnetId, (RouteTableId, Association)>>,
    lag_until: Cell<Option<Instant>>,
    lag: Cell<Duration>,
    script: RefCell<BTreeMap<SubnetId, VecDeque<Fault>>>,
    always: RefCell<Option<Fault>>,
    describe_broken: Cell<bool>,
    check: RefCell<VecDeque<Result<(), ChangeError>>>,
    reboot: RefCell<VecDeque<Result<(), ChangeError>>>,
    rebooted: RefCell<Vec<InstanceId>>,
    elastic: address::Elastic,
    issued: Cell<u32>,
    /// Every change carried out.
    moved: RefCell<Vec<(SubnetId, RouteTableId)>>,
    calls: Cell<usize>,
    describes: Cell<usize>,
    under_way: Cell<usize>,
    most_under_way: Cell<usize>,
    random: RefCell<StdRng>,
}

fn table(name: &str) -> RouteTableId {
    format!("rtb-{name}").parse().unwrap()
}

fn subnet(n: usize) -> SubnetId {
    format!("subnet-{n}").parse().unwrap()
}

impl Ec2 {
    fn with(subnets: usize) -> Self {
        let at: BTreeMap<_, _> = (0..subnets)
            .map(|n| {
                let association = Association {
                    id: format!("rtbassoc-0{n}").parse().unwrap(),
                    subnet: Some(subnet(n)),
                    main: false,
                    failed: None,
                };
                (subnet(n), (table("primary"), association))
            })
            .collect();
        Self {
            before: RefCell::new(at.clone()),
            at: RefCell::new(at),
            lag_until: Cell::default(),
            lag: Cell::default(),
            script: RefCell::default(),
            always: RefCell::default(),
            describe_broken: Cell::default(),
            check: RefCell::default(),
            reboot: RefCell::default(),
            rebooted: RefCell::default(),
            elastic: address::Elastic::default(),
            issued: Cell::new(0),
            moved: RefCell::default(),
            calls: Cell::default(),
            describes: Cell::default(),
            under_way: Cell::default(),
            most_under_way: Cell::default(),
            random: RefCell::new(StdRng::seed_from_u64(0)),
        }
    }

    fn script(self, n: usize, faults: &[Fault]) -> Self {
        self.script.borrow_mut().insert(subnet(n), faults.iter().cloned().collect());
        self
    }

    fn always(self, fault: Fault) -> Self {
        *self.always.borrow_mut() = Some(fault);
        self
    }

    /// Somebody moves a subnet.
    fn put(&self, subnet: &SubnetId, to: &RouteTableId) -> AssociationId {
        self.issued.set(self.issued.get() + 1);
        let id: AssociationId = format!("rtbassoc-n{}", self.issued.get()).parse().unwrap();
        if self.lag.get() > Duration::ZERO {
            self.before.replace(self.at.borrow().clone());
            self.lag_until.set(Some(Instant::now() + self.lag.get()));
        }
        let mut at = self.at.borrow_mut();
        let entry = at.get_mut(subnet).unwrap();
        entry.0 = to.clone();
        entry.1.id = id.clone();
        entry.1.failed = None;
        self.moved.borrow_mut().push((subnet.clone(), to.clone()));
        id
    }

    fn on(&self, n: usize) -> RouteTableId {
        self.at.borrow()[&subnet(n)].0.clone()
    }

    async fn latency(&self) {
        let ms = self.random.borrow_mut().random_range(5..60);
        sleep(Duration::from_millis(ms)).await;
    }
}

impl Changer for Ec2 {
    async fn associate(
        &self,
        association: &AssociationId,
        to: &RouteTableId,
        dry_run: bool,
    ) -> Result<AssociationId, ChangeError> {
        self.calls.set(self.calls.get() + 1);
        self.under_way.set(self.under_way.get() + 1);
        self.most_under_way.set(self.most_under_way.get().max(self.under_way.get()));
        self.latency().await;
        self.under_way.set(self.under_way.get() - 1);
        let owner = self.at.borrow().iter().find(|(_, (_, a))| &a.id == association).map(|(s, _)| s.clone());
        let stale = || ChangeError::Stale(format!("InvalidAssociationID.NotFound: {association} does not exist"));
        let planned_for = owner.clone().or_else(|| {
            // The script is by subnet; a stale id of the plan still tells which one was meant.
            association.as_str().strip_prefix("rtbassoc-0").map(|n| subnet(n.parse().unwrap()))
        });
        let scripted = planned_for.and_then(|s| self.script.borrow_mut().get_mut(&s).and_then(VecDeque::pop_front));
        match scripted.or_else(|| self.always.borrow().clone()) {
            Some(Fault::Throttle) => Err(ChangeError::Throttled("RequestLimitExceeded".to_owned())),
            Some(Fault::Broken) => Err(ChangeError::Unknown("503".to_owned())),
            Some(Fault::Refuse) => {
                Err(ChangeError::Refused("not allowed: ec2:ReplaceRouteTableAssociation".to_owned()))
            }
            Some(Fault::Hang) => {
                sleep(Duration::from_secs(2)).await;
                Err(ChangeError::Unknown("no answer within 2s".to_owned()))
            }
            Some(Fault::Lost) => {
                self.put(&owner.ok_or_else(stale)?, to);
                Err(ChangeError::Unknown("connection lost".to_owned()))
            }
            Some(Fault::ComesBackFailed) => {
                let owner = owner.ok_or_else(stale)?;
                self.put(&owner, to);
                self.at.borrow_mut().get_mut(&owner).unwrap().1.failed = Some("internal".to_owned());
                Err(ChangeError::Unknown("the association came back failed".to_owned()))
            }
            None if dry_run => owner.map(|_| association.clone()).ok_or_else(stale),
            None => Ok(self.put(&owner.ok_or_else(stale)?, to)),
        }
    }

    async fn whereabouts(&self, subnets: &[SubnetId]) -> Result<Vec<(RouteTableId, Association)>, String> {
        self.describes.set(self.describes.get() + 1);
        self.latency().await;
        if self.describe_broken.get() {
            return Err("DescribeRouteTables: no answer".to_owned());
        }
        let lags = self.lag_until.get().is_some_and(|until| Instant::now() < until);
        let at = if lags { self.before.borrow() } else { self.at.borrow() };
        Ok(subnets.iter().filter_map(|s| at.get(s).cloned()).collect())
    }

    async fn disable_check(&self, _: &InterfaceId, _: bool) -> Result<(), ChangeError> {
        self.latency().await;
        self.check.borrow_mut().pop_front().unwrap_or(Ok(()))
    }

    async fn reboot(&self, instance: &InstanceId, dry_run: bool) -> Result<(), ChangeError> {
        self.latency().await;
        if !dry_run {
            self.rebooted.borrow_mut().push(instance.clone());
        }
        self.reboot.borrow_mut().pop_front().unwrap_or(Ok(()))
    }
}

/// This account has no routes; theirs is in `tests/route`.
impl Routes for Ec2 {
    async fn route(&self, table: &RouteTableId, _: &Cidr) -> Result<Option<Route>, String> {
        panic!("a route of {table} is read")
    }

    async fn replace_route(&self, table: &RouteTableId, _: &Cidr, _: &Way, _: bool) -> Result<(), ChangeError> {
        panic!("a route of {table} is replaced")
    }

    async fn create_route(&self, table: &RouteTableId, _: &Cidr, _: &Way, _: bool) -> Result<(), ChangeError> {
        panic!("a route of {table} is made")
    }

    async fn delete_route(&self, table: &RouteTableId, _: &Cidr, _: bool) -> Result<(), ChangeError> {
        panic!("a route of {table} is deleted")
    }
}

fn plan(subnets: usize, to: &str) -> Plan {
    let moves = (0..subnets).map(|n| {
        Change::Association(PlannedMove {
            subnet: subnet(n),
            name: None,
            association: format!("rtbassoc-0{n}").parse().unwrap(),
            from: table("primary"),
            to: table(to),
        })
    });
    Plan {
        standby: "i-0b".parse::<InstanceId>().unwrap(),
        disable_check: None,
        moves: moves.collect(),
        address: None,
        reboot: None,
    }
}

fn in_secs(secs: u64) -> Instant {
    Instant::now() + Duration::from_secs(secs)
}

async fn run(ec2: &Ec2, plan: &Plan, secs: u64) -> Vec<MoveResult> {
    let deadline = in_secs(secs);
    let moves = carry_out(ec2, plan, deadline, 7, false, |_| ()).await.moves;
    assert!(Instant::now() <= deadline, "went past the deadline");
    assert_eq!(
        moves.iter().map(|m| &m.plan).collect::<Vec<_>>(),
        plan.moves.iter().collect::<Vec<_>>(),
        "the plan's order"
    );
    moves.into_iter().map(|m| m.result).collect()
}

fn reason(result: &MoveResult) -> &str {
    let MoveResult::Failed(why) = result else { panic!("{result:?} is not a failure") };
    why
}

fn doubt(result: &MoveResult) -> &str {
    let MoveResult::Unknown(why) = result else { panic!("{result:?} is not unknown") };
    why
}

#[tokio::test(start_paused = true)]
async fn all_subnets_move_at_once_up_to_sixteen_and_each_outcome_is_told() {
    let ec2 = Ec2::with(40);
    let mut told = Vec::new();
    let moves =
        carry_out(&ec2, &plan(40, "standby"), in_secs(30), 7, false, |step| told.push(step.clone())).await.moves;
    assert!(
        moves
            .iter()
            .all(|m| m.result == MoveResult::Moved && m.took > Duration::ZERO && m.took < Duration::from_secs(1))
    );
    assert_eq!(ec2.most_under_way.get(), 16);
    assert_eq!(
        (ec2.calls.get(), ec2.describes.get()),
        (40, 0),
        "a smooth takeover is one call a subnet and nothing else"
    );
    told.sort_by(|a, b| a.plan.subnet().cmp(&b.plan.subnet()));
    let mut sorted = moves.clone();
    sorted.sort_by(|a, b| a.plan.subnet().cmp(&b.plan.subnet()));
    assert_eq!(told, sorted);
}

#[tokio::test(start_paused = true)]
async fn f046_throttled_moves_back_off_within_the_deadline() {
    let ec2 = Ec2::with(2).script(0, &[Fault::Throttle, Fault::Throttle, Fault::Throttle]);
    let moves = carry_out(&ec2, &plan(2, "standby"), in_secs(30), 7, false, |_| ()).await.moves;
    assert!(moves.iter().all(|m| m.result == MoveResult::Moved));
    assert!(moves[1].took < Duration::from_millis(60), "nobody waits for the throttled one");
    assert!(moves[0].took >= Duration::from_millis(25 + 50 + 100), "{:?}", moves[0].took);
    assert_eq!(ec2.describes.get(), 0, "throttled is not carried out: no need to look");

    let ec2 = Ec2::with(1).always(Fault::Throttle);
    let result = run(&ec2, &plan(1, "standby"), 30).await;
    // The jitter decides whether the deadline falls into a pause or cuts the last call off, whose outcome is not known then.
    assert!(reason(&result[0]).ends_with("deadline reached; last answer: RequestLimitExceeded"), "{result:?}");
    assert!((15..60).contains(&ec2.calls.get()), "{} calls in 30 s", ec2.calls.get());
}

#[tokio::test(start_paused = true)]
async fn f004_nothing_is_begun_when_what_called_for_it_has_lapsed_before_the_first_call() {
    let ec2 = Ec2::with(2);
    *ec2.check.borrow_mut() = [Ok(())].into();
    let plan = Plan { disable_check: Some("eni-0b".parse().unwrap()), ..plan(2, "standby") };
    for plan in [&plan, &Plan { disable_check: None, ..plan.clone() }] {
        let moves = carry_out_while(&ec2, plan, (in_secs(30), Duration::ZERO, &|| false), 7, false, |_| ()).await.moves;
        assert!(moves.iter().all(|one| reason(&one.result).contains("what called for it has lapsed")), "{moves:?}");
        assert_eq!((ec2.calls.get(), ec2.check.borrow().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn f046_f061_no_attempt_begins_when_what_called_for_it_has_lapsed_and_what_was_under_way_is_found_out() {
    let until = in_secs(5);
    let current = || Instant::now() < until;
    let ec2 = Ec2::with(1).always(Fault::Throttle);
    let moves = carry_out_while(&ec2, &plan(1, "standby"), (in_secs(60), Duration::ZERO, &current), 7, false, |_| ())
        .await
        .moves;
    assert_eq!(reason(&moves[0].result), "what called for it has lapsed; last answer: RequestLimitExceeded");
    assert!(ec2.calls.get() >= 3 && Instant::now() < until + Duration::from_secs(2), "{} calls", ec2.calls.get());

    let ec2 = Ec2::with(1).script(0, &[Fault::Lost]);
    let before_it = || ec2.calls.get() == 0;
    let moves = carry_out_while(&ec2, &plan(1, "standby"), (in_secs(60), Duration::ZERO, &before_it), 7, false, |_| ())
        .await
        .moves;
    assert_eq!((&moves[0].result, ec2.calls.get()), (&MoveResult::Moved, 1), "the reply was lost, and a look finds it");

    let ec2 = Ec2::with(1).script(0, &[Fault::Broken]);
    let before_it = || ec2.calls.get() == 0;
    let moves = carry_out_while(&ec2, &plan(1, "standby"), (in_secs(60), Duration::ZERO, &before_it), 7, false, |_| ())
        .await
        .moves;
    assert!(doubt(&moves[0].result).contains("last seen on rtb-primary"), "{moves:?}");
    assert_eq!((ec2.calls.get(), ec2.on(0)), (1, table("primary")), "tried once, and not again");
}

#[tokio::test(start_paused = true)]
async fn f047_no_answer_is_retried_and_never_past_the_deadline() {
    let ec2 = Ec2::with(1).script(0, &[Fault::Hang, Fault::Hang]);
    assert_eq!(run(&ec2, &plan(1, "standby"), 30).await, [MoveResult::Moved]);

    let ec2 = Ec2::with(1).always(Fault::Hang);
    ec2.describe_broken.set(true);
    let result = run(&ec2, &plan(1, "standby"), 5).await;
    assert!(doubt(&result[0]).starts_with("unknown outcome: deadline reached; last answer: "), "{result:?}");
    assert!(ec2.calls.get() >= 2, "an unreadable table keeps nobody from trying again: the id is a compare-and-swap");
}

#[tokio::test(start_paused = true)]
async fn f048_a_5xx_is_described_and_tried_again_with_the_present_id() {
    let ec2 = Ec2::with(1).script(0, &[Fault::Broken]);
    assert_eq!(run(&ec2, &plan(1, "standby"), 30).await, [MoveResult::Moved]);
    assert_eq!((ec2.calls.get(), ec2.describes.get()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn f049_a_move_whose_reply_was_lost_is_a_success() {
    let ec2 = Ec2::with(1).script(0, &[Fault::Lost]);
    assert_eq!(run(&ec2, &plan(1, "standby"), 30).await, [MoveResult::Moved]);
    assert_eq!((ec2.calls.get(), ec2.moved.borrow().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn f049_a_reply_lost_at_the_very_deadline_is_found_by_a_last_look() {
    // The call is given up after 1.5 of the 2 s; what happens after the last describe can't be known.
    let ec2 = Ec2::with(1).script(0, &[Fault::Hang]);
    let plan = plan(1, "standby");
    let late = async {
        sleep(Duration::from_millis(1900)).await;
        ec2.put(&subnet(0), &table("standby"));
    };
    let (result, ()) = tokio::join!(run(&ec2, &plan, 2), late);
    assert!(doubt(&result[0]).starts_with("outcome not certain, last seen on rtb-primary"), "{result:?}");

    let ec2 = Ec2::with(1).script(0, &[Fault::Hang]);
    let found = async {
        sleep(Duration::from_millis(1400)).await;
        ec2.put(&subnet(0), &table("standby"));
    };
    let (result, ()) = tokio::join!(run(&ec2, &plan, 2), found);
    assert_eq!(result, [MoveResult::Moved]);
}

#[tokio::test(start_paused = true)]
async fn f050_a_stale_id_is_not_an_error() {
    let ec2 = Ec2::with(2);
    ec2.put(&subnet(0), &table("standby"));
    // Moved away and back: still wanted, under a new id.
    ec2.put(&subnet(1), &table("elsewhere"));
    ec2.put(&subnet(1), &table("primary"));
    assert_eq!(run(&ec2, &plan(2, "standby"), 30).await, [MoveResult::AlreadyThere, MoveResult::Moved]);
    assert_eq!(ec2.on(1), table("standby"));
}

#[tokio::test(start_paused = true)]
async fn f051_some_fail_and_the_others_go_on() {
    let ec2 = Ec2::with(4).script(1, &[Fault::Refuse]).script(2, &[Fault::Broken, Fault::Refuse]);
    let results = run(&ec2, &plan(4, "standby"), 30).await;
    assert_eq!((&results[0], &results[3]), (&MoveResult::Moved, &MoveResult::Moved));
    assert_eq!(reason(&results[1]), "not allowed: ec2:ReplaceRouteTableAssociation");
    assert_eq!(ec2.on(1), table("primary"));
    assert!(doubt(&results[2]).contains("not allowed"), "{results:?}");
    assert_eq!(ec2.calls.get(), 5, "what is refused is not tried again");
}

#[tokio::test(start_paused = true)]
async fn f052_anothers_move_off_the_primary_stands() {
    let ec2 = Ec2::with(1);
    ec2.put(&subnet(0), &table("terraform"));
    assert_eq!(run(&ec2, &plan(1, "standby"), 30).await, [MoveResult::Elsewhere("rtb-terraform".to_owned())]);
    assert_eq!(ec2.on(0), table("terraform"));
}

#[tokio::test(start_paused = true)]
async fn f053_a_subnet_whose_association_somebody_removed_is_not_touched() {
    let ec2 = Ec2::with(1);
    ec2.at.borrow_mut().clear();
    let result = run(&ec2, &plan(1, "standby"), 30).await;
    assert!(
        reason(&result[0]).contains("aws ec2 associate-route-table --subnet-id subnet-0 --route-table-id rtb-standby"),
        "{result:?}"
    );
    assert!(ec2.moved.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f057_no_permission_fails_at_once_and_says_which() {
    let ec2 = Ec2::with(1).always(Fault::Refuse);
    let began = Instant::now();
    let result = run(&ec2, &plan(1, "standby"), 30).await;
    assert_eq!(reason(&result[0]), "not allowed: ec2:ReplaceRouteTableAssociation");
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn f060_a_describe_that_lags_behind_moves_nothing_again() {
    for fault in [None, Some(Fault::Lost)] {
        let ec2 = Ec2::with(1).script(0, fault.as_slice());
        ec2.lag.set(Duration::from_secs(4));
        assert_eq!(run(&ec2, &plan(1, "standby"), 30).await, [MoveResult::Moved]);
        assert_eq!(*ec2.moved.borrow(), [(subnet(0), table("standby"))], "moved once");
        assert!(ec2.calls.get() <= 2, "a refused id is not tried again and again: {} calls", ec2.calls.get());
    }
}

#[tokio::test(start_paused = true)]
async fn f061_a_dead_control_plane_is_tried_until_the_deadline_and_the_commands_are_told() {
    let ec2 = Ec2::with(1).always(Fault::Broken);
    ec2.describe_broken.set(true);
    let deadline = in_secs(20);
    let moves = carry_out(&ec2, &plan(1, "standby"), deadline, 7, false, |_| ()).await.moves;
    assert!(Instant::now() <= deadline);
    assert!(doubt(&moves[0].result).contains("unknown outcome"), "{moves:?}");
    assert!(ec2.calls.get() > 5);
    assert_eq!(
        finish_commands(&moves, &LastSteps::default()),
        [
            "aws ec2 replace-route-table-association --route-table-id rtb-standby --association-id \"$(aws ec2 describe-route-tables \
          --filters Name=association.subnet-id,Values=subnet-0 \
          --query \"RouteTables[0].Associations[?SubnetId=='subnet-0'] | [0].RouteTableAssociationId\" --output text)\""
        ]
    );
    assert!(undo_commands(&moves, &LastSteps::default()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn f062_a_failed_association_is_retried_once() {
    let ec2 =
        Ec2::with(2).script(0, &[Fault::ComesBackFailed]).script(1, &[Fault::ComesBackFailed, Fault::ComesBackFailed]);
    let results = run(&ec2, &plan(2, "standby"), 30).await;
    assert_eq!(results[0], MoveResult::Moved);
    assert_eq!(reason(&results[1]), "EC2 made the association and it failed, twice: internal");
}

#[tokio::test(start_paused = true)]
async fn f008_nothing_moves_while_the_check_stays_on() {
    let mut plan = plan(2, "standby");
    plan.disable_check = Some("eni-0b".parse().unwrap());
    let ec2 = Ec2::with(2);
    *ec2.check.borrow_mut() =
        [Err(ChangeError::Refused("not allowed: ec2:ModifyNetworkInterfaceAttribute".to_owned()))].into();
    let results = run(&ec2, &plan, 30).await;
    assert!(
        results
            .iter()
            .all(|r| reason(r).contains("source/destination check of eni-0b could not be switched off: not allowed"))
    );
    assert_eq!(ec2.calls.get(), 0);

    let ec2 = Ec2::with(2);
    *ec2.check.borrow_mut() =
        [Err(ChangeError::Throttled("slow down".to_owned())), Err(ChangeError::Unknown("503".to_owned()))].into();
    assert_eq!(run(&ec2, &plan, 30).await, [MoveResult::Moved, MoveResult::Moved]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_and_changes_nothing() {
    let ec2 = Ec2::with(3).script(1, &[Fault::Refuse]).script(2, &[Fault::Throttle]);
    let moves = carry_out(&ec2, &plan(3, "standby"), in_secs(30), 7, true, |_| ()).await.moves;
    assert_eq!((&moves[0].result, &moves[2].result), (&MoveResult::WouldMove, &MoveResult::WouldMove));
    assert_eq!(reason(&moves[1].result), "not allowed: ec2:ReplaceRouteTableAssociation");
    assert!(ec2.moved.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_moves_nothing() {
    let ec2 = Ec2::with(2);
    let results = run(&ec2, &plan(2, "standby"), 0).await;
    assert!(results.iter().all(|r| reason(r) == "deadline reached without an answer"), "{results:?}");
    assert!(ec2.moved.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f065_two_standbys_race_a_thousand_times_and_each_subnet_moves_once() {
    for seed in 0..1000 {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..6);
        // The same table (two watchdogs of one standby) or two (two standbys).
        let other = if random.random_bool(0.3) { "standby" } else { "rival" };
        let ec2 = Ec2::with(count);
        *ec2.random.borrow_mut() = StdRng::seed_from_u64(seed);
        if random.random_bool(0.3) {
            ec2.lag.set(Duration::from_millis(random.random_range(1..2000)));
        }
        for n in 0..count {
            let all = [Fault::Throttle, Fault::Broken, Fault::Lost, Fault::Hang];
            let faults: VecDeque<Fault> =
                (0..random.random_range(0..3)).map(|_| all[random.random_range(0..all.len())].clone()).collect();
            ec2.script.borrow_mut().insert(subnet(n), faults);
        }
        let (a, b) = (plan(count, "standby"), plan(count, other));
        let (ours, theirs) = tokio::join!(run(&ec2, &a, 60), run(&ec2, &b, 60));
        for n in 0..count {
            let moves = ec2.moved.borrow().iter().filter(|(s, _)| *s == subnet(n)).count();
            assert_eq!(moves, 1, "seed {seed}, subnet {n}: {ours:?} {theirs:?}");
            let winner = ec2.on(n);
            for (results, to) in [(&ours, "standby"), (&theirs, other)] {
                if winner == table(to) {
                    assert!(
                        matches!(results[n], MoveResult::Moved | MoveResult::AlreadyThere),
                        "seed {seed}: {results:?}"
                    );
                } else {
                    assert_eq!(
                        results[n],
                        MoveResult::Elsewhere(winner.to_string()),
                        "seed {seed}: the loser says who carries it"
                    );
                }
            }
        }
    }
}

#[test]
fn the_commands_to_undo_look_the_present_id_up() {
    let plan = plan(1, "standby").moves.remove(0);
    let moved = Move { plan, result: MoveResult::Moved, took: Duration::ZERO, verification: Verification::Pending };
    let commands = undo_commands(std::slice::from_ref(&moved), &LastSteps::default());
    assert_eq!(
        commands,
        [
            "aws ec2 replace-route-table-association --route-table-id rtb-primary --association-id \"$(aws ec2 describe-route-tables \
          --filters Name=association.subnet-id,Values=subnet-0 \
          --query \"RouteTables[0].Associations[?SubnetId=='subnet-0'] | [0].RouteTableAssociationId\" --output text)\""
        ]
    );
    assert!(finish_commands(&[moved], &LastSteps::default()).is_empty());
}
