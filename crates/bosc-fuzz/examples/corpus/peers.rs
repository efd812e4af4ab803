//! What a connected peer says: handshakes, streams, channels, replication.

use crate::samples::{Corpus, MAX_LEN, hex, list, prefixed, steps, unhex, vectors};
use bosc_fuzz::{push_step, wire};
use bosc_wire::replication::{Config, CoreAccess, Download, PeerId, Replicator};
use std::time::Duration;

pub(crate) fn connections(c: &mut Corpus) {
    // Handshakes with the keys of the target.
    for kind in 0..4u8 {
        let we_begin = kind & 2 != 0;
        let mut us = wire::handshake(kind, &wire::ours(), &wire::theirs(), we_begin);
        let mut them = wire::handshake(kind, &wire::theirs(), &wire::ours(), !we_begin);
        let mut said = Vec::new();
        while !(us.is_finished() && them.is_finished()) {
            if us.is_our_turn() {
                them.recv(&us.send(b"payload").unwrap()).unwrap();
            } else {
                let m = them.send(b"their payload").unwrap();
                us.recv(&m).unwrap();
                push_step(&mut said, 0, &m);
            }
        }
        c.add("noise", prefixed(kind, &said));
    }
    for n in list(&vectors("secure.json")["noise"]) {
        let messages: Vec<Vec<u8>> = list(&n["messages"]).iter().map(|m| hex(&m["bytes"])).collect();
        c.add("noise", prefixed(0, &steps(messages.iter().map(|m| (0, &m[..])))));
    }
    // What the other end of the open stream sends, in slices.
    let mut them = wire::open_stream(true);
    let mut bytes = Vec::new();
    for m in &wire::SAID[..4] {
        them.send(m, Duration::ZERO).unwrap();
    }
    while let Some(out) = them.take_output() {
        bytes.extend_from_slice(&out);
    }
    for size in [1, 7, 50, 5000] {
        c.add("secret_stream", prefixed(0, &steps(bytes.chunks(size).map(|s| (2, s)))));
    }
    for (kind, pattern) in [(1u8, bosc_wire::noise::Pattern::IK), (2, bosc_wire::noise::Pattern::XX)] {
        let mut other = bosc_wire::secret_stream::SecretStream::in_band(
            true,
            pattern,
            &wire::theirs(),
            Some(wire::ours().public()),
            bosc_wire::secret_stream::Config::default(),
            bosc_wire::secret_stream::Seeds::draw(&mut |out| out.fill(6)),
            Duration::ZERO,
        )
        .unwrap();
        let mut first = Vec::new();
        while let Some(out) = other.take_output() {
            first.extend_from_slice(&out);
        }
        c.add("secret_stream", prefixed(kind, &steps([(0, &first[..])])));
        c.add("secret_stream", prefixed(3, &steps([(0, &first[..])])));
    }
    let secure = vectors("secure.json");
    let frames: Vec<Vec<u8>> = list(&secure["mux"])
        .iter()
        .filter(|f| f["side"] == "a")
        .filter_map(|f| unhex(f["sent"].as_str()?))
        .collect();
    for op in 0..3 {
        c.add("mux", steps(frames.iter().map(|f| (op, &f[..]))));
        for f in &frames {
            c.add("mux", steps([(op, &frames[0][..]), (op | 0x80, &f[..])]));
        }
    }
}

pub(crate) fn replication(c: &mut Corpus) {
    let v = vectors("replication.json");
    let names = [
        "sync",
        "request",
        "cancel",
        "data",
        "noData",
        "want",
        "reorgHint",
        "bitfield",
        "range",
        "extension",
        "handshake",
    ];
    let mut of_kind: Vec<Vec<u8>> = Vec::new();
    for (kind, name) in names.iter().enumerate() {
        for m in list(&v[*name]) {
            let bytes = hex(&m["bytes"]);
            c.add("messages", prefixed(kind as u8, &bytes));
            if kind < 10 {
                of_kind.push(steps([(kind as u8, &bytes[..])]));
            }
        }
    }
    for kind in 0..3u8 {
        for some in of_kind.chunks(9) {
            c.add("replicator", prefixed(kind, &some.concat()));
        }
        // What is said to each of the cores by one that has (or wants) everything, with our answers delivered.
        let (mut ours, mut theirs) = (wire::replicated(kind), wire::replicated((kind == 0).into()));
        let now = Duration::from_secs(1);
        let mut us = Replicator::new(Config::default(), &ours);
        us.download(Download::live(), &ours);
        let mut them = Replicator::new(Config::default(), &theirs);
        them.download(Download::live(), &theirs);
        us.add_peer(PeerId(1), &ours, now);
        us.add_peer(PeerId(2), &ours, now);
        them.add_peer(PeerId(1), &theirs, now);
        let mut said = vec![kind];
        for _ in 0..6 {
            while let Some(m) = us.poll_outgoing(PeerId(1), &mut ours, now) {
                them.handle_message(PeerId(1), m.kind as u32, m.payload.concat(), &mut theirs, now);
            }
            while us.poll_outgoing(PeerId(2), &mut ours, now).is_some() {}
            let mut quiet = true;
            while let Some(m) = them.poll_outgoing(PeerId(1), &mut theirs, now) {
                let bytes = m.payload.concat();
                push_step(&mut said, m.kind as u8, &bytes);
                us.handle_message(PeerId(1), m.kind as u32, bytes, &mut ours, now);
                quiet = false;
                while let Some(m) = us.poll_outgoing(PeerId(1), &mut ours, now) {
                    them.handle_message(PeerId(1), m.kind as u32, m.payload.concat(), &mut theirs, now);
                }
                while us.poll_outgoing(PeerId(2), &mut ours, now).is_some() {}
            }
            if quiet {
                break;
            }
        }
        said.truncate(MAX_LEN);
        println!("replicator {kind}: {} bytes, length {}", said.len(), ours.head().length);
        c.add("replicator", said);
    }
}
