//! The flags of `doctor`.

use clap::Args;
use std::path::PathBuf;

/// `bosc doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The link
    pub(crate) link: String,
    /// The version of a client: would it update, and why or why not?
    #[arg(long, value_name = "SEMVER")]
    pub(crate) version: Option<String>,
    /// The platform of that client, such as linux-x64 [default with --version: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// An application that is installed here and updates from the link: is it the version that its release says?
    #[arg(long, value_name = "PATH")]
    pub(crate) app: Option<PathBuf>,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// Also look whether the blind peer with this key is reached and keeps the link; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) blind_peer: Vec<String>,
}
