//! The HTTPS source against a real server with every fault we know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::http::{HttpSource, Roots};
use bosc_updater::release::{Release, Staged};
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, UpdateError};
use semver::Version;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

const OLD: Version = Version::new(1, 0, 0);

fn fetch(source: &mut HttpSource, release: &Release, staging: &Path) -> Result<Staged, UpdateError> {
    source.fetch(release, staging, &mut |_| true)
}

/// A server whose manifest offers `bytes` as 1.0.1 at `/app`, and whose `/app` is answered by `app`.
fn site(
    cert: Cert,
    bytes: &[u8],
    app: impl Fn(&Request, u32) -> Answer + Send + Sync + 'static,
) -> (Server, Signing) {
    let port: Arc<Mutex<String>> = Arc::default();
    let at = Arc::clone(&port);
    let bytes = bytes.to_vec();
    let count = AtomicU32::new(0);
    let server = Server::start(cert, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = at.lock().unwrap().clone();
            let manifest = Signing::new(7).manifest("1.0.1", &url, &bytes).to_string();
            serve_file(r, manifest.as_bytes())
        }
        "/app" => app(r, count.fetch_add(1, Ordering::SeqCst)),
        _ => answer(404, &[], ""),
    });
    *port.lock().unwrap() = server.url("/app");
    (server, Signing::new(7))
}

/// Checks and fetches; what was staged and how many bytes bodies of `/app` had.
fn update(server: &Server, signing: &Signing) -> Result<(Vec<u8>, Staged), UpdateError> {
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(options(server, signing))?;
    let release = source.check(&OLD)?.expect("an update");
    let staged = fetch(&mut source, &release, dir.path())?;
    let bytes = std::fs::read(&staged.path).unwrap();
    Ok((bytes, staged))
}

#[test]
fn a_release_is_checked_fetched_and_staged() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    assert_eq!((release.version.to_string().as_str(), release.size), ("1.0.1", Some(300_000)));
    assert_eq!(release.notes.as_deref(), Some("what is new"));
    assert_eq!(release.origin, server.url("/app"));
    let mut seen = Vec::new();
    let staged = source
        .fetch(&release, dir.path(), &mut |p| {
            seen.push((p.bytes, p.received, p.total));
            true
        })
        .unwrap();
    assert_eq!(std::fs::read(&staged.path).unwrap(), bytes);
    assert_eq!(staged.contents.entries.len(), 1);
    assert_eq!(seen.last(), Some(&(300_000, 300_000, Some(300_000))));
    assert!(seen.is_sorted());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&staged.path).unwrap().permissions().mode() & 0o777, 0o755);
    }
    // Nothing newer: no release. A second fetch of the same release needs no bytes.
    assert_eq!(source.check(&Version::new(1, 0, 1)).unwrap(), None);
    assert_eq!(source.check(&Version::new(2, 0, 0)).unwrap(), None);
    let release = source.check(&OLD).unwrap().unwrap();
    assert_eq!(fetch(&mut source, &release, dir.path()).unwrap(), staged);
    assert_eq!(server.asked("/app"), 1);
    let accepted = server.requests().iter().all(|r| r.header("accept-encoding") == Some("identity"));
    assert!(accepted, "nothing compressed is asked for");
}

#[test]
fn an_unchanged_manifest_is_answered_with_304() {
    let (server, signing) = site(Cert::Good, b"new", |r, _| serve_file(r, b"new"));
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let first = source.check(&OLD).unwrap();
    let sent = server.sent.load(Ordering::SeqCst);
    assert_eq!(source.check(&OLD).unwrap(), first);
    assert_eq!(server.sent.load(Ordering::SeqCst), sent, "no body the second time");
    assert!(server.requests()[1].header("if-none-match").is_some());
    // Nobody asked, so a 304 means nothing.
    let server = Server::start(Cert::Good, |_| answer(304, &[], ""));
    let e = HttpSource::new(options(&server, &signing)).unwrap().check(&OLD).unwrap_err();
    assert_eq!(e.to_string(), "updater: manifest fetch failed: 304");
}

