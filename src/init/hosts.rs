//! The hosts file, and who of it is behind the primary.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::around::Candidate;
use crate::config::{Disk, Files as _, hosts_within};
use crate::model::Cidr;

/// Where backends are listed, the likelier place first.
const PLACES: [&str; 2] = ["/etc/natwatch/hosts", "/etc/hosts"];

/// A hosts file as far as it concerns the guarded subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) path: PathBuf,
    /// The blocks of the guarded subnets.
    pub(super) within: Vec<Cidr>,
    /// Who is in one of them; or why the file can't be used.
    pub(super) inside: Result<Vec<(String, IpAddr)>, String>,
}

impl Hosts {
    /// The file that is named, else the first of the usual places that is there.
    pub(super) fn read(named: Option<&Path>, primary: Option<&Candidate>) -> Self {
        let usual = || PLACES.iter().map(Path::new).find(|path| path.exists()).unwrap_or(Path::new(PLACES[0]));
        let path = named.unwrap_or_else(usual).to_owned();
        let within: Vec<Cidr> =
            primary.iter().flat_map(|one| &one.subnets).flat_map(|one| &one.cidrs).copied().collect();
        let inside = Disk.read(&path).and_then(|content| {
            let (inside, junk) = hosts_within(&content, &within);
            if junk == 0 { Ok(inside) } else { Err(format!("{junk} of its lines are no entries")) }
        });
        Self { path, within, inside }
    }
}
