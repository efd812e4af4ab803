//! The flags of `keys`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bosc keys`
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Write a link's key to an encrypted file, for another machine
    Export(KeysExport),
    /// Read a link's key, or a whole backup, from a file
    Import(KeysImport),
    /// Write all keys of the store to an encrypted file
    Backup(KeysBackup),
    /// Print the public key of an operator; make the key if there is none
    Operator(KeysOperator),
}

/// Where the passphrase comes from. Never from an argument: arguments are seen by other users.
#[derive(Debug, Clone, Args)]
pub(crate) struct PassphraseFlags {
    /// Read the passphrase from the first line of this open file descriptor [default: BOSC_PASSPHRASE, else asked for]
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// `bosc keys operator`
#[derive(Debug, Args)]
pub(crate) struct KeysOperator {
    /// The key's name
    pub(crate) name: String,
    /// Folder of the operators' keys [default: ~/.pear, then ~/.hypercore-sign]
    #[arg(long = "keys", env = "BOSC_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFlags,
}

/// `bosc keys export`
#[derive(Debug, Args)]
pub(crate) struct KeysExport {
    /// The link
    pub(crate) link: String,
    /// The file to write [default: ./<first characters of the key>.bosc-key]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFlags,
}

/// `bosc keys import`
#[derive(Debug, Args)]
pub(crate) struct KeysImport {
    /// The file that `keys export` or `keys backup` wrote
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFlags,
}

/// `bosc keys backup`
#[derive(Debug, Args)]
pub(crate) struct KeysBackup {
    /// The file to write
    #[arg(default_value = "store.bosc-key")]
    pub(crate) file: PathBuf,
    /// Others, such as CI, write with it while this store does: from now on it asks peers for the newest version first
    #[arg(long)]
    pub(crate) shared: bool,
    /// Replace an existing file
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFlags,
}
