//! Where it may come from.

use super::*;

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
        ("nowhere", "redirects without an address"),
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