#[test]
fn a_cut_body_is_continued_where_it_ended() {
    let bytes = noise(1_000_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| {
        let mut whole = serve_file(r, &served);
        if n < 2 {
            let Body::Bytes(b) = &whole.body else { unreachable!() };
            whole.body = Body::Cut { declared: Some(b.len() as u64), sent: b[..300_000].to_vec() };
        }
        whole
    });
    let (got, _) = update(&server, &signing).unwrap();
    assert_eq!(got, bytes);
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter(|r| r.path == "/app")
        .map(|r| r.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".into()), Some("bytes=600000-".into())]);
    assert!(server.requests().last().unwrap().header("if-range").is_some());
}

#[test]
fn a_body_cut_without_a_length_is_noticed() {
    let bytes = noise(200_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        0 => Answer {
            body: Body::Cut { declared: None, sent: served[..70_000].to_vec() },
            ..serve_file(r, &served)
        },
        _ => serve_file(r, &served),
    });
    assert_eq!(update(&server, &signing).unwrap().0, bytes);
    assert_eq!(server.asked("/app"), 2);
}

#[test]
fn a_wrong_length_is_refused_before_it_is_read() {
    for wrong in [999_u64, 1001, 1 << 40] {
        let bytes = noise(1000);
        let (server, signing) = site(Cert::Good, &bytes, move |_, _| Answer {
            status: 200,
            headers: vec![],
            body: Body::Stall { declared: wrong, sent: vec![] },
        });
        let e = update(&server, &signing).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Integrity, "{e}");
        assert!(e.to_string().contains("were promised"), "{e}");
    }
}

#[test]
fn an_endless_body_is_cut_off_at_the_promised_size() {
    let bytes = noise(100_000);
    let (server, signing) =
        site(Cert::Good, &bytes, |_, _| Answer { status: 200, headers: vec![], body: Body::Endless });
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let mut most = 0;
    let e = source
        .fetch(&release, dir.path(), &mut |p| {
            most = most.max(p.bytes);
            true
        })
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity);
    assert!(most <= 100_000);
    let on_disk: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk < 1000, "{on_disk} bytes stay");
}

#[test]
fn an_endless_manifest_and_one_of_100_mb_are_refused() {
    let signing = Signing::new(7);
    for big in [false, true] {
        let server = Server::start(Cert::Good, move |_| match big {
            false => Answer { status: 200, headers: vec![], body: Body::Endless },
            // The length is not said, so it has to be noticed while reading.
            true => Answer {
                status: 200,
                headers: vec![],
                body: Body::Cut { declared: None, sent: vec![b'{'; 100_000_000] },
            },
        });
        let e = HttpSource::new(options(&server, &signing)).unwrap().check(&OLD).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Integrity, "{e}");
        assert!(e.to_string().contains("larger than"), "{e}");
        // What sockets and buffers hold may be on its way; nothing near 100 MB.
        assert!(server.sent.load(Ordering::SeqCst) < 20_000_000);
    }
    let server = Server::start(Cert::Good, |_| Answer {
        status: 200,
        headers: vec![],
        body: Body::Stall { declared: 100_000_000, sent: vec![] },
    });
    let e = HttpSource::new(options(&server, &signing)).unwrap().check(&OLD).unwrap_err();
    assert!(e.to_string().contains("larger than"), "{e}");
}

#[test]
fn a_silent_server_is_given_up() {
    let bytes = noise(200_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        // It stalls half way, once. The connection is dropped and the rest asked for anew.
        0 => Answer {
            body: Body::Stall { declared: 200_000, sent: served[..100_000].to_vec() },
            ..serve_file(r, &served)
        },
        _ => serve_file(r, &served),
    });
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    o.idle_timeout = Duration::from_millis(300);
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let staged = fetch(&mut source, &release, dir.path()).unwrap();
    assert_eq!(std::fs::read(staged.path).unwrap(), bytes);
    assert_eq!(server.requests().last().unwrap().header("range"), Some("bytes=100000-"));
}

#[test]
fn a_slow_server_is_given_up_in_the_end_and_continued_later() {
    let bytes = noise(400_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| {
        let mut whole = serve_file(r, &served);
        if n == 0 {
            whole.body = Body::Slow { bytes: served.clone(), piece: 1000, wait: Duration::from_millis(20) };
        }
        whole
    });
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    // Each read gives something, so the idle limit never strikes; the total does.
    o.total_timeout = Duration::from_millis(700);
    let mut source = HttpSource::new(o.clone()).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = fetch(&mut source, &release, dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "{e}");
    o.total_timeout = Duration::from_secs(60);
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let mut first = None;
    let staged = source
        .fetch(&release, dir.path(), &mut |p| {
            first.get_or_insert(p.bytes);
            true
        })
        .unwrap();
    assert!(first.unwrap() > 0, "what came before the limit is not asked for again");
    assert_eq!(std::fs::read(staged.path).unwrap(), bytes);
}

