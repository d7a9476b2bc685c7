//! All readings at once: two describes in the ordinary case.

use std::time::Duration;

use futures_util::future::{join, join3};
use jiff::Timestamp;
use tokio::time::timeout;

use super::{Cloud, Host, PreflightSettings};
use crate::model::{Family, Guarded, GuardedSet, Instance, InstanceId, RouteTable, SubnetId, Survey};

/// Layout of [`GuardedSet`] as it is saved.
const VERSION: u32 = 1;

/// Everything that the gates and the plan are made from. EC2 has `patience` to answer; what it has not said by then is a
/// failed reading.
pub async fn survey(cloud: &impl Cloud, host: &impl Host, settings: &PreflightSettings, patience: Duration) -> Survey {
    let late = || format!("EC2 gave no answer within {} s", patience.as_secs());
    let tables = async { timeout(patience, tables(cloud, settings)).await.unwrap_or_else(|_| Err(late())) };
    let instances = async {
        let identity = match &settings.standby_instance {
            Some(pinned) => Ok(pinned.clone()),
            None => timeout(patience, host.instance()).await.unwrap_or_else(|_| Err(late())),
        };
        let found = timeout(patience, instances(cloud, &identity, settings)).await;
        let (standby, primary) = found.unwrap_or_else(|_| (Err(late()), settings.primary_instance.as_ref().map(|_| Err(late()))));
        (identity, standby, primary)
    };
    let (tables, (identity, standby, primary), masquerade) = join3(tables, instances, host.masquerade()).await;
    Survey {
        identity,
        tables,
        standby,
        primary,
        uptime: host.uptime(),
        ip_forward: host.forwards(Family::V4),
        masquerade,
    }
}

/// The two tables, and those of listed subnets that are on neither.
async fn tables(cloud: &impl Cloud, settings: &PreflightSettings) -> Result<Vec<RouteTable>, String> {
    let mut tables = cloud.tables(&[settings.primary_table.clone(), settings.standby_table.clone()]).await?;
    let on_none = |subnet: &&SubnetId| !tables.iter().any(|table| has(table, subnet));
    let elsewhere: Vec<SubnetId> = settings.subnets.iter().filter(on_none).cloned().collect();
    if !elsewhere.is_empty() {
        tables.extend(cloud.tables_of(&elsewhere).await?);
    }
    Ok(tables)
}

fn has(table: &RouteTable, subnet: &SubnetId) -> bool {
    table.associations.iter().any(|one| one.subnet.as_ref() == Some(subnet))
}

type Found = Result<Option<Instance>, String>;

async fn instances(cloud: &impl Cloud, identity: &Result<InstanceId, String>, settings: &PreflightSettings) -> (Found, Option<Found>) {
    let wanted: Vec<InstanceId> = identity.iter().chain(&settings.primary_instance).cloned().collect();
    if wanted.is_empty() {
        return (identity.clone().map(|_| None), None);
    }
    let found = cloud.instances(&wanted).await;
    let pick = |id: &InstanceId| found.clone().map(|all| all.into_iter().find(|one| one.id == *id));
    (identity.clone().and_then(|id| pick(&id)), settings.primary_instance.as_ref().map(pick))
}

/// What is guarded now: the subnets explicitly associated with the primary's table, and those that were and are on the
/// standby's now. Where `takeover.subnets` lists some, those of them that have an association.
///
/// # Errors
/// EC2 could not be asked, or knows no such primary table.
pub async fn guarded_set(
    cloud: &impl Cloud,
    settings: &PreflightSettings,
    previous: Option<&GuardedSet>,
    now: Timestamp,
) -> Result<GuardedSet, String> {
    let tables = tables(cloud, settings).await?;
    let primary = tables
        .iter()
        .find(|table| table.id == settings.primary_table)
        .ok_or_else(|| format!("primary.route_table = {} does not exist in this region and account", settings.primary_table))?;
    let places = tables.iter().flat_map(|table| table.associations.iter().filter_map(move |one| Some((one.subnet.clone()?, &table.id))));
    let was_guarded = |subnet: &SubnetId| previous.is_some_and(|set| set.primary == primary.id && set.subnets.iter().any(|one| one.subnet == *subnet));
    let guarded: Vec<(SubnetId, _)> = places
        .filter(|(subnet, on)| {
            if settings.subnets.is_empty() {
                **on == primary.id || (**on == settings.standby_table && was_guarded(subnet))
            } else {
                settings.subnets.contains(subnet)
            }
        })
        .collect();
    let ids: Vec<SubnetId> = guarded.iter().map(|(subnet, _)| subnet.clone()).collect();
    // Without them the panel is even over /24s instead; that is no reason to guard nothing.
    let details = if ids.is_empty() { Vec::new() } else { cloud.subnets(&ids).await? };
    let families = [Family::V4, Family::V6].into_iter().filter(|family| {
        let route = primary.route(family.default_route());
        route.is_some_and(|route| route.blackhole || route.instance.is_some() || route.interface.is_some())
    });
    Ok(GuardedSet {
        version: VERSION,
        primary: primary.id.clone(),
        standby: settings.standby_table.clone(),
        families: families.collect(),
        seen: now,
        subnets: guarded
            .into_iter()
            .map(|(subnet, on)| {
                let detail = details.iter().find(|one| one.id == subnet);
                Guarded {
                    name: detail.and_then(|one| one.name.clone()),
                    cidrs: detail.map(|one| one.cidrs.clone()).unwrap_or_default(),
                    on: on.clone(),
                    subnet,
                }
            })
            .collect(),
    })
}

/// Whether the pinned `standby.instance` is this instance, where IMDS can say.
///
/// # Errors
/// It is another: this is a clone with a copied configuration.
pub async fn confirm_identity(host: &impl Host, settings: &PreflightSettings) -> Result<(), String> {
    let (Some(pinned), Ok(here)) = join(async { settings.standby_instance.as_ref() }, host.instance()).await else { return Ok(()) };
    if *pinned == here {
        return Ok(());
    }
    Err(format!("standby.instance = {pinned}, but this instance is {here} by IMDS: a copied configuration must name its own instance"))
}
