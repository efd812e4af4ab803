//! What this store signed with operators' keys: of each key the last record, in `operators/<key>` in the store's folder.
//!
//! Invariants:
//! * A record is on the disk before it is put into the DHT, in one step: a kill leaves the one before or this one.
//! * It is never replaced by one of the same or a lower version, nor by one about another link.
//! * What is damaged is not taken for nothing: the counter would begin anew.

use super::signed::{MAX_BYTES, Spoken, from_bytes, to_bytes};
use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, Replace};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use std::path::{Path, PathBuf};

/// Its folder in the store.
pub(crate) const FOLDER: &str = "operators";

/// The records of a store. Whoever writes is alone (`Engine::speaking`).
pub(crate) struct Book {
    folder: PathBuf,
}

impl Book {
    pub(crate) fn of(store: &Path) -> Self {
        Self { folder: store.join(FOLDER) }
    }

    fn path(&self, key: &PublicKey) -> PathBuf {
        self.folder.join(id::encode(key))
    }

    /// What was signed last with a key.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub(crate) fn last(&self, key: &PublicKey) -> Result<Option<Spoken>, CommandError> {
        let path = self.path(key);
        let damaged = || {
            CommandError::new(ErrorKind::Store, "ERR_STORE_DAMAGED", format!("{} is damaged", path.display())).hint(
                "put it back from a backup of the store; without one, move it aside when `bosc policy show LINK` shows this \
                 operator's last statement: the counter goes on from there",
            )
        };
        let bytes = match bosc_files::read_bounded(&path, MAX_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => return Err(damaged().because(e)),
            Err(e) => {
                let message = format!("{} cannot be read", path.display());
                return Err(CommandError::new(ErrorKind::Store, "ERR_STORE", message)
                    .because(e)
                    .hint("check the folder of the store, its disk and its permissions"));
            }
        };
        let spoken = from_bytes(&bytes).map_err(|e| damaged().because(e))?;
        if spoken.record.key() != key {
            return Err(damaged());
        }
        Ok(Some(spoken))
    }

    /// Keeps what was signed, before anybody sees it.
    ///
    /// # Errors
    /// It does not follow what is kept, or cannot be written.
    pub(crate) fn keep(&self, spoken: &Spoken) -> Result<(), CommandError> {
        let key = spoken.record.key();
        if let Some(last) = self.last(key)? {
            refuse_other_link(&last, &spoken.statement.statement().link)?;
            if last.record.seq() >= spoken.record.seq() {
                return Err(behind());
            }
        }
        let path = self.path(key);
        let how = Replace::new(Durability::Disk).private().make_private_folders();
        how.write(&path, &to_bytes(spoken)).map_err(|e| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", format!("{} cannot be written", path.display()))
                .because(e)
                .hint("check the folder of the store, its disk and its permissions; nothing was said")
        })
    }
}

/// Something was signed with this key meanwhile.
pub(crate) fn behind() -> CommandError {
    CommandError::new(
        ErrorKind::Failed,
        "ERR_STATEMENT_BEHIND",
        "another statement was signed with this key meanwhile",
    )
    .hint("run the command again: it goes on from what stands now")
}

/// A key speaks for one link: the last record replaces all before it.
pub(crate) fn refuse_other_link(last: &Spoken, link: &[u8; 32]) -> Result<(), CommandError> {
    let other = last.statement.statement().link;
    if other == *link { Ok(()) } else { Err(speaks_for(&other)) }
}

pub(crate) fn speaks_for(other: &[u8; 32]) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_KEY_IN_USE",
        format!("this key speaks for another link: {}", PearLink::new(*other)),
    )
    .hint("make a key for this link with `bosc keys operator NAME`, and name it in the rules of the next release")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::signed::sign;
    use super::*;
    use bosc_format::crypto::KeyPair;
    use bosc_policy::Statement;

    fn spoken(seed: u8, link: u8, counter: u64) -> Spoken {
        let statement = Statement { link: [link; 32], counter, time: 5, newest: None, versions: vec![] };
        sign(&statement, &KeyPair::from_seed(&[seed; 32])).unwrap()
    }

    #[test]
    fn a_counter_never_goes_back_and_a_key_speaks_for_one_link() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::of(dir.path());
        let key = *spoken(1, 9, 1).record.key();
        assert_eq!(book.last(&key).unwrap(), None);
        book.keep(&spoken(1, 9, 5)).unwrap();
        for counter in [1, 4, 5] {
            assert_eq!(book.keep(&spoken(1, 9, counter)).unwrap_err().code(), "ERR_STATEMENT_BEHIND");
        }
        assert_eq!(book.keep(&spoken(1, 8, 6)).unwrap_err().code(), "ERR_KEY_IN_USE");
        assert_eq!(book.last(&key).unwrap(), Some(spoken(1, 9, 5)));
        // Another key is another matter, and another process finds the same.
        book.keep(&spoken(2, 8, 1)).unwrap();
        Book::of(dir.path()).keep(&spoken(1, 9, 6)).unwrap();
        assert_eq!(book.last(&key).unwrap(), Some(spoken(1, 9, 6)));
    }

    #[test]
    fn what_is_damaged_or_of_another_key_is_not_taken_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::of(dir.path());
        book.keep(&spoken(1, 9, 5)).unwrap();
        let path = book.path(spoken(1, 9, 5).record.key());
        let whole = std::fs::read(&path).unwrap();
        let other = to_bytes(&spoken(2, 9, 9));
        for bytes in [&whole[..whole.len() - 1], &[], &vec![0; 5_000], &other] {
            std::fs::write(&path, bytes).unwrap();
            let key = *spoken(1, 9, 5).record.key();
            assert_eq!(book.last(&key).unwrap_err().code(), "ERR_STORE_DAMAGED");
            assert_eq!(book.keep(&spoken(1, 9, 6)).unwrap_err().code(), "ERR_STORE_DAMAGED");
        }
    }
}
