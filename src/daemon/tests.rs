//! With real sockets, files and signals; the clock is paused.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::Mutex;
use tokio::time::{advance, timeout};

use super::{Changes, Manager, Why};

const WATCHDOG: Duration = Duration::from_mins(2);

/// systemd's end.
struct Systemd {
    _folder: tempfile::TempDir,
    path: PathBuf,
    socket: UnixDatagram,
}

impl Systemd {
    fn listens() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { _folder: folder, path, socket }
    }

    fn manager(&self, watchdog: Option<Duration>) -> Manager {
        Manager::new(Some(self.path.clone().into_os_string()), watchdog)
    }

    /// What it has been told since, one datagram each.
    fn heard(&self) -> Vec<String> {
        heard(&self.socket)
    }
}

fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => all.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn f094_systemd_is_asked_to_wait_where_a_pass_may_take_longer_than_it_would() {
    let systemd = Systemd::listens();
    let minutes = Duration::from_mins;
    let mut manager = systemd.manager(Some(minutes(2)));
    manager.waits_for(Duration::from_secs(119));
    assert_eq!(systemd.heard(), [""; 0]);
    manager.waits_for(minutes(90));
    assert_eq!(systemd.heard(), ["WATCHDOG_USEC=10800000000\n"]);
    manager.alive();
    assert_eq!((systemd.heard(), manager.watchdog()), (vec!["WATCHDOG=1\n".to_owned()], Some(minutes(2))));
    let mut unwatched = systemd.manager(None);
    unwatched.waits_for(minutes(90));
    assert_eq!(systemd.heard(), [""; 0]);
}

#[test]
fn systemd_is_told_of_a_life_in_its_own_words() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(None);
    assert_eq!(systemd.heard(), [""; 0], "nothing before there is something to say");
    manager.ready();
    manager.status("8 of 8 backends reach");
    manager.stopping();
    assert_eq!(systemd.heard(), ["READY=1\n", "STATUS=8 of 8 backends reach\n", "STOPPING=1\n"]);
}

#[test]
fn f075_a_reload_has_its_moment_and_ends_ready() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(None);
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    manager.reloading();
    manager.ready();
    let after = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let heard = systemd.heard();
    let [reloading, ready] = heard.as_slice() else { panic!("{heard:?}") };
    let moment: i64 = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .and_then(|rest| rest.strip_suffix('\n'))
        .and_then(|moment| moment.parse().ok())
        .unwrap_or_else(|| panic!("{reloading:?}"));
    let micros = |time: rustix::time::Timespec| time.tv_sec * 1_000_000 + time.tv_nsec / 1000;
    assert!((micros(before)..=micros(after)).contains(&moment), "{before:?} {moment} {after:?}");
    assert_eq!(ready, "READY=1\n");
}

#[test]
fn f035_a_status_is_one_bounded_line_and_told_when_it_is_another() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(None);
    for text in ["one\nREADY=1", "one\nREADY=1", "two", "one\nREADY=1"] {
        manager.status(text);
    }
    let one = "STATUS=one\\u{a}READY=1\n";
    assert_eq!(systemd.heard(), [one, "STATUS=two\n", one]);
    manager.status(&"x".repeat(10_000));
    assert_eq!(systemd.heard(), [format!("STATUS={}…\n", "x".repeat(200))]);
}

#[tokio::test(start_paused = true)]
async fn f094_a_sign_of_life_is_sent_at_most_each_quarter_of_the_watchdogs_interval() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(Some(WATCHDOG));
    assert_eq!(manager.watchdog(), Some(WATCHDOG));
    manager.alive();
    assert_eq!(systemd.heard(), ["WATCHDOG=1\n"]);
    advance(Duration::from_millis(29_999)).await;
    manager.alive();
    assert_eq!(systemd.heard(), [""; 0]);
    advance(Duration::from_millis(1)).await;
    manager.alive();
    manager.alive();
    assert_eq!(systemd.heard(), ["WATCHDOG=1\n"]);
    // Nobody asked for any: nobody is told.
    for nobody in [None, Some(Duration::ZERO)] {
        let mut manager = systemd.manager(nobody);
        manager.alive();
        assert_eq!((manager.watchdog(), systemd.heard()), (None, vec![]));
    }
}

#[test]
fn a_manager_that_hangs_holds_nothing_up_and_hears_what_it_missed() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(Some(WATCHDOG));
    // Its queue is full (net.unix.max_dgram_qlen), and it reads nothing.
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"X", &systemd.path).is_ok() {}
    manager.reloading();
    manager.ready();
    manager.status("well");
    manager.alive();
    assert!(systemd.heard().iter().all(|said| said == "X"));
    manager.alive();
    manager.status("well");
    assert_eq!(systemd.heard(), ["READY=1\nWATCHDOG=1\n", "STATUS=well\n"]);
}

#[test]
fn a_manager_that_was_started_anew_is_told_by_the_same_name() {
    let systemd = Systemd::listens();
    let mut manager = systemd.manager(None);
    fs::remove_file(&systemd.path).unwrap();
    manager.status("alone");
    let again = UnixDatagram::bind(&systemd.path).unwrap();
    again.set_nonblocking(true).unwrap();
    manager.status("alone");
    assert_eq!(heard(&again), ["STATUS=alone\n"]);
}

