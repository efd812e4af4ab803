//! `demo`: the whole job on this machine. A small DHT on loopback, a store that stages and seeds, another one that
//! finds, fetches and follows; every file compared byte for byte.

use crate::command::{Dump, Outcome, Request, Seed, Sink, Stage, Stop, Touch};
use crate::dht::{DhtConfig, start};
use crate::engine::{Engine, EngineConfig};
use crate::error::{CommandError, ErrorKind};
use bosc_node::Node;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nodes of the demo's DHT; fewer than four make JavaScript clients believe they are alone.
const DHT_NODES: usize = 4;
/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes put into the middle of the largest file for the second version.
const INSERTED: usize = 100;

/// Runs the demo with the folder `dir`, or a small application made for it. Fails unless every comparison holds.
pub fn run(dir: Option<&Path>, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let temp = TempDir::new()?;
    let outcome = Demo { temp: temp.path(), sink, stop, started: Instant::now() }.run(dir);
    drop(temp);
    outcome
}

struct Demo<'a> {
    temp: &'a Path,
    sink: &'a mut dyn Sink,
    stop: &'a Stop,
    started: Instant,
}

impl Demo<'_> {
    fn step(&mut self, text: String, data: Value) {
        let at = self.started.elapsed().as_secs_f64();
        self.sink.event("step", json!({ "text": text, "seconds": at, "data": data }));
    }

    fn run(&mut self, dir: Option<&Path>) -> Outcome {
        let app = match dir {
            Some(dir) => dir.to_owned(),
            None => made_app(&self.temp.join("app"))?,
        };
        let nodes = dht()?;
        let bootstrap: Vec<String> = nodes.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
        self.step(
            format!("1. A DHT of {DHT_NODES} nodes runs on loopback"),
            json!({ "bootstrap": bootstrap }),
        );

        let engine = |name: &str| {
            Engine::open(&EngineConfig {
                store: self.temp.join(name),
                bootstrap: bootstrap.clone(),
                primary_key: None,
            })
        };
        let (writer, reader) = (engine("store-of-the-releaser")?, engine("store-of-another-machine")?);
        let result = std::thread::scope(|scope| {
            let ends = Stop::new();
            let guard = StopOnDrop(ends.clone());
            let result = self.ship(&app, &writer, &reader, scope, &ends);
            drop(guard);
            result
        });
        writer.close();
        reader.close();
        nodes.into_iter().for_each(Node::close);
        result
    }

    fn ship<'s, 'e: 's>(
        &mut self,
        app: &Path,
        writer: &'e Engine,
        reader: &'e Engine,
        scope: &'s std::thread::Scope<'s, 'e>,
        ends: &Stop,
    ) -> Outcome {
        let mut quiet = |_: &str, _: Value| {};
        let touched = writer.execute_request(&Request::Touch(Touch::default()), &mut quiet, self.stop)?;
        let link = text(&touched, "link");
        self.step(format!("2. A new link: {link}"), json!({ "link": link }));

        let first = self.stage(writer, &link, app, "3. Staged")?;
        seed(writer, &link, scope, ends);
        let following = seed(reader, &link, scope, ends);
        let begun = Instant::now();
        let stats = self.follow(&following, first.length)?;
        let (bytes, seconds) = (received(&stats), begun.elapsed().as_secs_f64());
        self.step(
            format!(
                "4. Found and fetched by the second store: {} in {seconds:.2} s ({}/s)",
                size(bytes),
                size((bytes as f64 / seconds.max(0.001)) as u64)
            ),
            json!({ "received": bytes, "seconds": seconds }),
        );
        let copy = self.temp.join("copy-1");
        self.dump(reader, &link, &copy)?;
        let compared = compare(app, &copy)?;
        self.step(
            format!(
                "5. Written to a folder and compared: {} files, {} equal",
                compared.files,
                size(compared.bytes)
            ),
            json!({ "files": compared.files, "bytes": compared.bytes }),
        );

        let changed = self.temp.join("version-2");
        self.dump(writer, &link, &changed)?;
        let edits = edit(&changed)?;
        self.step(format!("6. A second version: {edits}"), json!({ "edits": edits }));
        let before = received(&stats);
        let begun = Instant::now();
        let second = self.stage(writer, &link, &changed, "7. Staged the second version")?;
        let stats = self.follow(&following, second.length)?;
        let (delta, seconds) = (received(&stats).saturating_sub(before), begun.elapsed().as_secs_f64());
        self.step(
            format!(
                "8. It arrived by itself, {seconds:.2} s after staging began: {} received of {}",
                size(delta),
                size(compared.bytes)
            ),
            json!({ "received": delta, "whole": compared.bytes, "seconds": seconds }),
        );
        let copy = self.temp.join("copy-2");
        self.dump(reader, &link, &copy)?;
        let compared = compare(&changed, &copy)?;
        self.step(
            format!("9. Compared again: {} files, {} equal", compared.files, size(compared.bytes)),
            json!({ "files": compared.files, "bytes": compared.bytes }),
        );
        // Small applications change whole; large ones must not travel whole.
        if compared.bytes > 32 << 20 && delta > compared.bytes / 2 {
            return Err(wrong("more than half of the application travelled for a small change".into()));
        }
        self.step("All comparisons held.".into(), Value::Null);
        Ok(json!({ "link": link, "received": { "first": bytes, "second": delta }, "bytes": compared.bytes }))
    }

    fn stage(&mut self, engine: &Engine, link: &str, dir: &Path, what: &str) -> Result<Staged, CommandError> {
        let begun = Instant::now();
        let mut summary = Value::Null;
        let mut sink = |tag: &str, data: Value| {
            if tag == "summary" {
                summary = data;
            }
        };
        let request = Stage { link: link.to_owned(), dir: dir.to_owned(), ..Stage::default() };
        let outcome = engine.execute_request(&Request::Stage(request), &mut sink, self.stop)?;
        let seconds = begun.elapsed().as_secs_f64();
        let n = |k: &str| summary.get(k).and_then(Value::as_u64).unwrap_or(0);
        self.step(
            format!(
                "{what}: {} files, {} added, {} changed, {} new bytes, {} reused, in {seconds:.2} s: {}",
                n("files"),
                n("add"),
                n("change"),
                size(n("newBytes")),
                size(n("sharedBytes")),
                text(&outcome, "verlink"),
            ),
            json!({ "summary": summary, "seconds": seconds, "verlink": text(&outcome, "verlink") }),
        );
        Ok(Staged { length: n("length") })
    }

    fn dump(&mut self, engine: &Engine, link: &str, dir: &Path) -> Result<(), CommandError> {
        let request = Dump {
            link: link.to_owned(),
            dir: Some(dir.to_owned()),
            prune: true,
            timeout_ms: 30_000,
            ..Dump::default()
        };
        engine.execute_request(&Request::Dump(request), &mut |_: &str, _: Value| {}, self.stop).map(drop)
    }

    /// Waits until the follower has all of the drive at `length`.
    fn follow(&self, stats: &Receiver<Value>, length: u64) -> Result<Value, CommandError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !self.stop.is_stopped() {
            let Ok(s) = stats.recv_timeout(Duration::from_millis(100)) else { continue };
            let yes = |k: &str| s.get(k).and_then(Value::as_bool).unwrap_or(false);
            let at = s.get("driveLength").and_then(Value::as_u64).unwrap_or(0);
            if at >= length && yes("driveSynced") && yes("blobsSynced") {
                return Ok(s);
            }
        }
        Err(CommandError::new(
            ErrorKind::Network,
            "ERR_NETWORK_TIMEOUT",
            "the second store did not get the drive",
        )
        .hint("run the demo again with --verbose"))
    }
}

