//! DHT nodes that answered, kept in the store: a node that is started again needs no bootstrap node.
//!
//! # Format
//!
//! A value of the store (`Store::set_user_data`, so it is replaced in one step, and a store in memory keeps nothing) under [`NAME`]:
//!
//! ```text
//! 1          version
//! 32 bytes   of which network: BLAKE2b-256 of "bosc-dht-nodes", then the bootstrap nodes, each once, in order of their bytes
//! 14 bytes   for each node, at most 40: IPv4 address, port, seconds since 1970 when it answered last (big endian)
//! ```
//!
//! # What it is good for
//!
//! They are asked beside the bootstrap nodes at the start (`bosc_dht::Config::earlier`), not instead of them, and get into the routing
//! table when they answer. So whoever writes to the store, or had filled the table with nodes of its own, can do no more than a wrong
//! list of bootstrap nodes could, and less while one right bootstrap node answers. What does not look as above, is of another network, or
//! lies more than [`OLD`] back counts as nothing.

use bosc_format::crypto::hash;
use bosc_store::Store;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Name in the store.
pub(crate) const NAME: &str = "bosc-node/dht-nodes";
/// Most nodes kept.
pub(crate) const MAX: usize = 40;
const VERSION: u8 = 1;
const HEADER: usize = 33;
const ENTRY: usize = 14;
/// Nobody who answered so long ago is asked: a month.
const OLD: Duration = Duration::from_secs(30 * 86_400);
/// Clocks differ.
const AHEAD: Duration = Duration::from_secs(86_400);

/// A node, and the time since 1970 when it answered last.
type Seen = (SocketAddrV4, Duration);

/// Which network the nodes belong to. None for the first node of one: it has nobody to be found by.
fn network(bootstrap: &[SocketAddrV4]) -> Option<[u8; 32]> {
    let nodes: BTreeSet<[u8; 6]> = bootstrap.iter().map(address).collect();
    let bytes: Vec<u8> = nodes.into_iter().flatten().collect();
    (!bytes.is_empty()).then(|| hash(&[b"bosc-dht-nodes", &bytes]))
}

fn address(a: &SocketAddrV4) -> [u8; 6] {
    let ([a, b, c, d], [hi, lo]) = (a.ip().octets(), a.port().to_be_bytes());
    [a, b, c, d, hi, lo]
}

fn encode(network: &[u8; 32], nodes: &[Seen]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(network);
    for (node, seen) in nodes.iter().take(MAX) {
        out.extend_from_slice(&address(node));
        out.extend_from_slice(&seen.as_secs().to_be_bytes());
    }
    out
}

/// What was written, of this network and not too old; nothing when anything is wrong with it.
fn decode(bytes: &[u8], network: &[u8; 32], unix_time: Duration) -> Vec<SocketAddrV4> {
    let Some((head, entries)) = bytes.split_at_checked(HEADER) else { return Vec::new() };
    let ours = head.split_first().is_some_and(|(v, of)| *v == VERSION && of == network);
    if !ours || entries.len() % ENTRY != 0 || entries.len() > MAX * ENTRY {
        return Vec::new();
    }
    let node = |e: &[u8]| {
        let [a, b, c, d, hi, lo, seen @ ..] = <[u8; ENTRY]>::try_from(e).ok()?;
        let node = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([hi, lo]));
        let seen = Duration::from_secs(u64::from_be_bytes(seen));
        let fresh = seen.saturating_add(OLD) >= unix_time && seen <= unix_time.saturating_add(AHEAD);
        fresh.then_some(node)
    };
    entries.chunks_exact(ENTRY).filter_map(node).collect()
}

/// The nodes that are kept for the network with these bootstrap nodes.
pub(crate) fn read(store: &Store, bootstrap: &[SocketAddrV4], unix_time: Duration) -> Vec<SocketAddrV4> {
    let Some(network) = network(bootstrap) else { return Vec::new() };
    match store.user_data(NAME) {
        Ok(bytes) => decode(&bytes.unwrap_or_default(), &network, unix_time),
        Err(e) => {
            tracing::debug!(error = %e, "no nodes of an earlier run");
            Vec::new()
        }
    }
}

/// Keeps nodes. A store that cannot is no reason to stop.
pub(crate) fn write(store: &Store, bootstrap: &[SocketAddrV4], nodes: &[Seen]) {
    let Some(network) = network(bootstrap).filter(|_| !nodes.is_empty()) else { return };
    if let Err(e) = store.set_user_data(NAME, Some(&encode(&network, nodes))) {
        tracing::debug!(error = %e, "nodes are not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(5, 9, 0, n), 49_737)
    }

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn what_is_kept_is_read_again_for_the_same_network_and_no_other() {
        let ours = network(&[node(1), node(2)]).unwrap();
        assert_eq!(network(&[node(2), node(1), node(2)]), Some(ours), "order says nothing");
        assert_ne!(network(&[node(1)]), Some(ours));
        assert_eq!(network(&[]), None);
        let kept = encode(&ours, &[(node(7), NOW), (node(8), NOW - Duration::from_secs(99))]);
        assert_eq!(decode(&kept, &ours, NOW), [node(7), node(8)]);
        assert!(decode(&kept, &network(&[node(1)]).unwrap(), NOW).is_empty());
    }

    #[test]
    fn what_is_damaged_old_or_from_the_future_is_nothing() {
        let ours = network(&[node(1)]).unwrap();
        let kept = encode(&ours, &[(node(7), NOW)]);
        for cut in 0..kept.len() {
            assert!(cut == HEADER || decode(&kept[..cut], &ours, NOW).is_empty(), "{cut}");
        }
        for at in 0..HEADER {
            let mut bad = kept.clone();
            bad[at] ^= 1;
            assert!(decode(&bad, &ours, NOW).is_empty());
        }
        let many: Vec<Seen> = (0..=200).map(|n| (node(n), NOW)).collect();
        assert_eq!(decode(&encode(&ours, &many), &ours, NOW).len(), MAX);
        let mut long = encode(&ours, &many);
        long.extend_from_slice(&[1; ENTRY]);
        assert!(decode(&long, &ours, NOW).is_empty(), "more than anybody keeps");
        let late = NOW + OLD + Duration::from_secs(1);
        assert!(decode(&kept, &ours, late).is_empty());
        assert!(decode(&kept, &ours, NOW - AHEAD - Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn a_store_keeps_them_for_the_next_run() {
        let temp = std::env::temp_dir().join(format!("bosc-nodes-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&temp);
        let open = || Store::open(&temp, bosc_store::Options::default()).unwrap();
        let bootstrap = [node(1)];
        let store = open();
        assert!(read(&store, &bootstrap, NOW).is_empty());
        write(&store, &bootstrap, &[(node(7), NOW)]);
        write(&store, &bootstrap, &[]);
        drop(store);
        let store = open();
        assert_eq!(read(&store, &bootstrap, NOW), [node(7)]);
        store.set_user_data(NAME, Some(b"rubbish")).unwrap();
        assert!(read(&store, &bootstrap, NOW).is_empty());
        drop(store);
        std::fs::remove_dir_all(&temp).unwrap();
    }
}
