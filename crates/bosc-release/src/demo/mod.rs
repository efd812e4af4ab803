//! `demo`: the whole job on this machine. A small DHT on loopback, a store that stages and seeds, others that
//! find, fetch and follow; then a release of it that two of three people sign; then a program that updates itself and
//! takes a broken release back. Every file is compared byte for byte.

mod files;
mod pipeline;
mod updates;

pub use updates::{EXAMPLE, EXAMPLE_ENV, end_with_demo};

use crate::command::{Dump, Outcome, Request, Seed, Sink, Stage, Stop, Touch};
use crate::dht::{DhtConfig, start};
use crate::engine::{Engine, EngineConfig};
use crate::error::{CommandError, ErrorKind};
use bosc_node::Node;
use files::{TempDir, compare, edit, made_app};
use pipeline::Machines;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nodes of the demo's DHT; fewer than four make JavaScript clients believe they are alone.
const DHT_NODES: usize = 4;
/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes put into the middle of the largest file for the second version.
const INSERTED: usize = 100;

/// Runs the demo with the folder `dir`, or a small application made for it. Fails unless every comparison holds.
/// `program`: an executable that is the example program when [`EXAMPLE_ENV`] says so; without one that part is left out.
pub fn run(dir: Option<&Path>, program: Option<&Path>, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let temp = TempDir::new()?;
    let outcome = Demo { temp: temp.path(), sink, stop, started: Instant::now() }.run(dir, program);
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

    fn run(&mut self, dir: Option<&Path>, program: Option<&Path>) -> Outcome {
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
        let (writer, reader) = (engine("store-of-alice")?, engine("store-of-bob")?);
        let third = engine("store-of-carol")?;
        let result = std::thread::scope(|scope| {
            let ends = Stop::new();
            let guard = StopOnDrop(ends.clone());
            let machines = Machines { alice: &writer, bob: &reader, carol: &third };
            let result = self.ship(&app, machines, scope, &ends).and_then(|mut done| {
                if let Some(program) = program {
                    let updates = self.updates(program, &writer, &bootstrap, scope, &ends)?;
                    if let Some(map) = done.as_object_mut() {
                        map.insert("updates".into(), updates);
                    }
                }
                self.step("All comparisons held.".into(), Value::Null);
                Ok(done)
            });
            drop(guard);
            result
        });
        writer.close();
        reader.close();
        third.close();
        nodes.into_iter().for_each(Node::close);
        result
    }

    fn ship<'s, 'e: 's>(
        &mut self,
        app: &Path,
        machines: Machines<'e>,
        scope: &'s std::thread::Scope<'s, 'e>,
        ends: &Stop,
    ) -> Outcome {
        let (writer, reader) = (machines.alice, machines.bob);
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
        let release = self.release(machines, &link, &second, &changed, scope, ends)?;
        Ok(json!({
            "link": link,
            "received": { "first": bytes, "second": delta },
            "bytes": compared.bytes,
            "release": release,
        }))
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
        Ok(Staged { length: n("length"), verlink: text(&outcome, "verlink") })
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
    verlink: String,
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
