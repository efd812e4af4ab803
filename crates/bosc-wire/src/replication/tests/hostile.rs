//! Peers that mean harm.

use super::memory_core::MemoryCore;
use super::network::*;
use super::*;
use bosc_format::codec::Encoder;
use bosc_format::proof::{BlockProof, NodeRequest, Proof, ProofRequest, UpgradeRequest};
use proptest::prelude::*;

const P: PeerId = PeerId(1);

/// A replicator over a core of 100 blocks, with one peer whose sync came.
fn victim() -> (Replicator, MemoryCore) {
    let mut core = writer(100, 50);
    let mut rep = Replicator::new(Config::default(), &core);
    rep.add_peer(P, &core, Duration::ZERO);
    say(&mut rep, &mut core, MessageType::Sync, sync(100));
    (rep, core)
}

fn sync(length: u64) -> Vec<u8> {
    Sync { length, remote_length: 100, can_upgrade: true, uploading: true, ..Sync::default() }.encode()
}

fn say(rep: &mut Replicator, core: &mut MemoryCore, kind: MessageType, payload: Vec<u8>) {
    rep.handle_message(P, kind as u32, payload.into(), core, MS);
}

fn drain(rep: &mut Replicator, core: &mut MemoryCore) -> Vec<Outgoing> {
    std::iter::from_fn(|| rep.poll_outgoing(P, core, MS * 100)).collect()
}

