//! The last steps against hand-written addresses: the reply is lost by the very change, others have them, one gives way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::budget::Budget;
use super::super::{Addresses, Carried, ChangeError, Held, carry_out, carry_out_while, reboot};
use super::{Ec2, Fault as OfMove, in_secs, plan};
use crate::model::{
    AllocationId, EipAssociationId, Holder, InterfaceId, MoveResult, Plan, PlannedAddress, RebootResult, Way,
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Throttle,
    /// Not carried out.
    Broken,
    /// Carried out, no reply.
    Lost,
    Refuse,
}

/// Who has which address.
#[derive(Default)]
pub(super) struct Elastic {
    held: RefCell<BTreeMap<AllocationId, Option<Held>>>,
    issued: Cell<u32>,
    faults: RefCell<VecDeque<Fault>>,
    /// A reply that was lost by a change is followed by so many readings that nobody answers.
    unreadable_after: Cell<usize>,
    unreadable: Cell<usize>,
    /// EC2 refuses to associate this one.
    refuse: RefCell<Option<AllocationId>>,
    /// How many subnets were moved when an address came along.
    moved_before: RefCell<Vec<usize>>,
    /// Each change carried out: the address, and who has it since.
    changes: RefCell<Vec<(String, String)>>,
}

fn allocation(name: &str) -> AllocationId {
    format!("eipalloc-{name}").parse().unwrap()
}

fn holder(name: &str) -> Holder {
    let way = Way { interface: format!("eni-{name}").parse().ok(), instance: format!("i-{name}").parse().ok() };
    Holder { way, private: None }
}

impl Elastic {
    fn put(&self, address: &AllocationId, to: Option<&Holder>) {
        self.issued.set(self.issued.get() + 1);
        let association = format!("eipassoc-{}", self.issued.get()).parse().unwrap();
        let mut held = self.held.borrow_mut();
        if let Some(to) = to {
            // An interface's private address has one public address.
            for other in held.values_mut().filter(|one| one.as_ref().is_some_and(|one| one.holder.same(to))) {
                *other = None;
            }
        }
        held.insert(address.clone(), to.map(|to| Held { holder: to.clone(), association }));
    }

    fn has(&self, address: &str) -> Option<Holder> {
        self.held.borrow()[&allocation(address)].as_ref().map(|one| one.holder.clone())
    }

    async fn fault(&self) -> Result<bool, ChangeError> {
        sleep(Duration::from_millis(30)).await;
        match self.faults.borrow_mut().pop_front() {
            Some(Fault::Throttle) => Err(ChangeError::Throttled("RequestLimitExceeded".to_owned())),
            Some(Fault::Broken) => Err(ChangeError::Unknown("503".to_owned())),
            Some(Fault::Refuse) => Err(ChangeError::Refused("not allowed: ec2:AssociateAddress".to_owned())),
            Some(Fault::Lost) => Ok(true),
            None => Ok(false),
        }
    }
}

fn lost(lost: bool) -> Result<(), ChangeError> {
    if lost { Err(ChangeError::Unknown("connection lost".to_owned())) } else { Ok(()) }
}

impl Addresses for Ec2 {
    async fn address(&self, address: &AllocationId) -> Result<Option<Held>, String> {
        let elastic = &self.elastic;
        sleep(Duration::from_millis(10)).await;
        if elastic.unreadable.get() > 0 {
            elastic.unreadable.set(elastic.unreadable.get() - 1);
            return Err("DescribeAddresses: no answer".to_owned());
        }
        elastic.held.borrow().get(address).cloned().ok_or_else(|| format!("{address} does not exist"))
    }

    async fn addresses_of(&self, interface: &InterfaceId) -> Result<Vec<AllocationId>, String> {
        let held = self.elastic.held.borrow();
        let has =
            |one: &Option<Held>| one.as_ref().is_some_and(|one| one.holder.way.interface.as_ref() == Some(interface));
        Ok(held.iter().filter(|(_, one)| has(one)).map(|(address, _)| address.clone()).collect())
    }

