//! An operator's word: a statement, its bytes, its signature.
//!
//! # Bytes
//!
//! Numbers are compact-encoding's `uint`. Each statement has one spelling: another is refused.
//!
//! ```text
//! signed      bytes      meaning
//!             32         the operator's public key, Ed25519
//!             64         signature over NAMESPACE || statement
//!             rest       statement
//!
//! statement   1          1, the version of this format
//!             32         the link's key
//!             uint       counter: of an operator the highest counts
//!             uint       time, seconds since 1970
//!             1          1: the newest length follows; 0: nothing is said about it
//!             uint       fork        (if 1)
//!             uint       length
//!             32         tree hash
//!             uint       versions, at most 8, ascending
//!                        of each:
//!             buffer     the version as text, at most 64 bytes, without what follows a `+`
//!             uint       share in hundredths of a percent + 1; 0: nothing is said about it
//!             1          0: nothing is said; 1: not halted (any more); 2: halted; 3: halted and recalled
//! ```
//!
//! NAMESPACE is BLAKE2b-256 of `bosc operator statement`. Signed, a statement has at most [`MAX_SIGNED`] bytes: it fits into a mutable
//! record of HyperDHT.

use crate::share::Share;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{KeyPair, hash, verify};
use semver::{BuildMetadata, Version};
use thiserror::Error;

/// Most bytes of a signed statement.
pub const MAX_SIGNED: usize = 960;
/// Most versions that one statement is about.
pub const MAX_VERSIONS: usize = 8;
/// Most bytes of a version in a statement.
pub const MAX_VERSION: usize = 64;

const FORMAT: u8 = 1;
/// Key and signature.
const HEAD: usize = 32 + 64;

/// What an operator says about a link. It replaces all that the same operator said before with lower counters, but for versions
/// that it does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The link's key.
    pub link: [u8; 32],
    /// Of an operator the statement with the highest counts.
    pub counter: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// Which length is the newest, at that time.
    pub newest: Option<Newest>,
    /// At most [`MAX_VERSIONS`]; in bytes they are ascending, without what follows a `+`, each once.
    pub versions: Vec<About>,
}

/// A length of a drive's database, as a quorum signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its fork.
    pub fork: u64,
    /// Blocks.
    pub length: u64,
    /// The hash of the tree over them.
    pub tree_hash: [u8; 32],
}

/// What is said about one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The version.
    pub version: Version,
    /// How far it goes.
    pub share: Option<Share>,
    /// Whether it is halted.
    pub halt: Option<Halt>,
}

/// Whether a version is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// It is not, or not any more.
    Lifted,
    /// It goes to nobody more; who has it on trial takes it back.
    Halted,
    /// Who runs it goes back as well.
    Recalled,
}

/// Why bytes are no statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StatementError {
    /// They are not of the format.
    #[error("not a statement of an operator: {0}")]
    Malformed(#[from] DecodeError),
    /// They are of a later version of the format.
    #[error("a statement of format {0}, which this version of Bosc does not know")]
    Newer(u8),
    /// The signature is not the key's.
    #[error("the signature of a statement is wrong")]
    Signature,
    /// It says too much, or a version is too long.
    #[error("a statement is about at most 8 versions of at most 64 characters")]
    TooLong,
}

/// A statement with the key that signed it, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    operator: [u8; 32],
    statement: Statement,
    bytes: Vec<u8>,
}

impl Signed {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`StatementError::TooLong`].
    pub fn new(statement: &Statement, key: &KeyPair) -> Result<Self, StatementError> {
        let body = statement.encode()?;
        let mut bytes = Encoder::with_capacity(HEAD + body.len());
        bytes.raw(&key.public()).raw(&key.sign(&message(&body))).raw(&body);
        // As everybody will read it: in its order, without build metadata.
        Self::read(bytes.as_slice())
    }

    /// Reads and verifies a signed statement.
    ///
    /// # Errors
    /// They are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > MAX_SIGNED {
            return Err(StatementError::TooLong);
        }
        let mut from = Decoder::new(bytes);
        let operator = from.fixed32()?;
        let signature = from.fixed::<64>()?;
        let body = from.rest();
        // Before the signature: only a format that is known says what is signed.
        let statement = Statement::decode(body)?;
        if !verify(&message(body), &signature, &operator) {
            return Err(StatementError::Signature);
        }
        Ok(Self { operator, statement, bytes: bytes.to_vec() })
    }

    /// One that nobody signed, with its versions as everybody would read them; it has no bytes.
    pub(crate) fn supposed(operator: [u8; 32], statement: &Statement) -> Self {
        let versions = statement
            .versions
            .iter()
            .map(|about| About { version: plain(&about.version), ..about.clone() })
            .collect();
        Self { operator, statement: Statement { versions, ..statement.clone() }, bytes: Vec::new() }
    }

    /// Who signed it.
    pub fn operator(&self) -> &[u8; 32] {
        &self.operator
    }

    /// What it says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn message(body: &[u8]) -> Vec<u8> {
    [&hash(&[b"bosc operator statement"])[..], body].concat()
}

