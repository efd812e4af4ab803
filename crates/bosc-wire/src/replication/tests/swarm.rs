//! Many peers.

use super::memory_core::MemoryCore;
use super::network::*;
use super::*;
use proptest::prelude::*;

/// A copy of the core that holds only some blocks.
fn partial(of: &MemoryCore, keep: impl Fn(u64) -> bool) -> MemoryCore {
    let mut core = reader();
    core.manifest.clone_from(&of.manifest);
    core.head = of.head.clone();
    core.nodes.clone_from(&of.nodes);
    for (i, b) in of.blocks.iter().filter(|(i, _)| keep(**i)) {
        core.blocks.insert(*i, b.clone());
    }
    core.recount();
    core
}

#[test]
fn blocks_are_found_wherever_they_are() {
    let w = writer(2000, 500);
    let mut net = Net::new();
    let r = net.add(reader());
    let mut givers = Vec::new();
    for k in 0..4u64 {
        let mut rng = Rng(k + 5);
        let set: std::collections::BTreeSet<u64> =
            (0..2000).filter(|i| i % 4 == k || rng.below(5) == 0).collect();
        givers.push(net.add(partial(&w, |i| set.contains(&i))));
    }
    for g in &givers {
        net.connect(*g, r);
    }
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 20_000, |net| net.nodes[r].core.blocks.len() == 2000);
    assert!(net.nodes[r].core.blocks == w.blocks);
    let asked: u64 = givers.iter().map(|g| net.nodes[*g].core.proofs_made.get()).sum();
    // One giver brings the head; the history of each of the others is compared once.
    let compared = givers.len() as u64 - 1;
    assert!(asked <= 2000 + compared, "{asked}: no block is asked of two");
}

#[test]
fn work_is_shared_by_speed() {
    let mut net = Net::new();
    let r = net.add(reader());
    let mut outs = Vec::new();
    for k in 0..4u64 {
        let g = net.add(writer(3000, 10_000));
        let (out, ..) = net.connect(g, r);
        net.links[out].rate = if k == 0 { 3_000_000 } else { 1_000_000 };
        outs.push((g, out));
    }
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() == 3000);
    // 30 MB at 6 MB/s.
    assert!(net.now < MS * 6500, "{:?}", net.now);
    let shares: Vec<u64> = outs.iter().map(|(g, _)| net.nodes[*g].core.proofs_made.get()).collect();
    assert!(shares[0] > 1200 && shares[1..].iter().all(|s| (350..700).contains(s)), "{shares:?}");
}

#[test]
fn peers_that_go_away_or_fall_silent_are_replaced() {
    for silent in [false, true] {
        let mut net = Net::new();
        let r = net.add(reader());
        let mut links = Vec::new();
        for _ in 0..3 {
            let g = net.add(writer(2000, 2000));
            let (out, back, ..) = net.connect(g, r);
            net.links[out].rate = 1_000_000;
            links.push((out, back));
        }
        net.with(r, |rep, core, _| rep.download(Download::live(), core));
        net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() > 300);
        for (n, (out, back)) in links.iter().take(2).enumerate() {
            if silent {
                net.links[*out].silent = true;
            } else {
                net.cut(*out, *back);
            }
            net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() > 600 + n * 300);
        }
        net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() == 2000);
        assert!(net.now < MS * 20_000, "{:?}", net.now);
    }
}

#[test]
fn a_silent_peer_does_not_hold_up_the_head() {
    let mut net = Net::new();
    let (silent, honest, r) = (net.add(writer(100, 50)), net.add(writer(100, 50)), net.add(reader()));
    let (out, back, ..) = net.connect(silent, r);
    net.run_until(MS * 1000, |net| net.links[back].sent[MessageType::Request as usize] > 0);
    net.links[out].silent = true;
    net.links[out].queue.clear();
    net.links[out].queued = 0;
    net.connect(honest, r);
    net.run_until(MS * 3500, |net| net.nodes[r].core.head.length == 100);
}

