//! Drives that are followed between whole nodes on loopback, with stores in memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bosc_drive::{BlockSource, SourceError};
use bosc_follow::offer::{Cost, Gathering, Guesses, MAX_REFUSED, Offer, Peers, Put};
use bosc_follow::{CoreSource, CutBack, DriveCores, FollowError, FollowedDrive, Stop, Topics, Update, Wait};
use bosc_format::crypto::leaf_hash;
use bosc_node::{Node, NodeConfig, Role};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn network() -> (Vec<Node>, Vec<SocketAddrV4>) {
    let (mut nodes, mut bootstrap) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let mut config = NodeConfig::peer(bootstrap.iter().take(1).copied().collect());
        config.host = Ipv4Addr::LOCALHOST;
        config.role = Role::Persistent(Ipv4Addr::LOCALHOST);
        let node = Node::start(config, None).unwrap();
        bootstrap.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, node.port()));
        nodes.push(node);
    }
    (nodes, bootstrap)
}

struct Host {
    topics: Topics,
    node: Arc<Node>,
    store: Store,
}

fn host(bootstrap: &[SocketAddrV4]) -> Host {
    let store = Store::memory(Options::default()).unwrap();
    let mut config = NodeConfig::peer(bootstrap.to_vec());
    config.host = Ipv4Addr::LOCALHOST;
    Host {
        topics: Topics::default(),
        node: Arc::new(Node::start(config, Some(store.clone())).unwrap()),
        store,
    }
}

fn blocks(seed: u32, n: u32) -> Vec<Bytes> {
    (0..n).map(|i| format!("block {i} of {seed}").repeat(1 + i as usize % 50).into()).collect()
}

/// A drive with so many blocks in both of its cores, served.
fn publisher(host: &Host, n: u32) -> FollowedDrive {
    let db = host.store.create_core(CreateOptions::new()).unwrap();
    db.append(&blocks(1, n)).unwrap();
    let cores = DriveCores::new(&host.store, db);
    cores.blobs().unwrap().unwrap().append(&blocks(2, n)).unwrap();
    FollowedDrive::join(&host.node, &host.topics, cores, true).unwrap()
}

fn follower(host: &Host, key: &[u8; 32]) -> FollowedDrive {
    let cores = DriveCores::open(&host.store, key).unwrap();
    FollowedDrive::join(&host.node, &host.topics, cores, false).unwrap()
}

#[test]
fn a_drive_is_found_fetched_vouched_for_and_followed() {
    let (_nodes, bootstrap) = network();
    let (a, b) = (host(&bootstrap), host(&bootstrap));
    let served = publisher(&a, 40);
    let drive = follower(&b, served.cores().key());
    let stop = Stop::new();
    let wait = || Wait::new(&stop).timeout(LONG);

    assert_eq!(drive.db().newest(LONG, &mut wait()).unwrap(), Update::UpToDate);
    assert_eq!(drive.db().core().length(), 40);
    drive.db().block(7, vec![8, 9], &mut wait()).unwrap();
    assert_eq!(drive.db().core().block(7).unwrap(), served.db().core().block(7).unwrap());
    assert!(drive.db().vouched(&mut wait()).unwrap().vouched, "it proved that its history is ours");
    let blobs = drive.need_blobs().unwrap();
    blobs.longer(40, &mut wait()).unwrap();
    blobs.range(3..30, &mut wait()).unwrap();
    assert_eq!(blobs.core().first_missing(3, 30).unwrap(), None);
    let at = drive.db().head_at(20, &mut wait()).unwrap();
    assert_eq!(at.tree_hash(), served.db().core().head_at(20).unwrap().tree_hash());

    // Telling of progress: at least once, and what it says ends the wait.
    let mut asked = 0;
    let mut refuse = || {
        asked += 1;
        false
    };
    // The last block does not exist, so that this cannot be over before it tells.
    let mut telling = Wait::new(&stop).timeout(LONG).tell(Duration::from_millis(1), &mut refuse);
    let refused = blobs.range(3..41, &mut telling);
    assert!(matches!(refused, Err(FollowError::Stopped)));
    assert_eq!(asked, 1);

    assert_eq!(served.copies(Some(40)).full.len(), 0);
    drive.db().whole(&mut wait()).unwrap();
    blobs.whole(&mut wait()).unwrap();
    let copied = served
        .wait(&mut wait(), |_| Ok::<_, FollowError>((served.copies(Some(40)).full.len() == 1).then_some(())));
    assert!(copied.unwrap().is_some());

    // News come by themselves, and end with what is dropped.
    let (told, news) = channel();
    let listening = drive
        .on_change(Box::new(move || {
            let _ = told.send(());
        }))
        .unwrap();
    let more = served.db().core().append(&["news".into()]).unwrap();
    while drive.db().core().length() < more.length {
        news.recv_timeout(LONG).unwrap();
    }
    drop(listening);
    // The channel ends with the callback.
    while news.recv().is_ok() {}

    // A version that nobody has is waited for as long as the caller likes, and no longer.
    let soon = Wait::new(&stop).timeout(Duration::from_millis(50)).stall(LONG);
    let late = drive.db().up_to_date(1000, &mut { soon }).unwrap();
    assert_eq!(late, Update::Nobody);
    let stalled = drive.db().longer(1000, &mut Wait::new(&stop).stall(Duration::from_millis(50)));
    assert!(matches!(stalled, Err(FollowError::TimedOut(why)) if why.peers == 1));
}

