//! The first ten minutes with natwatch, in the lab: what is typed on a fresh standby and what comes back, mistakes included. Needs root;
//! `make test` runs it so.
//!
//! `docs/first-ten-minutes.md` is what this test has seen; `NATWATCH_BLESS=1 cargo test --workspace --test lab_first_minutes` writes it.
//! Whatever is another value each time (ids, times, measured spans, ports, the order of draws) is written the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/installed.rs"]
mod installed;

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use natwatch_lab::{Fault, Invocation, Lab, Nat, Options, Run, UID};

use installed::Installed;

/// A bound for what takes seconds, not a measure.
const SOON: Duration = Duration::from_mins(1);

/// Three backends, all of which are heard in each round: what is printed hangs on no draw.
const THREE: [(&str, &str); 2] = [("backends.match", "\"^b[024]$\""), ("backends.panel", "0")];

/// The backends of the five commands, by the names that README gives them.
const FOUR: [(&str, &str); 4] = [("b0", "web1"), ("b2", "web2"), ("b1", "db1"), ("b3", "db2")];

/// What is typed, and the page that it makes.
struct Session {
    lab: Lab,
    page: String,
    /// What ended with another status than it should.
    wrong: Vec<String>,
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
    fn types_with(&mut self, who: Who, args: &[&str], status: i32, more: impl FnOnce(Invocation) -> Invocation) {
        let command = self.lab.command(args).tty().env("LC_ALL", "C.UTF-8");
        let command = match who {
            Who::Root => command.as_root(),
            Who::Service => command,
        };
        let run = settled(&more(command));
        if run.status != Some(status) {
            self.wrong.push(format!("natwatch {args:?} should end with {status}: {run}"));
        }
        let prompt = match who {
            Who::Root => "# natwatch",
            Who::Service => "$ natwatch",
        };
        let words = args.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() });
        let line = words.collect::<Vec<_>>().join(" ");
        self.shows(&format!("{prompt} {line}"), &run.stdout, status);
    }

    /// Types a line of shell as root where natwatch was installed, and what it asks for; gives what came back.
    #[track_caller]
    fn shell(&mut self, standby: &Installed, line: &str, dialogue: &[(&str, &str)], status: i32) -> String {
        let command = standby.types(&self.lab, line);
        let run = if dialogue.is_empty() {
            settled(&command)
        } else {
            let running = command.typing().spawn().unwrap();
            running.types(dialogue, SOON).unwrap();
            running.wait(SOON).unwrap()
        };
        if run.status != Some(status) {
            self.wrong.push(format!("`{line}` should end with {status}: {run}"));
        }
        self.shows(&format!("# {line}"), &run.stdout, status);
        run.stdout
    }

    /// What was typed, and what came back.
    fn shows(&mut self, typed: &str, said: &str, status: i32) {
        let said = self.steady(&said.replace('\r', ""));
        let said = said.trim_end();
        let apart = if said.is_empty() { "" } else { "\n" };
        let _ = write!(self.page, "\n```console\n{}{apart}{said}\n```\n\n{}\n", self.steady(typed), ended(status));
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
            (shown(plan.root.join("etc/fresh.toml")), "/etc/natwatch/natwatch.toml"),
            (shown(plan.root.join("etc/another.toml")), "/etc/natwatch/natwatch.toml"),
            (shown(plan.root.join("etc")), "/etc/natwatch"),
            // Cut off where the path of a lab is longer than that of an installation.
            (shown(plan.root.join("keys/known_…")), "/var/lib/natwatch/known_hosts"),
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
        // By their ids, which are others each time.
        let (web, app) = ("subnet-0web (private-0)", "subnet-0app (private-1)");
        text = text.replace(&format!("{web}, {app}"), &format!("{app}, {web}"));
        let typed = |line: &str| line.starts_with("Targets on the internet");
        let steady = |line: &str| if typed(line) { line.to_owned() } else { steady_line(&figures(line)) };
        let mut lines: Vec<String> = aligned(text.lines().map(steady).collect());
        lines.dedup_by(|one, other| one == other && one.contains(": answers in "));
        sorted_rows(lines).join("\n")
    }
}

