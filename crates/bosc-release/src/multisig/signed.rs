//! What a key signed, so that it does not sign a second release of the same length.
//!
//! Two releases that do not go on from each other, both signed by the quorum and both committed, split a link for good.
//! No signature can be taken back, so the one who signs has to remember. The memory lies beside the key and not in a
//! store: a signer may have no store, or a fresh one every time, and the key is what signs.
//!
//! One file a public key, `<public key>.signed` in the folder of the keys, JSON. It is replaced whole, synced, before the
//! response is shown, under a lock that two runs share:
//!
//! ```text
//! looked at (Book) -> shown -> confirmed -> key opened -> [ lock: read again -> decided -> written, synced ] -> response printed
//! ```
//!
//! A kill before the write forgets a response that nobody saw; after it, the same request is signed again without asking
//! more. Other copies of the key have memories of their own: see docs/signing-ceremony.md.

use super::errors;
use super::journal::Record;
use crate::error::{CommandError, ErrorKind};
use crate::keys::files;
use crate::keys::keyring::Keyring;
use crate::output_file::check_output_folder;
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::{self, Request};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Keyring {
    /// What the keys signed is put down beside them, or in the folder `named`. Always the same one: what lies in another
    /// is not known.
    ///
    /// # Errors
    /// A folder that cannot be one.
    pub fn memory(&self, named: Option<&Path>) -> Result<Memory, CommandError> {
        match named {
            Some(dir) => std::path::absolute(dir)
                .map(|dir| Memory::new(dir, false))
                .map_err(|e| CommandError::input(format!("not a folder: {}", dir.display())).because(e)),
            None => Ok(Memory::new(self.dir.clone(), self.own)),
        }
    }

    /// The folder that was named in place of that of the keys, when it is another one: what a key signed as the latter
    /// remembers is not known there.
    pub fn other_memory(&self, named: Option<&Path>) -> Option<PathBuf> {
        let named = std::path::absolute(named?).ok()?;
        let real = |dir: &Path| std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir)).ok();
        (real(&named) != real(&self.dir)).then_some(named)
    }
}

#[cfg(test)]
mod tests;

/// Most bytes of the file: a release an hour for years.
const FILE_MAX: u64 = 32 << 20;
/// How long another run may hold the lock; it holds it for one write.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const VERSION: u32 = 1;

/// One release that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// The link's key, z-base-32.
    pub link: String,
    /// The key of its blobs core, z-base-32.
    pub blobs: String,
    /// Length of the db core.
    pub length: u64,
    /// Its tree hash, z-base-32.
    pub tree_hash: String,
    /// Length of the blobs core.
    pub blobs_length: u64,
    /// Its tree hash, z-base-32.
    pub blobs_tree_hash: String,
    /// Hash of the request, z-base-32.
    pub request: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Given up with `--replace`: another one counts.
    #[serde(default)]
    pub replaced: bool,
}

impl Signed {
    /// What signing `request` would put down. `bytes` are those it was read from, `at` is in seconds since 1970.
    pub fn of(request: &Request, bytes: &[u8], at: u64) -> Self {
        let (blobs_length, blobs_hash) = request.content.map_or((0, [0; 32]), |c| (c.length, c.tree_hash));
        Self {
            link: id::encode(&request.key()),
            blobs: request.blobs_key().map(|k| id::encode(&k)).unwrap_or_default(),
            length: request.length,
            tree_hash: Record::hash_text(&request.tree_hash),
            blobs_length,
            blobs_tree_hash: Record::hash_text(&blobs_hash),
            request: id::encode(&signing::request_hash(bytes)),
            at,
            replaced: false,
        }
    }

    /// Whether the same is signed: the heads of both cores of the link. How it was asked for does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        let what = |s: &Self| {
            let Self { link, length, tree_hash, blobs_length, blobs_tree_hash, .. } = s.clone();
            (link, length, tree_hash, blobs_length, blobs_tree_hash)
        };
        what(self) == what(other)
    }

    /// The hash of the request as people compare it.
    pub fn spoken(&self) -> String {
        id::decode(&self.request).map(|hash| signing::spoken(&hash)).unwrap_or_default()
    }
}

/// How an earlier release and the one that is asked for now go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// One of them begins with the other: both can be released.
    Continues,
    /// They part ways: only one can ever be released.
    Differs,
    /// Production has gone past the earlier one without it: it can never be released.
    Overtaken,
    /// Cannot be told here.
    Unknown,
}

/// An earlier release, and what a store could tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// What was signed.
    pub signed: Signed,
    /// How it goes together with what is asked for.
    pub relation: Relation,
}

/// What a key signed, as it was when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    #[serde(default)]
    version: u32,
    /// In the order they were signed.
    signed: Vec<Signed>,
}

impl Book {
    /// What counts for a link, oldest first.
    pub fn of(&self, link: &CoreKey) -> Vec<Signed> {
        let link = id::encode(link);
        self.signed.iter().filter(|s| s.link == link && !s.replaced).cloned().collect()
    }

    /// Refuses a request whose link is the blobs core of a link this key signed for, or whose blobs core is such a link:
    /// its signature would be valid for a half of a release there.
    ///
    /// # Errors
    /// `ERR_INVALID_INPUT`.
    pub fn refuse_halves(&self, new: &Signed) -> Result<(), CommandError> {
        match self.signed.iter().find(|s| s.blobs == new.link || s.link == new.blobs) {
            Some(s) => {
                let link = id::decode(&s.link).map(|key| PearLink::new(key).to_string());
                Err(errors::half_of(&link.unwrap_or_default()))
            }
            None => Ok(()),
        }
    }

