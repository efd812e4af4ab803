//! What is answered to a request that was read. Takes the last snapshot, and waits for nothing.

use super::door::{Door, Login, is_for_us};
use super::numbered::Numbered;
use super::request::{Asked, Method};
use crate::dashboard::page::{self, View};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

const HTML: &str = "text/html; charset=utf-8";

/// What every answer says. No script but ours runs, nothing is fetched from elsewhere, no page shows this one in a frame.
const ALWAYS: &str = "Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: same-origin\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n";

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: &'static str,
    kind: &'static str,
    body: Cow<'static, str>,
    more: String,
    without_body: bool,
    /// The connection stays, for events.
    pub(super) is_stream: bool,
}

impl Reply {
    fn new(status: &'static str, kind: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, body: body.into(), more: String::new(), without_body: false, is_stream: false }
    }

    /// A few words.
    pub(super) fn refused(status: &'static str) -> Self {
        let mut reply = Self::new(status, "text/plain; charset=utf-8", format!("{status}\n"));
        if status.starts_with("405") {
            reply.more = "Allow: GET, HEAD, POST\r\n".into();
        }
        reply
    }

    fn elsewhere(more: String) -> Self {
        Self { more: format!("Location: /\r\n{more}"), ..Self::new("303 See Other", HTML, "") }
    }

    /// Head and body.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (status, kind, more) = (self.status, self.kind, &self.more);
        let length = match self.is_stream {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", self.body.len()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}{ALWAYS}{more}Connection: close\r\n\r\n"
        );
        let body = if self.without_body { "" } else { &self.body };
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// The answer.
pub(super) fn answer(asked: &Asked, from: IpAddr, bound: SocketAddr, door: &Door, now: &Numbered) -> Reply {
    let mut reply = route(asked, from, bound, door, now);
    reply.without_body = asked.method == Method::Head;
    reply
}

fn route(asked: &Asked, from: IpAddr, bound: SocketAddr, door: &Door, now: &Numbered) -> Reply {
    if !is_for_us(asked, bound) {
        return Reply::refused("403 Forbidden");
    }
    if asked.method == Method::Post {
        return match (asked.path.as_str(), door.wants_password()) {
            ("/login", true) => match door.login(asked, from, Instant::now()) {
                Login::Right => Reply::elsewhere(door.set_cookie(bound)),
                Login::Wrong => Reply::new("403 Forbidden", HTML, page::login(true)),
                Login::TooMany => Reply::refused("429 Too Many Requests"),
            },
            _ => Reply::refused("405 Method Not Allowed"),
        };
    }
    // What has nothing of the store in it.
    match asked.path.as_str() {
        "/style.css" => return Reply::new("200 OK", "text/css; charset=utf-8", page::STYLE),
        "/live.js" => return Reply::new("200 OK", "text/javascript; charset=utf-8", page::SCRIPT),
        "/icon.svg" => return Reply::new("200 OK", "image/svg+xml", page::ICON),
        "/" if door.is_token(asked) => return Reply::elsewhere(door.set_cookie(bound)),
        _ => {}
    }
    if !door.is_admitted(asked, bound) {
        return match door.wants_password() {
            true => Reply::new("401 Unauthorized", HTML, page::login(false)),
            false => Reply::new("403 Forbidden", HTML, page::refused()),
        };
    }
    let (part, path) = match asked.path.strip_prefix("/part") {
        Some(rest) => (true, if rest.is_empty() { "/" } else { rest }),
        None => (false, asked.path.as_str()),
    };
    let view = match path {
        "/" => View::All,
        "/events" => {
            return Reply { is_stream: true, ..Reply::new("200 OK", "text/event-stream; charset=utf-8", "") };
        }
        "/snapshot.json" => {
            let json = serde_json::to_string(&now.snapshot).unwrap_or_default();
            return Reply::new("200 OK", "application/json", json);
        }
        path => match path.strip_prefix("/line/") {
            Some(slug) if page::has(&now.snapshot, slug) => View::Line(slug),
            _ => return Reply::new("404 Not Found", HTML, page::not_found()),
        },
    };
    let html = match part {
        true => page::part(&now.snapshot, view),
        false => page::whole(&now.snapshot, view),
    };
    Reply::new("200 OK", HTML, html)
}
