//! `delta make`, `apply`, `inspect` and `bench`.

use super::bench::others;
use super::event::{AppliedDelta, DeltaEvent, DeltaInspected, DeltaMeasured, MadeDelta, Tried};
use super::input::{Input, unreadable};
use super::work::{self, NotMade, has_memory, memory};
use crate::command::{Sink, Stop};
use crate::engine::follow::stopped;
use crate::error::{CommandError, ErrorKind};
use crate::output_file::{OutputFile, OutputKind};
use bosc_delta::Inspection;
use bosc_files::{Durability, Replace};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// `delta make`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// The old file.
    pub old: PathBuf,
    /// The new file.
    pub new: PathBuf,
    /// Where the patch is written.
    pub patch: PathBuf,
    /// A file that is there is replaced.
    pub force: bool,
}

/// `delta apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// The old file.
    pub old: PathBuf,
    /// The patch.
    pub patch: PathBuf,
    /// Where the new file is written.
    pub new: PathBuf,
    /// A file that is there is replaced.
    pub force: bool,
}

/// `delta inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    /// The patch.
    pub patch: PathBuf,
}

/// `delta bench`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bench {
    /// The old file.
    pub old: PathBuf,
    /// The new file.
    pub new: PathBuf,
}

/// Writes the patch that makes the new file of the old one.
///
/// # Errors
/// Files that cannot be read, too little memory, a place that may not be written to; `ERR_EXISTS`.
pub fn make(r: &Make, sink: &mut dyn Sink, stop: &Stop) -> Result<MadeDelta, CommandError> {
    let output = OutputFile::new(&r.patch, OutputKind::Plain).apart_from([&r.old, &r.new]);
    output.check_new(r.force)?;
    let begun = Instant::now();
    let files = Files::read(&r.old, &r.new, sink)?;
    let patch = files.patch(sink, stop)?;
    let ms = millis(begun.elapsed());
    let written = Replace::new(Durability::Disk).follow_links().write(&r.patch, &patch);
    written.map_err(|e| unwritable(&r.patch, e))?;
    let (bytes, new_bytes) = (patch.len() as u64, files.new.len() as u64);
    Ok(MadeDelta { patch: r.patch.clone(), bytes, new_bytes, ms })
}

/// Writes the new file that a patch makes of an old one. It is there when its hash is the one that the patch promises.
///
/// # Errors
/// `ERR_EXISTS`, `ERR_INVALID_PATCH`, `ERR_OTHER_BASE`; files that cannot be read or written.
pub fn apply(r: &Apply, sink: &mut dyn Sink, stop: &Stop) -> Result<AppliedDelta, CommandError> {
    let output = OutputFile::new(&r.new, OutputKind::Plain).apart_from([&r.old, &r.patch]);
    output.check_new(r.force)?;
    let begun = Instant::now();
    let patch = Input::open(&r.patch)?.read()?;
    let said = bosc_delta::inspect(&patch).map_err(|e| of_patch(&r.patch, e))?;
    let old = Input::open(&r.old)?;
    let mut outcome = Err(stopped());
    let how = Replace::new(Durability::Disk).follow_links();
    // A program stays one.
    let how = if old.executable { how.mode(0o777) } else { how };
    let written = how.write_with(&r.new, |file| {
        let mut into = Telling {
            to: file,
            sink: &mut *sink,
            stop,
            begun,
            told: Duration::ZERO,
            at: 0,
            of: said.new_len,
        };
        match bosc_delta::apply(&old, &patch, &mut into) {
            Ok(applied) => {
                outcome = Ok(applied);
                Ok(())
            }
            Err(bosc_delta::Error::Write(e)) if stop.is_stopped() => Err(e),
            Err(bosc_delta::Error::Write(e)) => {
                outcome = Err(unwritable(&r.new, io::Error::new(e.kind(), e.to_string())));
                Err(e)
            }
            Err(bosc_delta::Error::Read(e)) => {
                outcome = Err(unreadable(&r.old, e));
                Err(io::Error::other("not read"))
            }
            Err(bosc_delta::Error::WrongBase) => {
                outcome = Err(other_base(r, &old, &said));
                Err(io::Error::other("another base"))
            }
            Err(e) => {
                outcome = Err(of_patch(&r.patch, e));
                Err(io::Error::other("not applied"))
            }
        }
    });
    let applied = outcome?;
    written.map_err(|e| unwritable(&r.new, e))?;
    Ok(AppliedDelta {
        file: r.new.clone(),
        bytes: applied.len,
        blake2b: hex(&applied.hash),
        ms: millis(begun.elapsed()),
    })
}

/// What a patch says of itself.
///
/// # Errors
/// `ERR_INVALID_PATCH`; a file that cannot be read.
pub fn inspect(r: &Inspect) -> Result<DeltaInspected, CommandError> {
    let patch = Input::open(&r.patch)?.read()?;
    let said = bosc_delta::inspect(&patch).map_err(|e| of_patch(&r.patch, e))?;
    Ok(DeltaInspected {
        bytes: patch.len() as u64,
        format: said.format,
        extractor: said.extractor,
        old_bytes: said.old_len,
        old_blake2b: (said.copies > 0).then(|| hex(&said.old_hash)),
        new_bytes: said.new_len,
        new_blake2b: hex(&said.new_hash),
        copies: said.copies,
        fresh_bytes: said.new_bytes,
    })
}

