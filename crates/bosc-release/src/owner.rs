//! One owner of a store at a time, any number of commands.
//!
//! The process that has a store open listens on a loopback port and writes `owner.json` (port, token, process
//! id) into the store's folder, readable by its user only. A second process that finds the store locked reads
//! it and hands its command over; events come back as they happen. There is no daemon to install: whoever
//! comes first owns the store for as long as it runs, and waits for handed-over commands before it ends.
//!
//! Protocol, one JSON object a line: request `{"token","request"}`, then any number of `{"event":{tag,data}}`,
//! then `{"done":data}` or `{"error":data}`. The client ends a command early by closing its side.
//!
//! Invariants: a connection that does not show the token within five seconds, or sends a first line over
//! [`LINE_MAX`] bytes, is dropped without an answer; at most [`CONNECTIONS_MAX`] are served at once.

use crate::command::{Event, Outcome, Request, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Longest request line in bytes.
pub const LINE_MAX: u64 = 1 << 20;
/// Most commands served at once.
pub const CONNECTIONS_MAX: usize = 64;
/// Longest event line in bytes that a client takes (a whole file may be in one).
const EVENT_MAX: u64 = 64 << 20;
const FILE_NAME: &str = "owner.json";

#[derive(Serialize, Deserialize)]
struct OwnerFile {
    port: u16,
    token: String,
    pid: u32,
}

#[derive(Serialize, Deserialize)]
struct Ask {
    token: String,
    request: Request,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Event(Event),
    Done(Value),
    Error(Value),
}

/// Runs handed-over commands.
pub trait Executor: Send + Sync + 'static {
    /// Runs one command to its end; `stop` is set when the one who asked has gone.
    fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome;
}

/// The listening side. Dropping it stops listening and removes `owner.json`.
pub struct OwnerService {
    path: PathBuf,
    shared: Arc<Shared>,
    port: u16,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    closing: AtomicBool,
    active: AtomicUsize,
    stop: Stop,
}

impl OwnerService {
    /// Starts to listen for commands for the store in `dir`, which this process has locked.
    pub fn start(dir: &Path, executor: Arc<dyn Executor>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        let token = bosc_format::id::encode(&secret);
        let path = dir.join(FILE_NAME);
        let file = OwnerFile { port, token: token.clone(), pid: std::process::id() };
        write_private(&path, &serde_json::to_vec(&file)?)?;
        let shared = Arc::new(Shared {
            closing: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            stop: Stop::new(),
        });
        let inner = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-owner".into())
            .spawn(move || accept_loop(&listener, &token, &executor, &inner))?;
        Ok(Self { path, shared, port, thread: Some(thread) })
    }

    /// Waits until no handed-over command is running, at most `limit`.
    pub fn wait_idle(&self, limit: Duration) {
        let step = Duration::from_millis(10);
        let mut left = limit;
        while self.shared.active.load(Ordering::SeqCst) > 0 && !left.is_zero() {
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
    }

    /// How many handed-over commands are running.
    pub fn active(&self) -> usize {
        self.shared.active.load(Ordering::SeqCst)
    }
}

impl Drop for OwnerService {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.stop.stop();
        let _ = TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port));
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
        self.wait_idle(Duration::from_secs(5));
    }
}

fn accept_loop(listener: &TcpListener, token: &str, executor: &Arc<dyn Executor>, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if shared.active.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            shared.active.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (token, executor, inner) = (token.to_owned(), Arc::clone(executor), Arc::clone(shared));
        let spawned = std::thread::Builder::new().name("store-command".into()).spawn(move || {
            let _ = serve(&stream, &token, executor.as_ref());
            let _ = stream.shutdown(Shutdown::Both);
            inner.active.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            shared.active.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn serve(stream: &TcpStream, token: &str, executor: &dyn Executor) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_nodelay(true)?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?.take(LINE_MAX)).read_line(&mut line)?;
    let Ok(ask) = serde_json::from_str::<Ask>(&line) else { return Ok(()) };
    if !same(ask.token.as_bytes(), token.as_bytes()) {
        return Ok(());
    }
    stream.set_read_timeout(None)?;
    let stop = Stop::new();
    let watcher = {
        let (mut side, stop) = (stream.try_clone()?, stop.clone());
        std::thread::spawn(move || {
            let mut byte = [0u8; 1];
            while matches!(side.read(&mut byte), Ok(n) if n > 0) {}
            stop.stop();
        })
    };
    let mut out = BufWriter::new(stream.try_clone()?);
    let gone = stop.clone();
    let mut sink = |tag: &str, data: Value| {
        let answer = Answer::Event(Event { tag: tag.to_owned(), data });
        if write_line(&mut out, &answer).is_err() {
            gone.stop();
        }
    };
    let outcome = executor.execute(&ask.request, &mut sink, &stop);
    let last = match outcome {
        Ok(data) => Answer::Done(data),
        Err(e) => Answer::Error(e.to_json()),
    };
    write_line(&mut out, &last)?;
    stream.shutdown(Shutdown::Both)?;
    let _ = watcher.join();
    Ok(())
}

fn write_line(out: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y)) == 0
}

