//! Asks on a terminal before something is changed. It changes nothing itself.

use std::io::{BufRead as _, IsTerminal as _};

use tokio::sync::oneshot;

use crate::model::Failure;
use crate::model::failure::exit;
use crate::report;
use crate::run::signal;

/// Shows `options`, numbered from 1, and asks which one is meant; `None`: none of them, or there is no terminal to ask on.
///
/// # Errors
/// 128 and the signal's number: SIGTERM or Ctrl-C instead of an answer.
pub(crate) async fn choose(question: &str, options: &[String]) -> Result<Option<usize>, Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(None);
    }
    report::progress(question);
    for (n, option) in (1..).zip(options) {
        report::progress(&format!("  {n}  {option}"));
    }
    report::progress(&format!("[1 to {}, or nothing to leave it open]", options.len()));
    let line = line("nothing is written").await?;
    let number = line.trim().parse::<usize>().ok();
    Ok(number.and_then(|number| number.checked_sub(1)).filter(|n| *n < options.len()))
}

/// The next line that is typed; empty where there is none.
async fn line(otherwise: &str) -> Result<String, Failure> {
    let (told, answer) = oneshot::channel();
    // A thread of its own, which nothing waits for: the process ends although it still reads.
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = told.send(std::io::stdin().lock().read_line(&mut line).map(|_| line));
    });
    let line = tokio::select! {
        number = signal() => {
            return Err(Failure::new(128 + number, format!("ended by signal {number}; {otherwise}")));
        }
        line = answer => line.unwrap_or_else(|_| Ok(String::new())),
    };
    line.map_err(|error| Failure::new(exit::FAILED, format!("stdin: {error}")))
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
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
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
        report::progress(about);
        report::progress(&format!("{} [y/N]", self.asks));
        let line = line(self.otherwise).await?;
        let answer = line.trim();
        if answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes") {
            Ok(())
        } else {
            Err(Failure::new(exit::FAILED, format!("not confirmed; {}", self.otherwise)))
        }
    }
}