struct Staged {
    length: u64,
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Seeds in a thread of its own; its stats come out of the receiver.
fn seed<'s, 'e: 's>(
    engine: &'e Engine,
    link: &str,
    scope: &'s std::thread::Scope<'s, 'e>,
    stop: &Stop,
) -> Receiver<Value> {
    let (tx, rx) = channel();
    let (stop, link) = (stop.clone(), link.to_owned());
    scope.spawn(move || {
        let request = Seed { link, stats_interval_ms: 200, ..Seed::default() };
        let mut sink = |tag: &str, data: Value| {
            if tag == "stats" {
                let _ = tx.send(data);
            }
        };
        let _ = engine.execute_request(&Request::Seed(request), &mut sink, &stop);
    });
    rx
}

fn dht() -> Result<Vec<Node>, CommandError> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..DHT_NODES {
        let bootstrap = nodes.first().map(|n| format!("127.0.0.1:{}", n.port())).into_iter().collect();
        nodes.push(start(&DhtConfig { host: Ipv4Addr::LOCALHOST, port: 0, public_host: None, bootstrap })?);
    }
    Ok(nodes)
}

fn text(v: &Value, key: &str) -> String {
    v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn received(stats: &Value) -> u64 {
    stats.get("download").and_then(|d| d.get("totalBytes")).and_then(Value::as_u64).unwrap_or(0)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn wrong(message: String) -> CommandError {
    CommandError::new(ErrorKind::Integrity, "ERR_DEMO", message)
        .hint("this is a defect of Bosc: please report it")
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> CommandError + '_ {
    move |e| CommandError::failed(format!("cannot use {}", path.display())).because(e)
}

struct Compared {
    files: u64,
    bytes: u64,
}

/// Compares two folders: names, contents, executable bits, symlinks. A symlink that leaves the first folder may be a
/// copy of its target in the second.
fn compare(a: &Path, b: &Path) -> Result<Compared, CommandError> {
    let (left, right) = (walk(a, true)?, walk(b, false)?);
    let only_left = left.iter().find(|p| !right.contains(*p));
    if let Some(missing) = only_left.or_else(|| right.iter().find(|p| !left.contains(*p))) {
        return Err(wrong(format!("{} is in one folder only", missing.display())));
    }
    let mut out = Compared { files: 0, bytes: 0 };
    for name in &left {
        let (x, y) = (a.join(name), b.join(name));
        let meta = std::fs::symlink_metadata(&y).map_err(io(&y))?;
        out.files += 1;
        if meta.is_symlink() {
            let (to_x, to_y) =
                (std::fs::read_link(&x).map_err(io(&x))?, std::fs::read_link(&y).map_err(io(&y))?);
            if to_x.components().ne(to_y.components())
                && std::fs::canonicalize(&x).ok().is_none_or(|c| !c.ends_with(&to_y))
            {
                return Err(wrong(format!("{} links to another place", name.display())));
            }
            continue;
        }
        out.bytes += same_bytes(&x, &y)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&x).map_err(io(&x))?.permissions().mode();
            if (mode & 0o100) != (meta.permissions().mode() & 0o100) {
                return Err(wrong(format!("{} lost or gained its executable bit", name.display())));
            }
        }
    }
    Ok(out)
}

