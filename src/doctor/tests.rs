use super::*;

fn finding(fitness: Fitness) -> Finding {
    Finding::new(Topic::State, "x", fitness, String::new())
}

#[test]
fn unfit_comes_first_then_what_may_hide_it_then_warnings() {
    for (found, fitness, exit) in [
        (&[][..], Fitness::Fit, 0),
        (&[Fitness::Fit], Fitness::Fit, 0),
        (&[Fitness::Fit, Fitness::Warning], Fitness::Warning, 1),
        (&[Fitness::Warning, Fitness::Unknown], Fitness::Unknown, 3),
        (&[Fitness::Unknown, Fitness::Unfit, Fitness::Warning], Fitness::Unfit, 2),
    ] {
        let worst = worst(&found.iter().map(|one| finding(*one)).collect::<Vec<_>>());
        assert_eq!((worst, status(worst)), (fitness, exit), "{found:?}");
    }
}

/// Every remedy is a command that a shell takes as it is pasted, and no prose behind or before it.
#[track_caller]
pub(super) fn can_be_pasted(findings: &[Finding]) {
    for remedy in findings.iter().filter_map(|one| one.remedy.as_deref()) {
        let read = std::process::Command::new("/bin/sh").args(["-n", "-c", remedy]).output().unwrap();
        assert!(read.status.success(), "{remedy}: {}", String::from_utf8_lossy(&read.stderr));
        let first = remedy.split(' ').next().unwrap();
        let known = [
            "[",
            "apt-get",
            "chgrp",
            "chmod",
            "chown",
            "echo",
            "getent",
            "grep",
            "journalctl",
            "kill",
            "natwatch",
            "nft",
            "setfacl",
            "ssh",
            "ssh-keygen",
            "ssh-keyscan",
            "sudo",
            "sysctl",
            "systemctl",
        ];
        assert!(known.contains(&first), "{first} is no command that is known here: {remedy}");
        for prose in ["; then", "find out", "correct ", ", as ", "?", "`", " or: "] {
            assert!(!remedy.contains(prose), "{prose:?} is prose: {remedy}");
        }
    }
}
