//! What holds for every command, whatever it says: no secret in it, no colours where none can be shown, a reader that goes away, a
//! hostile `PATH`, and ids with their names. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use natwatch_lab::testing::{carried_by, expect, json};
use natwatch_lab::{Fault, Invocation, Lab, Nat, Run};

use support::seasoned;

/// Every command, in ways that may be typed twice: what they end with is the same then, and nothing at EC2 is another thing afterwards.
/// `watch` never ends, and has tests of its own.
fn commands(lab: &Lab) -> Vec<Vec<String>> {
    let last = lab.plan().state().join("natwatch/last-round.json");
    let key = lab.plan().identity().with_extension("pub");
    let lines = [
        "run",
        "run --dry-run",
        "run --format json",
        "check",
        "check --max-age 10m",
        "check --format json",
        "status",
        "status --format json",
        "takeover --dry-run",
        "takeover --dry-run --format json",
        "failback --dry-run",
        "failback --dry-run --format json",
        "doctor",
        "doctor --format json",
        "drill --dry-run",
        "drill --dry-run --format json",
        "history",
        "history --format json",
        "pause --for 1h --reason kernel",
        "resume",
        "reset --yes",
        "reset --yes --format json",
        &format!("replay {}", last.display()),
        "init --output -",
        "print iam-policy",
        &format!("print authorized-key {}", key.display()),
        "print completions bash",
        "print man",
        "print man natwatch.toml --format json",
        "--help",
        "run --help",
        "--version",
        "takeover",
        "run --no-such-flag",
        "-c /nonexistent/natwatch.toml run",
    ];
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).into()
}

/// That the list above leaves nothing out.
#[test]
fn every_command_is_looked_at_here() {
    let lab = seasoned();
    let typed: Vec<String> = commands(&lab).into_iter().map(|words| words.join(" ")).collect();
    for one in natwatch::cli::described().iter().filter(|one| !matches!(one.words.as_str(), "" | "watch")) {
        assert!(typed.iter().any(|line| line.starts_with(&one.words)), "natwatch {} is not", one.words);
    }
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

/// A program on the standby as root, in the environment that the lab's natwatch has.
fn beside(lab: &Lab, program: &str, args: &[&str]) -> Invocation {
    let plan = lab.plan();
    lab.program("nat2", program, args)
        .env("NATWATCH_CONFIG", plan.config().to_str().unwrap())
        .env("AWS_ENDPOINT_URL_EC2", &plan.endpoint())
        .env("AWS_CA_BUNDLE", plan.ca().to_str().unwrap())
}

/// All that a run has said.
fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

/// What nobody may read anywhere: the instance's credentials and IMDS's token, by the lab's IMDS; those of the environment; and what the
/// private key consists of.
fn secrets(lab: &Lab) -> Vec<String> {
    let key = fs::read_to_string(lab.plan().identity()).unwrap();
    let body = key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned);
    let mut all: Vec<String> = body.collect();
    assert!(all.len() > 3, "{} lines of a private key", all.len());
    all.extend(["lab-secret", "lab-session-token", "lab-token", "ASIALABLABLABLABLAB0"].map(str::to_owned));
    all.extend(ENVIRONMENT.map(|(_, value)| value.to_owned()));
    all
}

const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENTAL000"),
    ("AWS_SECRET_ACCESS_KEY", "environmental/secret+key"),
    ("AWS_SESSION_TOKEN", "environmental-session-token"),
];

#[track_caller]
fn keeps(secrets: &[String], text: &str, what: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "{what} shows {secret:?}:\n{text}");
    }
    for sign in ["AWS4-HMAC-SHA256", "X-Amz-Security-Token", "x-aws-ec2-metadata-token", "PRIVATE KEY"] {
        assert!(!text.contains(sign), "{what} shows {sign:?}:\n{text}");
    }
}

