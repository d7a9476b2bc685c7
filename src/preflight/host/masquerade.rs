//! Is there a rule that masquerades? What `nft` and `iptables-save` print, and what it means (pure).
//!
//! It does not prove that the rule matches the private subnets' traffic; probes through the standby do.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::model::cloud::Masquerade;
use crate::model::printable;

/// All commands together: each takes some 10 ms, and a survey must not wait for a stuck one.
const WITHIN: Duration = Duration::from_secs(1);

/// A rule set of a NAT instance prints in some kilobytes; a megabyte is thousands of rules.
const LARGEST: usize = 1 << 20;

/// Bit of `CAP_NET_ADMIN` in capability masks (capabilities(7)).
const NET_ADMIN: u32 = 12;

const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];
const NFT_SAVE: [&str; 2] = ["/usr/sbin/iptables-nft-save", "/sbin/iptables-nft-save"];
const LEGACY: [&str; 4] =
    ["/usr/sbin/iptables-legacy-save", "/sbin/iptables-legacy-save", "/usr/sbin/iptables-save", "/sbin/iptables-save"];

/// Where the kernel lists the tables of legacy iptables. Asked first: the command would load the module of a missing table.
const LEGACY_TABLES: &str = "/proc/net/ip_tables_names";

/// Reads this machine's rules, where we may.
pub(super) fn read() -> Masquerade {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !may_read(&status) {
        return Masquerade::Unknown("takes root or CAP_NET_ADMIN".to_owned());
    }
    let until = Instant::now() + WITHIN;
    let mut readings = vec![match run(&NFT, &["-j", "list", "ruleset"], until) {
        // The rules of iptables-nft can be read without nft.
        Err(Failed::NotInstalled(_)) => {
            run(&NFT_SAVE, &["-t", "nat"], until).map(|text| in_iptables(&text)).map_err(Failed::into_text)
        }
        read => read.map_err(Failed::into_text).and_then(|text| in_nft(&text)),
    }];
    match std::fs::read_to_string(LEGACY_TABLES) {
        Ok(tables) if tables.lines().any(|table| table == "nat") => {
            readings
                .push(run(&LEGACY, &["-t", "nat"], until).map(|text| in_iptables(&text)).map_err(Failed::into_text));
        }
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            readings.push(Err(format!("cannot read {LEGACY_TABLES}: {why}")));
        }
        _ => {}
    }
    conclude(readings)
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

/// Whether `nft -j list ruleset` shows a rule that translates source addresses. `iptables-nft` leaves its rules as
/// `xt` expressions.
fn in_nft(json: &str) -> Result<bool, String> {
    let rules: Value = serde_json::from_str(json).map_err(|e| format!("nft's JSON cannot be read: {e}"))?;
    let Some(rules) = rules["nftables"].as_array() else { return Err("nft's JSON holds no rule set".to_owned()) };
    let mut expressions = rules.iter().filter_map(|item| item["rule"]["expr"].as_array()).flatten();
    let translates = |expression: &Value| {
        let native = expression.get("masquerade").is_some() || expression.get("snat").is_some();
        native || matches!(expression["xt"]["name"].as_str(), Some("MASQUERADE" | "SNAT"))
    };
    if expressions.any(translates) {
        return Ok(true);
    }
    // An nft without support for xt prints it as null: it may be anything.
    let opaque = |item: &Value| {
        item["rule"]["expr"].as_array().is_some_and(|all| all.iter().any(|e| e.get("xt").is_some_and(Value::is_null)))
    };
    let opaque =
        rules.iter().any(|item| item["rule"]["family"] == "ip" && item["rule"]["table"] == "nat" && opaque(item));
    if opaque { Err("nft cannot show the rules of iptables".to_owned()) } else { Ok(false) }
}

/// Whether `iptables-save -t nat` shows such a rule.
fn in_iptables(text: &str) -> bool {
    let rules = text.lines().filter(|line| line.starts_with("-A "));
    rules
        .map(|rule| rule.split_whitespace().collect::<Vec<_>>())
        .any(|words| words.windows(2).any(|pair| matches!(pair, ["-j", "MASQUERADE" | "SNAT"])))
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
    fn f010_nft_rules_that_translate_sources_are_found() {
        let rule = |expr: &str| {
            format!(
                r#"{{"nftables":[{{"metainfo":{{}}}},{{"table":{{"name":"nat"}}}},{{"rule":{{"family":"ip","table":"nat","expr":[{expr}]}}}}]}}"#
            )
        };
        let cases = [
            (r#"{"counter":{"packets":0}},{"masquerade":null}"#, true),
            (r#"{"snat":{"addr":"10.0.0.20"}}"#, true),
            (r#"{"xt":{"type":"target","name":"MASQUERADE"}}"#, true),
            (r#"{"dnat":{"addr":"10.0.0.20"}}"#, false),
            (r#"{"accept":null}"#, false),
        ];
        for (expr, found) in cases {
            assert_eq!(in_nft(&rule(expr)), Ok(found), "{expr}");
        }
        assert!(in_nft(&rule(r#"{"xt":null}"#)).is_err());
        assert!(in_nft("{}").is_err());
        assert!(in_nft("").is_err());
        assert_eq!(in_nft(r#"{"nftables":[]}"#), Ok(false));
    }

    #[test]
    fn f010_iptables_rules_that_translate_sources_are_found() {
        let save = |rule: &str| format!("# Generated\n*nat\n:POSTROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n");
        assert!(in_iptables(&save("-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE")));
        assert!(in_iptables(&save("-A POSTROUTING -j SNAT --to-source 10.0.0.20")));
        assert!(!in_iptables(&save("-A PREROUTING -m comment --comment MASQUERADE -j DNAT --to 10.0.0.9")));
        assert!(!in_iptables(":MASQUERADE - [0:0]"));
    }

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
