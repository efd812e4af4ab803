//! A `CHANGELOG.md`: releases start at a line `## ...`; the first word of the heading, without brackets and a leading
//! `v`, is the version. Lines within code fences are not headings.
//!
//! # Files
//!
//! - Here: how releases are told apart in the text, its size, how many are shown. `command`: what `changelog` runs. `event`: what is
//!   told.

pub(crate) mod command;
pub mod event;

use crate::command::Sink;
use crate::error::CommandError;
use crate::versions::range::Range;
use event::{ChangelogEvent, ChangelogShown};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// Largest changelog read, in bytes.
pub const MAX_CHANGELOG: usize = 1 << 20;
/// How many releases are shown unless told otherwise.
pub const DEFAULT_MAX: usize = 10;

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The rest of its heading.
    pub id: String,
    /// The version as written.
    pub version: String,
    /// Heading and text.
    pub text: String,
}

/// Which releases to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// At most so many, the newest; 10 unless `full`.
    pub max: Option<usize>,
    /// Those in this range of versions; by default those with the newest one's major version.
    pub of: Option<String>,
    /// All, versions or not.
    pub full: bool,
}

/// All releases, in the order they are written: newest first by custom.
pub fn parse(text: &str) -> Vec<Release> {
    let mut out: Vec<Release> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if let Some(id) = line.strip_prefix("## ").filter(|_| !fenced) {
            let id = id.trim().to_owned();
            let first = id.split_whitespace().next().unwrap_or_default();
            let version = first.trim_start_matches('[').split(']').next().unwrap_or_default();
            let version = version.strip_prefix(['v', 'V']).unwrap_or(version).to_owned();
            out.push(Release { id, version, text: String::new() });
        }
        if let Some(release) = out.last_mut() {
            release.text.push_str(line);
            release.text.push('\n');
        }
    }
    for release in &mut out {
        release.text.truncate(release.text.trim_end().len());
    }
    out
}

/// The releases to show, oldest first. The error says what is wrong with the range.
pub fn select(releases: Vec<Release>, how: &Select) -> Result<Vec<Release>, String> {
    let range = how.of.as_deref().map(Range::parse).transpose()?;
    let top = releases.iter().find_map(|r| Version::parse(&r.version).ok()).map(|v| v.major);
    let takes = |r: &Release| match (&range, Version::parse(&r.version)) {
        (Some(range), Ok(version)) => range.takes(&version),
        (Some(_), Err(_)) => false,
        (None, _) if how.full => true,
        (None, Ok(version)) => Some(version.major) == top,
        (None, Err(_)) => false,
    };
    let max = how.max.unwrap_or(if how.full { usize::MAX } else { DEFAULT_MAX });
    let mut out: Vec<Release> = releases.into_iter().filter(takes).take(max).collect();
    out.reverse();
    Ok(out)
}

/// `changelog` of a folder: its CHANGELOG.md.
pub fn of_folder(dir: &Path, how: &Select, sink: &mut dyn Sink) -> Result<ChangelogShown, CommandError> {
    let path = if dir.is_dir() { dir.join("CHANGELOG.md") } else { dir.to_owned() };
    let io = |e: std::io::Error| {
        let error = if e.kind() == std::io::ErrorKind::NotFound {
            CommandError::not_found(format!("there is no {}", path.display()))
        } else {
            CommandError::failed(format!("cannot read {}", path.display()))
        };
        error.because(e).hint("give a link, or a folder that holds a CHANGELOG.md")
    };
    let mut bytes = Vec::new();
    bosc_files::open_plain(&path)
        .and_then(|f| f.take(MAX_CHANGELOG as u64 + 1).read_to_end(&mut bytes))
        .map_err(io)?;
    if bytes.len() > MAX_CHANGELOG {
        return Err(CommandError::input(format!("{} is over 1 MiB", path.display())));
    }
    tell(&bytes, how, sink)
}

/// Tells the chosen releases as `changelog` events, or `no-changelog`.
pub(crate) fn tell(bytes: &[u8], how: &Select, sink: &mut dyn Sink) -> Result<ChangelogShown, CommandError> {
    let releases = parse(&String::from_utf8_lossy(bytes));
    let found = releases.len();
    let shown = select(releases, how).map_err(|why| {
        CommandError::input(why).hint("ranges are written as for npm, see `bosc help changelog`")
    })?;
    if shown.is_empty() {
        sink.tell(ChangelogEvent::NoChangelog);
    }
    let max = shown.len();
    for (index, Release { id, version, text }) in shown.into_iter().enumerate() {
        sink.tell(ChangelogEvent::Changelog { version, heading: id, changelog: text, index, max });
    }
    Ok(ChangelogShown { shown: max, found })
}

/// `bosc changelog` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changelog {
    /// The link.
    pub link: String,
    /// Which releases to show.
    pub select: Select,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changes\n\n## Unreleased\n- x\n\n## v2.1.0 (2026)\r\n- b\n```\n## not one\n```\n\n\
        ## [2.0.0-rc.1] - 2025\n- c\n\n## 1.5.0\n- d\n## 1.0.0\n- e\n";

    fn shown(how: &Select) -> Vec<String> {
        select(parse(TEXT), how).unwrap().into_iter().map(|r| r.version).collect()
    }

    #[test]
    fn releases_are_found_and_chosen() {
        let all = parse(TEXT);
        let ids: Vec<&str> = all.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(ids, ["Unreleased", "v2.1.0 (2026)", "[2.0.0-rc.1] - 2025", "1.5.0", "1.0.0"]);
        assert!(all.get(1).unwrap().text.ends_with("## not one\n```"), "{:?}", all.get(1));
        assert_eq!(shown(&Select::default()), ["2.0.0-rc.1", "2.1.0"], "the newest major, oldest first");
        let of = |of: &str| shown(&Select { of: Some(of.into()), ..Select::default() });
        assert_eq!(of("1.x"), ["1.0.0", "1.5.0"]);
        assert_eq!(of("*"), ["1.0.0", "1.5.0", "2.1.0"]);
        let full = Select { full: true, ..Select::default() };
        assert_eq!(shown(&full).len(), 5);
        assert_eq!(shown(&Select { max: Some(1), ..full }), ["Unreleased"]);
        assert!(select(all, &Select { of: Some("nonsense".into()), ..Select::default() }).is_err());
        assert!(parse("no headings\n# x\n### y\n").is_empty());
    }
}
