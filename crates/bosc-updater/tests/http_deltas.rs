//! Updates over HTTPS by deltas: a patch from the server and what is installed make the artifact; whatever is wrong with a patch, the
//! artifact comes the plain way in the same fetch, and both together cost less than twice its bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_delta::{MakeOptions, make};
use bosc_updater::ErrorKind;
use bosc_updater::http::HttpSource;
use bosc_updater::manifest::platform_key;
use bosc_updater::source::Source;
use semver::Version;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;

const SIZE: usize = 1_500_000;

/// A program of that release: each differs from the one before in some bytes of every part.
fn program(release: usize) -> Vec<u8> {
    let mut bytes = noise(SIZE);
    for n in 0..release {
        for at in (1000 * n..SIZE).step_by(100_000) {
            bytes[at..at + 8].copy_from_slice(&(n as u64 + at as u64).to_le_bytes());
        }
    }
    bytes
}

fn delta(old: &[u8], new: &[u8]) -> Vec<u8> {
    make(old, new, &MakeOptions::default()).unwrap()
}

/// How a server answers who asks for a patch.
type PatchAnswer = Box<dyn Fn(&Request, &[u8]) -> Answer + Send + Sync>;

/// A list of deltas, for the URL of a patch.
type List<'a> = Box<dyn Fn(&str) -> Value + 'a>;

struct Site {
    temp: tempfile::TempDir,
    server: Server,
    new: Vec<u8>,
    installed: PathBuf,
}

/// An entry of `deltas`, for a patch at /patch.
fn entry(base: &[u8], url: &str, patch: &[u8]) -> Value {
    json!({ "from": "1.0.0", "baseSha256": sha256(base), "url": url, "sha256": sha256(patch), "size": patch.len() })
}

impl Site {
    /// An installed release 0 and a server with release 1, whose manifest has `deltas` of the patch's URL.
    fn new(patch: Vec<u8>, deltas: impl Fn(&str) -> Value, answers: PatchAnswer) -> Self {
        let (temp, new) = (tempfile::tempdir().unwrap(), program(1));
        let manifest: Arc<Mutex<Value>> = Arc::default();
        let (offered, bytes) = (Arc::clone(&manifest), new.clone());
        let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
            "/m.json" => answer(200, &[], offered.lock().unwrap().to_string()),
            "/patch" => answers(r, &patch),
            _ => serve_file(r, &bytes),
        });
        let mut made = Signing::new(7).manifest("1.0.1", &server.url("/app"), &new);
        made["platforms"][platform_key()]["deltas"] = deltas(&server.url("/patch"));
        *manifest.lock().unwrap() = made;
        let installed = temp.path().join("app");
        std::fs::write(&installed, program(0)).unwrap();
        Self { temp, server, new, installed }
    }

    /// One that serves the patch as it is.
    fn honest(patch: &[u8], base: &[u8]) -> Self {
        let (base, of) = (base.to_vec(), patch.to_vec());
        Self::new(patch.to_vec(), move |url| json!([entry(&base, url, &of)]), Box::new(serve_file))
    }

    fn source(&self) -> HttpSource {
        let mut o = options(&self.server, &Signing::new(7));
        o.bases = vec![self.temp.path().join("nothing"), self.installed.clone()];
        HttpSource::new(o).unwrap()
    }

    /// Updates, and says how many bytes came.
    fn update(&self) -> u64 {
        let mut source = self.source();
        let release = source.check(&Version::new(1, 0, 0)).unwrap().unwrap();
        let (mut received, mut bytes) = (0, 0);
        let staged = source
            .fetch(&release, &self.staging(), &mut |p| {
                assert!(p.received >= received && p.bytes >= bytes && p.total == Some(SIZE as u64), "{p:?}");
                (received, bytes) = (p.received, p.bytes);
                true
            })
            .unwrap();
        assert_eq!(std::fs::read(&staged.path).unwrap(), self.new);
        assert_eq!(bytes, SIZE as u64);
        let left: Vec<String> = std::fs::read_dir(self.staging())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("http-") && !name.ends_with(".build"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        received
    }

    fn staging(&self) -> PathBuf {
        self.temp.path().join("staging")
    }

    /// The artifact came the plain way, and less than twice its bytes were taken.
    fn falls_back(&self, what: &str) {
        let received = self.update();
        assert_eq!(self.server.asked("/app"), 1, "{what}");
        assert!(received < 2 * SIZE as u64, "{what}: {received}");
    }
}

