//! Rules of nftables and iptables as far as they say what becomes of forwarded packets: what `nft -j list ruleset` (libnftables-json(5)) and
//! `iptables-save` (iptables-save(8)) print, and what it means (pure).
//!
//! What is not understood is kept as that, and never as its absence: a rule in unknown words may do anything.

mod saved;

use std::net::IpAddr;

use serde_json::Value;

use crate::model::cloud::Cidr;
use crate::model::{Family, printable};

pub(super) use saved::iptables;

/// Of a name in somebody's rules.
const SHOWN: usize = 60;

/// Targets of iptables that let a packet go on to the next rule (iptables-extensions(8)).
const ON: [&str; 11] =
    ["LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "TRACE", "DSCP", "TOS", "CLASSIFY", "CHECKSUM"];

/// Which packets a rule is for, by one of their features.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Limit<T> {
    /// Any.
    #[default]
    None,
    Only(Vec<T>),
    Not(Vec<T>),
    /// In words that are not understood: a named set, a variable.
    Unclear,
}

/// What becomes of those packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Accept,
    Drop,
    Return,
    To(String),
    /// Likewise, but what comes back from there goes on where this chain was called from: a `goto`.
    Over(String),
    /// The source address is translated.
    Translate,
    /// They go on to the next rule.
    Nothing,
    /// Not understood.
    Any,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its family and table.
    pub(super) table: [String; 2],
    pub(super) chain: String,
    /// The interface that packets come in by.
    pub(super) into: Limit<String>,
    /// The interface that they leave by.
    pub(super) out: Limit<String>,
    /// Their sources, first and last address.
    pub(super) from: Limit<(IpAddr, IpAddr)>,
    /// Packets of connections only that are there already.
    pub(super) settled: bool,
    /// There are more conditions.
    pub(super) further: bool,
    pub(super) deed: Deed,
}

impl Rule {
    /// For every packet.
    pub(super) fn always(&self) -> bool {
        let free = self.into == Limit::None && self.out == Limit::None && self.from == Limit::None;
        free && !self.further && !self.settled
    }
}

/// A chain that every forwarded packet comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) table: [String; 2],
    pub(super) name: String,
    /// Its policy.
    pub(super) drops: bool,
}

/// All rules of one family, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    pub(super) all: Vec<Rule>,
    pub(super) forward: Vec<Base>,
    /// Every chain, by its table and name: one may have no rules.
    pub(super) chains: Vec<([String; 2], String)>,
}

fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default(), SHOWN)
}

/// Those for packets of `family`.
///
/// # Errors
/// That is no rule set in JSON.
pub(super) fn nft(json: &str, family: Family) -> Result<Rules, String> {
    let all: Value = serde_json::from_str(json).map_err(|e| format!("nft's JSON cannot be read: {e}"))?;
    let Some(all) = all["nftables"].as_array() else { return Err("nft's JSON holds no rule set".to_owned()) };
    // Flags are rare, and one of them (`dormant`) has a table do nothing; nft has not always printed it by its name.
    let asleep = |item: &Value| {
        let of_table = |table: &&Value| table["family"] == item["family"] && table["name"] == item["table"];
        all.iter().map(|one| &one["table"]).find(of_table).is_some_and(|table| !table["flags"].is_null())
    };
    let own = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    let ours = |item: &&Value| (item["family"] == own || item["family"] == "inet") && !asleep(item);
    let table = |item: &Value| [text(&item["family"]), text(&item["table"])];
    let base =
        |chain: &Value| Base { table: table(chain), name: text(&chain["name"]), drops: chain["policy"] == "drop" };
    let forwards = |chain: &&Value| chain["hook"] == "forward" && chain["type"] == "filter";
    let rule = |rule: &Value| {
        let all = rule["expr"].as_array().map_or(&[][..], Vec::as_slice);
        expressed(all, own).map(|found| Rule { table: table(rule), chain: text(&rule["chain"]), ..found })
    };
    Ok(Rules {
        all: all.iter().map(|item| &item["rule"]).filter(ours).filter_map(rule).collect(),
        forward: all.iter().map(|item| &item["chain"]).filter(forwards).filter(ours).map(base).collect(),
        chains: all
            .iter()
            .map(|item| &item["chain"])
            .filter(ours)
            .map(|one| (table(one), text(&one["name"])))
            .collect(),
    })
}

fn empty() -> Rule {
    Rule {
        table: Default::default(),
        chain: String::new(),
        into: Limit::None,
        out: Limit::None,
        from: Limit::None,
        settled: false,
        further: false,
        deed: Deed::Nothing,
    }
}

