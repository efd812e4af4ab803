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
mod tests {
    use super::ask::{Asker, LOOK, hand_over};
    use super::*;
    use crate::secrets::KeysInUse;
    use crate::seed::event::SeedEvent;
    use crate::touch::Touch;
    use crate::touch::event::Touched;

    fn named(name: &str) -> Output {
        Touched { key: String::new(), link: String::new(), name: name.into(), shared: false }.into()
    }

    struct Echo;

    impl Executor for Echo {
        fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
            match request {
                Request::Touch(t) if t.vanity.as_deref() == Some("wait") => {
                    sink.tell(SeedEvent::Announced);
                    while !stop.is_stopped() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(named("stopped"))
                }
                Request::Touch(_) => {
                    sink.tell(SeedEvent::PeerAdd("one".into()));
                    Ok(named("done"))
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
        let mut sink = |event: Event| tags.push(event.parts().0);
        let out = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &Caller::default(),
            &mut sink,
            &Stop::new(),
        )
        .unwrap()
        .unwrap();
        assert_eq!(out, named("done"));
        assert_eq!(tags, ["peer-add"]);
        let err = hand_over(
            dir.path(),
            &Request::Info(crate::info::Info::default()),
            &Caller::default(),
            &mut |_: Event| {},
            &Stop::new(),
        )
        .unwrap_err();
        assert_eq!((err.kind(), err.hint_text()), (ErrorKind::Input, "try touch"));
        drop(service);
        let gone = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &Caller::default(),
            &mut |_: Event| {},
            &Stop::new(),
        );
        assert!(gone.unwrap().is_none());
    }

    /// Says whether a key is in use while it runs a command, and takes commands of those alone who have its primary key.
    struct Knows(Vec<u8>, [u8; 32]);

    impl Executor for Knows {
        fn execute(&self, _: &Request, _: &mut dyn Sink, _: &Stop) -> Outcome {
            let known = !KeysInUse::of_environment().is_disjoint(&KeysInUse::default().with(&self.0));
            Ok(named(if known { "known" } else { "unknown" }))
        }

        fn admit(&self, caller: &Caller) -> Result<(), CommandError> {
            caller.check_primary_key(&self.1)
        }
    }

    #[test]
    fn the_keys_of_the_one_who_asks_are_in_use_for_the_command() {
        let (dir, key) = (tempfile::tempdir().unwrap(), (0..32).map(|i| i * 3 + 1).collect::<Vec<u8>>());
        let _service = OwnerService::start(dir.path(), Arc::new(Knows(key.clone(), [9; 32]))).unwrap();
        let ask = |caller: &Caller| {
            let touch = Request::Touch(Touch::default());
            hand_over(dir.path(), &touch, caller, &mut |_: Event| {}, &Stop::new()).map(Option::unwrap)
        };
        assert_eq!(ask(&Caller::here(None)).unwrap(), named("unknown"));
        let held = KeysInUse::default().with(&key).hold();
        assert_eq!(ask(&Caller::here(None)).unwrap(), named("known"));
        drop(held);
        assert_eq!(ask(&Caller::here(None)).unwrap(), named("unknown"), "of that command alone");
    }

    #[test]
    fn who_gives_another_primary_key_is_refused() {
        let (dir, own) = (tempfile::tempdir().unwrap(), [9; 32]);
        let _service = OwnerService::start(dir.path(), Arc::new(Knows(vec![1; 32], own))).unwrap();
        let ask = |key: Option<&[u8; 32]>| {
            let touch = Request::Touch(Touch::default());
            hand_over(dir.path(), &touch, &Caller::here(key), &mut |_: Event| {}, &Stop::new())
        };
        assert_eq!(ask(Some(&own)).unwrap(), Some(named("unknown")));
        let e = ask(Some(&[8; 32])).unwrap_err();
        assert!(e.message().contains("is not the primary key of this store"), "{e}");
    }

    fn port_of(service: &OwnerService) -> u16 {
        let file: OwnerFile = serde_json::from_slice(&std::fs::read(&service.path).unwrap()).unwrap();
        file.port
    }