#[test]
fn f087_no_secret_is_shown_or_kept_at_any_verbosity_whatever_is_asked_and_whatever_fails() {
    let lab = seasoned();
    let secrets = secrets(&lab);
    let look = |lines: &[Vec<String>], environment: &[(&str, &str)], what: &str| {
        for line in lines {
            let args = [words(line).as_slice(), &["-vv"]].concat();
            let command = environment.iter().fold(lab.command(&args), |command, (key, value)| command.env(key, value));
            let run = command.run().unwrap();
            keeps(&secrets, &said(&run), &format!("natwatch {} ({what})", args.join(" ")));
        }
    };
    let mut lines = commands(&lab);
    look(&lines, &[], "all is well");
    lines.retain(|line| {
        ["run", "check", "status", "doctor", "takeover", "failback", "drill", "init"].contains(&line[0].as_str())
    });
    look(&lines, &ENVIRONMENT, "credentials of the environment");
    // What is refused, broken off or not understood is quoted.
    for fault in ["api-deny *", "imds-down"] {
        lab.inject(&fault.parse().unwrap()).unwrap();
        look(&lines, &[], fault);
        lab.heal_all().unwrap();
    }
    for n in 0..6 {
        lab.inject(&Fault::SshdRefusesKey(n)).unwrap();
    }
    let run = lab.natwatch(&["run", "-vv"]).unwrap();
    expect(&run, 3);
    keeps(&secrets, &said(&run), "a run whose key nobody accepts");

    let mut kept = 0;
    for entry in fs::read_dir(lab.plan().state().join("natwatch")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&entry).unwrap()).into_owned();
            keeps(&secrets, &text, &entry.display().to_string());
            kept += 1;
        }
    }
    assert!(kept >= 4, "{kept} files of state were looked at");
}

#[test]
fn f088_a_reader_that_goes_away_changes_no_commands_status() {
    let lab = seasoned();
    let binary = lab.plan().binary();
    for line in commands(&lab) {
        let args = [&[binary.to_str().unwrap()], words(&line).as_slice()].concat();
        let status = beside(&lab, args[0], &args[1..]).run().unwrap().status;
        // Descriptor 4 is a pipe whose reader has gone.
        for redirection in [">&4", ">&4 2>&4"] {
            let script = format!("exec 4> >(exit 0); wait $!; \"$@\" {redirection}; echo status=$?");
            let shell = [&["-c", script.as_str(), "bash"], args.as_slice()].concat();
            let run = beside(&lab, "/bin/bash", &shell).run().unwrap();
            let what = format!("natwatch {} {redirection}", line.join(" "));
            assert_eq!(run.stdout, format!("status={}\n", status.unwrap()), "{what}: {run}");
            assert!(!run.stderr.contains("panicked") && !run.stderr.contains("Broken pipe"), "{what}: {run}");
        }
    }
}

#[test]
fn f095_no_command_escapes_where_nothing_can_be_shown_and_colours_are_there_where_they_can() {
    let lab = seasoned();
    let plain: [&[(&str, &str)]; 2] = [&[("TERM", "dumb")], &[("TERM", "xterm"), ("NO_COLOR", "1")]];
    for line in commands(&lab) {
        let args = words(&line);
        let what = args.join(" ");
        for environment in plain {
            let command =
                environment.iter().fold(lab.command(&args).tty(), |command, (key, value)| command.env(key, value));
            let run = command.env("LC_ALL", "C").run().unwrap();
            assert!(!run.stdout.contains('\u{1b}'), "natwatch {what} with {environment:?}: {run}");
            assert!(run.stdout.is_ascii(), "natwatch {what} with {environment:?}: {run}");
        }
        let piped = lab.command(&args).env("TERM", "xterm").env("LC_ALL", "C.UTF-8").run().unwrap();
        assert!(!said(&piped).contains('\u{1b}'), "natwatch {what} in a pipe: {piped}");
    }
    for args in [&["run"][..], &["status"], &["takeover", "--dry-run"]] {
        let run = lab.command(args).tty().env("TERM", "xterm").env("LC_ALL", "C.UTF-8").run().unwrap();
        assert!(run.stdout.contains("\u{1b}[32m"), "natwatch {args:?} on a terminal: {run}");
    }
}

#[test]
fn f092_no_command_of_roots_runs_a_program_that_path_leads_to() {
    let lab = seasoned();
    let trap = lab.plan().root.join("trap");
    fs::create_dir(&trap).unwrap();
    for name in [
        "ssh",
        "ssh-keygen",
        "nft",
        "iptables",
        "iptables-save",
        "iptables-nft-save",
        "iptables-legacy-save",
        "ping",
        "sh",
        "aws",
        "systemctl",
    ] {
        let script = trap.join(name);
        fs::write(&script, format!("#!/bin/sh\necho \"$0 $*\" >> {}/sprung\nexit 1\n", trap.display())).unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    }
    let plan = lab.plan();
    let environment = [
        format!("PATH={}", trap.display()),
        format!("NATWATCH_CONFIG={}", plan.config().display()),
        format!("AWS_ENDPOINT_URL_EC2={}", plan.endpoint()),
        format!("AWS_CA_BUNDLE={}", plan.ca().display()),
    ];
    let binary = plan.binary();
    let binary = binary.to_str().unwrap();
    for line in commands(&lab) {
        let honest = beside(&lab, binary, &words(&line)).run().unwrap();
        // What starts it in the namespace is found by an honest PATH.
        let mut args = vec!["-i"];
        args.extend(environment.iter().map(String::as_str));
        args.push(binary);
        args.extend(words(&line));
        let run = beside(&lab, "/usr/bin/env", &args).run().unwrap();
        assert_eq!(run.status, honest.status, "natwatch {}: {run}{honest}", line.join(" "));
    }
    let sprung = fs::read_to_string(trap.join("sprung")).unwrap_or_default();
    assert_eq!(sprung, "", "of these, root ran what PATH led to");
}

