//! Writing one file: compared first, replaced at once.

use super::actions::{DumpContext, DumpOptions, DumpPlan, WriteAction, WriteKind};
use super::plan::plan;
use super::request::DumpError;
use super::root::{Root, Way};
use crate::folder::diff::{ByteDiff, DiffCount};
use bosc_drive::BlockSource;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_files::{Dir, Durability, Meta, Pending, Replace, random_name, write_sparsely};
use bosc_format::crypto::Hash;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::sync::Arc;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// It was as it should be.
    Unchanged,
    /// It was written, or on a dry run would be.
    Written(ByteDiff),
}

/// Takes a file's bytes in order. While they equal the file on disk nothing is written; the first difference starts a
/// temporary file beside it, which replaces it in [`FileWriter::finish`]. Dropped before that, it leaves the old file.
#[derive(Debug)]
pub struct FileWriter {
    context: DumpContext,
    action: WriteAction,
    state: WriteState,
    received: u64,
}

#[derive(Debug)]
enum WriteState {
    /// Equal to the file on disk so far.
    Comparing(File),
    Writing(Pending),
    /// A dry run, and it is known that the file differs; or no bytes are needed.
    Differs,
}

impl FileWriter {
    pub(super) fn open(context: &DumpContext, action: &WriteAction) -> Result<Self, DumpError> {
        let mut writer = Self {
            context: context.clone(),
            action: action.clone(),
            state: WriteState::Differs,
            received: 0,
        };
        if action.link.is_some() || action.kind == WriteKind::Mode {
            return Ok(writer);
        }
        if action.kind == WriteKind::Compare {
            match writer.there()? {
                Some(file) => writer.state = WriteState::Comparing(file),
                None => writer.start()?,
            }
        } else {
            writer.start()?;
        }
        Ok(writer)
    }

    /// The next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        let io = DumpError::io(&self.action.path);
        let before = self.received;
        self.received = before.saturating_add(bytes.len() as u64);
        if self.received > self.action.size {
            return Err(self.wrong_size());
        }
        match &mut self.state {
            WriteState::Differs => Ok(()),
            WriteState::Writing(new) => write_sparsely(new.file(), before, bytes).map_err(io),
            WriteState::Comparing(file) => {
                if equal_next(file, bytes).map_err(io)? {
                    return Ok(());
                }
                let mut old = file.try_clone().map_err(DumpError::io(&self.action.path))?;
                self.start()?;
                if let WriteState::Writing(new) = &mut self.state {
                    let io = || DumpError::io(&self.action.path);
                    old.rewind().map_err(io())?;
                    copy_start(&mut old, before, new.file()).map_err(io())?;
                    write_sparsely(new.file(), before, bytes).map_err(io())?;
                }
                Ok(())
            }
        }
    }

    /// All bytes came: puts the file, link or executable bit in its place.
    pub fn finish(self) -> Result<FileOutcome, DumpError> {
        let action = &self.action;
        if action.content().is_some() && self.received != action.size {
            return Err(self.wrong_size());
        }
        let mut diff = action.diff();
        if let WriteState::Comparing(file) = &self.state {
            let meta = file.metadata().map_err(DumpError::io(&action.path))?;
            match Meta::from(&meta).executable() {
                Some(now) if now != action.entry.value.executable => {
                    diff = Some(ByteDiff::change(&action.entry.key, 0, 0));
                }
                _ => return Ok(FileOutcome::Unchanged),
            }
        }
        let diff = diff.unwrap_or_else(|| action.changed());
        if self.context.dry_run {
            return Ok(FileOutcome::Written(diff));
        }
        let (folder, name) = action.split();
        match (self.state, &action.link) {
            (WriteState::Writing(mut new), _) => {
                let dir = self.context.root.make_way(folder, self.context.removable())?;
                clear(&self.context, action, &dir, name)?;
                // It may end in a hole.
                new.file().set_len(self.received).map_err(DumpError::io(&action.path))?;
                new.commit().map_err(DumpError::io(&action.path))?;
            }
            (_, Some(text)) => {
                let dir = self.context.root.make_way(folder, self.context.removable())?;
                clear(&self.context, action, &dir, name)?;
                link(action, &dir, name, text).map_err(DumpError::io(&action.path))?;
            }
            _ => {
                let Way::Open(dir) = self.context.root.way(folder)? else {
                    return Err(DumpError::io(&action.path)(ErrorKind::NotFound.into()));
                };
                set_executable(&dir, name, action.entry.value.executable)
                    .map_err(DumpError::io(&action.path))?;
            }
        }
        Ok(FileOutcome::Written(diff))
    }

    fn wrong_size(&self) -> DumpError {
        DumpError::Size { path: self.action.path.clone(), expected: self.action.size, got: self.received }
    }

    /// The file on disk; `None` when there is none any more.
    fn there(&self) -> Result<Option<File>, DumpError> {
        let (folder, name) = self.action.split();
        let Way::Open(dir) = self.context.root.way(folder)? else { return Ok(None) };
        match dir.open_file(name) {
            Ok(file) => Ok(Some(file)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
            Err(e) => Err(DumpError::io(&self.action.path)(e)),
        }
    }

    /// Starts the new file.
    fn start(&mut self) -> Result<(), DumpError> {
        self.state = WriteState::Differs;
        if !self.context.dry_run {
            let (folder, name) = self.action.split();
            let dir = self.context.root.make_way(folder, self.context.removable())?;
            let durability = if self.context.fsync { Durability::Disk } else { Durability::Process };
            let mode = if self.action.entry.value.executable { 0o777 } else { 0o666 };
            let new = Replace::new(durability).mode(mode).begin(&dir, name);
            self.state = WriteState::Writing(new.map_err(DumpError::io(&self.action.path))?);
        }
        Ok(())
    }
}

