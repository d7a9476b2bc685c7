//! `lab demo`: an outage from beginning to end, for somebody who sees natwatch for the first time.
//!
//! What it prints is measured, not scripted: outages from traffic, exit statuses from the processes, natwatch's steps from its own
//! log. Whatever is not as it should be is said at the end and makes the demo fail.

mod guarded;
mod timeline;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use natwatch_lab::{Fault, Hop, Lab, Nat, Options, Outage, PERIOD, Run};

use crate::cli::say;
pub(crate) use guarded::guarded;
pub(crate) use timeline::events;
use timeline::{axis, bucket, quoted, row, wrapped};

/// How much of the flow is shown before the fault, and after the last subnet is back.
const MARGIN: Duration = Duration::from_millis(400);

/// An outage longer than this is not what the demo promises.
const LONGEST: Duration = Duration::from_secs(10);

/// A run takes four seconds; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

const DRAWING: &str = "
        internet   203.0.113.1 to .5, and EC2's API (moto, TLS, 80 ms to describe, 250 ms to change)
        |      |
      nat1    nat2     both forward and masquerade; natwatch runs on nat2, the standby
        |
   private-0  private-1     six backends with sshd: b0 b2 b4, b1 b3 b5; their way out is nat1";

/// Everything the demo does, and how it went.
pub(crate) fn run(natwatch: &Path) -> anyhow::Result<ExitCode> {
    guarded(|| {
        let started = Instant::now();
        say("natwatch demo: a NAT instance fails, and the standby takes its subnets over");
        let lab = Lab::up(&Options { natwatch: natwatch.to_owned(), reply: None, ..Options::default() })?;
        say(&format!(
            "{DRAWING}\n\nRaised on this machine in {:.1} s: network namespaces with real sshd, ping and NAT.",
            started.elapsed().as_secs_f64()
        ));
        let mut demo = Demo { lab, wrong: Vec::new() };
        demo.healthy()?;
        demo.outage()?;
        demo.repair()?;
        demo.verdict(started)
    })
}

struct Demo {
    lab: Lab,
    /// What is not as it should be, one sentence each.
    wrong: Vec<String>,
}

impl Demo {
    fn expect(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }

    /// natwatch as cron starts it: the service's user, cron's environment, no terminal.
    fn natwatch(&mut self, args: &[&str], status: i32) -> anyhow::Result<Run> {
        let run = self.lab.command(args).timeout(PATIENCE).run()?;
        let shown = args.join(" ");
        self.expect(run.status == Some(status), || {
            format!("`natwatch {shown}` ended otherwise than with {status}: {run}")
        });
        Ok(run)
    }

    fn healthy(&mut self) -> anyhow::Result<()> {
        heading("1. Everything is well. natwatch on nat2, as cron starts it:");
        for note in
            ["the first run learns which backends reach the internet", "a usual run: silent, so cron sends no mail"]
        {
            let run = self.natwatch(&["run"], 0)?;
            say(&format!("  $ natwatch run       exit {}, {:.2} s   {note}", exit(&run), run.elapsed.as_secs_f64()));
            self.expect(run.stdout.is_empty() && run.stderr.is_empty(), || {
                format!("a healthy run is not silent: {run}")
            });
        }
        Ok(())
    }

    fn outage(&mut self) -> anyhow::Result<()> {
        heading("2. nat1 loses its masquerade rule. It still answers pings, yet nothing gets out. Seconds since then:");
        self.lab.api().forget_calls();
        let (mark, zero) = (self.lab.traffic().mark(), Timestamp::now());
        self.lab.inject(&Fault::MasqueradeGone(Nat::Primary))?;
        self.lab.traffic().wait_silent(Duration::from_secs(5)).context("the fault has no effect")?;
        let run = self.natwatch(&["run", "-v"], 4)?;
        let flowing = self.lab.traffic().wait_flowing(Duration::from_secs(5));
        self.expect(flowing.is_ok(), || "the subnets' traffic does not flow after the takeover".to_owned());
        // The strip goes on for a little after the last subnet is back.
        thread::sleep(MARGIN);
        let outages = self.lab.traffic().outages_since(mark);
        self.tell(&run, mark, zero, &outages);
        self.strips(mark, &outages);
        say(&format!("\n  What cron mails (ids shortened here):\n{}", quoted(&run.stdout)));
        for outage in &outages {
            let (subnet, silence) = (outage.subnet, outage.silence);
            self.expect(outage.restored, || format!("private-{subnet} is not restored"));
            self.expect(silence < LONGEST, || format!("private-{subnet} was out for {silence:.1?}"));
        }
        self.carried_by(Nat::Standby)
    }

