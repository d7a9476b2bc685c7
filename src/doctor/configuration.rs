//! The configuration and the files that it names. That only their owners can change them, loading has seen to already.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Settings};
use crate::model::{Finding, Fitness, Topic};
use crate::notify;
use crate::record::textfile;

/// Every rule that is violated; the first of them, where there is no file at all.
pub(super) fn violated(error: &ConfigError, config: &Path) -> Vec<Finding> {
    let finding = |text: String| {
        let found = Finding::new(Topic::Configuration, "configuration", Fitness::Unfit, text);
        if config.exists() { found } else { found.remedy(format!("natwatch init -c {}", config.display())) }
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
    let named = [ssh.identity.as_deref(), ssh.known_hosts.as_deref(), ssh.ssh_config.as_deref()];
    let files: Vec<File> = std::iter::once(config)
        .chain(named.into_iter().flatten())
        .chain(settings.hosts_file.as_deref())
        .filter_map(File::look)
        .collect();
    // Whoever owns the state folder is who natwatch runs as.
    let user = std::fs::metadata(&settings.state)
        .or_else(|error| settings.state.parent().map_or(Err(error), std::fs::metadata))
        .map(|folder| User { uid: folder.uid(), gid: folder.gid() });
    findings.push(readable(&files, user.ok()));
    findings.extend(settings.notify.as_ref().map(notify::finding));
    findings.extend(settings.textfile.as_deref().map(textfile::finding));
    findings
}

/// A file that natwatch reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl File {
    /// `None`: it is not there, which is fault enough where it has to be, and was found.
    fn look(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode() })
    }

    fn readable_by(&self, user: User) -> bool {
        // By the first class that fits, as the kernel does (path_resolution(7)); further groups of a user are not known here.
        let bit = match () {
            () if self.uid == user.uid => 0o400,
            () if self.gid == user.gid => 0o040,
            () => 0o004,
        };
        user.uid == 0 || self.mode & bit != 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

/// Who calls `doctor` as root must hear what natwatch's own user can't read.
fn readable(files: &[File], user: Option<User>) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Configuration, "files", fitness, text);
    let Some(user) = user else {
        return finding(Fitness::Fit, format!("only their owners can change the {} files that are read", files.len()));
    };
    let closed: Vec<&File> = files.iter().filter(|file| !file.readable_by(user)).collect();
    let Some(first) = closed.first() else {
        let text = format!(
            "the {} files that are read can be read by user {}, who owns the state folder, and changed by their owners only",
            files.len(),
            user.uid
        );
        return finding(Fitness::Fit, text);
    };
    let names: Vec<String> = closed.iter().map(|file| file.path.display().to_string()).collect();
    let text = format!("user {}, who owns the state folder, can't read {}", user.uid, names.join(", "));
    // A key must be its user's own: `ssh` refuses one that a group can read.
    let remedy = if first.mode & 0o044 == 0 && first.path.extension().is_none() {
        format!("chown {} {}", user.uid, first.path.display())
    } else {
        format!("chgrp {} {names} && chmod g+r {names}", user.gid, names = names.join(" "))
    };
    finding(Fitness::Warning, text).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Disk;

    fn file(path: &str, uid: u32, gid: u32, mode: u32) -> File {
        File { path: path.into(), uid, gid, mode }
    }

    const SERVICE: User = User { uid: 990, gid: 980 };

    #[test]
    fn f105_a_file_that_the_services_user_cannot_read_is_a_warning_with_the_command() {
        let config = |gid, mode| file("/etc/natwatch/natwatch.toml", 0, gid, mode);
        let key = |uid| file("/etc/natwatch/id_ed25519", uid, 0, 0o600);
        for (files, user, fitness, word) in [
            (vec![config(0, 0o644), key(990)], SERVICE, Fitness::Fit, "the 2 files"),
            (vec![config(980, 0o640), key(990)], SERVICE, Fitness::Fit, "the 2 files"),
            (vec![config(0, 0o640), key(990)], SERVICE, Fitness::Warning, "can't read /etc/natwatch/natwatch.toml"),
            (vec![config(0, 0o644), key(0)], SERVICE, Fitness::Warning, "can't read /etc/natwatch/id_ed25519"),
            (vec![config(0, 0o600), key(0)], User { uid: 0, gid: 0 }, Fitness::Fit, "the 2 files"),
            // The owner's class counts, even where others may more.
            (vec![file("/etc/hosts", 990, 0, 0o044)], SERVICE, Fitness::Warning, "can't read /etc/hosts"),
        ] {
            let found = readable(&files, Some(user));
            assert_eq!(found.fitness, fitness, "{files:?}: {}", found.text);
            assert!(found.text.contains(word), "{}", found.text);
            assert_eq!(found.remedy.is_some(), fitness != Fitness::Fit);
        }
        let remedy = |files: &[File]| readable(files, Some(SERVICE)).remedy.unwrap();
        assert_eq!(remedy(&[key(0)]), "chown 990 /etc/natwatch/id_ed25519");
        assert_eq!(
            remedy(&[config(0, 0o640)]),
            "chgrp 980 /etc/natwatch/natwatch.toml && chmod g+r /etc/natwatch/natwatch.toml"
        );
        assert_eq!(readable(&[key(0)], None).fitness, Fitness::Fit);
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
