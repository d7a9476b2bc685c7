//! Is there a rule that masquerades what the guarded subnets send? The rules are had of `nft` and `iptables-save`.
//!
//! A rule that is there proves nothing, as it may have conditions that are not understood; probes through the standby do.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::forward;
use super::rules::{Deed, Limit, Rule, Rules, iptables, nft};
use super::{Guarding, Place, Reading};
use crate::model::cloud::Masquerade;
use crate::model::{Family, printable};

/// All commands together: each takes some 10 ms, and a survey must not wait for a stuck one.
const WITHIN: Duration = Duration::from_secs(1);

/// A rule set of a NAT instance prints in some kilobytes; a megabyte is thousands of rules.
const LARGEST: usize = 1 << 20;

/// Bit of `CAP_NET_ADMIN` in capability masks (capabilities(7)).
const NET_ADMIN: u32 = 12;

const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];

/// How the rules of iptables are had, for packets of a family.
struct Iptables {
    /// Those of its nft backend, and what that is called.
    nft: ([&'static str; 2], &'static str),
    /// Those of the legacy one.
    legacy: ([&'static str; 4], &'static str),
    /// Where the kernel lists the legacy one's tables. Asked first: the command would load the module of a missing table.
    listed: &'static str,
    /// The tables that translate sources or filter what is forwarded.
    tables: &'static [&'static str],
}

const FOUR: Iptables = Iptables {
    nft: (["/usr/sbin/iptables-nft-save", "/sbin/iptables-nft-save"], "iptables-nft"),
    legacy: (
        [
            "/usr/sbin/iptables-legacy-save",
            "/sbin/iptables-legacy-save",
            "/usr/sbin/iptables-save",
            "/sbin/iptables-save",
        ],
        "iptables-legacy",
    ),
    listed: "/proc/net/ip_tables_names",
    tables: &["nat", "filter"],
};

const SIX: Iptables = Iptables {
    nft: (["/usr/sbin/ip6tables-nft-save", "/sbin/ip6tables-nft-save"], "ip6tables-nft"),
    legacy: (
        [
            "/usr/sbin/ip6tables-legacy-save",
            "/sbin/ip6tables-legacy-save",
            "/usr/sbin/ip6tables-save",
            "/sbin/ip6tables-save",
        ],
        "ip6tables-legacy",
    ),
    listed: "/proc/net/ip6_tables_names",
    // Prefixes are translated in `mangle` (ip6tables-extensions(8), SNPT).
    tables: &["nat", "filter", "mangle"],
};

/// What this machine's rules do to packets of each, where we may read them.
pub(super) fn read(guarding: &[Guarding]) -> Vec<Reading> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !may_read(&status) {
        return guarding.iter().map(|one| super::unread(one.family, "takes root or CAP_NET_ADMIN")).collect();
    }
    let until = Instant::now() + WITHIN;
    let ruleset = run(&NFT, &["-j", "list", "ruleset"], until);
    let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let one = |guarding: &Guarding| {
        let uplink = super::uplink(guarding.family);
        let there = |name: &str| is_there(&interfaces, name);
        judge(gather(&ruleset, guarding.family, until), &Place::new(guarding, uplink.as_deref(), &there))
    };
    guarding.iter().map(one).collect()
}

/// All rules for packets of `family`, by each of who keeps any.
fn gather(ruleset: &Result<String, Failed>, family: Family, until: Instant) -> Vec<Result<Rules, String>> {
    let Iptables { nft: of_nft, legacy, listed, tables } = match family {
        Family::V4 => FOUR,
        Family::V6 => SIX,
    };
    let mut readings = vec![match ruleset {
        // The rules of iptables-nft can be read without nft.
        Err(Failed::NotInstalled(_)) => {
            run(&of_nft.0, &[], until).map(|said| iptables(&said, of_nft.1)).map_err(Failed::into_text)
        }
        Err(Failed::Otherwise(why)) => Err(why.clone()),
        Ok(said) => nft(said, family),
    }];
    match std::fs::read_to_string(listed) {
        Ok(there) => {
            for table in there.lines().filter(|table| tables.contains(table)) {
                let said = run(&legacy.0, &["-t", table], until).map_err(Failed::into_text);
                readings.push(said.map(|said| iptables(&said, legacy.1)));
            }
        }
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            readings.push(Err(format!("cannot read {listed}: {why}")));
        }
        Err(_) => {}
    }
    readings
}

