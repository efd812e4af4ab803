//! Why an update did not happen.

use semver::Version;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Who is to blame, and so what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option or an argument of the application is wrong: correct it in the code.
    Input,
    /// The network, the server or the peers did not answer. Automatic checks try again; report it only to a person who asked.
    Network,
    /// What came does not match the key, the hash or the size it was promised with. Nothing of it was installed. Automatic checks
    /// try again; if it stays, the publisher has to know.
    Integrity,
    /// What came is older than what is here, was rolled back before, or is no longer offered. Wait for the next release, or check
    /// again.
    Refused,
    /// A file operation failed: the message names the file. Automatic checks try again.
    Disk,
    /// There is not enough disk space: ask the person to free some, then check again.
    NoSpace,
    /// This user may not write where the application is: update as the user who installed it, or install it per user.
    Permission,
    /// Another updater of this application is running, or a build is on trial. Try again when that is over.
    Busy,
    /// It was cancelled, or the updater has ended. There is nothing to do.
    Cancelled,
    /// The platform cannot install, by design (iOS, Android), or the program was built without the feature for this source.
    Unsupported,
}

/// Why an update did not happen: a kind, one sentence, the cause, and what to do next.
///
/// Two are equal when they say the same; causes are not compared.
#[derive(Debug, Clone)]
pub struct UpdateError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    /// Boxed, so that what carries an error stays small.
    version: Option<Box<Version>>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    /// The cause made it one of a full disk.
    full: bool,
}

/// Most causes that [`UpdateError::causes`] gives.
const MAX_CAUSES: usize = 8;

impl UpdateError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, version: None, cause: None, full: false }
    }

    /// Adds what to do next. Of a full disk that is known already, unless the error was made with that kind.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if !self.full {
            self.hint = Some(hint.into());
        }
        self
    }

    /// Adds the cause. [`ErrorKind::Disk`] becomes [`ErrorKind::NoSpace`] if that is a full disk, or was caused by one.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        if self.kind == ErrorKind::Disk && bosc_files::is_caused_by_full(&*cause) {
            self.full = true;
            self.kind = ErrorKind::NoSpace;
            self.hint = Some("free some disk space, then try again".into());
        }
        self.cause = Some(cause.into());
        self
    }

    /// Adds the release it is about.
    #[must_use]
    pub(crate) fn about(mut self, version: Option<&Version>) -> Self {
        self.version = version.cloned().map(Box::new).or(self.version);
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

    /// The version of the release it is about, where it is about one.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_deref()
    }

    /// The causes as texts, outermost first, at most eight.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next.filter(|_| causes.len() < MAX_CAUSES) {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}

impl PartialEq for UpdateError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.message == other.message
            && self.hint == other.hint
            && self.version == other.version
    }
}

impl Eq for UpdateError {}

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

#[cfg(test)]
mod tests {
    use super::{ErrorKind, UpdateError};
    use std::io;

    #[test]
    fn a_full_disk_is_told_as_one() {
        for full in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let cause = || io::Error::other(io::Error::from(full));
            for e in [
                UpdateError::new(ErrorKind::Disk, "x").hint("check it").because(cause()),
                UpdateError::new(ErrorKind::Disk, "x").because(cause()).hint("check it"),
            ] {
                assert_eq!(e.kind(), ErrorKind::NoSpace);
                assert!(e.next_step().unwrap().contains("free some disk space"), "{e:?}");
            }
        }
        let e = UpdateError::new(ErrorKind::Disk, "x")
            .because(io::Error::from(io::ErrorKind::NotFound))
            .hint("y");
        assert_eq!((e.kind(), e.next_step()), (ErrorKind::Disk, Some("y")));
    }
}
