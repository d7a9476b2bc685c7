//! The remote command, and what its output means: pure. The text that runs on the backend is `remote`'s.
//!
//! A login shell, a banner or a start-up file may print anything, even a forged summary, so what counts stands between two
//! lines that carry a random word, and the exit status is the one printed in the second. A miss is believed only where
//! `ping` itself says that it sent one packet and got none back: exit status 1 alone is also what busybox gives for an
//! option it does not know.

mod remote;

pub use remote::{command, forced_command};

use std::time::Duration;

use crate::model::{SilenceReason, printable};

/// What a backend's `ping` understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// iputils since 2019: `-W` takes fractions of a second.
    Fractional,
    /// busybox and old iputils: whole seconds, and perhaps no `-n`.
    WholeSeconds,
}

/// What is read of one command's output at most. A reply takes 300 bytes; a banner or motd rarely 10 kB.
pub const OUTPUT_CAP: usize = 64 * 1024;

/// What `sh` gives for a ping that our own watchdog on the backend killed (128 and `SIGKILL`).
const KILLED: &str = "137";

/// How much of what a backend said is shown.
const SHOWN: usize = 120;

/// `timeout` rounded up to what a [`Dialect::WholeSeconds`] ping takes.
#[must_use]
pub fn whole_seconds(timeout: Duration) -> u64 {
    timeout.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// What a finished ping said.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A reply, and the round trip that `ping` measured.
    Reply(Duration),
    /// One packet sent, none received.
    NoReply,
    /// It does not know an option: worth asking again in [`Dialect::WholeSeconds`].
    OtherDialect,
    /// Nothing that is evidence.
    Silent(SilenceReason, String),
}

/// What has been read so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Our first line has not come yet.
    Waiting,
    /// `ping` has been started.
    Begun,
    /// All is said.
    Done(Answer),
}

/// Reads the output so far. Cheap enough to be called after each piece: the whole is a few hundred bytes.
#[must_use]
pub fn read(word: &str, output: &[u8]) -> Reading {
    let text = String::from_utf8_lossy(output);
    let begin = format!("begin-{word}\n");
    let Some((_, rest)) = text.split_once(&begin) else { return Reading::Waiting };
    let end = format!("end-{word} ");
    let Some((said, status)) = rest.split_once(&end) else { return Reading::Begun };
    match status.split_once('\n') {
        Some((status, _)) => Reading::Done(answer(status.trim(), said)),
        None => Reading::Begun,
    }
}

/// What it means that the command ended, or its output, without our last line.
#[must_use]
pub fn unfinished(word: &str, output: &[u8]) -> (SilenceReason, String) {
    if output.len() >= OUTPUT_CAP {
        return (
            SilenceReason::Nonsense,
            format!("more than {OUTPUT_CAP} bytes of output; the login shell prints too much"),
        );
    }
    if read(word, output) != Reading::Waiting {
        return (SilenceReason::Disconnected, "our command was ended before it was done".to_owned());
    }
    let text = String::from_utf8_lossy(output);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    let said = printable(first, SHOWN);
    (
        SilenceReason::Nonsense,
        format!(
            "our command was not run as given: it said \"{said}\"; give the account a login shell that runs commands, and the key no command but that of natwatch print authorized-key"
        ),
    )
}

