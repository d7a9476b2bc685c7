//! The odds, computed: pure functions of numbers. Every simplification errs on the side of more false takeovers and more
//! missed outages.

use std::time::Duration;

use natwatch::decide::{Course, DecideSettings, Next, judge};
use natwatch::model::{Backend, Control, ControlFate, Family, Fate, Member, Probe, Round, Target, Testimony};
use natwatch::observe::Pace;

/// Seconds of a year (365.25 days).
const YEAR: f64 = 31_557_600.0;
/// The shipped cron entry starts a run every two minutes.
const CRON: f64 = 120.0;
/// Control pings of one target within its timeout (`observe::icmp`).
const CONTROLS: i32 = 3;
/// So often backends are drawn in a round: at its start, and whenever the three seconds of `connect_timeout` are over for those
/// who were silent, as long as there is time left of its thirteen and a half for a login and two pings.
const DRAWS: usize = 5;

/// What the odds depend on.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// `threshold`, `fraction`, `rounds`, `span`.
    pub(crate) rules: DecideSettings,
    pub(crate) panel: usize,
    /// Pings of good targets that a backend which is cut off has missed in a round.
    pub(crate) pings: i32,
    pub(crate) targets: usize,
    /// How the first round asks, and how those that follow.
    pub(crate) paces: (Pace, Pace),
}

/// Who calls the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// `run` every two minutes.
    Cron,
    /// `watch` without end: each target is pinged once a second from behind the NAT, and a miss starts a burst.
    Watch,
}

/// The chance that a ping is not answered, where each packet is lost with `loss` each way.
pub(crate) fn missed(loss: f64) -> f64 {
    1.0 - (1.0 - loss).powi(2)
}

fn binomial(n: usize, k: usize, p: f64) -> f64 {
    let mut ways = 1.0;
    for i in 0..k {
        ways *= count(n - i) / count(i + 1);
    }
    ways * p.powi(whole(k)) * (1.0 - p).powi(whole(n - k))
}