/// `id (name)`, as the lab has tagged them.
fn named(id: &str, name: &str) -> String {
    format!("{id} ({name})")
}

#[test]
fn ids_are_told_with_their_name_tags_and_machines_read_them_bare() {
    let lab = seasoned();
    lab.configure(&[("decision.run_span", "\"200ms\""), ("backends.panel", "0")]).unwrap();
    let ids = lab.ids();
    let subnets: Vec<String> =
        (0..).zip(&ids.subnets).map(|(n, one)| named(&one.id, &format!("private-{n}"))).collect();
    let (primary, standby) = (named(&ids.primary.table, "primary"), named(&ids.standby.table, "standby"));
    let ways = format!("{primary} -> {standby}");
    let has = |args: &[&str], wanted: &[&str]| {
        let run = lab.natwatch(args).unwrap();
        for word in wanted.iter().copied().chain(subnets.iter().map(String::as_str)) {
            assert!(run.stdout.contains(word), "natwatch {args:?} lacks {word:?}: {run}");
        }
        run
    };
    has(&["status"], &[]);
    has(&["takeover", "--dry-run"], &[&ways]);

    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = has(&["run"], &[&ways]);
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    has(&["status"], &[&ways]);
    has(&["history"], &[&ways]);
    lab.heal_all().unwrap();
    has(&["failback", "--dry-run"], &[&format!("{standby} -> {primary}")]);

    // One subnet on a table of its own: named wherever it is mentioned, the table too.
    lab.associate(0, &ids.public_table).unwrap();
    let listed = format!("[\"{}\", \"{}\"]", ids.subnets[0].id, ids.subnets[1].id);
    lab.configure(&[("takeover.subnets", listed.as_str())]).unwrap();
    let elsewhere = lab.natwatch(&["status"]).unwrap();
    assert!(elsewhere.stdout.contains(&named(&ids.public_table, "public")), "{elsewhere}");

    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    assert_eq!(status["names"][&ids.primary.table], "primary");
    assert_eq!(status["names"][&ids.subnets[1].id], "private-1");
    assert_eq!(status["active"][&ids.subnets[1].id], "standby", "{status}");
    assert_eq!(status["last_takeover"]["moves"][0]["from"], ids.primary.table.as_str(), "{status}");
    let history = json(&lab.natwatch(&["history", "--format", "json"]).unwrap());
    assert_eq!(history["names"][&ids.standby.table], "standby");
}

const ECHO: &str = "\
import socket, threading
server = socket.create_server(('203.0.113.100', 7007))
print('ready', flush=True)
def serve(one):
    while data := one.recv(100):
        one.sendall(data)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

/// Opens a connection, waits for the file that it is given, and tries that connection and another one.
const TALK: &str = "\
import os, socket, sys, time
def talk(one):
    one.settimeout(5)
    one.sendall(b'?')
    return one.recv(1) == b'?'
server = ('203.0.113.100', 7007)
old = socket.create_connection(server, 5)
print('open', talk(old), flush=True)
until = time.monotonic() + 60
while not os.path.exists(sys.argv[1]) and time.monotonic() < until:
    time.sleep(0.02)
try:
    print('old', talk(old))
except OSError:
    print('old broken')
print('new', talk(socket.create_connection(server, 5)))
";

#[test]
fn f086_a_connection_that_is_open_breaks_at_a_move_and_new_ones_are_made() {
    let lab = seasoned();
    let patience = std::time::Duration::from_secs(20);
    let server = lab.program("inet", "/usr/bin/python3", &["-c", ECHO]).spawn().unwrap();
    server.wait_output("ready", patience).unwrap();
    let moved = lab.plan().root.join("moved");
    let client = lab.program("b0", "/usr/bin/python3", &["-c", TALK, moved.to_str().unwrap()]).spawn().unwrap();
    client.wait_output("open True", patience).unwrap();
    expect(&lab.natwatch(&["takeover", "--yes"]).unwrap(), 0);
    carried_by(&lab, Nat::Standby);
    fs::write(&moved, "").unwrap();
    let talk = client.wait(patience).unwrap();
    assert_eq!(talk.stdout, "open True\nold broken\nnew True\n", "{talk}");
    server.kill(natwatch_lab::Signal::KILL).unwrap();
}
