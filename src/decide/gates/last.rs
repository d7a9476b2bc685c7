//! The plan of the last steps: what is done when all else stands. Nothing here holds a takeover up.

use super::Situation;
use super::route::{primary_ways, way_here};
use crate::decide::DecideSettings;
use crate::model::{Family, Holder, PlannedAddress, RouteTable, Way};

/// The address that is brought along: from the primary, or from nobody, to the interface that the standby's table names.
pub(super) fn address(
    situation: Situation<'_>,
    (primary, standby): (&RouteTable, &RouteTable),
    settings: &DecideSettings,
) -> Option<PlannedAddress> {
    let Ok(Some(instance)) = &situation.survey.standby else { return None };
    let holder = |way| Holder { way, private: None };
    // An association leaves the primary's table as it is, so that it tells who the primary is.
    let leads =
        || primary.route(Family::V4.default_route()).map(Way::from).filter(|_| settings.method.is_association());
    // By its interface where that is known as well: EC2 may name no instance with an address.
    let ways = primary_ways(situation, primary, settings);
    let known = ways.iter().find(|way| way.interface.is_some()).or(ways.first()).cloned().or_else(leads);
    Some(PlannedAddress {
        address: settings.elastic_ip.clone()?,
        from: known.map(holder),
        // Never to nobody: that would take it from the primary for nothing.
        to: Some(holder(way_here(standby, instance, Family::V4)?)),
        displaced: None,
    })
}
