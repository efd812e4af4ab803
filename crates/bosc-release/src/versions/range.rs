//! Version ranges as npm writes them, on top of the `semver` crate: `1.x`, `^1.2`, `>=1 <2`, `1.0.0 - 1.5.0`, `a || b`.
//!
//! A bare whole version means just that one, as in npm and unlike Cargo. Bound: 1 KiB.

use semver::{Version, VersionReq};

/// Longest range taken, in bytes.
const MAX: usize = 1024;

/// A set of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<VersionReq>);

impl Range {
    /// Reads a range. The error says which part is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX {
            return Err("the range is too long".into());
        }
        text.split("||").map(part).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether the version is in it.
    pub fn takes(&self, version: &Version) -> bool {
        self.0.iter().any(|r| r.matches(version))
    }
}

fn part(text: &str) -> Result<VersionReq, String> {
    let text = text.trim();
    let wrong =
        || format!("{text:?} is not a version range; ranges look like 1.x, ^1.2 or \">=1.0.0 <2.0.0\"");
    let joined = if let Some((from, to)) = text.split_once(" - ") {
        format!(">={}, <={}", bare(from.trim()), bare(to.trim()))
    } else {
        comparators(text).ok_or_else(wrong)?.join(", ")
    };
    let joined = if joined.is_empty() { "*".to_owned() } else { joined };
    VersionReq::parse(&joined).map_err(|_| wrong())
}

/// Operators with what follows them, spaces or not. `None`: nothing follows the last one.
fn comparators(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', ',', '\t']).filter(|w| !w.is_empty()) {
        let version = word.trim_start_matches(['<', '>', '=', '^', '~']);
        let (op, _) = word.split_at(word.len() - version.len());
        operator.push_str(op);
        if version.is_empty() {
            continue;
        }
        let op = match std::mem::take(&mut operator).as_str() {
            "~>" => "~".to_owned(),
            op => op.to_owned(),
        };
        let version = bare(version);
        let whole = version.split(['-', '+']).next().unwrap_or_default().split('.').count() == 3;
        out.push(match (op.as_str(), whole) {
            _ if version == "*" => "*".to_owned(),
            ("", true) => format!("={version}"),
            ("" | "=", false) => format!("{version}.*"),
            (op, _) => format!("{op}{version}"),
        });
    }
    operator.is_empty().then_some(out)
}

/// Without a leading `v` and without parts that stand for anything.
fn bare(version: &str) -> String {
    let version = version.trim_start_matches(['v', 'V']);
    let mut at = version;
    for end in [".x", ".X", ".*"].repeat(2) {
        at = at.strip_suffix(end).unwrap_or(at);
    }
    if matches!(at, "" | "x" | "X" | "*") { "*".to_owned() } else { at.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_they_mean_in_npm() {
        for (range, inside, outside) in [
            ("1.x", vec!["1.0.0", "1.9.9"], vec!["2.0.0", "0.9.0"]),
            ("1.x.x", vec!["1.2.3"], vec!["2.0.0"]),
            ("1", vec!["1.2.3"], vec!["2.0.0"]),
            ("1.2", vec!["1.2.9"], vec!["1.3.0"]),
            ("1.2.3", vec!["1.2.3"], vec!["1.2.4"]),
            ("v1.2.3", vec!["1.2.3"], vec!["1.2.4"]),
            ("^1.2", vec!["1.9.0"], vec!["1.1.0", "2.0.0"]),
            ("~1.2.3", vec!["1.2.9"], vec!["1.3.0"]),
            (">=1.0.0 <2.0.0", vec!["1.5.0"], vec!["2.0.0"]),
            (">= 1.0.0 < 2.0.0", vec!["1.5.0"], vec!["2.0.0"]),
            ("1.0.0 - 1.5.0", vec!["1.0.0", "1.5.0"], vec!["1.5.1"]),
            ("1.x || 3.x", vec!["1.0.0", "3.1.0"], vec!["2.0.0"]),
            ("*", vec!["0.0.1", "9.0.0"], vec![]),
            ("", vec!["0.0.1"], vec![]),
            ("1.0.0-rc.1", vec!["1.0.0-rc.1"], vec!["1.0.0"]),
        ] {
            let r = Range::parse(range).unwrap();
            for v in inside {
                assert!(r.takes(&Version::parse(v).unwrap()), "{v} is in {range}");
            }
            for v in outside {
                assert!(!r.takes(&Version::parse(v).unwrap()), "{v} is not in {range}");
            }
        }
        for text in ["x.y", "one", ">=", "1.x <", "1.x ||>", "1.2.3.4", &"1".repeat(2000)] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }
}
