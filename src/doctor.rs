//! `natwatch doctor`: would it work tonight? Everything that a takeover and its evidence depend on is looked at, all at once.
//!
//! It changes nothing but `facts.json`, where root leaves for the service's user what only root can see (and, before the first run, the folder
//! that this lies in), and takes no lock: it may be called at any time, beside a `watch` as well. Every examination is a gathering part, which asks and is bounded, and a judging part, which is pure.
//! What had no answer in time could not be told, and is said so: nothing is left out because it was slow.
//!
//! Every finding that is not fit has a cause, a word that is its own in its file, and something to do: a command to paste, or the line that
//! somebody has to change. A test compares the causes in the source with those that tests seed.
//!
//! | file | looks at |
//! |---|---|
//! | `configuration` | what is advised against, and who can read the files that the configuration names |
//! | `host` | forwarding, masquerading, reverse paths, uptime |
//! | `firewall` | what this machine's own rules do to what is forwarded |
//! | `capacity` | tracked connections, ports, descriptors |
//! | `targets` | names, replies to this standby, replies to those behind the primary |
//! | `backends` | each backend: SSH, keys, `ping`, replies |
//! | `fleet` | which of them EC2 shows |
//! | `sample` | which of them are asked, where there are many |
//! | `witnesses` | whether enough of them could accuse |
//! | `state` | the folder, and the records in it |
//! | `leave` | what root leaves for natwatch's user |
//! | `clock` | whether the clock is kept |
//! | `service` | what runs natwatch |
//! | `caller` | what root, who asks, has of its own and natwatch's user has not |
//! | `stale` | whether a `watch` goes by this configuration |
//! | `user` | who natwatch runs as, and what that user may do with a file |
//! | `remedy` | the line of what somebody has to decide |
//! | `cloud` | what EC2 and IMDS say: identity, rights, tables, subnets, groups and ACLs, the way to EC2 |

mod backends;
mod caller;
mod capacity;
mod clock;
pub mod cloud;
mod command;
mod configuration;
mod firewall;
mod fleet;
mod host;
mod leave;
mod network;
mod remedy;
mod sample;
mod service;
mod stale;
mod state;
mod targets;
mod user;
mod witnesses;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cli::{Format, Global};
use crate::config::{ConfigError, Places, Settings};
use crate::ec2::Ec2;
use crate::model::cloud::Masquerade;
use crate::model::failure::exit;
use crate::model::{Failure, Family, Finding, Fitness, InstanceId};
use crate::preflight::{self, Identity, LocalHost};
use crate::record::pause::Boot;
use crate::record::{State, lock};
use crate::report::doctor::{Diagnosis, json, text};
use crate::run::{facts, signal, style};

/// What all examinations together may take. A login may take `login_timeout`, 10 s by default, and somebody sits before the screen: who has
/// not logged in by then is too slow anyway (a login should take less than one second).
const WITHIN: Duration = Duration::from_secs(8);

/// Until when what is looked at, and how many backends are asked.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// All of them, and not as many as there is time for.
    all: bool,
    /// All but the backends.
    until: Instant,
    /// The backends: where all are asked, for as long as it takes if each of them is gone.
    backends: Instant,
}

impl Scope {
    fn new(all: bool, settings: &Settings, began: Instant) -> Self {
        let until = began + WITHIN;
        let turns = settings.observe.backends.len().div_ceil(backends::AT_ONCE);
        let longest = settings.observe.ssh.connect_timeout.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        Self { all, until, backends: if all { until + longest } else { until } }
    }
}

/// Looks, prints, and returns the exit status: 2 where anything is unfit; else 3 where anything could not be told, which may hide what is
/// unfit; else 1 with warnings; else 0. `all`: every backend is asked, however long that takes. A configuration that can't be used is 78, and what needs none is looked at all the same.
///
/// # Errors
/// 2: stdout can't be written. 3: ended by a signal.
pub async fn command(loaded: Result<Settings, ConfigError>, global: &Global, all: bool) -> Result<u8, Failure> {
    let began = Instant::now();
    let looking = async {
        match &loaded {
            Ok(settings) => {
                let (settings, fleet) = fleet::joined(settings.clone()).await;
                let mut found = examine(&settings, &global.config, Scope::new(all, &settings, began)).await;
                found.extend(fleet);
                found
            }
            Err(error) => examine_without(error, &global.config).await,
        }
    };
    let mut findings = tokio::select! {
        // First: its handlers must be there before anything is started that a signal has to end.
        biased;
        number = signal() => return Err(Failure::new(exit::UNKNOWN, format!("ended by signal {number}"))),
        findings = Box::pin(looking) => findings,
    };
    remedy::settle(&mut findings, &Places::read(&global.config));
    // Stable: within a topic as they were made.
    findings.sort_by_key(|finding| finding.topic);
    let fitness = worst(&findings);
    let exit = if loaded.is_ok() { status(fitness) } else { exit::CONFIG };
    let name = loaded.as_ref().map_or_else(
        |_| global.config.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        |settings| settings.name.clone(),
    );
    let diagnosis = Diagnosis { name, fitness, exit, findings, elapsed: began.elapsed() };
    let out = match global.format {
        Format::Json => json(&diagnosis),
        Format::Text => text(&diagnosis, global.quiet, style(global, std::io::stdout().is_terminal())),
    };
    crate::report::stdout(&out).map_err(|error| Failure::new(exit::FAILED, format!("stdout: {error}")))?;
    Ok(exit)
}

