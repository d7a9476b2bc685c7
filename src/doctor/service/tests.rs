use super::*;

fn unit(name: &str, enabled: bool, active: bool) -> Unit {
    Unit { name: name.to_owned(), enabled, active }
}

fn watcher() -> Watcher {
    Watcher { pid: 77, began: Timestamp::UNIX_EPOCH }
}

/// What was seen on a machine of systemd's with these units, and a young round.
fn systemd(units: &[Unit]) -> Seen {
    Seen { units: Some(units.to_vec()), last: Some(Duration::from_secs(30)), ..Seen::default() }
}

/// `id: fitness` of each finding.
fn told(seen: &Seen) -> Vec<String> {
    judge(seen).iter().map(|one| format!("{}: {}", one.id, one.fitness)).collect()
}

#[test]
fn f094_nobody_who_runs_it_is_unfit_unless_its_rounds_are_young() {
    assert_eq!(told(&Seen::default()), ["service: unfit"]);
    let old = Seen { last: Some(Duration::from_secs(601)), ..Seen::default() };
    assert_eq!(told(&old), ["service: unfit", "last-round-age: warning"]);
    assert_eq!(told(&Seen { last: Some(RUN), ..old }), ["service: warning", "last-round-age: fit"]);
    let off = systemd(&[unit("natwatch.timer", false, false), unit("natwatch-watch.service", false, false)]);
    assert_eq!(told(&Seen { last: None, ..off }), ["service: unfit"]);
}

#[test]
fn f094_each_way_in_which_it_is_run_and_what_keeps_it_from_being() {
    for (units, expected) in [
        (unit("natwatch.timer", true, true), "service: fit"),
        (unit("natwatch.timer", true, false), "service: unfit"),
        (unit("natwatch.timer", false, true), "service: warning"),
        (unit("natwatch-watch.service", true, false), "service: unfit"),
        // Active, and its lock is not ours: another configuration's, or it has just begun.
        (unit("natwatch-watch.service", true, true), "service: warning"),
    ] {
        assert_eq!(told(&systemd(std::slice::from_ref(&units)))[0], expected, "{units:?}");
    }
    for (units, expected) in [
        (vec![unit("natwatch-watch.service", true, true)], "service: fit"),
        (vec![unit("natwatch-watch@web.service", true, true)], "service: fit"),
        (vec![unit("natwatch-watch.service", false, true)], "service: warning"),
        (vec![], "service: warning"),
    ] {
        let seen = Seen { watcher: Some(watcher()), ..systemd(&units) };
        assert_eq!(told(&seen), [expected, "last-round-age: fit"], "{units:?}");
    }
    let alone = Seen { watcher: Some(watcher()), last: Some(Duration::ZERO), ..Seen::default() };
    assert_eq!(told(&alone), ["service: fit", "last-round-age: fit"], "no systemd here");
}

#[test]
fn cron_counts_where_cron_itself_runs() {
    let cron = Seen { crontabs: vec!["/etc/cron.d/natwatch".into()], last: Some(RUN), ..Seen::default() };
    assert_eq!(told(&cron)[0], "service: warning");
    assert_eq!(told(&Seen { cron: true, ..cron.clone() }), ["service: fit", "last-round-age: fit"]);
    let by_systemd = Seen { units: Some(vec![unit("cron.service", true, true)]), ..cron };
    assert_eq!(told(&by_systemd)[0], "service: fit");
}

#[test]
fn two_who_run_it_are_a_warning_that_names_both() {
    let seen = Seen {
        crontabs: vec!["/etc/cron.d/natwatch".into()],
        cron: true,
        watcher: Some(watcher()),
        ..systemd(&[unit("natwatch-watch.service", true, true)])
    };
    assert_eq!(told(&seen), ["service: fit", "service: fit", "several-services: warning", "last-round-age: fit"]);
    assert!(judge(&seen)[2].text.starts_with("natwatch-watch.service and /etc/cron.d/natwatch run natwatch"));
}

#[test]
fn f094_a_round_that_is_older_than_it_could_be_is_a_warning() {
    let by_timer = |age| told(&Seen { last: Some(age), ..systemd(&[unit("natwatch.timer", true, true)]) });
    assert_eq!(by_timer(RUN), ["service: fit", "last-round-age: fit"]);
    assert_eq!(by_timer(RUN + Duration::from_secs(1)), ["service: fit", "last-round-age: warning"]);
    let watched = |age| told(&Seen { watcher: Some(watcher()), last: Some(age), ..Seen::default() });
    assert_eq!(watched(WATCHED), ["service: fit", "last-round-age: fit"]);
    assert_eq!(watched(WATCHED + Duration::from_secs(1)), ["service: fit", "last-round-age: warning"]);
}

#[test]
fn what_systemctl_says_is_read_unit_by_unit() {
    let said = "Id=natwatch-watch.service\nActiveState=active\nUnitFileState=enabled\n\nId=natwatch.timer\nActiveState=inactive\nUnitFileState=\n\nId=cron.service\nActiveState=failed\nUnitFileState=disabled\n";
    let expected = [
        unit("natwatch-watch.service", true, true),
        unit("natwatch.timer", false, false),
        unit("cron.service", false, false),
    ];
    assert_eq!(read_units(said), expected);
    assert_eq!(read_units(""), []);
}

#[test]
fn an_entry_of_cron_is_known_by_its_command_and_a_comment_is_none() {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
    assert_eq!(shipped.lines().filter(|line| is_entry(line)).count(), 1);
    for (line, expected) in [
        ("*/2 * * * * natwatch /usr/bin/natwatch run", true),
        ("@reboot root /usr/local/bin/natwatch -c /etc/natwatch/web.toml run", true),
        ("*/2 * * * * natwatch run", true),
        ("# */2 * * * * natwatch /usr/bin/natwatch run", false),
        ("0 0 * * * root /usr/bin/natwatch status", false),
        ("0 0 * * * root run-parts /etc/natwatch", false),
        ("MAILTO=natwatch", false),
        ("", false),
    ] {
        assert_eq!(is_entry(line), expected, "{line}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("natwatch");
    std::fs::write(&path, shipped).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(runs_natwatch(&path));
    mode(0o666);
    assert!(!runs_natwatch(&path), "cron does not run it either");
    assert!(!runs_natwatch(folder.path()));
}
