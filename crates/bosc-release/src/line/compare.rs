//! Which line is ahead of which.

use semver::Version;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What is known of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineSeen {
    /// Length of its db; `None` while nobody told.
    pub length: Option<u64>,
    /// The version in its package.json.
    pub version: Option<String>,
    /// Hash of its db's tree at its length.
    pub tree_hash: Option<[u8; 32]>,
    /// Hash of its source's tree at this line's length, where lines share blocks (multisig).
    pub source_hash_at_length: Option<[u8; 32]>,
}

/// How a line stands to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineStanding {
    /// It has no source.
    First,
    /// One of the two is not known.
    Unknown,
    /// It holds nothing, and its source does.
    Empty,
    /// It holds what its source holds.
    Same,
    /// Its source holds a newer release.
    Behind,
    /// It holds a newer release than its source.
    Ahead,
    /// The versions are equal and what they hold is not.
    Differs,
}

impl LineStanding {
    /// As people see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Unknown => "unknown",
            Self::Empty => "empty",
            Self::Same => "same",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Differs => "differs",
        }
    }
}

/// Compares a line with its source. `shares_blocks`: a multisig line is a copy of its source, block for block, so
/// that equal versions can be told apart by their trees.
pub fn compare(line: &LineSeen, source: Option<&LineSeen>, shares_blocks: bool) -> LineStanding {
    let Some(source) = source else { return LineStanding::First };
    let (Some(ours), Some(theirs)) = (line.length, source.length) else { return LineStanding::Unknown };
    match (ours, theirs) {
        (0, 0) => return LineStanding::Same,
        (0, _) => return LineStanding::Empty,
        (_, 0) => return LineStanding::Ahead,
        _ => {}
    }
    let version = |s: &LineSeen| s.version.as_deref().and_then(|v| Version::parse(v).ok());
    let (Some(a), Some(b)) = (version(line), version(source)) else { return LineStanding::Unknown };
    match a.cmp_precedence(&b) {
        Ordering::Less => LineStanding::Behind,
        Ordering::Greater => LineStanding::Ahead,
        Ordering::Equal if !shares_blocks => LineStanding::Same,
        Ordering::Equal => match (line.tree_hash, line.source_hash_at_length) {
            (Some(own), Some(there)) if own != there => LineStanding::Differs,
            (Some(_), Some(_)) if theirs > ours => LineStanding::Behind,
            _ => LineStanding::Same,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(length: u64, version: &str) -> LineSeen {
        LineSeen { length: Some(length), version: Some(version.into()), ..LineSeen::default() }
    }

    #[test]
    fn versions_decide_and_trees_where_blocks_are_shared() {
        let c = |a: &LineSeen, b: &LineSeen| compare(a, Some(b), false);
        assert_eq!(compare(&seen(1, "1.0.0"), None, false), LineStanding::First);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(3, "1.0.1")), LineStanding::Behind);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(99, "1.0.0")), LineStanding::Same);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(9, "1.0.0-rc.1")), LineStanding::Ahead);
        assert_eq!(c(&seen(9, "x"), &seen(9, "1.0.0")), LineStanding::Unknown);
        assert_eq!(c(&LineSeen::default(), &seen(9, "1.0.0")), LineStanding::Unknown);
        assert_eq!(c(&seen(0, ""), &seen(9, "1.0.0")), LineStanding::Empty);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(0, "")), LineStanding::Ahead);
        assert_eq!(c(&seen(0, ""), &seen(0, "")), LineStanding::Same);
        let mut line = seen(5, "1.0.0");
        (line.tree_hash, line.source_hash_at_length) = (Some([1; 32]), Some([1; 32]));
        assert_eq!(compare(&line, Some(&seen(5, "1.0.0")), true), LineStanding::Same);
        assert_eq!(compare(&line, Some(&seen(7, "1.0.0")), true), LineStanding::Behind);
        line.source_hash_at_length = Some([2; 32]);
        assert_eq!(compare(&line, Some(&seen(5, "1.0.0")), true), LineStanding::Differs);
    }
}