#[test]
fn a_running_fetch_is_cancelled_from_outside_and_by_its_callback() {
    let bytes = noise(500_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| Answer {
        body: Body::Stall { declared: 500_000, sent: served[..100_000].to_vec() },
        ..serve_file(r, &served)
    });
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    o.idle_timeout = Duration::from_secs(30);
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let handle = source.cancel_handle();
    let mut done = false;
    let start = Instant::now();
    let e = source
        .fetch(&release, dir.path(), &mut |p| {
            if p.bytes >= 100_000 && !done {
                done = true;
                let handle = handle.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(100));
                    handle.cancel();
                });
            }
            true
        })
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(25), "it did not wait for the idle limit");
    let e = source.fetch(&release, dir.path(), &mut |_| false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
    // Before there is a connection that could be closed: none is made.
    let asked = server.requests().len();
    let handle = source.cancel_handle();
    let cancel = &mut |_| {
        handle.cancel();
        true
    };
    assert_eq!(source.fetch(&release, dir.path(), cancel).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn who_waits_for_the_next_try_can_end_it() {
    let (server, signing) = site(Cert::Good, b"new", |_, _| answer(503, &[("retry-after", "3600")], "busy"));
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let start = Instant::now();
    let mut told = 0;
    // The first word is that it begins; those after it come while it waits.
    let e = source
        .fetch(&release, dir.path(), &mut |_| {
            told += 1;
            told < 9
        })
        .unwrap_err();
    assert_eq!((e.kind(), told), (ErrorKind::Cancelled, 9));
    assert_eq!(server.asked("/app"), 1, "the server said when");
    assert!(start.elapsed() < Duration::from_secs(50));
}

#[test]
fn redirects_are_followed_and_each_is_checked() {
    let bytes = noise(5000);
    let served = bytes.clone();
    let plain = Server::start(Cert::None, |_| answer(200, &[], "plain"));
    let (plain_url, hop) = (plain.url("/app"), AtomicU32::new(0));
    let bytes2 = bytes.clone();
    let mode: Arc<Mutex<String>> = Arc::default();
    let said = Arc::clone(&mode);
    let port: Arc<Mutex<String>> = Arc::default();
    let at = Arc::clone(&port);
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = at.lock().unwrap().clone();
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url, &bytes2).to_string())
        }
        "/real" => serve_file(r, &served),
        _ => match said.lock().unwrap().as_str() {
            "relative" => answer(302, &[("location", "/real")], ""),
            "http" => answer(302, &[("location", &plain_url)], ""),
            "loop" => answer(301, &[("location", "/app")], ""),
            "chain" => {
                answer(307, &[("location", &format!("/hop{}", hop.fetch_add(1, Ordering::SeqCst)))], "")
            }
            "userinfo" => answer(308, &[("location", "https://user:pw@localhost/real")], ""),
            "file" => answer(302, &[("location", "file:///etc/passwd")], ""),
            _ => answer(302, &[], ""),
        },
    });
    *port.lock().unwrap() = server.url("/app");
    let signing = Signing::new(7);
    let with = |m: &str| {
        *mode.lock().unwrap() = m.to_owned();
        update(&server, &signing)
    };
    assert_eq!(with("relative").unwrap().0, bytes);
    let e = with("http").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
    assert!(e.to_string().contains("from https:// to http://"), "{e}");
    assert_eq!(plain.requests().len(), 0, "the plain server was never asked");
    for (mode, part) in [
        ("loop", "redirects more than 5 times"),
        ("chain", "redirects more than 5 times"),
        ("userinfo", "user name or password"),
        ("file", "must use https://"),
        ("nowhere", "redirects to nowhere"),
    ] {
        let before = server.requests().len();
        let e = with(mode).unwrap_err();
        assert!(e.to_string().contains(part), "{mode}: {e}");
        assert!(server.requests().len() - before <= 7, "{mode}");
    }
}

