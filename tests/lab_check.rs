//! `natwatch check` in the lab: what a monitoring system is told, and that nothing is changed by telling it. Needs root; `make test`
//! runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use std::fs;
use std::time::{Duration, Instant};

use natwatch_lab::testing::stopped;
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Run, Signal, UID};
use support::seasoned;

/// A bound for what takes milliseconds to seconds, not a measure.
const SOON: Duration = Duration::from_secs(20);

/// A check that ends with `status`, changes nothing, and says it in one line that every consumer can take apart: the text, and the
/// figures by label.
#[track_caller]
fn checked(lab: &Lab, args: &[&str], status: i32) -> (String, Vec<Figure>) {
    let (before, mutations) = (lab.footprint().unwrap(), lab.api().mutations().len());
    let run = lab.natwatch(&[&["check"], args].concat()).unwrap();
    assert_eq!(run.status, Some(status), "{run}");
    assert_eq!(run.stderr, "", "consumers mix the two streams: {run}");
    assert_eq!(lab.footprint().unwrap(), before, "{run}");
    assert_eq!(lab.api().mutations().len(), mutations, "{run}");
    dissected(&run, status)
}

/// `label=value[unit];[warn];[crit];[min];[max]`
#[derive(Debug)]
struct Figure {
    label: String,
    value: f64,
    unit: String,
    warn: String,
    crit: String,
}

/// By the grammar of the Monitoring Plugins Development Guidelines, strictly.
#[track_caller]
fn dissected(run: &Run, status: i32) -> (String, Vec<Figure>) {
    let line = run.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {run}"));
    assert!(!line.contains('\n') && line.is_ascii(), "{run}");
    let word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::try_from(status).unwrap()];
    assert!(line.starts_with(&format!("NATWATCH {word} - ")), "{run}");
    let (text, perfdata) = line.split_once(" | ").unwrap_or((line, ""));
    assert!(!text.contains('|') && text.len() <= 240, "{} characters: {run}", text.len());
    let figures = perfdata.split_terminator(' ').map(|one| {
        let (label, rest) = one.split_once('=').unwrap_or_else(|| panic!("{one}: {run}"));
        assert!(label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{label}: {run}");
        let fields: Vec<&str> = rest.split(';').collect();
        assert!(fields.len() <= 5, "{one}: {run}");
        let number = fields[0].trim_end_matches('s');
        for bound in fields[1..].iter().filter(|bound| !bound.is_empty()) {
            bound.parse::<f64>().unwrap_or_else(|_| panic!("{one}: {run}"));
        }
        let bound = |n: usize| fields.get(n).copied().unwrap_or_default().to_owned();
        Figure {
            label: label.to_owned(),
            value: number.parse().unwrap_or_else(|_| panic!("{one}: {run}")),
            unit: fields[0][number.len()..].to_owned(),
            warn: bound(1),
            crit: bound(2),
        }
    });
    (text.to_owned(), figures.collect())
}

#[track_caller]
fn figure<'f>(figures: &'f [Figure], label: &str) -> &'f Figure {
    figures.iter().find(|one| one.label == label).unwrap_or_else(|| panic!("no {label} in {figures:?}"))
}

/// Its own packets are dropped on the way to the internet, as by a network ACL of its own.
fn cut_off(lab: &Lab, host: &str) {
    let rules = "add table inet lab; add chain inet lab out { type filter hook output priority 0; }; \
                 add rule inet lab out ip daddr 203.0.113.0/24 drop";
    let run = lab.program(host, "/usr/sbin/nft", &[rules]).run().unwrap();
    assert_eq!(run.status, Some(0), "{run}");
}

/// The last run ended so long ago, by its own word.
fn made_older(lab: &Lab, by: jiff::SignedDuration) {
    let path = lab.plan().state().join("natwatch/last-round.json");
    let mut last: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let at: jiff::Timestamp = last["at"].as_str().unwrap().parse().unwrap();
    last["at"] = at.checked_sub(by).unwrap().to_string().into();
    std::fs::write(&path, last.to_string()).unwrap();
}

