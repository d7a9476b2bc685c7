//! The rounds of a scenario.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use toml::Spanned;

use crate::decide::Look;
use crate::model::{
    Backend, Control, ControlFate, Family, Fate, Member, Moment, Probe, Round, Silence, SilenceReason, Target,
    Testimony,
};
use crate::replay::scenario::{self, Fault};
use crate::replay::values::Few;

/// What anything takes to be answered.
const RTT: Duration = Duration::from_millis(12);

/// What a round takes in which somebody misses.
const TAKES: Duration = Duration::from_millis(700);

/// From a round to the next.
const EVERY: Duration = Duration::from_secs(1);

/// The longest a round may take with the defaults of the configuration.
const LIMIT: Duration = Duration::from_secs(14);

/// The sum of all rounds: no more than anybody would look at.
const MOST: usize = 10_000;

pub(super) fn expand(written: &[Spanned<scenario::Rounds>], faults: &mut Vec<Fault>) -> Vec<Look> {
    let mut looks = Vec::new();
    let mut next = Moment::ZERO;
    for one in written {
        let rounds = one.get_ref();
        let at = Some(one.span().start);
        let first = rounds.started.map_or(next, |time| time.0);
        let every = rounds.every.map_or(EVERY, |time| time.0);
        let ended = rounds.ended.map_or(first + TAKES, |time| time.0);
        if ended < first {
            faults
                .push(Fault { at, text: "the round ends before it starts; accepted: ended after started".to_owned() });
        }
        let weighed = rounds.weighed.map_or(ended, |time| time.0);
        if weighed < ended {
            faults.push(Fault { at, text: "weighed before it ended; accepted: weighed not before ended".to_owned() });
        }
        let mut shift = Duration::ZERO;
        for _ in 0..rounds.repeat.map_or(1, |many| many.0) {
            let (started, ended) = (first + shift, ended + shift);
            let round = Round {
                started,
                ended,
                limit: rounds.limit.map_or(LIMIT, |time| time.0),
                controls: controls(rounds),
                members: Members::of(rounds, started, faults),
            };
            looks.push(Look { round, weighed: weighed + shift });
            shift += every;
        }
        next = first + shift;
        let size: usize = looks.iter().map(|look| look.round.members.len()).sum();
        if size > MOST {
            faults.push(Fault { at, text: format!("{size} answers so far; accepted: {MOST} in all rounds together") });
            break;
        }
    }
    looks
}

/// The targets that answer the standby: three, if nothing else is said.
fn good(rounds: &scenario::Rounds) -> Vec<Target> {
    rounds.good.as_ref().map_or_else(
        || {
            let addrs = (1..=3).map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)));
            addrs.map(|addr| Target { name: addr.to_string(), addr }).collect()
        },
        |good| good.iter().map(|one| one.0.clone()).collect(),
    )
}

fn controls(rounds: &scenario::Rounds) -> Vec<Control> {
    let of = |target: Target, fate| Control { name: target.name.clone(), target: Some(target), fate };
    let good = good(rounds).into_iter().map(|target| of(target, ControlFate::Good { rtt: RTT }));
    let silent = || rounds.not_asked.clone().map_or(ControlFate::NoReply, ControlFate::NotAsked);
    let dead = rounds.dead.iter().map(|one| of(one.0.clone(), silent()));
    let unresolved = rounds.unresolved.iter().map(|name| Control {
        name: name.clone(),
        target: None,
        fate: ControlFate::NotAsked(format!("{name} does not resolve")),
    });
    good.chain(dead).chain(unresolved).collect()
}

/// Makes the members of one round.
struct Members<'r> {
    rounds: &'r scenario::Rounds,
    good: Vec<Target>,
    families: Vec<Family>,
    earliest: Moment,
    latest: Moment,
    /// How many each subnet has so far: they are numbered.
    counted: BTreeMap<&'r str, usize>,
    all: Vec<Member>,
}

