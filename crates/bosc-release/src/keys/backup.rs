//! Key files: write keys that leave their machine, encrypted under a passphrase.
//!
//! ```text
//! bosc-key-file 1
//! kind: link                         or backup
//! link: pear://fork.length.key       what it was at the export; kind link only
//! kdf: scrypt 17 8 1                 log2 N, r, p
//! salt: <32 bytes, z-base-32>
//! nonce: <24 bytes, z-base-32>
//! data: <z-base-32 of XChaCha20-Poly1305(key, nonce, payload, header)>
//! ```
//!
//! `key` is scrypt(passphrase in Unicode's NFC, salt, N, r, p), 32 bytes. The header, all lines before `data` ending in `\n`, is
//! authenticated: a changed link or cost makes the file useless. The payload is JSON ([`Contents`]).
//!
//! Bounds, checked before anything is computed: the file [`MAX_FILE`] bytes, scrypt at most 1 GiB and 8 times the work
//! that is written here. A wrong passphrase and a damaged file look the same, as they must.

use super::forms;
use bosc_format::id;
use bosc_format::link::PearLink;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Largest file read, in bytes.
pub const MAX_FILE: usize = 4 << 20;
/// Most links in a backup.
pub const MAX_LINKS: usize = 10_000;
/// First line.
const MAGIC: &str = "bosc-key-file 1";
/// Cost of the files written here: 128 MiB, about half a second.
const COST: KdfCost = KdfCost { log_n: 17, r: 8, p: 1 };

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It is something else.
    #[error("it is not a key file: {0}")]
    Malformed(&'static str),
    /// A later format.
    #[error("it was written by a newer version")]
    Newer,
    /// It asks for more memory or time than is given.
    #[error("its key derivation costs more than is allowed (1 GiB)")]
    TooCostly,
    /// The passphrase is wrong, or the file was changed.
    #[error("the passphrase is wrong, or the file is damaged")]
    Wrong,
    /// There is no randomness, or no memory.
    #[error("encrypting failed: {0}")]
    Failed(&'static str),
}

/// The write key of one link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkKey {
    /// The drive's key, z-base-32.
    pub key: String,
    /// Seed of the key pair, z-base-32.
    pub seed: String,
    /// Fork of the drive at the export.
    pub fork: u64,
    /// Length of its db core.
    pub length: u64,
    /// Length of its blobs core.
    pub blobs_length: u64,
}

impl Drop for LinkKey {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What a key file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The store's primary key, z-base-32; in backups only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<PrimaryKey>,
    /// One link, or in a backup all that the store writes.
    pub links: Vec<LinkKey>,
}

/// A primary key: wiped when dropped, not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrimaryKey(pub String);

