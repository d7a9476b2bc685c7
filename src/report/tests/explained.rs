//! `replay` as text.

use std::path::Path;

use super::super::{Style, replay};
use crate::decide::explain;
use crate::replay::Input;

const WIDE: Style = Style { terminal: true, colour: false, ascii: false };

fn read(text: &str) -> Input {
    Input::parse(Path::new("night.toml"), text.as_bytes()).unwrap()
}

fn told(text: &str, style: Style) -> String {
    let input = read(text);
    let differences = input.differences();
    replay::text(input.about.as_deref(), &explain(&input.case), &input.pass(), Some(&differences), style)
}

const HELD: &str = "about = \"Held, since it has just booted\"
[[rounds]]
cut_off = { subnet-a = 2 }
reaching = { subnet-b = 1 }
silent = { subnet-b = 1 }
dead = [\"198.51.100.1\"]
[rounds.backends]
web1 = { subnet = \"subnet-a\", missed = [\"192.0.2.1\", \"192.0.2.3\"] }
[[rounds]]
started = \"3s\"
cut_off = { subnet-a = 3 }
[survey]
uptime = \"1m\"
[expect]
verdicts = [\"down\", \"down\"]
outcome = \"down\"
exit = 2
gate = \"booting\"
";

#[test]
fn a_held_pass_is_told_rule_by_rule() {
    assert_eq!(
        told(HELD, WIDE),
        "\
Held, since it has just booted

Round 1, 0.0 ms to 700 ms
  yes  controls        3 of 4 targets good, having answered this standby; 1
                       needed, 2 to accuse
       192.0.2.1: good, answered in 12 ms
       192.0.2.2: good, answered in 12 ms
       192.0.2.3: good, answered in 12 ms
       198.51.100.1: not good, no reply
  yes  witnesses       5 of 5 backends may accuse the primary
       subnet-a-1 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.2,
         192.0.2.3; 2 good ones needed
       subnet-a-2 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.2,
         192.0.2.3; 2 good ones needed
       subnet-b-1 (subnet-b): reaches: 192.0.2.1 answered in 12 ms
       subnet-b-2 (subnet-b): silent, hung: no answer by its deadline
       web1 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.3; 2 good
         ones needed
  yes  heard           4 gave a verdict (1 reach, 3 cut off), 3 needed
  yes  cut off         3, 3 needed
  yes  share           3 of 4, more than 50 % of them needed
  yes  subnets         none with two or more heard backends has all of them
                       reaching
  so down: 3 of 4 backends are cut off

Round 2, 3.0 s to 3.7 s
  yes  controls        3 of 3 targets good, having answered this standby; 1
                       needed, 2 to accuse
       192.0.2.1: good, answered in 12 ms
       192.0.2.2: good, answered in 12 ms
       192.0.2.3: good, answered in 12 ms
  yes  witnesses       3 of 3 backends may accuse the primary
       subnet-a-1 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.2,
         192.0.2.3; 2 good ones needed
       subnet-a-2 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.2,
         192.0.2.3; 2 good ones needed
       subnet-a-3 (subnet-a): cut off, a witness: missed 192.0.2.1, 192.0.2.2,
         192.0.2.3; 2 good ones needed
  yes  heard           3 gave a verdict (0 reach, 3 cut off), 3 needed
  yes  cut off         3, 3 needed
  yes  share           3 of 3, more than 50 % of them needed
  yes  subnets         none with two or more heard backends has all of them
                       reaching
  so down: 3 of 3 backends are cut off

The rounds in a row
  round 1 down: 1 in a row, spanning 0 ms
  round 2 down: 2 in a row, spanning 3 s
  yes  rounds          2 down in a row, 2 needed
  yes  span            3 s from the first counted miss to the last, 3 s needed
  yes  fresh           weighed 0 ms after the last round ended, at most 1 s
                       counts, and 700 ms after its last miss, at most 5 s
  so enough to act on

Gates
  holds  booting         this instance booted 60 s ago, decision.min_uptime is
                         300 s; 240 s to go
  free   locked          no takeover is on record
  free   paused          no pause is on
  free   already-active  2 subnets on rtb-0a
  free   unfit           it forwards, rtb-0b leads here; masquerading: present
  free   too-many        2 subnets on rtb-0a, at most 50 may move
  free   foreign         rtb-0a and rtb-0b are in one VPC

By hand
  aws ec2 replace-route-table-association --association-id rtbassoc-a --route-table-id rtb-0b
  aws ec2 replace-route-table-association --association-id rtbassoc-b --route-table-id rtb-0b

replay: down, held by gate booting: 3 of 3 backends are cut off, and nothing is
  moved: this instance booted 60 s ago, decision.min_uptime is 300 s; 240 s to
  go
exit 3: unknown: nothing can be said about the primary now
not as the file says:
  exit: the file says 2, these rules say 3
"
    );
}

#[test]
fn a_quiet_pass_says_what_else_it_looked_at() {
    let text = told("about = \"x\"\n[[rounds]]\nreaching = { subnet-a = 3 }\n[world]\nlock = \"taken\"\n", WIDE);
    let besides = text.split_once("The rounds in a row\n").unwrap().1;
    assert_eq!(
        besides,
        "  round 1 healthy: calm
  no   rounds          the last round is not down
  so not enough to act on

Besides
  yes  deadline        the rounds came to their end before it
  no   lock            a complete takeover is on record, but no guarded subnet
                       is on the standby's table
  yes  guarded         1 subnet guarded, at most 50 are allowed; 1 on rtb-0a, 0
                       on rtb-0b
  yes  fit             nothing is known that would hold a takeover
  yes  memory          what was seen can be kept

replay: no-redundancy: traffic flows (3 backends reach), but nothing stands by:
  no guarded subnet is where this standby would take it from
exit 1: degraded, or healthy without redundancy
as the file says
"
    );
}

#[test]
fn f035_escapes_in_a_file_are_never_replayed_raw() {
    let hostile = "about = \"\\u001b]0;about\\u0007\"\nforgets = \"\\u001b[31m\"\n[[rounds]]\nunresolved = [\"\\u009bname\"]\n\
        reaching = { \"\\u001bsubnet\" = 3 }\n[rounds.backends]\n\"\\u001bhost\" = { subnet = \"\\u202eb\", silent = \"nonsense\", \
        detail = \"\\u001b[2Jgone\\nNew line\" }\n[world]\nunreadable = \"\\u001b[record\"\nunknown = \"\\u001b[what\"\n";
    let input = read(hostile);
    let found = vec!["\x1b[edited".to_owned()];
    for style in [WIDE, Style::PLAIN] {
        let text = replay::text(input.about.as_deref(), &explain(&input.case), &input.pass(), Some(&found), style);
        assert!(!text.contains(['\x1b', '\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
        assert!(text.contains("\\u{1b}[2Jgone\\u{a}New line"), "{text}");
    }
}

#[test]
fn every_scenario_is_told_in_80_columns_but_for_commands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending == "md") {
            continue;
        }
        let input = Input::read(&path).unwrap();
        let pass = input.pass();
        let pasted: Vec<&str> =
            pass.holds.iter().map(|hold| &hold.remedy).chain(&pass.commands).map(String::as_str).collect();
        let text = replay::text(input.about.as_deref(), &explain(&input.case), &pass, Some(&[]), Style::PLAIN);
        for line in text.lines() {
            let fits = line.len() <= 80 || pasted.contains(&line.trim());
            assert!(fits, "{}: {line}", path.display());
            assert_eq!(line.trim_end(), line, "{}: blanks at the end", path.display());
        }
    }
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let bright = told(HELD, Style { colour: true, ..WIDE });
    assert!(bright.contains("\x1b[31mholds\x1b[0m"), "{bright:?}");
    let mut plain = bright;
    for code in ["0", "1", "31", "32", "33"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(plain, told(HELD, WIDE));
}

#[test]
fn ids_are_told_with_their_names_but_in_commands() {
    let held = "about = \"x\"\n[[rounds]]\ncut_off = { subnet-a = 2, subnet-b = 2 }\n[[rounds]]\nstarted = \"3s\"\n\
                cut_off = { subnet-a = 2, subnet-b = 2 }\n";
    for (more, wanted) in
        [("[survey]\nuptime = \"1m\"\n", "By hand"), ("", "subnet-a (app a): rtb-0a -> rtb-0b (spare), by rtbassoc-a")]
    {
        let mut input = read(&format!("{held}{more}"));
        let guarded = input.case.guarded.as_mut().unwrap();
        guarded.names.learn("rtb-0b", Some("spare"));
        guarded.names.learn("subnet-a", Some("app a"));
        let text = replay::text(None, &explain(&input.case), &input.pass(), None, WIDE);
        for said in ["subnet-a-1 (subnet-a, app a): cut off", "rtb-0b (spare)", wanted] {
            assert!(text.contains(said), "{said} in {text}");
        }
        let pasted = text.lines().filter(|line| line.trim().starts_with("aws ec2"));
        assert!(pasted.clone().count() == if more.is_empty() { 0 } else { 2 }, "{text}");
        assert!(pasted.clone().all(|line| !line.contains("spare")), "{text}");
    }
}
