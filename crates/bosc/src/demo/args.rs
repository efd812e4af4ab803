//! The flags of `demo`.

use clap::Args;
use std::path::PathBuf;

/// `bosc demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder to ship [default: a small application made for the demo]
    pub(crate) dir: Option<PathBuf>,
}
