//! A download that goes on, and what ends that.

use super::*;

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
    assert_eq!(e.to_string(), "updater: the server does not resume the download");
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
