//! Updates by deltas: a patch from peers and a file of this disk become the new file, proved block by block.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod p2p_support;

use bosc_release::dump::{Dump, DumpEvent};
use bosc_release::event::{CostBasis, Event, LinkEvent, UpdateCost};
use bosc_release::info::Info;
use bosc_release::request::Request;
use bosc_release::stage::Stage;
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
        let mut options = P2pOptions::new(&self.publisher.link, self.path(data), "Demo");
        options.bootstrap = self.network.bootstrap();
        options.patience = Duration::from_secs(30);
        options.builds = vec![build.to_owned()];
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
    // Without a delta from it, the blocks travel.
    let from_first = site.update(&site.installed(0), "c");
    assert!(from_first > SIZE as u64, "{from_first}");
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
