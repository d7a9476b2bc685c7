//! What this machine's own rules do to what is to be forwarded: dropped by the filter, or masqueraded at another interface than the one it leaves by.
//!
//! Only a chain that drops everything holds a takeover; one that lets pass what the guarded subnets do not send, as Docker's do, is unfit here and no
//! more, since rules may be written, and packets led, in more ways than are understood. Who may not read the rules is told what root saw.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::command;
use crate::model::cloud::Masquerade;
use crate::model::{Family, Finding, Fitness, Topic, printable, quoted};
use crate::preflight::host::forward::{Dropping, Passes};

const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];

/// Of a name in somebody's rules.
const SHOWN: usize = 60;

/// What the filter was seen to drop, or else what is known of it; and at which interface packets are masqueraded.
pub(super) async fn findings(
    family: Family,
    dropping: Option<&[Dropping]>,
    told: &Masquerade,
    uplink: Option<&str>,
) -> Vec<Finding> {
    let rules = command::ask(&NFT, &["-j", "list", "ruleset"]).await;
    let rules: Option<Value> = rules.and_then(|said| serde_json::from_str(&said).ok());
    let there = |name: &str| Path::new("/sys/class/net").join(name).exists();
    let all = rules.as_ref().and_then(|all| all["nftables"].as_array());
    let interface = all.zip(uplink).and_then(|(all, uplink)| masquerades(family, all, uplink, there));
    filter(dropping, told).into_iter().chain(interface).map(|found| of_family(family, found)).collect()
}

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Forwarding, id, fitness, text.into())
}

/// What nft calls the tables of a family.
const fn tables_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// What adds a rule that masquerades what leaves there.
pub(super) fn rule(family: Family, uplink: &str) -> String {
    let own = tables_of(family);
    format!(
        "nft add table {own} nat && nft 'add chain {own} nat postrouting {{ type nat hook postrouting priority srcnat; }}' && nft add rule {own} nat postrouting oifname {uplink} masquerade"
    )
}

/// IPv4 is meant where nothing else is said.
pub(super) fn of_family(family: Family, found: Finding) -> Finding {
    if family == Family::V4 { found } else { found.of(family) }
}

const ID: &str = "forward-filter";

/// By what was seen, else by what somebody was told who may not look. `None`: that has been said with what masquerades.
fn filter(seen: Option<&[Dropping]>, told: &Masquerade) -> Option<Finding> {
    let Some(dropping) = seen else {
        return match told {
            Masquerade::Told(told) if !told.dropped => {
                Some(finding(ID, Fitness::Fit, format!("no chain dropped all that is forwarded, {told}")))
            }
            Masquerade::Unknown(why) => {
                let text = format!("whether the filter drops what is forwarded is not known: {why}");
                Some(finding(ID, Fitness::Unknown, text).cause("filter-not-seen").remedy("sudo natwatch doctor"))
            }
            // Whether sources are translated, IPv6 may be known without a look at the rules; then nothing dropped them.
            Masquerade::Plain { .. } => {
                Some(finding(ID, Fitness::Fit, "no chain dropped all that is forwarded, by facts.json"))
            }
            Masquerade::Told(_) | Masquerade::Present | Masquerade::Absent | Masquerade::Dropped { .. } => None,
        };
    };
    let Some(worst) = dropping.iter().min_by_key(|one| one.passes) else {
        return Some(finding(ID, Fitness::Fit, "no rule or policy drops all that is forwarded"));
    };
    let how = if worst.by_rule { "a rule for everything" } else { "its policy" };
    let text = format!("{} drops what is forwarded, by {how}", worst.chain);
    Some(match worst.passes {
        Passes::Nothing => {
            finding(ID, Fitness::Unfit, format!("{text}, and no rule accepts anything before")).cause("drops-all").remedy(&worst.remedy)
        }
        Passes::Others => finding(
            ID,
            Fitness::Unfit,
            format!(
                "{text}, and what rules accept before is not what the guarded subnets send (other interfaces or sources, or connections \
                 that are there already)"
            ),
        )
        .cause("drops-ours")
        .remedy(&worst.remedy),
        Passes::Some => finding(
            ID,
            Fitness::Warning,
            format!("{text}, but for what rules accept before: whether that is all that the guarded subnets send, only a drill shows"),
        )
        .cause("drops-some")
        .remedy("natwatch drill --dry-run"),
    })
}

