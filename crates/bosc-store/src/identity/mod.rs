//! Whether this store is the one it was, or a copy of it.
//!
//! Two copies of a store that both sign make two histories of every link they write, and no follower can tell which is
//! right. So a store notices that it was copied or brought back from a backup, and says so ([`crate::Store::copied`])
//! until someone says that it is the only copy ([`crate::Store::declare_sole_copy`]). The store
//! refuses nothing; what follows is the caller's decision (in Bosc: `bosc-release/src/engine/shared.rs`).
//!
//! # What is compared
//!
//! The row `identity` of the database remembers, as of its last change: the machine's id; inode and time of birth of
//! the database's file; the folder's path; and two *marks*. The file `MARK` in the folder is a random number that is
//! made anew, as a new file, with what is signed. What the system does not tell is not compared.
//!
//! | what happened | what differs |
//! |---|---|
//! | `cp -a`, a backup unpacked elsewhere, `mv` to another file system | inode or birth of the database |
//! | the disk or its image in another machine | the machine's id (not on network file systems) |
//! | an older database put back in its place | `MARK` is newer than both marks |
//! | the whole folder written over in its place | `MARK` is another file than the mark names |
//! | `cp -al`: the same files under two names | the database has more than one link (Unix) |
//! | a snapshot of the file system, opened beside the original | the old path has a file with our mark |
//!
//! `mv` within a file system, a renamed mount point and another device number change none of these. A machine or a
//! file system that was put back as a whole cannot be told from one that stood still: see docs/recovery.md.
//!
//! # States
//!
//! ```text
//! no row --open--> original <-------- declare_sole_copy ---------.
//!                     |                                          |
//!                     '--open, something differs--> copied ------'
//!                                                    |      ^
//!                                                    '------' open, something differs again
//! ```
//!
//! Each time something differs the store gets a new *lineage*, a random number that it keeps for good, for what has to differ
//! between copies.
//!
//! # The mark, and why a crash does not cry wolf
//!
//! ```text
//! MARK = m1, row = (m0, m1)
//!   the folder is synced                      so that MARK = m1 stays
//!   MARK.new is made: m2
//!   the transaction that signs: row = (m1, m2)
//!   MARK.new is renamed to MARK: m2
//! ```
//!
//! Whatever of this a crash leaves, `MARK` is one of the row's two. It is renewed with the first signature after opening
//! and then at most once a minute, so that appending costs no sync of its own. A `MARK` without content (it is not
//! synced) or none at all says nothing.
//!
//! What is signed between two renewals is not told apart: a database that was copied while the store was in use, and put
//! back in the same minute, is taken for the original.
//!
//! # Files
//!
//! - `evidence`: what says that a store is a copy. `known`: the identity of an open store, and how often its mark is renewed. `row`:
//!   the row of the database, its bytes, and how a folder is compared with it.

mod evidence;
mod known;
mod row;

pub use evidence::{Copied, Evidence};
pub(crate) use known::{Identity, first_row};
