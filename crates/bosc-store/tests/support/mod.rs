//! Disks for tests: one that records what was done to it, so that every crash can be played, and one that fails.
#![allow(dead_code, unreachable_pub)]

use bosc_store::disk::{Disk, DiskFile, MemoryDisk};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A small, seeded random generator (SplitMix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

#[derive(Debug, Clone)]
pub enum Op {
    Create(String),
    Write(String, u64, Vec<u8>),
    SetLen(String, u64),
    Sync(String),
    Remove(String),
    SyncDirs,
}

/// A disk in memory that keeps a log of everything that changes it.
#[derive(Debug, Clone, Default)]
pub struct RecordingDisk {
    disk: MemoryDisk,
    pub log: Arc<Mutex<Vec<Op>>>,
}

impl RecordingDisk {
    pub fn position(&self) -> usize {
        self.log.lock().unwrap().len()
    }
}

impl Disk for RecordingDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if create && self.disk.open(name, false)?.is_none() {
            self.log.lock().unwrap().push(Op::Create(name.into()));
        }
        let Some(file) = self.disk.open(name, create)? else { return Ok(None) };
        Ok(Some(Arc::new(RecordingFile { name: name.into(), file, log: self.log.clone() })))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.log.lock().unwrap().push(Op::Remove(name.into()));
        self.disk.remove(name)
    }

    fn sync_dirs(&self) -> io::Result<()> {
        self.log.lock().unwrap().push(Op::SyncDirs);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }
}

#[derive(Debug)]
struct RecordingFile {
    name: String,
    file: Arc<dyn DiskFile>,
    log: Arc<Mutex<Vec<Op>>>,
}

impl DiskFile for RecordingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.log.lock().unwrap().push(Op::Write(self.name.clone(), offset, data.to_vec()));
        self.file.write_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.log.lock().unwrap().push(Op::SetLen(self.name.clone(), len));
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.log.lock().unwrap().push(Op::Sync(self.name.clone()));
        self.file.sync()
    }
}

/// What a crash does to what was not synced.
#[derive(Debug, Clone, Copy)]
pub enum Crash {
    /// All of it arrives (the process was killed).
    KeepAll,
    /// None of it arrives (the power was cut).
    LoseAll,
    /// Each write arrives, is lost or arrives in part (in sectors of 512 bytes), each file creation and removal
    /// arrives or is lost.
    Mix(u64),
}

#[derive(Default, Clone)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Op>,
}

/// The files after a crash behind the first `upto` operations.
pub fn crash(log: &[Op], upto: usize, how: Crash) -> MemoryDisk {
    let mut inodes: Vec<Inode> = Vec::new();
    let mut now: BTreeMap<String, usize> = BTreeMap::new();
    let mut durable = now.clone();
    for op in &log[..upto] {
        match op {
            Op::Create(name) => {
                inodes.push(Inode::default());
                now.insert(name.clone(), inodes.len() - 1);
            }
            Op::Write(name, ..) | Op::SetLen(name, _) => {
                // Writing to an open file that was removed goes nowhere.
                if let Some(i) = now.get(name) {
                    inodes[*i].pending.push(op.clone());
                }
            }
            Op::Sync(name) => {
                if let Some(i) = now.get(name) {
                    let inode = &mut inodes[*i];
                    for op in std::mem::take(&mut inode.pending) {
                        apply(&mut inode.durable, &op);
                    }
                }
            }
            Op::Remove(name) => {
                now.remove(name);
            }
            Op::SyncDirs => durable = now.clone(),
        }
    }
    let mut rng = Rng(match how {
        Crash::Mix(seed) => seed,
        _ => 0,
    });
    let mut names: Vec<String> = now.keys().chain(durable.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let mut image = BTreeMap::new();
    for name in names {
        let of_now = match how {
            Crash::KeepAll => true,
            Crash::LoseAll => false,
            Crash::Mix(_) => rng.below(2) == 0,
        };
        let Some(i) = (if of_now { now.get(&name) } else { durable.get(&name) }) else { continue };
        let inode = inodes[*i].clone();
        let mut bytes = inode.durable;
        for op in &inode.pending {
            match how {
                Crash::KeepAll => apply(&mut bytes, op),
                Crash::LoseAll => {}
                Crash::Mix(_) => match rng.below(3) {
                    0 => apply(&mut bytes, op),
                    1 => {}
                    _ => apply_part(&mut bytes, op, &mut rng),
                },
            }
        }
        image.insert(name, bytes);
    }
    MemoryDisk::from_image(image)
}

fn apply(bytes: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(_, offset, data) => {
            let start = *offset as usize;
            if bytes.len() < start + data.len() {
                bytes.resize(start + data.len(), 0);
            }
            bytes[start..start + data.len()].copy_from_slice(data);
        }
        Op::SetLen(_, len) => bytes.resize(*len as usize, 0),
        _ => {}
    }
}

