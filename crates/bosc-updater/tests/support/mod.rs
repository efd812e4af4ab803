//! A real HTTPS server with faults, in this process, on 127.0.0.1.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bosc_updater::http::{HttpOptions, Roots};
use bosc_updater::manifest::platform_key;
use bosc_updater::manifest::verify::{Binding, binding_payload, hex, ruled_payload};
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server's certificate says.
#[derive(Clone, Copy, PartialEq)]
pub enum Cert {
    Good,
    OtherHost,
    Expired,
    /// For `updates.example`, `cdn.example` and `192.0.2.1`: names that only a proxy leads here.
    Example,
    /// Plain HTTP.
    None,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    /// Whether the client showed a certificate.
    pub client: bool,
}

/// What is known of who asks.
trait Peer {
    fn has_certificate(&self) -> bool;
}

impl Peer for TcpStream {
    fn has_certificate(&self) -> bool {
        false
    }
}

impl Peer for StreamOwned<ServerConnection, TcpStream> {
    fn has_certificate(&self) -> bool {
        self.conn.peer_certificates().is_some_and(|all| !all.is_empty())
    }
}

/// Whether a server wants a certificate of its clients.
#[derive(Clone, Copy, PartialEq)]
pub enum Clients {
    Any,
    /// It is asked for one, and taken without.
    Asked,
    Known,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone)]
pub enum Body {
    Bytes(Vec<u8>),
    /// As it is: the headers say what it is.
    Raw(Vec<u8>),
    /// Says `declared` bytes (or nothing: until the connection closes), sends these, closes.
    Cut {
        declared: Option<u64>,
        sent: Vec<u8>,
    },
    /// Without a length and without an end.
    Endless,
    /// Pieces with a wait before each.
    Slow {
        bytes: Vec<u8>,
        piece: usize,
        wait: Duration,
    },
    /// Some bytes of the declared ones, then silence.
    Stall {
        declared: u64,
        sent: Vec<u8>,
    },
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Answer { status, headers, body: Body::Bytes(body.into()) }
}

/// A whole body whose length is not said beforehand.
pub fn chunked(bytes: &[u8]) -> Answer {
    let mut body = format!("{:x}\r\n", bytes.len()).into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    let mut answer = answer(200, &[("transfer-encoding", "chunked")], "");
    answer.body = Body::Raw(body);
    answer
}

pub type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

pub struct Server {
    pub port: u16,
    pub ca: Vec<u8>,
    cert: Cert,
    log: Arc<Mutex<Vec<Request>>>,
    /// Bytes of bodies that were written to sockets.
    pub sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(cert: Cert, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_for(cert, Clients::Any, &Authority::new(), handler)
    }

