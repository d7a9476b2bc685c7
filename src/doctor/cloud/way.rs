//! How this machine reaches EC2: where calls go, what that name leads to, and over which route of the kernel's.
//!
//! Nothing is sent but a question to the resolver. The kernel's choice is seen by connecting a UDP socket, which sends nothing (`udp(7)`:
//! it sets the default destination, and by that the local address), and by its routing table, `/proc/net/route` (`proc(5)`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::{Account, Endpoint};

/// The resolver of a VPC answers in milliseconds; one that has to be asked again does so after five seconds, which is too long for a takeover.
const RESOLVER: Duration = Duration::from_secs(2);

/// The way to EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Where calls go.
    pub(super) endpoint: Result<Endpoint, String>,
    /// The addresses of that name.
    pub(super) addresses: Result<Vec<IpAddr>, String>,
    /// Our own address on the way to the first of them.
    pub(super) from: Option<IpAddr>,
    /// The next hop by the kernel's main table, IPv4 only; `None`: on the link, or not told.
    pub(super) gateway: Option<Ipv4Addr>,
}

pub(super) async fn find(cloud: &impl Account) -> Way {
    let endpoint = cloud.endpoint().await;
    let addresses = match &endpoint {
        Ok(endpoint) => resolve(endpoint).await,
        Err(why) => Err(why.clone()),
    };
    let first = addresses.as_ref().ok().and_then(|all| all.first().copied());
    let from = match first {
        Some(to) => local(to).await,
        None => None,
    };
    let table = tokio::fs::read_to_string("/proc/net/route").await.unwrap_or_default();
    let gateway = match first {
        Some(IpAddr::V4(to)) => next_hop(&table, to),
        _ => None,
    };
    Way { endpoint, addresses, from, gateway }
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<IpAddr>, String> {
    let host = &endpoint.host;
    match timeout(RESOLVER, lookup_host((host.as_str(), endpoint.port))).await {
        Ok(Ok(found)) => Ok(found.map(|one| one.ip()).collect()),
        Ok(Err(error)) => Err(format!("{host} does not resolve: {error}")),
        Err(_) => Err(format!("{host} did not resolve within {} s", RESOLVER.as_secs())),
    }
}

/// The address that packets to `to` leave with.
async fn local(to: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match to {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect((to, 443)).await.ok()?;
    socket.local_addr().ok().map(|addr| addr.ip())
}

/// The gateway of the longest prefix that fits, of equal ones that with the lowest metric, by `/proc/net/route`: addresses there are hexadecimal,
/// in the machine's byte order.
fn next_hop(table: &str, to: Ipv4Addr) -> Option<Ipv4Addr> {
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|raw| Ipv4Addr::from(raw.to_ne_bytes()));
    let routes = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = words.as_slice() else { return None };
        let up = u32::from_str_radix(flags, 16).ok()? & 1 == 1;
        let (destination, mask) = (address(destination)?, address(mask)?);
        let fits = to.to_bits() & mask.to_bits() == destination.to_bits();
        let metric: u32 = metric.parse().ok()?;
        (up && fits).then_some((mask.to_bits().count_ones(), std::cmp::Reverse(metric), address(gateway)?))
    });
    routes.max().map(|(.., gateway)| gateway).filter(|gateway| !gateway.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `/proc/net/route` has it; addresses are turned to the machine's byte order.
    fn table(routes: &[(&str, &str, &str, u32)]) -> String {
        let hex = |text: &str| format!("{:08X}", u32::from_ne_bytes(text.parse::<Ipv4Addr>().unwrap().octets()));
        let lines = routes.iter().map(|(destination, gateway, mask, metric)| {
            format!("eth0\t{}\t{}\t0003\t0\t0\t{metric}\t{}\t0\t0\t0\n", hex(destination), hex(gateway), hex(mask))
        });
        std::iter::once("Iface\tDestination\n".to_owned()).chain(lines).collect()
    }

    #[test]
    fn f003_the_kernels_next_hop_is_that_of_the_longest_prefix() {
        let routes = table(&[
            ("0.0.0.0", "10.0.0.1", "0.0.0.0", 100),
            ("0.0.0.0", "10.0.0.2", "0.0.0.0", 50),
            ("10.0.0.0", "0.0.0.0", "255.255.255.0", 0),
            ("203.0.113.0", "10.0.0.10", "255.255.255.0", 500),
        ]);
        for (to, expected) in [("8.8.8.8", Some("10.0.0.2")), ("10.0.0.7", None), ("203.0.113.200", Some("10.0.0.10"))]
        {
            assert_eq!(next_hop(&routes, to.parse().unwrap()), expected.map(|text| text.parse().unwrap()), "{to}");
        }
        assert_eq!(next_hop("", "8.8.8.8".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn our_own_address_on_the_way_is_known_without_a_packet() {
        assert_eq!(local("127.0.0.1".parse().unwrap()).await, Some("127.0.0.1".parse().unwrap()));
    }
}