#[test]
fn a_healthy_network_is_ok_and_one_cut_off_backend_a_warning() {
    let lab = seasoned();
    let (text, figures) = checked(&lab, &[], 0);
    assert!(text.contains("backends reach"), "{text}");
    assert_eq!((figure(&figures, "cut_off").value, figure(&figures, "good_targets").value), (0.0, 3.0));
    assert!(figure(&figures, "reaches").value >= 3.0, "{figures:?}");
    assert!((figure(&figures, "rtt").value, figure(&figures, "rtt").unit.as_str()) < (0.3, "t"), "{figures:?}");
    assert_eq!((figure(&figures, "age").unit.as_str(), figure(&figures, "time").unit.as_str()), ("s", "s"));

    cut_off(&lab, "b3");
    let (text, figures) = checked(&lab, &[], 1);
    assert!(text.contains("1 of ") && text.contains("backends are cut off"), "{text}");
    let cut = figure(&figures, "cut_off");
    // Three of six are exactly half.
    assert_eq!((cut.value, cut.warn.as_str()), (1.0, "0"), "{figures:?}");
    assert!(["2", "3"].contains(&cut.crit.as_str()), "{figures:?}");
}

#[test]
fn f077_an_outage_is_critical_and_nothing_moves() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let (text, figures) = checked(&lab, &[], 2);
    assert!(text.contains("backends are cut off") && !text.contains("EC2"), "{text}");
    let cut = figure(&figures, "cut_off");
    assert!(cut.value > cut.crit.parse().unwrap(), "{figures:?}");
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f080_a_lock_is_a_warning_by_a_round_of_its_own_and_by_the_last_run() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    let (text, _) = checked(&lab, &[], 1);
    assert!(text.contains("an earlier takeover carries the subnets"), "{text}");
    let (text, _) = checked(&lab, &["--max-age", "10m"], 1);
    assert!(text.contains("by the run"), "{text}");
    assert!(text.contains("all 2 subnets are on this standby and traffic flows"), "{text}");
    let json = lab.natwatch(&["check", "--max-age", "10m", "--format", "json"]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["status"], &json["exit"], &json["outcome"]),
        (&"WARNING".into(), &1.into(), &"taken-over".into())
    );
}

#[test]
fn f001_who_reaches_no_target_knows_nothing() {
    let lab = seasoned();
    lab.inject(&Fault::AllTargetsDead).unwrap();
    let (text, figures) = checked(&lab, &[], 3);
    assert!(text.contains("none of 3 targets answers this standby"), "{text}");
    assert!(figure(&figures, "good_targets").value < 1.0, "{figures:?}");
}

#[test]
fn f025_a_key_that_nobody_accepts_is_unknown_and_named() {
    let lab = seasoned();
    for n in 0..6 {
        lab.inject(&Fault::SshdRefusesKey(n)).unwrap();
    }
    let (text, figures) = checked(&lab, &[], 3);
    assert!(text.contains("0 of 6 backends gave a verdict, 3 are needed; 6 login: the login was refused"), "{text}");
    assert_eq!((figure(&figures, "silent").value, figure(&figures, "reaches").value), (6.0, 0.0));
}

#[test]
fn what_keeps_it_from_looking_is_unknown_on_stdout() {
    let lab = seasoned();
    lab.configure(&[("decision.threshold", "0"), ("decision.rounds", "99")]).unwrap();
    let (text, figures) = checked(&lab, &[], 3);
    assert!(text.contains("natwatch.toml:") && text.ends_with("(and 1 more: see natwatch status)"), "{text}");
    assert!(figures.is_empty());
    let run = lab.natwatch(&["check", "--format", "json"]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.status, &json["status"]), (Some(3), &"UNKNOWN".into()), "{run}");
    assert_eq!(json["errors"].as_array().unwrap().len(), 2, "{run}");

    lab.configure(&[("standby.instance", "\"i-0123456789abcdef0\"")]).unwrap();
    let (text, _) = checked(&lab, &[], 3);
    assert!(text.contains(&lab.ids().standby.instance), "{text}");

    lab.configure(&[]).unwrap();
    let folder = lab.plan().state().join("natwatch");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (text, _) = checked(&lab, &[], 3);
    assert!(text.contains("can be written by others"), "{text}");

    for age in ["10", "0s", "800h"] {
        let run = lab.natwatch(&["check", "--max-age", age]).unwrap();
        assert_eq!((run.status, run.stdout.as_str()), (Some(64), ""), "{run}");
        assert!(run.stderr.contains("within \"1s\" and \"720h\""), "{run}");
    }
}

