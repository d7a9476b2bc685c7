//! Makes faults happen, and undoes them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use crate::api::Api;
use crate::fabric::{Fabric, word};
use crate::fault::Fault;
use crate::moto::Moto;
use crate::plan::{API, Nat, Plan, TARGETS};
use crate::slow::SlowTarget;
use crate::sshd::{Mode, Ping, Servers, Shell};
use crate::vpc::{self, Ids};

/// Everything a fault may need to reach.
#[derive(Debug)]
pub(crate) struct Injector {
    pub(crate) plan: Arc<Plan>,
    pub(crate) fabric: Arc<Fabric>,
    pub(crate) api: Arc<Api>,
    pub(crate) moto: Moto,
    pub(crate) ids: Arc<Ids>,
    pub(crate) servers: Servers,
    pub(crate) active: Mutex<Vec<Fault>>,
    /// Who answers for the targets that are slow.
    pub(crate) slow: Mutex<BTreeMap<u8, SlowTarget>>,
}

impl Injector {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn active(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// A fault that is active already stays so.
    pub(crate) fn inject(self: &Arc<Self>, fault: &Fault) -> anyhow::Result<()> {
        let mut active = self.lock();
        if !active.contains(fault) {
            active.push(fault.clone());
            if let Err(error) = self.apply(fault, true, &active).with_context(|| format!("inject {fault}")) {
                active.retain(|other| other != fault);
                return Err(error);
            }
        }
        drop(active);
        if let Fault::Pause(time) = fault {
            let (injector, fault, time) = (Arc::downgrade(self), fault.clone(), *time);
            std::thread::spawn(move || {
                std::thread::sleep(time);
                if let Some(injector) = injector.upgrade() {
                    // A lab that is going down needs no healing.
                    let _ = injector.heal(&fault);
                }
            });
        }
        Ok(())
    }

    /// Nothing to do for a fault that is not active.
    pub(crate) fn heal(&self, fault: &Fault) -> anyhow::Result<()> {
        let mut active = self.lock();
        let Some(place) = active.iter().position(|other| other == fault) else { return Ok(()) };
        active.remove(place);
        self.apply(fault, false, &active).with_context(|| format!("heal {fault}"))
    }

    /// Brings one fault into being or out of it; `active` is what holds then.
    fn apply(&self, fault: &Fault, on: bool, active: &[Fault]) -> anyhow::Result<()> {
        anyhow::ensure!(self.plan.ipv6 || !fault.ipv6(), "this lab has no IPv6");
        if let Some(rules) = self.rules(fault)? {
            let name = fault.to_string();
            return if on { self.fabric.block(&name, rules) } else { self.fabric.unblock(&name) };
        }
        if let Some(rules) = self.rules_at_targets(fault) {
            let answerer = match fault {
                Fault::TargetSlow(n, delay) if on => Some((*n, SlowTarget::start(&self.plan, *n, *delay)?)),
                _ => None,
            };
            self.fabric.block_at_targets(&fault.to_string(), on.then_some(rules))?;
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            if let Fault::TargetSlow(n, _) = fault {
                slow.remove(n);
            }
            slow.extend(answerer);
            return Ok(());
        }
        if let Some(n) = fault.server() {
            let name = format!("b{n}");
            return self.servers.apply(&name, &mode(n, active));
        }
        match fault {
            Fault::MasqueradeGone(nat) => self.fabric.masquerade(*nat, !on),
            Fault::ForwardOff(nat) => self.fabric.forward(*nat, !on),
            Fault::Masquerade6Gone(nat) => self.fabric.masquerade6(*nat, !on),
            Fault::Forward6Off(nat) => self.fabric.forward6(*nat, !on),
            Fault::Crash(nat) => self.link(*nat, active),
            Fault::Stopped(nat) => {
                let action = if on { "StopInstances" } else { "StartInstances" };
                self.moto.call(action, &[("InstanceId.1", &self.ids.nat(*nat).instance)])?;
                self.api.sync()?;
                self.link(*nat, active)
            }
            Fault::Api(fault) if on => {
                self.api.arm(fault.clone());
                Ok(())
            }
            Fault::Api(fault) => {
                self.api.disarm(Some(fault));
                Ok(())
            }
            Fault::Propagation(delay) => {
                self.api.propagation(if on { *delay } else { Duration::ZERO });
                if on { Ok(()) } else { self.api.sync() }
            }
            Fault::ImdsDown => self.fabric.imds(!on),
            Fault::SourceDestCheckOn(nat) => {
                let of = self.ids.nat(*nat);
                vpc::set_check(&self.moto, &of.instance, &of.eni, on)?;
                self.api.sync()
            }
            _ => anyhow::bail!("nothing is known of how to make it"),
        }
    }

    /// A link is up unless the NAT is crashed or stopped.
    fn link(&self, nat: Nat, active: &[Fault]) -> anyhow::Result<()> {
        let down = active.contains(&Fault::Crash(nat)) || active.contains(&Fault::Stopped(nat));
        self.fabric.link(nat.host(), !down)
    }

    /// The rules of a fault that the targets themselves have.
    fn rules_at_targets(&self, fault: &Fault) -> Option<Vec<String>> {
        match fault {
            Fault::TargetSlow(n, _) => Some(SlowTarget::rules(&self.plan, *n)),
            Fault::TargetsLimit(rate, burst) => {
                let families = [("ip", "icmp"), ("ip6", "icmpv6")];
                Some(families.iter().map(|(ip, icmp)| limit(ip, icmp, *rate, *burst)).collect())
            }
            _ => None,
        }
    }

    /// The rules of a fault that is made of dropped packets.
    fn rules(&self, fault: &Fault) -> anyhow::Result<Option<Vec<String>>> {
        let way = |address: &IpAddr, how: &str| {
            let ip = word(address);
            [
                format!("{ip} saddr {address} oifname \"inet\" {how}"),
                format!("{ip} daddr {address} iifname \"inet\" {how}"),
            ]
        };
        let uplink = |nat: &Nat, how: &str| -> Vec<String> {
            self.plan.nat_addresses(*nat).iter().flat_map(|address| way(address, how)).collect()
        };
        let dead = |n: u8| -> Vec<String> {
            let targets = self.plan.target_addresses(n);
            targets.iter().map(|target| format!("{} daddr {target} drop", word(target))).collect()
        };
        let link = |name: &str| vec![format!("iifname \"{name}\" drop"), format!("oifname \"{name}\" drop")];
        Ok(Some(match fault {
            // nft refuses a comparison that is always true, hence all loss is a plain drop.
            Fault::UplinkDead(nat) | Fault::Loss(nat, 100..) => uplink(nat, "drop"),
            Fault::Loss(nat, percent) => uplink(nat, &format!("numgen random mod 100 < {percent} drop")),
            // Two links meet in the router at each packet: the one it came by, and the one it leaves by.
            Fault::LinksLose(100..) => vec!["drop".to_owned()],
            Fault::LinksLose(percent) => vec![format!("numgen random mod 100 < {percent} drop"); 2],
            Fault::Pause(_) => link(Nat::Primary.host()),
            Fault::Uplink6Dead(nat) => self
                .plan
                .nat_addresses(*nat)
                .iter()
                .filter(|one| one.is_ipv6())
                .flat_map(|one| way(one, "drop"))
                .collect(),
            Fault::TargetDead(n) => dead(*n),
            Fault::AllTargetsDead => (1..=TARGETS).flat_map(dead).collect(),
            Fault::TargetShunsPrimary(n) => {
                let pairs = self.plan.nat_addresses(Nat::Primary).into_iter().zip(self.plan.target_addresses(*n));
                pairs.map(|(nat, target)| format!("{0} saddr {nat} {0} daddr {target} drop", word(&nat))).collect()
            }
            Fault::BackendDead(n) => link(&self.plan.host(&format!("b{n}"))?.name),
            Fault::IcmpBlocked => self
                .plan
                .backends()
                .map(|host| format!("iifname \"{}\" icmp type echo-request drop", host.name))
                .collect(),
            Fault::ApiDown => vec![format!("ip daddr {API} drop")],
            _ => return Ok(None),
        }))
    }
}

/// Pings beyond a rate are dropped, for each source and target apart, as hosts do that limit pings by address.
fn limit(ip: &str, icmp: &str, rate: u32, burst: u32) -> String {
    format!(
        "{icmp} type echo-request meter {icmp}{rate}x{burst} {{ {ip} saddr . {ip} daddr limit rate over {rate}/second burst {burst} packets }} drop"
    )
}

/// What all active faults together make of a backend's server.
fn mode(n: usize, active: &[Fault]) -> Mode {
    let mut mode = Mode::default();
    for fault in active.iter().filter(|fault| fault.server() == Some(n)) {
        match fault {
            Fault::SshdDead(_) => mode.dead = true,
            Fault::SshdFrozen(_) => mode.frozen = true,
            Fault::SshdHang(_) => mode.hang = true,
            Fault::SshdRefusesKey(_) => mode.refuses_key = true,
            Fault::SshdNewHostKey(_) => mode.new_host_key = true,
            Fault::NoisyShell(_) => mode.noisy = true,
            Fault::SlowLogin(_, seconds) => mode.slow = Some(*seconds),
            Fault::NoPing(_) => mode.ping = Ping::Missing,
            Fault::PingForbidden(_) => mode.ping = Ping::Forbidden,
            Fault::BusyboxPing(_) => mode.ping = Ping::Busybox,
            Fault::EndlessPing(_) => mode.ping = Ping::Endless,
            Fault::EndlessShell(_) => mode.endless = true,
            Fault::OddShell(_) => mode.shell = Shell::Odd,
            Fault::NoShell(_) => mode.shell = Shell::Nologin,
            _ => {}
        }
    }
    mode
}