    async fn associate_address(&self, address: &AllocationId, to: &Holder, dry_run: bool) -> Result<(), ChangeError> {
        let silent = self.elastic.fault().await?;
        if self.elastic.refuse.borrow().as_ref() == Some(address) {
            return Err(ChangeError::Refused("not allowed: ec2:AssociateAddress".to_owned()));
        }
        if silent {
            self.elastic.unreadable.set(self.elastic.unreadable_after.get());
        }
        if !dry_run {
            self.elastic.moved_before.borrow_mut().push(self.moved.borrow().len());
            self.elastic.changes.borrow_mut().push((address.to_string(), to.to_string()));
            self.elastic.put(address, Some(to));
        }
        lost(silent)
    }

    async fn disassociate_address(&self, association: &EipAssociationId, dry_run: bool) -> Result<(), ChangeError> {
        let silent = self.elastic.fault().await?;
        let held = self.elastic.held.borrow();
        let address = held.iter().find(|(_, one)| one.as_ref().is_some_and(|one| &one.association == association));
        let address = address.map(|(address, _)| address.clone());
        drop(held);
        let address = address.ok_or_else(|| ChangeError::Stale("InvalidAssociationID.NotFound".to_owned()))?;
        if !dry_run {
            self.elastic.changes.borrow_mut().push((address.to_string(), "nobody".to_owned()));
            self.elastic.put(&address, None);
        }
        lost(silent)
    }
}

/// An account with the primary's address, where it is, and one of the standby's own, where it has one.
fn account(at: Option<&str>, own: bool, faults: &[Fault]) -> Ec2 {
    let ec2 = Ec2::with(2);
    ec2.elastic.put(&allocation("site"), at.map(holder).as_ref());
    if own {
        ec2.elastic.put(&allocation("own"), Some(&holder("standby")));
    }
    ec2.elastic.faults.borrow_mut().extend(faults);
    ec2
}

fn along() -> PlannedAddress {
    PlannedAddress {
        address: allocation("site"),
        from: Some(holder("primary")),
        to: Some(holder("standby")),
        displaced: None,
    }
}

/// Brings the address, and says what was done.
async fn bring(ec2: &Ec2, plan: &PlannedAddress) -> (PlannedAddress, MoveResult) {
    let deadline = in_secs(20);
    let done = super::super::address::bring(ec2, plan, Budget::until(deadline, 7), false).await;
    assert!(Instant::now() <= deadline, "went past the deadline");
    done
}

/// A takeover of two subnets and the address.
async fn take(ec2: &Ec2, to: &str, dry_run: bool) -> Carried {
    let plan = Plan { address: Some(along()), ..plan(2, to) };
    carry_out(ec2, &plan, in_secs(20), 7, dry_run, |_| ()).await
}

#[tokio::test(start_paused = true)]
async fn the_address_comes_after_the_moves_and_says_where_it_was() {
    let ec2 = account(Some("primary"), false, &[]);
    let step = take(&ec2, "standby", false).await.address.unwrap();
    assert_eq!((&step.result, &step.plan.from), (&MoveResult::Moved, &Some(holder("primary"))));
    assert_eq!(ec2.elastic.has("site"), Some(holder("standby")));
    assert_eq!(*ec2.elastic.moved_before.borrow(), [2], "both subnets were moved when it came along");
}

#[tokio::test(start_paused = true)]
async fn it_stays_while_a_subnet_is_not_settled_and_where_somebody_else_has_them_all() {
    let ec2 = account(Some("primary"), false, &[]).script(1, &[OfMove::Refuse]);
    let done = take(&ec2, "standby", false).await;
    assert_eq!(done.address.unwrap().result, MoveResult::Pending);
    assert_eq!(*ec2.elastic.changes.borrow(), []);

    let ec2 = account(Some("primary"), false, &[]);
    for n in 0..2 {
        ec2.put(&super::subnet(n), &super::table("other"));
    }
    let done = take(&ec2, "standby", false).await;
    assert!(done.moves.iter().all(|one| matches!(one.result, MoveResult::Elsewhere(_))));
    assert_eq!(done.address.unwrap().result, MoveResult::Pending, "whoever has the subnets needs it as well");
    assert_eq!(*ec2.elastic.changes.borrow(), []);
}

