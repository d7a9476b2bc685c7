//! A first configuration, from what a lab's EC2, IMDS and hosts file show. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/installed.rs"]
#[expect(dead_code, reason = "shared with the test that goes on from here")]
mod installed;
#[path = "support/seasoned.rs"]
#[expect(dead_code, reason = "shared with tests that begin later")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natwatch_lab::testing::{carried_by, expect, json};
use natwatch_lab::{Fault, Lab, Nat, Run};

use installed::Installed;
use support::raise;

/// A bound for one answer, not a measure.
const SOON: Duration = Duration::from_secs(40);

/// A folder of the service's user, since natwatch runs as that.
fn folder(lab: &Lab) -> PathBuf {
    lab.plan().state()
}

fn init(lab: &Lab, to: &Path, more: &[&str]) -> Run {
    let hosts = lab.plan().hosts_file();
    let all = [&["init", "--output", to.to_str().unwrap(), "--hosts-file", hosts.to_str().unwrap()], more].concat();
    lab.natwatch(&all).unwrap()
}

/// The lab's own targets and ways to its backends in place of those of an installation, and all else as it was found.
fn completed(lab: &Lab, written: &Path) -> PathBuf {
    let text = fs::read_to_string(written).unwrap();
    let ours = lab.config();
    let line = |key: &str| ours.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
    let keys = ["user", "identity", "known_hosts", "min_uptime", "dir"];
    let replaced = text.lines().map(|old| {
        let of = |key: &&&str| old.starts_with(&format!("{key} = ")) || old.starts_with(&format!("#{key} = "));
        // Backends of `backends.hosts` are a comment still, and the targets are none.
        let targets = old.starts_with("hosts = ").then_some(&"hosts");
        keys.iter().find(of).or(targets).map_or_else(|| old.to_owned(), |key| line(key))
    });
    let text = replaced.collect::<Vec<_>>().join("\n");
    lab.write_config(&text).unwrap()
}

