//! libsodium's `crypto_secretstream_xchacha20poly1305`, in place.
//!
//! A sealed message is one encrypted tag byte, the ciphertext and 16 bytes of authenticator. The state is a key
//! and a nonce of a 32-bit counter and 8 bytes that each authenticator is mixed into. The key changes when the
//! counter wraps or a message asks for it ([`TAG_REKEY`]).
//!
//! libsodium pads the authenticated ciphertext with `length mod 16` zero bytes, not up to a multiple of 16.
//! That is what peers do, so it is done here.

use crate::secretbox::same;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20::{ChaCha20, R20, hchacha};
use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Key, Poly1305};
use zeroize::Zeroize;

/// Bytes of the header that starts a direction.
pub const HEADER: usize = 24;
/// Bytes a sealed message is longer than the plain one: the tag byte and the authenticator.
pub const OVERHEAD: usize = 17;
/// Tag of an ordinary message, the only one `@hyperswarm/secret-stream` sends.
pub const TAG_MESSAGE: u8 = 0;
/// Bit of a tag: change the key after this message.
pub const TAG_REKEY: u8 = 2;

const MAC: usize = 16;
/// Bytes ciphered before they are authenticated, so that the second pass finds them in the cache.
const CHUNK: usize = 16 * 1024;

/// One direction of a secret stream. The same state seals on one side and opens on the other.
#[derive(Clone)]
pub struct StreamCipherState {
    key: [u8; 32],
    counter: u32,
    inonce: [u8; 8],
}

impl Drop for StreamCipherState {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl std::fmt::Debug for StreamCipherState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamCipherState").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl StreamCipherState {
    /// Starts a direction from its key and its header, which is random and goes to the other side in clear.
    pub fn new(key: &[u8; 32], header: &[u8; HEADER]) -> Self {
        let (first, inonce) = halves(header);
        Self { key: hchacha::<R20>(&(*key).into(), &first.into()).into(), counter: 1, inonce }
    }

    /// Seals in place. `message` holds one byte of room, the plain bytes and 16 bytes of room. Returns false
    /// and leaves it alone when it is shorter than [`OVERHEAD`].
    #[must_use]
    pub fn seal(&mut self, tag: u8, message: &mut [u8]) -> bool {
        let Some((tag_slot, rest)) = message.split_first_mut() else { return false };
        let Some((body, mac_slot)) = rest.split_last_chunk_mut::<MAC>() else { return false };
        let (sealed_tag, sealing) = self.begin(tag);
        *tag_slot = sealed_tag;
        *mac_slot = sealing.finish(self, body);
        true
    }

    /// Begins a message that is sealed piece by piece: its sealed tag byte, and what takes the pieces. No other is sealed before
    /// that one is finished.
    pub(super) fn begin(&self, tag: u8) -> (u8, Sealing) {
        let (cipher, mut mac, mut tag_block) = self.start();
        let mut sealed_tag = tag;
        if let Some(b) = tag_block.first_mut() {
            *b ^= tag;
            sealed_tag = *b;
        }
        mac.update(Block::slice_as_chunks(&tag_block).0);
        (sealed_tag, Sealing { tag, cipher, mac, len: 0 })
    }

    /// Opens in place what [`seal`](Self::seal) made and returns its tag; the plain bytes are
    /// `message[1..len - 16]`. `None` when it does not authenticate: then `message` is garbage and the state
    /// must not be used again.
    #[must_use]
    pub fn open(&mut self, message: &mut [u8]) -> Option<u8> {
        let (tag_slot, rest) = message.split_first_mut()?;
        let (body, mac_slot) = rest.split_last_chunk_mut::<MAC>()?;
        let (mut cipher, mut mac, mut tag_block) = self.start();
        let first = tag_block.first_mut()?;
        let tag = *first ^ *tag_slot;
        *first = *tag_slot;
        mac.update(Block::slice_as_chunks(&tag_block).0);
        let len = body.len();
        let mut chunks = body.chunks_exact_mut(CHUNK);
        for chunk in chunks.by_ref() {
            mac.update(Block::slice_as_chunks(chunk).0);
            cipher.apply_keystream(chunk);
        }
        let last = chunks.into_remainder();
        let sum = finish_mac(mac, last, len);
        if !same(&sum, mac_slot) {
            return None;
        }
        cipher.apply_keystream(last);
        self.advance(tag, &sum);
        Some(tag)
    }

    /// The cipher at block 2, the authenticator keyed from block 0, and block 1, which hides the tag.
    fn start(&self) -> (ChaCha20, Poly1305, [u8; 64]) {
        let mut cipher = ChaCha20::new(&self.key.into(), &self.nonce().into());
        let mut head = [0; 128];
        cipher.apply_keystream(&mut head);
        let mut tag_block = [0; 64];
        let mut mac_key = Key::default();
        for (k, h) in mac_key.iter_mut().zip(&head) {
            *k = *h;
        }
        for (t, h) in tag_block.iter_mut().zip(head.iter().skip(64)) {
            *t = *h;
        }
        let mac = Poly1305::new(&mac_key);
        mac_key.zeroize();
        head.zeroize();
        (cipher, mac, tag_block)
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        for (n, b) in nonce.iter_mut().zip(self.counter.to_le_bytes().iter().chain(&self.inonce)) {
            *n = *b;
        }
        nonce
    }

