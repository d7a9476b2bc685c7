//! SSH as it is in the field, in the lab: backends that hang, babble, refuse or are slow; hostile environments and configurations; a
//! key that may only ping; few processes and descriptors. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json, silent_for, ssh_processes};
use natwatch_lab::{Fault, Invocation, Lab, Nat, Run, Signal, UID};

use support::{raise, seasoned};

/// Three backends and a threshold of three: without each one's word nothing is settled, so it is waited for.
const THREE: (&str, &str) = ("backends.match", "\"^b[024]$\"");
const ALL: (&str, &str) = ("backends.panel", "0");
const SHORT: (&str, &str) = ("decision.run_span", "\"200ms\"");

fn inject(lab: &Lab, fault: &str) {
    lab.inject(&fault.parse().unwrap()).unwrap();
}

/// A shell on the standby as the service has it, with `$NATWATCH` for the program.
fn shell(lab: &Lab, script: &str) -> Invocation {
    let id = UID.to_string();
    let caps = ["--clear-groups", "--inh-caps=+net_raw", "--ambient-caps=+net_raw", "--"];
    let args = [["--reuid", &id, "--regid", &id].as_slice(), &caps, &["/bin/sh", "-c", script]].concat();
    let plan = lab.plan();
    lab.program("nat2", "/usr/bin/setpriv", &args)
        .env("NATWATCH", plan.binary().to_str().unwrap())
        .env("NATWATCH_CONFIG", plan.config().to_str().unwrap())
        .env("AWS_ENDPOINT_URL_EC2", &plan.endpoint())
        .env("AWS_CA_BUNDLE", plan.ca().to_str().unwrap())
}

/// A folder of the service's user's, in which `sprung` says whether the script `trap` has been run by anybody.
struct Trap {
    folder: PathBuf,
}

impl Trap {
    fn set(lab: &Lab) -> Self {
        let trap = Self { folder: lab.plan().root.join("trap") };
        fs::create_dir(&trap.folder).unwrap();
        chown(&trap.folder, Some(UID), Some(UID)).unwrap();
        for name in ["ssh", "trap", "setsid", "nft", "iptables"] {
            let script = trap.folder.join(name);
            fs::write(&script, format!("#!/bin/sh\n{}\nexit 1\n", trap.spring())).unwrap();
            fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
        }
        trap
    }

    fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    fn spring(&self) -> String {
        format!("echo \"$0 $*\" >> {}/sprung", self.path())
    }

    #[track_caller]
    fn is_untouched(&self) {
        let sprung = fs::read_to_string(self.folder.join("sprung")).unwrap_or_default();
        assert_eq!(sprung, "");
    }
}

