//! What a release says of itself: `/package.json` and `/CHANGELOG.md`.

use super::fetching::Fetching;
use crate::error::{ErrorKind, UpdateError};
use bosc_drive::blobs::{BlobReader, content_blocks, content_length};
use bosc_drive::drive::Drive;
use bosc_follow::{CoreSource, Fetch, FollowedCore};
use semver::Version;

/// Largest package.json read, in bytes.
const MAX_PACKAGE: u64 = 1 << 20;
/// Largest changelog looked into, in bytes.
const MAX_CHANGELOG: u64 = 256 << 10;
/// Most bytes of notes of one release.
pub(super) const MAX_NOTES: usize = 64 << 10;

fn invalid(what: impl Into<String>) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, what).hint("the publisher has to stage the release again")
}

/// The version in the drive's package.json; `None` when the drive has none (nothing was released yet).
pub(super) fn version(
    fetching: &mut Fetching<'_, '_>,
    source: &CoreSource,
    length: u64,
) -> Result<Option<Version>, UpdateError> {
    let Some(text) = read_file(fetching, source, length, "/package.json", MAX_PACKAGE)? else {
        return Ok(None);
    };
    parse_version(&text).map(Some)
}

fn parse_version(text: &[u8]) -> Result<Version, UpdateError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let json: serde_json::Value = serde_json::from_slice(text)
        .map_err(|e| invalid("the release's package.json is not JSON").because(e))?;
    let text = json
        .get("version")
        .and_then(serde_json::Value::as_str)
        .ok_or_else(|| invalid("the release's package.json has no version"))?;
    Version::parse(text).map_err(|e| {
        let shown: String = text.chars().take(64).collect();
        invalid(format!("the release's version {shown:?} is not of the form 1.2.3")).because(e)
    })
}

/// The changelog's section about `version`; nothing when it has none or cannot be read.
pub(super) fn notes(
    fetching: &mut Fetching<'_, '_>,
    source: &CoreSource,
    length: u64,
    version: &Version,
) -> Result<Option<String>, UpdateError> {
    match read_file(fetching, source, length, "/CHANGELOG.md", MAX_CHANGELOG) {
        Ok(text) => Ok(text.and_then(|t| section(&String::from_utf8_lossy(&t), version))),
        Err(e) if e.kind() == ErrorKind::Integrity => Ok(None),
        Err(e) => Err(e),
    }
}

/// Releases start at `## `; their version is the first word after it, without a leading v.
fn section(text: &str, version: &Version) -> Option<String> {
    let wanted = version.to_string();
    let mut out: Option<String> = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            if out.is_some() {
                break;
            }
            let word = heading.split_whitespace().next().unwrap_or_default();
            let word = word.trim_start_matches('[').trim_end_matches(']');
            if word.strip_prefix('v').unwrap_or(word) == wanted {
                out = Some(String::new());
            }
        } else if let Some(out) = &mut out {
            out.push_str(line);
            out.push('\n');
        }
    }
    let mut out = out?.trim().to_owned();
    let mut end = out.len().min(MAX_NOTES);
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    out.truncate(end);
    (!out.is_empty()).then_some(out)
}

/// A small file of the drive. `None` when there is no such file.
pub(super) fn read_file(
    fetching: &mut Fetching<'_, '_>,
    db_source: &CoreSource,
    length: u64,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, UpdateError> {
    let db = fetching.link.db();
    let drive = Drive::checkout(db_source.clone(), length);
    let entry = fetching.of(db).read(|| drive.entry_follow(path))?;
    let Some(entry) = entry else { return Ok(None) };
    let Some(id) = entry.value.blob else { return Ok(Some(Vec::new())) };
    let blobs = fetching.link.need_blobs()?;
    let source = long_enough(fetching, db_source, blobs, id.block_offset.saturating_add(id.block_length))?;
    let too_large = || invalid(format!("the release's {path} is too large"));
    if id.block_length > limit {
        return Err(too_large());
    }
    // Asked for together: the content of a file that was staged lies just before its map.
    let near = id.block_offset.saturating_sub(u64::from(id.block_map))
        ..id.block_offset.saturating_add(id.block_length);
    let near: Vec<u64> = near.take(64).collect();
    let size = fetching.of(blobs).read(|| content_length(&source, &id).map_err(|e| (e, near.clone())))?;
    if size > limit {
        return Err(too_large());
    }
    let mut reader = BlobReader::new(source, id);
    let mut out = Vec::new();
    while let Some(part) = fetching.of(blobs).next(&mut reader)? {
        out.extend_from_slice(&part);
    }
    Ok(Some(out))
}

/// The blocks of the blobs core that package.json and changelog are in, as far as that can be told from what is here.
pub(super) fn blocks(db: &CoreSource, blobs: &CoreSource, length: u64) -> Vec<u64> {
    let drive = Drive::checkout(db.clone(), length);
    let mut out = Vec::new();
    for path in ["/package.json", "/CHANGELOG.md", bosc_policy::FILE] {
        let Some(id) = drive.entry_follow(path).ok().flatten().and_then(|e| e.value.blob) else { continue };
        out.extend((id.block_offset..id.block_offset.saturating_add(id.block_length)).take(1 << 12));
        if id.block_map {
            out.extend(content_blocks(blobs, &id).unwrap_or_default().into_iter().flatten().take(1 << 12));
        }
    }
    out
}

/// The blobs core, once it is of the history of `db` and its head holds `needed` blocks.
pub(super) fn long_enough(
    fetching: &mut Fetching<'_, '_>,
    db: &CoreSource,
    blobs: &FollowedCore,
    needed: u64,
) -> Result<CoreSource, UpdateError> {
    fetching.wait(|wait, _| blobs.longer(needed, wait))?;
    Ok(db.contents(blobs.core()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_nonsense_is_refused() {
        assert_eq!(
            parse_version(b"\xef\xbb\xbf{\"version\":\"1.2.3-rc.1\"}").unwrap().to_string(),
            "1.2.3-rc.1"
        );
        for bad in
            ["", "[]", "{}", r#"{"version":1}"#, r#"{"version":"1.2"}"#, r#"{"version":"v1.2.3"}"#, "{\"ver"]
        {
            assert_eq!(parse_version(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Integrity, "{bad}");
        }
    }

    #[test]
    fn a_release_finds_its_own_notes() {
        let text = "# Changelog\n\n## v1.1.0 (today)\n\n- b\n### more\nx\n## 1.0.0\n- a\n";
        let of = |v: &str| section(text, &Version::parse(v).unwrap());
        assert_eq!(of("1.1.0").as_deref(), Some("- b\n### more\nx"));
        assert_eq!(of("1.0.0").as_deref(), Some("- a"));
        assert_eq!(of("1.0.1"), None);
        let long = format!("## 1.0.0\n{}", "é".repeat(MAX_NOTES));
        assert!(section(&long, &Version::new(1, 0, 0)).is_some_and(|n| n.len() <= MAX_NOTES));
    }
}
