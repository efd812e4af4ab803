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

fn conflicts(net: &Net, node: usize) -> Vec<Conflict> {
    let events = net.nodes[node].events.iter();
    events
        .filter_map(|e| if let Event::Conflict { conflict, .. } = e { Some(*conflict) } else { None })
        .collect()
}

fn summary(core: &memory_core::MemoryCore) -> HeadSummary {
    HeadSummary { length: core.head.length, tree_hash: core.head.tree_hash() }
}

#[test]
fn two_histories_are_found_by_both_sides_though_nobody_asks_for_anything() {
    for (ours, theirs, from) in [(10, 10, 4), (6, 10, 5), (10, 6, 2), (64, 64, 63), (1, 1, 0), (7, 100, 3)] {
        let mut net = Net::new();
        let (a, b) = (net.add(writer(ours, 20)), net.add(other(theirs, 20, from)));
        let heads = [summary(&net.nodes[a].core), summary(&net.nodes[b].core)];
        net.connect(a, b);
        net.run_until(MS * 20_000, |net| !conflicts(net, a).is_empty() && !conflicts(net, b).is_empty());
        let expected = |ours: usize, theirs: usize| Conflict {
            fork: 0,
            length: heads[0].length.min(heads[1].length),
            ours: heads[ours],
            theirs: heads[theirs],
        };
        assert_eq!(conflicts(&net, a), [expected(0, 1)], "{ours} {theirs} {from}");
        assert_eq!(conflicts(&net, b), [expected(1, 0)], "{ours} {theirs} {from}");
        assert_eq!(net.nodes[a].core.head.length, ours, "what is here stays");
        assert_eq!(stats(&net, a).len(), 1, "nobody is taken for a liar: {:?}", net.nodes[a].events);
    }
}

#[test]
fn one_history_is_compared_and_no_conflict() {
    let mut net = Net::new();
    let (a, b) = (net.add(writer(10, 20)), net.add(writer(7, 20)));
    net.connect(a, b);
    net.run_until(MS * 5000, |net| net.nodes[b].core.blocks.len() == 7);
    net.run_until(MS * 20_000, |net| stats(net, a).iter().any(|s| s.remote_proved_length >= 7));
    assert!(conflicts(&net, a).is_empty() && conflicts(&net, b).is_empty());
}

#[test]
fn a_download_from_the_other_history_ends_in_a_conflict_not_in_a_ban() {
    let mut net = Net::new();
    // The reader has the head of one history and asks a peer that has the other for its blocks.
    let w = writer(40, 20);
    let mut r = reader();
    r.manifest.clone_from(&w.manifest);
    r.head = w.head.clone();
    r.nodes.clone_from(&w.nodes);
    let (a, b) = (net.add(r), net.add(other(60, 20, 3)));
    net.with(a, |rep, core, _| rep.download(Download::live(), core));
    net.connect(a, b);
    net.run_until(MS * 20_000, |net| !conflicts(net, a).is_empty());
    assert_eq!(conflicts(&net, a).len(), 1);
    assert_eq!(net.nodes[a].core.head.length, 40);
    let core = &net.nodes[a].core;
    assert!(core.blocks.iter().all(|(i, b)| w.blocks.get(i) == Some(b)), "nothing of it is kept");
    assert!(!net.nodes[a].events.iter().any(|e| matches!(e, Event::InvalidPeer { .. })));
}

#[test]
fn a_forged_conflict_proof_is_no_conflict() {
    let mut net = Net::new();
    let a = net.add(writer(10, 20));
    let b = net.add(writer(10, 20));
    net.connect(a, b);
    net.run_until(MS * 5000, |net| stats(net, a).iter().any(|s| s.remote_synced));
    let peer = net.nodes[a].rep.peers().next().unwrap();
    let upgrade = Some(bosc_format::proof::UpgradeRequest { start: 0, length: 10 });
    let request = bosc_format::proof::ProofRequest { upgrade, ..Default::default() };
    let mut proof = other(10, 20, 4).prove(&request).unwrap().unwrap();
    let good = proof.clone();
    proof.upgrade.as_mut().unwrap().signature.iter_mut().for_each(|b| *b ^= 1);
    let send = |net: &mut Net, proof| {
        let data = Data { request: 0, proof }.encode();
        let payload = Bytes::from(data.into_parts().concat());
        net.with(a, |rep, core, now| {
            rep.handle_message(peer, MessageType::Data as u32, payload, core, now);
        });
    };
    send(&mut net, proof);
    assert!(conflicts(&net, a).is_empty());
    // The same with the key's signature is one, whoever passes it on.
    send(&mut net, good);
    net.run_until(MS * 5000, |net| conflicts(net, a).len() == 1);
}

#[test]
fn a_liar_does_not_escape_by_another_fork_of_its_own() {
    let mut net = Net::new();
    let (a, b) = (net.add(writer(10, 20)), net.add(writer(10, 20)));
    net.connect(a, b);
    net.run_until(MS * 5000, |net| stats(net, a).iter().any(|s| s.remote_synced));
    let peer = net.nodes[a].rep.peers().next().unwrap();
    net.with(a, |rep, core, now| {
        rep.on_wrong_proof(peer, "a lie".to_owned(), core, now);
        for fork in [1, 0] {
            let sync = Sync { fork, length: 10, uploading: true, can_upgrade: true, ..Sync::default() };
            let payload = Bytes::from(sync.encode());
            rep.handle_message(peer, MessageType::Sync as u32, payload, core, now);
        }
    });
    let dropped = |net: &Net| {
        let events = &net.nodes[a].events;
        events.iter().any(|e| matches!(e, Event::InvalidPeer { .. }))
    };
    net.run_until(MS * 5000, dropped);
}
