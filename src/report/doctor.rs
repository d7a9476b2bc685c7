//! What `doctor` found: a checklist for people, one document for machines.
//!
//! Findings of many hosts that say the same are one line with the hosts: a hundred backends are not six hundred lines.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::json::document;
use super::{Paint, Style, safe, span, whole, whole_ms};
use crate::model::{Finding, Fitness, Topic};

/// Of several hosts, so many are named in a line.
const NAMED: usize = 5;

/// Of details and remedies that differ from host to host, so many are shown.
const SHOWN: usize = 3;

/// All that `doctor` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The configuration's name.
    pub name: String,
    /// What the findings come to.
    pub fitness: Fitness,
    /// The exit status that goes with it.
    pub exit: u8,
    /// In the order in which they are told.
    pub findings: Vec<Finding>,
    /// How long it took to look.
    pub elapsed: Duration,
}

#[derive(Serialize)]
struct View {
    name: String,
    fitness: Fitness,
    exit: u8,
    findings: Vec<FindingView>,
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct FindingView {
    topic: Topic,
    id: &'static str,
    of: Option<String>,
    fitness: Fitness,
    cause: Option<&'static str>,
    text: String,
    details: Vec<String>,
    remedy: Option<String>,
}

/// The document for `doctor --format json`: one line with its newline.
#[must_use]
pub fn json(diagnosis: &Diagnosis) -> String {
    let view = |one: &Finding| FindingView {
        topic: one.topic,
        id: one.id,
        of: one.of.as_deref().map(safe),
        fitness: one.fitness,
        cause: one.cause,
        text: safe(&one.text),
        details: one.details.iter().map(|line| safe(line)).collect(),
        remedy: one.remedy.as_deref().map(whole),
    };
    document(&View {
        name: safe(&diagnosis.name),
        fitness: diagnosis.fitness,
        exit: diagnosis.exit,
        findings: diagnosis.findings.iter().map(view).collect(),
        elapsed_ms: whole_ms(diagnosis.elapsed),
    })
}

/// Findings that differ in what they are of, and in nothing else that is said in their line.
struct Group<'f> {
    topic: Topic,
    id: &'static str,
    fitness: Fitness,
    text: &'f str,
    /// What they are of; one finding may be of nothing.
    of: Vec<&'f str>,
    details: Vec<(Option<&'f str>, &'f str)>,
    remedies: Vec<&'f str>,
}

fn grouped(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in findings {
        let of = one.of.as_deref();
        let same = |group: &Group<'_>| {
            let line = (group.topic, group.id, group.fitness, group.text);
            line == (one.topic, one.id, one.fitness, one.text.as_str()) && !group.of.is_empty()
        };
        let known = groups.iter().position(same).filter(|_| of.is_some());
        let at = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(Group {
                topic: one.topic,
                id: one.id,
                fitness: one.fitness,
                text: &one.text,
                of: Vec::new(),
                details: Vec::new(),
                remedies: Vec::new(),
            });
        }
        let Some(group) = groups.get_mut(at) else { continue };
        group.of.extend(of);
        group.details.extend(one.details.iter().map(|line| (of, line.as_str())));
        if let Some(remedy) = one.remedy.as_deref()
            && !group.remedies.contains(&remedy)
        {
            group.remedies.push(remedy);
        }
    }
    groups
}

impl Group<'_> {
    /// The text, and of whom it is said.
    fn line(&self) -> String {
        let text = safe(self.text);
        let named: Vec<String> = self.of.iter().take(NAMED).map(|of| safe(of)).collect();
        match (&named[..], self.of.len() - named.len()) {
            ([], _) => text,
            // The text may say of what it is.
            ([one], _) if text.contains(one.as_str()) => text,
            (_, 0) => format!("{}: {text}", named.join(", ")),
            (_, more) => format!("{} and {more} more: {text}", named.join(", ")),
        }
    }

    /// What belongs to it, a line each: details with whose they are where there are several, then what to do.
    fn below(&self) -> Vec<String> {
        let whose = |of: Option<&str>| {
            of.filter(|_| self.of.len() > 1).map_or_else(String::new, |of| format!("{}: ", safe(of)))
        };
        // Those of one finding belong together, such as a difference of tables.
        let most = if self.of.len() > 1 { SHOWN } else { usize::MAX };
        let mut lines: Vec<String> =
            self.details.iter().take(most).map(|(of, line)| format!("{}{}", whose(*of), safe(line))).collect();
        if self.details.len() > lines.len() {
            lines.push(format!("and {} more such lines (--format json has all)", self.details.len() - lines.len()));
        }
        lines.extend(self.remedies.iter().take(SHOWN).map(|remedy| whole(remedy)));
        let more = self.remedies.len().saturating_sub(SHOWN);
        if more > 0 {
            lines.push(format!("and likewise for {more} more (--format json has all)"));
        }
        lines
    }
}

