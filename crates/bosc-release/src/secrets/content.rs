//! What the first bytes of a file tell.

use super::bare::bare_key;
use super::binary_keys;
use super::in_use::KeysInUse;
use super::kinds::{ContentVerdict, HEAD, Secret, Suspect};
use super::programs;
use super::search::find;
use super::text_keys;
use super::words::{self, Held};
use crate::keys::signing_key::{V0_BYTES, V1_BYTES};
use crate::keys::{backup, transfer};
use crate::manifest::keypair;
use crate::owner::owner_file;
use bosc_files::open_plain;
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// What redb's files start with.
const REDB: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// Names of our tables. They stand together in a page of every database of ours.
const TABLES: [&[u8]; 5] = [b"segments", b"cores", b"names", b"pages", b"meta"];
/// redb's page.
const PAGE: usize = 4096;
/// Largest file that is one of our small files, in bytes.
const SMALL: u64 = 64 * 1024;
/// Largest file with a signing key.
const KEY_MAX: u64 = 4096;
/// How the first block of a drive starts.
const HYPERBEE: &[u8] = b"\x0a\x08hyperbee";
/// What PEM calls a private key.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// What a file is. `head`: its first [`HEAD`] bytes, or all of a shorter one; `size`: how many it has in all. Only a
/// database of redb's format is read further, from `path`; the rest of other files goes through a
/// [`Search`](super::Search).
///
/// # Errors
/// Such a database could not be read.
pub(crate) fn look(path: &Path, head: &[u8], size: u64, keys: &KeysInUse) -> io::Result<ContentVerdict> {
    if head.starts_with(REDB) {
        let ours = is_our_database(&mut open_plain(path)?)?;
        return Ok(if ours { ContentVerdict::Secret(Secret::Database) } else { ContentVerdict::Plain });
    }
    let in_use = keys.in_bytes(head);
    // The bytes of a signing key may happen to be UTF-16 as well.
    if let Some(secret) = secret(path, head, size) {
        return Ok(ContentVerdict::Secret(secret));
    }
    // A mark, or every other byte zero: the same text, twice as long.
    let wide = if size <= 2 * SMALL && size <= head.len() as u64 { words::from_utf16(head) } else { None };
    let (head, size) = wide.as_ref().map_or((head, size), |text| (text.as_slice(), text.len() as u64));
    if let Some(secret) = secret(path, head, size).or((in_use || keys.in_text(head)).then_some(Secret::InUse))
    {
        return Ok(ContentVerdict::Secret(secret));
    }
    let whole = size <= SMALL && size <= head.len() as u64;
    let mut pairs = usize::MAX;
    let held = if whole { words::held(head, &mut pairs) } else { None };
    if let Some(Held::Secret(secret)) = held {
        return Ok(ContentVerdict::Secret(secret));
    }
    if whole && sets_our_key(head) {
        return Ok(ContentVerdict::Suspect(Suspect::KeyInText));
    }
    let known = suspect(path, head, size).or(match held {
        Some(Held::Suspect(suspect)) => Some(suspect),
        _ if whole && !head.contains(&0) => words::token(head),
        _ => None,
    });
    Ok(known.map_or(ContentVerdict::Plain, ContentVerdict::Suspect))
}

fn secret(path: &Path, head: &[u8], size: u64) -> Option<Secret> {
    if size > backup::MAX_FILE as u64 {
        return None;
    }
    // An editor may have put a mark or white space in front.
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if backup::is_key_file(text) {
        return Some(Secret::KeyFile);
    }
    if size > SMALL || size > head.len() as u64 {
        return None;
    }
    if is_format(text) {
        return Some(Secret::StoreFile);
    }
    if text.starts_with(b"{")
        && (find(text, b"\"token\"").is_some() || find(text, b"\"secret_key\"").is_some())
    {
        if owner_file::is_owner_file(text) {
            return Some(Secret::Owner);
        }
        if keypair::is_key_pair(text) {
            return Some(Secret::UpdaterKey);
        }
    }
    if is_secret_key(text.trim_ascii_end()) || (size == 64 && is_pair(head)) {
        return Some(Secret::BareKey);
    }
    if size > KEY_MAX {
        return None;
    }
    if is_device_file(text) {
        return Some(Secret::Corestore);
    }
    if may_be_signing_key(head) && transfer::from_bytes(head).is_ok() {
        return Some(Secret::SigningKey);
    }
    let is_old_corestore = || {
        path.file_name().is_some_and(|n| n == "primary-key")
            && path.parent().is_some_and(|folder| folder.join("cores").is_dir())
    };
    (size == 32 && is_old_corestore()).then_some(Secret::Corestore)
}

/// What npm `device-file` writes: lines `key=value`, among them the platform and the inode. (Its source has those words too.)
fn is_device_file(text: &[u8]) -> bool {
    let mut found = [false; 2];
    for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()) {
        let key = line.split(|b| *b == b'=').next().unwrap_or_default();
        if key.len() == line.len() || !key.iter().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(b)) {
            return false;
        }
        found[0] |= key == b"device/platform";
        found[1] |= key == b"device/inode";
    }
    found == [true; 2]
}

/// Whether it is worth to read it as one: it has the length of one, or is one word.
fn may_be_signing_key(head: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace();
    matches!(head.len(), V0_BYTES | V1_BYTES) || (head.len() > V0_BYTES && head.iter().all(word))
}

/// The text of a store's `FORMAT`.
pub(super) fn is_format(text: &[u8]) -> bool {
    let version = text.strip_prefix(b"bosc-store ").map(|rest| rest.trim_ascii_end());
    version.is_some_and(|v| (1..20).contains(&v.len()) && v.iter().all(u8::is_ascii_digit))
}

