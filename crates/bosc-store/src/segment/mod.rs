//! Segments: the files block bytes are appended to.
//!
//! A segment only grows. The database knows how far it is in use (`end`) and how many of those bytes belong to
//! blocks (`live`); whatever is behind `end` was never committed and is cut off or written over (but see
//! [`crate::folder_state`] for what may be removed when a store is opened). A segment in which nothing lives is
//! deleted after the commit that says so. One whose file is missing or too short gets no new writer; what is still
//! in it can be read.
//!
//! Invariants:
//! * Every committed place lies below the committed `end` of its segment, and those bytes were synced before
//!   the commit that names them.
//! * Bytes below `end` never change.
//! * A writer has its segment for itself (`busy`), so a writer that gives up takes its bytes with it.
//!
//! # Files
//!
//! - `table`: which segment has room, which has a writer, what lives in each, files held open. `writer`: one writer, and blocks that
//!   are written together. `uses`: bytes that a change adds and frees.
//! - `commit`: rows to write, files to sync, files to delete. `files`: names, and the largest block. `claims`: what lies in the
//!   folder, beside what the database says of it, and what may be cut off.

mod claims;
mod commit;
mod files;
mod table;
mod uses;
mod writer;

pub(crate) use claims::Claims;
pub(crate) use commit::SegmentCommit;
pub(crate) use files::FOLDER;
pub use files::MAX_BLOCK_SIZE;
pub(crate) use table::Segments;
pub(crate) use uses::{Uses, add_use, free_use};
pub(crate) use writer::SegmentWriter;
