//! One OpenSSH server per backend, in the backend's namespace, with its faults.
//!
//! A change of mode ends everything on the backend and starts the server anew, as a reboot would; a mode is the sum of the
//! backend's active faults.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::accounts::{UID, USER};
use crate::keeper::Keeper;
use crate::netns;
use crate::plan::{Host, Plan};
use crate::runtime::keygen;

/// Which `ping` a login finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ping {
    #[default]
    Iputils,
    Missing,
    Forbidden,
    Busybox,
    Endless,
}

/// What a login is given for a shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shell {
    #[default]
    Sh,
    Odd,
    Nologin,
}

/// How a backend's SSH server behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault that is on or off, whatever the others are")]
pub(crate) struct Mode {
    /// Not running: connections are refused.
    pub(crate) dead: bool,
    /// Stopped: connections are accepted by the kernel, and nothing comes.
    pub(crate) frozen: bool,
    /// Commands start and never say anything.
    pub(crate) hang: bool,
    pub(crate) refuses_key: bool,
    pub(crate) new_host_key: bool,
    pub(crate) noisy: bool,
    /// Logins print, and never stop.
    pub(crate) endless: bool,
    /// Authentication takes this many seconds.
    pub(crate) slow: Option<u64>,
    pub(crate) ping: Ping,
    pub(crate) shell: Shell,
}

#[derive(Debug)]
pub(crate) struct Servers {
    plan: Arc<Plan>,
    keeper: Keeper,
    /// What this sshd must be told so that it bears many logins, some of them wrong, from one address.
    patient: Option<&'static str>,
    running: Mutex<BTreeMap<String, (Mode, Option<Child>)>>,
}

