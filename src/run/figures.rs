//! The metrics textfile: what is counted, gathered and written, after each pass of a `run`, and by a `watch` where something changes and each
//! half a minute. Nothing here fails a pass, nor holds one up: the folder is another program's, and may be on a disk that does not answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::aside::Aside;
use crate::config::Settings;
use crate::model::{Counts, Family, Figures, Found, Outcome, Pass};
use crate::record::events::Events;
use crate::record::history::{Deed, Entry};
use crate::record::lock::{BRIEF, PATIENT};
use crate::record::pause::in_force;
use crate::record::witnesses::Witnesses;
use crate::record::{State, textfile};
use crate::report::metrics;

/// While nothing changes the file is written so often: collectors come each 15 to 60 s, and its age is what shows that nobody watches.
const KEEP: Duration = Duration::from_secs(30);

/// A file of some kilobytes takes milliseconds; a disk that is only busy has written it by then, and one that does not answer is not waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub struct Gauges<'a> {
    settings: &'a Settings,
    state: &'a State,
    /// What was counted since the file was written.
    counts: RefCell<Counts>,
    written: RefCell<Option<Instant>>,
    /// Puts the text into the file.
    hand: Aside<Result<(), String>>,
    /// How long others who count are waited for.
    patience: Duration,
}

impl<'a> Gauges<'a> {
    /// Of this configuration.
    #[must_use]
    pub fn new(settings: &'a Settings, state: &'a State) -> Self {
        let (counts, written, hand) = (RefCell::default(), RefCell::default(), Aside::default());
        Self { settings, state, counts, written, hand, patience: PATIENT }
    }

    /// The same beside the rounds of a `watch`, which wait for nobody.
    #[must_use]
    pub fn beside_rounds(self) -> Self {
        Self { patience: BRIEF, ..self }
    }

    /// A pass has ended. The file is written if it is `due`, or old.
    ///
    /// # Errors
    /// Why it could not be written, this time or the last; what was counted is not lost.
    pub fn passed(&self, pass: &Pass, witnesses: &Witnesses, due: bool) -> Result<(), String> {
        if self.settings.textfile.is_none() {
            return Ok(());
        }
        self.counts.borrow_mut().count(pass, Timestamp::now());
        if due || self.written.borrow().is_none_or(|at| at.elapsed() >= KEEP) {
            self.write(pass, witnesses)
        } else {
            Ok(())
        }
    }

    /// Begins to write the file.
    ///
    /// # Errors
    /// As [`Self::passed`].
    pub fn write(&self, pass: &Pass, witnesses: &Witnesses) -> Result<(), String> {
        let Some(path) = &self.settings.textfile else { return Ok(()) };
        // Before the file: no counter that was seen ever goes back.
        let (counts, trouble) = self.state.count(&self.counts.borrow(), self.patience);
        if trouble.is_none() {
            self.counts.take();
        }
        // Without the history takeovers would be counted as none, and the next time as new ones.
        let (history, _) = self.state.read_history().map_err(|error| error.to_string())?;
        let text = metrics::text(&self.figures(pass, witnesses, (counts, &history)))?;
        let to = path.clone();
        let before = self.hand.begin(move || textfile::write(&to, &text)).map_err(|age| self.hangs(age))?;
        self.written.replace(Some(Instant::now()));
        before.unwrap_or(Ok(()))?;
        trouble.filter(|error| !error.is_busy()).map_or(Ok(()), |error| Err(error.to_string()))
    }

    /// Waits until the file is written, for who has nothing else to do.
    ///
    /// # Errors
    /// As [`Self::passed`].
    pub async fn settle(&self) -> Result<(), String> {
        self.hand.end(WITHIN).await.map_err(|age| self.hangs(age))?.unwrap_or(Ok(()))
    }

    fn hangs(&self, age: Duration) -> String {
        let path = self.settings.textfile.as_deref().unwrap_or(Path::new(""));
        format!(
            "{}: a write has been under way for {} s; its file system does not answer",
            path.display(),
            age.as_secs()
        )
    }

    fn figures(&self, pass: &Pass, witnesses: &Witnesses, (counts, history): (Counts, &[Entry])) -> Figures {
        let now = Timestamp::now();
        let Settings { name, observe, decide, .. } = self.settings;
        let record = self.state.read_record(None);
        let ended = |kind| {
            let mut sums: BTreeMap<Outcome, u64> = BTreeMap::new();
            for outcome in history.iter().filter(|entry| entry.kind == kind).filter_map(|entry| entry.outcome) {
                *sums.entry(outcome).or_default() += 1;
            }
            sums
        };
        let witness = |host: &str, addr| {
            [Family::V4, Family::V6].into_iter().any(|family| witnesses.is_witness(host, addr, family, now))
        };
        let mut subnets = [0; 3];
        for one in self.state.read_guarded().0.iter().flat_map(|set| &set.subnets) {
            let place = [&decide.primary_table, &decide.standby_table].iter().position(|table| **table == one.on);
            subnets[place.unwrap_or(2)] += 1;
        }
        Figures {
            name: name.clone(),
            last: (now, pass.clone()),
            counts,
            locked: matches!(record, Found::Present(_) | Found::Corrupt { .. } | Found::Newer { .. }),
            phase: if let Found::Present(record) = record { Some(record.phase) } else { None },
            paused_until: in_force(self.state.read_pause(), now).map(|paused| paused.until),
            backends: observe.backends.len(),
            witnesses: observe.backends.iter().filter(|one| witness(&one.host, one.addr)).count(),
            threshold: decide.threshold,
            targets: observe.targets.len(),
            subnets,
            takeovers: ended(Deed::Takeover),
            failbacks: ended(Deed::Failback),
            last_takeover: history.iter().rev().find(|entry| entry.kind == Deed::Takeover).map(|entry| entry.at),
            waiting: Events::look(self.state).map_or(0, |events| events.count()),
        }
    }
}
