//! Which miss ends the calm: pure.
//!
//! A single miss does, if it is news. Of a backend or a target that misses often anyway it is none: then the misses that follow each
//! other must be of more targets than there are, so that one which shuns the primary, or a backend of which nothing comes through,
//! does not keep the alarm ringing, while an outage is heard all the same, a moment later.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::{Moment, Probe, Target};

/// Of so many latest first pings of a backend, or of a target…
const MEMORY: u32 = 8;

/// …so many misses are a habit.
const HABIT: u32 = 3;

/// While the primary is known to be down and nothing can be done about it, the evidence is made anew after this long, then after twice
/// as long, and so on…
const HOLD_OFF: Duration = Duration::from_secs(1);

/// …up to this: a control plane that comes back, or a gate that opens, is noticed within half a minute.
const HOLD_OFF_MOST: Duration = Duration::from_secs(30);

/// The latest first pings of a backend or of a target: a set bit is a miss.
#[derive(Debug, Clone, Copy, Default)]
struct Habit(u8);

impl Habit {
    fn note(&mut self, missed: bool) {
        self.0 = self.0 << 1 | u8::from(missed);
    }

    const fn misses(self) -> bool {
        self.0.count_ones() >= HABIT
    }
}

const _: () = assert!(u8::BITS == MEMORY);

/// A first ping that was not answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    /// By whom.
    pub host: String,
    /// Of what, and when.
    pub probe: Probe,
}

/// What is known of the latest first pings.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    backends: BTreeMap<String, Habit>,
    targets: BTreeMap<IpAddr, Habit>,
    /// The misses since the last reply, and whether each was news.
    row: Vec<(Missed, bool)>,
    /// When the last ping that was answered had left.
    replied: Option<Moment>,
    held: u32,
    not_before: Moment,
}

impl Alarm {
    /// A reply to a ping that left at `sent`: whatever was missed before that is over.
    pub(super) fn replied(&mut self, host: &str, target: IpAddr, sent: Moment) {
        self.backends.entry(host.to_owned()).or_default().note(false);
        self.targets.entry(target).or_default().note(false);
        self.replied = self.replied.max(Some(sent));
        self.row.retain(|(one, _)| one.probe.earliest > sent);
    }

    /// A miss; whether it ends the calm, where there are so many `targets`.
    pub(super) fn missed(&mut self, missed: Missed, targets: usize, now: Moment) -> bool {
        let (host, target) = (&missed.host, missed.probe.target.addr);
        let news = !self.expects(host, target);
        self.backends.entry(host.clone()).or_default().note(true);
        self.targets.entry(target).or_default().note(true);
        if self.replied.is_none_or(|replied| missed.probe.earliest > replied) {
            self.row.push((missed, news));
        }
        // The row is what an outage leaves; more of it than this tells no more.
        let excess = self.row.len().saturating_sub(targets + 1);
        self.row.drain(..excess);
        let enough = self.row.iter().any(|(_, news)| *news) || self.row.len() > targets;
        enough && self.rings(now)
    }

    /// Whether `host` or `target` misses by habit.
    pub(super) fn expects(&self, host: &str, target: IpAddr) -> bool {
        let by_habit = |habit: Option<&Habit>| habit.is_some_and(|habit| habit.misses());
        by_habit(self.backends.get(host)) || by_habit(self.targets.get(&target))
    }

    /// Whether there are misses that no reply has followed.
    pub(super) fn lasts(&self) -> bool {
        !self.row.is_empty()
    }

    /// Whether it rings at all, at the moment.
    pub(super) fn rings(&self, now: Moment) -> bool {
        now >= self.not_before
    }

    /// The misses since the last reply, oldest first; they are taken, and the next ones begin a new row.
    pub(super) fn take(&mut self) -> Vec<Missed> {
        self.row.drain(..).map(|(one, _)| one).collect()
    }

    /// It has come to nothing: the primary is down, and stays so.
    pub(super) fn in_vain(&mut self, now: Moment) {
        let wait = HOLD_OFF.saturating_mul(1 << self.held.min(16)).min(HOLD_OFF_MOST);
        self.not_before = now.saturating_add(wait);
        self.held += 1;
    }

    /// The primary is not down.
    pub(super) fn all_clear(&mut self) {
        (self.held, self.not_before) = (0, Moment::ZERO);
    }

    /// Forgets targets that are none of these: names lead elsewhere from time to time.
    pub(super) fn forget_other_targets(&mut self, located: &[Target]) {
        self.targets.retain(|addr, _| located.iter().any(|one| one.addr == *addr));
    }

