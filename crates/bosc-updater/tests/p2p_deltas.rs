//! Updates by deltas: a patch from peers and a file of this disk become the new file, proved block by block.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_drive::blobs::BlobId;
use bosc_drive::deltas::{self, AboutDelta};
use bosc_drive::drive::{Drive, DriveBatch, EntryValue};
use bosc_follow::{CoreSource, DriveCores};
use bosc_format::link::PearLink;
use bosc_release::dump::{Dump, DumpEvent};
use bosc_release::event::{CostBasis, Event, LinkEvent, UpdateCost};
use bosc_release::info::Info;
use bosc_release::request::Request;
use bosc_release::stage::Stage;
use bosc_store::Core;
use bosc_updater::p2p::{P2pOptions, P2pSource};
use bosc_updater::release::Release;
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, Progress};
use p2p_support::{Deployment, Network, Publisher, copy, noise, snapshot};
use semver::Version;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SIZE: usize = 6_000_000;

fn v(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// A program of that release: each differs from the one before in a few bytes of every block.
fn program(release: u64) -> Vec<u8> {
    let mut bytes = noise(1, SIZE);
    for n in 0..release {
        for (i, at) in (1000 * n as usize..SIZE).step_by(150_000).enumerate() {
            bytes[at..at + 16].copy_from_slice(&noise(1000 * n + i as u64 + 2, 16));
        }
    }
    bytes
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

struct Site {
    temp: tempfile::TempDir,
    network: Network,
    deployment: Deployment,
    publisher: Publisher,
}

impl Site {
    /// A publisher of releases up to this one.
    fn new(releases: u64) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let network = Network::new();
        let deployment = Deployment::new(temp.path().join("deploy"), "1.0.0");
        let publisher = Publisher::new(&temp.path().join("author"), &network);
        let site = Self { temp, network, deployment, publisher };
        (0..=releases).for_each(|n| site.release(n));
        site
    }

    fn release(&self, n: u64) {
        self.deployment.put("bin/demo", &program(n), true);
        self.deployment.put("README", format!("{n}\n").as_bytes(), false);
        self.deployment.version(&format!("1.0.{n}"));
        self.publisher.stage(&self.deployment.dir);
    }

    /// An installation of that release.
    fn installed(&self, n: u64) -> PathBuf {
        let path = self.path(&format!("installed-{n}/Demo"));
        copy(&self.deployment.app(""), &path);
        fs::write(path.join("bin/demo"), program(n)).unwrap();
        fs::write(path.join("README"), format!("{n}\n")).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Updates from a build, and says how many bytes came.
    fn update(&self, build: &Path, data: &str) -> u64 {
        self.update_with(vec![build.to_owned()], data)
    }

    /// What the drive has below `/by-delta`, by key.
    fn deltas(&self) -> Vec<(String, Option<u64>)> {
        let (db, _) = self.cores();
        let drive = Drive::checkout(CoreSource::new(&db), db.length());
        let entries = drive.list(deltas::FOLDER).unwrap().map(Result::unwrap);
        entries.map(|e| (e.key, AboutDelta::of_metadata(&e.value.metadata).size)).collect()
    }

    fn cores(&self) -> (Core, Core) {
        let key = PearLink::parse(&self.publisher.link).unwrap().key;
        let cores = DriveCores::open(self.publisher.store(), &key).unwrap();
        let blobs = cores.blobs().unwrap().unwrap();
        (cores.db, blobs)
    }

    /// Puts other bytes in the place of a patch, with the size that is said of it.
    fn lie(&self, key: &str, bytes: &[u8], said: u64) {
        let (db, blobs) = self.cores();
        let head = blobs.head();
        let blocks: Vec<bytes::Bytes> = bytes.chunks(65_536).map(bytes::Bytes::copy_from_slice).collect();
        let blob = BlobId {
            block_offset: head.length,
            byte_offset: head.byte_length,
            block_length: blocks.len() as u64,
            byte_length: bytes.len() as u64,
            block_map: false,
        };
        blobs.append(&blocks).unwrap();
        let metadata = AboutDelta { size: Some(said), ..AboutDelta::default() }.to_metadata();
        let mut batch = DriveBatch::new(CoreSource::new(&db));
        batch.put(key, &EntryValue { metadata, ..EntryValue::file(blob, false) }).unwrap();
        let blocks: Vec<bytes::Bytes> = batch.into_blocks().into_iter().map(bytes::Bytes::from).collect();
        db.append(&blocks).unwrap();
    }

    /// Updates from builds, or installs without one, and says how many bytes came.
    fn update_with(&self, builds: Vec<PathBuf>, data: &str) -> u64 {
        let mut options = P2pOptions::new(&self.publisher.link, self.path(data), "Demo");
        options.bootstrap = self.network.bootstrap();
        options.patience = Duration::from_secs(30);
        options.builds = builds;
        options.version = Some(v("1.0.0"));
        let mut source = P2pSource::open(options).unwrap();
        let release = found(&mut source, "1.0.0");
        let mut last = Progress::default();
        let staged = source
            .fetch(&release, &self.path(&format!("staging-{data}")), &mut |p| {
                assert!(p.bytes >= last.bytes, "{p:?} after {last:?}");
                last = p;
                true
            })
            .unwrap();
        assert_eq!(snapshot(&staged.path), snapshot(&self.deployment.app("")));
        assert_eq!(last.bytes, last.total.unwrap());
        last.received
    }
}

#[test]
fn from_each_of_the_last_three_releases_an_update_costs_its_delta() {
    let mut site = Site::new(4);
    site.publisher.seed();
    let from_last = site.update(&site.installed(3), "a");
    let from_older = site.update(&site.installed(1), "b");
    assert!(from_last < 60_000 && from_older < 60_000, "{from_last} {from_older}");
    // Without a delta from it to the newest, two one after the other do.
    let from_first = site.update(&site.installed(0), "c");
    assert!(from_first < 80_000, "{from_first}");
}

#[test]
fn from_older_releases_up_to_three_deltas_lead_to_the_newest() {
    let mut site = Site::new(7);
    // From three releases a delta, from those before them what leads to one of these.
    let keys = site.deltas();
    let hops = keys.iter().filter(|(key, _)| deltas::parse_hop(key).is_some()).count();
    assert_eq!((keys.len(), hops), (7, 4), "{keys:?}");
    site.publisher.seed();
    for (release, most) in [(0, 130_000), (1, 100_000), (3, 100_000)] {
        let received = site.update(&site.installed(release), &format!("from-{release}"));
        assert!(received < most, "from {release}: {received}");
    }
    let left = fs::read_dir(site.path("from-0")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.starts_with("between-")), "{left:?}");
}

#[test]
fn a_hop_that_leads_elsewhere_costs_less_than_the_blocks_and_the_update_comes() {
    let mut site = Site::new(4);
    let hop = site.deltas().into_iter().map(|d| d.0).find(|key| deltas::parse_hop(key).is_some()).unwrap();
    // A patch that makes what is not what the hop says, and more of it than there may be.
    let patch = bosc_delta::make(&program(0), &vec![0; 3 * SIZE], &bosc_delta::MakeOptions::default());
    let patch = patch.unwrap();
    site.lie(&hop, &patch, patch.len() as u64);
    site.publisher.seed();
    let received = site.update(&site.installed(0), "a");
    assert!(received > SIZE as u64 && received < SIZE as u64 + 400_000, "{received}");
}

/// A program as compilers make them: it packs.
fn prose(seed: u64) -> Vec<u8> {
    let words: Vec<[u8; 8]> =
        noise(seed, 8 * 2048).chunks(8).map(|w| std::array::from_fn(|i| w[i] % 24 + b'a')).collect();
    noise(seed + 1, SIZE / 4)
        .chunks(2)
        .flat_map(|n| words[usize::from(n[0]) * 8 + usize::from(n[1]) % 8])
        .collect()
}

#[test]
fn a_first_install_takes_the_packed_copy() {
    let mut site = Site::new(0);
    for n in 1..3 {
        site.deployment.put("bin/demo", &prose(n), true);
        site.deployment.version(&format!("1.0.{n}"));
        site.publisher.stage(&site.deployment.dir);
    }
    let keys = site.deltas();
    let [(key, Some(packed))] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!(deltas::parse(key).unwrap().1, deltas::NOTHING);
    assert!(*packed < SIZE as u64 / 2, "{packed}");
    site.publisher.seed();
    let received = site.update_with(Vec::new(), "a");
    assert!(received < packed + 60_000, "{received} for {packed}");
    // So does an installation from which no delta starts.
    let received = site.update(&site.installed(0), "b");
    assert!(received < packed + 60_000, "{received} for {packed}");
}

#[test]
fn a_packed_copy_that_lies_costs_no_more_than_it_says_beside_the_blocks() {
    let mut site = Site::new(0);
    site.deployment.put("bin/demo", &prose(1), true);
    site.deployment.version("1.0.1");
    site.publisher.stage(&site.deployment.dir);
    let key = site.deltas()[0].0.clone();
    let made = |new: &[u8]| bosc_delta::make(&[], new, &bosc_delta::MakeOptions::default()).unwrap();
    let mut cut = made(&prose(1));
    cut.truncate(cut.len() / 2);
    // It unpacks to ten times the file; ends early; is another file; has other bytes than its entry says.
    let bomb = made(&vec![0; 10 * SIZE]);
    let other = made(&prose(7));
    for (i, (lie, said)) in [
        (&bomb, bomb.len() as u64),
        (&cut, cut.len() as u64),
        (&other, other.len() as u64),
        (&other, 1000),
        (&bomb, u64::MAX),
    ]
    .into_iter()
    .enumerate()
    {
        site.lie(&key, lie, said);
        site.publisher.seed();
        let received = site.update_with(Vec::new(), &format!("lie-{i}"));
        let most = SIZE as u64 + lie.len() as u64 + 200_000;
        // What a copy gave before it ended is proved, and not fetched again.
        let least = if std::ptr::eq(lie, &cut) { SIZE / 3 } else { SIZE } as u64;
        assert!(received >= least && received < most, "lie {i}: {received}");
        site.publisher.pause();
    }
}

#[test]
fn a_build_that_somebody_changed_is_brought_up_to_date_all_the_same() {
    let mut site = Site::new(1);
    site.publisher.seed();
    let build = site.installed(0);
    let mut bytes = program(0);
    bytes[SIZE / 2] ^= 1;
    fs::write(build.join("bin/demo"), bytes).unwrap();
    assert!(site.update(&build, "a") > SIZE as u64);
}

/// The update costs among what was told, as `platform from bytes without basis`.
fn costs(told: &[Event]) -> Vec<UpdateCost> {
    told.iter()
        .filter_map(|event| match event {
            Event::Link(LinkEvent::UpdateCost(cost)) => Some(cost.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_an_update_costs_is_shown_with_what_it_rests_on() {
    let mut site = Site::new(2);
    let link = site.publisher.link.clone();
    let stage =
        Request::Stage(Stage { link: link.clone(), dir: site.deployment.dir.clone(), ..Stage::default() });
    site.deployment.put("bin/demo", &program(3), true);
    // Without a delta: it changes in a few bytes.
    site.deployment.put("README", b"a longer text of the third release\n", false);
    site.deployment.version("1.0.3");
    let told = costs(&site.publisher.told(&stage));
    let of: Vec<(&str, &str)> = told.iter().map(|c| (c.platform.as_str(), c.from.as_str())).collect();
    let platform = bosc_updater::p2p::host();
    assert_eq!(of, [(&*platform, "1.0.2"), (&*platform, "1.0.1"), (&*platform, "1.0.0")]);
    for (cost, more) in told.iter().zip([0, 1, 2]) {
        assert_eq!(cost.basis, CostBasis::Proved, "{cost:?}");
        assert!((300..20_000).contains(&cost.bytes), "{cost:?}");
        assert!(cost.without.is_some_and(|n| n as usize >= SIZE && (n as usize) < SIZE + 1000), "{cost:?}");
        assert!(more == 0 || cost.bytes > told[more - 1].bytes, "more changed since: {told:?}");
    }
    // What is told is what the drive has: the patches' own bytes, and the text.
    let deltas: Vec<u64> = site
        .publisher
        .told(&Request::Dump(Dump { link: format!("{link}/by-delta"), list: true, ..Dump::default() }))
        .iter()
        .filter_map(|event| match event {
            Event::Dump(DumpEvent::File(part)) => Some(part.key.len() as u64),
            _ => None,
        })
        .collect();
    assert_eq!(deltas.len(), 3);
    let info = Request::Info(Info { link: link.clone(), timeout_ms: 30_000, ..Info::default() });
    assert_eq!(costs(&site.publisher.told(&info)), told);

    // Somebody who has only the link learns the same.
    site.publisher.seed();
    let reader = Publisher::new(&site.path("reader"), &site.network);
    let learned = costs(&reader.told(&info));
    assert_eq!(learned.len(), 3);
    for (one, other) in learned.iter().zip(&told) {
        // Some leaves of the tree came with the proofs of what was read, and prove sizes here too.
        assert_ne!(one.basis, CostBasis::Partly, "{one:?}");
        assert_eq!((one.bytes, one.without, &one.from), (other.bytes, other.without, &other.from));
    }
}

#[test]
fn a_file_whose_name_has_its_version_is_made_of_the_one_before_it() {
    let mut site = Site::new(0);
    let place = |n: u64| site.deployment.app(&format!("lib/engine-1.0.{n}.so"));
    for n in 0..2 {
        let _ = fs::remove_file(place(n.max(1) - 1));
        site.deployment.put("bin/demo", b"small", true);
        site.deployment.put(&format!("lib/engine-1.0.{n}.so"), &program(n), false);
        site.deployment.version(&format!("2.0.{n}"));
        site.publisher.stage(&site.deployment.dir);
        if n == 0 {
            copy(&site.deployment.app(""), &site.path("installed/Demo"));
        }
    }
    site.publisher.seed();
    let received = site.update(&site.path("installed/Demo"), "a");
    assert!(received < 80_000, "{received}");
}
