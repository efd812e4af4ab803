//! One changed file, as every command reports it.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffKind {
    /// It is new.
    Add,
    /// Its content, executable bit or link target differs.
    Change,
    /// It is gone.
    Remove,
}

/// A changed file with the bytes it takes and frees. Serialises as `{type: 1|0|-1, sizes, message}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Told")]
pub struct ByteDiff {
    /// What happened.
    pub kind: DiffKind,
    /// The file's drive key.
    pub key: String,
    /// Bytes of the content that goes away; 0 for an addition and when only the executable bit changed.
    pub removed: u64,
    /// Bytes of the new content; 0 for a removal and when only the executable bit changed.
    pub added: u64,
}

impl ByteDiff {
    /// A new file.
    pub fn add(key: impl Into<String>, added: u64) -> Self {
        Self { kind: DiffKind::Add, key: key.into(), removed: 0, added }
    }

    /// A file that differs.
    pub fn change(key: impl Into<String>, removed: u64, added: u64) -> Self {
        Self { kind: DiffKind::Change, key: key.into(), removed, added }
    }

    /// A file that goes away.
    pub fn remove(key: impl Into<String>, removed: u64) -> Self {
        Self { kind: DiffKind::Remove, key: key.into(), removed, added: 0 }
    }

    /// 1, 0 or -1.
    pub fn type_number(&self) -> i8 {
        match self.kind {
            DiffKind::Add => 1,
            DiffKind::Change => 0,
            DiffKind::Remove => -1,
        }
    }

    /// `[added]`, `[-removed, added]` or `[-removed]`.
    pub fn sizes(&self) -> Vec<i64> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        match self.kind {
            DiffKind::Add => vec![signed(self.added)],
            DiffKind::Change => vec![-signed(self.removed), signed(self.added)],
            DiffKind::Remove => vec![-signed(self.removed)],
        }
    }
}

/// As it is told.
#[derive(Deserialize)]
struct Told {
    r#type: i8,
    sizes: Vec<i64>,
    message: String,
}

impl TryFrom<Told> for ByteDiff {
    type Error = &'static str;

    fn try_from(told: Told) -> Result<Self, &'static str> {
        match (told.r#type, told.sizes.as_slice()) {
            (1, [added]) => Ok(Self::add(told.message, added.unsigned_abs())),
            (0, [removed, added]) => {
                Ok(Self::change(told.message, removed.unsigned_abs(), added.unsigned_abs()))
            }
            (-1, [removed]) => Ok(Self::remove(told.message, removed.unsigned_abs())),
            _ => Err("a changed file has a type and as many sizes as that has"),
        }
    }
}

impl Serialize for ByteDiff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("ByteDiff", 3)?;
        s.serialize_field("type", &self.type_number())?;
        s.serialize_field("sizes", &self.sizes())?;
        s.serialize_field("message", &self.key)?;
        s.end()
    }
}

/// How many files changed how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffCount {
    /// Files looked at.
    pub files: u64,
    /// New ones.
    pub add: u64,
    /// Removed ones.
    pub remove: u64,
    /// Changed ones.
    pub change: u64,
}

impl DiffCount {
    /// Files that changed in any way.
    pub fn differed(&self) -> u64 {
        self.add + self.change + self.remove
    }

    /// Counts a diff; `files` is counted by whoever looks at them.
    pub fn count(&mut self, diff: &ByteDiff) {
        match diff.kind {
            DiffKind::Add => self.add += 1,
            DiffKind::Change => self.change += 1,
            DiffKind::Remove => self.remove += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_serialise_as_in_pear() {
        let json = |d: &ByteDiff| serde_json::to_string(d).unwrap_or_default();
        assert_eq!(json(&ByteDiff::add("/a", 5)), r#"{"type":1,"sizes":[5],"message":"/a"}"#);
        assert_eq!(json(&ByteDiff::change("/a", 5, 6)), r#"{"type":0,"sizes":[-5,6],"message":"/a"}"#);
        assert_eq!(json(&ByteDiff::change("/a", 0, 0)), r#"{"type":0,"sizes":[0,0],"message":"/a"}"#);
        assert_eq!(json(&ByteDiff::remove("/a", 7)), r#"{"type":-1,"sizes":[-7],"message":"/a"}"#);
    }
}
