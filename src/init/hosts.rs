//! The hosts file, and who of it is behind the primary; or the backends as they were typed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::around::Candidate;
use crate::config::{Disk, Files as _, hosts_within, typed};
use crate::model::{Cidr, printable};

/// Where backends are listed, the likelier place first.
const PLACES: [&str; 2] = ["/etc/natwatch/hosts", "/etc/hosts"];

/// Where it is not known which subnets are guarded, and somebody says that this is the file: whatever the address.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// A hosts file as far as it concerns the guarded subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) path: PathBuf,
    /// The blocks of the guarded subnets.
    pub(super) within: Vec<Cidr>,
    /// Who is in one of them; or why the file can't be used.
    pub(super) inside: Result<Vec<(String, IpAddr)>, String>,
    /// Names and addresses that were typed in the place of a file.
    pub(super) typed: Vec<String>,
}

impl Hosts {
    /// The file that is named, else the first of the usual places that is there.
    pub(super) fn read(named: Option<&Path>, primary: Option<&Candidate>) -> Self {
        let usual = || PLACES.iter().map(Path::new).find(|path| path.exists()).unwrap_or(Path::new(PLACES[0]));
        let path = named.unwrap_or_else(usual).to_owned();
        let within: Vec<Cidr> =
            primary.iter().flat_map(|one| &one.subnets).flat_map(|one| &one.cidrs).copied().collect();
        let inside = entries(&path, &within);
        Self { path, within, inside, typed: Vec::new() }
    }

    /// A file or a list of hosts, as it was typed in the place of `self`.
    ///
    /// # Errors
    /// Why nothing comes of it, one line.
    pub(super) fn answered(&self, typed: &str) -> Result<Self, String> {
        if !typed.starts_with('/') {
            return Ok(Self { typed: typed::hosts(typed)?, ..self.clone() });
        }
        let path = PathBuf::from(typed);
        let everywhere: Vec<Cidr> = EVERYWHERE.iter().filter_map(|block| block.parse().ok()).collect();
        let within = if self.within.is_empty() { &everywhere } else { &self.within };
        let answered = Self { inside: entries(&path, within), path, within: self.within.clone(), typed: Vec::new() };
        match answered.nobody() {
            None => Ok(answered),
            Some(why) => Err(format!("{why}; accepted: a line for each backend: its address, then its name")),
        }
    }

    /// Why nobody of the file can be a backend; `None`: somebody can.
    pub(super) fn nobody(&self) -> Option<String> {
        let path = printable(&self.path.to_string_lossy(), 200);
        match &self.inside {
            Err(why) => Some(format!("{path}: {why}")),
            Ok(inside) if !inside.is_empty() => None,
            Ok(_) if self.within.is_empty() => Some(format!("{path} has no entry of another host")),
            Ok(_) => Some(format!("no entry of {path} is in one of the guarded subnets")),
        }
    }
}

fn entries(path: &Path, within: &[Cidr]) -> Result<Vec<(String, IpAddr)>, String> {
    let (inside, junk) = hosts_within(&Disk.read(path)?, within);
    if junk == 0 { Ok(inside) } else { Err(format!("{junk} of its lines are no entries")) }
}
