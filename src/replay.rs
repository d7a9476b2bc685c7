//! `natwatch replay FILE`: decides again, offline, from a saved round or from a scenario, and says why rule by rule.
//!
//! It reads that one file and nothing else: no configuration, no state folder, no network, no EC2. What the file says it came to
//! is compared with what these rules come to.
//!
//! | file | job |
//! |---|---|
//! | `scenario`, `expect`, `values` | a scenario as written |
//! | `expand` | the case that it stands for |
//! | `compare` | where what was expected and what follows differ |

mod compare;
mod expand;
mod expect;
mod scenario;
mod values;

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::cli::{self, Format, Global};
use crate::decide::{Case, conclude, explain};
use crate::model::failure::exit;
use crate::model::{Failure, Found, Pass, printable};
use crate::record::round::LastRound;
use crate::record::{READ_LIMIT, parse};
use crate::report::{self, Color, Style};
use scenario::Fault;

pub use expect::{Expect, Follows};

/// How much of a line is shown with what is wrong with it.
const SHOWN: usize = 60;

/// A saved round or a scenario.
#[derive(Debug, Clone)]
pub struct Input {
    /// What it shows, where it is a scenario.
    pub about: Option<String>,
    /// The rows of the fault catalogue that it is about.
    pub rows: Vec<u16>,
    /// All that was known.
    pub case: Case,
    /// What it came to when it was saved.
    pub saved: Option<Pass>,
    /// What it must come to, where it is a scenario that says so.
    pub expect: Option<Expect>,
    /// Whether nothing was to be changed.
    dry_run: bool,
}

impl Input {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// 2: it can't be read, is no regular file, is larger than 32 MiB, of a newer version, or not one of ours.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let shown = shown(path);
        let failed = |why: String| Failure::new(exit::FAILED, format!("{shown}: {why}"));
        // Without NONBLOCK, opening a FIFO that nobody writes would wait for ever.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| failed(error.to_string()))?;
        if !file.metadata().map_err(|error| failed(error.to_string()))?.is_file() {
            return Err(failed("not a regular file; save it as one first".to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(READ_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > READ_LIMIT {
            return Err(failed(format!("larger than {} MiB; natwatch writes no such file", READ_LIMIT >> 20)));
        }
        Self::parse(path, &bytes)
    }

    /// Reads `bytes`, the content of the file at `path`: JSON or TOML by the ending of its name, else by what it begins with.
    ///
    /// # Errors
    ///
    /// 2: of a newer version, or not one of ours.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let json = match ending {
            Some("json") => true,
            Some("toml") => false,
            _ => bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'),
        };
        if json { Self::saved(path, bytes) } else { Self::scenario(path, bytes) }
    }

    fn saved(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        match parse::<LastRound<Case>>(path.to_owned(), bytes) {
            Found::Present(LastRound { case, pass, .. }) => {
                let dry_run = pass.dry_run;
                Ok(Self { about: None, rows: Vec::new(), case, saved: Some(pass), expect: None, dry_run })
            }
            found => {
                let remedy = if matches!(found, Found::Newer { .. }) {
                    "replay it with that version"
                } else {
                    "accepted: a last-round.json of this version, or a scenario (TOML)"
                };
                let trouble = printable(&found.trouble().unwrap_or_default(), 600);
                Err(Failure::new(exit::FAILED, format!("{trouble}; {remedy}")))
            }
        }
    }

    fn scenario(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let shown = shown(path);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let why = format!(
                "{shown}: not UTF-8, at byte {}; accepted: a last-round.json, or a scenario (TOML)",
                error.valid_up_to()
            );
            Failure::new(exit::FAILED, why)
        })?;
        let faults = match scenario::parse(text) {
            Err(fault) => vec![fault],
            Ok(scenario) => match expand::expand(&scenario) {
                Err(faults) => faults,
                Ok(case) => {
                    return Ok(Self {
                        about: Some(scenario.about),
                        rows: scenario.rows,
                        case,
                        saved: None,
                        expect: scenario.expect,
                        dry_run: scenario.dry_run,
                    });
                }
            },
        };
        let lines: Vec<String> = faults.iter().map(|fault| place(&shown, text, fault)).collect();
        Err(Failure::new(exit::FAILED, lines.join("\n")))
    }

    /// The pass as these rules have it. How long it took, and what was noted besides, is as it was saved.
    #[must_use]
    pub fn pass(&self) -> Pass {
        let pass = self.case.pass(conclude(&self.case));
        match &self.saved {
            Some(saved) => Pass { elapsed: saved.elapsed, notes: saved.notes.clone(), dry_run: self.dry_run, ..pass },
            None => Pass { dry_run: self.dry_run, ..pass },
        }
    }

    /// Where what the file says it came to and what these rules come to differ: one line each.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let pass = self.pass();
        let mut all = self.saved.as_ref().map(|saved| compare::with_saved(saved, &pass)).unwrap_or_default();
        if let Some(expect) = &self.expect {
            all.extend(compare::with_expected(expect, &pass, explain(&self.case).plan.as_ref(), self.case.next()));
        }
        all
    }
}

/// A path as messages have it.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 200)
}

/// `file:line: the line: what is wrong`.
fn place(file: &str, text: &str, fault: &Fault) -> String {
    let what = printable(&fault.text, 600);
    let Some(at) = fault.at else { return format!("{file}: {what}") };
    let number = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let line = printable(text.lines().nth(number).unwrap_or_default().trim(), SHOWN);
    format!("{file}:{}: {line}: {what}", number + 1)
}

/// Prints why; 0 where it comes to what the file says, 2 where it doesn't.
///
/// # Errors
///
/// 2: the file can't be read or is not one of ours, or stdout can't be written.
pub fn command(file: &Path, global: &Global) -> Result<u8, Failure> {
    let input = Input::read(file)?;
    let pass = input.pass();
    let differences = input.differences();
    let text = if global.format == Format::Json {
        for one in &differences {
            tracing::warn!(event = "difference", "{}: {one}", shown(file));
        }
        report::json::run(&pass)
    } else {
        let choice = match global.color {
            cli::Color::Auto => Color::Auto,
            cli::Color::Always => Color::Always,
            cli::Color::Never => Color::Never,
        };
        let style = Style::new(choice, std::io::stdout().is_terminal(), |name| std::env::var(name).ok());
        let compared = (input.saved.is_some() || input.expect.is_some()).then_some(differences.as_slice());
        report::replay::text(input.about.as_deref(), &explain(&input.case), &pass, compared, style)
    };
    report::stdout(&text).map_err(|error| Failure::new(exit::FAILED, format!("stdout: {error}")))?;
    Ok(if differences.is_empty() { 0 } else { exit::FAILED })
}

#[cfg(test)]
mod tests;
