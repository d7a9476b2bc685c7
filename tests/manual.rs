//! What natwatch prints for shells and for man(1): kept in the tree for packages, compared with the program, and tried with those who
//! read it. Needs no root.
//!
//! `NATWATCH_BLESS=1 cargo test --test manual` writes the files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use natwatch::cli::described;
use natwatch::config::KEYS;

/// What is kept of what is printed: the file in the tree, and the arguments of `natwatch print`.
const KEPT: [(&str, &[&str]); 5] = [
    ("packaging/man/natwatch.1", &["man"]),
    ("packaging/man/natwatch.toml.5", &["man", "natwatch.toml"]),
    ("packaging/completions/natwatch.bash", &["completions", "bash"]),
    ("packaging/completions/_natwatch", &["completions", "zsh"]),
    ("packaging/completions/natwatch.fish", &["completions", "fish"]),
];

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    let path = path(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn printed(what: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_natwatch")).arg("print").args(what).output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "natwatch print {what:?}: {out:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// What a tool from Debian's `package` makes of its arguments.
fn tool(name: &str, package: &str, args: &[&str]) -> Output {
    let out = Command::new(name).args(args).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8").output();
    out.unwrap_or_else(|error| panic!("{name}: {error}: `lab setup` installs it, or apt-get install {package}"))
}

#[test]
fn what_packages_install_is_what_the_program_prints() {
    for (file, what) in KEPT {
        let printed = printed(what);
        if std::env::var_os("NATWATCH_BLESS").is_some() {
            fs::create_dir_all(path(file).parent().unwrap()).unwrap();
            fs::write(path(file), &printed).unwrap();
        }
        assert!(
            read(file) == printed,
            "{file} is behind the program: NATWATCH_BLESS=1 cargo test --workspace --test manual writes it"
        );
    }
}

#[test]
fn as_json_what_is_printed_is_one_document() {
    let out = printed(&["man", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["man"], read("packaging/man/natwatch.1"));
}

#[test]
fn the_manual_is_a_manual_to_those_who_read_it() {
    for file in ["packaging/man/natwatch.1", "packaging/man/natwatch.toml.5"] {
        let file = path(file);
        let lint = tool("mandoc", "mandoc", &["-T", "lint", "-W", "warning", file.to_str().unwrap()]);
        let said = String::from_utf8(lint.stdout).unwrap();
        // A date would be another one at each build; there is none.
        let faults: Vec<&str> = said.lines().filter(|line| !line.contains("cannot parse date")).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// The page as it is read, one blank between words.
fn page(file: &str) -> String {
    let file = path(file);
    let out = tool("mandoc", "mandoc", &["-T", "utf8", "-O", "width=1000", file.to_str().unwrap()]);
    let text = String::from_utf8(out.stdout).unwrap();
    let mut plain = String::new();
    // Bold and underlined are overstruck.
    for c in text.chars() {
        if c == '\u{8}' {
            let _ = plain.pop();
        } else {
            plain.push(c);
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_manual_has_every_command_flag_key_and_file() {
    let text = page("packaging/man/natwatch.1");
    for one in described() {
        for argument in &one.arguments {
            assert!(text.contains(&argument.forms), "natwatch.1 lacks {} of natwatch {}", argument.forms, one.words);
            assert!(text.contains(&argument.help), "natwatch.1 lacks {:?}", argument.help);
        }
        for (line, does) in one.examples {
            assert!(text.contains(&format!("natwatch {line}")) && text.contains(does), "natwatch.1 lacks {line:?}");
        }
    }
    let places: Vec<usize> =
        ["SYNOPSIS", "EXAMPLES", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXIT STATUS", "FILES", "ENVIRONMENT"]
            .iter()
            .map(|title| text.find(title).unwrap_or_else(|| panic!("no {title}")))
            .collect();
    assert!(places.is_sorted(), "{places:?}");

    let text = page("packaging/man/natwatch.toml.5");
    for key in KEYS {
        for wanted in [key.split().1, key.doc, &key.accepted()] {
            assert!(text.contains(wanted), "natwatch.toml.5 lacks {wanted:?} of {}", key.path);
        }
    }
}

/// What bash offers after `natwatch` and these words, the last of which is being typed.
fn bash_offers(words: &[&str]) -> Vec<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  _natwatch \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let file = path("packaging/completions/natwatch.bash");
    let mut args = vec!["--norc", "-c", script, "bash", file.to_str().unwrap(), "natwatch"];
    args.extend(words);
    let out = tool("bash", "bash", &args);
    assert!(out.status.success() && out.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    assert_eq!(bash_offers(&["fail"]), ["failback"]);
    let commands = bash_offers(&[""]);
    for one in described().iter().filter_map(|one| one.words.split(' ').next()).filter(|word| !word.is_empty()) {
        assert!(commands.iter().any(|offered| offered == one), "{one} is not among {commands:?}");
    }
    assert_eq!(bash_offers(&["run", "--dr"]), ["--dry-run"]);
    assert_eq!(bash_offers(&["status", "--format", ""]), ["text", "json"]);
    assert_eq!(bash_offers(&["print", "man", "natwatch."]), ["natwatch.toml"]);
    assert_eq!(bash_offers(&["print", "completions", "z"]), ["zsh"]);
}

#[test]
fn shells_find_no_fault_with_their_completions() {
    for (shell, package, flag, file) in [
        ("bash", "bash", "-n", "packaging/completions/natwatch.bash"),
        ("zsh", "zsh", "-n", "packaging/completions/_natwatch"),
        ("fish", "fish", "--no-execute", "packaging/completions/natwatch.fish"),
    ] {
        let out = tool(shell, package, &[flag, path(file).to_str().unwrap()]);
        assert!(out.status.success() && out.stderr.is_empty(), "{file}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let file = path("packaging/completions/natwatch.fish");
    let script = format!("source '{}'; complete -C 'natwatch failb'", file.display());
    let offered = String::from_utf8(tool("fish", "fish", &["--no-config", "-c", &script]).stdout).unwrap();
    assert!(offered.starts_with("failback\t"), "{offered}");
}