/// Addresses with a signature in them, as large file stores redirect to, are longer than any other header of interest.
#[test]
fn long_headers_are_read_as_far_as_they_are_needed() {
    let long = format!("/real?signature={}", "x".repeat(3000));
    let (location, etag) = (long.clone(), format!("\"{}\"", "e".repeat(2000)));
    let filler: Arc<Mutex<usize>> = Arc::default();
    let room = Arc::clone(&filler);
    let server = Server::start(Cert::Good, move |r| {
        let manifest = || Signing::new(7).manifest("1.0.1", "https://localhost/x", b"x").to_string();
        match r.path.as_str() {
            "/m.json" => answer(302, &[("location", &location)], ""),
            path if path == location => {
                answer(200, &[("etag", &etag), ("x-filler", &"f".repeat(*room.lock().unwrap()))], manifest())
            }
            _ => answer(404, &[], ""),
        }
    });
    let mut source = HttpSource::new(options(&server, &Signing::new(7))).unwrap();
    for _ in 0..2 {
        assert!(source.check(&OLD).unwrap().is_some());
    }
    assert_eq!(server.asked(&long), 2);
    assert!(server.requests().iter().all(|r| r.header("if-none-match").is_none()), "not kept, not said");
    *filler.lock().unwrap() = 40_000;
    let e = source.check(&OLD).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "{e}");
}

#[test]
fn a_redirected_manifest_is_checked_too() {
    let plain = Server::start(Cert::None, |_| answer(200, &[], "{}"));
    let to = plain.url("/m.json");
    let server = Server::start(Cert::Good, move |_| answer(302, &[("location", &to)], ""));
    let e = HttpSource::new(options(&server, &Signing::new(7))).unwrap().check(&OLD).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
    assert!(plain.requests().is_empty());
}

#[test]
fn plain_http_is_taken_from_this_machine_only() {
    let (server, signing) = site(Cert::None, b"new", |r, _| serve_file(r, b"new"));
    assert_eq!(update(&server, &signing).unwrap().0, b"new");
    for url in
        ["http://example.com/m.json", "ftp://localhost/m.json", "https://a:b@example.com/m.json", "m.json"]
    {
        let mut o = options(&server, &signing);
        o.manifest_url = url.into();
        assert_eq!(HttpSource::new(o).unwrap_err().kind(), ErrorKind::Refused, "{url}");
    }
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |_, n| Answer {
        status: 200,
        headers: vec![],
        body: match n {
            0 => Body::Cut { declared: Some(300_000), sent: served[..200_000].to_vec() },
            _ => Body::Bytes(served.clone()),
        },
    });
    assert_eq!(update(&server, &signing).unwrap().0, bytes);
    assert_eq!(server.requests().last().unwrap().header("range"), Some("bytes=200000-"));
}

#[test]
fn a_wrong_content_range_is_refused_and_read_from_the_start() {
    let wrong = [
        "bytes 0-99999/300000",
        "bytes 200001-299999/300000",
        "bytes 200000-299998/300000",
        "bytes 200000-299999/300001",
        "bytes 200000-299999/5",
        "bytes 200000-299998/299999",
        "bytes 200000-299998/*",
        "nonsense",
        "",
    ];
    for range in wrong {
        let bytes = noise(300_000);
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |r, n| match (n, r.header("range")) {
            (0, _) => Answer {
                body: Body::Cut { declared: Some(300_000), sent: served[..200_000].to_vec() },
                ..serve_file(r, &served)
            },
            (_, Some(_)) => answer(206, &[("content-range", range)], vec![b'x'; 100_000]),
            _ => serve_file(r, &served),
        });
        let dir = tempfile::tempdir().unwrap();
        let mut source = HttpSource::new(options(&server, &signing)).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        let mut received = 0;
        let staged = source
            .fetch(&release, dir.path(), &mut |p| {
                received = p.received;
                true
            })
            .unwrap();
        assert_eq!(std::fs::read(staged.path).unwrap(), bytes, "{range}");
        assert_eq!(server.asked("/app"), 3, "{range}");
        assert_eq!(received, 500_000, "{range}: nothing is read of what was not asked for");
    }
}

#[test]
fn a_server_that_never_continues_is_given_up() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| match r.header("range") {
        Some(_) => answer(206, &[("content-range", "bytes 0-99999/300000")], vec![b'x'; 100_000]),
        None => Answer {
            body: Body::Cut { declared: Some(300_000), sent: served[..200_000].to_vec() },
            ..answer(200, &[], "")
        },
    });
    let e = update(&server, &signing).unwrap_err();
    assert_eq!(e.to_string(), "updater: the server does not continue what it began");
    assert_eq!(server.asked("/app"), 4);
}