/// Whether a page of a redb file names our tables.
fn is_our_database(file: &mut impl Read) -> io::Result<bool> {
    let mut pages = vec![0; 256 * PAGE];
    loop {
        let mut have = 0;
        while let Some(room) = pages.get_mut(have..).filter(|r| !r.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let read = pages.get(..have).unwrap_or_default();
        if read.chunks(PAGE).any(|page| TABLES.iter().all(|name| find(page, name).is_some())) {
            return Ok(true);
        }
        if have < pages.len() {
            return Ok(false);
        }
    }
}

/// A text has no zero byte near its start.
pub(super) fn is_text(head: &[u8]) -> bool {
    !head.get(..head.len().min(1024)).unwrap_or_default().contains(&0)
}

fn suspect(path: &Path, head: &[u8], size: u64) -> Option<Suspect> {
    if let Some(key) = binary_keys::look(head, size) {
        return Some(key);
    }
    if !is_text(head) {
        // Every drive in a store starts with it.
        return find(head, HYPERBEE).map(|_| Suspect::Segment);
    }
    let head = head.get(..head.len().min(HEAD))?;
    if holds_private_key(head) || text_keys::is_one(head) {
        return Some(Suspect::PrivateKey);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let tokens: &[&str] = match name {
        ".npmrc" => &["_authToken", "_auth", "_password"],
        ".yarnrc.yml" | ".yarnrc" => &["npmAuthToken", "npmAuthIdent", "_authToken"],
        ".pypirc" => &["password"],
        _ => &[],
    };
    if tokens.is_empty() {
        if size > head.len() as u64 {
            return None;
        }
        let bare =
            size <= 256 && !tells_a_hash(name) && bare_key(head.trim_ascii()).is_some_and(|k| k.len() == 32);
        return if bare { Some(Suspect::BareKey) } else { programs::looks(name, head) };
    }
    let text = String::from_utf8_lossy(head);
    let told = text.lines().any(|line| {
        let line = line.trim();
        let Some((key, value)) = line.split_once(['=', ' ']).filter(|_| !line.starts_with(['#', ';'])) else {
            return false;
        };
        let (key, value) = (key.trim_end_matches(':').trim(), value.trim().trim_matches(['"', '\'']));
        // `${NPM_TOKEN}` names a variable.
        !value.is_empty() && !value.starts_with('$') && tokens.iter().any(|t| key.ends_with(t))
    });
    told.then_some(Suspect::RegistryToken).or_else(|| programs::looks(name, head))
}

/// A seed with its public key, as Ed25519 secret keys are stored.
fn is_secret_key(word: &[u8]) -> bool {
    // 64 bytes are 103 characters of z-base-32.
    let z32 =
        || std::str::from_utf8(word).ok().filter(|t| t.len() == 103).and_then(|t| id::decode_bytes(t).ok());
    bare_key(word).or_else(|| z32().map(Zeroizing::new)).is_some_and(|key| is_pair(&key))
}

/// The same as bytes.
fn is_pair(key: &[u8]) -> bool {
    key.split_first_chunk::<32>().is_some_and(|(seed, public)| *public == KeyPair::from_seed(seed).public())
}

/// A line that sets one of our keys to a value that is written out. One of equal bytes is an example.
pub(super) fn sets_our_key(text: &[u8]) -> bool {
    [&b"BOSC_PRIMARY_KEY"[..], b"BOSC_UPDATER_SECRET_KEY", b"secret-key-b64"].iter().any(|name| {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| find(rest, name)) {
            from += at + name.len();
            let rest = text.get(from..).unwrap_or_default();
            let start = rest.iter().take_while(|b| b"=:\"' ".contains(b)).count();
            let rest = rest.get(start..).unwrap_or_default();
            let end = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(b)).count();
            let key = bare_key(rest.get(..end).unwrap_or_default());
            if start > 0 && key.is_some_and(|k| k.iter().any(|b| Some(b) != k.first())) {
                return true;
            }
        }
        false
    })
}

/// Names of files that hold a checksum, a public key or a revision.
fn tells_a_hash(name: &str) -> bool {
    const WORDS: [&str; 11] =
        ["sha", "hash", "sum", "digest", "md5", "crc", "etag", "integrity", "pub", "version", "rev"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|w| name.contains(w)) || name.contains("commit") || name.contains("build")
}

/// Whether a text holds a private key in PEM: its first line, and behind it key material or a header. In JSON and in code
/// the end of a line may be written `\n`.
pub(super) fn holds_private_key(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| find(rest, b"-----BEGIN ")) {
        let start = from + at + b"-----BEGIN ".len();
        from = start;
        let Some(label) = text.get(start..(start + 48).min(text.len())) else { return false };
        let Some(end) = find(label, b"-----") else { continue };
        let label = label.get(..end).unwrap_or_default();
        if !(label.ends_with(PRIVATE_KEY) || label.ends_with(b"PRIVATE KEY BLOCK")) {
            continue;
        }
        let mut rest = text.get(start + end + 5..).unwrap_or_default();
        let mut ends = 0;
        loop {
            let next =
                [&b"\n"[..], b"\r", b"\\n", b"\\r", b" ", b"\t"].iter().find_map(|e| rest.strip_prefix(*e));
            match next {
                Some(next) => {
                    rest = next;
                    ends += 1;
                }
                None => break,
            }
        }
        let material =
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')).count();
        let header =
            [&b"Proc-Type:"[..], b"Version:", b"Comment:", b"DEK-Info:"].iter().any(|h| rest.starts_with(h));
        if ends > 0 && (material >= 16 || header) {
            return true;
        }
    }
    false
}
