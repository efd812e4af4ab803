//! What a link's quorum and its operators say is obeyed: rollout, halt, recall, freeze, over a DHT on loopback.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;
mod unchecked;

use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{Node, NodeConfig, RecordAnswer};
use bosc_policy::{About, Halt, Share, Signed, Statement};
use bosc_updater::install::Reason;
use bosc_updater::source::HeldBy;
use bosc_updater::{ErrorKind, Event, Events, Started, Update, UpdateError, UpdateSource, Updater};
use p2p_support::{Deployment, Network, Publisher, copy, noise};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use unchecked::stage_unchecked;

const SIZE: usize = 100_000;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Somebody with an operator's key.
struct Operator {
    key: KeyPair,
    counter: u64,
    link: [u8; 32],
    bootstrap: Vec<std::net::SocketAddrV4>,
}

impl Operator {
    fn new(link: &str, network: &Network) -> Self {
        let bootstrap = network.bootstrap().iter().map(|n| n.parse().unwrap()).collect();
        let link = PearLink::parse(link).unwrap().key;
        Self { key: KeyPair::from_seed(&[77; 32]), counter: 0, link, bootstrap }
    }

    fn listed(&self) -> Value {
        json!({"key": id::encode(&self.key.public()), "may": ["refresh", "rollout", "halt", "recall"]})
    }

    fn says(&mut self, version: &str, percent: Option<u64>, halt: Option<Halt>) {
        self.counter += 1;
        let share = percent.map(|p| Share::from_hundredths(p * 100).unwrap());
        let versions = vec![About { version: version.parse().unwrap(), share, halt }];
        let statement =
            Statement { link: self.link, counter: self.counter, time: now(), newest: None, versions };
        let signed = Signed::new(&statement, &self.key).unwrap();
        let mut config = NodeConfig::peer(self.bootstrap.clone());
        config.host = Ipv4Addr::LOCALHOST;
        let node = Node::start(config, None).unwrap();
        let kept = node.put_record(&self.key, self.counter, signed.as_bytes().to_vec());
        let answer = kept.wait(Some(Instant::now() + Duration::from_secs(60))).unwrap();
        assert!(matches!(answer, Ok(RecordAnswer::Kept(1..))), "{answer:?}");
    }
}

struct World {
    _temp: tempfile::TempDir,
    t: PathBuf,
    network: Network,
    d: Deployment,
    publisher: Publisher,
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
        let mut publisher = Publisher::new(&t.join("author"), &network);
        publisher.stage(&d.dir);
        publisher.seed();
        Self { _temp: temp, t, network, d, publisher }
    }

    /// Releases 1.0.n with this policy.
    fn release(&self, n: u64, policy: &Value) {
        self.build(n, policy);
        self.publisher.stage(&self.d.dir);
    }

    /// The same with a policy that `stage` refuses.
    fn release_unchecked(&self, n: u64, policy: &Value) {
        self.build(n, policy);
        stage_unchecked(self.publisher.engine(), &self.publisher.link, &self.d.dir);
    }

    fn build(&self, n: u64, policy: &Value) {
        self.d.put("", &noise(100 + n, SIZE), true);
        self.d.version(&format!("1.0.{n}"));
        fs::write(self.d.dir.join("release.json"), policy.to_string()).unwrap();
    }

    /// The client of an application that says this version of itself.
    fn client(&self, version: &str) -> Client {
        let source = UpdateSource::from_upgrade(&self.publisher.link, []).bootstrap(self.network.bootstrap());
        let builder = Updater::builder("Demo", version.parse().unwrap(), source)
            .app(self.t.join("installed/Demo"))
            .data_folder(self.t.join("data"))
            .delay(Duration::ZERO)
            .check_automatically(false)
            .download_automatically(false);
        let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
        let events = updater.events();
        Client { updater, events }
    }

    /// Which release is in the application's place.
    fn installed(&self) -> u64 {
        let bytes = fs::read(self.t.join("installed/Demo")).unwrap();
        (0..10).find(|n| bytes == noise(100 + n, SIZE)).unwrap()
    }

    fn statements(&self) -> PathBuf {
        self.t.join("data/bosc-updater/p2p.statements")
    }
}

struct Client {
    updater: Updater,
    events: Events,
}

impl Client {
    fn check(&self) -> Result<Option<Update>, UpdateError> {
        self.updater.check().wait()
    }

    /// Checks until the newest release is this one; it takes a moment until news come round.
    fn finds(&self, version: &str) -> Update {
        self.until(|| self.check().ok().flatten().filter(|u| u.version().to_string() == version))
    }

    fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "it did not come");
        }
    }

    fn installs(&self, version: &str) {
        let update = self.finds(version);
        update.download(|_| ()).wait().unwrap();
        update.apply().wait().unwrap();
    }

    /// Checks until an event is such a one.
    fn is_told<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        self.until(|| {
            let _ = self.check();
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

    fn goes_back(&self) -> (String, String, Reason, bool) {
        self.is_told(|event| match event {
            Event::RolledBack { version, restored, reason, restart, .. } => {
                Some((version.to_string(), restored.to_string(), reason, restart))
            }
            _ => None,
        })
    }
}

#[test]
fn a_rollout_a_halt_on_trial_and_a_recall_are_obeyed() {
    let w = World::new();
    let mut operator = Operator::new(&w.publisher.link, &w.network);
    let policy = json!({"schema": 1, "time": now(), "operators": [operator.listed()], "rollout": 0, "recall": true,
        "mandatory": true, "notes": {"en": "Better."}, "minimumSystem": {"linux": "5.4"}});
    let client = w.client("1.0.0");
    assert!(client.check().unwrap().is_none());
    assert!(!w.statements().exists(), "a link without rules asks nobody");

    // Signed, and nobody's yet.
    w.release(1, &policy);
    assert!(matches!(client.is_held("1.0.1"), HeldBy::Share { hundredths: 0, .. }));
    assert!(client.check().unwrap().is_none());
    operator.says("1.0.1", Some(100), None);
    let update = client.finds("1.0.1");
    assert!(update.is_mandatory());
    assert_eq!(update.notes(), Some("Better."));
    assert_eq!(update.minimum_system().is_some(), cfg!(target_os = "linux"));
    assert!(w.statements().exists());

    // What is ready goes when it is halted before it is installed.
    update.download(|_| ()).wait().unwrap();
    operator.says("1.0.1", None, Some(Halt::Halted));
    assert!(
        matches!(client.is_held("1.0.1"), HeldBy::Halt { operator: by, .. } if by == id::encode(&operator.key.public()))
    );
    assert_eq!(update.apply().wait().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(w.installed(), 0);

    // Halted on trial: taken back; lifted: there again.
    operator.says("1.0.1", None, Some(Halt::Lifted));
    client.installs("1.0.1");
    assert_eq!(w.installed(), 1);
    operator.says("1.0.1", None, Some(Halt::Halted));
    let back = ("1.0.1".to_owned(), "1.0.0".to_owned(), Reason::Recalled);
    let (version, restored, reason, restart) = client.goes_back();
    assert_eq!((version, restored, reason), back);
    assert!(!restart, "it is 1.0.0 that runs here");
    assert_eq!(w.installed(), 0);
    operator.says("1.0.1", None, Some(Halt::Lifted));
    client.installs("1.0.1");
    client.updater.close();

    // Healthy: a halt leaves it where it runs, a recall does not.
    let client = w.client("1.0.1");
    assert!(client.updater.mark_healthy().wait().unwrap());
    operator.says("1.0.1", None, Some(Halt::Halted));
    client.check().unwrap();
    client.check().unwrap();
    assert_eq!(w.installed(), 1);
    operator.says("1.0.1", None, Some(Halt::Recalled));
    let (version, restored, reason, restart) = client.goes_back();
    assert_eq!((version, restored, reason), back);
    assert!(restart, "what runs is what was taken back");
    assert_eq!(w.installed(), 0);
    client.updater.close();

    // The next release is free at once.
    w.release(2, &json!({"schema": 1, "operators": [operator.listed()]}));
    let client = w.client("1.0.0");
    client.installs("1.0.2");
    assert_eq!(w.installed(), 2);
}

#[test]
fn without_the_right_to_recall_what_is_healthy_stays() {
    let w = World::new();
    let mut operator = Operator::new(&w.publisher.link, &w.network);
    w.release(1, &json!({"schema": 1, "operators": [operator.listed()]}));
    let client = w.client("1.0.0");
    client.installs("1.0.1");
    client.updater.close();
    let client = w.client("1.0.1");
    assert!(client.updater.mark_healthy().wait().unwrap());
    operator.says("1.0.1", None, Some(Halt::Recalled));
    // What was said has come.
    let before = fs::read(w.statements()).ok();
    client.until(|| {
        client.check().unwrap();
        (fs::read(w.statements()).ok() != before).then_some(())
    });
    client.check().unwrap();
    assert_eq!(w.installed(), 1);
}

#[test]
fn a_statement_that_comes_again_or_is_withheld_changes_nothing() {
    let w = World::new();
    let mut operator = Operator::new(&w.publisher.link, &w.network);
    w.release(1, &json!({"schema": 1, "operators": [operator.listed()]}));
    operator.says("1.0.1", Some(100), None);
    operator.says("1.0.1", None, Some(Halt::Halted));
    let client = w.client("1.0.0");
    client.is_held("1.0.1");
    client.updater.close();
    // A DHT that withholds it: what is here says that it is halted.
    let other = Network::new();
    let source = UpdateSource::from_upgrade(&w.publisher.link, []).bootstrap(other.bootstrap());
    let builder = Updater::builder("Demo", "1.0.0".parse().unwrap(), source)
        .app(w.t.join("installed/Demo"))
        .data_folder(w.t.join("data"))
        .check_automatically(false)
        .download_automatically(false);
    let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
    let client = Client { events: updater.events(), updater };
    assert!(matches!(client.is_held("1.0.1"), HeldBy::Halt { .. }));
    // One that has what the operator said before.
    let mut again = Operator::new(&w.publisher.link, &other);
    again.says("1.0.1", Some(100), None);
    for _ in 0..2 {
        assert!(client.check().unwrap().is_none());
    }
    assert_eq!(w.installed(), 0);
}

#[test]
fn a_freeze_is_noticed_and_nothing_is_installed_by_it() {
    let w = World::new();
    let long_ago = now() - 10_000;
    w.release(1, &json!({"schema": 1, "time": long_ago, "freshness": 3_600}));
    let client = w.client("1.0.0");
    let stale = client.is_told(|event| if let Event::Stale(stale) = event { Some(stale) } else { None });
    assert_eq!(stale.last, Some(UNIX_EPOCH + Duration::from_secs(long_ago)));
    assert_eq!(stale.limit, Duration::from_secs(3_600));
    assert!(client.check().unwrap().is_none());
    w.release(2, &json!({"schema": 1, "time": now(), "freshness": 3_600}));
    client.installs("1.0.2");
    assert_eq!(w.installed(), 2);
}

#[test]
fn rules_that_cannot_be_read_stop_installs() {
    let w = World::new();
    let client = w.client("1.0.0");
    w.release(1, &json!({"schema": 1}));
    let ready = client.finds("1.0.1");
    ready.download(|_| ()).wait().unwrap();
    for (n, policy, kind) in [
        (2, json!({"schema": 2}), ErrorKind::Refused),
        (3, json!({"schema": 1, "rollout": "all"}), ErrorKind::Integrity),
        (4, json!({"schema": 1, "notes": {"en": "x".repeat(70_000)}}), ErrorKind::Integrity),
    ] {
        w.release_unchecked(n, &policy);
        let e = client.until(|| client.check().err().filter(|e| e.kind() == kind));
        assert!(e.next_step().is_some(), "{e:?}");
        assert_eq!(ready.apply().wait().unwrap_err().kind(), ErrorKind::Refused, "nor what came before");
    }
    assert_eq!(w.installed(), 0);
    w.release(5, &json!({"schema": 1}));
    client.installs("1.0.5");
}

#[test]
fn a_rollout_that_was_forged_counts_for_nothing() {
    let w = World::new();
    let operator = Operator::new(&w.publisher.link, &w.network);
    w.release(1, &json!({"schema": 1, "operators": [operator.listed()], "rollout": 0}));
    let client = w.client("1.0.0");
    client.is_held("1.0.1");
    // By a key that nobody named, under its own record; and by the operator, about another link.
    let mut stranger =
        Operator { key: KeyPair::from_seed(&[78; 32]), ..Operator::new(&w.publisher.link, &w.network) };
    stranger.says("1.0.1", Some(100), None);
    let mut elsewhere = Operator { link: [9; 32], ..operator };
    elsewhere.says("1.0.1", Some(100), None);
    assert!(client.check().unwrap().is_none());
    assert!(client.check().unwrap().is_none());
    assert_eq!(w.installed(), 0);
}

/// The newest is held back: the newest that is allowed between it and the installed one is taken, and never one that is not.
#[test]
fn a_release_between_is_taken_while_the_newest_is_held_back() {
    let w = World::new();
    let mut operator = Operator::new(&w.publisher.link, &w.network);
    let open = json!({"schema": 1, "time": now(), "operators": [operator.listed()]});
    w.release(1, &open);
    w.release(2, &open);
    w.release(3, &open);
    let held = json!({"schema": 1, "time": now(), "operators": [operator.listed()], "rollout": 0});
    w.release(4, &held);
    let client = w.client("1.0.0");
    // The rules of the newest are those of all: without a word of an operator the others go to nobody, either.
    assert!(matches!(client.is_held("1.0.4"), HeldBy::Share { hundredths: 0, .. }));
    assert!(client.check().unwrap().is_none());
    operator.says("1.0.2", Some(100), None);
    client.installs("1.0.2");
    assert_eq!(w.installed(), 2);
    client.updater.close();

    let client = w.client("1.0.2");
    assert!(client.updater.mark_healthy().wait().unwrap());
    // What lies below what is installed is not looked for; one that is halted is not taken.
    operator.says("1.0.1", Some(100), None);
    operator.says("1.0.3", Some(100), Some(Halt::Halted));
    assert!(matches!(client.is_held("1.0.4"), HeldBy::Share { hundredths: 0, .. }));
    client.until(|| client.check().unwrap().is_none().then_some(()));
    operator.says("1.0.3", None, Some(Halt::Lifted));
    client.installs("1.0.3");
    assert_eq!(w.installed(), 3);
    client.updater.close();

    // And forward again, when the newest goes to everybody.
    let client = w.client("1.0.3");
    assert!(client.updater.mark_healthy().wait().unwrap());
    operator.says("1.0.4", Some(100), None);
    client.installs("1.0.4");
    assert_eq!(w.installed(), 4);
}
