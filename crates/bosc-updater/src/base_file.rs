//! A file of this disk that a patch starts from.

use bosc_delta::Base;
use bosc_files::open_plain;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes read at once.
const READ: usize = 1 << 20;

/// A plain file. What is read of it may change under us: whoever uses what is made of it proves that.
#[derive(Debug)]
pub(crate) struct BaseFile {
    file: RefCell<File>,
    len: u64,
}

impl BaseFile {
    /// Opens it and gives all of it to `each`, which ends that with an error. `None` when it cannot be read.
    pub(crate) fn measured<E>(
        path: &Path,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let Ok(mut file) = open_plain(path) else { return Ok(None) };
        let (mut len, mut part) = (0u64, vec![0; READ]);
        loop {
            match file.read(&mut part) {
                Ok(0) => break,
                Ok(n) => {
                    each(part.get(..n).unwrap_or_default())?;
                    len = len.saturating_add(n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(Self { file: RefCell::new(file), len }))
    }
}

impl Base for BaseFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(into)
    }
}
