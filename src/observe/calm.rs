//! The calm of `watch`: evidence spread over time, as long as nothing is missed.
//!
//! Each target is pinged once per `decision.interval`, in turn, by one backend after the other, and by the standby beside it; so many
//! of these as a panel has members are a round. The first miss that is news ends it: the caller goes on in a burst
//! ([`Observer::round`]), over the same sessions, and comes back.
//!
//! Sessions are kept open to twice the panel, so that a burst has somebody else to ask; who can't be reached rests and is replaced, and
//! where there are more backends than that, one after the other takes a turn.
//!
//! It cannot change anything, and it does not fail. [`Calm::next`] may be dropped at any moment: nothing is lost by that.

mod alarm;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub use alarm::Missed;

use self::alarm::Alarm;
use super::panel::Drawn;
use super::round::{Observer, Question, Shout};
use super::{Pace, TargetName, Uplink, Vantages};
use crate::model::{
    Backend, Control, ControlFate, Fate, Member, Moment, Probe, Round, Silence, SilenceReason, Target, Testimony,
};

/// Sessions are kept to so many panels: the rounds of a burst draw from them, and should not find the same eight each time.
const PANELS: usize = 2;

/// Who could not be heard is left alone for so long.
const REST: Duration = Duration::from_secs(30);

/// Where fewer are left than a panel wants, for so long only, then twice as long, up to that: all of them may have been out of reach
/// for a moment, and nobody would look for an outage meanwhile.
const REST_AT_LEAST: Duration = Duration::from_secs(1);

/// One backend gives its place to another after this: a minute each shows those who are new, and a large pool in turn.
const TURN: Duration = Duration::from_mins(1);

/// Past the end that a round sets itself, as for any other: a process that was frozen for longer has old evidence.
const LATE: Duration = Duration::from_secs(1);

/// Past its turns, who is still logging in is waited for so long: what an address that is black-holed takes to be found out.
const HANGING: Duration = Duration::from_secs(4);

/// What comes of waiting.
#[derive(Debug)]
pub enum Cut {
    /// A round: every member of a panel was asked, or could not be.
    Round(Round),
    /// Misses that are news, oldest first.
    Missed(Vec<Missed>),
}

/// A backend that is asked when its turn comes.
struct Post {
    drawn: Drawn,
    state: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not logged in, and nothing is done about it yet.
    Closed,
    /// Logging in.
    Opening,
    /// To be asked.
    Ready,
    /// Asked, in this turn and at this time.
    Asked(u64, Instant),
}

enum Event {
    Opened(String, Result<(), Silence>),
    Control(u64, IpAddr, ControlFate),
    Heard(String, Result<Vec<Probe>, Silence>),
}

/// The latest control ping of a target that came to its end.
struct Checked {
    turn: u64,
    fate: ControlFate,
}

impl Checked {
    const fn good(&self) -> bool {
        matches!(self.fate, ControlFate::Good { .. })
    }
}

/// See the module.
pub struct Calm<'a, V: Vantages, U> {
    observer: Rc<Observer<'a, V, U>>,
    interval: Duration,
    posts: Vec<Post>,
    reserve: VecDeque<Drawn>,
    resting: BTreeMap<String, (Instant, Drawn, Silence)>,
    /// How often each was not heard since it last was.
    unheard: BTreeMap<String, u32>,
    rotated: Instant,
    work: FuturesUnordered<LocalBoxFuture<'a, Event>>,
    alarm: Alarm,
    miss: mpsc::UnboundedSender<(String, Probe)>,
    misses: mpsc::UnboundedReceiver<(String, Probe)>,
    /// Misses of which it is not known yet whether their targets were good.
    doubtful: Vec<(u64, Missed)>,
    good: watch::Sender<Option<Vec<Target>>>,
    checked: BTreeMap<IpAddr, Checked>,
    turn: u64,
    due: Instant,
    round: Gathered,
}

/// The round so far.
struct Gathered {
    began: Instant,
    started: Moment,
    controls: BTreeMap<IpAddr, ControlFate>,
    members: Vec<Member>,
}

