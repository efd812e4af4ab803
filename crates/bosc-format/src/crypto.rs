//! Hashes, keys and signatures as `hypercore-crypto` defines them: BLAKE2b-256 and Ed25519.

use blake2b_simd::many::update_many;
use blake2b_simd::{Params, State};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroize;

/// 32 bytes that name content: a BLAKE2b-256 digest.
pub type Hash = [u8; 32];
/// The key of a core: the hash of its manifest, or for old cores the public key of its only signer.
pub type CoreKey = [u8; 32];
/// The topic a core is found under: a keyed hash of its key, which reveals nothing about the key.
pub type DiscoveryKey = [u8; 32];
/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// BLAKE2b-256 over the concatenation of `parts`.
pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut h = start();
    for p in parts {
        h.update(p);
    }
    digest(&h)
}

/// BLAKE2b-256 of nothing yet.
fn start() -> State {
    Params::new().hash_length(size_of::<Hash>()).to_state()
}

fn digest(state: &State) -> Hash {
    let mut hash = [0; size_of::<Hash>()];
    for (to, from) in hash.iter_mut().zip(state.finalize().as_bytes()) {
        *to = *from;
    }
    hash
}

/// [`hash`] of bytes that come in parts.
#[derive(Debug, Clone)]
pub struct Hasher(State);

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(start())
    }

    /// Takes more bytes.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The hash of all that was taken.
    pub fn finish(&self) -> Hash {
        digest(&self.0)
    }
}

/// Keyed BLAKE2b-256 over the concatenation of `parts`. `key` is at most 64 bytes; what is over is refused by
/// returning the hash under the empty key, which no caller does.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> Hash {
    if key.len() > blake2b_simd::KEYBYTES {
        return hash(parts);
    }
    let mut h = Params::new().hash_length(size_of::<Hash>()).key(key).to_state();
    for p in parts {
        h.update(p);
    }
    digest(&h)
}

/// Hash of a leaf: `H(0x00 || u64le length || data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    hash(&[&[0], &(data.len() as u64).to_le_bytes(), data])
}

/// [`leaf_hash`] of each block, in order. Hashes several at a time in the lanes of one core's vector unit: above a few
/// hundred bytes, four and more blocks take about a third of the time of one after the other. Give it all there are.
pub fn leaf_hashes(blocks: &[&[u8]]) -> Vec<Hash> {
    let mut states: Vec<State> = blocks
        .iter()
        .map(|block| {
            let mut state = start();
            state.update(&[0]).update(&(block.len() as u64).to_le_bytes());
            state
        })
        .collect();
    // The longest first: lanes that run dry are filled from what is left.
    let mut jobs: Vec<_> = states.iter_mut().zip(blocks).collect();
    jobs.sort_by_key(|(_, block)| std::cmp::Reverse(block.len()));
    update_many(jobs);
    states.iter().map(digest).collect()
}

/// Hash of a parent: `H(0x01 || u64le sum of sizes || left || right)`.
pub fn parent_hash(size: u64, left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], &size.to_le_bytes(), left, right])
}

/// Hash of a whole tree from its roots, left to right, each `(hash, index, size)`:
/// `H(0x02 || for each (hash || u64le index || u64le size))`.
pub fn tree_hash<'a>(roots: impl IntoIterator<Item = (&'a Hash, u64, u64)>) -> Hash {
    let mut h = start();
    h.update(&[2]);
    for (hash, index, size) in roots {
        h.update(hash).update(&index.to_le_bytes()).update(&size.to_le_bytes());
    }
    digest(&h)
}

/// The topic under which a core is announced: BLAKE2b-256("hypercore") keyed with the core's key.
pub fn discovery_key(key: &CoreKey) -> DiscoveryKey {
    keyed_hash(key, &[b"hypercore"])
}

/// Namespace `n` of `name`: `H(H(name) || byte n)`.
pub fn namespace(name: &str, n: u8) -> Hash {
    hash(&[&hash(&[name.as_bytes()]), &[n]])
}

/// An Ed25519 key pair. The secret is wiped on drop and never printed.
#[derive(Clone)]
pub struct KeyPair {
    signing: SigningKey,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &crate::id::encode(&self.public())).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// From the 32-byte seed. The caller wipes its own copy.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed) }
    }

    /// From libsodium's 64-byte secret key (seed, then public key). `None` when the two halves do not match.
    pub fn from_sodium_secret(secret: &[u8; 64]) -> Option<Self> {
        SigningKey::from_keypair_bytes(secret).ok().map(|signing| Self { signing })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.signing.verifying_key().to_bytes()
    }

    /// The seed. Keep it out of logs and errors, and wipe the copy.
    pub fn seed(&self) -> [u8; 32] {
        self.signing.to_bytes()
    }

    /// The clamped Ed25519 scalar: the first half of SHA-512(seed), as used for Diffie-Hellman over Edwards
    /// points by `noise-curve-ed`. Wipe the copy.
    pub fn scalar(&self) -> [u8; 32] {
        let mut expanded = ed25519_dalek::hazmat::ExpandedSecretKey::from(&self.signing.to_bytes());
        let out = expanded.scalar.to_bytes();
        expanded.hash_prefix.zeroize();
        out
    }

    /// Signs `message` (RFC 8032, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

/// Whether `signature` over `message` is by `public`. Uses strict verification: small-order keys and
/// malleable signatures are refused, as libsodium refuses them.
pub fn verify(message: &[u8], signature: &[u8; 64], public: &PublicKey) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(public) else { return false };
    key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_discovery_key_match_the_javascript_vectors() {
        let hex = |h: &[u8]| data_encoding::HEXLOWER.encode(h);
        assert_eq!(
            hex(&namespace("hypercore", 0)),
            "9fac70b50ca14efc4e91c833b204e75b8b5aad8b5881bfc0adb5ef38a3275b9c"
        );
        assert_eq!(
            hex(&namespace("hyperdrive", 0)),
            "f217b747161784b495ceee3c42163b07dd62cb06df26e20e95ba4d438123aeeb"
        );
        let key = crate::id::decode("5db4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y").unwrap();
        assert_eq!(
            hex(&discovery_key(&key)),
            "fb892b1c77fdcb05dcbd234607208b7036e00a13e7f2cc0bbaa463924e57865a"
        );
        assert_eq!(
            crate::id::encode(&KeyPair::from_seed(&[1; 32]).public()),
            "tkrq8zmwb8a3m9k15csu3q17qmfgqnp9dskbrg9uq1rydpyxp7qy"
        );
    }

    #[test]
    fn many_leaves_at_once_hash_as_one_by_one() {
        for count in 0..11 {
            let blocks: Vec<Vec<u8>> = (0..count)
                .map(|i| vec![i as u8; [0, 1, 118, 119, 120, 128, 247, 1000, 70_000][i % 9]])
                .collect();
            let refs: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            let one_by_one: Vec<Hash> = refs.iter().map(|b| leaf_hash(b)).collect();
            assert_eq!(leaf_hashes(&refs), one_by_one);
        }
    }
}