const fn paint(fitness: Fitness) -> Paint {
    match fitness {
        Fitness::Fit => Paint::Green,
        Fitness::Warning | Fitness::Unknown => Paint::Yellow,
        Fitness::Unfit => Paint::Red,
    }
}

/// A word of four letters at most, or a sign where somebody watches and the locale has it.
const fn mark(fitness: Fitness, signs: bool) -> &'static str {
    match (fitness, signs) {
        (Fitness::Fit, false) => "ok  ",
        (Fitness::Warning, false) => "WARN",
        (Fitness::Unfit, false) => "FAIL",
        (Fitness::Unknown, false) => "??? ",
        (Fitness::Fit, true) => "✓",
        (Fitness::Warning, true) => "!",
        (Fitness::Unfit, true) => "✗",
        (Fitness::Unknown, true) => "?",
    }
}

/// The checklist: on a terminal under the topics, elsewhere a line for each finding that says its topic; what to do below it. `quiet`: only
/// what is not fit.
#[must_use]
pub fn text(diagnosis: &Diagnosis, quiet: bool, style: Style) -> String {
    let mut out = String::new();
    let mut topic = None;
    let signs = style.terminal && !style.ascii;
    let groups = grouped(&diagnosis.findings);
    for group in groups.iter().filter(|group| !quiet || group.fitness != Fitness::Fit) {
        let mark = style.paint(paint(group.fitness), mark(group.fitness, signs));
        let indent = if style.terminal {
            if topic.replace(group.topic) != Some(group.topic) {
                let _ = writeln!(out, "{}", style.paint(Paint::Bold, group.topic.as_str()));
            }
            let _ = writeln!(out, "  {mark} {}", group.line());
            if signs { 4 } else { 7 }
        } else {
            let _ = writeln!(out, "{mark}  {}: {}", group.topic, group.line());
            6
        };
        for line in group.below() {
            let _ = writeln!(out, "{:indent$}{line}", "");
        }
    }
    if !quiet || diagnosis.fitness != Fitness::Fit {
        let _ = writeln!(out, "{}", sum(diagnosis, &groups, style));
    }
    style.finish(out)
}

/// `natwatch: unfit: … (1 unfit, 2 to look at, 30 fit; in 1.2 s)`
///
/// Lines are counted, as they are before one's eyes.
fn sum(diagnosis: &Diagnosis, groups: &[Group<'_>], style: Style) -> String {
    let count = |fitness| groups.iter().filter(|one| one.fitness == fitness).count();
    let words = [
        (Fitness::Unfit, "unfit"),
        (Fitness::Unknown, "could not be told"),
        (Fitness::Warning, "to look at"),
        (Fitness::Fit, "fit"),
    ];
    let counts: Vec<String> = words
        .into_iter()
        .map(|(fitness, word)| (count(fitness), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let all = match diagnosis.fitness {
        Fitness::Fit => "fit: a takeover would work",
        Fitness::Warning => "fit with warnings: a takeover would work, and somebody should look",
        Fitness::Unfit => "unfit: a takeover would not happen, or would not help",
        Fitness::Unknown => "whether it is fit could not be told",
    };
    format!(
        "{}: {} ({}; in {})",
        safe(&diagnosis.name),
        style.paint(paint(diagnosis.fitness), all),
        counts.join(", "),
        span(diagnosis.elapsed)
    )
}

#[cfg(test)]
mod tests;
