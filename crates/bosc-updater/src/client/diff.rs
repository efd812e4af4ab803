//! How a fetched build differs from the installed one, file by file: the `updating-delta` events.

use crate::install::Shipped;
use crate::release::{Contents, EntryKind};
use bosc_files::open_plain;
use std::collections::HashSet;
use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// A file that a release changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happens to it.
    pub op: ChangeOp,
    /// Its path in the build, with `/` in front.
    pub path: String,
    /// Bytes that go.
    pub removed: u64,
    /// Bytes that come.
    pub added: u64,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOp {
    /// It is new.
    Add,
    /// It has other bytes.
    Change,
    /// It is gone.
    Remove,
}

impl ChangeOp {
    /// Its name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// Most files of the installed build looked for among those that go.
const MAX_FILES: usize = 1 << 18;

/// Compares the staged build with the one at `installed`. What cannot be read counts as changed. What was added to the installed
/// build comes along, so it does not go: it is not in `shipped`, the list of what was installed, as far as that is known.
pub(crate) fn changes(
    installed: &Path,
    (staged, contents): (&Path, &Contents),
    shipped: Option<&Shipped>,
) -> Vec<Change> {
    let mut out = Vec::new();
    let mut known = HashSet::new();
    for entry in &contents.entries {
        let EntryKind::File { size, .. } = entry.kind else {
            known.insert(entry.path.as_str());
            continue;
        };
        known.insert(entry.path.as_str());
        let (old, new) = (place(installed, &entry.path), place(staged, &entry.path));
        let path = format!("/{}", entry.path);
        match fs::symlink_metadata(&old) {
            Ok(meta) if meta.is_file() => {
                if meta.len() != size || !same_bytes(&old, &new) {
                    out.push(Change { op: ChangeOp::Change, path, removed: meta.len(), added: size });
                }
            }
            _ => out.push(Change { op: ChangeOp::Add, path, removed: 0, added: size }),
        }
    }
    let goes = |path: &str| !known.contains(path) && shipped.is_none_or(|list| list.has(path));
    removed(installed, "", &goes, &mut out);
    out
}

fn place(root: &Path, rel: &str) -> PathBuf {
    rel.split('/').filter(|p| !p.is_empty()).fold(root.to_owned(), |path, part| path.join(part))
}

fn removed(folder: &Path, rel: &str, goes: &dyn Fn(&str) -> bool, out: &mut Vec<Change>) {
    let Ok(items) = fs::read_dir(folder) else { return };
    for item in items.flatten() {
        let Some(name) = item.file_name().to_str().map(str::to_owned) else { continue };
        let below = if rel.is_empty() { name } else { format!("{rel}/{name}") };
        let Ok(meta) = item.metadata() else { continue };
        if meta.is_dir() {
            removed(&item.path(), &below, goes, out);
        } else if goes(&below) && out.len() < MAX_FILES {
            let size = if meta.is_file() { meta.len() } else { 0 };
            out.push(Change { op: ChangeOp::Remove, path: format!("/{below}"), removed: size, added: 0 });
        }
    }
}

/// Whether two files hold the same bytes.
fn same_bytes(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (open_plain(a), open_plain(b)) else { return false };
    let (mut a, mut b) = (BufReader::with_capacity(1 << 17, a), b);
    let (mut x, mut y) = (vec![0; 1 << 17], vec![0; 1 << 17]);
    loop {
        let Ok(n) = a.read(&mut x) else { return false };
        let (Some(x), Some(y)) = (x.get(..n), y.get_mut(..n)) else { return false };
        if b.read_exact(y).is_err() || x != y {
            return false;
        }
        if n == 0 {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Entry;

    #[test]
    fn what_was_added_does_not_go() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for (at, text) in [
            ("old/run", "1"),
            ("old/gone", "1"),
            ("old/plugins/mine", "1"),
            ("new/run", "2"),
            ("new/fresh", "2"),
        ] {
            let path = folder.path().join(at);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let entry = |path: &str| Entry {
            path: path.to_owned(),
            kind: EntryKind::File { size: 1, sha256: [0; 32], executable: false },
        };
        let contents = Contents { entries: vec![entry("run"), entry("fresh")] };
        let told = |shipped: Option<&Shipped>| {
            let mut all: Vec<_> = changes(&old, (&new, &contents), shipped)
                .into_iter()
                .map(|c| (c.op.as_str(), c.path))
                .collect();
            all.sort();
            all
        };
        let s = |op, path: &str| (op, path.to_owned());
        let shipped: Shipped = ["run".to_owned(), "gone".to_owned()].into_iter().collect();
        let expected = vec![s("add", "/fresh"), s("change", "/run"), s("remove", "/gone")];
        assert_eq!(told(Some(&shipped)), expected);
        // Where the list is not known, all that is not in the release counts as of the one before.
        assert_eq!(told(None), [expected, vec![s("remove", "/plugins/mine")]].concat());
    }
}
