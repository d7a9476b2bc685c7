//! `natwatch status --watch`: the status again and again, for who looks on.
//!
//! The state folder is read each second, EC2 is asked once a minute and when what was taken over or is guarded changes; nobody waits
//! for its answer. It changes nothing. The one trace of it is a shared lock on the folder, by which a `watch` knows that somebody looks
//! on, and keeps every round; it ends with this process, however that ends.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::screen::{Event, Output};
use super::{Asked, ask, tell};
use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::ec2::Ec2;
use crate::model::failure::exit;
use crate::model::{Failure, Found, Pass, Round};
use crate::record::lock::View as Looking;
use crate::record::{GUARDED, LAST_ROUND, Mark, State, TAKEOVER};
use crate::report::Style;
use crate::report::live::{self, Rounds, View};
use crate::report::status::{self, Status};

/// Between two sights: eyes want no more.
const EACH: Duration = Duration::from_secs(1);

/// Between two questions to EC2 while nothing changes: half a dozen calls, as many as anybody's console makes.
const ASKED_EACH: Duration = Duration::from_mins(1);

/// After a change EC2 is asked at once, and again after this: its answers may be older than what was changed ("eventual consistency",
/// Amazon EC2 API reference).
const ASKED_AGAIN: Duration = Duration::from_secs(10);

/// What is read from a pipe begins with what EC2 says, if it says it within this; a status is nothing without who carries what.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rounds of a pass, of all that it knew.
#[derive(Deserialize)]
struct Evidence {
    looks: Vec<Look>,
}

#[derive(Deserialize)]
struct Look {
    round: Round,
}

/// A question to EC2 that is under way.
type Asking<'a> = Pin<Box<dyn Future<Output = Asked> + 'a>>;

/// What is known so far.
struct Sight<'a> {
    settings: &'a Settings,
    looking: Option<Looking>,
    answers: Answers,
    rounds: Rounds,
    last: Last,
}

/// What EC2 has said.
#[derive(Default)]
struct Answers {
    /// The last answer that tells where the subnets are, or else the last one.
    asked: Option<Asked>,
    /// Why it could not be asked since.
    trouble: Option<String>,
}

/// The last round as it was read.
#[derive(Default)]
struct Last {
    mark: Option<Mark>,
    trouble: Option<String>,
    pass: Option<(Timestamp, Pass)>,
}

/// When EC2 is asked.
struct Questions {
    due: Instant,
    /// The files that tell what is where, as they were when it was asked.
    marks: [Option<Mark>; 2],
}

/// Shows the status until a signal ends it: 0.
///
/// # Errors
/// The state folder can't be used, the way to EC2 can't be set up, or nothing can be written.
pub async fn command(settings: &Settings, global: &Global) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let state = State::look(&settings.state).map_err(|error| failed(error.to_string()))?;
    let ec2 = Ec2::connect(settings.region.as_deref()).map_err(failed)?;
    let told = |error: io::Error| failed(format!("stdout: {error}"));
    let mut output = Output::new(global.format == Format::Json).map_err(told)?;
    let shown = Box::pin(show(settings, global, state, &ec2, &mut output)).await;
    output.leave().await;
    shown.map(|()| 0).map_err(told)
}

