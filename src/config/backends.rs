//! The backends: the union of `backends.hosts` and the hosts file's entries that pass the filters, one per host. Whom EC2 shows joins them later.
//!
//! A host that counted twice could fulfil `threshold` alone, so two spellings of one host must not make two backends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use regex_lite::Regex;

use super::hosts::HostsEntry;
use super::joining::Joining;
use super::keys;
use super::permissions::Role;
use super::reader::{Entry, Reader};
use super::values::{self, Host, special};
use super::{Files, Violation, hosts, shown};
use crate::model::{Backend, Cidr};

/// So many junk lines of a hosts file are shown; the others are counted.
const JUNK: usize = 20;

/// What the sources come to, as far as nothing was noted against it.
pub(super) struct Sources {
    pub(super) backends: Option<Vec<Backend>>,
    pub(super) within: Option<Vec<Cidr>>,
    /// `None`: EC2 is not to be asked.
    pub(super) fleet: Option<Joining>,
}

/// All sources; `hosts_file`: the path of the hosts file, where one is named that will do.
pub(super) fn backends(
    reader: &mut Reader<'_>,
    files: &dyn Files,
    hosts_file: Option<&Path>,
    advice: &mut Vec<String>,
) -> Sources {
    let typed = reader.list(&keys::HOSTS, values::host, Host::identity);
    let within = reader.list(&keys::WITHIN, values::cidr, Cidr::clone);
    let within: Option<Vec<Cidr>> = within.map(|entries| entries.into_iter().map(|entry| entry.value).collect());
    let pattern = reader.text(&keys::MATCH, Pattern::new);
    let filterable = within.is_some() && pattern.is_some() == reader.has(&keys::MATCH);
    let filter = Filter { pattern, within: within.clone().unwrap_or_default() };
    let fleet = reader.flag(&keys::EC2_SUBNETS).unwrap_or_default().then(|| Joining::new(filter.clone()));
    let by_ec2 = fleet.is_some();
    let sources = |backends| Sources { backends, within, fleet };
    if !reader.has(&keys::HOSTS_FILE) {
        if typed.as_ref().is_some_and(Vec::is_empty) && !by_ec2 {
            reader.clash(
                &keys::HOSTS,
                "no backends",
                "at least decision.threshold backends in backends.hosts, backends.hosts_file or both, or backends.ec2_subnets = true",
            );
        }
        if reader.has(&keys::MATCH) && !by_ec2 {
            advice.push("backends.match filters the entries of backends.hosts_file, and there is none".to_owned());
        }
        return sources(typed.map(|typed| union(&typed, &[])));
    }
    let Some(path) = hosts_file else { return sources(None) };
    for fault in files.faults(path, Role::Data) {
        reader.clash(&keys::HOSTS_FILE, &fault, "");
    }
    let content = match files.read(path) {
        Ok(content) => content,
        Err(why) => {
            reader.clash(&keys::HOSTS_FILE, &why, "a readable hosts file");
            return sources(None);
        }
    };
    let (entries, junk) = hosts::parse(&content);
    let clean = junk.is_empty();
    let more = junk.len().saturating_sub(JUNK);
    for (line, text) in junk.into_iter().take(JUNK) {
        reader.violations.push(Violation { file: shown(path), line: Some(line), text });
    }
    if more > 0 {
        reader.violations.push(Violation {
            file: shown(path),
            line: None,
            text: format!("and {more} more lines that are no entries"),
        });
    }
    let listed = filter.apply(&entries);
    if clean && filterable && listed.is_empty() {
        let what = if entries.is_empty() {
            "has no entries".to_owned()
        } else {
            format!(
                "none of its {} entries is another host's that passes backends.match and backends.within",
                entries.len()
            )
        };
        reader.clash(&keys::HOSTS_FILE, &what, "a file with an entry for every backend");
        return sources(None);
    }
    let known = if clean && filterable { typed.map(|typed| union(&typed, &listed)) } else { None };
    sources(known)
}

/// `backends.match` compiled.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// Compiles, or says what is wrong and where.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > 500 {
            return Err(format!("a pattern of {} characters", text.len()));
        }
        Regex::new(text).map(Self).map_err(|error| {
            // regex-lite gives no position: what can't be read begins where the longest good beginning ends.
            let good = text
                .char_indices()
                .map(|(at, _)| at)
                .rev()
                .find(|at| Regex::new(&text[..*at]).is_ok())
                .unwrap_or_default();
            format!("not a regular expression, at character {}: {error}", text[..good].chars().count() + 1)
        })
    }
}

