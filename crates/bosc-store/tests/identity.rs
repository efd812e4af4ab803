//! A store knows when it was copied or put back, and does not cry wolf.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

use bosc_store::disk::{DirDisk, Disk, DiskFile, Place};
use bosc_store::{CreateOptions, Evidence, Options, Store};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

fn evidence(dir: &Path) -> Option<Evidence> {
    open(dir).copied().map(|c| c.evidence)
}

fn append(dir: &Path) -> u64 {
    let store = open(dir);
    let core = store.create_core(CreateOptions::named("core")).unwrap();
    core.append(&["block".into()]).unwrap().length
}

/// As `cp -a` does it: times of modification and modes stay, files are new.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// As `cp` over files that are there: they stay the same files.
fn overwrite(from: &Path, to: &Path, only: impl Fn(&str) -> bool + Copy) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            overwrite(&entry.path(), &target, only);
        } else if only(entry.file_name().to_str().unwrap()) {
            let bytes = fs::read(entry.path()).unwrap();
            let mut file = fs::File::options().write(true).truncate(true).create(true).open(&target).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
}

/// A folder where files can be told apart; without one, the test says so and ends.
fn place() -> Option<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("probe"), dir.path().join("probe-copy"));
    append(&a);
    copy(&a, &b);
    if evidence(&b).is_none() {
        eprintln!("skipped: this file system does not tell a file from its copy");
        return None;
    }
    let store = dir.path().join("store");
    Some((dir, store))
}

/// As [`place`], where a copy is known before it was written to.
fn copy_place() -> Option<(tempfile::TempDir, PathBuf)> {
    if cfg!(not(unix)) {
        eprintln!("skipped: on this system a copy is known only once it was written to");
        return None;
    }
    place()
}

#[test]
fn a_copy_knows_it_and_the_original_does_not_mind() {
    let Some((dir, a)) = copy_place() else { return };
    append(&a);
    let b = dir.path().join("copy");
    copy(&a, &b);
    for _ in 0..3 {
        assert_eq!(evidence(&b), Some(Evidence::OtherFile), "and does not forget it");
        assert_eq!(append(&a) > 1, evidence(&a).is_none());
    }
    // Also when it signed meanwhile, and with a lineage of its own that stays.
    let lineage = open(&b).lineage();
    append(&b);
    assert_eq!(open(&b).lineage(), lineage);
    // A copy of the copy is another one.
    let c = dir.path().join("copy of the copy");
    copy(&b, &c);
    assert_ne!(open(&c).lineage(), lineage);
}

/// As `cp -al` does it: every file under another name, in another folder.
#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link(&entry.path(), &target);
        } else {
            fs::hard_link(entry.path(), &target).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_store_of_hard_links_is_taken_for_a_copy_while_there_are_two() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("store"), dir.path().join("links"));
    append(&a);
    assert_eq!(evidence(&a), None);
    link(&a, &b);
    for store in [&b, &a, &b] {
        assert_eq!(evidence(store), Some(Evidence::HardLinked), "both write the same file");
    }
    let lineage = open(&b).lineage();
    assert_eq!(open(&b).lineage(), lineage, "it is found once");
    open(&a).declare_sole_copy().unwrap();
    assert_eq!(evidence(&a), Some(Evidence::HardLinked), "the other one is still there");
    fs::remove_dir_all(&b).unwrap();
    open(&a).declare_sole_copy().unwrap();
    assert_eq!(evidence(&a), None);
}

