//! Makes faults happen, and undoes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use crate::api::Api;
use crate::fabric::Fabric;
use crate::fault::Fault;
use crate::moto::Moto;
use crate::plan::{API, Nat, Plan, TARGETS, target};
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
        if let Some(rules) = self.rules(fault)? {
            let name = fault.to_string();
            return if on { self.fabric.block(&name, rules) } else { self.fabric.unblock(&name) };
        }
        if let Some(n) = fault.server() {
            let name = format!("b{n}");
            return self.servers.apply(&name, &mode(n, active));
        }
        match fault {
            Fault::MasqueradeGone(nat) => self.fabric.masquerade(*nat, !on),
            Fault::ForwardOff(nat) => self.fabric.forward(*nat, !on),
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

    /// The rules of a fault that is made of dropped packets.
    fn rules(&self, fault: &Fault) -> anyhow::Result<Option<Vec<String>>> {
        let uplink = |nat: &Nat, how: &str| {
            let address = nat.address();
            vec![
                format!("ip saddr {address} oifname \"inet\" {how}"),
                format!("ip daddr {address} iifname \"inet\" {how}"),
            ]
        };
        let link = |name: &str| vec![format!("iifname \"{name}\" drop"), format!("oifname \"{name}\" drop")];
        Ok(Some(match fault {
            // nft refuses a comparison that is always true, hence all loss is a plain drop.
            Fault::UplinkDead(nat) | Fault::Loss(nat, 100..) => uplink(nat, "drop"),
            Fault::Loss(nat, percent) => uplink(nat, &format!("numgen random mod 100 < {percent} drop")),
            Fault::Pause(_) => link(Nat::Primary.host()),
            Fault::TargetDead(n) => vec![format!("ip daddr {} drop", target(*n))],
            Fault::AllTargetsDead => vec![format!("ip daddr {}-{} drop", target(1), target(TARGETS))],
            Fault::TargetShunsPrimary(n) => {
                vec![format!("ip saddr {} ip daddr {} drop", Nat::Primary.address(), target(*n))]
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
