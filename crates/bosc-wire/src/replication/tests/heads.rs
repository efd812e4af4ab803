//! Peers whose heads are taken or not, and peers that claim a head and do not prove it.

use super::network::*;
use super::*;

fn length(net: &Net, node: usize) -> u64 {
    net.nodes[node].core.head.length
}

fn stats(net: &Net, node: usize, peer: PeerId) -> PeerStats {
    net.nodes[node].rep.stats(peer).expect("still a peer")
}

#[test]
fn a_peer_whose_heads_are_not_taken_holds_up_nobody_and_gives_blocks() {
    let mut net = Net::new();
    let (r, b, c) = (net.add(reader()), net.add(writer(40, 20)), net.add(writer(40, 20)));
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    let (_, from_b, at_b, _) = net.connect(r, b);
    net.with(r, |rep, _, _| rep.take_heads(at_b, false));
    net.run_for(MS * 30_000);
    assert_eq!(length(&net, r), 0);
    assert!(stats(&net, r, at_b).remote_synced && stats(&net, r, at_b).remote_unproved == 0);

    let (out, back, ..) = net.connect(r, c);
    let met = net.now;
    net.run_until(MS * 1000, |net| length(net, r) == 40);
    assert!(net.now - met < MS * 500, "it was asked at once: {:?}", net.now - met);
    net.cut(out, back);
    // The head proves the blocks, whoever gives them.
    net.run_until(MS * 5000, |net| net.complete(r, b));
    net.assert_same(r, b);
    assert!(net.links[from_b].sent[MessageType::Data as usize] > 0);
}

#[test]
fn another_peer_is_asked_at_once_when_the_heads_of_one_that_was_asked_are_not_taken_any_more() {
    let mut net = Net::new();
    let (r, b, c) = (net.add(reader()), net.add(writer(40, 20)), net.add(writer(40, 20)));
    let (to_b, from_b, at_b, _) = net.connect(r, b);
    net.run_until(MS * 1000, |net| net.links[to_b].sent[MessageType::Request as usize] > 0);
    net.links[from_b].silent = true;
    net.links[from_b].queue.clear();
    net.with(r, |rep, _, _| rep.take_heads(at_b, false));
    net.connect(r, c);
    net.run_until(MS * 500, |net| length(net, r) == 40);
}

/// A reader and a writer, not connected; with `fork` the writer went to another one since the reader had all.
fn ahead(net: &mut Net, fork: bool) -> (usize, usize) {
    let (r, w) = (net.add(reader()), net.add(writer(40, 20)));
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    if fork {
        let (out, back, ..) = net.connect(r, w);
        net.run_until(MS * 5000, |net| net.complete(r, w));
        net.cut(out, back);
        net.with(w, |rep, core, now| {
            core.truncate(30);
            core.append([Bytes::from_static(b"of fork 1")]);
            rep.local_changed(LocalChange::Reorged { ancestors: 30 }, core, now);
        });
    }
    (r, w)
}

#[test]
fn neither_a_longer_head_nor_a_higher_fork_is_taken_though_it_was_asked_for_before() {
    for (fork, asked) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut net = Net::new();
        let (r, w) = ahead(&mut net, fork);
        let before = net.nodes[r].core.head.clone();
        let (out, _, at_w, _) = net.connect(r, w);
        if asked {
            net.run_until(MS * 1000, |net| net.links[out].sent[MessageType::Request as usize] > 0);
        }
        net.with(r, |rep, _, _| rep.take_heads(at_w, false));
        net.run_for(MS * 30_000);
        assert_eq!(net.nodes[r].core.head, before, "fork {fork}, asked {asked}");
        net.with(r, |rep, _, _| rep.take_heads(at_w, true));
        net.run_until(MS * 2000, |net| net.complete(r, w));
        net.assert_same(r, w);
    }
}

#[test]
fn somebody_who_waits_to_know_hears_before_the_blocks_have_come() {
    let mut net = Net::new();
    let (r, b, c) = (net.add(reader()), net.add(writer(8000, 1000)), net.add(writer(8000, 1000)));
    let (_, from_b, ..) = net.connect(r, b);
    net.run_until(MS * 1000, |net| length(net, r) == 8000);
    net.links[from_b].rate = 1_000_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    let (_, back, at_c, _) = net.connect(r, c);
    net.links[back].rate = 1_000_000;
    net.run_until(MS * 1000, |net| stats(net, r, at_c).remote_synced);
    net.with(r, |rep, _, _| rep.compare_soon(at_c));
    net.run_until(MS * 10_000, |net| net.nodes[r].rep.shares_history(at_c));
    let have = net.nodes[r].core.blocks.len();
    assert!(have < 4000, "{have} blocks came first");
}