    /// The releases that stand against signing `new`. `told` says how they go together, as far as a store could tell.
    pub fn against(&self, new: &Signed, told: &[Earlier]) -> Vec<Signed> {
        let relation =
            |s: &Signed| told.iter().find(|t| t.signed == *s).map_or(Relation::Unknown, |t| t.relation);
        let stands_against = |s: &Signed| {
            s.link == new.link
                && !s.replaced
                && !s.is_same(new)
                && match relation(s) {
                    Relation::Continues => s.length == new.length,
                    Relation::Overtaken => false,
                    Relation::Differs => true,
                    // What is shorter than something signed cannot go on from it.
                    Relation::Unknown => s.length >= new.length,
                }
        };
        self.signed.iter().filter(|s| stands_against(s)).cloned().collect()
    }
}

/// The folder that holds the books.
#[derive(Debug, Clone)]
pub struct Memory {
    dir: PathBuf,
    own: bool,
}

impl Memory {
    /// The books in `dir`. `own`: the folder is ours to tighten.
    pub(crate) fn new(dir: PathBuf, own: bool) -> Self {
        Self { dir, own }
    }

    /// Where a key's book is.
    pub fn path(&self, signer: &PublicKey) -> PathBuf {
        self.dir.join(format!("{}.signed", id::encode(signer)))
    }

    /// What a key signed.
    ///
    /// # Errors
    /// `ERR_UNREADABLE`, and `ERR_INVALID_INPUT` for a file that is damaged: nothing is signed then.
    pub fn read(&self, signer: &PublicKey) -> Result<Book, CommandError> {
        let path = self.path(signer);
        let damaged = |why: String| {
            CommandError::input(format!("{} cannot be understood", path.display())).because(why).hint(
                "it says what this key signed: restore it from a backup. Without one, move it away, and find out \
                 from the team what this key signed before",
            )
        };
        let unreadable = |e: std::io::Error| {
            CommandError::new(
                ErrorKind::Permission,
                "ERR_UNREADABLE",
                format!("{} cannot be read", path.display()),
            )
            .because(e)
            .hint("check that the file belongs to you and that you may read it")
        };
        let file = match bosc_files::open_plain(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Book::default()),
            Err(e) => return Err(unreadable(e)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(damaged("it is over 32 MiB".into()));
        }
        let book: Book = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if book.version > VERSION {
            return Err(damaged(format!("version {} is not known here; update Bosc", book.version)));
        }
        Ok(book)
    }

    /// Puts a release down, durably. `seen` is what the person was shown, `told` what was said of it; with `replace`, what
    /// stands against the new one is given up.
    ///
    /// # Errors
    /// `ERR_ALREADY_SIGNED` when another run signed something else meanwhile, or without `replace` when something stands
    /// against it; `ERR_PERMISSION_REQUIRED` when it cannot be written.
    pub fn record(
        &self,
        signer: &PublicKey,
        new: &Signed,
        seen: &Book,
        told: &[Earlier],
        replace: bool,
    ) -> Result<(), CommandError> {
        check_output_folder(&self.dir, &[])?;
        files::make_dir(&self.dir, self.own).map_err(|e| self.unwritable(e))?;
        let _alone = self.lock()?;
        let mut book = self.read(signer)?;
        if book != *seen && book.of_link(&new.link) != seen.of_link(&new.link) {
            return Err(errors::signed_meanwhile());
        }
        let against = book.against(new, told);
        if let Some(s) = against.last().filter(|_| !replace) {
            return Err(errors::signed_before(s.length, &s.spoken(), &new.spoken(), s.length == new.length));
        }
        for s in &mut book.signed {
            s.replaced |= against.contains(s);
        }
        if !book.signed.iter().any(|s| s.is_same(new) && s.request == new.request && !s.replaced) {
            book.signed.push(new.clone());
        }
        book.version = VERSION;
        let bytes = serde_json::to_vec(&book)
            .map_err(|e| CommandError::failed("what was signed cannot be recorded").because(e))?;
        files::replace(&self.path(signer), &bytes).map_err(|e| self.unwritable(e))
    }

    /// Held while the file is replaced. Released by the system when the process ends.
    fn lock(&self) -> Result<std::fs::File, CommandError> {
        let path = self.dir.join(".signed.lock");
        let locked = bosc_files::lock(&path, LOCK_WAIT).map_err(|e| self.unwritable(e))?;
        locked.ok_or_else(|| {
            CommandError::failed(format!("{} is in use by another program", path.display()))
                .hint("end the other `bosc multisig sign`, then run the command again")
        })
    }

    fn unwritable(&self, e: std::io::Error) -> CommandError {
        CommandError::new(
            ErrorKind::Permission,
            "ERR_PERMISSION_REQUIRED",
            format!("what was signed cannot be recorded in {}", self.dir.display()),
        )
        .because(e)
        .hint("nothing was signed. Make the folder writable, or name another one, always the same, with --record DIR")
    }

    /// Where the books are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Book {
    fn of_link(&self, link: &str) -> Vec<&Signed> {
        self.signed.iter().filter(|s| s.link == link).collect()
    }
}
