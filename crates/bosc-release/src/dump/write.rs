//! Writing one file: compared first, replaced at once.

use super::DumpError;
use super::plan::{DumpContext, DumpOptions, DumpPlan, WriteAction, WriteKind, plan};
use crate::diff::{ByteDiff, DiffCount};
use crate::scan::executable;
use bosc_drive::BlockSource;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_format::crypto::Hash;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was as it should be.
    Unchanged,
    /// It was written, or on a dry run would be.
    Written(ByteDiff),
}

/// Numbers temporary files within this process.
static TEMP: AtomicU64 = AtomicU64::new(0);

/// Takes a file's bytes in order. While they equal the file on disk nothing is written; the first difference starts a
/// temporary file beside it, which replaces it in [`FileWriter::finish`]. Dropped before that, it leaves the old file.
#[derive(Debug)]
pub struct FileWriter {
    context: DumpContext,
    action: WriteAction,
    state: State,
    received: u64,
}

#[derive(Debug)]
enum State {
    /// Equal to the file on disk so far.
    Comparing(File),
    Writing(Temp),
    /// A dry run, and it is known that the file differs; or no bytes are needed.
    Differs,
}

/// A file that is removed again unless it is kept.
#[derive(Debug)]
struct Temp {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl FileWriter {
    pub(super) fn open(context: &DumpContext, action: &WriteAction) -> Result<Self, DumpError> {
        let mut writer =
            Self { context: context.clone(), action: action.clone(), state: State::Differs, received: 0 };
        if action.link.is_some() || action.kind == WriteKind::Mode {
            return Ok(writer);
        }
        if action.kind == WriteKind::Compare {
            match File::open(&action.path) {
                Ok(file) => writer.state = State::Comparing(file),
                Err(e) if e.kind() == ErrorKind::NotFound => writer.start()?,
                Err(e) => return Err(DumpError::io(&action.path)(e)),
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
            State::Differs => Ok(()),
            State::Writing(temp) => temp.file.write_all(bytes).map_err(io),
            State::Comparing(file) => {
                if equal_next(file, bytes).map_err(io)? {
                    return Ok(());
                }
                self.start()?;
                if let State::Writing(temp) = &mut self.state {
                    let path = &self.action.path;
                    let old = File::open(path).map_err(DumpError::io(path))?;
                    let copied =
                        io::copy(&mut old.take(before), &mut temp.file).map_err(DumpError::io(path))?;
                    if copied != before {
                        return Err(DumpError::io(path)(io::Error::other(
                            "the file changed while it was compared",
                        )));
                    }
                    temp.file.write_all(bytes).map_err(DumpError::io(path))?;
                }
                Ok(())
            }
        }
    }

    /// All bytes came: puts the file, link or executable bit in its place.
    pub fn finish(self) -> Result<Outcome, DumpError> {
        let action = &self.action;
        if action.content().is_some() && self.received != action.size {
            return Err(self.wrong_size());
        }
        let mut diff = action.diff();
        if let State::Comparing(_) = self.state {
            let meta = fs::metadata(&action.path).map_err(DumpError::io(&action.path))?;
            match executable(&meta) {
                Some(now) if now != action.entry.value.executable => {
                    diff = Some(ByteDiff::change(&action.entry.key, 0, 0));
                }
                _ => return Ok(Outcome::Unchanged),
            }
        }
        let diff = diff.unwrap_or_else(|| action.changed());
        if self.context.dry_run {
            return Ok(Outcome::Written(diff));
        }
        match (self.state, &action.link) {
            (State::Writing(temp), _) => replace(&self.context, temp, &action.path)?,
            (_, Some(text)) => {
                make_way(&self.context, &action.path, true)?;
                link(&self.context, action, text)?;
            }
            _ => set_executable(&action.path, action.entry.value.executable)?,
        }
        Ok(Outcome::Written(diff))
    }

    fn wrong_size(&self) -> DumpError {
        DumpError::Size { path: self.action.path.clone(), expected: self.action.size, got: self.received }
    }

    /// Starts the temporary file.
    fn start(&mut self) -> Result<(), DumpError> {
        self.state = State::Differs;
        if !self.context.dry_run {
            make_way(&self.context, &self.action.path, false)?;
            self.state = State::Writing(temp_file(&self.action.path, self.action.entry.value.executable)?);
        }
        Ok(())
    }
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

/// Makes the folders of `path` and removes what stands where the file goes, except a file, which is replaced.
/// Symlinks on the way are removed where that is allowed and never walked through; for a link itself they only block.
fn make_way(context: &DumpContext, path: &Path, for_link: bool) -> Result<(), DumpError> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).take_while(|p| *p != context.root).collect();
    folders.reverse();
    match fs::create_dir_all(&context.root) {
        Ok(()) => {}
        Err(e) => return Err(DumpError::io(&context.root)(e)),
    }
    for folder in folders {
        match fs::symlink_metadata(folder) {
            Ok(meta) if meta.is_dir() => continue,
            Ok(_) if !context.may_remove || for_link => return Err(DumpError::Blocked(folder.to_owned())),
            Ok(_) => fs::remove_file(folder).map_err(DumpError::io(folder))?,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(DumpError::io(folder)(e)),
        }
        fs::create_dir(folder).map_err(DumpError::io(folder))?;
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            remove_empty_folders(path).map_err(|_| DumpError::Blocked(path.to_owned()))
        }
        Ok(_) if for_link => fs::remove_file(path).map_err(DumpError::io(path)),
        // Windows does not rename over a symlink to a folder.
        Ok(meta) if meta.is_symlink() => fs::remove_file(path).map_err(DumpError::io(path)),
        _ => Ok(()),
    }
}

