//! A standby on which the package has just been installed: the program in `/usr/bin`, its user, its folders, its units. All of it is seen by
//! what is typed there and by nobody else: folders of the lab's are mounted over the machine's, in a mount namespace of the command's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use natwatch_lab::testing::expect;
use natwatch_lab::{Invocation, Lab};

/// Where the machine's own programs are to be found while `/usr/bin` is another; a folder that every system has (hier(7)) and nothing uses.
const REAL: &str = "/mnt";

/// A machine that was booted yesterday: the one under the lab may be younger than `decision.min_uptime`.
const UPTIME: &str = "86400.00 86400.00\n";

const SYSTEMCTL: &str = include_str!("systemctl.sh");

const UNITS: [&str; 4] = ["natwatch-watch.service", "natwatch-watch@.service", "natwatch.service", "natwatch.timer"];

/// See the module.
pub(crate) struct Installed {
    stage: PathBuf,
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

impl Installed {
    /// Installs natwatch on a lab's standby, and lists these backends in `/etc/natwatch/hosts`; nothing else is configured.
    pub(crate) fn on(lab: &Lab, hosts: &str) -> Self {
        let stage = lab.plan().root.join("installed");
        let shown = stage.to_str().unwrap();
        let within = |command: &str| {
            expect(&lab.program("nat2", "/bin/sh", &["-c", command]).run().unwrap(), 0);
        };
        // As the lab's standby sees it: with its hosts and accounts.
        within(&format!(
            "umask 022 && mkdir -p {shown}/active {shown}/pids {shown}/run/systemd/system {shown}/run/natwatch-lab {shown}/usr-bin && mkdir {shown}/etc && tar -C /etc --exclude=./netns -c . | tar -C {shown}/etc -x && \
             install -d -m 0755 {shown}/etc/natwatch && install -d -m 0750 -o natwatch -g natwatch {shown}/var-lib/natwatch"
        ));
        write(&stage.join("etc/natwatch/hosts"), hosts, 0o644);
        let sysctl = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/60-natwatch-ping.conf");
        within(&format!("/sbin/sysctl -q -p {}", sysctl.display()));
        // EC2 as everybody reaches it, by its name and over TLS: the lab's authority is one of the system's.
        let authorities = stage.join("etc/ssl/certs/ca-certificates.crt");
        let known = fs::read_to_string(&authorities).unwrap_or_default();
        let ours = fs::read_to_string(lab.plan().ca()).unwrap();
        write(&authorities, &(known + &ours), 0o644);
        for unit in UNITS {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit)).unwrap();
            write(&stage.join("usr/lib/systemd/system").join(unit), &text, 0o644);
        }
        for target in ["multi-user.target", "timers.target"] {
            write(&stage.join("usr/lib/systemd/system").join(target), "", 0o644);
        }
        for entry in fs::read_dir("/usr/bin").unwrap().flatten() {
            let name = entry.file_name();
            if name != "systemctl" && name != "natwatch" {
                symlink(Path::new(REAL).join(&name), stage.join("usr-bin").join(&name)).unwrap();
            }
        }
        symlink(lab.plan().binary(), stage.join("usr-bin/natwatch")).unwrap();
        let systemctl = SYSTEMCTL.replace("@STAGE@", shown).replace("@REAL@", REAL);
        write(&stage.join("usr-bin/systemctl"), &systemctl, 0o755);
        write(&stage.join("uptime"), UPTIME, 0o444);
        // In this order: what is under `/run` is reached by the same paths after it is another.
        let mounts = [
            format!("/usr/bin {REAL}"),
            format!("{shown}/usr-bin /usr/bin"),
            format!("{shown}/etc /etc"),
            format!("{shown}/var-lib /var/lib"),
            format!("{shown}/uptime /proc/uptime"),
            format!("/run/natwatch-lab {shown}/run/natwatch-lab"),
            format!("{shown}/run /run"),
        ];
        // What is mounted below comes along.
        let mounts = mounts.map(|both| format!("mount --rbind {both}\n"));
        let enter = format!("#!/bin/sh\nset -e\n{}cd /\nexec \"$@\"\n", mounts.concat());
        write(&stage.join("enter"), &enter, 0o755);
        let installed = Self { stage };
        installed.hear();
        installed
    }

    /// What a service that is started says of itself (`sd_notify(3)`): that it is ready.
    fn hear(&self) {
        let path = self.stage.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let ready = self.stage.join("ready");
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "READY=1") {
                    // The lab may have ended.
                    let _ = fs::write(&ready, "");
                }
            }
        });
    }

    /// A file of the standby's, as whoever is there names it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        let below = |from: &str, to: &str| path.strip_prefix(from).map(|rest| self.stage.join(to).join(rest));
        below("/etc/", "etc").or_else(|| below("/var/lib/", "var-lib")).unwrap()
    }

    /// Has cron there, and running.
    pub(crate) fn with_cron(&self) {
        let unit = "[Unit]\n[Service]\nExecStart=/usr/sbin/cron -f\n[Install]\nWantedBy=multi-user.target\n";
        write(&self.stage.join("usr/lib/systemd/system/cron.service"), unit, 0o644);
        write(&self.stage.join("active/cron.service"), "", 0o644);
        let wants = self.stage.join("etc/systemd/system/multi-user.target.wants/cron.service");
        let _ = fs::remove_file(&wants);
        fs::create_dir_all(wants.parent().unwrap()).unwrap();
        symlink("/usr/lib/systemd/system/cron.service", wants).unwrap();
    }

    /// Types a line of shell there, as root and on a terminal.
    pub(crate) fn types(&self, lab: &Lab, line: &str) -> Invocation {
        lab.program("nat2", self.stage.join("enter").to_str().unwrap(), &["/bin/sh", "-c", line])
            .tty()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LOGNAME", "root")
            .env("LC_ALL", "C.UTF-8")
    }
}