fn answer(status: &str, said: &str) -> Answer {
    let none_back = said.contains("1 packets transmitted, 0 received")
        || said.contains("1 packets transmitted, 0 packets received");
    let last = || printable(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing"), SHOWN);
    let lower = said.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match status {
        "0" => round_trip(said).map_or_else(
            || Answer::Silent(SilenceReason::Nonsense, format!("ping succeeded without a time: \"{}\"", last())),
            Answer::Reply,
        ),
        // iputils counts a packet that the kernel refused to send as transmitted.
        "1" if none_back && !any(&["sendmsg:", "sendto:", "operation not permitted"]) => Answer::NoReply,
        "127" => Answer::Silent(
            SilenceReason::NoPing,
            "ping is not installed: apt-get install iputils-ping, or dnf install iputils".to_owned(),
        ),
        "126" => Answer::Silent(
            SilenceReason::NoPing,
            format!("ping may not be run: \"{}\"; chmod a+x it, or install another", last()),
        ),
        KILLED => Answer::Silent(
            SilenceReason::Hung,
            "its ping did not end by itself, and was killed after two seconds more than it was given".to_owned(),
        ),
        _ if any(&["operation not permitted", "permission denied", "cap_net_raw"]) => Answer::Silent(
            SilenceReason::NoPing,
            format!(
                "ping may not send: \"{}\"; setcap cap_net_raw+p on it, or sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"",
                last()
            ),
        ),
        _ if any(&[
            "invalid number",
            "bad linger",
            "invalid argument",
            "invalid option",
            "unrecognized option",
            "usage:",
        ]) =>
        {
            Answer::OtherDialect
        }
        _ => {
            Answer::Silent(SilenceReason::Nonsense, format!("ping ended with {}: \"{}\"", printable(status, 8), last()))
        }
    }
}

/// The `time=12.3 ms` of a reply line.
fn round_trip(said: &str) -> Option<Duration> {
    let line = said.lines().find(|line| line.contains(" bytes from ") && line.contains("time"))?;
    let (_, time) = line.split_once("time=").or_else(|| line.split_once("time<"))?;
    let ms: f64 = time.trim_end().strip_suffix("ms").unwrap_or(time).split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(output: &str) -> Answer {
        match read("w", output.as_bytes()) {
            Reading::Done(answer) => answer,
            other => panic!("{output:?} was read as {other:?}"),
        }
    }

    #[test]
    fn a_reply_is_read_from_each_ping() {
        let iputils = "begin-w\nPING 203.0.113.1 (203.0.113.1) 56(84) bytes of data.\n64 bytes from 203.0.113.1: icmp_seq=1 ttl=62 time=12.5 ms\n\n--- 203.0.113.1 ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\nend-w 0\n";
        assert_eq!(done(iputils), Answer::Reply(Duration::from_micros(12_500)));
        let busybox = "begin-w\nPING 203.0.113.1 (203.0.113.1): 56 data bytes\n64 bytes from 203.0.113.1: seq=0 ttl=62 time=0.250 ms\n\n1 packets transmitted, 1 packets received, 0% packet loss\nend-w 0\n";
        assert_eq!(done(busybox), Answer::Reply(Duration::from_micros(250)));
    }

    #[test]
    fn a_miss_is_one_sent_and_none_received() {
        for said in [
            "1 packets transmitted, 0 received, 100% packet loss, time 0ms",
            "From 10.0.0.10 icmp_seq=1 Destination Host Unreachable\n1 packets transmitted, 0 received, +1 errors, 100% packet loss",
            "1 packets transmitted, 0 packets received, 100% packet loss",
        ] {
            assert_eq!(done(&format!("begin-w\n{said}\nend-w 1\n")), Answer::NoReply, "{said}");
        }
    }

    #[test]
    fn f106_an_option_that_busybox_does_not_know_is_no_miss() {
        for (status, said) in [
            (1, "ping: invalid number '0.300'"),
            (1, "ping: invalid option -- 'n'\nUsage: ping"),
            (2, "ping: bad linger time."),
        ] {
            assert_eq!(done(&format!("begin-w\n{said}\nend-w {status}\n")), Answer::OtherDialect, "{said}");
        }
    }

    #[test]
    fn f024_a_ping_that_is_missing_or_forbidden_is_silence() {
        for (status, said) in [
            (127, "sh: 1: ping: not found"),
            (126, "sh: 1: ping: Permission denied"),
            (2, "ping: socket: Operation not permitted"),
            (
                1,
                "ping: sendmsg: Operation not permitted\n1 packets transmitted, 0 received, 100% packet loss, time 0ms",
            ),
        ] {
            let answer = done(&format!("begin-w\n{said}\nend-w {status}\n"));
            assert!(matches!(answer, Answer::Silent(SilenceReason::NoPing, _)), "{said}: {answer:?}");
        }
    }

    #[test]
    fn f036_what_is_printed_outside_our_lines_counts_for_nothing() {
        let forged = "Welcome!\n1 packets transmitted, 0 received, 100% packet loss\nend-x 1\n";
        assert_eq!(read("w", forged.as_bytes()), Reading::Waiting);
        let both = format!(
            "{forged}begin-w\n64 bytes from 203.0.113.1: icmp_seq=1 ttl=62 time=1.0 ms\nend-w 0\n1 packets transmitted, 0 received\n"
        );
        assert_eq!(done(&both), Answer::Reply(Duration::from_millis(1)));
    }

    #[test]
    fn f037_a_command_that_is_not_ours_is_silence_with_what_it_said() {
        let (reason, detail) = unfinished("w", b"This account is currently not available.\x1b[31m\n");
        assert_eq!(reason, SilenceReason::Nonsense);
        assert!(detail.contains("This account is currently not available.\\u{1b}[31m\""), "{detail}");
        assert!(detail.contains("natwatch print authorized-key"), "{detail}");
    }

    #[test]
    fn f033_a_ping_that_had_to_be_killed_is_no_miss() {
        let answer = done("begin-w\nPING 203.0.113.1\nend-w 137\n");
        assert!(matches!(answer, Answer::Silent(SilenceReason::Hung, _)), "{answer:?}");
        let (reason, detail) = unfinished("w", b"motd\nbegin-w\nPING 203.0.113.1\n");
        assert_eq!(reason, SilenceReason::Disconnected, "{detail}");
    }

    #[test]
    fn exit_one_without_a_summary_is_silence() {
        let answer = done("begin-w\nping: something new\nend-w 1\n");
        assert!(matches!(answer, Answer::Silent(SilenceReason::Nonsense, _)), "{answer:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_output_panics_and_none_without_our_word_is_an_answer(output: Vec<u8>) {
            let reading = read("5f1e0a", &output);
            proptest::prop_assert!(!matches!(reading, Reading::Done(_)));
            let (reason, _) = unfinished("5f1e0a", &output);
            proptest::prop_assert!(reason == SilenceReason::Nonsense || read("5f1e0a", &output) == Reading::Begun);
        }
    }
}
