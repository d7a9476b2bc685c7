//! `lab bench`: what natwatch takes, whole processes in the lab, against the shell script it replaces.
//!
//! Every run is checked; one that ends otherwise than it should fails the bench. Times are wall clock from the start of the process;
//! traffic is the measure of "restored", never natwatch's own log. Memory is measured in runs of its own, as looking at it costs time.

mod figures;
mod healthy;
mod hosts;
mod machine;
mod meter;
mod moves;
mod outage;
mod rounds;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::cli::{beside, complain, say};
use crate::demo::guarded;
use figures::replaced;

/// What is typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// natwatch's binary; default: the one beside this program
    #[arg(long, value_name = "FILE")]
    natwatch: Option<PathBuf>,
    /// Runs of each kind
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u8).range(1..=100))]
    runs: u8,
    /// One run of each kind, and small labs only: does it work at all?
    #[arg(long, conflicts_with_all = ["write", "details"])]
    quick: bool,
    /// Only from the decision to the last subnet's first packet: told, and written nowhere
    #[arg(long, conflicts_with_all = ["write", "details"])]
    moves: bool,
    /// Put the main tables between `<!-- bench:begin -->` and `<!-- bench:end -->` of this file; may be given again
    #[arg(long, value_name = "FILE")]
    write: Vec<PathBuf>,
    /// Put the tables of rounds by panel size, and of hosts files, between the same marks of this file; may be given again
    #[arg(long, value_name = "FILE")]
    details: Vec<PathBuf>,
}

impl Bench {
    fn natwatch(&self) -> anyhow::Result<PathBuf> {
        self.natwatch.clone().map_or_else(beside, Ok)
    }

    fn runs(&self) -> usize {
        if self.quick { 1 } else { usize::from(self.runs) }
    }
}

fn progress(text: &str) {
    complain(&format!("bench: {text}"));
}

/// Measures everything, tells it, and writes it where it is wanted.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<ExitCode> {
    guarded(|| {
        // Before minutes of measuring, not after.
        for path in bench.write.iter().chain(&bench.details) {
            write(path, "")?;
        }
        let (version, size) = machine::binary(&bench.natwatch()?)?;
        let head = text::head(
            &Timestamp::now().strftime("%Y-%m-%d").to_string(),
            &format!("{version}, binary {size}"),
            &machine::machine(),
            bench.runs(),
        );
        if bench.moves {
            say(&format!("{head}\n\n{}", text::moved(&moves::all(bench)?)));
            return Ok(ExitCode::SUCCESS);
        }
        let hosts = hosts::all(bench)?;
        let rounds = rounds::all(bench)?;
        let healthy = healthy::all(bench)?;
        let outage = outage::all(bench)?;
        let moves = moves::all(bench)?;
        let main = text::main(&head, &healthy, &outage, &moves, &hosts);
        let details = text::details(&head, &rounds, &hosts);
        say(&format!("{main}\n\n{details}"));
        for (paths, text) in [(&bench.write, main), (&bench.details, details)] {
            for path in paths {
                fs::write(path, write(path, &text)?).with_context(|| format!("write {}", path.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The file with the new block.
fn write(path: &Path, block: &str) -> anyhow::Result<String> {
    let document = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    replaced(&document, block).with_context(|| {
        format!("{} has not one `<!-- bench:begin -->` and after it one `<!-- bench:end -->`", path.display())
    })
}
