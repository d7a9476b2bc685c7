//! The first ten minutes with natwatch, in the lab: what is typed on a fresh standby and what comes back, mistakes included. Needs root;
//! `make test` runs it so.
//!
//! `docs/first-ten-minutes.md` is what this test has seen; `NATWATCH_BLESS=1 cargo test --workspace --test lab_first_minutes` writes it.
//! Whatever is another value each time (ids, times, measured spans, ports, the order of draws) is written the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use natwatch_lab::{Fault, Lab, Nat, Options};

/// Three backends, all of which are heard in each round: what is printed hangs on no draw.
const THREE: [(&str, &str); 3] =
    [("backends.match", "\"^b[024]$\""), ("backends.panel", "0"), ("decision.run_span", "\"200ms\"")];

/// What is typed, and the page that it makes.
struct Session {
    lab: Lab,
    page: String,
}

/// Who types.
#[derive(Clone, Copy)]
enum Who {
    Root,
    Service,
}

impl Session {
    fn chapter(&mut self, title: &str, text: &str) {
        let _ = write!(self.page, "\n## {title}\n\n{text}\n");
    }

    fn step(&mut self, text: &str) {
        let _ = write!(self.page, "\n{text}\n");
    }

    fn configure(&self, more: &[(&str, &str)]) {
        self.lab.configure(&[THREE.as_slice(), more].concat()).unwrap();
    }

    /// Types it on a terminal, and writes down what came back; fails where it ends with another status.
    #[track_caller]
    fn types(&mut self, who: Who, args: &[&str], status: i32) {
        self.types_with(who, args, status, |command| command);
    }

    #[track_caller]
    fn types_with(
        &mut self,
        who: Who,
        args: &[&str],
        status: i32,
        more: impl FnOnce(natwatch_lab::Invocation) -> natwatch_lab::Invocation,
    ) {
        let command = self.lab.command(args).tty().env("LC_ALL", "C.UTF-8");
        let command = match who {
            Who::Root => command.as_root(),
            Who::Service => command,
        };
        let run = more(command).run().unwrap();
        assert_eq!(run.status, Some(status), "natwatch {args:?}: {run}");
        let prompt = match who {
            Who::Root => "# natwatch",
            Who::Service => "$ natwatch",
        };
        let words = args.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() });
        let line = words.collect::<Vec<_>>().join(" ");
        let said = self.steady(&run.stdout.replace('\r', ""));
        let _ = write!(self.page, "\n```console\n{prompt} {}\n{}", self.steady(&line), said.trim_end());
        let _ = write!(self.page, "\n```\n\n{}\n", ended(status));
    }

    /// The text with the same in place of what is another each time.
    fn steady(&self, text: &str) -> String {
        let (plan, ids) = (self.lab.plan(), self.lab.ids());
        let shown = |path: PathBuf| path.display().to_string();
        let mut same: Vec<(String, &str)> = vec![
            (shown(plan.config()), "/etc/natwatch/natwatch.toml"),
            (shown(plan.identity()), "/etc/natwatch/id_ed25519"),
            (shown(plan.known_hosts()), "/var/lib/natwatch/known_hosts"),
            (shown(plan.hosts_file()), "/etc/natwatch/hosts"),
            (shown(plan.state()), "/var/lib/natwatch"),
            (shown(plan.root.join("etc")), "/etc/natwatch"),
            (shown(plan.binary()), "/usr/bin/natwatch"),
            (shown(plan.ca()), "/etc/natwatch/ca.pem"),
            (ids.vpc.clone(), "vpc-0ccc"),
            (ids.primary.table.clone(), "rtb-0aaa"),
            (ids.standby.table.clone(), "rtb-0bbb"),
            (ids.public_table.clone(), "rtb-0ccc"),
            (ids.primary.instance.clone(), "i-0aaa"),
            (ids.standby.instance.clone(), "i-0bbb"),
            (ids.primary.eni.clone(), "eni-0aaa"),
            (ids.standby.eni.clone(), "eni-0bbb"),
            (ids.public_subnet.clone(), "subnet-0ccc"),
            (ids.security_group.clone(), "sg-0ccc"),
            (ids.internet_gateway.clone(), "igw-0ccc"),
        ];
        for (subnet, name) in ids.subnets.iter().zip(["subnet-0web", "subnet-0app"]) {
            same.push((subnet.id.clone(), name));
        }
        let mut text = text.to_owned();
        for (actual, name) in same {
            text = text.replace(&actual, name);
        }
        let lines: Vec<String> = text.lines().map(steady_line).collect();
        sorted_rows(lines).join("\n")
    }
}

