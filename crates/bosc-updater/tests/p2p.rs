//! A P2P source against a publisher on loopback.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_updater::p2p::{P2pOptions, P2pSource};
use bosc_updater::release::{EntryKind, Release};
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, Progress, UpdateError};
use p2p_support::{Deployment, Network, Publisher, copy, noise, snapshot};
use semver::Version;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn v(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn options(link: &str, dir: &Path, network: &Network) -> P2pOptions {
    let mut o = P2pOptions::new(link, dir, "Demo");
    o.bootstrap = network.bootstrap();
    o.patience = Duration::from_secs(30);
    o
}

/// Checks until there is something, as a client does when it is told of news.
fn found(source: &mut P2pSource, installed: &str) -> Release {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        match source.check(&v(installed)) {
            Ok(Some(release)) => return release,
            Ok(None) => {}
            Err(e) if e.kind() == ErrorKind::Network => {}
            Err(e) => panic!("{e}: {:?}", std::error::Error::source(&e)),
        }
        assert!(Instant::now() < deadline, "no release was found");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder application of about 12 MB.
fn folder_app(d: &Deployment) {
    d.put("bin/demo", &noise(1, 8_000_000), true);
    for i in 0..300 {
        d.put(
            &format!("share/{}/res-{i}.dat", i % 7),
            &noise(100 + i, 500 + (i as usize * 37) % 30_000),
            false,
        );
    }
    d.put("share/empty", b"", false);
    d.put("README", b"one\n", false);
    #[cfg(unix)]
    std::os::unix::fs::symlink("demo", d.app("bin/start")).unwrap();
}

#[test]
fn the_first_update_after_an_install_fetches_what_changed() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.0");
    folder_app(&d);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    let installed = t.join("installed/Demo");
    copy(&d.app(""), &installed);

    // A few bytes in the middle of the program, one text, one file renamed, one gone.
    let mut program = noise(1, 8_000_000);
    program.splice(4_000_000..4_000_000, noise(77, 100));
    d.put("bin/demo", &program, true);
    d.put("README", b"two\n", false);
    fs::rename(d.app("share/1/res-50.dat"), d.app("share/renamed.dat")).unwrap();
    fs::remove_file(d.app("share/2/res-51.dat")).unwrap();
    d.version("1.0.1");
    let verlink = publisher.stage(&d.dir);
    publisher.seed();

    let mut o = options(&publisher.link, &t.join("data"), &network);
    o.builds = vec![installed];
    o.version = Some(v("1.0.0"));
    let mut source = P2pSource::open(o).unwrap();
    let release = found(&mut source, "1.0.0");
    assert_eq!(release.version, v("1.0.1"));
    assert_eq!(release.origin, verlink);
    let mut last = Progress::default();
    let staging = t.join("staging");
    let staged = source
        .fetch(&release, &staging, &mut |p| {
            assert!(p.bytes >= last.bytes, "{p:?} after {last:?}");
            last = p;
            true
        })
        .unwrap();
    assert_eq!(snapshot(&staged.path), snapshot(&d.app("")));
    assert_eq!(last.bytes, last.total.unwrap());
    assert_eq!(staged.release.size, last.total);
    // The program's chunks are up to 8 MiB; the changed one and the entries travel, nothing else.
    assert!(last.received < 6_000_000, "{last:?}");
    check_contents(&staged);
    // Everything is here now: the same release again costs nothing but reading.
    let before = source.traffic().0;
    source.fetch(&release, &staging, &mut |_| true).unwrap();
    assert!(source.traffic().0 - before < 100_000);
}

/// Overwrites what the store in `dir` holds, up to so many bytes of each segment, as a failing disk would.
fn rot(dir: &Path, most: u64) {
    for segment in fs::read_dir(dir.join("data")).unwrap() {
        let mut file = fs::OpenOptions::new().write(true).open(segment.unwrap().path()).unwrap();
        let size = file.metadata().unwrap().len().min(most);
        std::io::Write::write_all(&mut file, &noise(99, usize::try_from(size).unwrap())).unwrap();
    }
}

/// Whatever rots in the updater's own store is fetched again while the release is brought here; nobody who published it is blamed.
#[test]
fn what_rots_in_the_updaters_store_is_fetched_again_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.1");
    folder_app(&d);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let (data, staging) = (t.join("data"), t.join("staging"));
    let mut o = options(&publisher.link, &data, &network);
    let mut source = P2pSource::open(o.clone()).unwrap();
    let release = found(&mut source, "1.0.0");
    source.fetch(&release, &staging, &mut |_| true).unwrap();
    source.settle();

    // While it runs, and before it starts.
    rot(&data, 100_000);
    let staged = source.fetch(&release, &staging, &mut |_| true).unwrap();
    assert_eq!(snapshot(&staged.path), snapshot(&d.app("")));
    drop(source);
    rot(&data, u64::MAX);
    o.patience = Duration::from_secs(5);
    let mut source = P2pSource::open(o).unwrap();
    let release = found(&mut source, "1.0.0");
    let staged = source.fetch(&release, &staging, &mut |_| true).unwrap();
    assert_eq!(snapshot(&staged.path), snapshot(&d.app("")));

    // Nobody is there to bring it: that passes.
    publisher.away();
    rot(&data, u64::MAX);
    let e = source.fetch(&release, &staging, &mut |_| true).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "{e}");
    assert!(e.to_string().contains("is damaged"), "{e}");
}

