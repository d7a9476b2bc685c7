//! Whom EC2 shows running in the guarded subnets (`backends.ec2_subnets`): by the list that was saved last, which is asked for again with the
//! guarded subnets, off the path of any judgement. Only who has no list asks before the first round.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::pass::{Going, Mode};
use super::rest::REFRESH;
use crate::act::Changer;
use crate::config::Settings;
use crate::ec2::Ec2;
use crate::model::{Fleet, GuardedSet, Judgement, Verdict};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host, LocalHost};
use crate::record::State;

/// What is asked with the guarded subnets has their time.
const LATE: &str = "EC2 gave no answer in time";

/// Who asks for the list where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// Nobody: this command makes no round.
    Leave,
    /// It is asked for.
    Ask,
    /// And saved.
    Keep,
}

/// The settings with whom EC2 showed when last asked. Where it never was, `first` says what to do; what keeps that from being known is told by
/// the pass.
pub(crate) async fn joined(mut settings: Settings, first: First) -> Settings {
    if settings.fleet.is_none() {
        return settings;
    }
    // A folder that can't be used is told of by whoever goes on to use it.
    let state = if first == First::Keep { State::open(&settings.state) } else { State::look(&settings.state) }.ok();
    let saved = saved(&settings, state.as_ref());
    if saved.is_some() || first == First::Leave {
        settings.join(saved.as_ref(), None);
        return settings;
    }
    match ask_first(&settings, state.as_ref(), REFRESH).await {
        Ok(fleet) => {
            let kept = state.filter(|_| first == First::Keep).map(|state| state.write_fleet(&fleet));
            if let Some(Err(error)) = kept {
                tracing::warn!(event = "state", "{error}");
            }
            settings.join(Some(&fleet), None);
        }
        Err(why) => settings.join(None, Some(why)),
    }
    settings
}

/// The list as last seen, where it is of this pair of tables.
pub(crate) fn saved(settings: &Settings, state: Option<&State>) -> Option<Fleet> {
    let rules = &settings.preflight;
    let ours = |fleet: &Fleet| fleet.primary == rules.primary_table && fleet.standby == rules.standby_table;
    state?.read_fleet().0.filter(ours)
}

/// Asks EC2, for so long, by the guarded subnets as they are now.
///
/// # Errors
/// EC2 could not be asked: one line fit to print.
pub(crate) async fn ask_first(settings: &Settings, state: Option<&State>, patience: Duration) -> Result<Fleet, String> {
    let ec2 = Ec2::connect(settings.region.as_deref())?;
    let host = LocalHost::new(&ec2);
    let known = state.and_then(|state| state.read_guarded().0);
    let (now, rules) = (Timestamp::now(), &settings.preflight);
    let known = known.filter(|set| set.primary == rules.primary_table && set.standby == rules.standby_table);
    let until = Instant::now() + patience;
    let set = timeout_at(until, Box::pin(preflight::guarded_set(&ec2, rules, known.as_ref(), now))).await;
    let set = set.unwrap_or_else(|_| Err(LATE.to_owned()))?;
    asked(&ec2, &host, settings, &set, (now, until)).await
}

/// Who runs in the subnets of `set`, as EC2 says until then.
pub(super) async fn asked(
    cloud: &impl Cloud,
    host: &impl Host,
    settings: &Settings,
    set: &GuardedSet,
    (now, until): (Timestamp, Instant),
) -> Result<Fleet, String> {
    let asking = async {
        // Who it is that asks the standby's table says too, where IMDS does not.
        let own = preflight::identity(host, &settings.preflight).await.ok();
        preflight::fleet(cloud, &settings.preflight, set, own.as_ref(), now).await
    };
    timeout_at(until, asking).await.unwrap_or_else(|_| Err(LATE.to_owned()))
}

/// Whether the list is likely to be of hosts that are gone: most of those that were asked in one of these rounds were silent, or too few were
/// heard to judge by.
pub(super) fn gone(latest: &[Judgement]) -> bool {
    latest.iter().any(|one| one.verdict == Verdict::Unheard || one.silent > one.heard())
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// What EC2 said of who runs in the guarded subnets. It is what later passes go by; this one has its backends. Without an answer the list
    /// that was seen before holds.
    pub(super) fn learn_fleet(&mut self, found: Result<Fleet, String>) {
        match found {
            Ok(fleet) if self.mode == Mode::Act => {
                if let Err(error) = self.world.state.write_fleet(&fleet) {
                    self.notes.push(error.to_string());
                }
            }
            Ok(_) => {}
            Err(why) => self.notes.push(format!(
                "who runs in the guarded subnets could not be asked, and those that EC2 showed before are the backends: {why}"
            )),
        }
    }

    /// What there is to say of it in each pass.
    pub(super) fn fleet_note(&self) -> Option<String> {
        self.settings.fleet.as_ref()?.told()
    }
}

#[cfg(test)]
mod tests;
