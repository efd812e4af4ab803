//! Metrics and health over HTTP/1.1: `GET` and `HEAD` of two paths, nothing else.
//!
//! Written by hand on httparse, which the updater's HTTPS client brings along: a framework would add a dozen crates for two constant
//! paths.
//!
//! Invariants:
//! * At most [`CONNECTIONS`] connections at once; the next is closed. Each carries one request and ends within [`PATIENCE`].
//! * A request's head has at most [`HEAD_MAX`] bytes and [`HEADERS`] lines; a body is not read.
//! * Nothing here waits for the loop, the store or the network.

use super::board::Board;
use super::{health, metrics};
use crate::error::{CommandError, ErrorKind};
use crate::listening::{Bound, Listening, end};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most connections at once.
const CONNECTIONS: usize = 16;
/// How long a connection may take, from its first to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest head of a request in bytes.
const HEAD_MAX: usize = 8 << 10;
/// Most header lines.
const HEADERS: usize = 64;

/// Serves until it is dropped.
pub(super) struct Service {
    address: SocketAddr,
    _listening: Listening,
}

/// A port of this machine only, or an address and a port.
pub(super) fn parse(at: &str) -> Result<SocketAddr, CommandError> {
    let port = at.parse::<u16>().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    port.or_else(|_| at.parse()).map_err(|_| {
        CommandError::input(format!("--metrics takes a port, or an IP address and a port: {at:?}")).hint(
            "`--metrics 9464` serves this machine only; `--metrics 0.0.0.0:9464` or `--metrics [::]:9464` serves every machine \
             that reaches the port",
        )
    })
}

impl Service {
    /// Starts to serve what is on the board.
    pub(super) fn start(at: &str, board: Arc<Board>) -> Result<Self, CommandError> {
        let address = parse(at)?;
        let failed = |e: std::io::Error| {
            CommandError::new(
                ErrorKind::Network,
                "ERR_CONNECTION",
                format!("metrics cannot be served on {address}"),
            )
            .because(e)
            .hint("choose another port with `--metrics`; 0 takes a free one")
        };
        let bound = Bound::at(address).map_err(failed)?;
        let address = bound.address();
        let serve = move |stream, _| {
            let board = Arc::clone(&board);
            async move {
                let _ = tokio::time::timeout(PATIENCE, answer(stream, &board)).await;
            }
        };
        let listening = bound.serve("metrics", CONNECTIONS, serve).map_err(failed)?;
        Ok(Self { address, _listening: listening })
    }

    /// Where it serves.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(mut stream: TcpStream, board: &Board) -> std::io::Result<()> {
    let mut head = Vec::new();
    let response = loop {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer).await?;
        head.extend_from_slice(buffer.get(..n).unwrap_or_default());
        if let Some(response) = respond(&head, n == 0, board) {
            break response;
        }
    };
    if response.is_empty() {
        return Ok(());
    }
    stream.write_all(&response).await?;
    end(&mut stream).await
}

/// The answer to what came so far, if it is a whole request or none will come of it. Empty: nothing is said.
fn respond(head: &[u8], ended: bool, board: &Board) -> Option<Vec<u8>> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    let bad = |status| Some(response(status, "text/plain; charset=utf-8", &format!("{status}\n"), false, ""));
    match request.parse(head) {
        Ok(httparse::Status::Complete(n)) if n <= HEAD_MAX => {}
        Ok(httparse::Status::Partial) if head.len() <= HEAD_MAX => {
            return if ended { Some(Vec::new()) } else { None };
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return bad("431 Request Header Fields Too Large"),
        Err(_) => return bad("400 Bad Request"),
    }
    let without_body = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => {
            let status = "405 Method Not Allowed";
            return Some(response(
                status,
                "text/plain; charset=utf-8",
                "GET and HEAD only\n",
                false,
                "Allow: GET, HEAD\r\n",
            ));
        }
    };
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    Some(match path {
        "/metrics" => {
            let text = metrics::text(&board.read());
            response("200 OK", metrics::CONTENT_TYPE, &text, without_body, "")
        }
        "/healthz" => {
            let reasons = health::reasons(&board.read(), Instant::now());
            let (status, text) = match reasons.is_empty() {
                true => ("200 OK", "ok\n".to_owned()),
                false => ("503 Service Unavailable", reasons.join("\n") + "\n"),
            };
            response(status, "text/plain; charset=utf-8", &text, without_body, "")
        }
        _ => response(
            "404 Not Found",
            "text/plain; charset=utf-8",
            "there are /metrics and /healthz\n",
            without_body,
            "",
        ),
    })
}

fn response(status: &str, kind: &str, body: &str, without_body: bool, more: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n",
        body.len()
    );
    let body = if without_body { "" } else { body };
    [head.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::super::Seed;
    use super::*;
    use std::io::{Read, Write};

    fn service() -> Service {
        Service::start("0", Arc::new(Board::new(&Seed::default()))).unwrap()
    }

    fn ask(to: SocketAddr, request: &[u8]) -> String {
        let mut stream = std::net::TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_port_is_this_machine_and_more_has_to_be_said() {
        assert_eq!(parse("9464").unwrap(), "127.0.0.1:9464".parse().unwrap());
        assert_eq!(parse("[::1]:1").unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(parse("0.0.0.0:1").unwrap(), "0.0.0.0:1".parse().unwrap());
        for bad in ["", ":9464", "localhost:1", "99999", "1.2.3.4"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_paths_are_served_and_nothing_else() {
        let s = service();
        let get = |line: &str| ask(s.address(), format!("{line}\r\nHost: x\r\n\r\n").as_bytes());
        assert!(get("GET /metrics HTTP/1.1").starts_with("HTTP/1.1 200 OK\r\n"));
        let head = get("HEAD /metrics?x=1 HTTP/1.0");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(get("GET /healthz HTTP/1.1").starts_with("HTTP/1.1 503 "));
        assert!(get("GET / HTTP/1.1").starts_with("HTTP/1.1 404 "));
        assert!(get("POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405 "));
        assert!(get("nonsense").starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn a_request_is_bounded() {
        let s = service();
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX));
        assert!(ask(s.address(), long.as_bytes()).starts_with("HTTP/1.1 431 "));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS + 1));
        assert!(ask(s.address(), many.as_bytes()).starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn who_says_nothing_keeps_out_nobody_for_long() {
        let s = service();
        let idle: Vec<_> =
            (0..CONNECTIONS).map(|_| std::net::TcpStream::connect(s.address()).unwrap()).collect();
        // One more is closed, or answered after the others had their time; none waits for ever.
        let start = Instant::now();
        loop {
            let mut stream = std::net::TcpStream::connect(s.address()).unwrap();
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(start.elapsed() < PATIENCE * 6, "nobody else gets in");
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(idle);
    }
}
