//! The row of rounds, step by step.

use std::collections::BTreeMap;

use crate::decide::course::{FORGOTTEN, LOOK_AGAIN};
use crate::decide::{Case, Course, Row, families, judge};
use crate::model::{Family, Item, Judgement, Moment, RowWhy, Rule};

use super::{counted, exact};

pub(super) fn explain(case: &Case) -> Vec<RowWhy> {
    let mut courses: BTreeMap<Family, (Course, Vec<Item>)> = BTreeMap::new();
    for (n, look) in case.looks.iter().enumerate() {
        for family in families(&look.round) {
            let judgement = judge(&look.round, &case.rules, family);
            let (course, steps) = courses.entry(family).or_default();
            let after = course.step(&judgement);
            let name = format!("round {} {}", n + 1, judgement.verdict);
            steps.push(Item { name, says: step(*course, after, &judgement) });
            *course = after;
        }
    }
    let now = case.weighed();
    courses.into_iter().map(|(family, (course, steps))| row(family, steps, course, case, now)).collect()
}

fn step(before: Course, after: Course, round: &Judgement) -> String {
    let took = round.ended.saturating_sub(round.started);
    match (before, after) {
        (Course::Suspicion(_) | Course::Doubt, Course::Calm) => "not down: it starts over".to_owned(),
        (Course::Calm, Course::Calm) => "calm".to_owned(),
        (_, Course::Doubt) => {
            format!(
                "took {}, longer than its limit: neither clears nor accuses, and what came before is older still",
                exact(took)
            )
        }
        (Course::Suspicion(row), Course::Suspicion(Row { rounds: 1, .. })) => format!(
            "1 in a row: nobody missed anything for {} before it, and what lies further back than {} is forgotten",
            row.gap(round).map_or_else(|| "an unknown time".to_owned(), exact),
            exact(FORGOTTEN)
        ),
        (_, Course::Suspicion(row)) => format!("{} in a row, spanning {}", row.rounds, exact(row.span())),
    }
}

fn row(family: Family, steps: Vec<Item>, course: Course, case: &Case, now: Moment) -> RowWhy {
    let settings = &case.rules;
    let rules = match course {
        Course::Calm => vec![Rule::new("rounds", false, "the last round is not down".to_owned())],
        Course::Doubt => vec![Rule::new(
            "rounds",
            false,
            "the last round took longer than its limit, and counts for nothing".to_owned(),
        )],
        Course::Suspicion(row) => {
            let span = if row.first_miss.is_some() {
                format!(
                    "{} from the first counted miss to the last, {} needed",
                    exact(row.span()),
                    exact(settings.span)
                )
            } else {
                "no counted miss has a known moment".to_owned()
            };
            vec![
                Rule::new(
                    "rounds",
                    row.many(settings),
                    format!("{} down in a row, {} needed", row.rounds, settings.rounds),
                ),
                Rule::new("span", row.long(settings), span),
                Rule::new(
                    "fresh",
                    row.fresh(now),
                    format!(
                        "weighed {} after the last round ended, at most {} counts, and {} after its last miss, at most {}",
                        exact(now.saturating_sub(row.ended)),
                        exact(LOOK_AGAIN),
                        exact(now.saturating_sub(row.last_miss.unwrap_or(row.ended))),
                        exact(FORGOTTEN)
                    ),
                ),
            ]
        }
    };
    let steps = if steps.is_empty() {
        vec![Item { name: counted(0, "round"), says: "nothing was observed".to_owned() }]
    } else {
        steps
    };
    RowWhy { family, steps, enough: rules.iter().all(|rule| rule.met), rules }
}
