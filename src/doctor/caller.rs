//! What is another for root, who calls `doctor`, than for the user natwatch runs as: the credentials that AWS is asked with, and what SSH takes of
//! its caller where the configuration does not say.
//!
//! Nothing is asked again as that user. Who is that user, or root where natwatch runs as root, is told nothing.

use std::path::Path;

use super::user::User;
use crate::config::Settings;
use crate::ec2::Ec2;
use crate::model::{Finding, Fitness, Topic, printable};

/// The role of the instance, by IMDS, is whoever's asks (`aws-config`'s name for it).
const ROLE: &str = "IMDSv2";

/// A configuration of SSH has some kilobytes.
const LARGEST: u64 = 64 * 1024;

/// Of a provider's name.
const SHOWN: usize = 40;

/// For whom root asks; `None`: for nobody but root.
fn served(settings: &Settings) -> Option<User> {
    User::of(&settings.state).filter(|user| rustix::process::geteuid().is_root() && user.uid != 0)
}

/// Beside what AWS said of the credentials.
pub(super) async fn credentials(settings: &Settings, ec2: &Ec2) -> Option<Finding> {
    let user = served(settings)?;
    of_source(user, &ec2.credentials_from().await?)
}

fn of_source(user: User, source: &str) -> Option<Finding> {
    let whose = match source {
        ROLE => return None,
        "EnvironmentVariable" => "of root's environment".to_owned(),
        "ProfileFile" | "SSO" | "AssumeRoleProvider" | "CredentialProcess" | "Login" => {
            format!("by a profile of root's ({source})")
        }
        other => format!("from {}", printable(other, SHOWN)),
    };
    let uid = user.uid;
    let text = format!(
        "AWS was asked with credentials {whose}, and not with those that natwatch has as user {uid}: what was said of rights may not hold for it"
    );
    let found = Finding::new(Topic::Permissions, "credentials-source", Fitness::Warning, text).cause("roots-own");
    Some(found.remedy(format!("sudo -u '#{uid}' env -i PATH=\"$PATH\" natwatch doctor")))
}

/// Beside what SSH came to.
pub(super) fn ssh(settings: &Settings) -> Vec<Finding> {
    served(settings).map_or_else(Vec::new, |user| unset(user, settings))
}

/// The keys of which the caller's own would be taken.
fn unset(user: User, settings: &Settings) -> Vec<Finding> {
    let ssh = &settings.observe.ssh;
    let more = ssh.ssh_config.as_deref().map(read).unwrap_or_default();
    [
        (ssh.user.is_none(), "user", "backends.user", "its login name", "user = \"such as natwatch\""),
        (
            ssh.identity.is_none(),
            "identityfile",
            "backends.identity",
            "the keys in its ~/.ssh",
            "identity = \"/etc/natwatch/id_ed25519\"",
        ),
        (
            ssh.known_hosts.is_none(),
            "userknownhostsfile",
            "backends.known_hosts",
            "its ~/.ssh/known_hosts",
            "known_hosts = \"/etc/natwatch/known_hosts\"",
        ),
    ]
    .into_iter()
    .filter(|(unset, word, ..)| *unset && !has(&more, word))
    .map(|(_, _, key, what, line)| {
        let text = format!(
            "{key} is not set, so ssh takes {what} of whoever calls it: that was root now, and is user {} for natwatch",
            user.uid
        );
        let found = Finding::new(Topic::Backends, "ssh-caller", Fitness::Warning, text).cause("callers-own");
        found.of(key).change(key, line)
    })
    .collect()
}

fn read(path: &Path) -> String {
    let small = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
    if small { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() }
}

/// Whether a configuration of SSH has this keyword (`ssh_config(5)`: of any case, before a blank or `=`).
fn has(text: &str, word: &str) -> bool {
    let first = |line: &str| line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default().to_ascii_lowercase();
    text.lines().any(|line| first(line) == word)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Disk;

    const SERVICE: User = User { uid: 990, gid: 980 };

    fn settings(backends: &str) -> Settings {
        let text = format!(
            "primary.route_table = \"rtb-0a\"\nstandby.route_table = \"rtb-0b\"\ntargets.hosts = [\"192.0.2.1\", \"192.0.2.2\"]\n\
             backends.hosts = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\"]\n{backends}"
        );
        Settings::parse(&text, Path::new("/etc/n.toml"), &Disk).unwrap()
    }

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        of_source(SERVICE, "ProfileFile").into_iter().chain(unset(SERVICE, &settings(""))).collect()
    }

    #[test]
    fn f105_credentials_of_roots_own_are_named_with_the_command_that_asks_as_the_service() {
        assert_eq!(of_source(SERVICE, "IMDSv2"), None, "the role is everybody's");
        for (source, words) in [
            ("EnvironmentVariable", "of root's environment, and not"),
            ("ProfileFile", "by a profile of root's (ProfileFile)"),
            ("WebIdentityToken", "from WebIdentityToken"),
        ] {
            let found = of_source(SERVICE, source).unwrap();
            assert_eq!(found.fitness, Fitness::Warning);
            assert!(found.text.contains(words) && found.text.contains("as user 990"), "{found:?}");
            let remedy = found.remedy.clone().unwrap();
            assert_eq!(remedy, "sudo -u '#990' env -i PATH=\"$PATH\" natwatch doctor");
            crate::doctor::tests::can_be_pasted(&[found]);
        }
    }

    #[test]
    fn f105_what_ssh_takes_of_its_caller_is_named_for_each_key_that_does_not_say() {
        let keys = |backends: &str| {
            unset(SERVICE, &settings(backends)).into_iter().map(|one| one.of.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(keys(""), ["backends.user", "backends.identity", "backends.known_hosts"]);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let known = path("known_hosts", "");
        assert_eq!(
            keys(&format!("backends.user = \"natwatch\"\nbackends.known_hosts = \"{known}\"")),
            ["backends.identity"]
        );
        let config = path("ssh_config", "# User nobody\nHost *\n  IdentityFile /k\n  userknownhostsfile=/h\n");
        assert_eq!(keys(&format!("backends.ssh_config = \"{config}\"")), ["backends.user"]);
    }
}
