//! The crash matrix of whole updates: from the first look at the source to the new build at the application's path, over
//! HTTPS and peer to peer, of one file and of a folder, and of one file by a delta either way. A process runs the update; it is killed with SIGKILL at every
//! system call that changes the file system, one run per call, and every write, sync and rename of it fails once. After
//! each the application's path holds one whole build, and the next start completes the update.
//!
//! The ordinary run takes some calls of each kind; `BOSC_FULL=1` takes all. It prints the counts.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod p2p_support;
mod support;
mod tracer;

use bosc_updater::ErrorKind;
use bosc_updater::install::contents_of;
use bosc_updater::manifest::platform_key;
use bosc_updater::release::Contents;
use bosc_updater::{Event, PublicKey, Started, UpdateSource, Updater};
use p2p_support::{Deployment, Network, Publisher, copy, noise};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Cert, Server, Signing, answer, serve_file};
use tracer::{Calls, Fault, Traced, follow};

const WORLD: &str = "BOSC_CRASH_WORLD";
const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EXDEV: i32 = 18;

// --- the application ---

/// Not a test of its own: the process that is killed. Exit code 0: the new build is there, and told of as healthy where it
/// is the one that runs. 3: an error was told of.
#[test]
fn child() {
    let Some(world) = std::env::var_os(WORLD).map(PathBuf::from) else { return };
    // Until it is traced.
    println!("ready");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    // Whatever it waits for, it ends.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(150));
        std::process::abort();
    });
    std::process::exit(update(&world));
}

fn update(world: &Path) -> i32 {
    let conf: Value = serde_json::from_slice(&fs::read(world.join("conf.json")).unwrap()).unwrap();
    let word = |k: &str| conf[k].as_str().unwrap().to_owned();
    let app = world.join("installed/Demo");
    // The build that lies there is the one that runs.
    let new = contents_of(&app).ok().map(|c| print(&c)) == Some(word("new"));
    let version = if new { "1.0.1" } else { "1.0.0" };
    let bootstrap = word("bootstrap");
    let mut source =
        UpdateSource::from_upgrade(word("upgrade"), [PublicKey::base64(Signing::new(7).public())])
            .bootstrap(bootstrap.split(',').filter(|b| !b.is_empty()).map(str::to_owned));
    if let Ok(ca) = fs::read(world.join("ca.der")) {
        source = source.certificates([ca]);
    }
    let builder = Updater::builder("Demo", version.parse().unwrap(), source)
        .app(app)
        .data_folder(world.join("data"))
        .delay(Duration::ZERO)
        .updates(!new);
    if builder.validate().is_err() {
        return 3;
    }
    let Started::Running(updater) = builder.start() else { return 3 };
    let events = updater.events();
    if new {
        return if updater.mark_healthy().wait().is_ok() { 0 } else { 3 };
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        match events.recv_timeout(Duration::from_millis(100)) {
            Some(Event::Updated(update)) => {
                // Whatever goes wrong with this is no business of the update.
                let _ = fs::write(received_beside(world), update.received().to_string());
                match updater.apply_update().wait() {
                    Ok(_) => return 0,
                    Err(_) => return 3,
                }
            }
            Some(Event::Error(e) | Event::SecondInstance(e)) if e.kind() != ErrorKind::Network => return 3,
            _ => {}
        }
    }
    4
}

/// Where it puts down what came over the network: not below the world, whose calls count.
fn received_beside(world: &Path) -> PathBuf {
    let name = world.file_name().unwrap_or_default().to_string_lossy().into_owned();
    world.with_file_name(format!("received-{name}"))
}

/// Contents in short.
fn print(contents: &Contents) -> String {
    support::sha256(format!("{contents:?}").as_bytes())
}

// --- the world around it ---

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Https,
    P2p,
    /// By a patch.
    HttpsDelta,
    P2pDelta,
    /// By two patches, one after the other.
    P2pChain,
    /// By a packed copy.
    P2pPacked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    File,
    /// One whose releases are nearly the same.
    AlikeFile,
    /// One that packs.
    PackingFile,
    Folder,
}

