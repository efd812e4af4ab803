//! A mirror of a drive on a web server ([`bosc_follow::mirror`]): the same connections, authorities and proxies as releases over HTTPS.
//!
//! Nothing that comes is believed, so `http://` is taken as well where somebody names it; what begins with TLS does not go on without.
//!
//! | what | bound |
//! |---|---|
//! | an answer | the object's size, which the caller knows |
//! | time | to connect, for each read, and for a request in all: [`SLOWEST`] bytes a second and half a minute |
//! | redirects | five, each checked: never from https to http, never from elsewhere to this machine |

use super::agent::{Canceller, Fault, Http, Reply};
use super::identity::Identity;
use super::options::HttpOptions;
use super::proxy::Proxies;
use super::roots::Roots;
use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::{SecureUrl, UrlKind};
use bosc_follow::mirror::{Answer, Ask, Carrier, Connection, FaultKind, MirrorFault};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server that sends fewer bytes a second than this is slow.
const SLOWEST: u64 = 32 << 10;
/// What a request may take beside that.
const BASE: Duration = Duration::from_secs(30);
/// Longest time between two bytes, and to connect.
const IDLE: Duration = Duration::from_secs(15);

/// A mirror on a web server. Nothing is sent before it is asked.
pub struct MirrorServer {
    base: SecureUrl,
    options: HttpOptions,
    identity: Identity,
    cancelled: AtomicBool,
    running: Mutex<Vec<Canceller>>,
}

impl std::fmt::Debug for MirrorServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MirrorServer").field("base", &self.base.to_string()).finish_non_exhaustive()
    }
}

impl MirrorServer {
    /// At this address, below which the mirror's files are.
    ///
    /// # Errors
    /// `Input` or `Refused` for what is no address of a folder on a web server.
    pub fn new(address: &str, roots: Roots, proxies: Proxies) -> Result<Self, UpdateError> {
        let base = SecureUrl::parse(UrlKind::Mirror, address)?;
        if address.contains(['?', '#']) {
            return Err(UpdateError::new(
                ErrorKind::Input,
                format!("a mirror's address has no `?` or `#`: {base}"),
            )
            .hint("give the address below which the file `bosc-mirror` is"));
        }
        let mut options = HttpOptions::new(String::new(), String::new());
        options.roots = roots;
        options.proxies = proxies;
        options.connect_timeout = IDLE;
        options.idle_timeout = IDLE;
        let identity = Identity::new(&options.headers, options.client_certificate.as_ref())?;
        Ok(Self { base, options, identity, cancelled: AtomicBool::new(false), running: Mutex::default() })
    }
}

impl Carrier for MirrorServer {
    fn name(&self) -> String {
        self.base.to_string()
    }

    fn connect(&self) -> Box<dyn Connection + '_> {
        let canceller = Canceller::default();
        let http = Http::new(&self.options, &self.identity, &canceller, BASE);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(canceller);
        Box::new(Server { server: self, http })
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(Canceller::cancel);
    }
}

struct Server<'a> {
    server: &'a MirrorServer,
    http: Http<'a>,
}

impl Connection for Server<'_> {
    fn get(&mut self, ask: &Ask<'_>) -> Result<Answer, MirrorFault> {
        let fault = |kind, why: &dyn std::fmt::Display| MirrorFault::new(kind, ask.path, why);
        if self.server.cancelled.load(Ordering::SeqCst) {
            return Err(fault(FaultKind::Unreachable, &"cancelled"));
        }
        let url = format!("{}/{}", self.server.base.whole().trim_end_matches('/'), ask.path);
        let url = SecureUrl::parse(UrlKind::Mirror, &url).map_err(|e| fault(FaultKind::Malformed, &e))?;
        let size = ask.range.as_ref().map_or(ask.max, |r| r.end.saturating_sub(r.start));
        let limit = BASE.saturating_add(Duration::from_secs(size / SLOWEST));
        self.http.renew(limit);
        let start = Instant::now();
        let range = ask.range.as_ref().map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1)));
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if let Some(range) = &range {
            headers.push(("range", range));
        }
        if let Some(mark) = ask.head {
            headers.push(("cache-control", "no-cache"));
            headers.extend(mark.map(|mark| ("if-none-match", mark)));
        }
        let slow = |kind: FaultKind| if start.elapsed() >= limit.min(IDLE) { FaultKind::Slow } else { kind };
        let reply = self.http.get(UrlKind::Mirror, &url, &headers).map_err(|e| match e {
            Fault::Again(e, _) => fault(slow(FaultKind::Unreachable), &shown(&e)),
            Fault::Final(e) if e.kind() == ErrorKind::Refused => fault(FaultKind::Redirect, &shown(&e)),
            Fault::Final(e) => fault(slow(FaultKind::Unreachable), &shown(&e)),
        })?;
        match (reply.status, &ask.range) {
            (200, _) => {
                let mark = reply.header("etag").map(str::to_owned);
                let bytes = self.body(ask, reply, ask.max, slow)?;
                Ok(Answer::Whole(bytes.into(), mark))
            }
            (206, Some(range)) => {
                if !is_range(reply.header("content-range").unwrap_or_default(), range) {
                    return Err(fault(
                        FaultKind::WrongLength,
                        &"the server sent another range than was asked for",
                    ));
                }
                let bytes = self.body(ask, reply, size, slow)?;
                Ok(Answer::Part(bytes.into()))
            }
            (304, _) if ask.head.flatten().is_some() => Ok(Answer::Unchanged),
            (404 | 410, _) => Err(fault(FaultKind::Missing, &"the server does not have it")),
            (416, Some(_)) => Err(fault(FaultKind::WrongLength, &"the server's object is shorter")),
            (status @ (408 | 425 | 429 | 500..=599), _) => {
                Err(fault(FaultKind::Busy, &format!("the server answered {status}")))
            }
            (status, _) => Err(fault(FaultKind::Refused, &format!("the server answered {status}"))),
        }
    }
}

