//! When a running round is settled.

use super::support::*;
use crate::decide::outlook;
use crate::model::{Family, Outlook, Round, Testimony};

fn seen(round: &Round) -> Outlook {
    outlook(round, &settings())
}

#[test]
fn a_round_is_open_while_too_few_are_heard() {
    assert_eq!(seen(&round().awaited("a", 8)), Outlook::Open);
    assert_eq!(seen(&round().reaching("a", 2).awaited("a", 1)), Outlook::Open);
    assert_eq!(seen(&round().reaching("a", 2).silent("a", 6)), Outlook::NotDown, "nobody is left to wait for");
}

#[test]
fn f102_a_round_is_settled_without_the_slow_one() {
    assert_eq!(seen(&round().reaching("a", 7).awaited("a", 1)), Outlook::NotDown);
    assert_eq!(seen(&round().cut_off("a", 7).awaited("a", 1)), Outlook::Down);
    assert_eq!(seen(&round().cut_off("a", 5).awaited("a", 3)), Outlook::Down);
    assert_eq!(
        seen(&round().cut_off("a", 4).awaited("a", 4)),
        Outlook::Open,
        "four of eight would not be more than half"
    );
}

#[test]
fn a_subnet_that_could_still_clear_the_primary_is_waited_for() {
    assert_eq!(seen(&round().cut_off("a", 6).awaited("b", 2)), Outlook::Open);
    assert_eq!(seen(&round().cut_off("a", 6).reaching("b", 1).awaited("b", 1)), Outlook::Open);
    assert_eq!(
        seen(&round().cut_off("a", 6).reaching("b", 1).awaited("a", 1)),
        Outlook::Open,
        "the replacement may be in b"
    );
    assert_eq!(seen(&round().cut_off("a", 6).cut_off("b", 1).awaited("b", 1)), Outlook::Down);
}

#[test]
fn a_subnet_that_has_cleared_the_primary_settles_the_round() {
    assert_eq!(seen(&round().cut_off("a", 4).reaching("b", 2).awaited("a", 2)), Outlook::NotDown);
    assert_eq!(seen(&round().cut_off("a", 4).reaching("b", 2).awaited("b", 1)), Outlook::Open);
}

#[test]
fn without_two_good_targets_nobody_can_be_cut_off_and_nobody_is_waited_for() {
    let isolated = round().controls(vec![dead(target(1))]).awaited("a", 8);
    assert_eq!(seen(&isolated), Outlook::NotDown);
    let one = round().controls(vec![good(target(1)), dead(target(2))]).reaching("a", 3).awaited("a", 5);
    assert_eq!(seen(&one), Outlook::NotDown);
}

#[test]
fn f085_down_in_one_family_is_down_whatever_the_other_awaits() {
    let v6 = |n| target_of(Family::V6, n);
    let controls = vec![good(target(1)), good(target(2)), good(v6(1)), good(v6(2))];
    let round = |dead: Family| {
        let of = |family: Family| if family == Family::V4 { [target(1), target(2)] } else { [v6(1), v6(2)] };
        let missed = Testimony::Probes(of(dead).map(miss).to_vec());
        round().controls(controls.clone()).with("a", 5, &missed).witness(5, &[dead]).awaited("a", 3)
    };
    assert_eq!(seen(&round(Family::V4)), Outlook::Down);
    assert_eq!(seen(&round(Family::V6)), Outlook::Down);
}
