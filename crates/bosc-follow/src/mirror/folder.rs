//! A mirror in a folder: a stick, a disk, a share.

use super::carrier::{Answer, Ask, Carrier, Connection};
use super::fault::{FaultKind, MirrorFault};
use bosc_files::open_plain;
use bytes::Bytes;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A folder with a mirror in it. Links in it are followed: nothing that is read is believed.
#[derive(Debug)]
pub struct FolderCarrier {
    folder: PathBuf,
    cancelled: AtomicBool,
}

impl FolderCarrier {
    /// Of this folder. Nothing is opened yet: a stick may come later.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), cancelled: AtomicBool::new(false) }
    }
}

impl Carrier for FolderCarrier {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn connect(&self) -> Box<dyn Connection + '_> {
        Box::new(Opened(self))
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }
}

struct Opened<'a>(&'a FolderCarrier);

impl Opened<'_> {
    fn read(&self, ask: &Ask<'_>) -> io::Result<Option<Bytes>> {
        let mut path = self.0.folder.clone();
        path.extend(ask.path.split('/'));
        let mut file = open_plain(&path)?;
        let length = file.metadata()?.len();
        let range = ask.range.clone().unwrap_or(0..length);
        let size = range.end.saturating_sub(range.start);
        if size > ask.max {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(size).read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }
}

impl Connection for Opened<'_> {
    fn get(&mut self, ask: &Ask<'_>) -> Result<Answer, MirrorFault> {
        if self.0.cancelled.load(Ordering::SeqCst) {
            return Err(MirrorFault::new(FaultKind::Unreachable, ask.path, "cancelled"));
        }
        match self.read(ask) {
            Ok(Some(bytes)) if ask.range.is_some() => Ok(Answer::Part(bytes)),
            Ok(Some(bytes)) => Ok(Answer::Whole(bytes, None)),
            Ok(None) => {
                Err(MirrorFault::new(FaultKind::TooLong, ask.path, "the file is larger than the object"))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let there = self.0.folder.is_dir();
                let why = if there { "it is not in the folder" } else { "the folder is not there" };
                Err(MirrorFault::new(FaultKind::Missing, ask.path, why))
            }
            Err(e) => Err(MirrorFault::new(FaultKind::Unreadable, ask.path, e)),
        }
    }
}