impl Servers {
    /// Starts all servers and waits until they listen.
    pub(crate) fn start(plan: &Arc<Plan>, keeper: &Keeper) -> anyhow::Result<Self> {
        // sshd's privilege separation wants it; a machine whose own sshd never ran lacks it.
        fs::create_dir_all("/run/sshd").context("make /run/sshd")?;
        write_keys(plan)?;
        let patient = patient(plan)?;
        let servers = Self { plan: Arc::clone(plan), keeper: keeper.clone(), patient, running: Mutex::default() };
        for host in plan.backends() {
            let child = servers.launch(host, &Mode::default())?;
            servers.lock().insert(host.name.clone(), (Mode::default(), Some(child)));
        }
        for host in plan.backends() {
            wait_listening(host)?;
        }
        Ok(servers)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Mode, Option<Child>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a backend's server behave so; it listens, or is dead, when this returns.
    pub(crate) fn apply(&self, name: &str, mode: &Mode) -> anyhow::Result<()> {
        let host = self.plan.host(name)?;
        let mut running = self.lock();
        let (present, child) = running.get_mut(name).with_context(|| format!("{name} is no backend"))?;
        if present == mode {
            return Ok(());
        }
        netns::evict(std::slice::from_ref(&host.ns))?;
        if let Some(mut child) = child.take() {
            child.wait()?;
        }
        *present = mode.clone();
        if mode.dead {
            return Ok(());
        }
        let started = self.launch(host, mode)?;
        wait_listening(host)?;
        if mode.frozen {
            let pid = i32::try_from(started.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
                .context("a child without a process id")?;
            rustix::process::kill_process(pid, rustix::process::Signal::STOP)?;
        }
        *child = Some(started);
        Ok(())
    }

    /// Collects the servers' ends, after they have been killed.
    pub(crate) fn reap(&self) {
        for child in self.lock().values_mut().filter_map(|(_, child)| child.as_mut()) {
            // Nothing to be done about one that cannot be waited for.
            let _ = child.wait();
        }
    }

    fn launch(&self, host: &Host, mode: &Mode) -> anyhow::Result<Child> {
        let folder = folder(&self.plan, host);
        let config = folder.join("sshd_config");
        fs::write(&config, self.config(host, mode)?)?;
        let mut command = netns::exec(&host.ns);
        // `ip netns exec` has made a mount namespace of this server's own: what is mounted here is seen by its logins alone.
        let farm = self.plan.root.join("farm");
        let prelude = match mode.ping {
            Ping::Iputils => String::new(),
            Ping::Endless => {
                write_script(&self.plan.root.join("endless"), "trap '' INT TERM\nexec sleep 3600\n")?;
                format!("mount --bind {}/endless /usr/bin/ping && ", self.plan.root.display())
            }
            Ping::Forbidden => format!("mount --bind {}/forbidden /usr/bin/ping && ", self.plan.root.display()),
            Ping::Missing | Ping::Busybox => {
                let farm = farm.display();
                // busybox pings by raw socket only. Its capability needs a file system that is not mounted `nosuid`, as /run often is.
                let (kind, able) = if mode.ping == Ping::Busybox {
                    let copy = format!("{farm}/able/ping");
                    let able = format!("cp /usr/bin/busybox {copy} && setcap cap_net_raw+ep {copy} && ");
                    ("busybox", format!("mount -t tmpfs -o mode=0755 lab {farm}/able && {able}"))
                } else {
                    ("missing", String::new())
                };
                format!("{able}mount --bind /usr/bin {farm}/real && mount --bind {farm}/{kind} /usr/bin && ")
            }
        };
        if mode.ping != Ping::Iputils {
            write_farm(&self.plan)?;
        }
        command.args([
            "/bin/sh",
            "-c",
            &format!("{}{prelude}exec /usr/sbin/sshd -D -e -f {}", account(&folder, mode)?, config.display()),
        ]);
        let log = fs::File::options().create(true).append(true).open(folder.join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.keeper.spawn(command)
    }

    fn config(&self, host: &Host, mode: &Mode) -> anyhow::Result<String> {
        let folder = folder(&self.plan, host);
        let path = folder.display();
        let key = if mode.new_host_key { "new_host_key" } else { "host_key" };
        if mode.new_host_key && !folder.join(key).exists() {
            keygen(&folder.join(key), "changed")?;
        }
        let mut lines = vec![
            "Port 22".to_owned(),
            format!("ListenAddress {}", host.address),
            format!("HostKey {path}/{key}"),
            format!("PidFile {path}/pid"),
            format!("AllowUsers {USER}"),
            "UseDNS no".to_owned(),
            "StrictModes no".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            // Tests knock often; the default drops connections from ten at a time on.
            "MaxStartups 200:30:400".to_owned(),
            "LogLevel VERBOSE".to_owned(),
            "Subsystem sftp internal-sftp".to_owned(),
        ];
        lines.extend(self.patient.map(str::to_owned));
        let keys = if mode.refuses_key { "none".to_owned() } else { format!("{path}/authorized_keys") };
        lines.push(format!("AuthorizedKeysFile {keys}"));
        // The delay is the account's, as of a directory that is asked. Within the authentication proper, sshd would stretch it up to
        // twofold, by a factor that its host key determines (its auth2.c, ensure_minimum_time_since).
        lines.push(format!("UsePAM {}", if mode.slow.is_some() { "yes" } else { "no" }));
        if let Some(seconds) = mode.slow {
            fs::create_dir_all(folder.join("pam.d"))?;
            fs::write(
                folder.join("pam.d/sshd"),
                format!(
                    "auth required pam_permit.so\naccount required pam_exec.so quiet /bin/sleep {seconds}\n\
                     session required pam_permit.so\n"
                ),
            )?;
        }
        if mode.noisy {
            fs::write(folder.join("banner"), NOISE)?;
            write_script(
                &folder.join("noisy"),
                &format!("cat {path}/banner\ncat {path}/banner >&2\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n"),
            )?;
            lines.push(format!("Banner {path}/banner"));
        }
        if mode.hang {
            lines.push("ForceCommand sleep 3600".to_owned());
        } else if mode.endless {
            lines.push("ForceCommand yes".to_owned());
        } else if mode.noisy {
            lines.push(format!("ForceCommand {path}/noisy"));
        }
        Ok(lines.join("\n") + "\n")
    }
}

/// OpenSSH 9.8 and newer shut out an address for a while after a few failed logins, unless told not to; older ones don't know the keyword.
fn patient(plan: &Plan) -> anyhow::Result<Option<&'static str>> {
    const KEYWORD: &str = "PerSourcePenalties no";
    let host = plan.backends().next().context("no backend")?;
    let key = folder(plan, host).join("host_key");
    let mut test = std::process::Command::new("/usr/sbin/sshd");
    test.args(["-t", "-f", "/dev/null", "-o", KEYWORD, "-h"]).arg(key);
    let known = test.output().context("run sshd -t")?.status.success();
    Ok(known.then_some(KEYWORD))
}

/// What a talkative login prints: ANSI escapes, invalid UTF-8's friend the replacement character, and a forged ping summary.
const NOISE: &str = "\u{1b}[31m*** AUTHORISED USE ONLY ***\u{1b}[0m\n\
    PING 203.0.113.1 (203.0.113.1) 56(84) bytes of data.\n\
    64 bytes from 203.0.113.1: icmp_seq=1 ttl=62 time=0.042 ms\n\n\
    --- 203.0.113.1 ping statistics ---\n\
    1 packets transmitted, 1 received, 0% packet loss, time 0ms\n\
    rtt min/avg/max/mdev = 0.042/0.042/0.042/0.000 ms\n";

/// A login shell to which, as to csh(1), much of `sh` is an error: only what stands in single quotes is passed on as it is.
const ODD_SHELL: &str = r#"[ "$1" = -c ] || exit 1
case $(printf %s "$2" | sed "s/'[^']*'//g") in
*[!-a-zA-Z0-9_./:\ ]*) echo 'Illegal variable name.' >&2; exit 1 ;;
esac
exec /bin/sh -c "$2"
"#;

/// Shell commands that give the server's own mount namespace another account for the lab's user.
fn account(folder: &Path, mode: &Mode) -> anyhow::Result<String> {
    let path = folder.display();
    let slow = if mode.slow.is_some() { format!("mount --bind {path}/pam.d /etc/pam.d && ") } else { String::new() };
    let shell = match mode.shell {
        Shell::Sh => return Ok(slow),
        Shell::Odd => {
            write_script(&folder.join("odd_shell"), ODD_SHELL)?;
            format!("{path}/odd_shell")
        }
        Shell::Nologin => "/usr/sbin/nologin".to_owned(),
    };
    let amend = format!("sed '/^{USER}:/s#[^:]*$#{shell}#' /etc/passwd > {path}/passwd");
    Ok(format!("{slow}{amend} && mount --bind {path}/passwd /etc/passwd && "))
}

fn write_script(path: &Path, body: &str) -> anyhow::Result<()> {
    fs::write(path, format!("#!/bin/sh\n{body}"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

pub(crate) fn folder(plan: &Plan, host: &Host) -> PathBuf {
    plan.root.join("ssh").join(&host.name)
}

/// The client's key pair, one host key per backend, and `known_hosts` with all of them.
fn write_keys(plan: &Plan) -> anyhow::Result<()> {
    fs::create_dir_all(plan.root.join("keys"))?;
    keygen(&plan.identity(), "natwatch")?;
    let public = fs::read_to_string(plan.identity().with_extension("pub"))?;
    let hosts: Vec<&Host> = plan.backends().collect();
    std::thread::scope(|scope| {
        let made: Vec<_> = hosts
            .iter()
            .map(|host| {
                let folder = folder(plan, host);
                let public = public.as_str();
                scope.spawn(move || -> anyhow::Result<()> {
                    fs::create_dir_all(&folder)?;
                    fs::write(folder.join("authorized_keys"), public)?;
                    keygen(&folder.join("host_key"), "lab")
                })
            })
            .collect();
        made.into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("making a host key panicked"))?)
    })?;
    let mut known = String::new();
    for host in hosts {
        let key = fs::read_to_string(folder(plan, host).join("host_key.pub"))?;
        known.extend([host.name.as_str(), ",", &host.address.to_string(), " ", &key]);
    }
    fs::write(plan.known_hosts(), known)?;
    for path in [plan.root.join("keys"), plan.identity(), plan.identity().with_extension("pub"), plan.known_hosts()] {
        std::os::unix::fs::chown(&path, Some(UID), Some(UID))?;
    }
    Ok(())
}

/// Stand-ins for `/usr/bin`: every program by a link to where the real folder is bound, but another `ping`, or none.
fn write_farm(plan: &Plan) -> anyhow::Result<()> {
    let farm = plan.root.join("farm");
    let real = farm.join("real");
    if real.exists() {
        return Ok(());
    }
    fs::create_dir_all(&farm)?;
    fs::write(plan.root.join("forbidden"), "")?;
    for kind in ["missing", "busybox"] {
        let folder = farm.join(kind);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir("/usr/bin")?.flatten() {
            let name = entry.file_name();
            if !["ping", "ping4", "ping6"].iter().any(|ping| name == *ping) {
                std::os::unix::fs::symlink(real.join(&name), folder.join(&name))?;
            }
        }
    }
    fs::create_dir(farm.join("able"))?;
    std::os::unix::fs::symlink(farm.join("able/ping"), farm.join("busybox/ping"))?;
    // Last: its presence says that the farm is whole.
    Ok(fs::create_dir(&real)?)
}

fn wait_listening(host: &Host) -> anyhow::Result<()> {
    let address = SocketAddr::from((host.address, 22));
    let patience = Instant::now() + Duration::from_secs(10);
    netns::within(&host.ns, || {
        while let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            anyhow::ensure!(Instant::now() < patience, "sshd on {} does not listen: {error}", host.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    })
}
