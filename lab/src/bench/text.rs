//! What was measured, as it is written: the main tables for the front page, the others for a page of their own. Pure.

use super::figures::{millis, table};
use super::rounds::Holes;
use super::{healthy, hosts, moves, outage, rounds};

/// When, with what and where.
pub(super) fn head(date: &str, binary: &str, machine: &str) -> String {
    format!("Measured {date} by `lab bench` in the lab (`lab/README.md`): {binary}; {machine} before.")
}

/// The same, with the number of runs.
pub(super) fn medians(head: &str, runs: usize) -> String {
    match runs {
        1 => format!("{head} One run each, so no medians."),
        runs => format!("{head} Medians of {runs} runs each."),
    }
}

/// Whole runs and whole outages.
pub(super) fn main(
    head: &str,
    healthy: &[healthy::Row],
    outage: &[outage::Row],
    moves: &[moves::Row],
    hosts: &[hosts::Row],
) -> String {
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
    let third = moved(moves);
    let parse = parse(hosts);
    format!("{head}\n\n{first}\n{second}\n{third}\n{parse}{NOTES}")
}

pub(super) fn moved(of: &[moves::Row]) -> String {
    let rows: Vec<_> = of
        .iter()
        .map(|row| {
            let cli = match row.cli.count() {
                fewer if fewer < row.natwatch.count() => format!("{} ({fewer} runs)", row.cli.middle()),
                _ => row.cli.middle(),
            };
            vec![
                row.subnets.to_string(),
                row.natwatch.middle(),
                row.natwatch.range(),
                row.changing.range(),
                row.reading.range(),
                cli,
            ]
        })
        .collect();
    table(
        &[
            "subnets",
            "from the decision to the last one's first packet",
            "min to max",
            "EC2 calls that change",
            "that read",
            "AWS CLI, one call after the other",
        ],
        &rows,
    )
}

/// How long the large file takes longer than the small one; the filtered one is for the other page.
fn parse(rows: &[hosts::Row]) -> String {
    let [small, large, ..] = rows else { return String::new() };
    format!(
        "To read a hosts file of {} takes {}. Rounds by panel size, with half of the backends black-holed too: `docs/bench.md`.\n",
        large.what,
        more(large, small)
    )
}

fn more(large: &hosts::Row, small: &hosts::Row) -> String {
    let both = large.time.median().zip(small.time.median());
    both.map_or_else(|| "-".to_owned(), |(large, small)| millis(large.saturating_sub(small)))
}

const NOTES: &str = "\
All hosts share the machine's cores: a login costs the lab 50 to 100 ms of CPU on top of what is counted here. Times begin before \
`ip netns exec` and `setpriv`, a few milliseconds. \"Restored\" is the first datagram that came back in the later subnet, counted from the start of the run \
(cron adds up to its period). A decision is the moment of natwatch's own event; a moved subnet's first packet is the first datagram back. \
The AWS CLI is Debian's, one process per call, from the start of the first. The API takes 80 ms to describe and 250 ms to change. No healthy run made an EC2 call.
CPU is user and system time of natwatch and all its ssh processes (a control group), the two programs that start it included. Memory is the highest sum of PSS over them, looked at every 10 ms in \
runs of its own; libraries that the lab's sshd uses too count by share. natwatch's own is its resident memory.
The script (`lab/src/bench/naive.sh`) asks one backend after the other by ssh to ping one target; three bad ones, and it moves one subnet after the other. \
Nearly all its time is ping's waiting: `-c 1` waits ten seconds for a reply unless told otherwise. A Python process with boto3 per call stands in for the AWS CLI.";

/// Rounds by panel size, and hosts files.
pub(super) fn details(head: &str, rounds: &[rounds::Table], hosts: &[hosts::Row]) -> String {
    let rounds: String = rounds.iter().map(|one| round_table(one) + "\n").collect();
    let small = hosts.first();
    let rows: Vec<_> = hosts
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let more = small.filter(|_| n > 0).map_or_else(|| "-".to_owned(), |small| more(row, small));
            vec![row.what.clone(), format!("{} KiB", row.kib), row.time.middle_fine(), row.time.range_fine(), more]
        })
        .collect();
    let files = table(
        &["hosts file", "size", "natwatch, start to exit: median", "min to max", "more than the first: the reading"],
        &rows,
    );
    format!("{head}\n\n{rounds}{files}")
}

