#![allow(clippy::unwrap_used)]
use super::*;
use crate::dashboard::snapshot::LineView;
use crate::keys::Passphrase;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Instant;
use zeroize::Zeroizing;

const WAIT: Duration = Duration::from_secs(30);

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn open() -> Service {
    let service = Service::start(local(), Door::token().unwrap()).unwrap();
    let line =
        LineView { name: Some("RELEASED".into()), link: Some("pear://abc".into()), ..LineView::default() };
    service.served().post(Snapshot { at: 1, lines: vec![line], ..Snapshot::default() });
    service
}

fn locked() -> Service {
    let password = Passphrase::new(Zeroizing::new("right horse".into()));
    Service::start(local(), Door::password(&password).unwrap()).unwrap()
}

fn connect(s: &Service) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(s.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

fn send(s: &Service, request: &[u8]) -> String {
    let mut stream = connect(s);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A request with the right `Host`, and more lines.
fn get(s: &Service, target: &str, more: &str) -> String {
    send(s, format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", s.address()).as_bytes())
}

fn post(s: &Service, target: &str, body: &str, more: &str) -> String {
    let (host, length) = (s.address(), body.len());
    let head = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{more}\r\n");
    send(s, [head.as_bytes(), body.as_bytes()].concat().as_slice())
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn token(s: &Service) -> String {
    s.url().split_once('?').unwrap().1.to_owned()
}

/// The line that shows the cookie again.
fn cookie(answer: &str) -> String {
    let set = answer.lines().find_map(|l| l.strip_prefix("Set-Cookie: ")).unwrap();
    format!("Cookie: other=1; {}\r\n", set.split(';').next().unwrap())
}

fn admitted(s: &Service) -> String {
    cookie(&get(s, &format!("/?{}", token(s)), ""))
}

#[test]
fn the_token_gives_a_cookie_and_nothing_is_seen_without_it() {
    let s = open();
    let paths = ["/", "/part", "/events", "/snapshot.json", "/line/abc", "/part/line/abc", "/nothing"];
    for path in paths {
        let answer = get(&s, path, "");
        assert_eq!(status(&answer), "403", "{path}");
        assert!(!answer.contains("RELEASED"), "{answer}");
    }
    let answer = get(&s, &format!("/?{}", token(&s)), "");
    assert_eq!(status(&answer), "303");
    assert!(answer.contains("\r\nLocation: /\r\n"));
    let set = answer.lines().find(|l| l.starts_with("Set-Cookie: ")).unwrap();
    assert!(
        set.contains("; HttpOnly") && set.contains("; SameSite=Strict") && set.contains("; Path=/"),
        "{set}"
    );
    assert!(!set.contains(token(&s).trim_start_matches("token=")), "the cookie is another secret");
    let with = cookie(&answer);
    for path in ["/", "/part", "/snapshot.json", "/line/abc", "/part/line/abc"] {
        let answer = get(&s, path, &with);
        assert_eq!(status(&answer), "200", "{path}");
        assert!(answer.contains("RELEASED"));
    }
    assert_eq!(status(&get(&s, "/nothing", &with)), "404");
    assert_eq!(status(&get(&s, "/line/other", &with)), "404");
}

#[test]
fn a_guessed_token_or_cookie_is_refused() {
    let s = open();
    let right = token(&s);
    let last = if right.ends_with('y') { "b" } else { "y" };
    let wrong = [&right[..right.len() - 1], last].concat();
    for guess in [wrong.as_str(), &right[..right.len() - 1], "token=", "token", "Token=x", ""] {
        assert_eq!(status(&get(&s, &format!("/?{guess}"), "")), "403", "{guess}");
    }
    assert_eq!(status(&get(&s, &format!("/part?{right}"), "")), "403", "only the first URL takes it");
    let port = s.address().port();
    for guess in ["", "x", right.trim_start_matches("token=")] {
        let line = format!("Cookie: bosc_dashboard_{port}={guess}\r\n");
        assert_eq!(status(&get(&s, "/", &line)), "403", "{guess}");
    }
    let other = open();
    assert_eq!(status(&get(&other, "/", &admitted(&s))), "403", "a cookie is of one process");
}

#[test]
fn another_host_or_origin_is_refused_whatever_it_knows() {
    let s = open();
    let with = admitted(&s);
    let port = s.address().port();
    let as_host = |host: &str| send(&s, format!("GET / HTTP/1.1\r\nHost: {host}\r\n{with}\r\n").as_bytes());
    assert_eq!(status(&as_host(&format!("127.0.0.1:{port}"))), "200");
    assert_eq!(status(&as_host(&format!("localhost:{port}"))), "200");
    for host in [
        "attacker.example".to_owned(),
        format!("attacker.example:{port}"),
        "127.0.0.1:1".into(),
        String::new(),
    ] {
        assert_eq!(status(&as_host(&host)), "403", "{host}");
    }
    assert_eq!(status(&send(&s, format!("GET / HTTP/1.0\r\n{with}\r\n").as_bytes())), "403", "no Host");
    let two = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: x\r\n{with}\r\n");
    assert_eq!(status(&send(&s, two.as_bytes())), "400");
    let origin = |origin: &str| get(&s, "/", &format!("{with}Origin: {origin}\r\n"));
    assert_eq!(status(&origin(&format!("http://127.0.0.1:{port}"))), "200");
    for other in ["null", "http://attacker.example", "http://127.0.0.1:1"] {
        assert_eq!(status(&origin(other)), "403", "{other}");
    }
    // The token does not help a page of somebody else's either.
    let rebound = format!("GET /?{} HTTP/1.1\r\nHost: attacker.example:{port}\r\n\r\n", token(&s));
    assert!(!send(&s, rebound.as_bytes()).contains("Set-Cookie"));
}

#[test]
fn only_reading_is_answered() {
    let s = open();
    let with = admitted(&s);
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: {}\r\n{with}\r\n", s.address());
        assert_eq!(status(&send(&s, request.as_bytes())), "405", "{method}");
    }
    for path in ["/", "/part", "/login"] {
        assert_eq!(status(&post(&s, path, "password=x", &with)), "405", "{path}");
    }
    let head = send(&s, format!("HEAD / HTTP/1.1\r\nHost: {}\r\n{with}\r\n", s.address()).as_bytes());
    assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"));
    let proxy = format!("GET http://attacker.example/ HTTP/1.1\r\nHost: {}\r\n\r\n", s.address());
    assert_eq!(status(&send(&s, proxy.as_bytes())), "400");
}

#[test]
fn every_answer_has_the_headers_that_bind_a_browser() {
    let s = open();
    let with = admitted(&s);
    let answers = [
        get(&s, "/", &with),
        get(&s, "/", ""),
        get(&s, "/style.css", ""),
        get(&s, "/live.js", ""),
        get(&s, "/nothing", &with),
        get(&s, &format!("/?{}", token(&s)), ""),
        send(&s, b"nonsense\r\n\r\n"),
    ];
    for answer in answers {
        let has = |line: &str| answer.contains(&format!("\r\n{line}"));
        assert!(
            has("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"),
            "{answer}"
        );
        assert!(answer.contains("frame-ancestors 'none'") && !answer.contains("unsafe-"));
        assert!(has("X-Content-Type-Options: nosniff\r\n") && has("Referrer-Policy: same-origin\r\n"));
        assert!(has("Cache-Control: no-store\r\n") && has("X-Frame-Options: DENY\r\n"));
        assert!(has("Cross-Origin-Resource-Policy: same-origin\r\n"));
    }
}

#[test]
fn a_password_is_asked_for_and_guesses_are_counted() {
    let s = locked();
    assert!(!s.url().contains("token"));
    let asks = get(&s, "/", "");
    assert!(status(&asks) == "401" && asks.contains("type=\"password\""));
    assert_eq!(status(&get(&s, "/?token=", "")), "401");
    assert_eq!(
        status(&post(&s, "/login", "password=right+horse", "Origin: http://attacker.example\r\n")),
        "403"
    );
    let answer = post(&s, "/login", "password=right+horse", "");
    assert_eq!(status(&answer), "303");
    let with = cookie(&answer);
    assert_eq!(status(&get(&s, "/", &with)), "200");
    for _ in 0..5 {
        let answer = post(&s, "/login", "password=guess", "");
        assert!(status(&answer) == "403" && !answer.contains("Set-Cookie"));
    }
    let answer = post(&s, "/login", "password=right+horse", "");
    assert!(status(&answer) == "429" && !answer.contains("Set-Cookie"));
    assert_eq!(status(&get(&s, "/", &with)), "200", "who is in stays in");
}

#[test]
fn beyond_this_machine_only_with_a_password() {
    assert_eq!(parse_addr("8080", false).unwrap(), "127.0.0.1:8080".parse().unwrap());
    assert_eq!(parse_addr("[::1]:0", false).unwrap(), "[::1]:0".parse().unwrap());
    for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
        assert!(parse_addr(open, false).is_err(), "{open}");
        assert!(parse_addr(open, true).is_ok(), "{open}");
    }
    for bad in ["", "localhost:1", "1.2.3.4", ":80", "99999"] {
        assert!(parse_addr(bad, true).is_err(), "{bad}");
    }
}

#[test]
fn a_request_is_bounded() {
    let s = locked();
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX));
    assert_eq!(status(&send(&s, long.as_bytes())), "431");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert_eq!(status(&send(&s, many.as_bytes())), "431");
    let host = s.address();
    let large = format!("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999\r\n\r\n");
    assert_eq!(status(&send(&s, large.as_bytes())), "413");
    for framing in
        ["Content-Length: x", "Content-Length: 1\r\nContent-Length: 2", "Transfer-Encoding: chunked"]
    {
        let request = format!("POST /login HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n");
        assert_eq!(status(&send(&s, request.as_bytes())), "400", "{framing}");
    }
}

