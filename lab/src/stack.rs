//! Makes the pair of NATs from a `CloudFormation` template, by moto's `CloudFormation`, in the place of the lab's own calls.
//!
//! It knows which parameters say where the pair belongs and which outputs name it, and nothing else of the template.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::moto::PORT;
use crate::plan::{Plan, REGION};
use crate::vpc::{SubnetIds, VPC};
use crate::{netns, setup, shell};

/// moto's server, taught to make a stack's instances as EC2 does.
pub(crate) const SERVER: &str = include_str!("stack/server.py");

const DEPLOY: &str = include_str!("stack/deploy.py");

/// A template that makes a pair of NATs, and what it is given.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The template's file.
    pub template: PathBuf,
    /// Its parameters, but for those that the lab gives: `VpcId`, `VpcCidr`, `PrimarySubnet`, `StandbySubnet`, `GuardedSubnets`.
    pub parameters: BTreeMap<String, String>,
}

/// Where a stack is put.
pub(crate) struct Network<'i> {
    pub(crate) vpc: &'i str,
    pub(crate) public: &'i str,
    pub(crate) private: &'i [SubnetIds],
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    /// By their names.
    pub outputs: BTreeMap<String, String>,
    /// Physical ids by logical ones, of all that moto has made.
    pub resources: BTreeMap<String, String>,
    /// Each instance's user data, decoded, by its logical id.
    pub user_data: BTreeMap<String, String>,
    /// Each role's policies, by its logical id.
    pub policies: BTreeMap<String, Vec<Value>>,
}

impl Deployed {
    /// The output of that name.
    ///
    /// # Errors
    /// When the template has none.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output {name}"))
    }
}

/// The stack that makes a lab.
pub(crate) const NAME: &str = "natwatch";

/// Creates the stack in this VPC.
pub(crate) fn deploy(plan: &Plan, name: &str, stack: &Stack, network: &Network<'_>) -> anyhow::Result<Deployed> {
    let subnets: Vec<&str> = network.private.iter().map(|subnet| subnet.id.as_str()).collect();
    let ours = [
        ("VpcId", network.vpc.to_owned()),
        ("VpcCidr", VPC.to_owned()),
        ("PrimarySubnet", network.public.to_owned()),
        ("StandbySubnet", network.public.to_owned()),
        ("GuardedSubnets", subnets.join(",")),
    ];
    let mut parameters = stack.parameters.clone();
    parameters.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    let asked = json!({
        "endpoint": format!("http://127.0.0.1:{PORT}"), "region": REGION, "name": name,
        "template": stack.template, "parameters": parameters,
    });
    let mut python = netns::exec(&plan.internet()?.ns);
    python
        .arg(setup::venv().join("bin/python"))
        .args(["-c", DEPLOY])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", &plan.root);
    let told = shell::run(&mut python, &asked.to_string()).context("make the stack; see moto.log")?;
    serde_json::from_str(&told).context("understand what came of the stack")
}