/// Command lines of the processes on a host.
fn processes(lab: &Lab, host: &str) -> Vec<String> {
    let ns = &lab.plan().host(host).unwrap().ns;
    let pids = std::process::Command::new("ip").args(["netns", "pids", ns]).output().unwrap();
    String::from_utf8(pids.stdout)
        .unwrap()
        .lines()
        .filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// Waits until what `found` finds is as it should be.
#[track_caller]
fn until<T: std::fmt::Debug>(patience: Duration, found: impl Fn() -> T, good: impl Fn(&T) -> bool) {
    let limit = Instant::now() + patience;
    loop {
        let now = found();
        if good(&now) {
            return;
        }
        assert!(Instant::now() < limit, "after {patience:?} still {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn f092_f040_neither_path_nor_environment_choose_a_program_or_an_agent() {
    let lab = seasoned();
    lab.configure(&[THREE, ALL, SHORT]).unwrap();
    let trap = Trap::set(&lab);
    for path in ["/nonexistent", trap.path()] {
        let script = format!("PATH={path} exec $NATWATCH run");
        let askpass = format!("{}/trap", trap.path());
        let run = shell(&lab, &script).env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
        let run = run.env("DISPLAY", ":0").env("SSH_AUTH_SOCK", "/nonexistent").env("LD_BIND_NOW", "1").run().unwrap();
        expect(&run, 0);
        trap.is_untouched();
    }
}

#[test]
fn f039_the_users_own_configuration_is_not_read_and_the_operators_undoes_nothing() {
    let lab = seasoned();
    let trap = Trap::set(&lab);
    let spring = trap.spring();
    let hostile = format!(
        "Host *\n  BatchMode no\n  RequestTTY force\n  RemoteCommand {spring}\n  PermitLocalCommand yes\n  LocalCommand {spring}\n  \
         LocalForward 9999 localhost:22\n  RemoteForward 9998 localhost:22\n  ForwardAgent yes\n  Tunnel yes\n  \
         StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  ControlPath none\n  LogLevel DEBUG3\n"
    );
    let home = lab.plan().root.join("home/.ssh");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("config"), format!("{hostile}  ProxyCommand {spring}\n")).unwrap();
    lab.configure(&[THREE, ALL, SHORT]).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    trap.is_untouched();

    // What an odd network needs is the operator's: here, how a connection is made.
    let operators = lab.plan().root.join("etc/ssh_config");
    let proxy = format!("{}/proxied", trap.path());
    let command = format!("  ProxyCommand sh -c 'touch {proxy}; exec busybox nc %h %p'\n");
    fs::write(&operators, hostile + &command).unwrap();
    let file = format!("{:?}", operators.display().to_string());
    lab.configure(&[THREE, ALL, SHORT, ("backends.ssh_config", &file)]).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert!(Path::new(&proxy).exists());
    trap.is_untouched();
    assert_eq!(ssh_processes(&lab), Vec::<String>::new(), "a ProxyCommand holds nothing up");
    fs::write(lab.plan().known_hosts(), "").unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    silent_for(&run, "b0", "host-key-unknown");
}

#[test]
fn f040_a_key_with_a_passphrase_is_named_nobody_is_asked_and_no_agent_helps() {
    let lab = seasoned();
    lab.configure(&[THREE, ALL, SHORT]).unwrap();
    let key = lab.plan().identity().display().to_string();
    let agent = format!("{}/agent", lab.plan().root.join("keys").display());
    expect(&lab.program("nat2", "/usr/bin/ssh-agent", &["-a", &agent]).as_user().run().unwrap(), 0);
    let add = lab.program("nat2", "/usr/bin/ssh-add", &["-q", &key]).as_user().env("SSH_AUTH_SOCK", &agent);
    expect(&add.run().unwrap(), 0);
    let lock = ["-q", "-p", "-P", "", "-N", "a passphrase", "-f", &key];
    expect(&lab.program("nat2", "/usr/bin/ssh-keygen", &lock).as_user().run().unwrap(), 0);

    let run = lab.command(&["run", "--format", "json"]).env("SSH_AUTH_SOCK", &agent).run().unwrap();
    expect(&run, 3);
    silent_for(&run, "b0", "login");
    let terminal = lab.command(&["run"]).env("SSH_AUTH_SOCK", &agent).tty().run().unwrap();
    expect(&terminal, 3);
    assert!(terminal.stdout.contains(&format!("ssh-keygen -p -N '' -f {key}")), "{terminal}");
    assert!(!terminal.stdout.contains("Enter"), "a prompt: {terminal}");
}

#[test]
fn f033_f041_a_run_killed_amid_pings_that_never_end_leaves_nothing_that_stays() {
    let lab = seasoned();
    let run_folder = lab.plan().root.join("run");
    fs::create_dir(&run_folder).unwrap();
    chown(&run_folder, Some(UID), Some(UID)).unwrap();
    lab.configure(&[THREE, ALL, SHORT]).unwrap();
    for n in [0, 2, 4] {
        inject(&lab, &format!("endless-ping {n}"));
    }
    let command = |args| lab.command(args).env("RUNTIME_DIRECTORY", run_folder.to_str().unwrap());
    let ours = || -> Vec<String> {
        let all = ["b0", "b2", "b4"].into_iter().flat_map(|host| processes(&lab, host));
        all.filter(|line| line.contains("natwatch-ping") || line.contains("sleep")).collect()
    };
    let run = command(&["run"]).spawn().unwrap();
    until(FLOWS_WITHIN, ours, |lines| lines.iter().filter(|line| line.contains("sleep 3600")).count() == 3);
    run.kill(Signal::KILL).unwrap();
    run.wait(FLOWS_WITHIN).unwrap();
    // Two seconds after its own timeout each is ended by its watchdog; who asked for it is long dead.
    until(FLOWS_WITHIN, ours, Vec::is_empty);
    assert_eq!(fs::read_dir(&run_folder).unwrap().count(), 1, "the killed run's control sockets");
    assert_eq!(ssh_processes(&lab).len(), 3, "its masters, which end by themselves when they have been idle");

    let next = command(&["run", "--format", "json"]).run().unwrap();
    expect(&next, 3);
    silent_for(&next, "b0", "hung");
    assert_eq!(fs::read_dir(&run_folder).unwrap().count(), 0);
    until(FLOWS_WITHIN, || ssh_processes(&lab), Vec::is_empty);
    until(FLOWS_WITHIN, ours, Vec::is_empty);
}

#[test]
fn f041_stale_control_sockets_are_removed_and_others_left_alone() {
    let lab = seasoned();
    let folder = lab.plan().root.join("run");
    let stale = |pid: u32| folder.join(format!("natwatch-{pid}-Ab12Cd"));
    // No process has the last id that the kernel gives out by default here; this one lives.
    let (dead, alive) = (stale(u32::MAX), stale(std::process::id()));
    for one in [&dead, &alive] {
        fs::create_dir_all(one).unwrap();
        std::os::unix::net::UnixListener::bind(one.join("0")).unwrap();
        chown(one, Some(UID), Some(UID)).unwrap();
    }
    chown(&folder, Some(UID), Some(UID)).unwrap();
    expect(&lab.command(&["run"]).env("RUNTIME_DIRECTORY", folder.to_str().unwrap()).run().unwrap(), 0);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [alive]);
}

#[test]
fn f034_f037_output_without_end_and_shells_that_run_nothing_are_silence_with_the_remedy() {
    let lab = seasoned();
    for (fault, words) in [
        ("endless-shell 4", &["bytes of output"][..]),
        ("no-shell 4", &["not available", "natwatch print authorized-key"]),
    ] {
        inject(&lab, fault);
        lab.configure(&[ALL, SHORT]).unwrap();
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
        lab.configure(&[THREE, ALL, SHORT]).unwrap();
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, 3);
        silent_for(&run, "b4", "nonsense");
        let told = lab.command(&["run"]).tty().run().unwrap();
        for word in words {
            assert!(told.stdout.contains(word), "{word}: {told}");
        }
        lab.heal_all().unwrap();
    }
    until(FLOWS_WITHIN, || ssh_processes(&lab), Vec::is_empty);
}

