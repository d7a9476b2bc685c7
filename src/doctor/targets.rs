//! The targets: where they are, which answer this standby and how fast, and which of them nobody behind the primary hears of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::config::Settings;
use crate::model::{ControlFate, Family, Finding, Fitness, Target, Topic, printable};
use crate::observe::resolve::{self, Resolver};
use crate::observe::{CONTROLS, Uplink};
use crate::record::State;
use crate::record::targets::Targets;

/// Fewer can't accuse anybody: a backend is cut off by the misses of two different good targets (`targets.tries` may ask for more).
const LEAST: usize = 2;

/// A reply that takes this share of `targets.timeout` is a miss as soon as the network is a little slower.
const SLOW: u32 = 2;

/// Who does not answer is asked again so often, and after so long: this very examination is a burst of work, in which a small and busy
/// standby may be late to hear a reply.
const LOOKS: u32 = 3;
const AGAIN: Duration = Duration::from_millis(700);

/// Of an error from outside.
const SHOWN: usize = 200;

/// One target, as this standby sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// As configured.
    pub(super) name: String,
    /// The target with its address, or why it has none.
    pub(super) target: Result<Target, String>,
    /// What came of pinging it; `None` where there is nothing to ping.
    pub(super) fate: Option<ControlFate>,
    /// How often it began or ceased to answer within the hour, where that is too often.
    pub(super) flaps: Option<usize>,
}

impl Seen {
    /// The target, where it answers.
    pub(super) fn good(&self) -> Option<&Target> {
        let answers = matches!(self.fate, Some(ControlFate::Good { .. }));
        self.target.as_ref().ok().filter(|_| answers)
    }
}

/// Looks all names up and pings all targets, at once.
pub(super) async fn look(
    settings: &Settings,
    state: Option<&State>,
    resolver: &impl Resolver,
    uplink: &impl Uplink,
) -> Vec<Seen> {
    let now = Timestamp::now();
    let memory = state.map(|state| Targets::load(state).0).unwrap_or_default();
    let flapping: BTreeMap<String, usize> =
        memory.flapping(now).into_iter().map(|(name, changes)| (name.to_owned(), changes)).collect();
    // What was known an hour ago does not hide that a name does not resolve now.
    let located = resolve::targets(resolver, &settings.observe.targets, &BTreeMap::new(), None).await;
    let timeout = settings.observe.timeout;
    let seen = located.into_iter().map(|one| {
        let flaps = flapping.get(&one.name).copied();
        async move {
            let fate = match &one.target {
                Ok(target) => Some(ping(uplink, target.addr, timeout).await),
                Err(_) => None,
            };
            Seen { name: one.name, target: one.target, fate, flaps }
        }
    });
    join_all(seen).await
}

async fn ping(uplink: &impl Uplink, addr: IpAddr, timeout: Duration) -> ControlFate {
    for _ in 1..LOOKS {
        match uplink.ping(addr, timeout, CONTROLS).await {
            ControlFate::NoReply => sleep(AGAIN).await,
            told => return told,
        }
    }
    uplink.ping(addr, timeout, CONTROLS).await
}

/// `primary.address`, where it is configured: pinged for the report only.
pub(super) async fn primary(settings: &Settings, uplink: &impl Uplink) -> Option<Finding> {
    let addr: IpAddr = settings.primary_address?;
    let finding = |fitness, text| Finding::new(Topic::Uplink, "primary-address", fitness, text).of(addr);
    Some(match uplink.ping(addr, settings.observe.timeout, CONTROLS).await {
        ControlFate::Good { .. } => finding(Fitness::Fit, "the primary answers pings, which proves nothing".to_owned()),
        ControlFate::NoReply => finding(Fitness::Fit, "the primary answers no pings, which proves nothing".to_owned()),
        ControlFate::NotAsked(why) => {
            finding(Fitness::Fit, format!("the primary was not pinged: {}", printable(&why, SHOWN)))
        }
    })
}

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Targets, id, fitness, text.into())
}

/// What there is to say of each, and of all of them.
pub(super) fn findings(seen: &[Seen], timeout: Duration, tries: usize) -> Vec<Finding> {
    let mut findings: Vec<Finding> = seen.iter().flat_map(|one| of_one(one, timeout)).collect();
    for family in [Family::V4, Family::V6] {
        // A name that does not resolve would have been an IPv4 target.
        let of = |one: &&Seen| one.target.as_ref().map_or(Family::V4, Target::family) == family;
        let all: Vec<&Seen> = seen.iter().filter(of).collect();
        if !all.is_empty() {
            findings.push(enough(family, &all, tries));
        }
    }
    findings
}

