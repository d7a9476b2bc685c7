//! Who is asked in the calm: the backends to which sessions are kept, those who rest because they could not be reached, and those who
//! stand by.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Backend, Silence};
use crate::observe::panel::Drawn;

/// Sessions are kept to so many panels: the rounds of a burst draw from them, and should not find the same eight each time.
const PANELS: usize = 2;

/// Who could not be heard is left alone for so long.
const REST: Duration = Duration::from_secs(30);

/// Where fewer are left than a panel wants, for so long only, then twice as long, up to that: all of them may have been out of reach
/// for a moment, and nobody would look for an outage meanwhile.
const REST_AT_LEAST: Duration = Duration::from_secs(1);

/// One backend gives its place to another after this: a minute each shows those who are new, and a large pool in turn.
const TURN: Duration = Duration::from_mins(1);

/// A backend that is asked when its turn comes.
pub(super) struct Post {
    pub(super) drawn: Drawn,
    pub(super) state: Place,
}

impl Post {
    pub(super) fn host(&self) -> &str {
        &self.drawn.backend.host
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not logged in, and nothing is done about it yet.
    Closed,
    /// Logging in.
    Opening,
    /// To be asked.
    Ready,
    /// Asked, and not heard yet.
    Asked(Turn),
}

/// When a backend was asked for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// No other has this number.
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) target: IpAddr,
}

/// See the module.
pub(super) struct Posts {
    /// Who was asked last is at the end.
    all: Vec<Post>,
    reserve: VecDeque<Drawn>,
    resting: BTreeMap<String, (Instant, Drawn, Silence)>,
    /// How often each was not heard since it last was.
    unheard: BTreeMap<String, u32>,
    rotated: Instant,
}

impl Posts {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            all: Vec::new(),
            reserve: VecDeque::new(),
            resting: BTreeMap::new(),
            unheard: BTreeMap::new(),
            rotated: now,
        }
    }

    /// Who may be asked from now on, in this order; who has a place and is still among them keeps it. Those who lost theirs.
    pub(super) fn draw(&mut self, order: Vec<Drawn>) -> Vec<String> {
        let mut known: BTreeMap<&str, &Drawn> = order.iter().map(|one| (one.backend.host.as_str(), one)).collect();
        self.unheard.retain(|host, _| known.contains_key(host.as_str()));
        let mut left = Vec::new();
        self.all.retain_mut(|post| {
            let same = known.get(post.host()).copied().filter(|one| one.backend == post.drawn.backend);
            if let Some(one) = same {
                known.remove(post.host());
                post.drawn = one.clone();
            } else {
                // Who is at another address by now is somebody else.
                left.push(post.host().to_owned());
            }
            same.is_some()
        });
        self.resting.retain(|host, (_, drawn, _)| {
            let same = known.get(host.as_str()).is_some_and(|one| one.backend == drawn.backend);
            same && known.remove(host.as_str()).is_some()
        });
        let rest: Vec<String> = known.into_keys().map(ToOwned::to_owned).collect();
        self.reserve = order.into_iter().filter(|one| rest.contains(&one.backend.host)).collect();
        left
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(Post::host)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Post> {
        self.all.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn of(&self, host: &str) -> Option<&Post> {
        self.all.iter().find(|post| post.host() == host)
    }

    /// When `host` was asked for what, where it is not heard yet.
    pub(super) fn asked(&self, host: &str) -> Option<Turn> {
        match self.of(host)?.state {
            Place::Asked(turn) => Some(turn),
            _ => None,
        }
    }

    /// Who rests, and why.
    pub(super) fn resting(&self) -> impl Iterator<Item = (&Drawn, &Silence)> {
        self.resting.values().map(|(_, drawn, silence)| (drawn, silence))
    }

    /// Fills the vacant places for a `panel` (0: all have one). Who gave its own up, its minute being over.
    pub(super) fn fill(&mut self, panel: usize) -> Option<String> {
        let now = Instant::now();
        let most = if panel == 0 { usize::MAX } else { panel * PANELS };
        let rested: Vec<String> =
            self.resting.iter().filter(|(_, (until, ..))| *until <= now).map(|(host, _)| host.clone()).collect();
        let rested = rested.into_iter().filter_map(|host| self.resting.remove(&host));
        self.reserve.extend(rested.map(|(_, drawn, _)| drawn));
        let mut leaves = None;
        if now >= self.rotated + TURN && self.all.len() >= most && !self.reserve.is_empty() {
            let post = self.all.remove(0);
            leaves = Some(post.host().to_owned());
            self.reserve.push_back(post.drawn);
            self.rotated = now;
        }
        while self.all.len() < most {
            let Some(drawn) = self.reserve.pop_front() else { break };
            self.all.push(Post { drawn, state: Place::Closed });
        }
        leaves
    }

    /// Those who are to be logged in, and are taken to be from now on.
    pub(super) fn log_in(&mut self, is_open: impl Fn(&str) -> bool) -> Vec<Backend> {
        let mut closed = Vec::new();
        for post in &mut self.all {
            if post.state == Place::Ready && !is_open(post.host()) {
                post.state = Place::Closed;
            }
            if post.state == Place::Closed {
                post.state = Place::Opening;
                closed.push(post.drawn.backend.clone());
            }
        }
        closed
    }

    /// Whose turn it is: of those who are ready, one who is `wanted`, or else whoever was asked longest ago; and it goes to the end.
    pub(super) fn ask(&mut self, turn: Turn, wanted: impl Fn(&str) -> bool) -> Option<&Drawn> {
        let ready = |post: &&Post| post.state == Place::Ready;
        let next = self.all.iter().filter(ready).find(|post| wanted(post.host()));
        let host = next.or_else(|| self.all.iter().find(ready))?.host().to_owned();
        let at = self.all.iter().position(|post| post.host() == host)?;
        let mut post = self.all.remove(at);
        post.state = Place::Asked(turn);
        self.all.push(post);
        self.all.last().map(|post| &post.drawn)
    }

    pub(super) fn place(&mut self, host: &str, state: Place) {
        if let Some(post) = self.all.iter_mut().find(|post| post.host() == host) {
            post.state = state;
        }
    }

    /// `host` was heard, and is to be asked again.
    pub(super) fn heard(&mut self, host: &str) {
        self.unheard.remove(host);
        self.place(host, Place::Ready);
    }

    /// Who could not be heard gives its place up for a while: where a `panel` is left without it, for long.
    pub(super) fn rest(&mut self, host: &str, silence: Silence, panel: usize) {
        let Some(at) = self.all.iter().position(|post| post.host() == host) else { return };
        let post = self.all.remove(at);
        let times = self.unheard.entry(host.to_owned()).or_default();
        let scarce = panel == 0 || self.all.len() + self.reserve.len() < panel;
        let rest = if scarce { REST_AT_LEAST.saturating_mul(1 << (*times).min(16)).min(REST) } else { REST };
        *times += 1;
        self.resting.insert(host.to_owned(), (Instant::now() + rest, post.drawn, silence));
    }

    /// Whatever was under way is given up.
    pub(super) fn give_up(&mut self, is_open: impl Fn(&str) -> bool) {
        for post in &mut self.all {
            post.state = if is_open(post.host()) { Place::Ready } else { Place::Closed };
        }
    }
}
