//! Text for the demo: times since the fault, the strip of a flow with its axis, lines that fit 100 columns. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// What fits on a visitor's terminal.
pub(super) const COLUMNS: usize = 100;

/// Of the strip itself; a name stands before it and the outage after it.
const STRIP: u32 = 72;

/// A line of natwatch's log with its time since `zero` in seconds.
pub(crate) fn events(log: &str, zero: Timestamp) -> Vec<(f64, String)> {
    let parse = |line: &str| {
        let (stamp, text) = line.split_once(' ')?;
        let at: Timestamp = stamp.parse().ok()?;
        let text = text.split_once(": ").map_or(text, |(_, text)| text);
        Some((at.duration_since(zero).as_secs_f64(), text.to_owned()))
    };
    log.lines().filter_map(parse).collect()
}

/// One line of the time line.
pub(super) fn row(seconds: f64, what: &str, text: &str) -> String {
    wrapped(&format!("  {seconds:>6.2} s  {what:<9}  {text}"), &" ".repeat(23))
}

/// How long a character of the strip stands for, so that `whole` fits: a multiple of the flow's period.
pub(super) fn bucket(whole: Duration, period: Duration) -> Duration {
    let periods = (whole.as_millis() / u128::from(STRIP) / period.as_millis().max(1)) + 1;
    period * u32::try_from(periods).unwrap_or(u32::MAX)
}

/// The scale under a strip that begins `before` the fault: a mark each second since the fault.
pub(super) fn axis(before: Duration, whole: Duration, bucket: Duration) -> String {
    let mut line = String::new();
    for second in 0.. {
        let at = before + Duration::from_secs(second);
        let column = usize::try_from(at.as_millis() / bucket.as_millis().max(1)).unwrap_or(usize::MAX);
        if at > whole || column > COLUMNS {
            break;
        }
        let label = format!("|{second} s");
        if column >= line.len() {
            line.push_str(&" ".repeat(column - line.len()));
            line.push_str(&label);
        }
    }
    line
}

/// EC2's ids cut down to what tells them apart in a small VPC, so that lines stay readable.
pub(super) fn shortened(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((place, length)) = id(rest) {
        let (head, tail) = rest.split_at(place);
        let (id, tail) = tail.split_at(length);
        out.push_str(head);
        out.push_str(id.get(..id.len() - 13).unwrap_or(id));
        out.push_str("..");
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Where the first id (`word-` and 17 hexadecimal digits) is, and how long.
fn id(text: &str) -> Option<(usize, usize)> {
    const DIGITS: usize = 17;
    text.match_indices('-').find_map(|(dash, _)| {
        let digits = text.get(dash + 1..)?.bytes().take_while(u8::is_ascii_hexdigit).count();
        let word = text.get(..dash)?.bytes().rev().take_while(u8::is_ascii_lowercase).count();
        (digits == DIGITS && word > 0).then_some((dash - word, word + 1 + DIGITS))
    })
}

/// A line that goes on below itself, behind `lead`, where it is too long.
pub(super) fn wrapped(line: &str, lead: &str) -> String {
    let mut done = Vec::new();
    let mut rest = line.to_owned();
    while rest.len() > COLUMNS {
        // A break inside the lead would never end.
        let head = rest.get(..COLUMNS).and_then(|head| head.rfind(' ')).filter(|place| *place > lead.len());
        let Some(place) = head else { break };
        let tail = rest.split_off(place);
        done.push(rest.trim_end().to_owned());
        rest = format!("{lead}{}", tail.trim_start());
    }
    done.push(rest);
    done.join("\n")
}

/// What a program printed, set off from what we say.
pub(super) fn quoted(text: &str) -> String {
    let line = |line: &str| wrapped(format!("  | {}", shortened(line)).trim_end(), "  |     ");
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_down_wherever_they_are() {
        assert_eq!(
            shortened("  subnet-7ddf978d8ce8c58a3 (private-0)  rtb-2ca6365c7bfd7ea96 -> rtb-7008a0c17f1048119  moved"),
            "  subnet-7ddf.. (private-0)  rtb-2ca6.. -> rtb-7008..  moved"
        );
        assert_eq!(shortened("taken-over: 4 of 4"), "taken-over: 4 of 4");
    }

    #[test]
    fn a_log_is_told_in_seconds_since_the_fault() {
        let zero = "2026-11-21T05:23:33.250Z".parse().unwrap();
        let log = "2026-11-21T05:23:34.059Z info: 4 of 4 backends are cut off: looking again\nno time stamp";
        let events = events(log, zero);
        assert_eq!(events.len(), 1);
        assert!((events[0].0 - 0.809).abs() < 1e-6);
        assert_eq!(events[0].1, "4 of 4 backends are cut off: looking again");
    }

    #[test]
    fn the_axis_marks_seconds_since_the_fault() {
        let (before, bucket) = (Duration::from_millis(400), Duration::from_millis(100));
        assert_eq!(axis(before, Duration::from_millis(2500), bucket), "    |0 s      |1 s      |2 s");
    }

    #[test]
    fn a_strip_fits_whatever_its_length() {
        let period = Duration::from_millis(20);
        for whole in [500, 4000, 4320, 9999, 60_000] {
            let whole = Duration::from_millis(whole);
            let bucket = bucket(whole, period);
            assert_eq!(bucket.as_millis() % period.as_millis(), 0);
            assert!(whole.as_millis().div_ceil(bucket.as_millis()) <= u128::from(STRIP));
        }
    }

    #[test]
    fn long_lines_go_on_below_themselves() {
        let line = "word ".repeat(40);
        let text = wrapped(line.trim_end(), "    ");
        assert!(text.lines().all(|line| line.len() <= COLUMNS));
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(text.split_whitespace().count(), 40);
        assert_eq!(wrapped(&"x".repeat(200), "    ").len(), 200);
    }
}
