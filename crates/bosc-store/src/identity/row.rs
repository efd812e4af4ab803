//! The row of the database that says which store this is, and how a folder is compared with it.

use super::evidence::{Copied, Evidence};
use crate::db;
use crate::disk::{FileId, MARK, Mark, Place, read_mark, same_file};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::Hash;
use std::path::Path;

/// Version of its encoding.
pub(super) const VERSION: u8 = 1;

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) machine: Option<Hash>,
    pub(super) database: FileId,
    pub(super) path: Vec<u8>,
    pub(super) marks: [Option<Mark>; 2],
    /// A random number of this copy. It stays when the store is declared to be the only one.
    pub(super) lineage: Option<[u8; 16]>,
    pub(super) copied: Option<Copied>,
}

impl Row {
    pub(super) fn here(place: &Place) -> Self {
        Self {
            machine: place.machine,
            database: place.file_id(db::FILE),
            path: place.path_bytes(),
            marks: [None, None],
            lineage: None,
            copied: None,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(256);
        e.u8(VERSION).u8(u8::from(self.machine.is_some())).raw(&self.machine.unwrap_or_default());
        self.database.encode(&mut e);
        e.buffer(&self.path);
        for mark in &self.marks {
            e.u8(u8::from(mark.is_some()));
            if let Some(mark) = mark {
                e.raw(&mark.nonce);
                mark.file.encode(&mut e);
            }
        }
        e.u8(u8::from(self.lineage.is_some()));
        if let Some(lineage) = &self.lineage {
            e.raw(lineage);
        }
        e.u8(self.copied.map_or(0, |c| c.evidence.code()));
        if let Some(c) = &self.copied {
            e.uint(u64::from(c.first_own));
        }
        e.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        if d.u8()? != VERSION {
            return Err(DecodeError::Invalid("version"));
        }
        let nonce = |d: &mut Decoder<'_>| {
            let mut nonce = [0; 16];
            for byte in &mut nonce {
                *byte = d.u8()?;
            }
            Ok::<_, DecodeError>(nonce)
        };
        let (known, machine) = (d.u8()? != 0, d.fixed32()?);
        let database = FileId::decode(&mut d)?;
        let path = d.buffer()?.to_vec();
        let mut marks = [None, None];
        for mark in &mut marks {
            if d.u8()? != 0 {
                *mark = Some(Mark { nonce: nonce(&mut d)?, file: FileId::decode(&mut d)? });
            }
        }
        let lineage = if d.u8()? == 0 { None } else { Some(nonce(&mut d)?) };
        let copied = match d.u8()? {
            0 => None,
            code => {
                let evidence = Evidence::of(code)?;
                let first_own = u32::try_from(d.uint()?).unwrap_or(u32::MAX);
                Some(Copied { evidence, first_own })
            }
        };
        Ok(Self { machine: known.then_some(machine), database, path, marks, lineage, copied })
    }

    /// What says that the store at `place` is not the one that wrote this.
    pub(super) fn evidence(&self, place: &Place) -> Option<Evidence> {
        if self.machine.zip(place.machine).is_some_and(|(then, now)| then != now) {
            return Some(Evidence::OtherMachine);
        }
        if self.database.differs(&place.file_id(db::FILE)) {
            return Some(Evidence::OtherFile);
        }
        if let Some((nonce, file)) = place.mark()
            && self.marks.iter().any(Option::is_some)
        {
            let is = |m: &Mark| match nonce {
                Some(nonce) => nonce == m.nonce && !file.differs(&m.file),
                // Never synced. The file alone tells, where files can be told.
                None => !(file.is_known() && m.file.is_known() && file.differs(&m.file)),
            };
            if !self.marks.iter().flatten().any(is) {
                return Some(Evidence::Restored);
            }
        }
        if !self.path.is_empty() && self.path != place.path_bytes() && self.is_at_old_path(place) {
            return Some(Evidence::Beside);
        }
        // What is known already need not be found anew at every opening.
        if self.copied.is_none() && place.is_linked(db::FILE) {
            return Some(Evidence::HardLinked);
        }
        None
    }

    /// Whether the folder of the row's path holds another file with one of the row's marks.
    fn is_at_old_path(&self, place: &Place) -> bool {
        let Ok(text) = std::str::from_utf8(&self.path) else { return false };
        let old = Path::new(text).join(MARK);
        let Some(Some(nonce)) = read_mark(&old) else { return false };
        self.marks.iter().flatten().any(|m| m.nonce == nonce) && !same_file(&old, &place.dir.join(MARK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_a_round_trip_and_damage_is_no_panic() {
        let id = |n| FileId { inode: Some(n), born: Some(n + 1) };
        let mark = |n| Some(Mark { nonce: [n; 16], file: id(u64::from(n)) });
        let copied = Some(Copied { evidence: Evidence::Restored, first_own: 7 });
        for (machine, marks, lineage, copied) in [
            (None, [None, None], None, None),
            (Some([3; 32]), [mark(1), mark(2)], Some([9; 16]), copied),
            (None, [None, mark(4)], Some([8; 16]), None),
        ] {
            let row = Row { machine, database: id(5), path: b"/a/store".to_vec(), marks, lineage, copied };
            let bytes = row.encode();
            assert_eq!(Row::decode(&bytes).unwrap(), row);
            for cut in 0..bytes.len() {
                assert!(Row::decode(&bytes[..cut]).is_err());
            }
        }
    }

    #[test]
    fn what_is_not_known_differs_from_nothing() {
        let id = |inode, born| FileId { inode, born };
        assert!(!id(None, None).differs(&id(Some(1), Some(2))));
        assert!(!id(Some(1), None).differs(&id(Some(1), Some(2))));
        assert!(id(Some(1), Some(2)).differs(&id(Some(3), Some(2))));
        assert!(id(Some(1), Some(2)).differs(&id(Some(1), Some(3))));
    }
}
