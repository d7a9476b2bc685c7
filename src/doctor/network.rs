//! What is asked over the network without EC2: targets and backends, by the very clients of a pass.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backends::{self, Heard};
use super::sample::{self, Chosen};
use super::user::User;
use super::{Scope, targets, witnesses};
use crate::config::Settings;
use crate::model::{Backend, Family, Finding, Fitness, Target, Topic, quoted};
use crate::observe::Vantages as _;
use crate::observe::icmp::Icmp;
use crate::observe::panel::SubnetMap;
use crate::observe::resolve::{self, System};
use crate::observe::ssh::Ssh;
use crate::record::State;

/// The groups that may open ICMP sockets without a capability, of both families (icmp(7)).
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// All of it, until then; `by_cron`: cron runs natwatch.
pub(super) async fn findings(settings: &Settings, state: Option<&State>, by_cron: bool, scope: Scope) -> Vec<Finding> {
    let observe = &settings.observe;
    let icmp = Icmp::new(rand::random());
    let (tell, told) = watch::channel(None);
    let targets = async {
        let seen = targets::look(settings, state, &System, &icmp).await;
        tell.send_replace(Some(good(&seen)));
        seen
    };
    let (seen, primary, asked) =
        tokio::join!(targets, targets::primary(settings, &icmp), ask(settings, state, &told, scope));
    let six = seen.iter().any(|one| one.family() == Family::V6);
    let families = [Family::V4].into_iter().chain(six.then_some(Family::V6));
    // Root may always.
    let other =
        rustix::process::geteuid().is_root().then(|| User::of(&settings.state)).flatten().filter(|one| one.uid != 0);
    let range = std::fs::read_to_string(PING_GROUPS).unwrap_or_default();
    let one = |family| match (icmp.ready(family), other) {
        (Ok(()), Some(user)) => socket_of(family, user, &range, by_cron),
        (ready, _) => socket(family, ready),
    };
    let mut findings: Vec<Finding> = families.map(one).collect();
    findings.extend(primary);
    findings.extend(targets::findings(&seen, observe.timeout, observe.tries));
    match asked {
        Ok(asked) => {
            findings.push(Finding::new(Topic::Backends, "ssh", Fitness::Fit, "OpenSSH's client is there".to_owned()));
            findings.extend(of_backends(settings, state, &asked, &seen));
        }
        Err(why) => findings.extend(deaf(&why)),
    }
    findings
}

/// What was heard of the backends.
struct Asked {
    heard: Vec<Heard>,
    /// For how long they were listened to.
    patience: Duration,
    /// Who was left out, as there are too many.
    unasked: Vec<Backend>,
    only_some: Option<Finding>,
}

fn good(seen: &[targets::Seen]) -> Vec<Target> {
    seen.iter().filter_map(targets::Seen::good).cloned().collect()
}

/// Asks the backends; some of them, where there are too many and not all are asked for.
async fn ask(settings: &Settings, state: Option<&State>, good: &backends::Good, scope: Scope) -> Result<Asked, String> {
    let ssh = Ssh::new(&settings.observe.ssh)?;
    let (reached, own) = tokio::join!(
        resolve::backends(&System, &settings.observe.backends, &[]),
        resolve::backends(&System, &settings.own, &[]),
    );
    let chosen = if scope.all {
        Chosen { asked: reached, unasked: Vec::new() }
    } else {
        let guarded = witnesses::guarded(settings, state);
        let map = SubnetMap::new(guarded.as_ref(), &settings.observe.within);
        sample::choose(reached, &map, settings.decide.threshold, &mut SmallRng::seed_from_u64(rand::random()))
    };
    let only_some = sample::finding(&chosen);
    let patience = scope.backends.saturating_duration_since(Instant::now());
    let heard = backends::ask(&ssh, chosen.asked, own, good, settings.observe.timeout, scope.backends).await;
    ssh.close(Vec::new()).await;
    Ok(Asked { heard, patience, unasked: chosen.unasked, only_some })
}

fn of_backends(settings: &Settings, state: Option<&State>, asked: &Asked, seen: &[targets::Seen]) -> Vec<Finding> {
    let good = good(seen);
    let names: Vec<&str> = seen.iter().map(|one| one.name.as_str()).collect();
    let mut findings: Vec<Finding> = asked.only_some.iter().cloned().collect();
    findings.extend(backends::findings(&asked.heard, &settings.observe.ssh, asked.patience));
    findings.extend(targets::shunning(&backends::behind(&asked.heard, &good), &names));
    if good.is_empty() {
        findings.push(nothing_to_ping(seen.first().map_or("1.1.1.1", |one| one.name.as_str())));
    } else {
        findings.extend(witnesses::findings(settings, state, &asked.heard, &asked.unasked));
    }
    findings
}

fn nothing_to_ping(target: &str) -> Finding {
    let text = "whether the backends could witness can't be told as long as no target answers this standby";
    Finding::new(Topic::Backends, "witnesses", Fitness::Unknown, text.to_owned())
        .cause("nothing-to-ping")
        .remedy(format!("ping -c 3 {}", quoted(target)))
}

/// Without SSH nobody is heard.
fn deaf(why: &str) -> [Finding; 2] {
    // Where it is the program that is missing, the remedy follows the colon.
    let (text, install) = match why.split_once(": apt-get") {
        Some((text, _)) => (text, "apt-get install openssh-client || dnf install openssh-clients"),
        None => (why, "ls -ld \"${TMPDIR:-/tmp}\"; df -h \"${TMPDIR:-/tmp}\""),
    };
    let finding = |id, fitness, text: String| Finding::new(Topic::Backends, id, fitness, text).remedy(install);
    [
        finding("ssh", Fitness::Unfit, format!("no backend can be heard: {text}")).cause("no-client"),
        finding("witnesses", Fitness::Unknown, format!("no backend could be asked: {text}")).cause("nobody-asked"),
    ]
}

