//! Which addresses can be reached from where (npm `bogon`, and `matchAddress` of `hyperdht/lib/holepuncher.js`).

use std::net::{Ipv4Addr, SocketAddrV4};

/// Addresses of local networks, carriers' NATs and loopback.
pub(super) fn is_private(ip: &Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
}

/// Addresses nobody has.
pub(super) fn is_reserved(ip: &Ipv4Addr) -> bool {
    matches!(
        ip.octets(),
        [0 | 224..=255, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _]
    )
}

/// Addresses that mean nothing in the public network.
pub(super) fn is_bogon(ip: &Ipv4Addr) -> bool {
    is_private(ip) || is_reserved(ip)
}

/// Whether an address is one of the public network: neither private nor reserved.
pub fn is_public(ip: Ipv4Addr) -> bool {
    !is_bogon(&ip)
}

/// The address of theirs that shares the longest prefix, in whole octets, with one of ours; at least one octet.
pub(super) fn match_address(ours: &[SocketAddrV4], theirs: &[SocketAddrV4]) -> Option<SocketAddrV4> {
    let shared = |x: &SocketAddrV4, y: &SocketAddrV4| {
        x.ip().octets().iter().zip(y.ip().octets().iter()).take(3).take_while(|(a, b)| a == b).count()
    };
    let mut best = None;
    let mut best_len = 0;
    for our in ours {
        for their in theirs {
            let len = shared(our, their);
            if len > best_len {
                (best, best_len) = (Some(*their), len);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn classes_are_those_of_bogon() {
        for p in [
            "10.1.2.3",
            "100.64.0.1",
            "100.127.9.9",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.0.1",
            "192.168.9.9",
        ] {
            assert!(is_private(&ip(p)) && is_bogon(&ip(p)) && !is_reserved(&ip(p)), "{p}");
        }
        for r in [
            "0.1.2.3",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.1.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(is_reserved(&ip(r)) && is_bogon(&ip(r)) && !is_private(&ip(r)), "{r}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "203.0.112.1",
        ] {
            assert!(!is_bogon(&ip(public)), "{public}");
        }
    }

    #[test]
    fn the_closest_local_address_is_chosen() {
        let at = |s: &str| SocketAddrV4::new(ip(s), 1);
        let theirs = [at("10.0.0.9"), at("192.168.7.7"), at("192.168.122.1")];
        assert_eq!(match_address(&[at("192.168.122.238")], &theirs), Some(at("192.168.122.1")));
        assert_eq!(match_address(&[at("192.168.1.1")], &theirs), Some(at("192.168.7.7")));
        assert_eq!(match_address(&[at("10.9.9.9")], &theirs), Some(at("10.0.0.9")));
        assert_eq!(match_address(&[at("172.16.0.1")], &theirs), None);
        assert_eq!(match_address(&[], &theirs), None);
    }
}
