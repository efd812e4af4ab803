//! The flags of `install`.

use clap::Args;
use std::path::PathBuf;

/// `bosc install`
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// The link
    pub(crate) link: String,
    /// Uninstall what was installed from the link, everywhere or only from the folder of `--to`
    #[arg(long, conflicts_with = "only")]
    pub(crate) uninstall: bool,
    /// Install only these: the application's name, or programs in `bin`
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Install into this folder; it is made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Give up when no peer has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR", conflicts_with = "uninstall")]
    pub(crate) mirror: Vec<String>,
}
