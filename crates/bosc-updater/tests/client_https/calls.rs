//! Checks, downloads, answers and events.

use super::*;

/// A person who looks again ends the check that runs: that is no fault of the network.
#[test]
fn a_check_that_the_next_one_ends_is_no_error() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.0"));
    let (updater, events) = start(bed.options("me"));
    for _ in 0..400 {
        updater.check_now();
        std::thread::sleep(Duration::from_micros(700));
    }
    bed.offer(&bed.manifest("1.0.1"));
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.1");
    updater.close();
}

#[test]
fn a_server_that_says_nothing_holds_nobody_up() {
    let bed = Bed::new();
    let (updater, _events) = start(bed.options("me"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while bed.server.asked("/m.json") == 0 {
        assert!(Instant::now() < deadline, "it does not ask");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It waits for an answer; whoever wants something meanwhile gets it.
    let start = Instant::now();
    assert!(!updater.mark_healthy().wait().unwrap());
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Refused);
    updater.close();
    // Without being let go it would be the server's ten seconds, four times.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_stops_in_the_middle_holds_nobody_up() {
    let bed = Bed::new();
    bed.offer(&Signing::new(7).manifest("1.0.1", &bed.server.url("/slow"), b"new build"));
    let (updater, _events) = start(bed.options("me"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while bed.server.sent.load(std::sync::atomic::Ordering::SeqCst) < 3 || bed.server.asked("/slow") == 0 {
        assert!(Instant::now() < deadline, "it does not fetch");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert!(!updater.mark_healthy().wait().unwrap());
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Refused);
    updater.close();
    // Without being let go it would be the server's ten seconds, four times.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn what_cannot_be_is_said_at_the_start() {
    let bed = Bed::new();
    let (url, key) = (bed.server.url("/m.json"), PublicKey::base64(Signing::new(7).public()));
    let wrong = |url: &str, keys: &[PublicKey]| {
        let source = UpdateSource::from_upgrade(url, keys.iter().cloned());
        let builder = bed.builder("me", "1.0.0", source);
        let e = builder.validate().unwrap_err();
        // Who does not ask is told, and runs.
        let (updater, events) = start(builder);
        assert_eq!(events.recv_timeout(Duration::from_secs(5)), Some(Event::Error(e.clone())));
        assert_eq!(updater.check().wait().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!updater.mark_healthy().wait().unwrap());
        assert_eq!(updater.quit().unwrap(), None);
        e
    };
    let none = wrong(&url, &[]);
    assert_eq!(none.kind(), ErrorKind::Input);
    assert!(none.next_step().unwrap().contains("public"), "{:?}", none.next_step());
    assert_eq!(wrong(&url, &[PublicKey::base64("abc")]).kind(), ErrorKind::Input);
    assert_eq!(wrong("http://example.com/m.json", std::slice::from_ref(&key)).kind(), ErrorKind::Refused);
    assert_eq!(wrong("https://", &[key]).kind(), ErrorKind::Refused);
    assert!(!folder_has_anything(&bed.dir.path().join("me/bosc-updater/p2p")));
}

/// As a menu entry does it: nothing happens that was not asked for.
#[test]
fn checked_downloaded_and_applied_by_hand() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let builder = bed.options("me").check_automatically(false).download_automatically(false);
    let (updater, events) = start(builder);
    assert_eq!(events.recv_timeout(Duration::from_millis(500)), None);
    assert_eq!(bed.server.asked("/m.json"), 0, "nobody asked");
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!((update.version().to_string().as_str(), update.notes()), ("1.0.1", Some("what is new")));
    assert_eq!(
        until(&events, |event| matches!(event, Event::Available(_)).then_some(event)),
        Event::Available(update.clone())
    );
    assert_eq!(bed.server.asked("/app"), 0, "nobody asked");
    assert_eq!(update.apply().wait().unwrap_err().kind(), ErrorKind::Refused, "it is not here");
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let told = Arc::clone(&seen);
    update.download(move |p| told.lock().unwrap().push(p.bytes)).wait().unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&9), "{seen:?}");
    update.download(|_| panic!("it is here")).wait().unwrap();
    assert_eq!(update.apply().wait().unwrap().version.to_string(), "1.0.1");
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    assert_eq!(updater.check().wait().unwrap(), None, "it is installed");
    assert_eq!(updater.quit().unwrap(), None, "nothing is left to put in place");
}

/// What is awaited on no runtime at all, and as a stream.
#[test]
fn answers_and_events_are_plain_futures() {
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    #[allow(unused_mut)]
    let (updater, mut events) = start(bed.options("me"));
    let version = {
        let work = async {
            let update = updater.check().await.unwrap().unwrap();
            update.download(|_| ()).await.unwrap();
            update.apply().await.unwrap();
            loop {
                #[cfg(feature = "stream")]
                let event = {
                    use futures_core::Stream;
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut events).poll_next(cx)).await
                };
                #[cfg(not(feature = "stream"))]
                let event = events.recv_async().await;
                if let Some(Event::Applied { version, .. }) = event {
                    return version.to_string();
                }
            }
        };
        let mut work = pin!(work);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let begun = Instant::now();
        loop {
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(version) => break version,
                Poll::Pending => std::thread::park_timeout(Duration::from_secs(60)),
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing woke it");
        }
    };
    assert_eq!(version, "1.0.1");
    updater.close();
    assert!(events.next().is_none_or(|event| !matches!(event, Event::Error(_))));
}
