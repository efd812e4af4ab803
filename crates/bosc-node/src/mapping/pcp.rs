//! Messages of PCP (RFC 6887, sections 7 and 11) and NAT-PMP (RFC 6886, section 3), and asking with them.
//!
//! Both are spoken to port 5351 of the router. PCP is asked first; a router that only knows NAT-PMP answers that it does not know
//! the version, or not at all.

use super::kinds::{MappedBy, Mapping, Undo, random};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

const PORT: u16 = 5351;
/// Waits for an answer, one after another: routers answer in milliseconds.
const WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];
const UDP: u8 = 17;
const PCP_VERSION: u8 = 2;
const MAP: u8 = 1;
const RESPONSE: u8 = 0x80;
/// Longest answer that is read; PCP's own bound.
const MAX: usize = 1100;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer<T> {
    /// It is one, and says so.
    Ok(T),
    /// It says no, or that it does not speak this.
    No,
    /// Not an answer to us: as if nothing had come.
    Other,
}

fn request(local: Ipv4Addr, port: u16, wanted: u16, nonce: &[u8; 12], lease: Duration) -> Vec<u8> {
    let mut out = vec![PCP_VERSION, MAP, 0, 0];
    out.extend_from_slice(&u32::try_from(lease.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&local.to_ipv6_mapped().octets());
    out.extend_from_slice(nonce);
    out.extend_from_slice(&[UDP, 0, 0, 0]);
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&wanted.to_be_bytes());
    out.extend_from_slice(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    out
}

/// Lease and external address.
fn answer(bytes: &[u8], port: u16, nonce: &[u8; 12]) -> Answer<(Duration, SocketAddrV4)> {
    let [version, op, _, result, lease @ ..] = bytes else { return Answer::Other };
    if op & RESPONSE == 0 {
        return Answer::Other;
    }
    // A router of NAT-PMP answers in its own version.
    if *version != PCP_VERSION || *result != 0 {
        return if op & !RESPONSE == MAP || *version != PCP_VERSION { Answer::No } else { Answer::Other };
    }
    let Some((lease, rest)) = lease.split_first_chunk::<4>() else { return Answer::Other };
    // Epoch and reserved bytes, then what MAP has of its own.
    let Some(map) = rest.get(16..52) else { return Answer::Other };
    let (Some(to), Some(protocol)) = (map.first_chunk::<12>(), map.get(12)) else { return Answer::Other };
    let number = |at: usize| map.get(at..at + 2).and_then(|b| Some(u16::from_be_bytes(b.try_into().ok()?)));
    let (Some(inside), Some(outside)) = (number(16), number(18)) else { return Answer::Other };
    if op & !RESPONSE != MAP || to != nonce || *protocol != UDP || inside != port {
        return Answer::Other;
    }
    let address = map.get(20..36).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(std::net::Ipv6Addr::from);
    match address.and_then(|a| a.to_ipv4_mapped()) {
        Some(ip) => {
            let lease = Duration::from_secs(u64::from(u32::from_be_bytes(*lease)));
            Answer::Ok((lease, SocketAddrV4::new(ip, outside)))
        }
        None => Answer::No,
    }
}

/// NAT-PMP's answer to "which address do you have outside?".
fn external_address(bytes: &[u8]) -> Answer<Ipv4Addr> {
    match bytes {
        [0, RESPONSE, 0, 0, _, _, _, _, a, b, c, d, ..] => Answer::Ok(Ipv4Addr::new(*a, *b, *c, *d)),
        [0, RESPONSE, ..] => Answer::No,
        _ => Answer::Other,
    }
}

/// NAT-PMP's answer to a request for a UDP port: lease and port outside.
fn mapped_port(bytes: &[u8], port: u16) -> Answer<(Duration, u16)> {
    const UDP_ANSWER: u8 = RESPONSE + 1;
    match bytes {
        [0, UDP_ANSWER, 0, 0, _, _, _, _, i, n, o, u, l @ ..] => {
            let (inside, outside) = (u16::from_be_bytes([*i, *n]), u16::from_be_bytes([*o, *u]));
            match l.first_chunk::<4>() {
                Some(lease) if inside == port => {
                    Answer::Ok((Duration::from_secs(u64::from(u32::from_be_bytes(*lease))), outside))
                }
                _ => Answer::Other,
            }
        }
        [0, UDP_ANSWER, ..] => Answer::No,
        _ => Answer::Other,
    }
}

/// Sends a request to the router until it is answered; nothing when it says no, or does not answer in time.
fn ask<T>(gateway: Ipv4Addr, request: &[u8], by: Instant, read: impl Fn(&[u8]) -> Answer<T>) -> Option<T> {
    ask_at(SocketAddrV4::new(gateway, PORT), request, by, read)
}

fn ask_at<T>(to: SocketAddrV4, request: &[u8], by: Instant, read: impl Fn(&[u8]) -> Answer<T>) -> Option<T> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Takes answers from nobody else.
    socket.connect(to).ok()?;
    let mut bytes = [0; MAX];
    for wait in WAITS {
        socket.send(request).ok()?;
        let until = (Instant::now() + wait).min(by);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left)).ok()?;
            let Ok(len) = socket.recv(&mut bytes) else {
                // A refusal of the router comes as an error, at once: nobody listens there.
                if Instant::now() < until {
                    return None;
                }
                break;
            };
            match read(bytes.get(..len).unwrap_or_default()) {
                Answer::Ok(value) => return Some(value),
                Answer::No => return None,
                Answer::Other => {}
            }
        }
    }
    None
}

