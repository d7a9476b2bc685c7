//! The configuration and the files that it names. That only their owners can change them, loading has seen to already.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::user::{Refusal, User};
use crate::config::{ConfigError, Settings};
use crate::model::{Finding, Fitness, Topic, quoted};
use crate::notify;
use crate::record::textfile;

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Every rule that is violated; the first of them, where there is no file at all.
pub(super) fn violated(error: &ConfigError, config: &Path) -> Vec<Finding> {
    let finding = |text: String| {
        let found = Finding::new(Topic::Configuration, "configuration", Fitness::Unfit, text);
        if config.exists() { found } else { found.remedy(format!("natwatch init -c {}", path(config))) }
    };
    error.violations().map(|one| finding(one.to_string())).collect()
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
            .map(|advice| Finding::new(Topic::Configuration, "advice", Fitness::Warning, advice.clone())),
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

    fn readable_by(&self, user: User) -> bool {
        user.may_by_mode((self.uid, self.gid), self.mode, 0o4)
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
    finding(Fitness::Warning, text).remedy(each.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Disk;

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
        assert_eq!(found[0].remedy, None, "the rule says what is accepted");
        assert_eq!(found.len(), error.violations().count());
        assert!(found.iter().all(|one| one.fitness == Fitness::Unfit && one.topic == Topic::Configuration));
        assert!(found.iter().any(|one| one.text.contains("natwatch.toml:2: decision.threshold")), "{found:?}");
    }
}