    fn advance(&mut self, tag: u8, mac: &[u8; MAC]) {
        for (n, m) in self.inonce.iter_mut().zip(mac) {
            *n ^= m;
        }
        self.counter = self.counter.wrapping_add(1);
        if tag & TAG_REKEY != 0 || self.counter == 0 {
            self.rekey();
        }
    }

    fn rekey(&mut self) {
        let mut cipher = ChaCha20::new(&self.key.into(), &self.nonce().into());
        cipher.apply_keystream(&mut self.key);
        cipher.apply_keystream(&mut self.inonce);
        self.counter = 1;
    }

    /// For tests: a state about to wrap its counter.
    #[cfg(test)]
    pub(super) fn set_counter(&mut self, counter: u32) {
        self.counter = counter;
    }
}

/// A message in the course of being sealed. One that is not finished leaves the state as if it had not begun.
pub(super) struct Sealing {
    tag: u8,
    cipher: ChaCha20,
    mac: Poly1305,
    len: usize,
}

impl Sealing {
    /// Seals the next piece in place. All but the last, which [`Sealing::finish`] takes, are a multiple of 16 bytes long.
    pub(super) fn piece(&mut self, piece: &mut [u8]) {
        debug_assert!(piece.len().is_multiple_of(16));
        self.len = self.len.saturating_add(piece.len());
        for chunk in piece.chunks_mut(CHUNK) {
            self.cipher.apply_keystream(chunk);
            self.mac.update(Block::slice_as_chunks(chunk).0);
        }
    }

    /// Seals the last piece in place, and moves on the state that it was begun with; the authenticator that follows it.
    pub(super) fn finish(mut self, state: &mut StreamCipherState, piece: &mut [u8]) -> [u8; MAC] {
        let total = self.len.saturating_add(piece.len());
        let (whole, last) = piece.split_at_mut(piece.len() / CHUNK * CHUNK);
        self.piece(whole);
        self.cipher.apply_keystream(last);
        let sum = finish_mac(self.mac, last, total);
        state.advance(self.tag, &sum);
        sum
    }
}

/// Authenticates the last bytes of the ciphertext, libsodium's padding and the lengths.
fn finish_mac(mut mac: Poly1305, last: &[u8], total: usize) -> [u8; MAC] {
    let (blocks, rest) = Block::slice_as_chunks(last);
    mac.update(blocks);
    let mut tail = [0; 15 + 15 + 16];
    for (t, r) in tail.iter_mut().zip(rest) {
        *t = *r;
    }
    let lengths = (64 + total as u64).to_le_bytes();
    for (t, l) in tail.iter_mut().skip(2 * rest.len() + 8).zip(lengths) {
        *t = l;
    }
    mac.compute_unpadded(tail.get(..2 * rest.len() + 16).unwrap_or_default()).into()
}

/// The first 16 and the last 8 bytes of a header.
fn halves(header: &[u8; HEADER]) -> ([u8; 16], [u8; 8]) {
    let (mut a, mut b) = ([0; 16], [0; 8]);
    for (x, h) in a.iter_mut().chain(b.iter_mut()).zip(header) {
        *x = *h;
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (StreamCipherState, StreamCipherState) {
        let s = StreamCipherState::new(&[3; 32], &[5; HEADER]);
        (s.clone(), s)
    }

    fn sealed(s: &mut StreamCipherState, tag: u8, plain: &[u8]) -> Vec<u8> {
        let mut m = vec![0; plain.len() + OVERHEAD];
        m[1..=plain.len()].copy_from_slice(plain);
        assert!(s.seal(tag, &mut m));
        m
    }

    #[test]
    fn messages_of_every_length_come_back_across_rekeys_and_counter_wrap() {
        let (mut tx, mut rx) = pair();
        for n in (0..200).chain([CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17]) {
            let plain: Vec<u8> = (0..n).map(|i| (i * 7) as u8).collect();
            let tag = if n % 5 == 0 { TAG_REKEY } else { TAG_MESSAGE };
            if n == 100 {
                tx.set_counter(u32::MAX);
                rx.set_counter(u32::MAX);
            }
            let mut m = sealed(&mut tx, tag, &plain);
            assert_eq!(rx.open(&mut m), Some(tag));
            assert_eq!(m[1..=n], plain);
        }
    }

    #[test]
    fn a_changed_replayed_or_reordered_message_does_not_open() {
        let (mut tx, rx) = pair();
        let first = sealed(&mut tx, TAG_MESSAGE, b"first message of the two");
        let second = sealed(&mut tx, TAG_MESSAGE, b"second");
        for i in 0..first.len() {
            for bit in 0..8 {
                let mut bad = first.clone();
                bad[i] ^= 1 << bit;
                assert_eq!(rx.clone().open(&mut bad), None, "byte {i} bit {bit}");
            }
        }
        for n in 0..first.len() {
            assert_eq!(rx.clone().open(&mut first[..n].to_vec()), None, "cut to {n}");
        }
        assert_eq!(rx.clone().open(&mut second.clone()), None);
        let mut rx = rx;
        assert!(rx.open(&mut first.clone()).is_some());
        assert_eq!(rx.clone().open(&mut first.clone()), None);
        assert!(rx.open(&mut second.clone()).is_some());
    }

    #[test]
    fn room_that_is_too_short_is_refused() {
        let (mut tx, _) = pair();
        for n in 0..OVERHEAD {
            assert!(!tx.seal(TAG_MESSAGE, &mut vec![0; n]));
        }
    }
}