/// Rules that masquerade at certain interfaces only, none of which is the one that packets leave by. Nothing, where some do at any.
fn masquerades(family: Family, rules: &[Value], uplink: &str, there: impl Fn(&str) -> bool) -> Option<Finding> {
    let own = tables_of(family);
    let translates = |one: &Value| {
        let native = one.get("masquerade").is_some() || one.get("snat").is_some();
        native || matches!(one["xt"]["name"].as_str(), Some("MASQUERADE" | "SNAT"))
    };
    let ours = |rule: &&Value| rule["family"] == own || rule["family"] == "inet";
    let expressions = rules.iter().map(|item| &item["rule"]).filter(ours).filter_map(|rule| rule["expr"].as_array());
    let translating: Vec<&Vec<Value>> = expressions.filter(|all| all.iter().any(translates)).collect();
    let mut elsewhere = BTreeSet::new();
    for rule in &translating {
        // A set, a pattern, an index: what is not plainly a name may be any.
        let at = |one: &&Value| one["match"]["left"]["meta"]["key"] == "oifname" && one["match"]["op"] == "==";
        let name = rule.iter().find(at).and_then(|one| one["match"]["right"].as_str())?;
        if name.ends_with('*') || name == uplink {
            return None;
        }
        elsewhere.insert(name);
    }
    let first = elsewhere.first()?;
    let names = elsewhere.iter().map(|name| printable(name, SHOWN)).collect::<Vec<_>>().join(", ");
    let text = format!("what leaves by {names} is masqueraded, and the default route leads out by {uplink}");
    let id = "masquerade-interface";
    let rule = rule(family, &quoted(uplink));
    Some(if there(first) {
        finding(id, Fitness::Warning, format!("{text}: right only where routes of their own lead there"))
            .cause("another-interface")
            .remedy(rule)
    } else {
        finding(id, Fitness::Unfit, format!("{text}: there is no {}", printable(first, SHOWN)))
            .cause("no-such-interface")
            .remedy(rule)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::cloud::Sighting;

    fn one(passes: Passes) -> Dropping {
        Dropping { chain: "the chain f".to_owned(), remedy: "nft x".to_owned(), by_rule: false, passes }
    }

    fn rule(table: &str, expr: &Value) -> Value {
        json!({"rule": {"family": "ip", "table": table, "chain": "x", "expr": expr}})
    }

    fn at(name: &Value) -> Value {
        let meta = json!({"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": name}});
        rule("nat", &json!([meta, {"masquerade": null}]))
    }

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let dropping = [Passes::Nothing, Passes::Others, Passes::Some];
        let seen = dropping.iter().filter_map(|passes| filter(Some(&[one(*passes)]), &Masquerade::Present));
        let unseen = filter(None, &Masquerade::Unknown("takes root".to_owned()));
        let at =
            [true, false].iter().filter_map(|there| masquerades(Family::V4, &[at(&json!("eth0"))], "ens5", |_| *there));
        seen.chain(unseen).chain(at).collect()
    }

    #[test]
    fn f010_f077_a_filter_that_drops_what_is_forwarded_is_said_as_far_as_it_could_be_seen() {
        let one =
            |passes| Dropping { chain: "the chain f".to_owned(), remedy: "nft x".to_owned(), by_rule: false, passes };
        let told = |dropped| {
            Masquerade::Told(Sighting { family: Family::V4, masquerade: false, dropped, ago: Duration::from_mins(3) })
        };
        let unknown = Masquerade::Unknown("takes root".to_owned());
        for (seen, told, fitness, words) in [
            (Some(vec![]), Masquerade::Present, Fitness::Fit, "no rule or policy"),
            (Some(vec![one(Passes::Nothing)]), Masquerade::Present, Fitness::Unfit, "no rule accepts anything"),
            (
                Some(vec![one(Passes::Some), one(Passes::Others)]),
                Masquerade::Absent,
                Fitness::Unfit,
                "not what the guarded",
            ),
            (Some(vec![one(Passes::Some)]), Masquerade::Present, Fitness::Warning, "only a drill shows"),
            (None, told(false), Fitness::Fit, "as root saw 3 min ago"),
            (None, unknown, Fitness::Unknown, "is not known: takes root"),
        ] {
            let found = filter(seen.as_deref(), &told).unwrap();
            assert_eq!(found.fitness, fitness, "{found:?}");
            assert!(found.text.contains(words), "{found:?}");
            assert_eq!(found.remedy.is_some(), fitness != Fitness::Fit, "{found:?}");
            crate::doctor::tests::can_be_done(std::slice::from_ref(&found));
        }
        assert_eq!(filter(None, &told(true)), None, "that is said with what masquerades");
    }

    #[test]
    fn f010_a_rule_that_masquerades_at_another_interface_than_packets_leave_by_is_found() {
        let everywhere = || rule("nat", &json!([{"masquerade": null}]));
        let cause =
            |rules: &[Value]| masquerades(Family::V4, rules, "ens5", |name| name == "ens6").and_then(|one| one.cause);
        for (rules, expected) in [
            (vec![at(&json!("eth0"))], Some("no-such-interface")),
            (vec![at(&json!("ens6"))], Some("another-interface")),
            (vec![at(&json!("ens5"))], None),
            (vec![at(&json!("en*"))], None),
            (vec![at(&json!({"set": ["eth0", "ens5"]}))], None),
            (vec![at(&json!("eth0")), everywhere()], None),
            (vec![at(&json!("eth0")), at(&json!("ens5"))], None),
            (vec![rule("filter", &json!([{"accept": null}]))], None),
            (vec![json!({"rule": {"family": "ip6", "expr": at(&json!("eth0"))["rule"]["expr"]}})], None),
        ] {
            assert_eq!(cause(&rules), expected, "{rules:?}");
        }
        let six = json!({"rule": {"family": "ip6", "expr": at(&json!("eth0"))["rule"]["expr"]}});
        let found = masquerades(Family::V6, std::slice::from_ref(&six), "ens5", |_| false).unwrap();
        assert!(found.remedy.unwrap().ends_with("nft add rule ip6 nat postrouting oifname ens5 masquerade"));
        assert_eq!(
            masquerades(Family::V6, &[six, at(&json!("ens6"))], "eth0", |_| true),
            None,
            "IPv4's rules say nothing of it"
        );
        let found = masquerades(Family::V4, &[at(&json!("eth0"))], "ens5", |_| false).unwrap();
        assert!(found.text.ends_with("leads out by ens5: there is no eth0"), "{found:?}");
        assert!(found.remedy.unwrap().ends_with("oifname ens5 masquerade"));
    }
}
