//! What differs between the source and what the target starts from. Decides as npm `mirror-drive` does.

use super::content::{blob_of, blocks, load, map_blocks, same};
use super::types::{BlobTree, MAX_BLOCKS, ProvisionError};
use crate::folder::diff::{ByteDiff, DiffCount};
use bosc_drive::drive::{DriveEntry, EntryValue, path};
use bytes::Bytes;
use serde_json::Value;

/// Keys of the db outside the file tree that are carried over.
pub const FIELDS: [&str; 3] = ["manifest", "metadata", "platformVersion"];

/// What a drive holds at one version.
#[derive(Debug, Clone, Default)]
pub struct DriveTree {
    /// All files and symlinks.
    pub entries: Vec<DriveEntry>,
    /// The values of [`FIELDS`] that are set, as JSON text.
    pub fields: Vec<(&'static str, Bytes)>,
}

/// What a put writes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Put {
    /// This value; no content is written.
    Value(EntryValue),
    /// The content of the source's entry.
    Content {
        /// The entry in the source.
        source: EntryValue,
        /// The entry in the target that it replaces.
        old: Option<EntryValue>,
    },
}

/// A field to set or to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// One of [`FIELDS`].
    pub field: &'static str,
    /// Its new JSON text; `None` takes it out.
    pub value: Option<Bytes>,
}

/// All that has to be written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProvisionPlan {
    /// What a person sees: removals first, then changed and new files, each in the order of keys.
    pub diffs: Vec<ByteDiff>,
    /// How many of each; `files` counts those of the source.
    pub count: DiffCount,
    /// Fields to change, in the order of [`FIELDS`].
    pub fields: Vec<FieldChange>,
    pub(super) removals: Vec<String>,
    pub(super) puts: Vec<(String, Put)>,
}

impl ProvisionPlan {
    /// Whether the files and fields are equal.
    pub fn is_empty(&self) -> bool {
        self.removals.is_empty() && self.puts.is_empty() && self.fields.is_empty()
    }

    /// Whether the content of this file is written.
    pub(crate) fn writes(&self, key: &str) -> bool {
        let at = self.puts.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok();
        at.and_then(|i| self.puts.get(i)).is_some_and(|(_, put)| matches!(put, Put::Content { .. }))
    }

    fn diff(&mut self, diff: ByteDiff) {
        self.count.count(&diff);
        self.diffs.push(diff);
    }
}

/// Compares. Fetches maps and hashes of all files of both, and the content of those that must be read to be compared.
pub fn plan(
    source: &DriveTree,
    source_blobs: &dyn BlobTree,
    base: &DriveTree,
    base_blobs: &dyn BlobTree,
) -> Result<ProvisionPlan, ProvisionError> {
    let (ours, theirs) = (sorted(&source.entries), sorted(&base.entries));
    for entry in &ours {
        if path::normalize(&entry.key).ok().as_deref() != Some(entry.key.as_str()) {
            return Err(ProvisionError::Name(entry.key.chars().take(256).collect()));
        }
    }
    fetch(&ours, source_blobs)?;
    fetch(&theirs, base_blobs)?;
    let mut plan = ProvisionPlan::default();
    for entry in theirs.iter().filter(|e| find(&ours, &e.key).is_none()) {
        plan.diff(ByteDiff::remove(&entry.key, load(&entry.value, base_blobs)?.size));
        plan.removals.push(entry.key.clone());
    }
    for entry in &ours {
        plan.count.files += 1;
        let there = find(&theirs, &entry.key);
        file(&mut plan, entry, source_blobs, there, base_blobs)?;
    }
    for field in FIELDS {
        let value = |tree: &DriveTree| tree.fields.iter().find(|f| f.0 == field).map(|f| f.1.clone());
        let (new, old) = (value(source), value(base));
        let json = |v: &Option<Bytes>| v.as_ref().and_then(|v| serde_json::from_slice::<Value>(v).ok());
        let equal = new == old
            || (new.is_some() == old.is_some() && json(&new) == json(&old) && json(&new).is_some());
        if !equal {
            plan.fields.push(FieldChange { field, value: new });
        }
    }
    Ok(plan)
}

fn sorted(entries: &[DriveEntry]) -> Vec<&DriveEntry> {
    let mut out: Vec<&DriveEntry> = entries.iter().collect();
    out.sort_by(|a, b| a.key.cmp(&b.key));
    out
}

fn find<'a>(entries: &[&'a DriveEntry], key: &str) -> Option<&'a DriveEntry> {
    let i = entries.binary_search_by(|e| e.key.as_str().cmp(key)).ok()?;
    entries.get(i).copied()
}

/// Has the maps, then the leaves of all content.
fn fetch(entries: &[&DriveEntry], tree: &dyn BlobTree) -> Result<(), ProvisionError> {
    let blobs = || entries.iter().filter_map(|e| blob_of(&e.value));
    let (mut maps, mut content, mut count) = (Vec::new(), Vec::new(), 0u64);
    for id in blobs() {
        let range = map_blocks(&id, tree)?;
        count = count.saturating_add(range.end - range.start);
        if count > MAX_BLOCKS {
            return Err(ProvisionError::TooManyBlocks);
        }
        maps.extend(range);
    }
    tree.fetch(maps)?;
    for id in blobs() {
        let list = blocks(&id, tree)?;
        count = count.saturating_add(list.len() as u64);
        if count > MAX_BLOCKS {
            return Err(ProvisionError::TooManyBlocks);
        }
        content.extend(list.into_iter().map(|b| b.0));
    }
    content.sort_unstable();
    content.dedup();
    tree.fetch_leaves(content)
}

fn file(
    plan: &mut ProvisionPlan,
    entry: &DriveEntry,
    source: &dyn BlobTree,
    there: Option<&DriveEntry>,
    base: &dyn BlobTree,
) -> Result<(), ProvisionError> {
    let (key, value) = (entry.key.clone(), &entry.value);
    let new = load(value, source)?;
    let put = match &value.linkname {
        Some(target) => Put::Value(EntryValue::symlink(target.clone())),
        None => Put::Content { source: value.clone(), old: there.map(|e| e.value.clone()) },
    };
    let Some(there) = there else {
        plan.diff(ByteDiff::add(&key, new.size));
        plan.puts.push((key, put));
        return Ok(());
    };
    let old = load(&there.value, base)?;
    if value.linkname.is_some() || there.value.linkname.is_some() {
        if value.linkname != there.value.linkname {
            plan.diff(ByteDiff::change(&key, old.size, new.size));
            plan.puts.push((key, put));
        }
        return Ok(());
    }
    if !same(&new, source, &old, base)? {
        plan.diff(ByteDiff::change(&key, old.size, new.size));
        plan.puts.push((key, put));
    } else if value.executable != there.value.executable
        || !same_metadata(&value.metadata, &there.value.metadata)
    {
        let kept = EntryValue {
            executable: value.executable,
            linkname: None,
            blob: there.value.blob,
            metadata: value.metadata.clone(),
        };
        plan.diff(ByteDiff::change(&key, 0, 0));
        plan.puts.push((key, Put::Value(kept)));
    }
    Ok(())
}

fn same_metadata(a: &Value, b: &Value) -> bool {
    let nothing = |v: &Value| match v {
        Value::Null | Value::Bool(false) => true,
        Value::String(s) => s.is_empty(),
        Value::Number(n) => n.as_f64() == Some(0.0),
        _ => false,
    };
    (nothing(a) && nothing(b)) || a == b
}
