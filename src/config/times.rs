//! The rules between the times of a run, and what they say of its evidence.

use std::time::Duration;

use super::counts::Counts;
use super::keys;
use super::reader::Reader;
use super::values::{Host, written};
use super::{WatchSettings, keys::Key};
use crate::observe::SshSettings;

/// What a takeover asks of EC2 while the deadline runs: two readings, one move a subnet (side by side), and a retry.
/// Each takes a few hundred milliseconds; one that is throttled, some seconds.
const EC2: Duration = Duration::from_secs(5);

/// `timeout` in the shipped cron entry ends a run after 150 s; so much is left to end in good order.
const CRON: Duration = Duration::from_secs(140);

/// A hiccup in a run's eyes, which come once in minutes: a restart of the primary's firewall, a slow ARP.
const LEAST_RUN_SPAN: Duration = Duration::from_secs(1);

/// A hiccup in `watch`'s eyes, which never close: an instance that AWS migrates stands still for half a second.
const LEAST_WATCH_SPAN: Duration = Duration::from_millis(500);

/// The times that a run is made of.
pub(super) struct Times {
    pub(super) timeout: Duration,
    pub(super) span: Duration,
    pub(super) deadline: Duration,
    pub(super) verify_for: Duration,
    pub(super) watch: WatchSettings,
}

/// The times, if they go together; `None`: the reader has noted why not.
pub(super) fn times(
    reader: &mut Reader<'_>,
    counts: &Counts,
    ssh: Option<&SshSettings>,
    targets: Option<&[Host]>,
    advice: &mut Vec<String>,
) -> Option<Times> {
    let timeout = reader.duration(&keys::TIMEOUT);
    let span = reader.duration(&keys::RUN_SPAN);
    let deadline = reader.duration(&keys::DEADLINE);
    let verify_for = reader.duration(&keys::VERIFY_FOR);
    let watch_span = reader.duration(&keys::WATCH_SPAN);
    let interval = reader.duration(&keys::INTERVAL);
    let (timeout, span, deadline, verify_for) = (timeout?, span?, deadline?, verify_for?);
    let watch = WatchSettings { span: watch_span?, interval: interval? };
    for (key, span, least, advised) in
        [(&keys::RUN_SPAN, span, LEAST_RUN_SPAN, "3s"), (&keys::WATCH_SPAN, watch.span, LEAST_WATCH_SPAN, "700ms")]
    {
        enough(reader, counts, (key, span), (least, advised), advice);
    }
    if let Some(targets) = targets {
        pace(watch.interval, targets.len(), timeout, advice);
    }
    if deadline > CRON {
        advice.push(format!(
            "decision.deadline: {}; under the shipped cron entry a run is ended after 150s",
            written(deadline)
        ));
    }
    if let (Some(rounds), Some(tries), Some(ssh)) = (counts.rounds, counts.tries, ssh) {
        let misses = timeout.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX));
        let all = misses.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        // The longest way to a verified takeover: the slowest login; then all rounds, one miss after the other, but
        // the span at least, whose last miss is waited for too; EC2; and a verification that takes all its time. A
        // shorter deadline would end a run in the middle of a takeover that goes well.
        let evidence = all.max(span.max(watch.span) + timeout);
        let needed = ssh.login_timeout + evidence + EC2 + verify_for;
        if deadline < needed {
            let what = format!(
                "shorter than a takeover may take: {} = backends.login_timeout {} + rounds {} + EC2 {} + takeover.verify_for {}",
                written(needed),
                written(ssh.login_timeout),
                written(evidence),
                written(EC2),
                written(verify_for)
            );
            reader.clash(&keys::DEADLINE, &what, &format!("\"{}\" to \"1h\"", written(needed)));
        }
    }
    Some(Times { timeout, span, deadline, verify_for, watch })
}

/// What is wrong with a run that waits for its hook too.
pub(super) fn too_long(deadline: Duration, hook: Duration) -> Option<String> {
    (deadline <= CRON && deadline + hook > CRON).then(|| {
        format!(
            "notify.timeout: {}; with decision.deadline {} a run whose hook hangs is ended by the shipped cron entry after 150s, and \
             its events are told by the next one",
            written(hook),
            written(deadline)
        )
    })
}

/// Whether the evidence spans more than a hiccup.
fn enough(
    reader: &mut Reader<'_>,
    counts: &Counts,
    (key, span): (&Key, Duration),
    (least, advised): (Duration, &str),
    advice: &mut Vec<String>,
) {
    if span.is_zero() && counts.rounds == Some(1) {
        // With a span, further rounds follow until it is reached, so one round is a matter of taste. Without one, the
        // misses of a single moment would do, and every hiccup is one.
        let blamed = if reader.has(&keys::ROUNDS) { &keys::ROUNDS } else { key };
        reader.clash(
            blamed,
            "one round and no span: a hiccup would move every subnet",
            &format!("decision.rounds of 2 or more, or a {} longer than \"0s\"", key.path),
        );
    } else if span < least {
        advice.push(format!(
            "{}: evidence that spans only {} takes a hiccup for an outage; \"{advised}\" is advised",
            key.path,
            written(span)
        ));
    }
}

/// Whether probes come so close that they only cost: an outage is seen after half the gap between two probes, on average, and
/// the timeout of the one that finds it. Below a quarter of that timeout, a smaller gap gains less than an eighth of it.
fn pace(interval: Duration, targets: usize, timeout: Duration, advice: &mut Vec<String>) {
    let gap = interval / u32::try_from(targets.max(1)).unwrap_or(u32::MAX);
    if gap < timeout / 4 {
        let millis = gap.as_millis();
        advice.push(format!(
            "decision.interval: {}, and so a probe each {millis} ms; what waits for its answer for {} (targets.timeout) finds \
             an outage hardly sooner than one each {} ms would",
            written(interval),
            written(timeout),
            (timeout / 4).as_millis()
        ));
    }
}
