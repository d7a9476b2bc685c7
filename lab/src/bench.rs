//! `lab bench`: what natwatch takes, whole processes in the lab, against the shell script it replaces and the tools that others use.
//!
//! Every run is checked; one that ends otherwise than it should fails the bench. Times are wall clock from the start of the process;
//! traffic is the measure of outages and of "restored", never natwatch's own log. Memory is measured in runs of its own, as looking
//! at it costs time. What has been measured is written as soon as it is there, each part to marks of its own.

mod blocks;
mod figures;
mod healthy;
mod hosts;
mod machine;
mod meter;
mod moves;
mod noise;
mod outage;
mod outages;
mod parts;
mod pictures;
mod resources;
mod rounds;
mod samples;
mod soak;
mod text;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use crate::cli::{beside, complain, say};
use crate::demo::guarded;
use parts::Pages;

/// What is typed.
#[expect(clippy::struct_excessive_bools, reason = "flags, as they are typed")]
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// natwatch's binary; default: the one beside this program
    #[arg(long, value_name = "FILE")]
    natwatch: Option<PathBuf>,
    /// Runs of each kind; twice as many of each outage
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u8).range(1..=100))]
    runs: u8,
    /// One run of each kind, and small labs only: does it work at all?
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Only from the decision to the last subnet's first packet: told, and written nowhere
    #[arg(long, group = "part", conflicts_with_all = ["write", "docs"])]
    moves: bool,
    /// Only outages under each tool, and their pictures
    #[arg(long, group = "part")]
    outages: bool,
    /// Only what `watch` takes of the machine
    #[arg(long, group = "part")]
    resources: bool,
    /// Only `watch` in a noisy network: no takeover is right for so many minutes
    #[arg(long, group = "part", value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..))]
    noise: Option<u16>,
    /// Only `watch` through outages without end: nothing may grow in so many minutes
    #[arg(long, group = "part", value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(4..))]
    soak: Option<u16>,
    /// Only draw the pictures again, from the data in --docs
    #[arg(long, group = "part", requires = "docs")]
    pictures: bool,
    /// Outages under this tool only, to try it, with all that it says: watch, watch-fast, run, keepalived, keepalived-fast or peer; may be given again
    #[arg(long, value_name = "NAME", requires = "outages", conflicts_with_all = ["write", "docs"], value_parser = clap::builder::PossibleValuesParser::new(outages::TOOLS))]
    tool: Vec<String>,
    /// Put each part between its marks `<!-- bench:PART:begin -->` and `<!-- bench:PART:end -->` of this file; may be given again
    #[arg(long, value_name = "FILE")]
    write: Vec<PathBuf>,
    /// Put the data of outages into bench/outages.json of this folder, and their pictures beside it
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
}

impl Bench {
    fn natwatch(&self) -> anyhow::Result<PathBuf> {
        self.natwatch.clone().map_or_else(beside, Ok)
    }

    fn runs(&self) -> usize {
        if self.quick { 1 } else { usize::from(self.runs) }
    }

    fn outage_runs(&self) -> usize {
        if self.quick { 1 } else { usize::from(self.runs) * 2 }
    }

    /// The names of the marks that this call fills.
    fn blocks(&self) -> &'static [&'static str] {
        match self {
            Self { moves: true, .. } | Self { pictures: true, .. } => &[],
            Self { outages: true, .. } => &["outages", "outages-full"],
            Self { resources: true, .. } => &["resources"],
            Self { noise: Some(_), .. } => &["noise"],
            Self { soak: Some(_), .. } => &["soak"],
            _ => &["runs", "rounds", "outages", "outages-full", "resources"],
        }
    }

    fn all(&self) -> bool {
        !(self.moves || self.outages || self.resources || self.pictures) && self.noise.or(self.soak).is_none()
    }
}

fn progress(text: &str) {
    complain(&format!("bench: {text}"));
}

/// Says whether a figure is what was aimed at. No failure: a busy machine is none of natwatch's.
fn aim(what: &str, is: f64, most: f64) {
    let kept = if is <= most { "kept" } else { "NOT KEPT" };
    progress(&format!("aim {kept}: {what}: {is:.2}, at most {most:.2}"));
}

/// Measures what is wanted, tells it, and writes it where it is wanted.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<ExitCode> {
    // Before hours of measuring, not after.
    let pages = Pages::find(&bench.write, bench.docs.as_deref(), bench.blocks())?;
    if bench.pictures {
        pages.draw()?;
        return Ok(ExitCode::SUCCESS);
    }
    guarded(|| {
        let (version, size) = machine::binary(&bench.natwatch()?)?;
        let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
        let where_from = text::head(&date, &format!("{version}, binary {size}"), &machine::machine());
        if bench.moves {
            say(&format!("{}\n\n{}", text::medians(&where_from, bench.runs()), text::moved(&moves::all(bench)?)));
        }
        if bench.all() {
            let hosts = hosts::all(bench)?;
            let rounds = rounds::all(bench)?;
            let healthy = healthy::all(bench)?;
            let outage = outage::all(bench)?;
            let moves = moves::all(bench)?;
            let head = text::medians(&where_from, bench.runs());
            pages.put("runs", &text::main(&head, &healthy, &outage, &moves, &hosts))?;
            pages.put("rounds", &text::details(&head, &rounds, &hosts))?;
        }
        if bench.all() || bench.outages {
            let measured = outages::all(bench, &where_from)?;
            pages.put("outages", &outages::brief(&measured))?;
            pages.put("outages-full", &outages::full(&measured))?;
            pages.keep(&measured)?;
        }
        if bench.all() || bench.resources {
            pages.put("resources", &resources::all(bench, &where_from)?)?;
        }
        if let Some(minutes) = bench.noise {
            pages.put("noise", &noise::all(bench, &where_from, minutes)?)?;
        }
        if let Some(minutes) = bench.soak {
            pages.put("soak", &soak::all(bench, &where_from, minutes)?)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
