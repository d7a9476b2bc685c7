use super::support::settings;
use crate::decide::{DecideSettings, Ruled, another, apart};

#[test]
fn f105_rules_are_apart_in_what_differs_and_a_kept_case_tells_its_own() {
    let rules = settings();
    assert_eq!(apart(&rules, &rules), [""; 0]);
    let mut edited = DecideSettings { threshold: rules.threshold + 1, ..rules.clone() };
    assert_eq!(apart(&rules, &edited), ["threshold"]);
    // What is left out where it is as always.
    edited.reboot_primary = true;
    assert_eq!(apart(&rules, &edited), ["reboot_primary", "threshold"]);
    let kept = serde_json::json!({"rules": edited, "planned": false, "looks": []});
    assert_eq!(serde_json::from_value::<Ruled>(kept).unwrap().rules, edited);
    assert!(another(&apart(&rules, &edited)).contains("(reboot_primary, threshold)"));
}