fn apply_part(bytes: &mut Vec<u8>, op: &Op, rng: &mut Rng) {
    let Op::Write(name, offset, data) = op else { return };
    let mut at = 0;
    while at < data.len() {
        let sector_end = 512 - (*offset as usize + at) % 512;
        let n = sector_end.min(data.len() - at);
        if rng.below(2) == 0 {
            apply(bytes, &Op::Write(name.clone(), offset + at as u64, data[at..at + n].to_vec()));
        }
        at += n;
    }
}

/// When a [`FaultyDisk`] fails.
#[derive(Debug, Default)]
pub struct Faults {
    /// Operations that change the disk so far.
    pub count: AtomicU64,
    /// Fails from this operation on.
    pub from: AtomicU64,
    /// That many times.
    pub times: AtomicU64,
    /// As a full disk (else as a device error).
    pub full: AtomicBool,
    /// Reading fails too.
    pub reads: AtomicBool,
}

impl Faults {
    pub fn arm(&self, from: u64, times: u64, full: bool) {
        self.times.store(times, Ordering::SeqCst);
        self.full.store(full, Ordering::SeqCst);
        self.from.store(self.count.load(Ordering::SeqCst) + from, Ordering::SeqCst);
    }

    pub fn heal(&self) {
        self.times.store(0, Ordering::SeqCst);
    }

    /// `grows`: whether the operation takes space. A full disk refuses only those.
    fn check(&self, grows: bool) -> io::Result<()> {
        let n = self.count.fetch_add(1, Ordering::SeqCst);
        if !grows && self.full.load(Ordering::SeqCst) { Ok(()) } else { self.fail(n) }
    }

    fn check_read(&self) -> io::Result<()> {
        if self.reads.load(Ordering::SeqCst) { self.fail(self.count.load(Ordering::SeqCst)) } else { Ok(()) }
    }

    fn fail(&self, n: u64) -> io::Result<()> {
        if n < self.from.load(Ordering::SeqCst) {
            return Ok(());
        }
        let left = self.times.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(());
        }
        self.times.store(left - 1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Err(io::Error::other("device error"))
        }
    }
}

/// A disk in memory that fails on demand.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    pub disk: MemoryDisk,
    pub faults: Arc<Faults>,
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if create && self.disk.open(name, false)?.is_none() {
            self.faults.check(true)?;
        }
        let Some(file) = self.disk.open(name, create)? else { return Ok(None) };
        Ok(Some(Arc::new(FaultyFile { file, faults: self.faults.clone() })))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.faults.check(false)?;
        self.disk.remove(name)
    }

    fn sync_dirs(&self) -> io::Result<()> {
        self.faults.check(false)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.faults.check_read()?;
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // A failing write may leave a part behind.
        let grows = offset + data.len() as u64 > self.file.len()?;
        self.faults.check(grows).inspect_err(|_| {
            let _ = self.file.write_at(offset, &data[..data.len() / 2]);
        })?;
        self.file.write_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.file.len()?;
        self.faults.check(grows)?;
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.check(false)?;
        self.file.sync()
    }
}
