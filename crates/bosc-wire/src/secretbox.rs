//! libsodium's `crypto_secretbox_easy`: XSalsa20 and Poly1305, tag first.
//!
//! Used for the unordered messages of a secret stream and for holepunch payloads of the DHT. A nonce is used
//! once per key.

use poly1305::universal_hash::KeyInit;
use poly1305::{Key, Poly1305};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroize;

/// Bytes a sealed message is longer than the plain one.
pub const OVERHEAD: usize = 16;

/// Seals `plain`: 16 bytes of tag, then the ciphertext.
pub fn seal(plain: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> Vec<u8> {
    let (mut cipher, mac) = start(nonce, key);
    let mut sealed = plain.to_vec();
    cipher.apply_keystream(&mut sealed);
    let mut out = Vec::with_capacity(plain.len().saturating_add(OVERHEAD));
    out.extend_from_slice(&mac.compute_unpadded(&sealed));
    out.append(&mut sealed);
    out
}

/// Opens what [`seal`] made. `None` when it was made with another key or nonce, or changed since.
pub fn open(sealed: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> Option<Vec<u8>> {
    let (tag, body) = sealed.split_first_chunk::<OVERHEAD>()?;
    let (mut cipher, mac) = start(nonce, key);
    if !same(&mac.compute_unpadded(body), tag) {
        return None;
    }
    let mut plain = body.to_vec();
    cipher.apply_keystream(&mut plain);
    Some(plain)
}

/// The cipher, 32 bytes into its stream, and the authenticator keyed with those 32.
fn start(nonce: &[u8; 24], key: &[u8; 32]) -> (XSalsa20, Poly1305) {
    let mut cipher = XSalsa20::new(&(*key).into(), &(*nonce).into());
    let mut mac_key = Key::default();
    cipher.apply_keystream(&mut mac_key);
    let mac = Poly1305::new(&mac_key);
    mac_key.zeroize();
    (cipher, mac)
}

/// Compares two tags without a branch on their bytes.
pub(crate) fn same(a: &[u8], b: &[u8; OVERHEAD]) -> bool {
    let difference = a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_does_not_open() {
        let (nonce, key) = ([7; 24], [9; 32]);
        for n in [0, 1, 31, 32, 33, 64, 1000] {
            let plain: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let sealed = seal(&plain, &nonce, &key);
            assert_eq!(open(&sealed, &nonce, &key).as_deref(), Some(plain.as_slice()));
            for i in 0..sealed.len() {
                let mut bad = sealed.clone();
                bad[i] ^= 1;
                assert_eq!(open(&bad, &nonce, &key), None);
            }
            assert_eq!(open(&sealed[..sealed.len() - 1], &nonce, &key), None);
        }
        assert_eq!(open(&[0; 15], &nonce, &key), None);
    }
}
