//! Reading ahead: one thread reads and cuts files in order, others hash large pieces, the caller takes the results in
//! the same order.
//!
//! ```text
//! jobs -> [reader] --items, in order--------------> caller
//!             \--- pieces of 128 KiB and more ---> [hashers] --/
//! ```
//! Before the first piece of a file the reader looks at its first bytes, and then at all that passes: what must not be
//! published ends the stage ([`crate::secrets`]). That is why a file is read to its end even when the caller wants no more
//! of it. A file without a size that has content (`/proc`) is read to its end, which is bounded.
//!
//! The reader waits while more than the budget is read and not yet given back, so memory is bounded whatever the files.

use crate::folder::scan::FileStat;
use crate::secrets::{ContentVerdict, FileLook, HEAD, KeysInUse};
use bosc_drive::chunker::{ChunkBuffer, MIN_CHUNK};
use bosc_files::open_plain;
use bosc_format::crypto::{Hash, leaf_hash};
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// Pieces smaller than this are hashed by the reader: handing them over costs more.
const HASH_INLINE: usize = 128 * 1024;
/// Bytes read at once.
const READ: usize = 256 * 1024;
/// Items between reader and caller.
const ITEMS: usize = 256;
/// Most bytes of a file that says it has none.
const SIZELESS_MAX: u64 = 64 << 20;

/// Where to cut a file.
#[derive(Debug, Clone)]
pub(super) enum Cut {
    /// By content.
    Content,
    /// At these sizes, one after the other; what is left after them is one more piece.
    At(Vec<u64>),
}

/// A file to read.
#[derive(Debug)]
pub(super) struct Job {
    /// Number of the job, rising.
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// What the file must still be.
    pub(super) stat: FileStat,
    pub(super) cut: Cut,
}

/// What reading a file gives, piece by piece.
#[derive(Debug)]
pub(super) enum ReadItem {
    Piece(Bytes, Hash),
    /// What the file tells, unless that is nothing. What its first bytes do comes before all pieces, what is found behind
    /// them before its end.
    Looked(ContentVerdict),
    /// The file ended, or reading it was given up because it was cancelled.
    End,
    Failed(io::Error),
    /// The file is no longer what it was.
    Unstable,
}

enum PieceSent {
    Ready(ReadItem),
    /// The hash comes through the channel.
    Hashing(Bytes, Receiver<Hash>),
}

/// Bytes between reader and caller.
#[derive(Debug, Default)]
struct Budget {
    used: Mutex<(usize, bool)>,
    freed: Condvar,
}

impl Budget {
    /// Takes `n` bytes; waits unless nothing is taken. `false` when the pipeline is closing.
    fn take(&self, n: usize, limit: usize) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while !used.1 && used.0 > 0 && used.0 + n > limit {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        used.0 += n;
        !used.1
    }

    fn give(&self, n: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.0 = used.0.saturating_sub(n);
        self.freed.notify_all();
    }

    fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.freed.notify_all();
    }
}

/// The caller's end. Dropping it stops the threads.
pub(super) struct Pipeline {
    jobs: Option<Sender<Job>>,
    items: Receiver<PieceSent>,
    budget: Arc<Budget>,
    cancelled: Arc<AtomicU64>,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.jobs = None;
        self.budget.close();
    }
}

impl Pipeline {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        hashers: usize,
        limit: usize,
        keys: &'scope KeysInUse,
    ) -> io::Result<Self> {
        let (jobs, job_queue) = channel();
        let (item_sender, items) = sync_channel(ITEMS);
        let (hash_sender, hash_queue) = channel::<(Bytes, Sender<Hash>)>();
        let hash_queue = Arc::new(Mutex::new(hash_queue));
        let (budget, cancelled) = (Arc::new(Budget::default()), Arc::new(AtomicU64::new(0)));
        for i in 0..hashers {
            let queue = Arc::clone(&hash_queue);
            spawn(scope, format!("hash {i}"), move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((bytes, answer)) = next else { return };
                    let _ = answer.send(leaf_hash(&bytes));
                }
            })?;
        }
        let mut reader = FileReader {
            items: item_sender,
            hashers: (hashers > 0).then_some(hash_sender),
            budget: Arc::clone(&budget),
            cancelled: Arc::clone(&cancelled),
            limit,
            keys,
        };
        spawn(scope, "read".into(), move || {
            while let Ok(job) = job_queue.recv() {
                if !reader.file(&job) {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), items, budget, cancelled })
    }

    pub(super) fn submit(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The reader ends only after the caller; what it does not take comes back as an item that failed.
            let _ = jobs.send(job);
        }
    }

    /// The next item of the oldest file not finished.
    pub(super) fn next(&self) -> ReadItem {
        let gone = || ReadItem::Failed(io::Error::other("the reading thread ended"));
        match self.items.recv() {
            Ok(PieceSent::Ready(item)) => item,
            Ok(PieceSent::Hashing(bytes, hash)) => match hash.recv() {
                Ok(hash) => ReadItem::Piece(bytes, hash),
                Err(_) => gone(),
            },
            Err(_) => gone(),
        }
    }

    /// Gives back the bytes of a piece that is no longer held.
    pub(super) fn release(&self, bytes: usize) {
        self.budget.give(bytes);
    }

    /// Asks the reader to stop reading the file of this job. Pieces may still come before its end.
    pub(super) fn cancel(&self, job: u64) {
        self.cancelled.store(job, Ordering::Relaxed);
    }
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: String,
    f: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    std::thread::Builder::new().name(name).spawn_scoped(scope, f)
}