/// What the findings come to, by what an exit status has to tell first.
fn worst(findings: &[Finding]) -> Fitness {
    let any = |fitness| findings.iter().any(|finding| finding.fitness == fitness);
    [Fitness::Unfit, Fitness::Unknown, Fitness::Warning].into_iter().find(|one| any(*one)).unwrap_or(Fitness::Fit)
}

const fn status(fitness: Fitness) -> u8 {
    match fitness {
        Fitness::Fit => exit::DONE,
        Fitness::Warning => exit::WARNING,
        Fitness::Unfit => exit::FAILED,
        Fitness::Unknown => exit::UNKNOWN,
    }
}

/// Everything, by a configuration that can be used.
async fn examine(settings: &Settings, config: &Path, scope: Scope) -> Vec<Finding> {
    let now = Timestamp::now();
    let made = leave::folder(&settings.state).await;
    let state = State::look(&settings.state);
    let (machine, service, clock, network, cloud, instance) = tokio::join!(
        machine(Some(settings), state.as_ref().map_err(ToString::to_string)),
        service::findings(config, state.as_ref().ok(), Some(settings.watched_within()), now),
        clock::finding(),
        Box::pin(network::findings(settings, state.as_ref().ok(), service::by_cron(config), scope)),
        Box::pin(cloud::look(settings, state.as_ref().ok(), scope.until)),
        ourselves(settings),
    );
    let mut findings = configuration::findings(settings, config);
    findings.extend(machine);
    findings.extend(cloud);
    findings.extend(network);
    findings.extend(state::findings(settings, &state, instance.as_ref(), now));
    findings.extend(made);
    findings.push(clock);
    findings.extend(service);
    findings.extend(caller::ssh(settings));
    findings.extend(state.as_ref().ok().and_then(|state| stale::finding(settings, state)));
    findings
}

/// Which instance this is, where that is known: by IMDS, as a clone has its original's configuration.
async fn ourselves(settings: &Settings) -> Option<InstanceId> {
    let asked = match Ec2::connect(settings.region.as_deref()) {
        Ok(ec2) => ec2.instance().await.ok(),
        Err(_) => None,
    };
    asked.or_else(|| settings.preflight.standby_instance.clone())
}

/// What can be looked at without a configuration, beside all that is wrong with it.
async fn examine_without(error: &ConfigError, config: &Path) -> Vec<Finding> {
    let (machine, service, clock) = tokio::join!(
        machine(None, Err("where facts.json is, no configuration says".to_owned())),
        service::findings(config, None, None, Timestamp::now()),
        clock::finding()
    );
    let mut findings = configuration::violated(error, config);
    findings.extend(machine);
    findings.push(clock);
    findings.extend(service);
    findings
}

/// Which instance this is, no finding about the machine itself depends on.
struct Unasked;

impl Identity for Unasked {
    async fn instance(&self) -> Result<InstanceId, String> {
        Err("not asked".to_owned())
    }
}

/// This machine. Root leaves what it sees of the firewall for who may not look.
async fn machine(settings: Option<&Settings>, state: Result<&State, String>) -> Vec<Finding> {
    let (guarding, brings_six) = match (settings, &state) {
        (Some(settings), Ok(state)) => {
            let known = state.read_guarded().0.filter(|set| set.primary == settings.preflight.primary_table);
            (
                facts::guarding(settings, state),
                known.is_some_and(|set| preflight::brings_six(&settings.preflight, &set)),
            )
        }
        _ => (vec![preflight::Guarding::default()], false),
    };
    let told = state.clone().map(|state| state.sightings(Boot::now().as_ref()));
    let told = move |family| told.as_ref().map_err(Clone::clone).and_then(|told| told(family));
    let host = LocalHost::new(&Unasked).told(told);
    let seen = preflight::rules(&guarding).await;
    let known = |(one, seen): (&preflight::Guarding, &preflight::Reading)| {
        (one.family, host.with_what_was_told(one, seen.masquerade.clone()))
    };
    let masquerades: Vec<(Family, Masquerade)> = guarding.iter().zip(&seen).map(known).collect();
    let mut findings = host::findings(&host, settings, brings_six, &masquerades);
    for ((family, masquerade), seen) in masquerades.iter().zip(&seen) {
        let uplink = preflight::host::uplink(*family);
        findings.extend(firewall::findings(*family, seen.dropping.as_deref(), masquerade, uplink.as_deref()).await);
    }
    let watch = state.as_ref().ok().and_then(|state| lock::watching(state)).map(|watch| watch.pid);
    findings.extend(capacity::findings(settings, watch));
    findings.extend(state.ok().and_then(|state| leave::facts(state, &facts::each(seen))));
    findings
}

#[cfg(test)]
mod tests;
