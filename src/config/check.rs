//! The rules between keys, and the settings that are left when none is violated.
//!
//! Single values come from `reader`, which has noted what is wrong with them; a rule between keys is judged where all
//! of its keys could be read.

use std::path::{Path, PathBuf};

use super::backends::{Sources, backends, union};
use super::counts::counts;
use super::joining::unknown_keys;
use super::keys::{self, Key};
use super::permissions::Role;
use super::reader::{Entry, Reader};
use super::times::{times, too_long};
use super::values::{self, Host, written};
use super::{Files, Settings, how, told};
use crate::act::ActSettings;
use crate::decide::DecideSettings;
use crate::model::{Method, SubnetId};
use crate::observe::{HostKeys, ObserveSettings, SshSettings};
use crate::preflight::PreflightSettings;

/// All settings; `None`: the reader has noted why not.
pub(super) fn settings(reader: &mut Reader<'_>, path: &Path, files: &dyn Files) -> Option<Settings> {
    let mut advice = Vec::new();
    let name = name(reader, path);
    let dir = reader.text(&keys::STATE_DIR, values::path);
    let primary_address = reader.text(&keys::PRIMARY_ADDRESS, values::address);
    let region = reader.text(&keys::STANDBY_REGION, values::region);
    let method = how::method(reader, &mut advice);
    let preflight = preflight(reader, method);
    let own = reader.list(&keys::STANDBY_WITNESSES, values::host, Host::identity);
    let max_subnets = max_subnets(reader, preflight.as_ref());
    let disable_check = reader.flag(&keys::DISABLE_CHECK);
    let canary = canary(reader, preflight.as_ref());
    let elastic_ip = reader.text(&keys::ELASTIC_IP, id);
    let reboot_primary = how::reboot_primary(reader);
    let ssh = ssh(reader, files);
    let hosts_file = reader.text(&keys::HOSTS_FILE, values::path);
    let Sources { backends, within, fleet } = backends(reader, files, hosts_file.as_deref(), &mut advice);
    advice.extend(fleet.as_ref().and_then(|_| unknown_keys(ssh.as_ref(), files)));
    let targets = targets(reader, &mut advice);
    // Whom EC2 will show is not known.
    let counts = counts(reader, backends.as_deref().filter(|_| fleet.is_none()), targets.as_deref());
    let min_uptime = reader.duration(&keys::MIN_UPTIME);
    let fraction = reader.share(&keys::FRACTION);
    let notify = told::notify(reader, files, &mut advice);
    let textfile = told::textfile(reader);
    let times = times(reader, &counts, ssh.as_ref(), targets.as_deref(), &mut advice);
    advice.extend(times.as_ref().and_then(|times| too_long(times.deadline, notify.as_ref()?.timeout)));

    let (name, preflight, times) = (name?, preflight?, times?);
    let tries = counts.tries?;
    Some(Settings {
        state: dir?.join(&name),
        name,
        region,
        primary_address,
        deadline: times.deadline,
        own: union(&own?, &[]),
        observe: ObserveSettings {
            backends: backends?,
            within: within?,
            ssh: ssh?,
            panel: counts.panel?,
            targets: targets?.into_iter().map(|host| host.typed).collect(),
            timeout: times.timeout,
            tries,
        },
        decide: DecideSettings {
            threshold: counts.threshold?,
            fraction: fraction?,
            rounds: counts.rounds?,
            span: times.span,
            tries,
            min_uptime: min_uptime?,
            primary_table: preflight.primary_table.clone(),
            primary_instance: preflight.primary_instance.clone(),
            standby_table: preflight.standby_table.clone(),
            subnets: preflight.subnets.clone(),
            max_subnets: max_subnets?,
            disable_source_dest_check: disable_check?,
            method: preflight.method.clone(),
            elastic_ip,
            reboot_primary: reboot_primary?,
        },
        preflight,
        act: ActSettings { verify_for: times.verify_for },
        watch: times.watch,
        hosts_file,
        fleet,
        canary,
        notify,
        textfile,
        advice,
    })
}

