//! A folder of signing keys: `<name>` is the encrypted secret key, `<name>.public` the public key.
//!
//! The files are those of `pear` (bytes, in `~/.pear`) and of the stand-alone `hypercore-sign` (z-base-32 text, in
//! `~/.hypercore-sign`); both are read, bytes are written. When no folder is named, names that are not in `~/.pear` are
//! looked for in `~/.hypercore-sign`, where nothing is ever written.
//!
//! Invariants: a file exists with mode 0600 from its first instant and appears whole under its name or not at all; a
//! secret key is never overwritten; a folder made here has mode 0700; the secret key is written before the public one,
//! so a key that shows in a list and was made here can sign.
//!
//! # Files
//!
//! - `one_key`: a key's name, how long it may be, its bytes, and what is wrong with them.

use super::files;
use super::signing_key::{EncryptedKey, SigningKey};
use crate::error::{CommandError, ErrorKind};
use crate::output_file::{OutputFile, OutputKind, check_output_folder};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use std::io::Read;
use std::path::{Path, PathBuf};

mod one_key;
#[cfg(test)]
mod tests;

use one_key::as_text;
pub(crate) use one_key::private_from;
pub use one_key::{check_name, key_error};

/// Name of the key when none is given.
pub const DEFAULT_NAME: &str = "default";
/// Largest key file that is read, in bytes: no key takes more.
const FILE_MAX: u64 = 4096;
/// Most keys listed.
const LIST_MAX: usize = 10_000;
const PUBLIC: &str = "public";

/// Where keys are kept.
#[derive(Debug, Clone)]
pub struct Keyring {
    pub(crate) dir: PathBuf,
    /// Searched after `dir`, never written.
    fallback: Option<PathBuf>,
    home: Option<PathBuf>,
    /// Whether the folder is ours to tighten: not when the user named it.
    pub(crate) own: bool,
}

/// The two files of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPaths {
    /// Public key.
    pub public: PathBuf,
    /// Encrypted secret key.
    pub private: PathBuf,
}

/// One key of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name.
    pub name: String,
    /// Its public key.
    pub public_key: PublicKey,
    /// Whether the secret key is here.
    pub owned: bool,
    /// Its files.
    pub paths: KeyPaths,
}

fn unreadable(path: &Path, e: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", format!("{} cannot be read", path.display()))
        .because(e)
        .hint("check that the file belongs to you and that you may read it")
}

fn unwritable(path: &Path, e: std::io::Error) -> CommandError {
    CommandError::new(
        ErrorKind::Permission,
        "ERR_PERMISSION_REQUIRED",
        format!("{} cannot be written", path.display()),
    )
    .because(e)
    .hint("check the folder of the keys (`--keys DIR`), its disk and its permissions")
}

/// Reads a small file whole; `None` when there is none.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, CommandError> {
    let file = match bosc_files::open_plain(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, e)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(CommandError::input(format!("{} is too large for a key", path.display()))
            .hint("name a key file, or the key as text"));
    }
    Ok(Some(bytes))
}

/// A public key as bytes, z-base-32 or hex.
pub(crate) fn public_from(bytes: &[u8]) -> Option<PublicKey> {
    match as_text(bytes).and_then(|t| id::decode(t).ok()) {
        Some(key) => Some(key),
        None => bytes.try_into().ok(),
    }
}

/// A public key given as an argument: the text, or a file.
///
/// # Errors
/// What is neither.
pub fn public_argument(argument: &str) -> Result<PublicKey, CommandError> {
    if let Ok(key) = id::decode(argument.trim()) {
        return Ok(key);
    }
    let bytes = read_small(Path::new(argument))?;
    bytes.as_deref().and_then(public_from).ok_or_else(|| {
        CommandError::input("this is neither a public key nor a file that holds one")
            .hint("a public key is 52 characters of z-base-32 or 64 of hex")
    })
}

/// The bytes an argument stands for: of the file when it names one, else its own.
///
/// # Errors
/// Files that are too large or cannot be read.
pub fn bytes_argument(argument: &str) -> Result<Vec<u8>, CommandError> {
    // No file has a name so long, and asking for one is an error on some systems.
    let file = if argument.len() < 250 { read_small(Path::new(argument))? } else { None };
    Ok(file.unwrap_or_else(|| argument.as_bytes().to_vec()))
}