#[test]
fn f094_that_nobody_runs_natwatch_is_a_warning_however_healthy_the_network() {
    let lab = seasoned();
    // The last run is young: judged without a question to anybody.
    lab.api().forget_calls();
    let (text, figures) = checked(&lab, &["--max-age", "10m"], 0);
    assert!(text.contains("; by the run "), "{text}");
    assert!(lab.api().calls().is_empty(), "{:?}", lab.api().calls());
    assert_eq!(figure(&figures, "age").warn, "600");
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    checked(&lab, &["--max-age", "10m"], 0);
    lab.heal_all().unwrap();

    made_older(&lab, jiff::SignedDuration::from_hours(3));
    let (text, figures) = checked(&lab, &["--max-age", "10m"], 1);
    assert!(text.contains("backends reach; the last run was 3 h ago: is the timer running?"), "{text}");
    assert!(figure(&figures, "age").value >= 10_800.0, "{figures:?}");
    // Told, and no fault, where nobody has asked for more.
    let (text, _) = checked(&lab, &[], 0);
    assert!(text.contains("last run 3 h ago"), "{text}");
    // Worse stays worse.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    checked(&lab, &["--max-age", "10m"], 2);
    lab.heal_all().unwrap();

    made_older(&lab, jiff::SignedDuration::from_hours(-30));
    let (text, _) = checked(&lab, &["--max-age", "10m"], 1);
    assert!(text.contains("was the clock set back?"), "{text}");

    std::fs::remove_file(lab.plan().state().join("natwatch/last-round.json")).unwrap();
    let (text, figures) = checked(&lab, &["--max-age", "10m"], 1);
    assert!(text.contains("no run is on record: is the timer running?"), "{text}");
    assert!(figures.iter().all(|one| one.label != "age"), "{figures:?}");
    let (text, _) = checked(&lab, &[], 0);
    assert!(text.ends_with("no run is on record"), "{text}");
}

#[test]
fn a_check_on_a_machine_that_has_never_run_makes_no_folder() {
    let lab = seasoned();
    let folder = lab.plan().state().join("natwatch");
    std::fs::remove_dir_all(&folder).unwrap();
    checked(&lab, &[], 0);
    assert!(!folder.exists());
}

#[test]
fn f068_a_run_that_was_killed_in_a_takeover_is_not_hidden_by_the_healthy_one_before() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    let run = lab.command(&["run", "-v"]).spawn().unwrap();
    run.wait_output("moved after", SOON).unwrap();
    // In the middle, for as long as that takes: a process that is stopped has its locks.
    stopped(&run);
    // While it works, the network is judged, and who works is named.
    let (text, _) = checked(&lab, &["--max-age", "10m"], 2);
    assert!(text.contains("is moving subnets now"), "{text}");
    run.kill(Signal::KILL).unwrap();
    run.wait(SOON).unwrap();
    lab.api().disarm(None);
    let (text, _) = checked(&lab, &["--max-age", "10m"], 2);
    assert!(!text.contains("by the run"), "{text}");
}

