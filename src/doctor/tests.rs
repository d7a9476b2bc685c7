use super::*;

fn finding(fitness: Fitness) -> Finding {
    Finding::new(Topic::State, "x", fitness, String::new())
}

#[test]
fn unfit_comes_first_then_what_may_hide_it_then_warnings() {
    for (found, fitness, exit) in [
        (&[][..], Fitness::Fit, 0),
        (&[Fitness::Fit], Fitness::Fit, 0),
        (&[Fitness::Fit, Fitness::Warning], Fitness::Warning, 1),
        (&[Fitness::Warning, Fitness::Unknown], Fitness::Unknown, 3),
        (&[Fitness::Unknown, Fitness::Unfit, Fitness::Warning], Fitness::Unfit, 2),
    ] {
        let worst = worst(&found.iter().map(|one| finding(*one)).collect::<Vec<_>>());
        assert_eq!((worst, status(worst)), (fitness, exit), "{found:?}");
    }
}
