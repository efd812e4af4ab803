//! The flags of `mirror`.

use clap::Args;

/// `bosc mirror`
#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The link
    pub(crate) link: String,
    /// Where to write: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or a WebDAV address
    pub(crate) target: String,
    /// Only the files of the newest version
    #[arg(long)]
    pub(crate) newest: bool,
    /// Only what is below these paths of the newest version, such as /by-arch/linux-x64
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Look at every file that is there, and write anew what is missing or damaged
    #[arg(long)]
    pub(crate) check: bool,
    /// How long files that no version needs any more stay, for those who read the one before
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400.0)]
    pub(crate) keep: f64,
    /// Also fetch from another mirror: a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// Give up when nobody has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
