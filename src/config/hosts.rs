//! Hosts files, as the readers of hosts(5) take them, but for junk: here it is an error with its line.
//!
//! Pure: it opens no file and filters nothing.

use std::net::IpAddr;

use super::values::{host_name, special, zoned};
use crate::model::{Cidr, printable};

/// A line of a hosts file that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostsEntry {
    pub(super) addr: IpAddr,
    /// One or more, as written.
    pub(super) names: Vec<String>,
}

/// The first name and the address of every entry that is within one of these blocks, other hosts' only; and how many lines are no entries.
#[must_use]
pub fn hosts_within(content: &[u8], within: &[Cidr]) -> (Vec<(String, IpAddr)>, usize) {
    let (entries, junk) = parse(content);
    let inside =
        |entry: &HostsEntry| special(entry.addr).is_none() && within.iter().any(|one| one.contains(&entry.addr));
    let names =
        entries.into_iter().filter(inside).filter_map(|entry| Some((entry.names.into_iter().next()?, entry.addr)));
    (names.collect(), junk.len())
}

/// The entries, and what is wrong with which line.
pub(super) fn parse(content: &[u8]) -> (Vec<HostsEntry>, Vec<(usize, String)>) {
    // Comments are in whatever encoding their authors used; names and addresses are ASCII.
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut entries = Vec::new();
    let mut junk = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match entry(line) {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => {}
            Err(what) => junk.push((number + 1, what)),
        }
    }
    (entries, junk)
}

fn entry(line: &str) -> Result<Option<HostsEntry>, String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut fields = line.split_ascii_whitespace();
    let Some(first) = fields.next() else { return Ok(None) };
    let show = |text| printable(text, super::file::SHOWN);
    let addr = zoned(first)
        .ok_or_else(|| format!("{}: not an IP address; accepted: an IP address, then names", show(first)))?;
    let mut names = Vec::new();
    for name in fields {
        if zoned(name).is_some() {
            return Err(format!("{}: an address where a name belongs; accepted: one address a line", show(name)));
        }
        host_name(name).map_err(|what| format!("{}: {what}; accepted: letters, digits, '-', '_', '.'", show(name)))?;
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(format!("{}: an address without a name; accepted: an IP address, then names", show(first)));
    }
    Ok(Some(HostsEntry { addr, names }))
}