fn of_one(one: &Seen, timeout: Duration) -> Vec<Finding> {
    let name = &one.name;
    let steadier = "take a target that answers pings steadily (public resolvers do), or remove it from targets.hosts";
    let mut findings = vec![
        match (&one.target, &one.fate) {
            (Err(why), _) => finding("target-name", Fitness::Warning, printable(why, SHOWN))
                .remedy(format!("getent ahostsv4 {name}; a target given by its address needs no resolver")),
            (Ok(_), Some(ControlFate::Good { rtt })) if *rtt * SLOW > timeout => {
                let text = format!(
                    "answers only after {}, and a reply counts for {} (targets.timeout)",
                    ms(*rtt),
                    ms(timeout)
                );
                finding("target", Fitness::Warning, text).remedy("take a nearer target, or a longer targets.timeout")
            }
            (Ok(_), Some(ControlFate::Good { rtt })) => {
                finding("target", Fitness::Fit, format!("answers in {}", ms(*rtt)))
            }
            (Ok(_), Some(ControlFate::NoReply)) => {
                let text = format!("does not answer this standby within {}: it is evidence of nothing", ms(timeout));
                finding("target", Fitness::Warning, text).remedy(steadier)
            }
            (Ok(_), Some(ControlFate::NotAsked(why))) => {
                finding("target", Fitness::Unknown, format!("could not be pinged: {}", printable(why, SHOWN)))
            }
            (Ok(_), None) => finding("target", Fitness::Unknown, "was not pinged in time"),
        }
        .of(shown(one)),
    ];
    findings.extend(one.flaps.map(|changes| {
        finding(
            "target-flaps",
            Fitness::Warning,
            format!("{changes} times within an hour it began or ceased to answer this standby"),
        )
        .remedy(steadier)
        .of(shown(one))
    }));
    findings
}

fn shown(one: &Seen) -> String {
    one.target.as_ref().map_or_else(|_| one.name.clone(), ToString::to_string)
}

/// To be accused, a backend must miss `tries` different good ones.
fn enough(family: Family, all: &[&Seen], tries: usize) -> Finding {
    let least = tries.max(LEAST);
    let good = all.iter().filter(|one| one.good().is_some()).count();
    let untold = all.iter().filter(|one| matches!(one.fate, Some(ControlFate::NotAsked(_)))).count();
    let text = format!("{good} of {} {family} targets answer this standby", all.len());
    if good >= least {
        return finding("targets", Fitness::Fit, text).of(family);
    }
    if good + untold >= least {
        return finding("targets", Fitness::Unknown, format!("{text}, and {untold} could not be pinged")).of(family);
    }
    let remedy = if good == 0 {
        "look at this standby's own uplink: a public address, a route to the internet gateway, a security group that lets ICMP echo out"
    } else {
        "configure three or more targets of different owners in targets.hosts"
    };
    finding("targets", Fitness::Unfit, format!("{text}, and {least} are needed: nobody could be cut off"))
        .remedy(remedy)
        .of(family)
}

/// How often a target was asked from behind the primary by backends that reach another one, and answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) asked: usize,
    pub(super) answered: usize,
}

/// Two backends that reach others are enough to blame a target: a packet is lost now and then.
const ACCUSERS: usize = 2;

/// Targets that answer this standby, and nobody behind the primary.
pub(super) fn shunning(behind: &BTreeMap<String, Behind>) -> Vec<Finding> {
    let one = |(target, seen): (&String, &Behind)| {
        let Behind { asked, answered } = *seen;
        let text = if answered == 0 {
            format!("answers this standby, and none of the {asked} backends that asked it and reach other targets")
        } else {
            format!("answered {answered} of {asked} backends")
        };
        let found = if answered == 0 {
            finding("target-behind", Fitness::Warning, text)
                .remedy("it may limit or block the primary's address: take another target in its place")
        } else {
            finding("target-behind", Fitness::Fit, text)
        };
        found.of(target)
    };
    behind.iter().filter(|(_, seen)| seen.answered > 0 || seen.asked >= ACCUSERS).map(one).collect()
}