#[test]
fn a_stop_ends_every_wait_at_once() {
    let (_nodes, bootstrap) = network();
    let h = host(&bootstrap);
    let drive = Arc::new(follower(&h, &[7; 32]));
    let stop = Stop::new();
    type Call = fn(&FollowedDrive, &mut Wait<'_>) -> Result<(), FollowError>;
    let calls: [Call; 6] = [
        |d, w| d.db().newest(LONG, w).map(drop),
        |d, w| d.db().up_to_date(1, w).map(drop),
        |d, w| d.db().vouched(w).map(drop),
        |d, w| d.db().block(0, Vec::new(), w),
        |d, w| d.db().blocks(vec![1, 2], w),
        |d, w| d.idle(w, |_| Ok(None::<()>)).map(drop),
    ];
    let (done, over) = channel();
    for call in calls {
        let (drive, stop, done) = (Arc::clone(&drive), stop.clone(), done.clone());
        std::thread::spawn(move || {
            let outcome = call(&drive, &mut Wait::new(&stop));
            done.send(matches!(outcome, Err(FollowError::Stopped))).unwrap();
        });
    }
    assert!(over.recv_timeout(Duration::from_millis(200)).is_err(), "all wait");
    stop.stop();
    for _ in calls {
        assert!(over.recv_timeout(LONG).unwrap());
    }
}

#[test]
fn nobody_there_is_told_from_those_who_do_not_deliver() {
    let (_nodes, bootstrap) = network();
    let h = host(&bootstrap);
    let drive = follower(&h, &[7; 32]);
    let (stop, short) = (Stop::new(), Duration::from_millis(30));
    let e = drive.db().block(0, Vec::new(), &mut Wait::new(&stop).stall(short)).unwrap_err();
    assert!(matches!(e, FollowError::TimedOut(why) if why.peers == 0));
    assert_eq!(drive.db().newest(short, &mut Wait::new(&stop).timeout(short)).unwrap(), Update::Nobody);
    assert!(matches!(drive.need_blobs(), Err(FollowError::NotADrive)));
}

/// Claims every missing block and has the bytes of none.
struct Liar(Arc<AtomicUsize>);

impl Offer for Liar {
    fn name(&self) -> &'static str {
        "a liar"
    }

    fn cost(&self) -> Cost {
        Cost::Store
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        let missing = to.missing()?;
        assert!(to.leaves(&missing)?);
        for block in missing {
            if to.is_refused() {
                return Err(FollowError::NotADrive);
            }
            self.0.fetch_add(1, Ordering::SeqCst);
            assert_eq!(to.put(block, "a lie".into())?, Put::Refused);
        }
        Ok(())
    }
}

/// Knows blocks by their place, a few of them wrongly, and cannot read a few that it knows.
struct Build(Vec<Bytes>);

