//! The HTTPS source as the field has it: proxies, authorities of companies, servers that want to know who asks, several servers,
//! servers that decide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use bosc_updater::http::{ClientCertificate, Header, HttpOptions, HttpSource, Proxies, Roots};
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, UpdateError};
use proxy::Proxy;
use semver::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::*;

const OLD: Version = Version::new(1, 0, 0);

/// A server for names that only a proxy knows; its artifact is at another name.
fn elsewhere() -> (Server, String) {
    let server = Server::start(Cert::Example, |r| match r.path.as_str() {
        "/m.json" => {
            let host = r.header("host").unwrap().replace("updates.", "cdn.");
            let url = format!("https://{host}/app");
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url, b"new").to_string())
        }
        _ => serve_file(r, b"new"),
    });
    let port = server.port;
    (server, format!("https://updates.example:{port}/m.json"))
}

fn update(o: HttpOptions) -> Result<Vec<u8>, UpdateError> {
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(o)?;
    let release = source.check(&OLD)?.expect("an update");
    let staged = source.fetch(&release, dir.path(), &mut |_| true)?;
    Ok(std::fs::read(&staged.path).unwrap())
}

fn proxied(server: &Server, url: &str, variables: &[(&str, String)]) -> HttpOptions {
    let mut o = options(server, &Signing::new(7));
    o.manifest_url = url.to_owned();
    o.tries = 1;
    o.headers = vec![header(url, "Authorization", "Bearer secret")];
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    o.proxies = Proxies::from_variables(|name| {
        variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    });
    o
}

#[test]
fn a_proxy_of_every_kind_is_used() {
    let (server, url) = elsewhere();
    for (variable, scheme, said) in [
        ("ALL_PROXY", "socks5h", "socks5"),
        ("HTTPS_PROXY", "socks5h", "socks5"),
        ("https_proxy", "socks4a", "socks4"),
        ("all_proxy", "http", "connect"),
    ] {
        let proxy = Proxy::to(server.port);
        let address = format!("{scheme}://127.0.0.1:{}", proxy.port);
        assert_eq!(update(proxied(&server, &url, &[(variable, address)])).unwrap(), b"new", "{scheme}");
        let hosts = ["updates.example", "cdn.example"].map(|host| format!("{said} {host}"));
        assert_eq!(proxy.asked(), hosts, "{scheme}: manifest and artifact");
        let heard: Vec<bool> =
            server.requests().iter().map(|r| r.header("authorization").is_some()).collect();
        assert!(
            heard.chunks(2).all(|pair| pair == [true, false]),
            "one server hears the token, and no proxy: {heard:?}"
        );
    }
    // With a password; and by an address, which is not resolved by anybody.
    let proxy = Proxy::to(server.port);
    let address = format!("socks5://me:p%40ss@127.0.0.1:{}", proxy.port);
    let url = format!("https://192.0.2.1:{}/m.json", server.port);
    assert_eq!(update(proxied(&server, &url, &[("ALL_PROXY", address)])).unwrap(), b"new");
    assert_eq!(proxy.asked()[0], "socks5 me:p@ss@192.0.2.1");
}

#[test]
fn a_proxy_that_was_named_is_never_bypassed() {
    let (server, url) = elsewhere();
    for bad in ["socks9://127.0.0.1:1", "nonsense://x", "socks5h://"] {
        let e = update(proxied(&server, &url, &[("ALL_PROXY", bad.to_owned())])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input, "{bad}: {e}");
        assert!(e.to_string().contains("ALL_PROXY"), "{e}");
    }
    // Nobody listens at the proxy's port.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for scheme in ["socks5", "socks5h", "socks4", "socks4a", "http", "https"] {
        let address = format!("{scheme}://127.0.0.1:{closed}");
        let url = format!("https://192.0.2.1:{}/m.json", server.port);
        let e = update(proxied(&server, &url, &[("HTTPS_PROXY", address)])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Network, "{scheme}: {e}");
        assert!(e.to_string().contains("HTTPS_PROXY"), "{e}");
        // The proxy's port does; that address would not answer.
        assert!(e.causes().iter().any(|cause| cause.contains("refused")), "{scheme}: {:?}", e.causes());
    }
    assert!(server.requests().is_empty());
    // What is excepted goes without, and nothing else.
    let proxy = Proxy::to(server.port);
    let address = format!("socks5h://127.0.0.1:{}", proxy.port);
    let variables = [("ALL_PROXY", address), ("NO_PROXY", "cdn.example".to_owned())];
    let e = update(proxied(&server, &url, &variables)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Network, "cdn.example is no name that anybody knows: {e}");
    assert_eq!(proxy.asked(), ["socks5 updates.example"]);
}

