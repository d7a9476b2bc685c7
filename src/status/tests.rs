//! Which gates are shown: those that a pass would find.

use std::path::Path;

use super::*;
use crate::config::{Files, Role};
use crate::model::cloud::Masquerade;
use crate::model::{Association, Family, Gate, Instance, Interface, Route};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("there are no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn settings(targets: &str) -> Settings {
    let text = format!(
        "[primary]\nroute_table = \"rtb-0a\"\n[standby]\nroute_table = \"rtb-0b\"\n\
         [backends]\nhosts = [\"10.0.10.10\", \"10.0.10.11\", \"10.0.10.12\"]\n[targets]\nhosts = [{targets}]\n"
    );
    Settings::parse(&text, Path::new("/etc/natwatch/n.toml"), &NoFiles).unwrap()
}

/// A pair of which the primary carries IPv6, and the standby's table leads it to a gateway.
fn survey() -> Survey {
    let route = |family: Family, to: &str| Route {
        destination: family.default_route().to_owned(),
        instance: to.parse().ok(),
        interface: None,
        other: to.starts_with("eigw").then(|| to.to_owned()),
        blackhole: false,
    };
    let association = |subnet: &str| Association {
        id: "rtbassoc-1".parse().unwrap(),
        subnet: subnet.parse().ok(),
        main: false,
        failed: None,
    };
    let table = |id: &str, six: &str, four: &str, associations| RouteTable {
        id: id.parse().unwrap(),
        vpc: "vpc-1".parse().unwrap(),
        name: None,
        routes: vec![route(Family::V4, four), route(Family::V6, six)],
        associations,
    };
    let standby = Instance {
        id: "i-0b".parse().unwrap(),
        name: None,
        state: "running".to_owned(),
        subnet: None,
        launched_ago: None,
        interfaces: vec![Interface { id: "eni-0b".parse().unwrap(), device_index: 0, source_dest_check: false }],
    };
    Survey {
        identity: Ok("i-0b".parse().unwrap()),
        tables: Ok(vec![
            table("rtb-0a", "i-0a", "i-0a", vec![association("subnet-1")]),
            table("rtb-0b", "eigw-1", "i-0b", Vec::new()),
        ]),
        standby: Ok(Some(standby)),
        primary: None,
        uptime: Ok(Duration::from_hours(1)),
        ip_forward: Ok(true),
        ip_forward_of: Family::V4,
        masquerade: Masquerade::Present,
    }
}

#[test]
fn f085_ipv6_that_no_target_is_of_holds_nothing_as_it_holds_no_takeover() {
    let held = |targets: &str| {
        let settings = settings(targets);
        let tables = survey().tables.unwrap();
        let set = preflight::make_guarded(&settings.preflight, &tables, &[], None, Timestamp::UNIX_EPOCH);
        assert_eq!(set.families, [Family::V4, Family::V6]);
        holds(&settings, &survey(), &Found::Absent, None, Some(&set))
    };
    assert_eq!(held("\"1.1.1.1\", \"8.8.8.8\", \"targets.example\""), []);
    let six = held("\"1.1.1.1\", \"8.8.8.8\", \"2001:db8::1\", \"2001:db8::2\"");
    assert!(matches!(&six[..], [one] if one.gate == Gate::Unfit && one.why.contains("::/0")), "{six:?}");
}
