//! One request to a router's little HTTP server, bounded whatever comes back.
//!
//! HTTP/1.1 with `Connection: close`: the answer ends with the connection, with the length it names, or with the last of its chunks. An
//! answer that is longer, comes too slowly, or sends us elsewhere is none.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// Longest body, in bytes. Descriptions of routers have some 10 KiB.
pub(super) const MAX_BODY: usize = 64 << 10;
/// Longest status line and headers.
pub(super) const MAX_HEAD: usize = 8 << 10;
/// How long a request may take from the connection to its last byte.
pub(super) const TIME: Duration = Duration::from_secs(3);
const MAX_HEADERS: usize = 64;

/// What is asked.
pub(super) enum Ask<'a> {
    Get,
    /// A command of SOAP: its name for the header, and its body.
    Post {
        action: &'a str,
        body: &'a str,
    },
}

/// The status and the body.
pub(super) fn request(to: SocketAddrV4, path: &str, ask: &Ask<'_>, by: Instant) -> Option<(u16, String)> {
    let until = by.min(Instant::now() + TIME);
    let left = || Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
    // Nothing of a path may be taken for another line.
    if path.bytes().any(|b| !b.is_ascii_graphic()) || path.len() > 512 || !path.starts_with('/') {
        return None;
    }
    let mut stream = TcpStream::connect_timeout(&to.into(), left()?).ok()?;
    let head = match ask {
        Ask::Get => format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"),
        Ask::Post { action, body } => format!(
            "POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: \"{action}\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    };
    stream.set_write_timeout(Some(left()?)).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    let mut got = Vec::new();
    let mut piece = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left()?)).ok()?;
        let len = stream.read(&mut piece).ok()?;
        got.extend_from_slice(piece.get(..len)?);
        match parse(&got, len == 0) {
            Parsed::Whole(status, body) => {
                return Some((status, String::from_utf8_lossy(&body).into_owned()));
            }
            Parsed::More => {}
            Parsed::No => return None,
        }
    }
}

enum Parsed {
    Whole(u16, Vec<u8>),
    More,
    No,
}

/// What has come so far; `ended`: no more will.
fn parse(got: &[u8], ended: bool) -> Parsed {
    let unfinished = if ended { Parsed::No } else { Parsed::More };
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let body = match response.parse(got.get(..got.len().min(MAX_HEAD)).unwrap_or_default()) {
        Ok(httparse::Status::Complete(at)) => got.get(at..).unwrap_or_default(),
        Ok(httparse::Status::Partial) if got.len() < MAX_HEAD => return unfinished,
        _ => return Parsed::No,
    };
    let Some(status) = response.code else { return Parsed::No };
    let header = |name: &str| {
        let found = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok()).map(str::trim)
    };
    if header("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
        return match unchunk(body) {
            Some(Some(whole)) => Parsed::Whole(status, whole),
            Some(None) if body.len() <= 2 * MAX_BODY => unfinished,
            _ => Parsed::No,
        };
    }
    if let Some(length) = header("content-length") {
        return match length.parse::<usize>() {
            Ok(n) if n <= MAX_BODY => match body.get(..n) {
                Some(whole) => Parsed::Whole(status, whole.to_vec()),
                None => unfinished,
            },
            _ => Parsed::No,
        };
    }
    match ended {
        true if body.len() <= MAX_BODY => Parsed::Whole(status, body.to_vec()),
        false if body.len() <= MAX_BODY => Parsed::More,
        _ => Parsed::No,
    }
}

/// A body in chunks; none inside when its last one has not come, none at all when it is no such body or too long.
fn unchunk(mut rest: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    loop {
        let (at, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Some(None),
            Err(_) => return None,
        };
        if size == 0 {
            return Some(Some(whole));
        }
        let size = usize::try_from(size).ok().filter(|n| whole.len().saturating_add(*n) <= MAX_BODY)?;
        let Some(chunk) = rest.get(at..at.checked_add(size)?) else { return Some(None) };
        whole.extend_from_slice(chunk);
        // The line's end behind it.
        let Some(next) = rest.get(at + size + 2..) else { return Some(None) };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that says this, then does what `after` does. Gives what came of a request.
    fn told(says: impl FnOnce(&mut TcpStream) + Send + 'static) -> (Option<(u16, String)>, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            says(&mut stream);
        });
        let start = Instant::now();
        let to = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        let answer = request(to, "/x", &Ask::Get, start + Duration::from_secs(60));
        (answer, start.elapsed())
    }

    fn answers(text: &'static str) -> Option<(u16, String)> {
        told(move |s| s.write_all(text.as_bytes()).unwrap()).0
    }

    #[test]
    fn answers_end_with_their_length_their_last_chunk_or_the_connection() {
        assert_eq!(answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there"), Some((200, "hi".into())));
        assert_eq!(answers("HTTP/1.0 200 OK\r\n\r\nhi"), Some((200, "hi".into())));
        let chunks = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(answers(chunks), Some((500, "abcde".into())));
    }

    #[test]
    fn what_is_cut_off_or_no_http_is_no_answer() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
            "HTTP/1.1 200",
            "hello",
            "",
        ] {
            assert_eq!(answers(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        let (answer, _) = told(|s| {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while s.write_all(&[b'<'; 4096]).is_ok() {}
        });
        assert_eq!(answer, None);
        let (answer, _) = told(|s| {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\n");
            while s.write_all(b"a: b\r\n").is_ok() {}
        });
        assert_eq!(answer, None);
    }

    #[test]
    fn an_answer_that_comes_byte_by_byte_has_its_time() {
        let (answer, took) = told(|s| {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while s.write_all(b"<").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        assert_eq!(answer, None);
        assert!(took >= TIME && took < 5 * TIME, "{took:?}");
    }

    #[test]
    fn a_path_is_one_word() {
        let to = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9);
        for path in ["x", "/a b", "/a\r\nHost: b", "/\u{e4}"] {
            assert_eq!(request(to, path, &Ask::Get, Instant::now() + TIME), None);
        }
    }
}
