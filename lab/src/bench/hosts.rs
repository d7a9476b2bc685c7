//! Hosts files: how long natwatch takes to read a large one.
//!
//! Measured from outside, on whole processes: `status` with a state folder that cannot be made ends right after the configuration
//! is loaded, before any packet. What a file of ten lines takes is the process itself; what a large one takes more is the reading:
//! the file, its lines, the filters, one backend per host.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use natwatch_lab::{Lab, Options};

use super::figures::Seconds;
use super::{Bench, progress};

/// A process takes milliseconds, so there can be more of them than of a run.
const TIMES: usize = 5;

/// `/dev/null` is no folder, so there is none in it, whoever asks.
const NOWHERE: &str = "/dev/null/state";

/// natwatch's exit status when it failed after it had read a good configuration; a bad one is another.
const FAILED: i32 = 2;

/// Keys of the configuration with other values.
type Changes = &'static [(&'static str, &'static str)];

/// The files compared: lines, and the filters as they are told and as they are configured. One name in twenty matches.
const FILES: [(usize, &str, Changes); 3] =
    [(10, "", &[]), (10_000, "", &[]), (10_000, ", filtered by `match` and `within`", FILTERS)];

const FILTERS: Changes = &[("backends.match", "\"^host[0-9]*5$\""), ("backends.within", "[\"10.64.0.0/10\"]")];

/// A line of the table.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) kib: u64,
    pub(super) time: Seconds,
}

/// The smallest file first: it is what the others are compared with.
pub(super) fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("raising a lab with 3 backends, for hosts files");
    let lab = Lab::up(&Options {
        backends: 3,
        natwatch: bench.natwatch()?,
        reply: None,
        traffic: false,
        ..Options::default()
    })?;
    let mut rows = Vec::new();
    let mut commands = Vec::new();
    for (n, (lines, filters, changes)) in FILES.into_iter().enumerate() {
        let folder = lab.plan().root.join("etc");
        let (hosts, config) = (folder.join(format!("hosts-{n}")), folder.join(format!("hosts-{n}.toml")));
        let text = file(lines);
        fs::write(&hosts, &text).with_context(|| format!("write {}", hosts.display()))?;
        let quoted = |text: &str| format!("\"{text}\"");
        let (hosts, state) = (quoted(&hosts.to_string_lossy()), quoted(NOWHERE));
        let own = [("backends.hosts_file", hosts.as_str()), ("state.dir", state.as_str())];
        fs::copy(lab.configure(&[&own, changes].concat())?, &config)?;
        let mut command = Command::new(lab.plan().binary());
        command.env_clear().arg("--config").arg(&config).arg("status").stdin(Stdio::null());
        commands.push(command);
        let what = format!("{} lines{filters}", grouped(lines));
        rows.push(Row { what, kib: text.len().div_ceil(1024) as u64, time: Seconds::default() });
    }
    progress(&format!("hosts files, {} processes each", bench.runs() * TIMES));
    // In turns, so that what else the machine does falls on all alike. The first turn finds nothing in memory yet.
    for turn in 0..=bench.runs() * TIMES {
        for (row, command) in rows.iter_mut().zip(&mut commands) {
            let start = Instant::now();
            let output = command.output().context("start natwatch")?;
            let took = start.elapsed();
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(
                output.status.code() == Some(FAILED) && said.contains(NOWHERE),
                "{}: status should have failed for its state folder alone: {}: {said}",
                row.what,
                output.status
            );
            if turn > 0 {
                row.time.add(took);
            }
        }
    }
    Ok(rows)
}

/// A hosts file of that many hosts with two names each.
fn file(lines: usize) -> String {
    let mut text = String::new();
    for n in 0..lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "10.{}.{}.{}\thost{n}.example.com host{n}", 64 + n / 62_500, n / 250 % 250, n % 250 + 1);
    }
    text
}

/// `10,000`
fn grouped(count: usize) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", grouped(count / 1000), count % 1000) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn every_line_is_another_host() {
        let text = file(10_000);
        let addresses: BTreeSet<Ipv4Addr> =
            text.lines().map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect();
        let names: BTreeSet<&str> = text.lines().flat_map(|line| line.split_ascii_whitespace().skip(1)).collect();
        assert_eq!((text.lines().count(), addresses.len(), names.len()), (10_000, 10_000, 20_000));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([10, 999, 1000, 10_000, 1_002_003].map(grouped), ["10", "999", "1,000", "10,000", "1,002,003"]);
    }
}
