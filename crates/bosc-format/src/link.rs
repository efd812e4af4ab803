//! Pear links (npm `pear-link` 5): what people type, paste and click.
//!
//! ```text
//! pear://key                        plain link: the newest version
//! pear://fork.length.key            verlink: one version
//! pear://fork.length.key.hash       hashlink: one version whose tree hash is this
//! pear://.../path?search#fragment   each of them with a path inside the drive
//! file:///abs/path, /abs/path, rel  a folder on this machine
//! ```
//!
//! `key` and `hash` are 32 bytes in z-base-32 or hex; [`PearLink`] prints z-base-32. One pair of matching quotes
//! around a link is taken off. Where this reads more strictly than the JavaScript module: fork and length are decimal
//! digits only (no `1e3`, `0x10`, empty or negative), a host with a user name or port is refused instead of silently
//! losing them, and the names `keet`, `pear` ... that links could have before pear-link 5 are refused with a hint.
//! A path that is no link is taken whole, `?` and `#` included.
//!
//! Bound: [`MAX_LINK`] bytes.
//!
//! # Files
//!
//! - `encode`: percent-encoding and dot segments.

use crate::crypto::{CoreKey, Hash};
use crate::id;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

mod encode;
#[cfg(test)]
mod tests;

/// The most bytes a link may have.
pub const MAX_LINK: usize = 64 * 1024;

const PEAR: &str = "pear://";
const FILE: &str = "file://";
const OLD_NAMES: [&str; 7] = ["pear", "keet", "runtime", "doctor", "templates", "electron", "pass"];

/// Why a text is no link. The text of each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing was given.
    #[error("no link given; a link looks like pear://<key>")]
    Empty,
    /// Over [`MAX_LINK`].
    #[error("the link is too long")]
    TooLong,
    /// The part before `://` is neither pear nor file.
    #[error("links start with pear:// or file://, not {0}://")]
    UnsupportedProtocol(String),
    /// The host has 2 or more than 4 parts.
    #[error(
        "\"{0}\" is not a valid host: it is <key>, <fork>.<length>.<key> or <fork>.<length>.<key>.<hash>, with nothing \
         before or after"
    )]
    IncorrectHost(String),
    /// Fork or length is no number.
    #[error("\"{text}\" is not a {what}: in <fork>.<length>.<key> both numbers are decimal digits")]
    NotANumber {
        /// Which of the two.
        what: &'static str,
        /// What stood there.
        text: String,
    },
    /// The key cannot be read.
    #[error("\"{0}\" is not a key: a key is 52 characters of z-base-32 (lower case) or 64 of hex")]
    InvalidKey(String),
    /// The tree hash cannot be read.
    #[error("\"{0}\" is not a tree hash: it is 52 characters of z-base-32 (lower case) or 64 of hex")]
    InvalidHash(String),
    /// One of the names that stood for keys in old links.
    #[error("names such as \"{0}\" no longer stand for keys; use the key")]
    OldName(String),
    /// A link to a folder names another machine.
    #[error("a file link needs three slashes: file:///path, with no host name before the path")]
    FileHost,
    /// The path is relative and nobody said to what.
    #[error("\"{0}\" is neither a link nor an absolute path")]
    RelativePath(String),
    /// A path of this machine was given where only a pear link will do.
    #[error("\"{0}\" is not a pear link; a pear link looks like pear://<key>")]
    NotPear(String),
}

/// A version of a drive: how often it was cut back, and how many blocks its core has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// Fork of the core.
    pub fork: u64,
    /// Length of the core, the drive's version.
    pub length: u64,
}

/// A link to a drive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PearLink {
    /// Key of the drive's core.
    pub key: CoreKey,
    /// The version, in verlinks and hashlinks.
    pub version: Option<Version>,
    /// The tree hash of the drive's core at that version, in hashlinks. Ignored without a version.
    pub hash: Option<Hash>,
    /// Path in the drive as in a URL: empty or from `/`, percent-encoded. See [`PearLink::path`].
    pub pathname: String,
    /// Empty, or from `?`.
    pub search: String,
    /// Empty, or from `#`.
    pub fragment: String,
}

