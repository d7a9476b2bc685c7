//! Some measurements of one thing, and how they are written. Pure.

use std::time::Duration;

/// Measurements in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Seconds(Vec<Duration>);

impl Seconds {
    pub(super) fn add(&mut self, one: Duration) {
        self.0.push(one);
        self.0.sort_unstable();
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn median(&self) -> Option<Duration> {
        let upper = *self.0.get(self.0.len() / 2)?;
        let lower = *self.0.get(self.0.len().checked_sub(1)? / 2)?;
        Some((lower + upper) / 2)
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        self.0.last().copied()
    }

    /// `0.21 s`
    pub(super) fn middle(&self) -> String {
        self.median().map_or_else(none, seconds)
    }

    /// `0.20 to 0.24 s`
    pub(super) fn range(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => format!("{:.2} to {}", least.as_secs_f64(), seconds(*most)),
            _ => none(),
        }
    }

    /// `6.1 ms`
    pub(super) fn middle_fine(&self) -> String {
        self.median().map_or_else(none, millis)
    }

    /// `5.9 to 7.2 ms`
    pub(super) fn range_fine(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => format!("{:.1} to {}", least.as_secs_f64() * 1e3, millis(*most)),
            _ => none(),
        }
    }
}

/// Heads counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Vec<u64>);

impl Counts {
    pub(super) fn add(&mut self, one: u64) {
        self.0.push(one);
        self.0.sort_unstable();
    }

    /// `8`, or `8 to 11`
    pub(super) fn range(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) if least == most => most.to_string(),
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => none(),
        }
    }
}

/// Peaks of memory in KiB.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Vec<u64>);

impl Memory {
    pub(super) fn add(&mut self, kib: u64) {
        self.0.push(kib);
        self.0.sort_unstable();
    }

    /// The upper one of the two in the middle, where there are two.
    pub(super) fn middle(&self) -> String {
        self.0.get(self.0.len() / 2).map_or_else(none, |kib| mebibytes(*kib))
    }
}

/// `0.21 s`
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// `12.3 ms`
pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn none() -> String {
    "-".to_owned()
}

/// `31.4 MiB`
pub(super) fn mebibytes(kib: u64) -> String {
    let tenths = (kib * 10 + 512) / 1024;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A markdown table.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.to_vec());
    text.extend(["|", &"---|".repeat(head.len()), "\n"]);
    text.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64]) -> Seconds {
        let mut seconds = Seconds::default();
        for one in millis {
            seconds.add(Duration::from_millis(*one));
        }
        seconds
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(of(&[500, 100, 300]).middle(), "0.30 s");
        assert_eq!(of(&[500, 100, 300, 200]).middle(), "0.25 s");
        assert_eq!(of(&[500, 100, 300]).range(), "0.10 to 0.50 s");
        assert_eq!(of(&[]).middle(), "-");
    }

    #[test]
    fn short_times_are_written_in_milliseconds() {
        let mut short = Seconds::default();
        assert_eq!((short.middle_fine(), short.range_fine()), ("-".to_owned(), "-".to_owned()));
        for micros in [6_140, 5_900, 12_300] {
            short.add(Duration::from_micros(micros));
        }
        assert_eq!((short.middle_fine(), short.range_fine()), ("6.1 ms".to_owned(), "5.9 to 12.3 ms".to_owned()));
    }

    #[test]
    fn counts_that_are_all_the_same_are_written_once() {
        let mut counts = Counts::default();
        assert_eq!(counts.range(), "-");
        counts.add(11);
        counts.add(11);
        assert_eq!(counts.range(), "11");
        counts.add(8);
        assert_eq!(counts.range(), "8 to 11");
    }

    #[test]
    fn memory_is_written_with_one_decimal() {
        assert_eq!(mebibytes(1024), "1.0 MiB");
        assert_eq!(mebibytes(1587), "1.5 MiB");
        assert_eq!(mebibytes(2047), "2.0 MiB");
    }
}