#[test]
fn a_companys_authority_is_added_to_the_others() {
    let server = Server::start(Cert::Good, |r| match r.path.as_str() {
        "/m.json" => {
            let url = format!("https://{}/app", r.header("host").unwrap());
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url, b"new").to_string())
        }
        _ => serve_file(r, b"new"),
    });
    for (roots, good) in [
        (Roots::System, false),
        (Roots::SystemAnd(vec![Authority::new().der]), false),
        (Roots::SystemAnd(vec![Authority::new().der, server.ca.clone()]), true),
        (Roots::BundledAnd(vec![server.ca.clone()]), true),
        (Roots::Only(vec![server.ca.clone()]), true),
    ] {
        let mut o = options(&server, &Signing::new(7));
        o.roots = roots;
        let updated = update(o.clone());
        assert_eq!(updated.is_ok(), good, "{:?} {updated:?}", o.roots);
    }
}

/// Does nothing unless a test started it: an application that says nothing about proxies and authorities.
#[test]
fn child_that_updates() {
    let Ok(url) = std::env::var("BOSC_TEST_URL") else { return };
    let mut o = HttpOptions::new(url, Signing::new(7).public());
    o.tries = 1;
    let another = || vec![Authority::new().der];
    o.roots = match std::env::var("BOSC_TEST_ROOTS").as_deref() {
        Ok("system-and") => Roots::SystemAnd(another()),
        Ok("bundled") => Roots::Bundled,
        Ok("bundled-and") => Roots::BundledAnd(another()),
        Ok("only") => Roots::Only(another()),
        _ => o.roots,
    };
    match update(o) {
        Ok(bytes) => assert_eq!(bytes, b"new"),
        // What ended it, for the test that started this.
        Err(e) => panic!("ended by {e}"),
    }
}

/// What the environment says counts without a word of the application.
#[test]
fn the_environment_is_heeded_by_default() {
    let (server, url) = elsewhere();
    let proxy = Proxy::to(server.port);
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("ca.pem");
    let text = data_encoding::BASE64.encode(&server.ca);
    std::fs::write(&pem, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"))
        .unwrap();
    let works = |variables: &[(&str, &str)]| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["child_that_updates", "--exact"]).env("BOSC_TEST_URL", &url);
        for name in [
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            child.env_remove(name);
        }
        let output = child.envs(variables.iter().copied()).output().unwrap();
        let told =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => assert!(told.contains("1 passed"), "{told}"),
            false => assert!(told.contains("ended by updater: "), "{told}"),
        }
        output.status.success()
    };
    let (all, pem) = (format!("socks5h://127.0.0.1:{}", proxy.port), pem.to_str().unwrap());
    assert!(works(&[("ALL_PROXY", &all), ("SSL_CERT_FILE", pem)]));
    assert!(!works(&[("ALL_PROXY", &all)]), "nobody vouches for the server");
    for (roots, good) in [("system-and", true), ("bundled", false), ("bundled-and", false), ("only", false)] {
        let variables = [("ALL_PROXY", &*all), ("SSL_CERT_FILE", pem), ("BOSC_TEST_ROOTS", roots)];
        assert_eq!(works(&variables), good, "{roots}");
    }
    assert!(!works(&[("SSL_CERT_FILE", pem)]), "nobody knows its name");
    assert!(!works(&[("ALL_PROXY", &all), ("SSL_CERT_FILE", pem), ("NO_PROXY", "example")]));
}

