//! HTTP/1.1 for a browser on the same machine: the page, its parts, its events. See [`crate::dashboard`] for the invariants.
//!
//! Written on httparse and tokio, which the metrics of `seed` use as well: axum and hyper would add a dozen crates for six paths.
//!
//! ```text
//! accepted ──head whole, in `HEAD_PATIENCE`──▶ asked ──Host, Origin──▶ admitted? ──▶ answered, closed
//!    └── too many, too slow, too long: closed        └── wrong: 400, 403       └── /events: told of news until it leaves
//! ```
//!
//! Bounds: `CONNECTIONS` connections, of these `STREAMS` with events; a head of `HEAD_MAX` bytes; a body, of the login
//! alone, of `BODY_MAX`; an answer that takes longer than `ANSWER_PATIENCE` is cut off.
//!
//! # Files
//!
//! - Here: connections, how long a request and its answer may take, `/events`.
//! - `request`: the head of a request, and the body of the login, bounded. `door`: who gets in: token, password, cookie, wrong ones a
//!   minute, `Host` and `Origin`. `answer`: what is answered, headers, CSP. `numbered`: what it is answered from.

mod answer;
mod door;
mod numbered;
mod request;

pub use door::Door;

use crate::dashboard::snapshot::{Snapshot, news};
use crate::error::{CommandError, ErrorKind};
use crate::listening::{Bound, Listening, end};
use answer::{Reply, answer};
use numbered::Numbered;
use request::{Asked, HEAD_MAX, Parsed, parse};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

/// Most connections at once.
const CONNECTIONS: usize = 48;
/// Of these, most that wait for news.
const STREAMS: usize = 16;
/// How long a request may take to arrive.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take to leave.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How often a connection that waits for news hears something, so that one that is gone is noticed.
const BEAT: Duration = Duration::from_secs(15);

/// Where snapshots are left.
#[derive(Debug, Clone)]
pub struct Served {
    last: Arc<watch::Sender<Numbered>>,
    /// Somebody who is admitted asked for something since this was looked at.
    asked: Arc<AtomicBool>,
}

/// What connections share.
struct Shared {
    address: SocketAddr,
    door: Door,
    seen: watch::Receiver<Numbered>,
    asked: Arc<AtomicBool>,
    streams: Arc<Semaphore>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    url: String,
    served: Served,
    _listening: Listening,
}

/// An address and a port, or a port of this machine.
///
/// # Errors
/// `ERR_INVALID_INPUT` for what is none, and for an address that others reach without a password.
pub fn parse_addr(at: &str, has_password: bool) -> Result<SocketAddr, CommandError> {
    let port = at.parse::<u16>().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    let address = port.or_else(|_| at.parse::<SocketAddr>()).map_err(|_| {
        CommandError::input(format!("--addr takes an IP address and a port: {at:?}"))
            .hint("`--addr 127.0.0.1:8080` serves this machine only; port 0 takes a free one")
    })?;
    if !address.ip().is_loopback() && !has_password {
        return Err(CommandError::input(format!("--addr {at} lets other machines in, and there is no password"))
            .hint(
                "name a file with one: `--password-file FILE`. Or leave --addr out and open the page through SSH: \
                 `ssh -L 8080:127.0.0.1:8080 HOST`",
            ));
    }
    Ok(address)
}

impl Served {
    /// Whether somebody looks: a page is open, or one was asked for since this was called last.
    pub(crate) fn is_looked_at(&self) -> bool {
        // The service itself has one.
        self.asked.swap(false, Ordering::Relaxed) || self.last.receiver_count() > 1
    }

    /// Leaves a snapshot for whoever asks, and wakes those who wait if there is something to see.
    pub fn post(&self, snapshot: Snapshot) {
        self.last.send_if_modified(|last| {
            let changed = !is_same(&last.snapshot, &snapshot);
            if changed {
                last.number += 1;
                last.news = news(&last.snapshot, &snapshot);
            }
            last.snapshot = snapshot;
            changed
        });
    }
}

/// Whether nothing differs that is worth drawing anew: a DHT node's datagrams are not.
fn is_same(before: &Snapshot, now: &Snapshot) -> bool {
    let mut before = before.clone();
    before.at = now.at;
    before.network.received_bytes = now.network.received_bytes;
    before.network.sent_bytes = now.network.sent_bytes;
    before.store.pending_bytes = now.store.pending_bytes;
    before == *now
}

