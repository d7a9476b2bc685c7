//! The hosts behind the standby's own table (`standby.witnesses`): are they answered through it? Asked beside a round that may decide,
//! and never evidence against the primary.

use std::cell::RefCell;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::Observer;
use super::member::AT_ONCE;
use crate::model::{Backend, Family, Fate, Moment, OwnWitness, Said, SilenceReason, Target};
use crate::observe::{Uplink, Vantages};

impl<V: Vantages, U: Uplink> Observer<'_, V, U> {
    /// Asks each of `hosts` to ping `targets`, from `not_before` on, four of a family at once, and puts what it says to its place in `heard`. Ends
    /// when all have spoken: the caller bounds it, and what is broken off goes on where it is asked again.
    pub async fn own(
        &self,
        hosts: &[Backend],
        targets: &[Target],
        not_before: Moment,
        heard: &RefCell<Vec<OwnWitness>>,
    ) {
        let start = Instant::now() + not_before.saturating_sub((self.clock)());
        let all = hosts.iter().enumerate().map(|(n, host)| async move {
            let said = self.said(host, targets, start).await;
            if let Some(one) = heard.borrow_mut().get_mut(n) {
                one.said = said;
            }
        });
        join_all(all).await;
    }

    /// Who was last asked long ago may have lost its session since: it is opened anew, once.
    async fn said(&self, host: &Backend, targets: &[Target], start: Instant) -> Said {
        match self.said_over_its_session(host, targets, start).await {
            Said::Silent(why) if why.reason == SilenceReason::Disconnected => {
                self.said_over_its_session(host, targets, start).await
            }
            said => said,
        }
    }

    async fn said_over_its_session(&self, host: &Backend, targets: &[Target], start: Instant) -> Said {
        let session = match self.session(host).await {
            Ok(session) => session,
            Err(silence) => return Said::Silent(silence),
        };
        sleep_until(start).await;
        let of = |family| targets.iter().filter(move |one| one.family() == family).take(AT_ONCE);
        let pings = [Family::V4, Family::V6].into_iter().flat_map(of).map(|target| async {
            (target.family(), self.vantages.ping(host, &session, target, self.settings.timeout).await)
        });
        let mut reaches = Vec::new();
        let mut silence = None;
        for (family, answer) in join_all(pings).await {
            match answer {
                Ok(asked) if matches!(asked.fate, Fate::Reply { .. }) => reaches.push(family),
                Ok(_) => {}
                Err(why) => silence = Some(why),
            }
        }
        reaches.dedup();
        match silence {
            _ if !reaches.is_empty() => Said::Reaches(reaches),
            // A session that broke is opened anew when it is asked again.
            Some(why) => {
                self.leave(&host.host);
                Said::Silent(why)
            }
            None => Said::Missed,
        }
    }
}