/// A version as statements name it: without what follows a `+`.
pub fn plain(version: &Version) -> Version {
    Version { build: BuildMetadata::EMPTY, ..version.clone() }
}

/// What is said about a version, in a statement and in what is remembered of one.
pub(crate) fn put_said(out: &mut Encoder, share: Option<Share>, halt: Option<Halt>) {
    out.uint(share.map_or(0, |s| u64::from(s.hundredths()) + 1));
    out.u8(match halt {
        None => 0,
        Some(Halt::Lifted) => 1,
        Some(Halt::Halted) => 2,
        Some(Halt::Recalled) => 3,
    });
}

/// The same read.
pub(crate) fn take_said(from: &mut Decoder<'_>) -> Result<(Option<Share>, Option<Halt>), DecodeError> {
    let share = match from.uint()? {
        0 => None,
        n => Some(Share::from_hundredths(n - 1).map_err(|_| DecodeError::Invalid("share"))?),
    };
    let halt = match from.u8()? {
        0 => None,
        1 => Some(Halt::Lifted),
        2 => Some(Halt::Halted),
        3 => Some(Halt::Recalled),
        _ => return Err(DecodeError::Invalid("halt")),
    };
    Ok((share, halt))
}

impl Statement {
    fn encode(&self) -> Result<Vec<u8>, StatementError> {
        let mut versions: Vec<About> = self
            .versions
            .iter()
            .map(|about| About { version: plain(&about.version), ..about.clone() })
            .collect();
        versions.sort_by(|a, b| a.version.cmp(&b.version));
        if versions.len() > MAX_VERSIONS
            || versions.windows(2).any(|w| matches!(w, [a, b] if a.version == b.version))
        {
            return Err(StatementError::TooLong);
        }
        let mut out = Encoder::new();
        out.u8(FORMAT).raw(&self.link).uint(self.counter).uint(self.time);
        match &self.newest {
            None => out.u8(0),
            Some(n) => out.u8(1).uint(n.fork).uint(n.length).raw(&n.tree_hash),
        };
        out.uint(versions.len() as u64);
        for about in &versions {
            let version = about.version.to_string();
            if version.len() > MAX_VERSION {
                return Err(StatementError::TooLong);
            }
            out.string(&version);
            put_said(&mut out, about.share, about.halt);
        }
        Ok(out.finish())
    }

