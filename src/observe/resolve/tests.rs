//! Names against a resolver that answers what a test says, when it says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Located, PATIENCE, Resolver, backends, patience, targets};
use crate::model::Backend;

/// Answers by name: after so long, these addresses or this error.
#[derive(Default)]
struct Book {
    answers: BTreeMap<&'static str, (u64, Result<Vec<&'static str>, &'static str>)>,
    asked: RefCell<Vec<String>>,
}

impl Book {
    fn with(mut self, name: &'static str, after: u64, answer: Result<Vec<&'static str>, &'static str>) -> Self {
        self.answers.insert(name, (after, answer));
        self
    }
}

impl Resolver for Book {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        self.asked.borrow_mut().push(name.to_owned());
        let (after, answer) = self.answers.get(name).cloned().unwrap_or((0, Err("Name or service not known")));
        sleep(Duration::from_millis(after)).await;
        answer.map(|addrs| addrs.into_iter().map(addr).collect()).map_err(ToOwned::to_owned)
    }
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn known(name: &str, at: &str) -> BTreeMap<String, IpAddr> {
    BTreeMap::from([(name.to_owned(), addr(at))])
}

async fn one(book: &Book, name: &str, known: &BTreeMap<String, IpAddr>) -> Located {
    targets(book, &[name.to_owned()], known, None).await.remove(0)
}

fn place(located: &Located) -> Option<IpAddr> {
    located.target.as_ref().ok().map(|target| target.addr)
}

#[tokio::test(start_paused = true)]
async fn f021_a_name_that_changes_its_address_is_found_at_the_new_one() {
    let book = Book::default().with("one", 2, Ok(vec!["203.0.113.2"]));
    let found = one(&book, "one", &known("one", "203.0.113.1")).await;
    assert_eq!((place(&found), found.fresh), (Some(addr("203.0.113.2")), true));
}

#[tokio::test(start_paused = true)]
async fn f021_a_name_with_many_addresses_stays_at_the_one_it_had() {
    let book = Book::default().with("one", 2, Ok(vec!["203.0.113.3", "203.0.113.1", "203.0.113.2"]));
    assert_eq!(place(&one(&book, "one", &known("one", "203.0.113.2")).await), Some(addr("203.0.113.2")));
    assert_eq!(place(&one(&book, "one", &BTreeMap::new()).await), Some(addr("203.0.113.3")));
}

