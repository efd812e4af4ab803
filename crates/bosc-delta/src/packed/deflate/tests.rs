#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use super::*;
use crate::hash::hash;
use crate::packed::{Method, packs_to, unpack};

use crate::program::noise;

/// What packs well, what does not, zeros, and repetitions near and far.
fn sample() -> Vec<u8> {
    let mut out: Vec<u8> = noise(1, 60_000).iter().map(|b| b % 7).collect();
    out.extend(noise(2, 40_000));
    out.resize(out.len() + 20_000, 0);
    for p in noise(3, 30_000).chunks_exact(3) {
        let start = (usize::from(p[0]) << 8 | usize::from(p[1])) % (out.len() - 300);
        out.extend_from_within(start..start + 3 + usize::from(p[2]) % 40);
        out.push(p[0]);
    }
    out
}

fn packed(parameters: Parameters, bytes: &[u8], step: usize) -> Vec<u8> {
    let mut deflate = Deflate::new(parameters);
    bytes.chunks(step).for_each(|piece| deflate.write(piece));
    deflate.finish();
    std::mem::take(deflate.out())
}

/// The first bytes of the BLAKE2b-256, and the length, of what Python's zlib 1.2.13 (`compressobj(level, DEFLATED, -15, memory)`) and
/// GNU gzip 1.12 (without header and trailer) make of the sample.
#[test]
fn as_zlib_and_gzip() {
    let bytes = sample();
    for (level, memory, gzip, first, len) in [
        (1, 8, false, "0271cc2bc1576e10", 191_335),
        (2, 8, false, "e6ac22c7e18c904d", 188_487),
        (3, 8, false, "bc3c5341a0f88b68", 180_783),
        (4, 8, false, "535b6c4e1985ec47", 182_159),
        (5, 8, false, "2a2fb24e6b912961", 177_799),
        (6, 8, false, "aad03f0d36e2f070", 170_559),
        (7, 8, false, "a2828bb4c49b0f89", 170_541),
        (8, 8, false, "e5e6a8c44a5d2dd8", 170_530),
        (9, 8, false, "e5e6a8c44a5d2dd8", 170_530),
        (1, 9, false, "048876d2b4895fae", 195_300),
        (2, 9, false, "17885232c73e6571", 192_806),
        (3, 9, false, "a840203d3925872b", 184_553),
        (4, 9, false, "60fffaf04fe6e060", 186_193),
        (5, 9, false, "94550fe0f233cee1", 181_775),
        (6, 9, false, "ea4ca15977ab0a2a", 174_230),
        (7, 9, false, "6da5c7eed389a046", 174_208),
        (8, 9, false, "e1c1c6347cbec10b", 174_198),
        (9, 9, false, "e1c1c6347cbec10b", 174_198),
        (1, 1, false, "d7e83e57c2a074e5", 223_827),
        (2, 1, false, "4f86488f56f49150", 219_461),
        (3, 1, false, "63e00fefef809bc6", 208_644),
        (4, 1, false, "c8c31361ce2ab601", 212_541),
        (5, 1, false, "7dd92909e0453cd4", 206_453),
        (6, 1, false, "2b4817ddec0da287", 190_757),
        (7, 1, false, "4debe1b8bed68f25", 187_424),
        (8, 1, false, "3de6588281f5ac31", 187_395),
        (9, 1, false, "3de6588281f5ac31", 187_395),
        (1, 8, true, "ac727767d302ad98", 195_346),
        (2, 8, true, "391b271acb029b08", 192_845),
        (3, 8, true, "d52d19fdf715d91d", 184_568),
        (4, 8, true, "e56dbb6e6b6925da", 186_193),
        (5, 8, true, "1c6f81f452474b3b", 181_762),
        (6, 8, true, "ea4ca15977ab0a2a", 174_230),
        (7, 8, true, "6da5c7eed389a046", 174_208),
        (8, 8, true, "e1c1c6347cbec10b", 174_198),
        (9, 8, true, "e1c1c6347cbec10b", 174_198),
    ] {
        let parameters = Parameters { level, memory, gzip };
        let made = packed(parameters, &bytes, 1 << 16);
        let hash: String = hash(&made).iter().take(8).map(|b| format!("{b:02x}")).collect();
        assert_eq!((hash.as_str(), made.len()), (first, len), "{parameters:?}");
        assert!(unpack(&made, Method::Deflate, bytes.len()).unwrap() == (bytes.clone(), len as u64));
        // In other portions, and by a packer that was used before.
        assert!(packed(parameters, &bytes, 7777) == made);
        let mut used = Deflate::new(parameters);
        assert!(!packs_to((parameters, &mut used), Method::Deflate, &noise(5, 100_000), &made));
        assert!(packs_to((parameters, &mut used), Method::Deflate, &bytes, &made));
    }
}

#[test]
fn short_and_empty() {
    let parameters = Parameters { level: 6, memory: 8, gzip: false };
    assert_eq!(packed(parameters, b"", 1), [3, 0]);
    assert_eq!(packed(parameters, b"a", 1), [0x4b, 4, 0]);
    assert_eq!(unpack(&[3, 0, 9], Method::Deflate, 10), Some((vec![], 2)));
    for cut in 0..3 {
        assert_eq!(unpack(&[0x4b, 4, 0][..cut], Method::Deflate, 10), None);
    }
    for bytes in [&[7][..], &[5, 0xff, 0xff], &[0, 1, 0, 0, 0, 9], &[0x63, 0, 2]] {
        let _ = unpack(bytes, Method::Deflate, 10);
    }
}