fn home() -> Option<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

impl Keyring {
    /// The folder the user named, or the usual ones.
    ///
    /// # Errors
    /// When no home folder is known and none was named.
    pub fn open(dir: Option<&Path>) -> Result<Self, CommandError> {
        let home = home();
        if let Some(dir) = dir {
            let dir = std::path::absolute(dir)
                .map_err(|e| CommandError::input(format!("not a folder: {}", dir.display())).because(e))?;
            return Ok(Self { dir, fallback: None, home, own: false });
        }
        let Some(at) = home else {
            return Err(CommandError::input("no home folder is known")
                .hint("name the folder of the keys with --keys DIR or BOSC_KEYS"));
        };
        let other =
            std::env::var_os("HYPERCORE_SIGN_KEYS_DIRECTORY").filter(|v| !v.is_empty()).map(PathBuf::from);
        let fallback = Some(other.unwrap_or_else(|| at.join(".hypercore-sign")));
        Ok(Self { dir: at.join(".pear"), fallback, home: Some(at), own: true })
    }

    /// Where the key `name` is, or would be made.
    ///
    /// # Errors
    /// For bad names.
    pub fn paths(&self, name: &str) -> Result<KeyPaths, CommandError> {
        check_name(name)?;
        let there = self.fallback.as_deref().filter(|other| {
            let (here, there) = (paths_in(&self.dir, name), paths_in(other, name));
            !here.public.exists() && !here.private.exists() && there.private.exists()
        });
        Ok(paths_in(there.unwrap_or(&self.dir), name))
    }

    /// A path as it is shown: `~` for the home folder.
    pub fn shown(&self, path: &Path) -> String {
        match self.home.as_deref().and_then(|h| path.strip_prefix(h).ok()) {
            Some(rest) => Path::new("~").join(rest).display().to_string(),
            None => path.display().to_string(),
        }
    }

    /// The public key `name`, when it is here. Made good from the secret key's file when its own is missing.
    ///
    /// # Errors
    /// Unreadable or broken files.
    pub fn public(&self, name: &str) -> Result<Option<PublicKey>, CommandError> {
        let paths = self.paths(name)?;
        match read_small(&paths.public)? {
            Some(bytes) => public_from(&bytes).map(Some).ok_or_else(|| {
                CommandError::input(format!("{} holds no public key", paths.public.display()))
                    .hint("it should be 32 bytes, or 52 characters of z-base-32; restore it from a backup")
            }),
            None => Ok(self.private(name)?.and_then(|k| k.public_key().copied())),
        }
    }

    /// The encrypted secret key `name`, when it is here. Takes others' right to read the file, where it can.
    ///
    /// # Errors
    /// Unreadable or broken files.
    pub fn private(&self, name: &str) -> Result<Option<EncryptedKey>, CommandError> {
        let paths = self.paths(name)?;
        let Some(bytes) = read_small(&paths.private)? else { return Ok(None) };
        files::tighten_file(&paths.private);
        let key = private_from(&bytes).map_err(|e| key_error(e, name))?;
        if key.public_key().is_none()
            && let Some(public) = read_small(&paths.public)?.as_deref().and_then(public_from)
        {
            return Ok(Some(key.with_public_key(public)));
        }
        Ok(Some(key))
    }

    /// The encrypted secret key `name`.
    ///
    /// # Errors
    /// As [`Keyring::private`], and when there is none.
    pub fn require_private(&self, name: &str) -> Result<EncryptedKey, CommandError> {
        self.private(name)?.ok_or_else(|| {
            CommandError::not_found(format!("No private key found for \"{name}\""))
                .hint("`bosc multisig keys list` shows the keys here; `bosc multisig keys get` makes one")
        })
    }

