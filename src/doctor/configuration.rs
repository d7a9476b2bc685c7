//! The configuration and the files that it names. That only their owners can change them, loading has seen to already.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::user::{Refusal, User};
use crate::config::{ConfigError, KEYS, Presence, Settings, Violation};
use crate::model::{Finding, Fitness, Topic, quoted};
use crate::notify;
use crate::record::textfile;

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Every rule that is violated; the first of them, where there is no file at all.
pub(super) fn violated(error: &ConfigError, config: &Path) -> Vec<Finding> {
    let finding = |one: &Violation| {
        let found = Finding::new(Topic::Configuration, "configuration", Fitness::Unfit, one.to_string());
        if config.exists() {
            found.cause("violated").remedy(mended(one))
        } else {
            found.cause("no-file").remedy(format!("natwatch init -c {}", path(config)))
        }
    };
    error.violations().map(finding).collect()
}

/// The commands that stand at the end of what is said of a file's owner and mode; else its line, in an editor.
fn mended(one: &Violation) -> String {
    let commands: Vec<&str> =
        one.text.split("; ").filter(|part| part.starts_with("chmod ") || part.starts_with("chown ")).collect();
    let line = one.line.map_or_else(String::new, |line| format!("+{line} "));
    if commands.is_empty() { format!("\"${{EDITOR:-vi}}\" {line}{}", quoted(&one.file)) } else { commands.join(" && ") }
}

/// What is advised against, with the line by which it would not be.
fn advised(advice: &str) -> Finding {
    let finding =
        Finding::new(Topic::Configuration, "advice", Fitness::Warning, advice.to_owned()).cause("advised-against");
    let named = advice.split([':', ' ']).next().unwrap_or_default();
    let Some(key) = KEYS.iter().find(|key| key.path == named) else { return finding };
    let name = key.split().1;
    let line = match key.presence {
        Presence::Default(_) if key.path == "backends.host_keys" => "host_keys = \"accept-new\"".to_owned(),
        // It has its meaning by another method only.
        Presence::Default(_) if key.path == "takeover.destinations" => "remove it".to_owned(),
        Presence::Default(default) => format!("{name} = {default}"),
        Presence::Optional(example, _) => format!("remove it, or {name} = such as {example}"),
        Presence::Required(_) => "remove it".to_owned(),
    };
    finding.change(key.path, line)
}

/// What there is to say of one that is accepted.
pub(super) fn findings(settings: &Settings, config: &Path) -> Vec<Finding> {
    let observe = &settings.observe;
    let text = format!(
        "{} is accepted: {} backends, {} targets, takeover by {}",
        config.display(),
        observe.backends.len(),
        observe.targets.len(),
        if settings.preflight.method.is_association() { "association" } else { "route" },
    );
    let mut findings = vec![Finding::new(Topic::Configuration, "configuration", Fitness::Fit, text)];
    findings.extend(
        settings
            .advice
            .iter()
            // Of the hook it is said below, with the remedy.
            .filter(|advice| !advice.starts_with("notify.command: "))
            .map(|advice| advised(advice)),
    );
    let ssh = &observe.ssh;
    let shared = [Some(config), ssh.known_hosts.as_deref(), ssh.ssh_config.as_deref(), settings.hosts_file.as_deref()];
    let files: Vec<File> = shared
        .into_iter()
        .flatten()
        .filter_map(|path| File::look(path, false))
        .chain(ssh.identity.as_deref().and_then(|path| File::look(path, true)))
        .collect();
    let user = User::of(&settings.state);
    findings.push(readable(&files, user));
    findings
        .extend(settings.notify.as_ref().map(|hook| notify::finding(hook, |command| runs(asked_for(user), command))));
    findings.extend(settings.textfile.as_deref().map(|file| {
        let folder = file.parent().unwrap_or(file);
        let user = asked_for(user);
        textfile::finding(file, user.uid, user.may(folder, Access::WRITE_OK | Access::EXEC_OK))
    }));
    findings
}

