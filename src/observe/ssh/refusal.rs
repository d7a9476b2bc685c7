//! What `ssh` said when it did not connect, as a kind of silence with the remedy.

use std::io::Read as _;
use std::path::Path;

use super::silence;
use crate::model::{Silence, SilenceReason};
use crate::observe::SshSettings;

/// What is read of a private key at most, to see whether it has a passphrase. An RSA key of 16 384 bits has 13 kB.
const KEY: u64 = 64 * 1024;

/// How a key in OpenSSH's own format begins when it is not encrypted: in base64 `openssh-key-v1`, a zero, and the cipher's name `none`
/// with its length (OpenSSH's PROTOCOL.key).
const IN_THE_CLEAR: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

/// Whether `text` says that the server does not allow one more session on this connection (`MaxSessions`, `sshd_config(5)`), in the
/// words of `ssh`'s control socket.
pub(super) fn too_many_sessions(text: &str) -> bool {
    text.contains("Session open refused by peer")
}

/// `text` is all that `ssh` said about `destination`.
pub(super) fn refused(text: &str, settings: &SshSettings, destination: &str) -> Silence {
    let said = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
    let has = |word: &str| text.contains(word);
    let known = |option: &str| {
        settings.known_hosts.as_ref().map_or_else(String::new, |path| format!("{option}{}", path.display()))
    };
    if has("IDENTIFICATION HAS CHANGED") {
        let name = settings.port.filter(|port| *port != 22).map(|port| format!("[{destination}]:{port}"));
        let name = name.as_deref().unwrap_or(destination);
        let remove = format!("ssh-keygen -R {name}{}", known(" -f "));
        return silence(
            SilenceReason::HostKeyChanged,
            &format!(
                "SECURITY: the host key of {destination} is not the one in known_hosts; find out why before you run {remove}"
            ),
        );
    }
    if has("host key is known for") || has("Host key verification failed") {
        let port = settings.port.filter(|port| *port != 22).map_or_else(String::new, |port| format!("-p {port} "));
        let learn = format!("ssh-keyscan {port}{destination}{}", known(" >> "));
        return silence(
            SilenceReason::HostKeyUnknown,
            &format!(
                "the host key of {destination} is not in known_hosts; compare its fingerprint and learn it: {learn}"
            ),
        );
    }
    let login = login(settings);
    if has("UNPROTECTED PRIVATE KEY") || has("bad permissions") {
        return silence(
            SilenceReason::Login,
            &format!("others can read the key, so ssh does not use it: chmod 600 ({login})"),
        );
    }
    if has("Permission denied (") || has("Too many authentication failures") {
        let unusable = text.lines().find(|line| line.starts_with("Load key"));
        let why = match (unusable, settings.identity.as_deref().filter(|path| has_passphrase(path))) {
            (_, Some(path)) => format!(
                "the key has a passphrase, which nobody is there to type: ssh-keygen -p -N '' -f {} ({login})",
                path.display()
            ),
            (Some(line), None) => format!("the key can't be used ({login}): {line}"),
            (None, None) => {
                format!("the login was refused ({login}); {} is for its authorized_keys: {said}", line(settings))
            }
        };
        return silence(SilenceReason::Login, &why);
    }
    let reason = if has("Connection refused") {
        SilenceReason::Refused
    } else if has("timed out") || has("No route to host") || has("Network is unreachable") {
        SilenceReason::Unreachable
    } else if has("Could not resolve") {
        SilenceReason::Unresolved
    } else {
        SilenceReason::Other
    };
    silence(reason, said.strip_prefix("ssh: ").unwrap_or(said))
}

/// The command that prints what makes a backend accept our key.
fn line(settings: &SshSettings) -> String {
    let public =
        settings.identity.as_ref().map_or_else(|| "KEY.pub".to_owned(), |path| format!("{}.pub", path.display()));
    format!("natwatch print authorized-key {public}")
}

