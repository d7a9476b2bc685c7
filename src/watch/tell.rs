//! Which passes are worth an event: every change that lasts, each takeover, and a reminder while something is wrong.
//!
//! A pass comes every few seconds, and a network that loses packets is degraded in one and well in the next. What is told is what
//! was so twice in a row, or came after something else that is neither well nor told of: trouble that changes its face lasts too. What
//! somebody did, or could not do, is told at once. However it goes, an event is followed by none for ten seconds, unless something was
//! moved; what could not be told for that is told then, even if it is over.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::model::{Gate, Outcome, Pass};
use crate::report;

/// While a state lasts that is not well, it is told again after this.
const REMINDER: Duration = Duration::from_hours(1);

/// Between two events, at least: some 360 an hour at the very worst.
const APART: Duration = Duration::from_secs(10);

type State = (Outcome, Option<Gate>);

fn state(pass: &Pass) -> State {
    (pass.outcome, pass.holds.first().map(|hold| hold.gate))
}

/// What was told.
pub(super) struct Teller {
    name: String,
    /// For programs: an event a pass, with fields.
    json: bool,
    told: Option<(State, Instant)>,
    /// What the latest pass came to.
    seen: Option<State>,
    /// Too urgent to be lost, and too soon after another event to be told.
    owed: Option<Pass>,
}

impl Teller {
    pub(super) fn new(name: &str, json: bool) -> Self {
        Self { name: name.to_owned(), json, told: None, seen: None, owed: None }
    }

    /// Tells of a pass, if it is worth it, as one that has `moved` something always is; returns what was told: the pass, or an urgent one before it.
    pub(super) fn tell(&mut self, pass: &Pass, moved: bool, now: Instant) -> Option<Pass> {
        let Some(event) = self.event(pass, moved, now) else {
            tracing::debug!(event = "pass", "{}: {}", pass.outcome, pass.because);
            return None;
        };
        if self.json {
            say_json(&event, &self.name);
        } else {
            say(&event, &self.name);
        }
        Some(event)
    }

    /// Whether a pass came to what was told last.
    pub(super) fn lasts(&self, pass: &Pass) -> bool {
        self.told.is_some_and(|(told, _)| told == state(pass))
    }

    /// The pass to tell of, which is `pass` or an urgent one before it.
    fn event(&mut self, pass: &Pass, moved: bool, now: Instant) -> Option<Pass> {
        let current = state(pass);
        let before = self.seen.replace(current);
        let told = self.told.map(|(told, at)| (told, now.saturating_duration_since(at)));
        // Not by the state that was told last: one that comes and goes is told of once.
        let news = |state: State| state.0 != Outcome::Healthy && told.is_none_or(|(told, _)| told != state);
        let lasts = before == Some(current) || (news(current) && before.is_some_and(news));
        let urgent = matches!(
            current.0,
            Outcome::Down | Outcome::Failed | Outcome::Partial | Outcome::Unverified | Outcome::WouldTakeOver
        );
        let event = match told {
            _ if moved => Some(pass),
            None => Some(pass),
            Some((told, age)) if told == current => (current.0 != Outcome::Healthy && age >= REMINDER).then_some(pass),
            Some((_, age)) if age >= APART => (urgent || lasts).then_some(pass),
            Some(_) => {
                if urgent && self.owed.as_ref().is_none_or(|owed| state(owed) != current) {
                    self.owed = Some(pass.clone());
                }
                None
            }
        };
        let due = told.is_none_or(|(_, age)| age >= APART);
        let event = match (event, self.owed.take()) {
            (Some(event), _) if urgent || event.outcome == Outcome::TakenOver => event.clone(),
            // Told of as it was, and what is now comes next.
            (_, Some(owed)) if due => owed,
            (Some(event), _) => event.clone(),
            (None, owed) => {
                self.owed = owed;
                return None;
            }
        };
        self.told = Some((state(&event), now));
        Some(event)
    }
}

/// The report of a pass, an event a line.
fn say(pass: &Pass, name: &str) {
    let event = pass.outcome.as_str();
    for line in report::text::run(pass, name, report::Style::PLAIN).lines() {
        match pass.exit {
            0 => tracing::info!(event, "{line}"),
            1 | 5 => tracing::warn!(event, "{line}"),
            // A takeover is what an operator has to know of, however quiet it is to be.
            _ => tracing::error!(event, "{line}"),
        }
    }
}

/// The same for programs: one event, with what there is to know in fields.
fn say_json(pass: &Pass, name: &str) {
    let event = pass.outcome.as_str();
    let gate = pass.holds.first().map(|hold| hold.gate.as_str());
    let remedy = pass.holds.first().map(|hold| hold.remedy.as_str());
    let moved = pass.moves.iter().filter(|one| one.result.moved()).count();
    let (exit, because) = (pass.exit, pass.because.as_str());
    let (notes, commands) = (joined(&pass.notes), joined(&pass.commands));
    let (notes, commands) = (notes.as_deref(), commands.as_deref());
    let said = report::text::headline(pass, name, report::Style::PLAIN);
    match pass.exit {
        0 => tracing::info!(event, name, exit, gate, because, remedy, moved, notes, commands, "{said}"),
        1 | 5 => {
            tracing::warn!(event, name, exit, gate, because, remedy, moved, notes, commands, "{said}");
        }
        _ => tracing::error!(event, name, exit, gate, because, remedy, moved, notes, commands, "{said}"),
    }
}

