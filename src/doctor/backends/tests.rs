use std::cell::Cell;
use std::collections::BTreeSet;

use tokio::time::sleep;

use super::*;
use crate::model::{Finding, Fitness, SilenceReason};
use crate::observe::{Asked, HostKeys, SshSettings};

const WAIT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(8);

/// How a backend behaves.
#[derive(Debug, Clone, PartialEq)]
enum Nature {
    Well,
    /// Logs in after so long.
    Slow(Duration),
    Refuses(SilenceReason),
    /// Logs in, and every command fails so.
    Fails(SilenceReason),
    /// Logs in, and nothing answers it.
    CutOff,
    /// Logs in, and this target does not answer it.
    Misses(usize),
    WholeSeconds,
}

struct Fakes {
    natures: Vec<Nature>,
    open: Cell<usize>,
    most: Cell<usize>,
}

fn silence(reason: SilenceReason) -> Silence {
    Silence { reason, detail: format!("{reason}: \x1b[31m") }
}

impl Fakes {
    fn new(natures: &[Nature]) -> Self {
        Self { natures: natures.to_vec(), open: Cell::new(0), most: Cell::new(0) }
    }

    fn nature(&self, backend: &Backend) -> &Nature {
        backend
            .host
            .trim_start_matches('b')
            .parse()
            .ok()
            .and_then(|n: usize| self.natures.get(n))
            .unwrap_or(&Nature::Well)
    }
}

impl Vantages for Fakes {
    type Session = ();

    async fn connect(&self, backend: &Backend) -> Result<(), Silence> {
        self.open.set(self.open.get() + 1);
        self.most.set(self.most.get().max(self.open.get()));
        let took = match self.nature(backend) {
            Nature::Slow(took) => *took,
            _ => Duration::from_millis(100),
        };
        sleep(took).await;
        match self.nature(backend) {
            Nature::Refuses(reason) => {
                self.open.set(self.open.get() - 1);
                Err(silence(*reason))
            }
            _ => Ok(()),
        }
    }

    async fn ping(&self, backend: &Backend, (): &(), target: &Target, wait: Duration) -> Result<Asked, Silence> {
        let now = Instant::now();
        let fate = match self.nature(backend) {
            Nature::Fails(SilenceReason::Hung) => std::future::pending().await,
            Nature::Fails(reason) => return Err(silence(*reason)),
            Nature::CutOff => Fate::NoReply,
            Nature::Misses(n) if target.name == format!("203.0.113.{n}") => Fate::NoReply,
            _ => Fate::Reply { rtt: Duration::from_millis(2) },
        };
        sleep(if fate == Fate::NoReply { wait } else { Duration::from_millis(2) }).await;
        Ok(Asked { asked: now, begun: now, fate })
    }

    async fn close(&self, _: Vec<()>) {}
}

impl Doors for Fakes {
    async fn key_may(&self, (): &()) -> Result<KeyMay, Silence> {
        // Fakes know no session's host; the judge has its own test.
        Ok(KeyMay::OnlyWhatIsForced("natwatch: this key may only ping".to_owned()))
    }

    fn whole_seconds(&self, backend: &Backend) -> bool {
        *self.nature(backend) == Nature::WholeSeconds
    }

    async fn leave(&self, (): ()) {
        self.open.set(self.open.get() - 1);
    }
}

fn backend(n: usize) -> Backend {
    Backend { host: format!("b{n}"), destination: format!("10.0.10.{n}"), addr: None }
}

fn targets(count: u8) -> Vec<Target> {
    let name = |n| format!("203.0.113.{n}");
    (0..count).map(|n| Target { name: name(n), addr: name(n).parse().unwrap() }).collect()
}

fn ssh() -> SshSettings {
    SshSettings {
        user: Some("natwatch".to_owned()),
        port: Some(2222),
        identity: Some("/k/key".into()),
        known_hosts: Some("/k/known_hosts".into()),
        host_keys: HostKeys::Strict,
        ssh_config: None,
        connect_timeout: Duration::from_secs(3),
        login_timeout: Duration::from_secs(10),
        idle: SshSettings::IDLE,
    }
}