/// A link to a folder or file of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileLink {
    /// Absolute path as in a URL, percent-encoded, with `/` on every system. See [`FileLink::path`].
    pub pathname: String,
    /// Empty, or from `?`.
    pub search: String,
    /// Empty, or from `#`.
    pub fragment: String,
}

/// Any link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Link {
    /// To a drive.
    Pear(PearLink),
    /// To a folder or file.
    File(FileLink),
}

impl Link {
    /// Reads a link or an absolute path.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        Self::parse_in(text, None)
    }

    /// Reads a link or a path; relative paths start at the absolute path `folder`.
    pub fn parse_in(text: &str, folder: Option<&str>) -> Result<Self, LinkError> {
        let text = unquote(text.trim());
        if text.is_empty() {
            return Err(LinkError::Empty);
        }
        if text.len() > MAX_LINK {
            return Err(LinkError::TooLong);
        }
        if let Some(rest) = text.strip_prefix(PEAR) {
            return parse_pear(rest).map(Self::Pear);
        }
        if let Some(rest) = text.strip_prefix(FILE) {
            return parse_file(rest).map(Self::File);
        }
        if let Some((scheme, _)) = text.split_once("://")
            && scheme.len() > 1
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        {
            return Err(LinkError::UnsupportedProtocol(scheme.into()));
        }
        let absolute = if is_absolute(text) {
            text.to_owned()
        } else {
            let folder = folder.filter(|f| is_absolute(f));
            format!("{}/{text}", folder.ok_or_else(|| LinkError::RelativePath(text.into()))?)
        };
        Ok(Self::File(FileLink::from_path(&absolute)))
    }

    /// The link to a drive, or an error that says it is none.
    pub fn into_pear(self) -> Result<PearLink, LinkError> {
        match self {
            Self::Pear(link) => Ok(link),
            Self::File(link) => Err(LinkError::NotPear(link.path())),
        }
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::parse(text)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pear(link) => link.fmt(f),
            Self::File(link) => link.fmt(f),
        }
    }
}

impl PearLink {
    /// A plain link.
    pub fn new(key: CoreKey) -> Self {
        let (pathname, search, fragment) = Default::default();
        Self { key, version: None, hash: None, pathname, search, fragment }
    }

    /// A verlink.
    pub fn verlink(key: CoreKey, fork: u64, length: u64) -> Self {
        Self { version: Some(Version { fork, length }), ..Self::new(key) }
    }

    /// A hashlink.
    pub fn hashlink(key: CoreKey, fork: u64, length: u64, hash: Hash) -> Self {
        Self { hash: Some(hash), ..Self::verlink(key, fork, length) }
    }

    /// Reads a link to a drive; a bare key will do too.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        match id::decode(unquote(text.trim())) {
            Ok(key) => Ok(Self::new(key)),
            Err(_) => match Link::parse(text) {
                Err(LinkError::RelativePath(text)) => Err(LinkError::NotPear(text)),
                link => link?.into_pear(),
            },
        }
    }

    /// The same without version, hash, path, search and fragment: what names the drive.
    pub fn origin(&self) -> Self {
        Self::new(self.key)
    }

    /// The path in the drive, decoded; empty when there is none. `None` when it is no UTF-8.
    pub fn path(&self) -> Option<String> {
        encode::decode(&self.pathname)
    }
}

impl FromStr for PearLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::parse(text)
    }
}

impl fmt::Display for PearLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PEAR)?;
        if let Some(v) = self.version {
            write!(f, "{}.{}.", v.fork, v.length)?;
        }
        f.write_str(&id::encode(&self.key))?;
        if let (Some(_), Some(hash)) = (self.version, &self.hash) {
            write!(f, ".{}", id::encode(hash))?;
        }
        write!(f, "{}{}{}", self.pathname, self.search, self.fragment)
    }
}

impl FileLink {
    /// From an absolute path of this system; backslashes of a Windows path become slashes.
    pub fn from_path(path: &str) -> Self {
        let slashed = if has_drive_letter(path) || path.starts_with("\\\\") {
            format!("/{}", path.replace('\\', "/"))
        } else {
            path.to_owned()
        };
        // In a path, unlike in a URL, these stand for themselves (`pathToFileURL` of Node.js).
        let mut plain = slashed.replace('%', "%25");
        for (c, encoded) in [('\\', "%5C"), ('\t', "%09"), ('\n', "%0A"), ('\r', "%0D")] {
            plain = plain.replace(c, encoded);
        }
        let pathname = encode::normalize_dots(&encode::encode_path(&plain));
        Self { pathname, search: String::new(), fragment: String::new() }
    }