/// `None`: there are none.
fn joined(lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// What systemd is told of a pass, in a line.
pub(super) fn status(pass: &Pass, at: Timestamp, refused: &str) -> String {
    let gate = pass.holds.first().map(|hold| format!(", held by gate {}", hold.gate)).unwrap_or_default();
    let paused = pass.paused.as_ref().map(|paused| format!("; paused until {:.0}", paused.until)).unwrap_or_default();
    format!("{refused}{at:.0} {}{gate}: {}{paused}", pass.outcome, pass.because)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Hold;

    fn pass(outcome: Outcome, gate: Option<Gate>) -> Pass {
        let hold = |gate| Hold { gate, why: "why".to_owned(), remedy: String::new() };
        Pass {
            outcome,
            exit: 2,
            because: "because".to_owned(),
            holds: gate.map(hold).into_iter().collect(),
            judgements: Vec::new(),
            moves: Vec::new(),
            last: crate::model::LastSteps::default(),
            paused: None,
            drill: None,
            elapsed: Duration::ZERO,
            dry_run: false,
            notes: Vec::new(),
            commands: Vec::new(),
            names: crate::model::Names::new(),
        }
    }

    /// Passes at these seconds, and what is told at which.
    fn told(passes: impl IntoIterator<Item = (u64, Outcome)>) -> Vec<(u64, Outcome)> {
        let begin = Instant::now();
        let mut teller = Teller::new("n", false);
        let event = |(at, outcome)| {
            let event = teller.event(&pass(outcome, None), false, begin + Duration::from_secs(at))?;
            Some((at, event.outcome))
        };
        passes.into_iter().filter_map(event).collect()
    }

    use Outcome::{Degraded, Down, Healthy, Isolated, Locked, Partial, Unheard};

    #[test]
    fn f089_a_state_is_told_when_it_lasts_and_each_hour_unless_it_is_well() {
        let hours = |outcome| (0..=7300).step_by(3).map(move |at| (at, outcome));
        assert_eq!(told(hours(Healthy)), [(0, Healthy)]);
        assert_eq!(told(hours(Locked)), [(0, Locked), (3600, Locked), (7200, Locked)]);
        let comes =
            [(0, Healthy), (30, Degraded), (33, Healthy), (36, Isolated), (39, Isolated), (60, Healthy), (63, Healthy)];
        assert_eq!(told(comes), [(0, Healthy), (39, Isolated), (63, Healthy)]);
    }

    #[test]
    fn f089_trouble_whose_name_changes_from_pass_to_pass_lasts_too_and_is_told_once() {
        for (base, two) in
            [(Healthy, [Isolated, Unheard]), (Healthy, [Unheard, Degraded]), (Locked, [Isolated, Unheard])]
        {
            let alternate = (20..100).map(|at| (at, two[usize::from(at % 2 == 1)]));
            assert_eq!(told([(0, base)].into_iter().chain(alternate)), [(0, base), (21, two[1])]);
            // What is well, or known, in between ends it.
            let comes = (20..100).map(|at| (at, if at % 2 == 0 { two[0] } else { base }));
            assert_eq!(told([(0, base)].into_iter().chain(comes)), [(0, base)]);
        }
    }

    #[test]
    fn what_is_urgent_is_told_at_once_and_ten_seconds_after_another_event_at_the_latest() {
        assert_eq!(told([(0, Healthy), (30, Down), (33, Down)]), [(0, Healthy), (30, Down)]);
        // It lasts.
        assert_eq!(told([(0, Healthy), (3, Down), (6, Down), (9, Down), (12, Down)]), [(0, Healthy), (12, Down)]);
        // It is over by then, and told all the same; and then what is now.
        let over = [(0, Healthy), (3, Down), (6, Healthy), (9, Healthy), (12, Healthy), (15, Healthy), (24, Healthy)];
        assert_eq!(told(over), [(0, Healthy), (12, Down), (24, Healthy)]);
    }

    #[test]
    fn however_it_flaps_an_event_is_followed_by_none_for_ten_seconds() {
        let all = [Down, Healthy, Healthy, Degraded, Degraded, Down, Isolated, Isolated, Healthy];
        let flaps = (0..3600).map(|at| (at, all[usize::try_from(at).unwrap() * 7 / 3 % all.len()]));
        let told = told(flaps);
        assert!((100..=360).contains(&told.len()), "{}", told.len());
        assert!(told.windows(2).all(|two| two[1].0 - two[0].0 >= 10), "{told:?}");
    }

    #[test]
    fn f049_attempts_of_which_nobody_knows_the_outcome_are_told_as_the_state_that_they_leave() {
        let begin = Instant::now();
        let mut teller = Teller::new("n", false);
        let mut told = |at, moved| teller.event(&pass(Partial, None), moved, begin + Duration::from_secs(at)).is_some();
        let attempts: Vec<u64> = (0..=600).step_by(5).filter(|at| told(*at, false)).collect();
        assert_eq!(attempts, [0], "the same, again and again");
        assert!(told(601, true) && told(602, true), "what was moved is told at once");
    }

    #[test]
    fn another_gate_is_another_state() {
        let begin = Instant::now();
        let mut teller = Teller::new("n", false);
        let mut told = |at, gate| {
            teller
                .event(&pass(Down, Some(gate)), false, begin + Duration::from_secs(at))
                .map(|event| event.holds[0].gate)
        };
        assert_eq!(told(0, Gate::Paused), Some(Gate::Paused));
        assert_eq!(told(20, Gate::Paused), None);
        assert_eq!(told(23, Gate::Unfit), Some(Gate::Unfit));
    }

    #[test]
    fn the_status_has_its_moment_and_says_whose_configuration_holds() {
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(
            status(&pass(Down, Some(Gate::Unfit)), at, "refused; "),
            "refused; 2026-03-01T12:00:00Z down, held by gate unfit: because"
        );
    }
}
