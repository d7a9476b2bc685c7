//! `check`: the one line of a monitoring plugin, by the Monitoring Plugins Development Guidelines ("Plugin Output for Nagios"):
//! `SERVICE STATUS - text | 'label'=value[unit];[warn];[crit];[min];[max] …`. Nagios, Icinga, Sensu and Consul read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::json::{PassView, document};
use super::{Style, printable, safe, whole};
use crate::model::{Failure, Family, Judgement, Pass, ServiceState};

/// Characters of text before the `|`: the guidelines count on a pager's 80, and newer consumers show far more; beyond this it is a
/// story, and `status` tells that.
const LONGEST: usize = 200;

/// The service's name where the configuration has no other.
const SERVICE: &str = "natwatch";

/// What a monitoring system is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The configuration's name.
    pub name: String,
    /// The state.
    pub state: ServiceState,
    /// Why, in one sentence; cut where it is too long.
    pub because: String,
    /// What there is to say besides, each a sentence; never cut.
    pub remarks: Vec<String>,
    /// The pass that was judged.
    pub pass: Pass,
    /// It is the last one of `run` or `watch`, not one made now.
    pub saved: bool,
    /// How old the last pass of `run` or `watch` is; `None`: there is none, or it is dated in the future.
    pub age: Option<Duration>,
    /// How old it may be.
    pub max_age: Option<Duration>,
    /// By family, how many backends may be cut off before the round can be `down`.
    pub bearable: BTreeMap<Family, usize>,
    /// How long the check took.
    pub elapsed: Duration,
}

/// The line, with its newline.
#[must_use]
pub fn line(check: &Check) -> String {
    let remarks = remarks(check);
    let names = &check.pass.names;
    let remarks = names.tell(&remarks);
    let text = plain(&names.tell(&check.because), LONGEST.saturating_sub(remarks.chars().count()));
    let head = if check.name == SERVICE { String::new() } else { format!(" {}", safe(&check.name)) };
    finished(&format!("NATWATCH{head} {} - {text}{}", check.state, plain(&remarks, usize::MAX)), &perfdata(check))
}

/// The same for who could not look at all.
#[must_use]
pub fn failure(failure: &Failure) -> String {
    let mut lines = failure.text.lines();
    let mut text = plain(lines.next().unwrap_or_default(), LONGEST);
    match lines.count() {
        0 => {}
        more => {
            let _ = write!(text, " (and {more} more: see natwatch status)");
        }
    }
    finished(&format!("NATWATCH {} - {text}", ServiceState::Unknown), "")
}

fn remarks(check: &Check) -> String {
    check.remarks.iter().flat_map(|remark| ["; ", remark]).collect()
}

/// ASCII, since the locale that a monitoring system runs us in is not the one in which it shows this.
fn finished(text: &str, perfdata: &str) -> String {
    let mut line = Style::PLAIN.finish(text.to_owned());
    if !perfdata.is_empty() {
        let _ = write!(line, " | {perfdata}");
    }
    line.push('\n');
    line
}

/// One line without a `|`, behind which the figures begin.
fn plain(text: &str, limit: usize) -> String {
    printable(text, limit).replace('|', "\\u{7c}")
}

/// Counts of the latest round of each family, then ages. Labels never change; a family other than IPv4 has its name behind them.
fn perfdata(check: &Check) -> String {
    let mut all = Vec::new();
    for round in check.pass.latest() {
        let family = if round.family == Family::V4 { "" } else { "_ipv6" };
        let most = round.backends.len();
        let bearable = check.bearable.get(&round.family).map_or_else(String::new, usize::to_string);
        all.push(format!("reaches{family}={};;;0;{most}", round.reaches));
        all.push(format!("cut_off{family}={};0;{bearable};0;{most}", round.cut_off));
        all.push(format!("silent{family}={};;;0;{most}", round.silent));
        all.push(format!("good_targets{family}={};;;0;", round.good_targets));
        if let Some(rtt) = median(&round) {
            all.push(format!("rtt{family}={:.6}s;;;0;", rtt.as_secs_f64()));
        }
    }
    if let Some(age) = check.age {
        let warn = check.max_age.map_or_else(String::new, |age| age.as_secs().to_string());
        all.push(format!("age={}s;{warn};;0;", age.as_secs()));
    }
    all.push(format!("time={:.3}s;;;0;", check.elapsed.as_secs_f64()));
    all.join(" ")
}

/// The median of the replies' round trips, the lower of two in the middle.
fn median(round: &Judgement) -> Option<Duration> {
    let mut all: Vec<Duration> = round.backends.iter().filter_map(|judged| judged.rtt).collect();
    all.sort_unstable();
    all.get(all.len().checked_sub(1)? / 2).copied()
}

#[derive(Serialize)]
struct View {
    status: &'static str,
    name: String,
    text: String,
    saved: bool,
    age_s: Option<u64>,
    max_age_s: Option<u64>,
    #[serde(flatten)]
    pass: PassView,
}

/// The document for `check --format json`: that of `run`, with the state; `exit` is the check's. One line with its newline.
#[must_use]
pub fn json(check: &Check) -> String {
    let mut pass = PassView::from(&check.pass);
    pass.exit = check.state.exit();
    document(&View {
        status: check.state.as_str(),
        name: safe(&check.name),
        text: whole(&format!("{}{}", check.because, remarks(check))),
        saved: check.saved,
        age_s: check.age.map(|age| age.as_secs()),
        max_age_s: check.max_age.map(|age| age.as_secs()),
        pass,
    })
}

#[derive(Serialize)]
struct FailureView {
    status: &'static str,
    outcome: &'static str,
    exit: u8,
    errors: Vec<String>,
}

/// The document for who could not look at all.
#[must_use]
pub fn failure_json(failure: &Failure) -> String {
    let state = ServiceState::Unknown;
    let errors = failure.text.lines().map(whole).collect();
    document(&FailureView { status: state.as_str(), outcome: "error", exit: state.exit(), errors })
}