struct FileReader<'k> {
    items: SyncSender<PieceSent>,
    hashers: Option<Sender<(Bytes, Sender<Hash>)>>,
    budget: Arc<Budget>,
    cancelled: Arc<AtomicU64>,
    limit: usize,
    keys: &'k KeysInUse,
}

/// The caller is gone.
struct Closed;

impl FileReader<'_> {
    /// Reads one file; `false` when there is nobody to read for.
    fn file(&mut self, job: &Job) -> bool {
        let send = |v| self.items.send(PieceSent::Ready(ReadItem::Looked(v))).map_err(|_| Closed);
        let cancelled = || self.cancelled.load(Ordering::Relaxed) == job.number;
        let looked = RefCell::new(None::<FileLook<'_>>);
        let look = |head: &[u8]| {
            let file = FileLook::new(&job.path, head, job.stat.size, self.keys)?;
            let told = file.told();
            *looked.borrow_mut() = Some(file);
            Ok(if told == ContentVerdict::Plain { Ok(()) } else { send(told) })
        };
        let mut sink = |piece: Bytes| {
            let found = looked.borrow_mut().as_mut().and_then(|file| file.feed(&piece));
            if let Some(secret) = found {
                send(ContentVerdict::Secret(secret))?;
            }
            if cancelled() { Ok(()) } else { self.piece(piece) }
        };
        let enough = || cancelled() && !looked.borrow().as_ref().is_some_and(FileLook::is_searched);
        let read = read_file(job, &mut sink, enough, look);
        let last = match read {
            Ok(Ok(true)) => {
                if let Some(file) = looked.into_inner() {
                    let (told, all) = (file.told(), file.end());
                    if all != told && send(all).is_err() {
                        return false;
                    }
                }
                ReadItem::End
            }
            Ok(Ok(false)) => ReadItem::Unstable,
            Ok(Err(Closed)) => return false,
            Err(e) => ReadItem::Failed(e),
        };
        self.items.send(PieceSent::Ready(last)).is_ok()
    }

    fn piece(&self, bytes: Bytes) -> Result<(), Closed> {
        if !self.budget.take(bytes.len(), self.limit) {
            return Err(Closed);
        }
        let sent = match &self.hashers {
            Some(hashers) if bytes.len() >= HASH_INLINE => {
                let (answer, hash) = channel();
                hashers.send((bytes.clone(), answer)).map_err(|_| Closed)?;
                PieceSent::Hashing(bytes, hash)
            }
            _ => {
                let hash = leaf_hash(&bytes);
                PieceSent::Ready(ReadItem::Piece(bytes, hash))
            }
        };
        self.items.send(sent).map_err(|_| Closed)
    }
}

/// Reads a file piece by piece. `look` sees its first bytes before `sink` sees any. The outer error is the file's, the inner
/// one theirs. `false`: the file is not, or no longer, what it was when it was found.
fn read_file<E>(
    job: &Job,
    sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    cancelled: impl Fn() -> bool,
    look: impl FnOnce(&[u8]) -> io::Result<Result<(), E>>,
) -> io::Result<Result<bool, E>> {
    let mut file = open_plain(&job.path)?;
    let meta = file.metadata()?;
    if !same_file(&FileStat::new(&meta), &job.stat) {
        return Ok(Ok(false));
    }
    let mut pieces = Pieces::new(&job.cut, job.stat.size);
    let mut total = 0u64;
    let mut end = job.stat.size;
    if end == 0 && pieces.starts(&mut file, &job.cut)? {
        // What the system makes up as it is read keeps saying that it is empty; what somebody writes does not.
        if file.metadata()?.len() > 0 {
            return Ok(Ok(false));
        }
        (total, end) = (1, SIZELESS_MAX);
    }
    let sizeless = end != job.stat.size;
    let mut look = Some(look);
    loop {
        if cancelled() {
            return Ok(Ok(true));
        }
        let n = pieces.read(&mut file)?;
        total += n as u64;
        let over = n == 0 || total > end;
        if over || total >= end.min(HEAD as u64) {
            if let Some(look) = look.take()
                && let Err(e) = look(pieces.head())?
            {
                return Ok(Err(e));
            }
            while let Some(piece) = pieces.next() {
                if let Err(e) = sink(piece) {
                    return Ok(Err(e));
                }
            }
        }
        // A file that grows while it is read is noticed at once rather than at its end.
        if over {
            break;
        }
    }
    if sizeless && total > end {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it says that it is empty, and does not end",
        ));
    }
    if let Some(piece) = pieces.finish()
        && let Err(e) = sink(piece)
    {
        return Ok(Err(e));
    }
    let now = FileStat::new(&file.metadata()?);
    Ok(Ok(match sizeless {
        true => now.size == 0,
        false => total == job.stat.size && now.same_times(&job.stat),
    }))
}

