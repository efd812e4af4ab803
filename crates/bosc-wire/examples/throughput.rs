//! Prints how fast one core seals and opens a secret stream, and moves messages through a mux on top of it.
//! Where Linux tells the time a thread was on a processor that is what counts, else the time that passed.
//!
//! `cargo run --release -p bosc-wire --example throughput`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use bosc_wire::mux::{Limits, Mux, MuxEvent};
use bosc_wire::noise::HandshakeResult;
use bosc_wire::secret_stream::cipher::{OVERHEAD, StreamCipherState};
use bosc_wire::secret_stream::{Config, SecretStream, Seeds};
use bytes::Bytes;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn clock() -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|s| s.split_ascii_whitespace().next()?.parse().ok())
        .map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

fn stream(initiator: bool) -> SecretStream {
    let (tx, rx) = if initiator { ([1; 32], [2; 32]) } else { ([2; 32], [1; 32]) };
    let result = HandshakeResult { tx, rx, hash: [3; 64], remote_public_key: [4; 32] };
    let seeds = Seeds { ephemeral: [0; 32], header: [5; 24], nonce: [0; 8] };
    SecretStream::from_handshake(initiator, result, Config::default(), seeds, Duration::ZERO)
}

fn report(what: &str, size: usize, bytes: usize, took: Duration) {
    println!("{what:<28} {size:>8} B  {:>8.2} GB/s", bytes as f64 / took.as_secs_f64() / 1e9);
}

fn main() {
    for size in [64usize, 1024, 16 << 10, 64 << 10, 1 << 20] {
        let rounds = ((512 << 20) / (size + 200)).max(1);
        let mut state = StreamCipherState::new(&[1; 32], &[2; 24]);
        let mut message = vec![7; size + OVERHEAD];
        let start = clock();
        for _ in 0..rounds {
            assert!(state.seal(0, &mut message));
        }
        report("seal in place", size, rounds * size, clock() - start);

        let (mut a, mut b) = (stream(true), stream(false));
        b.feed(&a.take_output().unwrap(), Duration::ZERO).unwrap();
        let payload = vec![7; size];
        let per_turn = ((64 << 20) / (size + 200)).max(1);
        let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
        let mut count = 0;
        while count < rounds {
            let start = clock();
            for _ in 0..per_turn {
                a.send(&payload, Duration::ZERO).unwrap();
            }
            let chunks: Vec<Bytes> = std::iter::from_fn(|| a.take_output()).collect();
            sending += clock() - start;
            let start = clock();
            let mut got = 0;
            for chunk in chunks {
                // As a packet transport would hand them over.
                for packet in chunk.chunks(1200) {
                    b.feed(packet, Duration::ZERO).unwrap();
                    while b.next_message().unwrap().is_some() {
                        got += 1;
                    }
                }
            }
            receiving += clock() - start;
            assert_eq!(got, per_turn);
            count += per_turn;
        }
        report("stream: send", size, count * size, sending);
        report("stream: receive, 1200 B fed", size, count * size, receiving);
    }

    let size = 64 << 10;
    let (mut sa, mut sb) = (stream(true), stream(false));
    sb.feed(&sa.take_output().unwrap(), Duration::ZERO).unwrap();
    let (mut ma, mut mb) = (Mux::new(Limits::default()), Mux::new(Limits::default()));
    let channel = ma.open("p", None, b"").unwrap();
    mb.open("p", None, b"").unwrap();
    let block = Bytes::from(vec![7; size]);
    let (rounds, mut got) = (8192, 0);
    let start = clock();
    for _ in 0..rounds {
        ma.send_parts(channel, 3, &[Bytes::from_static(b"a header of some bytes"), block.clone()]).unwrap();
        while let Some(frame) = ma.poll_frame() {
            sa.send_parts(frame.parts(), Duration::ZERO).unwrap();
        }
        while let Some(chunk) = sa.take_output() {
            sb.feed(&chunk, Duration::ZERO).unwrap();
        }
        while let Some(message) = sb.next_message().unwrap() {
            mb.feed(message).unwrap();
        }
        while let Some(event) = mb.poll_event().unwrap() {
            got += usize::from(matches!(event, MuxEvent::Message { .. }));
        }
    }
    assert_eq!(got, rounds);
    report("mux, both ends on one core", size, rounds * size, clock() - start);
}