fn same_bytes(x: &Path, y: &Path) -> Result<u64, CommandError> {
    let (mut f, mut g) = (std::fs::File::open(x).map_err(io(x))?, std::fs::File::open(y).map_err(io(y))?);
    let (mut p, mut q) = (vec![0u8; 1 << 16], vec![0u8; 1 << 16]);
    let mut total = 0;
    loop {
        let n = f.read(&mut p).map_err(io(x))?;
        let part = q.get_mut(..n.max(1)).unwrap_or_default();
        let equal = if n == 0 {
            g.read(part).map_err(io(y))? == 0
        } else {
            g.read_exact(part).is_ok() && p.get(..n) == q.get(..n)
        };
        if !equal {
            return Err(wrong(format!("{} differs", y.display())));
        }
        if n == 0 {
            return Ok(total);
        }
        total += n as u64;
    }
}

/// Files and symlinks below a folder, as relative paths. With `follow`, symlinked folders outside it are entered.
fn walk(root: &Path, follow: bool) -> Result<BTreeSet<PathBuf>, CommandError> {
    let canonical = std::fs::canonicalize(root).map_err(io(root))?;
    let mut out = BTreeSet::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(folder) = todo.pop() {
        let full = root.join(&folder);
        for entry in std::fs::read_dir(&full).map_err(io(&full))? {
            let entry = entry.map_err(io(&full))?;
            let name = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(io(&full))?;
            let outside = follow
                && kind.is_symlink()
                && std::fs::canonicalize(entry.path())
                    .is_ok_and(|c| !c.starts_with(&canonical) && c.is_dir());
            if kind.is_dir() || outside {
                todo.push(name);
            } else {
                out.insert(name);
            }
        }
    }
    Ok(out)
}

