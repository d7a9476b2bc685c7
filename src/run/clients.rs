//! What a pass is made with: the way to the backends, to the targets, to EC2, and the clock.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::facts;
use super::pass::World;
use crate::config::Settings;
use crate::ec2::Ec2;
use crate::model::failure::exit;
use crate::model::{Failure, Moment};
use crate::observe::Vantages as _;
use crate::observe::icmp::Icmp;
use crate::observe::ssh::Ssh;
use crate::preflight::{self, Guarding, IdentityError, LocalHost};
use crate::record::State;
use crate::record::pause::Boot;
use crate::record::witnesses::Witnesses;

/// The world as it is.
pub(crate) type Live<'a> = World<'a, Ssh, Icmp, Ec2, LocalHost<'a, Ec2>>;

/// The clients, before anything was asked of them.
pub(crate) struct Clients {
    pub(crate) ssh: Ssh,
    icmp: Icmp,
    ec2: Ec2,
}

impl Clients {
    /// # Errors
    /// SSH can't be prepared, or the way to EC2 can't be set up.
    pub(crate) fn build(settings: &Settings, witnesses: &Witnesses) -> Result<Self, Failure> {
        let failed = |why: String| Failure::new(exit::FAILED, why);
        let ssh = Ssh::new(&settings.observe.ssh).map_err(failed)?;
        let now = Timestamp::now();
        let whole =
            settings.observe.backends.iter().filter(|one| witnesses.whole_seconds_ping(&one.host, one.addr, now));
        ssh.remember_whole_seconds(whole.map(|one| one.host.clone()));
        let icmp = Icmp::new(rand::random());
        let ec2 = Ec2::connect(settings.region.as_deref()).map_err(failed)?;
        Ok(Self { ssh, icmp, ec2 })
    }

    /// This machine.
    ///
    /// # Errors
    /// 78: the configuration is another instance's.
    pub(crate) async fn host(&self, settings: &Settings) -> Result<LocalHost<'_, Ec2>, Failure> {
        let dir = settings.state.clone();
        // A folder that can't be used is another's to tell of.
        let told = move |family| {
            let state = State::look(&dir).map_err(|error| error.to_string())?;
            state.sighting(family, Boot::now().as_ref())
        };
        let whole = settings.clone();
        let unknown = |_| vec![Guarding::default()];
        let guarding = move || State::look(&whole.state).map_or_else(unknown, |state| facts::guarding(&whole, &state));
        let host = LocalHost::new(&self.ec2).told(told).guarding(guarding);
        if settings.preflight.standby_instance.is_some()
            && let Err(error @ IdentityError::Another { .. }) = preflight::identity(&host, &settings.preflight).await
        {
            return Err(Failure::new(exit::CONFIG, error.to_string()));
        }
        Ok(host)
    }

    /// Ends every process of ours, when a pass was broken off.
    pub(crate) async fn close(&self) {
        self.ssh.close(Vec::new()).await;
    }

    /// Everything that a pass needs besides the settings.
    pub(crate) fn world<'a>(
        &'a self,
        host: &'a LocalHost<'a, Ec2>,
        state: &'a State,
        clock: &'a dyn Fn() -> Moment,
        tell: &'a dyn Fn(&str),
    ) -> Live<'a> {
        World {
            vantages: &self.ssh,
            uplink: &self.icmp,
            cloud: &self.ec2,
            host,
            state,
            moving: Cell::new(false),
            rng: RefCell::new(SmallRng::seed_from_u64(rand::random())),
            clock,
            wall: &Timestamp::now,
            boot: &Boot::now,
            tell,
        }
    }
}

/// A clock that starts now: `CLOCK_BOOTTIME`, which is never set and goes on while the machine is suspended (`clock_gettime(2)`).
pub(crate) fn clock() -> impl Fn() -> Moment {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Moment::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    };
    let began = now();
    move || now().saturating_sub(began)
}
