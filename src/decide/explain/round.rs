//! One round, rule by rule.

use crate::decide::judge::{GOOD_TARGETS_TO_ACCUSE, clearing, more_than_share};
use crate::decide::{DecideSettings, Look, judge};
use crate::model::{
    BackendVerdict, Control, ControlFate, Family, Fate, Item, Judged, Member, RoundWhy, Rule, Testimony, Verdict,
};

use super::{counted, exact};

pub(super) fn explain(number: usize, look: &Look, settings: &DecideSettings, family: Family) -> RoundWhy {
    let round = &look.round;
    let judgement = judge(round, settings, family);
    let (good, heard, cut_off) = (judgement.good_targets, judgement.heard(), judgement.cut_off);
    let clearing = clearing(&judgement);
    let asked: Vec<&Control> = round.controls.iter().filter(|one| is_of(one, family)).collect();

    let controls = Rule {
        items: asked.iter().map(|one| control(one)).collect(),
        ..Rule::new(
            "controls",
            good > 0,
            format!(
                "{good} of {} good, having answered this standby; 1 needed, {GOOD_TARGETS_TO_ACCUSE} to accuse",
                counted(asked.len(), "target")
            ),
        )
    };
    let backends = round.members.iter().zip(&judgement.backends);
    let witnesses = round.members.iter().filter(|one| one.witness.contains(&family)).count();
    let backends = Rule {
        items: backends.map(|(member, judged)| backend(member, judged, settings, family)).collect(),
        ..Rule::new(
            "witnesses",
            witnesses > 0,
            format!("{witnesses} of {} may accuse the primary", counted(round.members.len(), "backend")),
        )
    };
    let enough_heard = heard >= settings.threshold;
    let heard_rule = Rule::new(
        "heard",
        enough_heard,
        format!(
            "{heard} gave a verdict ({} reach, {cut_off} cut off), {} needed",
            judgement.reaches, settings.threshold
        ),
    );
    let threshold = cut_off >= settings.threshold;
    let threshold_rule = Rule::new("cut off", threshold, format!("{cut_off}, {} needed", settings.threshold));
    let share = more_than_share(cut_off, heard, settings);
    let share_rule = Rule::new(
        "share",
        share,
        format!("{cut_off} of {heard}, more than {} of them needed", percent(settings.fraction)),
    );
    let subnet_rule = Rule::new(
        "subnets",
        clearing.is_empty(),
        if clearing.is_empty() {
            "none with two or more heard backends has all of them reaching".to_owned()
        } else {
            format!("all who were heard in {} reach, two or more: that clears the primary", clearing.join(", "))
        },
    );

    let verdict = if good == 0 {
        Verdict::Isolated
    } else if !enough_heard {
        Verdict::Unheard
    } else if threshold && share && clearing.is_empty() {
        Verdict::Down
    } else if cut_off > 0 {
        Verdict::Degraded
    } else {
        Verdict::Healthy
    };
    RoundWhy {
        number,
        family,
        started: round.started,
        ended: round.ended,
        rules: vec![controls, backends, heard_rule, threshold_rule, share_rule, subnet_rule],
        verdict,
        because: judgement.because,
    }
}

/// A name that did not resolve belongs to every family.
fn is_of(control: &Control, family: Family) -> bool {
    control.target.as_ref().is_none_or(|target| target.family() == family)
}

fn control(control: &Control) -> Item {
    let name = control.target.as_ref().map_or_else(|| control.name.clone(), ToString::to_string);
    let says = match &control.fate {
        ControlFate::Good { rtt } => format!("good, answered in {}", exact(*rtt)),
        ControlFate::NoReply => "not good, no reply".to_owned(),
        ControlFate::NotAsked(why) => format!("not good, not asked: {why}"),
    };
    Item { name, says }
}

fn backend(member: &Member, judged: &Judged, settings: &DecideSettings, family: Family) -> Item {
    let probes = match &member.testimony {
        Testimony::Probes(probes) => probes.as_slice(),
        Testimony::Silent(_) | Testimony::Awaited => &[],
    };
    let missed: Vec<String> = probes
        .iter()
        .filter(|probe| probe.target.family() == family && probe.fate == Fate::NoReply)
        .map(|probe| probe.target.to_string())
        .collect();
    let missed = missed.join(", ");
    let also = if missed.is_empty() { String::new() } else { format!("; missed {missed}") };
    let target = judged.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let says = match (judged.verdict, &judged.silence) {
        (BackendVerdict::Reaches, _) => {
            let rtt = judged.rtt.map(exact).unwrap_or_default();
            format!("reaches: {target} answered in {rtt}{also}")
        }
        (BackendVerdict::CutOff, _) => {
            format!("cut off, a witness: missed {missed}; {} needed", counted(settings.tries, "good one"))
        }
        (BackendVerdict::Silent, Some(silence)) => {
            format!("silent, {}: {}{also}", silence.reason, silence.detail)
        }
        (BackendVerdict::Silent, None) => format!("silent{also}"),
    };
    Item { name: format!("{} ({})", judged.host, judged.subnet), says }
}

/// A share of 1 as a percentage, as written in few digits.
fn percent(share: f64) -> String {
    let shown = format!("{:.4}", share * 100.0);
    format!("{} %", shown.trim_end_matches('0').trim_end_matches('.'))
}
