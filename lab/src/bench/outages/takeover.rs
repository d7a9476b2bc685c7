//! One takeover as it went, packet by packet, with what was seen of it from outside and what natwatch said.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use natwatch_lab::{Lab, Sample};

use super::data::{Flow, Mark, Takeover};
use super::{Tool, millis, text};

/// How much is kept before the fault, and after it.
const BEFORE: Duration = Duration::from_secs(1);
pub(super) const AFTER: Duration = Duration::from_secs(4);

/// `mark` and `zero` are the moment of the fault, `worst` the outage.
pub(super) fn seen(
    lab: &Lab,
    tool: &dyn Tool,
    mark: Instant,
    zero: Timestamp,
    worst: Duration,
) -> anyhow::Result<Takeover> {
    let since = |at: Instant| {
        let after = i64::try_from(at.saturating_duration_since(mark).as_millis()).unwrap_or(i64::MAX);
        let before = i64::try_from(mark.saturating_duration_since(at).as_millis()).unwrap_or(i64::MAX);
        after - before
    };
    let shown = |at: &Instant| *at + BEFORE >= mark && *at < mark + AFTER;
    let flow = |subnet: usize| {
        let samples: Vec<_> = lab.traffic().samples(subnet).into_iter().filter(|sample| shown(&sample.sent)).collect();
        let (back, lost): (Vec<_>, Vec<_>) = samples.iter().partition(|sample| sample.back.is_some());
        let times = |of: Vec<&Sample>| of.into_iter().map(|sample| since(sample.sent)).collect();
        Flow { back: times(back), lost: times(lost) }
    };
    let subnets = (0..lab.ids().subnets.len()).map(flow).collect();
    let mut marks = vec![Mark { at: 0, what: "fault".to_owned() }];
    let moves = lab.api().mutations();
    marks.extend(tool.burst(mark)?.map(|at| Mark { at: since(at), what: "first burst".to_owned() }));
    marks.extend(text::marks(&tool.log(), zero));
    marks.extend(
        moves.iter().map(|call| since(call.at + call.took)).max().map(|at| Mark { at, what: "moved".to_owned() }),
    );
    let through = lab.traffic().outages_since(mark).into_iter().filter_map(|one| one.first_through).max();
    marks.extend(through.map(|at| Mark { at: since(mark + at), what: "restored".to_owned() }));
    Ok(Takeover { outage: millis(worst), subnets, marks })
}
