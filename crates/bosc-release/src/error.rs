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
    /// Nothing failed: one step is done, and the next one is the user's. Exit code 8.
    Unfinished,
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
            Self::Unfinished => 8,
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
            8 => Self::Unfinished,
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
    /// It is about a full disk, whatever else was to be said of it.
    full: bool,
}

/// The code of a full disk.
const DISK_FULL: &str = "ERR_DISK_FULL";
/// What to do about it.
const FREE_SOME: &str = "free some disk space and run the command again";

impl CommandError {
    /// An error with Pear's code for it (`ERR_INVALID_INPUT`, ...) and a message without a full stop.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), hint: None, source: None, full: false }
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

    /// A file or folder that could not be written: `ERR_UNWRITABLE`, with `hint` for what to do then.
    pub fn unwritable(message: impl Into<String>, e: std::io::Error, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Permission, "ERR_UNWRITABLE", message).because(e).hint(hint)
    }

    /// Adds what to do next. Of a full disk that is known already, unless its code was given.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if !self.full {
            self.hint = Some(hint.into());
        }
        self
    }

    /// Adds the cause. If that is a full disk, or was caused by one, the error becomes `ERR_DISK_FULL`: of kind
    /// [`ErrorKind::Store`] if it was of that kind, else [`ErrorKind::Failed`].
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        if self.code != DISK_FULL && is_caused_by_full(&*source) {
            self.full = true;
            self.code = DISK_FULL.into();
            self.hint = Some(FREE_SOME.into());
            if self.kind != ErrorKind::Store {
                self.kind = ErrorKind::Failed;
            }
        }
        self.source = Some(source);
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
            (None, ErrorKind::NotFound) => "check the link, and that a peer seeds it (`bosc seed <link>`)",
            (None, ErrorKind::Network) => "check the network and `--bootstrap`, then run the command again",
            (None, ErrorKind::Store) => {
                "check the store's folder (`--store DIR`), its disk and its permissions"
            }
            (None, ErrorKind::Permission) => {
                "run the command on the machine, and with the store, that made the link"
            }
            (None, ErrorKind::Integrity) => "do not trust what was received; fetch it again from other peers",
            (None, ErrorKind::Unfinished) => "do what is said above, then run the command again",
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

/// Whether an error, or what caused it, is a full disk. The store's own error of that keeps no error of the system.
fn is_caused_by_full(e: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(e);
    while let Some(e) = next {
        if e.downcast_ref::<bosc_store::Error>().is_some_and(|e| e.kind() == bosc_store::ErrorKind::Full) {
            return true;
        }
        next = e.source();
    }
    bosc_files::is_caused_by_full(e)
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
        let told = |e: &CommandError| (e.code().to_owned(), e.kind(), e.hint_text().to_owned());
        let full = |kind| (DISK_FULL.to_owned(), kind, FREE_SOME.to_owned());
        for io in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
            let e = CommandError::unwritable("x", io.into(), "look at its permissions");
            assert_eq!(told(&e), full(ErrorKind::Failed));
            // Whatever it was called, and in whatever order that is said.
            let wrapped = || std::io::Error::other(std::io::Error::from(io));
            let e = CommandError::new(ErrorKind::Store, "ERR_STORE", "x").because(wrapped()).hint("chmod");
            assert_eq!(told(&e), full(ErrorKind::Store));
            let e =
                CommandError::input("x").hint("chmod").because(CommandError::failed("y").because(wrapped()));
            assert_eq!(told(&e), full(ErrorKind::Failed));
            let e = CommandError::new(ErrorKind::Store, DISK_FULL, "x").because(wrapped()).hint("more");
            assert_eq!(e.hint_text(), "more");
        }
        let store = || bosc_store::Error::Full { path: "x".into() };
        let e = CommandError::failed("x").because(bosc_drive::Error::Source(Box::new(store())));
        assert_eq!(told(&e), full(ErrorKind::Failed));
        let e = CommandError::unwritable("x", std::io::ErrorKind::PermissionDenied.into(), "chmod");
        assert_eq!(told(&e), ("ERR_UNWRITABLE".into(), ErrorKind::Permission, "chmod".into()));
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
