//! The text that runs on a backend: one ping that bounds itself, and the guard of a key that may do nothing else.
//!
//! It is given to `/bin/sh`, POSIX's own, whatever the login shell is, as one word in single quotes. Those mean the same to sh, bash,
//! csh and fish as long as there is no quote, backslash or line break between them, so there is none. (csh's `!` is for what is
//! typed: a command given with `-c` has no history.)

use std::net::IpAddr;
use std::time::Duration;

use super::Dialect;

/// What every request begins with.
const SHELL: &str = "exec /bin/sh -c ";

/// What its three words follow: the word of our lines, the timeout, the address. Lines in `authorized_keys` of all ages look for it,
/// so it stays as it is.
const NAME: &str = "natwatch-ping";

/// Pings `$3` once with the timeout `$2`, between lines that carry `$1`.
///
/// `-c 1` and `-W` end a ping (ping(8)); one that goes on two seconds longer is killed, whoever is there to see it. Not by
/// `timeout(1)`, which old systems lack and old busyboxes call otherwise. The watchdog holds none of our output open, and goes
/// with the ping: told to end, it ends its `sleep`.
const PING: &str = "LC_ALL=C; export LC_ALL; o=; \
    case $2 in *.*) o=-n;; esac; case $3 in *:*) o=\"$o -6\";; esac; \
    echo begin-$1; ping $o -c 1 -W $2 $3 2>&1 & p=$!; \
    (sleep $((${2%.*}+2)) & trap \"kill $!; exit\" TERM; wait; kill -9 $p) </dev/null >/dev/null 2>&1 & \
    wait $p; s=$?; kill $!; echo end-$1 $s";

/// Takes the three words from what was asked for (`SSH_ORIGINAL_COMMAND`, sshd(8)) and leaves them as `$1`, `$2`, `$3`, or ends.
///
/// Nothing of the request is ever executed. Its words are split at spaces only, so that a line break or a tab makes a word that fits
/// nothing; a request of more than 4 kB, which would only keep the shell busy, is none of ours; each word must have its exact shape: sixteen hexadecimal digits, less than six seconds, an address.
const GUARD: &str = "LC_ALL=C; set -f; no() { echo \"natwatch: this key may only ping\"; exit 64; }; \
    c=$SSH_ORIGINAL_COMMAND; [ ${#c} -le 4096 ] || no; case $c in \"exec /bin/sh -c \"*\" natwatch-ping \"*) ;; *) no;; esac; \
    r=${c##* natwatch-ping }; IFS=\" \"; set -- $r; [ $# = 3 ] || no; [ \"$*\" = \"$r\" ] || no; w=$1 t=$2 a=$3; \
    x=[0-9a-f]; y=$x$x$x$x; case $w in $y$y$y$y) ;; *) no;; esac; \
    case $t in [0-5].[0-9][0-9][0-9]|[1-5]) ;; *) no;; esac; \
    case $a in \
    *::*|*:*:*:*:*:*:*:*) IFS=:; set -- $a; [ $# -le 9 ] || no; \
    for n do case $n in \"\"|$x|$x$x|$x$x$x|$y) ;; *) no;; esac; done;; \
    *) IFS=.; set -- $a; [ $# = 4 ] || no; [ \"$*\" = \"$a\" ] || no; \
    for n do case $n in [0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]) ;; *) no;; esac; done;; \
    esac; IFS=\" \"; set -- $w $t $a; ";

/// The command that pings `addr` once, for any login shell. `word` must be fresh: it is what tells our output from anybody else's.
#[must_use]
pub fn command(word: &str, addr: IpAddr, timeout: Duration, dialect: Dialect) -> String {
    let wait = match dialect {
        Dialect::Fractional => format!("{:.3}", timeout.as_secs_f64()),
        Dialect::WholeSeconds => super::whole_seconds(timeout).to_string(),
    };
    format!("{SHELL}'{PING}' {NAME} {word} {wait} {addr}")
}

