//! One owner of a store at a time, any number of commands.
//!
//! The process that has a store open listens on a loopback port and writes `owner.json` (port, token, process
//! id) into the store's folder, readable by its user only. A second process that finds the store locked reads
//! it and hands its command over; events come back as they happen. There is no daemon to install: whoever
//! comes first owns the store for as long as it runs, and waits for handed-over commands before it ends.
//!
//! Protocol, one JSON object a line:
//!
//! ```text
//! asker                       owner
//!   {"token","request","caller"} ──▶   within FIRST_LINE
//!                        ◀──  {"taken":pid}
//!   "go"                 ──▶           only now the command begins
//!                        ◀──  {"event":Event} …, {"alive":null} every ALIVE
//!   (closes its side)    ──▶           the command is told to stop
//!                        ◀──  {"done":Output} or {"error":data}
//! ```
//!
//! [`Event`] and [`Output`] go over as serde writes them, so that what comes out is what was told, and the asker prints it as
//! its own. [`ask`] is the asker's side, [`caller`] what of its surroundings goes along, [`owner_file`] the file; the owner's side is
//! here.
//!
//! Invariants:
//! 1. Nothing begins whose asker is gone: an owner that was stopped (Ctrl+Z) and goes on finds no "go".
//! 2. An asker never waits without bound: for `SILENCE` (or the command's shorter `--timeout`) without a line, or `LAST_WORD` after its own stop.
//! 3. A connection that does not show the token in time or sends a first line over [`LINE_MAX`] bytes is dropped without an
//!    answer. Those that have not shown it yet never keep out one that will: the oldest goes when there are
//!    [`CONNECTIONS_MAX`] of them.
//! 4. At most [`CONNECTIONS_MAX`] commands run at once; who comes then is told.
//! 5. Closing needs no network: the listening thread is woken inside this process, also where nothing reaches 127.0.0.1,
//!    and is waited for no longer than `CLOSING`.
//!
//! # Files
//!
//! - Here: the side that serves: the protocol, the token and how long it may take to come, how many connections and how long a line,
//!   an asker that reads nothing, the end.
//! - `ask`: the side that hands a command over: how long the owner may be silent, a stopped asker, the longest event. `caller`: what
//!   of the asker's surroundings goes along, and a primary key that is another. `owner_file`: where the owner listens and its token,
//!   in `owner.json`.

pub mod ask;
pub mod caller;
pub mod owner_file;

use crate::command::{Outcome, Stop};
use crate::error::{CommandError, ErrorKind, Failure};
use crate::event::{Event, Output, Sink};
use crate::request::Request;
use caller::Caller;
use owner_file::{FILE_NAME, OwnerFile, write_private};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest request line in bytes.
pub const LINE_MAX: u64 = 1 << 20;
/// Most commands served at once.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to show the token, all in all.
const FIRST_LINE: Duration = Duration::from_secs(5);
/// How long an asker may take nothing of what it is sent before its command is stopped.
const UNREAD: Duration = Duration::from_secs(600);
/// How long the thread that listens may take to end. It waits for nothing then; a machine that is busy gets a moment.
const CLOSING: Duration = Duration::from_secs(5);
/// How often a running command says that its owner lives.
const ALIVE: Duration = Duration::from_secs(2);

/// What is spoken; owners of another version are not asked.
const PROTOCOL: u32 = 6;
/// What the asker says when it is still there.
const GO: &[u8] = b"go\n";

#[derive(Serialize, Deserialize)]
struct Ask {
    token: String,
    request: Request,
    caller: Caller,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Taken(u32),
    Alive,
    Event(Event),
    Done(Output),
    Error(Failure),
}

/// Runs handed-over commands.
pub trait Executor: Send + Sync + 'static {
    /// Runs one command to its end; `stop` is set when the one who asked has gone.
    fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome;

    /// Whether it may run commands of this one at all.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, _: &Caller) -> Result<(), CommandError> {
        Ok(())
    }
}

