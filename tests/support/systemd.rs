//! systemd's place: starts `natwatch watch`, and hears on a socket of its own what it is told (`sd_notify(3)`).

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use natwatch_lab::testing::expect;
use natwatch_lab::{Lab, Run, Running, Signal};

/// A bound for what takes seconds, not a measure: the longest is a look at the hosts file each ten.
pub(crate) const SOON: Duration = Duration::from_secs(40);

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
    heard: Arc<Mutex<Vec<Heard>>>,
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
        let listening = Arc::clone(&heard);
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
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
        Self { running: Mutex::new(Some(running)), pid, heard, past: Mutex::default(), read: Mutex::default() }
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
        self.signal(Signal::STOP);
        let until = Instant::now() + SOON;
        let stat = format!("/proc/{}/stat", self.pid);
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(Instant::now() < until, "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut known = usize::MAX;
        while std::mem::replace(&mut known, self.heard().len()) != known {
            assert!(Instant::now() < until, "{:?}", self.heard());
            std::thread::sleep(Duration::from_millis(50));
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
