//! A proxy on 127.0.0.1 that takes every name to one server, and says what it was asked for.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// It speaks CONNECT, SOCKS4a and SOCKS5, by the first byte.
pub struct Proxy {
    pub port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that leads everything to a port of this machine.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    if let Some(target) = greet(&stream) {
                        asked.lock().unwrap().push(target);
                        join(stream, TcpStream::connect(("127.0.0.1", server)).unwrap());
                    }
                });
            }
        });
        Self { port, log }
    }

    /// What it was asked for: protocol and target.
    pub fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn byte(s: &mut &TcpStream) -> Option<u8> {
    let mut one = [0];
    s.read_exact(&mut one).ok()?;
    Some(one[0])
}

fn bytes(s: &mut &TcpStream, n: usize) -> Option<Vec<u8>> {
    let mut all = vec![0; n];
    s.read_exact(&mut all).ok()?;
    Some(all)
}

fn until(s: &mut &TcpStream, end: &[u8]) -> Option<String> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        all.push(byte(s)?);
    }
    all.truncate(all.len() - end.len());
    String::from_utf8(all).ok()
}

fn greet(stream: &TcpStream) -> Option<String> {
    let mut s = stream;
    match byte(&mut s)? {
        5 => {
            let methods = usize::from(byte(&mut s)?);
            let methods = bytes(&mut s, methods)?;
            let mut user = String::new();
            if methods.contains(&2) {
                s.write_all(&[5, 2]).ok()?;
                let mut field = |skip: usize| {
                    bytes(&mut s, skip)?;
                    let n = usize::from(byte(&mut s)?);
                    String::from_utf8(bytes(&mut s, n)?).ok()
                };
                user = format!("{}:{}@", field(1)?, field(0)?);
                s.write_all(&[1, 0]).ok()?;
            } else {
                s.write_all(&[5, 0]).ok()?;
            }
            let kind = bytes(&mut s, 4)?[3];
            let host = if kind == 3 {
                let n = usize::from(byte(&mut s)?);
                String::from_utf8(bytes(&mut s, n)?).ok()?
            } else {
                let a = bytes(&mut s, 4)?;
                Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_string()
            };
            bytes(&mut s, 2)?;
            s.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
            Some(format!("socks5 {user}{host}"))
        }
        4 => {
            let head = bytes(&mut s, 7)?;
            until(&mut s, &[0])?;
            let host = if head[3..6] == [0, 0, 0] {
                until(&mut s, &[0])?
            } else {
                Ipv4Addr::new(head[3], head[4], head[5], head[6]).to_string()
            };
            s.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).ok()?;
            Some(format!("socks4 {host}"))
        }
        b'C' => {
            let head = until(&mut s, b"\r\n\r\n")?;
            let authority = head.split(' ').nth(1)?.to_owned();
            s.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            assert!(
                !head.to_ascii_lowercase().contains("bearer"),
                "the proxy hears nothing that is for the server"
            );
            Some(format!("connect {}", authority.rsplit_once(':')?.0))
        }
        _ => None,
    }
}

fn join(a: TcpStream, b: TcpStream) {
    let (mut from, mut to) = (a.try_clone().unwrap(), b.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (b, a);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
