//! Builds that lie on this disk, cut into the blocks a drive would hold of them.

use bosc_drive::blobs::BLOCK_SIZE;
use bosc_drive::chunker::{ChunkBuffer, MAX_CHUNK};
use bosc_files::open_plain;
use bosc_follow::FollowError;
use bosc_format::crypto::{Hash, leaf_hash, leaf_hashes};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files looked at.
const MAX_FILES: usize = 1 << 18;
/// Deepest folder looked into.
const MAX_DEPTH: usize = 64;
/// Bytes read at once.
const READ: usize = 1 << 20;

/// How a file is cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    /// Every 64 KiB: a plain blob.
    Fixed,
    /// Where the content says: a blob with a block map, or one copied from it.
    Rabin,
}

/// A piece of a file that may be a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) hash: Hash,
}

/// A file on this disk.
#[derive(Debug, Clone)]
pub(super) struct LocalFile {
    path: PathBuf,
    pub(super) size: u64,
}

/// The files of all builds.
#[derive(Debug, Default)]
pub(super) struct Local {
    files: Vec<LocalFile>,
    by_rel: HashMap<String, usize>,
    chunks: HashMap<(usize, Scheme), Arc<Vec<Chunk>>>,
}

impl Local {
    /// Finds the files of `builds`. Symlinks are not followed; what cannot be read is left out.
    pub(super) fn scan(builds: &[PathBuf]) -> Self {
        let mut local = Self::default();
        for build in builds {
            // The application's own path may be a symlink.
            let Ok(build) = build.canonicalize() else { continue };
            local.add(&build, String::new(), 0);
        }
        local
    }

    fn add(&mut self, path: &Path, rel: String, depth: usize) {
        let Ok(meta) = fs::symlink_metadata(path) else { return };
        if self.files.len() >= MAX_FILES || depth > MAX_DEPTH {
            return;
        }
        if meta.is_file() {
            self.by_rel.entry(rel).or_insert(self.files.len());
            self.files.push(LocalFile { path: path.to_owned(), size: meta.len() });
        } else if meta.is_dir() {
            let Ok(items) = fs::read_dir(path) else { return };
            let mut names: Vec<_> = items.filter_map(|i| i.ok()?.file_name().into_string().ok()).collect();
            names.sort_unstable();
            for name in names {
                let below = if rel.is_empty() { name.clone() } else { format!("{rel}/{name}") };
                self.add(&path.join(&name), below, depth + 1);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The file at a path of the build, of the first build that has one.
    pub(super) fn at(&self, rel: &str) -> Option<usize> {
        self.by_rel.get(rel).copied()
    }

    pub(super) fn file(&self, file: usize) -> Option<&LocalFile> {
        self.files.get(file)
    }

    /// The blocks of a file; empty when it cannot be read.
    pub(super) fn chunks(
        &mut self,
        file: usize,
        scheme: Scheme,
        tell: &mut dyn FnMut() -> Result<(), FollowError>,
    ) -> Result<Arc<Vec<Chunk>>, FollowError> {
        if let Some(known) = self.chunks.get(&(file, scheme)) {
            return Ok(Arc::clone(known));
        }
        let path = self.files.get(file).map(|f| f.path.clone()).unwrap_or_default();
        // What cannot be read has no blocks.
        let chunks = cut(&path, scheme, tell)?.unwrap_or_default();
        let chunks = Arc::new(chunks);
        self.chunks.insert((file, scheme), Arc::clone(&chunks));
        Ok(chunks)
    }

    /// Where each of `wanted` lies, as far as it lies anywhere.
    pub(super) fn find(
        &mut self,
        wanted: &HashSet<Hash>,
        schemes: &[Scheme],
        tell: &mut dyn FnMut() -> Result<(), FollowError>,
    ) -> Result<HashMap<Hash, (usize, Chunk)>, FollowError> {
        let mut out = HashMap::new();
        for file in 0..self.files.len() {
            for scheme in schemes {
                if out.len() == wanted.len() {
                    return Ok(out);
                }
                for chunk in self.chunks(file, *scheme, tell)?.iter() {
                    if wanted.contains(&chunk.hash) {
                        out.entry(chunk.hash).or_insert((file, *chunk));
                    }
                }
            }
        }
        Ok(out)
    }

    /// Reads a chunk again; `None` when the file is not what it was.
    pub(super) fn read(&self, file: usize, chunk: Chunk) -> Option<Bytes> {
        let len = usize::try_from(chunk.len).ok().filter(|n| *n <= MAX_CHUNK)?;
        let mut opened = open_plain(&self.files.get(file)?.path).ok()?;
        opened.seek(SeekFrom::Start(chunk.offset)).ok()?;
        let mut bytes = vec![0; len];
        opened.read_exact(&mut bytes).ok()?;
        Some(bytes.into())
    }
}

/// Cuts a file into blocks. The outer error is that of `tell`.
fn cut(
    path: &Path,
    scheme: Scheme,
    tell: &mut dyn FnMut() -> Result<(), FollowError>,
) -> Result<io::Result<Vec<Chunk>>, FollowError> {
    let mut file = match open_plain(path) {
        Ok(file) => file,
        Err(e) => return Ok(Err(e)),
    };
    let mut out: Vec<Chunk> = Vec::new();
    let mut offset = 0u64;
    let mut push = |out: &mut Vec<Chunk>, len: usize, hash: Hash| {
        out.push(Chunk { offset, len: len as u64, hash });
        offset = offset.saturating_add(len as u64);
    };
    match scheme {
        Scheme::Fixed => {
            let mut buffer = Vec::with_capacity(READ);
            loop {
                tell()?;
                buffer.clear();
                let n = match file.by_ref().take(READ as u64).read_to_end(&mut buffer) {
                    Ok(n) => n,
                    Err(e) => return Ok(Err(e)),
                };
                let blocks: Vec<&[u8]> = buffer.chunks(BLOCK_SIZE).collect();
                for (block, hash) in blocks.iter().zip(leaf_hashes(&blocks)) {
                    push(&mut out, block.len(), hash);
                }
                if n < READ {
                    return Ok(Ok(out));
                }
            }
        }
        Scheme::Rabin => {
            let mut chunks = ChunkBuffer::new();
            let mut part = vec![0; READ / 4];
            loop {
                tell()?;
                let n = match file.read(&mut part) {
                    Ok(n) => n,
                    Err(e) => return Ok(Err(e)),
                };
                let Some(read) = part.get(..n).filter(|p| !p.is_empty()) else { break };
                chunks.buffer().extend_from_slice(read);
                while let Some(chunk) = chunks.next_chunk() {
                    push(&mut out, chunk.len(), leaf_hash(&chunk));
                }
            }
            if let Some(chunk) = chunks.finish() {
                push(&mut out, chunk.len(), leaf_hash(&chunk));
            }
            Ok(Ok(out))
        }
    }
}
