//! The flags of `monitor`.

use clap::Args;
use std::path::PathBuf;

/// `bosc monitor`
#[derive(Debug, Args)]
pub(crate) struct Monitor {
    /// The link
    #[arg(required_unless_present = "compare")]
    pub(crate) link: Option<String>,
    /// Where to keep what is seen; made when missing, and only ever added to
    #[arg(required_unless_present = "compare")]
    pub(crate) file: Option<PathBuf>,
    /// Look once, then end
    #[arg(long)]
    pub(crate) once: bool,
    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) every: f64,
    /// Compare the files of two monitors, without a link or a network
    #[arg(long, num_args = 2, value_names = ["FILE1", "FILE2"], conflicts_with_all = ["link", "file", "once", "every", "mirror", "timeout"])]
    pub(crate) compare: Option<Vec<PathBuf>>,
    /// Also read a mirror: a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// How long to look for peers, each time
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