impl<'r> Members<'r> {
    fn of(rounds: &'r scenario::Rounds, started: Moment, faults: &mut Vec<Fault>) -> Vec<Member> {
        let good = good(rounds);
        let mut families: Vec<Family> =
            good.iter().chain(rounds.dead.iter().map(|one| &one.0)).map(Target::family).collect();
        families.sort_unstable();
        families.dedup();
        let from_start =
            |time: Option<crate::replay::values::Time>| started + time.map_or(Duration::ZERO, |time| time.0);
        let mut members = Self {
            rounds,
            good,
            families,
            earliest: from_start(rounds.earliest),
            latest: from_start(rounds.latest.or(rounds.earliest)),
            counted: BTreeMap::new(),
            all: Vec::new(),
        };
        let missed = Testimony::Probes(members.good.iter().map(|one| members.probe(one, Fate::NoReply)).collect());
        // One of each family, or all that is there: somebody who reaches reaches both.
        let answers: Vec<Target> = members
            .families
            .iter()
            .filter_map(|family| members.good.iter().find(|one| one.family() == *family).cloned())
            .collect();
        let reply = Fate::Reply { rtt: RTT };
        let answered = Testimony::Probes(answers.iter().map(|one| members.probe(one, reply)).collect());
        let witness = members.families.clone();
        members.add(&rounds.cut_off, &missed, &witness);
        members.add(&rounds.reaching, &answered, &witness);
        members.add(&rounds.unproven, &missed, &[]);
        let hung = Silence { reason: SilenceReason::Hung, detail: "no answer by its deadline".to_owned() };
        members.add(&rounds.silent, &Testimony::Silent(hung), &witness);
        members.add(&rounds.awaited, &Testimony::Awaited, &witness);
        members.described(faults);
        members.all
    }

    fn probe(&self, target: &Target, fate: Fate) -> Probe {
        Probe { target: target.clone(), earliest: self.earliest, latest: self.latest, fate }
    }

    fn add(&mut self, counts: &'r BTreeMap<String, Few>, testimony: &Testimony, witness: &[Family]) {
        for (subnet, count) in counts {
            for _ in 0..count.0 {
                let n = self.counted.entry(subnet).or_default();
                *n += 1;
                let host = format!("{subnet}-{n}");
                self.push(host, subnet, testimony.clone(), witness.to_vec());
            }
        }
    }

    fn push(&mut self, host: String, subnet: &str, testimony: Testimony, witness: Vec<Family>) {
        let backend = Backend { destination: host.clone(), host, addr: None };
        self.all.push(Member { backend, subnet: subnet.to_owned(), witness, reached: Vec::new(), testimony });
    }

    /// Those that are described one by one.
    fn described(&mut self, faults: &mut Vec<Fault>) {
        let rounds = self.rounds;
        for (host, spanned) in &rounds.backends {
            let one = spanned.get_ref();
            let mut fault = |text: &str| {
                faults.push(Fault { at: Some(spanned.span().start), text: format!("{host}: {text}") });
            };
            let pings = !one.missed.is_empty() || one.reached.is_some();
            if pings && one.silent.is_some() {
                fault("silent, and yet it pinged; accepted: either silent, or missed and reached");
            }
            if one.detail.is_some() && one.silent.is_none() {
                fault("a detail of what; accepted: detail with silent");
            }
            if self.all.iter().any(|other| &other.backend.host == host) {
                fault("is there twice; accepted: each backend once in a round");
            }
            let testimony = if let Some(reason) = one.silent {
                let detail = one.detail.clone().unwrap_or_else(|| reason.to_string());
                Testimony::Silent(Silence { reason, detail })
            } else {
                let missed = one.missed.iter().map(|target| self.probe(&target.0, Fate::NoReply));
                let reached = one.reached.iter().map(|target| self.probe(&target.0, Fate::Reply { rtt: RTT }));
                Testimony::Probes(missed.chain(reached).collect())
            };
            let witness = one.witness.as_ref().map_or_else(
                || self.families.clone(),
                |families| families.iter().map(|family| Family::from(*family)).collect(),
            );
            self.push(host.clone(), &one.subnet, testimony, witness);
        }
    }
}