/// Bytes of such a file.
const ALIKE: usize = 400_000;

/// A publisher whose release stays, and what an installation begins with.
struct Source {
    temp: tempfile::TempDir,
    conf: Value,
    ca: Vec<u8>,
    old: Contents,
    new: Contents,
    runs: AtomicU64,
    /// What must live as long.
    _alive: Alive,
}

#[expect(dead_code, reason = "they end when they are dropped")]
enum Alive {
    Https(Server),
    P2p(Publisher, Network),
}

fn put_build(d: &Deployment, shape: Shape, seed: u64) {
    match shape {
        Shape::File => d.put("", &noise(seed, 150_000), true),
        Shape::AlikeFile => {
            let mut bytes = noise(1, ALIKE);
            for at in (0..ALIKE).step_by(10_000) {
                bytes[at..at + 8].copy_from_slice(&noise(seed + at as u64, 8));
            }
            d.put("", &bytes, true);
        }
        Shape::PackingFile => {
            let bytes: Vec<u8> = noise(seed, ALIKE).iter().map(|b| b % 4).collect();
            d.put("", &bytes, true);
        }
        Shape::Folder => {
            d.put("bin/demo", &noise(seed, 90_000), true);
            d.put("share/kept", &noise(90, 50_000), false);
            d.put("share/notes", format!("notes {seed}").as_bytes(), false);
            d.put("share/empty", b"", false);
        }
    }
}