/// The listening side. Dropping it stops listening and removes `owner.json`.
pub struct OwnerService {
    path: PathBuf,
    shared: Arc<Connections>,
    /// Dropping it ends the thread that listens.
    close: Option<oneshot::Sender<()>>,
    /// Ends, without a word, when that thread has.
    closed: mpsc::Receiver<()>,
}

struct Connections {
    active: AtomicUsize,
    /// Connections that have not shown the token yet, oldest first.
    strangers: Mutex<VecDeque<(u64, TcpStream)>>,
}

impl Connections {
    /// Takes note of a new connection; the oldest stranger makes room.
    fn meet(&self, id: u64, stream: &TcpStream) {
        let Ok(stream) = stream.try_clone() else { return };
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= CONNECTIONS_MAX
            && let Some((_, oldest)) = strangers.pop_front()
        {
            let _ = oldest.shutdown(Shutdown::Both);
        }
        strangers.push_back((id, stream));
    }

    /// It showed the token, or is gone.
    fn met(&self, id: u64) {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _)| *other != id);
    }
}

impl OwnerService {
    /// Starts to listen for commands for the store in `dir`, which this process has locked.
    pub fn start(dir: &Path, executor: Arc<dyn Executor>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        let token = bosc_format::id::encode(&secret);
        let path = dir.join(FILE_NAME);
        let file = OwnerFile { port, token: token.clone(), pid: std::process::id(), protocol: PROTOCOL };
        write_private(&path, &serde_json::to_vec(&file)?)?;
        let shared = Arc::new(Connections { active: AtomicUsize::new(0), strangers: Mutex::default() });
        let inner = Arc::clone(&shared);
        let ((close, closing), (ended, closed)) = (oneshot::channel(), mpsc::channel());
        std::thread::Builder::new().name("store-owner".into()).spawn(move || {
            let _ended: mpsc::Sender<()> = ended;
            // Let go before the end is known: who waits for it closes the store next, and nobody else may have it then.
            let executor = executor;
            let listening = async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = closing => {}
                    () = accept_loop(&listener, &token, &executor, &inner) => {}
                }
            };
            runtime.block_on(listening);
        })?;
        Ok(Self { path, shared, close: Some(close), closed })
    }

    /// Waits until no handed-over command is running, at most `limit` and until `stop`.
    pub fn wait_idle(&self, limit: Duration, stop: &Stop) {
        let start = Instant::now();
        while self.active() > 0 && start.elapsed() < limit && !stop.is_stopped() {
            std::thread::sleep(Duration::from_millis(10));
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
        self.close.take();
        let _ = self.closed.recv_timeout(CLOSING);
        self.wait_idle(Duration::from_secs(5), &Stop::new());
    }
}

async fn accept_loop(
    listener: &tokio::net::TcpListener,
    token: &str,
    executor: &Arc<dyn Executor>,
    shared: &Arc<Connections>,
) {
    for id in 0u64.. {
        let stream = listener.accept().await.and_then(|(stream, _)| stream.into_std());
        // Its commands run on threads of their own, which wait for it.
        let stream = stream.and_then(|stream| stream.set_nonblocking(false).map(|()| stream));
        let Ok(stream) = stream else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        shared.meet(id, &stream);
        // Whoever says nothing yet keeps nothing open.
        let (token, executor, inner) = (token.to_owned(), Arc::downgrade(executor), Arc::clone(shared));
        let spawned = std::thread::Builder::new().name("store-command".into()).spawn(move || {
            let ask = first_line(&stream).ok().and_then(|line| serde_json::from_slice::<Ask>(&line).ok());
            let ask = ask.filter(|ask| same(ask.token.as_bytes(), token.as_bytes()));
            inner.met(id);
            if let Some(ask) = ask {
                let running = inner.active.fetch_add(1, Ordering::SeqCst);
                if let Some(executor) = executor.upgrade() {
                    let _ = serve(&stream, &ask, executor.as_ref(), running < CONNECTIONS_MAX);
                }
                inner.active.fetch_sub(1, Ordering::SeqCst);
            }
            let _ = stream.shutdown(Shutdown::Both);
        });
        if spawned.is_err() {
            shared.met(id);
        }
    }
}

