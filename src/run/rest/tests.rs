//! How long what is known of the guarded subnets is good for.

use jiff::Timestamp;

use super::*;
use crate::model::{Admission, Guarded, Method, Way};
use crate::preflight::PreflightSettings;

fn rules() -> DecideSettings {
    DecideSettings {
        threshold: 3,
        fraction: 0.5,
        rounds: 2,
        span: Duration::from_secs(3),
        tries: 2,
        min_uptime: Duration::from_mins(5),
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        subnets: Vec::new(),
        max_subnets: 50,
        disable_source_dest_check: true,
        method: Method::Route { destinations: vec!["0.0.0.0/0".parse().unwrap()] },
        elastic_ip: None,
        reboot_primary: false,
    }
}

#[test]
fn a_primary_that_cannot_be_learned_is_not_asked_for_at_every_pass() {
    let nobody = GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: Vec::new(),
        families: Vec::new(),
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    };
    let someone =
        GuardedSet { leads_to: Some(Way { interface: None, instance: "i-0a".parse().ok() }), ..nobody.clone() };
    let named = DecideSettings { primary_instance: "i-0a".parse().ok(), ..rules() };
    let associations = DecideSettings { method: Method::Association, ..rules() };
    for (set, rules, expected) in [
        (&nobody, rules(), GUARDED_UNLED),
        (&someone, rules(), GUARDED_FOR),
        (&nobody, named, GUARDED_FOR),
        (&nobody, associations, GUARDED_FOR),
    ] {
        assert_eq!(good_for(set, &rules, false), expected, "{set:?}");
        assert_eq!(good_for(set, &rules, true), GUARDED_IN_DOUBT);
    }
    assert!(GUARDED_UNLED > SignedDuration::from_mins(1), "a cron job would ask every time");
}

#[test]
fn f109_a_standby_that_was_seen_to_admit_nothing_is_looked_at_again_soon() {
    let seen = |refused: &[&str]| GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: Vec::new(),
        families: Vec::new(),
        public: Vec::new(),
        leads_to: None,
        tables: None,
        own: None,
        admission: Some(Admission {
            groups: Vec::new(),
            refused: refused.iter().map(|one| one.parse().unwrap()).collect(),
            seen: Timestamp::UNIX_EPOCH,
        }),
        seen: Timestamp::UNIX_EPOCH,
        names: crate::model::Names::new(),
    };
    let associations = DecideSettings { method: Method::Association, ..rules() };
    assert_eq!(good_for(&seen(&["subnet-1"]), &associations, false), GUARDED_REFUSED);
    assert_eq!(good_for(&seen(&[]), &associations, false), GUARDED_FOR);
}

#[test]
fn f060_a_set_of_which_ec2_showed_a_part_nowhere_is_asked_for_again_soon() {
    let settings = PreflightSettings {
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        standby_instance: None,
        subnets: Vec::new(),
        method: Method::Association,
    };
    let mut set = preflight::make_guarded(&settings, &[], &[], None, Timestamp::UNIX_EPOCH);
    let associations = DecideSettings { method: Method::Association, ..rules() };
    assert_eq!(good_for(&set, &associations, false), GUARDED_FOR);
    let on = |table: &str| Guarded {
        subnet: "subnet-1".parse().unwrap(),
        name: None,
        cidrs: Vec::new(),
        on: table.parse().unwrap(),
    };
    set.subnets = vec![on("rtb-0b")];
    assert_eq!(good_for(&set, &associations, false), preflight::UNSHOWN_FOR);
    set.subnets = vec![on("rtb-0c")];
    assert_eq!(good_for(&set, &associations, false), GUARDED_FOR, "what is listed and on a third table is shown there");
}