/// Whether what was opened is what was found. What the system makes up has the time of the moment.
fn same_file(now: &FileStat, then: &FileStat) -> bool {
    now.same_times(then)
        || (now.size == 0
            && then.size == 0
            && now.inode != 0
            && (now.inode, now.device) == (then.inode, then.device))
}

/// Reads and hashes a file on this thread. Calls `sink` with every piece; stops early when it returns `false`.
pub(super) fn read_here(job: &Job, mut sink: impl FnMut(Bytes, Hash) -> bool) -> ReadItem {
    let mut stopped = false;
    let mut inner = |piece: Bytes| {
        let hash = leaf_hash(&piece);
        stopped = !sink(piece, hash);
        if stopped { Err(()) } else { Ok(()) }
    };
    match read_file(job, &mut inner, || false, |_| Ok(Ok(()))) {
        Ok(Ok(true)) | Ok(Err(())) => ReadItem::End,
        Ok(Ok(false)) => ReadItem::Unstable,
        Err(e) => ReadItem::Failed(e),
    }
}

enum Pieces {
    /// The whole file is one piece.
    One(BytesMut, usize),
    Content(ChunkBuffer),
    At {
        buffer: BytesMut,
        sizes: std::vec::IntoIter<u64>,
        size: u64,
    },
}

impl Pieces {
    fn new(cut: &Cut, size: u64) -> Self {
        match cut {
            // The shortest chunk the chunker makes: no cut can be in such a file.
            Cut::Content if size < MIN_CHUNK as u64 => {
                // One byte more, so that the end is seen without growing.
                let size = usize::try_from(size).unwrap_or(MIN_CHUNK);
                Self::One(BytesMut::with_capacity(size + 1), size)
            }
            Cut::Content => Self::Content(ChunkBuffer::new()),
            Cut::At(sizes) => {
                let mut sizes = sizes.clone().into_iter();
                let size = sizes.next().unwrap_or(u64::MAX);
                Self::At { buffer: BytesMut::new(), sizes, size }
            }
        }
    }

    /// For a file that says it is empty: whether it is not. Its first byte is taken then, and it is cut as long files are.
    fn starts(&mut self, file: &mut File, cut: &Cut) -> io::Result<bool> {
        let mut first = BytesMut::new();
        if read_into(file, &mut first, 1)? == 0 {
            return Ok(false);
        }
        if let Self::One(..) = self {
            *self = Self::new(cut, u64::MAX);
        }
        match self {
            Self::One(buffer, _) | Self::At { buffer, .. } => buffer.extend_from_slice(&first),
            Self::Content(chunks) => chunks.buffer().extend_from_slice(&first),
        }
        Ok(true)
    }

    /// What was read and not yet given out: before the first piece, the file's start.
    fn head(&mut self) -> &[u8] {
        let all: &[u8] = match self {
            Self::One(buffer, _) | Self::At { buffer, .. } => buffer,
            Self::Content(chunks) => chunks.buffer(),
        };
        all.get(..all.len().min(HEAD)).unwrap_or_default()
    }

    fn read(&mut self, file: &mut File) -> io::Result<usize> {
        match self {
            Self::One(buffer, size) => {
                read_into(file, buffer, (*size + 1).saturating_sub(buffer.len()).max(1))
            }
            Self::Content(chunks) => read_into(file, chunks.buffer(), READ),
            Self::At { buffer, .. } => read_into(file, buffer, READ),
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::One(..) => None,
            Self::Content(chunks) => chunks.next_chunk(),
            Self::At { buffer, sizes, size } => {
                let n = usize::try_from(*size).ok().filter(|n| *n <= buffer.len())?;
                *size = sizes.next().unwrap_or(u64::MAX);
                Some(buffer.split_to(n).freeze())
            }
        }
    }

    fn finish(&mut self) -> Option<Bytes> {
        let rest = match self {
            Self::Content(chunks) => return chunks.finish(),
            Self::One(buffer, _) | Self::At { buffer, .. } => buffer.split().freeze(),
        };
        if rest.is_empty() { None } else { Some(rest) }
    }
}

/// Reads up to `n` bytes to the end of `buffer`.
fn read_into(file: &mut File, buffer: &mut BytesMut, n: usize) -> io::Result<usize> {
    let before = buffer.len();
    buffer.resize(before.saturating_add(n), 0);
    let room = buffer.get_mut(before..).unwrap_or_default();
    let result = loop {
        match file.read(room) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    buffer.truncate(before.saturating_add(*result.as_ref().unwrap_or(&0)));
    result
}
