//! Comparing histories.

use super::network::*;
use super::*;

fn comparing(net: &mut Net, node: usize) {
    net.with(node, |rep, _, _| rep.compare());
}

fn stats(net: &Net, node: usize) -> Vec<PeerStats> {
    net.nodes[node].rep.peers().filter_map(|p| net.nodes[node].rep.stats(p)).collect()
}

/// A core of the same key whose history parts from [`writer`]'s at `from`.
fn other(n: u64, size: usize, from: u64) -> memory_core::MemoryCore {
    let mut core = writer(from, size);
    core.append((from..n).map(|i| Bytes::from(format!("another block {i}"))));
    core
}

#[test]
fn peers_of_one_history_prove_it_whatever_their_length() {
    for (ours, theirs) in [(10, 10), (10, 6), (6, 10), (64, 64), (100, 7), (1, 1), (0, 5)] {
        let mut net = Net::new();
        let (a, b) = (net.add(writer(ours, 20)), net.add(writer(theirs, 20)));
        comparing(&mut net, a);
        net.connect(a, b);
        net.run_until(MS * 5000, |net| {
            stats(net, a).iter().any(|s| s.remote_proved_length >= theirs.min(ours))
        });
        net.run_until(MS * 5000, |net| net.nodes[a].core.head.length >= theirs);
        let [s] = stats(&net, a)[..] else { panic!("one peer") };
        assert!(!s.remote_other_history, "{ours} {theirs}");
        assert!(s.remote_proved_length >= ours.min(theirs), "{ours} {theirs}: {}", s.remote_proved_length);
    }
}

#[test]
fn another_history_is_told_from_ours_and_not_taken_for_a_lie() {
    for (ours, theirs, from) in [(10, 10, 4), (10, 10, 9), (6, 10, 5), (10, 6, 2), (64, 64, 63), (7, 100, 0)]
    {
        let mut net = Net::new();
        let (a, b) = (net.add(writer(ours, 20)), net.add(other(theirs, 20, from)));
        comparing(&mut net, a);
        net.connect(a, b);
        net.run_until(MS * 5000, |net| stats(net, a).iter().any(|s| s.remote_other_history));
        let [s] = stats(&net, a)[..] else { panic!("still a peer: {:?}", net.nodes[a].events) };
        assert!(s.remote_other_history && s.remote_proved_length == 0, "{ours} {theirs} {from}");
        assert_eq!(net.nodes[a].core.head.length, ours, "nothing was taken from it");
    }
}

#[test]
fn a_claim_that_is_not_proved_is_counted_and_a_wrong_proof_drops_the_peer() {
    let mut net = Net::new();
    let (a, b) = (net.add(writer(5, 20)), net.add(writer(9, 20)));
    comparing(&mut net, a);
    let (_, back, ..) = net.connect(a, b);
    net.run_until(MS * 5000, |net| stats(net, a).iter().any(|s| s.remote_synced));
    net.links[back].silent = true;
    net.run_until(MS * 60_000, |net| stats(net, a).iter().any(|s| s.remote_unproved >= 2));
    assert_eq!(net.nodes[a].core.head.length, 5);

    // A signature of somebody else makes nobody another history.
    let mut net = Net::new();
    let mut forged = other(9, 20, 3);
    forged.head.signature.iter_mut().for_each(|b| *b ^= 1);
    let (a, b) = (net.add(writer(5, 20)), net.add(forged));
    comparing(&mut net, a);
    net.connect(a, b);
    let dropped = |net: &Net| net.nodes[a].events.iter().any(|e| matches!(e, Event::InvalidPeer { .. }));
    net.run_until(MS * 5000, dropped);
    assert_eq!(net.nodes[a].core.head.length, 5);
}
