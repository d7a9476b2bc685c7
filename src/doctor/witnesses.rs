//! Whether enough backends could accuse the primary, in all and in each subnet: what `decision.threshold` asks for, by who was heard just now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::backends::Heard;
use crate::config::Settings;
use crate::model::{Backend, Edit, Family, Finding, Fitness, GuardedSet, Topic};
use crate::observe::panel::SubnetMap;
use crate::record::State;
use crate::record::witnesses::Witnesses;

/// One backend, as a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    /// The subnet it counts for; `None`: none that is guarded.
    subnet: Option<String>,
    /// A run has seen it reaching within 30 days.
    known: bool,
    /// What it said just now.
    said: Said,
}

/// What a backend had to say of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// There was no time to hear it.
    Untold,
    /// It was silent.
    Nothing,
    /// No target answers it.
    Missed,
    /// A target does.
    Reached,
}

impl Candidate {
    /// Whether it could accuse: who reaches now is a witness as soon as a run hears it.
    fn serves(&self) -> bool {
        self.subnet.is_some() && (self.said == Said::Reached || (self.known && self.said == Said::Missed))
    }

    fn untold(&self) -> bool {
        self.said == Said::Untold
    }
}

/// By who was heard, and what is on file of earlier runs. `unasked`: who was left out, as there are too many to ask.
pub(super) fn findings(
    settings: &Settings,
    state: Option<&State>,
    heard: &[Heard],
    unasked: &[Backend],
) -> Vec<Finding> {
    let now = Timestamp::now();
    let known = state.map(|state| Witnesses::load(state, now).0).unwrap_or_default();
    let guarded = guarded(settings, state);
    let map = SubnetMap::new(guarded.as_ref(), &settings.observe.within);
    let candidate = |one: &Heard| Candidate {
        subnet: map.of(&one.backend),
        known: [Family::V4, Family::V6]
            .iter()
            .any(|family| known.is_witness(&one.backend.host, one.backend.addr, *family, now)),
        said: said(one),
    };
    let candidates: Vec<Candidate> = heard.iter().filter(|one| !one.own).map(candidate).collect();
    let more: Vec<String> = unasked.iter().filter_map(|one| map.of(one)).collect();
    let mut findings = vec![in_all(&candidates, more.len(), settings.decide.threshold)];
    findings.extend(by_subnet(&candidates, &more, guarded.as_ref()));
    let own: Vec<Said> = heard.iter().filter(|one| one.own).map(said).collect();
    findings.extend(of_our_own(&own));
    for finding in &mut findings {
        if finding.cause.is_some_and(|cause| MORE.contains(&cause)) {
            finding.changes.insert(0, another(settings));
        }
    }
    findings
}

/// The guarded subnets, as last seen by a run.
pub(super) fn guarded(settings: &Settings, state: Option<&State>) -> Option<GuardedSet> {
    state.and_then(|state| state.read_guarded().0).filter(|set| set.primary == settings.decide.primary_table)
}

/// What one more backend mends.
const MORE: [&str; 3] = ["just-enough", "too-few", "none-in-subnet"];

/// Where one more is to be named.
fn another(settings: &Settings) -> Edit {
    let host = "another host of a guarded subnet";
    match &settings.hosts_file {
        Some(file) => Edit::Line(file.clone(), None, format!("address and name of {host}")),
        None => Edit::Key("backends.hosts", format!("{host} in the list")),
    }
}

fn said(one: &Heard) -> Said {
    match () {
        () if one.reaches() => Said::Reached,
        () if one.gave_a_verdict() => Said::Missed,
        () if one.untold() => Said::Untold,
        () => Said::Nothing,
    }
}

fn finding(id: &'static str, fitness: Fitness, text: String) -> Finding {
    Finding::new(Topic::Backends, id, fitness, text)
}

