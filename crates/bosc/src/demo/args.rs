//! The flags of `demo`.

use clap::Args;
use std::path::PathBuf;

/// `bosc demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A folder with a package.json, such as a deployment directory [default: a small application made for the demo]
    pub(crate) dir: Option<PathBuf>,
}
