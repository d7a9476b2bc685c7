//! Where what was said and what follows differ, each in a line.

use std::fmt::Display;

use super::expect::Expect;
use crate::decide::Next;
use crate::model::{Change, Gate, InterfaceId, Judged, Judgement, Pass, Plan, SubnetId, Verdict};

/// A saved pass, and the same decided again.
pub(super) fn with_saved(saved: &Pass, pass: &Pass) -> Vec<String> {
    let mut all = Vec::new();
    differ(&mut all, "outcome", &saved.outcome, &pass.outcome);
    differ(&mut all, "exit", &saved.exit, &pass.exit);
    differ(&mut all, "because", &saved.because, &pass.because);
    differ(&mut all, "gates", &joined(&saved.holds), &joined(&pass.holds));
    differ(&mut all, "commands", &joined(&saved.commands), &joined(&pass.commands));
    differ(&mut all, "rounds", &saved.judgements.len(), &pass.judgements.len());
    for (n, (one, other)) in saved.judgements.iter().zip(&pass.judgements).enumerate() {
        judgements(&mut all, n + 1, one, other);
    }
    if saved.moves != pass.moves {
        let words = |pass: &Pass| -> Vec<String> {
            let of = pass.moves.iter().map(|one| format!("{} {}", one.plan, one.result.as_str()));
            of.collect()
        };
        differ(&mut all, "moves", &joined(&words(saved)), &joined(&words(pass)));
        if joined(&words(saved)) == joined(&words(pass)) {
            all.push("moves: their details differ".to_owned());
        }
    }
    all
}

fn judgements(all: &mut Vec<String>, n: usize, saved: &Judgement, new: &Judgement) {
    if saved == new {
        return;
    }
    let before = all.len();
    let name = |what: &str| format!("round {n} ({}), {what}", saved.family);
    differ(all, &name("family"), &saved.family, &new.family);
    differ(all, &name("verdict"), &saved.verdict, &new.verdict);
    differ(all, &name("because"), &saved.because, &new.because);
    differ(all, &name("took longer than its limit"), &saved.stale, &new.stale);
    for (one, other) in saved.backends.iter().zip(&new.backends).filter(|(one, other)| one != other) {
        let word = |judged: &Judged| {
            let reason = judged.silence.as_ref().map(|silence| format!(", {}", silence.reason)).unwrap_or_default();
            format!("{} {}{reason}", judged.host, judged.verdict)
        };
        differ(all, &name("backend"), &word(one), &word(other));
    }
    if all.len() == before {
        all.push(name("its details differ"));
    }
}

/// What a scenario expects, and what follows.
pub(super) fn with_expected(expect: &Expect, pass: &Pass, plan: Option<&Plan>, next: Next) -> Vec<String> {
    let mut all = Vec::new();
    let verdicts: Vec<Verdict> = pass.judgements.iter().map(|one| one.verdict).collect();
    differ(&mut all, "verdicts", &joined(&expect.verdicts), &joined(&verdicts));
    differ(&mut all, "outcome", &expect.outcome, &pass.outcome);
    differ(&mut all, "exit", &expect.exit, &pass.exit);
    let gates: Vec<Gate> = pass.holds.iter().map(|hold| hold.gate).collect();
    let word = |gate: Option<&Gate>| gate.map_or("none", |gate| gate.as_str());
    differ(&mut all, "gate", word(expect.gate.as_ref()), word(gates.first()));
    if let Some(expected) = &expect.gates {
        differ(&mut all, "gates", &joined(expected), &joined(&gates));
    }
    let moved = |plan: &Plan| plan.moves.iter().flat_map(Change::subnets).cloned().collect::<Vec<SubnetId>>();
    if let Some(expected) = &expect.plan {
        differ(&mut all, "plan", &joined(expected), &joined(&plan.map(moved).unwrap_or_default()));
    }
    let disabled = plan.and_then(|plan| plan.disable_check.as_ref());
    if expect.disable_check.is_some() || disabled.is_some() {
        let word = |id: Option<&InterfaceId>| id.map_or_else(|| "none".to_owned(), ToString::to_string);
        differ(&mut all, "disable_check", &word(expect.disable_check.as_ref()), &word(disabled));
    }
    if let Some(expected) = &expect.next {
        differ(&mut all, "next", expected, &next.into());
    }
    if let Some(because) = &expect.because {
        differ(&mut all, "because", because, &pass.because);
    }
    if let Some(commands) = &expect.commands {
        differ(&mut all, "commands", &joined(commands), &joined(&pass.commands));
    }
    let last = pass.judgements.last().map(|one| one.backends.as_slice()).unwrap_or_default();
    for (host, reason) in &expect.reasons {
        let silence = last.iter().find(|one| &one.host == host).and_then(|one| one.silence.as_ref());
        let found = silence.map_or("not silent", |silence| silence.reason.as_str());
        differ(&mut all, &format!("reason of {host}"), reason.as_str(), found);
    }
    all
}

fn differ<T: PartialEq + Display + ?Sized>(all: &mut Vec<String>, what: &str, said: &T, found: &T) {
    if said != found {
        all.push(format!("{what}: the file says {said}, these rules say {found}"));
    }
}

/// In one line; nothing is `none`.
fn joined(all: &[impl Display]) -> String {
    if all.is_empty() { "none".to_owned() } else { all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ") }
}
