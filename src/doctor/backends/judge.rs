//! What was heard of each backend, as findings: pure. Words that are the same for many stand in the text, what is of one host in the
//! details, so that a hundred hosts with one fault are one line. A remedy is a command for this standby; what is to be done elsewhere is text.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Entry, Heard, Pinged};
use crate::doctor::targets::Behind;
use crate::model::{Family, Fate, Finding, Fitness, Silence, SilenceReason, Target, Topic, printable, quoted};
use crate::observe::SshSettings;
use crate::observe::ssh::KeyMay;

/// A login that takes longer depends on something (a directory, a name look-up, a busy host) that may need the very NAT that is dead.
const SLOW: Duration = Duration::from_secs(1);

/// Of what was said.
const SHOWN: usize = 300;

/// All that there is to say of each of them; `patience` is what all of it was given.
pub(in crate::doctor) fn findings(heard: &[Heard], ssh: &SshSettings, patience: Duration) -> Vec<Finding> {
    heard.iter().flat_map(|one| of_one(one, ssh, patience)).collect()
}

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Backends, id, fitness, text.into())
}

fn of_one(heard: &Heard, ssh: &SshSettings, patience: Duration) -> Vec<Finding> {
    let host = &heard.backend.host;
    let mut found = match &heard.entry {
        Entry::NotBegun => {
            vec![
                finding(
                    "backend-reachable",
                    Fitness::Unknown,
                    format!("its turn did not come within {:.0} s", patience.as_secs_f64()),
                )
                .cause("no-turn")
                .remedy("natwatch doctor --all"),
            ]
        }
        Entry::Waiting(_) => {
            let text = format!("no login within the {:.0} s of this examination", patience.as_secs_f64());
            vec![slow_login(&text).cause("login-not-ended").remedy(by_hand(heard, ssh))]
        }
        Entry::Refused(silence) => vec![refused(silence, heard, ssh)],
        Entry::In(took) => {
            let mut found = vec![
                finding("backend-reachable", Fitness::Fit, "SSH answers"),
                finding("backend-host-key", Fitness::Fit, "the host key is the one in known_hosts"),
                finding("backend-login", Fitness::Fit, "our key and user are accepted"),
                login_time(*took, heard, ssh),
            ];
            found.extend(heard.key.as_ref().and_then(|key| restriction(key, ssh)));
            found.extend(pings(heard, ssh));
            found
        }
    };
    if matches!(heard.entry, Entry::In(_)) && heard.untold() {
        found.push(
            finding(
                "backend-ping",
                Fitness::Unknown,
                format!("no answer within the {:.0} s of this examination", patience.as_secs_f64()),
            )
            .cause("not-answered-in-time")
            .remedy("natwatch check -v"),
        );
    }
    found.into_iter().map(|one| one.of(host)).collect()
}

fn slow_login(text: &str) -> Finding {
    let mended = "make the account local on it, and UseDNS no in its sshd_config, as look-ups that need the dead NAT keep it from being heard in an outage";
    finding("backend-login-time", Fitness::Warning, format!("{text}: {mended}"))
}

fn login_time(took: Duration, heard: &Heard, ssh: &SshSettings) -> Finding {
    if took > SLOW {
        // Not the figure itself: it is each host's own.
        return slow_login("the login takes longer than a second")
            .details(vec![format!("{:.1} s", took.as_secs_f64())])
            .cause("login-slow")
            .remedy(by_hand(heard, ssh));
    }
    finding("backend-login-time", Fitness::Fit, "the login takes less than a second")
}

/// The same login by hand, which says where it stays.
fn by_hand(heard: &Heard, ssh: &SshSettings) -> String {
    let mut command = format!("ssh -v -p {} {}", ssh.port.unwrap_or(22), quoted(&heard.backend.destination));
    let path = |path: &std::path::PathBuf| quoted(&path.to_string_lossy());
    let options = [
        ("-F", ssh.ssh_config.as_ref().map(path)),
        ("-l", ssh.user.as_deref().map(quoted)),
        ("-i", ssh.identity.as_ref().map(path)),
        ("-o", ssh.known_hosts.as_ref().map(|file| quoted(&format!("UserKnownHostsFile={}", file.display())))),
    ];
    for (option, value) in options {
        command.extend(value.map(|value| format!(" {option} {value}")));
    }
    command + " -o BatchMode=yes true"
}

