//! Where and with what was measured, in a sentence.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::figures::mebibytes;

pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |count| count.to_string());
    let field = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?");
        line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
    };
    let memory = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({}), {} GiB, Linux {}, load {}",
        field("/proc/cpuinfo", "model name"),
        memory.div_ceil(1024 * 1024),
        kernel.trim(),
        field("/proc/loadavg", "").split(' ').next().unwrap_or("?"),
    )
}

/// The binary's version and size.
pub(super) fn binary(path: &Path) -> anyhow::Result<(String, String)> {
    let output = Command::new(path).arg("--version").output().with_context(|| format!("run {}", path.display()))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    anyhow::ensure!(output.status.success() && !version.is_empty(), "{} --version fails", path.display());
    Ok((version, mebibytes(fs::metadata(path)?.len().div_ceil(1024))))
}
