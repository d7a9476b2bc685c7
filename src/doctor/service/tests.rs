use super::judge::RUN;
use super::*;

fn unit(name: &str, enabled: bool, active: bool) -> Unit {
    Unit { name: name.to_owned(), enabled, active }
}

fn crontab() -> Crontab {
    Crontab { path: "/etc/cron.d/natwatch".into(), absent: None }
}

fn watcher() -> Watcher {
    Watcher { pid: 77, began: Timestamp::UNIX_EPOCH }
}

/// What was seen on a machine of systemd's with these units, and a young round.
fn systemd(units: &[Unit]) -> Seen {
    Seen { units: Some(units.to_vec()), last: Some(Duration::from_secs(30)), ..Seen::default() }
}

/// Every way in which a precondition here is not met.
pub(in crate::doctor) fn seeds() -> Vec<Finding> {
    let watch = |enabled, active| unit("natwatch-watch.service", enabled, active);
    let timer = |enabled, active| unit("natwatch.timer", enabled, active);
    let young = Seen { last: Some(Duration::ZERO), ..Seen::default() };
    let crontabs = vec![crontab()];
    let all = [
        Seen::default(),
        young.clone(),
        Seen { last: Some(RUN * 2), ..Seen::default() },
        systemd(&[watch(true, false)]),
        systemd(&[watch(true, true), timer(true, true)]),
        systemd(&[timer(true, false)]),
        systemd(&[timer(false, true)]),
        Seen { watcher: Some(watcher()), ..systemd(&[]) },
        Seen { watcher: Some(watcher()), ..systemd(&[watch(false, true)]) },
        Seen { crontabs, ..young.clone() },
        Seen { crontabs: vec![Crontab { absent: Some("natwatch".to_owned()), ..crontab() }], ..young },
    ];
    all.iter().flat_map(judge::judge).collect()
}

/// `id: fitness` of each finding.
fn told(seen: &Seen) -> Vec<String> {
    crate::doctor::tests::can_be_pasted(&judge(seen));
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
    let cron = Seen { crontabs: vec![crontab()], last: Some(RUN), ..Seen::default() };
    assert_eq!(told(&cron)[0], "service: warning");
    assert_eq!(told(&Seen { cron: true, ..cron.clone() }), ["service: fit", "last-round-age: fit"]);
    let absent = Crontab { absent: Some("/usr/bin/natwatch".to_owned()), ..crontab() };
    let nowhere = Seen { cron: true, crontabs: vec![absent], ..cron.clone() };
    assert_eq!(told(&nowhere)[0], "service: unfit", "cron runs nothing");
    let by_systemd = Seen { units: Some(vec![unit("cron.service", true, true)]), ..cron };
    assert_eq!(told(&by_systemd)[0], "service: fit");
}

#[test]
fn two_who_run_it_are_a_warning_that_names_both() {
    let seen = Seen {
        crontabs: vec![crontab()],
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
    // By the configured pace.
    for within in [Duration::from_mins(1), Duration::from_mins(20)] {
        let seen = Seen { watcher: Some(watcher()), watched_within: Some(within), ..Seen::default() };
        let watched = |age| told(&Seen { last: Some(age), ..seen.clone() });
        assert_eq!(watched(within), ["service: fit", "last-round-age: fit"]);
        assert_eq!(watched(within + Duration::from_secs(1)), ["service: fit", "last-round-age: warning"]);
    }
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
fn f094_a_unit_counts_for_the_configuration_that_it_reads() {
    let first = ["natwatch-watch.service", "natwatch-watch@natwatch.service", "natwatch.timer"];
    for (config, units, enabling) in [
        ("/etc/natwatch/natwatch.toml", &first[..], "systemctl enable --now natwatch-watch.service"),
        (
            "/etc/natwatch/web.toml",
            &["natwatch-watch@web.service"],
            "systemctl enable --now natwatch-watch@web.service",
        ),
        (
            "/srv/it's/web.toml",
            &[],
            "[ ! -e /etc/natwatch/web.toml ] && cp -p '/srv/it'\\''s/web.toml' /etc/natwatch/web.toml && systemctl enable --now natwatch-watch@web.service",
        ),
        (
            "/srv/natwatch.toml",
            &[],
            "[ ! -e /etc/natwatch/natwatch.toml ] && cp -p /srv/natwatch.toml /etc/natwatch/natwatch.toml && systemctl enable --now natwatch-watch.service",
        ),
        (
            "/etc/natwatch/web.conf",
            &[],
            "[ ! -e /etc/natwatch/web.toml ] && cp -p /etc/natwatch/web.conf /etc/natwatch/web.toml && systemctl enable --now natwatch-watch@web.service",
        ),
    ] {
        let shipped = Shipped::of(Path::new(config)).unwrap();
        assert_eq!((shipped.units(), shipped.enabling().as_str()), (units.to_vec(), enabling), "{config}");
    }
    assert_eq!(Shipped::of(Path::new("/etc/natwatch/of ours.toml")), None);
}

#[test]
fn what_systemd_only_has_a_link_to_is_not_enabled() {
    let said = |state: &str| read_units(&format!("Id=natwatch.timer\nUnitFileState={state}\nActiveState=inactive\n"));
    for (state, expected) in [("enabled", true), ("enabled-runtime", true), ("linked", false), ("disabled", false)] {
        assert_eq!(said(state), [unit("natwatch.timer", expected, false)], "{state}");
    }
}
