//! What is asked over the network without EC2: targets and backends, by the very clients of a pass.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::backends::{self, Heard};
use super::user::User;
use super::{targets, witnesses};
use crate::config::Settings;
use crate::model::{Family, Finding, Fitness, Target, Topic};
use crate::observe::Vantages as _;
use crate::observe::icmp::Icmp;
use crate::observe::resolve::{self, System};
use crate::observe::ssh::Ssh;
use crate::record::State;

/// The groups that may open ICMP sockets without a capability, of both families (icmp(7)).
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// All of it, until then; `by_cron`: cron runs natwatch.
pub(super) async fn findings(
    settings: &Settings,
    state: Option<&State>,
    by_cron: bool,
    until: Instant,
) -> Vec<Finding> {
    let observe = &settings.observe;
    let icmp = Icmp::new(rand::random());
    let (tell, told) = watch::channel(None);
    let targets = async {
        let seen = targets::look(settings, state, &System, &icmp).await;
        tell.send_replace(Some(good(&seen)));
        seen
    };
    let (seen, primary, asked) = tokio::join!(targets, targets::primary(settings, &icmp), ask(settings, &told, until));
    let six = seen.iter().any(|one| one.target.as_ref().is_ok_and(|one| one.family() == Family::V6));
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
        Ok((heard, patience)) => {
            findings.push(Finding::new(Topic::Backends, "ssh", Fitness::Fit, "OpenSSH's client is there".to_owned()));
            findings.extend(of_backends(settings, state, &heard, &good(&seen), patience));
        }
        Err(why) => findings.extend(deaf(&why)),
    }
    findings
}

fn good(seen: &[targets::Seen]) -> Vec<Target> {
    seen.iter().filter_map(targets::Seen::good).cloned().collect()
}

/// Asks the backends, and says for how long.
async fn ask(settings: &Settings, good: &backends::Good, until: Instant) -> Result<(Vec<Heard>, Duration), String> {
    let ssh = Ssh::new(&settings.observe.ssh)?;
    let (reached, own) = tokio::join!(
        resolve::backends(&System, &settings.observe.backends, &[]),
        resolve::backends(&System, &settings.own, &[]),
    );
    let patience = until.saturating_duration_since(Instant::now());
    let heard = backends::ask(&ssh, reached, own, good, settings.observe.timeout, until).await;
    ssh.close(Vec::new()).await;
    Ok((heard, patience))
}

fn of_backends(
    settings: &Settings,
    state: Option<&State>,
    heard: &[Heard],
    good: &[Target],
    patience: Duration,
) -> Vec<Finding> {
    let mut findings = backends::findings(heard, &settings.observe.ssh, patience);
    findings.extend(targets::shunning(&backends::behind(heard, good)));
    if good.is_empty() {
        let text =
            "whether the backends could witness can't be told as long as no target answers this standby".to_owned();
        findings.push(Finding::new(Topic::Backends, "witnesses", Fitness::Unknown, text));
    } else {
        findings.extend(witnesses::findings(settings, state, heard));
    }
    findings
}

/// Without SSH nobody is heard.
fn deaf(why: &str) -> [Finding; 2] {
    let unknown = "no backend could be asked: there is no SSH client".to_owned();
    [
        Finding::new(Topic::Backends, "ssh", Fitness::Unfit, format!("no backend can be heard: {why}")),
        Finding::new(Topic::Backends, "witnesses", Fitness::Unknown, unknown),
    ]
}

/// Whether this user can send pings.
fn socket(family: Family, ready: Result<(), String>) -> Finding {
    let finding = |fitness, text| Finding::new(Topic::Uplink, "icmp-socket", fitness, text).of(family);
    let who = rustix::process::geteuid().as_raw();
    let Err(why) = ready else {
        return finding(Fitness::Fit, format!("user {who} may send {family} pings"));
    };
    // The remedy follows the colon, where it is a matter of rights.
    let (text, remedy) = why.split_once(": ").unwrap_or((&why, ""));
    let found = finding(Fitness::Unfit, format!("no {family} control ping can be sent: {text} (user {who})"));
    if remedy.is_empty() { found } else { found.remedy(remedy) }
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
        .remedy("sysctl -w net.ipv4.ping_group_range='0 2147483647'"),
        None => finding(Fitness::Unknown, format!("whether {may} is not known: {PING_GROUPS} can't be read"))
            .remedy("sudo -u natwatch natwatch doctor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let why = "this user may not send pings: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or run with CAP_NET_RAW";
        let found = socket(Family::V4, Err(why.to_owned()));
        assert_eq!(found.fitness, Fitness::Unfit);
        assert!(found.remedy.unwrap().starts_with("sysctl -w net.ipv4.ping_group_range"));
    }

    #[test]
    fn without_ssh_nobody_is_heard() {
        let found = deaf("none of /usr/bin/ssh is there: apt-get install openssh-client");
        assert_eq!(found.each_ref().map(|one| one.fitness), [Fitness::Unfit, Fitness::Unknown]);
        assert!(found[0].text.contains("apt-get install openssh-client"));
    }
}