/// For whom it is to be told: who asks, but that root asks for the user natwatch runs as.
fn asked_for(user: Option<User>) -> User {
    let us = User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    user.filter(|_| us.uid == 0).unwrap_or(us)
}

/// Whether natwatch's user may run the hook.
fn runs(user: User, command: &Path) -> Result<(), Refusal> {
    let mended = |why| {
        // A hook may hold a secret: it is opened to its group and not to everybody. Nor is a folder on the way.
        let here = std::fs::metadata(command)
            .ok()
            .filter(|file| !user.may_by_mode((file.uid(), file.gid()), file.mode(), 0o1));
        let remedy = here.map(|file| {
            let (own, command) = (user.uid == 0 || file.uid() == user.uid, path(command));
            if own {
                format!("chmod u+rx {command}")
            } else {
                format!("chgrp {} {command} && chmod g+rx {command}", user.gid)
            }
        });
        (why, remedy)
    };
    user.may(command, Access::EXEC_OK).map_err(mended)
}

/// A file that natwatch reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
    /// The private key, which must be its user's own: `ssh` refuses one that a group can read, and nobody else is to read it.
    private: bool,
}

impl File {
    /// `None`: it is not there, which is fault enough where it has to be, and was found.
    fn look(path: &Path, private: bool) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), private })
    }

    /// By its mode, or by its access list.
    fn readable_by(&self, user: User) -> bool {
        user.may_by_list(&self.path, (self.uid, self.gid), self.mode, 0o4)
    }

    /// Lets `user` read it, and nobody else who could not.
    fn opening(&self, user: User) -> String {
        let file = path(&self.path);
        match () {
            () if self.uid == user.uid => format!("chmod u+r {file}"),
            () if self.private => format!("chown {} {file}", user.uid),
            () => format!("chgrp {} {file} && chmod g+r {file}", user.gid),
        }
    }
}

