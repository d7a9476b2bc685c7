//! What moves have left: in `status`, in the record, in the history, and in the route tables.

use std::path::PathBuf;

use natwatch_lab::testing::{expect, json};
use natwatch_lab::{Lab, Nat};
use serde_json::Value;

pub(crate) fn status(lab: &Lab) -> Value {
    json(&lab.natwatch(&["status", "--format", "json"]).unwrap())
}

pub(crate) fn record(lab: &Lab) -> PathBuf {
    lab.plan().state().join("natwatch/takeover.json")
}

/// What the history has, by kind and outcome.
pub(crate) fn told(lab: &Lab) -> Vec<(String, Value)> {
    let history = lab.natwatch(&["history", "--format", "json"]).unwrap();
    expect(&history, 0);
    let events = json(&history)["events"].as_array().unwrap().clone();
    events.iter().map(|one| (one["kind"].as_str().unwrap().to_owned(), one["outcome"].clone())).collect()
}

#[track_caller]
pub(crate) fn on(lab: &Lab, subnet: usize, nat: Nat) {
    let table = if nat == Nat::Primary { &lab.ids().primary.table } else { &lab.ids().standby.table };
    assert_eq!(&lab.carrier(subnet).unwrap(), table, "subnet {subnet}");
}
