//! A signed drive as static files on a web server, in a bucket or on a stick: the format, and both sides of it.
//!
//! Pure: bytes in, requests and proved bytes out. Who moves them (HTTP, a folder) is elsewhere. The format is drawn byte by byte
//! in docs/formats.md.
//!
//! # What a mirror is
//!
//! ```text
//! bosc-mirror                       the head: the only file that the drive changes, written last
//! bosc-statements                   what operators say, if there are any: signed by themselves, replaced at any time
//! db/<lineage>/t/<level>-<n>-<w>    tree nodes, 40 bytes each, at most 256
//! db/<lineage>/d/<start>-<end>      bytes of blocks start..end, one after another
//! blobs/...                         the same of the contents
//! ```
//!
//! The head has of both cores what signs them (manifest, fork, length, roots, signature) and how the block bytes are cut into pieces.
//! A reader verifies it as it verifies a peer's, computes which tiles of the tree it lacks, proves each against what it knows, computes
//! from them where a block's bytes are, and proves those.
//!
//! ```text
//! nothing ── head: signed by the link's key? ──> heads ── tiles, from the top ──> proved tree ── pieces ──> proved blocks
//!               │ no: not this drive's                       │ wrong hash: this object is not the drive's      │
//!               ▼                                            ▼                                                 ▼
//!            left                                           left                                              left
//! ```
//!
//! # Invariants
//!
//! 1. Nothing that comes from a mirror is believed. What is unsigned in a head (lineages, pieces, the note of a sparse mirror) says where
//!    to look; when it is wrong, what is found there does not prove, and nothing else happens.
//! 2. An object never changes under its name: it is named by the lineage (one history that only grew) and by the blocks it covers. So
//!    every object may be cached for ever, and only the head and the statements must not be.
//! 3. The head is written after everything that it needs. A mirror that was left half-way is the one before.
//! 4. What the present head needs is never removed, and what the one before needs not before a grace time.
//! 5. An object has at most [`MAX_PIECE`] bytes; a server without ranges costs that much for one block.
//! 6. Sizes that a tile claims are those that lead to its own objects: a mirror that lies in them is refused for its own bytes and never
//!    makes another look wrong.
//!
//! # Files
//!
//! - `head`: the head: its bytes, the largest, the note of a sparse mirror. `layout`: tiles, pieces, lineages, what each is called,
//!   and how large and how many.
//! - `tree`: tiles that were proved, how many are kept, and when one is refused. `read`: which ranges to ask for, when a whole piece,
//!   and what is in an answer.
//! - `publish`: what is written for a new head, small pieces joined, and what is not needed any more.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod head;
mod layout;
mod publish;
mod read;
#[cfg(test)]
mod tests;
mod tree;

pub use head::{CoreHead, HeadError, MAGIC, MAX_HEAD, MAX_NOTE, MirrorHead, VERSION};
pub use layout::{
    HEAD, Layout, Lineage, MAX_LINEAGES, MAX_PIECE, MAX_PIECES, MAX_STATEMENTS, NODE, PIECE, Part, Piece,
    STATEMENTS, TILE, Tile,
};
pub use publish::{MERGE, Object, Publication, PublishError, publish};
pub use read::{Read, ReadError, plan};
pub use tree::{MAX_TILES, ProvenTree, TileError};