impl Offer for Build {
    fn name(&self) -> &'static str {
        "a build"
    }

    fn cost(&self) -> Cost {
        Cost::Disk
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        let mut guesses = Guesses::default();
        for (i, block) in self.0.iter().enumerate() {
            guesses.add(i as u64, i, block.len() as u64, leaf_hash(block));
        }
        to.prove(guesses, &mut |i| (*i % 40 != 3).then(|| self.0[*i].clone()))
    }
}

/// Copies by hash.
struct Other(Vec<Bytes>);

impl Offer for Other {
    fn name(&self) -> &'static str {
        "another version"
    }

    fn cost(&self) -> Cost {
        Cost::Server
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        let missing = to.missing()?;
        if !to.leaves(&missing)? {
            return Ok(());
        }
        for block in missing {
            let wanted = to.leaf(block)?;
            if let Some(bytes) = self.0.iter().find(|b| Some(leaf_hash(b)) == wanted) {
                assert_eq!(to.put(block, bytes.clone())?, Put::Taken);
            }
        }
        Ok(())
    }
}

#[test]
fn each_source_offers_and_the_tree_proves() {
    let (_nodes, bootstrap) = network();
    let (a, b) = (host(&bootstrap), host(&bootstrap));
    let served = publisher(&a, 200);
    let drive = follower(&b, served.cores().key());
    let stop = Stop::new();
    drive.db().newest(LONG, &mut Wait::new(&stop).timeout(LONG)).unwrap();
    let blobs = drive.need_blobs().unwrap();
    blobs.longer(200, &mut Wait::new(&stop).stall(LONG)).unwrap();
    let before = blobs.status().downloaded_blocks;

    let right = blocks(2, 200);
    let mut changed = right.clone();
    for i in [20, 21, 150] {
        changed[i] = "changed".into();
    }
    // Two of what the build lacks or cannot read is in another version, one of them at another place.
    let other = vec![right[150].clone(), right[20].clone()];
    let tried = Arc::new(AtomicUsize::new(0));
    let (mut liar, mut build, mut other) = (Liar(Arc::clone(&tried)), Build(changed), Other(other));
    let taken = Cell::new(0);
    let mut wait = Wait::new(&stop).stall(LONG);
    let wanted: Vec<u64> = (0..200).collect();
    let mut gathering = Gathering::new(blobs, wanted, &taken, &mut wait);
    // Given in no order: the cheapest is asked first.
    let done = gathering.from(&mut [&mut other, &mut build, &mut liar]).unwrap();
    assert!(!done);
    assert_eq!(gathering.missing().unwrap(), [3, 21, 43, 83, 123, 163], "not in any of them");
    assert_eq!(tried.load(Ordering::SeqCst), MAX_REFUSED, "a liar is left");
    assert!(gathering.from(&mut [&mut Peers]).unwrap());
    for (i, block) in right.iter().enumerate() {
        assert_eq!(blobs.core().block(i as u64).unwrap().as_ref(), Some(block), "{i}");
    }
    // The last block came with the head.
    let total: u64 = right[..199].iter().map(|b| b.len() as u64).sum();
    let fetched: u64 = [3, 21, 43, 83, 123, 163].iter().map(|i| right[*i].len() as u64).sum();
    assert_eq!(taken.get(), total - fetched);
    let came = blobs.status().downloaded_blocks - before;
    assert!(came <= 7, "what was offered was not fetched: {came}");
}

#[test]
fn a_source_that_works_for_long_can_be_stopped() {
    struct Slow(Stop);
    impl Offer for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn cost(&self) -> Cost {
            Cost::Disk
        }

        fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
            self.0.stop();
            loop {
                to.go_on()?;
            }
        }
    }
    let (_nodes, bootstrap) = network();
    let h = host(&bootstrap);
    let served = publisher(&h, 3);
    let stop = Stop::new();
    let (taken, mut wait) = (Cell::new(0), Wait::new(&stop));
    let mut gathering = Gathering::new(served.db(), vec![5], &taken, &mut wait);
    let start = Instant::now();
    let outcome = gathering.from(&mut [&mut Slow(stop.clone()), &mut Peers]);
    assert!(matches!(outcome, Err(FollowError::Stopped)));
    assert!(start.elapsed() < LONG);
}

