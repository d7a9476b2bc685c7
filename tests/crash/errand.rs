//! One pass of a process of its own, as `natwatch run` makes it: the process that is killed, and those that come after it.
//!
//! SSH, packets and time are made up; the state folder is real. A backend is answered unless its subnet is on the table of a dead
//! primary, by what the account says at that moment.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natwatch::config::{Files, Role, Settings};
use natwatch::model::cloud::Masquerade;
use natwatch::model::{Backend, Boot, ControlFate, Family, Fate, InstanceId, Silence, Target};
use natwatch::observe::{Asked, Uplink, Vantages};
use natwatch::preflight::Host;
use natwatch::record::round::LastRound;
use natwatch::record::witnesses::Witnesses;
use natwatch::record::{State, VERSION};
use natwatch::run::pass::{self, Done, Mode, World};
use natwatch::run::{Stop, drill, failback};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::account::{Account, Client, PRIMARY};

/// The wall clock at the first of all passes.
const BEGIN: i64 = 1_790_000_000;

/// By which a process knows that it is sent on an errand.
pub(crate) const VARIABLE: &str = "NATWATCH_CRASH_ERRAND";

const CONFIG: &str = r#"
name = "crashing"
[primary]
route_table = "rtb-0a"
[standby]
route_table = "rtb-0b"
instance = "i-0b"
[backends]
hosts = ["10.0.10.1", "10.0.10.2", "10.0.10.3", "10.0.11.1", "10.0.11.2", "10.0.11.3", "10.0.12.1", "10.0.12.2", "10.0.12.3"]
panel = 0
[targets]
hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
"#;

/// Which command a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// `natwatch run`
    Run,
    /// `natwatch failback`
    Failback,
    /// `natwatch drill`
    Drill,
}

/// What a process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    /// Where the account and the state folder are.
    pub(crate) folder: PathBuf,
    pub(crate) deed: Deed,
    /// How long after the first pass it begins.
    pub(crate) at: Duration,
    /// At which instant of a call of EC2 it is to die.
    pub(crate) fatal: Option<u32>,
}

impl Errand {
    /// The errand that this process was sent on.
    pub(crate) fn given() -> Option<Self> {
        std::env::var(VARIABLE).ok().map(|text| serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn account(folder: &Path) -> PathBuf {
        folder.join("account.json")
    }

    pub(crate) fn state(folder: &Path) -> PathBuf {
        folder.join("state")
    }

    /// Makes the pass, and ends the process with its exit status.
    pub(crate) fn run(&self) -> ! {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let status = runtime.block_on(self.pass());
        std::process::exit(i32::from(status));
    }

    async fn pass(&self) -> u8 {
        let state = State::open(&Self::state(&self.folder)).unwrap();
        let mut settings = Settings::parse(CONFIG, Path::new("/etc/natwatch/crashing.toml"), &NoFiles).unwrap();
        state.dir().clone_into(&mut settings.state);
        let began = Instant::now();
        let wall = || {
            let since = SignedDuration::try_from(self.at + began.elapsed()).unwrap();
            Timestamp::from_second(BEGIN).unwrap().checked_add(since).unwrap()
        };
        let (witnesses, _) = Witnesses::load(&state, wall());
        let path = Self::account(&self.folder);
        let network = Network { account: path.clone() };
        let world = World {
            vantages: &network,
            uplink: &network,
            cloud: &Client { path, fatal: self.fatal, instants: Cell::new(0) },
            host: &Machine,
            state: &state,
            moving: Cell::new(false),
            rng: RefCell::new(SmallRng::seed_from_u64(7)),
            clock: &|| began.elapsed(),
            wall: &wall,
            boot: &|| Some(Boot { id: "crashing".to_owned(), at: self.at + began.elapsed() }),
            tell: &|_| (),
        };
        let mut done = match self.deed {
            Deed::Run => Box::pin(pass::pass(&world, &settings, witnesses, Mode::Act)).await,
            Deed::Failback => {
                let stop = Stop::default();
                let back = failback::failback(&world, &settings, witnesses, &[], Mode::Act, &stop);
                let Done { pass, .. } = Box::pin(back).await;
                println!("{} {:?} {:?}", pass.outcome, pass.because, pass.notes);
                return pass.exit;
            }
            Deed::Drill => {
                let stop = Stop::default();
                let practice = drill::drill(&world, &settings, witnesses, None, Mode::Act, &stop);
                let Done { pass, .. } = Box::pin(practice).await;
                println!("{} {:?} {:?}", pass.outcome, pass.because, pass.notes);
                return pass.exit;
            }
        };
        done.witnesses.save(&state, wall()).unwrap();
        let last = LastRound { version: VERSION, at: wall(), case: done.case, pass: done.pass };
        state.write_last_round(&last).unwrap();
        println!("{} {:?} {:?}", last.pass.outcome, last.pass.because, last.pass.notes);
        last.pass.exit
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

struct Network {
    account: PathBuf,
}

impl Vantages for Network {
    type Session = ();

    async fn connect(&self, _: &Backend) -> Result<(), Silence> {
        sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn ping(&self, backend: &Backend, (): &(), _: &Target, wait: Duration) -> Result<Asked, Silence> {
        let asked = Instant::now();
        let Some(IpAddr::V4(addr)) = backend.addr else { unreachable!("backends have addresses here") };
        let account = Account::load(&self.account);
        let place = &account.places[usize::from(addr.octets()[2]) - 10];
        let cut_off = account.primary_dead && place.table.as_str() == PRIMARY || account.check_on && !on_primary(place);
        let rtt = Duration::from_millis(12);
        sleep(if cut_off { wait } else { rtt }).await;
        Ok(Asked { asked, begun: asked, fate: if cut_off { Fate::NoReply } else { Fate::Reply { rtt } } })
    }

    async fn close(&self, _: Vec<()>) {}
}

fn on_primary(place: &super::account::Place) -> bool {
    place.table.as_str() == PRIMARY
}

impl Uplink for Network {
    async fn ping(&self, _: IpAddr, _: Duration, _: u32) -> ControlFate {
        let rtt = Duration::from_millis(10);
        sleep(rtt).await;
        ControlFate::Good { rtt }
    }
}

struct Machine;

impl Host for Machine {
    async fn instance(&self) -> Result<InstanceId, String> {
        Ok("i-0b".parse().unwrap())
    }

    fn uptime(&self) -> Result<Duration, String> {
        Ok(Duration::from_hours(24))
    }

    fn forwards(&self, _: Family) -> Result<bool, String> {
        Ok(true)
    }

    async fn masquerade(&self) -> Masquerade {
        Masquerade::Present
    }
}
