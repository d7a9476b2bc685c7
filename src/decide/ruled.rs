//! Whether a pass went by the rules that the configuration has now: one that was edited holds only for who has read it since.

use serde::Deserialize;
use serde_json::Value;

use super::DecideSettings;

/// Of a kept case, the rules.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Ruled {
    /// By which rules.
    pub rules: DecideSettings,
}

/// In which of their words two rules are not the same.
#[must_use]
pub fn apart(one: &DecideSettings, other: &DecideSettings) -> Vec<String> {
    let (Ok(Value::Object(one)), Ok(Value::Object(other))) = (serde_json::to_value(one), serde_json::to_value(other))
    else {
        return Vec::new();
    };
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// What to say of a `watch` of which that is so.
#[must_use]
pub fn another(apart: &[String]) -> String {
    format!(
        "the watch at work does not go by this configuration as it is now: it has other rules ({}); it was edited since and not read again, or refused",
        apart.join(", ")
    )
}
