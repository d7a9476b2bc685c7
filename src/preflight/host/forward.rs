//! Whether the filter lets forwarded packets pass at all (pure).
//!
//! A base chain's `drop` is final, whatever other tables accept (nft(8), "Verdict statements"), so one chain that drops everything is enough, and is told
//! apart from one whose rules might let something pass: only the first is certain, and holds a takeover.

use super::Place;
use super::rules::{Deed, Limit, Rule, Rules};
use crate::model::quoted;

/// Chains that lead to chains: more than anybody writes by hand, and an end for those in a circle, which the kernel refuses.
const DEEP: usize = 16;

/// What a chain that drops all the rest lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passes {
    /// Nothing.
    Nothing,
    /// What the guarded subnets do not send: by other interfaces, from other sources, of connections only that are there already.
    Others,
    /// Something else, or it is not understood.
    Some,
}

/// A chain that forwarded packets come to, and which drops what no rule accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropping {
    /// Its name, table and family.
    pub chain: String,
    /// The command after which it does not.
    pub remedy: String,
    /// By a rule for everything, and not by the chain's policy.
    pub by_rule: bool,
    /// What rules before let pass.
    pub passes: Passes,
}

/// Where a chain ends for a packet that none of its rules was for, or all.
struct End {
    passes: Passes,
    accepts: Option<bool>,
}

/// All chains that do.
pub(super) fn dropping(rules: &Rules, place: &Place<'_>) -> Vec<Dropping> {
    let one = |base: &super::rules::Base| {
        let end = walk(rules, &base.table, &base.name, place, DEEP);
        let drops = end.accepts.map_or(base.drops, |accepts| !accepts);
        let by_rule = end.accepts.is_some();
        let [family, table] = &base.table;
        let (at, name) = (quoted(table), quoted(&base.name));
        let remedy = match (family.as_str(), by_rule) {
            (of, true) if of.contains("tables-") => format!("{family} -t {at} -F {name}"),
            (of, false) if of.contains("tables-") => format!("{family} -t {at} -P {name} ACCEPT"),
            (_, true) => format!("nft flush chain {family} {at} {name}"),
            (_, false) => format!("nft add chain {family} {at} {name} '{{ policy accept; }}'"),
        };
        let chain = format!("the chain {} (table {table}, {family})", base.name);
        drops.then_some(Dropping { chain, remedy, by_rule, passes: end.passes })
    };
    rules.forward.iter().filter_map(one).collect()
}

fn walk(rules: &Rules, table: &[String; 2], chain: &str, place: &Place<'_>, depth: usize) -> End {
    let mut passes = Passes::Nothing;
    let mut returned = false;
    for rule in rules.all.iter().filter(|rule| &rule.table == table && rule.chain == chain) {
        let always = rule.always();
        let bound = if of_others(rule, place) { Passes::Others } else { Passes::Some };
        let all = match &rule.deed {
            Deed::Nothing | Deed::Translate => None,
            Deed::Return if always => break,
            Deed::Return => {
                returned = true;
                None
            }
            Deed::Accept => Some(true),
            Deed::Drop => Some(false),
            Deed::Any => {
                passes = passes.max(bound);
                None
            }
            Deed::To(next) | Deed::Over(next) => {
                let known = rules.chains.iter().any(|(of, name)| of == table && name == next);
                let accepts = if let Some(depth) = depth.checked_sub(1).filter(|_| known) {
                    let end = walk(rules, table, next, place, depth);
                    passes = passes.max(end.passes.min(bound));
                    end.accepts
                } else {
                    passes = passes.max(bound);
                    None
                };
                if accepts.is_none() && matches!(rule.deed, Deed::Over(_)) {
                    if always {
                        break;
                    }
                    returned = true;
                }
                accepts
            }
        };
        match all {
            Some(true) if always && !returned => return End { passes, accepts: Some(true) },
            Some(true) => passes = passes.max(bound),
            Some(false) if always && !returned => return End { passes, accepts: Some(false) },
            _ => {}
        }
    }
    End { passes, accepts: None }
}

/// Whether nothing that the guarded subnets send is meant.
fn of_others(rule: &Rule, place: &Place<'_>) -> bool {
    let elsewhere = |limit: &Limit<String>| matches!(limit, Limit::Only(names) if names.iter().all(|name| !name.ends_with('*') && !place.carries(name)));
    rule.settled || elsewhere(&rule.into) || elsewhere(&rule.out) || place.sends(&rule.from) == Some(false)
}
