//! Statements of several operators in one small file: beside the head of a mirror, and beside a manifest of HTTPS.
//!
//! # Bytes
//!
//! ```text
//! bytes     meaning
//! 8         "boscsays"
//! 1         version of the format: 1
//! uint      statements, at most 32, ascending by their bytes
//!           of each:
//! buffer    a signed statement, at most 960 bytes
//! 32        BLAKE2b-256 of everything before: a file that was cut off is told apart from one that lies
//! ```
//!
//! # Invariants
//!
//! 1. The file proves nothing: each statement has its own signature, and one that cannot be read takes none of the others with it.
//! 2. Of an operator only the highest counter stands in it, twice if the operator said two things under it.
//! 3. Taking statements in never lowers a counter: whoever writes the file anew starts from the one that is there.

use crate::policy::MAX_OPERATORS;
use crate::statement::{MAX_SIGNED, Signed};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::hash;
use std::collections::BTreeMap;
use thiserror::Error;

/// The file's name beside the head of a mirror.
pub const STATEMENTS_FILE: &str = "bosc-statements";
/// Most statements in a file: of each operator one, or two that contradict each other.
pub const MAX_STATEMENTS: usize = 2 * MAX_OPERATORS;
/// Most bytes of a file.
pub const MAX_STATEMENTS_FILE: usize = 32 << 10;

const MAGIC: &[u8; 8] = b"boscsays";
const FORMAT: u8 = 1;

/// The newest statements of several operators about one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements(BTreeMap<[u8; 32], Vec<Signed>>);

/// Why bytes are not a file of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StatementsError {
    /// They are something else.
    #[error("not a file of statements")]
    Other,
    /// They are of a later version of the format.
    #[error("a file of statements of format {0}, which this version of Bosc does not know")]
    Newer(u8),
    /// They were cut off or changed on their way.
    #[error("a file of statements that was cut off or changed on its way")]
    Damaged,
    /// They are not of the format.
    #[error("not a file of statements: {0}")]
    Malformed(#[from] DecodeError),
}

impl Statements {
    /// Reads a file. Statements in it that are of a later version, or that nobody signed, are left out.
    ///
    /// # Errors
    /// The bytes are not such a file.
    pub fn read(bytes: &[u8]) -> Result<Self, StatementsError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StatementsError::Other)?;
        match rest.first() {
            Some(&FORMAT) => {}
            Some(&newer) if newer > FORMAT => return Err(StatementsError::Newer(newer)),
            _ => return Err(StatementsError::Damaged),
        }
        let (body, sum) = bytes.split_last_chunk::<32>().ok_or(StatementsError::Damaged)?;
        if bytes.len() > MAX_STATEMENTS_FILE || hash(&[body]) != *sum {
            return Err(StatementsError::Damaged);
        }
        let mut from = Decoder::new(body.get(MAGIC.len() + 1..).unwrap_or_default());
        let mut all = Self::default();
        let mut before: &[u8] = &[];
        for _ in 0..from.uint_max(MAX_STATEMENTS, "statements")? {
            let one = from.buffer()?;
            if one.len() > MAX_SIGNED || one <= before {
                return Err(DecodeError::Invalid("statement").into());
            }
            before = one;
            if let Ok(signed) = Signed::read(one) {
                all.take(signed);
            }
        }
        from.finish()?;
        Ok(all)
    }

    /// Takes a statement in. Whether it says something that was not there: a higher counter, or something else under the same one. More
    /// than 16 operators are not taken.
    pub fn take(&mut self, signed: Signed) -> bool {
        let counter = |s: &Signed| s.statement().counter;
        let full = self.0.len() >= MAX_OPERATORS;
        let Some(of) = self.0.get_mut(signed.operator()) else {
            if !full {
                self.0.insert(*signed.operator(), vec![signed]);
            }
            return !full;
        };
        let highest = of.first().map_or(0, counter);
        if counter(&signed) > highest {
            *of = vec![signed];
            return true;
        }
        let another = counter(&signed) == highest && of.len() < 2 && !of.contains(&signed);
        if another {
            of.push(signed);
            of.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        }
        another
    }

    /// Leaves those out that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&Signed) -> bool) {
        self.0.retain(|_, of| {
            of.retain(|signed| keep(signed));
            !of.is_empty()
        });
    }

    /// All of them, ascending by the operator's key.
    pub fn iter(&self) -> impl Iterator<Item = &Signed> {
        self.0.values().flatten()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.raw(MAGIC).u8(FORMAT).uint(self.iter().count() as u64);
        for signed in self.iter() {
            out.buffer(signed.as_bytes());
        }
        let mut out = out.finish();
        let sum = hash(&[&out]);
        out.extend_from_slice(&sum);
        out
    }
}

