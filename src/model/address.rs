//! What kind of address an address is.

use std::net::IpAddr;

/// Why `addr` is nobody's address in a private subnet or on the internet, where it is not.
#[must_use]
pub fn special(addr: IpAddr) -> Option<&'static str> {
    match addr {
        _ if addr.is_loopback() => Some("a loopback address"),
        _ if addr.is_unspecified() => Some("the unspecified address"),
        _ if addr.is_multicast() => Some("a multicast address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => Some("a reserved address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        // fe00::/9: never assigned, but Ubuntu's hosts file has `fe00::0 ip6-localnet`.
        IpAddr::V6(v6) if v6.segments()[0] & 0xff80 == 0xfe00 => Some("a reserved address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address in IPv6's clothes"),
        _ => None,
    }
}

/// Whether `addr` is reached without the NAT: private, shared (RFC 6598) or unique local.
#[must_use]
pub fn private(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}
