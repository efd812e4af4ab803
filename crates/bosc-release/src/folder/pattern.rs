//! What patterns have in common, of the command line and of ignore files: their bounds, and why one is refused.

use thiserror::Error;

/// Most patterns taken.
pub const MAX_PATTERNS: usize = 4096;

/// Longest pattern taken, in bytes.
pub const MAX_PATTERN_LEN: usize = 4096;

/// A pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GlobError {
    /// It is longer than 4096 bytes or stands for too many alternatives.
    #[error("the pattern {0:?} is too long")]
    TooLong(String),
    /// More than 4096 patterns.
    #[error("there are more than {MAX_PATTERNS} patterns")]
    TooMany,
    /// A prefix of `only` leads out of the folder.
    #[error("{0:?} leads out of the folder")]
    Outside(String),
    /// `only` was given and names nothing: it would mean everything.
    #[error("the paths to restrict to are empty")]
    NoPath,
}