/// Asked beside the looks at the targets, which take half a second.
async fn ask_all(fakes: &Fakes, backends: usize, targets: &[Target]) -> Vec<Heard> {
    let all = (0..backends).map(backend).collect();
    let (tell, good) = watch::channel(None);
    let looking = async {
        sleep(Duration::from_millis(500)).await;
        tell.send_replace(Some(targets.to_vec()));
    };
    tokio::join!(looking, ask(fakes, all, Vec::new(), &good, WAIT, Instant::now() + PATIENCE)).1
}

/// Every way in which a precondition here is not met.
pub(in crate::doctor) async fn seeds() -> Vec<Finding> {
    use SilenceReason::{
        HostKeyChanged, HostKeyUnknown, Hung, Login, NoPing, Nonsense, Other, Refused, SlowLogin, Unreachable,
        Unresolved,
    };
    let refused = [Unresolved, Refused, Unreachable, HostKeyUnknown, HostKeyChanged, Login, SlowLogin, Other];
    let mut natures = vec![Nature::CutOff, Nature::Slow(PATIENCE * 2), Nature::Slow(Duration::from_secs(2))];
    natures.extend(refused.map(Nature::Refuses));
    natures.extend([NoPing, Nonsense, Hung].map(Nature::Fails));
    let mut heard = ask_all(&Fakes::new(&natures), natures.len(), &targets(3)).await;
    let entered = Heard { entry: Entry::In(Duration::ZERO), done: true, ..Heard::of(backend(98), false) };
    let said = |reason| vec![Pinged { target: 0, family: Family::V4, said: Err(silence(reason)) }];
    heard.extend([
        Heard::of(backend(97), false),
        Heard { key: Some(Ok(KeyMay::Anything)), ..entered.clone() },
        Heard { pings: said(Hung), ..entered },
    ]);
    findings(&heard, &ssh(), PATIENCE)
}

/// What is not fit, of a fleet whose first ones are of these natures: `host id: fitness`.
async fn unfit(natures: &[Nature]) -> Vec<String> {
    let heard = ask_all(&Fakes::new(natures), natures.len() + 3, &targets(3)).await;
    let all = findings(&heard, &ssh(), PATIENCE);
    let of = |one: &Finding| format!("{} {}: {}", one.of.clone().unwrap(), one.id, one.fitness);
    all.iter().filter(|one| one.fitness != Fitness::Fit).map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn each_who_is_well_is_fit_in_every_respect_and_whole_seconds_are_no_fault() {
    let heard = ask_all(&Fakes::new(&[Nature::WholeSeconds]), 6, &targets(3)).await;
    let all = findings(&heard, &ssh(), PATIENCE);
    let ids: BTreeSet<&str> = all.iter().map(|one| one.id).collect();
    let expected = [
        "backend-host-key",
        "backend-key",
        "backend-login",
        "backend-login-time",
        "backend-ping",
        "backend-reachable",
        "backend-reaches",
    ];
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), expected);
    assert!(all.iter().all(|one| one.fitness == Fitness::Fit), "{all:#?}");
    assert!(all.iter().any(|one| one.of.as_deref() == Some("b0") && one.text.contains("whole seconds only")));
}

