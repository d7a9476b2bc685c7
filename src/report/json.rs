//! `run --format json`: the keys of the contract, and some that help besides.
//!
//! The shape is written down as types, apart from the vocabulary's own, so that a change there can't change what scripts read.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::drill::DrillView;
use super::{safe, verification, whole, whole_ms};
use crate::model::{AddressStep, Change, Hold, Judged, Judgement, Move, MoveResult, Pass, RebootResult, RebootStep};

/// A [`Pass`] as machines read it.
#[derive(Debug, Serialize)]
pub(super) struct PassView {
    outcome: &'static str,
    pub(super) exit: u8,
    gate: Option<&'static str>,
    because: String,
    dry_run: bool,
    holds: Vec<HoldView>,
    rounds: Vec<RoundView>,
    moves: Vec<MoveView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot: Option<RebootView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<DrillView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_reason: Option<String>,
    notes: Vec<String>,
    commands: Vec<String>,
    elapsed_ms: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct HoldView {
    gate: &'static str,
    why: String,
    remedy: String,
}

#[derive(Debug, Serialize)]
struct RoundView {
    family: String,
    verdict: &'static str,
    because: String,
    good_targets: usize,
    reaches: usize,
    cut_off: usize,
    silent: usize,
    stale: bool,
    backends: Vec<BackendView>,
}

#[derive(Debug, Serialize)]
struct BackendView {
    host: String,
    subnet: String,
    verdict: &'static str,
    reason: Option<&'static str>,
    detail: Option<String>,
    target: Option<String>,
    rtt_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct MoveView {
    subnet: Option<String>,
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    from: String,
    to: String,
    result: &'static str,
    detail: Option<String>,
    ms: u64,
    verification: &'static str,
}

/// An Elastic IP address that was to be brought along.
#[derive(Debug, Serialize)]
pub(super) struct AddressView {
    address: String,
    from: Option<String>,
    to: Option<String>,
    result: &'static str,
    detail: Option<String>,
    ms: u64,
}

/// The primary's reboot.
#[derive(Debug, Serialize)]
struct RebootView {
    instance: String,
    result: &'static str,
    detail: Option<String>,
}

impl From<&AddressStep> for AddressView {
    fn from(step: &AddressStep) -> Self {
        Self {
            address: step.plan.address.to_string(),
            from: step.plan.from.as_ref().map(ToString::to_string),
            to: step.plan.to.as_ref().map(ToString::to_string),
            result: step.result.as_str(),
            detail: detail(&step.result),
            ms: whole_ms(step.took),
        }
    }
}

impl From<&RebootStep> for RebootView {
    fn from(step: &RebootStep) -> Self {
        let (result, detail) = match &step.result {
            RebootResult::Asked => ("asked", None),
            RebootResult::WouldAsk => ("would-ask", None),
            RebootResult::Failed(why) => ("failed", Some(safe(why))),
        };
        Self { instance: step.instance.to_string(), result, detail }
    }
}

/// Where else something is, or why it could not be moved.
fn detail(result: &MoveResult) -> Option<String> {
    match result {
        MoveResult::Elsewhere(text) | MoveResult::Failed(text) | MoveResult::Unknown(text) => Some(safe(text)),
        _ => None,
    }
}

impl From<&Pass> for PassView {
    fn from(pass: &Pass) -> Self {
        Self {
            outcome: pass.outcome.as_str(),
            exit: pass.exit,
            gate: pass.holds.first().map(|hold| hold.gate.as_str()),
            because: safe(&pass.because),
            dry_run: pass.dry_run,
            holds: pass.holds.iter().map(HoldView::from).collect(),
            rounds: pass.judgements.iter().map(RoundView::from).collect(),
            moves: pass.moves.iter().map(MoveView::from).collect(),
            address: pass.last.address.as_ref().map(AddressView::from),
            reboot: pass.last.reboot.as_ref().map(RebootView::from),
            drill: pass.drill.as_ref().map(DrillView::from),
            paused_until: pass.paused.as_ref().map(|paused| paused.until),
            pause_reason: pass.paused.as_ref().map(|paused| safe(&paused.reason)),
            notes: pass.notes.iter().map(|note| safe(note)).collect(),
            commands: pass.commands.iter().map(|command| whole(command)).collect(),
            elapsed_ms: whole_ms(pass.elapsed),
        }
    }
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> Self {
        Self { gate: hold.gate.as_str(), why: safe(&hold.why), remedy: whole(&hold.remedy) }
    }
}

impl From<&Judgement> for RoundView {
    fn from(judgement: &Judgement) -> Self {
        Self {
            family: judgement.family.to_string(),
            verdict: judgement.verdict.as_str(),
            because: safe(&judgement.because),
            good_targets: judgement.good_targets,
            reaches: judgement.reaches,
            cut_off: judgement.cut_off,
            silent: judgement.silent,
            stale: judgement.stale,
            backends: judgement.backends.iter().map(BackendView::from).collect(),
        }
    }
}

impl From<&Judged> for BackendView {
    fn from(judged: &Judged) -> Self {
        Self {
            host: safe(&judged.host),
            subnet: safe(&judged.subnet),
            verdict: judged.verdict.as_str(),
            reason: judged.silence.as_ref().map(|silence| silence.reason.as_str()),
            detail: judged.silence.as_ref().map(|silence| safe(&silence.detail)),
            target: judged.target.as_ref().map(|target| safe(&target.name)),
            rtt_ms: judged.rtt.map(rtt_ms),
        }
    }
}

impl From<&Move> for MoveView {
    fn from(step: &Move) -> Self {
        let (name, route) = match &step.plan {
            Change::Association(one) => (one.name.as_deref().map(safe), None),
            Change::Route(one) => (None, Some(one)),
        };
        Self {
            subnet: step.plan.subnet().map(ToString::to_string),
            name,
            table: route.map(|one| one.table.to_string()),
            destination: route.map(|one| one.destination.to_string()),
            from: step.plan.from(),
            to: step.plan.to(),
            result: step.result.as_str(),
            detail: detail(&step.result),
            ms: whole_ms(step.took),
            verification: verification(&step.verification),
        }
    }
}

/// Milliseconds to the microsecond, which is as fine as `ping` tells.
fn rtt_ms(rtt: Duration) -> f64 {
    (rtt.as_secs_f64() * 1e6).round() / 1e3
}

/// The document for `run`: one line of JSON with its newline.
#[must_use]
pub fn run(pass: &Pass) -> String {
    document(&PassView::from(pass))
}

/// One line, so that a log of many passes is JSON Lines. What we serialise has string keys and finite numbers only, so that it
/// can't fail; if it did, machines would read an empty object and miss the keys.
pub(super) fn document(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned());
    text.push('\n');
    text
}

#[derive(Serialize)]
struct PauseView {
    paused_until: Option<Timestamp>,
}

/// The document for `pause --format json` and `resume --format json`: until when automatic action is held now.
#[must_use]
pub fn pause(until: Option<Timestamp>) -> String {
    document(&PauseView { paused_until: until })
}
