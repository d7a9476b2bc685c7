//! What is read, what is refused and with which words, and what is found to differ.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::Input;
use crate::decide::Case;
use crate::model::{Outcome, Pass, SilenceReason, Verdict};
use crate::record::VERSION;
use crate::record::round::LastRound;

const HEALTHY: &str = "about = \"All is well\"\n[[rounds]]\nreaching = { subnet-a = 3 }\n";

fn scenario(text: &str) -> Input {
    Input::parse(Path::new("night.toml"), text.as_bytes()).unwrap()
}

#[track_caller]
fn refused(text: &str) -> String {
    let failure = Input::parse(Path::new("night.toml"), text.as_bytes()).unwrap_err();
    assert_eq!(failure.exit, 2);
    failure.text
}

fn saved(input: &Input) -> String {
    let pass = Pass { elapsed: Duration::from_micros(1_234_567), notes: vec!["a note".to_owned()], ..input.pass() };
    let last = LastRound { version: VERSION, at: Timestamp::UNIX_EPOCH, case: input.case.clone(), pass };
    serde_json::to_string_pretty(&last).unwrap()
}

const DOWN: &str =
    "about = \"Down\"\n[[rounds]]\nrepeat = 2\nevery = \"3s\"\ncut_off = { subnet-a = 2, subnet-b = 2 }\n";

#[test]
fn a_saved_round_comes_to_the_same_to_the_last_byte() {
    let input = scenario(DOWN);
    let text = saved(&input);
    // Told apart by the name, and without one by the content.
    for path in ["last-round.json", "night"] {
        let again = Input::parse(Path::new(path), text.as_bytes()).unwrap();
        assert_eq!(again.case, input.case, "{path}");
        assert_eq!(again.differences(), [""; 0], "{path}");
        let (pass, saved) = (again.pass(), again.saved.clone().unwrap());
        assert_eq!(crate::report::json::run(&pass), crate::report::json::run(&saved), "{path}");
        assert_eq!((pass.elapsed, pass.notes.len()), (Duration::from_micros(1_234_567), 1));
    }
}

