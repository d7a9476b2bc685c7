//! `replay` as text: rule by rule, in 80 columns.

use std::fmt::Write as _;

use super::text::headline;
use super::{Paint, Style, exit_meaning, safe, said, span, whole};
use crate::model::{Change, Explanation, Family, Item, Names, Pass, RoundWhy, RowWhy, Rule};

/// What a terminal of any age shows in one line.
const COLUMNS: usize = 80;

/// The name of a rule is padded to this: the longest is `already-active`.
const NAME: usize = 14;

/// Where the sentence of a rule begins: after `  yes  ` and its name.
const RULE: usize = 2 + 3 + 2 + NAME + 2;

/// Where the sentence of a gate begins: after `  holds  ` and its name.
const GATE: usize = 2 + 5 + 2 + NAME + 2;

/// How it is told.
#[derive(Clone, Copy)]
struct Way<'a> {
    style: Style,
    /// How the ids in it are called.
    names: &'a Names,
}

impl Way<'_> {
    fn said(self, text: &str) -> String {
        said(self.names, text)
    }
}

/// The account of a case. `about` is a scenario's sentence; `compared` where the result and what the file says differ, `None` where
/// it says nothing.
#[must_use]
pub fn text(about: Option<&str>, why: &Explanation, pass: &Pass, compared: Option<&[String]>, style: Style) -> String {
    let way = Way { style, names: &pass.names };
    let mut out = String::new();
    if let Some(about) = about {
        wrap(&mut out, "", 0, &safe(about));
        out.push('\n');
    }
    let families = why.rounds.iter().any(|round| round.family != Family::V4);
    for round in &why.rounds {
        one_round(&mut out, round, families, way);
    }
    for row in &why.rows {
        one_row(&mut out, row, families, way);
    }
    if !why.gates.is_empty() {
        title(&mut out, style, "Gates");
        for rule in &why.gates {
            gate(&mut out, rule, way);
        }
        out.push('\n');
    }
    if let Some(plan) = &why.plan {
        title(&mut out, style, "Plan");
        if let Some(interface) = &plan.disable_check {
            let check = format!("switch off the source/destination check of {interface}");
            wrap(&mut out, "  ", 4, &way.said(&check));
        }
        for one in &plan.moves {
            let token = match one {
                Change::Association(one) => format!(", by {}", one.association),
                Change::Route(_) => String::new(),
            };
            wrap(&mut out, "  ", 4, &way.said(&format!("{one}: {} -> {}{token}", one.from(), one.to())));
        }
        if let Some(one) = &plan.address {
            let to = one.to.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
            wrap(&mut out, "  ", 4, &way.said(&format!("then bring {} to {to}", one.address)));
        }
        if let Some(instance) = &plan.reboot {
            wrap(&mut out, "  ", 4, &way.said(&format!("once that is verified, reboot {instance}")));
        }
        out.push('\n');
    }
    if !why.ending.is_empty() {
        title(&mut out, style, if why.plan.is_some() { "What came of it" } else { "Besides" });
        for rule in &why.ending {
            one_rule(&mut out, rule, way);
        }
        out.push('\n');
    }
    if !pass.commands.is_empty() {
        title(&mut out, style, "By hand");
        for command in &pass.commands {
            let _ = writeln!(out, "  {}", whole(command));
        }
        out.push('\n');
    }
    wrap(&mut out, "", 2, &headline(pass, "replay", style));
    wrap(&mut out, "", 2, &format!("exit {}: {}", pass.exit, exit_meaning(pass.exit)));
    match compared {
        None => {}
        Some([]) => wrap(&mut out, "", 2, &style.paint(Paint::Green, "as the file says")),
        Some(differences) => {
            wrap(&mut out, "", 2, &style.paint(Paint::Red, "not as the file says:"));
            for one in differences {
                wrap(&mut out, "  ", 4, &way.said(one));
            }
        }
    }
    style.finish(out)
}

fn title(out: &mut String, style: Style, text: &str) {
    let _ = writeln!(out, "{}", style.paint(Paint::Bold, text));
}

fn one_round(out: &mut String, round: &RoundWhy, families: bool, way: Way<'_>) {
    let family = if families { format!(" ({})", round.family) } else { String::new() };
    let when = format!("{} to {}", span(round.started), span(round.ended));
    title(out, way.style, &format!("Round {}{family}, {when}", round.number));
    for rule in &round.rules {
        one_rule(out, rule, way);
    }
    wrap(out, "  so ", 7, &format!("{}: {}", round.verdict, way.said(&round.because)));
    out.push('\n');
}

fn one_row(out: &mut String, row: &RowWhy, families: bool, way: Way<'_>) {
    let family = if families { format!(" ({})", row.family) } else { String::new() };
    title(out, way.style, &format!("The rounds in a row{family}"));
    for step in &row.steps {
        item(out, step, "  ", way);
    }
    for rule in &row.rules {
        one_rule(out, rule, way);
    }
    let so = if row.enough { "enough to act on" } else { "not enough to act on" };
    wrap(out, "  so ", 7, so);
    out.push('\n');
}

fn one_rule(out: &mut String, rule: &Rule, way: Way<'_>) {
    let (word, paint) = if rule.met { ("yes", Paint::Green) } else { ("no ", Paint::Yellow) };
    let lead = format!("  {}  {:NAME$}  ", way.style.paint(paint, word), rule.name);
    wrap_after(out, &lead, RULE, RULE, &way.said(&rule.says));
    for one in &rule.items {
        item(out, one, "       ", way);
    }
}

/// A gate that holds has its reason and, to be pasted, its remedy; one that does not says what was seen.
fn gate(out: &mut String, rule: &Rule, way: Way<'_>) {
    let (word, paint) = if rule.met { ("free ", Paint::Green) } else { ("holds", Paint::Red) };
    let lead = format!("  {}  {:NAME$}  ", way.style.paint(paint, word), rule.name);
    let first = rule.items.first().map_or(&rule.says, |hold| &hold.name);
    wrap_after(out, &lead, GATE, GATE, &way.said(first));
    for (n, hold) in rule.items.iter().enumerate() {
        if n > 0 {
            wrap(out, &format!("{:>width$}", "and ", width = GATE), GATE, &way.said(&hold.name));
        }
        if !hold.says.is_empty() {
            let _ = writeln!(out, "         {}", whole(&hold.says));
        }
    }
}

fn item(out: &mut String, item: &Item, indent: &str, way: Way<'_>) {
    wrap(out, indent, indent.len() + 2, &way.said(&format!("{}: {}", item.name, item.says)));
}

/// `text` after `lead`, broken between words; lines after the first are indented by `hang`.
fn wrap(out: &mut String, lead: &str, hang: usize, text: &str) {
    wrap_after(out, lead, lead.chars().count(), hang, text);
}

/// The same where `lead` is as wide as `width`, whatever sequences it has.
fn wrap_after(out: &mut String, lead: &str, width: usize, hang: usize, text: &str) {
    out.push_str(lead);
    let mut column = width;
    let mut fresh = true;
    for word in text.split(' ') {
        let length = shown(word);
        if !fresh && column + 1 + length > COLUMNS {
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            column = hang;
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = false;
    }
    out.push('\n');
}

/// How many columns a word takes: sequences of ours take none.
fn shown(word: &str) -> usize {
    let mut count = 0;
    let mut escaped = false;
    for c in word.chars() {
        match c {
            '\x1b' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            _ => count += 1,
        }
    }
    count
}