/// By the list of this namespace's interfaces (`proc_pid_net(5)`). `/sys` may be of another one.
fn is_there(interfaces: &str, name: &str) -> bool {
    interfaces.lines().any(|line| line.split_once(':').is_some_and(|(one, _)| one.trim() == name))
}

/// What was read, and where not, why.
pub(super) fn judge(readings: Vec<Result<Rules, String>>, place: &Place<'_>) -> Reading {
    let known = readings.iter().filter_map(|one| one.as_ref().ok());
    let dropping = known.flat_map(|rules| forward::dropping(rules, place)).collect();
    let Guarding { family, private, .. } = *place.guarding;
    let masquerade = match conclude(readings.into_iter().map(|one| one.and_then(|rules| seen(&rules, place))).collect())
    {
        Masquerade::Absent if family == Family::V6 => Masquerade::Plain { private },
        seen => seen,
    };
    Reading { family, masquerade, dropping: Some(dropping) }
}

/// One sighting is enough; to have seen none takes that all could be read.
fn conclude(readings: Vec<Result<bool, String>>) -> Masquerade {
    if readings.contains(&Ok(true)) {
        return Masquerade::Present;
    }
    match readings.into_iter().find_map(Result::err) {
        Some(why) => Masquerade::Unknown(why),
        None => Masquerade::Absent,
    }
}

/// Whether a process with this `/proc/self/status` may read netfilter's rules. Root without the capability may not.
fn may_read(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << NET_ADMIN) != 0)
}

/// Whether any of these rules translates the sources of what the guarded subnets send.
///
/// `Ok(false)` only where that is certain, since it holds a takeover. A rule for a source that is none of theirs, or for an interface that is not there,
/// is none; one for another interface than the default route's may be right, where policy routing leads there.
fn seen(rules: &Rules, place: &Place<'_>) -> Result<bool, String> {
    let mut unsure = None;
    for rule in &rules.all {
        match rule.deed {
            Deed::Translate => {}
            // An nft without support for xt prints it as null.
            Deed::Any if rule.table[1] == "nat" => {
                unsure.get_or_insert("nft cannot show the rules of iptables".to_owned());
                continue;
            }
            _ => continue,
        }
        match for_us(rule, place) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(why) => drop(unsure.get_or_insert(why)),
        }
    }
    unsure.map_or(Ok(false), Err)
}

fn for_us(rule: &Rule, place: &Place<'_>) -> Result<bool, String> {
    let uplink = place.uplink;
    let is_uplink = |name: &String| {
        let leads = |uplink| name.strip_suffix('*').map_or(name == uplink, |stem| str::starts_with(uplink, stem));
        uplink.is_none_or(leads)
    };
    let elsewhere = match &rule.out {
        Limit::Only(names) if names.iter().any(is_uplink) => None,
        Limit::Only(names) if names.iter().any(|name| name.ends_with('*') || (place.there)(name)) => Some(names),
        Limit::Only(_) => return Ok(false),
        Limit::Not(names) if uplink.is_some() && names.iter().any(is_uplink) => Some(names),
        Limit::None | Limit::Not(_) | Limit::Unclear => None,
    };
    let certain = place.guarding.seen;
    match place.sends(&rule.from) {
        Some(false) if certain => return Ok(false),
        Some(false) => {
            return Err("a rule masquerades, for other sources than the backends that are known".to_owned());
        }
        None if rule.from != Limit::Unclear => {
            return Err(
                "a rule masquerades for certain sources, and which subnets are guarded is not known yet".to_owned()
            );
        }
        Some(true) | None => {}
    }
    elsewhere.map_or(Ok(true), |names| {
        Err(format!(
            "a rule masquerades, by its interface ({}) not what leaves by {}, where the default route leads",
            printable(&names.join(", "), 60),
            uplink.unwrap_or("another")
        ))
    })
}