fn login(settings: &SshSettings) -> String {
    let key =
        settings.identity.as_ref().map_or_else(|| "the default keys".to_owned(), |path| path.display().to_string());
    format!("key {key}, user {}", settings.user.as_deref().unwrap_or("this user's name"))
}

/// Whether a private key is encrypted. `ssh` says nothing of it where it may not ask (`BatchMode`).
fn has_passphrase(path: &Path) -> bool {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(KEY).read_to_string(&mut text));
    let openssh = text.contains("BEGIN OPENSSH PRIVATE KEY") && !text.contains(IN_THE_CLEAR);
    read.is_ok() && (openssh || text.contains("ENCRYPTED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key: Option<&Path>) -> SshSettings {
        super::super::tests::settings(key)
    }

    #[test]
    fn each_complaint_of_ssh_is_its_kind_of_silence_with_the_remedy() {
        use SilenceReason::{HostKeyChanged, HostKeyUnknown, Login, Other, Refused, Unreachable, Unresolved};
        for (said, reason, word) in [
            (
                "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                HostKeyChanged,
                "ssh-keygen -R b0 -f /k/known_hosts",
            ),
            (
                "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\nHost key verification failed.",
                HostKeyUnknown,
                "ssh-keyscan b0 >> /k/known_hosts",
            ),
            ("natwatch@10.0.0.1: Permission denied (publickey).", Login, "key /k/none, user natwatch"),
            (
                "natwatch@10.0.0.1: Permission denied (publickey).",
                Login,
                "natwatch print authorized-key /k/none.pub is for",
            ),
            (
                "Load key \"/k/none\": invalid format\nnatwatch@10.0.0.1: Permission denied (publickey).",
                Login,
                "invalid format",
            ),
            ("ssh: connect to host 10.0.0.1 port 22: Connection refused", Refused, "connect to host"),
            (
                "Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out",
                Unreachable,
                "port 22",
            ),
            ("ssh: Could not resolve hostname b9: Name or service not known", Unresolved, "b9"),
            ("/usr/bin/ssh could not be started: Too many open files (os error 24)", Other, "Too many open files"),
            ("", Other, "nothing"),
        ] {
            let silence = refused(said, &settings(None), "b0");
            assert_eq!(silence.reason, reason, "{said}");
            assert!(silence.detail.contains(word), "{said}: {}", silence.detail);
        }
    }

    #[test]
    fn f026_f027_the_commands_name_the_port_where_it_is_another() {
        let mut settings = settings(None);
        settings.port = Some(2222);
        let detail = |said| refused(said, &settings, "b0").detail;
        assert!(detail("IDENTIFICATION HAS CHANGED").contains("ssh-keygen -R [b0]:2222 -f"));
        assert!(detail("Host key verification failed.").contains("ssh-keyscan -p 2222 b0 >>"));
    }

    #[test]
    fn f040_a_key_with_a_passphrase_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        for (name, extra, passphrase, expected) in [
            ("clear", &[][..], "", false),
            ("locked", &[], "secret", true),
            ("clear-pem", &["-t", "rsa", "-m", "PEM"], "", false),
            ("locked-pem", &["-t", "rsa", "-m", "PEM"], "secret", true),
            ("locked-pkcs8", &["-t", "rsa", "-m", "PKCS8"], "secret", true),
        ] {
            let key = folder.path().join(name);
            let mut keygen = std::process::Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-N", passphrase, "-f"]).arg(&key).args(extra).status();
            assert!(made.expect("ssh-keygen is missing: apt-get install openssh-client").success());
            let detail = refused("x@b0: Permission denied (publickey).", &settings(Some(&key)), "b0").detail;
            assert_eq!(detail.contains("passphrase"), expected, "{name}: {detail}");
            assert_eq!(detail.contains("ssh-keygen -p"), expected, "{name}: {detail}");
        }
    }
}