impl Source {
    fn new(way: Way, shape: Shape) -> Self {
        let memory = Path::new("/dev/shm");
        let temp = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let root = temp.path();
        let d = Deployment::new(root.join("deploy"), "1.0.0");
        put_build(&d, shape, 1);
        fs::create_dir_all(root.join("template/installed")).unwrap();
        copy(&d.app(""), &root.join("template/installed/Demo"));
        let old = contents_of(&d.app("")).unwrap();
        let (alive, upgrade, bootstrap, ca) = match way {
            Way::P2p | Way::P2pDelta | Way::P2pChain | Way::P2pPacked => {
                let network = Network::new();
                let mut publisher = Publisher::new(&root.join("author"), &network);
                // Of releases between, three have a delta to the last.
                let between = if way == Way::P2pChain { 3 } else { 0 };
                if between > 0 {
                    d.version("0.9.0");
                }
                publisher.stage(&d.dir);
                for n in 1..=between {
                    put_build(&d, shape, 100 + n);
                    d.version(&format!("0.9.{n}"));
                    publisher.stage(&d.dir);
                }
                put_build(&d, shape, 2);
                d.version("1.0.1");
                publisher.stage(&d.dir);
                publisher.seed();
                let (link, bootstrap) = (publisher.link.clone(), network.bootstrap().join(","));
                (Alive::P2p(publisher, network), link, bootstrap, None)
            }
            Way::Https | Way::HttpsDelta => {
                let before = fs::read(d.app("")).ok();
                put_build(&d, shape, 2);
                let (name, artifact) = match shape {
                    Shape::File | Shape::AlikeFile | Shape::PackingFile => {
                        ("Demo", fs::read(d.app("")).unwrap())
                    }
                    Shape::Folder => ("Demo.tar.gz", tar_gz(&d.app(""))),
                };
                let base = before.filter(|_| way == Way::HttpsDelta);
                let patch =
                    base.as_ref().map(|base| bosc_delta::make(base, &artifact, &Default::default()).unwrap());
                let served = patch.clone().unwrap_or_default();
                let manifest: Arc<Mutex<Value>> = Arc::default();
                let (offered, bytes) = (Arc::clone(&manifest), artifact.clone());
                let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
                    "/m.json" => answer(200, &[], offered.lock().unwrap().to_string()),
                    "/patch" => serve_file(r, &served),
                    _ => serve_file(r, &bytes),
                });
                let url = server.url(&format!("/{name}"));
                let mut made = Signing::new(7).manifest("1.0.1", &url, &artifact);
                if let (Some(base), Some(patch)) = (base, patch) {
                    made["platforms"][platform_key()]["deltas"] = json!([{
                        "from": "1.0.0",
                        "baseSha256": support::sha256(&base),
                        "url": server.url("/patch"),
                        "sha256": support::sha256(&patch),
                        "size": patch.len(),
                    }]);
                }
                *manifest.lock().unwrap() = made;
                let (upgrade, ca) = (server.url("/m.json"), server.ca.clone());
                (Alive::Https(server), upgrade, String::new(), Some(ca))
            }
        };
        let new = contents_of(&d.app("")).unwrap();
        assert_ne!(old, new);
        let conf = json!({ "upgrade": upgrade, "bootstrap": bootstrap, "new": print(&new) });
        Self { conf, ca: ca.unwrap_or_default(), old, new, runs: AtomicU64::new(0), _alive: alive, temp }
    }

    /// A fresh installation of 1.0.0.
    fn world(&self) -> PathBuf {
        let world = self.temp.path().join(format!("run-{}", self.runs.fetch_add(1, Ordering::SeqCst)));
        copy(&self.temp.path().join("template"), &world);
        fs::write(world.join("conf.json"), self.conf.to_string()).unwrap();
        if !self.ca.is_empty() {
            fs::write(world.join("ca.der"), &self.ca).unwrap();
        }
        world
    }

    fn at(&self, path: &Path) -> &'static str {
        match contents_of(path) {
            Ok(found) if found == self.old => "old",
            Ok(found) if found == self.new => "new",
            Ok(_) => "torn",
            Err(_) if fs::symlink_metadata(path).is_err() => "nothing",
            Err(_) => "unreadable",
        }
    }

    fn run(&self, world: &Path, calls: Calls, fault: Option<(u64, Fault)>) -> Traced {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(WORLD, world)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{line}");
        }
        let stdin = child.stdin.take().unwrap();
        let go = || drop(std::io::Write::write_all(&mut { stdin }, b"x"));
        let traced = follow(child.id(), go, world, calls, fault);
        // It is waited for already; this only forgets it.
        let _ = child.wait();
        traced.expect("the system lets a process trace its children")
    }

    /// One installation whose update meets `fault`; `None` when it ended before it got there.
    fn meet(&self, calls: Calls, at: u64, fault: Fault) -> Option<()> {
        let what = format!("{fault:?} at call {at} of {calls:?}");
        let world = self.world();
        let app = world.join("installed/Demo");
        let traced = self.run(&world, calls, Some((at, fault)));
        let there = self.at(&app);
        assert!(matches!(there, "old" | "new"), "{what}: {there} at the path at once; {traced:?}");
        if !traced.reached {
            assert_eq!((traced.code, there), (Some(0), "new"), "{what}: {traced:?}");
            fs::remove_dir_all(&world).unwrap();
            return None;
        }
        match fault {
            Fault::Kill | Fault::Torn => assert_eq!(traced.code, None, "{what}: killed"),
            _ if traced.code == Some(0) => assert_eq!(there, "new", "{what}: it says that it did it"),
            _ => assert_eq!(traced.code, Some(3), "{what}: told of, no crash"),
        }
        // The next starts: the update is completed, and the new build says that it works.
        for start in ["the next start", "the start after it"] {
            let again = self.run(&world, Calls::All, None);
            assert_eq!(again.code, Some(0), "{what}: {start}, with {there} at the path");
            assert_eq!(self.at(&app), "new", "{what}: {start}");
        }
        assert_eq!(self.at(&world.join("installed/Demo.prev")), "old", "{what}");
        let left: Vec<_> = fs::read_dir(world.join("installed/.Demo.bosc")).unwrap().flatten().collect();
        let left: Vec<_> = left.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        for name in ["incoming", "outgoing", "journal.new"] {
            assert!(!left.iter().any(|l| l == name), "{what}: {name} is left over");
        }
        fs::remove_dir_all(&world).unwrap();
        Some(())
    }
}

fn tar_gz(folder: &Path) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    builder.append_dir_all("Demo", folder).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

