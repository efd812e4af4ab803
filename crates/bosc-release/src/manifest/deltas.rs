//! Patches from earlier artifacts, beside the new ones.
//!
//! An application that is one file has its artifact where it is installed, and can start from it. An archive is not kept, nor a
//! package of Windows: for those there are none. Whether a patch is worth it is decided as clients do: at most three quarters.

use super::artifact::{artifact_name, failed, name_parts, plain, replace};
use super::event::{DeltaEntry, UpdaterEvent};
use crate::command::{Sink, Stop};
use crate::delta::{self, NotMade};
use crate::engine::follow::stopped;
use crate::error::CommandError;
use bosc_files::read_plain;
use bosc_updater::manifest::verify::{digest_reader, hex};
use bosc_updater::manifest::version::parse_version;
use bosc_updater::release::newer;
use semver::Version;
use std::cmp::Reverse;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most earlier artifacts of one platform that patches are made from: the newest ones.
const MAX_BASES: usize = 3;
/// Longest artifact that patches are made of, in bytes.
const MAX_FILE: u64 = 512 << 20;
/// Most names of a folder that are looked at.
const MAX_NAMES: usize = 100_000;

/// An earlier artifact of a platform.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    pub(super) path: PathBuf,
    pub(super) platform: &'static str,
    version: Version,
}

impl Earlier {
    /// The name of the patch from it.
    pub(super) fn patch_name(&self, source: &Path, version: &str) -> Result<String, CommandError> {
        let (stem, _) = name_parts(source)?;
        let from = plain(&self.version.to_string());
        Ok(format!("{stem}-{}-{}.from-{from}.delta", plain(version), self.platform))
    }
}

/// The newest earlier artifacts of these builds, among files that were named, or in folders.
pub(super) fn earlier(
    (named, out): (&[PathBuf], &Path),
    sources: &[(PathBuf, &'static str)],
    version: &str,
    sink: &mut dyn Sink,
) -> Result<Vec<Earlier>, CommandError> {
    let Some(now) = parse_version(version).filter(|_| !named.is_empty()) else { return Ok(Vec::new()) };
    let mut of_platforms = Vec::new();
    for (source, platform) in sources {
        if let Some(why) = unsuited(source) {
            let reason = format!("{platform}: {why}");
            sink.tell(UpdaterEvent::NoDelta { reason });
            continue;
        }
        let (stem, extension) = name_parts(source)?;
        of_platforms.push((format!("{stem}-"), format!("-{platform}{extension}"), *platform));
    }
    let find = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        of_platforms.iter().find_map(|(begin, end, platform)| {
            let text = name.strip_prefix(begin.as_str())?.strip_suffix(end.as_str())?;
            let version = parse_version(text)?;
            Some(Earlier { path: path.to_owned(), platform, version })
        })
    };
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            let names = std::fs::read_dir(path).map_err(|e| failed(path, e))?;
            found.extend(names.take(MAX_NAMES).flatten().filter_map(|entry| find(&entry.path())));
            continue;
        }
        if !path.exists() {
            // Nothing was released yet.
            if path == out {
                continue;
            }
            return Err(CommandError::not_found(format!("{} is not there", path.display()))
                .hint("check the path of --delta-from"));
        }
        match find(path) {
            Some(earlier) => found.push(earlier),
            None if of_platforms.is_empty() => {}
            None => {
                let names: Vec<String> =
                    of_platforms.iter().map(|(begin, end, _)| format!("{begin}VERSION{end}")).collect();
                return Err(CommandError::input(format!(
                    "{} is not named as an earlier artifact of this application",
                    path.display()
                ))
                .hint(format!("name artifacts that this command wrote before: {}", names.join(", "))));
            }
        }
    }
    found.retain(|earlier| newer(&now, &earlier.version));
    found.sort_by(|a, b| (a.platform, Reverse(&a.version)).cmp(&(b.platform, Reverse(&b.version))));
    found.dedup_by(|a, b| (a.platform, &a.version) == (b.platform, &b.version));
    let mut count = (String::new(), 0);
    found.retain(|earlier| {
        count = if count.0 == earlier.platform {
            (count.0.clone(), count.1 + 1)
        } else {
            (earlier.platform.to_owned(), 1)
        };
        count.1 <= MAX_BASES
    });
    Ok(found)
}

/// Why no client could start from an earlier artifact of this build.
fn unsuited(source: &Path) -> Option<&'static str> {
    let extension = source.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if source.is_dir() {
        return Some(
            "no deltas for a folder, whose archive is not kept by who installed it (over a link there are)",
        );
    }
    let packed = ["msix", "zip", "gz", "tgz", "zst"].contains(&extension.as_str());
    packed.then_some("no deltas for a packed build, which is not kept by who installed it")
}

/// Makes the patches of one artifact, and writes them beside it.
pub(super) fn make(
    earlier: &[Earlier],
    (source, platform): (&Path, &str),
    (out, base_url, version): (&Path, &str, &str),
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<Vec<DeltaEntry>, CommandError> {
    let mut entries = Vec::new();
    let earlier: Vec<&Earlier> = earlier.iter().filter(|e| e.platform == platform).collect();
    if earlier.is_empty() {
        return Ok(entries);
    }
    let none = |sink: &mut dyn Sink, from: &Version, why: &str| {
        sink.tell(UpdaterEvent::NoDelta { reason: format!("{platform} from {from}: {why}") });
    };
    let artifact = out.join(artifact_name(source, version, platform)?);
    let size = std::fs::metadata(&artifact).map_err(|e| failed(&artifact, e))?.len();
    let mut new = None;
    for base in earlier {
        let bytes = std::fs::metadata(&base.path).map_err(|e| failed(&base.path, e))?.len();
        if bytes.max(size) > MAX_FILE {
            none(sink, &base.version, "the artifact is larger than 512 MiB");
            continue;
        }
        if delta::has_memory(delta::memory(bytes, size)).is_err() {
            none(sink, &base.version, "there is not enough memory to make it");
            continue;
        }
        let old = Arc::new(read_plain(&base.path, MAX_FILE).map_err(|e| failed(&base.path, e))?);
        let new = match &new {
            Some(new) => new,
            None => {
                &*new.insert(Arc::new(read_plain(&artifact, MAX_FILE).map_err(|e| failed(&artifact, e))?))
            }
        };
        let digest = |mut bytes: &[u8]| digest_reader(&mut bytes).map(|(digest, _)| hex(&digest));
        let base_sha256 = digest(&old).map_err(|e| failed(&base.path, e))?;
        let patch = match delta::patch(&old, new, stop, &mut |_| {}) {
            Ok(patch) => patch,
            Err(NotMade::Stopped) => return Err(stopped()),
            Err(_) => {
                none(sink, &base.version, "it could not be made");
                continue;
            }
        };
        let bytes = patch.len() as u64;
        if bytes > size / 4 * 3 {
            none(sink, &base.version, "it would save less than a quarter");
            continue;
        }
        let file = base.patch_name(source, version)?;
        let path = out.join(&file);
        replace(&path, |f| f.write_all(&patch)).map_err(|e| failed(&path, e))?;
        let from = base.version.to_string();
        entries.push(DeltaEntry {
            from: from.clone(),
            base_sha256,
            url: format!("{base_url}/{file}"),
            sha256: digest(&patch).map_err(|e| failed(&path, e))?,
            size: bytes,
        });
        sink.tell(UpdaterEvent::Delta {
            platform: platform.to_owned(),
            file,
            from,
            size: bytes,
            instead_of: size,
        });
    }
    Ok(entries)
}