/// Makes a patch, applies it, and tells what it costs beside the ways that other programs of this machine have.
///
/// # Errors
/// As [`make`].
pub fn bench(r: &Bench, sink: &mut dyn Sink, stop: &Stop) -> Result<DeltaMeasured, CommandError> {
    let begun = Instant::now();
    let files = Files::read(&r.old, &r.new, sink)?;
    let new_bytes = files.new.len() as u64;
    sink.tell(DeltaEvent::Tried(Tried { by: "file".into(), old: false, bytes: Some(new_bytes), ms: 0 }));
    let patch = files.patch(sink, stop)?;
    let make_ms = millis(begun.elapsed());
    let bytes = patch.len() as u64;
    sink.tell(DeltaEvent::Tried(Tried {
        by: "bosc delta".into(),
        old: true,
        bytes: Some(bytes),
        ms: make_ms,
    }));
    let begun = Instant::now();
    let applied = bosc_delta::apply(&Input::open(&r.old)?, &patch, io::sink());
    applied.map_err(|e| of_patch(&r.new, e))?;
    let apply_ms = millis(begun.elapsed());
    let old_bytes = files.old.len() as u64;
    drop((files, patch));
    others((&r.old, &r.new), stop, &mut |tried| sink.tell(DeltaEvent::Tried(tried)))?;
    Ok(DeltaMeasured { old_bytes, new_bytes, bytes, make_ms, apply_ms })
}

/// Two files in memory.
struct Files {
    old: Arc<Vec<u8>>,
    new: Arc<Vec<u8>>,
}

impl Files {
    /// Reads both, if there is memory for what follows.
    fn read(old: &Path, new: &Path, sink: &mut dyn Sink) -> Result<Self, CommandError> {
        let (old, new) = (Input::open(old)?, Input::open(new)?);
        let needed = memory(old.bytes, new.bytes);
        has_memory(needed).map_err(|there| {
            let (needed, there) = (needed >> 20, there >> 20);
            CommandError::failed(format!(
                "making the patch takes about {needed} MiB of memory, and the system has {there} MiB"
            ))
            .hint("end other programs, or make it on a machine with more memory")
        })?;
        sink.tell(DeltaEvent::Making { old_bytes: old.bytes, new_bytes: new.bytes, memory: needed });
        Ok(Self { old: Arc::new(old.read()?), new: Arc::new(new.read()?) })
    }

    fn patch(&self, sink: &mut dyn Sink, stop: &Stop) -> Result<Vec<u8>, CommandError> {
        let (mut told, of) = (Duration::ZERO, self.new.len() as u64);
        let made = work::patch(&self.old, &self.new, stop, &mut |since| {
            if since >= told + TELL {
                told = since;
                sink.tell(DeltaEvent::Progress { ms: millis(since), bytes: None, of });
            }
        });
        made.map_err(|e| match e {
            NotMade::Stopped => stopped(),
            NotMade::Thread(e) => CommandError::failed("no thread could be started")
                .because(e)
                .hint("end other programs, then run the command again"),
            NotMade::Failed(e) => CommandError::failed("the patch could not be made")
                .because(e)
                .hint("send the new file as it is"),
            NotMade::Lost => CommandError::failed("the patch could not be made")
                .hint("report it with both files: it is a defect of Bosc"),
        })
    }
}

/// Tells how much was written, and ends when it is to stop.
struct Telling<'a, W> {
    to: W,
    sink: &'a mut dyn Sink,
    stop: &'a Stop,
    begun: Instant,
    told: Duration,
    at: u64,
    of: u64,
}

impl<W: Write> Write for Telling<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        let n = self.to.write(bytes)?;
        self.at = self.at.saturating_add(n as u64);
        let since = self.begun.elapsed();
        if since >= self.told + TELL {
            self.told = since;
            self.sink.tell(DeltaEvent::Progress { ms: millis(since), bytes: Some(self.at), of: self.of });
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn of_patch(path: &Path, e: bosc_delta::Error) -> CommandError {
    use bosc_delta::Error as E;
    let (kind, hint) = match &e {
        E::NotAPatch => (ErrorKind::Input, "name a file that `bosc delta make` wrote"),
        E::Version { .. } => (ErrorKind::Input, "update bosc"),
        _ => (ErrorKind::Integrity, "get the patch again, or the new file as it is; nothing was written"),
    };
    CommandError::new(kind, "ERR_INVALID_PATCH", format!("{} cannot be used", path.display()))
        .because(e)
        .hint(hint)
}

fn other_base(r: &Apply, old: &Input, said: &Inspection) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_OTHER_BASE",
        format!(
            "the patch was made from another file than {}: it needs {} bytes with the BLAKE2b-256 {}, and this has {} bytes",
            r.old.display(),
            said.old_len,
            hex(&said.old_hash),
            old.bytes
        ),
    )
    .hint("name the file that the patch was made from, unchanged")
}

fn unwritable(path: &Path, e: io::Error) -> CommandError {
    CommandError::unwritable(
        format!("{} cannot be written", path.display()),
        e,
        "check that the folder exists and that you may write to it",
    )
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn hex(hash: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(hash)
}
