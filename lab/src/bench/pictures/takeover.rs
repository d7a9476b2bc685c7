//! One takeover, packet by packet: a stroke for each datagram, 50 a second in each subnet.

use super::svg::Svg;
use crate::bench::outages::Takeover;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 840.0;
/// A stroke, and a subnet's strip; lost ones are half as high.
const STROKE: f64 = 2.0;
const STRIP: f64 = 30.0;
const GAP: f64 = 10.0;
/// What the longest name of a mark takes.
const ROOM: f64 = 150.0;
/// Between two names of marks: they may be close together in time.
const LEVEL: f64 = 17.0;

pub(in crate::bench) fn draw(takeover: &Takeover) -> String {
    let times = || takeover.subnets.iter().flat_map(|flow| flow.back.iter().chain(&flow.lost)).map(|at| seconds(*at));
    let (begin, end) = (times().fold(0.0, f64::min), times().fold(1.0, f64::max));
    let x = |at: f64| LEFT + (RIGHT - LEFT) * (at - begin) / (end - begin);
    let outage = std::time::Duration::from_millis(takeover.outage).as_secs_f64();
    let title = format!("A takeover by natwatch watch, packet by packet: {outage:.2} s without an answer");
    let mut svg = Svg::new(WIDTH, &title);
    svg.text("head", "start", [8.0, 18.0], &title);
    let levels = takeover.marks.iter().fold(0.0, |levels, _| levels + LEVEL);
    let top = 28.0 + levels + 8.0;
    let bottom = takeover.subnets.iter().fold(top, |y, _| y + STRIP + GAP);
    for (n, flow) in takeover.subnets.iter().enumerate() {
        let y = takeover.subnets.iter().take(n).fold(top, |y, _| y + STRIP + GAP);
        svg.text("", "end", [LEFT - 8.0, y + STRIP / 2.0 + 4.0], &format!("subnet {n}"));
        for (class, times, height) in [("back", &flow.back, STRIP), ("lost", &flow.lost, STRIP / 2.0)] {
            for at in times {
                svg.rect(class, [x(seconds(*at)), y + STRIP - height, STROKE, height]);
            }
        }
    }
    let mut marks: Vec<_> = takeover.marks.iter().collect();
    marks.sort_by_key(|mark| mark.at);
    let mut level = 28.0;
    for mark in marks {
        let at = x(seconds(mark.at));
        svg.line("mark", [at, level + 4.0], [at, bottom - GAP + 4.0]);
        let said = format!("{:.2} s  {}", seconds(mark.at), mark.what);
        // Where there is room for it.
        let (anchor, beside) = if at + ROOM < RIGHT { ("start", at + 5.0) } else { ("end", at - 5.0) };
        svg.text("", anchor, [beside, level + 13.0], &said);
        level += LEVEL;
    }
    // Before the fault: rounded up to a zero with a sign, which nobody wants to read.
    let mut second = begin.ceil() + 0.0;
    while second <= end {
        svg.line("grid", [x(second), bottom - GAP], [x(second), bottom - GAP + 6.0]);
        svg.text("", "middle", [x(second), bottom + 10.0], &format!("{second:.0} s"));
        second += 1.0;
    }
    svg.text(
        "",
        "start",
        [LEFT, bottom + 32.0],
        "a high stroke: the datagram came back; a low one: it was lost; 50 a second in each subnet",
    );
    svg.done(bottom + 44.0)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few seconds")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}
