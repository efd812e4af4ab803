//! What went wrong with a command: whose fault it is, the cause, and what to do next.

use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

/// Who or what is to blame. Decides the exit code of the program and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something failed that fits no other kind. Exit code 1.
    Failed,
    /// A flag, link, path or file given by the user is wrong. Exit code 2.
    Input,
    /// What was asked for does not exist, or nobody offers it. Exit code 3.
    NotFound,
    /// The network is not there, or peers did not answer in time. Exit code 4.
    Network,
    /// The store is locked, damaged, full, or made by a newer version. Exit code 5.
    Store,
    /// This machine may not do that: no write key, no file permission. Exit code 6.
    Permission,
    /// A signature, hash or proof is wrong. Exit code 7.
    Integrity,
    /// Stopped by the user (Ctrl+C). Exit code 130.
    Interrupted,
}

impl ErrorKind {
    /// The exit code of the program for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Input => 2,
            Self::NotFound => 3,
            Self::Network => 4,
            Self::Store => 5,
            Self::Permission => 6,
            Self::Integrity => 7,
            Self::Interrupted => 130,
        }
    }

    /// The kind that has `code`, [`ErrorKind::Failed`] for unknown ones.
    pub fn from_exit_code(code: u8) -> Self {
        match code {
            2 => Self::Input,
            3 => Self::NotFound,
            4 => Self::Network,
            5 => Self::Store,
            6 => Self::Permission,
            7 => Self::Integrity,
            130 => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    kind: ErrorKind,
    code: String,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl CommandError {
    /// An error with Pear's code for it (`ERR_INVALID_INPUT`, ...) and a message without a full stop.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), hint: None, source: None }
    }

    /// Wrong input: `ERR_INVALID_INPUT`.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, "ERR_INVALID_INPUT", message)
    }

    /// A failure that fits no other kind: `ERR_OPERATION_FAILED`.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, "ERR_OPERATION_FAILED", message)
    }

    /// Something not found: `ERR_NOT_FOUND`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, "ERR_NOT_FOUND", message)
    }

    /// A file or folder that could not be written: `ERR_DISK_FULL` when there is no room for it, else `ERR_UNWRITABLE`,
    /// with `hint` for what to do then.
    pub fn unwritable(message: impl Into<String>, e: std::io::Error, hint: impl Into<String>) -> Self {
        if is_full(&e) {
            return Self::new(ErrorKind::Failed, "ERR_DISK_FULL", message)
                .because(e)
                .hint("free some disk space and run the command again");
        }
        Self::new(ErrorKind::Permission, "ERR_UNWRITABLE", message).because(e).hint(hint)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Who is to blame.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The machine-readable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message without causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next. Every error that reaches a person has one.
    pub fn hint_text(&self) -> &str {
        match (&self.hint, self.kind) {
            (Some(h), _) => h,
            (None, ErrorKind::Input) => "see `bosc help` for what the command takes",
            (None, ErrorKind::NotFound) => "check the link, and that somebody seeds it (`bosc seed <link>`)",
            (None, ErrorKind::Network) => "check the network and `--bootstrap`, then run the command again",
            (None, ErrorKind::Store) => {
                "check the store's folder (`--store DIR`), its disk and its permissions"
            }
            (None, ErrorKind::Permission) => {
                "run the command on the machine, and with the store, that made the link"
            }
            (None, ErrorKind::Integrity) => "do not trust what was received; fetch it again from other peers",
            (None, ErrorKind::Interrupted) => "run the command again; what was done is kept",
            (None, ErrorKind::Failed) => "run the command again with --verbose to see more",
        }
    }

    /// The chain of causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut next: Option<&(dyn StdError + 'static)> =
            self.source.as_deref().map(|e| e as &(dyn StdError + 'static));
        while let Some(e) = next {
            let text = e.to_string();
            if out.last() != Some(&text) {
                out.push(text);
            }
            if out.len() == 8 {
                break;
            }
            next = e.source();
        }
        out
    }

    /// What is told of it: the data of the one error line, and what is handed over.
    pub fn told(&self) -> Failure {
        Failure {
            success: false,
            code: self.code.clone(),
            message: self.message.clone(),
            hint: self.hint_text().to_owned(),
            causes: self.causes(),
            exit: self.kind.exit_code(),
        }
    }
}

/// What is told of a failed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// The machine-readable code.
    pub code: String,
    /// The message.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// The chain of causes, outermost first.
    pub causes: Vec<String>,
    /// The exit code of the program.
    pub exit: u8,
}

impl From<Failure> for CommandError {
    /// The error that was told of, as far as its text carries it.
    fn from(told: Failure) -> Self {
        let kind = ErrorKind::from_exit_code(told.exit);
        let error = Self::new(kind, told.code, told.message).hint(told.hint);
        match told.causes.is_empty() {
            true => error,
            false => error.because(told.causes.join(": ")),
        }
    }
}

/// Whether there is no room: on the disk, within the quota, or for a file of that size.
pub fn is_full(e: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(e.kind(), K::StorageFull | K::QuotaExceeded | K::FileTooLarge)
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for CommandError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one() {
        for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
            let e = CommandError::unwritable("x", kind.into(), "look at its permissions");
            assert_eq!((e.code(), e.kind()), ("ERR_DISK_FULL", ErrorKind::Failed));
            assert!(e.hint_text().contains("free"));
        }
        let e = CommandError::unwritable("x", std::io::ErrorKind::PermissionDenied.into(), "chmod");
        assert_eq!((e.code(), e.kind(), e.hint_text()), ("ERR_UNWRITABLE", ErrorKind::Permission, "chmod"));
    }

    #[test]
    fn an_error_survives_the_way_through_json() {
        let e = CommandError::input("bad link").hint("use pear://").because(std::io::Error::other("inner"));
        let text = serde_json::to_string(&e.told()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"success":false,"code":"ERR_INVALID_INPUT","message":"bad link","hint":"use pear://","#,
                r#""causes":["inner"],"exit":2}"#
            )
        );
        let back = CommandError::from(serde_json::from_str::<Failure>(&text).unwrap());
        assert_eq!(back.kind(), ErrorKind::Input);
        assert_eq!(back.message(), "bad link");
        assert_eq!(back.hint_text(), "use pear://");
        assert_eq!(back.causes(), vec!["inner".to_owned()]);
    }
}