/// Why a command's output could not be had.
enum Failed {
    NotInstalled(String),
    Otherwise(String),
}

impl Failed {
    fn into_text(self) -> String {
        match self {
            Self::NotInstalled(text) | Self::Otherwise(text) => text,
        }
    }
}

/// The output of the first of these commands that is there.
fn run(candidates: &[&str], args: &[&str], until: Instant) -> Result<String, Failed> {
    let Some(path) = candidates.iter().map(Path::new).find(|path| path.exists()) else {
        return Err(Failed::NotInstalled(format!("{} is not installed", candidates.first().unwrap_or(&"the command"))));
    };
    if !is_roots(path) {
        return Err(Failed::Otherwise(format!("{} can be written by others than root; not run", path.display())));
    }
    capture(Command::new(path).args(args), until).map_err(|why| Failed::Otherwise(format!("{}: {why}", path.display())))
}

/// Whether only root can have put this command here: we may be root when we run it.
fn is_roots(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.uid() == 0 && file.mode() & 0o022 == 0)
}

fn capture(command: &mut Command, until: Instant) -> Result<String, String> {
    let command =
        command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("cannot run: {e}"))?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { return Err("no output".to_owned()) };
    let (tell, told) = mpsc::channel();
    let tell_err = tell.clone();
    std::thread::spawn(move || tell.send((false, read_up_to(out, LARGEST))));
    std::thread::spawn(move || tell_err.send((true, read_up_to(err, 4096))));
    let (mut out, mut err) = (None, None);
    while out.is_none() || err.is_none() {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((false, bytes)) => out = Some(bytes),
            Ok((true, bytes)) => err = Some(bytes),
            Err(_) => break,
        }
    }
    if out.as_ref().is_some_and(|out| out.len() >= LARGEST) {
        let _ = child.kill();
    }
    let ended = end(&mut child, until).map_err(|e| format!("lost: {e}"))?;
    match (out, err) {
        (Some(out), _) if out.len() >= LARGEST => Err("more than 1 MiB of rules".to_owned()),
        (Some(out), Some(_)) if ended.success() => Ok(String::from_utf8_lossy(&out).into_owned()),
        (Some(_), Some(err)) => {
            let said = String::from_utf8_lossy(&err);
            Err(format!("{ended}: {}", printable(said.lines().next().unwrap_or_default(), 200)))
        }
        _ => Err(format!("no answer within {} s", WITHIN.as_secs())),
    }
}

/// Waits for a child until then, and ends it.
fn end(child: &mut Child, until: Instant) -> std::io::Result<ExitStatus> {
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        // It has closed its output, so it is about to exit: this is not the usual way to wait, but one with a bound.
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait()
}

fn read_up_to(source: impl Read, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What could be read before an error is judged by the exit status.
    let _ = source.take(limit as u64).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sighting_is_enough_and_absence_takes_all_readings() {
        assert_eq!(conclude(vec![Err("x".to_owned()), Ok(true)]), Masquerade::Present);
        assert_eq!(conclude(vec![Ok(false), Err("x".to_owned())]), Masquerade::Unknown("x".to_owned()));
        assert_eq!(conclude(vec![Ok(false), Ok(false)]), Masquerade::Absent);
    }

    #[test]
    fn the_capability_counts_and_not_the_user() {
        assert!(may_read("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(may_read("CapEff:\t0000000000001000\n"));
        assert!(!may_read("CapEff:\t0000000000002000\n"));
        assert!(!may_read(""));
    }

    #[test]
    fn a_command_that_hangs_or_floods_is_ended() {
        let began = Instant::now();
        let hung = capture(Command::new("/bin/sleep").arg("30"), began + Duration::from_millis(50));
        assert_eq!(hung.unwrap_err(), "no answer within 1 s");
        let flood = capture(Command::new("/bin/cat").arg("/dev/zero"), began + Duration::from_secs(20));
        assert_eq!(flood.unwrap_err(), "more than 1 MiB of rules");
        let failed =
            capture(Command::new("/bin/sh").args(["-c", "echo no right >&2; exit 1"]), began + Duration::from_secs(20));
        assert_eq!(failed.unwrap_err(), "exit status: 1: no right");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