fn header(server: &str, name: &str, value: &str) -> Header {
    Header { server: server.into(), name: name.into(), value: value.into() }
}

/// Where a redirect or the manifest leads, no other server hears what was said to the first one.
#[test]
fn headers_and_tokens_stay_with_the_server_they_were_given_for() {
    let other = Server::start(Cert::Good, |r| serve_file(r, b"new"));
    let far = other.url("/far");
    let server = Server::start(Cert::Good, move |r| {
        let here = |path: &str| format!("https://{}{path}", r.header("host").unwrap());
        match r.path.as_str() {
            _ if r.header("authorization") != Some("Bearer secret") => answer(401, &[], ""),
            "/m.json" => answer(302, &[("location", "/there.json")], ""),
            "/there.json" => {
                answer(200, &[], Signing::new(7).manifest("1.0.1", &here("/app"), b"new").to_string())
            }
            _ => answer(302, &[("location", &far)], ""),
        }
    });
    let mut o = options(&server, &Signing::new(7));
    o.roots = Roots::Only(vec![server.ca.clone(), other.ca.clone()]);
    let e = update(o.clone()).unwrap_err();
    assert!(e.to_string().contains("401"), "{e}");
    o.headers = vec![
        header(&o.manifest_url, "Authorization", "Bearer secret"),
        header(&o.manifest_url, "X-Licence", "7"),
    ];
    assert_eq!(update(o.clone()).unwrap(), b"new");
    let seen = server.requests();
    assert!(seen.iter().skip(1).all(|r| r.header("x-licence") == Some("7")), "{seen:?}");
    let heard = other.requests();
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].header("authorization").is_none() && heard[0].header("x-licence").is_none(),
        "{heard:?}"
    );
    // Unless it was given for that one as well.
    o.headers.push(header(&other.url("/"), "X-Cdn", "8"));
    assert_eq!(update(o).unwrap(), b"new");
    let last = other.requests().pop().unwrap();
    assert!(last.header("x-cdn") == Some("8") && last.header("authorization").is_none(), "{last:?}");
}

#[test]
fn an_authority_that_nobody_knows_can_be_named_as_the_hint_says() {
    let server = Server::start(Cert::Good, |r| serve_file(r, b"new"));
    let mut o = options(&server, &Signing::new(7));
    (o.tries, o.roots) =
        (1, Roots::Only(vec![Server::start(Cert::Good, |r| serve_file(r, b"x")).ca.clone()]));
    let e = update(o).unwrap_err();
    assert!(e.to_string().contains("certificate"), "{e}");
    let hint = e.next_step().unwrap();
    assert!(hint.contains("`--ca FILE`") && hint.contains("`add_certificates`"), "{hint}");
}

#[test]
fn a_client_certificate_is_shown_to_the_server_it_was_given_for() {
    let clients = Authority::new();
    let other = Server::start_for(Cert::Good, Clients::Asked, &clients, |r| serve_file(r, b"new"));
    let far = other.url("/app");
    // The artifact is at the same server first: its connections are not those of the other one.
    let server = Server::start_for(Cert::Good, Clients::Known, &clients, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = format!("https://{}/app", r.header("host").unwrap());
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url, b"new").to_string())
        }
        _ => answer(302, &[("location", &far)], ""),
    });
    let mut o = options(&server, &Signing::new(7));
    o.tries = 1;
    o.roots = Roots::Only(vec![server.ca.clone(), other.ca.clone()]);
    assert_eq!(update(o.clone()).unwrap_err().kind(), ErrorKind::Network, "without one nobody is let in");
    let (certificate, key) = clients.client();
    let both = format!("{certificate}{key}");
    for (certificate, key) in [(&certificate, &key), (&both, &both)] {
        let known = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        o.client_certificate = Some((o.manifest_url.clone(), known));
        assert_eq!(update(o.clone()).unwrap(), b"new");
    }
    assert!(server.requests().iter().all(|r| r.client));
    assert!(!other.requests().is_empty() && other.requests().iter().all(|r| !r.client));
    let (_, another) = clients.client();
    for (certificate, key) in [(&certificate, &another), (&key, &key), (&certificate, &certificate)] {
        let e = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input, "{e}");
    }
}