#[test]
fn what_a_lab_shows_becomes_a_configuration_by_which_natwatch_takes_over() {
    let lab = raise();
    let path = folder(&lab).join("first.toml");
    lab.api().forget_calls();
    let run = init(&lab, &path, &["--format", "json"]);
    expect(&run, 0);
    assert!(lab.api().mutations().is_empty(), "{run}");
    let report = json(&run);
    let found = |key: &str| {
        let all = report["found"].as_array().unwrap();
        all.iter().find(|one| one["key"] == key).map(|one| one["value"].as_str().unwrap().to_owned())
    };
    let (primary, standby) = (&lab.ids().primary, &lab.ids().standby);
    for (key, value) in [
        ("primary.route_table", primary.table.as_str()),
        ("primary.instance", &primary.instance),
        ("primary.address", &Nat::Primary.address().to_string()),
        ("standby.route_table", &standby.table),
        ("standby.instance", &standby.instance),
        ("backends.hosts_file", lab.plan().hosts_file().to_str().unwrap()),
    ] {
        assert_eq!(found(key), Some(format!("\"{value}\"")), "{key}: {run}");
    }
    assert!(found("backends.within").unwrap().contains("\"10.0.10.0/24\""), "{run}");
    // Loaded by who is to use it.
    assert_eq!(report["refused"], serde_json::json!([]), "{run}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "its user's own");

    completed(&lab, &path);
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn a_file_that_is_there_is_never_touched_and_stdout_takes_it_instead() {
    let lab = raise();
    let path = folder(&lab).join("there.toml");
    fs::write(&path, "mine\n").unwrap();
    let run = init(&lab, &path, &[]);
    expect(&run, 2);
    assert!(run.stderr.contains("is there already"), "{run}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    std::os::unix::fs::symlink("/nowhere", folder(&lab).join("link.toml")).unwrap();
    expect(&init(&lab, &folder(&lab).join("link.toml"), &[]), 2);

    let run = init(&lab, Path::new("-"), &[]);
    expect(&run, 0);
    assert!(run.stdout.contains(&format!("\nroute_table = \"{}\"\n", lab.ids().primary.table)), "{run}");
    assert!(run.stdout.starts_with("# ") && run.stderr.contains("primary.instance"), "{run}");
    let run = init(&lab, &folder(&lab).join("no/such/folder.toml"), &[]);
    expect(&run, 2);
    assert!(run.stderr.contains("install -d"), "{run}");
}

#[test]
fn what_could_be_several_things_is_asked_on_a_terminal_explained_and_asked_again_and_without_one_it_is_listed() {
    let lab = raise();
    let answer = lab.ec2("CreateRouteTable", &[("VpcId", &lab.ids().vpc)]).unwrap();
    let other = answer.split("<routeTableId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let route = [
        ("RouteTableId", other.as_str()),
        ("DestinationCidrBlock", "0.0.0.0/0"),
        ("InstanceId", &lab.ids().primary.instance),
    ];
    lab.ec2("CreateRoute", &route).unwrap();
    lab.associate(1, &other).unwrap();
    let path = folder(&lab).join("open.toml");
    let run = init(&lab, &path, &[]);
    expect(&run, 0);
    assert!(run.stdout.contains("left to you") && run.stdout.contains(&other), "{run}");
    assert!(run.stdout.contains("not usable yet"), "{run}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains(&format!("\nroute_table = \"{other}\"")) && text.contains(&format!("# >   {other}: ")),
        "{text}"
    );

    let standby = Installed::on(&lab, &fs::read_to_string(lab.plan().hosts_file()).unwrap());
    let written = |name: &str| fs::read_to_string(standby.path(&format!("/etc/natwatch/{name}.toml")));
    // Typed as root, on a terminal.
    let dialogue = |line: &str, dialogue: &[(&str, &str)]| {
        let running = standby.types(&lab, line).typing().spawn().unwrap();
        running.types(dialogue, SOON).unwrap();
        running.wait(SOON).unwrap()
    };

    // Sorted by id, as EC2 answers them.
    let mut tables = [lab.ids().primary.table.clone(), other.clone()];
    tables.sort();
    let number = (1 + tables.iter().position(|table| *table == other).unwrap()).to_string();
    let run = dialogue(
        "natwatch init -o /etc/natwatch/chosen.toml",
        &[
            ("Its number or its id: ", "3"),
            ("3: none of these; accepted: 1 to 2", &number),
            ("names and addresses [/etc/natwatch/hosts: 3 hosts]: ", "/nowhere/hosts"),
            ("/nowhere/hosts: there is no such file", "b1 10.0.11.13"),
            ("User on the backends [natwatch]: ", "-l root"),
            ("not a user name; accepted: ", "probe"),
            ("Private key for the backends [/etc/natwatch/id_ed25519, which is to be made]: ", "/etc/natwatch/key"),
            ("-f /etc/natwatch/key makes it", ""),
            ("Targets on the internet that answer ping [1.1.1.1 8.8.8.8 9.9.9.9]: ", "203.0.113.1"),
            ("a single target", "203.0.113.1, 203.0.113.2"),
        ],
    );
    expect(&run, 0);
    let text = written("chosen").unwrap();
    for line in [
        &format!("route_table = \"{other}\""),
        "hosts = [\"b1\", \"10.0.11.13\"]",
        "user = \"probe\"",
        "#identity = \"/etc/natwatch/id_ed25519\"",
        "hosts = [\"203.0.113.1\", \"203.0.113.2\"]",
        "threshold = 2",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }

    // Enter takes what is proposed; three answers that can't be used leave it open; after the end of input nothing more is asked.
    let run = dialogue(
        "natwatch init -o /etc/natwatch/some.toml",
        &[
            ("Its number or its id: ", ""),
            ("names and addresses: ", "/etc/natwatch/hosts"),
            ("User on the backends [natwatch]: ", "a/b"),
            ("accepted: ", "c/d"),
            ("c/d: not a user name; accepted: ", "e/f"),
            ("Private key", "\u{4}"),
        ],
    );
    expect(&run, 0);
    assert!(!run.stdout.contains("Targets on the internet"), "{run}");
    let text = written("some").unwrap();
    for line in [
        "#user = \"natwatch\"",
        "hosts_file = \"/etc/natwatch/hosts\"",
        "hosts = [\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(run.stdout.contains("backends.user: what was typed could not be used"), "{run}");

    // Ctrl-C ends it, and nothing is written.
    let run = dialogue("natwatch init -o /etc/natwatch/none.toml", &[("Its number or its id: ", "\u{3}")]);
    expect(&run, 130);
    assert!(run.stdout.contains("nothing is written") && written("none").is_err(), "{run}");

    // Who wants to be asked nothing is not, and gets what nobody's answers come to.
    let run = standby.types(&lab, "natwatch init --yes -o /etc/natwatch/yes.toml").typing().run().unwrap();
    expect(&run, 0);
    assert!(!run.stdout.contains("brackets") && !run.stdout.contains("User on the backends"), "{run}");
    let run = standby.types(&lab, "natwatch init -o /etc/natwatch/no.toml < /dev/null").typing().run().unwrap();
    expect(&run, 0);
    assert_eq!(written("yes").unwrap(), written("no").unwrap());
}

#[test]
fn f058_f061_without_imds_or_ec2_it_writes_what_it_knows_and_says_what_is_missing() {
    let lab = raise();
    for (n, fault) in [Fault::ImdsDown, Fault::ApiDown].iter().enumerate() {
        lab.inject(fault).unwrap();
        let path = folder(&lab).join(format!("{n}.toml"));
        let run = init(&lab, &path, &["--format", "json"]);
        expect(&run, 0);
        let report = json(&run);
        let missing: Vec<&str> =
            report["missing"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
        assert!(missing.contains(&"primary.route_table") && missing.contains(&"standby.route_table"), "{run}");
        assert!(report["refused"].as_array().is_some_and(|lines| !lines.is_empty()), "{run}");
        assert!(fs::read_to_string(&path).unwrap().contains("# > OPEN: "), "{run}");
        lab.heal_all().unwrap();
    }
}
