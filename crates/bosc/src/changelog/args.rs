//! The flags of `changelog`.

use clap::Args;

/// `bosc changelog`
#[derive(Debug, Args)]
pub(crate) struct Changelog {
    /// A link, or a folder with a CHANGELOG.md
    #[arg(default_value = ".", value_name = "LINK|DIR")]
    pub(crate) source: String,
    /// Show at most this many releases, the newest [default: 10; all with --full]
    #[arg(long, short)]
    pub(crate) max: Option<usize>,
    /// Releases in this range, as npm writes it: 1.x, ^2.1, ">=1.0.0 <2.0.0" [default: the newest major version]
    #[arg(long, value_name = "SEMVER")]
    pub(crate) of: Option<String>,
    /// All releases, and headings that are not a version
    #[arg(long)]
    pub(crate) full: bool,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
