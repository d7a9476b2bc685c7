//! From what was found to a configuration that loads, or that says what is missing.

use std::net::IpAddr;

use super::*;
use crate::config::{Files, Role, Settings, filled};
use crate::init::tests::{around, table};
use crate::model::{Cidr, SubnetId};

fn hosts(primary: &Choice, names: &[(&str, &str)]) -> Hosts {
    let within: Vec<Cidr> =
        primary.one().iter().flat_map(|one| &one.subnets).flat_map(|one| &one.cidrs).copied().collect();
    let inside = names.iter().map(|(name, addr)| ((*name).to_owned(), addr.parse::<IpAddr>().unwrap()));
    let inside = inside.filter(|(_, addr)| within.iter().any(|block| block.contains(addr))).collect();
    Hosts { path: "/etc/hosts".into(), within, inside: Ok(inside), typed: Vec::new() }
}

const FOUR: [(&str, &str); 4] =
    [("web1", "10.0.10.11"), ("web2", "10.0.10.12"), ("db1", "10.0.11.11"), ("db2", "10.0.11.12")];

fn draft(around: &Around, names: &[(&str, &str)]) -> Draft {
    let (standby, primary) = (around.standbys(), around.primaries());
    Draft::of(around, &standby, &primary, &hosts(&primary, names), &Said::default())
}

fn text(draft: &Draft) -> String {
    filled("# by a test\n", &draft.known.iter().map(|(key, one)| (*key, one.clone())).collect())
}

struct HostsFile(Vec<(&'static str, &'static str)>);

impl Files for HostsFile {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Ok(self
            .0
            .iter()
            .flat_map(|(name, addr)| format!("{addr} {name}\n127.0.0.1 localhost\n").into_bytes())
            .collect())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn open(draft: &Draft) -> Vec<&'static str> {
    // Whether the key files are there is this machine's.
    let files = ["backends.identity", "backends.known_hosts"];
    draft.missing.iter().map(|one| one.key).filter(|key| !files.contains(key)).collect()
}

#[test]
fn what_is_found_is_filled_in_and_loads() {
    let draft = draft(&around(), &FOUR);
    assert_eq!(open(&draft), [""; 0]);
    let text = text(&draft);
    let settings = Settings::parse(&text, Path::new("/etc/natwatch/natwatch.toml"), &HostsFile(FOUR.to_vec())).unwrap();
    let rules = &settings.decide;
    assert_eq!((rules.primary_table.as_str(), rules.standby_table.as_str()), ("rtb-0a", "rtb-0b"));
    assert_eq!(rules.primary_instance.as_ref().map(crate::model::InstanceId::as_str), Some("i-0a"));
    assert_eq!(settings.preflight.standby_instance.as_ref().map(crate::model::InstanceId::as_str), Some("i-0b"));
    assert_eq!(settings.primary_address, "10.0.0.10".parse().ok());
    assert_eq!((settings.region.as_deref(), settings.observe.within.len()), (Some("eu-west-1"), 2));
    assert_eq!((settings.observe.backends.len(), rules.threshold), (4, 3));
    assert!(
        text.contains("# > rtb-0a: its default route leads to i-0a (nat1); 2 subnets: 10.0.10.0/24, 10.0.11.0/24\n"),
        "{text}"
    );
}

#[test]
fn with_few_backends_the_threshold_is_theirs_and_it_is_said_what_that_means() {
    let two = &FOUR[..2];
    let draft = draft(&around(), two);
    let settings = Settings::parse(&text(&draft), Path::new("/etc/n.toml"), &HostsFile(two.to_vec())).unwrap();
    assert_eq!(settings.decide.threshold, 2);
    assert!(draft.known["decision.threshold"].notes[0].contains("the fewer"), "{draft:?}");
}

#[test]
fn several_tables_that_could_be_meant_stay_open_and_are_listed() {
    let mut around = around();
    around.tables.as_mut().unwrap().push(table("rtb-0c", 'a', false, &["subnet-3"]));
    around.tables.as_mut().unwrap().push(table("rtb-0d", 'b', false, &[]));
    let draft = draft(&around, &FOUR);
    assert_eq!(open(&draft), ["primary.route_table", "standby.route_table", "backends.hosts_file"]);
    assert_eq!(draft.missing[0].options.len(), 2, "{draft:?}");
    let text = text(&draft);
    assert!(text.contains("#route_table = ") && !text.contains("\nroute_table = "), "{text}");
    assert!(text.contains("# >   rtb-0c: "), "{text}");
    let refused = Settings::parse(&text, Path::new("/etc/n.toml"), &HostsFile(FOUR.to_vec())).unwrap_err().to_string();
    assert!(refused.contains("primary.route_table") && refused.contains("standby.route_table"), "{refused}");
}

#[test]
fn a_table_without_subnets_is_the_primarys_only_where_no_other_could_be() {
    let mut around = around();
    around.tables.as_mut().unwrap().push(table("rtb-0c", 'a', false, &[]));
    assert_eq!(around.primaries().one().map(|one| one.table.id.as_str()), Some("rtb-0a"));
    around.tables.as_mut().unwrap().remove(0);
    assert_eq!(around.primaries().one().map(|one| one.table.id.as_str()), Some("rtb-0c"));
    assert_eq!(around.standbys().one().map(|one| one.table.id.as_str()), Some("rtb-0b"), "by its interface");
}

