//! A lab from its rise to its end: puts the parts together and hands them out.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use crate::accounts::{self, UID};
use crate::api::Api;
use crate::description::Description;
use crate::fabric::{Fabric, Hop};
use crate::fault::Fault;
use crate::inject::Injector;
use crate::keeper::Keeper;
use crate::moto::{self, Moto};
use crate::natwatch::{Invocation, Run};
use crate::options::Options;
use crate::pings::Pings;
use crate::plan::{Nat, Plan};
use crate::runtime::{self, Runtime};
use crate::services::Services;
use crate::sshd::{self, Servers};
use crate::stack::{self, Deployed, Network, Stack};
use crate::traffic::Traffic;
use crate::vpc::{self, Ids};
use crate::{config, netns, xml};

/// A running lab. Dropping it ends everything it has made.
#[derive(Debug)]
pub struct Lab {
    traffic: Traffic,
    services: Option<Services>,
    injector: Arc<Injector>,
    children: Mutex<Vec<Child>>,
    plan: Arc<Plan>,
    keeper: Keeper,
    reply: Option<Duration>,
    deployed: Option<Deployed>,
    // Last: its drop removes the namespaces and folders under all the others.
    _runtime: Runtime,
}

impl Lab {
    /// Raises a lab; packets flow when this returns.
    ///
    /// # Errors
    /// Without root, without a tool (the message says how to install it), or when a part does not come up. Nothing is left then.
    pub fn up(options: &Options) -> anyhow::Result<Self> {
        options.check()?;
        runtime::need_root()?;
        runtime::need_tools()?;
        let runtime = Runtime::claim()?;
        let plan = Arc::new(Plan::new(&runtime.id, options)?);
        make_folders(&plan, options)?;
        let keeper = Keeper::start()?;
        // Dropped before `runtime` if anything below fails.
        let fabric = Arc::new(Fabric::raise(&plan).context("raise the fabric")?);
        accounts::write(&plan)?;
        let server = if options.stack.is_some() { stack::SERVER } else { moto::SERVER };
        let (moto, child) = Moto::launch(&plan, &keeper, server)?;
        let children = Mutex::new(vec![child]);
        // moto loads for a second or two; the SSH servers start in its shadow.
        let (servers, ids) = std::thread::scope(|scope| {
            let servers = scope.spawn(|| Servers::start(&plan, &keeper).context("start the SSH servers"));
            let ids = moto.wait_ready().and_then(|()| vpc::make(&moto, &plan, options).context("make the VPC"));
            (servers.join().map_err(|_| anyhow::anyhow!("starting the SSH servers panicked")).flatten(), ids)
        });
        let (servers, (ids, deployed)) = (servers?, ids?);
        let ids = Arc::new(ids);
        for nat in Nat::BOTH {
            fabric.readdress(nat, &ids.nat(nat).mac)?;
        }
        let api = Api::new(&moto, &fabric, &ids, options)?;
        let services = Some(Services::start(&plan, &ids, &api)?);
        let description = Description { plan: Plan::clone(&plan), ids: Ids::clone(&ids) };
        fs::write(plan.root.join("lab.json"), serde_json::to_string_pretty(&description)?)?;
        let traffic = Traffic::new(&plan);
        let injector = Arc::new(Injector {
            plan: Arc::clone(&plan),
            fabric,
            api,
            moto,
            ids,
            servers,
            active: Mutex::default(),
            slow: Mutex::default(),
        });
        let reply = options.reply;
        let lab = Self { traffic, services, injector, children, plan, keeper, reply, deployed, _runtime: runtime };
        lab.configure(&[])?;
        if options.traffic {
            lab.traffic.start()?;
            // Milliseconds, unless the fabric is broken.
            lab.traffic.wait_flowing(Duration::from_secs(5)).context("the new lab carries no packets")?;
        }
        Ok(lab)
    }

