//! A takeover that an operator asks for: the same plan, record and verification as on evidence, which it does not need.
//!
//! One round is made all the same, so that the verification knows whom to ask and which targets are good. Its verdict neither allows
//! nor forbids anything.

use std::time::Duration;

use tokio::time::Instant;

use super::pass::{Done, Going, Mode, World};
use crate::act::Changer;
use crate::config::Settings;
use crate::decide::Case;
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::witnesses::Witnesses;

/// How long an operator's command waits for another natwatch that is moving subnets: most are done within seconds, and
/// somebody is looking on.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One pass that moves every guarded subnet, whatever the backends say.
pub async fn planned<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    mode: Mode,
) -> Done {
    let began = Instant::now();
    let case = Case { planned: true, ..Case::new(settings.decide.clone()) };
    let mut going = Going::begin(world, settings, witnesses, mode, case).await;
    going.look().await;
    let concluded = going.down().await;
    going.end(concluded, began).await
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// How long the run lock is waited for.
    pub(super) fn patience(&self) -> Duration {
        if self.case.planned { PATIENCE } else { Duration::ZERO }
    }
}