#[test]
fn contents_are_of_the_history_that_the_entries_are_of() {
    let (_nodes, bootstrap) = network();
    let (a, b) = (host(&bootstrap), host(&bootstrap));
    let served = publisher(&a, 20);
    let (key, pair) = (*served.cores().key(), served.db().core().key_pair().unwrap());
    let drive = follower(&b, &key);
    let stop = Stop::new();
    let wait = || Wait::new(&stop).timeout(LONG);
    drive.db().longer(20, &mut wait()).unwrap();
    let blobs = drive.need_blobs().unwrap();
    blobs.longer(20, &mut wait()).unwrap();
    blobs.range(0..20, &mut wait()).unwrap();
    let before = CoreSource::new(drive.db().core());
    let contents = before.contents(blobs.core());
    let old = contents.block(7).unwrap();

    // Cut back, and the blobs are not there yet: the window between the two cores, for as long as it takes.
    drop((served, a));
    let c = host(&bootstrap);
    let db = c.store.create_core(CreateOptions::with_key_pair(pair)).unwrap();
    db.append(&blocks(1, 20)).unwrap();
    db.truncate(3, 1).unwrap();
    db.append(&blocks(3, 9)).unwrap();
    let db_only = (c.node.attach(&db), c.topics.join(&c.node, *db.discovery_key(), true));
    let moved =
        drive.db().wait(&mut wait(), |s, _| Ok::<_, FollowError>((s.fork == 1).then_some(()))).unwrap();
    assert!(moved.is_some());
    drive.db().range(0..12, &mut wait()).unwrap();
    assert_eq!(blobs.core().head().fork, 0);
    assert_eq!(blobs.core().block(7).unwrap(), Some(old), "proved bytes of the other history are here");
    let now = blobs.source();
    assert!(!now.has(7) && matches!(now.block(7), Err(SourceError::Missing(7))));
    assert!(matches!(now.blocks(&[7, 8]), Err(SourceError::Missing(7))));
    let short = || Wait::new(&stop).stall(Duration::from_millis(100));
    assert!(matches!(blobs.block(7, Vec::new(), &mut short()), Err(FollowError::TimedOut(_))));
    assert!(matches!(blobs.blocks(vec![7], &mut short()), Err(FollowError::TimedOut(_))));
    assert!(matches!(blobs.range(7..8, &mut short()), Err(FollowError::TimedOut(_))));
    assert!(matches!(blobs.longer(7, &mut short()), Err(FollowError::TimedOut(_))));
    for stale in [&before, &contents] {
        let Err(SourceError::Failed(e)) = stale.block(7) else {
            panic!("what was learned before the cut counts on")
        };
        assert!(e.is::<CutBack>(), "{e}");
    }

    // They come: the same source reads them.
    let cores = DriveCores::new(&c.store, db);
    let written = cores.blobs().unwrap().unwrap();
    written.append(&blocks(2, 20)).unwrap();
    written.truncate(3, 1).unwrap();
    written.append(&blocks(4, 9)).unwrap();
    let served = FollowedDrive::join(&c.node, &c.topics, cores.clone(), true).unwrap();
    blobs.block(7, Vec::new(), &mut wait()).unwrap();
    assert_eq!(blobs.core().head().fork, 1);
    assert_eq!(now.block(7).unwrap(), written.block(7).unwrap().unwrap());
    drop(db_only);

    // A writer cut the db alone: who has it says that these are its contents, and that is remembered.
    cores.db.truncate(3, 2).unwrap();
    cores.db.append(&blocks(5, 2)).unwrap();
    let moved =
        drive.db().wait(&mut wait(), |s, _| Ok::<_, FollowError>((s.fork == 2).then_some(()))).unwrap();
    assert!(moved.is_some());
    assert!(!blobs.source().has(7));
    blobs.block(7, Vec::new(), &mut wait()).unwrap();
    drop(served);
    let again = CoreSource::new(drive.db().core()).contents(blobs.core());
    assert_eq!(again.block(7).unwrap(), written.block(7).unwrap().unwrap());
}
