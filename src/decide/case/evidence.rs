//! What the rounds of a [`Case`] amount to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Case;
use crate::decide::course::CALLS_FOR;
use crate::decide::{Course, Next, families, judge};
use crate::model::{Change, Family, Judgement, Moment, Plan, Round};

impl Case {
    /// The rounds as judged, by family, oldest first.
    #[must_use]
    pub fn judgements(&self) -> BTreeMap<Family, Vec<Judgement>> {
        let mut all: BTreeMap<Family, Vec<Judgement>> = BTreeMap::new();
        for look in &self.looks {
            for family in families(&look.round) {
                all.entry(family).or_default().push(judge(&look.round, &self.rules, family));
            }
        }
        all
    }

    /// The latest judgement of each family.
    #[must_use]
    pub fn latest(&self) -> Vec<Judgement> {
        self.judgements().into_values().filter_map(|mut all| all.pop()).collect()
    }

    /// The families that are judged, and that a takeover must carry: whatever else the primary carries holds none. IPv4 where nothing was observed.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let judged: Vec<Family> = self.latest().iter().map(|one| one.family).collect();
        if judged.is_empty() { vec![Family::V4] } else { judged }
    }

    /// What follows from the evidence so far.
    #[must_use]
    pub fn next(&self) -> Next {
        self.follows(self.looks.iter().map(|look| Cow::Borrowed(&look.round)), self.weighed())
    }

    /// When the latest round was weighed.
    pub(in crate::decide) fn weighed(&self) -> Moment {
        self.looks.last().map_or(Moment::ZERO, |look| look.weighed)
    }

    /// From which moment on the evidence calls for nothing any more: whatever has not begun by then needs evidence of its own. `None`:
    /// an operator asked, who needs none.
    #[must_use]
    pub fn lapses(&self) -> Option<Moment> {
        (!self.planned).then(|| self.weighed().saturating_add(CALLS_FOR))
    }

    fn follows<'r>(&self, rounds: impl Iterator<Item = Cow<'r, Round>>, now: Moment) -> Next {
        let mut courses: BTreeMap<Family, Course> = BTreeMap::new();
        for round in rounds {
            for family in families(&round) {
                let course = courses.entry(family).or_default();
                *course = course.step(&judge(&round, &self.rules, family));
            }
        }
        Next::of_all(courses.into_values().map(|course| course.next(&self.rules, now)))
    }

    /// Whether it is enough with only the backends of the subnets that are to be moved: what was known of the guarded subnets
    /// may be an hour old, and a subnet that has left the primary meanwhile says nothing about it. Nor does one that was brought
    /// back to it since: what its backends missed was the way that they had before.
    pub(super) fn accuses(&self, plan: &Plan) -> bool {
        let away = |subnet: &str| {
            let set = self.guarded.as_ref();
            set.is_some_and(|set| set.subnets.iter().any(|one| one.subnet.as_str() == subnet && one.on != set.primary))
        };
        let concerned = |subnet: &str| {
            plan.moves.iter().flat_map(Change::subnets).any(|one| one.as_str() == subnet) && !away(subnet)
        };
        let rounds = self.looks.iter().map(|look| {
            let mut round = look.round.clone();
            round.members.retain(|member| concerned(&member.subnet));
            Cow::Owned(round)
        });
        self.follows(rounds, self.looks.last().map_or(Moment::ZERO, |look| look.round.ended)) == Next::Act
    }
}
