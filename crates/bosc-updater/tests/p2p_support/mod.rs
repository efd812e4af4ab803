//! A private network, a store that stages and seeds, and deployment folders.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bosc_node::Node;
use bosc_release::command::Stop;
use bosc_release::dht::{DhtConfig, start};
use bosc_release::engine::{Engine, EngineConfig};
use bosc_release::event::{Event, Output};
use bosc_release::request::Request;
use bosc_release::seed::Seed;
use bosc_release::stage::Stage;
use bosc_release::touch::Touch;
use bosc_release::touch::event::Touched;
use bosc_updater::p2p::host;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A DHT on loopback.
pub struct Network {
    nodes: Vec<Node>,
}

impl Network {
    pub fn new() -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        for _ in 0..4 {
            let bootstrap = nodes.first().map(|n| format!("127.0.0.1:{}", n.port())).into_iter().collect();
            let config = DhtConfig { host: Ipv4Addr::LOCALHOST, port: 0, public_host: None, bootstrap };
            nodes.push(start(&config).unwrap());
        }
        Self { nodes }
    }

    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect()
    }
}

/// Somebody who stages and seeds a link.
pub struct Publisher {
    engine: Arc<Engine>,
    pub link: String,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn new(dir: &Path, network: &Network) -> Self {
        let config = EngineConfig {
            store: dir.to_owned(),
            bootstrap: network.bootstrap(),
            relay: Vec::new(),
            primary_key: None,
            ..EngineConfig::default()
        };
        let engine = Arc::new(Engine::open(&config).unwrap());
        let touched =
            engine.execute_request(&Request::Touch(Touch::default()), &mut quiet, &Stop::new()).unwrap();
        let Output::Touch(Touched { link, .. }) = touched else { panic!("{touched:?}") };
        Self { engine, link, stop: Stop::new(), thread: None }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn stage(&self, dir: &Path) -> String {
        let request = Stage { link: self.link.clone(), dir: dir.to_owned(), ..Stage::default() };
        let done = self.engine.execute_request(&Request::Stage(request), &mut quiet, &Stop::new()).unwrap();
        let Output::Stage(staged) = done else { panic!("{done:?}") };
        staged.verlink
    }

    /// What a request tells on the way.
    pub fn told(&self, request: &Request) -> Vec<Event> {
        let mut told = Vec::new();
        self.engine.execute_request(request, &mut |event: Event| told.push(event), &Stop::new()).unwrap();
        told
    }

    pub fn seed(&mut self) {
        self.stop = Stop::new();
        let (engine, link, stop) = (Arc::clone(&self.engine), self.link.clone(), self.stop.clone());
        self.thread = Some(std::thread::spawn(move || {
            let request = Seed { link, stats_interval_ms: 100, ..Seed::default() };
            let _ = engine.execute_request(&Request::Seed(request), &mut quiet, &stop);
        }));
    }

    /// What its links are kept in.
    #[allow(dead_code, reason = "not every test looks")]
    pub fn store(&self) -> &bosc_store::Store {
        self.engine.store()
    }

    /// Ends what [`Self::seed`] began.
    pub fn pause(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Leaves the network.
    pub fn away(&mut self) {
        self.pause();
        self.engine.close();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.away();
    }
}

fn quiet(_: Event) {}

/// Bytes that no chunker finds twice.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut s = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        out.extend_from_slice(&s.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A deployment folder with a `package.json`.
pub struct Deployment {
    pub dir: PathBuf,
}

impl Deployment {
    pub fn new(dir: PathBuf, version: &str) -> Self {
        fs::create_dir_all(&dir).unwrap();
        let d = Self { dir };
        d.version(version);
        d
    }

    pub fn version(&self, version: &str) {
        let text = format!(r#"{{"name":"demo","productName":"Demo","version":"{version}"}}"#);
        fs::write(self.dir.join("package.json"), text).unwrap();
    }

    /// A path of the application for this platform.
    pub fn app(&self, rel: &str) -> PathBuf {
        let app = self.dir.join("by-arch").join(host()).join("app/Demo");
        if rel.is_empty() { app } else { app.join(rel) }
    }

    pub fn put(&self, rel: &str, bytes: &[u8], executable: bool) {
        let path = self.app(rel);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = executable;
    }
}

/// Copies a file or a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    let meta = fs::symlink_metadata(from).unwrap();
    if meta.is_dir() {
        fs::create_dir_all(to).unwrap();
        for item in fs::read_dir(from).unwrap() {
            let item = item.unwrap();
            copy(&item.path(), &to.join(item.file_name()));
        }
    } else if meta.is_symlink() {
        #[cfg(unix)]
        std::os::unix::fs::symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Path, kind and content of everything below a folder.
pub fn snapshot(root: &Path) -> Vec<(String, String)> {
    fn walk(path: &Path, rel: String, out: &mut Vec<(String, String)>) {
        let meta = fs::symlink_metadata(path).unwrap();
        if meta.is_symlink() {
            out.push((rel, format!("-> {}", fs::read_link(path).unwrap().display())));
        } else if meta.is_file() {
            let bytes = fs::read(path).unwrap();
            #[cfg(unix)]
            let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
            #[cfg(not(unix))]
            let mode = false;
            let sum = bytes.iter().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(*b)));
            out.push((rel, format!("{} {sum:x} {mode}", bytes.len())));
        } else {
            out.push((rel.clone(), "folder".into()));
            for item in fs::read_dir(path).unwrap() {
                let item = item.unwrap();
                walk(&item.path(), format!("{rel}/{}", item.file_name().to_string_lossy()), out);
            }
        }
    }
    let mut out = Vec::new();
    walk(root, String::new(), &mut out);
    out.sort();
    out
}
