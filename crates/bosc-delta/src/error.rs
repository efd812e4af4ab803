//! What can go wrong.

use thiserror::Error;

/// Longest file, in bytes.
pub const MAX_FILE: u64 = u32::MAX as u64;

/// Why a patch was not made, read or applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as a patch does.
    #[error("this is not a patch of Bosc")]
    NotAPatch,
    /// A later Bosc made it.
    #[error("the patch has format {format} and extractor {extractor}, which this version does not know")]
    Version {
        /// Its format.
        format: u8,
        /// Its extractor.
        extractor: u8,
    },
    /// It breaks a rule of the format, or ends early.
    #[error("the patch is damaged: {0}")]
    Damaged(&'static str),
    /// It would take more than the caller, or this version, allows.
    #[error("the patch asks for too much: {0}")]
    TooMuch(&'static str),
    /// It was made from another file.
    #[error("the patch was made from another file")]
    WrongBase,
    /// What came out is not what its maker had.
    #[error("the result is not the file that the patch promises")]
    WrongResult,
    /// A file is too long for this version.
    #[error("a file of {0} bytes is too long: the limit is {limit}", limit = MAX_FILE)]
    TooLong(u64),
    /// The base could not be read.
    #[error("the old file could not be read")]
    Read(#[source] std::io::Error),
    /// The result could not be written.
    #[error("the result could not be written")]
    Write(#[source] std::io::Error),
}

/// An error of the base. What is packed in it and does not fit the patch is the patch's fault.
pub(crate) fn reading(e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::InvalidData => Error::Damaged("what it unpacks is not as it says"),
        _ => Error::Read(e),
    }
}