#[tokio::test(start_paused = true)]
async fn f024_f025_f026_f027_f028_each_silence_is_a_finding_with_what_to_do() {
    use SilenceReason::{
        HostKeyChanged, HostKeyUnknown, Login, NoPing, Nonsense, Other, Refused, SlowLogin, Unreachable, Unresolved,
    };
    for (reason, id, words) in [
        (Unresolved, "backend-name", ["does not resolve", "getent"]),
        (Refused, "backend-reachable", ["nobody listens", "systemctl enable"]),
        (Unreachable, "backend-reachable", ["no answer", "security group admit TCP 2222"]),
        (HostKeyUnknown, "backend-host-key", ["not in known_hosts", "ssh-keyscan -p 2222 10.0.10.0 >> /k/known_hosts"]),
        (
            HostKeyChanged,
            "backend-host-key",
            ["SECURITY", "ssh-keygen -R '[10.0.10.0]:2222' -f /k/known_hosts && ssh-keyscan"],
        ),
        (
            Login,
            "backend-login",
            [
                "not accepted: the line that",
                "into ~natwatch/.ssh/authorized_keys on it natwatch print authorized-key /k/key.pub",
            ],
        ),
        (SlowLogin, "backend-login-time", ["no login in time", "make the account local"]),
        (Other, "backend-reachable", ["could not connect", "ssh -v -p 2222 10.0.10.0"]),
    ] {
        assert_eq!(unfit(&[Nature::Refuses(reason)]).await, [format!("b0 {id}: warning")], "{reason}");
        let heard = ask_all(&Fakes::new(&[Nature::Refuses(reason)]), 4, &targets(2)).await;
        let found = findings(&heard, &ssh(), PATIENCE).into_iter().find(|one| one.fitness != Fitness::Fit).unwrap();
        let all = format!("{} {}", found.text, found.remedy.clone().unwrap_or_default());
        crate::doctor::tests::can_be_pasted(std::slice::from_ref(&found));
        assert!(words.iter().all(|word| all.contains(word)), "{all}");
        if ![HostKeyUnknown, HostKeyChanged].contains(&reason) {
            assert_eq!(found.details, [format!("{reason}: \\u{{1b}}[31m")], "what was said, printable");
        }
        assert!(
            !found.text.contains("b0") && !found.text.contains("10.0"),
            "the same words for every host: {}",
            found.text
        );
    }
    for reason in [NoPing, Nonsense] {
        assert_eq!(unfit(&[Nature::Fails(reason)]).await, ["b0 backend-ping: warning"], "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn f099_a_login_above_a_second_is_a_warning_and_one_of_a_second_is_not() {
    let second = Duration::from_secs(1);
    assert_eq!(unfit(&[Nature::Slow(second)]).await, [""; 0]);
    assert_eq!(unfit(&[Nature::Slow(second + Duration::from_millis(1))]).await, ["b0 backend-login-time: warning"]);
    // Longer than the examination: still a slow login, and no mystery.
    assert_eq!(unfit(&[Nature::Slow(PATIENCE * 2)]).await, ["b0 backend-login-time: warning"]);
}

#[tokio::test(start_paused = true)]
async fn f099_who_is_still_logging_in_when_the_time_is_up_may_yet_be_heard_by_a_run() {
    // Within backends.login_timeout, 10 s; above it, `ssh` itself ends the login and says so.
    let natures = [Nature::Slow(Duration::from_secs(9)), Nature::Refuses(SilenceReason::SlowLogin), Nature::Well];
    let heard = ask_all(&Fakes::new(&natures), 3, &targets(3)).await;
    assert_eq!(heard.iter().map(Heard::untold).collect::<Vec<_>>(), [true, false, false]);
    assert!(heard.iter().take(2).all(|one| !one.gave_a_verdict()));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_any_backend_can_be_pasted() {
    let reasons = [SilenceReason::NoPing, SilenceReason::Nonsense, SilenceReason::Hung];
    let natures: Vec<Nature> =
        reasons.map(Nature::Fails).into_iter().chain([Nature::CutOff, Nature::Slow(PATIENCE)]).collect();
    let heard = ask_all(&Fakes::new(&natures), natures.len(), &targets(3)).await;
    let found = findings(&heard, &ssh(), PATIENCE);
    assert!(found.iter().filter(|one| one.fitness != Fitness::Fit).count() >= natures.len());
    crate::doctor::tests::can_be_pasted(&found);
}

#[tokio::test(start_paused = true)]
async fn f102_who_hangs_holds_nobody_up_and_is_said_not_to_have_been_heard() {
    let began = Instant::now();
    assert_eq!(
        unfit(&[Nature::Fails(SilenceReason::Hung), Nature::Slow(PATIENCE * 2)]).await,
        ["b0 backend-ping: unknown", "b1 backend-login-time: warning"]
    );
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn f042_many_are_asked_sixteen_at_a_time_and_whose_turn_does_not_come_is_unknown() {
    let fakes = Fakes::new(&vec![Nature::Slow(Duration::from_secs(3)); 100]);
    let heard = ask_all(&fakes, 100, &targets(3)).await;
    assert_eq!(fakes.most.get(), AT_ONCE);
    let not_begun = heard.iter().filter(|one| one.entry == Entry::NotBegun).count();
    assert_eq!(not_begun, 100 - 3 * AT_ONCE);
    let unknown = findings(&heard, &ssh(), PATIENCE).iter().filter(|one| one.fitness == Fitness::Unknown).count();
    assert_eq!(unknown, not_begun);
    // Sessions are ended one by one as their work is done.
    let quick = Fakes::new(&[]);
    ask_all(&quick, 100, &targets(3)).await;
    assert_eq!((quick.open.get(), quick.most.get()), (0, AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn who_is_answered_by_nobody_is_a_warning_and_one_missed_target_is_not() {
    assert_eq!(unfit(&[Nature::CutOff]).await, ["b0 backend-reaches: warning"]);
    assert_eq!(unfit(&[Nature::Misses(0), Nature::Misses(1)]).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn f016_how_each_target_answers_behind_the_primary_is_counted_for_those_who_reach() {
    let targets = targets(3);
    let mut natures = vec![Nature::Misses(1); 6];
    natures.push(Nature::CutOff);
    let heard = ask_all(&Fakes::new(&natures), 7, &targets).await;
    let seen = behind(&heard, &targets);
    assert_eq!(seen.len(), 3);
    for (target, seen) in &seen {
        assert!(seen.asked >= ASKED_BY, "{target}: {seen:?}");
        assert_eq!(seen.answered, if target == "203.0.113.1" { 0 } else { seen.asked }, "{target}: {seen:?}");
    }
}

#[test]
fn f037_a_key_that_may_run_anything_is_a_warning_with_the_line_to_put_in_its_place() {
    let mut heard = Heard::of(backend(0), false);
    heard.entry = Entry::In(Duration::from_millis(100));
    heard.done = true;
    let warnings = |heard: &Heard| {
        let all = findings(std::slice::from_ref(heard), &ssh(), PATIENCE);
        all.into_iter().filter(|one| one.fitness != Fitness::Fit).collect::<Vec<_>>()
    };
    heard.key = Some(Ok(KeyMay::OnlyWhatIsForced("x".to_owned())));
    assert_eq!(warnings(&heard), []);
    heard.key = Some(Ok(KeyMay::Anything));
    let found = warnings(&heard);
    assert_eq!((found.len(), found[0].id), (1, "backend-key"));
    assert_eq!(found[0].remedy.as_deref(), Some("natwatch print authorized-key /k/key.pub"));
    assert!(found[0].text.ends_with("in the place of the key in ~natwatch/.ssh/authorized_keys on it"), "{found:?}");
}

#[test]
fn each_target_is_asked_by_two_where_there_are_two_and_by_no_more_than_it_takes() {
    for (backends, count) in [(2, 3), (3, 3), (6, 3), (4, 2), (100, 5), (10, 4), (1, 2)] {
        let targets: Vec<usize> = (0..count).collect();
        let mut asked = vec![0; count];
        for n in 0..backends {
            let (first, rest) = draw(n, backends, &targets);
            let both: BTreeSet<usize> = first.iter().chain(&rest).copied().collect();
            assert_eq!(both.len(), first.len() + rest.len(), "none twice");
            assert_eq!(both.len(), count.min(PINGS));
            for target in first {
                asked[target] += 1;
            }
        }
        let least = asked.iter().min().unwrap();
        assert!(*least >= ASKED_BY.min(backends), "{backends} backends, {count} targets: {asked:?}");
        assert!(asked.iter().max().unwrap() - least <= 4, "even: {asked:?}");
    }
    assert_eq!(draw(3, 6, &[]), (vec![], vec![]));
}
