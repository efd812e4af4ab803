//! The facade over a publisher on loopback: blocking and with plain futures.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_updater::install::{Installer, Options, Status, contents_of};
use bosc_updater::release::{Release, ReleaseId, Staged};
use bosc_updater::{ErrorKind, Event, Events, Started, UpdateSource, Updater, UpdaterBuilder};
use p2p_support::{Deployment, Network, Publisher, copy, noise};
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let start = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "nothing woke it");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

fn options_from(source: UpdateSource, t: &Path) -> UpdaterBuilder {
    Updater::builder("Demo", "1.0.0".parse().unwrap(), source)
        .app(t.join("installed/Demo"))
        .data_folder(t.join("data"))
        .delay(Duration::ZERO)
}

fn options(link: &str, t: &Path, network: &Network) -> UpdaterBuilder {
    options_from(UpdateSource::from_upgrade(link, []).bootstrap(network.bootstrap()), t)
}

fn start(builder: UpdaterBuilder) -> (Updater, Events) {
    let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
    let events = updater.events();
    (updater, events)
}

fn until_updated(events: &Events) -> (String, u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        match events.recv_timeout(Duration::from_secs(1)) {
            Some(Event::Updated(u)) => return (u.version().to_string(), u.received()),
            Some(Event::Error(e)) => panic!("{e:?}"),
            _ => {}
        }
    }
    panic!("no update came");
}

fn installed(t: &Path, network: &Network) -> (Deployment, Publisher) {
    let d = Deployment::new(t.join("deploy"), "1.0.0");
    d.put("", &noise(1, 400_000), true);
    fs::create_dir_all(t.join("installed")).unwrap();
    copy(&d.app(""), &t.join("installed/Demo"));
    let mut publisher = Publisher::new(&t.join("author"), network);
    publisher.stage(&d.dir);
    publisher.seed();
    (d, publisher)
}

#[test]
fn two_updates_in_one_run_are_told_of_and_the_last_one_is_applied() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let (d, publisher) = installed(t, &network);
    let (updater, events) = start(options(&publisher.link, t, &network));
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Refused, "nothing is there yet");
    assert!(!updater.mark_healthy().wait().unwrap(), "nothing is on trial");
    for (version, seed) in [("1.0.1", 2), ("1.0.2", 3)] {
        d.put("", &noise(seed, 400_000), true);
        d.version(version);
        publisher.stage(&d.dir);
        assert_eq!(until_updated(&events).0, version);
    }
    let applied = block_on(updater.apply_update()).unwrap();
    assert_eq!(applied.version.to_string(), "1.0.2");
    assert_eq!(fs::read(t.join("installed/Demo")).unwrap(), noise(3, 400_000));
    let told = block_on(async {
        loop {
            match events.recv_async().await {
                Some(Event::Applied { version, .. }) => return version,
                Some(_) => {}
                None => panic!("it ended"),
            }
        }
    });
    assert_eq!(told.to_string(), "1.0.2");
    updater.close();
    while events.recv().is_some() {}
}

#[test]
fn a_second_instance_is_told_that_it_is_one_and_wrong_options_are_named() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let (d, publisher) = installed(t, &network);
    let (first, _events) = start(options(&publisher.link, t, &network));
    // It runs all the same, is told why it does not look for updates, and takes over when the first one has ended.
    let until_busy = |events: &Events| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            match events.recv_timeout(Duration::from_secs(1)) {
                Some(Event::SecondInstance(e)) => return e,
                other => assert!(other.is_none(), "{other:?}"),
            }
        }
        panic!("it was told nothing");
    };
    std::thread::sleep(Duration::from_millis(200));
    let (second, events) = start(options(&publisher.link, t, &network));
    let told = until_busy(&events);
    assert_eq!(told.kind(), ErrorKind::Busy, "{told:?}");
    assert!(told.next_step().is_some());
    assert!(!second.mark_healthy().wait().unwrap());
    drop(first);
    d.put("", &noise(9, 400_000), true);
    d.version("1.0.9");
    publisher.stage(&d.dir);
    second.check_now();
    assert_eq!(until_updated(&events).0, "1.0.9");
    drop(second);
    for upgrade in ["", "pear://x", "ftp://x", "file:///x"] {
        let e = options(upgrade, t, &network).validate().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input, "{upgrade}: {e}");
    }
}

/// Version 1.0.0 on trial, over an older one.
fn on_trial(t: &Path) -> Installer {
    fs::create_dir_all(t.join("installed")).unwrap();
    fs::write(t.join("installed/Demo"), "old").unwrap();
    let target = t.join("installed/Demo");
    let installer = Installer::open(Options::new(&target, "0.9.0".parse().unwrap())).unwrap();
    let path = installer.staging().unwrap().join("new");
    fs::write(&path, "new").unwrap();
    let release = Release {
        version: "1.0.0".parse().unwrap(),
        id: ReleaseId([1; 32]),
        origin: String::new(),
        notes: None,
        size: None,
    };
    let contents = contents_of(&path).unwrap();
    installer.install(&Staged { release, path, contents }, std::time::SystemTime::now()).unwrap();
    installer
}

