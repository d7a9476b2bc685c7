//! What comes of an answer, right or wrong. That they are asked, and in which order, is seen on a terminal of the lab's.

use std::fs;

use super::*;
use crate::init::tests::around;

fn id(text: &str) -> RouteTableId {
    text.parse().unwrap()
}

fn chosen(typed: &str, options: &[Candidate]) -> Result<String, String> {
    meant(typed, options, Some(&id("rtb-0b"))).map(|choice| choice.id().unwrap().to_string())
}

#[test]
fn a_table_is_meant_by_its_number_or_its_id_and_anything_else_is_explained() {
    let options = around().all();
    assert_eq!(options.len(), 3);
    for (typed, expected) in [("1", "rtb-0a"), ("2", "rtb-0b"), ("rtb-0f", "rtb-0f")] {
        assert_eq!(chosen(typed, &options).as_deref(), Ok(expected), "{typed}");
    }
    for typed in ["0", "4", "-1", "rtb-0c", "nat1", "\u{1b}[31m", "99999999999999999999"] {
        let why = chosen(typed, &options).unwrap_err();
        assert!(why.contains("none of these; accepted: 1 to 3, or an id") && !why.contains('\u{1b}'), "{typed}: {why}");
    }
}

#[test]
fn f058_of_tables_that_ec2_tells_nothing_of_an_id_is_taken_but_the_other_ones() {
    assert_eq!(meant("rtb-0c", &[], None), Ok(Choice::Typed(id("rtb-0c"))));
    assert_eq!(chosen("rtb-0b", &[]).unwrap_err(), "rtb-0b: the other one's already; accepted: another route table");
    for typed in ["1", "nat1", "subnet-1"] {
        assert!(chosen(typed, &[]).unwrap_err().contains("is not a route table id: expected \"rtb-\""), "{typed}");
    }
}

#[test]
fn backends_are_a_file_with_somebody_behind_the_primary_or_hosts_and_anything_else_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let good = file("hosts", "10.0.10.11 web1\n10.0.99.1 elsewhere\n");
    let away = file("away", "127.0.0.1 localhost\n10.0.99.1 elsewhere\n");
    let junk = file("junk", "web1 10.0.10.11\n");
    let primary = around().primaries();
    let found = Hosts::read(Some(Path::new("/nowhere/hosts")), primary.one());
    let names = |hosts: &Hosts| hosts.inside.iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>();

    let answered = found.answered(&good).unwrap();
    assert_eq!((answered.path.to_str(), names(&answered)), (Some(good.as_str()), vec!["web1".to_owned()]));
    assert_eq!(found.answered("web1, 10.0.10.12").unwrap().typed, ["web1", "10.0.10.12"]);
    for (typed, why) in [
        (away.as_str(), "is in one of the guarded subnets; accepted: a line for each backend"),
        (&junk, "1 of its lines are no entries"),
        ("/nowhere/else", "/nowhere/else: there is no such file"),
        ("hosts:", "':' in a host name"),
    ] {
        let said = found.answered(typed).unwrap_err();
        assert!(said.contains(why), "{typed}: {said}");
    }
    // Where it is not known who is behind the primary, whoever is in the file is asked.
    let unknown = Hosts::read(Some(Path::new("/nowhere/hosts")), None);
    assert_eq!(names(&unknown.answered(&away).unwrap()), ["elsewhere"]);
    let nobody = file("nobody", "127.0.0.1 localhost\n");
    assert!(unknown.answered(&nobody).unwrap_err().contains("has no entry of another host"));
}

#[test]
fn the_targets_that_are_proposed_are_those_of_a_new_configuration_and_are_accepted() {
    let proposed = example().unwrap();
    assert_eq!(typed::targets(&proposed).unwrap(), ["1.1.1.1", "8.8.8.8", "9.9.9.9"]);
}
