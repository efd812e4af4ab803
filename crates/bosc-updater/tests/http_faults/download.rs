//! One download: lengths, time, errors of a server.

use super::*;
use std::sync::atomic::AtomicBool;

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
        assert!(e.to_string().contains("instead of the promised"), "{e}");
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
fn a_server_that_drips_is_given_up_and_what_came_is_kept() {
    let bytes = noise(100_000);
    let served = bytes.clone();
    let drips = Arc::new(AtomicBool::new(true));
    let dripping = drips.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| {
        let whole = serve_file(r, &served);
        if !dripping.load(Ordering::SeqCst) {
            return whole;
        }
        let Body::Bytes(rest) = whole.body else { panic!("a file is bytes") };
        Answer { body: Body::Slow { bytes: rest, piece: 10, wait: Duration::from_millis(50) }, ..whole }
    });
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    // Each read gives something, so the idle limit never strikes, and the total is hours away.
    o.slow_after = Duration::from_millis(500);
    o.total_timeout = Duration::from_secs(3600);
    let tries = o.tries as usize;
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = fetch(&mut source, &release, dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "{e}");
    assert!(e.to_string().contains("bytes in"), "{e}");
    assert_eq!(server.asked("/app"), tries, "each slow answer was one try");
    drips.store(false, Ordering::SeqCst);
    let staged = fetch(&mut source, &release, dir.path()).unwrap();
    assert_eq!(std::fs::read(staged.path).unwrap(), bytes);
    let last = server.requests().pop().unwrap();
    assert!(last.header("range").is_some(), "what came was kept");
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
