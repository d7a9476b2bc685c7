//! The configuration, read again: what holds from then on, or why what held before still does.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use crate::config::Settings;
use crate::daemon::{Changes, Manager, Why};
use crate::model::Failure;
use crate::observe::SshSettings;
use crate::record::{FLEET, State};
use crate::run::fleet::{self, First};

/// No session is kept longer than this for who is asked so seldom; it is opened again.
const IDLE: Duration = Duration::from_hours(1);

/// Twice as many backends are logged in to as are heard in a round, and one may be passed over once.
const TURNS: u32 = 4;

/// The settings as a watch has them: a span of its own, and sessions that last from one use to the next.
pub(super) fn lasting(mut settings: Settings) -> Settings {
    settings.decide.span = settings.watch.span;
    settings.observe.ssh.idle = settings.calm_pass().saturating_mul(TURNS).clamp(SshSettings::IDLE, IDLE);
    settings
}

/// What is on disk, and does not hold yet.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// What systemd is told besides, while the configuration on disk is not the one that holds.
    pub(super) refused: &'static str,
    /// Why the list of what EC2 shows is not followed, as it was told last: it is tried again with each look, and told once.
    unfollowed: Option<String>,
}

impl Behind {
    /// Reads the configuration at `path` again, and has made what follows from it; `None`: what was made by the one `before` holds. systemd is told that
    /// it is being read, and that it was.
    ///
    /// Whom EC2 shows now is followed also where the file is refused. A list that can't be followed is told of again by `changes`, since it may
    /// never be another.
    pub(super) async fn read<M>(
        &mut self,
        (path, why): (&Path, &Why),
        before: &Settings,
        (manager, changes): (&RefCell<Manager>, &mut Changes),
        build: impl AsyncFn(Settings) -> Result<M, Failure>,
    ) -> Option<Box<M>> {
        if !matches!(why, Why::Hosts(list) if *list == before.state.join(FLEET)) {
            manager.borrow_mut().reloading();
            let read = made(path, before, &build).await;
            manager.borrow_mut().ready();
            self.tell(&read, why);
            if let Ok(made) = read {
                return made;
            }
        }
        let made = match joined(before).await {
            Ok(None) => Ok(None),
            Ok(Some(settings)) => build(settings).await.map(Some).map_err(|failure| failure.text),
            Err(why) => Err(why),
        };
        match made {
            Ok(made) => {
                self.unfollowed = None;
                made.map(|made| {
                    tracing::info!(event = "configuration", "EC2 shows other backends than before");
                    Box::new(made)
                })
            }
            Err(why) => {
                changes.again(&before.state.join(FLEET));
                if self.unfollowed.as_ref() != Some(&why) {
                    tracing::error!(
                        event = "configuration-refused",
                        "EC2 shows other backends, and those before hold: {why}"
                    );
                    self.unfollowed = Some(why);
                }
                None
            }
        }
    }

    /// Tells what came of the configuration on disk.
    fn tell<M>(&mut self, read: &Result<Option<Box<M>>, String>, why: &Why) {
        let why = match why {
            Why::Asked => "as asked".to_owned(),
            Why::Hosts(path) => format!("since {} is another", path.display()),
        };
        self.refused = "";
        match read {
            Ok(Some(_)) => {
                tracing::info!(event = "configuration", "the configuration was read again, {why}");
                self.unfollowed = None;
            }
            Ok(None) => tracing::info!(
                event = "configuration",
                "the configuration was read again, {why}: it says what it said before"
            ),
            Err(error) => {
                self.refused = "the configuration on disk is refused (see the log), the one before holds; ";
                tracing::error!(
                    event = "configuration-refused",
                    "the configuration was read again, {why}, and is refused; the one before holds"
                );
                for line in error.lines() {
                    tracing::error!(event = "configuration-refused", "{line}");
                }
            }
        }
    }
}

/// The configuration as it was read last, with whom EC2 shows now: who runs there changes at any hour, when the file may be half edited. `None`: they
/// are the same.
///
/// # Errors
/// The list can't be read: one line.
async fn joined(before: &Settings) -> Result<Option<Settings>, String> {
    if before.fleet.is_none() {
        return Ok(None);
    }
    let state = State::look(&before.state).map_err(|error| error.to_string())?;
    if let (_, Some(trouble)) = state.read_fleet() {
        return Err(trouble);
    }
    let settings = lasting(fleet::joined(before.clone(), First::Leave).await);
    Ok(Some(settings).filter(|settings| settings != before))
}

