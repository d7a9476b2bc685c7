//! The targets: where they are, which answer this standby and how fast, and which of them nobody behind the primary hears of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::config::Settings;
use crate::model::{ControlFate, Family, Finding, Fitness, Target, Topic, printable, quoted};
use crate::observe::resolve::{self, Resolver};
use crate::observe::{CONTROLS, Uplink};
use crate::record::State;
use crate::record::targets::Targets;

/// Fewer can't accuse anybody: a backend is cut off by the misses of two different good targets (`targets.tries` may ask for more).
const LEAST: usize = 2;

/// A reply that takes this share of `targets.timeout` is a miss as soon as the network is a little slower.
const SLOW: u32 = 2;

/// The longest `targets.timeout` that is accepted, in milliseconds.
const LONGEST: u128 = 5000;

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
    /// The target with its address and what came of pinging it, or why it has none.
    pub(super) target: Result<(Target, ControlFate), String>,
    /// How often it began or ceased to answer within the hour, where that is too often.
    pub(super) flaps: Option<usize>,
}

impl Seen {
    /// The target, where it answers.
    pub(super) fn good(&self) -> Option<&Target> {
        self.target.as_ref().ok().filter(|(_, fate)| matches!(fate, ControlFate::Good { .. })).map(|(target, _)| target)
    }

    /// The family that it is of. A name that does not resolve would have been an IPv4 target.
    pub(super) fn family(&self) -> Family {
        self.target.as_ref().map_or(Family::V4, |(target, _)| target.family())
    }

