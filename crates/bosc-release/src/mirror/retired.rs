//! Which objects at a target no head needs any more, since when: a file beside the head. Readers do not look at it.
//!
//! One line each: `SECONDS PATH`, in the order in which they were retired.

use std::collections::BTreeSet;

/// Its name.
pub(super) const RETIRED: &str = "retired";
/// Bytes that are read of it; what a longer one names stays where it is.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// What is to be removed one day.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Retired {
    lines: Vec<(u64, String)>,
}

/// Whether this may be an object of ours: nothing else is ever removed.
fn is_object(path: &str) -> bool {
    let mut parts = path.split('/');
    let part = |s: Option<&str>, of: &dyn Fn(&str) -> bool| s.is_some_and(of);
    let numbers = |s: &str, n: usize| {
        s.split('-').count() == n
            && s.split('-').all(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
    };
    let begins = part(parts.next(), &|s| s == "db" || s == "blobs")
        && part(parts.next(), &|s| s.len() == 16 && s.bytes().all(|b| b.is_ascii_hexdigit()));
    let kind = parts.next();
    let name = parts.next().unwrap_or_default();
    begins
        && parts.next().is_none()
        && ((kind == Some("t") && numbers(name, 3)) || (kind == Some("d") && numbers(name, 2)))
}

impl Retired {
    /// What a file says; what is no line of ours is left out.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let line = |l: &str| {
            let (since, path) = l.split_once(' ')?;
            is_object(path).then(|| Some((since.parse().ok()?, path.to_owned())))?
        };
        Self { lines: text.lines().filter_map(line).collect() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.lines
            .iter()
            .fold(String::new(), |out, (since, path)| format!("{out}{since} {path}\n"))
            .into_bytes()
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// These are not needed from now on.
    pub(super) fn add(&mut self, paths: impl IntoIterator<Item = String>, now: u64) {
        let known: BTreeSet<String> = self.lines.iter().map(|(_, path)| path.clone()).collect();
        self.lines.extend(paths.into_iter().filter(|p| !known.contains(p)).map(|p| (now, p)));
    }

    /// These are needed.
    pub(super) fn keep(&mut self, needed: &BTreeSet<String>) {
        self.lines.retain(|(_, path)| !needed.contains(path));
    }

    /// What was retired so long ago, and is not any more a line.
    pub(super) fn take_due(&mut self, now: u64, grace: u64) -> Vec<String> {
        let (due, rest) = std::mem::take(&mut self.lines)
            .into_iter()
            .partition(|(since, _)| now >= since.saturating_add(grace));
        self.lines = rest;
        Vec::into_iter(due).map(|(_, path)| path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_objects_is_ever_named() {
        let text = "5 db/0011223344556677/t/0-0-3\n9 blobs/0011223344556677/d/0-7\nx db/0011223344556677/d/1-2\n\
            1 ../../etc/passwd\n1 db/0011223344556677/d/../../../x\n1 bosc-mirror\n1 db/0011223344556677/t/0-0\n";
        let mut retired = Retired::parse(text.as_bytes());
        assert_eq!(retired.lines.len(), 2, "{retired:?}");
        assert_eq!(Retired::parse(&retired.encode()), retired);
        retired.add(["db/0011223344556677/t/0-0-3".to_owned()], 100);
        assert_eq!(retired.take_due(10, 5), ["db/0011223344556677/t/0-0-3"], "since it was retired first");
        retired.keep(&BTreeSet::from(["blobs/0011223344556677/d/0-7".to_owned()]));
        assert!(retired.is_empty());
    }
}