/// `None`: it is for packets of another family.
fn expressed(all: &[Value], own: &str) -> Option<Rule> {
    let mut rule = empty();
    let others_answer = if own == "ip" { "icmpv6" } else { "icmp" };
    for one in all {
        let Some((word, what)) = one.as_object().and_then(|one| one.iter().next()) else {
            rule.deed = Deed::Any;
            continue;
        };
        match word.as_str() {
            "match" => {
                let (left, right) = (&what["left"], &what["right"]);
                let same = match what["op"].as_str() {
                    Some("==" | "in") => Some(true),
                    Some("!=") => Some(false),
                    _ => None,
                };
                let (key, payload) = (left["meta"]["key"].as_str().unwrap_or_default(), &left["payload"]);
                let of = payload["protocol"].as_str().unwrap_or_default();
                if ["ip", "ip6"].contains(&of) && of != own {
                    return None;
                }
                match key {
                    "oifname" | "oif" => add(&mut rule.out, &mut rule.further, limit(right, same, name)),
                    "iifname" | "iif" => add(&mut rule.into, &mut rule.further, limit(right, same, name)),
                    "nfproto" => match is_meant(right, same, own) {
                        Some(true) => {}
                        Some(false) => return None,
                        None => rule.further = true,
                    },
                    _ if of == own && payload["field"] == "saddr" => {
                        add(&mut rule.from, &mut rule.further, limit(right, same, range));
                    }
                    _ if left["ct"]["key"] == "state"
                        && same == Some(true)
                        && !right.to_string().contains(['@', '$']) =>
                    {
                        let states = right.to_string();
                        rule.settled |= !states.contains("new") && !states.contains("untracked");
                        rule.further = true;
                    }
                    _ => rule.further = true,
                }
            }
            "accept" => rule.deed = Deed::Accept,
            // By an answer that only the other family has: nft takes it for a condition, and does not print that.
            "reject" if what["type"] == others_answer => return None,
            "drop" | "reject" => {
                rule.deed = Deed::Drop;
                rule.further |= what["type"] == "tcp reset";
            }
            "return" => rule.deed = Deed::Return,
            "jump" => rule.deed = Deed::To(text(&what["target"])),
            "goto" => rule.deed = Deed::Over(text(&what["target"])),
            // In a table of both families; by the families' names as tables have them (libnftables-json(5)).
            "snat" if what["family"].as_str().is_some_and(|family| family != own) => return None,
            "masquerade" | "snat" => rule.deed = Deed::Translate,
            "xt" if what["type"] == "match" => rule.further = true,
            "xt" if what["type"] == "target" => rule.deed = target(&text(&what["name"])),
            "limit" | "quota" | "ct count" => rule.further = true,
            "counter" | "log" | "mangle" | "notrack" | "ct helper" | "ct timeout" | "flow" => {}
            _ => {
                rule.deed = Deed::Any;
                rule.further = true;
            }
        }
    }
    Some(rule)
}

/// Whether a match of the packet's family is for this one; `None`: it is in words that are not understood.
fn is_meant(right: &Value, same: Option<bool>, own: &str) -> Option<bool> {
    let four = own == "ip";
    let is_own = |value: &Value| match value.as_str()? {
        "ipv4" => Some(four),
        "ipv6" => Some(!four),
        _ => None,
    };
    match limit(right, same, is_own) {
        Limit::Only(all) => Some(all.contains(&true)),
        Limit::Not(all) => Some(!all.contains(&true)),
        Limit::None | Limit::Unclear => None,
    }
}

/// A second word on the same feature makes it narrower, in a way that is not followed.
fn add<T>(limit: &mut Limit<T>, further: &mut bool, more: Limit<T>) {
    if matches!(limit, Limit::None) {
        *limit = more;
    } else {
        *further = true;
    }
}

/// What is compared with `right`; `same`: by `==`, or else by `!=`; `None`: in another way, which is not followed.
fn limit<T>(right: &Value, same: Option<bool>, one: impl Fn(&Value) -> Option<T>) -> Limit<T> {
    let all = right["set"].as_array().or_else(|| right.as_array());
    let values = match all {
        Some(all) => all.iter().map(one).collect(),
        None => one(right).map(|one| vec![one]),
    };
    match (values, same) {
        (Some(values), Some(true)) => Limit::Only(values),
        (Some(values), Some(false)) => Limit::Not(values),
        _ => Limit::Unclear,
    }
}

fn name(value: &Value) -> Option<String> {
    value.as_str().filter(|name| !name.starts_with(['@', '$'])).map(str::to_owned)
}

fn range(value: &Value) -> Option<(IpAddr, IpAddr)> {
    if let Some(ends) = value["range"].as_array() {
        let end = |n: usize| ends.get(n)?.as_str()?.parse().ok();
        return Some((end(0)?, end(1)?));
    }
    if let Some(addr) = value["prefix"]["addr"].as_str() {
        return block(&format!("{addr}/{}", value["prefix"]["len"]));
    }
    block(value.as_str()?)
}

fn block(text: &str) -> Option<(IpAddr, IpAddr)> {
    let block = text.parse::<Cidr>().or_else(|_| text.parse::<IpAddr>().map(Cidr::from)).ok()?;
    Some((block.network(), block.broadcast()))
}

fn target(name: &str) -> Deed {
    match name {
        "ACCEPT" => Deed::Accept,
        "DROP" | "REJECT" => Deed::Drop,
        "RETURN" => Deed::Return,
        // SNPT: prefixes of IPv6, without connections (RFC 6296).
        "MASQUERADE" | "SNAT" | "NETMAP" | "SNPT" => Deed::Translate,
        name if ON.contains(&name) => Deed::Nothing,
        name => Deed::To(name.to_owned()),
    }
}
