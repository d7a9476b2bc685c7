//! What is told of a running lab to other processes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::natwatch::Invocation;
use crate::plan::{Plan, RUNTIME};
use crate::vpc::Ids;

/// What a second terminal must know of a running lab; kept as `lab.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Hosts and addresses.
    pub plan: Plan,
    /// EC2's names.
    pub ids: Ids,
}

impl Description {
    /// Reads that of the lab named `id`.
    ///
    /// # Errors
    /// When there is no such lab.
    pub fn read(id: &str) -> anyhow::Result<Self> {
        let path = Path::new(RUNTIME).join(id).join("lab.json");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))
    }

    /// natwatch on this lab's standby.
    #[must_use]
    pub fn natwatch(&self, args: &[&str]) -> Invocation {
        Invocation::natwatch(&Arc::new(self.plan.clone()), None, args)
    }

    /// A program on one of this lab's hosts, as root.
    #[must_use]
    pub fn program(&self, host: &str, program: &str, args: &[&str]) -> Invocation {
        Invocation::program(&Arc::new(self.plan.clone()), None, host, Path::new(program), args)
    }
}
