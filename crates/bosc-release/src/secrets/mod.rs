//! What must not be published, and what probably should not be.
//!
//! # Two kinds
//!
//! * [`Secret`]: whoever has it can write to a link, sign a release or command a store. It is refused wherever a folder
//!   leaves this machine, on dry runs too; there is no flag that lets it through. `--ignore` leaves it out.
//! * [`Suspect::KeyInText`]: a key as a value in a text. Refused like a secret, but a test or an example may hold one: the file
//!   passes when `--allow-key PATH` names it, and is reported all the same. What only goes from folder to folder (`build`), or
//!   was released already (`line promote`, `rotate`), is reported.
//! * [`Suspect`]: it looks like a secret of another program. It is named before anything is written; `publish --ci` refuses
//!   it, as nobody is there to read, unless `--allow PATH` names it.
//!
//! # What tells them
//!
//! A secret is known by its *content*, whatever its name and place, and however it came there (a copy, a hard link, a
//! symlink that is followed):
//!
//! | secret | what tells it |
//! |---|---|
//! | the store in use | device and number of its folder and of each of its files (`Places`) |
//! | a Bosc store | `FORMAT`'s text; redb's magic and, in one page, the names of our tables |
//! | a Bosc store's segment | `data/NNNNNN.seg` beside one of the above; alone it is a [`Suspect`]: it holds blocks, no key |
//! | write keys, backups | `bosc-key-file` at the start |
//! | signing keys | what `bosc multisig` and npm `hypercore-sign` write: the bytes of a key, or those as z-base-32 text |
//! | the updater's key pair | JSON with `public_key` and a `secret_key` of 32 or 64 bytes |
//! | a secret key alone | 64 bytes in base64 or hex whose second half is the public key of the first |
//! | a key in a text | `BOSC_PRIMARY_KEY` or `BOSC_UPDATER_SECRET_KEY` with its value |
//! | the owner's address | JSON with `port`, `pid` and a token of 32 bytes |
//! | Corestore, Pear's platform | the device file (`device/platform`, `device/inode`); `primary-key`, 32 bytes beside `cores/` |
//!
//! A suspect is known by its content where it tells (`programs`: files of AWS, Google, Azure, Docker, Kubernetes, git, netrc,
//! package registries), else by its name (`looks`).
//!
//! Not looked into: archives, and files of a Corestore's RocksDB that lie alone.
//!
//! # Invariants
//!
//! 1. Whatever is staged, built or packed was asked about: `look` sees the first [`HEAD`] bytes of every file whose
//!    content is read, before any of it is handed on, and a file whose content is not read was looked at with the same
//!    `RULES` when it was (the change index says so).
//! 2. No file is read twice for it, but for databases of redb's format, which are few.
//! 3. Nothing of a secret's content is in an error or event.
//!
//! # Files
//!
//! - `content`: what the first bytes tell. `looks`: what a name tells. `programs`: secrets of other programs.
//! - `places`: where the store in use lies. `found`: what was found. `check`: from there to errors and events.

pub(crate) mod check;
mod content;
mod found;
mod looks;
mod places;
mod programs;
#[cfg(test)]
mod tests;

pub use check::{Allow, Found, LooksSecret};
pub(crate) use check::{check_files, find_suspects, keep, refused, with_keys};
pub(crate) use content::look;
pub use found::SecretFound;
pub(crate) use looks::key_looks;
pub(crate) use places::StorePlaces;

/// Bytes at the start of a file that are looked at.
pub const HEAD: usize = 64 * 1024;
/// Number of these rules. Who remembers that a file was looked at also remembers by which; raise it with every change.
pub(crate) const RULES: u64 = 3;

/// What is never published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Secret {
    /// Part of the store in use.
    OwnStore,
    /// The database of a Bosc store.
    Database,
    /// Another file of a Bosc store.
    StoreFile,
    /// Write keys, as `bosc keys` exports and backs them up.
    KeyFile,
    /// A signing key of `bosc multisig` or `hypercore-sign`.
    SigningKey,
    /// A key pair of `bosc updater keygen`.
    UpdaterKey,
    /// A secret key that stands alone.
    BareKey,
    /// Port and token of the process that has a store open.
    Owner,
    /// The store of a JavaScript program.
    Corestore,
}

impl Secret {
    /// What it is, after the file's name and "is".
    pub fn what(self) -> &'static str {
        match self {
            Self::OwnStore => "part of the store in use: it holds the keys that write to your links",
            Self::Database => "the database of a Bosc store: it holds the keys that write to its links",
            Self::StoreFile => "part of a Bosc store",
            Self::KeyFile => "a file of `bosc keys`: it holds keys that write to links",
            Self::SigningKey => "a signing key: it signs releases",
            Self::UpdaterKey => "a key pair of `bosc updater keygen`: it signs updates",
            Self::BareKey => "a secret key: it signs updates or writes to links",
            Self::Owner => "the address of an open store: who reads it can command that store",
            Self::Corestore => {
                "part of the store of Pear or another JavaScript program: it holds the keys that write to its links"
            }
        }
    }
}

/// What looks like a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suspect {
    /// A private key in PEM, or as PuTTY and PGP write them.
    PrivateKey,
    /// An access token of a package registry.
    RegistryToken,
    /// An environment file.
    Environment,
    /// A private key of SSH, by its name.
    SshKey,
    /// A key store or certificate with its key.
    KeyStore,
    /// Passwords for hosts, databases or clouds.
    Credentials,
    /// The history of a version control system.
    History,
    /// A segment of a Bosc store.
    Segment,
    /// 32 bytes as keys are written, alone in a file.
    BareKey,
    /// One of our secret keys in a text, where it is given its value.
    KeyInText,
}

impl Suspect {
    const ALL: [Self; 10] = [
        Self::PrivateKey,
        Self::RegistryToken,
        Self::Environment,
        Self::SshKey,
        Self::KeyStore,
        Self::Credentials,
        Self::History,
        Self::Segment,
        Self::BareKey,
        Self::KeyInText,
    ];

    /// What it seems to be.
    pub fn what(self) -> &'static str {
        match self {
            Self::PrivateKey => "a private key",
            Self::RegistryToken => "a token of a package registry",
            Self::Environment => "an environment file, where secrets often are",
            Self::SshKey => "a private key of SSH",
            Self::KeyStore => "a key store",
            Self::Credentials => "passwords or tokens",
            Self::History => "the history of the source, with all that was ever in it",
            Self::Segment => "a segment of a Bosc store",
            Self::BareKey => "32 bytes in base64 or hex, as keys are written",
            Self::KeyInText => "a text with a secret key in it: the key signs updates or writes to links",
        }
    }

    /// Whether only who names the file may publish it.
    pub(crate) fn is_key(self) -> bool {
        self == Self::KeyInText
    }

    /// A number for files that remember it; never 0.
    pub(crate) fn number(self) -> u64 {
        Self::ALL.iter().position(|s| *s == self).map_or(0, |i| i as u64 + 1)
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        let i = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(i).copied()
    }
}

/// What a file's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentVerdict {
    /// Nothing known.
    Plain,
    Suspect(Suspect),
    Secret(Secret),
}
