//! keepalived on both NATs: VRRP by unicast, as VPCs carry no multicast by themselves, and a notify script that moves the subnets.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use natwatch_lab::{Lab, Nat, Running};

use super::Tool;
use super::scripts::{Scripts, need};

/// Debian's package.
const PROGRAM: &str = "/usr/sbin/keepalived";

const NOTIFY: &str = include_str!("notify.sh");

/// keepalived wants an address to carry about; in a VPC no packet follows it (RFC 5737).
const NOBODYS: &str = "192.0.2.1/32";

/// A primary that comes back waits three adverts and a half, and tells.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Keepalived {
    /// Between adverts; shorter than a second needs VRRP version 3 (RFC 5798).
    advert: Duration,
    label: &'static str,
    scripts: Option<Scripts>,
    running: Vec<Running>,
}

impl Keepalived {
    /// With the adverts that RFC 3768 has by default.
    pub(super) fn usual() -> Self {
        Self::new(Duration::from_secs(1), "keepalived, adverts each 1 s")
    }

    /// With adverts so close that no outage is longer by natwatch's own pace.
    pub(super) fn fast() -> Self {
        Self::new(Duration::from_millis(300), "keepalived, adverts each 0.3 s")
    }

    fn new(advert: Duration, label: &'static str) -> Self {
        Self { advert, label, scripts: None, running: Vec::new() }
    }

    fn config(&self, scripts: &Scripts, nat: Nat) -> String {
        let [peer, state, priority] = match nat {
            Nat::Primary => [Nat::Standby.address().to_string(), "MASTER".to_owned(), "150".to_owned()],
            Nat::Standby => [Nat::Primary.address().to_string(), "BACKUP".to_owned(), "100".to_owned()],
        };
        format!(
            "global_defs {{
    router_id {nat}
    script_user root
    enable_script_security
    vrrp_version 3
}}
vrrp_instance nat {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {}
    unicast_src_ip {}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {NOBODYS} dev lo
    }}
    notify {}
}}
",
            self.advert.as_secs_f64(),
            nat.address(),
            scripts.path("notify.sh"),
        )
    }

    /// Waits until each has said its state, and done what it means.
    fn wait(&self, wanted: &[(Nat, &str)]) -> anyhow::Result<()> {
        let scripts = self.scripts.as_ref().context("keepalived has not been begun")?;
        let limit = Instant::now() + PATIENCE;
        for (nat, wanted) in wanted {
            let path = scripts.folder.join(format!("{nat}.state"));
            // It may not have been written yet.
            while fs::read_to_string(&path).unwrap_or_default().trim() != *wanted {
                let said: String = self.running.iter().map(|one| one.stdout() + &one.stderr()).collect();
                anyhow::ensure!(Instant::now() < limit, "the {nat}'s keepalived is not {wanted}:\n{said}");
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

impl Tool for Keepalived {
    fn label(&self) -> &'static str {
        self.label
    }

    fn period(&self) -> Duration {
        self.advert
    }

    fn begin(&mut self, lab: &Lab) -> anyhow::Result<()> {
        need(PROGRAM)?;
        let scripts = Scripts::install(lab, &[("notify.sh", NOTIFY)])?;
        for nat in Nat::BOTH {
            scripts.write(&format!("{nat}.conf"), &self.config(&scripts, nat))?;
            let file = |what: &str| scripts.path(&format!("{nat}.{what}"));
            let (config, main, vrrp, checkers) = (file("conf"), file("pid"), file("vrrp.pid"), file("checkers.pid"));
            let args =
                ["--dont-fork", "--log-console", "--vrrp", "-f", &config, "-p", &main, "-r", &vrrp, "-c", &checkers];
            self.running.push(scripts.program(lab, nat, PROGRAM, &args).spawn()?);
        }
        self.scripts = Some(scripts);
        Ok(())
    }

    fn settle(&mut self, lab: &Lab) -> anyhow::Result<()> {
        self.wait(&[(Nat::Primary, "MASTER"), (Nat::Standby, "BACKUP")])?;
        self.scripts.as_ref().map_or(Ok(()), |scripts| scripts.associations(lab))
    }

    fn rest(&mut self, _: &Lab, taken: bool) -> anyhow::Result<()> {
        if taken { self.wait(&[(Nat::Standby, "MASTER")]) } else { Ok(()) }
    }
}
