//! `run` as text: the whole account on a terminal; what matters, worst first, in a mail.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::drill::legs;
use super::{Paint, Style, address_row, columns, counted, exit_meaning, move_row, safe, said, span, whole};
use crate::model::{
    BackendVerdict, Family, Gate, Hold, Judged, Judgement, Names, Outcome, Pass, Silence, SilenceReason, Verdict,
};

/// Backends that reach are all alike: beyond this many in a round, the rest is a number.
const REACHING_SHOWN: usize = 20;

/// Names in one line of a mail; the rest is a number.
const NAMES_SHOWN: usize = 12;

/// A pass as text. `name` is the configuration's: with several natwatches on one host, it says which.
#[must_use]
pub fn run(pass: &Pass, name: &str, style: Style) -> String {
    told(pass, name, style, "Takeover")
}

/// A failback as text.
#[must_use]
pub fn failback(pass: &Pass, name: &str, style: Style) -> String {
    told(pass, name, style, "Failback")
}

/// A drill as text.
#[must_use]
pub fn drill(pass: &Pass, name: &str, style: Style) -> String {
    told(pass, name, style, "Drill")
}

/// What is to be confirmed: the moves, and what else there is to know.
#[must_use]
pub fn plan(pass: &Pass) -> String {
    let mut out = moves(pass, Style::PLAIN);
    for note in &pass.notes {
        let _ = writeln!(out, "{}", said(&pass.names, note));
    }
    Style::PLAIN.finish(format!("{out}{}\n", said(&pass.names, &pass.because)))
}

/// `deed`: what its moves were for.
fn told(pass: &Pass, name: &str, style: Style, deed: &str) -> String {
    style.finish(if style.terminal { full(pass, name, style, deed) } else { compact(pass, name, style) })
}

pub(super) const fn outcome_paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Healthy | Outcome::TakenOver | Outcome::FailedBack | Outcome::Drilled => Paint::Green,
        Outcome::Down | Outcome::Failed | Outcome::Partial | Outcome::Unverified => Paint::Red,
        Outcome::Degraded
        | Outcome::Isolated
        | Outcome::Unheard
        | Outcome::WouldTakeOver
        | Outcome::WouldFailBack
        | Outcome::WouldDrill
        | Outcome::Locked
        | Outcome::NoRedundancy
        | Outcome::Busy => Paint::Yellow,
    }
}

const fn verdict_paint(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Healthy => Paint::Green,
        Verdict::Down => Paint::Red,
        Verdict::Degraded | Verdict::Isolated | Verdict::Unheard => Paint::Yellow,
    }
}

/// `natwatch: down, held by gate unfit: 5 of 8 backends are cut off`
#[must_use]
pub fn headline(pass: &Pass, name: &str, style: Style) -> String {
    let mut word = pass.outcome.as_str().to_owned();
    if let (Outcome::Down, Some(hold)) = (pass.outcome, pass.holds.first()) {
        let _ = write!(word, ", held by gate {}", hold.gate);
    }
    if pass.dry_run {
        word.push_str(" (dry run: nothing was changed)");
    }
    let because =
        if pass.because.is_empty() { String::new() } else { format!(": {}", said(&pass.names, &pass.because)) };
    format!("{}: {}{because}", safe(name), style.paint(outcome_paint(pass.outcome), &word))
}

