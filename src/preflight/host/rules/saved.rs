//! What `iptables-save` prints (iptables-save(8)), of either backend.

use serde_json::Value;

use super::{Base, Deed, Rule, Rules, SHOWN, add, empty, limit, name, range, target};
use crate::model::printable;

/// What the `iptables-save` of this `backend` shows.
pub(in crate::preflight::host) fn iptables(said: &str, backend: &str) -> Rules {
    let mut found = Rules::default();
    let mut table = [backend.to_owned(), String::new()];
    for line in said.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table[1] = printable(name, SHOWN);
        } else if let Some((name, policy)) = line.strip_prefix(':').and_then(|line| line.split_once(' ')) {
            if name == "FORWARD" {
                let drops = policy.starts_with("DROP");
                found.forward.push(Base { table: table.clone(), name: name.to_owned(), drops });
            }
            found.chains.push((table.clone(), printable(name, SHOWN)));
        } else if let ["-A", chain, rest @ ..] = words(line).iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            found.all.push(Rule { table: table.clone(), chain: (*chain).to_owned(), ..written(rest) });
        }
    }
    found
}

/// By the words after the chain's name.
fn written(words: &[&str]) -> Rule {
    let mut rule = empty();
    let mut rest = words;
    while let [word, left @ ..] = rest {
        let (same, word, left) = match (*word, left) {
            ("!", [word, left @ ..]) => (false, *word, left),
            (word, left) => (true, word, left),
        };
        let value = left.first().copied().unwrap_or_default();
        let mut taken = 1;
        let one = Value::from(value.strip_suffix('+').map_or_else(|| value.to_owned(), |stem| format!("{stem}*")));
        match word {
            "-o" => add(&mut rule.out, &mut rule.further, limit(&one, Some(same), name)),
            "-i" => add(&mut rule.into, &mut rule.further, limit(&one, Some(same), name)),
            "-s" => add(&mut rule.from, &mut rule.further, limit(&one, Some(same), range)),
            "-m" | "--comment" => {}
            "--ctstate" | "--state" => {
                rule.settled |= same && !value.contains("NEW") && !value.contains("UNTRACKED");
                rule.further = true;
            }
            // What follows is the target's.
            "-j" => {
                rule.deed = target(value);
                break;
            }
            "-g" => {
                rule.deed = Deed::Over(value.to_owned());
                break;
            }
            _ => {
                rule.further = true;
                taken = 0;
            }
        }
        rest = left.get(taken..).unwrap_or_default();
    }
    rule
}

/// The words of a line, of which one in quotation marks may have blanks.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}