#[test]
fn who_gave_the_head_shares_the_history_and_another_does_once_it_is_compared() {
    let mut net = Net::new();
    let (r, b) = (net.add(reader()), net.add(writer(40, 20)));
    let (same, mut short) = (net.add(writer(40, 20)), writer(25, 20));
    short.append((0..3).map(|i| Bytes::from(format!("another block {i}"))));
    let other = net.add(short);
    let (.., at_b, _) = net.connect(r, b);
    let shares = |net: &Net, peer| net.nodes[r].rep.shares_history(peer);
    let told = |net: &Net, peer| net.nodes[r].rep.stats(peer).is_some_and(|s| s.remote_synced);
    net.run_until(MS * 1000, |net| told(net, at_b));
    assert!(!shares(&net, at_b), "a length shows nothing");
    net.run_until(MS * 1000, |net| length(net, r) == 40);
    assert!(shares(&net, at_b));

    // To compare with a shorter tree takes nodes of ours.
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 1000, |net| net.complete(r, b));
    let peers = [same, other].map(|n| net.connect(r, n).2);
    net.run_until(MS * 1000, |net| peers.iter().all(|p| told(net, *p)));
    assert!(peers.iter().all(|p| !shares(&net, *p)));
    net.run_until(MS * 1000, |net| shares(net, peers[0]) && net.nodes[r].rep.has_other_history(peers[1]));
    assert!(!shares(&net, peers[1]) && !net.nodes[r].rep.has_other_history(peers[0]));

    // Whoever is ahead shows what is new first.
    net.with(same, |rep, core, now| {
        core.append([Bytes::from_static(b"more")]);
        rep.local_changed(LocalChange::Appended, core, now);
    });
    net.run_until(MS * 1000, |net| net.nodes[r].rep.is_ahead(peers[0]));
    assert!(!shares(&net, peers[0]));
    net.run_until(MS * 1000, |net| length(net, r) == 41);
    assert!(shares(&net, peers[0]));
}

/// Claims 1000 blocks more than there are, as a JavaScript peer does whose syncs are changed on their way out: it does
/// not believe it itself, and so has no reason to answer to a length that it has too.
fn claims_more(net: &mut Net, back: usize) {
    net.links[back].tamper = Some(Box::new(|kind, bytes| {
        if kind != MessageType::Sync as u32 {
            return bytes;
        }
        let sync = Sync::decode(&bytes).unwrap();
        Bytes::from(Sync { length: sync.length + 1000, can_upgrade: true, ..sync }.encode())
    }));
}

#[test]
fn a_claim_is_asked_for_again_though_another_peer_gave_the_head_meanwhile() {
    for after in [0, 30, 100, 500, 900, 1500] {
        let mut net = Net::new();
        let (r, liar, honest) = (net.add(reader()), net.add(writer(9, 20)), net.add(writer(9, 20)));
        net.with(r, |rep, core, _| rep.download(Download::live(), core));
        let (_, back, at_liar, _) = net.connect(r, liar);
        claims_more(&mut net, back);
        net.run_for(MS * after);
        net.connect(r, honest);
        net.run_until(MS * 3000, |net| net.complete(r, honest));
        net.run_until(MS * 6000, |net| stats(net, r, at_liar).remote_unproved >= 2);
        assert_eq!(length(&net, r), 9);
        // It has all that is here, whatever it claims.
        net.run_until(MS * 6000, |net| net.nodes[r].rep.shares_history(at_liar));
    }
}

#[test]
fn a_claim_is_asked_for_again_though_nothing_else_happens() {
    let mut net = Net::new();
    let (r, liar) = (net.add(writer(9, 20)), net.add(writer(9, 20)));
    let (_, back, at_liar, _) = net.connect(r, liar);
    claims_more(&mut net, back);
    net.run_until(MS * 10_000, |net| stats(net, r, at_liar).remote_unproved >= 2);
    assert_eq!(length(&net, r), 9);
}
