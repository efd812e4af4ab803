//! The side that hands a command over.

use super::caller::Caller;
use super::owner_file::{FILE_NAME, MAX_FILE, OwnerFile};
use super::{ALIVE, Answer, Ask, GO, PROTOCOL};
use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use crate::event::{Output, Sink};
use crate::request::Request;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The store's owner cannot do this for another process.
pub(crate) fn own_process(request: &Request) -> CommandError {
    if let Request::Mirror(mirror) = request {
        let message = "another process has the store open, and what this one has in its environment to write to a server is not for it";
        let link = mirror.link.split('?').next().unwrap_or_default();
        return CommandError::new(ErrorKind::Store, "ERR_LOCKED", message).hint(format!(
            "end that process first, or have it keep the mirror up to date: `bosc seed {link} --mirror-to {}`",
            mirror.target
        ));
    }
    CommandError::new(
        ErrorKind::Store,
        "ERR_LOCKED",
        format!(
            "another process has the store open, and `{}` with these flags needs it to itself",
            request.name()
        ),
    )
    .hint("end that process first, or use another store with `--store DIR`")
}

/// How long the owner may be silent before the asker gives up, unless the command's own `--timeout` is shorter.
const SILENCE: Duration = Duration::from_secs(10);

/// It may be silent so long whatever the `--timeout`: the machine may be busy.
const LEAST_SILENCE: Duration = Duration::from_secs(1);

/// As long as a command runs, the owner says that it is there; three of these words may be late.
const ALIVE_LATE: Duration = ALIVE.saturating_mul(3);

/// How long a stopped asker waits for the end of its command.
const LAST_WORD: Duration = Duration::from_secs(3);

/// How often waiting ones look up.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Longest event line in bytes that a client takes (a whole file may be in one).
const EVENT_MAX: u64 = 64 << 20;

/// Hands `request` to the owner of the store in `dir`. `Ok(None)` means that nobody answers there, so the store
/// is free or its owner has died.
pub fn hand_over(
    dir: &Path,
    request: &Request,
    caller: &Caller,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<Option<Output>, CommandError> {
    let Ok(Some(bytes)) = bosc_files::read_bounded(&dir.join(FILE_NAME), MAX_FILE) else { return Ok(None) };
    let Ok(file) = serde_json::from_slice::<OwnerFile>(&bytes) else { return Ok(None) };
    let to = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, file.port));
    let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else { return Ok(None) };
    if file.protocol != PROTOCOL {
        return Err(CommandError::new(
            ErrorKind::Store,
            "ERR_LOCKED",
            format!("another version of Bosc has the store open (process {})", file.pid),
        )
        .hint("end it, or run the command with that version"));
    }
    if request.needs_own_process() {
        return Err(own_process(request));
    }
    let mut ask =
        serde_json::to_vec(&Ask { token: file.token, request: request.clone(), caller: caller.clone() })
            .map_err(|e| CommandError::failed("the command could not be handed over").because(e))?;
    ask.push(b'\n');
    Asker { stream: &stream, stop, pid: file.pid, silence: silence(request), begun: false }.run(&ask, sink)
}

/// How long the owner may be silent before it has begun with a command.
pub(crate) fn silence(request: &Request) -> Duration {
    request.timeout().map_or(SILENCE, |timeout| timeout.clamp(LEAST_SILENCE, SILENCE))
}

/// The asking side of one connection.
pub(crate) struct Asker<'a> {
    pub(crate) stream: &'a TcpStream,
    pub(crate) stop: &'a Stop,
    pub(crate) pid: u32,
    /// How long the owner may say nothing.
    pub(crate) silence: Duration,
    /// The owner was told to go on.
    pub(crate) begun: bool,
}

impl Asker<'_> {
    pub(crate) fn run(&mut self, ask: &[u8], sink: &mut dyn Sink) -> Result<Option<Output>, CommandError> {
        let mut side = self.stream;
        side.set_write_timeout(Some(self.silence)).map_err(lost)?;
        side.set_read_timeout(Some(LOOK)).map_err(lost)?;
        side.write_all(ask).map_err(|e| self.gone(e))?;
        let mut reader = BufReader::new(side);
        loop {
            let Some(line) = self.line(&mut reader)? else {
                // Closed before any answer: the token was refused or the owner was ending just then.
                return if self.begun {
                    Err(lost(std::io::ErrorKind::UnexpectedEof.into()))
                } else {
                    Ok(None)
                };
            };
            match serde_json::from_slice::<Answer>(&line) {
                Ok(Answer::Taken(_)) => {
                    self.begun = true;
                    self.silence = self.silence.max(ALIVE_LATE);
                    side.write_all(GO).map_err(|e| self.gone(e))?;
                }
                Ok(Answer::Alive) => {}
                Ok(Answer::Event(event)) => sink.event(event),
                Ok(Answer::Done(output)) => return Ok(Some(output)),
                Ok(Answer::Error(told)) => return Err(told.into()),
                Err(e) => return Err(lost(std::io::Error::other(e))),
            }
        }
    }

    /// The next line; `None` at the end. Bounded in bytes, by the silence of the owner and by `stop`.
    pub(crate) fn line(&self, reader: &mut BufReader<&TcpStream>) -> Result<Option<Vec<u8>>, CommandError> {
        let mut line = Vec::new();
        let mut heard = Instant::now();
        let mut stopped: Option<Instant> = None;
        loop {
            let left = EVENT_MAX.saturating_sub(line.len() as u64);
            let before = line.len();
            match reader.by_ref().take(left).read_until(b'\n', &mut line) {
                Ok(0) if line.is_empty() => return Ok(None),
                Ok(_) if line.ends_with(b"\n") => return Ok(Some(line)),
                Ok(_) => return Err(lost(std::io::ErrorKind::UnexpectedEof.into())),
                Err(e)
                    if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(lost(e)),
            }
            if line.len() > before {
                heard = Instant::now();
            }
            if self.stop.is_stopped() {
                if stopped.is_none() {
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
                if stopped.get_or_insert_with(Instant::now).elapsed() > LAST_WORD {
                    return Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped"));
                }
            } else if heard.elapsed() > self.silence {
                return Err(self.gone(std::io::ErrorKind::TimedOut.into()));
            }
        }
    }

    /// The owner is there and does nothing.
    pub(crate) fn gone(&self, e: std::io::Error) -> CommandError {
        CommandError::new(
            ErrorKind::Store,
            "ERR_OWNER_SILENT",
            format!("the process that has the store open (process {}) does not answer", self.pid),
        )
        .because(e)
        .hint(if self.begun {
            "continue it if it was stopped with Ctrl+Z (fg), or end it; see how far the command got before you run it again"
        } else {
            "continue it if it was stopped with Ctrl+Z (fg), or end it; the command was not begun"
        })
    }
}

fn lost(e: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Store, "ERR_CONNECTION", "the process that owns the store ended")
        .because(e)
        .hint("run the command again")
}
