//! How an application is started.

use crate::install::{Installer, Kind};
use crate::this_process::own_place_in;
use std::ffi::OsString;
use std::path::PathBuf;

/// How to start the application.
///
/// [`Program::default`] is how this process was started: its arguments, the folder it is in now, its environment, and the program
/// inside the application that it runs. [`Program::new`] has none of that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// The executable inside a folder, relative to it. Not needed for a file, for a `.app` (its `Info.plist` says), nor for a folder
    /// with one that is named as the folder, in it or in its `bin`.
    pub inside: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Environment variables beside those of the process that starts it. A `.app` that is not watched does not get them.
    pub env: Vec<(OsString, OsString)>,
    /// The folder it starts in; the caller's when `None`.
    pub current_dir: Option<PathBuf>,
    /// Whether the program that runs here may be the one to start, when `inside` says nothing.
    pub(super) again: bool,
}

impl Default for Program {
    /// As this process was started.
    fn default() -> Self {
        Self {
            inside: None,
            args: std::env::args_os().skip(1).collect(),
            env: Vec::new(),
            current_dir: std::env::current_dir().ok(),
            again: true,
        }
    }
}

impl Program {
    /// Without arguments, in the caller's folder.
    pub fn new() -> Self {
        Self { inside: None, args: Vec::new(), env: Vec::new(), current_dir: None, again: false }
    }

    /// The executable inside an application folder, relative to it.
    #[must_use]
    pub fn inside(mut self, path: impl Into<PathBuf>) -> Self {
        self.inside = Some(path.into());
        self
    }

    /// These arguments, and no others.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The folder it starts in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// Remembers which program in the application's folder runs here. To be called at the start: once an update is in place, this
    /// process runs what lies elsewhere.
    pub(crate) fn find_inside(&mut self, installer: &Installer) {
        if self.again && self.inside.is_none() && installer.kind() == Kind::Directory {
            self.inside = own_place_in(installer.target());
        }
    }
}
