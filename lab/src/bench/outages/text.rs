//! Outages as tables, and the marks of a takeover from natwatch's log. Pure.

use jiff::Timestamp;

use super::data::{Data, Mark, Runs};
use crate::bench::figures::{seconds, table};
use crate::demo::events;

/// What natwatch says at the first miss that it follows up, and when it has decided.
const SAYS: [(&str, &str); 2] = [("; looking again", "looking again"), ("; moving ", "decision")];

/// `1.31 s (1.52)`: median and worst; or that it was missed.
pub(super) fn cell(runs: &Runs) -> String {
    let all = runs.seconds();
    match (all.median().zip(all.longest()), runs.missed) {
        (None, 0) => "-".to_owned(),
        (None, _) => "missed".to_owned(),
        (Some((median, longest)), 0) => format!("{} ({:.2})", seconds(median), longest.as_secs_f64()),
        (Some((median, longest)), missed) => {
            format!("{} ({:.2}), {missed} of {} missed", seconds(median), longest.as_secs_f64(), runs.count())
        }
    }
}

/// One line for each tool.
pub(in crate::bench) fn brief(data: &Data) -> String {
    let head: Vec<&str> =
        std::iter::once("outage: median (worst)").chain(data.faults.iter().map(String::as_str)).collect();
    let rows: Vec<_> = data
        .tools
        .iter()
        .map(|tool| std::iter::once(tool.tool.clone()).chain(tool.faults.iter().map(cell)).collect())
        .collect();
    table(&head, &rows)
}

/// The same with the ranges, and what each tool did wrongly.
pub(in crate::bench) fn full(data: &Data) -> String {
    let mut rows = Vec::new();
    for tool in &data.tools {
        for (what, runs) in data.faults.iter().zip(&tool.faults) {
            let all = runs.seconds();
            rows.push(vec![
                tool.tool.clone(),
                what.clone(),
                runs.count().to_string(),
                all.middle(),
                all.range(),
                runs.missed.to_string(),
                runs.astray.to_string(),
            ]);
        }
    }
    let head = ["tool", "fault", "runs", "outage: median", "min to max", "missed", "moved while nothing was wrong"];
    format!("{}\n\n{}", data.measured, table(&head, &rows))
}

/// What natwatch says of a takeover, each the first time after the fault.
pub(super) fn marks(log: &str, fault: Timestamp) -> Vec<Mark> {
    let events = events(log, fault);
    let first = |says: &str| events.iter().find(|(at, text)| *at >= 0.0 && text.contains(says));
    let mark = |at: f64, what: &str| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds within a takeover")]
        let at = (at * 1e3).round() as i64;
        Mark { at, what: what.to_owned() }
    };
    SAYS.iter().filter_map(|(says, what)| first(says).map(|(at, _)| mark(*at, what))).collect()
}
