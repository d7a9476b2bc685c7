//! A lab leaves nothing behind, however it ends, and others may run beside it. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use natwatch_lab::{Lab, Options, Signal, ns_path, running};

fn small() -> Options {
    Options { backends: 2, subnets: 1, ..Options::default() }
}

/// Waits for a condition, ten seconds at most.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < patience, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Namespaces, folders and processes that carry this lab's name.
fn traces(id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/run/netns", "/etc/netns", "/run/natwatch-lab"] {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        found.extend(names.map(|name| format!("{folder}/{}", name.to_string_lossy())).filter(|name| name.contains(id)));
    }
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(id) {
            found.push(line);
        }
    }
    found
}

fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(args);
    command
}

/// Ends a `lab up` that its test gave up on.
struct Owner(Child);

impl Drop for Owner {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            signal(&self.0, Signal::TERM);
            self.0.wait().unwrap();
        }
    }
}

/// A `lab up` that has said that it is up, and its name.
fn up() -> (Owner, String) {
    let mut child = lab(&["up", "--backends", "2", "--subnets", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    let id = first.split(' ').nth(1).unwrap_or_else(|| panic!("no name in {first:?}")).to_owned();
    while output.read_line(&mut first).unwrap() > 0 && !first.contains("Ctrl-C") {}
    // Kept open, so that the last words find a reader.
    std::mem::forget(output);
    eventually("the control socket is there", || {
        Path::new("/run/natwatch-lab").join(&id).join("control.sock").exists()
    });
    (Owner(child), id)
}

fn signal(child: &Child, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn a_dropped_lab_leaves_nothing_and_its_neighbour_lives() {
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Lab::up(&small()).unwrap());
        let two = scope.spawn(|| Lab::up(&small()).unwrap());
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_ne!(one.plan().id, two.plan().id);
    let id = one.plan().id.clone();
    // What a program under test may leave behind goes too.
    one.program("nat2", "sleep", &["600"]).spawn().unwrap();
    drop(one);
    assert_eq!(traces(&id), [""; 0]);
    two.traffic().wait_flowing(Duration::from_secs(5)).unwrap();
    assert!(running().unwrap().iter().any(|(id, _)| *id == two.plan().id));
}

#[test]
fn a_killed_lab_stops_at_once_and_is_swept_by_the_next() {
    let (mut child, id) = up();
    let in_namespaces =
        || traces(&id).into_iter().filter(|line| line.contains("sshd") || line.contains("moto")).count();
    assert!(in_namespaces() > 0);
    signal(&child.0, Signal::KILL);
    child.0.wait().unwrap();
    // The death signal takes its servers along; namespaces and folders need the sweep.
    eventually("sshd and moto die with the lab", || in_namespaces() == 0 || !ns_path(&format!("{id}-vpc")).exists());
    let next = Lab::up(&small()).unwrap();
    assert_eq!(traces(&id), [""; 0]);
    next.traffic().wait_flowing(Duration::from_secs(5)).unwrap();
}

#[test]
fn signals_and_down_end_a_lab_in_order() {
    for way in [Some(Signal::INT), Some(Signal::TERM), None] {
        let (mut child, id) = up();
        if let Some(way) = way {
            signal(&child.0, way);
        } else {
            let status = lab(&["--lab", &id, "status"]).output().unwrap();
            let text = String::from_utf8(status.stdout).unwrap();
            assert!(text.contains("packets go to the primary") && text.contains("faults: none"), "{text}");
            let fault = lab(&["--lab", &id, "fault", "primary-crash"]).output().unwrap();
            assert!(fault.status.success(), "{fault:?}");
            let heal = lab(&["--lab", &id, "heal", "primary-crash"]).output().unwrap();
            assert!(heal.status.success(), "{heal:?}");
            let wrong = lab(&["--lab", &id, "fault", "primary-cash"]).output().unwrap();
            assert!(
                !wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("no fault `primary-cash`")
            );
            let seen = lab(&["--lab", &id, "exec", "b0", "ping", "-c1", "-W1", "203.0.113.1"]).output().unwrap();
            assert!(seen.status.success(), "{seen:?}");
            let strip = lab(&["--lab", &id, "traffic", "--seconds", "1"]).output().unwrap();
            assert!(String::from_utf8_lossy(&strip.stdout).contains("########"), "{strip:?}");
            assert!(lab(&["--lab", &id, "down"]).status().unwrap().success());
        }
        assert!(child.0.wait().unwrap().success());
        assert_eq!(traces(&id), [""; 0]);
    }
}

#[test]
fn without_root_it_says_so() {
    // Who is nobody may have no way to where the program was built: a home is often its owner's alone.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("lab");
    std::fs::copy(env!("CARGO_BIN_EXE_lab"), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", program.to_str().unwrap(), "up"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the lab needs root"), "{text}");
}
