//! What the tools that move subnets with the AWS CLI have in common: files in a folder of the lab's, and the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use natwatch_lab::{Invocation, Lab, Nat, REGION};

/// Debian's package.
const AWS: &str = "/usr/bin/aws";

const MOVE: &str = include_str!("move.sh");

/// Fails with the remedy where a program is missing.
pub(super) fn need(program: &str) -> anyhow::Result<()> {
    anyhow::ensure!(Path::new(program).exists(), "the bench misses {program}: `lab setup --bench` installs it");
    Ok(())
}

/// A tool's folder in a lab.
pub(super) struct Scripts {
    pub(super) folder: PathBuf,
}

impl Scripts {
    /// Makes the folder with `move.sh` and the tool's own scripts in it.
    pub(super) fn install(lab: &Lab, own: &[(&str, &str)]) -> anyhow::Result<Self> {
        need(AWS)?;
        let scripts = Self { folder: lab.plan().root.join("tool") };
        fs::create_dir_all(&scripts.folder).with_context(|| format!("make {}", scripts.folder.display()))?;
        for (name, text) in [("move.sh", MOVE)].iter().chain(own) {
            scripts.write(name, text)?;
            fs::set_permissions(scripts.folder.join(name), fs::Permissions::from_mode(0o755))?;
        }
        Ok(scripts)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        fs::write(self.folder.join(name), text).with_context(|| format!("write {}", self.path(name)))
    }

    /// Makes the list of associations true.
    pub(super) fn associations(&self, lab: &Lab) -> anyhow::Result<()> {
        let all = (0..lab.ids().subnets.len()).map(|subnet| Ok(lab.association(subnet)?.0 + "\n"));
        self.write("associations", &all.collect::<anyhow::Result<String>>()?)
    }

    /// A program on a NAT, as root, with all that `move.sh` needs.
    pub(super) fn program(&self, lab: &Lab, nat: Nat, program: &str, args: &[&str]) -> Invocation {
        let plan = lab.plan();
        lab.program(nat.host(), program, args)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_CA_BUNDLE", &plan.ca().to_string_lossy())
            // Debian's knows no `AWS_ENDPOINT_URL_EC2` yet.
            .env("AWS", &format!("{AWS} --endpoint-url {}", plan.endpoint()))
            .env("ASSOCIATIONS", &self.path("associations"))
            .env("STANDBY", &lab.ids().standby.table)
            .env("MOVE", &self.path("move.sh"))
            .env("FOLDER", &self.folder.to_string_lossy())
            .env("ROLE", &nat.to_string())
    }
}
