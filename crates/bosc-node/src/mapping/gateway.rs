//! Where the router is.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// Largest routing table that is read, in bytes.
#[cfg(target_os = "linux")]
const MAX_ROUTES: u64 = 1 << 20;

/// The default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gateway {
    /// The router's address in our network.
    pub(super) router: Ipv4Addr,
    /// Our address there.
    pub(super) local: Ipv4Addr,
}

/// Finds it; none without a default route. Where the system does not tell it without more (all but Linux), it is taken for the first
/// address of our /24, as home routers are: nobody else is there, or answers.
pub(super) fn find() -> Option<Gateway> {
    let local = local_toward(Ipv4Addr::new(192, 0, 2, 1))?;
    // A machine with a public address needs no mapping.
    if bosc_dht::is_public(local) || local.is_loopback() {
        return None;
    }
    let [a, b, c, _] = local.octets();
    let router = default_route().unwrap_or(Ipv4Addr::new(a, b, c, 1));
    // On a network of several routes ours is the address that the router sees.
    let local = local_toward(router)?;
    (router != local).then_some(Gateway { router, local })
}

/// Our address toward a place. Connecting a UDP socket only asks the routing table.
fn local_toward(place: Ipv4Addr) -> Option<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    probe.connect(SocketAddrV4::new(place, 9)).ok()?;
    match probe.local_addr() {
        Ok(SocketAddr::V4(local)) if !local.ip().is_unspecified() => Some(*local.ip()),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn default_route() -> Option<Ipv4Addr> {
    use std::io::Read;
    let mut text = String::new();
    let table = std::fs::File::open("/proc/net/route").ok()?;
    table.take(MAX_ROUTES).read_to_string(&mut text).ok()?;
    parse_routes(&text)
}

#[cfg(not(target_os = "linux"))]
fn default_route() -> Option<Ipv4Addr> {
    None
}

/// The gateway of the default route with the least metric, from Linux' `/proc/net/route`: addresses in hex, in the machine's order of bytes.
#[cfg(any(target_os = "linux", test))]
fn parse_routes(text: &str) -> Option<Ipv4Addr> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, _, _, _, metric, mask, ..] = fields[..] else { return None };
        let hex = |text| u32::from_str_radix(text, 16).ok();
        let default = hex(destination)? == 0 && hex(mask)? == 0 && hex(gateway)? != 0;
        default.then_some((metric.parse::<u32>().ok()?, Ipv4Addr::from(hex(gateway)?.to_ne_bytes())))
    };
    text.lines().skip(1).filter_map(route).min_by_key(|(metric, _)| *metric).map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_with_the_least_metric_is_taken() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let wifi = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        let wire = "eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let net = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(parse_routes(&[head, wifi, wire, net].concat()), Some(Ipv4Addr::new(192, 168, 1, 254)));
        assert_eq!(parse_routes(&[head, wifi].concat()), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(parse_routes(&[head, net].concat()), None);
        assert_eq!(parse_routes("a b c\n\n0 x y"), None);
    }
}
