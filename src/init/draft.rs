//! What is filled in, and why; what is left open, and where to find it. Pure, but for whether the files of an installation are there.

use std::collections::BTreeMap;
use std::path::Path;

use super::around::{Around, Choice};
use super::hosts::Hosts;
use crate::config::Filled;
use crate::model::{Subnet, printable};
use crate::report::init::{Found, Missing};

/// As the README has them.
const IDENTITY: &str = "/etc/natwatch/id_ed25519";
const KNOWN_HOSTS: &str = "/var/lib/natwatch/known_hosts";
const USER: &str = "natwatch";

/// `decision.threshold` where nothing is written.
const THRESHOLD: usize = 3;

/// Who is shown by name.
const NAMES: usize = 12;

/// A configuration to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// By the path of the key.
    pub(super) known: BTreeMap<&'static str, Filled>,
    pub(super) missing: Vec<Missing>,
}

impl Draft {
    pub(super) fn of(around: &Around, standby: &Choice, primary: &Choice, hosts: &Hosts) -> Self {
        let mut draft = Self::default();
        draft.primary(around, primary);
        draft.standby(around, standby);
        draft.backends(primary, hosts);
        for (key, path, remedy) in [
            ("backends.identity", IDENTITY, "ssh-keygen -q -t ed25519 -N '' -C natwatch -f /etc/natwatch/id_ed25519"),
            ("backends.known_hosts", KNOWN_HOSTS, "ssh-keyscan -t ed25519 <backends' addresses>, compared with theirs"),
        ] {
            if Path::new(path).exists() {
                draft.fill(key, quoted(path), "it is there");
            } else {
                draft.open(key, format!("{path} is not there yet"), remedy, &[]);
            }
        }
        draft.fill("backends.user", quoted(USER), "the account that the README makes on the backends");
        draft
    }

    /// What was filled in, for who looks on.
    pub(super) fn told(&self) -> Vec<Found> {
        let filled = self.known.iter().filter_map(|(key, one)| Some((key, one.value.as_ref()?, one.notes.first()?)));
        filled.map(|(key, value, why)| Found { key, value: value.clone(), why: why.clone() }).collect()
    }

    fn fill(&mut self, key: &'static str, value: String, why: impl Into<String>) {
        self.known.insert(key, Filled { value: Some(value), notes: vec![why.into()] });
    }

    fn open(&mut self, key: &'static str, why: String, remedy: &str, options: &[String]) {
        let choices = options.iter().map(|option| format!("  {option}"));
        let notes =
            [format!("OPEN: {why}"), format!("where to find it: {remedy}")].into_iter().chain(choices).collect();
        self.known.insert(key, Filled { value: None, notes });
        self.missing.push(Missing { key, why, remedy: remedy.to_owned(), options: options.to_vec() });
    }

    fn table(&mut self, key: &'static str, choice: &Choice, remedy: &str) {
        match choice {
            Choice::One(one) => self.fill(key, quoted(one.table.id.as_str()), one.to_string()),
            Choice::Several(all) => {
                let options: Vec<String> = all.iter().map(ToString::to_string).collect();
                self.open(key, format!("{} route tables could be meant", all.len()), remedy, &options);
            }
            Choice::Unknown(why) => self.open(key, why.clone(), remedy, &[]),
        }
    }

    fn primary(&mut self, around: &Around, choice: &Choice) {
        let remedy = "the table that the private subnets are associated with: aws ec2 describe-route-tables";
        self.table("primary.route_table", choice, remedy);
        let Some(one) = choice.one() else { return };
        let Some(machine) = &one.machine else {
            let why = around.others.as_ref().err().cloned();
            let why = why.unwrap_or_else(|| "EC2 knows no instance that its default route leads to".to_owned());
            self.open("primary.instance", why, "aws ec2 describe-instances", &[]);
            return;
        };
        let (id, name) = (&machine.instance.id, machine.instance.name.as_deref().unwrap_or("no Name tag"));
        let why =
            format!("its table's default route leads there ({}, {})", printable(name, 60), machine.instance.state);
        self.fill("primary.instance", quoted(id.as_str()), why);
        if let Some(address) = machine.address {
            self.fill("primary.address", quoted(&address.to_string()), "its private address");
        }
    }

    fn standby(&mut self, around: &Around, choice: &Choice) {
        let remedy =
            "make one, with its default route to this instance: aws ec2 create-route-table, aws ec2 create-route";
        self.table("standby.route_table", choice, remedy);
        match &around.own {
            Ok(own) => self.fill(
                "standby.instance",
                quoted(own.instance.id.as_str()),
                "this instance by IMDS; a copy of it on another one refuses to run",
            ),
            Err(why) => self.open(
                "standby.instance",
                why.clone(),
                "aws ec2 describe-instances; or see why IMDS or EC2 does not answer, and begin again",
                &[],
            ),
        }
        match &around.region {
            Ok(region) => self.fill("standby.region", quoted(region), "where this instance is"),
            Err(why) => self.open("standby.region", why.clone(), "a region such as \"eu-west-1\", or AWS_REGION", &[]),
        }
    }

    fn backends(&mut self, primary: &Choice, hosts: &Hosts) {
        let path = printable(&hosts.path.to_string_lossy(), 200);
        let remedy = format!("list those behind the primary in {path}, an address and a name a line; three at least");
        let subnets: Vec<&Subnet> = primary.one().iter().flat_map(|one| &one.subnets).collect();
        if hosts.within.is_empty() {
            let why = if subnets.is_empty() {
                "which subnets are guarded is not known"
            } else {
                "EC2 tells no blocks of the guarded subnets"
            };
            self.open("backends.hosts_file", why.to_owned(), &remedy, &[]);
            return;
        }
        let blocks: Vec<String> = hosts.within.iter().map(|block| quoted(&block.to_string())).collect();
        let names = subnets.iter().map(|one| one.name.as_deref().unwrap_or(one.id.as_str()));
        let names: Vec<String> = names.map(|name| printable(name, 60)).collect();
        self.fill(
            "backends.within",
            format!("[{}]", blocks.join(", ")),
            format!("the guarded subnets: {}", names.join(", ")),
        );
        let inside = match &hosts.inside {
            Ok(inside) => inside,
            Err(why) => return self.open("backends.hosts_file", format!("{path}: {why}"), &remedy, &[]),
        };
        if inside.is_empty() {
            let why = format!("no entry of {path} is in one of the guarded subnets");
            return self.open("backends.hosts_file", why, &remedy, &[]);
        }
        let mut shown: Vec<String> = inside.iter().take(NAMES).map(|(name, _)| printable(name, 60)).collect();
        shown.extend((inside.len() > NAMES).then(|| format!("and {} more", inside.len() - NAMES)));
        let why = format!("{} of its entries are in the guarded subnets: {}", inside.len(), shown.join(", "));
        self.fill("backends.hosts_file", quoted(&path), why);
        if inside.len() < THRESHOLD {
            let why =
                "no more backends are listed; the fewer, the easier a fault of their own looks like one of the NAT";
            self.fill("decision.threshold", inside.len().to_string(), why);
        }
    }
}

/// A TOML string: basic ones are written as JSON's are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
