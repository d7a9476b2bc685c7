//! Which instances run in the guarded subnets, without those that are NATs themselves: a NAT has a way out of its own, and says nothing of the
//! primary's.
//!
//! It filters by no name and no block: those are the configuration's business, which may change while EC2 can't be asked.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Cloud, PreflightSettings};
use crate::model::{Fleet, GuardedSet, InstanceId, Machine, Resident, SubnetId, Way};

/// Layout of `fleet.json`.
const VERSION: u32 = 1;

/// So many are kept. A refresh has five seconds, in which EC2 tells some thousand; a panel of eight out of two thousand knows no less of the
/// primary than one out of more; and their names and witnesses stay some hundred kilobytes. Of more the first by their ids are kept, which are
/// random, and the same ones each time.
const MOST: usize = 2000;

/// Asks EC2 who runs in the subnets of `set`; `own` is this instance, where that is known.
///
/// # Errors
///
/// Where EC2 could not be asked, or nothing is guarded by what it shows (for a moment, it may be): one line fit to print.
pub async fn fleet(
    cloud: &impl Cloud,
    settings: &PreflightSettings,
    set: &GuardedSet,
    own: Option<&InstanceId>,
    now: Timestamp,
) -> Result<Fleet, String> {
    let subnets: Vec<SubnetId> = set.subnets.iter().map(|one| one.subnet.clone()).collect();
    if subnets.is_empty() {
        // A filter without values finds all there is.
        return Err("no subnet is guarded".to_owned());
    }
    let found = cloud.running(&subnets).await?;
    let nats = Nats::of(settings, set, own);
    let runs = |one: &Machine| {
        one.instance.state == "running" && one.instance.subnet.as_ref().is_some_and(|subnet| subnets.contains(subnet))
    };
    let mut without_address = 0;
    let mut members = Vec::new();
    for Machine { instance, address, .. } in found.into_iter().filter(|one| runs(one) && !nats.has(one)) {
        match address {
            Some(addr @ IpAddr::V4(_)) => members.push(Resident { instance: instance.id, name: instance.name, addr }),
            Some(IpAddr::V6(_)) | None => without_address += 1,
        }
    }
    members.sort_by(|one, other| one.instance.cmp(&other.instance));
    members.dedup_by(|one, other| one.instance == other.instance);
    let more = members.len().saturating_sub(MOST);
    members.truncate(MOST);
    Ok(Fleet {
        version: VERSION,
        primary: settings.primary_table.clone(),
        standby: settings.standby_table.clone(),
        members,
        more,
        without_address,
        seen: now,
    })
}

/// Who is no backend.
struct Nats {
    known: Vec<InstanceId>,
    /// Where the routes lead that make a NAT of somebody.
    ways: Vec<Way>,
}

impl Nats {
    /// This standby, the primary by the configuration, and whatever either table leads to: of its routes the set has the default ones and those that
    /// a takeover moves.
    fn of(settings: &PreflightSettings, set: &GuardedSet, own: Option<&InstanceId>) -> Self {
        let named = [own, settings.standby_instance.as_ref(), settings.primary_instance.as_ref()];
        let routes = set.tables.iter().flatten().flat_map(|table| &table.routes);
        Self {
            known: named.into_iter().flatten().cloned().collect(),
            ways: routes.map(Way::from).chain(set.leads_to.clone()).collect(),
        }
    }

    fn has(&self, machine: &Machine) -> bool {
        let Machine { instance, .. } = machine;
        let led = |way: &Way| {
            let by_interface =
                way.interface.as_ref().is_some_and(|id| instance.interfaces.iter().any(|one| one.id == *id));
            way.instance.as_ref() == Some(&instance.id) || by_interface
        };
        self.known.contains(&instance.id) || self.ways.iter().any(led)
    }
}

#[cfg(test)]
mod tests;
