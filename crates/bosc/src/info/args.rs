//! The flags of `info`.

use clap::Args;

/// `bosc info`
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The link [default: bosc itself, and its store]
    pub(crate) link: Option<String>,
    /// Show only name, version and lengths
    #[arg(long, requires = "link")]
    pub(crate) metadata: bool,
    /// Show only package.json
    #[arg(long, requires = "link")]
    pub(crate) manifest: bool,
    /// Show only the signers
    #[arg(long, requires = "link")]
    pub(crate) multisig: bool,
    /// Show only the keys
    #[arg(long, requires = "link")]
    pub(crate) key: bool,
    /// Show only the newest release of its CHANGELOG.md
    #[arg(long, requires = "link")]
    pub(crate) changelog: bool,
    /// Show only its CHANGELOG.md, all releases
    #[arg(long, requires = "link")]
    pub(crate) full_changelog: bool,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR", requires = "link")]
    pub(crate) mirror: Vec<String>,
}
