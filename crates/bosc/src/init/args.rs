//! The flags of `init`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `bosc init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder of the project, or of builds
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Which application, where the folder holds several: a program, a package, or a tool such as tauri
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// What the application is called, where no file says it [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Its version, where no file says it [default: 1.0.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// For whom a workflow is written that publishes every tag such as v1.2.3
    #[arg(long, value_name = "WHO", value_enum, default_value_t = CiFor::Github)]
    pub(crate) ci: CiFor,
    /// Ask nothing: take what would be proposed, and change files as shown
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace files that are there and differ, whoever wrote them
    #[arg(long)]
    pub(crate) force: bool,
}

/// For whom a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CiFor {
    Github,
    Gitlab,
    None,
}