impl FromIterator<Signed> for Statements {
    fn from_iter<I: IntoIterator<Item = Signed>>(all: I) -> Self {
        let mut out = Self::default();
        for signed in all {
            out.take(signed);
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::share::Share;
    use crate::statement::{About, MAX_VERSION, MAX_VERSIONS, Statement};
    use bosc_format::crypto::KeyPair;
    use proptest::prelude::*;
    use semver::Version;

    fn said(n: u8, counter: u64, time: u64) -> Signed {
        let statement = Statement { link: [7; 32], counter, time, newest: None, versions: Vec::new() };
        Signed::new(&statement, &KeyPair::from_seed(&[n; 32])).unwrap()
    }

    #[test]
    fn the_highest_counter_stays_and_a_contradiction_stands_there_whole() {
        let mut all = Statements::default();
        assert!(all.take(said(1, 5, 0)));
        assert!(!all.take(said(1, 5, 0)));
        assert!(!all.take(said(1, 4, 9)));
        assert!(all.take(said(2, 1, 0)));
        assert!(all.take(said(1, 5, 1)));
        assert!(!all.take(said(1, 5, 2)), "two prove it");
        assert_eq!(all.iter().count(), 3);
        assert_eq!(Statements::read(&all.to_bytes()), Ok(all.clone()));
        assert!(all.take(said(1, 6, 0)));
        assert_eq!(all.iter().count(), 2);
    }

    #[test]
    fn the_file_of_the_documentation() {
        let page = include_str!("../../../docs/formats.md");
        let vector = page
            .split("<!-- vector: statements -->")
            .nth(1)
            .and_then(|rest| rest.split("<!-- end -->").next())
            .unwrap();
        let hex: String = vector.split_whitespace().collect();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let statement = Statement { link: [9; 32], counter: 1, time: 2, newest: None, versions: Vec::new() };
        let all: Statements =
            [Signed::new(&statement, &KeyPair::from_seed(&[3; 32])).unwrap()].into_iter().collect();
        assert_eq!(all.to_bytes(), bytes);
        assert_eq!(Statements::read(&bytes), Ok(all));
    }

    #[test]
    fn what_is_not_such_a_file_is_told_apart() {
        let bytes: Vec<u8> = [said(1, 1, 1), said(2, 2, 2)].into_iter().collect::<Statements>().to_bytes();
        assert_eq!(Statements::read(b"<!doctype html>"), Err(StatementsError::Other));
        assert_eq!(Statements::read(b""), Err(StatementsError::Other));
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(Statements::read(&newer), Err(StatementsError::Newer(2)));
        for end in 9..bytes.len() {
            assert_eq!(Statements::read(&bytes[..end]), Err(StatementsError::Damaged), "{end}");
        }
        for at in 9..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(Statements::read(&wrong).is_err(), "{at}");
        }
        assert!(Statements::read(&[&bytes[..], &[0; 40_000]].concat()).is_err());
    }

    /// With a sum that is right.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &hash(&[body])].concat()
    }

    #[test]
    fn one_that_cannot_be_read_takes_no_other_with_it() {
        let (first, good) = (said(1, 1, 1), said(2, 2, 2));
        let mut forged = first.as_bytes().to_vec();
        forged[40] ^= 1;
        let mut both = [forged, good.as_bytes().to_vec()];
        both.sort();
        let mut out = Encoder::new();
        out.raw(MAGIC).u8(FORMAT).uint(2).buffer(&both[0]).buffer(&both[1]);
        let read = Statements::read(&sealed(&out.finish())).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [&good]);
        let mut turned = Encoder::new();
        turned.raw(MAGIC).u8(FORMAT).uint(2).buffer(&both[1]).buffer(&both[0]);
        assert!(matches!(Statements::read(&sealed(&turned.finish())), Err(StatementsError::Malformed(_))));
        let mut many = Encoder::new();
        many.raw(MAGIC).u8(FORMAT).uint(33);
        assert!(matches!(Statements::read(&sealed(&many.finish())), Err(StatementsError::Malformed(_))));
    }

    #[test]
    fn the_largest_file_fits() {
        let long =
            |i: usize| -> Version { format!("1.0.0-{i}{}", "x".repeat(MAX_VERSION - 7)).parse().unwrap() };
        let versions: Vec<About> = (0..MAX_VERSIONS)
            .map(|i| About { version: long(i), share: Some(Share::ALL), halt: None })
            .collect();
        let of = |n: u8, time: u64| {
            let statement = Statement {
                link: [7; 32],
                counter: u64::MAX,
                time,
                newest: None,
                versions: versions.clone(),
            };
            Signed::new(&statement, &KeyPair::from_seed(&[n; 32])).unwrap()
        };
        let all: Statements = (0..20).flat_map(|n| [of(n, u64::MAX), of(n, u64::MAX - 1)]).collect();
        assert_eq!(all.iter().count(), MAX_STATEMENTS);
        let bytes = all.to_bytes();
        assert!(bytes.len() <= MAX_STATEMENTS_FILE, "{}", bytes.len());
        assert_eq!(Statements::read(&bytes), Ok(all));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Statements::read(&bytes);
            let _ = Statements::read(&sealed(&[&MAGIC[..], &[FORMAT], &bytes].concat()));
        }
    }
}
