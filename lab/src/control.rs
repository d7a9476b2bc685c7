//! A running `lab up` takes commands from other terminals over a Unix socket in its folder: one JSON array of words in, lines of
//! text out, and a last line that says how it went.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::description::Description;
use crate::lab::Lab;
use crate::plan::Nat;
use crate::{Fault, Hop};

/// Opens the last line of an answer.
const END: char = '\u{4}';

/// Serves a lab until it is asked to end, by the socket or by SIGINT, SIGTERM or SIGHUP; calls `ready` once it would hear all of them.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(lab: &Arc<Lab>, ready: impl FnOnce()) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = Arc::new(AtomicBool::new(false));
    let result = runtime.block_on(async {
        // Before anything shows that the lab is up: whoever sees that may send one at once, and unheard it would kill.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let socket = tokio::net::UnixListener::bind(lab.plan().socket()).context("make the control socket")?;
        ready();
        let wake = Arc::new(tokio::sync::Notify::new());
        loop {
            let stream = tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => break,
                () = wake.notified() => break,
                accepted = socket.accept() => accepted,
            };
            let Ok(stream) = stream.and_then(|(stream, _)| stream.into_std()) else { continue };
            let (lab, ending, wake) = (Arc::clone(lab), Arc::clone(&ending), Arc::clone(&wake));
            tokio::task::spawn_blocking(move || {
                // A terminal that goes away is no concern of the lab's.
                let down = answer(&lab, &stream, &ending).unwrap_or(false);
                drop(lab);
                if down {
                    wake.notify_one();
                }
            });
        }
        anyhow::Ok(())
    });
    ending.store(true, Ordering::SeqCst);
    // Streams see `ending` within a second; their hold on the lab must be gone before it is dropped.
    runtime.shutdown_timeout(Duration::from_secs(3));
    result
}

/// Serves one connection; whether it asked for the end.
fn answer(lab: &Lab, stream: &UnixStream, ending: &AtomicBool) -> anyhow::Result<bool> {
    stream.set_nonblocking(false)?;
    // A command is one line, sent at once.
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let words: Vec<String> = serde_json::from_str(&line)?;
    let mut out = stream;
    let mut say = |text: &str| out.write_all(text.as_bytes()).is_ok();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = obey(lab, &words, ending, &mut say);
    match &done {
        Ok(_) => say(&format!("{END}\n")),
        Err(error) => say(&format!("{END}{error:#}\n")),
    };
    Ok(done.unwrap_or(false))
}

fn obey(lab: &Lab, words: &[&str], ending: &AtomicBool, say: &mut dyn FnMut(&str) -> bool) -> anyhow::Result<bool> {
    match words {
        ["down"] => return Ok(true),
        ["status"] => drop(say(&status(lab)?)),
        ["fault", fault @ ..] => {
            let fault: Fault = fault.join(" ").parse()?;
            lab.inject(&fault)?;
            say(&format!("injected: {fault}\n"));
        }
        ["heal", "all"] => lab.heal_all()?,
        ["heal", fault @ ..] => {
            let text = fault.join(" ");
            let fits = |active: &Fault| active.to_string() == text || active.name() == text;
            let active: Vec<_> = lab.faults().into_iter().filter(fits).collect();
            anyhow::ensure!(!active.is_empty(), "`{text}` is not active; `lab status` shows what is");
            for fault in active {
                lab.heal(&fault)?;
                say(&format!("healed: {fault}\n"));
            }
        }
        ["traffic", seconds] => {
            let seconds: u64 = seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds"))?;
            show_traffic(lab, seconds, ending, say)?;
        }
        ["calls"] => {
            for call in lab.api().calls() {
                let shown: Vec<_> = call.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
                say(&format!(
                    "{:>8.3?} ago  {} {} -> {:?} in {:.0?}\n",
                    call.at.elapsed(),
                    call.action,
                    shown.join(" "),
                    call.outcome,
                    call.took
                ));
            }
        }
        _ => anyhow::bail!("`{}` is not understood", words.join(" ")),
    }
    Ok(false)
}

/// Who carries what, and what is broken.
///
/// # Errors
/// When EC2 does not answer.
pub fn status(lab: &Lab) -> anyhow::Result<String> {
    let mut text = format!("lab {} of process {}\n", lab.plan().id, std::process::id());
    for (n, subnet) in lab.ids().subnets.iter().enumerate() {
        let table = lab.carrier(n).unwrap_or_else(|error| format!("({error:#})"));
        let name = Nat::BOTH.into_iter().find(|nat| lab.ids().nat(*nat).table == table);
        let name = name.map_or_else(|| "another table".to_owned(), |nat| format!("the {nat}'s"));
        let packets = match lab.hop(n) {
            Some(Hop::Nat(nat)) => format!("packets go to the {nat}"),
            Some(Hop::Blackhole) | None => "packets go nowhere".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "subnet {n} {} {}: {table} ({name}), {packets}", subnet.cidr, subnet.id);
    }
    let faults: Vec<_> = lab.faults().iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "faults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") });
    Ok(text)
}

/// One line a second and subnet, twenty-five characters each (two datagrams a character, as one would flicker); ends when nobody listens.
fn show_traffic(lab: &Lab, seconds: u64, ending: &AtomicBool, say: &mut dyn FnMut(&str) -> bool) -> anyhow::Result<()> {
    const SECOND: Duration = Duration::from_secs(1);
    // Shown a little late, when the last replies have had time to come back.
    let delay = Duration::from_millis(200);
    lab.traffic().start()?;
    let mut from = Instant::now();
    for _ in 0..seconds {
        if ending.load(Ordering::SeqCst) {
            break;
        }
        let to = from + SECOND;
        std::thread::sleep((to + delay).saturating_duration_since(Instant::now()));
        for subnet in 0..lab.plan().subnets.len() {
            let hop = match lab.hop(subnet) {
                Some(Hop::Nat(nat)) => nat.to_string(),
                _ => "nobody".to_owned(),
            };
            if !say(&format!(
                "subnet {subnet} {hop:>7} |{}|\n",
                lab.traffic().strip(subnet, from, to, crate::PERIOD * 2)
            )) {
                return Ok(());
            }
        }
        from = to;
    }
    Ok(())
}

/// Sends a command to a running lab, and hands on each line of its answer.
///
/// # Errors
/// When the lab does not answer, or says that it failed.
pub fn ask(description: &Description, words: &[&str], mut line: impl FnMut(&str)) -> anyhow::Result<()> {
    let path = description.plan.socket();
    let mut stream = UnixStream::connect(&path).with_context(|| format!("reach the lab at {}", path.display()))?;
    stream.write_all((serde_json::to_string(words)? + "\n").as_bytes())?;
    for text in BufReader::new(stream).lines() {
        let text = text?;
        match text.strip_prefix(END) {
            Some("") => return Ok(()),
            Some(error) => anyhow::bail!("{error}"),
            None => line(&text),
        }
    }
    anyhow::bail!("the lab ended before it answered")
}