/// The filters on hosts-file entries and instances.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) pattern: Option<Pattern>,
    pub(super) within: Vec<Cidr>,
}

impl Filter {
    /// The name that stands for the entry, where it passes: the first that matches.
    fn pass<'e>(&self, entry: &'e HostsEntry) -> Option<&'e str> {
        if !self.inside(entry.addr) {
            return None;
        }
        let mut names = entry.names.iter();
        match &self.pattern {
            Some(Pattern(regex)) => names.find(|name| regex.is_match(name)),
            None => names.next(),
        }
        .map(String::as_str)
    }

    fn inside(&self, addr: IpAddr) -> bool {
        // localhost, ip6-allnodes and the like are in every hosts file and nobody's backends.
        special(addr).is_none() && (self.within.is_empty() || self.within.iter().any(|cidr| cidr.contains(&addr)))
    }

    /// Whether an instance passes, by its `Name` tag and address. One without a name passes where every name does.
    pub(super) fn admits(&self, name: Option<&str>, addr: IpAddr) -> bool {
        let named = |Pattern(regex): &Pattern| name.is_some_and(|name| regex.is_match(name));
        self.inside(addr) && self.pattern.as_ref().is_none_or(named)
    }

    /// The entries that pass, each with the name that stands for it.
    pub(super) fn apply<'e>(&self, entries: &'e [HostsEntry]) -> Vec<(&'e str, &'e HostsEntry)> {
        entries.iter().filter_map(|entry| Some((self.pass(entry)?, entry))).collect()
    }
}

/// One backend per host, sorted by name. What was typed comes first and keeps its spelling, since `ssh_config` may know
/// it by that; the hosts file adds its address.
pub(super) fn union(typed: &[Entry<Host>], listed: &[(&str, &HostsEntry)]) -> Vec<Backend> {
    let mut backends: Vec<Option<Backend>> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_addr: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for Entry { value: host, .. } in typed {
        let at = backends.len();
        match host.addr {
            Some(addr) => by_addr.insert(addr, at),
            None => by_name.insert(host.identity(), at),
        };
        backends.push(Some(Backend { host: host.typed.clone(), destination: host.typed.clone(), addr: host.addr }));
    }
    let typed = backends.len();
    for (name, entry) in listed {
        let key = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let named = by_name.get(&key(name)).copied();
        // Any name of the entry may be the one that was typed. The first line with a name is the one that counts, so
        // a name that has its address already is another host's alias.
        let alias = entry.names.iter().filter_map(|name| by_name.get(&key(name)).copied());
        let alias = alias
            .filter(|at| *at < typed)
            .find(|at| backends[*at].as_ref().is_some_and(|backend| backend.addr.is_none()));
        let addressed = by_addr.get(&entry.addr).copied();
        match (named.or(alias), addressed) {
            (Some(known), Some(same))
                if known != same && known < typed && backends[known].as_ref().is_some_and(|it| it.addr.is_none()) =>
            {
                // Typed by name and by address: one host.
                backends[same] = None;
                set_address(&mut backends, known, entry.addr);
                by_addr.insert(entry.addr, known);
            }
            (Some(known), None) => {
                set_address(&mut backends, known, entry.addr);
                by_addr.insert(entry.addr, known);
            }
            (_, Some(known)) => {
                by_name.entry(key(name)).or_insert(known);
            }
            (None, None) => {
                by_name.insert(key(name), backends.len());
                by_addr.insert(entry.addr, backends.len());
                backends.push(Some(Backend {
                    host: (*name).to_owned(),
                    destination: entry.addr.to_string(),
                    addr: Some(entry.addr),
                }));
            }
        }
    }
    let mut backends: Vec<Backend> = backends.into_iter().flatten().collect();
    backends.sort();
    backends
}

/// The first address of a name is the one that counts.
fn set_address(backends: &mut [Option<Backend>], at: usize, addr: IpAddr) {
    if let Some(backend) = backends.get_mut(at).and_then(Option::as_mut) {
        backend.addr.get_or_insert(addr);
    }
}