/// The next address is asked when one gives nothing that can be used, and not when it says that there is nothing.
#[test]
fn several_addresses_are_asked_in_order() {
    let manifest =
        |server: &str, version: &str| Signing::new(7).manifest(version, server, b"new").to_string();
    let good = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = format!("https://{}/app", r.header("host").unwrap());
            answer(200, &[], manifest(&url, "1.0.1"))
        }
        _ => serve_file(r, b"new"),
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = format!("https://localhost:{closed}/m.json");
    let broken = Server::start(Cert::Good, |_| answer(503, &[], ""));
    let forged = Server::start(Cert::Good, move |_| {
        answer(200, &[], Signing::new(9).manifest("9.0.0", "https://localhost/x", b"evil").to_string())
    });
    let portal = Server::start(Cert::Good, |_| answer(200, &[], "<html>"));
    let cas: Vec<Vec<u8>> = [&good, &broken, &forged, &portal].iter().map(|s| s.ca.clone()).collect();
    let with = |first: String, mirrors: &[String]| {
        let mut o = options(&good, &Signing::new(7));
        o.roots = Roots::Only(cas.clone());
        o.manifest_url = first;
        o.mirrors = mirrors.to_vec();
        o
    };
    for first in [down.clone(), broken.url("/m.json"), forged.url("/m.json"), portal.url("/m.json")] {
        let before = Instant::now();
        assert_eq!(update(with(first.clone(), &[good.url("/m.json")])).unwrap(), b"new", "{first}");
        assert!(before.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(broken.asked("/m.json"), 1, "the next one is asked before the same one again");
    let all = [broken.url("/m.json"), forged.url("/m.json"), good.url("/m.json")];
    assert_eq!(update(with(down.clone(), &all)).unwrap(), b"new");
    // Nothing helps: it is an error as the first one's, and what each said is told.
    let e = update(with(forged.url("/m.json"), &[down.clone(), portal.url("/m.json")])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity, "{e}");
    let told = e.causes();
    let said =
        |n: usize| told[n - 1].strip_prefix(&format!("endpoint {n} (localhost): ")).unwrap().to_owned();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        said(1).contains("signature") && said(2).contains("refused") && said(3).contains("web page"),
        "{told:?}"
    );
    let many = vec![portal.url("/m.json?token=hunter2"); 30];
    let told = update(with(down.clone(), &many)).unwrap_err();
    assert!(
        told.causes().len() <= 8 && told.to_string().contains("31 endpoints"),
        "{told} {:?}",
        told.causes()
    );
    assert!(!format!("{told:?}").contains("hunter2"), "an address may hold a secret");
    let asked = forged.requests().len();
    assert_eq!(update(with(good.url("/m.json"), &[forged.url("/m.json")])).unwrap(), b"new");
    let old = Server::start(Cert::Good, |_| answer(204, &[], ""));
    let mut o = with(old.url("/m.json"), &[forged.url("/m.json")]);
    o.roots = Roots::Only(vec![old.ca.clone(), forged.ca.clone()]);
    assert!(HttpSource::new(o).unwrap().check(&OLD).unwrap().is_none());
    assert_eq!(forged.requests().len(), asked, "it was not needed");
}

