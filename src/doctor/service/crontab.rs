//! Which crontabs run natwatch by one configuration (crontab(5), cron(8)).
//!
//! It reads lines, and is no shell: what a script does that cron runs is not seen.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where cron's entries are: those of packages and operators, and each user's own, which only root may read (cron(8)).
const CRONTABS: [&str; 4] = ["/etc/crontab", CRON_D, "/var/spool/cron/crontabs", "/var/spool/cron"];

/// Here cron reads files of some names only.
const CRON_D: &str = "/etc/cron.d";

/// A crontab is no larger; more is not read.
const LARGEST: u64 = 1 << 20;

/// The configuration where none is named.
const DEFAULT: &str = "/etc/natwatch/natwatch.toml";

/// And the variable that names one (`--config`).
const VARIABLE: &str = "NATWATCH_CONFIG";

/// Whether both name the same file.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    one == other || matches!((real(one), real(other)), (Ok(one), Ok(other)) if one == other)
}

/// The crontabs in which a line runs natwatch by `config`.
pub(super) fn with(config: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in CRONTABS.map(Path::new) {
        let inside = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = std::iter::once(place.to_owned()).chain(inside);
        found.extend(all.filter(|path| is_looked_at(path) && runs_natwatch(path, config)));
    }
    found
}

/// In `/etc/cron.d` names are those that run-parts(8) takes: a `natwatch.bak` or `natwatch.dpkg-old` there is run by nobody.
fn is_looked_at(path: &Path) -> bool {
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    path.parent() != Some(Path::new(CRON_D)) || path.file_name().and_then(|name| name.to_str()).is_some_and(plain)
}

fn runs_natwatch(path: &Path, config: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    // Cron skips what others could have written (cron(8)), and so do we; a FIFO would never end.
    let sound = meta.is_file() && meta.len() <= LARGEST && meta.mode() & 0o022 == 0;
    sound && std::fs::read_to_string(path).is_ok_and(|text| configurations(&text).iter().any(|one| same(one, config)))
}

/// The configurations by which the entries of a crontab run natwatch.
fn configurations(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // What is assigned holds for the lines below it.
    let mut assigned = DEFAULT.to_owned();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        match line.split_once('=').map(|(name, value)| (bare(name), bare(value))) {
            Some((VARIABLE, value)) => value.clone_into(&mut assigned),
            _ => found.extend(by_entry(line, &assigned)),
        }
    }
    // Where a relative path leads is cron's to know.
    found.into_iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect()
}

/// A word without its quotes.
fn bare(word: &str) -> &str {
    word.trim().trim_matches(['\'', '"'])
}

/// The configuration by which this entry runs natwatch, if it does and means it: the command somewhere, `run` behind it, and no `--dry-run`.
fn by_entry(line: &str, assigned: &str) -> Option<String> {
    let mut assigned = assigned.to_owned();
    for command in line.split([';', '&', '|', '(', ')']) {
        let words: Vec<&str> = command.split(|c: char| c.is_whitespace() || c == '>' || c == '<').map(bare).collect();
        for word in &words {
            if let Some((VARIABLE, value)) = word.split_once('=') {
                bare(value).clone_into(&mut assigned);
            }
        }
        // The last: the user's column may be called natwatch too, and before it may be a `timeout` with options of its own.
        let at = words.iter().rposition(|word| *word == "natwatch" || word.ends_with("/natwatch"));
        let named = at.and_then(|at| words.get(at + 1..)).and_then(|options| named(options, &assigned));
        if named.is_some() {
            return named;
        }
    }
    None
}

/// What these words behind the command name, if they are a `run` that may act.
fn named(options: &[&str], assigned: &str) -> Option<String> {
    let mut config = assigned.to_owned();
    let mut runs = false;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--dry-run" => return None,
            "run" => runs = true,
            "-c" | "--config" => (*options.next()?).clone_into(&mut config),
            other => {
                if let Some(value) = other.strip_prefix("--config=").or_else(|| short(other)) {
                    bare(value).clone_into(&mut config);
                }
            }
        }
    }
    runs.then_some(config)
}

/// `-cFILE`, `-c=FILE`.
fn short(option: &str) -> Option<&str> {
    option.strip_prefix("-c").map(|value| value.trim_start_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "/etc/natwatch/web.toml";

    #[test]
    fn an_entry_of_cron_is_known_by_its_command_and_its_configuration_and_a_comment_is_none() {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
        assert_eq!(configurations(&shipped), [Path::new(DEFAULT)]);
        for (text, expected) in [
            ("*/2 * * * * natwatch /usr/bin/natwatch run", Some(DEFAULT)),
            ("*/2 * * * * natwatch run", Some(DEFAULT)),
            ("@reboot root /usr/local/bin/natwatch -c /etc/natwatch/web.toml run", Some(WEB)),
            ("*/2 * * * * natwatch timeout -k 10 150 natwatch run --config=/etc/natwatch/web.toml -v", Some(WEB)),
            ("*/2 * * * * natwatch natwatch --config /etc/natwatch/web.toml run >/dev/null 2>&1", Some(WEB)),
            ("*/2 * * * * natwatch natwatch -c/etc/natwatch/web.toml run; touch /run/natwatch", Some(WEB)),
            ("*/2 * * * * root NATWATCH_CONFIG=/etc/natwatch/web.toml natwatch run", Some(WEB)),
            ("*/2 * * * * root export NATWATCH_CONFIG='/etc/natwatch/web.toml'; natwatch run", Some(WEB)),
            ("NATWATCH_CONFIG = \"/etc/natwatch/web.toml\"\n*/2 * * * * root natwatch run", Some(WEB)),
            ("*/2 * * * * root /bin/sh -c 'cd / && natwatch run -c /etc/natwatch/web.toml'", Some(WEB)),
            ("*/2 * * * * natwatch natwatch run --dry-run", None),
            ("*/2 * * * * natwatch natwatch run -c web.toml", None),
            ("# */2 * * * * natwatch /usr/bin/natwatch run", None),
            ("0 0 * * * root /usr/bin/natwatch status", None),
            ("0 0 * * * root run-parts /etc/natwatch", None),
            ("MAILTO=natwatch", None),
            ("", None),
        ] {
            assert_eq!(configurations(text), expected.map(PathBuf::from).into_iter().collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn what_cron_does_not_look_at_runs_nothing() {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("natwatch");
        std::fs::write(&path, shipped).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(runs_natwatch(&path, Path::new(DEFAULT)));
        assert!(!runs_natwatch(&path, Path::new(WEB)), "another's entry");
        mode(0o666);
        assert!(!runs_natwatch(&path, Path::new(DEFAULT)), "cron does not run it either");
        assert!(!runs_natwatch(folder.path(), Path::new(DEFAULT)));
        for (path, expected) in [
            ("/etc/cron.d/natwatch", true),
            ("/etc/cron.d/nat_watch-2", true),
            ("/etc/cron.d/natwatch.dpkg-old", false),
            ("/etc/cron.d/natwatch~", false),
            ("/var/spool/cron/crontabs/first.last", true),
            ("/etc/crontab", true),
        ] {
            assert_eq!(is_looked_at(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_link_to_the_configuration_is_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("web.toml"), folder.path().join("link.toml"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(same(&file, &link) && !same(&file, Path::new(DEFAULT)));
    }
}