#[tokio::test(start_paused = true)]
async fn f021_a_name_of_both_families_is_its_ipv4_address_and_one_of_ipv6_only_is_none() {
    let book =
        Book::default().with("both", 2, Ok(vec!["2001:db8::1", "203.0.113.1"])).with("six", 2, Ok(vec!["2001:db8::6"]));
    assert_eq!(place(&one(&book, "both", &BTreeMap::new()).await), Some(addr("203.0.113.1")));
    // An answer is an answer: the address of an hour ago is for where there is none.
    for known in [BTreeMap::new(), known("six", "203.0.113.6")] {
        let found = one(&book, "six", &known).await;
        let why = found.target.unwrap_err();
        assert!(why.contains("six has no IPv4 address") && why.contains("2001:db8::6"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn f020_a_name_that_does_not_resolve_is_where_it_was_or_nowhere() {
    let book = Book::default();
    let lost = one(&book, "one", &BTreeMap::new()).await;
    assert_eq!(lost.target.unwrap_err(), "one does not resolve: Name or service not known");
    let kept = one(&book, "one", &known("one", "203.0.113.1")).await;
    assert_eq!((place(&kept), kept.fresh), (Some(addr("203.0.113.1")), false), "not worth remembering as new");
    assert!(kept.trouble.unwrap().contains("does not resolve"));
}

#[tokio::test(start_paused = true)]
async fn f020_a_resolver_that_does_not_answer_costs_half_a_second_however_many_names_there_are() {
    let book = Book::default().with("one", 60_000, Ok(vec![])).with("two", 60_000, Ok(vec![]));
    let start = Instant::now();
    let names = ["one".to_owned(), "two".to_owned(), "203.0.113.3".to_owned()];
    let found = targets(&book, &names, &known("two", "203.0.113.2"), None).await;
    assert_eq!(start.elapsed(), PATIENCE);
    assert_eq!(
        found.iter().map(place).collect::<Vec<_>>(),
        [None, Some(addr("203.0.113.2")), Some(addr("203.0.113.3"))]
    );
    assert!(found[0].target.as_ref().unwrap_err().contains("within 500 ms"));
}

#[tokio::test(start_paused = true)]
async fn f021_a_confirming_round_waits_for_names_only_while_it_waits_anyway() {
    let book = Book::default().with("one", 100, Ok(vec!["203.0.113.2"]));
    let known = known("one", "203.0.113.1");
    for (pause, expected) in [(1000, "203.0.113.2"), (300, "203.0.113.1"), (0, "203.0.113.1")] {
        let start = Instant::now();
        let pause = Duration::from_millis(pause);
        let found = targets(&book, &["one".to_owned()], &known, Some(patience(pause))).await;
        assert_eq!(place(&found[0]), Some(addr(expected)), "{pause:?}");
        assert!(start.elapsed() <= pause / 4, "{pause:?}");
    }
    assert_eq!(patience(Duration::from_mins(1)), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_not_asked_for() {
    let book = Book::default();
    let names = ["203.0.113.1".to_owned(), "2001:db8::1".to_owned()];
    let found = targets(&book, &names, &BTreeMap::new(), None).await;
    assert_eq!(found.iter().map(place).collect::<Vec<_>>(), [Some(addr("203.0.113.1")), Some(addr("2001:db8::1"))]);
    assert!(found.iter().all(|one| !one.fresh));
    assert!(book.asked.borrow().is_empty());
}

fn backend(host: &str, at: Option<&str>) -> Backend {
    Backend { host: host.to_owned(), destination: host.to_owned(), addr: at.map(addr) }
}

#[tokio::test(start_paused = true)]
async fn backends_by_name_get_addresses_and_those_with_one_keep_it() {
    let book = Book::default().with("web1", 2, Ok(vec!["2001:db8::1", "10.0.10.10"]));
    let found =
        backends(&book, &[backend("web1", None), backend("web2", None), backend("web3", Some("10.0.10.13"))], &[])
            .await;
    let addrs: Vec<_> = found.iter().map(|one| one.addr).collect();
    assert_eq!(addrs, [Some(addr("10.0.10.10")), None, Some(addr("10.0.10.13"))]);
    assert_eq!(*book.asked.borrow(), ["web1", "web2"]);
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_address_are_one_backend() {
    let book = Book::default()
        .with("web1", 1, Ok(vec!["10.0.10.11"]))
        .with("web1.internal", 1, Ok(vec!["10.0.10.11"]))
        .with("web2", 1, Ok(vec!["10.0.10.12"]));
    let names = ["web1", "web1.internal", "web2", "lost1", "lost2"];
    let found = backends(&book, &names.map(|name| backend(name, None)), &[]).await;
    let hosts: Vec<&str> = found.iter().map(|one| one.host.as_str()).collect();
    assert_eq!(hosts, ["web1", "web2", "lost1", "lost2"], "what is not known to be the same stays");
}

#[tokio::test(start_paused = true)]
async fn f032_a_backend_keeps_the_address_that_it_had_while_the_resolver_does_not_say_otherwise() {
    let before = [("web1", "10.0.10.11"), ("web2", "10.0.10.12"), ("web3", "10.0.10.13"), ("web4", "10.0.10.14")];
    let before = before.map(|(name, at)| backend(name, Some(at)));
    let book = Book::default()
        .with("web1", 5000, Ok(vec!["10.0.10.11"]))
        .with("web2", 1, Ok(vec!["10.0.10.99", "10.0.10.12"]))
        .with("web3", 1, Ok(vec!["10.0.10.98"]));
    let names = ["web1", "web2", "web3", "web4", "web5"];
    let found = backends(&book, &names.map(|name| backend(name, None)), &before).await;
    let addrs: Vec<_> = found.iter().map(|one| one.addr).collect();
    let at = |text| Some(addr(text));
    assert_eq!(addrs, [at("10.0.10.11"), at("10.0.10.12"), at("10.0.10.98"), at("10.0.10.14"), None]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_not_behind_the_nat_is_none() {
    let book =
        Book::default().with("inner.example", 1, Ok(vec!["10.0.0.20"])).with("own.example", 1, Ok(vec!["127.0.0.1"]));
    let names =
        ["inner.example", "own.example", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00::1", "203.0.113.1"];
    let found = targets(&book, &names.map(str::to_owned), &BTreeMap::new(), None).await;
    let told: Vec<_> = found.iter().map(|one| one.target.as_ref().err().map(String::as_str)).collect();
    assert_eq!(
        told[0],
        Some(
            "inner.example leads to 10.0.0.20, which is a private address; a target must be on the internet, behind the NAT"
        )
    );
    assert!(told[1].unwrap().contains("a loopback address"), "{told:?}");
    assert!(told[2..6].iter().all(Option::is_some), "{told:?}");
    assert_eq!(told[6], None);
}