    fn decode(body: &[u8]) -> Result<Self, StatementError> {
        let invalid = |what| StatementError::Malformed(DecodeError::Invalid(what));
        let mut from = Decoder::new(body);
        match from.u8()? {
            FORMAT => {}
            newer if newer > FORMAT => return Err(StatementError::Newer(newer)),
            _ => return Err(invalid("format of a statement")),
        }
        let (link, counter, time) = (from.fixed32()?, from.uint()?, from.uint()?);
        let newest = match from.u8()? {
            0 => None,
            1 => Some(Newest { fork: from.uint()?, length: from.uint()?, tree_hash: from.fixed32()? }),
            _ => return Err(invalid("newest length")),
        };
        let count = from.uint_max(MAX_VERSIONS, "versions of a statement")?;
        let mut versions = Vec::with_capacity(count);
        for _ in 0..count {
            let text = from.string()?;
            let version = Version::parse(text).map_err(|_| invalid("version"))?;
            let (share, halt) = take_said(&mut from)?;
            versions.push(About { version, share, halt });
        }
        from.finish()?;
        let statement = Self { link, counter, time, newest, versions };
        // One spelling: order, build metadata, numbers that are longer than they need to be.
        match statement.encode() {
            Ok(again) if again == body => Ok(statement),
            Ok(_) => Err(invalid("spelling of a statement")),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> KeyPair {
        KeyPair::from_seed(&[3; 32])
    }

    fn statement() -> Statement {
        Statement {
            link: [9; 32],
            counter: 300,
            time: 1_796_028_000,
            newest: Some(Newest { fork: 0, length: 1_234, tree_hash: [5; 32] }),
            versions: vec![
                About {
                    version: Version::new(1, 3, 0),
                    share: Share::from_hundredths(1_000).ok(),
                    halt: None,
                },
                About { version: "1.2.0+linux".parse().unwrap(), share: None, halt: Some(Halt::Recalled) },
            ],
        }
    }

    #[test]
    fn what_is_signed_is_read_again_in_one_spelling() {
        let signed = Signed::new(&statement(), &key()).unwrap();
        assert_eq!(Signed::read(signed.as_bytes()).unwrap(), signed);
        assert_eq!(signed.operator(), &key().public());
        let versions: Vec<_> = signed.statement().versions.iter().map(|a| a.version.to_string()).collect();
        assert_eq!(versions, ["1.2.0", "1.3.0"]);
        let mut turned = statement();
        turned.versions.reverse();
        assert_eq!(Signed::new(&turned, &key()).unwrap(), signed);
        // Every other byte is refused.
        for at in 0..signed.as_bytes().len() {
            let mut bytes = signed.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(Signed::read(&bytes).is_err(), "byte {at}");
            assert!(Signed::read(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(Signed::read(&[signed.as_bytes(), &[0]].concat()).is_err());
    }

    #[test]
    fn the_bytes_are_as_drawn() {
        let body = statement().encode().unwrap();
        let mut expected = vec![1];
        expected.extend([9; 32]);
        expected.extend([0xfd, 0x2c, 0x01]);
        expected.push(0xfe);
        expected.extend(1_796_028_000u32.to_le_bytes());
        expected.extend([1, 0, 0xfd, 0xd2, 0x04]);
        expected.extend([5; 32]);
        expected.extend([2, 5]);
        expected.extend(b"1.2.0");
        expected.extend([0, 3, 5]);
        expected.extend(b"1.3.0");
        expected.extend([0xfd, 0xe9, 0x03, 0]);
        assert_eq!(body, expected);
    }

    #[test]
    fn other_spellings_are_refused() {
        let body = statement().encode().unwrap();
        let signed = |body: &[u8]| {
            let signature = key().sign(&message(body));
            Signed::read(&[&key().public()[..], &signature, body].concat())
        };
        assert!(signed(&body).is_ok());
        // The counter in five bytes instead of three.
        let mut long = body[..33].to_vec();
        long.extend([0xfe, 0x2c, 0x01, 0, 0]);
        long.extend(&body[36..]);
        assert!(matches!(signed(&long), Err(StatementError::Malformed(_))));
        // Versions that do not ascend.
        let end = body.len();
        let turned =
            [&body[..end - 18], &[5], &b"1.3.0"[..], &[0xfd, 0xe9, 0x03, 0, 5], b"1.2.0", &[0, 3]].concat();
        assert_eq!(turned.len(), body.len());
        assert!(matches!(signed(&turned), Err(StatementError::Malformed(_))));
        let newer = [&[2], &body[1..]].concat();
        assert_eq!(signed(&newer), Err(StatementError::Newer(2)));
    }

    #[test]
    fn the_longest_one_fits() {
        let long = |i: usize| format!("1.0.0-{i}{}", "x".repeat(MAX_VERSION - 7)).parse().unwrap();
        let mut all = statement();
        (all.counter, all.time) = (u64::MAX, u64::MAX);
        all.newest = Some(Newest { fork: u64::MAX, length: u64::MAX, tree_hash: [1; 32] });
        all.versions = (0..MAX_VERSIONS)
            .map(|i| About { version: long(i), share: Some(Share::ALL), halt: Some(Halt::Lifted) })
            .collect();
        let signed = Signed::new(&all, &key()).unwrap();
        assert!(signed.as_bytes().len() <= MAX_SIGNED, "{}", signed.as_bytes().len());
        all.versions.push(About { version: Version::new(9, 0, 0), share: None, halt: None });
        assert_eq!(Signed::new(&all, &key()), Err(StatementError::TooLong));
        all.versions = vec![About {
            version: format!("1.0.0-{}", "x".repeat(60)).parse().unwrap(),
            share: None,
            halt: None,
        }];
        assert_eq!(Signed::new(&all, &key()), Err(StatementError::TooLong));
        let one = About { version: Version::new(1, 0, 0), share: None, halt: None };
        all.versions = vec![one.clone(), one];
        assert_eq!(Signed::new(&all, &key()), Err(StatementError::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..1_000)) {
            let _ = Signed::read(&bytes);
            let _ = Statement::decode(&bytes);
        }

        #[test]
        fn what_is_read_is_written_alike(mut body in proptest::collection::vec(0u8..8, 34..120)) {
            body[0] = FORMAT;
            if let Ok(statement) = Statement::decode(&body) {
                prop_assert_eq!(statement.encode().unwrap(), body);
            }
        }
    }
}
