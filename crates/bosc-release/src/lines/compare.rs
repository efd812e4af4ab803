//! Which line is ahead of which.

use semver::Version;
use std::cmp::Ordering;

/// What is known of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
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

impl Standing {
    /// As in JSON.
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
pub fn compare(line: &Seen, source: Option<&Seen>, shares_blocks: bool) -> Standing {
    let Some(source) = source else { return Standing::First };
    let (Some(ours), Some(theirs)) = (line.length, source.length) else { return Standing::Unknown };
    match (ours, theirs) {
        (0, 0) => return Standing::Same,
        (0, _) => return Standing::Empty,
        (_, 0) => return Standing::Ahead,
        _ => {}
    }
    let version = |s: &Seen| s.version.as_deref().and_then(|v| Version::parse(v).ok());
    let (Some(a), Some(b)) = (version(line), version(source)) else { return Standing::Unknown };
    match a.cmp_precedence(&b) {
        Ordering::Less => Standing::Behind,
        Ordering::Greater => Standing::Ahead,
        Ordering::Equal if !shares_blocks => Standing::Same,
        Ordering::Equal => match (line.tree_hash, line.source_hash_at_length) {
            (Some(own), Some(there)) if own != there => Standing::Differs,
            (Some(_), Some(_)) if theirs > ours => Standing::Behind,
            _ => Standing::Same,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(length: u64, version: &str) -> Seen {
        Seen { length: Some(length), version: Some(version.into()), ..Seen::default() }
    }

    #[test]
    fn versions_decide_and_trees_where_blocks_are_shared() {
        let c = |a: &Seen, b: &Seen| compare(a, Some(b), false);
        assert_eq!(compare(&seen(1, "1.0.0"), None, false), Standing::First);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(3, "1.0.1")), Standing::Behind);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(99, "1.0.0")), Standing::Same);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(9, "1.0.0-rc.1")), Standing::Ahead);
        assert_eq!(c(&seen(9, "x"), &seen(9, "1.0.0")), Standing::Unknown);
        assert_eq!(c(&Seen::default(), &seen(9, "1.0.0")), Standing::Unknown);
        assert_eq!(c(&seen(0, ""), &seen(9, "1.0.0")), Standing::Empty);
        assert_eq!(c(&seen(9, "1.0.0"), &seen(0, "")), Standing::Ahead);
        assert_eq!(c(&seen(0, ""), &seen(0, "")), Standing::Same);
        let mut line = seen(5, "1.0.0");
        (line.tree_hash, line.source_hash_at_length) = (Some([1; 32]), Some([1; 32]));
        assert_eq!(compare(&line, Some(&seen(5, "1.0.0")), true), Standing::Same);
        assert_eq!(compare(&line, Some(&seen(7, "1.0.0")), true), Standing::Behind);
        line.source_hash_at_length = Some([2; 32]);
        assert_eq!(compare(&line, Some(&seen(5, "1.0.0")), true), Standing::Differs);
    }
}
