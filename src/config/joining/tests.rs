//! What is accepted, and who joins.

use std::path::Path;

use jiff::Timestamp;

use super::super::{Role, Settings};
use super::*;

/// A `known_hosts`, or no file at all.
struct Known(Option<&'static str>);

impl Files for Known {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        self.0.map(|text| text.as_bytes().to_vec()).ok_or_else(|| "there is no such file".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn parse(more: &str, files: &dyn Files) -> Result<Settings, String> {
    let text = format!(
        "primary.route_table = \"rtb-0a\"\nstandby.route_table = \"rtb-0b\"\ntargets.hosts = [\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\"]\n{more}\n"
    );
    Settings::parse(&text, Path::new("/etc/natwatch/n.toml"), files).map_err(|error| error.to_string())
}

fn on(more: &str) -> Settings {
    parse(&format!("backends.ec2_subnets = true\n{more}"), &Known(None)).unwrap()
}

/// Instances by name and address; an empty name is none.
fn fleet(all: &[(&str, &str)]) -> Fleet {
    let resident = |(n, (name, addr)): (usize, &(&str, &str))| Resident {
        instance: format!("i-0{n}").parse().unwrap(),
        name: (!name.is_empty()).then(|| (*name).to_owned()),
        addr: addr.parse().unwrap(),
    };
    Fleet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        members: all.iter().enumerate().map(resident).collect(),
        more: 0,
        without_address: 0,
        seen: Timestamp::UNIX_EPOCH,
    }
}

fn hosts(settings: &Settings) -> Vec<&str> {
    settings.observe.backends.iter().map(|one| one.host.as_str()).collect()
}

const THREE: [(&str, &str); 3] = [("web", "10.0.10.5"), ("web", "10.0.10.6"), ("", "10.0.11.7")];

#[test]
fn alone_it_is_a_source_and_how_many_it_will_bring_is_no_matter_of_the_configuration() {
    let mut settings = on("");
    assert!(settings.observe.backends.is_empty() && settings.advice.is_empty(), "{:?}", settings.advice);
    settings.join(Some(&fleet(&THREE)), None);
    assert_eq!(hosts(&settings), ["web/i-00", "web/i-01", "i-02"]);
    assert_eq!(settings.observe.backends[0].destination, "10.0.10.5");
    // One listed host is fewer than decision.threshold, and no fault: others are to come.
    assert_eq!(hosts(&on("backends.hosts = [\"web1\"]")), ["web1"]);
    let off = parse("backends.ec2_subnets = false\nbackends.hosts = [\"a\", \"b\", \"c\"]", &Known(None)).unwrap();
    assert_eq!(off.fleet, None);
    let mut joined = off.clone();
    joined.join(Some(&fleet(&THREE)), None);
    assert_eq!(joined, off, "nobody joins unasked");
    assert!(parse("backends.ec2_subnets = false", &Known(None)).unwrap_err().contains("no backends"));
}

#[test]
fn f044_who_is_listed_by_its_address_is_not_there_twice_and_the_listed_name_stays() {
    let file = "10.0.10.6 app1\n10.0.10.8 app2\n";
    let more =
        "backends.ec2_subnets = true\nbackends.hosts = [\"10.0.10.5\", \"db1\"]\nbackends.hosts_file = \"/hosts\"";
    let mut settings = parse(more, &Known(Some(file))).unwrap();
    settings.join(Some(&fleet(&[THREE[0], THREE[1], THREE[2], ("again", "10.0.11.7")])), None);
    // What is listed comes first, so that a name that leads to one of them by DNS stays as well.
    assert_eq!(hosts(&settings), ["10.0.10.5", "app1", "app2", "db1", "i-02"]);
    assert_eq!(settings.fleet.as_ref().unwrap().came.as_ref().unwrap().backends, 4);
}

#[test]
fn the_filters_of_a_hosts_file_hold_for_instances_by_name_tag_and_address() {
    for (more, expected, filtered) in [
        ("", &["web/i-00", "web/i-01", "i-02"][..], 0),
        ("backends.match = \"^web$\"", &["web/i-00", "web/i-01"], 1),
        ("backends.match = \"^db\"", &[], 3),
        ("backends.match = \"\"", &["web/i-00", "web/i-01"], 1),
        ("backends.within = [\"10.0.11.0/24\"]", &["i-02"], 2),
        ("backends.match = \"web\"\nbackends.within = [\"10.0.10.6/32\"]", &["web/i-01"], 2),
        // By its address it is the primary, whoever it is by its id.
        ("primary.address = \"10.0.10.5\"", &["web/i-01", "i-02"], 0),
    ] {
        let mut settings = on(more);
        assert_eq!(settings.advice, Vec::<String>::new(), "{more}");
        settings.join(Some(&fleet(&THREE)), None);
        assert_eq!(hosts(&settings), expected, "{more}");
        assert_eq!(settings.fleet.unwrap().came.unwrap().filtered.len(), filtered, "{more}");
    }
}

#[test]
fn who_passes_no_filter_makes_no_other_configuration_of_it() {
    let by = |fleet: &Fleet| {
        let mut settings = on("backends.match = \"^web\"");
        settings.join(Some(fleet), None);
        settings
    };
    let base = by(&fleet(&THREE));
    assert_eq!(by(&fleet(&[THREE[0], THREE[1], THREE[2], ("batch", "10.0.10.9")])), base);
    assert_ne!(by(&fleet(&[THREE[0]])), base);
    // What is told of it is another then.
    assert_ne!(by(&fleet(&[])), on("backends.match = \"^web\""));
}

#[test]
fn where_it_brings_nobody_or_not_all_that_is_said_and_else_nothing() {
    let told = |more: &str, fleet: Option<Fleet>, trouble: Option<&str>| {
        let mut settings = on(more);
        settings.join(fleet.as_ref(), trouble.map(str::to_owned));
        settings.fleet.unwrap().told()
    };
    assert_eq!(told("", Some(fleet(&THREE)), None), None);
    assert_eq!(told("backends.match = \"web\"", Some(fleet(&THREE)), None), None);
    let six = Fleet { without_address: 2, ..fleet(&[]) };
    let many = Fleet { more: 400, ..fleet(&THREE) };
    for (said, part) in [
        (told("", None, None), "has not been asked yet"),
        (told("", None, Some("DescribeInstances: denied")), "can't be asked: DescribeInstances: denied"),
        (told("", Some(fleet(&[])), None), "shows no running instance in the guarded subnets"),
        (told("", Some(six), None), "shows 2 running in the guarded subnets, and none with an IPv4 address"),
        (
            told("backends.match = \"^db\"", Some(fleet(&THREE)), None),
            "3 running in the guarded subnets, and none that passes",
        ),
        (
            told("", Some(many), None),
            "403 running in the guarded subnets, which are too many: 400 of them are left out",
        ),
    ] {
        let said = said.unwrap();
        assert!(said.starts_with("backends.ec2_subnets: ") && said.contains(part), "{said}");
    }
}

#[test]
fn f027_strict_host_keys_are_advised_against_where_nobody_vouches_for_a_new_instance() {
    let strict = "backends.ec2_subnets = true\nbackends.known_hosts = \"/k\"\n";
    let signed = Known(Some("# ours\n@cert-authority 10.0.* ssh-ed25519 AAAA\n"));
    let plain = Known(Some("10.0.10.5 ssh-ed25519 AAAA\n"));
    let advice = |more: &str, files: &Known| parse(&format!("{strict}{more}"), files).unwrap().advice;
    let said = advice("", &plain);
    assert!(said.len() == 1 && said[0].contains("@cert-authority") && said[0].contains("accept-new"), "{said:?}");
    assert!(advice("", &signed).is_empty());
    assert!(advice("backends.host_keys = \"accept-new\"", &plain).is_empty());
    assert!(advice("backends.ssh_config = \"/c\"", &plain).is_empty(), "that may name others");
    assert!(
        parse("backends.hosts = [\"a\", \"b\", \"c\"]\nbackends.known_hosts = \"/k\"", &plain)
            .unwrap()
            .advice
            .is_empty()
    );
}

#[test]
fn another_list_takes_the_place_of_the_one_before_and_none_leaves_it() {
    let mut settings = on("backends.hosts = [\"10.0.10.6\"]");
    settings.join(Some(&fleet(&THREE)), None);
    assert_eq!(hosts(&settings), ["10.0.10.6", "web/i-00", "i-02"]);
    let before = settings.clone();
    settings.join(None, None);
    assert_eq!(hosts(&settings), hosts(&before));
    settings.join(Some(&fleet(&[("db", "10.0.12.1")])), None);
    assert_eq!(hosts(&settings), ["10.0.10.6", "db/i-00"]);
    let mut fresh = on("backends.hosts = [\"10.0.10.6\"]");
    fresh.join(Some(&fleet(&[("db", "10.0.12.1")])), None);
    assert_eq!(settings, fresh, "as if it had been the first");
}
