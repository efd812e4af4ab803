//! Whether a length of a drive is one of its versions.
//!
//! The blocks of a batch are appended together and only the last one holds the whole tree. At a length inside a batch the
//! tree shows some files and hides others, and a quorum that signed it would release exactly that. Looking at the last
//! block is not enough: inside a batch blocks may hold parts of the tree. So the tree must show, of every key, exactly the
//! last operation up to that length.

use crate::engine::drive::CoreSource;
use bosc_drive::Error;
use bosc_drive::bee::{Bee, KeyRange};
use std::collections::HashMap;

/// Checks that the db has a whole tree at `length`. Reads all of it.
///
/// # Errors
/// [`Error::NotAVersion`]; [`Error::Missing`] for blocks that are not here.
pub(super) fn check_version(source: CoreSource, length: u64) -> Result<(), Error> {
    if length <= 1 {
        return Ok(());
    }
    let bee = Bee::checkout(source, length);
    let mut newest = HashMap::new();
    for operation in bee.history(1) {
        let operation = operation?;
        newest.insert(operation.entry.key, (operation.entry.seq, operation.entry.value.is_some()));
    }
    let mut shown = 0usize;
    for entry in bee.range(KeyRange::all()) {
        let entry = match entry {
            Err(Error::Missing(n)) => return Err(Error::Missing(n)),
            // Half a tree does not even hold together.
            Err(_) => return Err(Error::NotAVersion(length)),
            Ok(entry) => entry,
        };
        if newest.get(&entry.key).is_none_or(|(seq, _)| *seq != entry.seq) {
            return Err(Error::NotAVersion(length));
        }
        // What was put as null looks like a deletion where it was written, so only values are counted.
        shown += usize::from(entry.value.is_some());
    }
    if newest.values().filter(|(_, valued)| *valued).count() == shown {
        Ok(())
    } else {
        Err(Error::NotAVersion(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_drive::drive::{DriveBatch, EntryValue};
    use bosc_store::{Core, CreateOptions, Options, Store};

    fn batch(core: &Core, change: impl FnOnce(&mut DriveBatch<CoreSource>)) {
        let mut b = DriveBatch::new(CoreSource::new(core));
        change(&mut b);
        let blocks: Vec<_> = b.into_blocks().into_iter().map(Into::into).collect();
        core.append(&blocks).unwrap();
    }

    #[test]
    fn only_the_ends_of_batches_are_versions() {
        let store = Store::memory(Options::default()).unwrap();
        let core = store.create_core(CreateOptions::named("db")).unwrap();
        let mut ends = vec![];
        for round in 0..4u8 {
            batch(&core, |b| {
                for i in 0..30 {
                    b.put(&format!("/{}/{i}", (i * 7) % 5), &EntryValue::symlink(format!("{round}")))
                        .unwrap();
                }
                if round == 2 {
                    for i in 0..10 {
                        b.del(&format!("/{}/{i}", (i * 7) % 5)).unwrap();
                    }
                }
            });
            ends.push(core.length());
        }
        for length in 2..=core.length() {
            let outcome = check_version(CoreSource::cut(&core, length), length);
            assert_eq!(outcome.is_ok(), ends.contains(&length), "{length}: {outcome:?}, ends {ends:?}");
        }
    }
}
