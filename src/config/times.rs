//! The rules between the times of a run, and what they say of its evidence.

use std::time::Duration;

use super::counts::Counts;
use super::keys;
use super::reader::Reader;
use super::values::written;
use crate::observe::SshSettings;

/// What a takeover asks of EC2 while the deadline runs: two readings, one move a subnet (side by side), and a retry.
/// Each takes a few hundred milliseconds; one that is throttled, some seconds.
const EC2: Duration = Duration::from_secs(5);

/// `timeout` in the shipped cron entry ends a run after 150 s; so much is left to end in good order.
const CRON: Duration = Duration::from_secs(140);

/// The times that a run is made of.
pub(super) struct Times {
    pub(super) timeout: Duration,
    pub(super) span: Duration,
    pub(super) deadline: Duration,
    pub(super) verify_for: Duration,
}

/// The times, if they go together; `None`: the reader has noted why not.
pub(super) fn times(
    reader: &mut Reader<'_>,
    counts: &Counts,
    ssh: Option<&SshSettings>,
    advice: &mut Vec<String>,
) -> Option<Times> {
    let timeout = reader.duration(&keys::TIMEOUT);
    let span = reader.duration(&keys::RUN_SPAN);
    let deadline = reader.duration(&keys::DEADLINE);
    let verify_for = reader.duration(&keys::VERIFY_FOR);
    let (timeout, span, deadline, verify_for) = (timeout?, span?, deadline?, verify_for?);
    if span.is_zero() && counts.rounds == Some(1) {
        // With a span, further rounds follow until it is reached, so one round is a matter of taste. Without one, the
        // misses of a single moment would do, and every hiccup is one.
        let key = if reader.has(&keys::ROUNDS) { &keys::ROUNDS } else { &keys::RUN_SPAN };
        reader.clash(
            key,
            "one round and no span: a hiccup would move every subnet",
            "decision.rounds of 2 or more, or a decision.run_span longer than \"0s\"",
        );
    } else if span < Duration::from_secs(1) {
        advice.push(format!(
            "decision.run_span: evidence that spans only {} takes a hiccup for an outage; \"3s\" is advised",
            written(span)
        ));
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
        let evidence = all.max(span + timeout);
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
    Some(Times { timeout, span, deadline, verify_for })
}
