//! The packages, made of the development build: what is in them, and what happens on a standby where one is installed, upgraded and removed,
//! with systemd as process 1 and the installed units as they are. Needs root; `make test` runs it so.
//!
//! Nothing of this is installed on this machine: the system is one of the lab's (`natwatch_lab::Os`), and goes with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json};
use natwatch_lab::{Fault, Lab, Nat, Options, Os, Run};
use serde_json::Value;

/// A bound for what takes seconds, not a measure.
const SOON: Duration = Duration::from_secs(40);

const UNITS: [&str; 4] = ["natwatch.service", "natwatch.timer", "natwatch-watch.service", "natwatch-watch@web.service"];

/// The oldest libc that the packages are for: Amazon Linux 2023's.
const GLIBC: [u32; 2] = [2, 34];

/// Both packages, made once for all tests.
fn packages() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build"))
            .args([Path::new(env!("CARGO_BIN_EXE_natwatch")), folder.path(), Path::new("fast")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "packaging/build {}: {said}", output.status);
        folder
    });
    folder.path()
}

/// The one with this extension.
fn package(extension: &str) -> PathBuf {
    let files = fs::read_dir(packages()).unwrap().map(|file| file.unwrap().path());
    let found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|one| one == extension)).collect();
    let [one] = found.as_slice() else { panic!("one .{extension}: {found:?}") };
    one.clone()
}

/// What a tool of the machine's says of a package.
#[track_caller]
fn said(program: &str, args: &[&str], package: &Path) -> String {
    let output = Command::new(program).args(args).arg(package).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run `lab setup`"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Its files with their modes and owners: `/usr/bin/natwatch` to `-rwxr-xr-x root/root`.
fn files_of_deb() -> BTreeMap<String, String> {
    let list = said("dpkg-deb", &["--contents"], &package("deb"));
    let words = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let files = words.filter(|words| !words[0].starts_with('d'));
    // By number where the package has no names.
    let owned = |words: &[&str]| format!("{} {}", words[0], words[1].replace("0/0", "root/root"));
    files.map(|words| (words[5].trim_start_matches('.').to_owned(), owned(&words))).collect()
}

fn files_of_rpm() -> BTreeMap<String, String> {
    let list = said(
        "rpm",
        &["-qp", "--nosignature", "--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME}\n]"],
        &package("rpm"),
    );
    list.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(file, rest)| (file.to_owned(), rest.to_owned()))
        .collect()
}

#[test]
fn both_packages_have_the_same_files_which_nobody_but_root_can_write() {
    let (deb, rpm) = (files_of_deb(), files_of_rpm());
    for (file, mode) in deb.iter().chain(&rpm) {
        let program =
            file == "/usr/bin/natwatch" || file.contains("/examples/hooks/") || file.ends_with("/deploy/backend-setup");
        let expected = if program { "-rwxr-xr-x root/root" } else { "-rw-r--r-- root/root" };
        assert_eq!(mode, expected, "{file}");
    }
    // What each distribution has in another place, or in another form.
    let names = |files: BTreeMap<String, String>| -> BTreeSet<String> {
        let plain = files.into_keys().filter(|file| !file.contains("/licenses/") && !file.ends_with("/copyright"));
        plain
            .map(|file| file.replace("/vendor-completions/", "/site-functions/").trim_end_matches(".gz").to_owned())
            .collect()
    };
    for (file, there) in [
        ("/usr/share/doc/natwatch/copyright", deb.contains_key("/usr/share/doc/natwatch/copyright")),
        ("/usr/share/man/man1/natwatch.1.gz", deb.contains_key("/usr/share/man/man1/natwatch.1.gz")),
        ("/usr/share/licenses/natwatch/LICENSE-MIT", rpm.contains_key("/usr/share/licenses/natwatch/LICENSE-MIT")),
        (
            "/usr/share/licenses/natwatch/LICENSE-APACHE",
            rpm.contains_key("/usr/share/licenses/natwatch/LICENSE-APACHE"),
        ),
    ] {
        assert!(there, "{file} is missing");
    }
    let (deb, rpm) = (names(deb), names(rpm));
    assert_eq!(deb, rpm);
    // Whatever is made to be installed is.
    for (folder, to) in [
        ("packaging/man", "/usr/share/man/"),
        ("packaging/completions", "completion"),
        ("docs/hooks", "/usr/share/doc/natwatch/examples/hooks/"),
    ] {
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let stem = name.trim_end_matches(".bash");
            let there = |path: &String| (path.contains(to) || path.contains("site-functions")) && path.ends_with(stem);
            assert!(deb.iter().any(there), "{folder}/{name} is in no package: {deb:?}");
        }
    }
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let place = match name.rsplit_once('.').unwrap() {
            (_, "service" | "timer") => format!("system/{name}"),
            (stem, "conf") => format!("sysctl.d/{stem}.conf"),
            (stem, kind) => format!("{kind}.d/{stem}.conf"),
        };
        let place = if place.starts_with("system/") {
            format!("/usr/lib/systemd/{place}")
        } else {
            format!("/usr/lib/{place}")
        };
        assert!(deb.contains(&place), "{place} is not in {deb:?}");
    }
    // Nothing runs before somebody has said so.
    assert!(deb.iter().all(|file| !file.starts_with("/etc/cron") && !file.contains(".wants/")), "{deb:?}");
}

