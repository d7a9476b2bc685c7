//! This machine: who it is, how long it has been up, whether it forwards and masquerades.
//!
//! It reads the kernel and, for the masquerade rule, what `nft` and `iptables-save` print. It changes nothing, not even by
//! having a kernel module loaded. Every outside command is bounded in time and output, run by its absolute path and with
//! an empty environment.

mod masquerade;

use std::future::Future;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Host;
use crate::model::cloud::Masquerade;
use crate::model::{Family, InstanceId};

/// Who can tell which instance this is: the instance metadata service.
pub trait Identity {
    /// The id of this instance. The error is one line with its remedy.
    fn instance(&self) -> impl Future<Output = Result<InstanceId, String>>;
}

/// The machine that this runs on.
#[derive(Debug)]
pub struct LocalHost<'a, I> {
    imds: &'a I,
}

impl<'a, I: Identity> LocalHost<'a, I> {
    /// This machine, with `imds` to say which instance it is.
    pub const fn new(imds: &'a I) -> Self {
        Self { imds }
    }
}

impl<I: Identity> Host for LocalHost<'_, I> {
    async fn instance(&self) -> Result<InstanceId, String> {
        self.imds.instance().await
    }

    fn uptime(&self) -> Result<Duration, String> {
        // CLOCK_BOOTTIME and not /proc/uptime: it is there under ProcSubset=pid too.
        let up = clock_gettime(ClockId::Boottime);
        Duration::try_from(up).map_err(|_| "the kernel's boot clock (CLOCK_BOOTTIME) is before boot".to_owned())
    }

    fn forwards(&self, family: Family) -> Result<bool, String> {
        let path = match family {
            Family::V4 => "/proc/sys/net/ipv4/ip_forward",
            Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
        };
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
        flag(&text).ok_or_else(|| format!("{path} holds {:?}, not a number", crate::model::printable(&text, 40)))
    }

    fn masquerade(&self) -> Masquerade {
        masquerade::read()
    }
}

/// 0 is off; `forwarding` may be 2, which is on.
fn flag(text: &str) -> Option<bool> {
    text.trim().parse::<u32>().ok().map(|value| value != 0)
}

#[cfg(test)]
mod tests {
    use super::{Host, Identity, InstanceId, LocalHost, flag};
    use crate::model::Family;

    struct Known;

    impl Identity for Known {
        async fn instance(&self) -> Result<InstanceId, String> {
            Ok("i-0b".parse().unwrap())
        }
    }

    #[test]
    fn sysctls_are_numbers() {
        assert_eq!((flag("1\n"), flag("0\n"), flag("2"), flag("")), (Some(true), Some(false), Some(true), None));
    }

    #[test]
    fn this_machine_can_be_read() {
        let host = LocalHost::new(&Known);
        assert!(host.uptime().unwrap() > std::time::Duration::ZERO);
        assert!(host.forwards(Family::V4).is_ok());
        host.masquerade();
    }
}
