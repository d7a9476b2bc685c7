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

/// Where cron looks for programs unless it is told otherwise (crontab(5)).
const SEARCHED: &str = "/usr/bin:/bin";

/// And the variable that names one (`--config`).
const VARIABLE: &str = "NATWATCH_CONFIG";

/// Whether both name the same file.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    one == other || matches!((real(one), real(other)), (Ok(one), Ok(other)) if one == other)
}

/// A crontab, and the program that is natwatch by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crontab {
    pub(super) path: PathBuf,
    /// What its entry runs that is nowhere, where it is so: as typed.
    pub(super) absent: Option<String>,
}

/// The crontabs in which a line runs natwatch by `config`.
pub(super) fn with(config: &Path) -> Vec<Crontab> {
    let mut found = Vec::new();
    for place in CRONTABS.map(Path::new) {
        let inside = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = std::iter::once(place.to_owned()).chain(inside);
        found.extend(all.filter(|path| is_looked_at(path)).filter_map(|path| natwatch_by(&path, config)));
    }
    found
}

/// In `/etc/cron.d` names are those that run-parts(8) takes: a `natwatch.bak` or `natwatch.dpkg-old` there is run by nobody.
fn is_looked_at(path: &Path) -> bool {
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    path.parent() != Some(Path::new(CRON_D)) || path.file_name().and_then(|name| name.to_str()).is_some_and(plain)
}

fn natwatch_by(path: &Path, config: &Path) -> Option<Crontab> {
    let meta = std::fs::metadata(path).ok()?;
    // Cron skips what others could have written (cron(8)), and so do we; a FIFO would never end.
    let sound = meta.is_file() && meta.len() <= LARGEST && meta.mode() & 0o022 == 0;
    let of = if is_systems(path) { Of::System } else { Of::User };
    let text = sound.then(|| std::fs::read_to_string(path).ok()).flatten()?;
    let entry = entries(&text, of).into_iter().find(|one| same(&one.config, config))?;
    let there = entry.places().any(|place| place.exists());
    Some(Crontab { path: path.to_owned(), absent: (!there).then_some(entry.program) })
}

/// What an entry runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// By this configuration,
    config: PathBuf,
    /// this program, as typed,
    program: String,
    /// where it is looked for.
    path: String,
}

impl Entry {
    /// Where the program may be.
    fn places(&self) -> impl Iterator<Item = PathBuf> {
        let typed = Path::new(&self.program);
        let folders = if typed.is_absolute() { "" } else { &self.path };
        folders.split(':').map(move |folder| Path::new(folder).join(typed))
    }
}

/// Whose crontab it is: the system's have the user of each entry in a column of its own (crontab(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    System,
    User,
}

fn is_systems(path: &Path) -> bool {
    path == Path::new("/etc/crontab") || path.parent() == Some(Path::new(CRON_D))
}

/// The command of an entry: what stands behind its time, and behind its user. `None`: there is no such column, and cron runs something else,
/// or nothing.
fn command(line: &str, of: Of) -> Option<&str> {
    let time = if line.starts_with('@') { 1 } else { 5 };
    let columns = time + usize::from(of == Of::System);
    let mut rest = line;
    for column in 0..columns {
        let (word, behind) = rest.trim_start().split_once(char::is_whitespace)?;
        if column == time && word.contains(['/', '=', '\'', '"']) {
            return None;
        }
        rest = behind;
    }
    Some(rest.trim_start())
}

/// The entries of a crontab that run natwatch.
fn entries(text: &str, of: Of) -> Vec<Entry> {
    let mut found = Vec::new();
    // What is assigned holds for the lines below it.
    let mut assigned = DEFAULT.to_owned();
    let mut path = SEARCHED.to_owned();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        match line.split_once('=').map(|(name, value)| (bare(name), bare(value))) {
            Some((VARIABLE, value)) => value.clone_into(&mut assigned),
            Some(("PATH", value)) => value.clone_into(&mut path),
            _ => {
                let run = command(line, of).and_then(|command| by_command(command, &assigned));
                found.extend(run.map(|(config, program)| Entry { config: config.into(), program, path: path.clone() }));
            }
        }
    }
    // Where a relative path leads is cron's to know.
    found.retain(|one| one.config.is_absolute());
    found
}

/// A word without its quotes.
fn bare(word: &str) -> &str {
    word.trim().trim_matches(['\'', '"'])
}