    /// Forgets who is none of `hosts`: backends come and go.
    pub(super) fn forget_others(&mut self, hosts: &[&str]) {
        self.backends.retain(|host, _| hosts.contains(&host.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fate;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn addr(n: u8) -> IpAddr {
        [203, 0, 113, n].into()
    }

    fn miss(host: &str, target: u8, at: u64) -> Missed {
        let target = Target { name: target.to_string(), addr: addr(target) };
        let probe = Probe { target, earliest: ms(at), latest: ms(at + 5), fate: Fate::NoReply };
        Missed { host: host.to_owned(), probe }
    }

    #[test]
    fn the_first_miss_ends_the_calm() {
        let mut alarm = Alarm::default();
        alarm.replied("a", addr(1), ms(0));
        assert!(alarm.missed(miss("b", 2, 300), 3, ms(600)));
        assert_eq!(alarm.take(), [miss("b", 2, 300)]);
        assert_eq!(alarm.take(), []);
    }

    #[test]
    fn f016_a_target_that_shuns_the_primary_does_not_keep_the_alarm_ringing_and_hides_no_outage() {
        let mut alarm = Alarm::default();
        let mut rang = 0;
        for round in 0..20 {
            let at = round * 1000;
            rang += u32::from(alarm.missed(
                miss(["a", "b", "c", "d", "e"][usize::try_from(round).unwrap() % 5], 1, at),
                3,
                ms(at + 300),
            ));
            alarm.replied("x", addr(2), ms(at + 333));
            alarm.replied("y", addr(3), ms(at + 666));
        }
        assert_eq!(rang, HABIT, "then it is known");
        // The outage: the target that was well is news at once.
        assert!(!alarm.missed(miss("a", 1, 20_000), 3, ms(20_300)));
        assert!(alarm.missed(miss("x", 2, 20_333), 3, ms(20_633)));
        assert_eq!(alarm.take(), [miss("a", 1, 20_000), miss("x", 2, 20_333)], "the span counts from the first");
    }

    #[test]
    fn habits_of_targets_that_are_no_more_are_forgotten() {
        let mut alarm = Alarm::default();
        for at in 0..3 {
            alarm.missed(miss("a", 1, at), 3, ms(at));
        }
        let other = miss("a", 2, 0).probe.target;
        assert!(alarm.expects("b", addr(1)));
        alarm.forget_other_targets(&[other]);
        assert!(!alarm.expects("b", addr(1)) && alarm.expects("a", addr(1)), "the backend's are its own");
    }

    #[test]
    fn a_backend_of_which_nothing_comes_through_does_not_keep_the_alarm_ringing() {
        let mut alarm = Alarm::default();
        let mut rang = 0;
        for round in 0..20 {
            let at = round * 1000;
            rang += u32::from(alarm.missed(miss("cut", u8::try_from(round % 3).unwrap(), at), 3, ms(at + 300)));
            alarm.replied("well", addr(u8::try_from((round + 1) % 3).unwrap()), ms(at + 333));
            alarm.replied("too", addr(u8::try_from((round + 2) % 3).unwrap()), ms(at + 666));
        }
        assert_eq!(rang, HABIT);
    }

    #[test]
    fn where_all_miss_by_habit_more_misses_in_a_row_than_there_are_targets_ring() {
        let mut alarm = Alarm::default();
        for n in 0..24 {
            alarm.missed(
                miss("abc".get(n % 3..=n % 3).unwrap(), u8::try_from(n % 3).unwrap(), n as u64),
                3,
                ms(n as u64),
            );
        }
        alarm.take();
        alarm.replied("a", addr(0), ms(30));
        let rings: Vec<bool> = (0..4).map(|n| alarm.missed(miss("b", n % 3, 40 + u64::from(n)), 3, ms(50))).collect();
        assert_eq!(rings, [false, false, false, true]);
    }

    #[test]
    fn a_reply_to_a_later_ping_ends_the_row_and_one_to_an_earlier_ping_does_not() {
        let mut alarm = Alarm::default();
        alarm.missed(miss("a", 1, 100), 3, ms(400));
        alarm.replied("b", addr(2), ms(90));
        assert_eq!(alarm.row.len(), 1);
        alarm.replied("b", addr(2), ms(110));
        assert_eq!(alarm.take(), []);
        // What left before the last reply is no part of an outage that is still going on.
        assert!(!alarm.missed(miss("c", 3, 105), 3, ms(405)));
    }

    #[test]
    fn while_the_primary_is_down_and_nothing_can_be_done_it_rings_ever_more_rarely() {
        let mut alarm = Alarm::default();
        let mut rang = Vec::new();
        for tick in 0..400_u64 {
            let now = ms(tick * 333);
            if alarm.missed(miss("a", u8::try_from(tick % 3).unwrap(), tick * 333), 3, now) {
                rang.push(now);
                alarm.take();
                alarm.in_vain(now);
            }
        }
        let gaps: Vec<u64> = rang.windows(2).map(|two| two[1].saturating_sub(two[0]).as_secs()).collect();
        assert!(gaps.is_sorted() && gaps.len() < 12, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= 32) && gaps.last() >= Some(&30), "{gaps:?}");
        alarm.all_clear();
        alarm.replied("a", addr(0), ms(200_000));
        assert_eq!(alarm.not_before, Duration::ZERO);
    }
}
