//! Who joins the backends because EC2 shows it running in a guarded subnet (`backends.ec2_subnets`).
//!
//! EC2 is not asked here: a list comes in that was seen some time, and goes through the filters that a hosts file's entries go through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::backends::Filter;
use super::{Files, Settings};
use crate::model::{Fleet, Resident};
use crate::observe::{HostKeys, SshSettings};

/// `backends.ec2_subnets = true`: by which filters, and what has come of it.
#[derive(Debug, Clone)]
pub struct Joining {
    filter: Filter,
    /// How many backends are listed besides, and come first; `None`: nobody joined yet.
    listed: Option<usize>,
    /// Who joined; `None`: EC2 never said who runs there.
    pub came: Option<Joined>,
    /// Why EC2 could not be asked, where it was to be.
    trouble: Option<String>,
}

/// What came of a list of EC2's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// How many are backends by it, those among them that are listed anyway.
    pub backends: usize,
    /// Who was left out by `backends.match` and `backends.within`, as a backend is called.
    pub filtered: Vec<String>,
    /// How many have no IPv4 address.
    pub without_address: usize,
    /// How many there are besides, which are too many.
    pub more: usize,
}

/// Who joined is among the backends. Who else runs there, and passes no filter, may change by the minute and is nothing to begin anew for.
impl PartialEq for Joining {
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter && self.told() == other.told()
    }
}

impl Joining {
    pub(super) const fn new(filter: Filter) -> Self {
        Self { filter, listed: None, came: None, trouble: None }
    }

    /// The filter that would have to be another for more of them to pass.
    #[must_use]
    pub const fn narrowed_by(&self) -> &'static str {
        if self.filter.pattern.is_some() { "backends.match" } else { "backends.within" }
    }

    /// What there is to say of it in every report: where it brings nobody, or not all.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let what = match (&self.came, &self.trouble) {
            (None, None) => {
                "EC2 has not been asked yet who runs in the guarded subnets: natwatch run asks it".to_owned()
            }
            (None, Some(why)) => {
                format!("who runs in the guarded subnets was never seen, and EC2 can't be asked: {why}")
            }
            (Some(Joined { backends: 0, filtered, without_address, .. }), _) => {
                match (filtered.len(), without_address) {
                    (0, 0) => "EC2 shows no running instance in the guarded subnets".to_owned(),
                    (0, n) => format!("EC2 shows {n} running in the guarded subnets, and none with an IPv4 address"),
                    (n, _) => {
                        format!(
                            "EC2 shows {n} running in the guarded subnets, and none that passes backends.match and backends.within"
                        )
                    }
                }
            }
            (Some(Joined { more: 0, .. }), _) => return None,
            (Some(Joined { backends, filtered, more, .. }), _) => format!(
                "EC2 shows {} running in the guarded subnets, which are too many: {more} of them are left out",
                backends + filtered.len() + more
            ),
        };
        Some(format!("backends.ec2_subnets: {what}"))
    }
}

impl Settings {
    /// Adds whom EC2 showed, where `backends.ec2_subnets` asks for that, in place of whom it showed before. Who is listed already, by that address,
    /// is not there twice, and neither is the primary. They come last, so that of a listed name that leads to one of them the name stays. Without a
    /// list, those who have joined stay.
    ///
    /// `trouble` is why EC2 could not be asked.
    pub fn join(&mut self, fleet: Option<&Fleet>, trouble: Option<String>) {
        let primary = self.primary_address;
        let Some(joining) = &mut self.fleet else { return };
        joining.trouble = trouble;
        let Some(fleet) = fleet else { return };
        let first = *joining.listed.get_or_insert(self.observe.backends.len());
        self.observe.backends.truncate(first);
        let mut came = Joined { without_address: fleet.without_address, more: fleet.more, ..Joined::default() };
        let mut listed: BTreeSet<IpAddr> = self.observe.backends.iter().filter_map(|one| one.addr).collect();
        for one in fleet.members.iter().filter(|one| Some(one.addr) != primary) {
            let Resident { name, addr, .. } = one;
            if !joining.filter.admits(name.as_deref(), *addr) {
                came.filtered.push(one.backend().host);
                continue;
            }
            came.backends += 1;
            if listed.insert(*addr) {
                self.observe.backends.push(one.backend());
            }
        }
        joining.came = Some(came);
    }
}

/// What is advised where the key of whoever comes anew is known to nobody.
pub(super) fn unknown_keys(ssh: Option<&SshSettings>, files: &dyn Files) -> Option<String> {
    let ssh = ssh.filter(|ssh| ssh.host_keys == HostKeys::Strict && ssh.ssh_config.is_none())?;
    let known = files.read(ssh.known_hosts.as_deref()?).ok()?;
    let signed = String::from_utf8_lossy(&known).lines().any(|line| line.starts_with("@cert-authority "));
    (!signed).then(|| {
        "backends.host_keys: \"strict\", and with backends.ec2_subnets an instance that was started anew is silent until its key is in \
         backends.known_hosts; have host keys signed (a line @cert-authority there), or take \"accept-new\""
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