fn in_all(all: &[Candidate], unasked: usize, threshold: usize) -> Finding {
    let id = "witnesses";
    let serving = all.iter().filter(|one| one.serves()).count();
    let untold = all.iter().filter(|one| one.untold()).count();
    let fresh = all.iter().filter(|one| one.serves() && !one.known).count();
    let new = if fresh > 0 && serving >= threshold {
        format!("; {fresh} of them become witnesses as soon as run or watch hears them")
    } else {
        String::new()
    };
    let whom = asked(all.len(), unasked);
    let text = format!("{serving} of {whom} could witness an outage, decision.threshold is {threshold}{new}");
    if serving > threshold {
        return finding(id, Fitness::Fit, text);
    }
    if serving == threshold {
        let found = finding(id, Fitness::Warning, format!("{text}: with one of them silent, no outage is seen"));
        let found = found.cause("just-enough");
        return if unasked > 0 { found.remedy(ALL) } else { found.change("decision.threshold", lower(threshold)) };
    }
    if serving + untold >= threshold {
        return finding(id, Fitness::Unknown, format!("{text}, and {untold} could not be heard in time"))
            .cause("not-heard-in-time")
            .remedy("natwatch check -v");
    }
    if unasked > 0 {
        // Who was drawn stands for the others; that so few serve is a reason to ask them all.
        return finding(id, Fitness::Unknown, format!("{text}: hardly any outage would be seen"))
            .cause("too-few-of-the-sample")
            .remedy(ALL);
    }
    let heard = all.iter().filter(|one| one.said == Said::Missed || one.said == Said::Reached).count();
    if heard > serving {
        let why = "who is heard and never reached: ICMP echo is to be let out by its security group and its subnet's ACL, and in by the NAT's security group";
        return finding(id, Fitness::Unfit, format!("{text}: no outage would be seen; {why}"))
            .cause("too-few-reach")
            .remedy("natwatch check -v");
    }
    let why = "what is said of each backend here is to be mended, or more of them named";
    finding(id, Fitness::Unfit, format!("{text}: no outage would be seen; {why}")).cause("too-few")
}

/// Asks all of them.
const ALL: &str = "natwatch doctor --all";

fn lower(threshold: usize) -> String {
    format!("threshold = {}", threshold.saturating_sub(1).max(1))
}

/// `6 backends`, `32 of 300 backends that were asked`.
fn asked(all: usize, unasked: usize) -> String {
    if unasked > 0 {
        format!("the {all} backends that were asked, of {},", all + unasked)
    } else {
        format!("{all} backends")
    }
}

/// In each guarded subnet, or, as long as EC2 has not said which those are, in each that a backend is in. `unasked`: the subnets of who was
/// not asked.
fn by_subnet(all: &[Candidate], unasked: &[String], guarded: Option<&GuardedSet>) -> Vec<Finding> {
    let names: BTreeMap<String, Option<&str>> = guarded.map_or_else(BTreeMap::new, |set| {
        set.subnets.iter().map(|one| (one.subnet.to_string(), one.name.as_deref())).collect()
    });
    let subnets: BTreeSet<&String> = names.keys().chain(all.iter().filter_map(|one| one.subnet.as_ref())).collect();
    let one = |subnet: &String| {
        let of: Vec<&Candidate> = all.iter().filter(|one| one.subnet.as_ref() == Some(subnet)).collect();
        let serving = of.iter().filter(|one| one.serves()).count();
        let name = names.get(subnet).copied().flatten().map_or_else(String::new, |name| format!(" ({name})"));
        let unasked = unasked.iter().filter(|one| *one == subnet).count();
        let text = format!("{serving} of {} could witness", asked(of.len(), unasked));
        let id = "witnesses-subnet";
        let blind = "moved with the others, and nobody would see whether it helped";
        let found = if serving > 0 {
            finding(id, Fitness::Fit, text)
        } else if of.iter().any(|one| one.untold()) {
            finding(id, Fitness::Unknown, format!("{text}, and the others could not be heard in time"))
                .cause("subnet-not-heard-in-time")
                .remedy("natwatch check -v")
        } else if unasked > 0 {
            finding(id, Fitness::Warning, format!("{text}: {blind}, unless others can"))
                .cause("none-of-the-sample")
                .remedy(ALL)
        } else {
            finding(id, Fitness::Warning, format!("{text}: {blind}")).cause("none-in-subnet")
        };
        found.of(format!("{subnet}{name}"))
    };
    subnets.into_iter().map(one).collect()
}

