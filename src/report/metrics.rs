//! Metrics in Prometheus' text format (version 0.0.4), for `node_exporter`'s textfile collector.
//!
//! By <https://prometheus.io/docs/practices/naming/>: base units, `_total` for what is counted, `_timestamp_seconds` for moments, a state as a set
//! of which one is 1. All series are there from the first pass on, so that an alert never waits for one to appear, but for moments that have not
//! been: a 0 would be fifty years ago. See `docs/metrics.md`.

use jiff::Timestamp;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use crate::model::{BackendVerdict, EventKind, Family, Figures, Gate, Judgement, Outcome, Phase, Verdict};

/// Labels of a sample, and its value.
type Sample = (Vec<(&'static str, String)>, f64);

/// The file's content.
///
/// # Errors
///
/// What the encoder has against it.
pub fn text(figures: &Figures) -> Result<String, String> {
    let mut out = Vec::new();
    let families = [state(figures), round(figures), guarded(figures), counted(figures)].concat();
    TextEncoder::new().encode(&families, &mut out).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// Which state it is in.
fn state(figures: &Figures) -> Vec<MetricFamily> {
    let (at, pass) = &figures.last;
    let current = EventKind::of(pass.outcome);
    // Those that are no states would never be 1.
    let states = Outcome::ALL.iter().filter(|one| **one != Outcome::FailedBack && EventKind::of(**one).is_some());
    let states = states.map(|one| one_of("state", one.as_str(), current == EventKind::of(*one))).collect();
    let held = |gate: &Gate| pass.holds.iter().any(|hold| hold.gate == *gate);
    let gates = Gate::ALL.iter().map(|one| one_of("gate", one.as_str(), held(one))).collect();
    let none = one_of("phase", "none", figures.phase.is_none());
    let phases = Phase::ALL.iter().map(|one| one_of("phase", one.as_str(), figures.phase == Some(*one)));
    let gauge = |name, help, samples| family(figures, name, help, MetricType::GAUGE, samples);
    let moment = |name, help, at: Option<Timestamp>| gauge(name, help, vec![at.map_or_else(|| plain(0.0), seconds)]);
    vec![
        gauge(
            "natwatch_build_info",
            "The version that wrote this.",
            vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)],
        ),
        gauge("natwatch_state", "What the last pass came to: 1 for that state, 0 for the others.", states),
        gauge(
            "natwatch_exit_status",
            "The last pass as an exit status of natwatch run.",
            vec![plain(f64::from(pass.exit))],
        ),
        gauge("natwatch_gate", "1 for each gate that held in the last pass.", gates),
        gauge(
            "natwatch_phase",
            "How far the takeover on record has come: 1 for that phase, none if there is no record.",
            std::iter::once(none).chain(phases).collect(),
        ),
        gauge(
            "natwatch_locked",
            "1 while a takeover is on record and waits for failback or reset.",
            vec![plain(f64::from(u8::from(figures.locked)))],
        ),
        gauge(
            "natwatch_paused",
            "1 while an operator holds all automatic action.",
            vec![plain(f64::from(u8::from(figures.paused_until.is_some())))],
        ),
        moment("natwatch_paused_until_timestamp_seconds", "When the pause ends; 0 without one.", figures.paused_until),
        moment("natwatch_last_round_timestamp_seconds", "When the last pass ended.", Some(*at)),
        moment(
            "natwatch_last_healthy_timestamp_seconds",
            "When a pass was healthy last; 0 until one was.",
            figures.counts.healthy,
        ),
        moment(
            "natwatch_last_takeover_timestamp_seconds",
            "When the last takeover began; 0 until there was one.",
            figures.last_takeover,
        ),
    ]
}

/// What the last round saw.
fn round(figures: &Figures) -> Vec<MetricFamily> {
    let pass = &figures.last.1;
    let latest = pass.latest();
    let of = |family| latest.iter().find(|one| one.family == family);
    let each = |value: fn(&Judgement) -> usize| {
        FAMILIES.iter().map(|one| (vec![of_family(*one)], of(*one).map_or(0.0, |one| count(value(one))))).collect()
    };
    let counts = |one: &Judgement, verdict| match verdict {
        BackendVerdict::Reaches => one.reaches,
        BackendVerdict::CutOff => one.cut_off,
        BackendVerdict::Silent => one.silent,
    };
    let mut backends = Vec::new();
    for family in FAMILIES {
        for verdict in BackendVerdict::ALL {
            let n = of(family).map_or(0, |one| counts(one, *verdict));
            backends.push((vec![of_family(family), ("verdict", verdict.as_str().to_owned())], count(n)));
        }
    }
    let gauge = |name, help, samples| family(figures, name, help, MetricType::GAUGE, samples);
    vec![
        gauge("natwatch_backends", "Backends that the last round asked, by what they amount to.", backends),
        gauge(
            "natwatch_good_targets",
            "Targets that answered the standby in the last round.",
            each(|one| one.good_targets),
        ),
        gauge(
            "natwatch_pass_duration_seconds",
            "How long the last pass took.",
            vec![plain(pass.elapsed.as_secs_f64())],
        ),
    ]
}

/// What there is to watch by, and to watch.
fn guarded(figures: &Figures) -> Vec<MetricFamily> {
    let carriers = ["primary", "standby", "other"].iter().zip(figures.subnets);
    let subnets = carriers.map(|(carrier, n)| (vec![("carrier", (*carrier).to_owned())], count(n))).collect();
    let gauge = |name, help, samples| family(figures, name, help, MetricType::GAUGE, samples);
    vec![
        gauge("natwatch_configured_backends", "Backends of the configuration.", vec![plain(count(figures.backends))]),
        gauge("natwatch_configured_targets", "Targets of the configuration.", vec![plain(count(figures.targets))]),
        gauge(
            "natwatch_witnesses",
            "Backends that were seen reaching through the primary within 30 days.",
            vec![plain(count(figures.witnesses))],
        ),
        gauge(
            "natwatch_threshold",
            "decision.threshold: so many have to be cut off; with fewer witnesses no outage is seen.",
            vec![plain(count(figures.threshold))],
        ),
        gauge("natwatch_subnets", "Guarded subnets by the route table that they were last seen on.", subnets),
        gauge(
            "natwatch_events_waiting",
            "Events that the hook has not taken yet.",
            vec![plain(count(figures.waiting))],
        ),
    ]
}

/// What only grows.
fn counted(figures: &Figures) -> Vec<MetricFamily> {
    let counts = &figures.counts;
    let mut rounds = Vec::new();
    for family in FAMILIES {
        for verdict in Verdict::ALL {
            let n = counts.rounds.get(&family).and_then(|of| of.get(verdict)).copied().unwrap_or_default();
            rounds.push((vec![of_family(family), ("verdict", verdict.as_str().to_owned())], whole(n)));
        }
    }
    let by_outcome = |found: &std::collections::BTreeMap<Outcome, u64>, all: &[Outcome]| {
        let n = |one: &Outcome| found.get(one).copied().unwrap_or_default();
        all.iter().map(|one| (vec![("outcome", one.as_str().to_owned())], whole(n(one)))).collect()
    };
    let takeovers = [Outcome::TakenOver, Outcome::Unverified, Outcome::Partial, Outcome::Failed, Outcome::NoRedundancy];
    let failbacks = [Outcome::FailedBack, Outcome::Unverified, Outcome::Partial, Outcome::Failed];
    let counter = |name, help, samples| family(figures, name, help, MetricType::COUNTER, samples);
    vec![
        counter("natwatch_rounds_total", "Rounds, by family and verdict.", rounds),
        counter(
            "natwatch_takeovers_total",
            "Takeovers of the history, by what they came to.",
            by_outcome(&figures.takeovers, &takeovers),
        ),
        counter(
            "natwatch_failbacks_total",
            "Failbacks of the history, by what they came to.",
            by_outcome(&figures.failbacks, &failbacks),
        ),
        counter(
            "natwatch_events_delivered_total",
            "Events that the hook has taken.",
            vec![plain(whole(counts.delivered))],
        ),
        counter(
            "natwatch_events_lost_total",
            "Events that nobody will be told of: refused, tried in vain, or too many.",
            vec![plain(whole(counts.lost))],
        ),
    ]
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

fn of_family(family: Family) -> (&'static str, String) {
    ("family", family.to_string().to_ascii_lowercase())
}

fn plain(value: f64) -> Sample {
    (Vec::new(), value)
}

fn one_of(label: &'static str, word: &str, is: bool) -> Sample {
    (vec![(label, word.to_owned())], f64::from(u8::from(is)))
}

fn seconds(at: Timestamp) -> Sample {
    // To the millisecond, which a double has room for until the year 280,000.
    plain((at.as_duration().as_secs_f64() * 1e3).round() / 1e3)
}

fn count(n: usize) -> f64 {
    whole(n as u64)
}

#[expect(clippy::cast_precision_loss, reason = "the format knows no other numbers; exact up to 2^53")]
const fn whole(n: u64) -> f64 {
    n as f64
}

/// A family; each sample has the configuration's name as its first label.
fn family(figures: &Figures, name: &str, help: &str, kind: MetricType, samples: Vec<Sample>) -> MetricFamily {
    let metrics = samples.into_iter().map(|(labels, value)| {
        let labels = std::iter::once(("name", figures.name.clone())).chain(labels);
        let mut metric = Metric::default();
        metric.set_label(
            labels
                .map(|(name, value)| {
                    let mut label = LabelPair::default();
                    label.set_name(name.to_owned());
                    label.set_value(value);
                    label
                })
                .collect(),
        );
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.collect());
    family
}

#[cfg(test)]
mod tests;