fn ended(status: i32) -> String {
    format!("Exit status {status}.")
}

/// Words that are measured, drawn or of a moment.
fn steady_line(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    // What is behind a span is padded by how long that was.
    let mut padded = false;
    let mut before = String::new();
    for word in line.split(' ') {
        if padded && word.is_empty() && words.last().is_some_and(String::is_empty) {
            continue;
        }
        padded &= word.is_empty();
        let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '.').trim_end_matches('.');
        let mut steady = if core.parse::<jiff::Timestamp>().is_ok() {
            word.replace(core, "2026-03-01T12:00:00Z")
        } else if before == "process" && core.parse::<u32>().is_ok() {
            word.replace(core, "4711")
        } else if ["203.0.113.1", "203.0.113.2", "203.0.113.3"].contains(&core) && word.len() == core.len() {
            "203.0.113.1".to_owned()
        } else if let Some((at, _)) = word.match_indices("rtbassoc-").next() {
            let digits = word[at + 9..].bytes().take_while(u8::is_ascii_hexdigit).count();
            format!("{}rtbassoc-0123{}", &word[..at], &word[at + 9 + digits..])
        } else if ["rtt=", "time=", "age="].iter().any(|label| word.starts_with(label)) {
            let (label, rest) = word.split_once('=').unwrap();
            format!("{label}=0.001s;{}", rest.split_once(';').unwrap().1)
        } else {
            word.to_owned()
        };
        // What is measured has decimals, or is in milliseconds; what was configured is neither.
        let number = before.parse::<f64>().is_ok() && (before.contains('.') || core == "ms");
        if let Some(last) = words.last_mut().filter(|_| number && matches!(core, "ms" | "s")) {
            *last = last.replace(&before, "12");
            steady = word.replace(core, "ms");
            padded = true;
        }
        before = core.to_owned();
        words.push(steady);
    }
    words.join(" ")
}

/// Rows about backends come as these were drawn, those about subnets by their ids.
fn sorted_rows(mut lines: Vec<String>) -> Vec<String> {
    let about = |line: &&String| ["  b", "  subnet-", "subnet-"].iter().any(|start| line.starts_with(start));
    let mut from = 0;
    while from < lines.len() {
        let length = lines[from..].iter().take_while(about).count();
        lines[from..from + length].sort();
        from += length.max(1);
    }
    lines
}

const HEAD: &str = "\
# The first ten minutes

What is typed on a fresh standby, and what comes back, with every mistake that we could think of. Nothing here is written by hand: a test
(`tests/lab_first_minutes.rs`) types it in [the lab](../lab/README.md) and compares. `$` is the service's user (`sudo -u natwatch`), `#` is root. Ids, times and
measured spans are written the same each time.
";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-ten-minutes.md")
}

#[test]
fn the_first_ten_minutes_are_as_they_are_written_down() {
    let lab =
        Lab::up(&Options { natwatch: PathBuf::from(env!("CARGO_BIN_EXE_natwatch")), ..Options::default() }).unwrap();
    let mut session = Session { lab, page: HEAD.to_owned() };
    configuration(&mut session);
    ec2(&mut session);
    backends(&mut session);
    standby(&mut session);
    well(&mut session);

    if std::env::var_os("NATWATCH_BLESS").is_some() {
        fs::write(kept(), &session.page).unwrap();
    }
    let written = fs::read_to_string(kept()).unwrap_or_default();
    let differing: Vec<String> = (1..)
        .zip(written.lines().map(Some).chain(std::iter::repeat(None)).zip(session.page.lines()))
        .filter(|(_, (written, seen))| *written != Some(seen))
        .map(|(n, (written, seen))| format!("{n}: written: {}\n{n}: seen:    {seen}", written.unwrap_or_default()))
        .collect();
    assert!(
        written == session.page,
        "docs/first-ten-minutes.md is behind the program (NATWATCH_BLESS=1 cargo test --workspace --test lab_first_minutes writes it):\n{}",
        differing.join("\n")
    );
}