#[test]
fn cores_made_after_the_copy_are_its_own() {
    let Some((dir, a)) = copy_place() else { return };
    append(&a);
    let b = dir.path().join("copy");
    copy(&a, &b);
    let (old, new) = {
        let store = open(&b);
        let old = store.create_core(CreateOptions::named("core")).unwrap();
        let new = store.create_core(CreateOptions::named("another")).unwrap();
        assert!(store.may_be_elsewhere(&old));
        assert!(!store.may_be_elsewhere(&new));
        new.append(&["x".into()]).unwrap();
        (*old.key(), *new.key())
    };
    let store = open(&b);
    assert!(store.may_be_elsewhere(&store.open_core(&old).unwrap()));
    assert!(!store.may_be_elsewhere(&store.open_core(&new).unwrap()));
    store.declare_sole_copy().unwrap();
    assert!(!store.may_be_elsewhere(&store.open_core(&old).unwrap()));
    drop(store);
    assert_eq!(evidence(&b), None, "and stays so");
    assert!(open(&b).lineage().is_some(), "its node stays another one");
    assert!(open(&a).lineage().is_none());
    assert!(append(&b) > 1);
    assert_eq!(evidence(&b), None);
    let c = dir.path().join("later copy");
    copy(&b, &c);
    assert_eq!(evidence(&c), Some(Evidence::OtherFile));
}

#[test]
fn what_is_done_to_a_store_every_day_is_no_copy() {
    let Some((dir, a)) = place() else { return };
    for _ in 0..3 {
        append(&a);
        assert_eq!(evidence(&a), None);
    }
    let moved = dir.path().join("deeper/moved");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::rename(&a, &moved).unwrap();
    assert_eq!(evidence(&moved), None, "moved");
    fs::rename(dir.path().join("deeper"), dir.path().join("mount")).unwrap();
    let store = dir.path().join("mount/moved");
    assert_eq!(evidence(&store), None, "the folder above renamed");
    append(&store);
    let s = open(&store);
    s.gc().unwrap();
    drop(s);
    assert_eq!(evidence(&store), None, "collected");
    let times = fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    for name in ["bosc.redb", "MARK"] {
        fs::File::options().write(true).open(store.join(name)).unwrap().set_times(times).unwrap();
    }
    assert_eq!(evidence(&store), None, "touched");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(store.join("MARK"), fs::Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&store, &link).unwrap();
        assert_eq!(evidence(&link), None, "through a link, with other modes");
    }
    fs::remove_file(store.join("MARK")).unwrap();
    assert_eq!(evidence(&store), None, "the mark removed");
    append(&store);
    assert_eq!(evidence(&store), None);
    fs::File::create(store.join("MARK")).unwrap();
    let _ = evidence(&store);
}

#[test]
fn an_older_database_in_the_same_place_is_known() {
    let Some((dir, a)) = place() else { return };
    append(&a);
    let backup = dir.path().join("backup");
    copy(&a, &backup);
    append(&a);
    // The database alone, into the very file.
    overwrite(&backup, &a, |name| name == "bosc.redb");
    assert_eq!(evidence(&a), Some(Evidence::Restored));
    open(&a).declare_sole_copy().unwrap();
    append(&a);
    assert_eq!(evidence(&a), None);
    // All of it, into the very files.
    copy(&a, &dir.path().join("second"));
    append(&a);
    overwrite(&dir.path().join("second"), &a, |_| true);
    if cfg!(unix) {
        assert_eq!(evidence(&a), Some(Evidence::Restored));
    }
}

#[test]
fn a_store_of_before_there_were_marks_is_taken_as_it_is() {
    let Some((_dir, a)) = place() else { return };
    // As far as this part is concerned: no row, no mark.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    if fixture.is_dir() {
        copy(&fixture, &a);
        assert_eq!(evidence(&a), None);
        assert_eq!(evidence(&a), None);
    }
}

const DIR: &str = "BOSC_STORE_IDENTITY_TEST_DIR";