/// What came back; of a `doctor` that met slow logins, which is this machine's doing since no account here is slow, what came back the next time.
fn settled(command: &Invocation) -> Run {
    let slow = |run: &Run| run.stdout.contains("the login takes longer than a second");
    let mut run = command.run().unwrap();
    for _ in 0..4 {
        if !slow(&run) {
            break;
        }
        run = command.run().unwrap();
    }
    run
}

fn ended(status: i32) -> String {
    format!("Exit status {status}.")
}

/// Figures of the machine under the lab: how long it is up, what it has open, what is free.
fn figures(line: &str) -> String {
    const OF: [&str; 8] = [
        "as root saw ",
        "drill: drilled",
        "up for ",
        " connections are tracked",
        " MiB are free",
        "translated connections",
        " files may be open",
        " without an answer",
    ];
    // What ssh-keyscan(1) says of each host, in the order of their answers.
    if let Some((host, _)) = line.split_once(" SSH-2.0-OpenSSH_").filter(|_| line.starts_with("# ")) {
        return format!("{host} SSH-2.0-OpenSSH_9.2");
    }
    if let Some((head, _)) = line.split_once("Created symlink ").filter(|(head, _)| head.is_empty()) {
        // With quotes in some versions, and without in others.
        return format!("{head}{}", line.replace(['\'', '‘', '’'], ""));
    }
    // Asked once only, and of no consequence.
    if line.contains("the primary answers no pings") {
        return line.replace("answers no pings", "answers pings");
    }
    if line.starts_with("Removed ") {
        return line.replace(['\'', '‘', '’', '"'], "").trim_end_matches('.').to_owned();
    }
    // How many of them the watch has asked in its first round.
    if let Some((head, _)) = line.split_once("; ").filter(|_| line.contains("4 of 4 backends could witness")) {
        return head.to_owned();
    }
    if let Some((head, _)) = line.split_once("; took ") {
        return format!("{head}; took 1.2 s");
    }
    // Findings that read alike are one, and how long each answer took decides that.
    if line.contains(": answers in ") {
        return "  ✓ 203.0.113.1, 203.0.113.2, 203.0.113.3: answers in 0.1 ms".to_owned();
    }
    if let Some((head, tail)) = line.rsplit_once(" fit; in ") {
        let head = head.trim_end_matches(|c: char| c.is_ascii_digit());
        return format!("{head}50 fit; in {tail}");
    }
    if !OF.iter().any(|words| line.contains(words)) {
        return line.to_owned();
    }
    let word = |word: &str| if word.parse::<f64>().is_ok() { "7".to_owned() } else { word.to_owned() };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
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
        let mut steady = if word.starts_with("AAAAC3") {
            "AAAA…".to_owned()
        } else if core.parse::<jiff::Timestamp>().is_ok() {
            word.replace(core, "2026-03-01T12:00:00Z")
        } else if before == "process" && core.parse::<u32>().is_ok() {
            word.replace(core, "4711")
        } else if ["203.0.113.1", "203.0.113.2", "203.0.113.3"].contains(&core) && word.len() == core.len() {
            "203.0.113.1".to_owned()
        } else if let Some((at, kind)) = ["rtbassoc-", "acl-"].iter().find_map(|kind| word.match_indices(kind).next()) {
            let from = at + kind.len();
            let digits = word[from..].bytes().take_while(u8::is_ascii_hexdigit).count();
            format!("{}{kind}0123{}", &word[..at], &word[from + digits..])
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
        core.clone_into(&mut before);
        words.push(steady);
    }
    words.join(" ")
}