/// Whatever is wrong with the source: the application runs, says that it is healthy, and is not rolled back for it.
#[test]
fn a_broken_source_keeps_no_application_from_being_healthy() {
    type Break = fn(&Path, UpdateSource) -> UpdateSource;
    let broken: [(&str, Break); 4] = [
        ("a file in the place of the data folder", |t, source| {
            fs::write(t.join("data"), "x").unwrap();
            source
        }),
        ("a damaged store", |t, source| {
            fs::create_dir_all(t.join("data/bosc-updater/p2p")).unwrap();
            fs::write(t.join("data/bosc-updater/p2p/bosc.redb"), vec![b'?'; 9000]).unwrap();
            fs::write(t.join("data/bosc-updater/p2p/FORMAT"), "bosc-store 1\n").unwrap();
            source
        }),
        ("a store of a newer format", |t, source| {
            fs::create_dir_all(t.join("data/bosc-updater/p2p")).unwrap();
            fs::write(t.join("data/bosc-updater/p2p/FORMAT"), "bosc-store 99\n").unwrap();
            source
        }),
        ("a name that does not resolve", |_, source| source.bootstrap(["no.such.name.invalid:1".into()])),
    ];
    for (what, damage) in broken {
        let temp = tempfile::tempdir().unwrap();
        let t = temp.path();
        let network = Network::new();
        let installer = on_trial(t);
        let link = "pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo";
        let source = damage(t, UpdateSource::pear(link).bootstrap(network.bootstrap()));
        let (updater, _events) = start(options_from(source, t));
        assert!(updater.mark_healthy().wait().unwrap(), "{what}");
        updater.close();
        assert!(matches!(installer.status().unwrap(), Status::Settled { previous: Some(_) }), "{what}");
    }
}

#[test]
fn a_damaged_cache_is_put_aside_and_fetched_again() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let (d, publisher) = installed(t, &network);
    d.put("", &noise(2, 400_000), true);
    d.version("1.0.1");
    publisher.stage(&d.dir);
    let (updater, events) = start(options(&publisher.link, t, &network));
    assert_eq!(until_updated(&events).0, "1.0.1");
    updater.close();
    let store = t.join("data/bosc-updater/p2p");
    let mut bytes = fs::read(store.join("bosc.redb")).unwrap();
    bytes.iter_mut().take(4096).for_each(|b| *b ^= 0x55);
    fs::write(store.join("bosc.redb"), bytes).unwrap();
    let (updater, events) = start(options(&publisher.link, t, &network));
    assert_eq!(until_updated(&events).0, "1.0.1");
    updater.apply_update().wait().unwrap();
    updater.close();
    assert!(!t.join("data/bosc-updater/p2p.damaged").exists(), "it goes when it is not needed any more");
}

#[test]
fn switched_off_or_without_an_application_nothing_is_opened() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let (_d, publisher) = installed(t, &network);
    for off in [true, false] {
        let mut o = options(&publisher.link, t, &network);
        o = if off { o.updates(false) } else { o.no_app() };
        let (updater, events) = start(o);
        updater.check_now();
        let told = events.recv_timeout(Duration::from_millis(500));
        // This program lies in a build folder.
        let fine = if off { told.is_none() } else { matches!(told, Some(Event::NotInstalled { .. })) };
        assert!(fine, "{told:?}");
        assert!(!t.join("data/bosc-updater/p2p").exists());
        updater.close();
    }
}

#[test]
fn a_damaged_journal_is_told_once_also_during_a_trial() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let installer = on_trial(t);
    let folder = installer.folder();
    let link = "pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo";
    let run = || start(options_from(UpdateSource::pear(link).bootstrap(["127.0.0.1:9".into()]), t));
    let told = |events: &Events| {
        let mut asides = Vec::new();
        while let Some(event) = events.recv_timeout(Duration::from_millis(300)) {
            if let Event::JournalDamaged { aside, .. } = event {
                asides.push(aside);
            }
        }
        asides
    };
    assert_eq!(installer.damaged_journal().unwrap(), None);
    let damage = || fs::write(folder.join("journal.json"), "{").unwrap();
    // Found at the start.
    damage();
    assert_eq!(
        installer.damaged_journal().unwrap(),
        Some(folder.join("journal.json")),
        "it was only looked at"
    );
    let (updater, events) = run();
    assert_eq!(told(&events), [folder.join("journal.damaged")]);
    assert!(!updater.mark_healthy().wait().unwrap(), "the trial is forgotten");
    // While it runs.
    damage();
    assert!(!updater.mark_healthy().wait().unwrap());
    assert_eq!(told(&events), [folder.join("journal.damaged")]);
    updater.close();
    let (updater, events) = run();
    assert_eq!(told(&events).len(), 0, "it was told");
    updater.close();
    assert_eq!(installer.damaged_journal().unwrap(), Some(folder.join("journal.damaged")));
    assert_eq!(
        fs::read_to_string(t.join("installed/Demo")).unwrap(),
        "new",
        "the application stays as it is"
    );
}
