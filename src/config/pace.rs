//! How long the passes of a `watch` take by a configuration: what others go by who ask whether it hangs.

use std::time::Duration;

use super::Settings;

/// While nothing changes a `watch` writes its last round each half a minute, what changes at once, and a takeover that goes well takes less than
/// the rest of this.
const WATCHED: Duration = Duration::from_mins(1);

/// What is written each half a minute may be so old when the next pass begins.
const KEPT: Duration = Duration::from_secs(30);

/// What a pass takes besides its evidence and its takeover: readings, records, and EC2 where the address comes along.
const BESIDES: Duration = Duration::from_secs(10);

impl Settings {
    /// What a pass of a `watch` takes where all is well: each target is pinged once per `decision.interval`, and each backend of the panel
    /// pings one.
    #[must_use]
    pub fn calm_pass(&self) -> Duration {
        let observe = &self.observe;
        let count = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        let all = observe.backends.len();
        let panel = if observe.panel == 0 { all } else { observe.panel.min(all) };
        self.watch.interval.saturating_mul(count(panel)) / count(observe.targets.len())
    }

    /// The age from which on the last round of a `watch` is that of one that hangs.
    #[must_use]
    pub fn watched_within(&self) -> Duration {
        WATCHED.max(self.calm_pass().saturating_mul(2).saturating_add(KEPT))
    }

    /// The longest that a pass of a `watch` can take that does not hang: a calm in which somebody has to log in, and a takeover after it, which
    /// `decision.deadline` has room for from the first miss to the last verification.
    #[must_use]
    pub fn longest_pass(&self) -> Duration {
        let ssh = &self.observe.ssh;
        [ssh.connect_timeout, ssh.login_timeout, self.deadline, BESIDES]
            .into_iter()
            .fold(self.calm_pass(), Duration::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::*;

    #[test]
    fn a_slow_pace_is_not_taken_for_a_watch_that_hangs() {
        let (seconds, backends) =
            (Duration::from_secs, "backends.hosts = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]\n");
        for (more, pass, within, longest) in [
            ("", seconds(2), seconds(60), seconds(85)),
            ("backends.panel = 0\ndecision.interval = \"1m\"", seconds(120), seconds(270), seconds(203)),
            ("decision.interval = \"1h\"", seconds(7200), seconds(14_430), seconds(7283)),
            ("decision.deadline = \"150s\"\ntakeover.verify_for = \"2m\"", seconds(2), seconds(60), seconds(175)),
        ] {
            let settings = parsed(&format!("{backends}{more}"));
            assert_eq!(
                (settings.calm_pass(), settings.watched_within(), settings.longest_pass()),
                (pass, within, longest),
                "{more}"
            );
        }
    }
}