/// Where there are some, one of them must reach in the round that decides, or gate `unfit` holds.
fn of_our_own(all: &[Said]) -> Option<Finding> {
    let reaching = all.iter().filter(|one| **one == Said::Reached).count();
    let text = format!("{reaching} of {} standby.witnesses reach a target through this standby", all.len());
    match (all.len(), reaching) {
        (0, _) => None,
        (_, 0) if all.contains(&Said::Untold) => Some(finding(
            "own-witnesses",
            Fitness::Unknown,
            format!("{text}, and not all of them could be heard in time"),
        )
        .cause("own-not-heard-in-time")
        .remedy("natwatch check -v")),
        (_, 0) => Some(
            finding(
                "own-witnesses",
                Fitness::Unfit,
                format!("{text}: the gate `unfit` would hold, as one must reach in the round that decides; what is said of them here is to be mended"),
            )
            .cause("own-all-silent")
            .change("standby.witnesses", "a host that is well in the list"),
        ),
        _ => Some(finding("own-witnesses", Fitness::Fit, text)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Guarded;

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let untold = || Candidate { said: Said::Untold, ..silent() };
        let unproven = || Candidate { known: false, said: Said::Missed, ..in_subnet("a") };
        let mut all = vec![with(3, &[]), with(2, &[untold()]), with(0, &[unproven()]), with(0, &[silent()])];
        all.push(in_all(&[silent()], 40, 3));
        for (one, unasked) in [(untold(), 0), (silent(), 40), (silent(), 0)] {
            all.extend(by_subnet(&[one], &vec!["a".to_owned(); unasked], None));
        }
        all.extend([Said::Untold, Said::Nothing].iter().filter_map(|said| of_our_own(&[*said])));
        for finding in &mut all {
            if finding.cause.is_some_and(|cause| MORE.contains(&cause)) {
                finding.changes.insert(0, Edit::Key("backends.hosts", String::new()));
            }
        }
        all
    }

    #[test]
    fn f042_who_was_not_asked_is_no_reason_to_doubt_and_a_sample_in_which_hardly_any_serve_is() {
        let of = |serving: usize, unasked| {
            let all: Vec<_> = std::iter::repeat_n(in_subnet("a"), serving)
                .chain(std::iter::repeat_n(silent(), 32 - serving))
                .collect();
            in_all(&all, unasked, 3)
        };
        let fit = of(30, 268);
        assert_eq!(
            (fit.fitness, &fit.text[..52]),
            (Fitness::Fit, "30 of the 32 backends that were asked, of 300, could")
        );
        assert_eq!(of(4, 268).fitness, Fitness::Fit);
        for (serving, fitness, cause) in
            [(3, Fitness::Warning, "just-enough"), (2, Fitness::Unknown, "too-few-of-the-sample")]
        {
            let found = of(serving, 268);
            assert_eq!((found.fitness, found.cause), (fitness, Some(cause)));
            assert_eq!(found.remedy.as_deref(), Some("natwatch doctor --all"));
        }
        assert_eq!(of(2, 0).fitness, Fitness::Unfit, "all were asked");
        let subnet = |unasked: usize| by_subnet(&[silent()], &vec!["a".to_owned(); unasked], None).remove(0);
        assert_eq!((subnet(40).fitness, subnet(40).cause), (Fitness::Warning, Some("none-of-the-sample")));
        assert_eq!((subnet(0).fitness, subnet(0).cause), (Fitness::Warning, Some("none-in-subnet")));
    }

    fn in_subnet(subnet: &str) -> Candidate {
        Candidate { subnet: Some(subnet.to_owned()), known: true, said: Said::Reached }
    }

    fn silent() -> Candidate {
        Candidate { said: Said::Nothing, ..in_subnet("a") }
    }

    /// So many that serve, and others.
    fn with(serving: usize, others: &[Candidate]) -> Finding {
        let all: Vec<_> = std::iter::repeat_n(in_subnet("a"), serving).chain(others.iter().cloned()).collect();
        in_all(&all, 0, 3)
    }

    #[test]
    fn f029_f097_fewer_who_could_witness_than_the_threshold_are_unfit_and_as_many_a_warning() {
        assert_eq!(with(4, &[]).fitness, Fitness::Fit);
        assert_eq!(with(3, &[silent()]).fitness, Fitness::Warning);
        assert_eq!(with(2, &[silent(), silent()]).fitness, Fitness::Unfit);
        // Never seen reaching, and not now: they can't accuse, whatever they say.
        let unproven = Candidate { known: false, said: Said::Missed, ..in_subnet("a") };
        let none = with(0, &[unproven.clone(), unproven.clone(), unproven.clone(), unproven]);
        assert_eq!(none.fitness, Fitness::Unfit);
        assert!(none.text.contains("ICMP") && none.remedy.as_deref() == Some("natwatch check -v"), "{none:?}");
        // Outside of the guarded subnets.
        let away = Candidate { subnet: None, ..in_subnet("a") };
        assert_eq!(with(2, &[away.clone(), away]).fitness, Fitness::Unfit);
        // Cut off now, and seen reaching before: that is who accuses.
        let cut_off = Candidate { said: Said::Missed, ..in_subnet("a") };
        assert_eq!(with(3, &[cut_off]).fitness, Fitness::Fit);
    }

    #[test]
    fn who_was_not_heard_in_time_makes_it_unknown_and_nothing_worse() {
        let untold = Candidate { said: Said::Untold, ..silent() };
        assert_eq!(with(2, std::slice::from_ref(&untold)).fitness, Fitness::Unknown);
        assert_eq!(with(1, &[untold]).fitness, Fitness::Unfit);
    }

    #[test]
    fn who_reaches_now_serves_and_is_said_to_be_new() {
        let fresh = Candidate { known: false, ..in_subnet("a") };
        let found = with(2, &[fresh.clone(), fresh]);
        assert_eq!(found.fitness, Fitness::Fit);
        assert!(found.text.contains("2 of them become witnesses as soon as"), "{}", found.text);
    }

    #[test]
    fn a_guarded_subnet_without_a_witness_is_a_warning_that_names_it() {
        let guarded = |id: &str, name: Option<&str>| Guarded {
            subnet: id.parse().unwrap(),
            name: name.map(str::to_owned),
            cidrs: Vec::new(),
            on: "rtb-0a".parse().unwrap(),
        };
        let set = GuardedSet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            subnets: vec![guarded("subnet-0a", Some("app")), guarded("subnet-0b", None)],
            families: vec![Family::V4],
            public: Vec::new(),
            leads_to: None,
            admission: None,
            tables: None,
            own: None,
            seen: Timestamp::UNIX_EPOCH,
            names: crate::model::Names::new(),
        };
        let found = by_subnet(&[in_subnet("subnet-0a")], &[], Some(&set));
        let found: Vec<_> = found.iter().map(|one| (one.of.as_deref().unwrap(), one.fitness)).collect();
        assert_eq!(found, [("subnet-0a (app)", Fitness::Fit), ("subnet-0b", Fitness::Warning)]);
        let untold = Candidate { said: Said::Untold, ..in_subnet("10.0.10.0/24") };
        assert_eq!(by_subnet(&[untold], &[], None)[0].fitness, Fitness::Unknown);
    }

    #[test]
    fn f066_standby_witnesses_of_whom_none_reaches_are_unfit() {
        assert_eq!(of_our_own(&[]), None);
        let fitness = |all: &[Said]| of_our_own(all).unwrap().fitness;
        assert_eq!(fitness(&[Said::Nothing, Said::Reached, Said::Untold]), Fitness::Fit);
        assert_eq!(fitness(&[Said::Nothing, Said::Missed]), Fitness::Unfit);
        assert_eq!(fitness(&[Said::Nothing, Said::Untold]), Fitness::Unknown);
    }
}
