//! What somebody who looks on has seen so far: the verdicts of the last rounds, and of each member and target the latest that is known.
//!
//! In the calm, a member of the panel is asked for one target in a round and for the next one in a later round: only several rounds
//! together show what each of them gets from each target.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    BackendVerdict, Control, Family, Fate, Judgement, Pass, Round, Silence, SilenceReason, Target, Testimony, Verdict,
};

/// As many rounds as fit into one line of a wide terminal.
const SIGNS: usize = 240;

/// Who has not been asked for so long is not in the panel any more: it is drawn anew each minute.
const SHOWN_FOR: SignedDuration = SignedDuration::from_secs(60);

/// One place in the strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A round, by the worst verdict of its families.
    Round(Verdict),
    /// Something was moved.
    Moved,
    /// Rounds that nobody has seen, or none.
    Gap,
}

/// What is known of a member of the panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// When it was last asked: by the end of that pass.
    pub(super) at: Timestamp,
    pub(super) subnet: String,
    /// What it was judged to be in the last round.
    pub(super) verdict: Option<BackendVerdict>,
    /// Why nothing was heard of it in the last round, or why that was no evidence.
    pub(super) silence: Option<Silence>,
    /// The last fate of its probes, by target.
    pub(super) fates: BTreeMap<Target, Fate>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rounds {
    at: Option<Timestamp>,
    pub(super) signs: VecDeque<Sign>,
    pub(super) members: BTreeMap<String, Seen>,
    /// The standby's own pings, in the order of the first round that had them.
    pub(super) controls: Vec<(Timestamp, Control)>,
}

impl Rounds {
    /// Takes in a pass that ended `at`, with the evidence of its `rounds`; one that is known already changes nothing.
    pub fn learn(&mut self, at: Timestamp, pass: &Pass, rounds: &[Round]) {
        if self.at == Some(at) {
            return;
        }
        if self.at.is_some_and(|before| at.duration_since(before).abs() > SHOWN_FOR) {
            self.signs.push_back(Sign::Gap);
        }
        self.at = Some(at);
        self.signs.extend(verdicts(&pass.judgements).map(Sign::Round));
        if !pass.dry_run && pass.moves.iter().any(|one| one.result.moved()) {
            self.signs.push_back(Sign::Moved);
        }
        self.signs.drain(..self.signs.len().saturating_sub(SIGNS));
        for round in rounds {
            self.hear(at, round);
        }
        for judgement in pass.latest() {
            self.judge(&judgement);
        }
        // The clock may have been set back: then it is all too young, and as useless.
        let current = |seen: Timestamp| at.duration_since(seen).abs() <= SHOWN_FOR;
        self.members.retain(|_, one| current(one.at));
        self.controls.retain(|one| current(one.0));
    }

    fn hear(&mut self, at: Timestamp, round: &Round) {
        for control in &round.controls {
            match self.controls.iter_mut().find(|one| one.1.name == control.name) {
                Some(known) => *known = (at, control.clone()),
                None => self.controls.push((at, control.clone())),
            }
        }
        for member in &round.members {
            let new = || Seen { at, subnet: String::new(), verdict: None, silence: None, fates: BTreeMap::new() };
            let seen = self.members.entry(member.backend.host.clone()).or_insert_with(new);
            (seen.at, seen.verdict, seen.silence) = (at, None, None);
            seen.subnet.clone_from(&member.subnet);
            match &member.testimony {
                Testimony::Probes(probes) => {
                    seen.fates.extend(probes.iter().map(|probe| (probe.target.clone(), probe.fate)));
                }
                Testimony::Silent(silence) => seen.silence = Some(silence.clone()),
                Testimony::Awaited => {}
            }
        }
    }

    /// Of several families, what is worst counts.
    fn judge(&mut self, judgement: &Judgement) {
        for judged in &judgement.backends {
            let Some(seen) = self.members.get_mut(&judged.host) else { continue };
            if seen.verdict.is_none_or(|known| rank(judged.verdict) < rank(known)) {
                seen.verdict = Some(judged.verdict);
                if judged.silence.is_some() {
                    seen.silence.clone_from(&judged.silence);
                }
            }
        }
    }

    /// What is not well with members and targets, without what is another each time: how long something took, and who happens to be
    /// asked.
    #[must_use]
    pub fn trouble(&self) -> String {
        let members = self.members.iter().filter_map(|(host, seen)| {
            let missed: Vec<&Target> =
                seen.fates.iter().filter(|(_, fate)| **fate == Fate::NoReply).map(|one| one.0).collect();
            let reason: Option<SilenceReason> = seen.silence.as_ref().map(|one| one.reason);
            let well = missed.is_empty() && reason.is_none() && seen.verdict != Some(BackendVerdict::CutOff);
            (!well).then(|| format!("{host} {:?} {reason:?} {missed:?}\n", seen.verdict))
        });
        let targets = self.controls.iter().filter_map(|(_, control)| {
            let good = matches!(control.fate, crate::model::ControlFate::Good { .. });
            (!good).then(|| format!("{} {:?}\n", control.name, control.fate))
        });
        members.chain(targets).collect()
    }
}

/// The worst first.
pub(super) const fn rank(verdict: BackendVerdict) -> u8 {
    match verdict {
        BackendVerdict::CutOff => 0,
        BackendVerdict::Silent => 1,
        BackendVerdict::Reaches => 2,
    }
}

/// One verdict for each round, oldest first. The families of a round end together.
fn verdicts(judgements: &[Judgement]) -> impl Iterator<Item = Verdict> {
    let worst = |verdict: &Verdict| match verdict {
        Verdict::Down => 0,
        Verdict::Isolated => 1,
        Verdict::Unheard => 2,
        Verdict::Degraded => 3,
        Verdict::Healthy => 4,
    };
    let mut rounds: BTreeMap<_, BTreeMap<Family, Verdict>> = BTreeMap::new();
    for one in judgements {
        rounds.entry((one.ended, one.started)).or_default().insert(one.family, one.verdict);
    }
    rounds.into_values().filter_map(move |families| families.into_values().min_by_key(worst))
}
