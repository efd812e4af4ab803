//! `SEQ`: the number of the last commit that was made in this folder, outside of the database.
//!
//! A database with a lower number is an older one, put back from a backup; see [`crate::folder_state`]. The file has two
//! slots of a sector each, used in turn: the number and its complement, both as `u64le`. It is written after a commit
//! is durable and never synced, so a crash leaves it at this commit or an earlier one, never at one that the database
//! does not have. It never fails an operation.

use crate::disk::{Disk, DiskFile};
use std::sync::{Arc, Mutex, PoisonError};

/// Its name.
pub(crate) const FILE: &str = "SEQ";
/// A write within one sector arrives whole or not at all.
const SLOT: u64 = 512;

/// The file, opened when it is first written.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    file: Mutex<Option<Arc<dyn DiskFile>>>,
}

/// The number in the file, if there is one.
pub(crate) fn read(disk: &dyn Disk) -> Option<u64> {
    let file = disk.open(FILE, false).ok()??;
    (0..2).filter_map(|slot| read_slot(&*file, slot)).max()
}

fn read_slot(file: &dyn DiskFile, slot: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    file.read_at(slot * SLOT, &mut bytes).ok()?;
    let (number, complement) = bytes.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    (complement == (!number).to_le_bytes()).then_some(number)
}

impl Sequence {
    /// Remembers that commit `seq` is durable.
    pub(crate) fn note(&self, disk: &dyn Disk, seq: u64) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = disk.open(FILE, true).ok().flatten();
        }
        let Some(file) = &*file else { return };
        let mut bytes = [0; 16];
        let (number, complement) = bytes.split_at_mut(8);
        number.copy_from_slice(&seq.to_le_bytes());
        complement.copy_from_slice(&(!seq).to_le_bytes());
        // Nothing is lost when it cannot be written: an older number is not a wrong one.
        let _ = file.write_at(seq % 2 * SLOT, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn a_damaged_slot_leaves_the_other() {
        let disk = MemoryDisk::new();
        assert_eq!(read(&disk), None);
        let s = Sequence::default();
        for seq in [1, 2, 7, 8, 9] {
            s.note(&disk, seq);
            assert_eq!(read(&disk), Some(seq));
        }
        let file = disk.open(FILE, false).unwrap().unwrap();
        file.write_at(SLOT, &[1]).unwrap();
        assert_eq!(read(&disk), Some(8));
        file.set_len(5).unwrap();
        assert_eq!(read(&disk), None);
    }
}
