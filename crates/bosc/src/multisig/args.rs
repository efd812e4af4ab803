//! Flags of `bosc multisig`.

use bosc_release::keys::keyring::DEFAULT_NAME;
use bosc_release::multisig::COMMIT_WAIT_SECS;
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
    /// Print the production link that the signers in pear.json stand for
    Link(Link),
    /// Make the request that the signers sign
    Request(Request),
    /// Show what a request would release, and sign it
    Sign(Sign),
    /// Check a request and its responses, and write nothing
    Verify(Verify),
    /// Put a signed release into production
    Commit(Commit),
    /// Show how far the commits from this store got
    Status(Status),
}

/// Where the signers are declared.
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
    /// Read the passphrase from the first line of this open file descriptor [default: BOSC_PASSPHRASE, else asked for]
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// Where a new passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseFlags {
    /// Encrypt the key under a new passphrase (BOSC_NEW_PASSPHRASE, else asked for)
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
    /// Print a public key; make the key if there is none
    Get {
        /// The key's name
        #[arg(default_value = DEFAULT_NAME)]
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
        #[arg(default_value = DEFAULT_NAME)]
        name: String,
    },
    /// List the keys
    List,
    /// Add a key made elsewhere
    Add {
        /// The name to give it
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
        /// A file, the text itself, or - for standard input
        from: String,
        /// The name to give it [default: the name it had]
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
    /// Where the signers are declared
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// Try namespaces until the link starts with this text; each character takes 32 times longer
    #[arg(long, value_name = "Z32")]
    pub(crate) vanity: Option<String>,
}

/// `bosc multisig request`
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// The provisioned version: `pear://0.<length>.<key>`
    pub(crate) verlink: String,
    /// Where the signers are declared
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// Even if fewer than two peers hold a full copy of the drive
    #[arg(long)]
    pub(crate) force: bool,
    /// Write request version 2, for signers with npm hypercore-sign 3 or older
    #[arg(long)]
    pub(crate) legacy: bool,
    /// How long peers may take to answer
    #[arg(long, value_name = "MS", default_value_t = bosc_release::multisig::PEER_UPDATE_TIMEOUT_MS)]
    pub(crate) peer_update_timeout: u64,
    /// How long to wait for the drive and two full copies [default: --peer-update-timeout]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<f64>,
}

/// `bosc multisig sign`
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The request: its text, a file, or - for standard input
    pub(crate) request: String,
    /// The key to sign with
    #[arg(default_value = DEFAULT_NAME)]
    pub(crate) name: String,
    /// The drive that the request was made from, to see its files
    #[arg(long, value_name = "LINK")]
    pub(crate) source: Option<String>,
    /// How long to look for production and the source on the network
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub(crate) wait: f64,
    /// Look only in this machine's store
    #[arg(long, conflicts_with = "wait")]
    pub(crate) offline: bool,
    /// Sign without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// DANGEROUS: sign although not everything that would be released can be seen
    #[arg(long)]
    pub(crate) blind: bool,
    /// Sign it in place of an earlier release that cannot be released beside it
    #[arg(long)]
    pub(crate) replace: bool,
    /// Folder that records what a key signed [default: that of the keys]
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
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
    /// The drive that the request was made from
    pub(crate) source_link: String,
    /// The request: its text, a file, or - for standard input
    pub(crate) request: String,
    /// The responses: texts, files, or -
    pub(crate) responses: Vec<String>,
    /// Where the signers are declared
    #[command(flatten)]
    pub(crate) config: ConfigFlag,
    /// How long peers may take to answer
    #[arg(long, value_name = "MS", default_value_t = bosc_release::multisig::PEER_UPDATE_TIMEOUT_MS)]
    pub(crate) peer_update_timeout: u64,
    /// I am sure that the link has no release yet: its very first commit needs this
    #[arg(long)]
    pub(crate) first_commit: bool,
    /// Ignore how many peers have source and production, and do not wait for them
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
    /// How long to wait until two peers hold a full copy of the release
    #[arg(long, value_name = "SECONDS", default_value_t = f64::from(COMMIT_WAIT_SECS))]
    pub(crate) wait: f64,
}

/// `bosc multisig status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this link
    pub(crate) link: Option<String>,
}
