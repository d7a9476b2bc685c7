//! What is installed beside the program: the systemd units, the cron entry, user, folders and sysctl. Needs no root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `systemd-analyze verify` waits for nothing; one that does is ended by this (timeout(1)).
const VERIFY_SECONDS: &str = "60";

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    let path = shipped(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines that are neither empty nor a comment.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// A unit's settings with their sections: `("Service", "Type")` to every value given.
fn settings(unit: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut section = String::new();
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines(unit) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no setting: {line:?}"));
            found.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
        }
    }
    found
}

/// The services. Those that watch are the same but for what names the configuration.
const SERVICES: [&str; 3] = ["natwatch.service", WATCHES[0], WATCHES[1]];
const WATCHES: [&str; 2] = ["natwatch-watch.service", "natwatch-watch@.service"];

/// That `unit` has exactly these values.
fn expect(unit: &str, section: &str, wanted: &[(&str, &str)]) {
    let found = settings(&read(unit));
    for (key, value) in wanted {
        let values = found.get(&(section.to_owned(), (*key).to_owned()));
        assert_eq!(values, Some(&vec![(*value).to_owned()]), "{unit}: {section}: {key}");
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let folder = tempfile::tempdir().unwrap();
    // The program is not installed here; /bin/true is everywhere.
    let units = SERVICES.map(|unit| unit.replace("@.", "@web."));
    for (unit, name) in SERVICES.iter().zip(&units) {
        let service = read(&format!("systemd/{unit}"));
        assert!(service.contains("ExecStart=/usr/bin/natwatch "));
        fs::write(folder.path().join(name), service.replace("/usr/bin/natwatch", "/bin/true")).unwrap();
    }
    fs::copy(shipped("systemd/natwatch.timer"), folder.path().join("natwatch.timer")).unwrap();
    let output = Command::new("timeout")
        .args([VERIFY_SECONDS, "systemd-analyze", "verify", "--man=no"])
        .args(units.iter().map(|unit| folder.path().join(unit)))
        .arg(folder.path().join("natwatch.timer"))
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(127), "systemd-analyze is not installed: apt-get install systemd");
    // An unknown key is only printed: the status is 0 all the same.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "systemd-analyze {}: {said}", output.status);
}

/// Of 10, `systemd-analyze security` gives each unit's exposure; whatever it counts against one is argued in that unit's comments.
#[test]
fn the_services_are_exposed_by_2_at_most_and_each_exception_is_argued_in_the_unit() {
    const MOST: f64 = 2.0;
    let folder = tempfile::tempdir().unwrap();
    for unit in SERVICES {
        let text = read(&format!("systemd/{unit}"));
        let name = unit.replace("@.", "@web.");
        fs::write(folder.path().join(&name), text.replace("/usr/bin/natwatch", "/bin/true")).unwrap();
        let analyze = |more: &[&str]| {
            let output = Command::new("timeout")
                .args([VERIFY_SECONDS, "systemd-analyze", "security", "--offline=true", "--no-pager"])
                .args(more)
                .arg(format!("./{name}"))
                .current_dir(&folder)
                .output()
                .unwrap();
            assert_ne!(output.status.code(), Some(127), "systemd-analyze is not installed: apt-get install systemd");
            String::from_utf8(output.stdout).unwrap()
        };
        let said = analyze(&[]);
        let level = said.rsplit_once("exposure level for ").and_then(|(_, tail)| tail.split_whitespace().nth(1));
        let level: f64 = level.unwrap_or_default().parse().unwrap_or_else(|_| panic!("{unit}: no level in {said}"));
        assert!(level <= MOST, "{unit}: {said}");

        let counted: serde_json::Value = serde_json::from_str(&analyze(&["--json=short"])).unwrap();
        let against = counted.as_array().unwrap().iter().filter(|one| !one["exposure"].is_null());
        let settings: BTreeSet<&str> = against.map(|one| one["name"].as_str().unwrap()).collect();
        assert!(settings.contains("PrivateNetwork="), "{settings:?}");
        let argued = text.lines().filter(|line| line.starts_with("#   ")).collect::<Vec<_>>().join("\n");
        for setting in settings {
            let (key, _) = setting.split_once('=').unwrap();
            assert!(argued.contains(&format!("{key}=")), "{unit}: {setting} is not argued in its comments");
        }
    }
}

