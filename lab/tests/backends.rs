//! Real sshd and real `ping` on the backends, and each of their faults as the standby's user meets it. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::time::{Duration, Instant};

use natwatch_lab::{Lab, Options, Run};

/// Runs a command on a backend as the service's user does: from the standby, with the lab's key, asking nothing.
fn ssh(lab: &Lab, host: &str, command: &str) -> Run {
    let (identity, known_hosts) = (lab.plan().identity(), lab.plan().known_hosts());
    let identity = format!("IdentityFile={}", identity.display());
    let known = format!("UserKnownHostsFile={}", known_hosts.display());
    let options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=2",
        "KexAlgorithms=curve25519-sha256",
        &identity,
        &known,
    ];
    let mut args: Vec<&str> = options.iter().flat_map(|option| ["-o", *option]).collect();
    args.extend(["-n", host, command]);
    lab.program("nat2", "ssh", &args).as_user().timeout(Duration::from_secs(4)).run().unwrap()
}

/// Whether a login shows the fault.
type Shows = fn(&Run) -> bool;

const PING: &str = "ping -n -c1 -W1 203.0.113.1";

#[test]
fn a_login_finds_the_labs_user_and_a_working_ping() {
    let lab = Lab::up(&Options::default()).unwrap();
    for n in 0..6 {
        let run = ssh(&lab, &format!("b{n}"), &format!("id -un; {PING}"));
        assert_eq!(run.status, Some(0), "{run}");
        assert!(run.stdout.starts_with("natwatch\nPING 203.0.113.1"), "{run}");
    }
    let by_address = ssh(&lab, "10.0.10.10", "true");
    assert_eq!(by_address.status, Some(0), "{by_address}");
    let shown = lab.program("b0", "cat", &["/etc/passwd"]).run().unwrap();
    assert!(shown.stdout.contains("natwatch:x:4242"));
    assert!(
        !std::fs::read_to_string("/etc/passwd").unwrap().contains("natwatch:x:4242"),
        "the machine's own accounts are left alone"
    );
}

#[test]
fn every_backend_fault_shows_and_heals() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, ..Options::default() }).unwrap();
    let faults: [(&str, &str, Shows); 15] = [
        ("sshd-dead 0", PING, |run| run.status == Some(255) && run.stderr.contains("Connection refused")),
        ("sshd-frozen 0", PING, |run| run.status == Some(255) && run.stderr.contains("timed out")),
        ("sshd-hang 0", PING, |run| run.timed_out && run.stdout.is_empty()),
        ("sshd-refuses-key 0", PING, |run| {
            run.status == Some(255) && run.stderr.contains("Permission denied (publickey)")
        }),
        ("sshd-new-host-key 0", PING, |run| {
            run.status == Some(255) && run.stderr.contains("IDENTIFICATION HAS CHANGED")
        }),
        ("noisy-shell 0", "exit 3", |run| {
            run.status == Some(3) && run.stdout.contains("1 received") && run.stderr.contains("AUTHORISED")
        }),
        ("slow-login 0 2", "true", |run| run.status == Some(0) && (2000..3500).contains(&run.elapsed.as_millis())),
        ("no-ping 0", PING, |run| run.status == Some(127)),
        ("ping-forbidden 0", PING, |run| {
            matches!(run.status, Some(126 | 127)) && run.stderr.contains("Permission denied")
        }),
        ("busybox-ping 0", PING, |run| run.status == Some(0) && run.stdout.contains("1 packets received")),
        ("endless-ping 0", PING, |run| run.timed_out && run.stdout.is_empty()),
        ("odd-shell 0", "true; false", |run| run.status == Some(1) && run.stderr.contains("Illegal")),
        ("no-shell 0", PING, |run| run.status == Some(1) && run.stdout.contains("not available")),
        ("icmp-blocked", PING, |run| run.status == Some(1) && run.stdout.contains("0 received")),
        ("backend-dead 0", PING, |run| run.status == Some(255) && run.stderr.contains("timed out")),
    ];
    for (text, command, shows) in faults {
        let fault = text.parse().unwrap();
        lab.inject(&fault).unwrap();
        let run = ssh(&lab, "b0", command);
        assert!(shows(&run), "{text}: {run}");
        lab.heal(&fault).unwrap();
        let run = ssh(&lab, "b0", PING);
        assert_eq!(run.status, Some(0), "{text}, healed: {run}");
    }
    // Faults of one backend add up.
    lab.inject(&"busybox-ping 0".parse().unwrap()).unwrap();
    lab.inject(&"noisy-shell 0".parse().unwrap()).unwrap();
    let run = ssh(&lab, "b0", PING);
    assert!(run.stdout.contains("1 packets received") && run.stderr.contains("AUTHORISED"), "{run}");
}

#[test]
fn a_program_is_run_as_asked_and_never_waited_for_without_end() {
    let lab =
        Lab::up(&Options { backends: 1, subnets: 1, natwatch: "/usr/bin/env".into(), ..Options::default() }).unwrap();
    let run = lab.natwatch(&[]).unwrap();
    let expected = format!("NATWATCH_CONFIG={}", lab.plan().config().display());
    assert!(run.stdout.lines().any(|line| line == expected), "{run}");
    assert!(
        run.stdout.lines().any(|line| line == "PATH=/usr/bin:/bin") && run.stdout.contains("AWS_CA_BUNDLE="),
        "{run}"
    );
    assert!(!run.stdout.contains("CARGO"), "a clean environment: {run}");

    let caps = lab.command(&["grep", "CapAmb", "/proc/self/status"]).run().unwrap();
    assert!(caps.stdout.trim().ends_with("2000"), "CAP_NET_RAW alone: {caps}");
    let none = lab.command(&["grep", "CapAmb", "/proc/self/status"]).as_user().run().unwrap();
    assert!(none.stdout.trim().ends_with("0000"), "{none}");
    assert_eq!(lab.command(&["id", "-u"]).run().unwrap().stdout, "4242\n");
    assert_eq!(lab.command(&["id", "-u"]).as_root().run().unwrap().stdout, "0\n");
    let tty = lab
        .command(&["sh", "-c", "test -t 1 && read answer && echo \"it's $answer\"; exit 7"])
        .tty()
        .stdin("yes\n")
        .run()
        .unwrap();
    assert!(tty.status == Some(7) && tty.stdout.contains("it's yes"), "{tty}");

    let started = Instant::now();
    let late = lab.command(&["sleep", "600"]).timeout(Duration::from_millis(300)).run().unwrap();
    assert!(late.timed_out && late.signal == Some(9) && started.elapsed() < Duration::from_secs(5), "{late}");
    // A child that keeps the pipe open does not hold up the wait.
    let orphan = lab.command(&["sh", "-c", "sleep 600 & echo done"]).run().unwrap();
    assert!(
        orphan.status == Some(0) && orphan.stdout == "done\n" && orphan.elapsed < Duration::from_secs(3),
        "{orphan}"
    );
    let running = lab.command(&["sleep", "600"]).spawn().unwrap();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", running.pid()));
    running.kill(natwatch_lab::Signal::TERM).unwrap();
    let run = running.wait(Duration::from_secs(5)).unwrap();
    assert!(run.signal == Some(15) && name.is_ok(), "{run}");

    let path = lab.configure(&[("decision.threshold", "2"), ("standby.region", ""), ("name", "\"other\"")]).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.contains("threshold = 2") && !text.contains("region") && text.starts_with("name = \"other\""),
        "{text}"
    );
    let read = lab.command(&["cat", lab.plan().config().to_str().unwrap()]).run().unwrap();
    assert_eq!(read.stdout, text, "the service's user can read it");
}
