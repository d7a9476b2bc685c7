//! What a record of datagrams says about an outage. Pure.

use std::time::{Duration, Instant};

/// One datagram of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it left.
    pub sent: Instant,
    /// When its echo came back, if it did.
    pub back: Option<Instant>,
}

/// The longest silence of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Which private subnet's.
    pub subnet: usize,
    /// From the last reply before it to the first reply after it, or to now. A healthy flow's is about 20 ms.
    pub silence: Duration,
    /// The last reply before it.
    pub from: Instant,
    /// The first reply after it, or now.
    pub until: Instant,
    /// Whether a reply has come after it.
    pub restored: bool,
    /// Datagrams sent after the mark.
    pub sent: usize,
    /// Those that did not come back. The last few milliseconds' may still be under way, and count.
    pub lost: usize,
    /// From the mark to the sending of the first datagram that came back after the silence.
    pub first_through: Option<Duration>,
}

impl Outage {
    /// Looks at what ends after `since`: a silence that began before the mark counts from its beginning.
    #[must_use]
    pub fn find(subnet: usize, samples: &[Sample], since: Instant, now: Instant) -> Self {
        let mut replies: Vec<(Instant, Instant)> =
            samples.iter().filter_map(|sample| Some((sample.back?, sample.sent))).collect();
        replies.sort_unstable();
        let after: Vec<_> = samples.iter().filter(|sample| sample.sent >= since).collect();
        let lost = after.iter().filter(|sample| sample.back.is_none()).count();
        let mut from = replies.iter().map(|(back, _)| *back).take_while(|back| *back <= since).last().unwrap_or(since);
        let mut longest = Self {
            subnet,
            silence: Duration::ZERO,
            from,
            until: from,
            restored: true,
            sent: after.len(),
            lost,
            first_through: None,
        };
        for (back, sent) in replies.iter().filter(|(back, _)| *back > since) {
            let silence = back.duration_since(from);
            if silence > longest.silence {
                let first_through = Some(sent.saturating_duration_since(since));
                longest = Self { silence, from, until: *back, first_through, ..longest };
            }
            from = *back;
        }
        let silence = now.saturating_duration_since(from);
        if silence > longest.silence {
            // Within a few periods of now nothing is known yet: that is no outage.
            let restored = silence < super::PERIOD * 5;
            longest = Self { silence, from, until: now, restored, first_through: None, ..longest };
        }
        longest
    }
}

pub(super) fn strip(samples: &[Sample], from: Instant, to: Instant, bucket: Duration) -> String {
    let bucket = bucket.max(Duration::from_millis(1));
    let mut text = String::new();
    let mut start = from;
    while start < to {
        let end = start + bucket;
        let inside: Vec<_> = samples.iter().filter(|sample| (start..end).contains(&sample.sent)).collect();
        let back = inside.iter().filter(|sample| sample.back.is_some()).count();
        text.push(match back {
            _ if inside.is_empty() => ' ',
            0 => '.',
            back if back == inside.len() => '#',
            _ => '+',
        });
        start = end;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One datagram every 20 ms; replies take 1 ms; those in `lost` never come.
    fn record(start: Instant, count: u32, lost: std::ops::Range<u32>) -> Vec<Sample> {
        let at = |n: u32| start + Duration::from_millis(20) * n;
        let back = |n: u32| (!lost.contains(&n)).then(|| at(n) + Duration::from_millis(1));
        (0..count).map(|n| Sample { sent: at(n), back: back(n) }).collect()
    }

    #[test]
    fn the_longest_silence_is_from_last_to_first_reply() {
        let start = Instant::now();
        let samples = record(start, 200, 50..100);
        let mark = start + Duration::from_millis(990);
        let outage = Outage::find(0, &samples, mark, start + Duration::from_secs(4));
        assert_eq!(outage.silence, Duration::from_millis(51 * 20));
        assert_eq!((outage.lost, outage.restored), (50, true));
        assert_eq!(outage.first_through, Some(Duration::from_millis(2000 - 990)));
    }

    #[test]
    fn a_silence_that_goes_on_is_not_restored() {
        let start = Instant::now();
        let samples = record(start, 100, 50..100);
        let outage = Outage::find(1, &samples, start + Duration::from_secs(1), start + Duration::from_secs(2));
        assert_eq!(outage.silence, Duration::from_millis(2000 - 981));
        assert!(!outage.restored);
        assert_eq!(outage.first_through, None);
    }

    #[test]
    fn a_healthy_flow_has_the_period_for_silence() {
        let start = Instant::now();
        let outage = Outage::find(0, &record(start, 100, 0..0), start, start + Duration::from_millis(1990));
        assert_eq!(outage.silence, Duration::from_millis(20));
        assert!(outage.restored);
    }

    #[test]
    fn nothing_recorded_is_silence_since_the_mark() {
        let start = Instant::now();
        let outage = Outage::find(0, &[], start, start + Duration::from_secs(3));
        assert_eq!((outage.silence, outage.restored), (Duration::from_secs(3), false));
    }

    #[test]
    fn a_strip_shows_sent_lost_and_restored() {
        let start = Instant::now();
        let text = strip(&record(start, 40, 10..25), start, start + Duration::from_secs(1), Duration::from_millis(100));
        assert_eq!(text, "##...###  ");
    }
}
