//! The store as its users see it.
//!
//! # Files
//!
//! - `cores`: cores that are written here. `replicas`: cores that come from peers. `space`: disk space, and what is removed. `full`:
//!   a full disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cores;
mod full;
mod replicas;
mod space;
#[path = "../support/mod.rs"]
mod support;

use bosc_format::crypto::{KeyPair, leaf_hash};
use bosc_format::manifest::{Manifest, Verifier, assemble};
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::MemoryDisk;
use bosc_store::{Applied, CoreChange, CreateOptions, ErrorKind, Options, Store};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use support::Rng;

fn memory() -> Store {
    Store::memory(Options::default()).unwrap()
}

fn on(disk: &MemoryDisk) -> Store {
    Store::open_disk(Arc::new(disk.clone()), Options::default()).unwrap()
}

fn blocks(seed: u64, n: usize, max: u64) -> Vec<Bytes> {
    let mut rng = Rng(seed);
    (0..n)
        .map(|_| {
            let len = rng.below(max) as usize;
            rng.bytes(len).into()
        })
        .collect()
}

/// Moves blocks `which` of `from` to `to` as peers would.
fn replicate(from: &bosc_store::Core, to: &bosc_store::Core, which: impl IntoIterator<Item = u64>) {
    if to.length() < from.length() {
        let start = to.length();
        let upgrade = Some(UpgradeRequest { start, length: from.length() - start });
        let request = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
        let proof = from.prove(&request).unwrap().unwrap();
        assert_eq!(to.apply(&proof).unwrap(), Applied::Stored { block: None, upgraded: true });
    }
    for index in which {
        let nodes = to.missing_nodes(2 * index).unwrap();
        let request = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
        let proof = from.prove(&request).unwrap().unwrap();
        assert_eq!(to.apply(&proof).unwrap(), Applied::Stored { block: Some(index), upgraded: false });
    }
}
