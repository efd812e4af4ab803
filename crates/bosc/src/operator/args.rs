//! The flags of `rollout`, `halt`, `lift` and `refresh`.

use clap::Args;
use std::path::PathBuf;

/// What all of them take.
#[derive(Debug, Args)]
pub(crate) struct Speak {
    /// The name of the operator's key on this machine [default: the one that the rules of the link name]
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Show what would be said, and say nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// Folder of the operators' keys [default: ~/.pear, then ~/.hypercore-sign]
    #[arg(long = "keys", env = "BOSC_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Read the passphrase from the first line of this open file descriptor [default: BOSC_PASSPHRASE, else asked for]
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// `bosc rollout`
#[derive(Debug, Args)]
pub(crate) struct Rollout {
    /// The link; or a manifest, its file or https:// address: what is said is written beside it (of an address into this folder)
    #[arg(value_name = "LINK|MANIFEST")]
    pub(crate) link: String,
    /// The version, such as 1.4.2
    pub(crate) version: String,
    /// How far it goes, such as 10%; a share only grows, or is 0%
    pub(crate) share: String,
    #[command(flatten)]
    pub(crate) speak: Speak,
}

/// `bosc halt`
#[derive(Debug, Args)]
pub(crate) struct Halt {
    /// The link; or a manifest, its file or https:// address: what is said is written beside it (of an address into this folder)
    #[arg(value_name = "LINK|MANIFEST")]
    pub(crate) link: String,
    /// The version, such as 1.4.2
    pub(crate) version: String,
    /// Those who run it go back to the build before, too
    #[arg(long)]
    pub(crate) recall: bool,
    #[command(flatten)]
    pub(crate) speak: Speak,
}

/// `bosc lift`
#[derive(Debug, Args)]
pub(crate) struct Lift {
    /// The link; or a manifest, its file or https:// address: what is said is written beside it (of an address into this folder)
    #[arg(value_name = "LINK|MANIFEST")]
    pub(crate) link: String,
    /// The version, such as 1.4.2
    pub(crate) version: String,
    #[command(flatten)]
    pub(crate) speak: Speak,
}

/// `bosc refresh`
#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// The link; or a manifest, its file or https:// address: what is said is written beside it (of an address into this folder)
    #[arg(value_name = "LINK|MANIFEST")]
    pub(crate) link: String,
    #[command(flatten)]
    pub(crate) speak: Speak,
}
