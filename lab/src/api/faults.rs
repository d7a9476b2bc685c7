//! The API's faults: which calls they hit, and how often. Pure.

use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFaultKind {
    /// `InternalError`, HTTP 500; nothing is done.
    Error500,
    /// `RequestLimitExceeded`, HTTP 503; nothing is done.
    Throttle,
    /// `UnauthorizedOperation`, HTTP 403; nothing is done. Comes before `DryRun`'s answer.
    Deny,
    /// Accepted and never answered; nothing is done.
    Hang,
    /// Done, then the connection is closed without a reply.
    Lost,
    /// A describe answers the state before the last change. Of describes, only `DescribeRouteTables` can be stale.
    Stale,
    /// `ReplaceRouteTableAssociation` answers with an association whose state is `failed`; nothing is done.
    Failed,
}

impl ApiFaultKind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Error500, "500"),
        (Self::Throttle, "throttle"),
        (Self::Deny, "deny"),
        (Self::Hang, "hang"),
        (Self::Lost, "lost"),
        (Self::Stale, "stale"),
        (Self::Failed, "failed"),
    ];
}

impl fmt::Display for ApiFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for ApiFaultKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let kind = Self::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        kind.with_context(|| {
            let names = Self::ALL.map(|(_, name)| name).join(", ");
            format!("`{text}` is none of the API's faults: {names}")
        })
    }
}

/// A fault of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFault {
    /// What happens.
    pub kind: ApiFaultKind,
    /// To which action; `*` for all.
    pub action: String,
    /// Only after this many calls it would fit.
    pub after: usize,
    /// And then so many times; `None` for ever.
    pub times: Option<usize>,
}

impl ApiFault {
    /// From now on, always, for every call.
    #[must_use]
    pub fn new(kind: ApiFaultKind) -> Self {
        Self { kind, action: "*".to_owned(), after: 0, times: None }
    }

    /// Only for that action.
    #[must_use]
    pub fn on(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }

    /// Only after `calls` fitting calls.
    #[must_use]
    pub fn after(mut self, calls: usize) -> Self {
        self.after = calls;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    fn fits(&self, action: &str) -> bool {
        let kind_fits = match self.kind {
            ApiFaultKind::Stale => action == "DescribeRouteTables",
            ApiFaultKind::Failed => action == "ReplaceRouteTableAssociation",
            _ => true,
        };
        kind_fits && (self.action == "*" || self.action == action)
    }
}

impl fmt::Display for ApiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "api-{} {} {}", self.kind, self.action, self.after)?;
        self.times.map_or(Ok(()), |times| write!(f, " {times}"))
    }
}

impl FromStr for ApiFault {
    type Err = anyhow::Error;

    /// `api-KIND [ACTION [AFTER [TIMES]]]`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split_whitespace();
        let kind =
            words.next().and_then(|name| name.strip_prefix("api-")).context("an API fault begins with `api-`")?;
        let mut fault = Self::new(kind.parse()?);
        if let Some(action) = words.next() {
            fault = fault.on(action);
        }
        let number = |word: &str| word.parse().with_context(|| format!("`{word}` is no number of calls"));
        if let Some(word) = words.next() {
            fault = fault.after(number(word)?);
        }
        if let Some(word) = words.next() {
            fault = fault.times(number(word)?);
        }
        anyhow::ensure!(words.next().is_none(), "`{text}`: at most an action, AFTER and TIMES");
        Ok(fault)
    }
}

/// A fault with the calls it has seen.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) fault: ApiFault,
    seen: usize,
}

impl Armed {
    pub(super) const fn new(fault: ApiFault) -> Self {
        Self { fault, seen: 0 }
    }

    /// Counts a call, and says whether it is hit.
    pub(super) fn hits(&mut self, action: &str) -> bool {
        if !self.fault.fits(action) {
            return false;
        }
        self.seen += 1;
        let past = self.seen.saturating_sub(self.fault.after);
        past > 0 && self.fault.times.is_none_or(|times| past <= times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_after_k_calls_n_times_and_only_its_action() {
        let mut armed = Armed::new("api-500 ReplaceRoute 1 2".parse().unwrap());
        let hits: Vec<_> = ["ReplaceRoute", "CreateRoute", "ReplaceRoute", "ReplaceRoute", "ReplaceRoute"]
            .iter()
            .map(|action| armed.hits(action))
            .collect();
        assert_eq!(hits, [false, false, true, true, false]);
    }

    #[test]
    fn faults_read_as_they_print() {
        for text in ["api-500 * 0", "api-lost ReplaceRouteTableAssociation 0 1", "api-stale * 2 3"] {
            assert_eq!(text.parse::<ApiFault>().unwrap().to_string(), text);
        }
        assert!("api-nonsense".parse::<ApiFault>().is_err());
        assert!("api-500 * x".parse::<ApiFault>().is_err());
    }
}
