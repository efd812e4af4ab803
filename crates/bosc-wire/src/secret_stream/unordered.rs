//! Sealed messages outside of the ordered stream (`send` of npm `@hyperswarm/secret-stream`): an 8-byte counter
//! in clear, then a secretbox under a key per direction derived from the handshake's hash.

use super::namespaces::NAMESPACES;
use crate::secretbox;
use bosc_format::crypto::keyed_hash;
use zeroize::Zeroize;

const COUNTER: usize = 8;

pub(super) struct Unordered {
    tx: [u8; 32],
    rx: [u8; 32],
    initial: u64,
    counter: u64,
}

impl Unordered {
    pub(super) fn new(handshake_hash: &[u8; 64], initiator: bool, nonce: [u8; COUNTER]) -> Self {
        let [from_initiator, from_responder, send] = &*NAMESPACES;
        let a = keyed_hash(handshake_hash, &[from_initiator, send]);
        let b = keyed_hash(handshake_hash, &[from_responder, send]);
        let (tx, rx) = if initiator { (a, b) } else { (b, a) };
        let initial = u64::from_le_bytes(nonce);
        Self { tx, rx, initial, counter: initial }
    }

    /// `None` when all 2^64 nonces are used.
    pub(super) fn seal(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let next = self.counter.wrapping_add(1);
        if next == self.initial {
            return None;
        }
        self.counter = next;
        let counter = next.to_le_bytes();
        let mut out = counter.to_vec();
        out.append(&mut secretbox::seal(message, &nonce(counter), &self.tx));
        Some(out)
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (counter, sealed) = sealed.split_first_chunk::<COUNTER>()?;
        secretbox::open(sealed, &nonce(*counter), &self.rx)
    }
}

impl Drop for Unordered {
    fn drop(&mut self) {
        self.tx.zeroize();
        self.rx.zeroize();
    }
}

fn nonce(counter: [u8; COUNTER]) -> [u8; 24] {
    let mut nonce = [0; 24];
    for (n, c) in nonce.iter_mut().zip(counter) {
        *n = c;
    }
    nonce
}