    /// Hosts, addresses, paths.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// EC2's names of everything.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.injector.ids
    }

    /// What came of the stack, in a lab whose NATs were made by one.
    ///
    /// # Errors
    /// In another lab.
    pub fn deployed(&self) -> anyhow::Result<&Deployed> {
        self.deployed.as_ref().context("this lab was not made from a template")
    }

    /// Makes another pair in the VPC of a lab that was made from a template; no host of the lab's plays it.
    ///
    /// # Errors
    /// When the stack does not come to be.
    pub fn deploy(&self, name: &str, stack: &Stack) -> anyhow::Result<Deployed> {
        let ids = self.ids();
        let network = Network { vpc: &ids.vpc, public: &ids.public_subnet, private: &ids.subnets };
        stack::deploy(&self.plan, name, stack, &network)
    }

    /// The API's layer: its log, faults and latencies.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.injector.api
    }

    /// The measuring flows.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// A record of the pings that arrive at the targets from now on.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn pings(&self) -> anyhow::Result<Pings> {
        Pings::listen(&self.plan)
    }

    /// Gives the standby names of its own in its hosts file, in place of those given before: `("one.example", "203.0.113.1")`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn name(&self, names: &[(&str, &str)]) -> anyhow::Result<()> {
        accounts::name(self.plan.nat(Nat::Standby)?, names)
    }

    /// One EC2 call past the layer: no latency, no fault, not logged. The fabric follows.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub fn ec2(&self, action: &str, params: &[(&str, &str)]) -> anyhow::Result<String> {
        let answer = self.injector.moto.call(action, params)?;
        self.injector.api.sync()?;
        Ok(answer)
    }

    /// The route table that private subnet `subnet` is associated with now, by EC2 itself.
    ///
    /// # Errors
    /// When it has none.
    pub fn carrier(&self, subnet: usize) -> anyhow::Result<String> {
        Ok(self.association(subnet)?.1)
    }

    /// Where the router sends that subnet's packets now.
    #[must_use]
    pub fn hop(&self, subnet: usize) -> Option<Hop> {
        self.injector.fabric.carrier(subnet)
    }

    /// Bytes that a host has received and sent by its link so far, Ethernet headers included.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn wire(&self, host: &str) -> anyhow::Result<(u64, u64)> {
        netns::bytes(&self.plan.host(host)?.ns)
    }

    /// Moves a private subnet to a route table, as an operator would; past the layer. The fabric follows.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub fn associate(&self, subnet: usize, table: &str) -> anyhow::Result<()> {
        let (association, _) = self.association(subnet)?;
        self.ec2("ReplaceRouteTableAssociation", &[("AssociationId", &association), ("RouteTableId", table)]).map(drop)
    }

    /// Association id and table of a private subnet, by EC2 itself.
    ///
    /// # Errors
    /// When it has none.
    pub fn association(&self, subnet: usize) -> anyhow::Result<(String, String)> {
        let id = &self.ids().subnets.get(subnet).with_context(|| format!("there is no private subnet {subnet}"))?.id;
        let tables = xml::tables(&self.injector.moto.call("DescribeRouteTables", &[])?)?;
        let mut all =
            tables.iter().flat_map(|table| table.associations.iter().map(|association| (association, &table.id)));
        let found =
            all.find(|((_, subnet), _)| subnet == id).with_context(|| format!("{id} is associated with no table"))?;
        Ok((found.0.0.clone(), found.1.clone()))
    }

    /// Makes a fault happen; a second time, nothing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn inject(&self, fault: &Fault) -> anyhow::Result<()> {
        self.injector.inject(fault)
    }

    /// Undoes a fault; nothing where it is not active.
    ///
    /// # Errors
    /// When it cannot be undone.
    pub fn heal(&self, fault: &Fault) -> anyhow::Result<()> {
        self.injector.heal(fault)
    }

    /// Undoes all active faults, the latest first.
    ///
    /// # Errors
    /// When one cannot be undone; the others before it are.
    pub fn heal_all(&self) -> anyhow::Result<()> {
        self.faults().iter().rev().try_for_each(|fault| self.heal(fault))
    }

    /// The active faults, in order of injection.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.injector.active()
    }

    /// Runs natwatch on the standby to its end, at most 120 s: as its user, with a clean environment, without a terminal.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn natwatch(&self, args: &[&str]) -> anyhow::Result<Run> {
        self.command(args).run()
    }

    /// natwatch likewise, to be varied before it is run or spawned.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Invocation {
        Invocation::natwatch(&self.plan, Some(self.keeper.clone()), args)
    }

    /// Any program on any host, as root.
    #[must_use]
    pub fn program(&self, host: &str, program: &str, args: &[&str]) -> Invocation {
        Invocation::program(&self.plan, Some(self.keeper.clone()), host, Path::new(program), args)
    }

    /// natwatch's configuration for this lab, unchanged.
    #[must_use]
    pub fn config(&self) -> String {
        config::render(&self.plan, self.ids(), self.reply, &[])
    }

    /// Writes the configuration natwatch will use, with keys changed, and gives its path: `("decision.threshold", "2")`.
    /// Values are TOML; an empty one removes the key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, changes: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        self.write_config(&config::render(&self.plan, self.ids(), self.reply, changes))
    }

    /// Writes any text as natwatch's configuration, and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.plan.config();
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
        chown(&path, Some(0), Some(UID))?;
        Ok(path)
    }

    /// Empties natwatch's state folder.
    ///
    /// # Errors
    /// When it cannot be emptied.
    pub fn reset_state(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.plan.state())?;
        make_own(&self.plan.state())
    }

    /// The `authorized_keys` of backend `n`, to be read or rewritten; sshd reads it at each login.
    ///
    /// # Errors
    /// When there is no such backend.
    pub fn authorized_keys(&self, n: usize) -> anyhow::Result<PathBuf> {
        Ok(sshd::folder(&self.plan, self.plan.host(&format!("b{n}"))?).join("authorized_keys"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.traffic.stop();
        drop(self.services.take());
        // What cannot be killed now is swept by the next lab.
        if netns::evict(&self.plan.namespaces()).is_ok() {
            for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                let _ = child.wait();
            }
            self.injector.servers.reap();
        }
    }
}

fn make_folders(plan: &Plan, options: &Options) -> anyhow::Result<()> {
    for folder in ["etc", "bin", "ssh"] {
        fs::create_dir(plan.root.join(folder))?;
    }
    make_own(&plan.root.join("home"))?;
    make_own(&plan.state())?;
    if !options.natwatch.as_os_str().is_empty() {
        let from = &options.natwatch;
        fs::copy(from, plan.binary()).with_context(|| format!("copy the binary under test, {}", from.display()))?;
        fs::set_permissions(plan.binary(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// A folder of the lab's user.
fn make_own(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o750))?;
    Ok(chown(folder, Some(UID), Some(UID))?)
}
