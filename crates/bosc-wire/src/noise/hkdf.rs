//! HKDF over HMAC-BLAKE2b-512 with 128-byte pads (npm `noise-handshake`, hmac.js and hkdf.js).

use blake2::Blake2b512;
use blake2::digest::{FixedOutput, Update};
use zeroize::Zeroize;

/// Bytes of a digest.
pub(super) const HASH: usize = 64;
/// Bytes of a pad: the block size of BLAKE2b.
const BLOCK: usize = 128;

/// BLAKE2b-512 over the concatenation of `parts`.
pub(super) fn blake2b(parts: &[&[u8]]) -> [u8; HASH] {
    let mut h = Blake2b512::default();
    for p in parts {
        h.update(p);
    }
    h.finalize_fixed().into()
}

/// HMAC with a key of 64 bytes, the only length there is here.
fn hmac(key: &[u8; HASH], data: &[&[u8]]) -> [u8; HASH] {
    let mut inner_pad = [0x36; BLOCK];
    let mut outer_pad = [0x5c; BLOCK];
    for ((i, o), k) in inner_pad.iter_mut().zip(outer_pad.iter_mut()).zip(key) {
        *i ^= k;
        *o ^= k;
    }
    let mut h = Blake2b512::default();
    h.update(&inner_pad);
    for d in data {
        h.update(d);
    }
    let inner: [u8; HASH] = h.finalize_fixed().into();
    let out = blake2b(&[&outer_pad, &inner]);
    inner_pad.zeroize();
    outer_pad.zeroize();
    out
}

/// Two outputs of HKDF with no info.
pub(super) fn hkdf(salt: &[u8; HASH], input: &[u8]) -> ([u8; HASH], [u8; HASH]) {
    let mut prk = hmac(salt, &[input]);
    let first = hmac(&prk, &[&[1]]);
    let second = hmac(&prk, &[&first, &[2]]);
    prk.zeroize();
    (first, second)
}