#[test]
fn a_reset_is_not_hidden_by_the_locked_run_before() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    assert_eq!(lab.natwatch(&["run"]).unwrap().status, Some(4));
    lab.heal_all().unwrap();
    for subnet in 0..2 {
        lab.associate(subnet, &lab.ids().primary.table).unwrap();
    }
    let reset = lab.natwatch(&["reset", "--yes"]).unwrap();
    assert_eq!(reset.status, Some(0), "{reset}");
    let (text, _) = checked(&lab, &["--max-age", "10m"], 0);
    assert!(!text.contains("by the run"), "{text}");
}

#[test]
fn a_pause_is_a_warning_and_an_outage_in_it_critical() {
    let lab = seasoned();
    let run = lab.natwatch(&["pause", "--for", "30m", "--reason", "new | kernel"]).unwrap();
    assert_eq!(run.status, Some(0), "{run}");
    for args in [&[][..], &["--max-age", "10m"]] {
        let (text, _) = checked(&lab, args, 1);
        assert!(text.contains("backends reach; paused until 20") && text.contains(": new \\u{7c} kernel; "), "{text}");
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let (text, _) = checked(&lab, &[], 2);
    assert!(text.contains("; paused until 20"), "{text}");

    // One of a newer natwatch holds, and nobody can know here for how long.
    lab.heal_all().unwrap();
    fs::write(lab.plan().state().join("natwatch/pause.json"), "{\"version\": 99}").unwrap();
    let (text, _) = checked(&lab, &[], 1);
    assert!(text.contains("paused until 9999"), "{text}");
}

#[test]
fn f088_a_closed_pipe_leaves_the_status() {
    let lab = seasoned();
    cut_off(&lab, "b3");
    // Descriptor 4 is a pipe whose reader has gone.
    let script = format!("exec 4> >(exit 0); wait $!; {} check >&4; echo status=$?", lab.plan().binary().display());
    let shell = lab.program("nat2", "/bin/bash", &["-c", &script]);
    let run = with_environment(&lab, shell).run().unwrap();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("status=1\n", ""), "{run}");
}

#[test]
fn a_signal_ends_it_as_unknown_and_leaves_nothing_behind() {
    let lab = seasoned();
    for n in 0..6 {
        lab.inject(&Fault::SlowLogin(n, 8)).unwrap();
    }
    let run = lab.command(&["check"]).spawn().unwrap();
    let sockets = format!("natwatch-{}-", run.pid());
    let until = std::time::Instant::now() + SOON;
    while logins(&lab) == 0 {
        assert!(std::time::Instant::now() < until, "it has not begun");
    }
    run.kill(Signal::TERM).unwrap();
    let run = run.wait(SOON).unwrap();
    assert_eq!(run.status, Some(3), "{run}");
    assert_eq!(run.stdout, "NATWATCH UNKNOWN - ended by signal 15\n");
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(&sockets)));
    let until = std::time::Instant::now() + SOON;
    while logins(&lab) > 0 {
        assert!(std::time::Instant::now() < until, "ssh goes on");
    }
}

/// How many `ssh` processes there are on the standby.
fn logins(lab: &Lab) -> usize {
    let ns = &lab.plan().nat(Nat::Standby).unwrap().ns;
    let pids = std::process::Command::new("ip").args(["netns", "pids", ns]).output().unwrap();
    let pids = String::from_utf8(pids.stdout).unwrap();
    let lines = pids.lines().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).next().is_some_and(|program| program.ends_with(b"ssh"))).count()
}

fn with_environment(lab: &Lab, invocation: natwatch_lab::Invocation) -> natwatch_lab::Invocation {
    invocation
        .env("NATWATCH_CONFIG", lab.plan().config().to_str().unwrap())
        .env("AWS_ENDPOINT_URL_EC2", &lab.plan().endpoint())
        .env("AWS_CA_BUNDLE", lab.plan().ca().to_str().unwrap())
}