/// Not let in: why, by the stage at which it ended.
fn refused(silence: &Silence, heard: &Heard, ssh: &SshSettings) -> Finding {
    use SilenceReason::{HostKeyChanged, HostKeyUnknown, Login, Refused, SlowLogin, Unreachable, Unresolved};
    let host = &heard.backend.destination;
    let port = ssh.port.unwrap_or(22);
    let at = if port == 22 { quoted(host) } else { quoted(&format!("[{host}]:{port}")) };
    let host = quoted(host);
    let known = |option: &str| {
        ssh.known_hosts.as_ref().map_or_else(String::new, |path| format!("{option}{}", quoted(&path.to_string_lossy())))
    };
    let keyscan = format!("ssh-keyscan -p {port} {host}{}", known(" >> "));
    let warning = |id, text: String| finding(id, Fitness::Warning, text);
    match silence.reason {
        Unresolved => warning(
            "backend-name",
            "the name does not resolve on this standby: mend it in DNS, or give its address in the hosts file".to_owned(),
        )
        .cause("unresolved")
        .remedy(format!("getent ahostsv4 {host}")),
        Refused => warning(
            "backend-reachable",
            "nobody listens on its SSH port: mend backends.port, or start sshd on it (systemctl enable --now ssh, or sshd)".to_owned(),
        )
        .cause("refused")
        .remedy(by_hand(heard, ssh)),
        Unreachable => warning(
            "backend-reachable",
            format!("no answer on its SSH port in time (backends.connect_timeout): it must run, and its security group admit TCP {port} from this standby; one that is no more, remove from the hosts"),
        )
        .cause("unreachable")
        .remedy(by_hand(heard, ssh)),
        HostKeyUnknown => warning(
            "backend-host-key",
            "the host key is not in known_hosts: add it, and compare its fingerprint with that of the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there)".to_owned(),
        )
        .cause("key-unknown")
        .remedy(keyscan),
        HostKeyChanged => warning(
            "backend-host-key",
            "SECURITY: the host key is not the one in known_hosts; replace it there only once it is known why".to_owned(),
        )
        .cause("key-changed")
        .remedy(format!("ssh-keygen -R {at}{} && {keyscan}", known(" -f "))),
        Login => warning(
            "backend-login",
            format!("our key or user is not accepted: the line that this command prints belongs into {}", authorized(ssh)),
        )
        .cause("login-refused")
        .remedy(print_key(ssh)),
        SlowLogin => {
            slow_login("no login in time (backends.login_timeout)").cause("login-timeout").remedy(by_hand(heard, ssh))
        }
        _ => warning("backend-reachable", "ssh could not connect: it says why to natwatch's user".to_owned())
            .cause("not-connected")
            .remedy(by_hand(heard, ssh)),
    }
    .details(match silence.reason {
        // All of it is said.
        HostKeyChanged | HostKeyUnknown => Vec::new(),
        _ => vec![printable(&silence.detail, SHOWN)],
    })
}

/// The command that prints what our key's line on a backend should be.
fn print_key(ssh: &SshSettings) -> String {
    let public = ssh.identity.as_ref().map_or_else(|| "KEY.pub".to_owned(), |path| format!("{}.pub", path.display()));
    format!("natwatch print authorized-key {}", quoted(&public))
}

/// Where that line belongs.
fn authorized(ssh: &SshSettings) -> String {
    format!("~{}/.ssh/authorized_keys on it", ssh.user.as_deref().unwrap_or("USER"))
}

fn restriction(key: &Result<KeyMay, Silence>, ssh: &SshSettings) -> Option<Finding> {
    let id = "backend-key";
    match key {
        Ok(KeyMay::OnlyWhatIsForced(_)) => Some(finding(id, Fitness::Fit, "our key may run nothing but its forced command")),
        Ok(KeyMay::Anything) => Some(
            finding(
                id,
                Fitness::Warning,
                format!(
                    "our key may run any command, and who gets hold of it is on that host: the line that this command prints belongs in the place of the key in {}",
                    authorized(ssh)
                ),
            )
            .cause("key-may-all")
            .remedy(print_key(ssh)),
        ),
        // The same keeps it from pinging, and is said there.
        Err(_) => None,
    }
}