/// The command for `command="…"` in `authorized_keys` (sshd(8)), not yet quoted for it: runs what [`command`] asks for, and
/// nothing else.
#[must_use]
pub fn forced_command() -> String {
    format!("{SHELL}'{GUARD}{PING}'")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Output, Stdio};

    use super::*;

    const WORD: &str = "0123456789abcdef";

    fn request(addr: &str) -> String {
        command(WORD, addr.parse().unwrap(), Duration::from_millis(300), Dialect::Fractional)
    }

    /// What `sh` does, as sshd would have it, when a `ping` of ours comes first that says how it was called.
    fn sh(command: &str, asked: Option<&str>) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        let ping = folder.path().join("ping");
        std::fs::write(&ping, "#!/bin/sh\necho \"called: $*\"\n").unwrap();
        std::fs::set_permissions(&ping, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        shell.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display())).process_group(0);
        if let Some(asked) = asked {
            shell.env("SSH_ORIGINAL_COMMAND", asked);
        }
        let Output { status, stdout, .. } = shell.output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap())
    }

    #[test]
    fn f033_f106_a_ping_carries_its_count_and_its_deadline_in_each_dialect() {
        let ask = |addr: &str, ms, dialect| {
            sh(&command(WORD, addr.parse().unwrap(), Duration::from_millis(ms), dialect), None).1
        };
        let called = |options: &str| format!("begin-{WORD}\ncalled: {options}\nend-{WORD} 0\n");
        assert_eq!(ask("203.0.113.1", 300, Dialect::Fractional), called("-n -c 1 -W 0.300 203.0.113.1"));
        assert_eq!(ask("203.0.113.1", 300, Dialect::WholeSeconds), called("-c 1 -W 1 203.0.113.1"));
        assert_eq!(ask("2001:db8::1", 5000, Dialect::Fractional), called("-n -6 -c 1 -W 5.000 2001:db8::1"));
        assert_eq!(ask("2001:db8::1", 1001, Dialect::WholeSeconds), called("-6 -c 1 -W 2 2001:db8::1"));
    }

    #[test]
    fn f037_the_key_that_may_only_ping_pings_as_any_other() {
        for addr in ["203.0.113.1", "8.8.8.255", "2001:db8::1", "::1", "2001:db8:1:2:3:4:5:6", "fe80::"] {
            for (ms, dialect) in [(50, Dialect::Fractional), (5000, Dialect::Fractional), (5000, Dialect::WholeSeconds)]
            {
                let asked = command(WORD, addr.parse().unwrap(), Duration::from_millis(ms), dialect);
                let (status, said) = sh(&forced_command(), Some(&asked));
                assert_eq!((status, &said), (0, &sh(&asked, None).1), "{asked}");
                assert!(said.contains("called: -"), "{asked}: {said}");
            }
        }
    }

    #[test]
    fn f037_f038_whatever_else_is_asked_for_is_refused_and_nothing_of_it_is_run() {
        let good = request("203.0.113.1");
        let with = |from: &str, to: &str| good.replace(from, to);
        let mut attacks: Vec<String> = [
            "", " ", "id", "sh", "-bash", "exec /bin/sh -c ", "natwatch-ping", "/usr/lib/openssh/sftp-server", "scp -t /tmp",
            "sh -c 'echo begin-0123456789abcdef; LC_ALL=C ping -n -c 1 -W 0.300 203.0.113.1 2>&1; echo end-0123456789abcdef $?; id'",
        ]
        .map(str::to_owned)
        .into();
        attacks.extend(
            ["; id", " id", "\nid", "\n", " ", "\t", "$(id)", "`id`", "&id", "|id", " #", "\\", "'", "\"", ".", "."]
                .map(|tail| format!("{good}{tail}")),
        );
        attacks.extend(["id; ", "id\n", " "].map(|head| format!("{head}{good}")));
        let addresses = [
            "$(id)",
            "`id`",
            "-f",
            "-I",
            "203.0.113.256",
            "203.0.113",
            "203.0.113.1.1",
            "203.0.113.01",
            "0x7f.0.0.1",
            "localhost",
            "feed.de",
            "*",
            "203.0.113.*",
            "[::1]",
            "::1%lo",
            "1:2:3",
            "::12345",
            "::g",
            ":::::::::::",
            "203.0.113.1;id",
            "203.0.113.1\nid",
            "203.0.113.1\tid",
            "../x",
            "",
            "::ffff:203.0.113.1",
            "::$(id)",
            "$IFS",
            "${HOME}",
        ];
        attacks.extend(addresses.map(|addr| with(" 203.0.113.1", &format!(" {addr}"))));
        for timeout in ["6", "0", "99", "0.3000", "-f", "0.300 -I 1", "0.300 -s 65000", "9.999", "*", "", "0.3.0"] {
            attacks.push(with(" 0.300 ", &format!(" {timeout} ")));
        }
        for word in ["0123456789abcde", "0123456789abcdef0", "0123456789ABCDEG", "$(id)aaaaaaaaaaa", "*", ""] {
            attacks.push(with(&format!(" {WORD} "), &format!(" {word} ")));
        }
        for attack in attacks {
            let (status, said) = sh(&forced_command(), Some(&attack));
            assert_eq!((status, said.as_str()), (64, "natwatch: this key may only ping\n"), "{attack:?}");
        }
        assert_eq!(sh(&forced_command(), None).0, 64, "a login without any command");
    }

    #[test]
    fn f037_of_a_request_only_three_words_are_used() {
        let (_, said) =
            sh(&forced_command(), Some(&format!("exec /bin/sh -c 'id; reboot' {NAME} {WORD} 1 203.0.113.1")));
        assert_eq!(said, format!("begin-{WORD}\ncalled: -c 1 -W 1 203.0.113.1\nend-{WORD} 0\n"));
    }

    #[test]
    fn f037_every_shell_reads_the_text_alike_and_authorized_keys_holds_it() {
        for text in [PING, GUARD] {
            assert!(!text.contains(['\'', '\\', '\n']), "{text}");
        }
    }

    #[test]
    fn f033_a_ping_that_never_ends_is_killed_by_its_own_watchdog() {
        let folder = tempfile::tempdir().unwrap();
        let ping = folder.path().join("ping");
        std::fs::write(&ping, "#!/bin/sh\ntrap '' TERM INT\nexec sleep 20\n").unwrap();
        std::fs::set_permissions(&ping, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        for inner in [vec!["/bin/sh"], vec!["bash", "--posix"], vec!["busybox", "ash"]] {
            let mut shell = Command::new(inner[0]);
            shell.args(&inner[1..]).args(["-c", PING, NAME, WORD, "0.300", "203.0.113.1"]);
            let output = shell.env("PATH", &path).stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, format!("begin-{WORD}\nend-{WORD} 137\n"), "{inner:?}");
        }
    }
}