    /// The time line, from the fault to the exit status.
    fn tell(&mut self, run: &Run, mark: Instant, zero: Timestamp, outages: &[Outage]) {
        let since = |at: Instant| at.saturating_duration_since(mark).as_secs_f64();
        let mut rows = vec![
            (0.0, "fault", "nat1's masquerade rule is removed".to_owned()),
            (
                since(run.started),
                "start",
                "$ natwatch run -v      (cron may start it up to two minutes later)".to_owned(),
            ),
            (since(run.started + run.elapsed), "end", format!("exit {}: taken over and verified", exit(run))),
        ];
        if run.status != Some(4) {
            rows.pop();
            rows.push((since(run.started + run.elapsed), "end", format!("exit {}", exit(run))));
        }
        for outage in outages {
            if let Some(first) = outage.first_through {
                rows.push((
                    first.as_secs_f64(),
                    "restored",
                    format!("private-{}: first packet through", outage.subnet),
                ));
            }
        }
        let (mut detected, mut decided) = (false, false);
        for (at, text) in events(&run.stderr, zero) {
            let mut text = text;
            let mut what = "";
            for (n, subnet) in self.lab.ids().subnets.iter().enumerate() {
                if text.starts_with(&subnet.id) {
                    what = "move";
                    text = text.replace(&subnet.id, &format!("private-{n}"));
                }
            }
            if text.contains("; moving ") {
                (what, decided) = ("decision", true);
            } else if text.contains("looking again") {
                what = if detected { "again" } else { "detection" };
                detected = true;
            }
            rows.push((at, what, text));
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, what, text) in rows {
            say(&row(at, what, &text));
        }
        self.expect(detected && decided, || format!("natwatch's log tells of no detection or no decision: {run}"));
    }

    /// The flows as they were, and the outages measured from them.
    fn strips(&self, mark: Instant, outages: &[Outage]) {
        let end = outages.iter().map(|outage| outage.until).max().unwrap_or(mark) + MARGIN;
        let from = mark.checked_sub(MARGIN).unwrap_or(mark);
        let before = mark.duration_since(from);
        let whole = end.duration_since(from);
        let bucket = bucket(whole, PERIOD);
        say(&format!(
            "\n  The subnets' traffic, 50 datagrams a second through the NAT and back; a character is {} ms,\n  \
             # all came back   . all lost   + some of each:",
            bucket.as_millis()
        ));
        for outage in outages {
            let strip = self.lab.traffic().strip(outage.subnet, from, end, bucket);
            let strip = strip.trim_end();
            let took = outage.silence.as_secs_f64();
            let state = if outage.restored { format!("out for {took:.2} s") } else { "still out".to_owned() };
            say(&format!("  private-{} {strip} {state}", outage.subnet));
        }
        say(&format!("            {}", axis(before, whole, bucket)));
        let (sent, lost) = outages.iter().fold((0, 0), |(sent, lost), one| (sent + one.sent, lost + one.lost));
        say(&format!("  {lost} of {sent} datagrams were lost."));
    }

    fn repair(&mut self) -> anyhow::Result<()> {
        heading("3. Until somebody has looked, nothing moves again:");
        let status = self.natwatch(&["status"], 0)?;
        say(&format!("  $ natwatch status\n{}", quoted(&status.stdout)));
        self.expect(status.stdout.contains("locked (taken)"), || format!("status tells of no lock: {status}"));

        heading(
            "4. The operator puts the rule back and goes home: one subnet first, then the other, each proved, and the lock is cleared:",
        );
        self.lab.heal(&Fault::MasqueradeGone(Nat::Primary))?;
        say("  nat1's masquerade rule is back");
        let mark = self.lab.traffic().mark();
        let back = self.natwatch(&["failback", "--yes"], 0)?;
        say(&format!("  $ natwatch failback --yes    exit {}, {:.2} s", exit(&back), back.elapsed.as_secs_f64()));
        say(&quoted(&back.stdout));
        let run = self.natwatch(&["run"], 0)?;
        say(&format!("  $ natwatch run               exit {}, {:.2} s", exit(&run), run.elapsed.as_secs_f64()));
        if !run.stdout.is_empty() {
            say(&quoted(&run.stdout));
        }
        self.lab.traffic().wait_flowing(Duration::from_secs(5)).context("traffic does not flow after the repair")?;
        let out = self.lab.traffic().outage_since(mark);
        say(&format!("  The way home cost {:.2} s of traffic.", out.as_secs_f64()));
        self.expect(out < Duration::from_secs(2), || format!("the way home cost {out:.1?}"));
        self.carried_by(Nat::Primary)
    }

    /// Checks where EC2 and the packets go.
    fn carried_by(&mut self, nat: Nat) -> anyhow::Result<()> {
        for subnet in 0..self.lab.ids().subnets.len() {
            let (table, hop) = (self.lab.carrier(subnet)?, self.lab.hop(subnet));
            let there = table == self.lab.ids().nat(nat).table && hop == Some(Hop::Nat(nat));
            self.expect(there, || {
                format!("private-{subnet} is not carried by the {nat}: it is on {table}, its packets go to {hop:?}")
            });
        }
        Ok(())
    }

    fn verdict(self, started: Instant) -> anyhow::Result<ExitCode> {
        let Self { lab, wrong } = self;
        drop(lab);
        let took = started.elapsed().as_secs_f64();
        if wrong.is_empty() {
            say(&format!("\nAll as it should be; {took:.0} s, and nothing is left on this machine."));
            return Ok(ExitCode::SUCCESS);
        }
        for one in &wrong {
            crate::cli::complain(&wrapped(&format!("NOT AS IT SHOULD BE: {}", one.trim_end()), "    "));
        }
        anyhow::bail!("{} of the things shown are not as they should be", wrong.len())
    }
}

fn heading(text: &str) {
    say(&format!("\n{text}"));
    say("");
}

fn exit(run: &Run) -> String {
    run.status.map_or_else(|| "by a signal".to_owned(), |status| status.to_string())
}
