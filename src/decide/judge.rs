//! What one round amounts to.
//!
//! Rules 1 to 4 of "How a round is judged" in the contract, for one address family at a time. Order never matters, and a
//! silent backend never counts on either side.

mod weigh;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use self::weigh::{Count, Weighed, count, weigh};
use super::DecideSettings;
use crate::model::{BackendVerdict, Family, Judgement, Moment, Outlook, Round, SilenceReason, Verdict, printable};

/// With a single good target a backend's miss may be that target's doing (it limits or blocks the NAT's address), so
/// nobody is cut off on the word of one.
pub(super) const GOOD_TARGETS_TO_ACCUSE: usize = 2;

/// Float products such as `0.29 * 100` fall short of the number meant; "more than the share" must not turn on that.
const SHARE_TOLERANCE: f64 = 1e-9;

/// How much of a silence's detail stands in the reason of a round: it is one line of a mail.
const DETAIL_SHOWN: usize = 160;

/// The families that a round says something about: those of its resolved targets. IPv4 where none resolved.
#[must_use]
pub fn families(round: &Round) -> Vec<Family> {
    let found: BTreeSet<Family> =
        round.controls.iter().filter_map(|control| control.target.as_ref()).map(crate::model::Target::family).collect();
    if found.is_empty() { vec![Family::V4] } else { found.into_iter().collect() }
}

/// Judges `round` by the targets of `family`.
#[must_use]
pub fn judge(round: &Round, settings: &DecideSettings, family: Family) -> Judgement {
    let good: BTreeSet<IpAddr> = round.good_targets(family).map(|target| target.addr).collect();
    let weighed: Vec<Weighed> = round.members.iter().map(|member| weigh(member, &good, settings, family)).collect();
    let (all, subnets) = count(&weighed);
    let silent = weighed.len() - all.reaches - all.cut_off;

    let down = is_down(all, &subnets, settings);
    let (verdict, because) = if good.is_empty() {
        (Verdict::Isolated, isolated(round, family))
    } else if all.reaches + all.cut_off < settings.threshold {
        (Verdict::Unheard, unheard(all, &weighed, settings))
    } else if down {
        (Verdict::Down, format!("{} of {} backends are cut off", all.cut_off, all.reaches + all.cut_off))
    } else if all.cut_off > 0 {
        (Verdict::Degraded, degraded(all, &subnets, settings))
    } else {
        (Verdict::Healthy, format!("{} backends reach", all.reaches))
    };

    let misses: Vec<(Moment, Moment)> = weighed
        .iter()
        .filter(|one| one.judged.verdict == BackendVerdict::CutOff)
        .filter_map(|one| one.misses)
        .collect();
    Judgement {
        family,
        verdict,
        because,
        good_targets: good.len(),
        reaches: all.reaches,
        cut_off: all.cut_off,
        silent,
        cut_off_subnets: cut_off_subnets(all, &subnets),
        first_miss: of_many(misses.iter().map(|(first, _)| *first), settings.threshold),
        last_miss: of_many(misses.iter().map(|(_, last)| Reverse(*last)), settings.threshold).map(|Reverse(last)| last),
        started: round.started,
        ended: round.ended,
        stale: round.ended.saturating_sub(round.started) > round.limit,
        backends: weighed.into_iter().map(|one| one.judged).collect(),
    }
}

/// The first moment by which as many as it takes to accuse have one (or all, where they are fewer): a ping that was lost just before a
/// pause, or just after it, must not make an outage of it.
fn of_many<T: Ord>(moments: impl Iterator<Item = T>, threshold: usize) -> Option<T> {
    let mut moments: Vec<T> = moments.collect();
    moments.sort_unstable();
    let nth = threshold.min(moments.len()).checked_sub(1)?;
    moments.into_iter().nth(nth)
}

/// Whether an outstanding answer can still make or unmake `down`: `down` in any family is enough to act on.
///
/// Outstanding members are those still [`Testimony::Awaited`](crate::model::Testimony::Awaited). One that turns out silent is replaced, and the one in its
/// place may sit in any subnet of the panel: so `down` is not settled while that could clear the primary. A round in which
/// a subnet has cleared it is settled; a replacement that could accuse there is drawn again in the next.
#[must_use]
pub fn outlook(round: &Round, settings: &DecideSettings) -> Outlook {
    let rank = |outlook: &Outlook| match outlook {
        Outlook::NotDown => 0,
        Outlook::Open => 1,
        Outlook::Down => 2,
    };
    let outlooks = families(round).into_iter().map(|family| family_outlook(round, settings, family));
    outlooks.max_by_key(rank).unwrap_or(Outlook::NotDown)
}

fn family_outlook(round: &Round, settings: &DecideSettings, family: Family) -> Outlook {
    let good: BTreeSet<IpAddr> = round.good_targets(family).map(|target| target.addr).collect();
    if good.is_empty() {
        return Outlook::NotDown;
    }
    let weighed: Vec<Weighed> = round.members.iter().map(|member| weigh(member, &good, settings, family)).collect();
    let (all, subnets) = count(&weighed);
    if stays_down(all, &subnets, settings) {
        Outlook::Down
    } else if all.awaited == 0
        || (all.reaches + all.cut_off >= settings.threshold
            && (good.len() < GOOD_TARGETS_TO_ACCUSE || !can_be_down(all, &subnets, settings)))
    {
        Outlook::NotDown
    } else {
        Outlook::Open
    }
}