/// The chance of `k` or more of `n`.
fn at_least(n: usize, k: usize, p: f64) -> f64 {
    (k..=n).map(|k| binomial(n, k, p)).sum()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

fn whole(n: usize) -> i32 {
    i32::try_from(n).unwrap()
}

/// How many of `heard` have to be cut off.
fn majority(heard: usize, rules: &DecideSettings) -> usize {
    let more = (1..=heard).find(|cut_off| count(*cut_off) > rules.fraction * count(heard) + 1e-9).unwrap();
    more.max(rules.threshold)
}

/// The chance that plain loss makes a round `down` in which `heard` gave a verdict. That a subnet of two or more who all reach
/// clears the primary is left out, and so is that the standby's own pings are lost too.
pub(crate) fn down(heard: usize, loss: f64, numbers: &Numbers) -> f64 {
    at_least(heard, majority(heard, &numbers.rules), missed(loss).powi(numbers.pings))
}

/// How many rounds lie between the first miss of an outage and the decision, by the rules themselves.
pub(crate) fn looks(rules: &DecideSettings) -> i32 {
    let target = |n: u8| Target { name: n.to_string(), addr: [203, 0, 113, n].into() };
    let mut course = Course::default();
    let mut now = Duration::ZERO;
    for looks in 1..100 {
        // All are pinged as the round begins; it takes a timeout, and in the first round another.
        let took = Duration::from_millis(if looks == 1 { 600 } else { 300 });
        let member = |n: usize| Member {
            backend: Backend { host: n.to_string(), destination: n.to_string(), addr: None },
            subnet: "a".to_owned(),
            witness: vec![Family::V4],
            reached: Vec::new(),
            testimony: Testimony::Probes(
                (1..=9).map(|n| Probe { target: target(n), earliest: now, latest: now, fate: Fate::NoReply }).collect(),
            ),
        };
        let control = |n| Control {
            name: String::new(),
            target: Some(target(n)),
            fate: ControlFate::Good { rtt: Duration::ZERO },
        };
        let round = Round {
            started: now,
            ended: now + took,
            limit: Duration::from_secs(14),
            controls: (1..=9).map(control).collect(),
            members: (0..rules.threshold).map(member).collect(),
        };
        course = course.step(&judge(&round, rules, Family::V4));
        match course.next(rules, now + took) {
            Next::Act => return looks,
            Next::Look { not_before } => now = not_before,
            Next::Rest => break,
        }
    }
    panic!("an outage is never acted on");
}

/// Expected false takeovers in a year of such loss, where so many give a verdict in each round.
pub(crate) fn per_year(caller: Caller, heard: usize, loss: f64, numbers: &Numbers) -> f64 {
    let one = down(heard, loss, numbers);
    let more = one.powi(looks(&numbers.rules) - 1);
    match caller {
        Caller::Cron => YEAR / CRON * one * more,
        Caller::Watch => {
            // Each miss starts a burst. Its backend has missed one ping already; what the others were asked was answered, or
            // they are asked anew.
            let m = missed(loss);
            let q = m.powi(numbers.pings);
            let needed = majority(heard, &numbers.rules);
            let others = |needed: usize| at_least(heard - 1, needed, q);
            let already = m.powi(numbers.pings - 1);
            let first = already * others(needed - 1) + (1.0 - already) * others(needed);
            YEAR * count(numbers.targets) * m * first * more
        }
    }
}

/// The most that [`per_year`] comes to for any number that may be heard.
pub(crate) fn worst(caller: Caller, loss: f64, numbers: &Numbers) -> f64 {
    let all = numbers.rules.threshold..=numbers.panel;
    all.map(|heard| per_year(caller, heard, loss, numbers)).fold(0.0, f64::max)
}

/// The chance that fewer than the threshold are heard in a round of a pool of backends of which each is dead with the chance
/// `dead`, while those who are silent are replaced as long as there is time and a backend left.
pub(crate) fn unheard(pool: usize, dead: f64, numbers: &Numbers) -> f64 {
    // By how many are alive among those asked, and how many are left to ask.
    let first = numbers.panel.min(pool);
    let mut states = vec![(0, first, pool - first, 1.0)];
    for _ in 0..DRAWS {
        states = states
            .into_iter()
            .flat_map(|(alive, asked, left, chance)| {
                (0..=asked).map(move |answer| {
                    let alive = alive + answer;
                    let next = (asked - answer).min(left);
                    (alive, next, left - next, chance * binomial(asked, answer, 1.0 - dead))
                })
            })
            .collect();
        states = merged(states);
    }
    states.iter().filter(|(alive, ..)| *alive < numbers.rules.threshold).map(|(.., chance)| chance).sum()
}

type State = (usize, usize, usize, f64);

fn merged(mut states: Vec<State>) -> Vec<State> {
    states.sort_by_key(|(alive, asked, left, _)| (*alive, *asked, *left));
    states.dedup_by(|one, kept| {
        let same = (one.0, one.1, one.2) == (kept.0, kept.1, kept.2);
        if same {
            kept.3 += one.3;
        }
        same
    });
    states
}

/// The chance that a pass misses an outage since its own path loses `loss` each way: in some round fewer than two targets were good
/// in both waves of controls and had been asked.
///
/// From the second round on, those are asked first that were good at the end of the last; others only in place of one of them that
/// is not good in the first wave. So it matters how many were.
pub(crate) fn blinded(targets: usize, loss: f64, numbers: &Numbers) -> f64 {
    let good = 1.0 - missed(loss).powi(CONTROLS);
    let pings = usize::try_from(numbers.pings).unwrap();
    // By how many targets were good at the end of the last round; in the first, any may be.
    let mut known = vec![0.0; targets + 1];
    known[targets] = 1.0;
    for _ in 0..looks(&numbers.rules) {
        let mut next = vec![0.0; targets + 1];
        for (before, chance) in known.into_iter().enumerate() {
            let first = before.min(pings);
            let others = targets - first;
            for (mine, theirs) in pairs(first, others) {
                let wave = chance * binomial(first, mine, good) * binomial(others, theirs, good);
                let asked = if mine == first { mine } else { (mine + theirs).min(pings) };
                for (stays, too) in pairs(asked, mine + theirs - asked).filter(|(stays, _)| *stays >= 2) {
                    let rest = mine + theirs - asked;
                    next[stays + too] += wave * binomial(asked, stays, good) * binomial(rest, too, good);
                }
            }
        }
        known = next;
    }
    1.0 - known.iter().sum::<f64>()
}

fn pairs(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..=a).flat_map(move |a| (0..=b).map(move |b| (a, b)))
}
