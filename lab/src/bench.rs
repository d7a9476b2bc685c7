//! `lab bench`: what natwatch takes, whole processes in the lab, against the shell script it replaces.
//!
//! Every run is checked; one that ends otherwise than it should fails the bench. Times are wall clock from the start of the process;
//! traffic is the measure of "restored", never natwatch's own log. Memory is measured in runs of its own, as looking at it costs time.

mod figures;
mod healthy;
mod machine;
mod meter;
mod outage;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::cli::{beside, complain, say};
use crate::demo::guarded;
use figures::{replaced, table};

/// What is typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// natwatch's binary; default: the one beside this program
    #[arg(long, value_name = "FILE")]
    natwatch: Option<PathBuf>,
    /// Runs of each kind
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u8).range(1..=100))]
    runs: u8,
    /// One run of each kind, and no lab with 100 backends: does it work at all?
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Put the tables between `<!-- bench:begin -->` and `<!-- bench:end -->` of this file; may be given again
    #[arg(long, value_name = "FILE")]
    write: Vec<PathBuf>,
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
        for path in &bench.write {
            write(path, "")?;
        }
        let (version, size) = machine::binary(&bench.natwatch()?)?;
        let machine = machine::machine();
        let healthy = healthy::all(bench)?;
        let outage = outage::all(bench)?;
        let text = tell(bench, &format!("{version}, binary {size}"), &machine, &healthy, &outage);
        say(&text);
        for path in &bench.write {
            fs::write(path, write(path, &text)?).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The file with the new block.
fn write(path: &std::path::Path, block: &str) -> anyhow::Result<String> {
    let document = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    replaced(&document, block).with_context(|| {
        format!("{} has not one `<!-- bench:begin -->` and after it one `<!-- bench:end -->`", path.display())
    })
}

fn tell(bench: &Bench, binary: &str, machine: &str, healthy: &[healthy::Row], outage: &[outage::Row]) -> String {
    let rows: Vec<_> = healthy
        .iter()
        .map(|row| {
            vec![
                row.what.clone(),
                row.time.middle(),
                row.time.range(),
                row.processor.middle(),
                row.tree.middle(),
                row.own.middle(),
            ]
        })
        .collect();
    let first = table(
        &["healthy run, start to exit", "median", "min to max", "CPU", "memory, all processes", "natwatch's own"],
        &rows,
    );
    let rows: Vec<_> = outage
        .iter()
        .map(|row| {
            vec![
                row.what.clone(),
                row.restored.middle(),
                row.restored.range(),
                row.ended.middle(),
                row.processor.middle(),
                row.tree.middle(),
            ]
        })
        .collect();
    let second = table(
        &[
            "primary's masquerade rule gone, 6 backends in 2 subnets",
            "restored after",
            "min to max",
            "exit after",
            "CPU",
            "memory, all processes",
        ],
        &rows,
    );
    let runs = match bench.runs() {
        1 => "one run each, so no medians".to_owned(),
        runs => format!("medians of {runs} runs each"),
    };
    let date = Timestamp::now().strftime("%Y-%m-%d");
    format!(
        "Measured {date} by `lab bench` in the lab (`lab/README.md`): {binary}; {machine} before; {runs}.\n\n{first}\n{second}\n{NOTES}"
    )
}

const NOTES: &str = "\
All hosts share the machine's cores: a login costs the lab 50 to 100 ms of CPU on top of what is counted here. Times begin before \
`ip netns exec` and `setpriv`, a few milliseconds. \"Restored\" is the first datagram that came back in the later subnet, counted from the start of the run \
(cron adds up to its period). The API takes 80 ms to describe and 250 ms to change. No healthy run made an EC2 call.
CPU is user and system time of natwatch and all its ssh processes (a control group), the two programs that start it included. Memory is the highest sum of PSS over them, looked at every 10 ms in \
runs of its own; libraries that the lab's sshd uses too count by share. natwatch's own is its resident memory.
The script (`lab/src/bench/naive.sh`) asks one backend after the other by ssh to ping one target; three bad ones, and it moves one subnet after the other. \
Nearly all its time is ping's waiting: `-c 1` waits ten seconds for a reply unless told otherwise. A Python process with boto3 per call stands in for the AWS CLI.";
