//! The line for `authorized_keys` on a backend (sshd(8)) by which our key can do nothing but ping.
//!
//! It installs nothing, and shows nothing of a file that is not a public key.

use std::io::Read as _;
use std::path::Path;

use crate::observe::ping;

/// No public key is larger: one of RSA with 16 384 bits has 3 kB.
const LARGEST: u64 = 16 * 1024;

/// What `ssh-keygen` makes today, by the names in `sshd_config(5)`'s `PubkeyAcceptedAlgorithms`. No DSA, which OpenSSH has given up, and no
/// certificates, which are not listed in `authorized_keys`.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The line for the public key in `path`, without a line break.
///
/// # Errors
/// The file can't be read, or is not exactly one public key: path, reason, and what to give instead. Its content is not in it.
pub fn authorized_key(path: &Path) -> Result<String, String> {
    let fault = |why: &str| format!("{}: {why}", path.display());
    // Before it is opened: opening a FIFO that nobody writes would wait for ever.
    let metadata = std::fs::metadata(path).map_err(|error| fault(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(fault("not a regular file; give the public key, whose name ends in .pub"));
    }
    let mut content = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut content))
        .map_err(|error| fault(&error.to_string()))?;
    if content.len() as u64 > LARGEST {
        return Err(fault("larger than 16 kB, which no public key is; give the file whose name ends in .pub"));
    }
    let text = String::from_utf8(content).map_err(|_| fault("not text; give the file whose name ends in .pub"))?;
    line(&text).map_err(|why| fault(&why))
}

fn line(text: &str) -> Result<String, String> {
    if text.contains("PRIVATE KEY") {
        return Err("this is a PRIVATE key, which never leaves this machine; give the public one, FILE.pub, or make \
             that with ssh-keygen -y -f FILE > FILE.pub"
            .to_owned());
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(key), None) = (lines.next(), lines.next()) else {
        return Err("not exactly one line with a public key".to_owned());
    };
    if key.contains(char::is_control) {
        return Err("control characters where a public key should be".to_owned());
    }
    let mut words = key.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    if !TYPES.contains(&name) {
        return Err(format!("not a public key: it does not begin with one of {}", TYPES.join(", ")));
    }
    if !words.next().is_some_and(|blob| is_key(name, blob)) {
        return Err(format!("not a whole public key: what follows {name} is damaged or cut short"));
    }
    Ok(format!("restrict,command=\"{}\" {key}", ping::forced_command().replace('"', "\\\"")))
}

/// Whether `blob` is made of strings with their lengths, and the first is the type's name (RFC 4253, section 6.6).
fn is_key(name: &str, blob: &str) -> bool {
    let Some(bytes) = base64(blob) else { return false };
    let mut rest = bytes.as_slice();
    let mut fields = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((field, after)) =
            usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|at| after.split_at_checked(at))
        else {
            return false;
        };
        fields.push(field);
        rest = after;
    }
    rest.is_empty() && fields.len() > 1 && fields.first() == Some(&name.as_bytes())
}

/// RFC 4648, section 4; `None` where it is not well formed.
fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | u32::try_from(DIGITS.iter().position(|one| *one == digit)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM9rC6Y6BEBL3w1tTjC1Bm2bVzLQkH3q5oNvJtJd9P9C natwatch@standby";

    fn file(folder: &tempfile::TempDir, content: &[u8]) -> PathBuf {
        let path = folder.path().join("key.pub");
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn the_line_restricts_the_key_to_the_forced_command() {
        let folder = tempfile::tempdir().unwrap();
        let line = authorized_key(&file(&folder, format!("\n{KEY}\r\n").as_bytes())).unwrap();
        let options = line.strip_suffix(&format!("\" {KEY}")).unwrap_or_else(|| panic!("{line}"));
        let quoted = options.strip_prefix("restrict,command=\"").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(quoted.replace("\\\"", "\""), ping::forced_command());
        assert!(!quoted.replace("\\\"", "").contains('"'), "{line}");
        assert!(
            !line.contains('\n') && line.len() < 2048,
            "sshd(8): a line has 8 kB at most, and people have to paste it"
        );
    }

    #[test]
    fn each_kind_of_key_that_ssh_keygen_makes_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]
        {
            let key = folder.path().join(format!("{kind}{bits}"));
            let mut keygen = Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-N", "", "-t", kind, "-b", bits, "-f"]).arg(&key).status();
            assert!(made.expect("ssh-keygen is missing: apt-get install openssh-client").success());
            let public = key.with_extension("pub");
            let line = authorized_key(&public).unwrap();
            assert!(line.ends_with(std::fs::read_to_string(&public).unwrap().trim()), "{line}");
            let private = authorized_key(&key).unwrap_err();
            assert!(
                private.contains("PRIVATE") && private.contains("ssh-keygen -y") && !private.contains("BEGIN"),
                "{private}"
            );
        }
        let sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIEo8D+Mwvzvd6x0hUrPjv2gkfVvYvUQjmjzGqxuvEqR1AAAABHNzaDo=";
        assert!(line(sk).is_ok(), "{:?}", line(sk));
    }

    #[test]
    fn f087_what_is_no_public_key_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let cut = &KEY[..60];
        for (content, word) in [
            ("", "exactly one"),
            ("# nothing\n", "exactly one"),
            (&format!("{KEY}\n{KEY}\n"), "exactly one"),
            ("hunter2 hunter2", "does not begin with"),
            (&format!("restrict {KEY}"), "does not begin with"),
            (&KEY.replace("ssh-ed25519", "ssh-dss"), "does not begin with"),
            (&KEY.replace("ssh-ed25519", "ssh-rsa"), "damaged"),
            ("ssh-ed25519", "damaged"),
            ("ssh-ed25519 hunter2", "damaged"),
            (cut, "damaged"),
            (&KEY.replace("IM9r", "I!9r"), "damaged"),
            (&format!("{KEY}\u{1b}[31m"), "control characters"),
            (&KEY.replace(' ', "\t"), "control characters"),
        ] {
            let error = authorized_key(&file(&folder, content.as_bytes())).unwrap_err();
            assert!(error.contains("key.pub: ") && error.contains(word), "{content:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = |path: &Path| authorized_key(path).unwrap_err();
        assert!(error(&file(&folder, &[0xff, 0xfe])).contains("not text"));
        assert!(error(&file(&folder, &vec![b'a'; 16 * 1024 + 1])).contains("larger than 16 kB"));
        assert!(error(folder.path()).contains("not a regular file"));
        assert!(error(&folder.path().join("none")).contains("No such file"));
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(error(&fifo).contains("not a regular file"));
    }
}
