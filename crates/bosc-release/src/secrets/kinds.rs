//! What a file is, and how much of it is looked at.

/// Bytes at the start of a file that tell what it is. What stands in a longer one is searched for in all of it.
pub const HEAD: usize = 64 * 1024;

/// Number of these rules. Who remembers that a file was looked at also remembers by which; raise it with every change.
pub(crate) const RULES: u64 = 7;

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
    /// A key that this process holds, anywhere in a file.
    InUse,
    /// A folder in which something is named by a key that is in use.
    InName,
    /// A symlink whose target names such a key.
    InTarget,
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
            Self::InUse => {
                "a file with a secret key that is in use here: the key signs updates or writes to your links"
            }
            Self::InName => {
                "a folder with a name in it that is a secret key in use here: the key signs updates or writes to your links"
            }
            Self::InTarget => {
                "a link whose target names a secret key that is in use here: the key signs updates or writes to your links"
            }
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
    pub(super) const ALL: [Self; 10] = [
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

impl ContentVerdict {
    /// The graver of two; of two alike, this one.
    pub(crate) fn and(self, other: Self) -> Self {
        let grave = |v: Self| match v {
            Self::Plain => 0,
            Self::Suspect(suspect) => 1 + u8::from(suspect.is_key()),
            Self::Secret(_) => 3,
        };
        if grave(other) > grave(self) { other } else { self }
    }
}
