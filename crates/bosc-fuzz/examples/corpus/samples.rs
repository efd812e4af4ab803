//! Samples by target, and what the vectors are read with.

use bosc_fuzz::{TARGETS, push_step};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most samples of one target, and the longest.
const MAX_SAMPLES: usize = 60;
pub(crate) const MAX_LEN: usize = 6 * 1024;

#[derive(Default)]
pub(crate) struct Corpus(pub(crate) BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Corpus {
    pub(crate) fn add(&mut self, target: &'static str, bytes: impl Into<Vec<u8>>) {
        assert!(TARGETS.iter().any(|(n, _)| *n == target));
        let (bytes, list) = (bytes.into(), self.0.entry(target).or_default());
        if bytes.len() <= MAX_LEN && list.len() < MAX_SAMPLES && !list.contains(&bytes) {
            list.push(bytes);
        }
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn vectors(name: &str) -> Value {
    let path = root().join("interop/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

pub(crate) fn hex(v: &Value) -> Vec<u8> {
    unhex(v.as_str().unwrap()).unwrap()
}

pub(crate) fn list(v: &Value) -> &[Value] {
    v.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn steps<'a>(items: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (op, bytes) in items {
        push_step(&mut out, op, bytes);
    }
    out
}

pub(crate) fn prefixed(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}
