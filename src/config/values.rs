//! What a single written value means: durations, names, addresses, paths. Pure; an error says what is wrong and not
//! where, nor what would be accepted (the table of keys does).

pub(super) use crate::model::address::{private, special};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Cidr;

/// Units of a duration, longest suffix first where one ends in another, with their length in nanoseconds.
const UNITS: [(&str, u128); 4] =
    [("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// `"500ms"`, `"1.5s"`, `"5m"`, `"1h"`: an integer or decimal and a unit, nothing between them.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration".to_owned();
    let (number, unit) =
        UNITS.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit))).ok_or_else(wrong)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    // Twelve digits of hours and nine decimals stay far inside a u128.
    if !digits(whole, 12) || !digits(decimals, 9) {
        return Err(wrong());
    }
    let whole: u128 = whole.parse().map_err(|_| wrong())?;
    let fraction: u128 = decimals.parse().map_err(|_| wrong())?;
    let scale = decimals.bytes().fold(1_u128, |scale, _| scale * 10);
    let nanos = whole * unit + fraction * unit / scale;
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| wrong())?;
    let rest = u32::try_from(nanos % 1_000_000_000).map_err(|_| wrong())?;
    Ok(Duration::new(seconds, rest))
}

/// A duration as a configuration would have it: the largest unit that needs no decimals, else milliseconds.
pub(super) fn written(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if let Some((suffix, unit)) = UNITS.iter().rev().find(|(_, unit)| nanos.is_multiple_of(*unit)) {
        format!("{}{suffix}", nanos / unit)
    } else {
        let decimals = format!("{:06}", nanos % 1_000_000);
        format!("{}.{}ms", nanos / 1_000_000, decimals.trim_end_matches('0'))
    }
}

/// 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-', not starting with '.' or '-': it becomes a folder's name.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("not a usable name".to_owned()) }
}

/// A POSIX user name as `useradd` takes it (32 characters at most); never one that `ssh` could take for an option.
pub(super) fn user(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("not a user name".to_owned()) }
}

/// `eu-west-1`, `us-gov-west-1`: whether it exists only EC2 can say, and new ones come.
pub(super) fn region(text: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let fits = parts.len() >= 2
        && text.len() <= 32
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
    if fits { Ok(text.to_owned()) } else { Err("does not look like a region".to_owned()) }
}

/// An absolute path without control characters.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.chars().any(char::is_control) {
        return Err("a control character in a path".to_owned());
    }
    let path = PathBuf::from(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("a relative path, which would mean another file in cron than in a shell".to_owned())
    }
}

/// A path that `ssh` is given: `ssh_config(5)` splits at spaces and expands `%`, `$`, quotes and backslashes in it.
pub(super) fn ssh_path(text: &str) -> Result<PathBuf, String> {
    let path = path(text)?;
    match text.chars().find(|c| c.is_whitespace() || "%$\"'\\".contains(*c)) {
        Some(c) => Err(format!("{} in a path, which ssh would interpret", quoted(c))),
        None => Ok(path),
    }
}

/// A CIDR without host bits.
pub(super) fn cidr(text: &str) -> Result<Cidr, String> {
    let cidr: Cidr = text.parse().map_err(|_| "not a CIDR".to_owned())?;
    if cidr == cidr.trunc() { Ok(cidr) } else { Err(format!("has host bits set; did you mean \"{}\"?", cidr.trunc())) }
}

/// An address of one host.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let addr: IpAddr = text.parse().map_err(|_| "not an IP address".to_owned())?;
    special(addr).map_or(Ok(addr), |what| Err(what.to_owned()))
}

/// A host as typed: a name, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// As typed.
    pub(super) typed: String,
    /// The address, where one was typed.
    pub(super) addr: Option<IpAddr>,
}

impl Host {
    /// What two spellings of the same host have in common: names know no case, addresses have one short form.
    pub(super) fn identity(&self) -> String {
        self.addr.map_or_else(|| self.typed.trim_end_matches('.').to_ascii_lowercase(), |addr| addr.to_string())
    }
}

/// A host name or address that neither a shell nor an option parser could take for something else.
pub(super) fn host(text: &str) -> Result<Host, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(Host { typed: text.to_owned(), addr: Some(address(text)?) });
    }
    host_name(text)?;
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    // getaddrinfo(3) takes `10.1` and `0x7f000001` for addresses; a top-level domain is never a number.
    let hex = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("neither an IP address nor a name (a name does not end in a number)".to_owned());
    }
    if last.eq_ignore_ascii_case("localhost") {
        return Err("this machine itself".to_owned());
    }
    Ok(Host { typed: text.to_owned(), addr: None })
}

/// Labels of letters, digits, '-' and '_' between dots: 63 characters each and 253 together (RFC 1035, 2.3.4).
pub(super) fn host_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("an empty name".to_owned());
    }
    if text.starts_with('-') {
        return Err("starts with '-', as an option would".to_owned());
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(format!("{} in a host name", quoted(c)));
    }
    if text.len() > 253 {
        return Err(format!("a host name of {} characters", text.len()));
    }
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    if labels.clone().any(str::is_empty) {
        return Err("an empty label in a host name".to_owned());
    }
    if labels.clone().any(|label| label.len() > 63) {
        return Err("a label of more than 63 characters in a host name".to_owned());
    }
    Ok(())
}

fn quoted(c: char) -> String {
    match c {
        '\'' => "\"'\"".to_owned(),
        // At the end of a text it would be cut off.
        ' ' => "' '".to_owned(),
        c => format!("'{}'", crate::model::printable(&c.to_string(), 1)),
    }
}

/// An address of a hosts file: with an IPv6 zone (`fe80::1%eth0`), which only link-local addresses need, and with
/// IPv4-mapped ones (`::ffff:10.0.0.1`) as the IPv4 address they stand for.
pub(super) fn zoned(text: &str) -> Option<IpAddr> {
    let addr = match text.split_once('%') {
        Some((addr, zone)) if !zone.is_empty() => IpAddr::V6(addr.parse::<Ipv6Addr>().ok()?),
        Some(_) => return None,
        None => text.parse().ok()?,
    };
    Some(addr.to_canonical())
}
