//! What is filled in, and why; what is left open, and where to find it. Pure, but for whether the files of an installation are there.

use std::collections::BTreeMap;
use std::path::Path;

use super::around::{Around, Choice};
use super::hosts::Hosts;
use super::questions::Said;
use crate::config::Filled;
use crate::confirm::Answer;
use crate::model::{Subnet, printable};
use crate::report::init::{Found, Missing};

/// As the README has them.
pub(super) const IDENTITY: &str = "/etc/natwatch/id_ed25519";
const KNOWN_HOSTS: &str = "/var/lib/natwatch/known_hosts";
pub(super) const USER: &str = "natwatch";

/// Why a value is what somebody has typed.
const TYPED: &str = "as it was typed";
/// Why a value is not.
const UNUSABLE: &str = "what was typed could not be used";

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
    pub(super) fn of(around: &Around, standby: &Choice, primary: &Choice, hosts: &Hosts, said: &Said) -> Self {
        let mut draft = Self::default();
        draft.primary(around, primary);
        draft.standby(around, standby, &said.region);
        draft.backends(primary, hosts);
        let keygen = "ssh-keygen -q -t ed25519 -N '' -C natwatch -f /etc/natwatch/id_ed25519";
        match &said.identity {
            Answer::This(path) => draft.fill("backends.identity", quoted(&path.to_string_lossy()), TYPED),
            Answer::Nothing | Answer::Unusable | Answer::End => draft.file("backends.identity", IDENTITY, keygen),
        }
        let keyscan = "ssh-keyscan -t ed25519 <backends' addresses>, compared with theirs";
        draft.file("backends.known_hosts", KNOWN_HOSTS, keyscan);
        match &said.user {
            Answer::This(user) => draft.fill("backends.user", quoted(user), TYPED),
            Answer::Unusable => {
                draft.open("backends.user", UNUSABLE.to_owned(), "the account that was made on the backends", &[]);
            }
            Answer::Nothing | Answer::End => {
                draft.fill("backends.user", quoted(USER), "the account that the README makes on the backends");
            }
        }
        match &said.targets {
            Answer::This(targets) => draft.fill("targets.hosts", list(targets), TYPED),
            Answer::Unusable => {
                let remedy = "two or more (better three) hosts on the internet that answer ping";
                draft.open("targets.hosts", UNUSABLE.to_owned(), remedy, &[]);
            }
            // The example is one that works.
            Answer::Nothing | Answer::End => {}
        }
        draft
    }

    /// A file of an installation.
    fn file(&mut self, key: &'static str, path: &str, remedy: &str) {
        if Path::new(path).exists() {
            self.fill(key, quoted(path), "it is there");
        } else {
            self.open(key, format!("{path} is not there yet"), remedy, &[]);
        }
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
            Choice::Typed(id) => self.fill(key, quoted(id.as_str()), format!("{TYPED}; EC2 was not heard of it")),
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

    fn standby(&mut self, around: &Around, choice: &Choice, region: &Answer<String>) {
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
        match (&around.region, region) {
            (_, Answer::This(region)) => self.fill("standby.region", quoted(region), TYPED),
            (Ok(region), _) => self.fill("standby.region", quoted(region), "where this instance is"),
            (Err(why), _) => {
                self.open("standby.region", why.clone(), "a region such as \"eu-west-1\", or AWS_REGION", &[]);
            }
        }
    }

    fn backends(&mut self, primary: &Choice, hosts: &Hosts) {
        let path = printable(&hosts.path.to_string_lossy(), 200);
        let remedy = format!(
            "list those behind the primary in {path}, an address and a name a line; three at least; or ec2_subnets = true: whoever EC2 shows there"
        );
        let subnets: Vec<&Subnet> = primary.one().iter().flat_map(|one| &one.subnets).collect();
        if !hosts.within.is_empty() {
            let blocks: Vec<String> = hosts.within.iter().map(ToString::to_string).collect();
            let names = subnets.iter().map(|one| one.name.as_deref().unwrap_or(one.id.as_str()));
            let names: Vec<String> = names.map(|name| printable(name, 60)).collect();
            self.fill("backends.within", list(&blocks), format!("the guarded subnets: {}", names.join(", ")));
        }
        if !hosts.typed.is_empty() {
            self.fill("backends.hosts", list(&hosts.typed), TYPED);
            return self.threshold(hosts.typed.len());
        }
        if let Some(why) = hosts.nobody() {
            let why = match (hosts.within.is_empty(), subnets.is_empty()) {
                (true, true) => "which subnets are guarded is not known".to_owned(),
                (true, false) => "EC2 tells no blocks of the guarded subnets".to_owned(),
                (false, _) => why,
            };
            return self.open("backends.hosts_file", why, &remedy, &[]);
        }
        let inside = hosts.inside.as_deref().unwrap_or_default();
        let mut shown: Vec<String> = inside.iter().take(NAMES).map(|(name, _)| printable(name, 60)).collect();
        shown.extend((inside.len() > NAMES).then(|| format!("and {} more", inside.len() - NAMES)));
        let shown = shown.join(", ");
        let why = if hosts.within.is_empty() {
            format!("{TYPED}; which subnets are guarded is not known, so each of its entries is asked: {shown}")
        } else {
            format!("{} of its entries are in the guarded subnets: {shown}", inside.len())
        };
        self.fill("backends.hosts_file", quoted(&path), why);
        self.threshold(inside.len());
    }

    fn threshold(&mut self, backends: usize) {
        if backends < THRESHOLD {
            let why =
                "no more backends are listed; the fewer, the easier a fault of their own looks like one of the NAT";
            self.fill("decision.threshold", backends.to_string(), why);
        }
    }
}

/// A list of TOML strings.
fn list(all: &[String]) -> String {
    format!("[{}]", all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", "))
}

/// A TOML string: basic ones are written as JSON's are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
