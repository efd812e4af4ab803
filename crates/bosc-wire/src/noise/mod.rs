//! Noise handshakes over Ed25519 points, as npm `noise-handshake` with `noise-curve-ed` runs them.
//!
//! The protocol name is `Noise_<pattern>_Ed25519_ChaChaPoly_BLAKE2b`. It differs from standard Noise in one
//! thing: Diffie-Hellman is done on Edwards points with clamped Ed25519 secret scalars, so that the key a peer
//! signs with is also its static key. The hash is unkeyed BLAKE2b-512, HKDF is built on HMAC with pads of 128
//! bytes, the cipher is ChaCha20-Poly1305 with the hash so far as associated data.
//!
//! State machine: messages alternate, the initiator sends first. Calling [`Handshake::send`] or
//! [`Handshake::recv`] out of turn fails. Any error poisons the handshake: every later call fails too.
//!
//! Invariants:
//! * A point that libsodium's `crypto_scalarmult_ed25519_noclamp` refuses (not canonical, small order, outside
//!   of the prime-order subgroup) is refused here.
//! * No message over 65,535 bytes is made or read.
//! * Secrets are wiped on drop and not shown by `Debug`.
//!
//! # Files
//!
//! - `symmetric`: the chaining key, the running hash, the cipher. `dh`: Diffie-Hellman on Edwards points, and which points are
//!   refused. `hkdf`: keys from a key.
//! - `error`: why one failed, and how long a message may be.

mod dh;
mod error;
mod hkdf;
mod symmetric;

pub use error::{MAX_MESSAGE, NoiseError};

use bosc_format::crypto::{KeyPair, PublicKey};
use symmetric::SymmetricState;
use zeroize::Zeroize;

/// Which messages are exchanged and what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Two messages; the initiator knows the responder's static key and sends its own at once.
    IK,
    /// Three messages; both static keys are sent encrypted.
    XX,
}

#[derive(Debug, Clone, Copy)]
enum Token {
    E,
    S,
    Ee,
    Es,
    Se,
    Ss,
}

impl Pattern {
    fn protocol(self) -> &'static [u8] {
        match self {
            Self::IK => b"Noise_IK_Ed25519_ChaChaPoly_BLAKE2b",
            Self::XX => b"Noise_XX_Ed25519_ChaChaPoly_BLAKE2b",
        }
    }

    fn message(self, index: usize) -> Option<&'static [Token]> {
        use Token::{E, Ee, Es, S, Se, Ss};
        let messages: &[&[Token]] = match self {
            Self::IK => &[&[E, Es, S, Ss], &[E, Ee, Se]],
            Self::XX => &[&[E], &[E, Ee, S, Es], &[S, Se]],
        };
        messages.get(index).copied()
    }
}

/// What a finished handshake gives. Wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct HandshakeResult {
    /// Key for what we send.
    pub tx: [u8; 32],
    /// Key for what we receive.
    pub rx: [u8; 32],
    /// Hash of the whole handshake, the same on both sides.
    pub hash: [u8; 64],
    /// The static key the other side proved to hold.
    pub remote_public_key: PublicKey,
}

impl Drop for HandshakeResult {
    fn drop(&mut self) {
        self.tx.zeroize();
        self.rx.zeroize();
        self.hash.zeroize();
    }
}

impl std::fmt::Debug for HandshakeResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandshakeResult")
            .field("remote_public_key", &bosc_format::id::encode(&self.remote_public_key))
            .finish_non_exhaustive()
    }
}

