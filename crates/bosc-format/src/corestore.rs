//! Keys derived from one primary key, as the JavaScript `corestore` derives them.

use crate::crypto::{self, Hash, KeyPair};
use zeroize::Zeroize;

/// The namespace of names that were given none: 32 zero bytes.
pub const DEFAULT_NAMESPACE: Hash = [0; 32];

/// The namespace `name` inside `parent` (`store.namespace(name)`).
pub fn namespace(parent: &Hash, name: &[u8]) -> Hash {
    crypto::hash(&[parent, name])
}

/// The key pair called `name` in `namespace` of the store with this primary key. The same three give the same key
/// pair on every machine.
pub fn key_pair(primary_key: &[u8; 32], namespace: &Hash, name: &[u8]) -> KeyPair {
    let context = crypto::namespace("corestore", 0);
    let mut seed = crypto::keyed_hash(primary_key, &[&context, namespace, name]);
    let pair = KeyPair::from_seed(&seed);
    seed.zeroize();
    pair
}