/// Not a test: what the children run. Opens, signs and closes again and again.
#[test]
fn child_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let mut out = io::stdout();
    writeln!(out, "child ready").unwrap();
    loop {
        let n = append(Path::new(&dir));
        writeln!(out, "child {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_at_any_moment_a_store_is_still_itself() {
    let Some((_dir, a)) = place() else { return };
    for round in 0..25u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_process", "--nocapture", "--test-threads", "1"])
            .env(DIR, &a)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let signed = lines.by_ref().filter(|l| l.starts_with("child ")).nth(1 + round as usize % 3);
        assert!(signed.is_some(), "the child signs");
        std::thread::sleep(std::time::Duration::from_micros(round * 937 % 9000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(evidence(&a), None, "round {round}");
    }
}

/// A backup written over the folder sets the database and the number of the last commit back together: what was written
/// since is not a crash's leaving.
#[test]
fn a_backup_put_back_over_the_folder_removes_nothing_that_is_newer() {
    let Some((dir, a)) = copy_place() else { return };
    let open = || {
        let mut options = Options::default();
        options.segment_bytes = 4096;
        Store::open(&a, options).unwrap()
    };
    let write = |n: usize, byte: u8| {
        let store = open();
        let core = store.create_core(CreateOptions::named("core")).unwrap();
        for _ in 0..n {
            core.append(&[vec![byte; 1500].into()]).unwrap();
        }
    };
    let segments = || -> std::collections::BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(a.join("data")).unwrap().map(Result::unwrap);
        files.map(|f| (f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap())).collect()
    };
    write(3, 1);
    let backup = dir.path().join("backup");
    copy(&a, &backup);
    write(20, 2);
    let written = segments();
    overwrite(&backup, &a, |_| true);
    let newer: Vec<_> = written.iter().filter(|(name, _)| !backup.join("data").join(name).exists()).collect();
    assert!(newer.len() > 3, "{}", newer.len());
    let bytes: u64 = newer.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    for round in 0..2 {
        let store = open();
        assert_eq!(store.copied().unwrap().evidence, Evidence::Restored);
        let unnamed = store.stats().unnamed_bytes;
        assert!(unnamed >= bytes, "round {round}: {unnamed} of {bytes} bytes are counted");
        // Written to and declared the only copy, it goes on.
        if round == 1 {
            store.declare_sole_copy().unwrap();
            write_more(&store);
            store.gc().unwrap();
        }
    }
    assert_eq!(evidence(&a), None);
    let now = segments();
    for (name, bytes) in newer {
        assert_eq!(now.get(name), Some(bytes), "{name}");
    }
}

fn write_more(store: &Store) {
    let core = store.create_core(CreateOptions::named("core")).unwrap();
    core.append(&[vec![3; 1500].into()]).unwrap();
}

/// A folder on a disk that takes nothing more while `full` is set.
#[derive(Debug, Clone)]
struct FullDisk {
    dir: Arc<DirDisk>,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    fn open(dir: &Path) -> Self {
        Self { dir: Arc::new(DirDisk::open(dir).unwrap()), full: Arc::new(AtomicBool::new(true)) }
    }
}

fn refuse(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl Disk for FullDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let file = self.dir.open(name, false)?;
        let file = match file {
            None if create => {
                refuse(&self.full)?;
                self.dir.open(name, true)?
            }
            file => file,
        };
        Ok(file.map(|file| Arc::new(FullFile { file, full: self.full.clone() }) as Arc<dyn DiskFile>))
    }
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.dir.list(folder)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }
    fn sync_dirs(&self) -> io::Result<()> {
        self.dir.sync_dirs()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path(name)
    }
    fn place(&self) -> Option<&Place> {
        self.dir.place()
    }
}

#[derive(Debug)]
struct FullFile {
    file: Arc<dyn DiskFile>,
    full: Arc<AtomicBool>,
}

impl DiskFile for FullFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }
    /// A file system that copies on write takes space for what is written over, too. Closing and opening the database
    /// mark its header, which is let through.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset >= 4096 {
            refuse(&self.full)?;
        }
        self.file.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            refuse(&self.full)?;
        }
        self.file.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// What frees space has to be able to start: a copy opens on a full disk, knows that it is one, and forgets nothing
