//! Runs the system's tools: one call, checked, with what the tool said in the error.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;

/// Runs a command to its end and fails with its output unless it succeeded. `input` is its whole standard input.
///
/// Only for tools that end by themselves (`ip`, `nft`, `ssh-keygen`); what may hang goes through [`crate::natwatch`].
pub(crate) fn run(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = output(command, input).with_context(|| format!("run {name}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{name} {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end(),
        if input.is_empty() { String::new() } else { format!("\ninput was:\n{input}") },
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn output(command: &mut Command, input: &str) -> anyhow::Result<Output> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A tool that refuses its first line closes the pipe early; its own message says more than EPIPE does.
        let _ = pipe.write_all(input.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

/// `ip -batch -` in the current namespace, or in `ns`.
pub(crate) fn ip(ns: Option<&str>, lines: &[String]) -> anyhow::Result<()> {
    batch(Command::new("ip"), ns, lines)
}

/// `ip -6 -batch -` in `ns`: for lines from whose words the family does not follow.
pub(crate) fn ip6(ns: &str, lines: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.arg("-6");
    batch(command, Some(ns), lines)
}

fn batch(mut command: Command, ns: Option<&str>, lines: &[String]) -> anyhow::Result<()> {
    if let Some(ns) = ns {
        command.args(["-n", ns]);
    }
    run(command.args(["-batch", "-"]), &(lines.join("\n") + "\n")).map(drop)
}