impl Server<'_> {
    fn body(
        &self,
        ask: &Ask<'_>,
        reply: Reply,
        max: u64,
        slow: impl Fn(FaultKind) -> FaultKind,
    ) -> Result<Vec<u8>, MirrorFault> {
        let said = reply.length();
        let too_long =
            || MirrorFault::new(FaultKind::TooLong, ask.path, format!("more than {max} bytes came"));
        if said.is_some_and(|n| n > max) {
            return Err(too_long());
        }
        let room = said.unwrap_or(0).min(max);
        let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
        let mut body = reply.body.into_reader().take(max.saturating_add(1));
        if let Err(e) = body.read_to_end(&mut bytes) {
            let kind = if is_late(&e) { FaultKind::Slow } else { slow(FaultKind::Unreachable) };
            let kind = if e.kind() == io::ErrorKind::UnexpectedEof { FaultKind::WrongLength } else { kind };
            return Err(MirrorFault::new(
                kind,
                ask.path,
                format!("it broke off after {} bytes", bytes.len()),
            ));
        }
        if bytes.len() as u64 > max {
            return Err(too_long());
        }
        match said {
            Some(said) if said != bytes.len() as u64 => Err(MirrorFault::new(
                FaultKind::WrongLength,
                ask.path,
                format!("{} bytes came, and the server promised {said}", bytes.len()),
            )),
            _ => Ok(bytes),
        }
    }
}

/// Without the word that errors of the updater begin with, and with what it was caused by.
fn shown(e: &UpdateError) -> String {
    let text = e.to_string();
    let text = text.strip_prefix("updater: ").unwrap_or(&text).to_owned();
    e.causes().first().map_or(text.clone(), |cause| format!("{text}: {cause}"))
}

fn is_late(e: &io::Error) -> bool {
    let of_ureq = e.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>());
    e.kind() == io::ErrorKind::TimedOut || matches!(of_ureq, Some(ureq::Error::Timeout(_)))
}

/// Whether `Content-Range` says what was asked for.
fn is_range(header: &str, asked: &Range<u64>) -> bool {
    let parts = header.strip_prefix("bytes ").and_then(|rest| rest.split_once('/'));
    let Some((first, last)) = parts.and_then(|(range, _)| range.trim().split_once('-')) else { return false };
    first.parse() == Ok(asked.start) && last.parse() == Ok(asked.end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_one_that_was_asked_for() {
        assert!(is_range("bytes 5-9/100", &(5..10)) && is_range("bytes 5-9/*", &(5..10)));
        for other in ["", "bytes 0-9/100", "bytes 5-10/100", "bytes */100", "5-9/100", "bytes a-b/1"] {
            assert!(!is_range(other, &(5..10)), "{other}");
        }
    }

    #[test]
    fn an_address_is_that_of_a_folder() {
        let of = |address: &str| MirrorServer::new(address, Roots::Bundled, Proxies::none());
        assert_eq!(of("http://example.com/app/").unwrap().name(), "http://example.com/app/");
        for bad in ["https://u:p@example.com/", "https://example.com/?a=b", "ftp://example.com/", "https://"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