    /// A server that knows clients by certificates of this authority.
    pub fn start_for(
        cert: Cert,
        clients: Clients,
        authority: &Authority,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (config, ca) = tls(cert, clients, authority);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, sent, stop) =
            (Arc::default(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            log: Arc::clone(&log),
            sent: Arc::clone(&sent),
            stop: Arc::clone(&stop),
        });
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared, config) = (stream, Arc::clone(&shared), config.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    let _ = stream.set_write_timeout(Some(Duration::from_secs(20)));
                    match config {
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            shared.serve(StreamOwned::new(connection, stream));
                        }
                        None => shared.serve(stream),
                    }
                });
            }
        });
        Self { port, ca, cert, log, sent, stop, thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        let scheme = if self.cert == Cert::None { "http" } else { "https" };
        format!("{scheme}://localhost:{}{path}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    pub fn asked(&self, path: &str) -> usize {
        self.requests().iter().filter(|r| r.path == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}

struct Shared {
    handler: Handler,
    log: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn serve<S: Read + Write + Peer>(&self, stream: S) {
        let mut stream = BufReader::new(stream);
        while let Some(mut request) = read_request(&mut stream) {
            request.client = stream.get_ref().has_certificate();
            self.log.lock().unwrap().push(request.clone());
            let answer = (self.handler)(&request);
            match self.write(stream.get_mut(), answer) {
                Ok(true) => {}
                _ => return,
            }
        }
    }

    /// Whether the connection goes on.
    fn write<S: Write>(&self, out: &mut S, answer: Answer) -> std::io::Result<bool> {
        let length = match &answer.body {
            Body::Bytes(b) => Some(b.len() as u64),
            Body::Slow { bytes, .. } => Some(bytes.len() as u64),
            Body::Cut { declared, .. } => *declared,
            Body::Stall { declared, .. } => Some(*declared),
            Body::Endless | Body::Raw(_) => None,
        };
        let raw = matches!(answer.body, Body::Raw(_));
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
        for (k, v) in &answer.headers {
            head += &format!("{k}: {v}\r\n");
        }
        if !matches!(answer.status, 204 | 304)
            && !raw
            && !answer.headers.iter().any(|(k, _)| k == "content-length")
        {
            match length {
                Some(n) => head += &format!("content-length: {n}\r\n"),
                None => head += "connection: close\r\n",
            }
        }
        out.write_all((head + "\r\n").as_bytes())?;
        let mut put = |bytes: &[u8]| -> std::io::Result<()> {
            out.write_all(bytes)?;
            out.flush()?;
            self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            Ok(())
        };
        match answer.body {
            Body::Bytes(b) | Body::Raw(b) => {
                for piece in b.chunks(64 * 1024) {
                    put(piece)?;
                }
                put(&[])?;
                return Ok(true);
            }
            Body::Cut { sent, .. } => put(&sent)?,
            Body::Endless => {
                let block = vec![b' '; 64 * 1024];
                while !self.stop.load(Ordering::SeqCst) {
                    put(&block)?;
                }
            }
            Body::Slow { bytes, piece, wait } => {
                for p in bytes.chunks(piece) {
                    std::thread::sleep(wait);
                    if self.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    put(p)?;
                }
            }
            Body::Stall { sent, .. } => {
                put(&sent)?;
                for _ in 0..200 {
                    std::thread::sleep(Duration::from_millis(50));
                    if self.stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            }
        }
        Ok(false)
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(Request { path, headers, client: false });
        }
        let (k, v) = line.split_once(':')?;
        headers.insert(k.to_ascii_lowercase(), v.trim().to_owned());
    }
}

/// Who vouches for servers, or for clients.
pub struct Authority {
    pub der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::default()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key of a client, in PEM.
    pub fn client(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["a client".to_owned()]).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn tls(cert: Cert, clients: Clients, known: &Authority) -> (Option<Arc<ServerConfig>>, Vec<u8>) {
    if cert == Cert::None {
        return (None, Vec::new());
    }
    let Authority { der: ca, issuer } = Authority::new();
    let names: &[&str] = match cert {
        Cert::OtherHost => &["other.example"],
        Cert::Example => &["updates.example", "cdn.example", "192.0.2.1"],
        _ => &["localhost"],
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if cert == Cert::Expired {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = if clients == Clients::Any {
        config.with_no_client_auth()
    } else {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(known.der.clone().into()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = if clients == Clients::Asked { verifier.allow_unauthenticated() } else { verifier };
        config.with_client_cert_verifier(verifier.build().unwrap())
    };
    let config = config.with_single_cert(vec![leaf.der().clone()], key).unwrap();
    (Some(Arc::new(config)), ca)
}

/// Signs as Perry's command does.
pub struct Signing(pub SigningKey);

impl Signing {
    pub fn new(byte: u8) -> Self {
        Self(SigningKey::from_bytes(&[byte; 32]))
    }

    pub fn public(&self) -> String {
        BASE64.encode(self.0.verifying_key().as_bytes())
    }

    pub fn v1(&self, bytes: &[u8]) -> String {
        BASE64.encode(&self.0.sign(&Sha256::digest(bytes)).to_bytes())
    }

    pub fn v2(&self, bytes: &[u8], version: &str) -> String {
        let mut payload = Sha256::digest(bytes).to_vec();
        payload.extend_from_slice(version.as_bytes());
        BASE64.encode(&self.0.sign(&payload).to_bytes())
    }

    pub fn bound(&self, bytes: &[u8], app: &str, platform: &str, version: &str) -> String {
        let binding = Binding { app, platform, version, size: bytes.len() as u64 };
        let payload = binding_payload(&Sha256::digest(bytes).into(), &binding).unwrap();
        BASE64.encode(&self.0.sign(&payload).to_bytes())
    }

    /// The same with rules, signed with the artifact.
    pub fn ruled(&self, version: &str, url: &str, bytes: &[u8], app: &str, policy: &str) -> Value {
        let mut manifest = self.manifest(version, url, bytes);
        let binding = Binding { app, platform: &platform_key(), version, size: bytes.len() as u64 };
        let payload = ruled_payload(&Sha256::digest(bytes).into(), &binding, policy).unwrap();
        manifest["platforms"][platform_key()]["boscSignature"] =
            BASE64.encode(&self.0.sign(&payload).to_bytes()).into();
        manifest["boscRules"] = json!({ "app": app, "policy": policy });
        manifest
    }

    /// A manifest of schema 2 with an entry for this platform.
    pub fn manifest(&self, version: &str, url: &str, bytes: &[u8]) -> Value {
        json!({
            "schemaVersion": 2,
            "version": version,
            "pubDate": "2026-11-01T00:00:00.000Z",
            "notes": "what is new",
            "platforms": { platform_key(): {
                "url": url,
                "sha256": sha256(bytes),
                "signature": self.v2(bytes, version),
                "size": bytes.len(),
            } }
        })
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

/// Bytes that do not repeat.
pub fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Answers a request for a file as a good server does: ETag, ranges, If-Range, If-None-Match.
pub fn serve_file(request: &Request, bytes: &[u8]) -> Answer {
    let etag = format!("\"{}\"", &sha256(bytes)[..16]);
    if request.header("if-none-match") == Some(&etag) {
        return answer(304, &[("etag", &etag)], "");
    }
    let range =
        request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match range {
        Some(start) if request.header("if-range").is_none_or(|e| e == etag) => {
            let start: usize = start;
            if start >= bytes.len() {
                return answer(416, &[("content-range", &format!("bytes */{}", bytes.len()))], "");
            }
            let content_range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            answer(206, &[("etag", &etag), ("content-range", &content_range)], &bytes[start..])
        }
        _ => answer(200, &[("etag", &etag)], bytes),
    }
}

/// Options that trust this server and do not wait long.
pub fn options(server: &Server, signing: &Signing) -> HttpOptions {
    let mut o = HttpOptions::new(server.url("/m.json"), signing.public());
    if !server.ca.is_empty() {
        o.roots = Roots::Only(vec![server.ca.clone()]);
    }
    o.connect_timeout = Duration::from_secs(10);
    o.idle_timeout = Duration::from_secs(10);
    o.manifest_timeout = Duration::from_secs(30);
    o.total_timeout = Duration::from_secs(60);
    o.back_off = Duration::from_millis(5);
    o
}
