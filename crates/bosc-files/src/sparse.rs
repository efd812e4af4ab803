//! Zeros that take no room.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// What a file system gives room to: a hole has at least this many bytes, from a multiple of it on.
const PAGE: usize = 4096;

/// Writes bytes at the end of a new file, which has `at` of them and whose place is there: whole pages of zeros become a hole.
/// Call [`File::set_len`] in the end; a file that ends in a hole is too short until then.
///
/// # Errors
/// Of the system.
pub fn write_sparsely(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    // To the first whole page.
    let ahead = usize::try_from((PAGE as u64 - at % PAGE as u64) % PAGE as u64).unwrap_or(0);
    let (ahead, pages) = bytes.split_at_checked(ahead).unwrap_or((bytes, &[]));
    let mut data = ahead.len();
    let mut rest = bytes;
    let mut hole = 0;
    for page in pages.chunks(PAGE) {
        if page.len() < PAGE || page.iter().any(|b| *b != 0) {
            if hole > 0 {
                put(file, &mut rest, data, hole)?;
                (data, hole) = (0, 0);
            }
            data += page.len();
        } else {
            hole += PAGE;
        }
    }
    put(file, &mut rest, data, hole)
}

/// Writes the first `data` bytes of the rest and goes over the `hole` behind them.
fn put(file: &mut File, rest: &mut &[u8], data: usize, hole: usize) -> io::Result<()> {
    let (head, tail) = rest.split_at_checked(data).unwrap_or((rest, &[]));
    file.write_all(head)?;
    if hole > 0 {
        file.seek(SeekFrom::Current(i64::try_from(hole).unwrap_or(i64::MAX)))?;
    }
    *rest = tail.get(hole..).unwrap_or_default();
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_however_it_is_cut_and_zeros_take_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut whole = vec![0u8; 1 << 20];
        for at in [0, 5000, 20_000, 20_001, 300_000, 700_000] {
            whole[at] = 1;
        }
        for len in [0, 1, PAGE, 100_000, whole.len() - 1, whole.len()] {
            for step in [1 << 20, 65_536, 4096, 5000, 777, 100_001] {
                let mut file = File::create(&path).unwrap();
                let mut at = 0;
                for piece in whole[..len].chunks(step) {
                    write_sparsely(&mut file, at, piece).unwrap();
                    at += piece.len() as u64;
                }
                file.set_len(at).unwrap();
                assert!(std::fs::read(&path).unwrap() == whole[..len], "{len} in steps of {step}");
                #[cfg(target_os = "linux")]
                if len == whole.len() && step >= 65_536 {
                    let room = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
                    assert!(room < 1 << 18, "{room} bytes in steps of {step}");
                }
            }
        }
    }
}
