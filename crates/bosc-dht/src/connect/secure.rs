//! The handshake of a connection, and sealed holepunch rounds (`hyperdht/lib/noise-wrap.js`,
//! `secure-payload.js`).

use super::payload::{HolepunchPayload, NoisePayload};
use crate::messages::{peer_handshake_namespace, peer_holepunch_namespace};
use bosc_format::crypto::{KeyPair, PublicKey, keyed_hash};
use bosc_wire::noise::{Handshake, HandshakeResult, NoiseError, Pattern};
use bosc_wire::secretbox;
use std::net::Ipv4Addr;

/// Bytes of the nonce in front of a sealed round.
const NONCE: usize = 24;

/// A Noise IK handshake whose messages carry a [`NoisePayload`] each. Cloned before each reading, so that a
/// relay's forgery spoils nothing.
#[derive(Debug, Clone)]
pub struct NoiseWrap {
    handshake: Handshake,
}

impl NoiseWrap {
    /// The connecting side.
    pub fn initiator(key_pair: &KeyPair, remote: PublicKey, seed: [u8; 32]) -> Result<Self, NoiseError> {
        Self::new(key_pair, Some(remote), seed)
    }

    /// The listening side.
    pub fn responder(key_pair: &KeyPair, seed: [u8; 32]) -> Result<Self, NoiseError> {
        Self::new(key_pair, None, seed)
    }

    fn new(key_pair: &KeyPair, remote: Option<PublicKey>, seed: [u8; 32]) -> Result<Self, NoiseError> {
        let prologue = peer_handshake_namespace();
        let handshake = Handshake::new(Pattern::IK, remote.is_some(), key_pair, remote, &prologue, seed)?;
        Ok(Self { handshake })
    }

    /// The next message.
    pub fn send(&mut self, payload: &NoisePayload) -> Result<Vec<u8>, NoiseError> {
        self.handshake.send(&payload.encode())
    }

    /// Reads a message. `None`: it is not for us, was changed, or its payload makes no sense; then `self` is
    /// used up.
    pub fn recv(&mut self, message: &[u8]) -> Option<NoisePayload> {
        NoisePayload::decode(&self.handshake.recv(message).ok()?).ok()
    }

    /// Who the other side proved to be, once it has.
    pub fn remote_public_key(&self) -> Option<PublicKey> {
        self.handshake.remote_public_key()
    }

    /// The keys, after both messages.
    pub fn finish(self) -> Result<HandshakeResult, NoiseError> {
        self.handshake.finish()
    }
}

/// Seals and opens the payloads of holepunch rounds.
pub struct SecurePayload {
    shared: [u8; 32],
    local: [u8; 32],
}

impl std::fmt::Debug for SecurePayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecurePayload").finish_non_exhaustive()
    }
}

impl SecurePayload {
    /// From the hash of a finished handshake; `local` is random and never leaves.
    pub fn new(handshake_hash: &[u8; 64], local: [u8; 32]) -> Self {
        Self { shared: keyed_hash(handshake_hash, &[&peer_holepunch_namespace()]), local }
    }

    /// Seals a payload. `nonce` is random.
    pub fn seal(&self, payload: &HolepunchPayload, nonce: [u8; NONCE]) -> Vec<u8> {
        let mut out = nonce.to_vec();
        out.append(&mut secretbox::seal(&payload.encode(), &nonce, &self.shared));
        out
    }

    /// Opens a payload.
    pub fn open(&self, sealed: &[u8]) -> Option<HolepunchPayload> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        HolepunchPayload::decode(&secretbox::open(sealed, nonce, &self.shared)?).ok()
    }

    /// What a peer at `host` has to show to prove that it receives there.
    pub fn token(&self, host: Ipv4Addr) -> [u8; 32] {
        keyed_hash(&self.local, &[host.to_string().as_bytes()])
    }
}

/// What the peer answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) handshake: HandshakeResult,
    pub(super) payload: NoisePayload,
    pub(super) remote_id: u32,
}
