//! The rules between numbers: how many are asked, how many of what it takes to accuse.

use super::keys;
use super::reader::Reader;
use super::values::Host;
use crate::model::{Backend, Family};

/// How many of what.
pub(super) struct Counts {
    pub(super) panel: Option<usize>,
    pub(super) threshold: Option<usize>,
    pub(super) tries: Option<usize>,
    pub(super) rounds: Option<usize>,
}

pub(super) fn counts(reader: &mut Reader<'_>, backends: Option<&[Backend]>, targets: Option<&[Host]>) -> Counts {
    let panel: Option<usize> = reader.integer(&keys::PANEL);
    let threshold: Option<usize> = reader.integer(&keys::THRESHOLD);
    let tries: Option<usize> = reader.integer(&keys::TRIES);
    let rounds: Option<usize> = reader.integer(&keys::ROUNDS);
    if let (Some(panel), Some(threshold)) = (panel, threshold)
        && (1..threshold).contains(&panel)
    {
        if reader.has(&keys::PANEL) {
            let what = format!("less than decision.threshold ({threshold})");
            reader.clash(&keys::PANEL, &what, &format!("0 (all), or {threshold} to 1000"));
        } else {
            let what = format!("more than backends.panel ({panel})");
            reader.clash(&keys::THRESHOLD, &what, &format!("1 to {panel}, or a larger backends.panel"));
        }
    }
    // That there are none at all has been noted with its reason.
    if let (Some(backends), Some(threshold)) = (backends.map(<[Backend]>::len).filter(|n| *n > 0), threshold)
        && backends < threshold
    {
        let are = if backends == 1 {
            "the one backend there is".to_owned()
        } else {
            format!("the {backends} backends there are")
        };
        reader.clash(&keys::THRESHOLD, &format!("more than {are}"), &format!("1 to {backends}, or more backends"));
    }
    if let (Some(tries), Some(targets)) = (tries, targets) {
        per_family(reader, tries, targets);
    }
    Counts { panel, threshold, tries, rounds }
}

/// Names are resolved to IPv4, so only an address can be an IPv6 target. The families are judged apart, and a single
/// good target never accuses: fewer than two of a family could never find anybody cut off.
fn per_family(reader: &mut Reader<'_>, tries: usize, targets: &[Host]) {
    let family = |host: &Host| host.addr.map_or(Family::V4, Family::of);
    for wanted in [Family::V4, Family::V6] {
        let count = targets.iter().filter(|host| family(host) == wanted).count();
        let mixed = count < targets.len();
        if count == 0 || count >= tries.max(2) {
            continue;
        }
        if count >= tries {
            reader.clash(
                &keys::TARGETS,
                &format!("a single {wanted} target, which can't accuse anybody"),
                "none, or two or more of a family",
            );
        } else {
            let of = if mixed { format!("{wanted} targets") } else { "targets".to_owned() };
            let key = if reader.has(&keys::TRIES) { &keys::TRIES } else { &keys::TARGETS };
            let what = format!(
                "a backend is to miss {tries} different targets, and there {} {count} {of}",
                if count == 1 { "is" } else { "are" }
            );
            reader.clash(key, &what, &format!("targets.tries up to the number of {of}"));
        }
    }
}
