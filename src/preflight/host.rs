//! This machine: who it is, how long it has been up, whether it forwards and masquerades.
//!
//! It reads the kernel and, for the masquerade rule, what `nft` and `iptables-save` print; where it may not, it goes by what it was told that root
//! saw. It changes nothing, not even by
//! having a kernel module loaded. Every outside command is bounded in time and output, run by its absolute path and with
//! an empty environment.

mod masquerade;

use std::future::Future;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Host;
use crate::model::cloud::{Masquerade, Sighting};
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
    told: Option<Result<Sighting, String>>,
}

impl<'a, I: Identity> LocalHost<'a, I> {
    /// This machine, with `imds` to say which instance it is.
    pub const fn new(imds: &'a I) -> Self {
        Self { imds, told: None }
    }

    /// With what somebody who may see more saw in this boot, or why nothing is known of that.
    #[must_use]
    pub fn told(self, told: Result<Sighting, String>) -> Self {
        Self { told: Some(told), ..self }
    }
}

/// Whether something masquerades, as far as this process may see.
pub async fn masquerade() -> Masquerade {
    // It waits for a child process, and rounds are running beside it.
    tokio::task::spawn_blocking(masquerade::read)
        .await
        .unwrap_or_else(|_| Masquerade::Unknown("the reading was ended".to_owned()))
}

/// What we see ourselves counts; what we may not see is as we were told.
fn combine(seen: Masquerade, told: Option<&Result<Sighting, String>>) -> Masquerade {
    match (seen, told) {
        (Masquerade::Unknown(_), Some(Ok(told))) => Masquerade::Told(*told),
        (Masquerade::Unknown(why), Some(Err(nothing))) => Masquerade::Unknown(format!("{why}; {nothing}")),
        (seen, _) => seen,
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
        flag(&text).ok_or_else(|| format!("{path} holds \"{}\", not a number", crate::model::printable(&text, 40)))
    }

    async fn masquerade(&self) -> Masquerade {
        combine(masquerade().await, self.told.as_ref())
    }
}

/// 0 is off; `forwarding` may be 2, which is on.
fn flag(text: &str) -> Option<bool> {
    text.trim().parse::<u32>().ok().map(|value| value != 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Host, Identity, InstanceId, LocalHost, Masquerade, Sighting, combine, flag};
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
    fn f010_what_root_saw_counts_for_who_may_not_look_and_for_nobody_else() {
        let unknown = || Masquerade::Unknown("takes root".to_owned());
        for masquerade in [true, false] {
            let told = Sighting { masquerade, ago: Duration::from_mins(1) };
            assert_eq!(combine(unknown(), Some(&Ok(told))), Masquerade::Told(told));
            assert_eq!(combine(Masquerade::Present, Some(&Ok(told))), Masquerade::Present);
            assert_eq!(combine(Masquerade::Absent, Some(&Ok(told))), Masquerade::Absent);
        }
        let nothing = Err("facts.json is of another boot".to_owned());
        let why = "takes root; facts.json is of another boot".to_owned();
        assert_eq!(combine(unknown(), Some(&nothing)), Masquerade::Unknown(why));
        assert_eq!(combine(unknown(), None), unknown());
    }

    #[tokio::test]
    async fn this_machine_can_be_read() {
        let host = LocalHost::new(&Known);
        assert!(host.uptime().unwrap() > std::time::Duration::ZERO);
        assert!(host.forwards(Family::V4).is_ok());
        let _ = host.masquerade().await;
    }
}