/// The configuration by which this command runs natwatch, if it does and means it: natwatch somewhere, `run` behind it, and no `--dry-run`.
fn by_command(line: &str, assigned: &str) -> Option<(String, String)> {
    let mut assigned = assigned.to_owned();
    for command in line.split([';', '&', '|', '(', ')']) {
        let words: Vec<&str> = command.split(|c: char| c.is_whitespace() || c == '>' || c == '<').map(bare).collect();
        for word in &words {
            if let Some((VARIABLE, value)) = word.split_once('=') {
                bare(value).clone_into(&mut assigned);
            }
        }
        let is_natwatch = |word: &&str| *word == "natwatch" || word.ends_with("/natwatch");
        // The last: before it may be a `sudo` or `timeout` with options of its own, and a user called natwatch; but nothing, where it is the
        // very first: that is the column of a user in the crontab of one.
        let first = words.iter().position(|word| !word.is_empty() && !word.contains('='));
        let at = words.iter().rposition(is_natwatch);
        if first != at && first.and_then(|at| words.get(at)).is_some_and(is_natwatch) {
            continue;
        }
        let named = at.and_then(|at| words.get(at + 1..)).and_then(|options| named(options, &assigned));
        let program = at.and_then(|at| words.get(at)).map(|word| (*word).to_owned());
        if let Some(run) = named.zip(program) {
            return Some(run);
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

    fn configurations(text: &str, of: Of) -> Vec<PathBuf> {
        entries(text, of).into_iter().map(|one| one.config).collect()
    }

    const WEB: &str = "/etc/natwatch/web.toml";

    #[test]
    fn an_entry_of_cron_is_known_by_its_command_and_its_configuration_and_a_comment_is_none() {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
        assert_eq!(configurations(&shipped, Of::System), [Path::new(DEFAULT)]);
        for (text, expected) in [
            ("*/2 * * * * natwatch /usr/bin/natwatch run", Some(DEFAULT)),
            // By the user called natwatch, a program called `run`.
            ("*/2 * * * * natwatch run", None),
            ("*/2 * * * * /usr/bin/natwatch run", None),
            ("*/2 * * * * root natwatch run", Some(DEFAULT)),
            ("*/2 * * * * root sudo -u natwatch natwatch run", Some(DEFAULT)),
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
            let expected: Vec<_> = expected.map(PathBuf::from).into_iter().collect();
            assert_eq!(configurations(text, Of::System), expected, "{text}");
        }
    }

    #[test]
    fn f094_a_users_own_crontab_has_no_column_for_the_user() {
        for (text, expected) in [
            ("*/2 * * * * natwatch run", Some(DEFAULT)),
            ("*/2 * * * * /usr/bin/natwatch -c /etc/natwatch/web.toml run", Some(WEB)),
            ("@reboot NATWATCH_CONFIG=/etc/natwatch/web.toml natwatch run", Some(WEB)),
            ("*/2 * * * * timeout -k 10 150 natwatch run", Some(DEFAULT)),
            // As in /etc/cron.d: natwatch is told to do a thing that it does not know.
            ("*/2 * * * * natwatch /usr/bin/natwatch run", None),
            ("*/2 * * * *", None),
        ] {
            let expected: Vec<_> = expected.map(PathBuf::from).into_iter().collect();
            assert_eq!(configurations(text, Of::User), expected, "{text}");
        }
        for (path, systems) in
            [("/etc/crontab", true), ("/etc/cron.d/natwatch", true), ("/var/spool/cron/crontabs/root", false)]
        {
            assert_eq!(is_systems(Path::new(path)), systems, "{path}");
        }
    }

    #[test]
    fn what_cron_does_not_look_at_runs_nothing() {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("natwatch");
        // In a folder that is not the system's there is no column for the user.
        std::fs::write(&path, shipped.replace("* natwatch ", "* ")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        mode(0o644);
        assert_eq!(natwatch_by(&path, Path::new(DEFAULT)).unwrap().path, path);
        assert_eq!(natwatch_by(&path, Path::new(WEB)), None, "another's entry");
        mode(0o666);
        assert_eq!(natwatch_by(&path, Path::new(DEFAULT)), None, "cron does not run it either");
        assert_eq!(natwatch_by(folder.path(), Path::new(DEFAULT)), None);
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
    fn f092_f094_an_entry_whose_program_cron_does_not_find_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("natwatch"), "").unwrap();
        let crontab = folder.path().join("crontab");
        let absent = |text: &str| {
            std::fs::write(&crontab, text).unwrap();
            std::fs::set_permissions(&crontab, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
            natwatch_by(&crontab, Path::new(DEFAULT)).unwrap().absent
        };
        let bin = bin.display();
        assert_eq!(absent(&format!("*/2 * * * * {bin}/natwatch run\n")), None);
        assert_eq!(absent(&format!("PATH=/nowhere:{bin}\n*/2 * * * * natwatch run\n")), None);
        assert_eq!(absent("*/2 * * * * /nowhere/natwatch run\n").as_deref(), Some("/nowhere/natwatch"));
        assert_eq!(absent("PATH=/nowhere\n*/2 * * * * natwatch run\n").as_deref(), Some("natwatch"));
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
