//! What is to come: when gates open by themselves, and whether the primary looks well again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Asked;
use crate::config::Settings;
use crate::decide;
use crate::model::cloud::Masquerade;
use crate::model::{ControlFate, Family, Gate, GuardedSet, Instance, Paused};
use crate::observe::Uplink as _;
use crate::observe::icmp::Icmp;
use crate::preflight::{self, Guarding};
use crate::record::State;
use crate::record::pause::Boot;
use crate::report::status::PrimaryLooks;

/// Pings of the primary's address, within `targets.timeout`.
const PINGS: u32 = 3;

/// Whether `primary.address` answers pings; it is asked only where that is of interest, and the answer is no evidence of anything.
pub(super) async fn answers(settings: &Settings, locked: bool) -> Option<bool> {
    let address = settings.primary_address.filter(|_| locked)?;
    let fate = Icmp::new(rand::random()).ping(address, settings.observe.timeout, PINGS).await;
    Some(matches!(fate, ControlFate::Good { .. }))
}

/// What a takeover would go by besides, and is not shown here: `watch` and timer may not see what root sees, and nobody is asked over SSH.
pub(super) fn besides(settings: &Settings, asked: &Asked, state: &State) -> Vec<String> {
    let observe = &settings.observe;
    let guarding =
        Guarding::of(&settings.preflight, &observe.targets, &observe.backends, state.read_guarded().0.as_ref());
    let told = preflight::host::told(&guarding, state.sightings(Boot::now().as_ref()));
    let works = |seen: &Masquerade| !seen.is_absent() && !seen.is_dropped();
    let told = (!matches!(told, Masquerade::Unknown(_))).then(|| works(&told));
    let seen =
        Some(&asked.survey.masquerade).filter(|seen| !matches!(seen, Masquerade::Told(_) | Masquerade::Unknown(_)));
    let seen = seen.map(works);
    let word = |rule: bool| if rule { "masquerades" } else { "does not masquerade" };
    let differs = seen.zip(told).filter(|(seen, told)| seen != told).map(|(seen, told)| {
        format!(
            "this instance {} by what you may see, and {} by facts.json, which who runs as another user goes by: natwatch doctor as root tells \
             it anew",
            word(seen),
            word(told)
        )
    });
    let own = settings.own.len();
    let asks = (own > 0).then(|| {
        format!("gate unfit also asks standby.witnesses ({own}), in the round that decides; what they would say is not known here")
    });
    differs.into_iter().chain(asks).collect()
}

/// When the gates that only time opens do so, by the wall clock as it is.
pub(super) fn not_before(
    settings: &Settings,
    asked: Option<&Asked>,
    paused: Option<&Paused>,
    now: Timestamp,
) -> BTreeMap<Gate, Timestamp> {
    let least = settings.decide.min_uptime;
    let survey = asked.map(|asked| &asked.survey);
    let own = survey.and_then(|survey| survey.uptime.as_ref().ok().copied());
    let primary = survey.and_then(|survey| primary_of(survey.primary.as_ref()));
    let launched = primary.filter(|one| one.state == "running").and_then(|one| one.launched_ago);
    let left = |age: Duration| least.checked_sub(age).filter(|left| !left.is_zero());
    let longest = own.and_then(left).into_iter().chain(launched.and_then(left)).max();
    let booting = longest.and_then(|left| now.checked_add(SignedDuration::try_from(left).ok()?).ok());
    let booting = booting.map(|at| (Gate::Booting, at));
    booting.into_iter().chain(paused.map(|paused| (Gate::Paused, paused.until))).collect()
}

fn primary_of(read: Option<&Result<Option<Instance>, String>>) -> Option<&Instance> {
    read?.as_ref().ok()?.as_ref()
}

/// What can be seen of the primary, and what speaks against going back to it; `None`: nothing is known.
pub(super) fn primary(settings: &Settings, asked: &Asked, guarded: Option<&GuardedSet>) -> Option<PrimaryLooks> {
    let (survey, rules) = (&asked.survey, &settings.decide);
    let mut seen = Vec::new();
    if let Some(one) = primary_of(survey.primary.as_ref()) {
        let name = one.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        seen.push(format!("{}{name} is {}", one.id, one.state));
    }
    if let Some(table) = survey.table(&rules.primary_table).filter(|_| rules.method.is_association()) {
        let route = table.route(Family::V4.default_route());
        seen.extend(
            route
                .filter(|route| !route.blackhole)
                .map(|route| format!("{} sends {} to {}", table.id, Family::V4.default_route(), route.target())),
        );
    }
    if let Some((address, answers)) = settings.primary_address.zip(asked.answers) {
        seen.push(format!("{address} {} pings", if answers { "answers" } else { "does not answer" }));
    }
    let against = decide::unready(survey, asked.guarded.as_ref().ok().or(guarded), rules);
    (!(seen.is_empty() && against.is_empty())).then_some(PrimaryLooks { seen, against })
}