#[test]
fn an_abstract_socket_is_one_too_and_without_any_nothing_is_said() {
    let name = format!("natwatch-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut manager = Manager::new(Some(format!("@{name}").into()), None);
    manager.ready();
    assert_eq!(heard(&socket), ["READY=1\n"]);
    for nowhere in [None, Some("".into()), Some("/no/such/folder/notify".into()), Some("/".repeat(500).into())] {
        let mut manager = Manager::new(nowhere, Some(WATCHDOG));
        manager.ready();
        manager.status("x");
        manager.alive();
    }
    assert_eq!(heard(&socket), [""; 0]);
}

/// Signals are the whole process's: who hears them is alone for as long as it does.
static ALONE: Mutex<()> = Mutex::const_new(());

/// In place, so that the name stays and the inode too.
fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// What `changes` tells within a minute of the paused clock.
async fn told(changes: &mut Changes) -> Option<Why> {
    timeout(Duration::from_mins(1), changes.next()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_hosts_file_that_is_another_is_told_once() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    let other = folder.path().join("other");
    put(&path, "10.0.0.1 web1\n");
    let mut changes = Changes::new([path.as_path()]);
    let hosts = Some(Why::Hosts(path.clone()));
    assert_eq!(told(&mut changes).await, None);
    put(&path, "10.0.0.1 web1\n10.0.0.2 web2\n");
    assert_eq!(told(&mut changes).await, hosts);
    assert_eq!(told(&mut changes).await, None, "told once");
    // Another file in its place, as long as the one before, and as old by its own word.
    put(&other, "10.0.0.1 web1\n10.0.0.3 web3\n");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&other).unwrap().set_modified(before).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(told(&mut changes).await, hosts);
    fs::remove_file(&path).unwrap();
    assert_eq!(told(&mut changes).await, hosts);
    assert_eq!(told(&mut changes).await, None);
    // A configuration that names another file, and one that names none.
    put(&path, "10.0.0.1 web1\n");
    changes.follow([]);
    assert_eq!(told(&mut changes).await, None);
    changes.follow([path.as_path()]);
    assert_eq!(told(&mut changes).await, None, "as it is now");
}

#[tokio::test(start_paused = true)]
async fn each_of_several_lists_is_followed_and_one_that_stays_keeps_what_was_seen_of_it() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (hosts, fleet) = (folder.path().join("hosts"), folder.path().join("fleet.json"));
    put(&hosts, "one");
    // A list that is not there yet.
    let mut changes = Changes::new([hosts.as_path(), fleet.as_path()]);
    assert_eq!(told(&mut changes).await, None);
    put(&fleet, "{}");
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(fleet.clone())));
    assert_eq!(told(&mut changes).await, None);
    put(&fleet, "[]{}");
    put(&hosts, "three");
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(hosts.clone())), "the first one, with which all are read");
    assert_eq!(told(&mut changes).await, None);
    put(&hosts, "two!");
    changes.follow([hosts.as_path()]);
    put(&fleet, "{ }");
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(hosts.clone())));
    assert_eq!(told(&mut changes).await, None, "nobody goes by the other one any more");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_could_not_be_followed_is_told_of_again_and_no_other() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (hosts, fleet) = (folder.path().join("hosts"), folder.path().join("fleet.json"));
    put(&hosts, "one");
    put(&fleet, "{}");
    let mut changes = Changes::new([hosts.as_path(), fleet.as_path()]);
    put(&hosts, "two!");
    put(&fleet, "[]{}");
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(hosts.clone())));
    for _ in 0..2 {
        changes.again(&fleet);
        assert_eq!(told(&mut changes).await, Some(Why::Hosts(fleet.clone())));
    }
    assert_eq!(told(&mut changes).await, None);
    // Of one that is gone, or that nobody goes by, there is nothing to follow.
    fs::remove_file(&fleet).unwrap();
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(fleet.clone())));
    changes.again(&fleet);
    changes.again(&folder.path().join("other"));
    assert_eq!(told(&mut changes).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_the_configuration_is_read_is_not_missed() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    put(&path, "one");
    let mut changes = Changes::new([path.as_path()]);
    put(&path, "two!");
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(path.clone())));
    // It is being read now; the same configuration names the same file.
    put(&path, "three");
    changes.follow([path.as_path()]);
    assert_eq!(told(&mut changes).await, Some(Why::Hosts(path.clone())));
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_for_a_change_loses_none() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    put(&path, "one");
    let mut changes = Changes::new([path.as_path()]);
    assert_eq!(changes.next().now_or_never(), None, "the first look");
    put(&path, "two!");
    // The next look is ten seconds later, and nobody waits that long.
    for _ in 0..3 {
        if let Ok(why) = timeout(Duration::from_secs(4), changes.next()).await {
            assert_eq!(why, Why::Hosts(path.clone()));
            return;
        }
    }
    panic!("not told within 12 s");
}

/// The clock runs, since a paused one does not wait for signals.
#[tokio::test]
async fn f075_a_hangup_is_told_once_whether_or_not_somebody_waits() {
    let _alone = ALONE.lock().await;
    let bound = Duration::from_secs(20);
    let hang_up = || kill_process(getpid(), Signal::HUP).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    put(&path, "one");
    let mut changes = Changes::every(Duration::from_hours(1), [path.as_path()]);
    let mut other = Changes::new([]);
    // The first look comes with the timer's next millisecond, and the one after it an hour later.
    assert!(timeout(Duration::from_millis(50), changes.next()).await.is_err());
    put(&path, "two!");
    hang_up();
    assert_eq!(timeout(bound, changes.next()).await.unwrap(), Why::Asked);
    assert_eq!(timeout(bound, other.next()).await.unwrap(), Why::Asked, "without a hosts file too");
    assert_eq!((changes.next().now_or_never(), other.next().now_or_never()), (None, None));
    // What was changed by then is read with it, and is no reason of its own.
    tokio::time::pause();
    assert!(timeout(Duration::from_hours(2), changes.next()).await.is_err());
    tokio::time::resume();
    let (why, ()) = tokio::join!(timeout(bound, changes.next()), async { hang_up() });
    assert_eq!(why.unwrap(), Why::Asked);
}
