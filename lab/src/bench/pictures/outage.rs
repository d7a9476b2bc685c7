//! Outages under each tool, by fault: a bar to the median, a whisker to the worst.

use super::svg::Svg;
use crate::bench::outages::{Data, Runs};

const WIDTH: f64 = 860.0;
/// Where bars begin, and where the scale ends: figures stand behind the bars.
const LEFT: f64 = 230.0;
const RIGHT: f64 = 640.0;
const BAR: f64 = 13.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 34.0;

pub(in crate::bench) fn draw(data: &Data) -> String {
    let longest = data.tools.iter().flat_map(|tool| &tool.faults).filter_map(|runs| runs.seconds().longest()).max();
    let end = longest.unwrap_or_default().as_secs_f64().max(1.0).ceil();
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * seconds / end;
    let mut svg = Svg::new(
        WIDTH,
        "How long an outage lasts, by what happens to the primary and what watches it: median and worst",
    );
    let mut rows = Vec::new();
    let mut y = 8.0;
    for (n, fault) in data.faults.iter().enumerate() {
        rows.push((y + 20.0, fault.as_str(), None));
        y += HEAD;
        for tool in &data.tools {
            if let Some(runs) = tool.faults.get(n) {
                rows.push((y, tool.tool.as_str(), Some((tool.ours, runs))));
                y += ROW;
            }
        }
    }
    // Under the bars.
    let step = if end > 8.0 { 2.0 } else { 1.0 };
    let mut second = 0.0;
    while second <= end {
        svg.line("grid", [x(second), HEAD], [x(second), y]);
        svg.text("", "middle", [x(second), y + 18.0], &format!("{second:.0} s"));
        second += step;
    }
    for (y, label, bar) in rows {
        let Some((ours, runs)) = bar else {
            svg.text("head", "start", [8.0, y], label);
            continue;
        };
        svg.text("", "end", [LEFT - 8.0, y + BAR - 2.0], label);
        let all = runs.seconds();
        let mut behind = LEFT;
        if let Some((median, longest)) = all.median().zip(all.longest()) {
            let (median, longest) = (median.as_secs_f64(), longest.as_secs_f64());
            svg.rect(if ours { "ours" } else { "others" }, [LEFT, y, x(median) - LEFT, BAR]);
            svg.line("whisker", [x(median), y + BAR / 2.0], [x(longest), y + BAR / 2.0]);
            svg.line("whisker", [x(longest), y + 2.0], [x(longest), y + BAR - 2.0]);
            behind = x(longest);
        } else if runs.missed > 0 {
            svg.rect("missed", [LEFT, y + 1.0, RIGHT - LEFT, BAR - 2.0]);
            behind = RIGHT;
        }
        svg.text("", "start", [behind + 6.0, y + BAR - 2.0], &figures(runs, data.limit));
    }
    svg.done(y + 28.0)
}

fn figures(runs: &Runs, limit: u64) -> String {
    let all = runs.seconds();
    match (all.median().zip(all.longest()), runs.missed) {
        (None, 0) => "not measured".to_owned(),
        (None, _) => format!("missed: still out after {} s", limit / 1000),
        (Some((median, longest)), missed) => {
            let some = if missed > 0 { format!("; {missed} of {} missed", runs.count()) } else { String::new() };
            format!("{:.2} s, worst {:.2}{some}", median.as_secs_f64(), longest.as_secs_f64())
        }
    }
}
