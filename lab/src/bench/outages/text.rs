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

/// What a tool should not have done, and did.
fn wrongly(faults: &[Runs]) -> String {
    let sum = |of: fn(&Runs) -> usize| faults.iter().map(of).sum::<usize>();
    let (runs, missed, astray) = (sum(Runs::count), sum(|runs| runs.missed), sum(|runs| runs.astray));
    let missed = (missed > 0).then(|| format!("missed {missed} of {runs}"));
    let astray = (astray > 0).then(|| format!("moved subnets without cause: {astray}"));
    let all: Vec<_> = missed.into_iter().chain(astray).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}

/// One line for each tool.
pub(in crate::bench) fn brief(data: &Data) -> String {
    let head: Vec<&str> = std::iter::once("outage: median (worst)")
        .chain(data.faults.iter().map(String::as_str))
        .chain(["wrongly"])
        .collect();
    let rows: Vec<_> = data
        .tools
        .iter()
        .map(|tool| {
            std::iter::once(tool.tool.clone())
                .chain(tool.faults.iter().map(cell))
                .chain([wrongly(&tool.faults)])
                .collect()
        })
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

#[cfg(test)]
mod tests {
    use super::super::data::Measured;
    use super::*;

    fn runs(outages: &[u64], missed: usize, astray: usize) -> Runs {
        Runs { outages: outages.to_vec(), missed, astray }
    }

    #[test]
    fn a_cell_has_the_median_and_the_worst_and_what_was_missed() {
        assert_eq!(cell(&runs(&[1500, 1200, 1300], 0, 0)), "1.30 s (1.50)");
        assert_eq!(cell(&runs(&[4000, 5000], 1, 0)), "4.50 s (5.00), 1 of 3 missed");
        assert_eq!(cell(&runs(&[], 3, 0)), "missed");
        assert_eq!(cell(&runs(&[], 0, 0)), "-");
    }

    #[test]
    fn the_tables_tell_what_a_tool_did_wrongly() {
        let tool = |name: &str, faults| Measured { tool: name.to_owned(), ours: false, faults };
        let data = Data {
            measured: "Measured.".to_owned(),
            limit: 15_000,
            faults: vec!["crashed".to_owned(), "uplink dead".to_owned()],
            tools: vec![
                tool("good", vec![runs(&[1000, 1200], 0, 0), runs(&[900, 1000], 0, 0)]),
                tool("bad", vec![runs(&[4000, 5000], 0, 1), runs(&[], 2, 0)]),
            ],
            takeover: None,
        };
        assert_eq!(
            brief(&data),
            "\
| outage: median (worst) | crashed | uplink dead | wrongly |
|---|---|---|---|
| good | 1.10 s (1.20) | 0.95 s (1.00) | nothing |
| bad | 4.50 s (5.00) | missed | missed 2 of 4; moved subnets without cause: 1 |
"
        );
        assert!(full(&data).starts_with("Measured.\n\n| tool |"));
        assert!(full(&data).ends_with(
            "\
| bad | crashed | 2 | 4.50 s | 4.00 to 5.00 s | 0 | 1 |
| bad | uplink dead | 2 | - | - | 2 | 0 |
"
        ));
    }

    #[test]
    fn marks_are_the_first_of_their_kind_after_the_fault() {
        let log = "\
2026-11-21T15:20:30.000Z info: 4 of 4 backends are cut off; looking again
2026-11-21T15:20:37.516Z info: 4 of 4 backends are cut off; looking again
2026-11-21T15:20:37.905Z info: 4 of 4 backends are cut off; moving 2 subnets
2026-11-21T15:20:47.905Z info: 4 of 4 backends are cut off; moving 2 subnets
";
        let marks = marks(log, "2026-11-21T15:20:37Z".parse().unwrap());
        let told: Vec<_> = marks.iter().map(|mark| (mark.at, mark.what.as_str())).collect();
        assert_eq!(told, [(516, "looking again"), (905, "decision")]);
    }
}
