#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn content(input: &Value) -> Vec<u8> {
    let length = input["length"].as_u64().unwrap() as usize;
    let seed = input["seed"].as_u64().unwrap_or(0) as u32;
    let mut out = match input["kind"].as_str().unwrap() {
        "zero" => vec![0; length],
        "repeat" => (0..length).map(|i| (i % seed as usize) as u8).collect(),
        _ => lcg(seed, length),
    };
    if let Some(at) = input["flip"].as_u64() {
        out[at as usize] ^= 1;
    }
    out
}

fn lcg(mut state: u32, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 4);
    while out.len() < length {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

fn cuts(mut chunker: Chunker, data: &[u8], slice: usize) -> Vec<usize> {
    let mut out = Vec::new();
    for mut part in data.chunks(slice) {
        while let Some(n) = {
            let before = chunker.pending();
            chunker.push(part).map(|n| (before, n))
        } {
            out.push(n.0 + n.1);
            part = &part[n.1..];
        }
    }
    if chunker.pending() > 0 {
        out.push(chunker.pending());
    }
    out
}

#[test]
fn cut_points_are_those_of_rabin_native() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../interop/vectors/drive.json")).unwrap();
    for case in vectors["chunker"].as_array().unwrap() {
        let data = content(&case["input"]);
        let size = |name: &str| case["sizes"][name].as_u64().unwrap() as usize;
        for slice in [case["slice"].as_u64().unwrap() as usize, 100_003, data.len()] {
            let got = cuts(Chunker::with_sizes(size("minSize"), size("maxSize")), &data, slice);
            assert_eq!(serde_json::json!(got), case["chunks"], "{} in slices of {slice}", case["input"]);
        }
    }
}

/// One byte at a time, straight from the definition.
fn reference(data: &[u8], min: usize, max: usize) -> Vec<usize> {
    fn modulo(mut x: u128) -> u128 {
        const P: u128 = 0x3D_A335_8B4D_C173;
        while x >> 53 != 0 {
            x ^= P << (127 - x.leading_zeros() - 53);
        }
        x
    }
    let mut out = Vec::new();
    let mut start = 0;
    for end in 1..=data.len() {
        let count = end - start;
        let mut window = vec![0u8; 63];
        window.push(1);
        window.extend_from_slice(&data[start.max(end.saturating_sub(64))..end]);
        let digest = window[window.len() - 64..].iter().fold(0, |d, &b| modulo((d << 8) | u128::from(b)));
        if (count >= min && digest & 0xf_ffff == 0) || count >= max {
            out.push(count);
            start = end;
        }
    }
    if start < data.len() {
        out.push(data.len() - start);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn small_sizes_agree_with_the_definition(
        data in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..1200),
        min in 1usize..200, more in 0usize..300, slice in 1usize..300,
    ) {
        prop_assert_eq!(cuts(Chunker::with_sizes(min, min + more), &data, slice), reference(&data, min, min + more));
    }

    #[test]
    fn slices_do_not_matter(seed: u32, length in 0usize..6_000_000, slice in 1usize..2_000_000) {
        let data = lcg(seed, length);
        let got = cuts(Chunker::new(), &data, slice);
        prop_assert_eq!(&got, &cuts(Chunker::new(), &data, length.max(1)));
        let mut buffer = ChunkBuffer::new();
        let mut chunks = Vec::new();
        for part in data.chunks(slice) {
            buffer.buffer().extend_from_slice(part);
            while let Some(chunk) = buffer.next_chunk() {
                chunks.push(chunk);
            }
        }
        chunks.extend(buffer.finish());
        prop_assert_eq!(chunks.iter().map(|c| c.len()).collect::<Vec<_>>(), got);
        prop_assert_eq!(chunks.concat(), data);
    }
}