/// Which of `count` calls are tried: all, or about `some` spread over them, the last ones (where the builds are exchanged)
/// more closely.
fn chosen(count: u64, some: u64) -> Vec<u64> {
    if std::env::var("BOSC_FULL").is_ok_and(|v| v == "1") {
        // A run may make some calls more than the one that was counted.
        return (1..=count + count / 10).collect();
    }
    let stride = (count / some).max(1);
    (1..=count).filter(|n| n % stride == 1 % stride || (count - n) < 60 && n % 6 == 0).collect()
}

fn matrix(way: Way, shape: Shape) {
    if std::env::var_os(WORLD).is_some() {
        return;
    }
    let start = Instant::now();
    let source = Arc::new(Source::new(way, shape));
    let count = |calls| {
        let world = source.world();
        let done = source.run(&world, calls, None);
        assert_eq!(done.code, Some(0), "{way:?} {shape:?}: unharmed");
        assert_eq!(source.at(&world.join("installed/Demo")), "new");
        let received: usize = fs::read_to_string(received_beside(&world)).unwrap().parse().unwrap();
        if matches!(way, Way::HttpsDelta | Way::P2pDelta | Way::P2pChain | Way::P2pPacked) {
            assert!(received < ALIKE / 2, "{way:?}: by the patch, {received}");
        }
        fs::remove_dir_all(&world).unwrap();
        done.calls
    };
    let (all, writes) = (count(Calls::All), count(Calls::Writes));
    let (syncs, renames) = (count(Calls::Syncs), count(Calls::Renames));
    let mut jobs = Vec::new();
    // Every second kill tears the write it comes at.
    for at in chosen(all, 12) {
        jobs.push((Calls::All, at, if at % 2 == 0 { Fault::Kill } else { Fault::Torn }));
    }
    for at in chosen(writes, 4) {
        jobs.push((Calls::Writes, at, Fault::Fail(EIO)));
    }
    for at in chosen(writes, 4) {
        jobs.push((Calls::Writes, at, Fault::FailFromHere(ENOSPC)));
    }
    for at in chosen(syncs, 4) {
        jobs.push((Calls::Syncs, at, Fault::Fail(EIO)));
    }
    for at in chosen(renames, 4) {
        jobs.push((Calls::Renames, at, Fault::Fail(EXDEV)));
    }
    let (mut kills, mut errors, tried) = (0, 0, jobs.len());
    for (calls, at, fault) in jobs {
        if source.meet(calls, at, fault).is_some() {
            match fault {
                Fault::Kill | Fault::Torn => kills += 1,
                _ => errors += 1,
            }
        }
    }
    println!(
        "whole updates, {way:?}, {shape:?}: {all} calls ({writes} writes, {syncs} syncs, {renames} renames); {kills} kills \
         and {errors} errors, one whole build after each; {} s",
        start.elapsed().as_secs()
    );
    // A run may make a few calls fewer than the one that was counted, not many.
    assert!((kills + errors) * 10 > tried * 8, "{kills} and {errors} of {tried}");
}

#[test]
fn a_file_over_https() {
    matrix(Way::Https, Shape::File);
}

#[test]
fn a_folder_over_https() {
    matrix(Way::Https, Shape::Folder);
}

#[test]
fn a_file_over_p2p() {
    matrix(Way::P2p, Shape::File);
}

#[test]
fn a_folder_over_p2p() {
    matrix(Way::P2p, Shape::Folder);
}

#[test]
fn a_file_by_a_delta_over_https() {
    matrix(Way::HttpsDelta, Shape::AlikeFile);
}

#[test]
fn a_file_by_a_delta_over_p2p() {
    matrix(Way::P2pDelta, Shape::AlikeFile);
}

#[test]
fn a_file_by_two_deltas_over_p2p() {
    matrix(Way::P2pChain, Shape::AlikeFile);
}

#[test]
fn a_file_by_a_packed_copy_over_p2p() {
    matrix(Way::P2pPacked, Shape::PackingFile);
}
