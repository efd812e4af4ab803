//! Fuzz targets: one function for each decoder that takes bytes from a peer, a file or a user.
//!
//! A target takes any bytes and must not panic, whatever they are. Beside that it asserts what must hold: what was
//! read, written and read again is the same; what a proof proves is what the core holds; buffers stay within their
//! bounds. A failed assertion is a finding as a panic is.
//!
//! Three things run the targets. `cargo test -p bosc-fuzz` runs them on `fuzz/corpus`, `fuzz/regressions` and
//! mutations of both, the same ones every time. `cargo fuzz run <target>` runs them under libFuzzer (see
//! `fuzz/Cargo.toml`). `cargo run -p bosc-fuzz --example corpus` writes the corpus anew.
//!
//! Targets of state machines read a sequence of steps from their input, see [`Input::step`].
//!
//! # Files
//!
//! - `format`: encodings, ids, links, manifests, proofs. `drive`: bees, entries, block maps, paths, the chunker. `store`:
//!   damaged files of a store.
//! - `delta`: patches between files. `mirror`: heads and objects of mirrors. `wire`: what comes over a connection. `udx`: its packets. `dht`: datagrams of the DHT.
//! - `policy`: what a quorum allows, what operators say. `release`: package.json, patterns, the change index, what another process says. `input`: numbers and steps out of a
//!   fuzzer's bytes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a finding"
)]

pub mod delta;
pub mod dht;
pub mod drive;
pub mod format;
mod input;
pub mod mirror;
pub mod policy;
pub mod release;
pub mod store;
pub mod udx;
pub mod wire;

#[allow(unreachable_pub, dead_code, missing_docs)]
#[path = "../../bosc-wire/tests/replication_support/memory_core.rs"]
pub mod memory_core;
// What `memory_core` takes from the module it is in.
use bosc_wire::replication::{
    ApplyError, Comparison, CoreAccess, HeadInfo, HeadSummary, ManifestState, ProveError, ReorgStep,
};

pub use input::{Input, push_step};

/// A target's name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. The corpus of each is in `fuzz/corpus/<name>`.
pub const TARGETS: &[Target] = &[
    ("codec", format::codec),
    ("id", format::id),
    ("link", format::link),
    ("manifest", format::manifest),
    ("multisig", format::multisig),
    ("signing", format::signing),
    ("proof", format::proof),
    ("proof_request", format::proof_request),
    ("bee", drive::bee),
    ("bee_header", drive::bee_header),
    ("entry", drive::entry),
    ("block_map", drive::block_map),
    ("deltas", drive::deltas),
    ("delta_patch", delta::patch),
    ("delta_files", delta::files),
    ("mirror_head", mirror::head),
    ("mirror_objects", mirror::objects),
    ("path", drive::path),
    ("chunker", drive::chunker),
    ("noise", wire::noise),
    ("secret_stream", wire::secret_stream),
    ("mux", wire::mux),
    ("messages", wire::messages),
    ("replicator", wire::replicator),
    ("dht_wire", dht::datagram),
    ("dht", dht::machine),
    ("hyperdht", dht::messages),
    ("udx_header", udx::header),
    ("udx_stream", udx::stream),
    ("statement", policy::statement),
    ("policy", policy::policy),
    ("seen", policy::seen),
    ("package", release::package),
    ("glob", release::glob),
    ("change_index", release::change_index),
    ("owner", release::owner),
    ("store_files", store::files),
    ("store_rows", store::rows),
];

/// The target called `name`.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}
