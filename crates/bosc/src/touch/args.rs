//! The flags of `touch`.

use clap::Args;

/// `bosc touch`
#[derive(Debug, Args)]
pub(crate) struct Touch {
    /// Try keys until the link starts with this text; each character takes 32 times longer
    #[arg(long, value_name = "Z32")]
    pub(crate) vanity: Option<String>,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long)]
    pub(crate) sole_copy: bool,
}
