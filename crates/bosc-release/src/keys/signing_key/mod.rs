//! One signing key, encrypted, as npm `hypercore-sign` writes it.
//!
//! ```text
//! version 1 (186 bytes)  1 | u64 ops | u64 mem | 32 salt | 104 (a uint) | 104 payload | 32 public key
//! version 0 (153 bytes)      u64 ops | u64 mem | 32 salt | 104 (a uint) | 104 payload
//! payload                (8 id | 64 secret key | 32 H(id | secret key)) xor scrypt(passphrase, salt)
//! ```
//!
//! `ops` and `mem` are libsodium's limits for `crypto_pwhash_scryptsalsa208sha256`, from which N and p follow. They
//! come from a file that may be hostile, so they are bounded before anything is computed: never more memory than
//! the 1 GiB that keys are made with, never more than four times the work.
//!
//! The file holds no authentication other than the checksum inside: a wrong passphrase and a damaged file look the
//! same. Secrets are wiped when dropped.

use super::forms;
use bosc_format::codec::{Decoder, Encoder};
use bosc_format::crypto::{self, KeyPair, PublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a key file without version and public key.
pub const V0_BYTES: usize = 153;
/// Bytes of a key file as it is written now.
pub const V1_BYTES: usize = 186;
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 64;
const PAYLOAD_BYTES: usize = ID_BYTES + SECRET_BYTES + 32;
/// scrypt's block size in libsodium.
const R: u32 = 8;
/// Most memory: 2^20 blocks of 1 KiB.
const MAX_LOG_N: u8 = 20;
/// Most work, as N times p.
const MAX_WORK: u64 = 4 << MAX_LOG_N;

/// Why a key file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The bytes are not a key file.
    #[error("this is not an encrypted signing key")]
    NotAKey,
    /// Made by a later version.
    #[error("the key file has version {0}, which is not known here")]
    UnknownVersion(u64),
    /// Its parameters would take too much memory or time, or are none that libsodium accepts.
    #[error("the key file asks for more memory or work than any signing key needs")]
    Parameters,
    /// This machine has not enough memory.
    #[error("opening the key takes {0} MiB of memory, which this machine does not have")]
    Memory(u64),
    /// Wrong passphrase, or damaged.
    #[error("Key decryption failed")]
    Decrypt,
    /// The public key that comes with the secret key is another one.
    #[error("the private key does not belong to the public key stored with it")]
    OtherPublicKey,
    /// No randomness from the system.
    #[error("the system provided no random numbers")]
    Randomness,
}

/// libsodium's limits, as they stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfLimits {
    /// `opslimit`.
    pub ops: u64,
    /// `memlimit` in bytes.
    pub mem: u64,
}

impl KdfLimits {
    /// What keys are made with: 1 GiB and some seconds.
    pub const SENSITIVE: Self = Self { ops: 33_554_432, mem: 1 << 30 };

    /// N as a power of two, and p, as libsodium picks them.
    fn pick(self) -> Option<(u8, u32)> {
        let ops = self.ops.max(32_768);
        let largest = |max_n: u64| (1u8..63).find(|log| 1u64 << log > max_n / 2).unwrap_or(63);
        let (log_n, p) = if ops < self.mem / 32 {
            (largest(ops / (u64::from(R) * 4)), 1)
        } else {
            let log_n = largest(self.mem / (u64::from(R) * 128));
            let max_rp = ((ops / 4) >> log_n).min(0x3fff_ffff);
            (log_n, u32::try_from(max_rp).unwrap_or(u32::MAX) / R)
        };
        let work = (1u64 << log_n.min(62)).checked_mul(u64::from(p))?;
        (log_n <= MAX_LOG_N && p > 0 && work <= MAX_WORK).then_some((log_n, p))
    }

    fn derive(
        self,
        passphrase: &[u8],
        salt: &[u8; 32],
    ) -> Result<Zeroizing<[u8; PAYLOAD_BYTES]>, SigningKeyError> {
        let (log_n, p) = self.pick().ok_or(SigningKeyError::Parameters)?;
        let params = scrypt::Params::new(log_n, R, p).map_err(|_| SigningKeyError::Parameters)?;
        // The library's own allocation cannot fail gently. Ask for the same first.
        let bytes = (128 * R as usize) << log_n;
        let mib = (bytes as u64).div_ceil(1 << 20);
        let mut probe: Vec<u8> = Vec::new();
        probe.try_reserve_exact(bytes).map_err(|_| SigningKeyError::Memory(mib))?;
        drop(probe);
        let mut out = Zeroizing::new([0; PAYLOAD_BYTES]);
        scrypt::scrypt(passphrase, salt, &params, &mut *out).map_err(|_| SigningKeyError::Parameters)?;
        Ok(out)
    }
}

/// A signing key as it lies on disk. Holds no secret that is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedKey {
    limits: KdfLimits,
    salt: [u8; 32],
    payload: [u8; PAYLOAD_BYTES],
    public_key: Option<PublicKey>,
}

