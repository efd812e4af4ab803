//! Names that a file system takes for one.
//!
//! [`Twins`] is given all files and links of a tree. Folders count as well: `N/a` and `n/b` lie in one folder where case
//! does not matter. It keeps a number and a borrowed text for each file and folder, no copies.

use crate::target::Target;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use thiserror::Error;

/// What a name is to a file system: two names with the same are one file. Part by part, so that a path may be given too.
pub fn folded(name: &str, on: Target) -> Cow<'_, str> {
    if on == Target::Linux {
        return name.into();
    }
    if name.is_ascii() {
        return if name.bytes().any(|b| b.is_ascii_uppercase()) {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        };
    }
    if on == Target::Windows {
        // Windows maps single characters to single ones, and knows no forms.
        let one = |c: char| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(u), None) => u,
                _ => c,
            }
        };
        return name.chars().map(one).collect::<String>().to_lowercase().into();
    }
    // Through upper case: `ſ` and `s`, `ß` and `ss` fall together there.
    decomposed(&decomposed(name).to_uppercase().to_lowercase()).into()
}

#[cfg(feature = "unicode")]
fn decomposed(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    name.nfd().collect()
}

#[cfg(not(feature = "unicode"))]
fn decomposed(name: &str) -> String {
    name.to_owned()
}

/// Two names that cannot both be there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Clash {
    /// The same name twice.
    #[error("stands there twice")]
    Twice,
    /// Names that are one to the file system.
    #[error("and {0:?} differ in case or Unicode form only")]
    Twin(String),
    /// Something lies below it, and it is not a folder.
    #[error("lies below a file")]
    BelowFile,
}

/// The names of a tree so far.
#[derive(Debug)]
pub struct Twins<'p> {
    on: Target,
    hasher: RandomState,
    known: HashMap<u64, (&'p str, bool)>,
    /// The folder of the last path, and its number: files of one folder mostly come one after the other.
    last: (&'p str, u64),
}

impl<'p> Twins<'p> {
    /// For a tree to be held there.
    pub fn new(on: Target) -> Self {
        Self { on, hasher: RandomState::new(), known: HashMap::new(), last: ("", 0) }
    }

    /// Takes the path of a file or link: parts joined by `/`.
    ///
    /// # Errors
    /// What it clashes with. It is not taken then.
    pub fn add(&mut self, path: &'p str) -> Result<(), Clash> {
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let (mut at, mut number) = match folder == self.last.0 {
            true => (if folder.is_empty() { 0 } else { folder.len() + 1 }, self.last.1),
            false => (0, 0),
        };
        let whole = path;
        while let Some(end) = whole.get(at..).and_then(|rest| rest.find('/')).map(|i| at + i) {
            number = self.note(
                whole.get(at..end).unwrap_or_default(),
                whole.get(..end).unwrap_or_default(),
                number,
                true,
            )?;
            at = end + 1;
        }
        self.last = (folder, number);
        self.note(whole.get(at..).unwrap_or_default(), whole, number, false).map(drop)
    }

    fn note(&mut self, part: &str, path: &'p str, above: u64, is_folder: bool) -> Result<u64, Clash> {
        let number = self.hasher.hash_one((above, folded(part, self.on).as_ref()));
        match self.known.get(&number) {
            None => {
                self.known.insert(number, (path, is_folder));
                Ok(number)
            }
            Some((known, _)) if *known != path => match folded(known, self.on) == folded(path, self.on) {
                true => Err(Clash::Twin((*known).to_owned())),
                // Two names of one number, by chance.
                false => Ok(number),
            },
            Some((_, true)) if is_folder => Ok(number),
            Some((_, false)) if is_folder => Err(Clash::BelowFile),
            Some((_, true)) => Err(Clash::BelowFile),
            Some(_) => Err(Clash::Twice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(paths: &[&str], on: Target) -> Option<Clash> {
        let mut twins = Twins::new(on);
        paths.iter().find_map(|p| twins.add(p).err())
    }

    #[test]
    fn twins_are_found_among_files_and_folders() {
        use Target::{Archive, Darwin, Linux, Windows};
        for (paths, linux, darwin, windows) in [
            (&["a", "A", "b/c"][..], true, false, false),
            (&["N/a", "n/b"], true, false, false),
            (&["x/N/a", "x/n/b"], true, false, false),
            (&["a/b", "A"], true, false, false),
            (&["a/b", "a/c", "d", "a/d/e"], true, true, true),
            (&["a", "a"], false, false, false),
            (&["a", "a/b"], false, false, false),
            (&["a/b", "a"], false, false, false),
            (&["É", "é"], true, false, false),
            (&["stra\u{df}e", "strasse"], true, false, true),
        ] {
            for (on, fits) in
                [(Linux, linux), (Darwin, darwin), (Windows, windows), (Archive, darwin && windows)]
            {
                assert_eq!(first(paths, on).is_none(), fits, "{paths:?} on {on:?}");
            }
        }
        assert_eq!(first(&["Dir/x", "dir/y"], Archive), Some(Clash::Twin("Dir".into())));
        assert_eq!(first(&["a", "a"], Linux), Some(Clash::Twice));
        assert_eq!(first(&["a", "a/b"], Linux), Some(Clash::BelowFile));
    }

    #[cfg(feature = "unicode")]
    #[test]
    fn unicode_forms_are_one_name_on_macos() {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        for (on, fits) in [
            (Target::Darwin, false),
            (Target::Archive, false),
            (Target::Windows, true),
            (Target::Linux, true),
        ] {
            assert_eq!(first(&[composed, decomposed], on).is_none(), fits, "{on:?}");
            assert_eq!(first(&["CAFE\u{301}/a", "caf\u{e9}/b"], on).is_none(), fits, "{on:?}");
        }
    }

    proptest! {
        /// Against whole folded paths in a plain list.
        #[test]
        fn it_agrees_with_comparing_all_pairs(paths in prop::collection::vec("[aAb](/[aAb]){0,2}", 1..8)) {
            let with_folders = |p: &str| -> Vec<(String, bool)> {
                let mut out: Vec<_> = p.match_indices('/').map(|(i, _)| (p[..i].to_owned(), true)).collect();
                out.push((p.to_owned(), false));
                out
            };
            let all: Vec<_> = paths.iter().map(|p| with_folders(p)).collect();
            let clash = |(a, a_folder): &(String, bool), (b, b_folder): &(String, bool)| {
                a.to_lowercase() == b.to_lowercase() && (a != b || !(*a_folder && *b_folder))
            };
            let expected = (0..all.len()).any(|i| {
                (0..i).any(|j| all[i].iter().any(|a| all[j].iter().any(|b| clash(a, b))))
            });
            let refs: Vec<&str> = paths.iter().map(String::as_str).collect();
            prop_assert_eq!(first(&refs, Target::Darwin).is_some(), expected);
        }
    }
}
