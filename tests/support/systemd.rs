//! systemd's place: starts `natwatch watch`, and hears on a socket of its own what it is told (`sd_notify(3)`).

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use natwatch_lab::testing::{expect, stopped};
use natwatch_lab::{Lab, Run, Running, Signal, prompt};

/// A bound for what takes seconds, not a measure: the longest is a look at the hosts file each ten.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// What we send ourselves to learn that all before it has been heard.
const MARK: &[u8] = b"MARK";

/// What was told, and when it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// The service and what it has told.
pub(crate) struct Systemd {
    running: Mutex<Option<Running>>,
    pid: i32,
    socket: PathBuf,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// How many marks of ours have been.
    marks: Arc<AtomicUsize>,
    /// How many of these have been waited for.
    past: Mutex<usize>,
    /// How much of the log has been.
    read: Mutex<usize>,
}

impl Systemd {
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Self {
        Self::start_with(lab, args, &[])
    }

    pub(crate) fn start_with(lab: &Lab, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let path = lab.plan().root.join("notify");
        // The one before has ended.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let marks = Arc::<AtomicUsize>::default();
        let (listening, marked) = (Arc::clone(&heard), Arc::clone(&marks));
        // Ends with the test's process.
        std::thread::spawn(move || {
            prompt();
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                if buffer[..length] == *MARK {
                    marked.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                listening.lock().unwrap().push(Heard { at: Instant::now(), text });
            }
        });
        let mut command = lab.command(&[&["watch"], args].concat()).env("NOTIFY_SOCKET", path.to_str().unwrap());
        for (key, value) in environment {
            command = command.env(key, value);
        }
        let running = command.spawn().unwrap();
        let pid = running.pid();
        let (past, read) = (Mutex::default(), Mutex::default());
        Self { running: Mutex::new(Some(running)), pid, socket: path, heard, marks, past, read }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it is told something with `text` in it, after what was waited for before.
    #[track_caller]
    pub(crate) fn waits_for(&self, text: &str) {
        let until = Instant::now() + SOON;
        loop {
            let heard = self.heard();
            let mut past = self.past.lock().unwrap();
            if let Some(at) = heard[*past..].iter().position(|one| one.text.contains(text)) {
                *past += at + 1;
                return;
            }
            assert!(Instant::now() < until, "not told of {text:?}: {heard:#?}\n{}", self.said());
            drop(past);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has logged so far.
    pub(crate) fn said(&self) -> String {
        self.running.lock().unwrap().as_ref().unwrap().stderr()
    }

    /// Waits until it logs something with `text` in it, after what was waited for before.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        let until = Instant::now() + SOON;
        loop {
            let said = self.said();
            let mut read = self.read.lock().unwrap();
            if let Some(at) = said[*read..].find(text) {
                *read += at + text.len();
                return;
            }
            assert!(Instant::now() < until, "no {text:?} in {said}");
            drop(read);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.lock().unwrap().as_ref().unwrap().kill(signal).unwrap();
    }

    /// Stops it in the middle of whatever it does; what it has said before has been heard by then.
    pub(crate) fn freezes(&self) {
        stopped(self.running.lock().unwrap().as_ref().unwrap());
        let until = Instant::now() + SOON;
        let known = self.marks.load(Ordering::SeqCst);
        UnixDatagram::unbound().unwrap().send_to(MARK, &self.socket).unwrap();
        while self.marks.load(Ordering::SeqCst) == known {
            assert!(Instant::now() < until, "{:?}", self.heard());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, as the kernel does when memory is short.
    pub(crate) fn is_killed(&self) -> Run {
        self.signal(Signal::KILL);
        self.running.lock().unwrap().take().unwrap().wait(SOON).unwrap()
    }

    /// Tells it to stop, and waits for its end, which is a good one within ten seconds.
    #[track_caller]
    pub(crate) fn ends(&self) -> Run {
        self.signal(Signal::TERM);
        let began = Instant::now();
        let run = self.running.lock().unwrap().take().unwrap().wait(SOON).unwrap();
        expect(&run, 0);
        assert!(began.elapsed() < Duration::from_secs(12), "{run}");
        run
    }
}