/// Keys with their values, in columns again after names have taken the place of ids.
fn aligned(lines: Vec<String>) -> Vec<String> {
    let cells = |line: &str| -> Option<[String; 3]> {
        let mut cells = line.strip_prefix("  ")?.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let row = [cells.next()?, cells.next()?, cells.next()?].map(str::to_owned);
        let key =
            row[0].split_once('.').is_some() && row[0].chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
        (key && cells.next().is_none()).then_some(row)
    };
    let rows: Vec<_> = lines.iter().filter_map(|line| cells(line)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (keys, values) = (width(0), width(1));
    let aligned = |line: String| match cells(&line) {
        Some([key, value, why]) => format!("  {key:keys$}  {value:values$}  {why}"),
        None => line,
    };
    lines.into_iter().map(aligned).collect()
}

/// Rows about backends come as these were drawn, those about subnets by their ids: a row, and what is indented below it.
fn sorted_rows(lines: Vec<String>) -> Vec<String> {
    const ROWS: [&str; 7] = ["# 10.0.1", "  b", "  subnet-", "    subnet-", "subnet-", "  ✓ subnet-", "  ! subnet-"];
    let about = |line: &str| ROWS.iter().any(|start| line.starts_with(start));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut out: Vec<String> = Vec::new();
    // Rows that follow each other, each with what is below it and where its text begins.
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        let below = rows.last().is_some_and(|(_, row)| indent(&line) > indent(&row[0]));
        if about(&line) && !below {
            rows.push((line.trim_start_matches([' ', '✓', '!']).to_owned(), vec![line]));
        } else if let Some((_, row)) = rows.last_mut().filter(|_| below) {
            row.push(line);
        } else {
            rows.sort();
            out.extend(rows.drain(..).flat_map(|(_, row)| row));
            out.push(line);
        }
    }
    rows.sort();
    out.extend(rows.into_iter().flat_map(|(_, row)| row));
    out
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
    let mut session = Session { lab, page: HEAD.to_owned(), wrong: Vec::new() };
    begin(&mut session);
    five(&mut session);
    configuration(&mut session);
    ec2(&mut session);
    backends(&mut session);
    standby(&mut session);
    well(&mut session);
    service(&mut session);

    assert!(session.wrong.is_empty(), "{}", session.wrong.join("\n"));
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

/// From nothing to a configuration.
fn begin(session: &mut Session) {
    session.chapter("A fresh standby", "There is no configuration yet:");
    let fresh = session.lab.plan().root.join("etc/fresh.toml");
    session.types_with(Who::Service, &["run"], 78, |command| command.config(&fresh));
    session.step(
        "`init` looks at this instance, its VPC and the hosts file, writes what it has found, and says what is left:",
    );
    let hosts = session.lab.plan().hosts_file();
    let mut asked = |args: &[&str], status: i32| {
        let run = session.lab.command(args).as_root().config(&fresh).run().unwrap();
        assert_eq!(run.status, Some(status), "{run}");
        let said = session.steady(&format!("{}{}", run.stdout, run.stderr));
        let typed = session.steady(&args.join(" "));
        let _ =
            write!(session.page, "\n```console\n# natwatch {typed}\n{}\n```\n\n{}\n", said.trim_end(), ended(status));
    };
    asked(&["init", "--hosts-file", hosts.to_str().unwrap()], 0);
    asked(&["init"], 2);
    session.step("Only root may write there, and who is not root hears so before any question:");
    let elsewhere = session.lab.plan().root.join("etc/another.toml");
    session.types_with(Who::Service, &["init"], 2, |command| command.config(&elsewhere));
}

/// The five commands, as README has them.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = text.split_once("\n### Five commands\n").unwrap();
    let block = rest.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    block.lines().map(str::to_owned).collect()
}

