//! The panel's draw: who is asked, in which order.
//!
//! A draw is an order of all backends: the first `panel` of it are asked, the next ones replace whoever turns out silent.
//! It is even over the subnets, random within each, and mostly of witnesses: a backend that was never seen reaching can
//! clear the primary but not accuse it, and becomes a witness only by being asked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::model::{Backend, Cidr, Family, GuardedSet, Probe};

/// One in so many draws of a subnet is of those that are not witnesses, so that they can become some.
const NEWCOMER_EVERY: usize = 4;

/// Which subnet a backend counts for.
#[derive(Debug, Clone, Default)]
pub struct SubnetMap {
    guarded: Vec<(Cidr, String)>,
    public: Vec<IpAddr>,
    within: Vec<Cidr>,
}

impl SubnetMap {
    /// EC2's blocks as last seen, else those of `within`, else the /24 (IPv6: the /64) around the address.
    #[must_use]
    pub fn new(guarded: Option<&GuardedSet>, within: &[Cidr]) -> Self {
        let blocks = guarded.map_or_else(Vec::new, |set| {
            set.subnets.iter().flat_map(|one| one.cidrs.iter().map(|cidr| (*cidr, one.subnet.to_string()))).collect()
        });
        let public = guarded.map_or_else(Vec::new, |set| set.public.clone());
        Self { guarded: blocks, public, within: within.to_vec() }
    }

    /// The subnet of `backend`; `None` where EC2's blocks are known and it is in none of them, or where EC2 says that it has a
    /// public address of its own: its traffic need not leave through the primary, so it can neither accuse nor clear.
    #[must_use]
    pub fn of(&self, backend: &Backend) -> Option<String> {
        let Some(addr) = backend.addr else { return Some(backend.host.clone()) };
        if self.public.contains(&addr) {
            return None;
        }
        if !self.guarded.is_empty() {
            return self.guarded.iter().find(|(cidr, _)| cidr.contains(&addr)).map(|(_, subnet)| subnet.clone());
        }
        let block = self.within.iter().find(|cidr| cidr.contains(&addr)).copied();
        Some(block.unwrap_or_else(|| around(addr)).to_string())
    }
}

fn around(addr: IpAddr) -> Cidr {
    let length = if addr.is_ipv4() { 24 } else { 64 };
    Cidr::new(addr, length).map_or_else(|_| Cidr::from(addr), |cidr| cidr.trunc())
}

/// A backend in the order in which it may be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Who.
    pub backend: Backend,
    /// The subnet it counts for.
    pub subnet: String,
    /// The families in which it may accuse.
    pub witness: Vec<Family>,
    /// The families in which it has reached in an earlier round of this pass.
    pub reached: Vec<Family>,
    /// What it has missed already: evidence from which the round goes on.
    pub missed: Vec<Probe>,
}

/// Draws an order of all `candidates`.
#[must_use]
pub fn draw(candidates: Vec<Drawn>, rng: &mut impl Rng) -> Vec<Drawn> {
    let total = candidates.len();
    let mut subnets: BTreeMap<String, (Vec<Drawn>, Vec<Drawn>)> = BTreeMap::new();
    for one in candidates {
        let (witnesses, rest) = subnets.entry(one.subnet.clone()).or_default();
        if one.witness.is_empty() { rest.push(one) } else { witnesses.push(one) }
    }
    let mut queues: Vec<_> = subnets
        .into_values()
        .map(|(mut witnesses, mut rest)| {
            witnesses.shuffle(rng);
            rest.shuffle(rng);
            // Where in its cycle of four a subnet begins is drawn too, else a panel of one or two per subnet would never
            // have a newcomer, or always the first.
            (witnesses, rest, rng.next_u32() as usize % NEWCOMER_EVERY)
        })
        .collect();
    queues.shuffle(rng);

    let mut order = Vec::with_capacity(total);
    while order.len() < total {
        for (witnesses, rest, turn) in &mut queues {
            let newcomer = *turn == NEWCOMER_EVERY - 1;
            *turn = (*turn + 1) % NEWCOMER_EVERY;
            let one =
                if newcomer { rest.pop().or_else(|| witnesses.pop()) } else { witnesses.pop().or_else(|| rest.pop()) };
            order.extend(one);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn drawn(host: usize, subnet: usize, witness: bool) -> Drawn {
        let host = format!("b{host}");
        Drawn {
            backend: Backend { destination: host.clone(), host, addr: None },
            subnet: format!("s{subnet}"),
            witness: if witness { vec![Family::V4] } else { Vec::new() },
            reached: Vec::new(),
            missed: Vec::new(),
        }
    }

    #[test]
    fn a_draw_is_even_over_the_subnets_whatever_their_size() {
        for seed in 0..200 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let candidates = (0..100).map(|n| drawn(n, if n < 94 { 0 } else { n % 3 }, true)).collect();
            let order = draw(candidates, &mut rng);
            assert_eq!(order.len(), 100);
            for subnet in ["s0", "s1", "s2"] {
                let of = order[..6].iter().filter(|one| one.subnet == subnet).count();
                assert_eq!(of, 2, "seed {seed}");
            }
        }
    }

    #[test]
    fn most_are_witnesses_and_newcomers_get_their_turn() {
        let mut newcomers = 0;
        for seed in 0..1000 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let candidates = (0..40).map(|n| drawn(n, n % 2, n < 20)).collect();
            newcomers += draw(candidates, &mut rng)[..8].iter().filter(|one| one.witness.is_empty()).count();
        }
        assert_eq!(newcomers, 2000, "two of each eight");
    }

    #[test]
    fn every_backend_is_drawn_exactly_once() {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut hosts: Vec<String> = draw((0..50).map(|n| drawn(n, n % 7, n % 3 == 0)).collect(), &mut rng)
            .into_iter()
            .map(|one| one.backend.host)
            .collect();
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), 50);
    }

    #[test]
    fn f045_a_backend_outside_of_the_guarded_blocks_or_with_a_public_address_is_not_drawn() {
        let mut set = SubnetMap::default();
        set.guarded.push(("10.0.10.0/24".parse().unwrap(), "subnet-0a".to_owned()));
        let at = |addr: &str| Backend { host: addr.to_owned(), destination: addr.to_owned(), addr: addr.parse().ok() };
        assert_eq!(set.of(&at("10.0.10.5")).as_deref(), Some("subnet-0a"));
        assert_eq!(set.of(&at("10.0.0.9")), None);
        set.public.push("10.0.10.6".parse().unwrap());
        assert_eq!(set.of(&at("10.0.10.6")), None, "it has a public address of its own");
        assert_eq!(set.of(&at("10.0.10.5")).as_deref(), Some("subnet-0a"));
        assert_eq!(SubnetMap::default().of(&at("10.0.10.5")).as_deref(), Some("10.0.10.0/24"));
        assert_eq!(SubnetMap::default().of(&at("2001:db8::5")).as_deref(), Some("2001:db8::/64"));
    }
}
