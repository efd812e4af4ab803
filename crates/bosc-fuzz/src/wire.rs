//! What comes over a connection: handshakes, encrypted frames, the multiplexer, replication.

use crate::Input;
use crate::format::{proved_blocks, proved_core};
use crate::memory_core::MemoryCore;
use bosc_format::crypto::KeyPair;
use bosc_wire::mux::{Limits, Mux, MuxEvent};
use bosc_wire::noise::{Handshake, HandshakeResult, Pattern};
use bosc_wire::replication::messages::{
    BitfieldPart, Cancel, Data, Extension, Handshake as Hello, NoData, Range, ReorgHint, Request, Sync, Want,
};
use bosc_wire::replication::{
    Config as ReplicatorConfig, CoreAccess, Download, PeerId, Replicator, verify_remote_handshake,
};
use bosc_wire::secret_stream::{Config, SecretStream, Seeds, StreamError};
use bosc_wire::secretbox;
use bytes::Bytes;
use std::time::Duration;

/// The key pair the other side has in what the corpus holds.
pub fn theirs() -> KeyPair {
    KeyPair::from_seed(&[2; 32])
}

/// Ours.
pub fn ours() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

/// A handshake of ours: the first bit of `kind` says which pattern, the second who begins.
pub fn handshake(kind: u8, own: &KeyPair, other: &KeyPair, initiator: bool) -> Handshake {
    let pattern = if kind & 1 == 0 { Pattern::IK } else { Pattern::XX };
    let remote = initiator.then(|| other.public());
    Handshake::new(pattern, initiator, own, remote, b"fuzz", own.seed()).unwrap()
}

/// Messages of a handshake. Only the holder of a key may come out as its holder.
pub fn noise(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.u8();
    let mut noise = handshake(kind, &ours(), &theirs(), kind & 2 != 0);
    while !noise.is_finished() {
        if noise.is_our_turn() {
            // A point of theirs that is none shows only now.
            if noise.send(b"payload").is_err() {
                assert!(noise.send(b"payload").is_err() && !noise.is_finished());
                break;
            }
            continue;
        }
        let Some((_, message)) = input.step() else { break };
        if noise.recv(message).is_err() {
            assert!(noise.recv(message).is_err() && noise.send(b"").is_err() && !noise.is_finished());
            break;
        }
    }
    if noise.is_finished() {
        let result = noise.finish().unwrap();
        assert_ne!(result.remote_public_key, ours().public());
    }
    let _ = secretbox::open(data, &[1; 24], &[2; 32]);
}

/// What the other side says on the stream with fixed keys.
pub const SAID: [&[u8]; 5] = [b"hello", b"x", &[7; 300], b"world", &[9; 70_000]];

/// Keys of the two ends of a stream whose handshake is over.
pub fn open_stream(initiator: bool) -> SecretStream {
    let (tx, rx) = if initiator { ([1; 32], [2; 32]) } else { ([2; 32], [1; 32]) };
    let remote = if initiator { ours() } else { theirs() };
    let handshake = HandshakeResult { tx, rx, hash: [3; 64], remote_public_key: remote.public() };
    let seeds = Seeds::draw(&mut |out| out.fill(4));
    SecretStream::from_handshake(initiator, handshake, Config::default(), seeds, Duration::ZERO)
}