fn full(pass: &Pass, name: &str, style: Style, deed: &str) -> String {
    let mut out = String::new();
    let families = pass.judgements.iter().any(|judgement| judgement.family != Family::V4);
    let mut rounds: BTreeMap<Family, usize> = BTreeMap::new();
    for judgement in &pass.judgements {
        let n = rounds.entry(judgement.family).or_default();
        *n += 1;
        let family = if families { format!(" ({})", judgement.family) } else { String::new() };
        let verdict = style.paint(verdict_paint(judgement.verdict), judgement.verdict.as_str());
        let _ = writeln!(
            out,
            "{}{family}: {verdict}: {}",
            style.paint(Paint::Bold, &format!("Round {n}")),
            said(&pass.names, &judgement.because)
        );
        let verb = if judgement.good_targets == 1 { "answers" } else { "answer" };
        let _ = writeln!(
            out,
            "  {} {verb} the standby; {} reach, {} cut off, {} silent{}",
            counted(judgement.good_targets, "target"),
            judgement.reaches,
            judgement.cut_off,
            judgement.silent,
            if judgement.stale { "; took longer than its limit, not acted on" } else { "" },
        );
        out.push_str(&backends(judgement, &pass.names, style));
        out.push('\n');
    }
    if !pass.moves.is_empty() {
        section(&mut out, style, &format!("{deed}{}", if pass.dry_run { " (dry run)" } else { "" }));
        out.push_str(&moves(pass, style));
        out.push_str(&columns(style, &legs(pass.drill.as_ref())));
        out.push('\n');
    }
    if !pass.holds.is_empty() {
        section(&mut out, style, "Held");
        for hold in &pass.holds {
            out.push_str(&hold_lines(hold, &pass.names, style, "  "));
        }
        out.push('\n');
    }
    extras(&mut out, pass, style);
    let _ = writeln!(out, "{}", headline(pass, name, style));
    out.push_str(&paused(pass, style));
    let _ = writeln!(out, "exit {}: {}; took {}", pass.exit, exit_meaning(pass.exit), span(pass.elapsed));
    out
}

/// Nothing is done by itself meanwhile, whatever else is said; unless a gate has said so already.
fn paused(pass: &Pass, style: Style) -> String {
    let held = pass.holds.iter().any(|hold| hold.gate == Gate::Paused);
    let paused = pass.paused.as_ref().filter(|_| !held);
    paused.map_or_else(String::new, |one| style.paint(Paint::Yellow, &safe(&one.to_string())) + "\n")
}

fn section(out: &mut String, style: Style, title: &str) {
    let _ = writeln!(out, "{}", style.paint(Paint::Bold, title));
}

fn extras(out: &mut String, pass: &Pass, style: Style) {
    if !pass.notes.is_empty() {
        section(out, style, "Notes");
        for note in &pass.notes {
            let _ = writeln!(out, "  {}", said(&pass.names, note));
        }
        out.push('\n');
    }
    if !pass.commands.is_empty() {
        section(out, style, "By hand");
        for command in &pass.commands {
            let _ = writeln!(out, "  {}", whole(command));
        }
        out.push('\n');
    }
}

/// `lead` comes before the gate's name; what to do stands on a line of its own, to be pasted.
pub(super) fn hold_lines(hold: &Hold, names: &Names, style: Style, lead: &str) -> String {
    let mut out = format!("{lead}{}: {}\n", style.paint(Paint::Yellow, hold.gate.as_str()), said(names, &hold.why));
    if !hold.remedy.is_empty() {
        let _ = writeln!(out, "    {}", whole(&hold.remedy));
    }
    out
}

/// Who was asked and what answered: the cut off first, then the silent, then those that reach.
fn backends(judgement: &Judgement, names: &Names, style: Style) -> String {
    let mut rows = Vec::new();
    for verdict in [BackendVerdict::CutOff, BackendVerdict::Silent, BackendVerdict::Reaches] {
        let shown = if verdict == BackendVerdict::Reaches { REACHING_SHOWN } else { usize::MAX };
        rows.extend(
            judgement.backends.iter().filter(|judged| judged.verdict == verdict).take(shown).map(|one| row(one, names)),
        );
    }
    let mut out = columns(style, &rows);
    let hidden = judgement.backends.len() - rows.len();
    if hidden > 0 {
        let _ = writeln!(out, "  and {hidden} more that reach");
    }
    out
}