/// Whether the cut off are more than `decision.fraction` of the heard.
pub(super) fn more_than_share(cut_off: usize, heard: usize, settings: &DecideSettings) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "heads of a panel, far below 2^52")]
    let over = cut_off as f64 - settings.fraction * heard as f64;
    over > SHARE_TOLERANCE
}

pub(super) fn enough(cut_off: usize, heard: usize, settings: &DecideSettings) -> bool {
    cut_off >= settings.threshold && more_than_share(cut_off, heard, settings)
}

/// Subnets with two or more heard backends all of which reach: each clears the primary.
pub(super) fn clearing(judgement: &Judgement) -> Vec<&str> {
    let mut subnets: BTreeMap<&str, Count> = BTreeMap::new();
    for one in &judgement.backends {
        let count = subnets.entry(&one.subnet).or_default();
        count.reaches += usize::from(one.verdict == BackendVerdict::Reaches);
        count.cut_off += usize::from(one.verdict == BackendVerdict::CutOff);
    }
    subnets.into_iter().filter(|(_, count)| count.clears()).map(|(name, _)| name).collect()
}

fn is_down(all: Count, subnets: &BTreeMap<&str, Count>, settings: &DecideSettings) -> bool {
    let reaching_subnet = subnets.values().any(|one| one.clears());
    enough(all.cut_off, all.reaches + all.cut_off, settings) && !reaching_subnet
}

/// Whether the round is `down` even if everybody outstanding reaches.
fn stays_down(all: Count, subnets: &BTreeMap<&str, Count>, settings: &DecideSettings) -> bool {
    let can_clear = subnets.values().any(|one| one.cut_off == 0 && one.reaches + all.awaited >= 2);
    enough(all.cut_off, all.reaches + all.cut_off + all.awaited, settings) && !can_clear
}

/// Whether the round is `down` if everybody outstanding is cut off: not where a subnet reaches and awaits nobody.
fn can_be_down(all: Count, subnets: &BTreeMap<&str, Count>, settings: &DecideSettings) -> bool {
    let clears = subnets.values().any(|one| one.clears() && one.awaited == 0);
    enough(all.cut_off + all.awaited, all.reaches + all.cut_off + all.awaited, settings) && !clears
}

/// Where nobody reaches at all, there is no one subnet to name.
fn cut_off_subnets(all: Count, subnets: &BTreeMap<&str, Count>) -> Vec<String> {
    let cut = subnets.iter().filter(|(_, one)| all.reaches > 0 && one.cut_off > 0 && one.reaches == 0);
    cut.map(|(name, _)| (*name).to_owned()).collect()
}

fn isolated(round: &Round, family: Family) -> String {
    let why = round.controls.iter().find_map(|control| match &control.fate {
        crate::model::ControlFate::NotAsked(why) => Some(why.as_str()),
        _ => None,
    });
    let asked = round.controls.len();
    let hint = why.map_or_else(|| "its uplink is dead or ICMP is blocked".to_owned(), ToOwned::to_owned);
    format!("none of {asked} targets answers this standby over {family} ({hint}), so nobody is accused")
}

/// The commonest silence is what has to be mended first.
fn unheard(all: Count, weighed: &[Weighed], settings: &DecideSettings) -> String {
    if weighed.is_empty() {
        return "there was nobody to ask: no backend is known to be behind the primary".to_owned();
    }
    let heard = all.reaches + all.cut_off;
    let mut text = format!("{heard} of {} backends gave a verdict, {} are needed", weighed.len(), settings.threshold);
    let mut silences: BTreeMap<SilenceReason, (usize, &str)> = BTreeMap::new();
    for silence in weighed.iter().filter_map(|one| one.judged.silence.as_ref()) {
        // Whoever was drawn first must not decide which detail stands for all.
        let (count, detail) = silences.entry(silence.reason).or_insert((0, &silence.detail));
        (*count, *detail) = (*count + 1, (*detail).min(&silence.detail));
    }
    // The first of equals: they are declared from the outermost step to the innermost.
    if let Some((reason, (count, detail))) = silences.iter().rev().max_by_key(|(_, (count, _))| *count) {
        let _ = write!(text, "; {count} {reason}: {}", printable(detail, DETAIL_SHOWN));
    }
    text
}

fn degraded(all: Count, subnets: &BTreeMap<&str, Count>, settings: &DecideSettings) -> String {
    let heard = all.reaches + all.cut_off;
    let mut text = format!("{} of {heard} backends are cut off", all.cut_off);
    let cut = cut_off_subnets(all, subnets);
    if !cut.is_empty() {
        text.push_str(", all of those heard in ");
        text.push_str(&cut.join(", "));
    }
    if let Some((name, _)) = subnets.iter().find(|(_, one)| one.clears()) {
        text.push_str(", but all of those in ");
        text.push_str(name);
        text.push_str(" reach");
    } else if all.cut_off < settings.threshold {
        text.push_str(", fewer than the threshold");
    } else {
        text.push_str(", not more than the fraction");
    }
    text
}