/// What one address said is told to no other, and who ends a check ends it for all of them.
#[test]
fn an_etag_and_the_end_of_a_check_are_for_all_addresses_what_they_are_for_one() {
    let state = Arc::new(AtomicU32::new(0));
    let (now, stalled) = (Arc::clone(&state), Arc::new(AtomicU32::new(0)));
    let waits = Arc::clone(&stalled);
    let manifest = || Signing::new(7).manifest("1.0.1", "https://localhost/x", b"new").to_string();
    let first = Server::start(Cert::Good, move |_| match now.load(Ordering::SeqCst) {
        0 => answer(200, &[("etag", "\"1\"")], manifest()),
        1 => answer(503, &[], ""),
        _ => {
            waits.fetch_add(1, Ordering::SeqCst);
            Answer { body: Body::Stall { declared: 1000, sent: Vec::new() }, ..answer(200, &[], "") }
        }
    });
    let second = Server::start(Cert::Good, move |_| answer(200, &[], manifest()));
    let mut o = options(&first, &Signing::new(7));
    o.mirrors = vec![second.url("/m.json")];
    o.roots = Roots::Only(vec![first.ca.clone(), second.ca.clone()]);
    let mut source = HttpSource::new(o).unwrap();
    assert!(source.check(&OLD).unwrap().is_some() && second.requests().is_empty());
    state.store(1, Ordering::SeqCst);
    assert!(source.check(&OLD).unwrap().is_some());
    assert!(first.requests()[1].header("if-none-match").is_some());
    assert!(second.requests()[0].header("if-none-match").is_none());
    state.store(2, Ordering::SeqCst);
    let handle = source.cancel_handle();
    let ended = std::thread::scope(|scope| {
        let checking = scope.spawn(|| source.check(&OLD).unwrap_err().kind());
        while stalled.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        handle.cancel();
        checking.join().unwrap()
    });
    assert_eq!((ended, second.requests().len()), (ErrorKind::Cancelled, 1));
}

#[test]
fn a_server_may_decide_by_who_asks() {
    let server = Server::start(Cert::Good, |r| {
        let host = r.header("host").unwrap();
        match r.path.as_str() {
            "/linux/x86_64/1.0.0-rc.1%2B7?v=1.0.0-rc.1%2B7" => {
                let url = format!("https://{host}/app");
                let manifest = Signing::new(7).manifest("1.0.1", &url, b"new").to_string();
                answer(200, &[], manifest.replace(&bosc_updater::manifest::platform_key(), "linux-x86_64"))
            }
            "/app" => serve_file(r, b"new"),
            _ => answer(204, &[], ""),
        }
    });
    let mut o = options(&server, &Signing::new(7));
    o.platform = "linux-x86_64".into();
    o.manifest_url = server.url("/{{target}}/{{arch}}/{{current_version}}?v={{current_version}}");
    assert!(
        HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap().is_none(),
        "204 says that there is none"
    );
    o.current = Some("1.0.0-rc.1+7".parse().unwrap());
    assert_eq!(update(o.clone()).unwrap(), b"new");
    o.manifest_url = server.url("/{{version}}");
    assert_eq!(HttpSource::new(o).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn a_download_is_no_faster_than_it_may_be_and_can_be_ended_meanwhile() {
    let bytes = noise(60_000);
    let served = bytes.clone();
    let count = Arc::new(AtomicU32::new(0));
    let (asked, size) = (Arc::clone(&count), bytes.clone());
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = format!("https://{}/app", r.header("host").unwrap());
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url, &size).to_string())
        }
        _ => {
            asked.fetch_add(1, Ordering::SeqCst);
            serve_file(r, &served)
        }
    });
    let mut o = options(&server, &Signing::new(7));
    o.max_rate = Some(30_000);
    let begun = Instant::now();
    assert_eq!(update(o.clone()).unwrap(), bytes);
    assert!(begun.elapsed() >= Duration::from_millis(1800), "{:?}", begun.elapsed());
    // Ten minutes, if nobody ended it.
    o.max_rate = Some(100);
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let begun = Instant::now();
    let e =
        source.fetch(&release, dir.path(), &mut |_| begun.elapsed() < Duration::from_secs(1)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}