fn row(judged: &Judged, names: &Names) -> Vec<(String, Paint)> {
    let (word, paint) = match judged.verdict {
        BackendVerdict::Reaches => ("reaches", Paint::Green),
        BackendVerdict::CutOff => ("cut off", Paint::Red),
        BackendVerdict::Silent => ("silent", Paint::Yellow),
    };
    let target = judged.target.as_ref().map_or_else(|| "-".to_owned(), |target| safe(&target.to_string()));
    let last = match (&judged.silence, judged.rtt) {
        (Some(silence), _) => silence_line(silence),
        (None, Some(rtt)) => span(rtt),
        (None, None) if judged.verdict == BackendVerdict::CutOff => "no reply".to_owned(),
        (None, None) => String::new(),
    };
    vec![
        (safe(&judged.host), Paint::Plain),
        (said(names, &judged.subnet), Paint::Plain),
        (word.to_owned(), paint),
        (target, Paint::Plain),
        (last, Paint::Plain),
    ]
}

fn silence_line(silence: &Silence) -> String {
    if silence.detail.is_empty() {
        silence.reason.to_string()
    } else {
        format!("{}: {}", silence.reason, safe(&silence.detail))
    }
}

fn compact(pass: &Pass, name: &str, style: Style) -> String {
    let mut out = headline(pass, name, style);
    out.push('\n');
    out.push_str(&paused(pass, style));
    for hold in &pass.holds {
        out.push_str(&hold_lines(hold, &pass.names, style, "held by "));
    }
    let last = pass.latest();
    for judgement in &last {
        let family = if last.len() > 1 { format!(" ({})", judgement.family) } else { String::new() };
        let mut cut_off: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut silent: BTreeMap<SilenceReason, (Vec<&str>, &str)> = BTreeMap::new();
        for judged in &judgement.backends {
            match (judged.verdict, &judged.silence) {
                (BackendVerdict::CutOff, _) => cut_off.entry(&judged.subnet).or_default().push(&judged.host),
                (BackendVerdict::Silent, Some(silence)) => {
                    silent.entry(silence.reason).or_insert_with(|| (Vec::new(), &silence.detail)).0.push(&judged.host);
                }
                (BackendVerdict::Silent | BackendVerdict::Reaches, _) => {}
            }
        }
        for (subnet, hosts) in cut_off {
            let _ = writeln!(out, "cut off{family} in {}: {}", said(&pass.names, subnet), listed(&hosts));
        }
        // One detail stands for all of its kind: they differ in names only, and a mail is not a log.
        for (reason, (hosts, detail)) in silent {
            let detail = if detail.is_empty() { String::new() } else { format!(" ({})", safe(detail)) };
            let _ = writeln!(out, "silent{family}, {reason}: {}{detail}", listed(&hosts));
        }
    }
    if !pass.moves.is_empty() {
        out.push_str("moves:\n");
        out.push_str(&moves(pass, style));
        out.push_str(&columns(style, &legs(pass.drill.as_ref())));
    }
    for note in &pass.notes {
        let _ = writeln!(out, "note: {}", said(&pass.names, note));
    }
    if !pass.commands.is_empty() {
        out.push_str("by hand:\n");
        for command in &pass.commands {
            let _ = writeln!(out, "  {}", whole(command));
        }
    }
    out
}

/// What was moved, and the address that was to come along.
fn moves(pass: &Pass, style: Style) -> String {
    let moves = pass.moves.iter().map(|one| move_row(one, &pass.names));
    let address = pass.last.address.iter().map(|one| address_row(one, &pass.names));
    columns(style, &moves.chain(address).collect::<Vec<_>>())
}

fn listed(hosts: &[&str]) -> String {
    let mut text = hosts.iter().take(NAMES_SHOWN).map(|host| safe(host)).collect::<Vec<_>>().join(", ");
    if hosts.len() > NAMES_SHOWN {
        let _ = write!(text, " and {} more", hosts.len() - NAMES_SHOWN);
    }
    text
}