/// Writes a file that only its owner can read, under a temporary name first.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let tmp = path.with_extension(format!("tmp{}", std::process::id()));
    let _ = std::fs::remove_file(&tmp);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&tmp)?;
    file.write_all(bytes)?;
    drop(file);
    std::fs::rename(&tmp, path)
}

/// Hands `request` to the owner of the store in `dir`. `Ok(None)` means that nobody answers there, so the store
/// is free or its owner has died.
pub fn hand_over(
    dir: &Path,
    request: &Request,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<Option<Value>, CommandError> {
    let Ok(bytes) = std::fs::read(dir.join(FILE_NAME)) else { return Ok(None) };
    let Ok(file) = serde_json::from_slice::<OwnerFile>(&bytes) else { return Ok(None) };
    let to = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, file.port));
    let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else { return Ok(None) };
    let lost = |e: std::io::Error| {
        CommandError::new(ErrorKind::Store, "ERR_CONNECTION", "the process that owns the store went away")
            .because(e)
            .hint("run the command again")
    };
    let mut ask = serde_json::to_vec(&Ask { token: file.token, request: request.clone() })
        .map_err(|e| CommandError::failed("the command could not be handed over").because(e))?;
    ask.push(b'\n');
    (&stream).write_all(&ask).map_err(lost)?;
    let closer = stream.try_clone().map_err(lost)?;
    let (done, stop) = (Arc::new(AtomicBool::new(false)), stop.clone());
    let ended = Arc::clone(&done);
    std::thread::spawn(move || {
        while !ended.load(Ordering::SeqCst) {
            if stop.is_stopped() {
                let _ = closer.shutdown(Shutdown::Write);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let result = read_answers(&stream, sink, &lost);
    done.store(true, Ordering::SeqCst);
    result
}

fn read_answers(
    stream: &TcpStream,
    sink: &mut dyn Sink,
    lost: &dyn Fn(std::io::Error) -> CommandError,
) -> Result<Option<Value>, CommandError> {
    let mut reader = BufReader::new(stream);
    let mut started = false;
    loop {
        let mut line = String::new();
        let n = (&mut reader).take(EVENT_MAX).read_line(&mut line).map_err(lost)?;
        if n == 0 {
            // Closed before any answer: the token was refused or the owner was ending just then.
            if !started {
                return Ok(None);
            }
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        started = true;
        match serde_json::from_str::<Answer>(&line) {
            Ok(Answer::Event(e)) => sink.event(&e.tag, e.data),
            Ok(Answer::Done(data)) => return Ok(Some(data)),
            Ok(Answer::Error(data)) => return Err(CommandError::from_json(&data)),
            Err(e) => return Err(lost(std::io::Error::other(e))),
        }
    }
}

/// Reads `line` as everything this module reads: `owner.json`, a command, an answer. Says whether it was any.
#[doc(hidden)]
pub fn check_line(line: &[u8]) -> bool {
    serde_json::from_slice::<OwnerFile>(line).is_ok()
        || serde_json::from_slice::<Ask>(line).is_ok()
        || match serde_json::from_slice::<Answer>(line) {
            Ok(Answer::Error(data)) => !CommandError::from_json(&data).to_json().is_null(),
            answer => answer.is_ok(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Touch;

    struct Echo;

    impl Executor for Echo {
        fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
            match request {
                Request::Touch(t) if t.vanity.as_deref() == Some("wait") => {
                    sink.event("waiting", Value::Null);
                    while !stop.is_stopped() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(Value::from("stopped"))
                }
                Request::Touch(_) => {
                    sink.event("one", Value::from(1));
                    Ok(Value::from("done"))
                }
                _ => Err(CommandError::input("no").hint("try touch")),
            }
        }
    }

    #[test]
    fn a_command_is_handed_over_and_its_events_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let mut tags = Vec::new();
        let mut sink = |tag: &str, _: Value| tags.push(tag.to_owned());
        let out = hand_over(dir.path(), &Request::Touch(Touch::default()), &mut sink, &Stop::new())
            .unwrap()
            .unwrap();
        assert_eq!(out, Value::from("done"));
        assert_eq!(tags, ["one"]);
        let err = hand_over(
            dir.path(),
            &Request::Info(crate::command::Info::default()),
            &mut |_: &str, _: Value| {},
            &Stop::new(),
        )
        .unwrap_err();
        assert_eq!((err.kind(), err.hint_text()), (ErrorKind::Input, "try touch"));
        drop(service);
        let gone = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &mut |_: &str, _: Value| {},
            &Stop::new(),
        );
        assert!(gone.unwrap().is_none());
    }

    #[test]
    fn a_stranger_without_the_token_gets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let mut s = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
        s.write_all(b"{\"token\":\"guess\",\"request\":{\"command\":\"touch\",\"vanity\":null}}\n").unwrap();
        let mut all = Vec::new();
        s.read_to_end(&mut all).unwrap();
        assert!(all.is_empty());
    }

    #[test]
    fn a_client_that_stops_stops_its_command() {
        let dir = tempfile::tempdir().unwrap();
        let _service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let stop = Stop::new();
        let later = stop.clone();
        let mut sink = move |_: &str, _: Value| later.stop();
        let out =
            hand_over(dir.path(), &Request::Touch(Touch { vanity: Some("wait".into()) }), &mut sink, &stop);
        assert_eq!(out.unwrap(), Some(Value::from("stopped")));
    }
}