#[test]
fn a_file_that_changed_between_two_answers_is_read_from_the_start() {
    // The server has no ETag, and continues with bytes of another file: only the digest can tell.
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        0 => Answer {
            status: 200,
            headers: vec![],
            body: Body::Cut { declared: Some(300_000), sent: vec![b'x'; 200_000] },
        },
        _ => serve_file(r, &served),
    });
    assert_eq!(update(&server, &signing).unwrap().0, bytes);
    assert_eq!(server.asked("/app"), 3);
}

#[test]
fn a_changed_etag_starts_over() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        0 => Answer {
            status: 200,
            headers: vec![("etag".into(), "\"old\"".into())],
            body: Body::Cut { declared: Some(300_000), sent: vec![b'x'; 200_000] },
        },
        _ => serve_file(r, &served),
    });
    assert_eq!(update(&server, &signing).unwrap().0, bytes);
    assert_eq!(server.asked("/app"), 2, "If-Range spared the bytes that would not fit");
}

/// An ETag vouches for bytes only where it says that they are the same ones, and only at the address it came from.
#[test]
fn a_weak_or_foreign_etag_vouches_for_nothing() {
    let bytes = noise(300_000);
    let at: Arc<Mutex<(String, &str)>> = Arc::default();
    let (said, all) = (Arc::clone(&at), bytes.clone());
    let server = Server::start(Cert::Good, move |r| {
        let (url, etag) = said.lock().unwrap().clone();
        match r.path.as_str() {
            "/m.json" => answer(200, &[], Signing::new(7).manifest("1.0.1", &url, &all).to_string()),
            _ if r.header("range").is_some() => serve_file(r, &all),
            _ => Answer {
                body: Body::Cut { declared: Some(300_000), sent: all[..200_000].to_vec() },
                ..answer(200, &[("etag", etag)], "")
            },
        }
    });
    for (etag, then, told) in [("\"a\"", "/one", true), ("W/\"a\"", "/one", false), ("\"a\"", "/two", false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let before = server.requests().len();
        let mut o = options(&server, &Signing::new(7));
        o.tries = 1;
        *at.lock().unwrap() = (server.url("/one"), etag);
        let mut source = HttpSource::new(o.clone()).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        assert_eq!(fetch(&mut source, &release, dir.path()).unwrap_err().kind(), ErrorKind::Network);
        *at.lock().unwrap() = (server.url(then), etag);
        let mut source = HttpSource::new(o).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        let _ = fetch(&mut source, &release, dir.path());
        let all = server.requests();
        let continued: Vec<_> = all[before..].iter().filter(|r| r.header("range").is_some()).collect();
        assert!(!continued.is_empty() && continued[0].path == then, "{etag} {then}");
        assert_eq!(continued[0].header("if-range").is_some(), told, "{etag} {then}");
    }
}

/// Of an artifact whose length nobody signed, a server says with 416 that what is here is all of it.
#[test]
fn a_part_that_is_whole_is_not_fetched_again() {
    let bytes = noise(100_000);
    let at: Arc<Mutex<String>> = Arc::default();
    let (url, all) = (Arc::clone(&at), bytes.clone());
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            let mut manifest = Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), &all);
            let entry = manifest["platforms"].as_object_mut().unwrap().values_mut().next().unwrap();
            entry.as_object_mut().unwrap().remove("size");
            answer(200, &[], manifest.to_string())
        }
        _ => serve_file(r, &all),
    });
    *at.lock().unwrap() = server.url("/app");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32])), &bytes).unwrap();
    let mut source = HttpSource::new(options(&server, &Signing::new(7))).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let staged = fetch(&mut source, &release, dir.path()).unwrap();
    assert_eq!(std::fs::read(staged.path).unwrap(), bytes);
    assert_eq!(server.asked("/app"), 1);
}

#[test]
fn a_busy_server_is_asked_again_and_a_broken_one_not_for_ever() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        0 => answer(503, &[("retry-after", "0")], "busy"),
        1 => answer(500, &[], "oops"),
        2 => answer(429, &[], "slow down"),
        _ => serve_file(r, &served),
    });
    assert_eq!(update(&server, &signing).unwrap().0, bytes);
    let (server, signing) = site(Cert::Good, &bytes, |_, _| answer(502, &[], "oops"));
    let e = update(&server, &signing).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Network, "updater: download failed: 502"));
    assert_eq!(server.asked("/app"), 4);
    let (server, signing) = site(Cert::Good, &bytes, |_, _| answer(404, &[], "gone"));
    assert_eq!(update(&server, &signing).unwrap_err().to_string(), "updater: download failed: 404");
    assert_eq!(server.asked("/app"), 1, "what is not there is not asked for again");

    let count = AtomicU32::new(0);
    let server = Server::start(Cert::Good, move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => answer(503, &[], ""),
        _ => answer(200, &[], Signing::new(7).manifest("1.0.1", "https://localhost/x", b"x").to_string()),
    });
    assert!(HttpSource::new(options(&server, &signing)).unwrap().check(&OLD).unwrap().is_some());
}

