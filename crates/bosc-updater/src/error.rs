//! Why an update did not happen.

use std::error::Error;
use std::fmt;

/// Who is to blame, and so what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option or an argument of the application is wrong.
    Input,
    /// The network, or everybody on it, did not answer. Try again later.
    Network,
    /// What came does not match the key, the hash or the size it was promised with. Nothing of it was installed.
    Integrity,
    /// What came is older than what is here, or was taken back before.
    Refused,
    /// A file operation failed.
    Disk,
    /// There is not enough room on the disk.
    NoSpace,
    /// This user may not write where the application is.
    Permission,
    /// Another updater of this application is at work.
    Busy,
    /// It was cancelled.
    Cancelled,
    /// The platform cannot install, by design (iOS, Android).
    Unsupported,
}

/// Why an update did not happen: a kind, one sentence, the cause, and what to do next.
#[derive(Debug)]
pub struct UpdateError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl UpdateError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, cause: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Who is to blame.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do next, if anything can be said.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|c| c as &(dyn Error + 'static))
    }
}