/// when there is space again.
#[test]
fn a_copy_opens_on_a_full_disk() {
    let Some((dir, a)) = copy_place() else { return };
    append(&a);
    let b = dir.path().join("copy");
    copy(&a, &b);
    // What a crash left, or what was written since: nobody can tell in a copy.
    fs::write(b.join("data/000099.seg"), [7; 100]).unwrap();
    for _ in 0..2 {
        let disk = FullDisk::open(&b);
        let store = Store::open_disk(Arc::new(disk), Options::default()).unwrap();
        assert_eq!(store.copied().map(|c| c.evidence), Some(Evidence::OtherFile));
        assert_eq!(store.stats().unnamed_bytes, 100);
    }
    let disk = FullDisk::open(&b);
    let store = Store::open_disk(Arc::new(disk.clone()), Options::default()).unwrap();
    let lineage = store.lineage().unwrap();
    disk.full.store(false, Ordering::SeqCst);
    // The first commit, whatever it is of, takes with it what the opening found.
    store.set_user_data("note", Some(b"there is space again")).unwrap();
    drop((store, disk));
    for _ in 0..2 {
        let store = open(&b);
        assert_eq!(store.copied().map(|c| c.evidence), Some(Evidence::OtherFile));
        assert_eq!(store.lineage(), Some(lineage));
        assert_eq!(store.stats().unnamed_bytes, 100);
    }
}

/// Pages that a killed batch put aside cannot be cleared on a full disk. A later batch does not take them for its own.
#[test]
fn pages_left_aside_on_a_full_disk_come_into_no_other_batch() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let mut options = Options::default();
    options.pending_bytes = 50_000;
    let block = |i: u64| bytes::Bytes::from(i.to_le_bytes().repeat(1 + i as usize % 5));
    {
        let store = Store::open(&a, options.clone()).unwrap();
        let core = store.create_core(CreateOptions::named("core")).unwrap();
        core.append(&[block(0)]).unwrap();
        let mut batch = store.batch();
        for i in 1..20_000 {
            batch.append_block(&core, block(i + 1)).unwrap();
        }
        // As a kill at this moment leaves it.
        copy(&a, &b);
    }
    // What redb mends after a kill is mended by then.
    drop(redb::Database::open(b.join("bosc.redb")).unwrap());
    let disk = FullDisk::open(&b);
    let store = Store::open_disk(Arc::new(disk.clone()), options.clone()).unwrap();
    disk.full.store(false, Ordering::SeqCst);
    let core = store.create_core(CreateOptions::named("core")).unwrap();
    let mut batch = store.batch();
    for i in 1..8000 {
        batch.append_block(&core, block(i)).unwrap();
    }
    batch.commit().unwrap();
    assert_eq!(core.length(), 8000);
    for i in 0..8000 {
        assert_eq!(core.block(i).unwrap(), Some(block(i)), "block {i}");
    }
    drop((batch, core, store, disk));
    let aside = |first: u32| {
        let db = redb::Database::open(b.join("bosc.redb")).unwrap();
        let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
        let pages = txn.open_table(redb::TableDefinition::<&[u8; 13], &[u8]>::new("pages")).unwrap();
        let rows = redb::ReadableTable::iter(&pages).unwrap();
        rows.filter(|row| {
            let key = *row.as_ref().unwrap().0.value();
            u32::from_be_bytes([key[0], key[1], key[2], key[3]]) >= first
        })
        .count()
    };
    assert!(aside(1 << 31) > 0, "the play is no play");
    let store = Store::open(&b, options).unwrap();
    let core = store.create_core(CreateOptions::named("core")).unwrap();
    core.append(&(8000..20_100).map(block).collect::<Vec<_>>()).unwrap();
    let found = core.check_blocks(0, u64::MAX).unwrap();
    assert_eq!((found.blocks, found.damaged_count), (20_100, 0));
    drop((core, store));
    assert_eq!(aside(2), 0);
}