/// Bytes of a connection, in slices (one a step): before, in and after a handshake. On a stream that is open nothing
/// comes out but what was said, in order.
pub fn secret_stream(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.u8();
    let seeds = Seeds::draw(&mut |out| out.fill(5));
    let now = Duration::from_secs(1);
    let mut stream = match kind % 4 {
        0 => open_stream(false),
        n => {
            let pattern = if n == 1 { Pattern::IK } else { Pattern::XX };
            let (initiator, remote) = (n == 3, (n == 3).then(|| theirs().public()));
            SecretStream::in_band(initiator, pattern, &ours(), remote, Config::default(), seeds, now).unwrap()
        }
    };
    let (mut got, mut fed) = (0, 0);
    while let Some((op, slice)) = input.step() {
        fed += slice.len();
        let mut failed = stream.feed(slice, now).is_err();
        assert!(stream.buffered() <= fed + 64);
        while !failed && op & 1 == 0 {
            match stream.next_message() {
                Ok(Some(m)) if kind.is_multiple_of(4) => {
                    assert_eq!(SAID.get(got), Some(&&*m), "a forged message");
                    got += 1;
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => failed = true,
            }
        }
        if stream.can_send() && op & 2 != 0 {
            let _ = stream.send(b"answer", now);
        }
        while stream.take_output().is_some() {}
        assert_eq!(stream.open_unordered(slice), None);
        if failed {
            assert!(matches!(stream.feed(b"more", now), Err(StreamError::Failed)));
            break;
        }
    }
    let _ = stream.handle_timeout(Duration::from_secs(1000));
}

/// Frames of the multiplexer, one a step. Channels the other side opens are taken, refused or left waiting.
pub fn mux(data: &[u8]) {
    let limits = Limits { max_buffered: 4096, max_pending: 8, max_channels: 64, ..Limits::default() };
    let mut mux = Mux::new(limits);
    let mut input = Input::new(data);
    let first = mux.open("hypercore/alpha", Some(&[7; 32]), b"hi").unwrap();
    let (mut events, mut fed) = (0usize, 0usize);
    let mut opened = vec![first];
    while let Some((op, frame)) = input.step() {
        fed += frame.len();
        if mux.feed(Bytes::copy_from_slice(frame)).is_err() {
            return;
        }
        loop {
            match mux.poll_event() {
                Err(_) => {
                    mux.shutdown();
                    return;
                }
                Ok(None) => break,
                Ok(Some(MuxEvent::RemoteOpen { protocol, id, .. })) => match op % 3 {
                    0 => opened.extend(mux.open(&protocol, id.as_deref(), b"hi")),
                    1 => mux.reject(&protocol, id.as_deref()),
                    _ => {}
                },
                Ok(Some(MuxEvent::Message { channel, payload, .. })) => {
                    let _ = mux.send(channel, 3, &payload);
                }
                Ok(Some(_)) => {}
            }
            events += 1;
            // Each takes at least two bytes of a frame; closing may give one for each channel beside.
            assert!(events <= fed + 2 * opened.len() + 16, "{events} events of {fed} bytes");
        }
        if op & 0x80 != 0
            && let Some(channel) = opened.pop()
        {
            mux.close(channel);
        }
        while mux.poll_frame().is_some() {}
    }
    mux.shutdown();
    while let Ok(Some(_)) = mux.poll_event() {}
}

/// Every message of replication; the first byte says which.
pub fn messages(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(data);
    macro_rules! round_trip {
        ($kind:ty) => {
            if let Ok(m) = <$kind>::decode(data) {
                assert_eq!(<$kind>::decode(&m.encode()).as_ref(), Ok(&m));
            }
        };
    }
    match kind % 11 {
        0 => round_trip!(Sync),
        1 => round_trip!(Request),
        2 => round_trip!(Cancel),
        3 => {
            if let Ok(m) = Data::decode(&bytes) {
                assert_eq!(Data::decode(&m.encode().concat()).as_ref(), Ok(&m));
            }
        }
        4 => round_trip!(NoData),
        5 => round_trip!(Want),
        6 => round_trip!(ReorgHint),
        7 => round_trip!(BitfieldPart),
        8 => round_trip!(Range),
        9 => {
            if let Ok(m) = Extension::decode(&bytes) {
                assert_eq!(Extension::decode(&m.encode().into()).as_ref(), Ok(&m));
            }
        }
        _ => {
            round_trip!(Hello);
            let hash = [5; 64];
            assert!(!verify_remote_handshake(true, &[1; 32], &hash, data).is_ok_and(|_| data.len() < 33));
        }
    }
}

/// A core to replicate: 0 whole, 1 empty, 2 with a hole.
pub fn replicated(kind: u8) -> MemoryCore {
    let mut core = proved_core();
    match kind % 3 {
        0 => core,
        1 => MemoryCore::reader(core.key),
        _ => {
            core.clear(5, 30);
            core
        }
    }
}

/// Messages of two peers (one a step: the low half of its first byte says which kind) to a live replicator. What the
/// core holds afterwards is what its writer signed.
pub fn replicator(data: &[u8]) {
    let mut input = Input::new(data);
    let mut core = replicated(input.u8());
    let mut now = Duration::from_secs(1);
    let mut rep = Replicator::new(ReplicatorConfig::default(), &core);
    rep.download(Download::live(), &core);
    for peer in [1, 2] {
        rep.add_peer(PeerId(peer), &core, now);
    }
    let mut sent = 0usize;
    for _ in 0..200 {
        let Some((op, payload)) = input.step() else { break };
        now += Duration::from_millis(u64::from(op >> 5) * 400);
        let peer = PeerId(u64::from(op >> 4 & 1) + 1);
        rep.handle_message(peer, u32::from(op & 15), Bytes::copy_from_slice(payload), &mut core, now);
        if rep.next_timeout().is_some_and(|at| at <= now) {
            rep.handle_timeout(&mut core, now);
        }
        for peer in [1, 2] {
            while let Some(out) = rep.poll_outgoing(PeerId(peer), &mut core, now) {
                sent += 1;
                assert!(out.payload.len() < 100_000);
                assert!(sent < 20_000, "it does not stop to talk");
            }
        }
        let mut events = 0;
        while rep.poll_event().is_some() {
            events += 1;
            assert!(events < 10_000);
        }
    }
    for peer in rep.peers().collect::<Vec<_>>() {
        let _ = rep.stats(peer);
    }
    let _ = (rep.full_copies(), rep.is_behind());
    let truth = proved_blocks();
    for (i, block) in &core.blocks {
        assert_eq!(truth.get(*i as usize), Some(block), "a forged block was kept");
    }
    assert!(core.head().length <= truth.len() as u64 && core.head().fork == 0);
}
