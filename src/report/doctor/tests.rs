use serde_json::Value;

use super::*;

fn found(id: &'static str, fitness: Fitness, of: Option<&str>, text: &str) -> Finding {
    Finding { of: of.map(str::to_owned), ..Finding::new(Topic::Backends, id, fitness, text.to_owned()) }
}

fn diagnosis(fitness: Fitness, findings: Vec<Finding>) -> Diagnosis {
    Diagnosis { name: "natwatch".to_owned(), fitness, exit: 2, findings, elapsed: Duration::from_millis(1200) }
}

fn of_each_kind() -> Diagnosis {
    let forwarding = Finding::new(Topic::Forwarding, "forwarding", Fitness::Unfit, "no forwarding".to_owned());
    diagnosis(
        Fitness::Unfit,
        vec![
            forwarding.remedy("sysctl -w net.ipv4.ip_forward=1"),
            found("backend-login", Fitness::Fit, Some("b0"), "our key is accepted"),
            found("backend-login", Fitness::Fit, Some("b1"), "our key is accepted"),
            found("backend-ping", Fitness::Warning, Some("b1"), "no ping")
                .details(vec!["sh: ping: not found".to_owned()]),
            found("witnesses", Fitness::Unknown, None, "not told"),
        ],
    )
}

#[test]
fn elsewhere_than_on_a_terminal_each_kind_of_finding_is_a_line_with_its_topic() {
    let expected = "\
FAIL  forwarding: no forwarding
      sysctl -w net.ipv4.ip_forward=1
ok    backends: b0, b1: our key is accepted
WARN  backends: b1: no ping
      sh: ping: not found
???   backends: not told
natwatch: unfit: a takeover would not happen, or would not help (1 unfit, 1 could not be told, 1 to look at, 1 fit; in 1.2 s)
";
    assert_eq!(text(&of_each_kind(), false, Style::PLAIN), expected);
}

#[test]
fn quiet_shows_what_is_not_fit_and_nothing_at_all_where_all_is() {
    let said = text(&of_each_kind(), true, Style::PLAIN);
    assert!(!said.contains("ok  ") && said.contains("FAIL") && said.contains("WARN") && said.contains("???"), "{said}");
    let fit = diagnosis(Fitness::Fit, vec![found("ssh", Fitness::Fit, None, "there")]);
    assert_eq!(text(&fit, true, Style::PLAIN), "");
    assert!(text(&fit, false, Style::PLAIN).ends_with("natwatch: fit: a takeover would work (1 fit; in 1.2 s)\n"));
}

#[test]
fn a_terminal_shows_signs_in_colour_under_each_topic() {
    let style = Style { terminal: true, colour: true, ascii: false };
    let said = text(&of_each_kind(), false, style);
    let expected = "\
\u{1b}[1mforwarding\u{1b}[0m
  \u{1b}[31m✗\u{1b}[0m no forwarding
    sysctl -w net.ipv4.ip_forward=1
\u{1b}[1mbackends\u{1b}[0m
  \u{1b}[32m✓\u{1b}[0m b0, b1: our key is accepted
";
    assert!(said.starts_with(expected), "{said}");
    let plain = text(&of_each_kind(), false, Style { colour: false, ascii: true, ..style });
    assert!(plain.is_ascii() && plain.contains("  FAIL no forwarding\n       sysctl"), "{plain}");
}

#[test]
fn a_hundred_hosts_with_one_fault_are_one_line() {
    let one = |n: usize| {
        found("backend-host-key", Fitness::Warning, Some(&format!("b{n}")), "the host key is not known")
            .details(vec![format!("of b{n}")])
            .remedy(format!("ssh-keyscan b{n}"))
    };
    let said = text(&diagnosis(Fitness::Warning, (0..100).map(one).collect()), false, Style::PLAIN);
    let expected = "\
WARN  backends: b0, b1, b2, b3, b4 and 95 more: the host key is not known
      b0: of b0
      b1: of b1
      b2: of b2
      and 97 more such lines (--format json has all)
      ssh-keyscan b0
      ssh-keyscan b1
      ssh-keyscan b2
      and likewise for 97 more (--format json has all)
";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(said.lines().count(), 10, "{said}");
}

#[test]
fn findings_of_nothing_in_particular_and_other_texts_stay_apart() {
    let all = diagnosis(
        Fitness::Warning,
        vec![
            found("advice", Fitness::Warning, None, "a"),
            found("advice", Fitness::Warning, None, "a"),
            found("target", Fitness::Fit, Some("1.1.1.1"), "answers in 1.0 ms"),
            found("target", Fitness::Fit, Some("8.8.8.8"), "answers in 2.0 ms"),
        ],
    );
    assert_eq!(text(&all, false, Style::PLAIN).lines().count(), 5);
    let forwarding = found("forwarding", Fitness::Fit, Some("IPv4"), "IPv4 packets are forwarded");
    let said = text(&diagnosis(Fitness::Fit, vec![forwarding]), false, Style::PLAIN);
    assert!(said.starts_with("ok    backends: IPv4 packets are forwarded\n"), "{said}");
}

#[test]
fn details_of_one_finding_are_all_shown() {
    let lines = ["- 10.1.0.0/16 pcx-0a", "+ 10.2.0.0/16 pcx-0b", "- a", "- b", "- c"].map(str::to_owned).to_vec();
    let tables = found("tables-differ", Fitness::Warning, None, "the tables differ").details(lines);
    let said = text(&diagnosis(Fitness::Warning, vec![tables]), false, Style::PLAIN);
    assert_eq!(said.lines().count(), 7, "{said}");
}

#[test]
fn f035_nothing_from_outside_is_printed_raw() {
    let evil = "\x1b[31m\u{202e}";
    let finding = found("target", Fitness::Warning, Some(evil), evil).details(vec![evil.to_owned()]).remedy(evil);
    let all = Diagnosis { name: evil.to_owned(), ..diagnosis(Fitness::Warning, vec![finding]) };
    let style = Style { ascii: false, ..Style::PLAIN };
    for said in [text(&all, false, style), json(&all)] {
        assert!(!said.contains('\x1b') && !said.contains('\u{202e}'), "{said}");
    }
}

#[test]
fn the_document_has_every_finding_with_all_its_keys() {
    let json = json(&of_each_kind());
    assert!(json.ends_with('\n') && json.matches('\n').count() == 1);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["name"], &json["fitness"], &json["exit"]), (&"natwatch".into(), &"unfit".into(), &2.into()));
    assert_eq!(json["elapsed_ms"], 1200);
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 5);
    for one in findings {
        let keys: Vec<&str> = one.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = ["topic", "id", "of", "fitness", "cause", "text", "details", "remedy"];
        expected.sort_unstable();
        let mut keys = keys;
        keys.sort_unstable();
        assert_eq!(keys, expected);
    }
    assert_eq!(findings[3]["details"][0], "sh: ping: not found");
}