/// The first line of a connection, within [`FIRST_LINE`] however it trickles in.
fn first_line(stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let start = Instant::now();
    let mut reader = BufReader::new(stream.take(LINE_MAX));
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let left = FIRST_LINE.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let more = reader.fill_buf()?;
        let taken = more.iter().position(|b| *b == b'\n').map_or(more.len(), |at| at + 1);
        if taken == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(more.get(..taken).unwrap_or_default());
        reader.consume(taken);
    }
    Ok(line)
}

fn serve(stream: &TcpStream, ask: &Ask, executor: &dyn Executor, room: bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let out = Mutex::new(BufWriter::new(stream.try_clone()?));
    let send = |answer: &Answer| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        write_line(&mut *out, answer)
    };
    if !room {
        let e = CommandError::new(
            ErrorKind::Store,
            "ERR_BUSY",
            "the process that owns the store has too much to do",
        )
        .hint("wait for some of its commands to end, then run this one again");
        return send(&Answer::Error(e.told()));
    }
    let umask = || ask.caller.check_umask(caller::umask(), &ask.request);
    if let Err(e) = executor.admit(&ask.caller).and_then(|()| umask()) {
        return send(&Answer::Error(e.told()));
    }
    let _keys = ask.caller.keys.clone().hold();
    send(&Answer::Taken(std::process::id()))?;
    // Whoever asked is still there: what nobody waits for is not begun.
    stream.set_read_timeout(Some(FIRST_LINE))?;
    let mut go = [0u8; GO.len()];
    (&*stream).read_exact(&mut go)?;
    if go != GO {
        return Ok(());
    }
    stream.set_read_timeout(None)?;
    // An asker that was stopped and takes nothing does not keep its command, and what that holds, for ever.
    stream.set_write_timeout(Some(UNREAD))?;
    let stop = Stop::new();
    let watcher = {
        let (mut side, stop) = (stream.try_clone()?, stop.clone());
        std::thread::spawn(move || {
            let mut byte = [0u8; 1];
            while matches!(side.read(&mut byte), Ok(n) if n > 0) {}
            stop.stop();
        })
    };
    let (ended, end) = mpsc::channel::<()>();
    let outcome = std::thread::scope(|scope| {
        let (send, stop) = (&send, &stop);
        scope.spawn(move || {
            while matches!(end.recv_timeout(ALIVE), Err(mpsc::RecvTimeoutError::Timeout)) {
                if send(&Answer::Alive).is_err() {
                    stop.stop();
                }
            }
        });
        let mut sink = |event: Event| {
            if send(&Answer::Event(event)).is_err() {
                stop.stop();
            }
        };
        let outcome = executor.execute(&ask.request, &mut sink, stop);
        drop(ended);
        outcome
    });
    let last = match outcome {
        Ok(output) => Answer::Done(output),
        Err(e) => Answer::Error(e.told()),
    };
    send(&last)?;
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
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y)) == 0
}

/// Reads `line` as everything this module reads: `owner.json`, a command, an answer. Says whether it was any.
#[doc(hidden)]
pub fn check_line(line: &[u8]) -> bool {
    serde_json::from_slice::<OwnerFile>(line).is_ok()
        || serde_json::from_slice::<Ask>(line).is_ok()
        || match serde_json::from_slice::<Answer>(line) {
            Ok(Answer::Error(told)) => !CommandError::from(told).told().success,
            answer => answer.is_ok(),
        }
}

#[cfg(test)]
mod tests;