/// A signing key in the clear.
pub struct SigningKey {
    id: [u8; ID_BYTES],
    pair: KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("pair", &self.pair).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`SigningKeyError::Randomness`].
    pub fn generate() -> Result<Self, SigningKeyError> {
        let mut id = [0; ID_BYTES];
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut id).map_err(|_| SigningKeyError::Randomness)?;
        getrandom::fill(&mut *seed).map_err(|_| SigningKeyError::Randomness)?;
        Ok(Self { id, pair: KeyPair::from_seed(&seed) })
    }

    /// The pair that signs.
    pub fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// Encrypts with a fresh salt and the usual limits.
    ///
    /// # Errors
    /// [`SigningKeyError::Memory`], [`SigningKeyError::Randomness`].
    pub fn encrypt(&self, passphrase: &[u8]) -> Result<EncryptedKey, SigningKeyError> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|_| SigningKeyError::Randomness)?;
        self.encrypt_with(passphrase, KdfLimits::SENSITIVE, salt)
    }

    /// Encrypts. The same passphrase, salt and limits give the same bytes.
    ///
    /// # Errors
    /// [`SigningKeyError::Memory`], [`SigningKeyError::Parameters`].
    pub fn encrypt_with(
        &self,
        passphrase: &[u8],
        limits: KdfLimits,
        salt: [u8; 32],
    ) -> Result<EncryptedKey, SigningKeyError> {
        let public_key = self.pair.public();
        let seed = Zeroizing::new(self.pair.seed());
        let mut plain = Zeroizing::new([0u8; PAYLOAD_BYTES]);
        let sum = crypto::hash(&[&self.id, &*seed, &public_key]);
        let parts = self.id.iter().chain(seed.iter()).chain(&public_key).chain(&sum);
        for (to, from) in plain.iter_mut().zip(parts) {
            *to = *from;
        }
        let stream = limits.derive(passphrase, &salt)?;
        let mut payload = [0; PAYLOAD_BYTES];
        for ((to, a), b) in payload.iter_mut().zip(plain.iter()).zip(stream.iter()) {
            *to = a ^ b;
        }
        Ok(EncryptedKey { limits, salt, payload, public_key: Some(public_key) })
    }
}

impl EncryptedKey {
    /// Reads a key file of either version. Its limits are checked here.
    ///
    /// # Errors
    /// [`SigningKeyError::NotAKey`], [`SigningKeyError::UnknownVersion`], [`SigningKeyError::Parameters`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SigningKeyError> {
        let not = |_| SigningKeyError::NotAKey;
        let mut d = Decoder::new(bytes);
        let version = if bytes.len() == V0_BYTES { 0 } else { d.uint().map_err(not)? };
        if version > 1 {
            return Err(if bytes.len() > V1_BYTES * 4 {
                SigningKeyError::NotAKey
            } else {
                SigningKeyError::UnknownVersion(version)
            });
        }
        let limits = KdfLimits { ops: d.u64().map_err(not)?, mem: d.u64().map_err(not)? };
        let salt = d.fixed32().map_err(not)?;
        let payload = d.buffer().map_err(not)?.try_into().map_err(|_| SigningKeyError::NotAKey)?;
        let public_key = if version > 0 { Some(d.fixed32().map_err(not)?) } else { None };
        d.finish().map_err(not)?;
        limits.pick().ok_or(SigningKeyError::Parameters)?;
        Ok(Self { limits, salt, payload, public_key })
    }

    /// The bytes of the file: version 1 when the public key is known, else version 0.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(V1_BYTES);
        if self.public_key.is_some() {
            e.uint(1);
        }
        e.u64(self.limits.ops).u64(self.limits.mem).raw(&self.salt).buffer(&self.payload);
        if let Some(key) = &self.public_key {
            e.raw(key);
        }
        e.finish()
    }

    /// The public key, when the file has it. Nobody has checked that it is the right one.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// Completes a version 0 key with the public key that lies beside it.
    #[must_use]
    pub fn with_public_key(mut self, public_key: PublicKey) -> Self {
        self.public_key.get_or_insert(public_key);
        self
    }

    /// Opens it. Takes up to 1 GiB of memory for some seconds; of a passphrase that is not ASCII, for each of its Unicode forms: it is
    /// encrypted as it was typed then, because `hypercore-sign` does so.
    ///
    /// # Errors
    /// [`SigningKeyError::Decrypt`] for a wrong passphrase, [`SigningKeyError::OtherPublicKey`],
    /// [`SigningKeyError::Memory`].
    pub fn decrypt(&self, passphrase: &[u8]) -> Result<SigningKey, SigningKeyError> {
        let as_typed = self.decrypt_as(passphrase);
        let text = std::str::from_utf8(passphrase).ok().filter(|text| !text.is_ascii());
        if let (Err(SigningKeyError::Decrypt), Some(text)) = (&as_typed, text) {
            for form in forms::all(text).iter().filter(|form| form.as_str() != text) {
                match self.decrypt_as(form.as_bytes()) {
                    Err(SigningKeyError::Decrypt) => {}
                    other => return other,
                }
            }
        }
        as_typed
    }

    fn decrypt_as(&self, passphrase: &[u8]) -> Result<SigningKey, SigningKeyError> {
        let mut plain = self.limits.derive(passphrase, &self.salt)?;
        for (a, b) in plain.iter_mut().zip(&self.payload) {
            *a ^= b;
        }
        let mut d = Decoder::new(&*plain);
        let broken = |_| SigningKeyError::Decrypt;
        let id: [u8; ID_BYTES] = d.fixed().map_err(broken)?;
        let secret = Zeroizing::new(d.fixed::<SECRET_BYTES>().map_err(broken)?);
        let sum = d.fixed32().map_err(broken)?;
        if crypto::hash(&[&id, &*secret]) != sum {
            return Err(SigningKeyError::Decrypt);
        }
        let pair = KeyPair::from_sodium_secret(&secret).ok_or(SigningKeyError::Decrypt)?;
        if self.public_key.is_some_and(|k| k != pair.public()) {
            return Err(SigningKeyError::OtherPublicKey);
        }
        Ok(SigningKey { id, pair })
    }
}

#[cfg(test)]
mod tests;
