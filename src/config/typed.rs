//! What somebody types in answer to a question, by the rules of the key that it is for: `init` accepts nothing that a run would refuse.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::keys::{self, Key};
use super::permissions::{Disk, MISSING, Role};
use super::values::{self, Host};
use super::{Files as _, file};
use crate::model::printable;

/// What is wrong with what was typed for `key`, and what is accepted.
fn refused(key: &Key, typed: &str, what: &str) -> String {
    format!("{}: {what}; accepted: {}", printable(typed, file::SHOWN), key.accepted())
}

/// For `standby.region`.
///
/// # Errors
/// What is wrong with it and what is accepted, one line; so everywhere here.
pub fn region(typed: &str) -> Result<String, String> {
    values::region(typed).map_err(|what| refused(&keys::STANDBY_REGION, typed, &what))
}

/// For `backends.user`.
///
/// # Errors
/// As [`region`].
pub fn user(typed: &str) -> Result<String, String> {
    values::user(typed).map_err(|what| refused(&keys::USER, typed, &what))
}

/// For `backends.identity`: a private key that is there, and that its owner alone can read.
///
/// # Errors
/// As [`region`].
pub fn identity(typed: &str) -> Result<PathBuf, String> {
    let path = values::ssh_path(typed).map_err(|what| refused(&keys::IDENTITY, typed, &what))?;
    let shown = printable(typed, file::SHOWN);
    if path.extension().is_some_and(|extension| extension == "pub") {
        return Err(format!("{shown}: the public key; accepted: the private one, beside it without .pub"));
    }
    match Disk.faults(&path, Role::Identity).into_iter().next() {
        None => Ok(path),
        Some(fault) if fault == MISSING => {
            Err(format!("{shown}: {fault}; ssh-keygen -q -t ed25519 -N '' -C natwatch -f {shown} makes it"))
        }
        Some(fault) => Err(format!("{shown}: {fault}")),
    }
}

/// For `backends.hosts`: names or addresses, between spaces or commas.
///
/// # Errors
/// As [`region`].
pub fn hosts(typed: &str) -> Result<Vec<String>, String> {
    list(&keys::HOSTS, typed)
}

/// For `targets.hosts`: two or more names or addresses, likewise.
///
/// # Errors
/// As [`region`].
pub fn targets(typed: &str) -> Result<Vec<String>, String> {
    let targets = list(&keys::TARGETS, typed)?;
    if targets.len() < 2 {
        let what = "a single target: its own failure would look like an outage; accepted: two or more, better three";
        return Err(format!("{}: {what}", printable(typed, file::SHOWN)));
    }
    Ok(targets)
}

fn list(key: &Key, typed: &str) -> Result<Vec<String>, String> {
    let mut seen = BTreeSet::new();
    let one = |word: &str| {
        let host = values::host(word).map_err(|what| refused(key, word, &what))?;
        if seen.insert(Host::identity(&host)) {
            Ok(host.typed)
        } else {
            Err(format!("{}: a duplicate; accepted: each one once", printable(word, file::SHOWN)))
        }
    };
    typed.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_a_run_would_refuse_is_refused_when_it_is_typed_and_it_is_said_what_is_accepted() {
        type Take = fn(&str) -> Result<String, String>;
        let joined = |all: Result<Vec<String>, String>| all.map(|all| all.join(" "));
        let hosts: Take = |text| hosts(text).map(|all| all.join(" "));
        assert_eq!(joined(targets(" 1.1.1.1,8.8.8.8 , dns.example ")).as_deref(), Ok("1.1.1.1 8.8.8.8 dns.example"));
        assert_eq!(hosts("web1 10.0.10.5").as_deref(), Ok("web1 10.0.10.5"));
        let targets: Take = |text| targets(text).map(|all| all.join(" "));
        for (take, typed, why) in [
            (
                region as Take,
                "Ireland",
                "Ireland: does not look like a region; accepted: a region such as \"eu-west-1\"",
            ),
            (user, "-oProxyCommand=x", "-oProxyCommand=x: not a user name; accepted: 1 to 32 of"),
            (hosts, "web1 web1.", "web1.: a duplicate"),
            (hosts, "web1 ./hosts", "'/' in a host name; accepted: a list of names"),
            (hosts, "127.0.0.1", "accepted: "),
            (targets, "1.1.1.1", "1.1.1.1: a single target"),
            (targets, "1.1.1.1 1.1.1.1", "1.1.1.1: a duplicate"),
            (targets, "1.1.1.1 8.8", "8.8: neither an IP address nor a name"),
        ] {
            let said = take(typed).unwrap_err();
            assert!(said.contains(why), "{typed}: {said}");
        }
    }

    #[test]
    fn a_key_is_there_is_private_and_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let typed = path.to_str().unwrap();
        assert!(identity("key").unwrap_err().contains("a relative path"));
        assert!(identity(&format!("{typed}.pub")).unwrap_err().contains("the public key"));
        let missing = identity(typed).unwrap_err();
        assert!(missing.ends_with(&format!("-f {typed} makes it")), "{missing}");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(identity(typed).unwrap_err().contains("chmod 600"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(identity(typed), Ok(path.clone()));
    }
}