/// Icinga's configuration: the service is checked by natwatch as its own user, and each result is told as Icinga has understood it.
fn icinga_configuration(lab: &Lab) -> String {
    format!(
        r#"object CheckerComponent "checker" {{}}
object PerfdataWriter "told" {{
  service_perfdata_path = "{folder}/service"
  service_temp_path = "{folder}/service.new"
  host_perfdata_path = "{folder}/host"
  host_temp_path = "{folder}/host.new"
  service_format_template = "$told$"
}}
object CheckCommand "natwatch" {{
  command = [ "/usr/bin/setpriv", "--reuid", "{UID}", "--regid", "{UID}", "--clear-groups",
              "--inh-caps=+net_raw", "--ambient-caps=+net_raw", "{natwatch}", "check" ]
  env = {{ "NATWATCH_CONFIG" = "{config}", "AWS_ENDPOINT_URL_EC2" = "{endpoint}", "AWS_CA_BUNDLE" = "{ca}" }}
}}
object Host "standby" {{
  check_command = "natwatch"
  enable_active_checks = false
}}
object Service "nat" {{
  host_name = "standby"
  check_command = "natwatch"
  check_interval = 1s
  retry_interval = 1s
  vars.told = {{{{
    var figures = []
    for (figure in macro("$service.perfdata$").split(" ")) {{
      var parsed = parse_performance_data(figure)
      figures.add(parsed.label + "=" + parsed.value + parsed.unit + ";" + parsed.warn + ";" + parsed.crit)
    }}
    log(LogInformation, "told", macro("$service.state$") + " <" + macro("$service.output$") + "> " + figures.join(" "))
    return ""
  }}}}
}}
"#,
        folder = lab.plan().root.join("icinga").display(),
        natwatch = lab.plan().binary().display(),
        config = lab.plan().config().display(),
        endpoint = lab.plan().endpoint(),
        ca = lab.plan().ca().display(),
    )
}

#[test]
fn icinga_understands_state_text_and_figures() {
    let lab = seasoned();
    let folder = lab.plan().root.join("icinga");
    std::fs::create_dir(&folder).unwrap();
    let configuration = folder.join("icinga2.conf");
    std::fs::write(&configuration, icinga_configuration(&lab)).unwrap();
    let mut args = vec!["daemon".to_owned(), "-c".to_owned(), configuration.to_str().unwrap().to_owned()];
    for (name, value) in [("RunAsUser", "root"), ("RunAsGroup", "root")] {
        args.push(format!("-DConfiguration.{name}={value}"));
    }
    for name in ["DataDir", "CacheDir", "LogDir", "InitRunDir", "SpoolDir"] {
        let path = folder.join(name);
        std::fs::create_dir(&path).unwrap();
        args.push(format!("-DConfiguration.{name}={}", path.display()));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let icinga = lab.program("nat2", "/usr/sbin/icinga2", &args).spawn().unwrap();
    icinga.wait_output("OK <NATWATCH OK - ", SOON).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // The first of them may have begun before there was an outage.
    let critical = "information/told: CRITICAL <NATWATCH CRITICAL - ";
    let until = Instant::now() + SOON;
    while icinga.stdout().matches(critical).count() < 2 {
        assert!(Instant::now() < until, "{}", icinga.stdout());
        std::thread::sleep(Duration::from_millis(20));
    }
    icinga.kill(Signal::TERM).unwrap();
    let run = icinga.wait(SOON).unwrap();
    let told = |state: &str| {
        let start = format!("information/told: {state} <NATWATCH {state} - ");
        let mut told = run.stdout.lines().rev().filter_map(|line| line.split_once(&start));
        told.next().unwrap_or_else(|| panic!("{run}")).1.to_owned()
    };
    let (healthy, down) = (told("OK"), told("CRITICAL"));
    for figure in ["cut_off=0;0;", "good_targets=3;", "rtt=0.", "age=", "time="] {
        assert!(healthy.contains(&format!(" {figure}")), "{figure}: {healthy}");
    }
    assert!(healthy.contains("seconds;"), "the unit is understood: {healthy}");
    assert!(down.contains("backends are cut off") && down.contains("reaches=0;"), "{down}");
    assert!(!run.stdout.contains("invalid perfdata") && !run.stdout.contains("critical/"), "{run}");
}