impl<'a, V: Vantages, U: Uplink> Calm<'a, V, U>
where
    V::Session: 'a,
{
    /// Each target once per `interval`.
    #[must_use]
    pub fn new(observer: Rc<Observer<'a, V, U>>, interval: Duration) -> Self {
        let (miss, misses) = mpsc::unbounded_channel();
        let now = Instant::now();
        let started = observer.now();
        Self {
            observer,
            interval,
            posts: Vec::new(),
            reserve: VecDeque::new(),
            resting: BTreeMap::new(),
            unheard: BTreeMap::new(),
            rotated: now,
            work: FuturesUnordered::new(),
            alarm: Alarm::default(),
            miss,
            misses,
            doubtful: Vec::new(),
            good: watch::channel(Some(Vec::new())).0,
            checked: BTreeMap::new(),
            turn: 0,
            due: now,
            round: Gathered { began: now, started, controls: BTreeMap::new(), members: Vec::new() },
        }
    }

    /// Who may be asked from now on, in this order. Who is asked already and still among them stays.
    pub fn draw(&mut self, order: Vec<Drawn>) {
        let mut known: BTreeMap<&str, &Drawn> = order.iter().map(|one| (one.backend.host.as_str(), one)).collect();
        self.unheard.retain(|host, _| known.contains_key(host.as_str()));
        self.posts.retain_mut(|post| {
            let host = post.drawn.backend.host.as_str();
            if known.get(host).is_some_and(|one| one.backend == post.drawn.backend)
                && let Some(one) = known.remove(host)
            {
                post.drawn = one.clone();
                return true;
            }
            // A session to where it was says nothing of where it is now.
            self.observer.leave(host);
            false
        });
        self.resting.retain(|host, (_, drawn, _)| {
            let same = known.get(host.as_str()).is_some_and(|one| one.backend == drawn.backend);
            same && known.remove(host.as_str()).is_some()
        });
        let rest: Vec<String> = known.into_keys().map(ToOwned::to_owned).collect();
        self.reserve = order.into_iter().filter(|one| rest.contains(&one.backend.host)).collect();
        let hosts: Vec<&str> = self.posts.iter().map(|post| post.drawn.backend.host.as_str()).collect();
        self.alarm.forget_others(&hosts);
    }

    /// The backends to which sessions are open, or being opened.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.posts.iter().map(|post| post.drawn.backend.host.as_str())
    }

    /// Whether a miss would end the calm if it were news: not while it is known that nothing comes of it.
    #[must_use]
    pub fn rings(&self) -> bool {
        self.alarm.rings(self.observer.now())
    }

    /// The primary is not down: the next miss that is news rings at once.
    pub fn all_clear(&mut self) {
        self.alarm.all_clear();
    }

    /// A burst is over: the calm begins anew. `down`: it has found the primary down, and nothing came of it.
    pub fn resume(&mut self, down: bool, targets: usize) {
        if down {
            self.alarm.in_vain(self.observer.now());
        } else {
            self.alarm.all_clear();
        }
        self.due = Instant::now() + self.apart(targets);
        self.begin();
    }

    /// Waits until a round is complete, or something is missed.
    pub async fn next(&mut self, targets: &[(TargetName, Result<Target, String>)]) -> Cut {
        let located: Vec<Target> = targets.iter().filter_map(|(_, target)| target.as_ref().ok()).cloned().collect();
        loop {
            self.man();
            let last = self.round.began + self.limit(located.len());
            tokio::select! {
                biased;
                Some((host, probe)) = self.misses.recv() => self.missed(Missed { host, probe }),
                Some(event) = self.work.next() => self.note(event),
                () = sleep_until(self.due) => self.ask(&located),
                () = sleep_until(last) => return Cut::Round(self.carve(targets)),
            }
            self.tell_good(&located);
            if self.sound(located.len()) {
                // What is under way is given up: the burst asks the same backends.
                self.give_up();
                return Cut::Missed(self.alarm.take());
            }
            if self.complete(located.len()) {
                return Cut::Round(self.carve(targets));
            }
        }
    }

    /// Between two pings.
    fn apart(&self, targets: usize) -> Duration {
        self.interval / u32::try_from(targets.max(1)).unwrap_or(u32::MAX)
    }

    /// How many make a round.
    fn wanted(&self) -> usize {
        let panel = self.observer.panel();
        if panel == 0 { self.posts.len() } else { self.posts.len().min(panel) }
    }

    /// Whether nobody is left in this round to be heard; who hangs or logs in for long is not waited for.
    fn complete(&self, targets: usize) -> bool {
        let heard = self.round.members.iter().filter(|one| matches!(one.testimony, Testimony::Probes(_))).count();
        let late = self.round.began.elapsed() >= self.turns(targets) + HANGING;
        let awaited = |post: &Post| match post.state {
            Place::Ready => true,
            Place::Closed | Place::Opening => !late,
            Place::Asked(_, at) => at.elapsed() < self.observer.answers_within(),
        };
        let spoken = |post: &Post| self.round.members.iter().any(|one| one.backend.host == post.drawn.backend.host);
        heard > 0 && (heard >= self.wanted() || !self.posts.iter().any(|post| awaited(post) && !spoken(post)))
    }

    /// What the turns of a round take.
    fn turns(&self, targets: usize) -> Duration {
        self.apart(targets).saturating_mul(u32::try_from(self.wanted()).unwrap_or(u32::MAX))
    }

    /// What a round may take at most.
    fn limit(&self, targets: usize) -> Duration {
        (self.turns(targets) + HANGING).max(self.observer.limit())
    }

    /// Fills the vacant places, and has those logged in who are not.
    fn man(&mut self) {
        let now = Instant::now();
        let panel = self.observer.panel();
        let most = if panel == 0 { usize::MAX } else { panel * PANELS };
        let rested: Vec<String> =
            self.resting.iter().filter(|(_, (until, ..))| *until <= now).map(|(host, _)| host.clone()).collect();
        for host in rested {
            if let Some((_, drawn, _)) = self.resting.remove(&host) {
                self.reserve.push_back(drawn);
            }
        }
        if now >= self.rotated + TURN && self.posts.len() >= most && !self.reserve.is_empty() {
            // Its session ends by itself, since nothing is asked over it any more.
            let leaves = self.posts.remove(0);
            self.observer.leave(&leaves.drawn.backend.host);
            self.reserve.push_back(leaves.drawn);
            self.rotated = now;
        }
        while self.posts.len() < most {
            let Some(drawn) = self.reserve.pop_front() else { break };
            self.posts.push(Post { drawn, state: Place::Closed });
        }
        for post in &mut self.posts {
            let open = self.observer.is_open(&post.drawn.backend.host);
            if post.state == Place::Ready && !open {
                post.state = Place::Closed;
            }
            if post.state != Place::Closed {
                continue;
            }
            post.state = Place::Opening;
            let (observer, backend) = (Rc::clone(&self.observer), post.drawn.backend.clone());
            self.work.push(
                async move {
                    let opened = observer.session(&backend).await.map(|_| ());
                    Event::Opened(backend.host, opened)
                }
                .boxed_local(),
            );
        }
    }

    /// One target's turn.
    fn ask(&mut self, located: &[Target]) {
        let now = Instant::now();
        let apart = self.apart(located.len());
        // Nothing is made up for: a process that was frozen would ping all at once.
        self.due = (self.due + apart).max(now + apart / 2);
        if located.is_empty() {
            return;
        }
        let turn = self.turn;
        self.turn += 1;
        let first = usize::try_from(turn).unwrap_or_default() % located.len();
        let addr = located[first].addr;
        let observer = Rc::clone(&self.observer);
        // Once: there is a next turn, and the target is to be spared.
        self.work.push(async move { Event::Control(turn, addr, observer.control_ping(addr, 1).await) }.boxed_local());
        // A target that does not answer the standby proves nothing, and its miss would call for pings of the others.
        if self.checked.get(&addr).is_some_and(|checked| !checked.good()) {
            return;
        }
        let Some(at) = self.posts.iter().position(|post| post.state == Place::Ready) else { return };
        // Whoever was asked goes to the end.
        let mut post = self.posts.remove(at);
        post.state = Place::Asked(turn, now);
        let backend = post.drawn.backend.clone();
        self.posts.push(post);
        let target = &located[first];
        let mut targets: Vec<Target> = located[first..].iter().chain(&located[..first]).cloned().collect();
        targets.retain(|one| one.family() == target.family());
        let shout = Shout { good: self.good.subscribe(), miss: self.miss.clone(), left: Rc::new(Cell::new(None)) };
        let observer = Rc::clone(&self.observer);
        self.work.push(async move { probe(&observer, backend, targets, &shout).await }.boxed_local());
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened(host, Ok(())) => self.place(&host, Place::Ready),
            Event::Opened(host, Err(silence)) => self.silent(&host, silence, false),
            Event::Control(turn, addr, fate) => {
                // One reply is enough for the round.
                let known = self.round.controls.entry(addr).or_insert(ControlFate::NoReply);
                if !matches!(known, ControlFate::Good { .. }) {
                    *known = fate.clone();
                }
                // A ping that is lost comes to its end after those that followed it.
                if self.checked.get(&addr).is_none_or(|known| known.turn <= turn) {
                    self.checked.insert(addr, Checked { turn, fate });
                }
            }
            Event::Heard(host, Ok(probes)) => {
                self.place(&host, Place::Ready);
                self.unheard.remove(&host);
                if let Some(first) = probes.first()
                    && matches!(first.fate, Fate::Reply { .. })
                {
                    self.alarm.replied(&host, first.target.addr, first.earliest);
                }
                self.gather(&host, Testimony::Probes(probes));
            }
            Event::Heard(host, Err(silence)) => {
                let broke = matches!(silence.reason, SilenceReason::Disconnected | SilenceReason::Hung);
                self.silent(&host, silence, broke);
            }
        }
    }

    fn place(&mut self, host: &str, state: Place) {
        if let Some(post) = self.posts.iter_mut().find(|post| post.drawn.backend.host == host) {
            post.state = state;
        }
    }

    /// Nothing was heard. Whose session `broke` logs in again; all others rest.
    fn silent(&mut self, host: &str, silence: Silence, broke: bool) {
        self.gather(host, Testimony::Silent(silence.clone()));
        let Some(at) = self.posts.iter().position(|post| post.drawn.backend.host == host) else { return };
        if broke {
            self.posts[at].state = Place::Closed;
            return;
        }
        let post = self.posts.remove(at);
        let times = self.unheard.entry(host.to_owned()).or_default();
        let panel = self.observer.panel();
        let scarce = panel == 0 || self.posts.len() + self.reserve.len() < panel;
        let rest = if scarce { REST_AT_LEAST.saturating_mul(1 << (*times).min(16)).min(REST) } else { REST };
        *times += 1;
        self.resting.insert(host.to_owned(), (Instant::now() + rest, post.drawn, silence));
    }

    /// What a backend said last is what counts.
    fn gather(&mut self, host: &str, testimony: Testimony) {
        let Some(post) = self.posts.iter().find(|post| post.drawn.backend.host == host) else { return };
        if let Testimony::Probes(probes) = &testimony {
            let earliest = probes.iter().map(|probe| probe.earliest);
            self.round.started = earliest.fold(self.round.started, Moment::min);
        }
        self.round.members.retain(|one| one.backend.host != host);
        self.round.members.push(member(post.drawn.clone(), testimony));
    }

    /// A first ping was missed.
    fn missed(&mut self, missed: Missed) {
        let asked = self.posts.iter().find(|post| post.drawn.backend.host == missed.host).map(|post| post.state);
        if let Some(Place::Asked(turn, _)) = asked {
            self.doubtful.push((turn, missed));
        }
    }

    /// Whether a miss ends the calm. One of a target that did not answer the standby either is no evidence against anybody.
    fn sound(&mut self, targets: usize) -> bool {
        let mut rings = false;
        let now = self.observer.now();
        for (turn, missed) in std::mem::take(&mut self.doubtful) {
            match self.checked.get(&missed.probe.target.addr) {
                Some(checked) if checked.turn >= turn => {
                    rings |= checked.good() && self.alarm.missed(missed, targets, now);
                }
                _ => self.doubtful.push((turn, missed)),
            }
        }
        rings
    }

    /// The targets that answered when last asked.
    fn tell_good(&self, located: &[Target]) {
        let answers = |one: &&Target| self.checked.get(&one.addr).is_some_and(Checked::good);
        let good: Vec<Target> = located.iter().filter(answers).cloned().collect();
        if self.good.borrow().as_ref() != Some(&good) {
            self.good.send_replace(Some(good));
        }
    }

    /// What is under way is left to its own bounds.
    fn give_up(&mut self) {
        self.work.clear();
        while self.misses.try_recv().is_ok() {}
        self.doubtful.clear();
        for post in &mut self.posts {
            let open = self.observer.is_open(&post.drawn.backend.host);
            post.state = if open { Place::Ready } else { Place::Closed };
        }
    }

    /// The round as it is; the next one begins.
    fn carve(&mut self, targets: &[(TargetName, Result<Target, String>)]) -> Round {
        let limit = self.limit(targets.len()) + LATE;
        let fate = |target: &Target| {
            let now = self.round.controls.get(&target.addr);
            // A round of few backends is over before each target has had its turn.
            let before = self.checked.get(&target.addr).map(|checked| &checked.fate);
            let known = now.or(before).cloned();
            known.unwrap_or_else(|| ControlFate::NotAsked("its turn has not come yet".to_owned()))
        };
        let controls = targets.iter().map(|(name, target)| match target {
            Ok(target) => Control { name: name.clone(), target: Some(target.clone()), fate: fate(target) },
            Err(why) => Control { name: name.clone(), target: None, fate: ControlFate::NotAsked(why.clone()) },
        });
        let controls = controls.collect();
        let mut members = std::mem::take(&mut self.round.members);
        let spoken = |host: &str| members.iter().any(|one| one.backend.host == host);
        // Who rests is silent still; so many of them say why.
        let most = self.observer.panel().max(1);
        let rest: Vec<Member> = self
            .resting
            .values()
            .filter(|(_, drawn, _)| !spoken(&drawn.backend.host))
            .take(most)
            .map(|(_, drawn, silence)| member(drawn.clone(), Testimony::Silent(silence.clone())))
            .collect();
        members.extend(rest);
        let round = Round { started: self.round.started, ended: self.observer.now(), limit, controls, members };
        self.begin();
        round
    }

    fn begin(&mut self) {
        self.round = Gathered {
            began: Instant::now(),
            started: self.observer.now(),
            controls: BTreeMap::new(),
            members: Vec::new(),
        };
    }
}

/// One turn of a backend: the first of `targets`, and after a miss the others.
async fn probe<V: Vantages, U: Uplink>(
    observer: &Observer<'_, V, U>,
    backend: Backend,
    targets: Vec<Target>,
    shout: &Shout,
) -> Event {
    let question = Question { backend, missed: Vec::new(), pace: Pace::Calm };
    let heard = match observer.session(&question.backend).await {
        Ok(session) => observer.question(&question, &session, targets, shout).await,
        Err(silence) => Err(silence),
    };
    if heard.is_err() {
        observer.leave(&question.backend.host);
    }
    Event::Heard(question.backend.host, heard)
}

fn member(drawn: Drawn, testimony: Testimony) -> Member {
    Member { backend: drawn.backend, subnet: drawn.subnet, witness: drawn.witness, reached: drawn.reached, testimony }
}

#[cfg(test)]
mod tests;