    #[test]
    fn a_stranger_without_the_token_gets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let mut s = TcpStream::connect(("127.0.0.1", port_of(&service))).unwrap();
        s.write_all(b"{\"token\":\"guess\",\"request\":{\"command\":\"touch\",\"vanity\":null}}\n").unwrap();
        let mut all = Vec::new();
        s.read_to_end(&mut all).unwrap();
        assert!(all.is_empty());
    }

    #[test]
    fn what_runs_commands_is_let_go_before_the_service_has_ended() {
        let executor: Arc<dyn Executor> = Arc::new(Echo);
        // Whoever connects and says nothing holds no more of it than a listener does.
        let dir = tempfile::tempdir().unwrap();
        let service = OwnerService::start(dir.path(), Arc::clone(&executor)).unwrap();
        let stranger = TcpStream::connect(("127.0.0.1", port_of(&service))).unwrap();
        let begun = Instant::now();
        while service.shared.strangers.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody was let in");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(service);
        assert_eq!(
            Arc::strong_count(&executor),
            1,
            "a store that somebody holds at the end of a process is not closed"
        );
        drop(stranger);
        for _ in 0..100 {
            drop(OwnerService::start(dir.path(), Arc::clone(&executor)).unwrap());
            assert_eq!(Arc::strong_count(&executor), 1);
        }
    }

    /// An owner that was stopped: the system takes connections for it, nobody reads them.
    fn stopped_owner(dir: &Path) -> TcpListener {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = OwnerFile { port, token: "t".into(), pid: 1, protocol: PROTOCOL };
        write_private(&dir.join(FILE_NAME), &serde_json::to_vec(&file).unwrap()).unwrap();
        listener
    }

    #[test]
    fn an_owner_that_is_stopped_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let listener = stopped_owner(dir.path());
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let silence = 3 * LOOK;
        let mut asker = Asker { stream: &stream, stop: &Stop::new(), pid: 1, silence, begun: false };
        let e = asker.run(b"{}\n", &mut |_: Event| {}).unwrap_err();
        assert_eq!((e.code(), e.kind()), ("ERR_OWNER_SILENT", ErrorKind::Store));
        assert!(e.hint_text().contains("not begun"));
        let stop = Stop::new();
        stop.stop();
        let e = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &Caller::default(),
            &mut |_: Event| {},
            &stop,
        );
        assert_eq!(e.unwrap_err().kind(), ErrorKind::Interrupted);
    }

    #[test]
    fn the_timeout_of_a_command_holds_for_the_hand_over() {
        let dir = tempfile::tempdir().unwrap();
        let _listener = stopped_owner(dir.path());
        let info = |timeout_ms| {
            Request::Info(crate::info::Info {
                link: "pear://x".into(),
                timeout_ms,
                ..crate::info::Info::default()
            })
        };
        let silence = ask::silence;
        assert_eq!(silence(&info(3_000)), Duration::from_secs(3));
        assert!(silence(&info(1)) < silence(&info(3_000)), "a busy machine gets a moment");
        assert_eq!(
            silence(&info(600_000)),
            silence(&Request::Touch(Touch::default())),
            "it has a bound of its own"
        );
        let e = hand_over(dir.path(), &info(1), &Caller::default(), &mut |_: Event| {}, &Stop::new())
            .unwrap_err();
        assert_eq!(e.code(), "ERR_OWNER_SILENT");
    }

    struct Counting(AtomicUsize);

    impl Executor for Counting {
        fn execute(&self, _: &Request, _: &mut dyn Sink, _: &Stop) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Output::Nothing)
        }
    }

    #[test]
    fn what_nobody_waits_for_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let service = OwnerService::start(dir.path(), Arc::clone(&counting) as _).unwrap();
        let file: OwnerFile = serde_json::from_slice(&std::fs::read(&service.path).unwrap()).unwrap();
        let ask = serde_json::to_vec(&Ask {
            token: file.token,
            request: Request::Touch(Touch::default()),
            caller: Caller::default(),
        });
        let ask = [ask.unwrap(), b"\n".to_vec()].concat();
        let mut gone = TcpStream::connect(("127.0.0.1", file.port)).unwrap();
        gone.write_all(&ask).unwrap();
        gone.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        gone.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("{\"taken\":"), "{said}");
        assert_eq!(counting.0.load(Ordering::SeqCst), 0);
        let run = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &Caller::default(),
            &mut |_: Event| {},
            &Stop::new(),
        );
        assert_eq!((run.unwrap(), counting.0.load(Ordering::SeqCst)), (Some(Output::Nothing), 1));
    }

    #[test]
    fn strangers_keep_no_command_out() {
        let dir = tempfile::tempdir().unwrap();
        let _service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let file: OwnerFile =
            serde_json::from_slice(&std::fs::read(dir.path().join(FILE_NAME)).unwrap()).unwrap();
        let strangers: Vec<TcpStream> = (0..3 * CONNECTIONS_MAX)
            .map(|_| {
                let mut s = TcpStream::connect(("127.0.0.1", file.port)).unwrap();
                s.write_all(b"{\"token\":").unwrap();
                s
            })
            .collect();
        let out = hand_over(
            dir.path(),
            &Request::Touch(Touch::default()),
            &Caller::default(),
            &mut |_: Event| {},
            &Stop::new(),
        );
        assert_eq!(out.unwrap(), Some(named("done")));
        drop(strangers);
    }

    #[test]
    fn a_client_that_stops_stops_its_command() {
        let dir = tempfile::tempdir().unwrap();
        let _service = OwnerService::start(dir.path(), Arc::new(Echo)).unwrap();
        let stop = Stop::new();
        let later = stop.clone();
        let mut sink = move |_: Event| later.stop();
        let out = hand_over(
            dir.path(),
            &Request::Touch(Touch { vanity: Some("wait".into()), ..Touch::default() }),
            &Caller::default(),
            &mut sink,
            &stop,
        );
        assert_eq!(out.unwrap(), Some(named("stopped")));
    }
}