#[test]
fn an_update_costs_its_delta() {
    let patch = delta(&program(0), &program(1));
    assert!(patch.len() < 5_000, "{}", patch.len());
    let site = Site::honest(&patch, &program(0));
    assert_eq!(site.update(), patch.len() as u64);
    assert_eq!((site.server.asked("/patch"), site.server.asked("/app")), (1, 0));
}

#[test]
fn the_smallest_delta_of_what_is_here_is_taken() {
    let (near, far) = (delta(&program(0), &program(1)), delta(&[], &program(1)));
    let (of_near, of_far) = (near.clone(), far.clone());
    let site = Site::new(
        near.clone(),
        move |url| {
            let other = url.replace("patch", "other");
            json!([
                entry(&program(0), &other, &of_far),
                entry(&program(2), &other, &of_near[1..]),
                entry(&program(0), url, &of_near),
            ])
        },
        Box::new(serve_file),
    );
    assert_eq!(site.update(), near.len() as u64);
    assert_eq!(site.server.asked("/other"), 0);
}

#[test]
fn another_base_is_left_alone() {
    let patch = delta(&program(2), &program(1));
    let site = Site::honest(&patch, &program(2));
    site.falls_back("no such base");
    assert_eq!(site.server.asked("/patch"), 0, "it is known before a byte of it is asked for");
    // The manifest says that it fits, and it does not.
    let site = Site::honest(&patch, &program(0));
    site.falls_back("a base that is another");
    assert_eq!(site.server.asked("/patch"), 1);
}

#[test]
fn a_patch_that_makes_something_else_is_given_up() {
    let mut other = program(1);
    other[SIZE / 2] ^= 1;
    for (what, patch) in [
        ("another file of its length", delta(&program(0), &other)),
        ("a longer file", delta(&program(0), &[&program(1)[..], b"more"].concat())),
        ("a shorter file", delta(&program(0), &program(1)[..SIZE - 1])),
        ("no patch", noise(20_000)),
        ("nothing", Vec::new()),
    ] {
        Site::honest(&patch, &program(0)).falls_back(what);
    }
}

#[test]
fn a_damaged_patch_is_given_up_wherever_the_damage_is() {
    let patch = delta(&program(0), &program(1));
    for at in (0..patch.len()).step_by(patch.len() / 12) {
        let mut bad = patch.clone();
        bad[at] ^= 0x10;
        // Its entry is of the damaged one: the patch itself has to be borne.
        let site = Site::honest(&bad, &program(0));
        assert!(site.update() < 2 * SIZE as u64, "byte {at}");
    }
}

#[test]
fn a_server_that_lies_about_a_patch_wins_nothing() {
    let patch = delta(&program(0), &program(1));
    let lies: Vec<(&str, PatchAnswer)> = vec![
        ("tampered", Box::new(|r, p| serve_file(r, &p.iter().map(|b| b ^ 1).collect::<Vec<_>>()))),
        (
            "truncated",
            Box::new(|_, p| {
                let cut = Body::Cut { declared: Some(p.len() as u64), sent: p[..p.len() / 2].to_vec() };
                Answer { status: 200, headers: Vec::new(), body: cut }
            }),
        ),
        ("shorter", Box::new(|r, p| serve_file(r, &p[..p.len() - 1]))),
        ("longer", Box::new(|r, p| serve_file(r, &[p, b"x"].concat()))),
        ("without an end", Box::new(|_, _| Answer { status: 200, headers: Vec::new(), body: Body::Endless })),
        ("not there", Box::new(|_, _| answer(404, &[], ""))),
        ("elsewhere", Box::new(|_, _| answer(302, &[("location", "http://example.org/patch")], ""))),
        ("a page", Box::new(|_, _| answer(200, &[("content-type", "text/html")], "<p>sign in"))),
    ];
    for (what, answers) in lies {
        let of = patch.clone();
        Site::new(patch.clone(), move |url| json!([entry(&program(0), url, &of)]), answers).falls_back(what);
    }
}