#[test]
fn the_only_peer_may_come_back_to_life() {
    let mut net = Net::new();
    let w = net.add(writer(500, 5000));
    let r = net.add(reader());
    let (out, ..) = net.connect(w, r);
    net.links[out].rate = 500_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() > 100);
    net.links[out].silent = true;
    net.run_for(MS * 15_000);
    net.links[out].silent = false;
    net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() == 500);
}

#[test]
fn the_last_blocks_do_not_wait_for_the_slowest() {
    let mut net = Net::new();
    let r = net.add(reader());
    let (fast, slow) = (net.add(writer(1000, 50_000)), net.add(writer(1000, 50_000)));
    let (out, ..) = net.connect(fast, r);
    net.links[out].rate = 20_000_000;
    let (out, ..) = net.connect(slow, r);
    net.links[out].rate = 50_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 60_000, |net| net.nodes[r].core.blocks.len() == 1000);
    assert!(net.now < MS * 5000, "{:?}", net.now);
    let sent: u64 = net.links.iter().map(|l| l.sent[MessageType::Data as usize]).sum();
    assert!(sent < 1100, "{sent} answers for 1000 blocks");
}

#[test]
fn takers_give_to_each_other() {
    let mut net = Net::new();
    let w = net.add(writer(1000, 10_000));
    let takers: Vec<usize> = (0..5).map(|_| net.add(reader())).collect();
    let mut from_writer = Vec::new();
    for (i, t) in takers.iter().enumerate() {
        let (out, ..) = net.connect(w, *t);
        // The writer's line is thin: 1 MB/s for all, 10 MB/s between the others.
        net.links[out].rate = 200_000;
        from_writer.push(out);
        for u in takers.get(i + 1..).unwrap_or_default() {
            let (a, b, ..) = net.connect(*t, *u);
            net.links[a].rate = 10_000_000;
            net.links[b].rate = 10_000_000;
        }
        net.with(*t, |rep, core, _| rep.download(Download::live(), core));
    }
    net.run_until(MS * 120_000, |net| takers.iter().all(|t| net.complete(*t, w)));
    let uploaded: u64 = from_writer.iter().map(|l| net.links[*l].bytes).sum();
    // Five copies are 50 MB; without exchange the writer would have to send them all.
    assert!(uploaded < 25_000_000, "{uploaded}");
    assert!(net.now < MS * 30_000, "{:?}", net.now);
    net.run_for(MS * 100);
    assert_eq!(net.with(w, |rep, _, _| rep.full_copies()), 5);
}

