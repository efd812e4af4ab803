//! What a persistent node keeps for others: announced peers and stored values, all of it bounded in count,
//! bytes and age, and per source host.
//!
//! # Files
//!
//! - `store`: what is stored, once a request shows a token and the key's signature (an immutable value: the right hash; a mutable
//!   one: a higher seq), a bump from the future, and what is answered. `peers`: who announced on topics, how many of a topic, and
//!   whose record makes room. `cache`: a bounded map, and how old an entry gets.

pub(crate) mod cache;
pub(crate) mod peers;
pub(crate) mod store;

use crate::rng::Entropy;
use bosc_format::crypto::hash;

/// A chain of refresh tokens: every item is the hash of the one after it. Announce with the first; later
/// each next one alone renews the record without a signature (`hyperdht/lib/refresh-chain.js`).
pub fn refresh_chain(entropy: &mut Entropy, count: usize) -> Vec<[u8; 32]> {
    let mut prev = [0; 32];
    entropy(&mut prev);
    let mut chain = Vec::new();
    for _ in 0..count {
        prev = hash(&[&prev]);
        chain.push(prev);
    }
    chain.reverse();
    chain
}