#[test]
fn certificates_must_be_for_the_host_in_time_and_from_a_known_authority() {
    for cert in [Cert::OtherHost, Cert::Expired] {
        let server = Server::start(cert, |_| answer(200, &[], "{}"));
        let e = HttpSource::new(options(&server, &Signing::new(7))).unwrap().check(&OLD).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Network);
        assert!(e.to_string().contains("certificate"), "{e}");
        assert!(server.requests().is_empty(), "nothing was asked over such a connection");
    }
    let (server, signing) = site(Cert::Good, b"new", |r, _| serve_file(r, b"new"));
    for (roots, good) in [
        (Roots::Bundled, false),
        (Roots::Only(vec![]), false),
        (Roots::Only(vec![server.ca.clone()]), true),
        (Roots::BundledAnd(vec![server.ca.clone()]), true),
    ] {
        let mut o = options(&server, &signing);
        o.roots = roots.clone();
        let result = HttpSource::new(o).unwrap().check(&OLD);
        assert_eq!(result.is_ok(), good, "{roots:?} {result:?}");
    }
    let pem = format!(
        "some text\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        data_encoding::BASE64.encode(&server.ca)
    );
    assert_eq!(Roots::certificates(pem.as_bytes()).unwrap(), vec![server.ca.clone()]);
    assert!(Roots::certificates(b"nothing").is_err());
}

/// Servers say so of a `.tar.gz`, and mean the file. The digest decides.
#[test]
fn what_a_header_says_about_compression_is_of_no_matter() {
    for encoding in ["x-gzip", "gzip", "br"] {
        let (server, signing) =
            site(Cert::Good, b"new", move |_, _| answer(200, &[("content-encoding", encoding)], "new"));
        assert_eq!(update(&server, &signing).unwrap().0, b"new", "{encoding}");
        // Another file than was signed, whatever it unpacks to.
        let (server, signing) =
            site(Cert::Good, b"new", move |_, _| answer(200, &[("content-encoding", encoding)], "gzi"));
        assert_eq!(update(&server, &signing).unwrap_err().kind(), ErrorKind::Integrity, "{encoding}");
    }
    let (inner, signing) = site(Cert::Good, b"new", |r, _| serve_file(r, b"new"));
    let text = signing.manifest("1.0.1", &inner.url("/app"), b"new").to_string();
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => answer(200, &[("content-encoding", "gzip")], text.clone()),
        _ => answer(200, &[("content-encoding", "gzip")], b"\x1f\x8b\x08packed".to_vec()),
    });
    assert!(HttpSource::new(options(&server, &signing)).unwrap().check(&OLD).unwrap().is_some());
    let mut o = options(&server, &signing);
    o.manifest_url = server.url("/packed.json");
    let e = HttpSource::new(o).unwrap().check(&OLD).unwrap_err();
    assert!(e.to_string().contains("compresses"), "{e}");
}