/// What the configuration makes now, if it is another than before.
async fn made<M>(
    path: &Path,
    known: &Settings,
    make: &impl AsyncFn(Settings) -> Result<M, Failure>,
) -> Result<Option<Box<M>>, String> {
    let settings = Settings::load(path).map_err(|error| error.to_string())?;
    let settings = lasting(fleet::joined(settings, First::Leave).await);
    if settings == *known {
        return Ok(None);
    }
    if (&settings.name, &settings.state) != (&known.name, &known.state) {
        return Err(format!(
            "{}: name or state.dir is another (state was in {}, would be in {}): restart natwatch for that",
            path.display(),
            known.state.display(),
            settings.state.display()
        ));
    }
    Ok(Some(Box::new(make(settings).await.map_err(|failure| failure.text)?)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::path::PathBuf;

    use jiff::Timestamp;

    use super::*;
    use crate::config::{Files, Role};
    use crate::model::failure::exit;
    use crate::model::{Fleet, Resident};

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
            Err("no files here".to_owned())
        }

        fn faults(&self, _: &Path, _: Role) -> Vec<String> {
            Vec::new()
        }
    }

    fn settings(more: &str) -> Settings {
        let text = format!(
            r#"
primary.route_table = "rtb-0a"
standby.route_table = "rtb-0b"
targets.hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
backends.hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
{more}"#
        );
        lasting(Settings::parse(&text, Path::new("/etc/natwatch/natwatch.toml"), &NoFiles).unwrap())
    }

    #[test]
    fn a_watch_has_a_span_of_its_own_and_sessions_that_last_from_turn_to_turn() {
        let seconds = Duration::from_secs;
        for (more, round_takes, idle) in [
            ("", seconds(2), seconds(30)),
            ("backends.panel = 3", seconds(1), seconds(30)),
            ("backends.panel = 0\ndecision.interval = \"1m\"", seconds(120), seconds(480)),
            ("decision.interval = \"1h\"", seconds(7200), seconds(3600)),
        ] {
            let settings = settings(more);
            assert_eq!((settings.calm_pass(), settings.observe.ssh.idle), (round_takes, idle), "{more}");
            assert_eq!(settings.decide.span, Duration::from_millis(700), "{more}");
        }
    }

    /// A watch whose backends are those that EC2 shows, and nothing but nonsense where its configuration was.
    struct Place {
        folder: tempfile::TempDir,
        before: Settings,
        changes: Changes,
        manager: RefCell<Manager>,
        behind: Behind,
        /// How often nothing can be made.
        failing: Cell<u32>,
    }

    impl Place {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("natwatch.toml"), "primary = \n").unwrap();
            let mut before = settings("backends.ec2_subnets = true");
            before.state = folder.path().join("state");
            drop(State::open(&before.state).unwrap());
            show(&before, &["10.0.10.5", "10.0.10.6"]);
            let before = lasting(fleet::joined(before, First::Leave).await);
            let changes = Changes::new([before.state.join(FLEET).as_path()]);
            let manager = RefCell::new(Manager::new(None, None));
            Self { folder, before, changes, manager, behind: Behind::default(), failing: Cell::new(0) }
        }

        fn list(&self) -> PathBuf {
            self.before.state.join(FLEET)
        }

        /// Whom a watch goes by from then on that is told this.
        async fn told(&mut self, why: Why) -> Option<Vec<String>> {
            let path = self.folder.path().join("natwatch.toml");
            let build = async |settings: Settings| {
                let left = self.failing.get();
                self.failing.set(left.saturating_sub(1));
                if left > 0 { Err(Failure::new(exit::FAILED, "no descriptors".to_owned())) } else { Ok(settings) }
            };
            let tells = (&self.manager, &mut self.changes);
            let made = Box::pin(self.behind.read((&path, &why), &self.before, tells, build)).await?;
            Some(made.observe.backends.iter().map(|one| one.destination.clone()).collect())
        }

        /// What is told within a minute.
        async fn next(&mut self) -> Option<Why> {
            tokio::time::timeout(Duration::from_mins(1), self.changes.next()).await.ok()
        }
    }

    /// EC2 shows these.
    fn show(settings: &Settings, addrs: &[&str]) {
        let resident = |(n, addr): (usize, &&str)| Resident {
            instance: format!("i-0{n}").parse().unwrap(),
            name: None,
            addr: addr.parse().unwrap(),
        };
        let fleet = Fleet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            members: addrs.iter().enumerate().map(resident).collect(),
            more: 0,
            without_address: 0,
            seen: Timestamp::UNIX_EPOCH,
        };
        State::open(&settings.state).unwrap().write_fleet(&fleet).unwrap();
    }

    fn shown(listed: &Settings, addrs: &[&str]) -> Vec<String> {
        let first = listed.observe.backends.iter().take(6).map(|one| one.destination.clone());
        first.chain(addrs.iter().map(|addr| (*addr).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn f075_whom_ec2_shows_anew_is_followed_where_the_configuration_is_refused() {
        let mut place = Box::pin(Place::new()).await;
        // Nobody else runs there: what was before holds.
        assert_eq!(place.told(Why::Asked).await, None);
        assert!(!place.behind.refused.is_empty());
        show(&place.before, &["10.0.10.7", "10.0.10.8"]);
        let expected = Some(shown(&place.before, &["10.0.10.7", "10.0.10.8"]));
        for why in [Why::Asked, Why::Hosts(place.folder.path().join("hosts"))] {
            assert_eq!(place.told(why).await, expected);
            assert!(!place.behind.refused.is_empty(), "the file is still refused");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_by_which_nothing_can_be_made_is_told_of_until_something_can() {
        let mut place = Box::pin(Place::new()).await;
        let list = Why::Hosts(place.list());
        let expected = Some(shown(&place.before, &["10.0.10.7"]));
        show(&place.before, &["10.0.10.7"]);
        place.failing.set(3);
        for _ in 0..3 {
            assert_eq!(place.next().await, Some(list.clone()));
            assert_eq!(place.told(list.clone()).await, None);
            assert!(place.behind.unfollowed.as_ref().is_some_and(|why| why.contains("no descriptors")));
        }
        assert_eq!(place.next().await, Some(list.clone()));
        assert_eq!(place.told(list).await, expected);
        assert_eq!((place.behind.unfollowed.take(), place.next().await), (None, None), "and then no more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_could_not_be_read_is_told_of_again() {
        let mut place = Box::pin(Place::new()).await;
        let list = Why::Hosts(place.list());
        let text = fs::read(place.list()).unwrap();
        fs::write(place.list(), "{").unwrap();
        for _ in 0..2 {
            assert_eq!(place.next().await, Some(list.clone()));
            assert_eq!(place.told(list.clone()).await, None);
        }
        fs::write(place.list(), text).unwrap();
        assert_eq!(place.next().await, Some(list.clone()));
        assert_eq!(place.told(list).await, None, "those from before");
        assert_eq!((place.behind.unfollowed.take(), place.next().await), (None, None));
    }
}
