//! `natwatch doctor`: would it work tonight? Everything that a takeover and its evidence depend on is looked at, all at once.
//!
//! It changes nothing but `facts.json`, where root leaves for the service's user what only root can see, and takes no lock: it may be called
//! at any time, beside a `watch` as well. Every examination is a gathering part, which asks and is bounded, and a judging part, which is pure.
//! What had no answer in time could not be told, and is said so: nothing is left out because it was slow.
//!
//! | file | looks at |
//! |---|---|
//! | `configuration` | what is advised against, and who can read the files that the configuration names |
//! | `host` | forwarding, masquerading, reverse paths, uptime |
//! | `capacity` | tracked connections, ports, descriptors |
//! | `targets` | names, replies to this standby, replies to those behind the primary |
//! | `backends` | each backend: SSH, keys, `ping`, replies |
//! | `witnesses` | whether enough of them could accuse |
//! | `state` | the folder, the records in it, the clock |
//! | `service` | what runs natwatch |
//! | `user` | who natwatch runs as, and what that user may do with a file |
//! | `cloud` | what EC2 and IMDS say: identity, rights, tables, subnets, groups and ACLs, the way to EC2 |

mod backends;
mod capacity;
pub mod cloud;
mod command;
mod configuration;
mod host;
mod network;
mod service;
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
use crate::config::{ConfigError, Settings};
use crate::model::failure::exit;
use crate::model::{Failure, Finding, Fitness, InstanceId, Topic};
use crate::preflight::{Host as _, Identity, LocalHost};
use crate::record::State;
use crate::record::pause::Boot;
use crate::report::doctor::{Diagnosis, json, text};
use crate::run::{facts, signal, style};

/// What all examinations together may take. A login may take `login_timeout`, 10 s by default, and somebody sits before the screen: who has
/// not logged in by then is too slow anyway (a login should take less than one second).
const WITHIN: Duration = Duration::from_secs(8);

/// Looks, prints, and returns the exit status: 2 where anything is unfit; else 3 where anything could not be told, which may hide what is
/// unfit; else 1 with warnings; else 0. A configuration that can't be used is 78, and what needs none is looked at all the same.
///
/// # Errors
/// 2: stdout can't be written. 3: ended by a signal.
pub async fn command(loaded: Result<Settings, ConfigError>, global: &Global) -> Result<u8, Failure> {
    let began = Instant::now();
    let looking = async {
        match &loaded {
            Ok(settings) => examine(settings, &global.config, began + WITHIN).await,
            Err(error) => examine_without(error, &global.config).await,
        }
    };
    let mut findings = tokio::select! {
        // First: its handlers must be there before anything is started that a signal has to end.
        biased;
        number = signal() => return Err(Failure::new(exit::UNKNOWN, format!("ended by signal {number}"))),
        findings = Box::pin(looking) => findings,
    };
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
async fn examine(settings: &Settings, config: &Path, until: Instant) -> Vec<Finding> {
    let now = Timestamp::now();
    let state = State::look(&settings.state);
    let (machine, service, clock, network, cloud) = tokio::join!(
        machine(Some(settings), state.as_ref().map_err(ToString::to_string)),
        service::findings(config, state.as_ref().ok(), now),
        state::clock(),
        Box::pin(network::findings(settings, state.as_ref().ok(), service::by_cron(config), until)),
        Box::pin(cloud::look(settings, state.as_ref().ok(), until)),
    );
    let mut findings = configuration::findings(settings, config);
    findings.extend(machine);
    findings.extend(cloud);
    findings.extend(network);
    findings.extend(state::findings(settings, &state, now));
    findings.push(clock);
    findings.extend(service);
    findings
}

/// What can be looked at without a configuration, beside all that is wrong with it.
async fn examine_without(error: &ConfigError, config: &Path) -> Vec<Finding> {
    let (machine, service, clock) = tokio::join!(
        machine(None, Err("where facts.json is, no configuration says".to_owned())),
        service::findings(config, None, Timestamp::now()),
        state::clock()
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
    let told = state.clone().and_then(|state| state.sighting(Boot::now().as_ref()));
    let host = LocalHost::new(&Unasked).told(told);
    let masquerade = host.masquerade().await;
    let mut findings = host::findings(&host, settings, &masquerade);
    findings.extend(capacity::findings(settings));
    if let Ok(state) = state
        && state.dir().exists()
        && let Some(why) = facts::leave_seen(state, &masquerade)
    {
        let text = format!("what was seen of the firewall could not be left for natwatch's user: {why}");
        findings.push(Finding::new(Topic::State, "facts", Fitness::Warning, text));
    }
    findings
}

#[cfg(test)]
mod tests;
