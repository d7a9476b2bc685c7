//! Whom to ask where there are more backends than can be asked in a few seconds: some at random, evenly over their subnets.
//!
//! Whoever is not drawn is not judged, and makes nothing unknown: what a pass hears is a draw, too.

use std::collections::BTreeSet;

use rand::Rng;

use crate::model::{Backend, Finding, Fitness, Topic};
use crate::observe::panel::{Drawn, SubnetMap, draw};

/// So many are asked at least, where there are as many: two turns of sixteen logins, each of which may wait for a host that is gone
/// (`backends.connect_timeout`, 3 s by default), have room in the 8 s of an examination.
const SAMPLE: usize = 32;

/// Who is asked and who is not, each in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) asked: Vec<Backend>,
    pub(super) unasked: Vec<Backend>,
}

/// Draws them: one of each subnet at least, and twice as many as it takes to accuse. Who is in no guarded subnet is not asked by a pass either,
/// and comes last.
pub(super) fn choose(backends: Vec<Backend>, map: &SubnetMap, threshold: usize, rng: &mut impl Rng) -> Chosen {
    let drawn = |backend: &Backend| {
        // Names that do not resolve are no subnet each.
        let subnet = if backend.addr.is_none() { String::new() } else { map.of(backend)? };
        Some(Drawn { backend: backend.clone(), subnet, witness: Vec::new(), reached: Vec::new(), missed: Vec::new() })
    };
    let candidates: Vec<Drawn> = backends.iter().filter_map(drawn).collect();
    let subnets: BTreeSet<&str> = candidates.iter().map(|one| one.subnet.as_str()).collect();
    let size = SAMPLE.max(subnets.len()).max(threshold * 2);
    if backends.len() <= size {
        return Chosen { asked: backends, unasked: Vec::new() };
    }
    // Hosts are unique.
    let first: BTreeSet<String> = draw(candidates, rng).into_iter().take(size).map(|one| one.backend.host).collect();
    let mut left = size - first.len();
    let is_asked = |backend: &Backend| {
        let outside = backend.addr.is_some() && map.of(backend).is_none();
        let last = outside && left > 0;
        left -= usize::from(last);
        first.contains(&backend.host) || last
    };
    let (asked, unasked) = backends.into_iter().partition(is_asked);
    Chosen { asked, unasked }
}

/// Says that only some were asked.
pub(super) fn finding(chosen: &Chosen) -> Option<Finding> {
    let (asked, unasked) = (chosen.asked.len(), chosen.unasked.len());
    let text = format!(
        "{asked} of {} asked, drawn at random and evenly over their subnets (natwatch doctor --all asks all)",
        asked + unasked
    );
    (unasked > 0).then(|| Finding::new(Topic::Backends, "backends-asked", Fitness::Fit, text))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    /// So many in each of these /24s.
    fn backends(counts: &[usize]) -> Vec<Backend> {
        let one = |subnet: usize, n: usize| {
            let addr = format!("10.0.{subnet}.{n}");
            Backend { host: format!("b{subnet}-{n}"), destination: addr.clone(), addr: addr.parse().ok() }
        };
        counts.iter().enumerate().flat_map(|(subnet, count)| (0..*count).map(move |n| one(subnet, n))).collect()
    }

    fn chosen(counts: &[usize], threshold: usize, seed: u64) -> Chosen {
        choose(backends(counts), &SubnetMap::default(), threshold, &mut SmallRng::seed_from_u64(seed))
    }

    #[test]
    fn f042_of_many_some_are_asked_evenly_over_their_subnets_and_not_always_the_same() {
        let mut drawn = BTreeSet::new();
        for seed in 0..20 {
            let Chosen { asked, unasked } = chosen(&[200, 90, 10], 3, seed);
            assert_eq!((asked.len(), unasked.len()), (SAMPLE, 300 - SAMPLE));
            for subnet in 0..3 {
                let of = asked.iter().filter(|one| one.host.starts_with(&format!("b{subnet}-"))).count();
                assert!((SAMPLE / 3 - 1..=SAMPLE / 3 + 2).contains(&of), "{of} of subnet {subnet}");
            }
            let all: BTreeSet<&Backend> = asked.iter().chain(&unasked).collect();
            assert_eq!(all.len(), 300, "each is on one side");
            drawn.extend(asked.into_iter().map(|one| one.host));
        }
        assert!(drawn.len() > 3 * SAMPLE, "{}", drawn.len());
    }

    #[test]
    fn as_few_as_can_be_asked_are_all_asked_and_what_the_judgement_needs_is_asked() {
        let few = chosen(&[20, 12], 3, 1);
        assert_eq!((few.asked, few.unasked.len()), (backends(&[20, 12]), 0));
        assert_eq!(chosen(&[2; 50], 3, 1).asked.len(), 50, "one of each subnet");
        assert_eq!(chosen(&[200, 200], 40, 1).asked.len(), 80, "twice the threshold");
        assert_eq!(finding(&chosen(&[20], 3, 1)), None);
        let text = finding(&chosen(&[200, 100], 3, 1)).unwrap().text;
        assert!(text.starts_with("32 of 300 asked, ") && text.contains("--all"), "{text}");
    }

    #[test]
    fn f045_who_is_in_no_guarded_subnet_is_asked_last() {
        let outside = backends(&[0, 40]);
        let map = SubnetMap::new(None, &[]);
        // Without an address a backend counts for itself; EC2's blocks are what leaves one out, of which this map has one.
        let guarded = guarded_by("10.0.0.0/24");
        let all = [outside, backends(&[40])].concat();
        let inside = |chosen: Chosen| chosen.asked.iter().filter(|one| one.host.starts_with("b0-")).count();
        assert_eq!(inside(choose(all.clone(), &guarded, 3, &mut SmallRng::seed_from_u64(1))), SAMPLE);
        assert!(inside(choose(all, &map, 3, &mut SmallRng::seed_from_u64(1))) < SAMPLE);
    }

    fn guarded_by(block: &str) -> SubnetMap {
        let guarded = crate::model::Guarded {
            subnet: "subnet-0a".parse().unwrap(),
            name: None,
            cidrs: vec![block.parse().unwrap()],
            on: "rtb-0a".parse().unwrap(),
        };
        let set = crate::model::GuardedSet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            subnets: vec![guarded],
            families: vec![crate::model::Family::V4],
            public: Vec::new(),
            leads_to: None,
            tables: None,
            own: None,
            admission: None,
            seen: jiff::Timestamp::UNIX_EPOCH,
            names: crate::model::Names::new(),
        };
        SubnetMap::new(Some(&set), &[])
    }
}
