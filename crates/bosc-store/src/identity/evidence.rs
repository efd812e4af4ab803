//! What says that a store is a copy.

use bosc_format::codec::DecodeError;
use std::fmt;

/// Why a store is taken for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// Its database is another file than it was.
    OtherFile,
    /// It is on another machine than it was.
    OtherMachine,
    /// Its database is older than its folder, or its files were written over: something was put back.
    Restored,
    /// The folder it was in is still there and holds it as well.
    Beside,
    /// Its database has another name, in this folder or another, through which it is written as well.
    HardLinked,
}

impl Evidence {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::OtherFile => 1,
            Self::OtherMachine => 2,
            Self::Restored => 3,
            Self::Beside => 4,
            Self::HardLinked => 5,
        }
    }

    pub(super) fn of(code: u8) -> Result<Self, DecodeError> {
        [Self::OtherFile, Self::OtherMachine, Self::Restored, Self::Beside, Self::HardLinked]
            .into_iter()
            .find(|e| e.code() == code)
            .ok_or(DecodeError::Invalid("evidence"))
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherFile => "its files are copies",
            Self::OtherMachine => "it was made on another machine",
            Self::Restored => "older files were put back into it",
            Self::Beside => "the folder it was copied from is still there",
            Self::HardLinked => "its database is a hard link, and the same file has another name",
        })
    }
}

/// What is known of a store that is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// How it is known.
    pub evidence: Evidence,
    /// Cores of lower numbers may be in the other copy too.
    pub(super) first_own: u32,
}

impl Copied {
    pub(crate) fn covers(&self, core: u32) -> bool {
        core < self.first_own
    }
}