/// `name`, or the file's stem where that will do.
fn name(reader: &mut Reader<'_>, path: &Path) -> Option<String> {
    if let Some(name) = reader.text(&keys::NAME, values::name) {
        return Some(name);
    }
    if reader.has(&keys::NAME) {
        return None;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = values::name(&stem).ok();
    if name.is_none() {
        reader.clash(
            &keys::NAME,
            "missing, and this file's name without its extension is not a usable one",
            &keys::NAME.accepted(),
        );
    }
    name
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not such an id".to_owned())
}

fn preflight(reader: &mut Reader<'_>, method: Option<Method>) -> Option<PreflightSettings> {
    let primary_table = reader.text(&keys::PRIMARY_TABLE, id);
    let standby_table = reader.text(&keys::STANDBY_TABLE, id);
    let primary_instance = reader.text(&keys::PRIMARY_INSTANCE, id);
    let standby_instance = reader.text(&keys::STANDBY_INSTANCE, id);
    let subnets = reader.list(&keys::SUBNETS, id, SubnetId::clone);
    if primary_table.is_some() && primary_table == standby_table {
        reader.clash(&keys::STANDBY_TABLE, "the same as primary.route_table", "another route table than the primary's");
    }
    if primary_instance.is_some() && primary_instance == standby_instance {
        reader.clash(&keys::STANDBY_INSTANCE, "the same as primary.instance", "another instance than the primary");
    }
    let subnets = subnets?.into_iter().map(|entry| entry.value).collect();
    Some(PreflightSettings {
        primary_table: primary_table?,
        primary_instance,
        standby_table: standby_table?,
        standby_instance,
        subnets,
        method: method?,
    })
}

fn max_subnets(reader: &mut Reader<'_>, preflight: Option<&PreflightSettings>) -> Option<usize> {
    let most = reader.integer(&keys::MAX_SUBNETS)?;
    let subnets = preflight.map_or(0, |preflight| preflight.subnets.len());
    if subnets > most {
        let what = format!("less than the {subnets} of takeover.subnets: nothing would ever be moved");
        reader.clash(&keys::MAX_SUBNETS, &what, &format!("{subnets} to 500"));
    }
    Some(most)
}

/// `failback.canary`, which must be a guarded subnet as far as the configuration knows them.
fn canary(reader: &mut Reader<'_>, preflight: Option<&PreflightSettings>) -> Option<SubnetId> {
    let canary = reader.text(&keys::CANARY, id)?;
    let listed = preflight.map_or(&[][..], |preflight| &preflight.subnets);
    if !listed.is_empty() && !listed.contains(&canary) {
        reader.clash(&keys::CANARY, "not one of takeover.subnets", "one of takeover.subnets");
    }
    Some(canary)
}

fn ssh(reader: &mut Reader<'_>, files: &dyn Files) -> Option<SshSettings> {
    let user = reader.text(&keys::USER, values::user);
    let port = if reader.has(&keys::PORT) { Some(reader.integer(&keys::PORT)?) } else { None };
    let identity = owned(reader, files, &keys::IDENTITY, Role::Identity);
    let known_hosts = owned(reader, files, &keys::KNOWN_HOSTS, Role::Data);
    let ssh_config = owned(reader, files, &keys::SSH_CONFIG, Role::Config);
    let host_keys = reader.text(&keys::HOST_KEYS, |text| match text {
        "strict" => Ok(HostKeys::Strict),
        "accept-new" => Ok(HostKeys::AcceptNew),
        _ => Err("no such way".to_owned()),
    });
    let connect_timeout = reader.duration(&keys::CONNECT_TIMEOUT);
    let login_timeout = reader.duration(&keys::LOGIN_TIMEOUT);
    if let (Some(connect), Some(login)) = (connect_timeout, login_timeout)
        && login < connect
    {
        let blamed = if reader.has(&keys::LOGIN_TIMEOUT) { &keys::LOGIN_TIMEOUT } else { &keys::CONNECT_TIMEOUT };
        let (what, accepted) = if reader.has(&keys::LOGIN_TIMEOUT) {
            (
                format!("shorter than backends.connect_timeout ({})", written(connect)),
                format!("\"{}\" to \"5m\"", written(connect)),
            )
        } else {
            (
                format!("longer than backends.login_timeout ({})", written(login)),
                format!("\"1s\" to \"{}\"", written(login)),
            )
        };
        reader.clash(blamed, &what, &accepted);
    }
    Some(SshSettings {
        user,
        port,
        identity,
        known_hosts,
        host_keys: host_keys?,
        ssh_config,
        connect_timeout: connect_timeout?,
        login_timeout: login_timeout?,
        idle: SshSettings::IDLE,
    })
}

/// A path for `ssh`, whose owner and permissions are as they must be.
fn owned(reader: &mut Reader<'_>, files: &dyn Files, key: &Key, role: Role) -> Option<PathBuf> {
    let path = reader.text(key, values::ssh_path)?;
    for fault in files.faults(&path, role) {
        reader.clash(key, &fault, "");
    }
    Some(path)
}

fn targets(reader: &mut Reader<'_>, advice: &mut Vec<String>) -> Option<Vec<Host>> {
    let targets: Vec<Entry<Host>> = reader.list(&keys::TARGETS, values::host, Host::identity)?;
    if targets.len() < 2 {
        let what = if targets.is_empty() {
            "no targets"
        } else {
            "a single target: its own failure would look like an outage"
        };
        reader.clash(&keys::TARGETS, what, "two or more, better three");
        return None;
    }
    if targets.len() == 2 {
        advice.push("targets.hosts: two targets; with three or more, one of them may fail".to_owned());
    }
    for Entry { line, shown, value } in &targets {
        if value.addr.is_some_and(values::private) {
            let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
            advice
                .push(format!("targets.hosts: {shown}{line} is a private address; a ping of it does not test the NAT"));
        }
    }
    Some(targets.into_iter().map(|entry| entry.value).collect())
}
