//! What a client remembers of statements.
//!
//! Of each operator: the statement with the highest counter, and of each version what was said about it last. What is remembered never
//! goes back: an older statement that comes again changes nothing.

use crate::policy::{MAX_OPERATORS, Policy, Right};
use crate::share::Share;
use crate::statement::{About, Halt, Signed, Statement, plain, put_said, take_said};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use semver::Version;
use std::collections::BTreeMap;
use thiserror::Error;

/// Most versions that are remembered of one operator: the highest.
pub const MAX_REMEMBERED: usize = 64;

/// Operators that are remembered, those included that a policy named once.
const MAX_WORDS: usize = 2 * MAX_OPERATORS;
const FORMAT: u8 = 1;

/// What was seen of the statements about one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    link: [u8; 32],
    words: BTreeMap<[u8; 32], Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    last: Signed,
    said: BTreeMap<Version, Said>,
}

/// What an operator said about a version last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) share: Option<Share>,
    pub(crate) halt: Option<Halt>,
    /// When the halt was said last.
    pub(crate) time: u64,
}

/// What a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the operator's newest.
    New,
    /// It was seen before, or a newer one was.
    Old,
}

/// Why a statement counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It is about another link.
    #[error("the statement is about another link")]
    OtherLink,
    /// The policy names nobody of this key.
    #[error("the statement is by a key that the policy does not name as an operator")]
    NoOperator,
    /// The operator said something else under the same counter. The stricter of both counts.
    #[error("an operator said two things under one counter")]
    Contradiction(Box<Contradiction>),
}

/// Two statements of one operator with one counter: proof that the key is used by two, or by a liar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// What was seen first.
    pub first: Signed,
    /// What came then.
    pub second: Signed,
}

impl Seen {
    /// Nothing yet, of this link.
    pub fn new(link: [u8; 32]) -> Self {
        Self { link, words: BTreeMap::new() }
    }

    /// The link.
    pub fn link(&self) -> &[u8; 32] {
        &self.link
    }

    /// Takes a statement in.
    ///
    /// # Errors
    /// It counts for nothing; of a contradiction what is stricter was taken in.
    pub fn take(&mut self, signed: Signed, policy: &Policy) -> Result<Taken, Refused> {
        if signed.statement().link != self.link {
            return Err(Refused::OtherLink);
        }
        let operator = *signed.operator();
        if !policy.operators().iter().any(|o| o.key == operator) {
            return Err(Refused::NoOperator);
        }
        let Some(word) = self.words.get_mut(&operator) else {
            if self.words.len() >= MAX_WORDS {
                self.words.retain(|key, _| policy.operators().iter().any(|o| o.key == *key));
            }
            let mut said = BTreeMap::new();
            note(&mut said, &signed);
            self.words.insert(operator, Word { last: signed, said });
            return Ok(Taken::New);
        };
        let (before, after) = (word.last.statement().counter, signed.statement().counter);
        if after == before && signed != word.last {
            let first = word.last.clone();
            be_strict(&mut word.said, &signed);
            return Err(Refused::Contradiction(Box::new(Contradiction { first, second: signed })));
        }
        if after <= before {
            return Ok(Taken::Old);
        }
        note(&mut word.said, &signed);
        word.last = signed;
        Ok(Taken::New)
    }

    /// The newest statement of each operator, for others who ask.
    pub fn statements(&self) -> impl Iterator<Item = &Signed> {
        self.words.values().map(|word| &word.last)
    }

    /// The newest statement of an operator.
    pub fn of(&self, operator: &[u8; 32]) -> Option<&Signed> {
        self.words.get(operator).map(|word| &word.last)
    }

    /// As if this operator had said this, too. Only for looking ahead: nobody signed it.
    pub(crate) fn supposing(&self, operator: &[u8; 32], statement: &Statement) -> Self {
        let mut all = self.clone();
        let signed = Signed::supposed(*operator, statement);
        let word = all
            .words
            .entry(*operator)
            .or_insert_with(|| Word { last: signed.clone(), said: BTreeMap::new() });
        note(&mut word.said, &signed);
        word.last = signed;
        all
    }

