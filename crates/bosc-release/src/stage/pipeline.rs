//! Reading ahead: one thread reads and cuts files in order, others hash large pieces, the caller takes the results in
//! the same order.
//!
//! ```text
//! jobs -> [reader] --items, in order--------------> caller
//!             \--- pieces of 128 KiB and more ---> [hashers] --/
//! ```
//! The reader waits while more than the budget is read and not yet given back, so memory is bounded whatever the files.

use crate::scan::FileStat;
use bosc_drive::chunker::{ChunkBuffer, MIN_CHUNK};
use bosc_format::crypto::{Hash, leaf_hash};
use bytes::{Bytes, BytesMut};
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
pub(super) enum Item {
    Piece(Bytes, Hash),
    /// The file ended, or reading it was given up because it was cancelled.
    End,
    Failed(io::Error),
    /// The file is no longer what it was.
    Unstable,
}

enum Sent {
    Ready(Item),
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
    items: Receiver<Sent>,
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
        let mut reader = Reader {
            items: item_sender,
            hashers: (hashers > 0).then_some(hash_sender),
            budget: Arc::clone(&budget),
            cancelled: Arc::clone(&cancelled),
            limit,
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
    pub(super) fn next(&self) -> Item {
        let gone = || Item::Failed(io::Error::other("the reading thread ended"));
        match self.items.recv() {
            Ok(Sent::Ready(item)) => item,
            Ok(Sent::Hashing(bytes, hash)) => match hash.recv() {
                Ok(hash) => Item::Piece(bytes, hash),
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

struct Reader {
    items: SyncSender<Sent>,
    hashers: Option<Sender<(Bytes, Sender<Hash>)>>,
    budget: Arc<Budget>,
    cancelled: Arc<AtomicU64>,
    limit: usize,
}

/// The caller is gone.
struct Closed;

impl Reader {
    /// Reads one file; `false` when there is nobody to read for.
    fn file(&mut self, job: &Job) -> bool {
        let mut sink = |piece: Bytes| self.piece(piece);
        let cancelled = || self.cancelled.load(Ordering::Relaxed) == job.number;
        let last = match read_file(job, &mut sink, cancelled) {
            Ok(Ok(true)) => Item::End,
            Ok(Ok(false)) => Item::Unstable,
            Ok(Err(Closed)) => return false,
            Err(e) => Item::Failed(e),
        };
        self.items.send(Sent::Ready(last)).is_ok()
    }

    fn piece(&self, bytes: Bytes) -> Result<(), Closed> {
        if !self.budget.take(bytes.len(), self.limit) {
            return Err(Closed);
        }
        let sent = match &self.hashers {
            Some(hashers) if bytes.len() >= HASH_INLINE => {
                let (answer, hash) = channel();
                hashers.send((bytes.clone(), answer)).map_err(|_| Closed)?;
                Sent::Hashing(bytes, hash)
            }
            _ => {
                let hash = leaf_hash(&bytes);
                Sent::Ready(Item::Piece(bytes, hash))
            }
        };
        self.items.send(sent).map_err(|_| Closed)
    }
}

/// Reads a file piece by piece. The outer error is the file's, the inner one the sink's. `false`: the file is not, or
/// no longer, what it was when it was found.
fn read_file<E>(
    job: &Job,
    sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    cancelled: impl Fn() -> bool,
) -> io::Result<Result<bool, E>> {
    let mut file = File::open(&job.path)?;
    if !FileStat::new(&file.metadata()?).same_times(&job.stat) {
        return Ok(Ok(false));
    }
    let mut pieces = Pieces::new(&job.cut, job.stat.size);
    let mut total = 0u64;
    loop {
        if cancelled() {
            return Ok(Ok(true));
        }
        let n = pieces.read(&mut file)?;
        total += n as u64;
        while let Some(piece) = pieces.next() {
            if let Err(e) = sink(piece) {
                return Ok(Err(e));
            }
        }
        // A file that grows while it is read is noticed at once rather than at its end.
        if n == 0 || total > job.stat.size {
            break;
        }
    }
    if let Some(piece) = pieces.finish()
        && let Err(e) = sink(piece)
    {
        return Ok(Err(e));
    }
    Ok(Ok(total == job.stat.size && FileStat::new(&file.metadata()?).same_times(&job.stat)))
}

/// Reads and hashes a file on this thread. Calls `sink` with every piece; stops early when it returns `false`.
pub(super) fn read_here(job: &Job, mut sink: impl FnMut(Bytes, Hash) -> bool) -> Item {
    let mut stopped = false;
    let mut inner = |piece: Bytes| {
        let hash = leaf_hash(&piece);
        stopped = !sink(piece, hash);
        if stopped { Err(()) } else { Ok(()) }
    };
    match read_file(job, &mut inner, || false) {
        Ok(Ok(true)) | Ok(Err(())) => Item::End,
        Ok(Ok(false)) => Item::Unstable,
        Err(e) => Item::Failed(e),
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