#[test]
fn what_the_packages_need_and_keep_is_declared() {
    let deb = package("deb");
    let fields = said("dpkg-deb", &["--field"], &deb);
    let field =
        |name: &str| fields.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default();
    assert_eq!(field("Package"), "natwatch");
    assert!(field("Version").starts_with(env!("CARGO_PKG_VERSION")), "{fields}");
    let needed: Vec<&str> = field("Depends").split(", ").map(|one| one.split_whitespace().next().unwrap()).collect();
    for package in ["libc6", "openssh-client", "ca-certificates", "passwd"] {
        assert!(needed.contains(&package), "{package} is not in {needed:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("control");
    assert!(Command::new("dpkg-deb").arg("--control").arg(&deb).arg(&to).status().unwrap().success());
    assert_eq!(fs::read_to_string(to.join("conffiles")).unwrap(), "/etc/natwatch/natwatch.toml.sample\n");
    for script in ["postinst", "prerm", "postrm"] {
        let mode = fs::metadata(to.join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{script}");
        let checked = Command::new("sh").arg("-n").arg(to.join(script)).output().unwrap();
        assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
    }

    let rpm = package("rpm");
    let configuration = said("rpm", &["-qp", "--nosignature", "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]"], &rpm);
    // c: a configuration file; n: never replaced.
    assert!(configuration.contains("/etc/natwatch/natwatch.toml.sample cn\n"), "{configuration}");
    let needed = said("rpm", &["-qp", "--nosignature", "--requires"], &rpm);
    for package in ["ca-certificates", "openssh-clients", "systemd", "libc.so.6()(64bit)"] {
        assert!(needed.lines().any(|line| line == package), "{package} is not in {needed}");
    }
    let symbols = needed.lines().filter_map(|line| line.split_once("(GLIBC_")?.1.split(')').next());
    let versions = symbols.map(|text| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>());
    let newest = versions.max().unwrap();
    assert!(
        newest[..2] <= GLIBC[..],
        "libc {newest:?} is newer than that of the oldest system that the packages are for"
    );

    let sums =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(packages()).output().unwrap();
    assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stderr));
    assert_eq!(String::from_utf8(sums.stdout).unwrap().lines().count(), 2);
}

fn raise() -> Lab {
    // natwatch comes with the package.
    Lab::up(&Options::default()).unwrap()
}

/// Runs a command in the system, which ends well, and gives what it printed.
#[track_caller]
fn does(os: &Os, args: &[&str]) -> String {
    let run = os.run(args).unwrap();
    assert_eq!(run.status, Some(0), "{args:?}: {run}");
    run.stdout
}

/// Likewise by a shell.
#[track_caller]
fn types(os: &Os, line: &str) -> String {
    does(os, &["sh", "-euc", line])
}

/// `is-enabled` or `is-active` of a unit.
fn is(os: &Os, what: &str, unit: &str) -> String {
    os.run(&["systemctl", what, unit]).unwrap().stdout.trim().to_owned()
}

fn property(os: &Os, unit: &str, name: &str) -> String {
    does(os, &["systemctl", "show", "--property", name, "--value", unit]).trim().to_owned()
}

/// Waits until it is so.
#[track_caller]
fn until(what: &str, os: &Os, mut so: impl FnMut() -> bool) {
    let limit = Instant::now() + SOON;
    while !so() {
        let log = || os.run(&["journalctl", "--no-pager", "--output=cat", "--lines=60"]).unwrap();
        assert!(Instant::now() < limit, "{what}: it never came to that: {}{}", os.said(), log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A package there, and its path in the system.
fn put(os: &Os, package: &Path) -> String {
    let path = format!("/root/{}", package.file_name().unwrap().to_str().unwrap());
    fs::copy(package, os.path(&path)).unwrap();
    path
}

/// Uid and gid of the service's user in the system.
fn user(os: &Os) -> (u32, u32) {
    let line = types(os, "getent passwd natwatch");
    let words: Vec<&str> = line.trim().split(':').collect();
    assert_eq!(words[5..], ["/var/lib/natwatch", "/usr/sbin/nologin"], "{line}");
    let shadow = types(os, "getent shadow natwatch");
    assert!(["!", "!*", "*", "!!"].contains(&shadow.split(':').nth(1).unwrap()), "no password: {shadow}");
    (words[2].parse().unwrap(), words[3].parse().unwrap())
}

/// Type, permissions and owner of a folder or file.
fn mode(os: &Os, path: &str) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(os.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    (meta.mode() & 0o7777, meta.uid(), meta.gid())
}

/// As a package leaves it: user, folders, the right to ping, and nothing that runs.
#[track_caller]
fn is_installed_and_at_rest(os: &Os) {
    let (uid, gid) = user(os);
    assert_eq!(mode(os, "/etc/natwatch"), (0o755, 0, 0));
    assert_eq!(mode(os, "/var/lib/natwatch"), (0o750, uid, gid));
    assert_eq!(mode(os, "/etc/natwatch/natwatch.toml.sample"), (0o644, 0, 0));
    for unit in UNITS {
        // What a timer starts has nothing that could be enabled.
        let enabled = if unit == "natwatch.service" { "static" } else { "disabled" };
        assert_eq!(
            (is(os, "is-enabled", unit).as_str(), is(os, "is-active", unit).as_str()),
            (enabled, "inactive"),
            "{unit}"
        );
    }
    assert!(!os.path("/etc/natwatch/natwatch.toml").exists(), "it would be in the way of natwatch init");
    assert_eq!(types(os, "natwatch --version"), format!("natwatch {}\n", env!("CARGO_PKG_VERSION")));
}

/// The README's five commands.
fn five_commands() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let five = |block: &&str| block.starts_with("ssh-keygen") && block.contains("\nnatwatch init\n");
    let found: Vec<&str> = blocks.filter(five).collect();
    let [block] = found.as_slice() else { panic!("one block with natwatch init: {found:?}") };
    block.lines().map(str::to_owned).collect()
}

/// What the README's steps 1 to 4 have done, and the backends' names: all that the lab has that a VPC has not.
fn prepare(lab: &Lab, os: &Os) {
    os.write("/etc/natwatch/hosts", &fs::read_to_string(lab.plan().hosts_file()).unwrap(), 0o644).unwrap();
}

/// The lab's targets in place of those on the internet; and the machine under the lab may have been up for a minute only.
fn adjust(os: &Os) {
    let targets = r#"hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]"#;
    let path = "/etc/natwatch/natwatch.toml";
    let text = fs::read_to_string(os.path(path)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let section =
        |name: &str| text.lines().position(|line| line == name).unwrap_or_else(|| panic!("no {name} in {text}"));
    let hosts = section("[targets]")
        + lines[section("[targets]")..].iter().position(|line| line.starts_with("hosts = ")).unwrap();
    targets.clone_into(&mut lines[hosts]);
    lines[section("[decision]")].push_str("\nmin_uptime = \"0s\"");
    // In place: owner and mode are as natwatch init has made them.
    fs::write(os.path(path), lines.join("\n") + "\n").unwrap();
}

/// The key in line `printed` may log in on every backend.
fn admit(lab: &Lab, printed: &str) {
    for n in 0..6 {
        fs::write(lab.authorized_keys(n).unwrap(), printed).unwrap();
    }
}

/// From the package to a watch that has heard every backend, as the README has it. What `doctor` has said is the caller's.
fn set_up(lab: &Lab, os: &Os) -> Run {
    prepare(lab, os);
    let commands = five_commands();
    let [keygen, keyscan, init, enable, doctor] = commands.as_slice() else { panic!("five: {commands:?}") };
    admit(lab, &types(os, keygen));
    types(os, keyscan);
    types(os, init);
    adjust(os);
    types(os, enable);
    let witnesses = os.path("/var/lib/natwatch/natwatch/witnesses.json");
    until("every backend is a witness", os, || {
        let text = fs::read_to_string(&witnesses).unwrap_or_default();
        lab.plan().backends().all(|host| text.contains(&format!("\"{}\"", host.address)))
    });
    os.run(&["sh", "-euc", doctor]).unwrap()
}

fn status(os: &Os) -> Value {
    json(&os.run(&["natwatch", "status", "--format", "json"]).unwrap())
}

/// Of `/proc/PID/status`.
fn of_process(os: &Os, pid: &str, key: &str) -> String {
    let text = fs::read_to_string(os.path(&format!("/proc/{pid}/status"))).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The same package, as a version later in which the sample says something else.
fn later_deb(folder: &Path) -> PathBuf {
    let (tree, later) = (folder.join("tree"), folder.join("natwatch_99_later.deb"));
    let deb =
        |args: &[&std::ffi::OsStr]| assert!(Command::new("dpkg-deb").args(args).output().unwrap().status.success());
    deb(&["--raw-extract".as_ref(), package("deb").as_ref(), tree.as_ref()]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(&control, text.replace(version, "Version: 99.0.0-1")).unwrap();
    let sample = tree.join("etc/natwatch/natwatch.toml.sample");
    fs::write(&sample, fs::read_to_string(&sample).unwrap() + "# of a later version\n").unwrap();
    deb(&["-Znone".as_ref(), "--build".as_ref(), "--root-owner-group".as_ref(), tree.as_ref(), later.as_ref()]);
    later
}

#[test]
fn f077_the_package_and_the_readmes_five_commands_lead_to_a_watch_that_takes_over_and_outlives_an_upgrade() {
    let lab = raise();
    let os = lab.boot().unwrap();
    does(&os, &["dpkg", "--install", &put(&os, &package("deb"))]);
    is_installed_and_at_rest(&os);
    assert_eq!(
        types(&os, "cat /proc/sys/net/ipv4/ping_group_range").split_whitespace().collect::<Vec<_>>(),
        ["0", "2147483647"]
    );

    let doctor = set_up(&lab, &os);
    assert!(matches!(doctor.status, Some(0 | 1)), "nothing is missing: {doctor}");
    let configuration = "/etc/natwatch/natwatch.toml";
    assert_eq!(mode(&os, configuration), (0o640, 0, user(&os).1));

    // Who it runs as, and with what: CAP_NET_RAW (13 of capabilities(7)), nothing more to be had, and a filter of system calls.
    let pid = property(&os, "natwatch-watch", "MainPID");
    assert_eq!(of_process(&os, &pid, "Uid"), user(&os).0.to_string());
    for (key, value) in
        [("CapEff", "0000000000002000"), ("CapBnd", "0000000000002000"), ("NoNewPrivs", "1"), ("Seccomp", "2")]
    {
        assert_eq!(of_process(&os, &pid, key), value, "{key}");
    }
    let line = fs::read_to_string(os.path(&format!("/proc/{pid}/cmdline"))).unwrap();
    assert_eq!(line, "/usr/bin/natwatch\0watch\0");

    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    until("the takeover", &os, || status(&os)["phase"] == "taken");
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();

    // A run by hand beside it, as the README has it; and one by the other unit's command line, user and rights.
    expect(
        &os.run(&["setpriv", "--reuid=natwatch", "--regid=natwatch", "--init-groups", "natwatch", "run"]).unwrap(),
        5,
    );
    expect(&os.run(&["systemctl", "start", "natwatch.service"]).unwrap(), 0);

    // An upgrade: the watch is another process, the lock stands, and what was edited stays.
    fs::write(os.path("/etc/natwatch/natwatch.toml.sample"), "# mine\n").unwrap();
    let before = fs::read(os.path(configuration)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let upgraded = types(&os, &format!("dpkg --force-confold --install {}", put(&os, &later_deb(folder.path()))));
    assert!(upgraded.contains("natwatch (99.0.0-1)"), "{upgraded}");
    assert_eq!(is(&os, "is-active", "natwatch-watch"), "active");
    assert_ne!(property(&os, "natwatch-watch", "MainPID"), pid);
    for unit in ["natwatch.timer", "natwatch-watch@web.service"] {
        assert_eq!(is(&os, "is-active", unit), "inactive", "{unit}: what did not run does not run");
    }
    assert_eq!(fs::read_to_string(os.path("/etc/natwatch/natwatch.toml.sample")).unwrap(), "# mine\n");
    assert_eq!(fs::read(os.path(configuration)).unwrap(), before);
    assert_eq!(status(&os)["phase"], "taken");

    // Removed, in the middle of a takeover: it says so, and keeps all that an installation after it would need.
    let removed = os.run(&["dpkg", "--remove", "natwatch"]).unwrap();
    expect(&removed, 0);
    assert!(removed.stderr.contains("takeover.json: subnets may still be on this standby's"), "{removed}");
    assert_eq!(is(&os, "is-active", "natwatch-watch"), "inactive");
    assert!(!os.path("/etc/systemd/system/multi-user.target.wants/natwatch-watch.service").is_symlink());
    assert!(os.path("/var/lib/natwatch/natwatch/takeover.json").exists());
    assert_eq!(fs::read(os.path(configuration)).unwrap(), before);

    // Purged: the state is gone, and so is what came with the package. What somebody has written is his, and the key's owner remains.
    does(&os, &["dpkg", "--purge", "natwatch"]);
    assert!(!os.path("/var/lib/natwatch").exists());
    assert!(!os.path("/etc/natwatch/natwatch.toml.sample").exists());
    assert_eq!(fs::read(os.path(configuration)).unwrap(), before);
    assert_eq!(mode(&os, "/etc/natwatch/id_ed25519"), (0o600, user(&os).0, user(&os).1));
}

/// Findings by id and what they are of, with fitness; but those that hang on the moment: how fast somebody logged in, and what is free.
fn findings(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().unwrap_or_else(|| panic!("{report}")).iter();
    let lasting = all.filter(|one| one["id"] != "backend-login-time");
    lasting.map(|one| (format!("{} {}", text(&one["id"]), text(&one["of"])), text(&one["fitness"]))).collect()
}

fn masquerade(report: &Value) -> String {
    let one = report["findings"].as_array().unwrap().iter().find(|one| one["id"] == "masquerade").unwrap();
    format!("{}: {}", one["fitness"].as_str().unwrap(), one["text"].as_str().unwrap())
}

/// What `natwatch doctor` says under all restrictions of the installed unit: it is that unit, but for what it starts.
fn confined(os: &Os) -> Value {
    let unit = fs::read_to_string(os.path("/usr/lib/systemd/system/natwatch.service")).unwrap();
    let line = "ExecStart=/usr/bin/natwatch run\n";
    assert!(unit.contains(line));
    let doctor = "ExecStart=/usr/bin/natwatch doctor --format json\nStandardOutput=truncate:/run/doctor.json\n";
    let unit = unit.replace(line, doctor).replace("SuccessExitStatus=", "SuccessExitStatus=1 2 3 ");
    os.write("/run/systemd/system/doctor.service", &unit, 0o644).unwrap();
    types(os, "systemctl daemon-reload && systemctl start doctor.service");
    serde_json::from_str(&fs::read_to_string(os.path("/run/doctor.json")).unwrap()).unwrap()
}

#[test]
fn f010_confined_by_its_unit_natwatch_sees_all_that_its_user_may_see_and_says_what_it_may_not() {
    let lab = raise();
    let os = lab.boot().unwrap();
    does(&os, &["dpkg", "--install", &put(&os, &package("deb"))]);
    prepare(&lab, &os);
    let commands = five_commands();
    admit(&lab, &types(&os, &commands[0]));
    types(&os, &commands[1]);
    types(&os, &commands[2]);
    adjust(&os);
    // The same user with the same capability, and nothing else in its way.
    let free = |os: &Os| {
        let capable = [
            "setpriv",
            "--reuid=natwatch",
            "--regid=natwatch",
            "--init-groups",
            "--inh-caps=+net_raw",
            "--ambient-caps=+net_raw",
        ];
        json(&os.run(&[capable.as_slice(), &["natwatch", "doctor", "--format", "json"]].concat()).unwrap())
    };

    let unseen = confined(&os);
    assert!(
        masquerade(&unseen)
            .starts_with("unknown: whether this instance masquerades is not known: takes root or CAP_NET_ADMIN"),
        "{unseen}"
    );
    assert_eq!(findings(&unseen), findings(&free(&os)), "the unit hides nothing");

    // The first runs, by the unit as it is. Then root looks once, and leaves what it sees beside what they have left.
    for _ in 0..3 {
        types(&os, "systemctl start natwatch.service");
    }
    os.run(&["natwatch", "doctor"]).unwrap();
    let told = confined(&os);
    assert!(masquerade(&told).starts_with("fit: a rule that masquerades was there, as root saw"), "{told}");
    assert_eq!(findings(&told), findings(&free(&os)), "the unit hides nothing");
    for seen in ["forwarding IPv4", "icmp-socket IPv4", "conntrack ", "ports ", "reverse-path ", "uptime "] {
        let all = findings(&told);
        assert_eq!(all.get(seen).map(String::as_str), Some("fit"), "{seen}: {all:?}");
    }

    // And a takeover, by a run that cannot see the rule itself.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    types(&os, "systemctl start natwatch.service");
    // systemd forgets a unit that has ended well and that nothing asks for.
    assert_eq!(status(&os)["last_round"]["outcome"], "taken-over");
    carried_by(&lab, Nat::Standby);
}

#[test]
fn without_a_running_systemd_the_package_installs_twice_over_and_leaves_no_more_than_a_user() {
    let lab = raise();
    let os = lab.boot().unwrap();
    let path = put(&os, &package("deb"));
    // As in an image that is being made: no /run/systemd/system; and neither has it the programs that make users and folders.
    let chroot = |line: &str| {
        let line = format!("mount -t tmpfs none /run && export PATH=/usr/sbin:/usr/bin:/sbin:/bin && {line}");
        does(&os, &["unshare", "--mount", "sh", "-euc", &line])
    };
    types(&os, "rm /usr/bin/systemd-sysusers /usr/bin/systemd-tmpfiles");
    for _ in 0..2 {
        chroot(&format!("dpkg --install {path}"));
        types(&os, "systemctl daemon-reload");
        is_installed_and_at_rest(&os);
    }
    chroot("dpkg --purge natwatch");
    assert!(!os.path("/var/lib/natwatch").exists() && !os.path("/etc/natwatch").exists());
    user(&os);
}

#[test]
fn the_rpm_installs_is_upgraded_and_erased_as_the_deb_is() {
    let lab = raise();
    let os = lab.boot().unwrap();
    let path = put(&os, &package("rpm"));
    // The files' owners and dependencies are another distribution's.
    let rpm = |args: &str| types(&os, &format!("rpm --nodeps --nosignature --force-debian {args}"));
    rpm(&format!("--install {path}"));
    is_installed_and_at_rest(&os);
    set_up(&lab, &os);
    let pid = property(&os, "natwatch-watch", "MainPID");

    fs::write(os.path("/etc/natwatch/natwatch.toml.sample"), "# mine\n").unwrap();
    rpm(&format!("--upgrade --force {path}"));
    assert_eq!(is(&os, "is-active", "natwatch-watch"), "active");
    assert_ne!(property(&os, "natwatch-watch", "MainPID"), pid);
    assert_eq!(fs::read_to_string(os.path("/etc/natwatch/natwatch.toml.sample")).unwrap(), "# mine\n");

    rpm("--erase natwatch");
    assert_eq!(is(&os, "is-active", "natwatch-watch"), "inactive");
    assert!(!os.path("/etc/systemd/system/multi-user.target.wants/natwatch-watch.service").is_symlink());
    assert!(!os.path("/usr/bin/natwatch").exists());
    assert!(
        os.path("/var/lib/natwatch/natwatch/witnesses.json").exists()
            && os.path("/etc/natwatch/natwatch.toml").exists()
    );
}
