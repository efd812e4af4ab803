//! What operators say reaches a client over a mirror alone: no DHT, no peer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{Node, NodeConfig, RecordAnswer};
use bosc_policy::{About, Halt, Newest, STATEMENTS_FILE, Share, Signed, Statement, Statements};
use bosc_release::mirror::Mirror;
use bosc_release::request::Request;
use bosc_updater::install::Reason;
use bosc_updater::source::HeldBy;
use bosc_updater::{Event, Events, Started, UpdateSource, Updater};
use p2p_support::{Deployment, Network, Publisher, copy, noise};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SIZE: usize = 100_000;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct World {
    _temp: tempfile::TempDir,
    t: PathBuf,
    network: Network,
    d: Deployment,
    publisher: Publisher,
    key: KeyPair,
    counter: u64,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let t = temp.path().to_owned();
        let network = Network::new();
        let d = Deployment::new(t.join("deploy"), "1.0.0");
        d.put("", &noise(100, SIZE), true);
        fs::create_dir_all(t.join("installed")).unwrap();
        copy(&d.app(""), &t.join("installed/Demo"));
        let publisher = Publisher::new(&t.join("author"), &network);
        Self { _temp: temp, t, network, d, publisher, key: KeyPair::from_seed(&[77; 32]), counter: 0 }
    }

    /// A policy with one operator who may do everything.
    fn policy(&self, more: &Value) -> Value {
        let may = ["refresh", "rollout", "halt", "recall"];
        let mut policy = json!({"schema": 1, "operators": [{"key": id::encode(&self.key.public()), "may": may}], "recall": true});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy
    }

    /// Releases 1.0.n with this policy. Its length.
    fn release(&self, n: u64, policy: &Value) -> PearLink {
        self.d.put("", &noise(100 + n, SIZE), true);
        self.d.version(&format!("1.0.{n}"));
        fs::write(self.d.dir.join("release.json"), policy.to_string()).unwrap();
        PearLink::parse(&self.publisher.stage(&self.d.dir)).unwrap()
    }

    /// `bosc mirror`, by somebody whom the DHT answers.
    fn mirror(&self) -> PathBuf {
        let target = self.t.join("mirror");
        self.publisher.told(&Request::Mirror(Mirror {
            link: self.publisher.link.clone(),
            target: target.to_str().unwrap().to_owned(),
            timeout_ms: 30_000,
            ..Mirror::default()
        }));
        target
    }

    /// The operator speaks, in the DHT.
    fn says(&mut self, version: &str, percent: Option<u64>, halt: Option<Halt>) {
        let share = percent.map(|p| Share::from_hundredths(p * 100).unwrap());
        let versions = vec![About { version: version.parse().unwrap(), share, halt }];
        self.puts(None, versions);
    }

    fn puts(&mut self, newest: Option<Newest>, versions: Vec<About>) {
        self.counter += 1;
        let link = PearLink::parse(&self.publisher.link).unwrap().key;
        let statement = Statement { link, counter: self.counter, time: now(), newest, versions };
        let signed = Signed::new(&statement, &self.key).unwrap();
        let mut config =
            NodeConfig::peer(self.network.bootstrap().iter().map(|n| n.parse().unwrap()).collect());
        config.host = Ipv4Addr::LOCALHOST;
        let node = Node::start(config, None).unwrap();
        let kept = node.put_record(&self.key, self.counter, signed.as_bytes().to_vec());
        let answer = kept.wait(Some(Instant::now() + Duration::from_secs(60))).unwrap();
        assert!(matches!(answer, Ok(RecordAnswer::Kept(1..))), "{answer:?}");
    }

    /// A client that reaches nothing but this mirror.
    fn client(&self, version: &str, mirror: &Path) -> Client {
        let source = UpdateSource::from_upgrade(&self.publisher.link, [])
            .bootstrap(["127.0.0.1:9".to_owned()])
            .mirror(mirror.to_str().unwrap());
        let builder = Updater::builder("Demo", version.parse().unwrap(), source)
            .app(self.t.join("installed/Demo"))
            .data_folder(self.t.join("data"))
            .delay(Duration::ZERO)
            .check_automatically(false)
            .download_automatically(false);
        let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
        Client { events: updater.events(), updater }
    }

    fn installed(&self) -> u64 {
        let bytes = fs::read(self.t.join("installed/Demo")).unwrap();
        (0..10).find(|n| bytes == noise(100 + n, SIZE)).unwrap()
    }
}

struct Client {
    updater: Updater,
    events: Events,
}

