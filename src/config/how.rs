//! How traffic is moved, and what is done besides: `[takeover]`'s rules between keys.

use super::keys;
use super::reader::Reader;
use super::values;
use crate::model::{Cidr, Method};

/// `takeover.method` with its routes; `None`: the reader has noted why not.
pub(super) fn method(reader: &mut Reader<'_>, advice: &mut Vec<String>) -> Option<Method> {
    let association = reader.text(&keys::METHOD, |text| match text {
        "association" => Ok(true),
        "route" => Ok(false),
        _ => Err("no such method".to_owned()),
    });
    let destinations = reader.list(&keys::DESTINATIONS, values::cidr, Cidr::clone);
    let destinations: Option<Vec<Cidr>> =
        destinations.map(|entries| entries.into_iter().map(|entry| entry.value).collect());
    if association? {
        let default = destinations
            .as_ref()
            .is_some_and(|all| matches!(all.as_slice(), [one] if one.addr().is_ipv4() && one.prefix_len() == 0));
        if reader.has(&keys::DESTINATIONS) && !default {
            advice.push(
                "takeover.destinations is for takeover.method = \"route\"; an association moves all routes".to_owned(),
            );
        }
        return destinations.map(|_| Method::Association);
    }
    let destinations = destinations?;
    if destinations.is_empty() {
        reader.clash(&keys::DESTINATIONS, "no routes: nothing would ever be moved", &keys::DESTINATIONS.accepted());
        return None;
    }
    Some(Method::Route { destinations })
}

/// `takeover.reboot_primary`: there must be an instance to reboot.
pub(super) fn reboot_primary(reader: &mut Reader<'_>) -> Option<bool> {
    let reboot = reader.flag(&keys::REBOOT_PRIMARY)?;
    if reboot && !reader.has(&keys::PRIMARY_INSTANCE) {
        reader.clash(&keys::REBOOT_PRIMARY, "primary.instance is missing", "false, or with primary.instance");
        return None;
    }
    Some(reboot)
}