#[test]
fn entries_that_mean_nothing_are_not_there() {
    let patch = delta(&program(0), &program(1));
    let good = |url: &str| entry(&program(0), url, &patch);
    let with = |url: &str, field: &str, value: Value| {
        let mut entry = good(url);
        entry[field] = value;
        entry
    };
    let lists: Vec<List<'_>> = vec![
        Box::new(|_| json!(null)),
        Box::new(|_| json!("deltas")),
        Box::new(|_| json!({ "0": 1 })),
        Box::new(|_| json!([1, null, "x", [], {}])),
        Box::new(|url| json!([with(url, "baseSha256", json!("00"))])),
        Box::new(|url| json!([with(url, "sha256", json!(7))])),
        Box::new(|url| json!([with(url, "size", json!(-1))])),
        Box::new(|url| json!([with(url, "size", json!(1u64 << 60))])),
        Box::new(|url| json!([with(url, "size", json!(SIZE / 5 * 4))])),
        Box::new(|url| json!([with(url, "url", json!("http://example.org/patch"))])),
        Box::new(|url| json!([with(url, "url", json!("file:///etc/passwd"))])),
    ];
    for list in lists {
        let site = Site::new(patch.clone(), &*list, Box::new(serve_file));
        site.falls_back(&list("").to_string());
        assert_eq!(site.server.asked("/patch"), 0, "{}", list(""));
    }
    // Among others, a good one is found.
    let site = Site::new(patch.clone(), |url| json!([null, 7, good(url)]), Box::new(serve_file));
    assert_eq!(site.update(), patch.len() as u64);
}

#[test]
fn a_download_that_began_goes_on_where_that_is_cheaper() {
    let patch = delta(&program(0), &program(1));
    let site = Site::honest(&patch, &program(0));
    // Nearly all of it is here: a patch would cost more than the rest.
    std::fs::create_dir_all(site.staging()).unwrap();
    let part = site.staging().join(format!("http-{}.part", &sha256(&site.new)[..32]));
    std::fs::write(&part, &site.new[..SIZE - 1000]).unwrap();
    assert_eq!(site.update(), 1000);
    assert_eq!(site.server.asked("/patch"), 0);
    // Half of it is here, a patch is cheaper: nothing of the half is left over.
    let site = Site::honest(&patch, &program(0));
    std::fs::create_dir_all(site.staging()).unwrap();
    let part = site.staging().join(format!("http-{}.part", &sha256(&site.new)[..32]));
    std::fs::write(&part, &site.new[..SIZE / 2]).unwrap();
    assert_eq!(site.update(), patch.len() as u64);
}

#[test]
fn a_cancelled_delta_is_cancelled_and_goes_on_later() {
    let patch = delta(&[], &program(1)[..SIZE / 2]);
    let of = patch.clone();
    // Large enough to be stopped in: a patch that is a part of the file, and is given up in the end.
    let site = Site::new(
        patch.clone(),
        move |url| json!([entry(&program(0), url, &of)]),
        Box::new(|r, p| {
            let whole = serve_file(r, p);
            let Body::Bytes(b) = whole.body.clone() else { unreachable!() };
            Answer { body: Body::Slow { bytes: b, piece: 100_000, wait: Duration::from_millis(5) }, ..whole }
        }),
    );
    let mut source = site.source();
    let release = source.check(&Version::new(1, 0, 0)).unwrap().unwrap();
    let e = source.fetch(&release, &site.staging(), &mut |p| p.received < 400_000).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
    assert_eq!(site.server.asked("/app"), 0);
    let part = site.staging().join(format!("http-{}.part", &sha256(&patch)[..32]));
    let here = std::fs::metadata(part).unwrap().len();
    assert!(here >= 300_000, "{here}");
    let received = site.update();
    assert_eq!(
        received,
        patch.len() as u64 - here + SIZE as u64,
        "only what was missing of the patch, and the artifact"
    );
}