#[test]
fn f058_without_imds_and_ec2_all_that_is_not_known_is_named_with_where_to_find_it() {
    let down = || "the instance metadata service failed".to_owned();
    let around =
        Around { region: Err(down()), own: Err(down()), tables: Err(down()), others: Ok(vec![]), subnets: Ok(vec![]) };
    let draft = draft(&around, &FOUR);
    let expected =
        ["primary.route_table", "standby.route_table", "standby.instance", "standby.region", "backends.hosts_file"];
    assert_eq!(open(&draft), expected);
    assert!(draft.missing.iter().all(|one| !one.remedy.is_empty()), "{draft:?}");
    assert!(draft.missing.iter().take(4).all(|one| one.why.contains("metadata service")), "{draft:?}");
    let text = text(&draft);
    assert!(text.contains("# > OPEN: the instance metadata service failed\n"), "{text}");
    assert!(Settings::parse(&text, Path::new("/etc/n.toml"), &HostsFile(vec![])).is_err());
}

#[test]
fn names_from_outside_break_out_of_no_comment_and_no_string() {
    let mut around = around();
    let evil = "x\nroute_table = \"rtb-0evil\"\n\u{1b}[31m";
    around.others.as_mut().unwrap()[0].instance.name = Some(evil.to_owned());
    around.tables.as_mut().unwrap()[0].name = Some(evil.to_owned());
    around.subnets.as_mut().unwrap()[0].name = Some(evil.to_owned());
    let text = text(&draft(&around, &FOUR));
    assert!(!text.contains("\nroute_table = \"rtb-0evil\"") && !text.contains('\u{1b}'), "{text}");
    let settings = Settings::parse(&text, Path::new("/etc/n.toml"), &HostsFile(FOUR.to_vec())).unwrap();
    assert_eq!(settings.decide.primary_table.as_str(), "rtb-0a");
}

#[test]
fn nobody_behind_the_primary_is_said_with_the_file_that_was_read() {
    let draft = draft(&around(), &[]);
    assert_eq!(open(&draft), ["backends.hosts_file"]);
    assert!(draft.missing.iter().any(|one| one.why.contains("no entry of /etc/hosts")), "{draft:?}");
    let ids: Vec<SubnetId> =
        around().primaries().one().cloned().unwrap().subnets.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 2);
}

fn answered(around: &Around, hosts: &Hosts, said: &Said) -> (Draft, String) {
    let draft = Draft::of(around, &around.standbys(), &around.primaries(), hosts, said);
    let text = text(&draft);
    (draft, text)
}

#[test]
fn what_was_typed_is_written_and_loads() {
    let around = around();
    let typed = vec!["web1".to_owned(), "10.0.10.12".to_owned()];
    let hosts = Hosts { typed, ..hosts(&around.primaries(), &[]) };
    let said = Said {
        user: Answer::This("probe".to_owned()),
        targets: Answer::This(vec!["192.0.2.1".to_owned(), "dns.example".to_owned()]),
        region: Answer::This("us-east-1".to_owned()),
        ..Said::default()
    };
    let (draft, text) = answered(&around, &hosts, &said);
    assert_eq!(open(&draft), [""; 0]);
    let settings = Settings::parse(&text, Path::new("/etc/n.toml"), &HostsFile(vec![])).unwrap();
    let names: Vec<&str> = settings.observe.backends.iter().map(|one| one.host.as_str()).collect();
    assert_eq!((names, settings.decide.threshold), (vec!["10.0.10.12", "web1"], 2));
    assert_eq!(settings.observe.ssh.user.as_deref(), Some("probe"));
    assert_eq!(settings.observe.targets, ["192.0.2.1", "dns.example"]);
    assert_eq!(settings.region.as_deref(), Some("us-east-1"));
    assert!(text.contains("# > as it was typed\nuser = \"probe\"\n"), "{text}");
}

#[test]
fn what_was_typed_in_vain_stays_open_and_says_so() {
    let around = around();
    let said = Said { user: Answer::Unusable, targets: Answer::Unusable, ..Said::default() };
    let (draft, text) = answered(&around, &hosts(&around.primaries(), &FOUR), &said);
    assert_eq!(open(&draft), ["backends.user", "targets.hosts"]);
    assert!(text.contains("#user = ") && text.contains("#hosts = [\"1.1.1.1\""), "{text}");
    let refused = Settings::parse(&text, Path::new("/etc/n.toml"), &HostsFile(FOUR.to_vec())).unwrap_err().to_string();
    assert!(refused.contains("targets.hosts: missing"), "{refused}");
}

#[test]
fn f058_tables_that_were_typed_without_ec2_are_written_with_the_file_that_was_typed() {
    let mut around = around();
    around.tables = Err("EC2 does not answer".to_owned());
    let primary = Choice::Typed("rtb-0a".parse().unwrap());
    let standby = Choice::Typed("rtb-0b".parse().unwrap());
    let inside = Ok(vec![("web1".to_owned(), "10.0.10.11".parse().unwrap())]);
    let hosts = Hosts { path: "/etc/hosts".into(), within: vec![], inside, typed: vec![] };
    let draft = Draft::of(&around, &standby, &primary, &hosts, &Said::default());
    assert_eq!(open(&draft), [""; 0]);
    let settings =
        Settings::parse(&text(&draft), Path::new("/etc/n.toml"), &HostsFile(vec![("web1", "10.0.10.11")])).unwrap();
    assert_eq!((settings.decide.primary_table.as_str(), settings.decide.standby_table.as_str()), ("rtb-0a", "rtb-0b"));
    assert!(draft.known["backends.hosts_file"].notes[0].contains("each of its entries is asked: web1"), "{draft:?}");
}
