//! What who sits at the terminal is asked: what can't be known from here, or could be one of several.
//!
//! It asks nothing where nobody sits there, nor after the end of input; a question that gets no usable answer stays open, as if it had not
//! been asked. It looks up nothing but the files that are named in answers.

use std::future::Future;
use std::path::{Path, PathBuf};

use super::around::{Around, Candidate, Choice};
use super::draft::{IDENTITY, USER};
use super::hosts::Hosts;
use crate::config::{KEYS, Presence, typed};
use crate::confirm::{self, Answer, Asker};
use crate::model::{Failure, RouteTableId, printable};
use crate::report;

/// Of what was typed, in an answer to it.
const SHOWN: usize = 60;

/// What was answered, of what fills a key by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) region: Answer<String>,
    pub(super) user: Answer<String>,
    pub(super) identity: Answer<PathBuf>,
    pub(super) targets: Answer<Vec<String>>,
}

/// Whoever can be asked.
pub(super) struct Questions {
    asking: bool,
    asker: Asker,
}

impl Questions {
    /// Nobody is asked where `silent`, and where there is no terminal. Says how to answer.
    pub(super) fn new(silent: bool) -> Self {
        let asking = !silent && confirm::somebody();
        if asking {
            report::progress(
                "enter takes what is in brackets, and leaves open what has none; Ctrl-D leaves all the rest as it is",
            );
        }
        Self { asking, asker: Asker::new() }
    }

    /// What is seen around here, unless a signal comes first.
    ///
    /// # Errors
    /// 128 and the signal's number: SIGTERM or Ctrl-C.
    pub(super) async fn meanwhile<T>(&mut self, looking: impl Future<Output = T>) -> Result<T, Failure> {
        self.asker.unless_ended(looking, "nothing is written").await
    }

    async fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        take: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Answer<T>, Failure> {
        if !self.asking {
            return Ok(Answer::Nothing);
        }
        let answer = self.asker.ask(question, default, take).await?;
        self.asking = !matches!(answer, Answer::End);
        Ok(answer)
    }

    /// Which region this is, where neither IMDS nor the environment says.
    pub(super) async fn region(&mut self, around: &Around) -> Result<Answer<String>, Failure> {
        let Err(why) = &around.region else { return Ok(Answer::Nothing) };
        self.says(why);
        self.ask("Region of this instance, such as eu-west-1", None, typed::region).await
    }

    /// Which table is meant, where several could be, or none looks as if it were; not the one that is `taken`.
    pub(super) async fn table(
        &mut self,
        choice: Choice,
        around: &Around,
        taken: Option<&RouteTableId>,
        question: &str,
    ) -> Result<Choice, Failure> {
        let mut options = match &choice {
            Choice::One(_) | Choice::Typed(_) => return Ok(choice),
            Choice::Several(all) => all.clone(),
            Choice::Unknown(why) => {
                self.says(why);
                around.all()
            }
        };
        options.retain(|one| Some(&one.table.id) != taken);
        self.says(question);
        for (n, option) in (1..).zip(&options) {
            self.says(&format!("  {n}  {option}"));
        }
        let wanted = if options.is_empty() { "Its id, rtb-…" } else { "Its number or its id" };
        Ok(match self.ask(wanted, None, |typed| meant(typed, &options, taken)).await? {
            Answer::This(chosen) => chosen,
            Answer::Nothing | Answer::Unusable | Answer::End => choice,
        })
    }

    /// Who the backends are.
    pub(super) async fn hosts(&mut self, found: Hosts) -> Result<Hosts, Failure> {
        let default = match (found.nobody(), found.inside.as_deref()) {
            (None, Ok(inside)) => Some(format!("{}: {}", found.path.display(), counted(inside.len()))),
            (Some(why), _) if !found.within.is_empty() => {
                self.says(&why);
                None
            }
            _ => None,
        };
        let question = "Backends behind the primary: a hosts file, or names and addresses";
        Ok(match self.ask(question, default.as_deref(), |typed| found.answered(typed)).await? {
            Answer::This(answered) => answered,
            Answer::Nothing | Answer::Unusable | Answer::End => found,
        })
    }

    /// How to log in there, where no key is in its place, and what is pinged.
    pub(super) async fn rest(&mut self, region: Answer<String>) -> Result<Said, Failure> {
        let user = self.ask("User on the backends", Some(USER), typed::user).await?;
        let identity = if Path::new(IDENTITY).exists() {
            Answer::Nothing
        } else {
            let default = format!("{IDENTITY}, which is to be made");
            self.ask("Private key for the backends", Some(&default), typed::identity).await?
        };
        let targets =
            self.ask("Targets on the internet that answer ping", example().as_deref(), typed::targets).await?;
        Ok(Said { region, user, identity, targets })
    }

    /// For who is asked, and nobody else.
    fn says(&self, text: &str) {
        if self.asking {
            report::progress(text);
        }
    }
}

fn counted(hosts: usize) -> String {
    if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") }
}

/// The targets that a new configuration has, as one would type them.
fn example() -> Option<String> {
    let key = KEYS.iter().find(|key| key.path == "targets.hosts")?;
    let Presence::Required(example) = key.presence else { return None };
    Some(example.replace(['[', ']', '"', ','], ""))
}

/// The table by its number among these, or by its id; by its id alone where EC2 tells of none.
fn meant(typed: &str, options: &[Candidate], taken: Option<&RouteTableId>) -> Result<Choice, String> {
    let shown = printable(typed, SHOWN);
    let by_number = typed.parse::<usize>().ok().and_then(|number| options.get(number.checked_sub(1)?));
    if let Some(one) = by_number.or_else(|| options.iter().find(|one| one.table.id.as_str() == typed)) {
        return Ok(Choice::One(Box::new(one.clone())));
    }
    if !options.is_empty() {
        return Err(format!("{shown}: none of these; accepted: 1 to {}, or an id as it stands here", options.len()));
    }
    let id: RouteTableId = typed.parse().map_err(|error| format!("{error}"))?;
    if Some(&id) == taken {
        return Err(format!("{shown}: the other one's already; accepted: another route table"));
    }
    Ok(Choice::Typed(id))
}

#[cfg(test)]
mod tests;
