//! What a watch keeps for others: who is a witness, the last round, and the lock that says that it is at work.
//!
//! What can't be kept ends nothing: it is told once, and tried again with every pass. A state folder that is gone is made again.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Made;
use crate::ec2::Ec2;
use crate::model::failure::exit;
use crate::model::{Failure, Outcome};
use crate::observe::icmp::Icmp;
use crate::observe::ssh::Ssh;
use crate::preflight::Host;
use crate::record::lock::{LockError, WatchLock, viewed};
use crate::record::round::LastRound;
use crate::record::{State, VERSION};
use crate::run;
use crate::run::lasting::{Lasting, Passed};

/// While nothing changes, the last round is kept so often: it is what a monitoring system and a restart go by, and a disk is to be
/// spared. While somebody looks on, each round is.
const KEEP: Duration = Duration::from_secs(30);

/// Trouble that comes and goes is told once in this time.
const TOLD_FOR: Duration = Duration::from_mins(10);

/// See the module.
pub(super) struct Keeper {
    /// `None`: a dry run, which others need not know of.
    lock: Option<WatchLock>,
    kept: Option<Instant>,
    trouble: Trouble,
}

impl Keeper {
    pub(super) fn new(lock: Option<WatchLock>) -> Self {
        Self { lock, kept: None, trouble: Trouble::default() }
    }

    /// The next pass is kept whatever it is: others go by the rules that it was made with.
    pub(super) fn anew(&mut self) {
        self.kept = None;
    }

    /// Keeps what there is to keep of a pass; one that was `told` at once, and one of a burst that did not come to rest too.
    ///
    /// # Errors
    /// Another watch has taken the lock meanwhile, in a folder that was put in the place of ours.
    pub(super) async fn keep(
        &mut self,
        lasting: &mut Lasting<'_, Ssh, Icmp, Ec2, impl Host>,
        made: &Made,
        state: &State,
        passed: &Passed,
        told: bool,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        let mut trouble = self.hold(made, state).await?;
        run::remember_whole_seconds(&made.settings, &made.clients.ssh, lasting.witnesses(), now);
        if let Err(error) = lasting.witnesses().save(state, now) {
            trouble.get_or_insert(error.to_string());
        }
        let pass = &passed.pass;
        let urgent = told || (passed.burst && !matches!(pass.outcome, Outcome::Healthy | Outcome::Degraded));
        let due = self.kept.is_none_or(|at| at.elapsed() >= KEEP);
        if urgent || trouble.is_some() || due || viewed(state) {
            let last = LastRound { version: VERSION, at: now, case: lasting.case().clone(), pass: pass.clone() };
            match state.write_last_round(&last) {
                Ok(()) => self.kept = Some(Instant::now()),
                Err(error) => drop(trouble.get_or_insert(error.to_string())),
            }
        }
        match self.trouble.note(trouble, Instant::now()) {
            Some(Ok(text)) => tracing::warn!(event = "state", "{text}"),
            Some(Err(text)) => tracing::error!(event = "state", "{text}"),
            None => {}
        }
        Ok(())
    }

    /// Sees that the folder is there and the lock in it is ours; what is wrong with them otherwise.
    async fn hold(&mut self, made: &Made, state: &State) -> Result<Option<String>, Failure> {
        let Some(lock) = &self.lock else { return Ok(None) };
        if lock.stands(state) {
            return Ok(None);
        }
        if let Err(error) = State::open(&made.settings.state) {
            return Ok(Some(error.to_string()));
        }
        match WatchLock::acquire(state).await {
            Ok(lock) => {
                self.lock = Some(lock);
                Ok(Some(format!("{} was gone, and is made again", state.dir().display())))
            }
            Err(error @ LockError::Watched(_)) => Err(Failure::new(exit::FAILED, error.to_string())),
            Err(error) => Ok(Some(error.to_string())),
        }
    }
}

/// What is wrong with the state folder, and what was told of that.
#[derive(Default)]
pub(super) struct Trouble {
    told: Option<Instant>,
    /// It was told, and has not ended.
    lasts: bool,
}

impl Trouble {
    /// What to tell, of trouble (`Err`) or of its end.
    pub(super) fn note(&mut self, trouble: Option<String>, now: Instant) -> Option<Result<String, String>> {
        match trouble {
            Some(text) if self.told.is_none_or(|at| now.saturating_duration_since(at) >= TOLD_FOR) => {
                (self.told, self.lasts) = (Some(now), true);
                Some(Err(format!("{text}; natwatch goes on, and tries again with every pass")))
            }
            None if self.lasts => {
                self.lasts = false;
                Some(Ok("what is to be kept can be kept again".to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f070_trouble_with_the_disk_is_told_once_and_its_end_too() {
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        let mut said = Vec::new();
        for pass in 0..400_u64 {
            let full = (10..20).contains(&pass) || (30..35).contains(&pass) || pass >= 300;
            let now = begin + Duration::from_secs(3) * u32::try_from(pass).unwrap();
            if let Some(told) = trouble.note(full.then(|| "no space left".to_owned()), now) {
                said.push((pass, told.is_err()));
            }
        }
        // At 30 it was told a minute ago, and so nobody hears of its end either; at 300, a quarter of an hour ago.
        assert_eq!(said, [(10, true), (20, false), (300, true)]);
    }
}