#[test]
fn an_edited_file_says_where_it_differs() {
    let text = saved(&scenario(DOWN));
    for (from, to, expected) in [
        (
            r#""outcome": "taken-over""#,
            r#""outcome": "healthy""#,
            "outcome: the file says healthy, these rules say taken-over",
        ),
        (r#""exit": 4"#, r#""exit": 0"#, "exit: the file says 0, these rules say 4"),
        (r#""threshold": 3"#, r#""threshold": 5"#, "outcome: the file says taken-over, these rules say unheard"),
        (
            r#""verdict": "down""#,
            r#""verdict": "healthy""#,
            "round 1 (IPv4), verdict: the file says healthy, these rules say down",
        ),
        (
            r#""verdict": "cut-off""#,
            r#""verdict": "reaches""#,
            "round 1 (IPv4), backend: the file says subnet-a-1 reaches, these rules say subnet-a-1 cut-off",
        ),
        (
            "4 of 4 backends are cut off; all",
            "all is well; all",
            "because: the file says all is well; all 2 subnets are on this standby and traffic flows, these rules say 4 of 4 \
             backends are cut off; all 2 subnets are on this standby and traffic flows",
        ),
        (r#""good_targets": 3"#, r#""good_targets": 2"#, "round 1 (IPv4), its details differ"),
    ] {
        assert!(text.contains(from), "{from}");
        // The verdicts and sentences stand in `pass`, the rules and the evidence in `case`: the first place will do for each.
        let edited = text.replacen(from, to, 1);
        let input = Input::parse(Path::new("last-round.json"), edited.as_bytes()).unwrap();
        let found = input.differences();
        assert!(found.iter().any(|one| one == expected), "{expected}\n{found:#?}");
    }
    let moved = text.rsplit_once(r#""result": "moved""#).unwrap();
    let edited = format!(r#"{}"result": "already-there"{}"#, moved.0, moved.1);
    let input = Input::parse(Path::new("last-round.json"), edited.as_bytes()).unwrap();
    assert_eq!(
        input.differences(),
        [
            "moves: the file says subnet-a moved | subnet-b already-there, these rules say subnet-a moved | subnet-b moved"
        ]
    );
}

#[test]
fn f072_a_round_of_a_newer_version_is_refused_with_the_remedy() {
    let newer = saved(&scenario(HEALTHY)).replacen("\"version\": 1", "\"version\": 9", 1);
    let failure = Input::parse(Path::new("last-round.json"), newer.as_bytes()).unwrap_err();
    assert_eq!(
        (failure.exit, failure.text.as_str()),
        (2, "last-round.json was written by a newer natwatch (layout 9); replay it with that version")
    );
}

#[test]
fn json_that_is_not_ours_is_refused_with_its_line() {
    let accepted = "; accepted: a last-round.json of this version, or a scenario (TOML)";
    for (text, expected) in [
        ("{", "can't be used: not JSON: EOF while parsing an object at line 1 column 1"),
        ("{\"a\": 1}", "can't be used: no layout version in it"),
        ("[1]", "can't be used: no layout version in it"),
        (
            "{\n \"version\": 1,\n \"phase\": \"taken\"}",
            "can't be used: not what we write: missing field `at` at line 3 column 18",
        ),
    ] {
        let failure = Input::parse(Path::new("x.json"), text.as_bytes()).unwrap_err();
        assert_eq!((failure.exit, failure.text), (2, format!("x.json {expected}{accepted}")), "{text}");
    }
    let typed = saved(&scenario(HEALTHY)).replacen("\"threshold\": 3", "\"threshold\": \"3\"", 1);
    let failure = Input::parse(Path::new("x.json"), typed.as_bytes()).unwrap_err().text;
    assert!(failure.contains("invalid type: string \"3\", expected usize at line 6"), "{failure}");
}

#[test]
fn a_scenario_is_refused_with_line_key_and_what_is_accepted() {
    for (text, expected) in [
        ("about = \"x\"\nrouds = 3\n", "night.toml:2: rouds = 3: unknown field `rouds`, expected one of `about`"),
        ("rows = [1]\n", "missing field `about`"),
        ("about = \n", "night.toml:1: about =: "),
        (
            "about = \"x\"\n[rules]\nfraction = 1.0\n",
            "night.toml:3: fraction = 1.0: 1.0 is not accepted; accepted: 0 up to but not including 1",
        ),
        (
            "about = \"x\"\n[rules]\nthreshold = 0\n",
            "night.toml:3: threshold = 0: 0 is not accepted; accepted: 1 to 1000",
        ),
        (
            "about = \"x\"\n[rules]\nspan = \"3 s\"\n",
            "night.toml:3: span = \"3 s\": \"3 s\" is not accepted; accepted: a duration within \"0s\" and \"99999h\", such as \"700ms\", \"3s\" or \"24h\"",
        ),
        ("about = \"x\"\n[rules]\nspan = \"100000h\"\n", "accepted: a duration within"),
        ("about = \"x\"\n[rules]\nspan = 3\n", "night.toml:3: span = 3: invalid type: integer `3`, expected a string"),
        (
            "about = \"x\"\n[[rounds]]\ngood = [\"1.1.1\"]\n",
            "night.toml:3: good = [\"1.1.1\"]: \"1.1.1\" is not accepted; accepted: an address",
        ),
        (
            "about = \"x\"\n[[rounds]]\ncut_off = { a = 1001 }\n",
            "night.toml:3: cut_off = { a = 1001 }: 1001 is not accepted; accepted: 0 to 1000",
        ),
        (
            "about = \"x\"\n[world]\nguarded = { subnet-a = \"home\" }\n",
            "\"home\" is not accepted; accepted: \"primary\", \"standby\" or a table's id, \"rtb-…\"",
        ),
        ("about = \"x\"\n[world]\nlock = \"held\"\n", "night.toml:3: lock = \"held\": unknown variant `held`"),
        (
            "about = \"x\"\n[rounds.backends]\n",
            "night.toml:2: [rounds.backends]: invalid type: map, expected a sequence",
        ),
        (
            "about = \"x\"\n[[rounds]]\nstarted = \"3s\"\nended = \"1s\"\n",
            "night.toml:2: [[rounds]]: the round ends before it starts; accepted: ended after started",
        ),
        (
            "about = \"x\"\n[[rounds]]\nweighed = \"1ms\"\n",
            "night.toml:2: [[rounds]]: weighed before it ended; accepted: weighed not before ended",
        ),
        (
            "about = \"x\"\n[[rounds]]\n[rounds.backends]\nw = { subnet = \"a\", silent = \"hung\", reached = \"1.1.1.1\" }\n",
            "night.toml:4: w = { subnet = \"a\", silent = \"hung\", reached = \"1.1.1.1\" }: w: silent, and yet it pinged",
        ),
        (
            "about = \"x\"\n[[rounds]]\nreaching = { a = 1 }\n[rounds.backends]\na-1 = { subnet = \"a\" }\n",
            "night.toml:5: a-1 = { subnet = \"a\" }: a-1: is there twice; accepted: each backend once in a round",
        ),
        (
            "about = \"x\"\n[[rounds]]\nrepeat = 11\nreaching = { a = 1000 }\n",
            "night.toml:2: [[rounds]]: 11000 answers so far; accepted: 10000 in all rounds together",
        ),
        (
            "about = \"x\"\n[world]\nlock_open = [\"subnet-a\"]\n",
            "night.toml: world.lock_moved and lock_open are moves of a takeover on record; accepted: with world.lock",
        ),
        (
            "about = \"x\"\n[moves]\nsubnet-a = { result = \"failed\" }\n",
            "night.toml:3: subnet-a = { result = \"failed\" }: subnet-a: nothing is moved in this scenario; accepted: no [moves]",
        ),
        (
            &format!("{DOWN}[moves]\nsubnet-z = {{ result = \"failed\" }}\n"),
            "subnet-z is not in the plan; accepted: subnet-a, subnet-b",
        ),
        (&format!("{DOWN}[moves]\nsubnet-a = {{ result = \"elsewhere\" }}\n"), "detail: \"\" is not a route table id"),
    ] {
        let found = refused(text);
        assert!(found.contains(expected) && found.starts_with("night.toml:"), "{text}\n{expected}\n{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn every_fault_of_a_scenario_is_told_at_once() {
    let text = "about = \"x\"\n[[rounds]]\nstarted = \"3s\"\nended = \"1s\"\n[[rounds]]\nweighed = \"1ms\"\n[world]\nlock_open = [\"subnet-a\"]\n";
    assert_eq!(refused(text).lines().count(), 3, "{}", refused(text));
}

#[test]
fn f035_escapes_in_a_file_are_never_told_raw() {
    let found = refused("about = \"x\"\n\"\\u001b[31mred\" = 1\n\"\u{202e}\" = 2\n");
    assert!(!found.contains('\x1b') && !found.contains('\u{202e}'), "{found}");
}

#[test]
fn what_is_not_a_file_of_ours_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |path: &Path| Input::read(path).unwrap_err().text;
    assert!(refused(&path("none")).ends_with("No such file or directory (os error 2)"));
    assert!(refused(folder.path()).ends_with("not a regular file; save it as one first"));
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(refused(&path("fifo")).ends_with("not a regular file; save it as one first"));
    std::fs::File::create(path("big")).unwrap().set_len((32 << 20) + 1).unwrap();
    assert!(refused(&path("big")).ends_with("larger than 32 MiB; natwatch writes no such file"));
    std::fs::write(path("binary"), [0xff, 0xfe, 0]).unwrap();
    assert!(
        refused(&path("binary")).ends_with("not UTF-8, at byte 0; accepted: a last-round.json, or a scenario (TOML)")
    );
    std::fs::write(path("empty.toml"), "").unwrap();
    assert!(refused(&path("empty.toml")).contains("missing field `about`"));
}

#[test]
fn what_is_left_out_is_a_healthy_pair() {
    let input = scenario(HEALTHY);
    let pass = input.pass();
    assert_eq!((pass.outcome, pass.exit, pass.holds.len()), (Outcome::Healthy, 0, 0));
    assert!(input.expect.is_none() && input.differences().is_empty(), "who expects nothing is never disappointed");
    assert_eq!(
        scenario(DOWN).pass().outcome,
        Outcome::TakenOver,
        "nothing but the evidence stands between it and a takeover"
    );
}

#[test]
fn the_defaults_of_a_scenario_are_those_of_the_configuration() {
    struct Nothing;
    impl crate::config::Files for Nothing {
        fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
            Ok(Vec::new())
        }
        fn faults(&self, _: &Path, _: crate::config::Role) -> Vec<String> {
            Vec::new()
        }
    }
    let text = "[primary]\nroute_table = \"rtb-0a\"\n[standby]\nroute_table = \"rtb-0b\"\n[backends]\nhosts = [\"a\", \"b\", \"c\"]\n\
                [targets]\nhosts = [\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]\n";
    let settings = crate::config::Settings::parse(text, Path::new("/etc/natwatch/natwatch.toml"), &Nothing).unwrap();
    assert_eq!(scenario(HEALTHY).case.rules, settings.decide);
}

/// One expectation broken at a time.
#[test]
fn each_expectation_is_compared() {
    let met = "[expect]\nverdicts = [\"down\", \"down\"]\noutcome = \"taken-over\"\nexit = 4\nplan = [\"subnet-a\", \"subnet-b\"]\n\
               gates = []\ncommands = []\n\
               because = \"4 of 4 backends are cut off; all 2 subnets are on this standby and traffic flows\"\n";
    let with = |expect: &str| scenario(&format!("{DOWN}{expect}")).differences();
    assert_eq!(with(met), [""; 0]);
    for (from, to, expected) in [
        ("[\"down\", \"down\"]", "[\"down\"]", "verdicts: the file says down, these rules say down | down"),
        ("taken-over", "partial", "outcome: the file says partial, these rules say taken-over"),
        ("exit = 4", "exit = 5", "exit: the file says 5, these rules say 4"),
        ("exit = 4", "exit = 4\ngate = \"locked\"", "gate: the file says locked, these rules say none"),
        ("gates = []", "gates = [\"unfit\"]", "gates: the file says unfit, these rules say none"),
        ("[\"subnet-a\", ", "[", "plan: the file says subnet-b, these rules say subnet-a | subnet-b"),
        (
            "exit = 4",
            "exit = 4\ndisable_check = \"eni-0b\"",
            "disable_check: the file says eni-0b, these rules say none",
        ),
        ("exit = 4", "exit = 4\nnext = \"look\"", "next: the file says look, these rules say act"),
        ("commands = []", "commands = [\"reboot\"]", "commands: the file says reboot, these rules say none"),
        (
            "exit = 4",
            "exit = 4\nreasons = { subnet-a-1 = \"hung\" }",
            "reason of subnet-a-1: the file says hung, these rules say not silent",
        ),
    ] {
        assert_eq!(with(&met.replacen(from, to, 1)), [expected], "{to}");
    }
    let other = met.replacen("4 of 4 backends", "5 of 4 backends", 1);
    assert!(with(&other)[0].starts_with("because: the file says 5 of 4"), "{:?}", with(&other));
}

#[test]
fn counts_and_descriptions_become_members() {
    let input = scenario(
        "about = \"x\"\n[[rounds]]\nearliest = \"10ms\"\nlatest = \"20ms\"\ndead = [\"ns.example=198.51.100.1\"]\n\
         cut_off = { subnet-a = 1 }\nunproven = { subnet-a = 1 }\nsilent = { subnet-b = 1 }\nawaited = { subnet-b = 1 }\n\
         [rounds.backends]\nweb = { subnet = \"subnet-c\", missed = [\"198.51.100.1\"], reached = \"192.0.2.2\" }\n",
    );
    let round = &input.case.looks[0].round;
    let hosts: Vec<&str> = round.members.iter().map(|one| one.backend.host.as_str()).collect();
    assert_eq!(hosts, ["subnet-a-1", "subnet-a-2", "subnet-b-1", "subnet-b-2", "web"]);
    let judgement = &input.pass().judgements[0];
    assert_eq!((judgement.verdict, judgement.reaches, judgement.cut_off), (Verdict::Unheard, 1, 1));
    let reasons: Vec<_> =
        judgement.backends.iter().filter_map(|one| one.silence.as_ref()).map(|one| one.reason).collect();
    assert_eq!(reasons, [SilenceReason::Unproven, SilenceReason::Hung, SilenceReason::NotAwaited]);
    assert_eq!(
        (judgement.first_miss, judgement.last_miss),
        (Some(Duration::from_millis(20)), Some(Duration::from_millis(10)))
    );
    assert_eq!(round.controls.len(), 4);
}

#[test]
fn an_empty_case_is_no_panic() {
    let empty = Case { looks: Vec::new(), ..scenario(HEALTHY).case };
    let why = crate::decide::explain(&empty);
    assert_eq!((why.conclusion.exit, why.rounds.len(), why.enough), (3, 0, false));
}
