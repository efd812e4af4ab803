//! The flags of `provision`.

use clap::Args;

/// `bosc provision`
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// The version to release: the verlink that `bosc stage` printed
    #[arg(value_name = "SOURCE-VERLINK")]
    pub(crate) source: String,
    /// The link to write to, made with this store by `bosc touch`
    #[arg(value_name = "TARGET-LINK")]
    pub(crate) target: String,
    /// The version of production to start from; while there is none, `pear://0.0.<key>`
    #[arg(value_name = "PRODUCTION-VERLINK")]
    pub(crate) production: String,
    /// Show what would change, and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Write changed files whole, as Pear does, not only what is new in them
    #[arg(long)]
    pub(crate) contiguous: bool,
    /// Give up when no peer has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) timeout: f64,
    /// How long to wait before writing, so that Ctrl+C can still stop it
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short, conflicts_with = "cooldown")]
    pub(crate) yes: bool,
    /// Do not ask peers for the newest version: this store has it, although other machines have the key (not for a
    /// copied store)
    #[arg(long)]
    pub(crate) newest: bool,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long)]
    pub(crate) sole_copy: bool,
}