/// The page of a network that wants a sign-in, in each form it may come in, costs nothing of what is here.
#[test]
fn a_page_in_the_place_of_the_artifact_costs_nothing() {
    const PAGE: &str = "<html>Welcome! Please sign in.</html>";
    let bytes = noise(300_000);
    let page = |form: u32| match form {
        // With its length, cut off by the end of the connection, and in chunks.
        0 => answer(200, &[("content-type", "text/html")], PAGE),
        1 => Answer {
            body: Body::Cut { declared: None, sent: PAGE.into() },
            ..answer(200, &[("content-type", "text/html; charset=utf-8")], "")
        },
        2 => Answer { body: Body::Cut { declared: None, sent: PAGE.into() }, ..answer(200, &[], "") },
        3 => chunked(PAGE.as_bytes()),
        // As long as the artifact, by chance.
        _ => answer(200, &[], vec![b'<'; 300_000]),
    };
    for form in 0..5 {
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
            0 => Answer {
                body: Body::Cut { declared: Some(300_000), sent: served[..120_000].to_vec() },
                ..answer(200, &[], "")
            },
            1..=4 => page(form),
            _ => {
                assert_eq!(
                    r.header("range"),
                    Some("bytes=120000-"),
                    "form {form}: what is here is gone on with"
                );
                serve_file(r, &served)
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let mut source = HttpSource::new(options(&server, &signing)).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        let part = dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32]));
        // The network is lost, and then a page comes as often as it is tried.
        let mut left = 0;
        let staged = loop {
            match fetch(&mut source, &release, dir.path()) {
                Ok(staged) => break staged,
                Err(e) => assert!(matches!(e.kind(), ErrorKind::Network | ErrorKind::Integrity), "{e}"),
            }
            assert_eq!(std::fs::read(&part).unwrap(), bytes[..120_000], "form {form}");
            left += 1;
            assert!(left < 8, "form {form}");
        };
        assert!(left > 0, "form {form}");
        assert_eq!(std::fs::read(&staged.path).unwrap(), bytes);
        assert!(server.sent.load(Ordering::SeqCst) < 3_000_000);
    }
    // Nothing is here yet: the page is not gone on with, either.
    for form in [1, 3] {
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
            0 => page(form),
            _ => serve_file(r, &served),
        });
        assert_eq!(update(&server, &signing).unwrap().0, bytes);
        assert!(server.requests().iter().all(|r| r.header("range").is_none()), "form {form}");
    }
    // In the place of the manifest it is no fault of the publisher.
    let server = Server::start(Cert::Good, |_| answer(200, &[], PAGE));
    let e = HttpSource::new(options(&server, &Signing::new(7))).unwrap().check(&OLD).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "{e}");
}

/// A server without ranges sends all of it again; what is here is compared and not written again. Another file than the part is of
/// takes its place once it is the better one.
#[test]
fn a_whole_answer_takes_the_place_of_a_part_that_is_of_another_file() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, n| match n {
        // Half of another file, then the right one: cut off before its end, cut off behind it, whole.
        0 => Answer {
            body: Body::Cut { declared: Some(300_000), sent: vec![7; 150_000] },
            ..answer(200, &[], "")
        },
        1 | 2 => {
            assert_eq!(r.header("range"), Some("bytes=150000-"), "the shorter one is given up");
            let sent = served[..n as usize * 100_000].to_vec();
            Answer { body: Body::Cut { declared: Some(300_000), sent }, ..answer(200, &[], "") }
        }
        3 => {
            assert_eq!(r.header("range"), Some("bytes=200000-"), "the longer one is gone on with");
            answer(200, &[], served.clone())
        }
        _ => answer(404, &[], ""),
    });
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&victim, dir.path().join(format!("http-{}.new", &sha256(&bytes)[..32])))
        .unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let staged = fetch(&mut source, &release, dir.path()).unwrap();
    assert_eq!(std::fs::read(&staged.path).unwrap(), bytes);
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn where_there_is_no_room_for_two_the_part_makes_room_for_the_whole_answer() {
    let bytes = noise(300_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |_, n| match n {
        0 => Answer {
            body: Body::Cut { declared: Some(300_000), sent: vec![7; 150_000] },
            ..answer(200, &[], "")
        },
        _ => answer(200, &[], served.clone()),
    });
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    let started = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&started);
    // For the first answer all of it has to fit; later only what is missing does.
    o.room = Some(Arc::new(move |n| match (count.fetch_add(1, Ordering::SeqCst), n) {
        (0, _) | (_, ..=150_000) => Ok(()),
        _ => Err(UpdateError::new(ErrorKind::NoSpace, "no room")),
    }));
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let beside = dir.path().join(format!("http-{}.new", &sha256(&bytes)[..32]));
    let staged = source
        .fetch(&release, dir.path(), &mut |_| {
            assert!(!beside.exists());
            true
        })
        .unwrap();
    assert_eq!(std::fs::read(&staged.path).unwrap(), bytes);
    assert_eq!((server.asked("/app"), started.load(Ordering::SeqCst)), (2, 3));
}

#[test]
fn a_full_disk_is_noticed_before_the_download() {
    let (server, signing) = site(Cert::Good, b"new", |r, _| serve_file(r, b"new"));
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    o.room = Some(Arc::new(|n| Err(UpdateError::new(ErrorKind::NoSpace, format!("no room for {n}")))));
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = fetch(&mut source, &release, dir.path()).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::NoSpace, "no room for 3"));
    assert_eq!(server.asked("/app"), 0);
}