#[test]
fn the_service_is_what_the_contract_says() {
    expect(
        "systemd/natwatch.service",
        "Service",
        &[
            ("Type", "oneshot"),
            ("ExecStart", "/usr/bin/natwatch run"),
            ("User", "natwatch"),
            ("SuccessExitStatus", "1 4 5 75"),
            // Deadline 60 s, hook 20 s, and 10 s.
            ("TimeoutStartSec", "90"),
            ("StateDirectory", "natwatch"),
            ("StateDirectoryMode", "0750"),
            ("RuntimeDirectory", "natwatch"),
            ("RuntimeDirectoryMode", "0700"),
            ("AmbientCapabilities", "CAP_NET_RAW"),
            ("CapabilityBoundingSet", "CAP_NET_RAW"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            // Where `metrics.textfile` is by its example; no fault where there is no such folder.
            ("ReadWritePaths", "-/var/lib/prometheus/node-exporter"),
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
            ("MemoryDenyWriteExecute", "yes"),
            ("LockPersonality", "yes"),
        ],
    );
    // A list, and what is taken from it again: systemd.exec(5).
    let filters = &settings(&read("systemd/natwatch.service"))[&("Service".to_owned(), "SystemCallFilter".to_owned())];
    assert_eq!(filters, &["@system-service", "~@privileged @resources"]);
}

#[test]
fn a_watch_is_restarted_for_ever_unless_it_is_told_what_can_not_be() {
    for unit in WATCHES {
        let file = format!("systemd/{unit}");
        let stays = [
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("ExecReload", "kill -HUP $MAINPID"),
            // Twice decision.deadline.
            ("WatchdogSec", "2min"),
            ("Restart", "on-failure"),
            // Usage and configuration.
            ("RestartPreventExitStatus", "64 78"),
            ("RestartSec", "5"),
            ("TimeoutStopSec", "15"),
        ];
        expect(&file, "Service", &stays);
        expect(&file, "Unit", &[("StartLimitIntervalSec", "0")]);
        expect(&file, "Install", &[("WantedBy", "multi-user.target")]);
        // A watch that is told to stop ends with 0, and nothing else is a success.
        assert!(!settings(&read(&file)).contains_key(&("Service".to_owned(), "SuccessExitStatus".to_owned())));
    }
    expect("systemd/natwatch-watch.service", "Service", &[("ExecStart", "/usr/bin/natwatch watch")]);
    expect("systemd/natwatch-watch.service", "Unit", &[("Conflicts", "natwatch.timer")]);
    let several = [("ExecStart", "/usr/bin/natwatch watch -c /etc/natwatch/%i.toml")];
    expect("systemd/natwatch-watch@.service", "Service", &several);
}

/// Who is killed for want of memory is started again, by `Restart=on-failure` (systemd.service(5) counts `oom-kill` among failures) or by
/// the timer; and a child that is killed takes nobody with it.
#[test]
fn f014_a_service_that_is_killed_for_want_of_memory_comes_again_and_is_not_the_first_to_go() {
    for unit in SERVICES {
        let file = format!("systemd/{unit}");
        expect(&file, "Service", &[("OOMPolicy", "continue"), ("OOMScoreAdjust", "-500")]);
    }
    for unit in WATCHES {
        let file = format!("systemd/{unit}");
        expect(&file, "Service", &[("Restart", "on-failure"), ("RestartSec", "5")]);
        expect(&file, "Unit", &[("StartLimitIntervalSec", "0")]);
    }
    let timer = settings(&read("systemd/natwatch.timer"));
    assert!(timer.keys().any(|(section, key)| section == "Timer" && key.starts_with("On")), "{timer:?}");
}

#[test]
fn all_services_are_confined_alike() {
    /// What they are for, and how they live.
    const OWN: [&str; 12] = [
        "Type",
        "NotifyAccess",
        "ExecStart",
        "ExecReload",
        "SuccessExitStatus",
        "TimeoutStartSec",
        "WatchdogSec",
        "Restart",
        "RestartPreventExitStatus",
        "RestartSec",
        "RuntimeDirectory",
        "TimeoutStopSec",
    ];
    let confined = |unit: &str| {
        let mut found = settings(&read(&format!("systemd/{unit}")));
        found.retain(|(section, key), _| section == "Service" && !OWN.contains(&key.as_str()));
        found
    };
    let all = SERVICES.map(confined);
    assert!(all[0].len() > 25, "{:?}", all[0]);
    for (unit, one) in SERVICES.iter().zip(&all) {
        assert_eq!(one, &all[0], "{unit}");
    }
}

/// systemd removes a unit's folder under /run when the unit ends, with all that is in it (systemd.exec(5)).
#[test]
fn f041_no_service_takes_the_control_sockets_of_another_with_it() {
    let folder = |unit: &str| {
        let found = settings(&read(&format!("systemd/{unit}")));
        let values = &found[&("Service".to_owned(), "RuntimeDirectory".to_owned())];
        let [value] = values.as_slice() else { panic!("{unit}: {values:?}") };
        assert!(!value.contains('/'), "{unit}: a folder in another's goes with that");
        value.clone()
    };
    assert_eq!(SERVICES.map(folder), ["natwatch", "natwatch-watch", "natwatch-watch-%i"]);
}

#[test]
fn f007_the_units_hide_neither_the_uptime_nor_the_network_from_natwatch() {
    for unit in SERVICES {
        let found = settings(&read(&format!("systemd/{unit}")));
        for key in ["ProcSubset", "PrivateUsers", "PrivateNetwork", "DynamicUser"] {
            assert!(!found.contains_key(&("Service".to_owned(), key.to_owned())), "{unit}: {key} is set");
        }
    }
}

#[test]
fn the_timer_comes_every_two_minutes_to_the_second() {
    expect(
        "systemd/natwatch.timer",
        "Timer",
        &[("OnBootSec", "1min"), ("OnUnitActiveSec", "2min"), ("AccuracySec", "1s"), ("RandomizedDelaySec", "5s")],
    );
    expect("systemd/natwatch.timer", "Install", &[("WantedBy", "timers.target")]);
}

#[test]
fn the_cron_entry_is_one_cron_takes() {
    let text = read("cron/natwatch");
    assert!(text.ends_with('\n'), "cron ignores a last line without its newline");
    let lines = lines(&text);
    let (variables, entries): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.split_once('=').is_some_and(|(name, _)| !name.contains(' ')));
    assert_eq!(variables, ["SHELL=/bin/sh", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MAILTO=root"]);
    let [entry] = entries.as_slice() else { panic!("one entry, not {entries:?}") };
    let words: Vec<&str> = entry.split_whitespace().collect();
    assert_eq!(words[..5], ["*/2", "*", "*", "*", "*"]);
    assert_eq!(words[5], "natwatch", "the user of /etc/cron.d's sixth field");
    assert_eq!(words[6..], ["/usr/bin/timeout", "-k", "10", "150", "/usr/bin/natwatch", "run"]);
    assert!(!entry.contains('%'), "cron makes a newline of it");
}

/// Runs a hook of `docs/hooks` as natwatch does, with programs in the place of what it calls: each notes its arguments and its input, and
/// ends as it is told. Returns the status, and what was noted.
fn hook(name: &str, args: &[&str], stand_in: &str, script: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("noted");
    let program = folder.path().join(stand_in);
    let text = format!(
        "#!/bin/sh\nexec 9>&1 > {noted}\nprintf '<%s>\\n' \"$@\"\n{read}\n{script}\n",
        noted = noted.display(),
        // What has its text as an argument reads nothing.
        read = if stand_in == "aws" { "" } else { "cat" },
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let document = folder.path().join("document");
    let text =
        r#"{"id": "00000001-x", "event": "down", "at": "2026-03-01T12:00:00Z", "text": ["nat: down", "remedy: x"]}"#;
    fs::write(&document, format!("{text}\n")).unwrap();
    let output = Command::new(shipped(&format!("docs/hooks/{name}")))
        .args(args)
        .args(["down", "nat"])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .stdin(fs::File::open(&document).unwrap())
        .output()
        .unwrap();
    let noted = fs::read_to_string(&noted).unwrap_or_default();
    (output.status.code().unwrap(), noted + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_hooks_are_scripts_that_any_sh_takes() {
    for name in ["mail", "webhook", "sns"] {
        let path = shipped(&format!("docs/hooks/{name}"));
        assert!(read(&format!("docs/hooks/{name}")).starts_with("#!/bin/sh\n"), "{name}");
        let output = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o755, "{name}");
    }
}

#[test]
fn the_hook_for_mail_sends_the_account_and_asks_for_another_call_where_it_cannot() {
    let (status, noted) = hook("mail", &["ops@example.net"], "mail", "exit 0");
    assert_eq!(status, 0, "{noted}");
    assert!(noted.starts_with("<-s>\n<natwatch nat: down>\n<-->\n<ops@example.net>\n"), "{noted}");
    assert!(noted.contains("nat: down") && noted.contains("00000001-x"), "{noted}");
    assert_eq!(hook("mail", &["ops@example.net"], "mail", "exit 75").0, 1);
}

#[test]
fn the_hook_for_a_webhook_posts_the_document_and_knows_what_is_worth_another_call() {
    for (code, expected) in
        [("200", 0), ("204", 0), ("429", 1), ("503", 1), ("000", 1), ("400", 2), ("404", 2), ("301", 2)]
    {
        let script = format!("printf {code} >&9; [ {code} != 000 ]");
        let (status, noted) = hook("webhook", &["/etc/natwatch/webhook.curl"], "curl", &script);
        assert_eq!(status, expected, "{code}: {noted}");
        assert!(noted.starts_with("<--config>\n</etc/natwatch/webhook.curl>\n"), "{noted}");
        assert!(noted.contains("<--data-binary>\n<@->\n{\"id\": \"00000001-x\""), "{noted}");
    }
    // curl itself is not there.
    assert_eq!(hook("webhook", &["/etc/natwatch/webhook.curl"], "other", "").0, 1);
}

#[test]
fn the_hook_for_sns_publishes_to_the_topics_own_region() {
    let topic = "arn:aws:sns:ap-northeast-1:123456789012:natwatch";
    let (status, noted) = hook("sns", &[topic], "aws", "exit 0");
    assert_eq!(status, 0, "{noted}");
    for part in [
        "<sns>\n<publish>\n<--region>\n<ap-northeast-1>\n",
        "<--subject>\n<natwatch nat: down>\n",
        &format!("<--topic-arn>\n<{topic}>\n"),
        "<--message>\n<{\"id\": \"00000001-x\"",
    ] {
        assert!(noted.contains(part), "{part} in {noted}");
    }
    assert_eq!(hook("sns", &[topic], "aws", "exit 254").0, 1);
}

#[test]
fn user_folders_and_sysctl_are_what_units_and_cron_expect() {
    let user = read("systemd/natwatch.sysusers");
    assert_eq!(lines(&user), [r#"u natwatch - "NAT failover watchdog" /var/lib/natwatch"#]);
    let folders = read("systemd/natwatch.tmpfiles");
    let folders: Vec<Vec<&str>> = lines(&folders).iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        folders,
        [
            ["d", "/etc/natwatch", "0755", "root", "root", "-"],
            ["d", "/var/lib/natwatch", "0750", "natwatch", "natwatch", "-"],
        ]
    );
    assert_eq!(lines(&read("systemd/60-natwatch-ping.conf")), ["net.ipv4.ping_group_range = 0 2147483647"]);
}
