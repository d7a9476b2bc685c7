//! In what the standby's table differs from the primary's: subnets that are moved there lose what it lacks. A warning and no gate: the
//! way to the internet is worth more than a peering.

use super::DecideSettings;
use crate::model::{Family, Route, RouteTable, Survey};

/// How many routes are named.
const SHOWN: usize = 5;

/// The routes besides the default ones that the primary's table has, and the standby's has not or leads elsewhere; one line, where there
/// are any.
#[must_use]
pub fn differences(survey: &Survey, settings: &DecideSettings) -> Option<String> {
    let primary = survey.table(&settings.primary_table)?;
    let standby = survey.table(&settings.standby_table)?;
    let default = |route: &Route| [Family::V4, Family::V6].iter().any(|one| one.default_route() == route.destination);
    let lost: Vec<String> = primary
        .routes
        .iter()
        .filter(|route| !default(route))
        .filter_map(|route| lost(route, standby.route(&route.destination)))
        .collect();
    if lost.is_empty() {
        return None;
    }
    let more = lost.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let shown = lost.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let RouteTable { id, .. } = standby;
    Some(format!("{id} has not all the routes of {}, and who is moved loses them: {shown}{more}", primary.id))
}

fn lost(route: &Route, other: Option<&Route>) -> Option<String> {
    let leads = format!("{} to {}", route.destination, route.target());
    match other {
        None => Some(leads),
        Some(other) if other.target() != route.target() => Some(format!("{leads} (there: {})", other.target())),
        Some(_) => None,
    }
}