fn configuration(session: &mut Session) {
    session.chapter("The configuration", "There is none yet:");
    let nowhere = session.lab.plan().root.join("etc/nothing.toml");
    session.types_with(Who::Service, &["run"], 78, |command| command.config(&nowhere));
    session
        .step("A key with a letter too few, a duration without a unit, a table id that is none: all are told at once.");
    let text = session.lab.config().replace("min_uptime = \"0s\"", "min_uptme = \"0s\"\nrun_span = 3");
    let text = text.replace(&format!("\"{}\"", session.lab.ids().primary.table), "\"nat1\"");
    session.lab.write_config(&text).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.step("Others could write it, and with it natwatch's commands:");
    session.configure(&[]);
    let config = session.lab.plan().config();
    fs::set_permissions(&config, Permissions::from_mode(0o666)).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.configure(&[]);
    session.step("A command that is misspelt, and an argument that is missing:");
    session.types(Who::Service, &["stauts"], 64);
    session.types(Who::Service, &["pause", "--for", "30m"], 64);
    session.types(Who::Service, &["pause", "--for", "30", "--reason", "new kernel"], 64);
    session.step("The configuration was copied from another standby:");
    session.configure(&[("standby.instance", "\"i-0123456789abcdef0\"")]);
    session.types(Who::Service, &["run"], 78);
    session.configure(&[]);
}

fn ec2(session: &mut Session) {
    session.chapter("EC2", "A table that does not exist:");
    session.configure(&[("primary.route_table", "\"rtb-0123456789abcdef0\"")]);
    session.types(Who::Service, &["run"], 2);
    session.configure(&[]);
    session.step("The role lacks the right to change associations. A dry run asks EC2 whether it would be allowed:");
    session.lab.reset_state().unwrap();
    session.lab.inject(&"api-deny ReplaceRouteTableAssociation".parse().unwrap()).unwrap();
    session.types(Who::Service, &["takeover", "--dry-run"], 2);
    session.lab.heal_all().unwrap();
    session.step("There is no role at all:");
    session.types_with(Who::Service, &["status"], 0, |command| command.env("AWS_EC2_METADATA_DISABLED", "true"));
}

fn backends(session: &mut Session) {
    session.chapter("The backends", "Their `authorized_keys` lacks the key:");
    for n in [0, 2, 4] {
        session.lab.inject(&Fault::SshdRefusesKey(n)).unwrap();
    }
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
    session.step("Their host keys were not learned:");
    let known = fs::read_to_string(session.lab.plan().known_hosts()).unwrap();
    fs::write(session.lab.plan().known_hosts(), "").unwrap();
    session.types(Who::Service, &["run"], 3);
    fs::write(session.lab.plan().known_hosts(), known).unwrap();
    session.step("One has no `ping`:");
    session.lab.inject(&Fault::NoPing(0)).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
    session.step("ICMP is not let out of the private subnets. Nobody was ever seen reaching a target, so nobody counts as cut off:");
    session.lab.inject(&Fault::IcmpBlocked).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
}

fn standby(session: &mut Session) {
    session.chapter("The standby itself", "It does not forward:");
    session.lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    session.types(Who::Service, &["status"], 0);
    session.lab.heal_all().unwrap();
    session.step("It does not masquerade, which only root can see:");
    session.lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    session.types(Who::Root, &["takeover", "--dry-run"], 2);
    session.lab.heal_all().unwrap();
    session.step("Its source/destination check is on, and natwatch may not switch it off:");
    session.configure(&[("takeover.disable_source_dest_check", "false")]);
    session.lab.inject(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    session.types(Who::Service, &["takeover", "--dry-run"], 2);
    session.lab.heal_all().unwrap();
    session.configure(&[]);
}

fn well(session: &mut Session) {
    session.chapter("When all is well", "The first run learns who reaches the internet through the primary:");
    session.types(Who::Service, &["run", "--dry-run"], 0);
    session.types(Who::Service, &["run"], 0);
    session.types(Who::Service, &["status"], 0);
    session.types(Who::Service, &["check"], 0);
    session.step("Would a takeover be allowed, and what would it move?");
    session.types(Who::Service, &["takeover", "--dry-run"], 0);
    session.step("Without a terminal, nothing is moved that was not confirmed:");
    let run = session.lab.natwatch(&["takeover"]).unwrap();
    assert_eq!(run.status, Some(64), "{run}");
    let _ = write!(
        session.page,
        "\n```console\n$ natwatch takeover < /dev/null\n{}\n```\n\n{}\n",
        run.stderr.trim_end(),
        ended(64)
    );
}
