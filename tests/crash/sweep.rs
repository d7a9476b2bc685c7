//! Kills a pass at each of its instants in turn, and holds what comes of it against what an uninterrupted pass leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use natwatch::model::{Found, Move, Phase, Verification};
use natwatch::record::{State, history, lock};

use super::account::{Account, PRIMARY, STANDBY, SUBNETS};
use super::errand::{Deed, Errand, VARIABLE};

/// Every system call by which a process changes files, or begins to. Those that a machine does not have are none of its.
const OPERATIONS: [&str; 16] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "ftruncate",
    "flock",
    "fchmod",
    "fchown",
];

const STRACE: &str = "/usr/bin/strace";

/// From a pass to the next, as cron has it: nothing is young then.
const EVERY: Duration = Duration::from_mins(2);

/// So many passes after a crash bring everything to its end, or none will: one ends what was begun, and one finds it so. A crash before
/// the first move, with one that EC2 refuses, takes one more.
const PASSES: usize = 4;

/// Where a pass is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Point {
    /// At the `n`th call of this system call, before it is carried out.
    Operation(&'static str, u32),
    /// At the `n`th instant before or after the effect of a call of EC2.
    Call(u32),
}

/// What a sweep begins with: a folder with an account and a state folder, and the test of this binary that runs errands.
pub(crate) struct Sweep {
    test: &'static str,
    folder: tempfile::TempDir,
    began: Duration,
    /// What is killed.
    deed: Deed,
    /// What follows a killed failback first.
    next: Deed,
}

/// How an uninterrupted sequence of passes ended, and what was written on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Exit statuses, one for each pass.
    pub(crate) statuses: Vec<i32>,
    /// Lines of the history that tell of a takeover.
    pub(crate) told: usize,
}

fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("natwatch-crash-").tempdir_in(memory()).unwrap()
}

impl Sweep {
    /// A healthy pair that has been seen healthy, and whose primary has died since.
    pub(crate) fn new(test: &'static str) -> Self {
        let sweep = Self { test, folder: folder(), began: EVERY, deed: Deed::Run, next: Deed::Run };
        let place = sweep.folder.path();
        let path = Errand::account(place);
        Account::new().save(&path);
        let healthy = sweep.process(place, Deed::Run, Duration::ZERO, None);
        assert_eq!(healthy.status.code(), Some(0), "{}", text(&healthy));
        Account { primary_dead: true, ..Account::load(&path) }.save(&path);
        sweep
    }

    /// EC2 refuses to move this subnet.
    pub(crate) fn refusing(self, subnet: usize) -> Self {
        let path = Errand::account(self.folder.path());
        Account { refused: Some(subnet), ..Account::load(&path) }.save(&path);
        self
    }

