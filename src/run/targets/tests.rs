//! What a pass learns of its targets, and says of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::TargetBook;
use crate::model::{Control, ControlFate, Round, Target};
use crate::observe::resolve::Resolver;

/// Knows these names, and nothing else.
struct Book(BTreeMap<&'static str, &'static str>);

impl Resolver for Book {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let addr = self.0.get(name).ok_or("Name or service not known")?;
        Ok(vec![addr.parse().map_err(|_| "nonsense".to_owned())?])
    }
}

fn now(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn names() -> Vec<String> {
    ["one.example", "203.0.113.2", "2001:db8::3"].map(str::to_owned).to_vec()
}

async fn located(book: &mut TargetBook, one: Option<&'static str>, minute: i64) {
    let resolver = Book(one.map(|at| ("one.example", at)).into_iter().collect());
    book.locate(&resolver, &names(), None, now(minute)).await;
}

/// A round in which the targets fared so: good, or no reply.
fn round(book: &TargetBook, good: [bool; 3]) -> Round {
    let fate =
        |good: bool| if good { ControlFate::Good { rtt: Duration::from_millis(1) } } else { ControlFate::NoReply };
    let control = |((name, target), good): (&(String, Result<Target, String>), bool)| Control {
        name: name.clone(),
        target: target.as_ref().ok().cloned(),
        fate: target.as_ref().map_or_else(|why| ControlFate::NotAsked(why.clone()), |_| fate(good)),
    };
    Round {
        started: Duration::ZERO,
        ended: Duration::from_secs(1),
        limit: Duration::from_secs(10),
        controls: book.located().iter().zip(good).map(control).collect(),
        members: Vec::new(),
    }
}

#[tokio::test]
async fn f015_a_target_that_does_not_answer_while_others_do_is_named() {
    let mut book = TargetBook::default();
    located(&mut book, Some("203.0.113.1"), 0).await;
    assert_eq!(book.notes(Some(&round(&book, [true; 3])), now(0)), [""; 0]);
    let notes = book.notes(Some(&round(&book, [false, true, true])), now(0));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("one.example (203.0.113.1) does not answer this standby"), "{notes:?}");
}

#[tokio::test]
async fn f017_while_no_target_of_a_family_answers_nothing_is_said_or_learned_of_single_ones() {
    let mut book = TargetBook::default();
    located(&mut book, Some("203.0.113.1"), 0).await;
    for minute in 0..20 {
        let good = minute % 2 == 0;
        let dead = round(&book, [false, false, good]);
        // IPv4 is dead for this standby; IPv6 is judged apart, and its only target decides for itself.
        book.learn(&dead, now(minute));
        assert_eq!(book.notes(Some(&dead), now(minute)), [""; 0]);
    }
}

#[tokio::test]
async fn f020_a_name_that_does_not_resolve_is_named_and_is_where_it_was_for_an_hour() {
    let mut book = TargetBook::default();
    located(&mut book, Some("203.0.113.1"), 0).await;
    located(&mut book, None, 59).await;
    assert_eq!(book.located()[0].1.as_ref().unwrap().addr.to_string(), "203.0.113.1");
    let notes = book.notes(None, now(59));
    assert!(notes[0].contains("does not resolve") && notes[0].contains("within the last hour"), "{notes:?}");
    located(&mut book, None, 61).await;
    assert!(book.located()[0].1.is_err());
    assert_eq!(
        book.notes(Some(&round(&book, [false, true, true])), now(61)),
        ["one.example does not resolve: Name or service not known"]
    );
}

#[tokio::test]
async fn f021_a_name_that_moves_between_two_rounds_is_asked_where_it_is() {
    let mut book = TargetBook::default();
    for at in ["203.0.113.1", "203.0.113.9"] {
        located(&mut book, Some(at), 0).await;
        assert_eq!(book.located()[0].1.as_ref().unwrap().addr.to_string(), at);
    }
}

#[tokio::test]
async fn a_target_that_flaps_is_named_and_all_at_once_are_the_standbys_uplink() {
    let mut book = TargetBook::default();
    located(&mut book, Some("203.0.113.1"), 0).await;
    for minute in 0..5 {
        let round = round(&book, [minute % 2 == 0, true, true]);
        assert_eq!(book.notes(Some(&round), now(minute)).iter().filter(|note| note.contains("flaps")).count(), 0);
        book.learn(&round, now(minute));
    }
    let notes = book.notes(None, now(5));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("target one.example flaps: 4 times within an hour"), "{notes:?}");

    let mut two = TargetBook::default();
    let resolver = Book(BTreeMap::new());
    two.locate(&resolver, &["203.0.113.1".to_owned(), "203.0.113.2".to_owned()], None, now(0)).await;
    for minute in 0..12 {
        // Never both at once: that would be an outage of the standby's, of which nothing is learned.
        let round = round(&two, [minute % 3 == 0, minute % 3 == 1, true]);
        two.learn(&round, now(minute));
    }
    let notes = two.notes(None, now(12));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("look at this standby's own uplink"), "{notes:?}");
}

#[tokio::test]
async fn a_frozen_round_teaches_nothing() {
    let mut book = TargetBook::default();
    located(&mut book, Some("203.0.113.1"), 0).await;
    for minute in 0..10 {
        let mut round = round(&book, [minute % 2 == 0, true, true]);
        round.ended = round.limit * 2;
        book.learn(&round, now(minute));
    }
    assert_eq!(book.notes(None, now(10)), [""; 0]);
}
