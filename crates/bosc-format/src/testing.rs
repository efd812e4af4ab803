//! Trees and vectors for the tests of this crate.

use crate::crypto::KeyPair;
use crate::manifest::{Manifest, sign_head};
use crate::merkle::{Appender, Head, Node};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub(crate) fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

pub(crate) fn pear() -> Value {
    serde_json::from_str(include_str!("../../../interop/vectors/pear.json")).unwrap()
}

pub(crate) fn tree_vectors() -> Value {
    serde_json::from_str(include_str!("../../../interop/vectors/tree.json")).unwrap()
}

/// Bytes of a hex string in a vector.
pub(crate) fn h(v: &Value) -> Vec<u8> {
    hex(v.as_str().unwrap())
}

pub(crate) fn h32(v: &Value) -> [u8; 32] {
    hex32(v.as_str().unwrap())
}

pub(crate) fn n(v: &Value) -> u64 {
    v.as_u64().unwrap_or_else(|| panic!("no number: {v}"))
}

pub(crate) fn numbers(v: &Value) -> Vec<u64> {
    v.as_array().unwrap().iter().map(n).collect()
}

/// A core with every block, node and signed head it ever had.
pub(crate) struct Core {
    pub(crate) manifest: Manifest,
    pub(crate) key: [u8; 32],
    pub(crate) blocks: Vec<Bytes>,
    pub(crate) nodes: BTreeMap<u64, Node>,
    /// By length.
    pub(crate) heads: Vec<Head>,
}

impl Core {
    pub(crate) fn new(seed: u8, fork: u64, blocks: Vec<Bytes>) -> Self {
        let pair = KeyPair::from_seed(&[seed; 32]);
        let manifest = Manifest::single(pair.public());
        let mut appender = Appender::default();
        let mut heads = vec![Head { fork, ..Head::empty() }];
        for block in &blocks {
            appender.append_block(block).unwrap();
            let mut head = appender.head(fork);
            head.signature = sign_head(&manifest, &pair, &head).unwrap();
            heads.push(head);
        }
        let nodes = appender.take_nodes().into_iter().map(|n| (n.index, n)).collect();
        Self { key: manifest.key(), manifest, blocks, nodes, heads }
    }

    pub(crate) fn head(&self) -> &Head {
        self.heads.last().unwrap()
    }
}
