//! Commands around the pipeline as plain data, and what of them needs neither store nor network: reading a changelog,
//! version ranges, key files, where an application is installed, what keeps a client from updating.

pub mod changelog;
pub mod doctor;
pub mod install;
pub mod key_file;
pub mod range;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A passphrase on its way: wiped when dropped, and no debug output has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a passphrase.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The passphrase.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Written only into the request that goes to the store's owner, over loopback and under its token.
impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(from)?)))
    }
}

/// `bosc changelog` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changelog {
    /// The link.
    pub link: String,
    /// Which releases to show.
    pub select: changelog::Select,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc versions` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The link.
    pub link: String,
    /// Show the newest so many; at most 10,000.
    pub max: usize,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc cores`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    /// Also cores of which nothing is here from the start on.
    pub all: bool,
}

/// What `bosc gc` gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GcWhat {
    /// The blocks of one link's drive.
    Cores,
    /// Blocks of drives that are not here whole and cannot be written here.
    Downloads,
    /// What `stage` remembers of unchanged files.
    StageIndex,
    /// Space in the store that nothing uses.
    Store,
}

/// `bosc gc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gc {
    /// What to collect.
    pub what: GcWhat,
    /// The link, for [`GcWhat::Cores`].
    pub link: Option<String>,
    /// Tell what would go, remove nothing.
    pub dry_run: bool,
    /// Also the only copy of a link that this store writes, or one that an installed application came from.
    pub force: bool,
}

/// `bosc data dht`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDht {
    /// How long to ask the network, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc install`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// The link.
    pub link: String,
    /// Take away what was installed from the link.
    pub uninstall: bool,
    /// Only these of the programs in `bin`.
    pub only: Vec<String>,
    /// Where to install; made when missing. Absolute.
    pub to: Option<PathBuf>,
    /// The folders of the user who asked.
    pub places: install::Places,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// The link.
    pub link: String,
    /// Version of a client to judge.
    pub version: Option<String>,
    /// Its platform, as `linux-x64`.
    pub platform: Option<String>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc keys export`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysExport {
    /// The link whose write key it is; `None` backs up all of the store.
    pub link: Option<String>,
    /// Where to write, absolute.
    pub file: PathBuf,
    /// Replace the file.
    pub force: bool,
    /// What it is encrypted under.
    pub passphrase: Secret,
}

/// `bosc keys import`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysImport {
    /// The file, absolute.
    pub file: PathBuf,
    /// What it is encrypted under.
    pub passphrase: Secret,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "kebab-case")]
pub enum Tool {
    /// What changed, release by release.
    Changelog(Changelog),
    /// Every version in a drive's history.
    Versions(Versions),
    /// The cores kept here.
    Cores(Cores),
    /// Give disk space back.
    Gc(Gc),
    /// Known DHT nodes.
    DataDht(DataDht),
    /// Install or uninstall an application.
    Install(Install),
    /// What is well and what is not with a link.
    Doctor(Doctor),
    /// Write keys to an encrypted file.
    KeysExport(KeysExport),
    /// Take keys from one.
    KeysImport(KeysImport),
}

impl Tool {
    /// The `cmd` of its JSON lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Changelog(_) => "changelog",
            Self::Versions(_) => "versions",
            Self::Cores(_) => "cores",
            Self::Gc(_) => "gc",
            Self::DataDht(_) => "data",
            Self::Install(_) => "install",
            Self::Doctor(_) => "doctor",
            Self::KeysExport(_) | Self::KeysImport(_) => "keys",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command::Request;

    #[test]
    fn requests_survive_the_way_to_the_owner_of_the_store() {
        let passphrase = Secret::new(Zeroizing::new("a b".into()));
        for tool in [
            Tool::Cores(Cores { all: true }),
            Tool::Gc(Gc { what: GcWhat::StageIndex, link: None, dry_run: true, force: false }),
            Tool::Install(Install { link: "x".into(), to: Some("/a".into()), ..Install::default() }),
            Tool::KeysExport(KeysExport { link: None, passphrase, ..KeysExport::default() }),
        ] {
            let request = Request::Tool(tool);
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request, "{text}");
        }
    }

    #[test]
    fn a_passphrase_is_not_shown() {
        let request =
            KeysImport { passphrase: Secret::new(Zeroizing::new("hunter2".into())), ..KeysImport::default() };
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