/// One side of a Noise handshake. A clone taken before [`Handshake::recv`] survives a message that was forged on
/// the way; never let two clones send.
#[derive(Clone)]
pub struct Handshake {
    pattern: Pattern,
    initiator: bool,
    symmetric: SymmetricState,
    local_static: KeyPair,
    local_ephemeral: KeyPair,
    remote_static: Option<PublicKey>,
    remote_ephemeral: Option<PublicKey>,
    next: usize,
    failed: bool,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("pattern", &self.pattern)
            .field("initiator", &self.initiator)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Handshake {
    /// Starts a handshake. `remote_static` is needed by the initiator of [`Pattern::IK`] only. `prologue` must
    /// be the same on both sides. `ephemeral_seed` must be fresh random bytes, never used twice.
    pub fn new(
        pattern: Pattern,
        initiator: bool,
        local_static: &KeyPair,
        remote_static: Option<PublicKey>,
        prologue: &[u8],
        mut ephemeral_seed: [u8; 32],
    ) -> Result<Self, NoiseError> {
        let local_ephemeral = KeyPair::from_seed(&ephemeral_seed);
        ephemeral_seed.zeroize();
        let mut symmetric = SymmetricState::new(pattern.protocol());
        symmetric.mix_hash(prologue);
        let mut known_remote = None;
        if pattern == Pattern::IK {
            let responder = if initiator {
                known_remote = remote_static;
                remote_static.ok_or(NoiseError::MissingRemoteKey)?
            } else {
                local_static.public()
            };
            symmetric.mix_hash(&responder);
        }
        Ok(Self {
            pattern,
            initiator,
            symmetric,
            local_static: local_static.clone(),
            local_ephemeral,
            remote_static: known_remote,
            remote_ephemeral: None,
            next: 0,
            failed: false,
        })
    }

    /// Whether it is our turn to [`send`](Self::send).
    pub fn is_our_turn(&self) -> bool {
        !self.failed && !self.is_finished() && self.initiator == self.next.is_multiple_of(2)
    }

    /// Whether all messages were exchanged.
    pub fn is_finished(&self) -> bool {
        !self.failed && self.pattern.message(self.next).is_none()
    }

    /// The static key of the other side, once it is known.
    pub fn remote_public_key(&self) -> Option<PublicKey> {
        self.remote_static
    }

    /// Makes the next message, with `payload` at its end. The payload is encrypted as soon as the pattern has
    /// keys: in XX the first one is in clear.
    pub fn send(&mut self, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        if !self.is_our_turn() {
            return Err(NoiseError::OutOfTurn);
        }
        let result = self.send_inner(payload);
        self.advance(result)
    }

    /// Reads the next message and returns its payload.
    pub fn recv(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        if self.failed || self.is_finished() || self.is_our_turn() {
            return Err(NoiseError::OutOfTurn);
        }
        let result = self.recv_inner(message);
        self.advance(result)
    }

    /// The keys, once [`is_finished`](Self::is_finished).
    pub fn finish(self) -> Result<HandshakeResult, NoiseError> {
        if !self.is_finished() {
            return Err(NoiseError::Unfinished);
        }
        let remote_public_key = self.remote_static.ok_or(NoiseError::Unfinished)?;
        let (first, second) = self.symmetric.split();
        let (tx, rx) = if self.initiator { (first, second) } else { (second, first) };
        Ok(HandshakeResult { tx, rx, hash: self.symmetric.hash(), remote_public_key })
    }

    fn advance(&mut self, result: Result<Vec<u8>, NoiseError>) -> Result<Vec<u8>, NoiseError> {
        match result {
            Ok(bytes) => {
                self.next += 1;
                Ok(bytes)
            }
            Err(e) => {
                self.failed = true;
                Err(e)
            }
        }
    }

    fn send_inner(&mut self, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let tokens = self.pattern.message(self.next).ok_or(NoiseError::OutOfTurn)?;
        let mut out = Vec::with_capacity(payload.len().saturating_add(32 + 48 + 16));
        for token in tokens {
            match token {
                Token::E => {
                    let public = self.local_ephemeral.public();
                    self.symmetric.mix_hash(&public);
                    out.extend_from_slice(&public);
                }
                Token::S => out.extend(self.symmetric.encrypt_and_hash(&self.local_static.public())?),
                dh => self.mix_dh(*dh)?,
            }
        }
        out.extend(self.symmetric.encrypt_and_hash(payload)?);
        if out.len() > MAX_MESSAGE {
            return Err(NoiseError::Length);
        }
        Ok(out)
    }

    fn recv_inner(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        if message.len() > MAX_MESSAGE {
            return Err(NoiseError::Length);
        }
        let tokens = self.pattern.message(self.next).ok_or(NoiseError::OutOfTurn)?;
        let mut rest = message;
        for token in tokens {
            match token {
                Token::E => {
                    let (key, tail) = rest.split_first_chunk::<32>().ok_or(NoiseError::Length)?;
                    rest = tail;
                    self.symmetric.mix_hash(key);
                    self.remote_ephemeral = Some(*key);
                }
                Token::S => {
                    let n = if self.symmetric.has_key() { 32 + symmetric::TAG } else { 32 };
                    let (sealed, tail) = rest.split_at_checked(n).ok_or(NoiseError::Length)?;
                    rest = tail;
                    let key = self.symmetric.decrypt_and_hash(sealed)?;
                    self.remote_static = Some(key.try_into().map_err(|_| NoiseError::Length)?);
                }
                dh => self.mix_dh(*dh)?,
            }
        }
        self.symmetric.decrypt_and_hash(rest)
    }

    fn mix_dh(&mut self, token: Token) -> Result<(), NoiseError> {
        let (local_static, remote_static) = match token {
            Token::Ee => (false, false),
            Token::Ss => (true, true),
            Token::Es => (!self.initiator, self.initiator),
            Token::Se => (self.initiator, !self.initiator),
            Token::E | Token::S => return Ok(()),
        };
        let local = if local_static { &self.local_static } else { &self.local_ephemeral };
        let remote = if remote_static { self.remote_static } else { self.remote_ephemeral };
        let mut shared = dh::shared(local, &remote.ok_or(NoiseError::MissingRemoteKey)?)?;
        self.symmetric.mix_key(&shared);
        shared.zeroize();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