impl Client {
    fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "it did not come");
        }
    }

    fn installs(&self, version: &str) {
        let update = self.until(|| {
            self.updater.check().wait().unwrap().filter(|update| update.version().to_string() == version)
        });
        update.download(|_| ()).wait().unwrap();
        update.apply().wait().unwrap();
    }

    fn is_told<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        self.until(|| {
            self.updater.check().wait().unwrap();
            while let Some(event) = self.events.recv_timeout(Duration::from_millis(50)) {
                if let Some(found) = wanted(event) {
                    return Some(found);
                }
            }
            None
        })
    }

    fn is_held(&self, version: &str) -> HeldBy {
        self.is_told(|event| match event {
            Event::Held(held) if held.version.to_string() == version => Some(held.by),
            _ => None,
        })
    }
}

#[test]
fn without_udp_a_mirror_carries_rollout_halt_and_recall() {
    let mut w = World::new();
    w.release(1, &w.policy(&json!({"rollout": 0})));
    let mirror = w.mirror();
    assert!(!mirror.join(STATEMENTS_FILE).exists(), "nobody spoke yet");
    let client = w.client("1.0.0", &mirror);
    assert!(matches!(client.is_held("1.0.1"), HeldBy::Share { hundredths: 0, .. }));
    w.says("1.0.1", Some(100), None);
    w.mirror();
    client.installs("1.0.1");
    assert_eq!(w.installed(), 1);
    client.updater.close();

    let client = w.client("1.0.1", &mirror);
    assert!(client.updater.mark_healthy().wait().unwrap());
    w.says("1.0.1", None, Some(Halt::Recalled));
    w.mirror();
    let reason = client.is_told(|event| match event {
        Event::RolledBack { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, Reason::Recalled);
    assert_eq!(w.installed(), 0);
}

#[test]
fn without_udp_a_freeze_is_noticed_and_a_word_on_the_mirror_ends_it() {
    let mut w = World::new();
    let at = w.release(1, &w.policy(&json!({"time": now() - 10_000, "freshness": 3_600})));
    let mirror = w.mirror();
    let client = w.client("1.0.0", &mirror);
    let stale = client.is_told(|event| if let Event::Stale(stale) = event { Some(stale) } else { None });
    assert_eq!(stale.limit, Duration::from_secs(3_600));
    assert!(client.updater.check().wait().unwrap().is_none());
    let version = at.version.unwrap();
    w.puts(Some(Newest { fork: version.fork, length: version.length, tree_hash: [0; 32] }), Vec::new());
    w.mirror();
    client.installs("1.0.1");
}

#[test]
fn a_stale_or_hostile_mirror_takes_nothing_back() {
    let mut w = World::new();
    w.release(1, &w.policy(&json!({})));
    w.says("1.0.1", Some(100), None);
    let mirror = w.mirror();
    let file = mirror.join(STATEMENTS_FILE);
    let old = fs::read(&file).unwrap();
    w.says("1.0.1", None, Some(Halt::Halted));
    w.mirror();
    let client = w.client("1.0.0", &mirror);
    assert!(matches!(client.is_held("1.0.1"), HeldBy::Halt { .. }));

    // By a stranger, with a counter above all: it is signed, and nobody named its key.
    let link = PearLink::parse(&w.publisher.link).unwrap().key;
    let versions = vec![About { version: "1.0.1".parse().unwrap(), share: None, halt: Some(Halt::Lifted) }];
    let lifted = Statement { link, counter: 99, time: now(), newest: None, versions };
    let stranger = Signed::new(&lifted, &KeyPair::from_seed(&[78; 32])).unwrap();
    let strange: Statements = [stranger].into_iter().collect();
    // The operator's word with another's signature below it.
    let signed = Signed::new(&lifted, &w.key).unwrap();
    let mut forged: Vec<u8> = [signed].into_iter().collect::<Statements>().to_bytes();
    forged[80] ^= 1;
    for file_there in [
        Some(old),
        Some(b"<!doctype html><p>Log in".to_vec()),
        Some(vec![b'x'; 100_000]),
        Some(strange.to_bytes()),
        Some(forged),
        Some(Vec::new()),
        None,
    ] {
        match &file_there {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert!(client.updater.check().wait().unwrap().is_none(), "{:?}", file_there.map(|b| b.len()));
    }
    client.updater.close();
    // One that starts anew: what is remembered counts.
    let client = w.client("1.0.0", &mirror);
    assert!(matches!(client.is_held("1.0.1"), HeldBy::Halt { .. }));
    assert_eq!(w.installed(), 0);
}