fn round_table(of: &rounds::Table) -> String {
    let rows: Vec<_> = of
        .rows
        .iter()
        .map(|row| {
            let panel = if row.panel == 0 { "0 (all)".to_owned() } else { row.panel.to_string() };
            let unheard = match row.unheard {
                0 => String::new(),
                unheard => format!("; {unheard} of {} `unheard`", row.time.count()),
            };
            vec![
                format!("panel {panel}{unheard}"),
                row.asked.range(),
                row.time.middle(),
                row.time.range(),
                row.processor.middle(),
                row.processes.range(),
                row.tree.middle(),
                row.own.middle(),
            ]
        })
        .collect();
    let holes = match of.holes {
        Holes::None => "all well",
        Holes::One => "one of the panel black-holed",
        Holes::Half => "half of all black-holed",
    };
    table(
        &[
            &format!("{} backends, {holes}", of.backends),
            "asked",
            "start to exit: median",
            "min to max",
            "CPU",
            "processes",
            "memory, all processes",
            "natwatch's own",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{Counts, Memory, Seconds};
    use super::*;

    fn seconds(millis: &[u64]) -> Seconds {
        let mut seconds = Seconds::default();
        for one in millis {
            seconds.add(Duration::from_millis(*one));
        }
        seconds
    }

    fn memory(kib: u64) -> Memory {
        let mut memory = Memory::default();
        memory.add(kib);
        memory
    }

    fn counts(all: &[u64]) -> Counts {
        let mut counts = Counts::default();
        for one in all {
            counts.add(*one);
        }
        counts
    }

    fn file(what: &str, kib: u64, millis: &[u64]) -> hosts::Row {
        hosts::Row { what: what.to_owned(), kib, time: seconds(millis) }
    }

    fn files() -> Vec<hosts::Row> {
        vec![
            file("10 lines", 1, &[4, 5, 6]),
            file("10,000 lines", 420, &[15, 17, 30]),
            file("10,000 lines, filtered", 420, &[25]),
        ]
    }

    fn rounds(holes: Holes, panel: usize, unheard: usize) -> rounds::Table {
        let row = rounds::Row {
            panel,
            asked: counts(&[3, 5]),
            time: seconds(&[200, 3200, 3300]),
            unheard,
            processor: seconds(&[90]),
            processes: counts(&[12]),
            tree: memory(18 * 1024),
            own: memory(9 * 1024),
        };
        rounds::Table { backends: 64, holes, rows: vec![row] }
    }

    #[test]
    fn the_details_have_a_table_for_each_kind_of_round_and_one_for_files() {
        let tables = [rounds(Holes::None, 3, 0), rounds(Holes::One, 0, 0), rounds(Holes::Half, 3, 2)];
        let head = "| asked | start to exit: median | min to max | CPU | processes | memory, all processes | natwatch's own |\n|---|---|---|---|---|---|---|---|";
        let cells = "| 3 to 5 | 3.20 s | 0.20 to 3.30 s | 0.09 s | 12 | 18.0 MiB | 9.0 MiB |";
        let expected = format!(
            "\
Measured.

| 64 backends, all well {head}
| panel 3 {cells}

| 64 backends, one of the panel black-holed {head}
| panel 0 (all) {cells}

| 64 backends, half of all black-holed {head}
| panel 3; 2 of 3 `unheard` {cells}

| hosts file | size | natwatch, start to exit: median | min to max | more than the first: the reading |
|---|---|---|---|---|
| 10 lines | 1 KiB | 5.0 ms | 4.0 to 6.0 ms | - |
| 10,000 lines | 420 KiB | 17.0 ms | 15.0 to 30.0 ms | 12.0 ms |
| 10,000 lines, filtered | 420 KiB | 25.0 ms | 25.0 to 25.0 ms | 20.0 ms |
"
        );
        assert_eq!(details("Measured.", &tables, &files()), expected);
    }

    #[test]
    fn the_main_text_tells_the_large_file_in_a_sentence() {
        let text = main("Measured.", &[], &[], &[], &files());
        assert!(text.starts_with("Measured.\n\n| healthy run"), "{text}");
        assert!(text.contains("\nTo read a hosts file of 10,000 lines takes 12.0 ms. Rounds by panel size"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("hosts file")).count(), 1);
        assert!(!main("Measured.", &[], &[], &[], &[]).contains("hosts file"));
    }

    #[test]
    fn fewer_runs_of_the_cli_are_said() {
        let row = moves::Row {
            subnets: 16,
            natwatch: seconds(&[290, 300, 310]),
            changing: counts(&[16]),
            reading: counts(&[2]),
            cli: seconds(&[12_000, 13_000]),
        };
        assert!(moved(&[row]).ends_with("| 16 | 0.30 s | 0.29 to 0.31 s | 16 | 2 | 12.50 s (2 runs) |\n"));
    }

    #[test]
    fn the_head_says_whether_figures_are_medians() {
        let head = head("2026-01-02", "natwatch", "machine");
        assert!(medians(&head, 5).ends_with("natwatch; machine before. Medians of 5 runs each."));
        assert!(medians(&head, 1).ends_with("before. One run each, so no medians."));
    }
}