#[tokio::test(start_paused = true)]
async fn the_way_back_leads_to_where_it_was_or_to_nobody() {
    for before in [Some("primary"), None] {
        let ec2 = account(before, false, &[]);
        let (done, result) = bring(&ec2, &along()).await;
        assert_eq!((&result, &done.from), (&MoveResult::Moved, &before.map(holder)));
        assert_eq!(bring(&ec2, &done.reversed()).await.1, MoveResult::Moved);
        assert_eq!(ec2.elastic.has("site"), before.map(holder));
        assert_eq!(bring(&ec2, &done.reversed()).await.1, MoveResult::AlreadyThere);
        assert_eq!(ec2.elastic.changes.borrow().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_standbys_own_address_gives_way_and_comes_back() {
    let ec2 = account(Some("primary"), true, &[]);
    let (done, result) = bring(&ec2, &along()).await;
    assert_eq!((result, done.displaced.clone()), (MoveResult::Moved, Some(allocation("own"))));
    assert_eq!(ec2.elastic.has("own"), None);
    assert_eq!(bring(&ec2, &done.reversed()).await.1, MoveResult::Moved);
    assert_eq!((ec2.elastic.has("site"), ec2.elastic.has("own")), (Some(holder("primary")), Some(holder("standby"))));

    let (done, _) = bring(&ec2, &along()).await;
    ec2.elastic.refuse.replace(Some(allocation("own")));
    let (_, result) = bring(&ec2, &done.reversed()).await;
    assert_eq!(
        result,
        MoveResult::Failed(
            "it is back, but eipalloc-own, which had to give way to it, is not: not allowed: ec2:AssociateAddress"
                .to_owned()
        )
    );
    assert_eq!(ec2.elastic.has("site"), Some(holder("primary")));
}

#[tokio::test(start_paused = true)]
async fn any_interface_of_the_primary_is_the_primary_and_its_interface_is_where_no_instance_is_named() {
    let second = Holder { way: Way { interface: "eni-second".parse().ok(), ..holder("primary").way }, private: None };
    let unnamed = Holder { way: Way { instance: None, ..holder("primary").way }, private: None };
    for before in [second, unnamed] {
        let ec2 = account(None, false, &[]);
        ec2.elastic.put(&allocation("site"), Some(&before));
        let (done, result) = bring(&ec2, &along()).await;
        assert_eq!((result, done.from), (MoveResult::Moved, Some(before)));
    }
    let moved = Holder { way: Way { instance: "i-other".parse().ok(), ..holder("primary").way }, private: None };
    let ec2 = account(None, false, &[]);
    ec2.elastic.put(&allocation("site"), Some(&moved));
    assert!(matches!(bring(&ec2, &along()).await.1, MoveResult::Elsewhere(_)), "somebody has moved the interface");
}

#[tokio::test(start_paused = true)]
async fn f052_an_address_that_somebody_else_has_stays_there() {
    let ec2 = account(Some("other"), false, &[]);
    assert_eq!(bring(&ec2, &along()).await.1, MoveResult::Elsewhere("eni-other (i-other)".to_owned()));
    // Nobody was expected to have it, and somebody has.
    let ec2 = account(Some("primary"), false, &[]);
    let unexpected = PlannedAddress { from: None, ..along() };
    assert_eq!(bring(&ec2, &unexpected).await.1, MoveResult::Elsewhere("eni-primary (i-primary)".to_owned()));
    assert_eq!(*ec2.elastic.changes.borrow(), []);
}

#[tokio::test(start_paused = true)]
async fn f049_a_reply_that_is_lost_by_the_change_itself_is_found_and_the_origin_is_not_forgotten() {
    let ec2 = account(Some("primary"), true, &[Fault::Lost]);
    ec2.elastic.unreadable_after.set(3);
    let (done, result) = bring(&ec2, &along()).await;
    assert_eq!(
        (result, done.from, done.displaced),
        (MoveResult::Moved, Some(holder("primary")), Some(allocation("own")))
    );
    assert_eq!(ec2.elastic.changes.borrow().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn f046_f048_f057_the_address_is_asked_for_again_but_not_where_ec2_refuses() {
    let ec2 = account(Some("primary"), false, &[Fault::Throttle, Fault::Broken]);
    assert_eq!(bring(&ec2, &along()).await.1, MoveResult::Moved);
    let ec2 = account(Some("primary"), false, &[Fault::Refuse]);
    assert_eq!(bring(&ec2, &along()).await.1, MoveResult::Failed("not allowed: ec2:AssociateAddress".to_owned()));
    let ec2 = account(Some("primary"), false, &[Fault::Broken; 99]);
    let MoveResult::Failed(why) = bring(&ec2, &along()).await.1 else { panic!("it came along") };
    assert!(why.starts_with("outcome not certain, last seen as it was: deadline reached"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_and_moves_no_address() {
    let ec2 = account(Some("primary"), false, &[]);
    assert_eq!(take(&ec2, "standby", true).await.address.unwrap().result, MoveResult::WouldMove);
    assert_eq!(*ec2.elastic.changes.borrow(), []);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_waits_out_throttling_and_is_never_asked_for_twice() {
    let primary = "i-primary".parse().unwrap();
    let throttled = || Err(ChangeError::Throttled("RequestLimitExceeded".to_owned()));
    let unknown = || Err(ChangeError::Unknown("no answer within 2 s".to_owned()));
    let refused = || Err(ChangeError::Refused("IncorrectInstanceState".to_owned()));
    for (answers, expected, asked) in [
        (vec![throttled(), throttled()], RebootResult::Asked, 3),
        (vec![unknown()], RebootResult::Failed("unknown outcome: no answer within 2 s".to_owned()), 1),
        (vec![refused()], RebootResult::Failed("IncorrectInstanceState".to_owned()), 1),
    ] {
        let ec2 = Ec2::with(0);
        ec2.reboot.borrow_mut().extend(answers);
        assert_eq!(reboot(&ec2, &primary, in_secs(20), 7, false).await, expected);
        assert_eq!(ec2.rebooted.borrow().len(), asked);
    }
    let ec2 = Ec2::with(0);
    assert_eq!(reboot(&ec2, &primary, in_secs(20), 7, true).await, RebootResult::WouldAsk);
    assert_eq!(ec2.rebooted.borrow().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn f046_the_address_leaves_the_time_that_is_kept_to_verify_the_moves_but_is_tried_at_least() {
    let plan = Plan { address: Some(along()), ..plan(1, "standby") };
    for (kept, took) in [(0, 26..=30), (15, 11..=15), (28, 2..=5), (300, 2..=5)] {
        let ec2 = account(Some("primary"), false, &[Fault::Throttle; 100]);
        let began = Instant::now();
        let within: (Instant, Duration, &dyn Fn() -> bool) = (in_secs(30), Duration::from_secs(kept), &|| true);
        let Carried { moves, address } = carry_out_while(&ec2, &plan, within, 7, false, |_| ()).await;
        assert_eq!(moves[0].result, MoveResult::Moved);
        assert!(matches!(&address.unwrap().result, MoveResult::Failed(why) if why.contains("deadline reached")));
        assert!(took.contains(&began.elapsed().as_secs()), "{kept} s kept: {:?}", began.elapsed());
        assert!(ec2.elastic.faults.borrow().len() < 98, "{kept} s kept: hardly tried");
    }
}
