//! A web server as small as one can be: the files of one folder, to this machine only. It knows nothing of mirrors.
//!
//! `GET` and `HEAD`, one range, connections that stay open. Bounds: [`HEAD_MAX`] a request, [`FILE_MAX`] a file, [`CONNECTIONS`].

use crate::error::CommandError;
use crate::listening::{Bound, Listening};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of a request in bytes.
const HEAD_MAX: usize = 8 << 10;
/// Most header lines.
const HEADERS: usize = 64;
/// Largest file in bytes: objects of a mirror are smaller.
const FILE_MAX: u64 = 8 << 20;
/// Most connections at once.
const CONNECTIONS: usize = 32;

/// A folder that is served until this is dropped.
pub(super) struct Web {
    pub(super) url: String,
    requests: Arc<AtomicU64>,
    _listening: Listening,
}

impl Web {
    pub(super) fn serve(folder: &Path) -> Result<Self, CommandError> {
        let failed = |e| CommandError::failed("no web server can be started on 127.0.0.1").because(e);
        let bound = Bound::at(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let url = format!("http://{}", bound.address());
        let requests = Arc::<AtomicU64>::default();
        let (folder, count) = (Arc::new(folder.to_owned()), Arc::clone(&requests));
        let serve = move |stream, _| connection(stream, Arc::clone(&folder), Arc::clone(&count));
        let listening = bound.serve("bosc-demo-web", CONNECTIONS, serve).map_err(failed)?;
        Ok(Self { url, requests, _listening: listening })
    }

    /// How much was asked.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn connection(mut stream: TcpStream, folder: Arc<PathBuf>, requests: Arc<AtomicU64>) {
    let mut came = Vec::new();
    loop {
        let (asked, length) = match parse(&came) {
            Ok(Some(whole)) => whole,
            Ok(None) => {
                let mut part = [0; 1024];
                match stream.read(&mut part).await {
                    Ok(n) if n > 0 => came.extend(part.iter().take(n)),
                    _ => return,
                }
                continue;
            }
            Err(()) => {
                let _ = stream.write_all(&answer("400 Bad Request", "", b"", false)).await;
                return;
            }
        };
        came.drain(..length.min(came.len()));
        requests.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(&respond(&folder, &asked)).await.is_err() {
            return;
        }
    }
}

/// A request.
struct Wanted {
    head: bool,
    path: String,
    range: Option<String>,
}

/// What came so far: a whole request and its length, or that more has to come.
fn parse(bytes: &[u8]) -> Result<Option<(Wanted, usize)>, ()> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n <= HEAD_MAX => n,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_MAX => return Ok(None),
        _ => return Err(()),
    };
    let head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(()),
    };
    let range = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("range"));
    let range = range.map(|h| String::from_utf8_lossy(h.value).trim().to_owned());
    Ok(Some((Wanted { head, path: request.path.unwrap_or_default().to_owned(), range }, length)))
}

fn respond(folder: &Path, wanted: &Wanted) -> Vec<u8> {
    let file = inside(folder, &wanted.path);
    let Some(bytes) = file.and_then(|file| bosc_files::read_bounded(&file, FILE_MAX).ok().flatten()) else {
        return answer("404 Not Found", "", b"", wanted.head);
    };
    let Some(asked) = &wanted.range else { return answer("200 OK", "", &bytes, wanted.head) };
    match range(asked, bytes.len()).and_then(|r| Some((bytes.get(r.clone())?, r))) {
        Some((part, r)) => {
            let of =
                format!("Content-Range: bytes {}-{}/{}\r\n", r.start, r.end.saturating_sub(1), bytes.len());
            answer("206 Partial Content", &of, part, wanted.head)
        }
        None => answer("416 Range Not Satisfiable", "", b"", wanted.head),
    }
}

/// A file below the folder, of the names that a mirror has.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let name = |part: &&str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    parts.iter().all(name).then(|| parts.iter().fold(folder.to_owned(), |at, p| at.join(p)))
}

/// `bytes=5-9`, as far as the file goes.
fn range(asked: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = if last.is_empty() { length } else { last.parse::<usize>().ok()?.checked_add(1)?.min(length) };
    (first < end).then_some(first..end)
}

fn answer(status: &str, more: &str, body: &[u8], head: bool) -> Vec<u8> {
    let begin = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n", body.len());
    [begin.as_bytes(), if head { b"" } else { body }].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_folder_whole_and_in_part_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("site/sub")).unwrap();
        std::fs::write(dir.path().join("site/sub/a-1.x"), b"0123456789").unwrap();
        std::fs::write(dir.path().join("secret"), b"secret").unwrap();
        let got = |head: bool, path: &str, range: Option<&str>| {
            let wanted = Wanted { head, path: path.to_owned(), range: range.map(str::to_owned) };
            let bytes = respond(&dir.path().join("site"), &wanted);
            let text = String::from_utf8(bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            (head.to_owned(), body.to_owned())
        };
        assert_eq!(got(false, "/sub/a-1.x", None).1, "0123456789");
        let (head, body) = got(true, "/sub/a-1.x", None);
        assert!(head.contains("Content-Length: 10") && body.is_empty(), "{head}");
        let (head, body) = got(false, "/sub/a-1.x", Some("bytes=2-4"));
        assert!(head.starts_with("HTTP/1.1 206") && head.contains("Content-Range: bytes 2-4/10"), "{head}");
        assert_eq!(body, "234");
        assert_eq!(got(false, "/sub/a-1.x", Some("bytes=8-99")).1, "89");
        for bad in ["bytes=10-12", "bytes=4-2", "bytes=-3", "items=1-2", "bytes=1-18446744073709551615"] {
            assert!(got(false, "/sub/a-1.x", Some(bad)).0.starts_with("HTTP/1.1 416"), "{bad}");
        }
        for other in
            ["/", "/sub", "/none", "sub/a-1.x", "/../secret", "/sub/../../secret", "//secret", "/sub/%2e%2e"]
        {
            assert!(got(false, other, None).0.starts_with("HTTP/1.1 404"), "{other}");
        }
    }

    #[test]
    fn a_request_is_read_whole_within_bounds() {
        let text = b"GET /a HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\nGET";
        let (wanted, length) = parse(text).unwrap().unwrap();
        assert_eq!(
            (wanted.path.as_str(), wanted.range.as_deref(), wanted.head),
            ("/a", Some("bytes=1-2"), false)
        );
        assert_eq!(length, text.len() - 3);
        for end in 0..length {
            assert!(parse(&text[..end]).unwrap().is_none(), "{end}");
        }
        assert!(parse(b"POST /a HTTP/1.1\r\n\r\n").is_err());
        assert!(parse(&[b"GET /", vec![b'a'; HEAD_MAX].as_slice()].concat()).is_err());
    }
}