fn ms(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(300);

    fn seen(n: u8, fate: Option<ControlFate>) -> Seen {
        let name = format!("203.0.113.{n}");
        Seen { target: Ok(Target { addr: name.parse().unwrap(), name: name.clone() }), name, fate, flaps: None }
    }

    fn good(n: u8) -> Seen {
        seen(n, Some(ControlFate::Good { rtt: Duration::from_millis(2) }))
    }

    fn dead(n: u8) -> Seen {
        seen(n, Some(ControlFate::NoReply))
    }

    fn unresolved(name: &str) -> Seen {
        Seen { name: name.to_owned(), target: Err(format!("{name} does not resolve")), fate: None, flaps: None }
    }

    /// Answers the ping of this number, and none before.
    struct Late(std::cell::Cell<u32>);

    impl Uplink for Late {
        async fn ping(&self, _: IpAddr, timeout: Duration, _: u32) -> ControlFate {
            self.0.set(self.0.get() - 1);
            if self.0.get() == 0 {
                return ControlFate::Good { rtt: Duration::from_millis(1) };
            }
            sleep(timeout).await;
            ControlFate::NoReply
        }
    }

    #[tokio::test(start_paused = true)]
    async fn f013_who_does_not_answer_a_busy_standby_at_once_is_asked_again() {
        let addr = "203.0.113.1".parse().unwrap();
        for (answers, good) in [(1, true), (3, true), (4, false)] {
            let fate = ping(&Late(std::cell::Cell::new(answers)), addr, TIMEOUT).await;
            assert_eq!(matches!(fate, ControlFate::Good { .. }), good, "{answers}");
        }
    }

    /// `id of: fitness` of all that is found.
    fn found(seen: &[Seen]) -> Vec<String> {
        let all = findings(seen, TIMEOUT, 2);
        all.iter().map(|one| format!("{} {}: {}", one.id, one.of.clone().unwrap_or_default(), one.fitness)).collect()
    }

    #[test]
    fn f015_a_target_that_does_not_answer_is_named() {
        let all = found(&[good(1), dead(2), good(3)]);
        let expected =
            ["target 203.0.113.1: fit", "target 203.0.113.2: warning", "target 203.0.113.3: fit", "targets IPv4: fit"];
        assert_eq!(all, expected);
        let slow = seen(1, Some(ControlFate::Good { rtt: Duration::from_millis(151) }));
        let all = findings(&[slow, good(2)], TIMEOUT, 2);
        assert_eq!(
            (all[0].fitness, all[0].text.as_str()),
            (Fitness::Warning, "answers only after 151.0 ms, and a reply counts for 300.0 ms (targets.timeout)")
        );
    }

    #[test]
    fn f017_f018_fewer_than_two_good_targets_are_unfit_in_each_family() {
        assert_eq!(found(&[good(1), dead(2), dead(3)]).last().unwrap(), "targets IPv4: unfit");
        assert_eq!(found(&[dead(1), dead(2)]).last().unwrap(), "targets IPv4: unfit");
        let six = |n: u16| {
            let name = format!("2001:db8::{n}");
            Seen { target: Ok(Target { addr: name.parse().unwrap(), name: name.clone() }), name, ..good(1) }
        };
        let all = found(&[good(1), good(2), six(1)]);
        assert_eq!(all[3..], ["targets IPv4: fit", "targets IPv6: unfit"]);
        let three = findings(&[good(1), good(2)], TIMEOUT, 3);
        assert_eq!(three.last().unwrap().fitness, Fitness::Unfit, "targets.tries");
    }

    #[test]
    fn f020_a_name_that_does_not_resolve_is_a_finding_and_counts_as_an_ipv4_target() {
        let all = found(&[good(1), unresolved("one.example"), good(3)]);
        assert_eq!(all[1], "target-name one.example: warning");
        assert_eq!(all[3], "targets IPv4: fit");
        assert_eq!(found(&[unresolved("a.example"), unresolved("b.example")])[2], "targets IPv4: unfit");
    }

    #[test]
    fn what_could_not_be_pinged_is_unknown_and_no_fault_of_the_targets() {
        let barred = |n| seen(n, Some(ControlFate::NotAsked("no right".to_owned())));
        assert_eq!(
            found(&[barred(1), barred(2)]),
            ["target 203.0.113.1: unknown", "target 203.0.113.2: unknown", "targets IPv4: unknown"]
        );
        assert_eq!(found(&[good(1), good(2), barred(3)])[3], "targets IPv4: fit");
    }

    #[test]
    fn a_target_that_flaps_is_named() {
        let all = found(&[Seen { flaps: Some(4), ..good(1) }, good(2)]);
        assert_eq!(all[1], "target-flaps 203.0.113.1: warning");
    }

    #[test]
    fn f016_a_target_that_shuns_everybody_behind_the_primary_is_named_and_a_lost_packet_is_not() {
        let behind = |asked, answered| Behind { asked, answered };
        let all = [("a", behind(2, 0)), ("b", behind(2, 1)), ("c", behind(1, 0)), ("d", behind(4, 4))];
        let found = shunning(&all.map(|(name, seen)| (name.to_owned(), seen)).into());
        let found: Vec<_> = found.iter().map(|one| (one.of.as_deref().unwrap(), one.fitness)).collect();
        assert_eq!(found, [("a", Fitness::Warning), ("b", Fitness::Fit), ("d", Fitness::Fit)]);
    }
}
