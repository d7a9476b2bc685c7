//! Asks on a terminal: before something is changed, and for what only who sits there knows. It changes nothing itself.
//!
//! Without a terminal nobody is asked and nothing is waited for.

use std::future::Future;
use std::io::{BufRead as _, IsTerminal as _};

use tokio::sync::oneshot;

use crate::model::Failure;
use crate::model::failure::exit;
use crate::report;
use crate::run::Signals;

/// So often a question is asked: who has mistyped types it right the next time, and who does not know won't know the fourth time either.
const TRIES: usize = 3;

/// What came of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// Enter, or there is nobody to ask.
    #[default]
    Nothing,
    /// This.
    This(T),
    /// Nothing that could be used, each time.
    Unusable,
    /// The end of all input (Ctrl-D): who was asked has no more to say.
    End,
}

/// Whether somebody can be asked: standard input and standard error are terminals.
pub(crate) fn somebody() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Who asks. Ctrl-C and SIGTERM are heard from the moment this is made, and so between two questions too: the runtime takes them over for
/// good with the first who listens, and one that came while nobody does would be lost.
pub(crate) struct Asker {
    signals: Signals,
}

impl Asker {
    pub(crate) fn new() -> Self {
        Self { signals: Signals::new() }
    }

    /// Asks in one line, with what enter takes in brackets, until `take` accepts what was typed, three times at most. What `take` says of
    /// a wrong answer is shown.
    ///
    /// # Errors
    /// 2: the terminal can't be read. 128 and the signal's number: SIGTERM or Ctrl-C instead of an answer.
    pub(crate) async fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        take: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Answer<T>, Failure> {
        if !somebody() {
            return Ok(Answer::Nothing);
        }
        let default = default.map_or_else(String::new, |default| format!(" [{default}]"));
        for _ in 0..TRIES {
            report::ask::question(&format!("{question}{default}:"));
            let Some(line) = self.line("nothing is written").await? else {
                // The line of the question has no end yet.
                report::progress("\n");
                return Ok(Answer::End);
            };
            match line.trim() {
                "" => return Ok(Answer::Nothing),
                typed => match take(typed) {
                    Ok(taken) => return Ok(Answer::This(taken)),
                    Err(why) => report::progress(&format!("  {why}")),
                },
            }
        }
        Ok(Answer::Unusable)
    }

    /// What comes of `work`, unless a signal comes first.
    ///
    /// # Errors
    /// 128 and the signal's number: SIGTERM or Ctrl-C.
    pub(crate) async fn unless_ended<T>(
        &mut self,
        work: impl Future<Output = T>,
        otherwise: &str,
    ) -> Result<T, Failure> {
        tokio::select! {
            // A line that is there too may be what the terminal made of the rest of what was typed.
            biased;
            number = self.signals.next() => {
                Err(Failure::new(128 + number, format!("ended by signal {number}; {otherwise}")))
            }
            done = work => Ok(done),
        }
    }

    /// The next line that is typed; `None`: there is no further one. What is no UTF-8 is replaced, and no good answer to anything.
    async fn line(&mut self, otherwise: &str) -> Result<Option<String>, Failure> {
        let (told, answer) = oneshot::channel();
        // A thread of its own, which nothing waits for: the process ends although it still reads.
        std::thread::spawn(move || {
            let mut line = Vec::new();
            let _ = told.send(std::io::stdin().lock().read_until(b'\n', &mut line).map(|_| line));
        });
        let line = self.unless_ended(answer, otherwise).await?.unwrap_or_else(|_| Ok(Vec::new()));
        let line = line.map_err(|error| Failure::new(exit::FAILED, format!("stdin: {error}")))?;
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned()))
    }
}

/// What an operator is asked, and what the answer is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// What was typed.
    pub(crate) command: &'static str,
    /// The question, with what follows from yes.
    pub(crate) asks: &'static str,
    /// What follows from no.
    pub(crate) otherwise: &'static str,
}

impl Question {
    /// Whether there is somebody to ask.
    ///
    /// # Errors
    /// 64: there is no terminal, so the answer has to be on the command line.
    pub(crate) fn possible(&self) -> Result<(), Failure> {
        if somebody() {
            return Ok(());
        }
        Err(Failure::new(exit::USAGE, format!("there is no terminal to ask on: {} --yes", self.command)))
    }

    /// Shows `about` and asks; anything but yes is no.
    ///
    /// # Errors
    /// 64: as [`Self::possible`]. 2: the answer is no, or can't be read. 128 and the signal's number: SIGTERM or Ctrl-C instead of an
    /// answer.
    pub(crate) async fn ask(&self, about: &str) -> Result<(), Failure> {
        self.possible()?;
        let mut asker = Asker::new();
        report::progress(about);
        report::progress(&format!("{} [y/N]", self.asks));
        let line = asker.line(self.otherwise).await?.unwrap_or_default();
        let answer = line.trim();
        if answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes") {
            Ok(())
        } else {
            Err(Failure::new(exit::FAILED, format!("not confirmed; {}", self.otherwise)))
        }
    }
}