#[test]
fn f032_a_session_that_freezes_is_silent_by_its_own_deadline() {
    let lab = seasoned();
    lab.configure(&[THREE, ALL, ("decision.run_span", "\"20s\""), ("decision.deadline", "\"80s\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.command(&["run", "-v", "--format", "json"]).spawn().unwrap();
    run.wait_output("looking again", FLOWS_WITHIN).unwrap();
    let freeze = "ip netns pids \"$(ip netns identify)\" | grep -v \"^$$\\$\" | xargs kill -STOP";
    lab.program("b4", "/bin/sh", &["-c", freeze]).spawn().unwrap();
    let run = run.wait(Duration::from_secs(30)).unwrap();
    expect(&run, 3);
    let report = json(&run);
    let last = report["rounds"].as_array().unwrap().last().unwrap()["backends"].as_array().unwrap().clone();
    let reason = |host: &str| last.iter().find(|one| one["host"] == host).map(|one| one["reason"].clone());
    assert_eq!(reason("b4"), Some("hung".into()), "{run}");
    assert!(lab.api().mutations().is_empty(), "{run}");
}

/// Puts the line of `print authorized-key` on backends, in place of the plain key.
fn authorize(lab: &Lab, backends: impl IntoIterator<Item = usize>) {
    let key = lab.plan().identity().with_extension("pub");
    let print = lab.command(&["print", "authorized-key", key.to_str().unwrap()]);
    let run = print.config(Path::new("/nonexistent")).run().unwrap();
    expect(&run, 0);
    assert!(run.stdout.starts_with("restrict,command=\"") && run.stdout.lines().count() == 1, "{run}");
    for n in backends {
        fs::write(lab.plan().root.join(format!("ssh/b{n}/authorized_keys")), &run.stdout).unwrap();
    }
}

#[test]
fn f037_f106_the_key_that_may_only_ping_serves_whatever_shell_and_ping_there_are() {
    let lab = seasoned();
    inject(&lab, "busybox-ping 0");
    inject(&lab, "odd-shell 2");
    lab.configure(&[THREE, ALL, SHORT]).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    authorize(&lab, [0, 2, 4]);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    let report = json(&run);
    for host in ["b0", "b2", "b4"] {
        let mut backends = report["rounds"][0]["backends"].as_array().unwrap().iter();
        assert!(backends.any(|one| one["host"] == host && one["verdict"] == "cut-off"), "{host}: {run}");
    }
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f037_f038_the_key_that_may_only_ping_does_nothing_else() {
    let lab = raise();
    authorize(&lab, [3]);
    let plan = lab.plan();
    let trap = Trap::set(&lab);
    let (identity, known) = (
        format!("IdentityFile={}", plan.identity().display()),
        format!("UserKnownHostsFile={}", plan.known_hosts().display()),
    );
    let ssh = |args: &[&str]| -> Run {
        let options =
            ["BatchMode=yes", "ExitOnForwardFailure=yes", "KexAlgorithms=curve25519-sha256", &identity, &known];
        let mut all: Vec<&str> = options.iter().flat_map(|option| ["-o", *option]).collect();
        all.extend(args);
        lab.program("nat2", "/usr/bin/ssh", &all).as_user().timeout(Duration::from_secs(20)).run().unwrap()
    };
    // The shape is ours, the script in it anybody's: of a request only the three words are used.
    let ping = |words: &str| format!("exec /bin/sh -c '{}; id' natwatch-ping {words}", trap.spring());
    let good = ssh(&["b3", &ping("0123456789abcdef 0.300 203.0.113.1")]);
    expect(&good, 0);
    assert!(
        good.stdout.starts_with("begin-0123456789abcdef\n") && good.stdout.ends_with("end-0123456789abcdef 0\n"),
        "{good}"
    );
    assert!(good.stdout.contains("64 bytes from 203.0.113.1") && !good.stdout.contains("uid="), "{good}");

    let forged = "sh -c 'echo begin-0123456789abcdef; ping -c 1 203.0.113.1; echo end-0123456789abcdef 0; id'";
    let (spring, whole) = (trap.spring(), "0123456789abcdef 0.300 203.0.113.1");
    for words in [
        format!("{whole}; id"),
        format!("{whole}\nid"),
        format!("{whole}\n{spring}"),
        format!("{whole} $({spring})"),
        format!("{whole} -I lo"),
        "0123456789abcdef 0.300 -f".to_owned(),
        "0123456789abcdef 0.300 $(id)".to_owned(),
        "0123456789abcdef 0.300 localhost".to_owned(),
        "0123456789abcdef 3600 203.0.113.1".to_owned(),
        "0123456789abcdef 0.300 -s 65000 203.0.113.1".to_owned(),
        "word 0.300 203.0.113.1".to_owned(),
    ] {
        let run = ssh(&["b3", &ping(&words)]);
        assert_eq!(
            (run.status, run.stdout.as_str()),
            (Some(64), "natwatch: this key may only ping\n"),
            "{words}: {run}"
        );
    }
    for attack in [
        &["b3"][..],
        &["b3", "id"],
        &["b3", "sh"],
        &["b3", &spring],
        &["b3", forged],
        &["b3", "ping -c 1 203.0.113.1"],
        &["b3", "scp -t /tmp"],
        &["-s", "b3", "sftp"],
    ] {
        let run = ssh(attack);
        assert_eq!(run.status, Some(64), "{attack:?}: {run}");
        assert_eq!(run.stdout.trim_end(), "natwatch: this key may only ping", "{attack:?}: {run}");
    }
    for other in [
        &["-tt", "b3"][..],
        &["-tt", "b3", "sh", "-i"],
        &["-W", "203.0.113.100:7", "b3"],
        &["-N", "-R", "9998:203.0.113.100:7", "b3"],
        &["-N", "-w", "0:0", "b3"],
    ] {
        let run = ssh(other);
        assert_eq!((run.status, run.stdout.as_str()), (Some(255), ""), "{other:?}: {run}");
    }
    trap.is_untouched();
}

#[test]
fn f037_f087_what_is_no_public_key_is_refused_with_2_and_never_shown() {
    let lab = raise();
    let key = lab.plan().identity();
    let private = lab.natwatch(&["print", "authorized-key", key.to_str().unwrap()]).unwrap();
    expect(&private, 2);
    assert!(private.stderr.contains("PRIVATE key"), "{private}");
    let secret = fs::read_to_string(&key).unwrap();
    assert!(secret.lines().all(|line| !private.stderr.contains(line) && !private.stdout.contains(line)), "{private}");
    for none in ["/nonexistent.pub", "/etc", "/etc/hosts"] {
        let run = lab.natwatch(&["print", "authorized-key", none]).unwrap();
        expect(&run, 2);
        assert!(run.stdout.is_empty() && run.stderr.contains(none), "{run}");
    }
    expect(&lab.natwatch(&["print", "authorized-key"]).unwrap(), 64);
    let public = key.with_extension("pub");
    let run = lab.natwatch(&["print", "authorized-key", public.to_str().unwrap(), "--format", "json"]).unwrap();
    assert!(json(&run)["authorized_key"].as_str().unwrap().ends_with(" natwatch"), "{run}");
}

#[test]
fn f042_of_ten_thousand_backends_only_a_panel_is_asked_at_once() {
    use std::fmt::Write as _;
    let lab = raise();
    let hosts = lab.plan().root.join("many");
    let text = (0..10_000).fold(String::new(), |mut text, n| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "10.20.{}.{}\tmany{n}", n / 250, n % 250 + 1);
        text
    });
    fs::write(&hosts, text).unwrap();
    let file = format!("{:?}", hosts.display().to_string());
    let short = [("backends.connect_timeout", "\"1s\""), ("backends.login_timeout", "\"1s\"")];
    let [connect, login] = short;
    lab.configure(&[("backends.hosts_file", &file), ("backends.panel", "8"), connect, login]).unwrap();
    let run = lab.command(&["run", "--format", "json"]).spawn().unwrap();
    let pid = run.pid();
    let ended = std::thread::spawn(move || run.wait(Duration::from_mins(1)).unwrap());
    let (mut most, mut seen, mut peak) = (0, BTreeSet::new(), 0);
    while !ended.is_finished() {
        let now = ssh_processes(&lab);
        most = most.max(now.len());
        seen.extend(now);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kb = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kb.unwrap_or(0_u64));
    }
    let run = ended.join().unwrap();
    expect(&run, 3);
    assert!((1..=8).contains(&most), "{most} at once");
    assert!(seen.len() > 8, "silent ones are replaced: {}", seen.len());
    assert!((1..64 * 1024).contains(&peak), "{peak} kB");
}

#[test]
fn f093_f013_without_descriptors_or_processes_backends_are_silent_and_nothing_moves() {
    let lab = seasoned();
    let mut hosts = fs::read_to_string(lab.plan().hosts_file()).unwrap();
    hosts.extend((1..=120).map(|n| format!("10.20.0.{n}\tgone{n}\n")));
    fs::write(lab.plan().hosts_file(), hosts).unwrap();
    // A black-holed one costs its connection's time; there are many, and each has its turn.
    let short = ("backends.login_timeout", "\"2s\"");
    lab.configure(&[ALL, SHORT, short, ("backends.connect_timeout", "\"1s\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // Other labs' processes count as the user's too, so there may be room for no thread, or for a thread and no `ssh`.
    for (limit, statuses) in
        [("nproc=1", &[2][..]), ("nproc=2", &[2, 3]), ("nofile=40", &[2]), ("nofile=12", &[2]), ("nofile=6", &[2])]
    {
        let run = shell(&lab, &format!("exec prlimit --{limit} $NATWATCH run")).run().unwrap();
        assert!(run.status.is_some_and(|status| statuses.contains(&status)), "{limit}: {run}");
        assert!(!run.stderr.contains("panicked"), "{limit}: {run}");
        assert!(lab.api().mutations().is_empty(), "{limit}: {run}");
    }
    lab.heal_all().unwrap();
    // With few, but enough for sixteen logins at once, all is as ever.
    let run = shell(&lab, "exec prlimit --nofile=64 $NATWATCH run --format json").run().unwrap();
    expect(&run, 0);
}

#[test]
fn f097_where_icmp_was_never_allowed_nobody_becomes_a_witness() {
    let lab = raise();
    inject(&lab, "icmp-blocked");
    for _ in 0..2 {
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, 3);
        let report = json(&run);
        assert_eq!(report["outcome"], "unheard", "{run}");
        let backends = report["rounds"][0]["backends"].as_array().unwrap();
        assert!(backends.iter().any(|one| one["reason"] == "unproven"), "{run}");
    }
    let run = lab.command(&["run"]).tty().run().unwrap();
    assert!(run.stdout.contains("ICMP"), "the reason is named: {run}");
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f098_icmp_blocked_for_everybody_at_once_moves_once_and_ends_unverified() {
    let lab = seasoned();
    lab.configure(&[ALL, SHORT, ("takeover.verify_for", "\"2s\"")]).unwrap();
    inject(&lab, "icmp-blocked");
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "unverified", "{run}");
    assert_eq!(json(&run)["commands"].as_array().unwrap().len(), 2, "what undoes it: {run}");
    expect(&lab.natwatch(&["run"]).unwrap(), 2);
    assert_eq!(lab.api().mutations().len(), 2, "moved once, and not again");
}

#[test]
fn f099_f102_logins_that_take_eight_seconds_everywhere_are_heard() {
    let lab = seasoned();
    for n in 0..6 {
        inject(&lab, &format!("slow-login {n} 8"));
    }
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f105_root_and_the_services_user_take_turns() {
    let lab = seasoned();
    let known = lab.plan().known_hosts();
    fs::remove_file(&known).unwrap();
    lab.configure(&[THREE, ALL, SHORT, ("backends.host_keys", "\"accept-new\"")]).unwrap();
    let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.mode() & 0o777)).unwrap();
    assert_eq!(owner(&lab.plan().identity()), (UID, 0o600), "the key that both use");
    expect(&lab.command(&["run"]).as_root().run().unwrap(), 0);
    assert_eq!(owner(&known), (UID, 0o644), "made by root's run, and the user's to add to");
    let learned = fs::read_to_string(&known).unwrap();
    assert_eq!(learned.lines().count(), 3, "{learned}");
    fs::write(&known, learned.lines().next().unwrap().to_owned() + "\n").unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 3, "the user could add what it learned");
    expect(&lab.command(&["run"]).as_root().run().unwrap(), 0);
    let state = lab.plan().state().join("natwatch");
    for entry in fs::read_dir(state).unwrap() {
        assert_eq!(owner(&entry.unwrap().path()).0, UID);
    }
}