impl Service {
    /// Starts to serve; nothing is shown before the first snapshot.
    ///
    /// # Errors
    /// `ERR_CONNECTION` when the address cannot be had.
    pub fn start(address: SocketAddr, door: Door) -> Result<Self, CommandError> {
        let failed = |e: std::io::Error| {
            CommandError::new(
                ErrorKind::Network,
                "ERR_CONNECTION",
                format!("the dashboard cannot be served on {address}"),
            )
            .because(e)
            .hint("choose another port with `--addr`; 127.0.0.1:0 takes a free one")
        };
        let listener = Bound::at(address).map_err(failed)?;
        let bound = listener.address();
        let url = door.url(bound);
        let (sender, seen) = watch::channel(Numbered::default());
        let streams = Arc::new(Semaphore::new(STREAMS));
        let asked = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared { address: bound, door, seen, asked: Arc::clone(&asked), streams });
        let serve = move |stream, from| {
            let shared = Arc::clone(&shared);
            async move {
                let _ = serve(stream, from, &shared).await;
            }
        };
        let listening = listener.serve("dashboard-http", CONNECTIONS, serve).map_err(failed)?;
        Ok(Self {
            address: bound,
            url,
            served: Served { last: Arc::new(sender), asked },
            _listening: listening,
        })
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Where snapshots are left.
    pub fn served(&self) -> Served {
        self.served.clone()
    }
}

/// One connection: one request.
async fn serve(mut stream: TcpStream, from: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    let read = tokio::time::timeout(HEAD_PATIENCE, read(&mut stream)).await;
    let Ok(read) = read else { return Ok(()) };
    let reply = match read? {
        None => return Ok(()),
        Some(Err(status)) => Reply::refused(status),
        Some(Ok(asked)) => {
            let now = shared.seen.borrow().clone();
            if shared.door.is_admitted(&asked, shared.address) {
                shared.asked.store(true, Ordering::Relaxed);
            }
            answer(&asked, from.ip(), shared.address, &shared.door, &now)
        }
    };
    if reply.is_stream {
        return match Arc::clone(&shared.streams).try_acquire_owned() {
            Err(_) => say(&mut stream, &Reply::refused("503 Service Unavailable").bytes()).await,
            Ok(_place) => events(&mut stream, &reply, shared.seen.clone()).await,
        };
    }
    say(&mut stream, &reply.bytes()).await?;
    tokio::time::timeout(HEAD_PATIENCE, end(&mut stream)).await.unwrap_or(Ok(()))
}

/// Reads a request, or why it is refused. None: the other side left.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Result<Asked, &'static str>>> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer).await?;
        bytes.extend_from_slice(buffer.get(..n).unwrap_or_default());
        match parse(&bytes) {
            Parsed::Whole(asked) => return Ok(Some(Ok(*asked))),
            Parsed::Refused(status) => return Ok(Some(Err(status))),
            Parsed::Partial if n == 0 => return Ok(None),
            Parsed::Partial if bytes.len() > 2 * HEAD_MAX => return Ok(None),
            Parsed::Partial => {}
        }
    }
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let slow = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    tokio::time::timeout(ANSWER_PATIENCE, stream.write_all(bytes)).await.map_err(|_| slow())?
}

/// Says which snapshot is the newest, and what is new in it, until the other side leaves.
async fn events(
    stream: &mut TcpStream,
    reply: &Reply,
    mut seen: watch::Receiver<Numbered>,
) -> std::io::Result<()> {
    say(stream, &reply.bytes()).await?;
    let mut told = None;
    loop {
        let (number, news) = {
            let now = seen.borrow_and_update();
            (now.number, now.news.clone().unwrap_or_default())
        };
        // What a reader that comes anew sees is no news.
        let news = if told.is_some() { news } else { String::new() };
        let text = match told == Some(number) {
            true => ":\n\n".to_owned(),
            false => format!("id: {number}\ndata: {}\n\n", request::one_line(&news)),
        };
        told = Some(number);
        say(stream, text.as_bytes()).await?;
        let mut byte = [0; 64];
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { return Ok(()) },
            // Nothing is expected from there; what ends, ends.
            read = stream.read(&mut byte) => if read? == 0 { return Ok(()) },
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

#[cfg(test)]
mod tests;