    /// What operators with this right said about a version.
    pub(crate) fn said<'a>(
        &'a self,
        version: &Version,
        policy: &'a Policy,
        right: Right,
    ) -> impl Iterator<Item = ([u8; 32], Said)> + 'a {
        let version = plain(version);
        self.words.iter().filter_map(move |(key, word)| {
            let said = word.said.get(&version).filter(|_| policy.lets(key, right))?;
            Some((*key, *said))
        })
    }

    /// As bytes, to be kept: at most 200 KiB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u8(FORMAT).raw(&self.link).uint(self.words.len() as u64);
        for word in self.words.values() {
            out.buffer(word.last.as_bytes()).uint(word.said.len() as u64);
            for (version, said) in &word.said {
                out.string(&version.to_string());
                put_said(&mut out, said.share, said.halt);
                out.uint(said.time);
            }
        }
        out.finish()
    }

    /// From [`Seen::to_bytes`]. Signatures are verified again.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let invalid = DecodeError::Invalid;
        let mut from = Decoder::new(bytes);
        if from.u8()? != FORMAT {
            return Err(invalid("format of what was seen"));
        }
        let mut seen = Self::new(from.fixed32()?);
        for _ in 0..from.uint_max(MAX_WORDS, "operators")? {
            let last = Signed::read(from.buffer()?).map_err(|_| invalid("statement"))?;
            if last.statement().link != seen.link {
                return Err(invalid("link of a statement"));
            }
            let mut said = BTreeMap::new();
            for _ in 0..from.uint_max(MAX_REMEMBERED, "versions")? {
                let version = Version::parse(from.string()?).map_err(|_| invalid("version"))?;
                let (share, halt) = take_said(&mut from)?;
                said.insert(version, Said { share, halt, time: from.uint()? });
            }
            seen.words.insert(*last.operator(), Word { last, said });
        }
        from.finish()?;
        Ok(seen)
    }
}

fn note(said: &mut BTreeMap<Version, Said>, signed: &Signed) {
    let statement = signed.statement();
    for About { version, share, halt } in &statement.versions {
        let before = said.get(version).copied();
        let time = if halt.is_some() { statement.time } else { before.map_or(0, |b| b.time) };
        let share = share.or(before.and_then(|b| b.share));
        let halt = halt.or(before.and_then(|b| b.halt));
        said.insert(version.clone(), Said { share, halt, time });
    }
    bound(said);
}

/// The stricter of what was said and of this.
fn be_strict(said: &mut BTreeMap<Version, Said>, signed: &Signed) {
    let statement = signed.statement();
    for About { version, share, halt } in &statement.versions {
        let before = said.get(version).copied().unwrap_or(Said { share: None, halt: None, time: 0 });
        let share = match (before.share, *share) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let time = if *halt > before.halt { statement.time } else { before.time };
        said.insert(version.clone(), Said { share, halt: before.halt.max(*halt), time });
    }
    bound(said);
}