impl Drop for PrimaryKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for PrimaryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrimaryKey(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KdfCost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl KdfCost {
    fn allowed(self) -> bool {
        let work = |c: KdfCost| (u64::from(c.r) * u64::from(c.p)) << c.log_n.min(32);
        (10..=20).contains(&self.log_n)
            && (1..=8).contains(&self.r)
            && (1..=8).contains(&self.p)
            && work(self) <= 8 * work(COST)
    }

    fn derive(self, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, BackupError> {
        let params = scrypt::Params::new(self.log_n, self.r, self.p).map_err(|_| BackupError::TooCostly)?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.as_bytes(), salt, &params, &mut *key)
            .map_err(|_| BackupError::Failed("the key could not be derived"))?;
        Ok(key)
    }
}

struct Header {
    kind: &'static str,
    link: Option<String>,
    cost: KdfCost,
    salt: [u8; 32],
    nonce: [u8; 24],
}

impl Header {
    /// The header's one spelling, which is authenticated.
    fn text(&self) -> String {
        let link = self.link.as_ref().map(|l| format!("link: {l}\n")).unwrap_or_default();
        let KdfCost { log_n, r, p } = self.cost;
        let (salt, nonce) = (id::encode(&self.salt), id::encode_bytes(&self.nonce));
        format!(
            "{MAGIC}\nkind: {}\n{link}kdf: scrypt {log_n} {r} {p}\nsalt: {salt}\nnonce: {nonce}\n",
            self.kind
        )
    }
}

/// Encrypts keys.
pub fn seal(contents: &Contents, link: Option<&PearLink>, passphrase: &str) -> Result<String, BackupError> {
    seal_with(contents, link, &forms::composed(passphrase), COST)
}

fn seal_with(
    contents: &Contents,
    link: Option<&PearLink>,
    passphrase: &str,
    cost: KdfCost,
) -> Result<String, BackupError> {
    let mut header = Header {
        kind: if contents.primary.is_some() { "backup" } else { "link" },
        link: link.map(ToString::to_string),
        cost,
        salt: [0; 32],
        nonce: [0; 24],
    };
    let random = |b: &mut [u8]| getrandom::fill(b).map_err(|_| BackupError::Failed("no randomness"));
    random(&mut header.salt)?;
    random(&mut header.nonce)?;
    let key = cost.derive(passphrase, &header.salt)?;
    let plain =
        serde_json::to_vec(contents).map_err(|_| BackupError::Failed("the keys cannot be written"))?;
    let plain = Zeroizing::new(plain);
    let text = header.text();
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let data = cipher
        .encrypt(&XNonce::from(header.nonce), Payload { msg: &plain, aad: text.as_bytes() })
        .map_err(|_| BackupError::Failed("too much to encrypt"))?;
    Ok(format!("{text}data: {}\n", id::encode_bytes(&data)))
}

/// Whether the bytes are those of a key file, of this or a later format.
pub(crate) fn is_key_file(bytes: &[u8]) -> bool {
    bytes.starts_with(b"bosc-key-file ")
}

/// What a key file says of itself without its passphrase: the link it is for, `None` for a backup. Not proved until
/// [`open`] succeeds.
pub fn peek(text: &str) -> Result<Option<String>, BackupError> {
    parse(text).map(|(header, _)| header.link)
}

/// Decrypts a key file. The passphrase opens it in whatever Unicode form it was typed, then and now.
pub fn open(text: &str, passphrase: &str) -> Result<Contents, BackupError> {
    let (header, data) = parse(text)?;
    let mut wrong = BackupError::Wrong;
    for form in forms::all(passphrase) {
        match open_as(&header, &data, &form) {
            Err(e @ BackupError::Wrong) => wrong = e,
            other => return other,
        }
    }
    Err(wrong)
}

fn open_as(header: &Header, data: &[u8], passphrase: &str) -> Result<Contents, BackupError> {
    let key = header.cost.derive(passphrase, &header.salt)?;
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let aad = header.text();
    let plain = cipher
        .decrypt(&XNonce::from(header.nonce), Payload { msg: data, aad: aad.as_bytes() })
        .map_err(|_| BackupError::Wrong)?;
    let plain = Zeroizing::new(plain);
    let contents: Contents =
        serde_json::from_slice(&plain).map_err(|_| BackupError::Malformed("its contents cannot be read"))?;
    if contents.links.len() > MAX_LINKS || (contents.primary.is_none() && contents.links.len() != 1) {
        return Err(BackupError::Malformed("it has a wrong number of links"));
    }
    Ok(contents)
}

fn parse(text: &str) -> Result<(Header, Vec<u8>), BackupError> {
    use BackupError::Malformed;
    if text.len() > MAX_FILE {
        return Err(Malformed("it is too large"));
    }
    // An editor may have put a mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    match lines.next() {
        Some(MAGIC) => {}
        Some(line) if line.starts_with(MAGIC) && line.contains(" kdf: ") => {
            return Err(Malformed("its line breaks are lost; copy the file itself, not its text"));
        }
        Some(line) if line.starts_with("bosc-key-file ") => return Err(BackupError::Newer),
        _ => return Err(Malformed("its first line is another")),
    }
    let mut field = |name: &'static str| {
        let line = lines.next().ok_or(Malformed("it is cut off"))?;
        let (found, value) = line.split_once(": ").ok_or(Malformed("a line is not a field"))?;
        if found == name { Ok(value.to_owned()) } else { Err(Malformed("its lines are out of order")) }
    };
    let kind = match field("kind")?.as_str() {
        "link" => "link",
        "backup" => "backup",
        _ => return Err(Malformed("its kind is not known")),
    };
    let link = if kind == "link" { Some(field("link")?) } else { None };
    let kdf = field("kdf")?;
    let numbers = kdf.strip_prefix("scrypt ").ok_or(Malformed("its key derivation is not known"))?;
    let numbers: Vec<u32> = numbers.split(' ').filter_map(|n| n.parse().ok()).collect();
    let [log_n, r, p] = numbers.as_slice() else {
        return Err(Malformed("its key derivation is not known"));
    };
    let cost = KdfCost { log_n: u8::try_from(*log_n).unwrap_or(u8::MAX), r: *r, p: *p };
    if !cost.allowed() {
        return Err(BackupError::TooCostly);
    }
    let salt = id::decode(&field("salt")?).map_err(|_| Malformed("its salt is not valid"))?;
    let nonce = id::decode_bytes(&field("nonce")?).ok().and_then(|n| n.try_into().ok());
    let nonce = nonce.ok_or(Malformed("its nonce is not valid"))?;
    let data = id::decode_bytes(&field("data")?).map_err(|_| Malformed("its data is damaged"))?;
    // The keys of a second one would be left out without a word.
    if lines.next().is_some() {
        return Err(Malformed("something follows it: each file is imported by itself"));
    }
    Ok((Header { kind, link, cost, salt, nonce }, data))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CHEAP: KdfCost = KdfCost { log_n: 10, r: 1, p: 1 };

    fn contents() -> Contents {
        let link = LinkKey {
            key: id::encode(&[1; 32]),
            seed: id::encode(&[2; 32]),
            fork: 0,
            length: 9,
            blobs_length: 4,
        };
        Contents { primary: None, links: vec![link] }
    }

    #[test]
    fn a_passphrase_opens_in_whatever_form_it_is_typed() {
        let (composed, apart) = ("un caf\u{e9} noir", "un cafe\u{301} noir");
        let mut backup = contents();
        backup.primary = Some(PrimaryKey(id::encode(&[3; 32])));
        // The last is of a version that took what was typed.
        for (sealed, typed) in [(composed, apart), (composed, composed), (apart, composed), (apart, apart)] {
            let text = seal_with(&backup, None, sealed, CHEAP).unwrap();
            assert!(open(&text, typed).is_ok(), "{sealed:?}, {typed:?}");
            assert_eq!(open(&text, "un cafe noir").unwrap_err(), BackupError::Wrong);
        }
        let text = seal(&backup, None, apart).unwrap();
        let (header, data) = parse(&text).unwrap();
        assert!(open_as(&header, &data, composed).is_ok());
    }

    fn sealed() -> String {
        let link = PearLink::new([1; 32]);
        seal_with(&contents(), Some(&link), "correct horse", CHEAP).unwrap()
    }

    #[test]
    fn keys_come_back_under_their_passphrase_only() {
        let text = sealed();
        assert_eq!(open(&text, "correct horse").unwrap(), contents());
        assert_eq!(open(&text, "correct horse ").unwrap_err(), BackupError::Wrong);
        assert_eq!(open(&text.replace('\n', "\r\n"), "correct horse").unwrap(), contents(), "a copy by mail");
        assert!(!text.contains(&id::encode(&[2; 32])), "the seed is not in clear");
        let lost = open(&text.replace('\n', " "), "correct horse").unwrap_err();
        assert!(lost.to_string().contains("line breaks are lost"), "{lost}");
        let newer = text.replacen("bosc-key-file 1", "bosc-key-file 2", 1);
        assert_eq!(open(&newer, "correct horse").unwrap_err(), BackupError::Newer);
        assert_ne!(text, sealed(), "salt and nonce are new each time");
        let mut backup = contents();
        backup.primary = Some(PrimaryKey(id::encode(&[3; 32])));
        let text = seal_with(&backup, None, "p", CHEAP).unwrap();
        assert!(text.contains("kind: backup\nkdf"));
        assert_eq!(open(&text, "p").unwrap(), backup);
        assert_eq!(peek(&text).unwrap(), None);
    }

    #[test]
    fn two_files_in_one_are_none() {
        let text = sealed();
        for both in [format!("{text}{}", sealed()), format!("{text}more\n")] {
            let e = open(&both, "correct horse").unwrap_err();
            assert!(matches!(e, BackupError::Malformed(why) if why.contains("by itself")), "{e:?}");
        }
        assert_eq!(open(&format!("\u{feff}{text}\n \n"), "correct horse").unwrap(), contents());
    }

    #[test]
    fn changed_files_are_refused() {
        let text = sealed();
        for (from, to) in
            [("kind: link", "kind: bacup"), ("scrypt 10", "scrypt 11"), ("link: pear://y", "link: pear://b")]
        {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(open(&changed, "correct horse").is_err(), "{to}");
        }
        for end in 0..text.trim_end().len() {
            assert!(open(text.get(..end).unwrap(), "correct horse").is_err(), "cut at {end}");
        }
        for cost in ["scrypt 30 8 1", "scrypt 20 9 1", "scrypt 20 8 8", "scrypt 4 1 1", "scrypt 300 8 1"] {
            assert_eq!(
                open(&text.replace("scrypt 10 1 1", cost), "x").unwrap_err(),
                BackupError::TooCostly,
                "{cost}"
            );
        }
        assert_eq!(open(&text.replace("file 1", "file 2"), "x").unwrap_err(), BackupError::Newer);
        assert!(open("", "x").is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut all = contents();
        all.primary = Some(PrimaryKey(id::encode(&[3; 32])));
        let shown = format!("{all:?}");
        assert!(!shown.contains(&id::encode(&[2; 32])) && !shown.contains(&id::encode(&[3; 32])));
    }
}