/// Asks by PCP; `lease` zero takes the mapping back.
pub(super) fn map(
    gateway: Ipv4Addr,
    local: Ipv4Addr,
    port: u16,
    wanted: u16,
    nonce: Option<[u8; 12]>,
    lease: Duration,
    by: Instant,
) -> Option<Mapping> {
    let nonce = nonce.unwrap_or_else(|| {
        let mut nonce = [0; 12];
        random(&mut nonce);
        nonce
    });
    let request = request(local, port, wanted, &nonce, lease);
    let (lease, external) = ask(gateway, &request, by, |bytes| answer(bytes, port, &nonce))?;
    Some(Mapping { external, by: MappedBy::Pcp, lease, undo: Undo::Pcp { gateway, local, nonce } })
}

/// Asks by NAT-PMP; `lease` zero takes the mapping back.
pub(super) fn map_nat_pmp(
    gateway: Ipv4Addr,
    port: u16,
    wanted: u16,
    lease: Duration,
    by: Instant,
) -> Option<Mapping> {
    let ip = ask(gateway, &[0, 0], by, external_address)?;
    let mut request = vec![0, 1, 0, 0];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&wanted.to_be_bytes());
    request.extend_from_slice(&u32::try_from(lease.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    let (lease, outside) = ask(gateway, &request, by, |bytes| mapped_port(bytes, port))?;
    let external = SocketAddrV4::new(ip, outside);
    Some(Mapping { external, by: MappedBy::NatPmp, lease, undo: Undo::NatPmp { gateway } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
    const NONCE: [u8; 12] = [7; 12];

    /// As a router of RFC 6887 answers.
    fn good() -> Vec<u8> {
        let mut out = vec![2, 0x81, 0, 0, 0, 0, 0, 120, 0, 0, 0, 9];
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&NONCE);
        out.extend_from_slice(&[17, 0, 0, 0, 0x10, 0x01, 0x20, 0x02]);
        out.extend_from_slice(&Ipv4Addr::new(5, 9, 0, 7).to_ipv6_mapped().octets());
        out
    }

    #[test]
    fn a_request_is_as_the_rfc_has_it() {
        let r = request(LOCAL, 0x1001, 0x2002, &NONCE, Duration::from_secs(3600));
        assert_eq!(r.len(), 60);
        assert_eq!(r[..8], [2, 1, 0, 0, 0, 0, 14, 16]);
        assert_eq!(r[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 2]);
        assert_eq!(r[24..36], NONCE);
        assert_eq!(r[36..44], [17, 0, 0, 0, 0x10, 0x01, 0x20, 0x02]);
        assert_eq!(r[44..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    }

    #[test]
    fn an_answer_counts_only_if_it_is_to_our_request() {
        let external = SocketAddrV4::new(Ipv4Addr::new(5, 9, 0, 7), 0x2002);
        assert_eq!(answer(&good(), 0x1001, &NONCE), Answer::Ok((Duration::from_secs(120), external)));
        assert_eq!(answer(&good(), 0x1002, &NONCE), Answer::Other, "another port");
        assert_eq!(answer(&good(), 0x1001, &[8; 12]), Answer::Other, "another nonce");
        let mut refused = good();
        refused[3] = 2;
        assert_eq!(answer(&refused, 0x1001, &NONCE), Answer::No);
        assert_eq!(answer(&[0, 0x81, 0, 1, 0, 0, 0, 0], 0x1001, &NONCE), Answer::No, "of NAT-PMP");
        for end in 0..good().len() {
            assert_eq!(answer(&good()[..end], 0x1001, &NONCE), Answer::Other, "{end}");
        }
    }

    #[test]
    fn nat_pmp_answers_are_read() {
        assert_eq!(
            external_address(&[0, 128, 0, 0, 0, 0, 0, 1, 5, 9, 0, 7]),
            Answer::Ok(Ipv4Addr::new(5, 9, 0, 7))
        );
        assert_eq!(external_address(&[0, 128, 0, 3, 0, 0, 0, 1]), Answer::No);
        assert_eq!(external_address(&[0, 128]), Answer::No);
        assert_eq!(external_address(&[1]), Answer::Other);
        let mapped = [0, 129, 0, 0, 0, 0, 0, 1, 0x10, 0x01, 0x20, 0x02, 0, 0, 0, 60];
        assert_eq!(mapped_port(&mapped, 0x1001), Answer::Ok((Duration::from_secs(60), 0x2002)));
        assert_eq!(mapped_port(&mapped, 0x1002), Answer::Other);
        assert_eq!(mapped_port(&mapped[..14], 0x1001), Answer::Other);
        assert_eq!(mapped_port(&[0, 129, 0, 2], 0x1001), Answer::No);
    }

    #[test]
    fn a_router_that_talks_without_end_and_says_nothing_is_given_up_in_time() {
        let router = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = match router.local_addr().unwrap() {
            std::net::SocketAddr::V4(at) => at,
            std::net::SocketAddr::V6(_) => unreachable!(),
        };
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stop = std::sync::Arc::clone(&done);
        let talks = std::thread::spawn(move || {
            let mut bytes = [0; 100];
            let (_, from) = router.recv_from(&mut bytes).unwrap();
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let _ = router.send_to(&[2, 0x81, 0, 0, 9], from);
            }
        });
        let start = Instant::now();
        let none: Option<()> = ask_at(at, &[1], start + Duration::from_secs(60), |_| Answer::Other);
        assert_eq!(none, None);
        assert!(start.elapsed() >= WAITS.iter().sum::<Duration>());
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        talks.join().unwrap();
    }
}