/// Makes the next version: a few bytes put into the middle of the largest file, and the version counted up.
fn edit(dir: &Path) -> Result<String, CommandError> {
    let package = dir.join("package.json");
    let bytes = std::fs::read(&package).map_err(io(&package))?;
    let mut json: Value = serde_json::from_slice(&bytes)
        .map_err(|e| CommandError::input("its package.json is not JSON").because(e))?;
    let next = match json.get("version").and_then(Value::as_str).and_then(|v| semver::Version::parse(v).ok())
    {
        Some(mut v) => {
            v.patch += 1;
            v.to_string()
        }
        None => "1.0.1".to_owned(),
    };
    if let Some(map) = json.as_object_mut() {
        map.insert("version".into(), Value::from(next.clone()));
    }
    let text =
        serde_json::to_vec_pretty(&json).map_err(|e| CommandError::failed("package.json").because(e))?;
    std::fs::write(&package, text).map_err(io(&package))?;
    let mut largest = (0, PathBuf::new());
    for name in walk(dir, false)? {
        let path = dir.join(&name);
        let meta = std::fs::symlink_metadata(&path).map_err(io(&path))?;
        if meta.is_file() && meta.len() > largest.0 && name != Path::new("package.json") {
            largest = (meta.len(), name);
        }
    }
    let path = dir.join(&largest.1);
    let mut bytes = std::fs::read(&path).map_err(io(&path))?;
    let middle = bytes.len() / 2;
    bytes.splice(middle..middle, std::iter::repeat_n(b'+', INSERTED));
    std::fs::write(&path, bytes).map_err(io(&path))?;
    Ok(format!(
        "version {next}, {INSERTED} bytes put into the middle of {} ({})",
        largest.1.display(),
        size(largest.0)
    ))
}

/// The application under `examples/` when the demo runs in a clone, else one like it.
fn made_app(dir: &Path) -> Result<PathBuf, CommandError> {
    let example = Path::new("examples/demo-app");
    if example.join("package.json").is_file() {
        return Ok(example.to_owned());
    }
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf, CommandError> {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        std::fs::write(&path, bytes).map_err(io(&path))?;
        Ok(path)
    };
    write(
        "package.json",
        b"{\n  \"name\": \"demo\",\n  \"productName\": \"Demo\",\n  \"version\": \"1.0.0\"\n}\n",
    )?;
    write("CHANGELOG.md", b"# Changelog\n\n## 1.0.0\n\nFirst.\n")?;
    write("by-arch/linux-x64/app/empty.txt", b"")?;
    // Bytes that do not repeat, from a small generator.
    let mut state = 1u32;
    let big: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(6 << 20)
    .collect();
    let binary = write("by-arch/linux-x64/app/Demo", &big)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).map_err(io(&binary))?;
        let link = dir.join("by-arch/linux-x64/app/current");
        std::os::unix::fs::symlink("Demo", &link).map_err(io(&link))?;
    }
    let _ = binary;
    Ok(dir.to_owned())
}

/// A folder that goes away with the value.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Result<Self, CommandError> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
        let path = std::env::temp_dir().join(format!("bosc-demo-{:016x}", u64::from_le_bytes(random)));
        std::fs::create_dir(&path).map_err(io(&path))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