    /// The path, decoded, with `/` on every system and, on Windows, without the `/` before the drive letter. Bytes
    /// that are no UTF-8 stay encoded.
    pub fn path(&self) -> String {
        let path = encode::decode(&self.pathname).unwrap_or_else(|| self.pathname.clone());
        match path.strip_prefix('/') {
            Some(rest) if has_drive_letter(rest) => rest.to_owned(),
            _ => path,
        }
    }
}

impl fmt::Display for FileLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FILE}{}{}{}", self.pathname, self.search, self.fragment)
    }
}

/// A link's text without one trailing slash: for comparing texts. Not a check.
pub fn normalize(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}

fn unquote(text: &str) -> &str {
    ['"', '\'', '`'].into_iter().find_map(|q| text.strip_prefix(q)?.strip_suffix(q)).map_or(text, str::trim)
}

fn has_drive_letter(path: &str) -> bool {
    matches!(path.as_bytes(), [letter, b':', rest @ ..]
        if letter.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'/' | b'\\')))
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.starts_with("\\\\") || has_drive_letter(path)
}

/// Host, path, search and fragment of what follows `://`.
fn split(rest: &str) -> (&str, &str, &str, &str) {
    let at = |text: &str, marks: &[char]| text.find(marks).unwrap_or(text.len());
    let cut = |text, i| str::split_at_checked(text, i).unwrap_or((text, ""));
    let (host, rest) = cut(rest, at(rest, &['/', '?', '#']));
    let (path, rest) = cut(rest, at(rest, &['?', '#']));
    let (search, fragment) = cut(rest, at(rest, &['#']));
    let empty = |text| if text == "?" || text == "#" { "" } else { text };
    (host, path, empty(search), empty(fragment))
}

fn parse_pear(rest: &str) -> Result<PearLink, LinkError> {
    let (host, path, search, fragment) = split(rest);
    let parts: Vec<&str> = host.split('.').take(5).collect();
    let (version, key, hash) = match parts.as_slice() {
        [key] => (None, *key, None),
        [fork, length, key] => (Some((*fork, *length)), *key, None),
        [fork, length, key, hash] => (Some((*fork, *length)), *key, Some(*hash)),
        _ => return Err(LinkError::IncorrectHost(host.into())),
    };
    if key.contains(['@', ':']) || host.starts_with(':') {
        return Err(LinkError::IncorrectHost(host.into()));
    }
    if OLD_NAMES.contains(&key) {
        return Err(LinkError::OldName(key.into()));
    }
    let key = id::decode(key).map_err(|_| LinkError::InvalidKey(key.into()))?;
    let version = match version {
        Some((fork, length)) => {
            Some(Version { fork: number("fork", fork)?, length: number("length", length)? })
        }
        None => None,
    };
    let hash = match hash {
        Some(text) => Some(id::decode(text).map_err(|_| LinkError::InvalidHash(text.into()))?),
        None => None,
    };
    Ok(PearLink {
        key,
        version,
        hash,
        pathname: encode::normalize_dots(&encode::encode_path(path)),
        search: encode::encode_search(search, false),
        fragment: encode::encode_fragment(fragment),
    })
}

/// A decimal number JavaScript can hold exactly.
fn number(what: &'static str, text: &str) -> Result<u64, LinkError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|n| digits && *n < (1 << 53))
        .ok_or_else(|| LinkError::NotANumber { what, text: text.into() })
}

fn parse_file(rest: &str) -> Result<FileLink, LinkError> {
    let (host, path, search, fragment) = split(rest);
    let path = if path.is_empty() { "/" } else { path };
    if !host.is_empty() {
        return Err(LinkError::FileHost);
    }
    Ok(FileLink {
        pathname: encode::normalize_dots(&encode::encode_path(&path.replace('\\', "/"))),
        search: encode::encode_search(search, true),
        fragment: encode::encode_fragment(fragment),
    })
}