/// Opens ping sockets to every group (icmp(7)).
const TO_ALL: &str = "sysctl -w net.ipv4.ping_group_range='0 2147483647'";

/// Whether this user can send pings.
fn socket(family: Family, ready: Result<(), String>) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Uplink, "icmp-socket", fitness, text).of(family);
    let who = rustix::process::geteuid().as_raw();
    let Err(why) = ready else {
        return finding(Fitness::Fit, format!("user {who} may send {family} pings"));
    };
    // Where it is a matter of rights, the remedy follows the colon.
    let barred =
        |text: &str| finding(Fitness::Unfit, format!("no {family} control ping can be sent: {text} (user {who})"));
    match why.split_once(": sysctl") {
        Some((text, _)) => barred(&format!("{text}, neither by net.ipv4.ping_group_range nor by CAP_NET_RAW"))
            .cause("no-right-to-ping")
            .remedy(TO_ALL),
        None => {
            barred(&why).cause("no-socket").remedy("sysctl net.ipv4.ping_group_range net.ipv6.conf.all.disable_ipv6")
        }
    }
}

/// Whether natwatch's user can, where root asks: by its group, as no capability that it is given is seen from here. The shipped units give it
/// one, cron does not.
fn socket_of(family: Family, User { uid, gid }: User, range: &str, by_cron: bool) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Uplink, "icmp-socket", fitness, text).of(family);
    let mut bounds = range.split_whitespace().map(str::parse::<u32>);
    let listed = match (bounds.next(), bounds.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Some((first..=last).contains(&gid)),
        _ => None,
    };
    let may = format!("user {uid}, who owns the state folder, may send {family} pings");
    match listed {
        Some(true) => finding(Fitness::Fit, may),
        Some(false) if !by_cron => {
            finding(Fitness::Fit, format!("{may} with CAP_NET_RAW, which the shipped units give it, and not without"))
        }
        Some(false) => finding(
            Fitness::Unknown,
            format!("whether {may} is not known: cron gives it no CAP_NET_RAW, and group {gid} is not in net.ipv4.ping_group_range"),
        )
        .cause("user-not-in-group-range")
        .remedy(TO_ALL),
        None => finding(Fitness::Unknown, format!("whether {may} is not known: {PING_GROUPS} can't be read"))
            .cause("group-range-unreadable")
            .remedy("sudo -u natwatch natwatch doctor"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const BARRED: &str =
        "this user may not send pings: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or run with CAP_NET_RAW";
    const NO_SSH: &str =
        "none of /usr/bin/ssh is there: apt-get install openssh-client, or dnf install openssh-clients";

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let user = User { uid: 990, gid: 980 };
        let sockets = [BARRED, "no IPv6 ICMP socket: not supported"];
        let mut all: Vec<Finding> = sockets.map(|why| socket(Family::V6, Err(why.to_owned()))).into();
        all.extend(["1\t0\n", ""].map(|range| socket_of(Family::V4, user, range, true)));
        all.extend(deaf(NO_SSH));
        all.push(nothing_to_ping("203.0.113.1"));
        all
    }

    #[test]
    fn root_is_told_whether_natwatchs_user_may_ping() {
        let user = User { uid: 990, gid: 980 };
        for (range, by_cron, expected, word) in [
            ("0\t2147483647\n", true, Fitness::Fit, "pings"),
            ("980 980", true, Fitness::Fit, "pings"),
            ("1\t0\n", true, Fitness::Unknown, "group 980 is not in"),
            ("981 2000", true, Fitness::Unknown, "cron gives it no CAP_NET_RAW"),
            ("1\t0\n", false, Fitness::Fit, "with CAP_NET_RAW, which the shipped units give it"),
            ("", false, Fitness::Unknown, "can't be read"),
        ] {
            let found = socket_of(Family::V4, user, range, by_cron);
            assert_eq!(found.fitness, expected, "{range:?}");
            assert!(found.text.contains(word), "{}", found.text);
            assert!(found.text.contains("user 990, who owns the state folder, may send IPv4 pings"), "{}", found.text);
            crate::doctor::tests::can_be_pasted(&[found]);
        }
    }

    #[test]
    fn who_may_not_ping_is_told_how_to() {
        assert_eq!(socket(Family::V4, Ok(())).fitness, Fitness::Fit);
        let found = socket(Family::V4, Err(BARRED.to_owned()));
        assert_eq!(found.fitness, Fitness::Unfit);
        assert_eq!(found.remedy.as_deref(), Some("sysctl -w net.ipv4.ping_group_range='0 2147483647'"));
        // The very words by which the room that opens the socket says so.
        let said = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/observe/icmp.rs")).unwrap();
        assert!(said.contains(&BARRED.replace('"', "\\\"")), "{BARRED}");
    }

    #[test]
    fn without_ssh_nobody_is_heard() {
        let found = deaf(NO_SSH);
        assert_eq!(found.each_ref().map(|one| one.fitness), [Fitness::Unfit, Fitness::Unknown]);
        assert!(found[0].remedy.as_ref().unwrap().starts_with("apt-get install openssh-client || dnf"), "{found:?}");
        let full = deaf("a folder for SSH's control sockets in /tmp: No space left on device");
        assert!(
            full[0].text.contains("No space left") && full[0].remedy.as_ref().unwrap().contains("df -h"),
            "{full:?}"
        );
    }
}
