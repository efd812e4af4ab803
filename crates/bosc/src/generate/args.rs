//! The flags of `completions` and `man`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `bosc completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Shells completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    // No help for each: see `Color`. How each is used is in the examples.
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// `bosc man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write the pages to; without one, bosc(1) goes to stdout
    pub(crate) dir: Option<PathBuf>,
}