/// Removes a folder that holds nothing but folders.
fn remove_empty_folders(path: &Path) -> io::Result<()> {
    for item in fs::read_dir(path)? {
        let item = item?;
        if !item.file_type()?.is_dir() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        remove_empty_folders(&item.path())?;
    }
    fs::remove_dir(path)
}

fn temp_file(path: &Path, executable: bool) -> Result<Temp, DumpError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if executable { 0o777 } else { 0o666 });
    }
    let _ = executable;
    loop {
        let number = TEMP.fetch_add(1, Ordering::Relaxed);
        let temp = folder.join(format!(".bosc-{}-{number}.tmp", std::process::id()));
        match options.open(&temp) {
            Ok(file) => return Ok(Temp { file, path: temp, kept: false }),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(DumpError::io(&temp)(e)),
        }
    }
}

fn replace(context: &DumpContext, mut temp: Temp, path: &Path) -> Result<(), DumpError> {
    if context.fsync {
        temp.file.sync_all().map_err(DumpError::io(&temp.path))?;
    }
    fs::rename(&temp.path, path).map_err(DumpError::io(path))?;
    temp.kept = true;
    #[cfg(unix)]
    if context.fsync {
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(DumpError::io(folder))?;
    }
    Ok(())
}

fn set_executable(path: &Path, executable: bool) -> Result<(), DumpError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = fs::metadata(path).map_err(DumpError::io(path))?.permissions();
        let mode = permissions.mode();
        // Whoever may read it may run it.
        permissions.set_mode(if executable { mode | ((mode & 0o444) >> 2) } else { mode & !0o111 });
        fs::set_permissions(path, permissions).map_err(DumpError::io(path))?;
    }
    let _ = (path, executable);
    Ok(())
}

#[cfg(unix)]
fn link(_: &DumpContext, action: &WriteAction, text: &str) -> Result<(), DumpError> {
    std::os::unix::fs::symlink(text, &action.path).map_err(DumpError::io(&action.path))
}

/// Windows lets only some users make symlinks. A link to a file then becomes a copy of it; all files are written before
/// the first link.
#[cfg(not(unix))]
fn link(context: &DumpContext, action: &WriteAction, text: &str) -> Result<(), DumpError> {
    let target = action.path.parent().unwrap_or(&context.root).join(text.replace('/', "\\"));
    let folder = fs::metadata(&target).is_ok_and(|m| m.is_dir());
    let made = symlink(text, folder, &action.path);
    let copied = match made {
        Err(_) if !folder && target.is_file() => fs::copy(&target, &action.path).map(drop),
        other => other,
    };
    copied.map_err(DumpError::io(&action.path))
}

#[cfg(windows)]
fn symlink(text: &str, folder: bool, path: &Path) -> io::Result<()> {
    let text = text.replace('/', "\\");
    if folder {
        std::os::windows::fs::symlink_dir(text, path)
    } else {
        std::os::windows::fs::symlink_file(text, path)
    }
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &str, _: bool, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Dumps a drive whose blocks are all here. `on` is told of every difference.
pub fn dump<D: BlockSource + Clone, B: BlockSource>(
    root: &Path,
    drive: &Drive<D>,
    blobs: &B,
    leaf: impl Fn(u64) -> Option<Hash>,
    options: &DumpOptions,
    on: &mut dyn FnMut(&ByteDiff),
) -> Result<DiffCount, DumpError> {
    let entries = drive.list("/")?.collect::<Result<Vec<DriveEntry>, _>>()?;
    let mut plan: DumpPlan = plan(root, &entries, blobs, leaf, options)?;
    plan.remove(on)?;
    let mut count = plan.count;
    for action in &plan.writes {
        let mut writer = plan.open(action)?;
        let content = action.content().filter(|_| !options.dry_run || action.kind == WriteKind::Compare);
        if let Some(id) = content {
            for bytes in BlobReader::new(blobs, id) {
                writer.push(&bytes?)?;
            }
        }
        let outcome = if options.dry_run && content.is_none() {
            action.diff().map_or(Outcome::Unchanged, Outcome::Written)
        } else {
            writer.finish()?
        };
        if let Outcome::Written(diff) = outcome {
            count.count(&diff);
            on(&diff);
        }
    }
    Ok(count)
}
