//! Flags of `bosc multisig`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bosc multisig`
#[derive(Debug, Args)]
pub(crate) struct Multisig {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: MultisigCommand,
}

/// The commands below `bosc multisig`.
#[derive(Debug, Subcommand)]
pub(crate) enum MultisigCommand {
    /// Signing keys on this machine
    Keys(Keys),
    /// Print the link that the signers of pear.json stand for
    Link(Link),
    /// Make a request that the signers sign
    Request(Request),
    /// Show what a request is about, and sign it
    Sign(Sign),
    /// Check a request and its responses, and write nothing
    Verify(Verify),
    /// Put a signed release into production
    Commit(Commit),
    /// Show how far the commits made from this store got
    Status(Status),
}

/// Where the signers are written down.
#[derive(Debug, Args)]
pub(crate) struct ConfigFlag {
    /// The file with "multisig": {"publicKeys", "quorum", "namespace"}
    #[arg(long, value_name = "PATH", default_value = "pear.json")]
    pub(crate) config: PathBuf,
}

/// Where signing keys are.
#[derive(Debug, Args)]
pub(crate) struct KeysFlag {
    /// Folder of the signing keys [default: ~/.pear, then ~/.hypercore-sign]
    #[arg(long = "keys", global = true, env = "BOSC_KEYS", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Where a passphrase comes from when there is nobody to ask: this, or the environment variable BOSC_PASSPHRASE.
#[derive(Debug, Args)]
pub(crate) struct PassphraseFlag {
    /// Read the passphrase from this open file descriptor (a pipe or a file); BOSC_PASSPHRASE works too
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// Where a new passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseFlags {
    /// Encrypt it again under a new passphrase (asked for, or from BOSC_NEW_PASSPHRASE)
    #[arg(long)]
    pub(crate) new_passphrase: bool,
    /// Read the new passphrase from this open file descriptor
    #[arg(long, value_name = "N", requires = "new_passphrase")]
    pub(crate) new_passphrase_fd: Option<u32>,
}

/// `bosc multisig keys`
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    /// Where the keys are
    #[command(flatten)]
    pub(crate) keys: KeysFlag,
}

/// The commands below `bosc multisig keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print a public key; make the key when it is not there
    Get {
        /// The key's name
        #[arg(default_value = "default")]
        name: String,
        /// Print the encrypted private key too
        #[arg(long)]
        secret: bool,
        /// For a key that is made
        #[command(flatten)]
        passphrase: PassphraseFlag,
    },
    /// Print where a key's files are
    Paths {
        /// The key's name
        #[arg(default_value = "default")]
        name: String,
    },
    /// List the keys
    List,
    /// Add a key made elsewhere
    Add {
        /// The name it gets
        name: String,
        /// The public key, or a file that holds it
        public_key: String,
        /// The encrypted private key, or a file that holds it
        private_key: Option<String>,
    },
    /// Delete a key
    Remove {
        /// The key's name
        name: String,
        /// Do not ask
        #[arg(long)]
        force: bool,
    },
    /// Write an encrypted key as one line that `import` reads on another machine
    Export {
        /// The key's name
        name: String,
        /// Write it to this new file [default: stdout]
        file: Option<PathBuf>,
        /// Under another passphrase
        #[command(flatten)]
        new: NewPassphraseFlags,
        /// The present passphrase
        #[command(flatten)]
        passphrase: PassphraseFlag,
    },
    /// Add a key that `export` wrote, or another key file
    Import {
        /// The file, the text, or - for standard input
        from: String,
        /// The name it gets [default: the name it had]
        name: Option<String>,
        /// Under another passphrase
        #[command(flatten)]
        new: NewPassphraseFlags,
        /// The present passphrase
        #[command(flatten)]
        passphrase: PassphraseFlag,
    },
}

/// `bosc multisig link`
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Where the signers are written down
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// Change the namespace until the link starts with this text (each character takes 32 times longer)
    #[arg(long, value_name = "Z32")]
    pub(crate) vanity: Option<String>,
}

/// `bosc multisig request`
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// The provisioned drive with its version: `pear://0.<length>.<key>`
    pub(crate) verlink: String,
    /// Where the signers are written down
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// Make it although fewer than two peers have all of the drive
    #[arg(long)]
    pub(crate) force: bool,
    /// Write version 2, for signers with hypercore-sign 3 or older
    #[arg(long)]
    pub(crate) legacy: bool,
    /// How long peers may take to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = bosc_release::multisig::PEER_UPDATE_TIMEOUT_MS)]
    pub(crate) peer_update_timeout: u64,
    /// How many seconds to wait for the drive and for two full copies [default: --peer-update-timeout]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<f64>,
}

/// `bosc multisig sign`
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The request: its text, a file, or - for standard input
    pub(crate) request: String,
    /// The key to sign with
    #[arg(default_value = "default")]
    pub(crate) name: String,
    /// The drive the request was made from, to see its files
    #[arg(long, value_name = "LINK")]
    pub(crate) source: Option<String>,
    /// How many seconds to look for production and the source on the network
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub(crate) wait: f64,
    /// Look at this machine's store only
    #[arg(long, conflicts_with = "wait")]
    pub(crate) offline: bool,
    /// Sign without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Where the keys are
    #[command(flatten)]
    pub(crate) keys: KeysFlag,
    /// The passphrase
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFlag,
}

/// What `verify` and `commit` share.
#[derive(Debug, Args)]
pub(crate) struct Signed {
    /// The drive the request was made from
    pub(crate) source_link: String,
    /// The request: its text, a file, or - for standard input
    pub(crate) request: String,
    /// The responses: texts, files, or -
    pub(crate) responses: Vec<String>,
    /// Where the signers are written down
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// How long peers may take to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = bosc_release::multisig::PEER_UPDATE_TIMEOUT_MS)]
    pub(crate) peer_update_timeout: u64,
    /// The link has no release yet, and I am sure of it. Its first commit needs this: nobody can show what is not there
    #[arg(long)]
    pub(crate) first_commit: bool,
    /// Do not look at how many peers have source and production, and do not wait for them
    #[arg(long, hide = true)]
    pub(crate) force_dangerous: bool,
}

/// `bosc multisig verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What is checked
    #[command(flatten)]
    pub(crate) signed: Signed,
}

/// `bosc multisig commit`
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// What is committed
    #[command(flatten)]
    pub(crate) signed: Signed,
    /// How many seconds to wait until two peers have all of the release
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    pub(crate) wait: f64,
}

/// `bosc multisig status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this link
    pub(crate) link: Option<String>,
}
