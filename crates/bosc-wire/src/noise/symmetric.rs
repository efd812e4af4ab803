//! The chaining key, the running hash and the handshake cipher (npm `noise-handshake`, symmetric-state.js and
//! cipher.js).

use super::error::{MAX_MESSAGE, NoiseError};
use super::hkdf::{HASH, blake2b, hkdf};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use zeroize::Zeroize;

/// Bytes a ciphertext is longer than its plaintext.
pub(super) const TAG: usize = 16;

#[derive(Clone)]
pub(super) struct SymmetricState {
    digest: [u8; HASH],
    chaining: [u8; HASH],
    key: Option<[u8; 32]>,
    /// Messages under the present key. A handshake has three at most.
    counter: u32,
}

impl SymmetricState {
    /// `protocol` is at most 64 bytes, as all names here are: it is padded with zeros, not hashed.
    pub(super) fn new(protocol: &[u8]) -> Self {
        let mut digest = [0; HASH];
        for (d, p) in digest.iter_mut().zip(protocol) {
            *d = *p;
        }
        Self { digest, chaining: digest, key: None, counter: 0 }
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(super) fn hash(&self) -> [u8; HASH] {
        self.digest
    }

    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.digest = blake2b(&[&self.digest, data]);
    }

    pub(super) fn mix_key(&mut self, input: &[u8]) {
        let (chaining, mut key) = hkdf(&self.chaining, input);
        self.chaining = chaining;
        self.key = Some(first32(&key));
        self.counter = 0;
        key.zeroize();
    }

    pub(super) fn encrypt_and_hash(&mut self, plain: &[u8]) -> Result<Vec<u8>, NoiseError> {
        if plain.len() > MAX_MESSAGE {
            return Err(NoiseError::Length);
        }
        let out = match self.cipher() {
            None => plain.to_vec(),
            Some((cipher, nonce)) => cipher
                .encrypt(&nonce, Payload { msg: plain, aad: &self.digest })
                .map_err(|_| NoiseError::Length)?,
        };
        self.counter = self.counter.saturating_add(1);
        self.mix_hash(&out);
        Ok(out)
    }

    pub(super) fn decrypt_and_hash(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let out = match self.cipher() {
            None => sealed.to_vec(),
            Some((cipher, nonce)) => cipher
                .decrypt(&nonce, Payload { msg: sealed, aad: &self.digest })
                .map_err(|_| NoiseError::Decrypt)?,
        };
        self.counter = self.counter.saturating_add(1);
        self.mix_hash(sealed);
        Ok(out)
    }

    /// The two transport keys: initiator to responder, responder to initiator.
    pub(super) fn split(&self) -> ([u8; 32], [u8; 32]) {
        let (mut a, mut b) = hkdf(&self.chaining, &[]);
        let out = (first32(&a), first32(&b));
        a.zeroize();
        b.zeroize();
        out
    }

    fn cipher(&self) -> Option<(ChaCha20Poly1305, Nonce)> {
        let key = self.key.as_ref()?;
        let mut nonce = Nonce::default();
        for (n, c) in nonce.iter_mut().skip(4).zip(self.counter.to_le_bytes()) {
            *n = c;
        }
        Some((ChaCha20Poly1305::new(&Key::from(*key)), nonce))
    }
}

impl Drop for SymmetricState {
    fn drop(&mut self) {
        self.chaining.zeroize();
        self.key.zeroize();
    }
}

fn first32(bytes: &[u8; HASH]) -> [u8; 32] {
    let mut out = [0; 32];
    for (o, b) in out.iter_mut().zip(bytes) {
        *o = *b;
    }
    out
}