    /// A pass is made, which ends with this status, and then EC2 refuses nothing any more.
    pub(crate) fn after(mut self, status: i32) -> Self {
        let place = self.folder.path();
        let output = self.process(place, Deed::Run, self.began, None);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output));
        allow(place);
        self.began += EVERY;
        self
    }

    /// The primary is repaired, and a failback is what is killed; then `next` comes first.
    pub(crate) fn failback(mut self, next: Deed) -> Self {
        let path = Errand::account(self.folder.path());
        Account { primary_dead: false, ..Account::load(&path) }.save(&path);
        (self.deed, self.next) = (Deed::Failback, next);
        self
    }

    /// The primary is well, and a drill is what is killed; then `next` comes first.
    pub(crate) fn drill(self, next: Deed) -> Self {
        Self { deed: Deed::Drill, ..self.failback(next) }
    }

    /// A pass is made, and killed there.
    pub(crate) fn killed(mut self, point: Point) -> Self {
        let place = self.folder.path();
        let output = self.process(place, self.deed, self.began, Some(point));
        assert_eq!(output.status.code(), None, "{}", text(&output));
        age(&Errand::state(place));
        self.began += EVERY;
        self
    }

    /// A process that makes one pass, and dies at `point`.
    fn process(&self, place: &Path, deed: Deed, at: Duration, point: Option<Point>) -> Output {
        let fatal = match point {
            Some(Point::Call(n)) => Some(n),
            _ => None,
        };
        let errand = Errand { folder: place.to_owned(), deed, at, fatal };
        let own = std::env::current_exe().unwrap();
        let mut command = match point {
            Some(Point::Operation(call, n)) => {
                assert!(Path::new(STRACE).exists(), "{STRACE} is missing: apt-get install strace");
                let mut command = Command::new(STRACE);
                command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace=?{call}")]);
                command.args(["-e", &format!("inject=?{call}:signal=SIGKILL:when={n}")]).arg(own);
                command
            }
            _ => Command::new(own),
        };
        let text = serde_json::to_string(&errand).unwrap();
        command.args([self.test, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, text);
        command.output().unwrap()
    }

    /// What follows if nobody is killed.
    pub(crate) fn uninterrupted(&self) -> End {
        let place = self.copy();
        let first = self.process(place.path(), self.deed, self.began, None);
        self.end(place.path(), first.status.code())
    }

    /// Kills a pass at `point`, and lets others follow; `None`: it has no such instant, and ended by itself.
    fn crash(&self, point: Point) -> Option<End> {
        let place = self.copy();
        let killed = self.process(place.path(), self.deed, self.began, Some(point));
        if killed.status.code().is_some() {
            return None;
        }
        Some(self.end(place.path(), None))
    }

    /// Passes follow until one finds everything as it should be.
    fn end(&self, place: &Path, first: Option<i32>) -> End {
        let mut statuses: Vec<i32> = first.into_iter().collect();
        let mut said = String::new();
        allow(place);
        let deeds: &[Deed] = match (self.deed, self.next, first) {
            (Deed::Run, ..) => &[Deed::Run; PASSES],
            // An operator who has seen it end well does not ask again.
            (Deed::Failback | Deed::Drill, _, Some(_)) => &[Deed::Run],
            (Deed::Failback | Deed::Drill, Deed::Run, None) => &[Deed::Run, Deed::Failback, Deed::Run],
            (Deed::Failback | Deed::Drill, _, None) => &[Deed::Failback, Deed::Run],
        };
        let end = if self.deed == Deed::Run { LOCKED } else { HEALTHY };
        for (n, deed) in (1..).zip(deeds) {
            age(&Errand::state(place));
            let output = self.process(place, *deed, self.began + EVERY * n, None);
            statuses.push(output.status.code().unwrap());
            said.push_str(&text(&output));
            if end == LOCKED && statuses.last() == Some(&LOCKED) {
                break;
            }
        }
        assert_eq!(statuses.last(), Some(&end), "{statuses:?}\n{said}");
        let told = match self.deed {
            Deed::Run => steady(place, &said),
            Deed::Failback => back(place, &said),
            Deed::Drill => practised(place, &said),
        };
        End { statuses, told }
    }

    fn copy(&self) -> tempfile::TempDir {
        let copy = folder();
        let from = self.folder.path();
        fs::copy(Errand::account(from), Errand::account(copy.path())).unwrap();
        let state = Errand::state(copy.path());
        drop(State::open(&state).unwrap());
        for entry in fs::read_dir(Errand::state(from)).unwrap() {
            let file = entry.unwrap();
            fs::copy(file.path(), state.join(file.file_name())).unwrap();
        }
        copy
    }

    /// Every file operation, each until there is no further one. Returns how many there were of each, and all ends.
    pub(crate) fn operations(&self) -> Vec<(Point, End)> {
        let queue = Mutex::new(OPERATIONS.to_vec());
        let found = Mutex::new(Vec::new());
        let work = || {
            while let Some(call) = { queue.lock().unwrap().pop() } {
                let ends = all(|n| self.crash(Point::Operation(call, n)).map(|end| (Point::Operation(call, n), end)));
                found.lock().unwrap().extend(ends);
            }
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            work();
            other.join().unwrap();
        });
        found.into_inner().unwrap()
    }

    /// Likewise of every instant before and after the effect of a call.
    pub(crate) fn calls(&self) -> Vec<(Point, End)> {
        all(|n| self.crash(Point::Call(n)).map(|end| (Point::Call(n), end)))
    }
}

/// What `status` says while a takeover awaits its failback.
const LOCKED: i32 = 5;

/// And of a pair that is well.
const HEALTHY: i32 = 0;

fn all<T>(point: impl Fn(u32) -> Option<T>) -> Vec<T> {
    (1..).map_while(point).collect()
}

/// EC2 refuses nothing any more.
fn allow(place: &Path) {
    let path = Errand::account(place);
    Account { refused: None, ..Account::load(&path) }.save(&path);
}