fn check_contents(staged: &bosc_updater::release::Staged) {
    let entries = &staged.contents.entries;
    assert_eq!(entries.first().unwrap().path, "");
    assert!(entries.is_sorted_by(|a, b| a.path < b.path));
    let on_disk = snapshot(&staged.path);
    assert_eq!(entries.len(), on_disk.len());
    for entry in entries {
        let path =
            entry.path.split('/').filter(|p| !p.is_empty()).fold(staged.path.clone(), |p, n| p.join(n));
        let meta = fs::symlink_metadata(&path).unwrap();
        match &entry.kind {
            EntryKind::Directory => assert!(meta.is_dir()),
            EntryKind::File { size, .. } => assert_eq!(*size, meta.len()),
            EntryKind::Symlink { target } => {
                assert_eq!(fs::read_link(&path).unwrap().to_str().unwrap(), target)
            }
        }
    }
}

#[test]
fn only_strictly_newer_versions_for_this_platform_are_offered() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.2.0");
    d.put("", &noise(3, 200_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let mut source = P2pSource::open(options(&publisher.link, &t.join("data"), &network)).unwrap();
    assert_eq!(found(&mut source, "1.2.0-rc.1").version, v("1.2.0"));
    for installed in ["1.2.0", "1.2.0+build.5", "1.2.1", "2.0.0-alpha"] {
        assert_eq!(source.check(&v(installed)).unwrap(), None, "{installed}");
    }
    drop(source);
    let mut other = options(&publisher.link, &t.join("data"), &network);
    other.platform = "plan9-mips".into();
    let mut source = P2pSource::open(other).unwrap();
    let error = loop {
        match source.check(&v("1.0.0")) {
            Err(e) if e.kind() == ErrorKind::Network => {}
            Err(e) => break e,
            Ok(r) => panic!("{r:?}"),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
}

#[test]
fn a_cancelled_fetch_goes_on_where_it_was_and_one_file_is_a_build() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.0");
    d.put("", &noise(9, 40_000_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let staging = t.join("staging");
    let so_far = {
        let mut source = P2pSource::open(options(&publisher.link, &t.join("data"), &network)).unwrap();
        let release = found(&mut source, "0.9.0");
        let mut seen = 0;
        let stopped = source.fetch(&release, &staging, &mut |p| {
            seen = p.bytes;
            p.bytes < 4_000_000
        });
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
        seen
    };
    let mut source = P2pSource::open(options(&publisher.link, &t.join("data"), &network)).unwrap();
    let release = found(&mut source, "0.9.0");
    let mut first = None;
    let mut received = 0;
    let staged = source
        .fetch(&release, &staging, &mut |p| {
            if p.total.is_some() {
                first.get_or_insert(p.bytes);
            }
            received = p.received;
            true
        })
        .unwrap();
    assert!(first.unwrap() >= so_far / 2, "started at {first:?} of {so_far}");
    assert!(received < 44_000_000 - so_far / 2, "{received} again after {so_far}");
    assert_eq!(fs::read(&staged.path).unwrap(), noise(9, 40_000_000));
    assert_eq!(staged.contents.entries.len(), 1);
    assert_eq!(staged.contents.entries[0].path, "");
}

#[test]
fn it_starts_offline_and_finds_the_release_when_a_peer_appears() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.1");
    d.put("", &noise(5, 300_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    let mut o = options(&publisher.link, &t.join("data"), &network);
    o.patience = Duration::from_millis(300);
    let mut source = P2pSource::open(o).unwrap();
    let (tx, rx) = std::sync::mpsc::channel();
    assert!(source.on_news(Box::new(move || tx.send(()).unwrap())));
    assert_eq!(source.check(&v("1.0.0")).unwrap_err().kind(), ErrorKind::Network);
    publisher.seed();
    let deadline = Instant::now() + Duration::from_secs(40);
    let release = loop {
        match source.check(&v("1.0.0")) {
            Ok(Some(release)) => break release,
            Err(e) if e.kind() != ErrorKind::Network => panic!("{e}"),
            _ => assert!(Instant::now() < deadline),
        }
        let _ = rx.recv_timeout(Duration::from_millis(100));
    };
    let news = source.fetch(&release, &t.join("staging"), &mut |_| true).unwrap();
    assert_eq!(fs::read(news.path).unwrap(), noise(5, 300_000));
}

#[test]
fn no_room_is_told_before_anything_large_is_fetched() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.1");
    d.put("", &noise(5, 20_000_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let mut o = options(&publisher.link, &t.join("data"), &network);
    o.room = Some(std::sync::Arc::new(|_, bytes| {
        if bytes < 10_000_000 { Ok(()) } else { Err(UpdateError::new(ErrorKind::NoSpace, "full")) }
    }));
    let mut source = P2pSource::open(o).unwrap();
    let release = found(&mut source, "1.0.0");
    let error = source.fetch(&release, &t.join("staging"), &mut |_| true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert!(source.traffic().0 < 5_000_000);
}

#[test]
fn an_older_history_than_the_link_names_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.1");
    d.put("", &noise(5, 100_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let link = publisher.link.replace("pear://", "pear://0.500.");
    let mut o = options(&link, &t.join("data"), &network);
    o.patience = Duration::from_millis(500);
    let mut source = P2pSource::open(o).unwrap();
    let deadline = Instant::now() + Duration::from_secs(40);
    let error = loop {
        let error = source.check(&v("1.0.0")).unwrap_err();
        if error.kind() != ErrorKind::Network {
            break error;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn the_installed_build_is_prefetched_from_the_disk() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.0");
    folder_app(&d);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let installed = t.join("installed/Demo");
    copy(&d.app(""), &installed);
    let mut o = options(&publisher.link, &t.join("data"), &network);
    o.builds = vec![installed];
    let mut source = P2pSource::open(o).unwrap();
    let deadline = Instant::now() + Duration::from_secs(40);
    while !matches!(source.check(&v("1.0.0")), Ok(None)) {
        assert!(Instant::now() < deadline);
    }
    let before = source.traffic().0;
    source.prefetch(&v("1.0.0"), &mut |_| true).unwrap();
    let used = source.traffic().0 - before;
    assert!(used < 400_000, "{used} bytes for a build that is here");
    publisher.away();
}

/// Run once as root, the store of a user is still theirs, and so is what was fetched.
#[cfg(unix)]
#[test]
fn what_root_fetches_for_a_user_is_the_users() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    const ALICE: u32 = 54_001;
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: this needs root, to become a second user");
        return;
    }
    fn each(path: &Path, see: &mut dyn FnMut(&Path)) {
        see(path);
        if fs::symlink_metadata(path).unwrap().is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| each(&entry.unwrap().path(), see));
        }
    }
    let (temp, network) = (tempfile::tempdir().unwrap(), Network::new());
    let d = Deployment::new(temp.path().join("d"), "1.0.1");
    d.put("bin/demo", &noise(1, 200_000), true);
    d.put("share/notes", b"notes", false);
    let mut publisher = Publisher::new(&temp.path().join("publisher"), &network);
    let link = publisher.stage(&d.dir);
    publisher.seed();
    let alice = temp.path().join("alice");
    fs::create_dir(&alice).unwrap();
    fs::create_dir(alice.join("staging")).unwrap();
    fs::set_permissions(&alice, fs::Permissions::from_mode(0o700)).unwrap();
    for path in [alice.clone(), alice.join("staging")] {
        chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    }
    let mut source = P2pSource::open(options(&link, &alice.join("bosc-updater/p2p"), &network)).unwrap();
    let release = found(&mut source, "1.0.0");
    source.fetch(&release, &alice.join("staging"), &mut |_| true).unwrap();
    source.settle();
    let mut seen = String::new();
    each(&alice, &mut |path| {
        let found = fs::symlink_metadata(path).unwrap();
        assert_eq!((found.uid(), found.gid()), (ALICE, ALICE), "{}", path.display());
        seen.push_str(&format!("{}\n", path.display()));
    });
    for name in ["p2p.opening", "p2p/LOCK", "p2p/bosc.redb", "p2p/data/", "bin/demo", "share/notes"] {
        assert!(seen.contains(name), "{name}: {seen}");
    }
}

#[test]
fn a_source_that_rests_uses_no_network_and_finds_the_release_afterwards() {
    let temp = tempfile::tempdir().unwrap();
    let t = temp.path();
    let network = Network::new();
    let d = Deployment::new(t.join("deploy"), "1.0.1");
    d.put("", &noise(5, 300_000), true);
    let mut publisher = Publisher::new(&t.join("author"), &network);
    publisher.stage(&d.dir);
    publisher.seed();
    let mut source = P2pSource::open(options(&publisher.link, &t.join("data"), &network)).unwrap();
    source.rest(true);
    let traffic = source.traffic();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(source.traffic(), traffic, "it rests");
    source.rest(false);
    assert_eq!(found(&mut source, "1.0.0").version, v("1.0.1"));
}
