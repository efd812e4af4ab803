//! What the things of the Hypercore world are: encodings, keys, links, manifests, Merkle trees and their proofs.
//!
//! Everything here is pure: bytes in, values out. There is no clock, socket, file, thread or random source, so
//! all of it runs in simulations and fuzzers as it runs in production. Formats follow the JavaScript modules
//! `hypercore` 11, `hypercore-crypto` 3, `compact-encoding` 3 and `pear-link` 5; the vectors under
//! `interop/vectors` were made by those modules and are tests of this crate.
//!
//! # Invariants
//!
//! * No function panics on any input; lengths read from input are bounded by the bytes that are there.
//! * A decoder that accepts bytes and an encoder that is given the result agree byte for byte wherever the
//!   JavaScript encoder is canonical.
//!
//! # Files
//!
//! - [`codec`], [`crypto`], [`id`]: bytes (compact encoding); hashes and signatures; keys as text (z-base-32, hex).
//! - [`flat_tree`], [`merkle`]: the numbering of tree nodes and the largest core; growing, cutting and reading trees.
//! - [`proof`]: answering requests, and checking answers before anything is believed; whose fault a bad one is; forks and conflicts.
//! - [`manifest`], [`corestore`]: who may sign a core, how many, its key, signatures joined into one and checked; keys derived from
//!   it or from a primary key.
//! - [`link`]: `pear://` links, verlinks and hashlinks, what is refused in one. [`signing`]: requests and responses of a quorum, and
//!   what is never signed.
//! - `testing`: trees and vectors for the tests of this crate.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

pub mod codec;
pub mod corestore;
pub mod crypto;
pub mod flat_tree;
pub mod id;
pub mod link;
pub mod manifest;
pub mod merkle;
pub mod proof;
pub mod signing;
#[cfg(test)]
mod testing;