/// From the package to a `doctor` that finds nothing, by what README says and nothing else.
fn five(session: &mut Session) {
    session.chapter(
        "Five commands",
        "The package is installed, the backends stand in `/etc/natwatch/hosts`, and now root types the five commands of [README](../README.md#five-commands). The first one makes the key and prints the line for the backends:",
    );
    let address = |name: &str| session.lab.plan().host(name).unwrap().address;
    let hosts = FOUR.map(|(host, name)| format!("{}  {name}\n", address(host)));
    let standby = Installed::on(&session.lab, &hosts.concat());
    let [keygen, keyscan, init, enable, doctor] = <[String; 5]>::try_from(commands()).unwrap();
    let said = session.shell(&standby, &keygen, &[], 0);
    session.step("That line goes, behind a `from=\"10.0.0.20\",`, into `~natwatch/.ssh/authorized_keys` on each backend. The second one learns the backends' host keys:");
    let line = said
        .lines()
        .find(|line| line.starts_with("restrict,command="))
        .unwrap_or_else(|| panic!("no line for the backends: {said}"));
    let lab_key = fs::read_to_string(session.lab.authorized_keys(0).unwrap()).unwrap();
    for n in 0..FOUR.len() {
        fs::write(session.lab.authorized_keys(n).unwrap(), format!("from=\"{}\",{line}\n", Nat::Standby.address()))
            .unwrap();
    }
    session.shell(&standby, &keyscan, &[], 0);
    session.step("The third one finds out what it can, asks for the rest, and writes the configuration. Enter takes what is in brackets; the lab has an internet of its own, so its targets are typed:");
    let targets = "203.0.113.1 203.0.113.2 203.0.113.3";
    let answers = [("hosts]: ", ""), ("[natwatch]: ", ""), ("9.9.9.9]: ", targets)];
    session.shell(&standby, &init, &answers, 0);
    // All hosts of a lab share the machine's cores with the tests beside it, so a reply may be late for want of a core only.
    let path = standby.path("/etc/natwatch/natwatch.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\n#timeout = \"200ms\"\n").count(), 1, "{text}");
    fs::write(&path, text.replace("\n#timeout = \"200ms\"\n", "\ntimeout = \"600ms\"\n")).unwrap();
    session.step("The fourth one starts it, and has it started at each boot:");
    session.shell(&standby, &enable, &[], 0);
    session.step("And the fifth one says whether it would work tonight:");
    session.shell(&standby, &doctor, &[], 0);

    session.step(
        "Answers that can't be used are explained, and asked for again; three times, then the question is left open:",
    );
    let answers = [
        ("hosts]: ", "/etc/natwatch/host"),
        ("hosts]: ", "web1.example:22"),
        ("hosts]: ", ""),
        ("[natwatch]: ", "root@web1"),
        ("[natwatch]: ", "-l root"),
        ("[natwatch]: ", "!"),
        ("9.9.9.9]: ", "1.1.1.1"),
        ("9.9.9.9]: ", targets),
    ];
    session.shell(&standby, "natwatch init -o /etc/natwatch/second.toml", &answers, 0);
    running(session, &standby);
    for n in 0..FOUR.len() {
        fs::write(session.lab.authorized_keys(n).unwrap(), &lab_key).unwrap();
    }
}

/// What runs natwatch, or does not.
fn running(session: &mut Session, standby: &Installed) {
    session.chapter("What runs it", "The service was started, and not enabled:");
    session.shell(standby, "systemctl disable natwatch-watch", &[], 0);
    session.shell(standby, "natwatch doctor -q", &[], 1);
    session.step("Enabled, and not started:");
    session.shell(standby, "systemctl disable --now natwatch-watch && systemctl enable natwatch-watch", &[], 0);
    session.shell(standby, "natwatch doctor -q", &[], 2);
    session.step("Cron's entry was installed beside the service:");
    session.shell(standby, "systemctl start natwatch-watch", &[], 0);
    let entry = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("cron/natwatch")).unwrap();
    let path = standby.path("/etc/cron.d/natwatch");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, entry).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    standby.with_cron();
    session.shell(standby, "natwatch doctor -q", &[], 1);
    let stopped = standby.types(&session.lab, "systemctl disable --now natwatch-watch").run().unwrap();
    assert_eq!(stopped.status, Some(0), "{stopped}");
}