/// Copies the first `len` bytes of a file.
fn copy_start(from: &mut File, len: u64, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while at < len {
        let most = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        let n = from.read(buffer.get_mut(..most).unwrap_or_default())?;
        if n == 0 {
            return Err(io::Error::other("the file changed while it was compared"));
        }
        write_sparsely(to, at, buffer.get(..n).unwrap_or_default())?;
        at += n as u64;
    }
    Ok(())
}

/// Whether the next bytes of a file are `bytes`.
fn equal_next(file: &mut File, bytes: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    let mut rest = bytes;
    while !rest.is_empty() {
        let want = rest.len().min(buffer.len());
        let Some(room) = buffer.get_mut(..want) else { return Ok(false) };
        match file.read_exact(room) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
        let (head, tail) = rest.split_at_checked(want).unwrap_or((rest, &[]));
        if head != room {
            return Ok(false);
        }
        rest = tail;
    }
    Ok(true)
}

/// Moves a folder out of the way of a file or link. Files and links are replaced.
fn clear(context: &DumpContext, action: &WriteAction, dir: &Arc<Dir>, name: &str) -> Result<(), DumpError> {
    let Ok(meta) = dir.metadata(name) else { return Ok(()) };
    if meta.is_link() && cfg!(windows) {
        // Windows does not rename over a symlink to a folder.
        return dir.remove_file(name).map_err(DumpError::io(&action.path));
    }
    if !meta.is_folder() || dir.remove_hollow(name).is_ok() {
        return Ok(());
    }
    match context.removable().filter(|s| s.takes(&action.entry.key)) {
        Some(_) => context.root.move_aside(dir, name, &action.entry.key),
        None => Err(DumpError::Blocked(action.path.clone())),
    }
}

fn set_executable(dir: &Dir, name: &str, executable: bool) -> io::Result<()> {
    let mode = dir.metadata(name)?.mode;
    // Whoever may read it may run it.
    dir.set_mode(name, if executable { mode | ((mode & 0o444) >> 2) } else { mode & !0o111 })
}

/// Makes a link under another name first, so that what it replaces is never missing.
///
/// Windows lets only some users make symlinks. A link to a file then becomes a copy of it; all files are written before
/// the first link.
fn link(action: &WriteAction, dir: &Dir, name: &str, text: &str) -> io::Result<()> {
    let temp = random_name(".bosc-", ".tmp")?;
    let made = if cfg!(unix) {
        dir.symlink(OsStr::new(text), &temp, false)
    } else {
        let text = text.replace('/', "\\");
        let target = action.path.parent().unwrap_or(dir.path()).join(&text);
        let folder = target.is_dir();
        match dir.symlink(OsStr::new(&text), &temp, folder) {
            Err(_) if !folder && target.is_file() => std::fs::copy(&target, dir.path().join(&temp)).map(drop),
            other => other,
        }
    };
    let placed = made.and_then(|()| dir.rename(&temp, dir, name));
    if placed.is_err() {
        let _ = dir.remove_file(&temp);
    }
    placed
}

/// Dumps a drive whose blocks are all here. `on` is told of every difference.
pub fn dump<D: BlockSource + Clone, B: BlockSource>(
    root: &Root,
    drive: &Drive<D>,
    blobs: &B,
    leaf: impl Fn(u64) -> Option<Hash>,
    options: &DumpOptions,
    on: &mut dyn FnMut(&ByteDiff),
) -> Result<DiffCount, DumpError> {
    let entries = drive.list("/")?.collect::<Result<Vec<DriveEntry>, _>>()?;
    let mut plan: DumpPlan = plan(root, &entries, blobs, leaf, options)?;
    let writes = std::mem::take(&mut plan.writes);
    for action in &writes {
        let mut writer = plan.open(action)?;
        let content = action.content().filter(|_| !options.dry_run || action.kind == WriteKind::Compare);
        if let Some(id) = content {
            for bytes in BlobReader::new(blobs, id) {
                writer.push(&bytes?)?;
            }
        }
        let outcome = if options.dry_run && content.is_none() {
            action.diff().map_or(FileOutcome::Unchanged, FileOutcome::Written)
        } else {
            writer.finish()?
        };
        if let FileOutcome::Written(diff) = outcome {
            plan.count.count(&diff);
            on(&diff);
        }
    }
    plan.prune(on)?;
    Ok(plan.count)
}

impl DumpPlan {
    /// A writer for one of the actions.
    pub fn open(&self, action: &WriteAction) -> Result<FileWriter, DumpError> {
        FileWriter::open(&self.context, action)
    }
}