/// Its `ping`, and whether anything answers it.
fn pings(heard: &Heard, ssh: &SshSettings) -> Vec<Finding> {
    let silence = heard.pings.iter().find_map(|one| one.said.as_ref().err());
    let mut found = Vec::new();
    match silence {
        Some(silence) if !heard.gave_a_verdict() => return vec![silent(silence, heard, ssh)],
        _ if heard.gave_a_verdict() && heard.whole_seconds => found.push(finding(
            "backend-ping",
            Fitness::Fit,
            "its ping takes whole seconds only; natwatch's own clock bounds it",
        )),
        _ if heard.gave_a_verdict() => {
            found.push(finding("backend-ping", Fitness::Fit, "its ping takes fractions of a second"));
        }
        _ => return found,
    }
    for family in [Family::V4, Family::V6] {
        let all: Vec<&Pinged> = heard.pings.iter().filter(|one| one.family == family).collect();
        if !all.is_empty() {
            found.push(reaches(family, &all, heard.own));
        }
    }
    found
}

fn silent(silence: &Silence, heard: &Heard, ssh: &SshSettings) -> Finding {
    let id = "backend-ping";
    let detail = printable(&silence.detail, SHOWN);
    match silence.reason {
        SilenceReason::NoPing => finding(
            id,
            Fitness::Warning,
            "its ping is missing (on it: apt-get install iputils-ping, or dnf install iputils), or may not be used (on it: chmod 755 /usr/bin/ping && setcap cap_net_raw+p /usr/bin/ping)",
        )
        .details(vec![detail.split(": apt-get").next().unwrap_or_default().to_owned()])
        .cause("no-ping")
        .remedy(format!(
            "ssh -t {} 'sudo apt-get install iputils-ping || sudo dnf install iputils'",
            quoted(&heard.backend.destination)
        )),
        SilenceReason::Hung => finding(
            id,
            Fitness::Warning,
            "logged in, but a command gives no answer: look at the account's shell and start-up files, and at the host's load",
        )
        .details(vec![detail])
        .cause("hung")
        .remedy(by_hand(heard, ssh)),
        _ => finding(
            id,
            Fitness::Warning,
            "logged in, but what it answers is no ping's: give the account /bin/sh as its shell, and the key no command but that of natwatch print authorized-key",
        )
        .details(vec![detail])
        .cause("nonsense")
        .remedy(print_key(ssh)),
    }
}

fn reaches(family: Family, all: &[&Pinged], own: bool) -> Finding {
    let (id, way) = if own { ("own-witness", "this standby's own table") } else { ("backend-reaches", "the NAT") };
    if all.iter().any(|one| matches!(one.said, Ok(Fate::Reply { .. }))) {
        return finding(id, Fitness::Fit, format!("{family} targets answer it through {way}"));
    }
    let text = format!(
        "no {family} target answers it through {way}, and they answer this standby: it is cut off, routed elsewhere, or ICMP echo is not let out by its security group, its subnet's ACL or the NAT's security group"
    );
    finding(id, Fitness::Warning, text).cause("nothing-answers").remedy("natwatch check -v")
}

/// How each target was heard of from behind the primary, by who reaches one of its family.
pub(in crate::doctor) fn behind(heard: &[Heard], targets: &[Target]) -> BTreeMap<String, Behind> {
    let mut seen: BTreeMap<String, Behind> = BTreeMap::new();
    for one in heard.iter().filter(|one| !one.own) {
        let replied = |ping: &Pinged| matches!(ping.said, Ok(Fate::Reply { .. }));
        for ping in &one.pings {
            let reaches = one.pings.iter().any(|other| other.family == ping.family && replied(other));
            if let (true, Ok(_), Some(target)) = (reaches, &ping.said, targets.get(ping.target)) {
                let behind = seen.entry(target.to_string()).or_default();
                behind.asked += 1;
                behind.answered += usize::from(replied(ping));
            }
        }
    }
    seen
}