fn configuration(session: &mut Session) {
    session.chapter("The configuration", "And now with mistakes. A key with a letter too few, a duration without a unit, a table id that is none: all are told at once.");
    let text = session.lab.config().replace("min_uptime = \"0s\"", "min_uptme = \"0s\"\nrun_span = 3");
    let text = text.replace(&format!("\"{}\"", session.lab.ids().primary.table), "\"nat1\"");
    session.lab.write_config(&text).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.types(Who::Service, &["doctor"], 78);
    session.step("Others could write it, and with it natwatch's commands:");
    session.configure(&[]);
    let config = session.lab.plan().config();
    fs::set_permissions(&config, Permissions::from_mode(0o666)).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.configure(&[]);
    session.step("Only root can read it, or somebody else asks than natwatch's user:");
    fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.configure(&[]);
    session.step("Root made the key, and it was not given to natwatch's user:");
    let identity = session.lab.plan().identity();
    chown(&identity, Some(0), Some(0)).unwrap();
    session.types(Who::Service, &["run"], 78);
    session.types(Who::Root, &["doctor", "-q"], 2);
    chown(&identity, Some(UID), Some(UID)).unwrap();
    session.step("A hook that is no list, and metrics that no node_exporter would read:");
    session.configure(&[
        ("notify.command", "\"/etc/natwatch/notify\""),
        ("metrics.textfile", "\"/var/lib/natwatch/natwatch.txt\""),
    ]);
    session.types(Who::Service, &["run"], 78);
    session.step("A hook that others can write, and with it natwatch's rights in AWS:");
    let hook = session.lab.plan().root.join("etc/notify");
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o777)).unwrap();
    let command = format!("[\"{}\"]", hook.display());
    session.configure(&[("notify.command", &command)]);
    session.types(Who::Service, &["run"], 78);
    session.step("A hook that nobody made executable, and a folder for metrics that is not there; the rest would work, and nobody would be told:");
    fs::set_permissions(&hook, Permissions::from_mode(0o644)).unwrap();
    let textfile = format!("\"{}\"", session.lab.plan().state().join("node-exporter/natwatch.prom").display());
    session.configure(&[("notify.command", &command), ("metrics.textfile", &textfile)]);
    session.types(Who::Service, &["doctor", "-q"], 2);
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
    session.types(Who::Service, &["doctor", "-q"], 2);
    session.configure(&[]);
    session.step("The role lacks the right to change associations. A dry run asks EC2 whether it would be allowed:");
    session.lab.reset_state().unwrap();
    session.lab.inject(&"api-deny ReplaceRouteTableAssociation".parse().unwrap()).unwrap();
    session.types(Who::Service, &["takeover", "--dry-run"], 2);
    session.types(Who::Service, &["doctor", "-q"], 2);
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
    session.step("One was installed anew, and has another host key:");
    session.lab.inject(&Fault::SshdNewHostKey(0)).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
    session.step("The user is not the one that has the key:");
    session.configure(&[("backends.user", "\"admin\"")]);
    session.types(Who::Service, &["run"], 3);
    session.configure(&[]);
    session.step("One has no `ping`:");
    session.lab.inject(&Fault::NoPing(0)).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.types(Who::Service, &["doctor", "-q"], 2);
    session.lab.heal_all().unwrap();
    session.step("ICMP is not let out of the private subnets. Nobody was ever seen reaching a target, so nobody counts as cut off:");
    session.lab.inject(&Fault::IcmpBlocked).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
}

fn standby(session: &mut Session) {
    session.chapter("The standby itself", "No target answers it, so it accuses nobody:");
    session.lab.inject(&Fault::AllTargetsDead).unwrap();
    session.types(Who::Service, &["run"], 3);
    session.lab.heal_all().unwrap();
    session.step("It does not forward:");
    session.lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    session.types(Who::Service, &["status"], 0);
    session.lab.heal_all().unwrap();
    session.step("It does not masquerade, which only root can see:");
    session.lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    session.types(Who::Service, &["doctor", "-q"], 3);
    session.types(Who::Root, &["doctor", "-q"], 2);
    session.lab.heal_all().unwrap();
    session.step("Mended, and seen by root:");
    session.types(Who::Root, &["doctor", "-q"], 1);
    session.step("Its source/destination check is on, and natwatch may not switch it off:");
    session.configure(&[("takeover.disable_source_dest_check", "false")]);
    session.lab.inject(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    session.types(Who::Service, &["takeover", "--dry-run"], 2);
    session.lab.heal_all().unwrap();
    session.configure(&[]);
}

/// What runs it, and whether it would work.
fn service(session: &mut Session) {
    session.chapter("All the time", "Nobody runs it yet, which is what `doctor` has left to say:");
    session.types(Who::Service, &["doctor"], 1);
    session.step("Practice: one subnet goes to the standby and comes back.");
    session.types(Who::Service, &["drill", "--dry-run"], 0);
    session.types(Who::Service, &["drill", "--yes"], 0);
    session.types(Who::Service, &["history"], 0);
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