#[test]
fn who_is_slow_or_silent_keeps_out_nobody_for_long() {
    let s = open();
    let idle: Vec<_> = (0..CONNECTIONS)
        .map(|i| {
            let mut stream = connect(&s);
            // Half of them say a little.
            let _ = stream.write_all(if i % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\nX" });
            stream
        })
        .collect();
    let start = Instant::now();
    let request = format!("GET /style.css HTTP/1.1\r\nHost: {}\r\n\r\n", s.address());
    loop {
        let mut stream = connect(&s);
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        if stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(start.elapsed() < WAIT, "nobody else gets in");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(idle);
}

/// A connection that waits for news, after its first event.
fn stream(s: &Service, with: &str) -> (std::net::TcpStream, String) {
    let mut stream = connect(s);
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n{with}\r\n", s.address());
    stream.write_all(request.as_bytes()).unwrap();
    let text = until(&mut stream, "\n\n");
    (stream, text)
}

fn until(stream: &mut std::net::TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) || !text.contains("id: ") && text.starts_with("HTTP/1.1 200") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        text.push(char::from(byte[0]));
    }
    text
}

#[test]
fn news_come_as_events_and_streams_are_bounded() {
    let s = open();
    let with = admitted(&s);
    let (mut first, text) = stream(&s, &with);
    assert!(text.contains("text/event-stream") && text.ends_with("id: 1\ndata: \n\n"), "{text}");
    let line = |peers| LineView {
        peers,
        name: Some("rc\n\ndata: x".into()),
        link: Some("pear://abc".into()),
        ..LineView::default()
    };
    s.served().post(Snapshot { at: 2, lines: vec![line(3)], ..Snapshot::default() });
    let text = until(&mut first, "\n\n");
    assert_eq!(text, "id: 2\ndata: A peer came: rc  data: x has 3 peers\n\n", "a name ends no event");
    // The same again is no news.
    s.served().post(Snapshot { at: 3, lines: vec![line(3)], ..Snapshot::default() });
    s.served().post(Snapshot { at: 4, lines: vec![line(4)], ..Snapshot::default() });
    assert!(until(&mut first, "\n\n").starts_with("id: 3\n"));
    let mut held: Vec<_> = (1..STREAMS).map(|_| stream(&s, &with)).collect();
    assert!(held.iter().all(|(_, text)| text.contains(" 200 ")));
    assert!(get(&s, "/events", &with).starts_with("HTTP/1.1 503 "));
    // One that leaves makes room.
    held.pop().unwrap().0.shutdown(Shutdown::Both).unwrap();
    let start = Instant::now();
    while stream(&s, &with).1.contains(" 503 ") {
        assert!(start.elapsed() < WAIT, "a place stays taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_ends_with_streams_open() {
    let s = open();
    let with = admitted(&s);
    let (mut held, _) = stream(&s, &with);
    drop(s);
    let mut rest = Vec::new();
    let _ = held.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
