//! One honest peer among many liars. Slower than alone by a bounded factor, and hardly more bytes.

use super::network::*;
use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    Silent,
    Slow,
    Wrong,
    Longer,
    Refuses,
}

/// Connects a peer that holds everything to the reader, and has it lie.
fn liar(net: &mut Net, reader: usize, lie: Lie, blocks: u64, len: usize) {
    let n = net.add(writer(blocks, len));
    let (_, back, ..) = net.connect(reader, n);
    let link = &mut net.links[back];
    let longer = move |kind: u32, bytes: Bytes| {
        if kind != MessageType::Sync as u32 {
            return bytes;
        }
        let sync = Sync::decode(&bytes).unwrap();
        Sync { length: 9000 + sync.length, ..sync }.encode().into()
    };
    match lie {
        Lie::Silent => link.mute = true,
        Lie::Slow => link.dawdle = Duration::from_secs(3),
        Lie::Wrong => {
            link.tamper = Some(Box::new(|kind, bytes| {
                let mut bytes = bytes.to_vec();
                if kind == MessageType::Data as u32
                    && let Some(last) = bytes.last_mut()
                {
                    *last ^= 1;
                }
                bytes.into()
            }));
        }
        Lie::Longer => {
            link.tamper = Some(Box::new(longer));
            link.mute = true;
        }
        // It claims more and says that it has no such thing.
        Lie::Refuses => link.tamper = Some(Box::new(longer)),
    }
}

/// Time and bytes until the reader has everything, with these liars connected before the honest one.
fn fetch(lies: &[Lie], urgent: bool) -> (Duration, u64, Net, usize) {
    let (blocks, len) = (200, 16 << 10);
    let mut net = Net::new();
    let honest = net.add(writer(blocks, len));
    let reader = net.add(reader());
    for lie in lies {
        liar(&mut net, reader, *lie, blocks, len);
    }
    let (_, back, ..) = net.connect(reader, honest);
    net.links[back].rate = 2_000_000;
    if urgent {
        // As who reads a tree: each block names the next one.
        for block in [199u64, 100, 3, 77, 150, 9] {
            net.with(reader, |rep, core, _| rep.want_block(block, 128, core));
            net.run_until(Duration::from_secs(120), |net| net.nodes[reader].core.has(block));
        }
    }
    net.with(reader, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(Duration::from_secs(120), |net| net.complete(reader, honest));
    net.assert_same(reader, honest);
    let data: u64 = net.links.iter().skip(1).step_by(2).map(|l| l.bytes).sum();
    (net.now, data, net, reader)
}

#[test]
fn one_honest_peer_among_thirty_liars_is_enough() {
    let all = [Lie::Silent, Lie::Slow, Lie::Wrong, Lie::Longer, Lie::Refuses];
    for urgent in [false, true] {
        let (alone, bytes, ..) = fetch(&[], urgent);
        let mixed: Vec<Lie> = all.iter().copied().cycle().take(30).collect();
        let sets = all.iter().map(|lie| vec![*lie; 30]).chain([mixed]);
        for lies in sets {
            let (took, more, ..) = fetch(&lies, urgent);
            let what = format!(
                "{:?} (and {}), urgent {urgent}: {took:?} and {more} bytes, alone {alone:?} and {bytes}",
                lies[0],
                lies.len()
            );
            eprintln!("{what}");
            assert!(took <= alone * 5, "{what}");
            // A wrong answer is dropped with its peer, one each.
            let wrong = lies.iter().filter(|l| **l == Lie::Wrong).count() as u64 * (17 << 10);
            assert!(more <= bytes * 12 / 10 + wrong, "{what}");
        }
    }
}

#[test]
fn claims_that_nobody_proves_are_waited_for_briefly_and_an_honest_one_as_long_as_it_needs() {
    let (.., mut net, reader) = fetch(&[Lie::Longer; 10], false);
    let open = |net: &Net| {
        let rep = &net.nodes[reader].rep;
        rep.peers()
            .filter_map(|p| rep.stats(p))
            .filter(|s| s.remote_length > net.nodes[reader].core.head.length && !s.remote_stale)
            .count()
    };
    let began = net.now;
    net.run_until(Duration::from_secs(30), |net| open(net) == 0);
    assert!(net.now <= began + Duration::from_secs(2), "{:?}", net.now - began);
    // To say it again, or more, does not help.
    let ids: Vec<PeerId> = net.nodes[reader].rep.peers().collect();
    for id in ids.iter().take(5) {
        let sync = Sync { length: 77_777, can_upgrade: true, uploading: true, ..Sync::default() }.encode();
        net.with(reader, |rep, core, now| {
            rep.handle_message(*id, MessageType::Sync as u32, sync.into(), core, now)
        });
    }
    assert_eq!(open(&net), 0);
    // One that is far away has a newer head: it is waited for.
    let mut newer = writer(200, 16 << 10);
    newer.append([Bytes::from_static(b"new")]);
    let n = net.add(newer);
    let (out, back, ..) = net.connect(reader, n);
    for l in [out, back] {
        net.links[l].latency = MS * 150;
    }
    net.run_until(Duration::from_secs(30), |net| open(net) == 1);
    net.run_until(Duration::from_secs(30), |net| open(net) == 0);
    assert_eq!(net.nodes[reader].core.head.length, 201, "it was proved, not given up");
}