    /// All keys, by name.
    ///
    /// # Errors
    /// An unreadable folder. Files that are not keys are left out.
    pub fn list(&self) -> Result<Vec<ListedKey>, CommandError> {
        let mut all = std::collections::BTreeMap::new();
        for dir in self.fallback.iter().chain([&self.dir]) {
            let entries = match std::fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unreadable(dir, e)),
            };
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let Some(name) = path.file_stem().and_then(|n| n.to_str()) else { continue };
                if path.extension().is_none_or(|e| e != PUBLIC) || check_name(name).is_err() {
                    continue;
                }
                let Ok(Some(bytes)) = read_small(&path) else { continue };
                let Some(public_key) = public_from(&bytes) else { continue };
                let paths = paths_in(dir, name);
                let owned = paths.private.is_file();
                all.insert(name.to_owned(), ListedKey { name: name.to_owned(), public_key, owned, paths });
                if all.len() >= LIST_MAX {
                    break;
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// Makes a new key and writes it.
    ///
    /// # Errors
    /// When there is one of that name, or it cannot be written.
    pub fn generate(&self, name: &str, passphrase: &[u8]) -> Result<PublicKey, CommandError> {
        self.refuse_existing(name)?;
        let key = SigningKey::generate().map_err(|e| key_error(e, name))?;
        let encrypted = key.encrypt(passphrase).map_err(|e| key_error(e, name))?;
        self.add(name, &key.pair().public(), Some(&encrypted))?;
        Ok(key.pair().public())
    }

    /// Writes a key.
    ///
    /// # Errors
    /// When there is one of that name, when the two halves do not belong together, or when it cannot be written.
    pub fn add(
        &self,
        name: &str,
        public_key: &PublicKey,
        private: Option<&EncryptedKey>,
    ) -> Result<KeyPaths, CommandError> {
        self.refuse_existing(name)?;
        if private.and_then(EncryptedKey::public_key).is_some_and(|k| k != public_key) {
            return Err(CommandError::input("the private key is not that of the public key")
                .hint("give the two halves of one key"));
        }
        let paths = paths_in(&self.dir, name);
        check_output_folder(&self.dir, &[])?;
        files::make_dir(&self.dir, self.own).map_err(|e| unwritable(&self.dir, e))?;
        if let Some(key) = private {
            let bytes = key.clone().with_public_key(*public_key).encode();
            files::create(&paths.private, &bytes).map_err(|e| self.taken(name, &paths.private, e))?;
        }
        files::create(&paths.public, public_key).map_err(|e| self.taken(name, &paths.public, e))?;
        Ok(paths)
    }

    /// Replaces the secret key's file by the same key under another passphrase.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, key: &EncryptedKey) -> Result<KeyPaths, CommandError> {
        let paths = self.paths(name)?;
        OutputFile::new(&paths.private, OutputKind::SigningKey).check()?;
        files::replace(&paths.private, &key.encode()).map_err(|e| unwritable(&paths.private, e))?;
        Ok(paths)
    }

    /// Deletes both files of a key.
    ///
    /// # Errors
    /// When there is none, or it cannot be deleted.
    pub fn remove(&self, name: &str) -> Result<(), CommandError> {
        check_name(name)?;
        let paths = paths_in(&self.dir, name);
        if !paths.public.exists() && !paths.private.exists() {
            return Err(CommandError::not_found(format!("Key \"{name}\" not found"))
                .hint("`bosc multisig keys list` shows the keys here"));
        }
        for path in [&paths.public, &paths.private] {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(path, e)),
                _ => {}
            }
        }
        Ok(())
    }

    fn refuse_existing(&self, name: &str) -> Result<(), CommandError> {
        let paths = self.paths(name)?;
        if paths.public.exists() || paths.private.exists() {
            return Err(exists(name));
        }
        Ok(())
    }

    fn taken(&self, name: &str, path: &Path, e: std::io::Error) -> CommandError {
        if e.kind() == std::io::ErrorKind::AlreadyExists { exists(name) } else { unwritable(path, e) }
    }
}

fn exists(name: &str) -> CommandError {
    CommandError::input(format!("Key \"{name}\" already exists"))
        .hint("choose another name, or remove that key first with `bosc multisig keys remove`")
}

fn paths_in(dir: &Path, name: &str) -> KeyPaths {
    KeyPaths { public: dir.join(format!("{name}.{PUBLIC}")), private: dir.join(name) }
}

/// Writes `bytes` to a new file that only its owner can read.
///
/// # Errors
/// When it cannot be written, or is there already.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    OutputFile::new(path, OutputKind::SigningKey).check()?;
    files::create(path, bytes).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            CommandError::input(format!("{} is there already", path.display()))
                .hint("choose another file, or delete it first")
        } else {
            unwritable(path, e)
        }
    })
}