#[test]
fn a_release_is_fetched_by_one_process_at_a_time() {
    let bytes = noise(200_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
    let dir = tempfile::tempdir().unwrap();
    let mut one = HttpSource::new(options(&server, &signing)).unwrap();
    let mut two = HttpSource::new(options(&server, &signing)).unwrap();
    let release = one.check(&OLD).unwrap().unwrap();
    let mut inner = None;
    let part = dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32]));
    one.fetch(&release, dir.path(), &mut |_| {
        inner.get_or_insert_with(|| fetch(&mut two, &release, dir.path()).unwrap_err().kind());
        two.tidy(dir.path());
        assert!(part.exists(), "what is being fetched is nobody else's to remove");
        true
    })
    .unwrap();
    assert_eq!(inner, Some(ErrorKind::Busy));
    let names = || std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names().len(), 2, "{:?}", names());
    two.tidy(dir.path());
    assert_eq!(names(), ["http.lock"]);
}

#[test]
fn leftovers_of_other_releases_are_removed_and_links_not_followed() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("http-00000000000000000000000000000000.part");
    std::fs::write(&old, "x").unwrap();
    std::fs::create_dir(dir.path().join("http-00000000000000000000000000000000.d")).unwrap();
    let foreign = dir.path().join("other.txt");
    std::fs::write(&foreign, "x").unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    #[cfg(unix)]
    {
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let part = dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32]));
        std::os::unix::fs::symlink(&victim, &part).unwrap();
        let e = fetch(&mut source, &release, dir.path()).unwrap_err();
        assert!(e.kind() == ErrorKind::Disk && e.to_string().ends_with("is not a regular file"), "{e}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert!(old.exists(), "what is staged stays until the new one is whole");
        std::fs::remove_file(&part).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&part).status().unwrap();
        assert!(made.success());
        let e = fetch(&mut source, &release, dir.path()).unwrap_err();
        assert!(e.kind() == ErrorKind::Disk && e.to_string().ends_with("is not a regular file"), "{e}");
        std::fs::remove_file(&part).unwrap();
    }
    // Where there is no room for both, what is staged of another release makes room.
    let mut o = options(&server, &signing);
    let there = old.clone();
    o.room = Some(Arc::new(move |_| match there.exists() {
        true => Err(UpdateError::new(ErrorKind::NoSpace, "no room")),
        false => Ok(()),
    }));
    let mut crowded = HttpSource::new(o).unwrap();
    let staged = fetch(&mut crowded, &release, dir.path()).unwrap();
    std::fs::remove_file(staged.path).unwrap();
    std::fs::write(&old, "x").unwrap();
    std::fs::create_dir_all(old.with_extension("d")).unwrap();
    fetch(&mut source, &release, dir.path()).unwrap();
    assert!(!old.exists() && foreign.exists());
    assert!(!dir.path().join("http-00000000000000000000000000000000.d").exists());
}

/// A server that ends every answer early and says each time that the file is another one.
#[test]
fn a_server_that_begins_anew_for_ever_costs_a_small_multiple_of_the_artifact() {
    const SIZE: usize = 4_000_000;
    let bytes = noise(SIZE);
    // Always as far as before; a little further each time.
    for further in [0, 70_000] {
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |_, n| {
            let cut = SIZE / 2 + n as usize * further;
            let sent = served[..cut.min(SIZE - 1)].to_vec();
            let headers = vec![("etag".to_owned(), format!("\"{n}\""))];
            Answer { status: 200, headers, body: Body::Cut { declared: Some(SIZE as u64), sent } }
        });
        let e = update(&server, &signing).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Network, "{e}");
        let sent = server.sent.load(Ordering::SeqCst);
        // What lies in the buffers of the connections comes on top.
        assert!(
            sent < 3 * SIZE as u64 + (4 << 20),
            "{sent} bytes for an artifact of {SIZE}, {further} further"
        );
    }
}

#[test]
fn many_releases_leave_one_lock() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..12 {
        let bytes = noise(1000 + n);
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
        let mut source = HttpSource::new(options(&server, &signing)).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        fetch(&mut source, &release, dir.path()).unwrap();
        std::fs::write(dir.path().join(format!("http-{n:032}.lock")), "").unwrap();
    }
    let names =
        || std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(names().filter(|n| n.ends_with(".lock")).count(), 2, "ours, and the last old one");
    assert!(names().count() <= 3, "{:?}", names().collect::<Vec<_>>());
}
