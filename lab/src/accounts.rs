//! `/etc` as each namespace sees it: `ip netns exec` puts the files of `/etc/netns/NAME` over the host's.
//!
//! So the lab's user exists inside the lab only, and the host's accounts are never touched.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::plan::{API, Host, Nat, Plan, REGION};

/// The lab's user: logs in on the backends, runs natwatch on the standby.
pub const USER: &str = "natwatch";
/// Its user and group id.
pub const UID: u32 = 4242;
/// What follows this line in a `hosts` file was given by [`name`].
const OWN_NAMES: &str = "# names of a test's own\n";

/// Writes hosts, passwd, shadow and group for every host, and the list of backends for natwatch.
pub(crate) fn write(plan: &Plan) -> anyhow::Result<()> {
    let mut backends = String::new();
    for host in plan.backends() {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(backends, "{}\t{}", host.address, host.name);
    }
    fs::write(plan.hosts_file(), &backends)?;
    let mut hosts = format!("127.0.0.1\tlocalhost\n{API}\tec2.{REGION}.amazonaws.com\n{backends}");
    for nat in Nat::BOTH {
        let _ = writeln!(hosts, "{}\t{}", nat.address(), nat.host());
    }
    let root = plan.root.display();
    let passwd = amended("passwd", USER, &format!("{USER}:x:{UID}:{UID}:natwatch:{root}/home:/bin/sh"))?;
    // `*`: no password fits, yet the account is not locked (`!`), which sshd would refuse even with a key.
    let shadow = amended("shadow", USER, &format!("{USER}:*:19000:0:99999:7:::"))?;
    let group = amended("group", USER, &format!("{USER}:x:{UID}:"))?;
    for host in &plan.hosts {
        let folder = Path::new("/etc/netns").join(&host.ns);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        fs::write(folder.join("hosts"), &hosts)?;
        fs::write(folder.join("passwd"), &passwd)?;
        fs::write(folder.join("group"), &group)?;
        fs::write(folder.join("shadow"), &shadow)?;
        fs::set_permissions(folder.join("shadow"), fs::Permissions::from_mode(0o600))?;
        if Path::new("/etc/resolv.conf").exists() {
            // Nobody answers there, at once: an unknown name must not wait for the host's resolver.
            fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
        }
    }
    Ok(())
}

/// Rewrites the part of a host's `hosts` that tests decide.
pub(crate) fn name(host: &Host, names: &[(&str, &str)]) -> anyhow::Result<()> {
    let path = Path::new("/etc/netns").join(&host.ns).join("hosts");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut text = text.split(OWN_NAMES).next().unwrap_or_default().to_owned();
    text.push_str(OWN_NAMES);
    for (name, address) in names {
        let _ = writeln!(text, "{address}\t{name}");
    }
    // In place and not by a new file: whoever runs already has this one mounted.
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

/// The host's file without our user's line, and with the lab's.
fn amended(file: &str, user: &str, line: &str) -> anyhow::Result<String> {
    let path = Path::new("/etc").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut lines: Vec<_> = text.lines().filter(|line| line.split(':').next() != Some(user)).collect();
    lines.push(line);
    Ok(lines.join("\n") + "\n")
}