#[test]
fn one_giver_many_takers() {
    let mut net = Net::new();
    let w = net.add(writer(300, 20_000));
    let takers: Vec<usize> = (0..10).map(|_| net.add(reader())).collect();
    for t in &takers {
        net.connect(w, *t);
        net.with(*t, |rep, core, _| rep.download(Download::live(), core));
    }
    net.run_until(MS * 60_000, |net| takers.iter().all(|t| net.complete(*t, w)));
    for t in takers {
        net.assert_same(t, w);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn peers_are_told_what_is_held(
        steps in prop::collection::vec((any::<bool>(), 0..3000u64, 1..40u64, prop_oneof![9 => Just(0usize), 1 => 0..30usize]), 1..300),
        ask_first in any::<bool>(),
    ) {
        let full = writer(3000, 1);
        let mut core = partial(&full, |i| i % 7 == 3);
        let mut rep = Replicator::new(Config::default(), &core);
        let p = PeerId(1);
        let mut now = Duration::ZERO;
        rep.add_peer(p, &core, now);
        let mut told = block_set::BlockSet::new(100, 100);
        let mut hear = |out: Outgoing| {
            let bytes = out.payload.concat();
            match out.kind {
                MessageType::Range => {
                    let r = Range::decode(&bytes).unwrap();
                    if r.drop {
                        told.remove_range(r.start, r.start + r.length);
                    } else {
                        told.insert_range(r.start, r.start + r.length);
                    }
                }
                MessageType::Bitfield => {
                    let b = BitfieldPart::decode(&bytes).unwrap();
                    assert!(told.replace(b.start, &b.words));
                }
                _ => {}
            }
        };
        let sync = Sync { length: 3000, uploading: false, ..Sync::default() };
        let want = Want { start: 0, length: wants::PART, any: false };
        let mut hello = vec![(MessageType::Sync, sync.encode()), (MessageType::Want, want.encode())];
        if !ask_first {
            hello.swap(0, 1);
        }
        for (kind, bytes) in hello {
            rep.handle_message(p, kind as u32, bytes.into(), &mut core, now);
        }
        for (gain, start, len, polls) in steps {
            let end = (start + len).min(3000);
            let change = if gain {
                core.blocks.extend((start..end).map(|i| (i, full.blocks[&i].clone())));
                core.recount();
                LocalChange::Gained { start, end }
            } else {
                core.clear(start, end);
                core.recount();
                LocalChange::Cleared { start, end }
            };
            rep.local_changed(change, &mut core, now);
            for _ in 0..polls {
                if let Some(out) = rep.poll_outgoing(p, &mut core, now) {
                    hear(out);
                }
            }
            now += MS * 20;
        }
        now += MS * 5000;
        while let Some(out) = rep.poll_outgoing(p, &mut core, now) {
            hear(out);
        }
        for i in 0..3000 {
            prop_assert_eq!(told.contains(i), core.blocks.contains_key(&i), "block {}", i);
        }
    }
}

#[test]
fn peers_that_are_behind_give_what_they_have() {
    let mut net = Net::new();
    let old = net.add(writer(1000, 5000));
    let new = net.add(writer(1300, 5000));
    let r = net.add(reader());
    let (out, ..) = net.connect(new, r);
    net.links[out].rate = 1_000_000;
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.nodes[r].core.head.length == 1300);
    let (out, _, _, at_r) = net.connect(old, r);
    net.links[out].rate = 5_000_000;
    net.run_until(MS * 20_000, |net| net.complete(r, new));
    net.assert_same(r, new);
    let given = net.nodes[r].rep.stats(at_r).unwrap().downloaded_blocks;
    assert!(given > 450, "{given}");
}

#[test]
fn a_peer_that_announces_and_refuses_is_left_alone() {
    let mut net = Net::new();
    let w = net.add(writer(2000, 2000));
    let liar = net.add(writer(2000, 2000));
    let r = net.add(reader());
    let (out, ..) = net.connect(w, r);
    net.links[out].rate = 500_000;
    let (_, back, ..) = net.connect(liar, r);
    // It has told what it holds by the time it no longer does.
    net.run_for(MS);
    net.nodes[liar].core.clear(0, 2000);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 30_000, |net| net.complete(r, w));
    // 4 MB at 500 kB/s.
    assert!(net.now < MS * 9000, "{:?}", net.now);
    let asked = net.links[back].sent[MessageType::Request as usize];
    assert!(asked < 700, "{asked}");
}

#[test]
fn wants_find_blocks_that_are_not_announced() {
    // A giver that holds blocks 700..1000 of 5000 has nothing from 0 on to announce.
    let w = writer(5000, 50);
    let mut net = Net::new();
    let g = net.add(partial(&w, |i| (700..1000).contains(&i)));
    let r = net.add(reader());
    let (out, back, ..) = net.connect(g, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() == 300);
    assert_eq!(net.links[back].sent[MessageType::Want as usize], 1);
    assert_eq!(net.links[out].sent[MessageType::Bitfield as usize], 1);
    // And is told of later ones as they come.
    let blocks: Vec<(u64, Bytes)> = (2000..2100).map(|i| (i, w.blocks[&i].clone())).collect();
    net.with(g, |rep, core, now| {
        core.blocks.extend(blocks);
        rep.local_changed(LocalChange::Gained { start: 2000, end: 2100 }, core, now);
    });
    net.run_until(MS * 5000, |net| net.nodes[r].core.blocks.len() == 400);
    net.with(g, |rep, core, now| {
        core.clear(2000, 2050);
        rep.local_changed(LocalChange::Cleared { start: 2000, end: 2050 }, core, now);
    });
    net.run_for(MS * 1000);
    let held = net.nodes[r].rep.stats(net.nodes[r].rep.peers().next().unwrap()).unwrap().remote_blocks;
    assert_eq!(held, 350);
}