fn bound(said: &mut BTreeMap<Version, Said>) {
    while said.len() > MAX_REMEMBERED {
        said.pop_first();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use bosc_format::crypto::KeyPair;
    use bosc_format::id;

    const LINK: [u8; 32] = [7; 32];

    fn key(n: u8) -> KeyPair {
        KeyPair::from_seed(&[n; 32])
    }

    fn policy_of(operators: &[u8]) -> Policy {
        let all: Vec<_> = operators
            .iter()
            .map(|n| serde_json::json!({"key": id::encode(&key(*n).public()), "may": ["rollout", "halt", "refresh"]}))
            .collect();
        Policy::from_json(&serde_json::json!({"schema": 1, "operators": all})).unwrap()
    }

    fn about(version: &str, share: Option<u64>, halt: Option<Halt>) -> About {
        let share = share.map(|s| Share::from_hundredths(s).unwrap());
        About { version: version.parse().unwrap(), share, halt }
    }

    fn signed(n: u8, counter: u64, versions: Vec<About>) -> Signed {
        let statement = Statement { link: LINK, counter, time: counter * 10, newest: None, versions };
        Signed::new(&statement, &key(n)).unwrap()
    }

    fn said(seen: &Seen, policy: &Policy, version: &str) -> Vec<(Option<u16>, Option<Halt>, u64)> {
        let version = version.parse().unwrap();
        let all = seen.said(&version, policy, Right::Halt);
        all.map(|(_, s)| (s.share.map(Share::hundredths), s.halt, s.time)).collect()
    }

    #[test]
    fn the_highest_counter_counts_in_whatever_order_they_come() {
        let policy = policy_of(&[1]);
        let first = signed(1, 1, vec![about("1.0.0", Some(1_000), None)]);
        let second =
            signed(1, 2, vec![about("1.0.0", None, Some(Halt::Halted)), about("2.0.0", Some(500), None)]);
        let third = signed(1, 3, vec![about("1.0.0", Some(0), Some(Halt::Lifted))]);
        let mut seen = Seen::new(LINK);
        assert_eq!(seen.take(first.clone(), &policy), Ok(Taken::New));
        assert_eq!(seen.take(second.clone(), &policy), Ok(Taken::New));
        assert_eq!(said(&seen, &policy, "1.0.0+x"), [(Some(1_000), Some(Halt::Halted), 20)]);
        assert_eq!(seen.take(third.clone(), &policy), Ok(Taken::New));
        // What came before changes nothing, and what is not named stays.
        for old in [first, second, third.clone()] {
            assert_eq!(seen.take(old, &policy), Ok(Taken::Old));
        }
        assert_eq!(said(&seen, &policy, "1.0.0"), [(Some(0), Some(Halt::Lifted), 30)]);
        assert_eq!(said(&seen, &policy, "2.0.0"), [(Some(500), None, 0)]);
        assert_eq!(seen.of(&key(1).public()), Some(&third));
        assert_eq!(Seen::from_bytes(&seen.to_bytes()), Ok(seen));
    }

    #[test]
    fn strangers_and_other_links_count_for_nothing() {
        let policy = policy_of(&[1]);
        let mut seen = Seen::new(LINK);
        assert_eq!(seen.take(signed(2, 1, vec![]), &policy), Err(Refused::NoOperator));
        let mut other = Seen::new([8; 32]);
        assert_eq!(other.take(signed(1, 1, vec![]), &policy), Err(Refused::OtherLink));
        // Who is named no more is not listened to, whatever was said before.
        seen.take(signed(1, 1, vec![about("1.0.0", None, Some(Halt::Halted))]), &policy).unwrap();
        assert_eq!(said(&seen, &policy_of(&[3]), "1.0.0"), []);
    }

    #[test]
    fn of_a_contradiction_the_stricter_counts_and_both_are_told() {
        let policy = policy_of(&[1]);
        let loose = signed(1, 5, vec![about("1.0.0", Some(10_000), Some(Halt::Lifted))]);
        let strict = signed(1, 5, vec![about("1.0.0", Some(100), Some(Halt::Recalled))]);
        for (first, second) in [(&loose, &strict), (&strict, &loose)] {
            let mut seen = Seen::new(LINK);
            seen.take(first.clone(), &policy).unwrap();
            let told = Contradiction { first: first.clone(), second: second.clone() };
            assert_eq!(seen.take(second.clone(), &policy), Err(Refused::Contradiction(Box::new(told))));
            assert_eq!(said(&seen, &policy, "1.0.0"), [(Some(100), Some(Halt::Recalled), 50)]);
            // The next word settles it.
            seen.take(signed(1, 6, vec![about("1.0.0", Some(2_000), Some(Halt::Lifted))]), &policy).unwrap();
            assert_eq!(said(&seen, &policy, "1.0.0"), [(Some(2_000), Some(Halt::Lifted), 60)]);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let policy = policy_of(&[1]);
        let mut seen = Seen::new(LINK);
        for i in 0..200 {
            seen.take(signed(1, i + 1, vec![about(&format!("1.{i}.0"), None, Some(Halt::Halted))]), &policy)
                .unwrap();
        }
        assert_eq!(said(&seen, &policy, "1.199.0").len(), 1);
        assert_eq!(said(&seen, &policy, "1.100.0").len(), 0);
        // Operators come and go.
        for n in 2..=100 {
            seen.take(signed(n, 1, vec![]), &policy_of(&[n])).unwrap();
        }
        assert!(seen.statements().count() <= MAX_WORDS);
        let bytes = seen.to_bytes();
        assert!(bytes.len() <= 200 * 1024);
        assert_eq!(Seen::from_bytes(&bytes), Ok(seen));
        for end in (0..bytes.len()).step_by(97) {
            assert!(Seen::from_bytes(&bytes[..end]).is_err());
        }
    }
}