fn dropped(rep: &mut Replicator) -> Option<InvalidPeer> {
    std::iter::from_fn(|| rep.poll_event()).find_map(|e| match e {
        Event::InvalidPeer { why, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn huge_claims_cost_little() {
    let (mut rep, mut core) = victim();
    rep.download(Download::live(), &core);
    let range = |drop, start, length| Range { drop, start, length }.encode();
    for i in 0..20_000u64 {
        say(&mut rep, &mut core, MessageType::Range, range(false, i << 33, 1 << 20));
        say(&mut rep, &mut core, MessageType::Range, range(false, (i << 33) + 77, 1));
        say(&mut rep, &mut core, MessageType::Range, range(true, (i << 32) + 5, 3));
    }
    say(&mut rep, &mut core, MessageType::Range, range(false, 0, 1_000_000_000_000_000));
    say(&mut rep, &mut core, MessageType::Range, range(true, 12_345, u64::MAX));
    say(&mut rep, &mut core, MessageType::Range, range(false, u64::MAX, u64::MAX));
    for i in 0..100u64 {
        let part = BitfieldPart { start: i << 40, words: vec![0x5555_5555; 65_536] };
        say(&mut rep, &mut core, MessageType::Bitfield, part.encode());
    }
    say(&mut rep, &mut core, MessageType::Sync, sync(MAX_LENGTH));
    for i in 0..3000u64 {
        let want = Want { start: i * 32, length: 32, any: i % 2 == 0 };
        say(&mut rep, &mut core, MessageType::Want, want.encode());
    }
    assert_eq!(dropped(&mut rep), None, "nothing of this is forbidden");
    let out = drain(&mut rep, &mut core);
    let bytes: usize = out.iter().map(|o| o.payload.len()).sum();
    assert!(out.len() < 5000 && bytes < 100_000, "{} messages, {bytes} bytes", out.len());
    // What was kept is within the bounds the module states.
    let kept = &rep.peers[&P];
    assert!(format!("{:?}", kept.blocks).len() < 40_000_000);
    say(&mut rep, &mut core, MessageType::Sync, sync(MAX_LENGTH + 1));
    assert!(matches!(dropped(&mut rep), Some(InvalidPeer::Malformed(_))));
}

fn block_request(id: u64, index: u64, nodes: u64) -> Vec<u8> {
    let what = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
    Request { id, fork: 0, what, priority: id % 2 }.encode()
}

#[test]
fn endless_requests_end() {
    let (mut rep, mut core) = victim();
    for id in 1..=2048 {
        say(&mut rep, &mut core, MessageType::Request, block_request(id, 3, 0));
    }
    // The same ids again replace the old ones.
    say(&mut rep, &mut core, MessageType::Request, block_request(5, 4, 0));
    for id in 100..200 {
        say(&mut rep, &mut core, MessageType::Cancel, Cancel { request: id }.encode());
    }
    assert_eq!(rep.stats(P).unwrap().requests_queued, 1948);
    assert_eq!(core.proofs_made.get(), 0, "no answer is made before it can leave");
    assert_eq!(dropped(&mut rep), None);
    for id in 3000..3101 {
        say(&mut rep, &mut core, MessageType::Request, block_request(id, 3, 0));
    }
    assert_eq!(dropped(&mut rep), Some(InvalidPeer::TooManyRequests));
    assert_eq!(rep.peers().count(), 0);
}

#[test]
fn requests_nobody_can_answer() {
    let (mut rep, mut core) = victim();
    drain(&mut rep, &mut core);
    // Not held, not at this fork: no data.
    say(&mut rep, &mut core, MessageType::Request, block_request(2, 1 << 52, 7));
    say(&mut rep, &mut core, MessageType::Request, block_request(4, u64::MAX, u64::MAX));
    let out = drain(&mut rep, &mut core);
    assert!(out.len() == 2 && out.iter().all(|o| o.kind == MessageType::NoData), "{out:?}");
    let bad = |id| {
        let upgrade = Some(UpgradeRequest { start: 90, length: u64::MAX });
        let what = ProofRequest { upgrade, ..ProofRequest::default() };
        Request { id, fork: 0, what, priority: 0 }.encode()
    };
    for id in 1..=64 {
        say(&mut rep, &mut core, MessageType::Request, bad(id));
    }
    let out = drain(&mut rep, &mut core);
    assert!(out.iter().all(|o| o.kind == MessageType::NoData) && out.len() == 63);
    assert_eq!(dropped(&mut rep), Some(InvalidPeer::BadRequests));
}

#[test]
fn data_nobody_asked_for() {
    let (mut rep, mut core) = victim();
    core.clear(10, 20);
    let block = BlockProof { index: 12, value: Bytes::from_static(b"evil"), nodes: vec![] };
    let data = Data { request: 0, proof: Proof { block: Some(block), ..Proof::default() } };
    let bytes = data.encode().concat().to_vec();
    for _ in 0..256 {
        say(&mut rep, &mut core, MessageType::Data, bytes.clone());
    }
    assert_eq!(dropped(&mut rep), None);
    assert!(!core.blocks.contains_key(&12));
    say(&mut rep, &mut core, MessageType::Data, bytes);
    assert_eq!(dropped(&mut rep), Some(InvalidPeer::Unasked));
}

#[test]
fn wrong_blocks_never_count_and_their_giver_goes() {
    for what in 0..4 {
        let mut net = Net::new();
        let honest = net.add(writer(300, 500));
        let liar = net.add(writer(300, 500));
        let r = net.add(reader());
        let (out, _, _, at_r) = net.connect(liar, r);
        let mut n = 0;
        net.links[out].tamper = Some(Box::new(move |kind, bytes| {
            n += u64::from(kind == MessageType::Data as u32);
            if kind != MessageType::Data as u32 || n < 20 {
                return bytes;
            }
            let mut data = Data::decode(&bytes).unwrap();
            let Some(b) = data.proof.block.as_mut() else { return bytes };
            match what {
                0 => b.value = vec![7; b.value.len()].into(),
                1 => b.index += 1,
                2 => match b.nodes.first_mut() {
                    Some(n) => n.size += 1,
                    None => b.value = Bytes::new(),
                },
                _ => return bytes.slice(..bytes.len() / 2),
            }
            data.encode().concat()
        }));
        net.connect(honest, r);
        net.with(r, |rep, core, _| rep.download(Download::live(), core));
        net.run_until(MS * 10_000, |net| net.complete(r, honest));
        net.assert_same(r, honest);
        let why = net.nodes[r].events.iter().find_map(|e| match e {
            Event::InvalidPeer { peer, why } if *peer == at_r => Some(why.clone()),
            _ => None,
        });
        let expected = match what {
            0 | 2 => matches!(why, Some(InvalidPeer::WrongProof(_))),
            1 => why == Some(InvalidPeer::Unasked),
            _ => matches!(why, Some(InvalidPeer::Malformed(_))),
        };
        assert!(expected, "{what}: {why:?}");
    }
}

#[test]
fn of_blocks_that_came_together_a_wrong_one_costs_its_giver_alone() {
    let (at, other) = (PeerId(1), PeerId(2));
    for wrong in 0..8 {
        let mut giver = writer(64, 3000);
        let mut core = reader();
        let mut serving = Replicator::new(Config::default(), &giver);
        let mut rep = Replicator::new(Config::default(), &core);
        serving.add_peer(P, &giver, Duration::ZERO);
        rep.add_peer(at, &core, Duration::ZERO);
        rep.add_peer(other, &core, Duration::ZERO);
        rep.download(Download::live(), &core);
        let (mut group, mut now) = (Vec::new(), Duration::ZERO);
        while group.len() < 8 {
            now += MS;
            while let Some(out) = rep.poll_outgoing(at, &mut core, now) {
                serving.handle_message(P, out.kind as u32, out.payload.concat(), &mut giver, now);
            }
            while group.len() < 8
                && let Some(out) = serving.poll_outgoing(P, &mut giver, now)
            {
                let bytes = out.payload.concat();
                let block =
                    out.kind == MessageType::Data && Data::decode(&bytes).unwrap().proof.block.is_some();
                if block && core.head.length > 0 {
                    group.push((out.kind as u32, bytes));
                } else {
                    rep.handle_message(at, out.kind as u32, bytes, &mut core, now);
                }
            }
            assert!(now < MS * 1000, "{} blocks came", group.len());
        }
        let before = core.blocks.len();
        let mut lie = Data::decode(&group[wrong].1).unwrap();
        let block = lie.proof.block.as_mut().unwrap();
        let index = block.index;
        block.value = vec![7; 3000].into();
        group[wrong].1 = lie.encode().concat();
        rep.handle_messages(at, group, &mut core, now);
        assert!(!core.blocks.contains_key(&index) && core.blocks.len() >= before + wrong);
        // Whether it has another history is looked into first.
        let mut why = None;
        for _ in 0..100 {
            now += MS;
            while let Some(out) = rep.poll_outgoing(at, &mut core, now) {
                serving.handle_message(P, out.kind as u32, out.payload.concat(), &mut giver, now);
            }
            while let Some(out) = serving.poll_outgoing(P, &mut giver, now) {
                rep.handle_message(at, out.kind as u32, out.payload.concat(), &mut core, now);
            }
            why = why.or(dropped(&mut rep));
        }
        assert!(matches!(why, Some(InvalidPeer::WrongProof(_))), "{why:?}");
        assert_eq!(rep.peers().collect::<Vec<_>>(), [other]);
        assert!(core.blocks.iter().all(|(i, b)| giver.blocks.get(i) == Some(b)));
    }
}

#[test]
fn a_forged_head_is_refused() {
    let mut net = Net::new();
    let liar = net.add(writer(10, 50));
    let r = net.add(reader());
    net.nodes[liar].core.head.signature[40] ^= 1;
    net.connect(liar, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_for(MS * 500);
    assert_eq!(net.nodes[r].core.head.length, 0);
    assert!(matches!(
        net.nodes[r].events.as_slice(),
        [Event::InvalidPeer { why: InvalidPeer::WrongProof(_), .. }]
    ));
}

#[test]
fn a_peer_that_promises_a_longer_head_and_refuses_does_not_hold_up_others() {
    let mut net = Net::new();
    let r = net.add(reader());
    let liar = net.add(writer(50, 50));
    let (out, ..) = net.connect(liar, r);
    // Promises, and never answers.
    net.links[out].tamper = Some(Box::new(|kind, bytes| {
        if kind == MessageType::Data as u32 {
            return NoData { request: 1 << 40, reason: messages::NoDataReason::Unspecified }.encode().into();
        }
        bytes
    }));
    net.run_for(MS * 100);
    let w = net.add(writer(100, 50));
    net.connect(w, r);
    net.with(r, |rep, core, _| rep.download(Download::live(), core));
    net.run_until(MS * 4000, |net| net.complete(r, w));
}

fn any_message() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let number = || prop_oneof![0..200u64, Just(1 << 20), Just(1 << 52), any::<u64>()];
    let numbers = prop::collection::vec(number(), 0..8).prop_map(|ns| {
        let mut e = Encoder::new();
        for n in ns {
            e.uint(n);
        }
        e.finish()
    });
    (0..12u32, prop_oneof![numbers, prop::collection::vec(any::<u8>(), 0..120)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_message_makes_us_panic_or_lose_our_core(
        messages in prop::collection::vec(any_message(), 1..60),
        holes in prop::collection::vec(0..100u64, 0..20),
    ) {
        let (mut rep, mut core) = victim();
        for h in &holes {
            core.clear(*h, h + 1);
        }
        rep.local_changed(LocalChange::Cleared { start: 0, end: 100 }, &mut core, MS);
        rep.download(Download::live(), &core);
        let mut now = MS;
        for (i, (kind, payload)) in messages.into_iter().enumerate() {
            if rep.peers().next().is_none() {
                rep.add_peer(P, &core, now);
                say(&mut rep, &mut core, MessageType::Sync, sync(100));
            }
            rep.handle_message(P, kind, payload.into(), &mut core, now);
            if i % 3 == 0 {
                for _ in 0..50 {
                    let _ = rep.poll_outgoing(P, &mut core, now);
                }
            }
            now += MS * 400;
            rep.handle_timeout(&mut core, now);
            while rep.poll_event().is_some() {}
            while rep.poll_ready().is_some() {}
        }
        prop_assert_eq!(core.head.length, 100);
        prop_assert_eq!(core.head.fork, 0);
        for (i, b) in &core.blocks {
            prop_assert_eq!(core.nodes[&(2 * i)].hash, bosc_format::crypto::leaf_hash(b));
        }
    }

    #[test]
    fn messages_that_are_read_are_written_alike(kind in 0..11u32, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let payload = Bytes::from(payload);
        macro_rules! round {
            ($t:ty, $encode:expr, $decode:expr) => {
                if let Ok(m) = $decode(&payload) {
                    let again = $encode(&m);
                    prop_assert_eq!($decode(&again).unwrap(), m);
                }
            };
        }
        let bytes = |v: Vec<u8>| Bytes::from(v);
        match kind {
            0 => round!(Sync, |m: &Sync| bytes(m.encode()), |b: &Bytes| Sync::decode(b)),
            1 => round!(Request, |m: &Request| bytes(m.encode()), |b: &Bytes| Request::decode(b)),
            2 => round!(Cancel, |m: &Cancel| bytes(m.encode()), |b: &Bytes| Cancel::decode(b)),
            3 => round!(Data, |m: &Data| m.encode().concat(), |b: &Bytes| Data::decode(b)),
            4 => round!(NoData, |m: &NoData| bytes(m.encode()), |b: &Bytes| NoData::decode(b)),
            5 | 6 => round!(Want, |m: &Want| bytes(m.encode()), |b: &Bytes| Want::decode(b)),
            7 => round!(BitfieldPart, |m: &BitfieldPart| bytes(m.encode()), |b: &Bytes| BitfieldPart::decode(b)),
            8 => round!(Range, |m: &Range| bytes(m.encode()), |b: &Bytes| Range::decode(b)),
            9 => round!(messages::Extension, |m: &messages::Extension| bytes(m.encode()), |b: &Bytes| messages::Extension::decode(b)),
            _ => round!(messages::Handshake, |m: &messages::Handshake| bytes(m.encode()), |b: &Bytes| messages::Handshake::decode(b)),
        }
    }
}