    fn was_pinged(&self) -> bool {
        !matches!(&self.target, Ok((_, ControlFate::NotAsked(_))))
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
            let target = match one.target {
                Ok(target) => {
                    let fate = ping(uplink, target.addr, timeout).await;
                    Ok((target, fate))
                }
                Err(why) => Err(why),
            };
            Seen { name: one.name, target, flaps }
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
    let names: Vec<&str> = seen.iter().map(|one| one.name.as_str()).collect();
    let mut findings: Vec<Finding> = seen.iter().flat_map(|one| of_one(one, timeout, &names)).collect();
    for family in [Family::V4, Family::V6] {
        let all: Vec<&Seen> = seen.iter().filter(|one| one.family() == family).collect();
        if !all.is_empty() {
            findings.push(enough(family, &all, tries, &names));
        }
    }
    findings
}

/// The line of `targets.hosts` with another target in the place of this one.
fn another(names: &[&str], name: &str) -> String {
    let all: Vec<String> =
        names.iter().map(|one| if *one == name { "\"ANOTHER\"".to_owned() } else { format!("\"{one}\"") }).collect();
    format!("hosts = [{}]", all.join(", "))
}

fn of_one(one: &Seen, timeout: Duration, names: &[&str]) -> Vec<Finding> {
    let name = &one.name;
    let replaced = |found: Finding| found.change("targets.hosts", another(names, name));
    let steadier = "public resolvers answer pings steadily";
    let mut findings = vec![
        match &one.target {
            Err(why) => {
                let text = format!("{}; a target given by its address needs no resolver", printable(why, SHOWN));
                replaced(finding("target-name", Fitness::Warning, text).cause("unresolved"))
                    .remedy(format!("getent ahostsv4 {}", quoted(name)))
            }
            Ok((_, ControlFate::Good { rtt })) if *rtt * SLOW > timeout => {
                let text = format!(
                    "answers only after {}, and a reply counts for {} (targets.timeout)",
                    ms(*rtt),
                    ms(timeout)
                );
                // What is read there again is within half of it.
                let enough = (*rtt * SLOW * 2).as_millis().min(LONGEST);
                replaced(finding("target", Fitness::Warning, text).cause("slow"))
                    .change("targets.timeout", format!("timeout = \"{enough}ms\""))
            }
            Ok((_, ControlFate::Good { rtt })) => finding("target", Fitness::Fit, format!("answers in {}", ms(*rtt))),
            Ok((_, ControlFate::NoReply)) => {
                let text = format!(
                    "does not answer this standby within {}: it is evidence of nothing ({steadier})",
                    ms(timeout)
                );
                replaced(finding("target", Fitness::Warning, text).cause("silent"))
            }
            Ok((target, ControlFate::NotAsked(why))) => {
                finding("target", Fitness::Unknown, format!("could not be pinged: {}", printable(why, SHOWN)))
                    .cause("not-pinged")
                    .remedy(by_hand(target))
            }
        }
        .of(shown(one)),
    ];
    findings.extend(one.flaps.map(|changes| {
        let text = format!("{changes} times within an hour it began or ceased to answer this standby ({steadier})");
        replaced(finding("target-flaps", Fitness::Warning, text).cause("flaps")).of(shown(one))
    }));
    findings
}

/// The same ping by hand, which says why there is none.
fn by_hand(target: &Target) -> String {
    format!("ping -c 3 {}", target.addr)
}

fn shown(one: &Seen) -> String {
    one.target.as_ref().map_or_else(|_| one.name.clone(), |(target, _)| target.to_string())
}

/// To be accused, a backend must miss `tries` different good ones.
fn enough(family: Family, all: &[&Seen], tries: usize, names: &[&str]) -> Finding {
    let least = tries.max(LEAST);
    let good = all.iter().filter(|one| one.good().is_some()).count();
    let untold = all.iter().filter(|one| !one.was_pinged()).count();
    let text = format!("{good} of {} {family} targets answer this standby", all.len());
    if good >= least {
        return finding("targets", Fitness::Fit, text).of(family);
    }
    let first = all.iter().find_map(|one| one.target.as_ref().ok()).map(|(target, _)| target);
    let look = || first.map_or_else(|| "ip route get 1.1.1.1".to_owned(), by_hand);
    if good + untold >= least {
        return finding("targets", Fitness::Unknown, format!("{text}, and {untold} could not be pinged"))
            .cause("too-few-pinged")
            .remedy(look())
            .of(family);
    }
    if good == 0 {
        let text = format!(
            "{text}, and {least} are needed: nobody could be cut off; this standby's own uplink takes a public address, a route to the internet gateway, and a security group that lets ICMP echo out"
        );
        return finding("targets", Fitness::Unfit, text).cause("none-good").remedy(look()).of(family);
    }
    let more: Vec<String> =
        names.iter().map(|one| format!("\"{one}\"")).chain(std::iter::once("\"ANOTHER\"".to_owned())).collect();
    finding(
        "targets",
        Fitness::Unfit,
        format!(
            "{text}, and {least} are needed: nobody could be cut off (three or more, of different owners, are advised)"
        ),
    )
    .cause("too-few-good")
    .change("targets.hosts", format!("hosts = [{}]", more.join(", ")))
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

/// Targets that answer this standby, and nobody behind the primary. `names`: as `targets.hosts` has them.
pub(super) fn shunning(behind: &BTreeMap<String, Behind>, names: &[&str]) -> Vec<Finding> {
    let one = |(target, seen): (&String, &Behind)| {
        let Behind { asked, answered } = *seen;
        if answered > 0 {
            return finding("target-behind", Fitness::Fit, format!("answered {answered} of {asked} backends"))
                .of(target);
        }
        let text = format!(
            "answers this standby, and none of the {asked} backends that asked it and reach other targets: it may limit or block the primary's address"
        );
        let name = target.split(' ').next().unwrap_or_default();
        finding("target-behind", Fitness::Warning, text)
            .cause("shuns")
            .change("targets.hosts", another(names, name))
            .of(target)
    };
    behind.iter().filter(|(_, seen)| seen.answered > 0 || seen.asked >= ACCUSERS).map(one).collect()
}

fn ms(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Edit;

    const TIMEOUT: Duration = Duration::from_millis(300);

    fn seen(n: u8, fate: ControlFate) -> Seen {
        let name = format!("203.0.113.{n}");
        Seen { target: Ok((Target { addr: name.parse().unwrap(), name: name.clone() }, fate)), name, flaps: None }
    }

    fn good(n: u8) -> Seen {
        seen(n, ControlFate::Good { rtt: Duration::from_millis(2) })
    }

    fn dead(n: u8) -> Seen {
        seen(n, ControlFate::NoReply)
    }

    fn unresolved(name: &str) -> Seen {
        Seen { name: name.to_owned(), target: Err(format!("{name} does not resolve")), flaps: None }
    }

    fn barred(n: u8) -> Seen {
        seen(n, ControlFate::NotAsked("no right".to_owned()))
    }

    fn slow(n: u8) -> Seen {
        seen(n, ControlFate::Good { rtt: Duration::from_millis(151) })
    }

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let each = [
            vec![slow(1), dead(2), unresolved("one.example"), Seen { flaps: Some(4), ..good(3) }],
            vec![good(1), dead(2)],
            vec![dead(1), dead(2)],
            vec![barred(1), barred(2)],
        ];
        let mut all: Vec<Finding> = each.iter().flat_map(|seen| findings(seen, TIMEOUT, 2)).collect();
        let shy = [("203.0.113.1".to_owned(), Behind { asked: 2, answered: 0 })];
        all.extend(shunning(&shy.into(), &["203.0.113.1", "203.0.113.2"]));
        all
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
        let all = findings(&[slow(1), good(2)], TIMEOUT, 2);
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
            let fate = ControlFate::Good { rtt: Duration::from_millis(2) };
            Seen { target: Ok((Target { addr: name.parse().unwrap(), name: name.clone() }, fate)), name, flaps: None }
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
        assert_eq!(
            found(&[barred(1), barred(2)]),
            ["target 203.0.113.1: unknown", "target 203.0.113.2: unknown", "targets IPv4: unknown"]
        );
        assert_eq!(found(&[good(1), good(2), barred(3)])[3], "targets IPv4: fit");
    }

    #[test]
    fn another_target_is_asked_for_in_the_place_of_the_one_that_is_not_good() {
        let all = findings(&[good(1), dead(2), slow(3)], TIMEOUT, 2);
        let line = |finding: &Finding| finding.changes.clone();
        let hosts = |line: &str| Edit::Key("targets.hosts", line.to_owned());
        assert_eq!(line(&all[1]), [hosts("hosts = [\"203.0.113.1\", \"ANOTHER\", \"203.0.113.3\"]")]);
        let timeout = Edit::Key("targets.timeout", "timeout = \"604ms\"".to_owned());
        assert_eq!(line(&all[2]), [hosts("hosts = [\"203.0.113.1\", \"203.0.113.2\", \"ANOTHER\"]"), timeout]);
        let few = findings(&[good(1), dead(2)], TIMEOUT, 2);
        assert_eq!(line(&few[2]), [hosts("hosts = [\"203.0.113.1\", \"203.0.113.2\", \"ANOTHER\"]")]);
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
        let found = shunning(&all.map(|(name, seen)| (name.to_owned(), seen)).into(), &["a", "b", "c", "d"]);
        assert_eq!(
            found[0].changes,
            [Edit::Key("targets.hosts", "hosts = [\"ANOTHER\", \"b\", \"c\", \"d\"]".to_owned())]
        );
        let found: Vec<_> = found.iter().map(|one| (one.of.as_deref().unwrap(), one.fitness)).collect();
        assert_eq!(found, [("a", Fitness::Warning), ("b", Fitness::Fit), ("d", Fitness::Fit)]);
    }
}
