//! What others are told of a watch's passes: the hook, by events, and a collector, by the metrics textfile.
//!
//! The hook hears of what is told ([`super::tell`]), so that it goes by the same patience; and of what lasts, every ten seconds, since an event may
//! have been held back while the state came and went, and a pause ends without a pass.

use std::time::{Duration, Instant};

use super::keep::Trouble;
use crate::decide::Case;
use crate::model::Pass;
use crate::record::witnesses::Witnesses;
use crate::run::{Gauges, Post};

/// Between two looks at what lasts: as often as anything is told.
const LOOK: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Outward<'a> {
    post: &'a Post<'a>,
    gauges: Gauges<'a>,
    looked: Option<Instant>,
    trouble: Trouble,
}

impl<'a> Outward<'a> {
    pub(super) fn new(post: &'a Post<'a>, gauges: Gauges<'a>) -> Self {
        Self { post, gauges, looked: None, trouble: Trouble::default() }
    }

    /// A pass has ended; `told` is what was told by it, and `lasts`: that it is as was told last.
    pub(super) fn passed(
        &mut self,
        pass: &Pass,
        told: Option<&Pass>,
        lasts: bool,
        (case, witnesses): (&Case, &Witnesses),
    ) {
        let now = Instant::now();
        let due = self.looked.is_none_or(|at| now.duration_since(at) >= LOOK);
        if let Some(event) = told.or_else(|| (lasts && due).then_some(pass)) {
            self.looked = Some(now);
            self.post.passed(event, case);
        }
        let written = self.gauges.passed(pass, witnesses, told.is_some());
        match self.trouble.note(written.err(), now) {
            Some(Ok(_)) => tracing::warn!(event = "metrics", "the metrics can be written again"),
            Some(Err(text)) => tracing::error!(event = "metrics", "metrics: {text}"),
            None => {}
        }
    }
}
