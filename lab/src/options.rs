//! What a lab is made of. Defaults are LAB.md's: two private subnets, six backends, latencies as measured at EC2.

use std::path::PathBuf;
use std::time::Duration;

use crate::stack::Stack;

/// How many hosts, how slow the API, and which binary is under test.
#[derive(Clone, Debug)]
pub struct Options {
    /// Private subnets, 1 to 64. Subnet `s` is `10.0.<10+s>.0/24`.
    pub subnets: usize,
    /// Backends, 1 to 200, spread round robin over the subnets.
    pub backends: usize,
    /// How long the API takes for a `Describe…` call.
    pub describe_latency: Duration,
    /// How long the API takes for every other call.
    pub mutate_latency: Duration,
    /// Whether the API speaks TLS, so that handshakes cost what they cost.
    pub tls: bool,
    /// The natwatch binary under test; copied into the lab so that an unprivileged user may run it.
    /// Empty: a lab without natwatch, for trying the fabric alone.
    pub natwatch: PathBuf,
    /// Whether the measuring flows run from the start.
    pub traffic: bool,
    /// Whether everybody has IPv6 too: both NATs masquerade it, and their route tables have `::/0`.
    pub ipv6: bool,
    /// `targets.timeout`; `None`: natwatch's own. All hosts of a lab share the machine's cores with the tests beside it, so that in those a
    /// reply may be late for want of a core only.
    pub reply: Option<Duration>,
    /// The template that makes the NATs; `None`: the lab makes them. The stack's own tables then carry no subnet but those that it
    /// associates, and the private subnets have no table before.
    pub stack: Option<Stack>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            subnets: 2,
            backends: 6,
            describe_latency: Duration::from_millis(80),
            mutate_latency: Duration::from_millis(250),
            tls: true,
            natwatch: PathBuf::new(),
            traffic: true,
            ipv6: false,
            reply: Some(Duration::from_millis(300)),
            stack: None,
        }
    }
}

impl Options {
    /// Refuses sizes that the address plan has no room for.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!((1..=64).contains(&self.subnets), "subnets: {} is not within 1 to 64", self.subnets);
        anyhow::ensure!((1..=200).contains(&self.backends), "backends: {} is not within 1 to 200", self.backends);
        Ok(())
    }
}