/// Temporary files are two hours old from now on: what a killed process left is told from what another is writing by its age.
fn age(state: &Path) {
    for entry in fs::read_dir(state).unwrap().flatten().filter(is_temporary) {
        let then = SystemTime::now() - Duration::from_hours(2);
        fs::File::options().write(true).open(entry.path()).unwrap().set_modified(then).unwrap();
    }
}

fn is_temporary(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

/// Checks that everything is as after an uninterrupted takeover; returns how often the history tells of one.
fn steady(place: &Path, said: &str) -> usize {
    let account = Account::load(&Errand::account(place));
    for (n, subnet) in account.places.iter().enumerate() {
        let moves = account.applied.iter().filter(|(of, _)| *of == n).count();
        assert_eq!((subnet.table.as_str(), moves), (STANDBY, 1), "subnet {n}: {:?}\n{said}", account.applied);
    }
    assert!(!account.check_on, "the standby would drop what it is to forward");
    let state = tidy(place, said);
    let Found::Present(record) = state.read_record(Some(&"i-0b".parse().unwrap())) else {
        panic!("no record that can be read\n{said}")
    };
    assert_eq!(record.phase, Phase::Taken, "{record:?}\n{said}");
    assert_eq!(record.moves.len(), SUBNETS, "{record:?}\n{said}");
    let well = |one: &Move| one.result.moved() && one.verification == Verification::Verified;
    assert!(record.moves.iter().all(well), "{record:?}\n{said}");
    told(&state, history::Deed::Takeover)
}

/// Checks that everything is as after an uninterrupted takeover and failback; returns how often the history tells of the latter.
fn back(place: &Path, said: &str) -> usize {
    let account = Account::load(&Errand::account(place));
    for (n, subnet) in account.places.iter().enumerate() {
        let moves: Vec<&str> = account.applied.iter().filter(|(of, _)| *of == n).map(|(_, to)| to.as_str()).collect();
        assert_eq!((subnet.table.as_str(), &moves[..]), (PRIMARY, &[STANDBY, PRIMARY][..]), "subnet {n}\n{said}");
    }
    let state = tidy(place, said);
    assert_eq!(state.read_record(None), Found::Absent, "{said}");
    assert_eq!(told(&state, history::Deed::Takeover), 1, "{said}");
    let (guarded, _) = state.read_guarded();
    let guarded = guarded.unwrap_or_else(|| panic!("nothing is guarded\n{said}"));
    assert!(guarded.subnets.iter().all(|one| one.on == guarded.primary), "{guarded:?}\n{said}");
    told(&state, history::Deed::Failback)
}

/// Checks that everything is as if nobody had ever practised, but for one subnet that may have gone there and back; returns how often the
/// history tells of that.
fn practised(place: &Path, said: &str) -> usize {
    let account = Account::load(&Errand::account(place));
    let home = account.places.iter().all(|subnet| subnet.table.as_str() == PRIMARY);
    let ways: Vec<&str> = account.applied.iter().map(|(_, to)| to.as_str()).collect();
    let there_and_back = ways.is_empty() || ways == [STANDBY, PRIMARY];
    assert!(home && there_and_back, "{:?}\n{said}", account.applied);
    let state = tidy(place, said);
    assert_eq!(state.read_record(None), Found::Absent, "{said}");
    let (guarded, _) = state.read_guarded();
    let guarded = guarded.unwrap_or_else(|| panic!("nothing is guarded\n{said}"));
    assert!(guarded.subnets.iter().all(|one| one.on == guarded.primary), "{guarded:?}\n{said}");
    told(&state, history::Deed::Drill) + told(&state, history::Deed::Failback)
}

/// Nothing lies about, and nobody holds the lock.
fn tidy(place: &Path, said: &str) -> State {
    let dir = Errand::state(place);
    let left: Vec<_> = fs::read_dir(&dir).unwrap().flatten().filter(is_temporary).collect();
    assert!(left.is_empty(), "{left:?}\n{said}");
    let state = State::open(&dir).unwrap();
    assert_eq!(lock::peek(&state), None, "{said}");
    state
}

fn told(state: &State, kind: history::Deed) -> usize {
    let (entries, torn) = state.read_history().unwrap();
    assert_eq!(torn, 0, "no line of the history is torn");
    entries.iter().filter(|entry| entry.kind == kind).count()
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    format!("{:?}: {}\n", output.status, String::from_utf8_lossy(&both))
}
