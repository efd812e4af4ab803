//! What can go wrong in a store, sorted by who is to blame.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`enum@Error`], for callers that choose an exit code or a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The core, block or name is not kept here.
    NotFound,
    /// The key that may sign the core is not kept here.
    NotWritable,
    /// Another process owns the store.
    Locked,
    /// The store was written by a newer version of this software.
    NewerVersion,
    /// What is on disk is not what was written. Only a copy from elsewhere helps.
    Corrupt,
    /// The disk (or the quota) is full. Free space and try again; nothing acknowledged was lost.
    Full,
    /// Another user may have put files into the store's folder. The user has to look at it.
    Foreign,
    /// The operating system failed a file operation.
    Io,
    /// The disk failed in the middle of a commit and still fails: whether it happened shows when the disk works
    /// again and [`crate::Store::flush`] succeeds.
    Uncertain,
    /// The core moved on, or is in use by a batch. Try again on the new state.
    Conflict,
    /// A proof, signature or manifest is wrong: the one who sent it is to blame.
    Invalid,
    /// An argument is outside what the operation takes: the caller is to blame.
    Argument,
}

/// Why an operation on a store failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Not kept here; the text names what.
    #[error("{0} is not in this store")]
    NotFound(&'static str),
    /// No key that may sign this core is kept here.
    #[error("this core is not writable: its key pair is not in this store")]
    NotWritable,
    /// Another process owns the store.
    #[error("the store {} is in use by another process{}", path.display(), pid_text(*pid))]
    Locked {
        /// Directory of the store.
        path: PathBuf,
        /// Process id of the owner, when it left one.
        pid: Option<u32>,
    },
    /// Written by a newer version.
    #[error("the store has format {found}, this version reads up to {supported}: update this program")]
    NewerVersion {
        /// Format found.
        found: u64,
        /// Newest format understood.
        supported: u64,
    },
    /// What is on disk is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// No space left.
    #[error("no disk space left for {}", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The store's folder, or a file in it, may be another user's doing. Nothing was written to it.
    #[error("{}: {why}", path.display())]
    Foreign {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk failed in the middle of a commit and could not be read since. Call [`crate::Store::flush`] until it
    /// succeeds, then look at the heads: the commit happened whole or not at all.
    #[error("it is not known yet whether the commit happened: {0}")]
    Uncertain(#[source] Box<Error>),
    /// The core has changed since, or a batch holds it; the text says which.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// A proof from a peer that does not hold.
    #[error(transparent)]
    InvalidProof(#[from] bosc_format::proof::InvalidProof),
    /// A request, signature or manifest that does not hold; the text says which.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A bad argument.
    #[error("invalid argument: {0}")]
    Argument(&'static str),
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|p| format!(" (pid {p})")).unwrap_or_default()
}

impl Error {
    /// The kind, for choosing what to do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotFound(_) => ErrorKind::NotFound,
            Error::NotWritable => ErrorKind::NotWritable,
            Error::Locked { .. } => ErrorKind::Locked,
            Error::NewerVersion { .. } => ErrorKind::NewerVersion,
            Error::Corrupt(_) => ErrorKind::Corrupt,
            Error::Full { .. } => ErrorKind::Full,
            Error::Foreign { .. } => ErrorKind::Foreign,
            Error::Io { .. } => ErrorKind::Io,
            Error::Uncertain(_) => ErrorKind::Uncertain,
            Error::Conflict(_) => ErrorKind::Conflict,
            Error::InvalidProof(_) | Error::Invalid(_) => ErrorKind::Invalid,
            Error::Argument(_) => ErrorKind::Argument,
        }
    }

    /// Sorts an operating system error on `path`: a full disk is its own kind.
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        if bosc_files::is_full(&source) { Error::Full { path } } else { Error::Io { path, source } }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Error::Corrupt(what.into())
    }
}

impl From<Error> for bosc_format::merkle::TreeReadError {
    fn from(e: Error) -> Self {
        Self(Box::new(e))
    }
}

/// Takes a store error back out of what the tree algorithms wrapped it in.
impl From<bosc_format::merkle::TreeReadError> for Error {
    fn from(e: bosc_format::merkle::TreeReadError) -> Self {
        match e.0.downcast::<Error>() {
            Ok(e) => *e,
            Err(e) => Error::Corrupt(e.to_string()),
        }
    }
}

/// Reading a tree that lacks nodes is [`Error::NotFound`]: sparse cores do.
impl From<bosc_format::merkle::TreeError> for Error {
    fn from(e: bosc_format::merkle::TreeError) -> Self {
        use bosc_format::merkle::TreeError;
        match e {
            TreeError::Read(e) => e.into(),
            TreeError::Missing(_) => Error::NotFound("a tree node"),
            TreeError::OutOfBounds(what) => Error::Argument(what),
            TreeError::TooLarge(what) => Error::Argument(what),
            _ => Error::corrupt("a tree"),
        }
    }
}
