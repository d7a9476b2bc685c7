//! Whether a `watch` that is at work goes by the configuration that was examined: by the rules of the last round that it kept. One that was edited holds
//! for a `watch` only after a reload, and not where that was refused; a `run` reads it each time.
//!
//! Backends, targets and SSH are not compared: of those the last round keeps what it came to, and not what it was made with.

use crate::config::Settings;
use crate::decide;
use crate::model::{Finding, Fitness, Found, Topic};
use crate::record::{State, lock};

/// `None`: no watch is at work, or it has kept no round that could be read.
pub(super) fn finding(settings: &Settings, state: &State) -> Option<Finding> {
    lock::watching(state)?;
    let Found::Present(last) = state.read_last_round::<decide::Ruled>() else { return None };
    Some(judge(&decide::apart(&last.case.rules, &settings.watched())))
}

fn judge(apart: &[String]) -> Finding {
    let finding = |fitness, text: String| Finding::new(Topic::Service, "watched-by", fitness, text);
    if apart.is_empty() {
        return finding(Fitness::Fit, "the watch at work goes by the rules of this configuration".to_owned());
    }
    finding(Fitness::Warning, decide::another(apart))
        .cause("watched-by-another")
        .remedy("systemctl reload natwatch-watch; journalctl -u natwatch-watch -n 20")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        vec![judge(&["threshold".to_owned()])]
    }

    #[test]
    fn f105_a_watch_that_goes_by_other_rules_than_the_file_is_named_with_what_differs() {
        assert_eq!(judge(&[]).fitness, Fitness::Fit);
        let found = judge(&["rounds".to_owned(), "threshold".to_owned()]);
        assert_eq!(found.fitness, Fitness::Warning);
        assert!(found.text.contains("(rounds, threshold)"), "{found:?}");
        crate::doctor::tests::can_be_done(&[found]);
    }
}