/// Who calls `doctor` as root must hear what natwatch's own user can't read.
fn readable(files: &[File], user: Option<User>) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Configuration, "files", fitness, text);
    let Some(user) = user else {
        return finding(Fitness::Fit, format!("only their owners can change the {} files that are read", files.len()));
    };
    // Nobody reads a file in a folder that they can't enter, and that is opened first.
    let shut: BTreeSet<PathBuf> = files.iter().filter_map(|file| user.shut_out(&file.path)).collect();
    if !shut.is_empty() {
        let names: Vec<String> = shut.iter().map(|folder| folder.display().to_string()).collect();
        let text = format!("user {}, who owns the state folder, can't enter {}", user.uid, names.join(", "));
        let each: Vec<String> = shut
            .iter()
            .map(|folder| format!("chgrp {} {folder} && chmod g+x {folder}", user.gid, folder = path(folder)))
            .collect();
        return finding(Fitness::Warning, text).cause("shut-out").remedy(each.join(" && "));
    }
    let closed: Vec<&File> = files.iter().filter(|file| !file.readable_by(user)).collect();
    if closed.is_empty() {
        let text = format!(
            "the {} files that are read can be read by user {}, who owns the state folder, and changed by their owners only",
            files.len(),
            user.uid
        );
        return finding(Fitness::Fit, text);
    }
    let names: Vec<String> = closed.iter().map(|file| file.path.display().to_string()).collect();
    let text = format!("user {}, who owns the state folder, can't read {}", user.uid, names.join(", "));
    let each: Vec<String> = closed.iter().map(|file| file.opening(user)).collect();
    finding(Fitness::Warning, text).cause("unreadable").remedy(each.join(" && "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Disk;

    /// Every way in which a precondition here is not met; those of hook and metrics are told by their own rooms.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let error = || Settings::parse("[decision]\nthreshold = 0\n", Path::new("/etc/n.toml"), &Disk).unwrap_err();
        let mut all = violated(&error(), Path::new("/dev/null"));
        all.extend(violated(&error(), Path::new("/nowhere/n.toml")));
        all.push(advised("targets.hosts: two targets; with three or more, one of them may fail"));
        all.push(readable(&[file("/etc/natwatch/n.toml", 0, 0, 0o600)], Some(SERVICE)));
        let dir = tempfile::tempdir().unwrap();
        all.push(readable(&[in_a_closed_folder(dir.path())], Some(User { uid: 64990, gid: 64980 })));
        let command = vec![dir.path().join("none").to_string_lossy().into_owned()];
        let hook = notify::NotifySettings { command, timeout: std::time::Duration::from_secs(20) };
        all.push(notify::finding(&hook, |command| runs(asked_for(None), command)));
        let folder = dir.path().join("none/n.prom");
        all.push(textfile::finding(&folder, 990, User { uid: 990, gid: 980 }.may(&folder, Access::WRITE_OK)));
        all
    }

    #[test]
    fn what_is_advised_against_is_said_with_the_line_by_which_it_would_not_be() {
        for (advice, key, line) in [
            (
                "decision.run_span: evidence that spans only 1s takes a hiccup for an outage",
                "decision.run_span",
                "run_span = \"3s\"",
            ),
            (
                "backends.match filters the entries of backends.hosts_file, and there is none",
                "backends.match",
                "remove it, or match = such as \"^(web|app)\"",
            ),
            ("takeover.destinations is for takeover.method = \"route\"", "takeover.destinations", "remove it"),
        ] {
            let found = advised(advice);
            assert_eq!(found.changes, [crate::model::Edit::Key(key, line.to_owned())], "{advice}");
        }
    }

    fn file(path: &str, uid: u32, gid: u32, mode: u32) -> File {
        File { path: path.into(), uid, gid, mode, private: false }
    }

    const SERVICE: User = User { uid: 990, gid: 980 };

    #[test]
    fn f105_a_file_that_the_services_user_cannot_read_is_a_warning_with_the_command() {
        let config = |gid, mode| file("/etc/natwatch/natwatch.toml", 0, gid, mode);
        let key = |uid| File { private: true, ..file("/etc/natwatch/key.pem", uid, 0, 0o600) };
        for (files, user, fitness, word) in [
            (vec![config(0, 0o644), key(990)], SERVICE, Fitness::Fit, "the 2 files"),
            (vec![config(980, 0o640), key(990)], SERVICE, Fitness::Fit, "the 2 files"),
            (vec![config(0, 0o640), key(990)], SERVICE, Fitness::Warning, "can't read /etc/natwatch/natwatch.toml"),
            (vec![config(0, 0o644), key(0)], SERVICE, Fitness::Warning, "can't read /etc/natwatch/key.pem"),
            (vec![config(0, 0o600), key(0)], User { uid: 0, gid: 0 }, Fitness::Fit, "the 2 files"),
            // The owner's class counts, even where others may more.
            (vec![file("/etc/hosts", 990, 0, 0o044)], SERVICE, Fitness::Warning, "can't read /etc/hosts"),
        ] {
            let found = readable(&files, Some(user));
            assert_eq!(found.fitness, fitness, "{files:?}: {}", found.text);
            assert!(found.text.contains(word), "{}", found.text);
            assert_eq!(found.remedy.is_some(), fitness != Fitness::Fit);
            crate::doctor::tests::can_be_pasted(std::slice::from_ref(&found));
        }
        let remedy = |files: &[File]| readable(files, Some(SERVICE)).remedy.unwrap();
        let of_key = "chown 990 /etc/natwatch/key.pem";
        let of_config = "chgrp 980 /etc/natwatch/natwatch.toml && chmod g+r /etc/natwatch/natwatch.toml";
        assert_eq!(remedy(&[key(0)]), of_key);
        assert_eq!(remedy(&[config(0, 0o640)]), of_config);
        // The key stays closed to everybody else, whatever it is called and whatever else is closed.
        assert_eq!(remedy(&[config(0, 0o640), key(0)]), format!("{of_config} && {of_key}"));
        assert_eq!(
            remedy(&[file("/etc/hosts of ours", 0, 0, 0o600)]),
            "chgrp 980 '/etc/hosts of ours' && chmod g+r '/etc/hosts of ours'"
        );
        assert_eq!(remedy(&[file("/etc/hosts", 990, 0, 0o044)]), "chmod u+r /etc/hosts");
        assert_eq!(readable(&[key(0)], None).fitness, Fitness::Fit);
    }

    /// Readable by everybody who comes there.
    fn in_a_closed_folder(dir: &Path) -> File {
        std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let path = dir.join("n.toml");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        File::look(&path, false).unwrap()
    }

    #[test]
    fn f105_a_file_in_a_folder_that_the_services_user_cannot_enter_is_not_readable() {
        let dir = tempfile::tempdir().unwrap();
        let file = [in_a_closed_folder(dir.path())];
        let stranger = User { uid: 64990, gid: 64980 };
        let found = readable(&file, Some(stranger));
        let folder = std::fs::canonicalize(dir.path()).unwrap();
        assert_eq!((found.fitness, found.cause), (Fitness::Warning, Some("shut-out")), "{found:?}");
        let folder = folder.display();
        assert_eq!(found.remedy, Some(format!("chgrp 64980 {folder} && chmod g+x {folder}")));
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        assert_eq!(readable(&file, Some(stranger)).fitness, Fitness::Fit);
    }

    #[test]
    fn f105_a_hook_that_natwatchs_user_may_not_run_is_opened_to_its_group_only() {
        let dir = tempfile::tempdir().unwrap();
        let hook = dir.path().join("hook");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        std::fs::write(&hook, "#!/bin/sh\n").unwrap();
        mode(dir.path(), 0o755);
        mode(&hook, 0o700);
        let stranger = User { uid: 64990, gid: 64980 };
        let command = hook.display();
        let (why, remedy) = runs(stranger, &hook).unwrap_err();
        assert!(why.starts_with("user 64990 may not"), "{why}");
        assert_eq!(remedy, Some(format!("chgrp 64980 {command} && chmod g+rx {command}")));
        mode(&hook, 0o755);
        assert_eq!(runs(stranger, &hook), Ok(()));
        // A folder on the way is not opened for it.
        mode(dir.path(), 0o700);
        assert_eq!(runs(stranger, &hook).unwrap_err().1, None);
        mode(dir.path(), 0o755);
        mode(&hook, 0o600);
        assert_eq!(runs(asked_for(None), &hook).unwrap_err().1, Some(format!("chmod u+rx {command}")));
    }

    #[test]
    fn each_violated_rule_is_a_finding_of_its_own() {
        let text = "[decision]\nthreshold = 0\nrounds = 99\n";
        let error = Settings::parse(text, Path::new("/etc/natwatch/natwatch.toml"), &Disk).unwrap_err();
        let none = violated(&error, Path::new("/etc/natwatch/nowhere.toml"));
        assert_eq!(none[0].remedy.as_deref(), Some("natwatch init -c /etc/natwatch/nowhere.toml"));
        let found = violated(&error, Path::new("/dev/null"));
        // The rule says what is accepted, and the remedy leads to its line.
        assert_eq!(found[0].remedy.as_deref(), Some("\"${EDITOR:-vi}\" +2 /etc/natwatch/natwatch.toml"));
        let mode = |text: &str| mended(&Violation { file: "/etc/it's".to_owned(), line: None, text: text.to_owned() });
        let opened =
            "mode 0644 opens the private key to others; accepted: 0600 or less; chmod 600 /etc/k; chown 990 /etc/k";
        assert_eq!(mode(opened), "chmod 600 /etc/k && chown 990 /etc/k");
        assert_eq!(mode("not UTF-8, at byte 7"), "\"${EDITOR:-vi}\" '/etc/it'\\''s'");
        assert_eq!(found.len(), error.violations().count());
        assert!(found.iter().all(|one| one.fitness == Fitness::Unfit && one.topic == Topic::Configuration));
        assert!(found.iter().any(|one| one.text.contains("natwatch.toml:2: decision.threshold")), "{found:?}");
    }
}