async fn show(settings: &Settings, global: &Global, state: State, ec2: &Ec2, output: &mut Output) -> io::Result<()> {
    let style = crate::run::style(global, output.screen);
    let mut sight = Sight::new(settings);
    let mut questions = Questions { due: Instant::now(), marks: Questions::marks(&state) };
    let mut state = Rc::new(state);
    let mut asking: Option<Asking<'_>> = None;
    let mut ticks = interval(EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut told = String::new();
    loop {
        tokio::select! {
            biased;
            event = output.next() => match event? {
                Event::Stop => return Ok(()),
                Event::Suspend => output.suspend().await,
            },
            asked = answer(&mut asking) => {
                asking = None;
                sight.answers.learn(asked);
            }
            _ = ticks.tick() => {
                if output.abandoned() {
                    return Ok(());
                }
                let unsafe_now = State::look(&settings.state).map(|found| state = Rc::new(found)).err();
                if asking.is_none() && questions.fall_due(&state) {
                    let state = Rc::clone(&state);
                    asking = Some(Box::pin(async move { Box::pin(ask(ec2, settings, &state)).await }));
                }
                let status = sight.of(&state, unsafe_now.map(|error| error.to_string()));
                let view = sight.view(&status);
                if output.screen {
                    output.show(&live::screen(&view, output.size(), style));
                    continue;
                }
                if view.asked.is_none() && began.elapsed() < PATIENCE {
                    continue;
                }
                let occasion = live::occasion(&view);
                if occasion != told && output.write(text(global, &view, style, told.is_empty())) {
                    told = occasion;
                }
            }
        }
    }
}

/// What EC2 says; without end where it is not asked.
async fn answer(asking: &mut Option<Asking<'_>>) -> Asked {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

fn text(global: &Global, view: &View<'_>, style: Style, first: bool) -> String {
    match global.format {
        Format::Json => status::json(view.status),
        Format::Text => format!("{}{}", if first { "" } else { "\n" }, live::text(view, style)),
    }
}

impl Questions {
    fn marks(state: &State) -> [Option<Mark>; 2] {
        [TAKEOVER, GUARDED].map(|file| state.mark(file))
    }

    /// Whether EC2 is to be asked now.
    fn fall_due(&mut self, state: &State) -> bool {
        let now = Instant::now();
        let marks = Self::marks(state);
        let changed = std::mem::replace(&mut self.marks, marks) != marks;
        let due = changed || now >= self.due;
        if due {
            self.due = now + if changed { ASKED_AGAIN } else { ASKED_EACH };
        }
        due
    }
}

impl Answers {
    fn learn(&mut self, asked: Asked) {
        let known = self.asked.as_ref().is_some_and(|before| before.guarded.is_ok());
        self.trouble = match &asked.guarded {
            // Where everything was a minute ago tells more than that nobody knows.
            Err(why) if known => Some(why.clone()),
            _ => None,
        };
        if self.trouble.is_none() {
            self.asked = Some(asked);
        }
    }
}

impl<'a> Sight<'a> {
    fn new(settings: &'a Settings) -> Self {
        let (answers, rounds, last) = (Answers::default(), Rounds::default(), Last::default());
        Self { settings, looking: None, answers, rounds, last }
    }

    /// What there is to be told now; `unsafe_now`: why the folder can't be used.
    fn of(&mut self, state: &State, unsafe_now: Option<String>) -> Status {
        if self.looking.as_ref().is_none_or(|looking| !looking.stands(state)) {
            self.looking = Looking::begin(state);
        }
        self.read(state);
        let last = (self.last.trouble.clone(), self.last.pass.clone());
        let mut status = tell(self.settings, state, self.answers.asked.as_ref(), last);
        status.notes.splice(0..0, unsafe_now);
        status
    }

    fn read(&mut self, state: &State) {
        let mark = state.mark(LAST_ROUND);
        if mark == self.last.mark {
            return;
        }
        let found = state.read_last_round::<Evidence>();
        let trouble = found.trouble();
        let pass = match found {
            Found::Present(last) => {
                let rounds: Vec<Round> = last.case.looks.into_iter().map(|look| look.round).collect();
                self.rounds.learn(last.at, &last.pass, &rounds);
                Some((last.at, last.pass))
            }
            _ => None,
        };
        self.last = Last { mark, trouble, pass };
    }

    fn view<'v>(&'v self, status: &'v Status) -> View<'v> {
        View {
            status,
            asked: self.answers.asked.as_ref().map(|asked| asked.at),
            trouble: self.answers.trouble.as_deref(),
            rounds: &self.rounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cloud::Masquerade;
    use crate::model::{Family, GuardedSet, Survey};

    fn asked(at: i64, guarded: Result<GuardedSet, String>) -> Asked {
        let unknown = || "not asked".to_owned();
        let survey = Survey {
            identity: Err(unknown()),
            tables: Err(unknown()),
            standby: Err(unknown()),
            primary: None,
            uptime: Err(unknown()),
            ip_forward: Err(unknown()),
            ip_forward_of: Family::V4,
            masquerade: Masquerade::Present,
        };
        Asked { at: Timestamp::from_second(at).unwrap(), survey, guarded, answers: None }
    }

    #[test]
    fn f061_what_ec2_said_before_is_kept_while_it_cannot_be_asked() {
        let set = GuardedSet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            subnets: Vec::new(),
            families: Vec::new(),
            public: Vec::new(),
            leads_to: None,
            admission: None,
            tables: None,
            own: None,
            names: crate::model::Names::new(),
            seen: Timestamp::UNIX_EPOCH,
        };
        let mut answers = Answers::default();
        let mut after = |at: i64, said: Result<GuardedSet, String>| {
            answers.learn(asked(at, said));
            let told = answers.asked.as_ref().unwrap();
            (told.at.as_second(), told.guarded.is_ok(), answers.trouble.clone())
        };
        let down = || Err("timed out".to_owned());
        assert_eq!(after(1, down()), (1, false, None));
        assert_eq!(after(2, down()), (2, false, None));
        assert_eq!(after(3, Ok(set.clone())), (3, true, None));
        assert_eq!(after(4, down()), (3, true, Some("timed out".to_owned())));
        assert_eq!(after(5, Ok(set)), (5, true, None));
    }
}
