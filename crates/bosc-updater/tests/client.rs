//! The facade over a publisher on loopback: blocking and with plain futures.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_updater::ErrorKind;
use bosc_updater::client::{Event, Events, Updater, UpdaterOptions};
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

fn options(link: &str, t: &Path, network: &Network) -> UpdaterOptions {
    let app = Some(t.join("installed/Demo"));
    let mut o = UpdaterOptions::new(t.join("data"), app, "Demo", "1.0.0".parse().unwrap(), link);
    o.bootstrap = network.bootstrap();
    o.delay = Duration::ZERO;
    o
}

fn until_updated(events: &Events<Event>) -> (String, u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        match events.recv_timeout(Duration::from_secs(1)) {
            Some(Event::Updated { version, received, .. }) => return (version.to_string(), received),
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
    let (updater, events) = Updater::start(options(&publisher.link, t, &network)).unwrap();
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
            match events.next().await {
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
    let (_d, publisher) = installed(t, &network);
    let (first, _events) = Updater::start(options(&publisher.link, t, &network)).unwrap();
    let second = Updater::start(options(&publisher.link, t, &network)).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Busy, "{second}");
    assert!(second.next_step().is_some());
    drop(first);
    for upgrade in ["", "pear://x", "ftp://x", "file:///x"] {
        let e = Updater::start(options(upgrade, t, &network)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input, "{upgrade}: {e}");
    }
}

#[test]
fn switched_off_or_without_an_application_nothing_is_opened() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let (_d, publisher) = installed(t, &network);
    for off in [true, false] {
        let mut o = options(&publisher.link, t, &network);
        if off {
            o.updates = false;
        } else {
            o.app = None;
        }
        let (updater, events) = Updater::start(o).unwrap();
        updater.check_now();
        assert_eq!(events.recv_timeout(Duration::from_millis(500)), None);
        assert!(!t.join("data/bosc-updater/p2p").exists());
        updater.close();
    }
}
