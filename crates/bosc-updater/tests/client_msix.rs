//! An application that Windows installed from an MSIX package, through the client that every other has. Windows is played by a stand-in
//! that takes the packages; that the real one does is not tested here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::install::msix::stand_in;
use bosc_updater::{ErrorKind, Event, Events, Outcome, PublicKey, Started, UpdateSource, Updater};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

fn package(version: &str) -> Vec<u8> {
    format!("PK\x03\x04 the package of {version}").into_bytes()
}

struct Bed {
    dir: tempfile::TempDir,
    server: Server,
    offered: Arc<Mutex<String>>,
    /// What Windows took, and what it says next.
    took: Arc<Mutex<Vec<Vec<u8>>>>,
    refuses: Arc<Mutex<Option<String>>>,
}

impl Bed {
    fn new() -> Self {
        let offered: Arc<Mutex<String>> = Arc::default();
        let (at, url) = (Arc::clone(&offered), Arc::new(Mutex::new(String::new())));
        let own = Arc::clone(&url);
        let server = Server::start(Cert::Good, move |r| {
            let version = at.lock().unwrap().clone();
            match r.path.as_str() {
                "/m.json" => {
                    let url = own.lock().unwrap().replace("VERSION", &version);
                    answer(200, &[], Signing::new(7).manifest(&version, &url, &package(&version)).to_string())
                }
                _ => serve_file(r, &package(&version)),
            }
        });
        *url.lock().unwrap() = server.url("/Demo-VERSION.msix");
        let dir = tempfile::tempdir().unwrap();
        let took = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let refuses = Arc::<Mutex<Option<String>>>::default();
        let (taken, refused) = (Arc::clone(&took), Arc::clone(&refuses));
        stand_in::set(dir.path().join("Local"), move |path| {
            if let Some(words) = refused.lock().unwrap().take() {
                return Err(words);
            }
            taken.lock().unwrap().push(std::fs::read(path).unwrap());
            Ok(())
        });
        Self { dir, server, offered, took, refuses }
    }

    fn offer(&self, version: &str) {
        version.clone_into(&mut self.offered.lock().unwrap());
    }

    /// Where Windows keeps this version.
    fn app(&self, version: &str) -> PathBuf {
        let folder = format!("WindowsApps/Example.Demo_{version}.0_x64__8wekyb3d8bbwe");
        let folder = self.dir.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let app = folder.join("Demo.exe");
        std::fs::write(&app, version).unwrap();
        app
    }

    /// The application of this version starts.
    fn start(&self, version: &str) -> Started {
        let key = PublicKey::base64(Signing::new(7).public());
        let source =
            UpdateSource::https(self.server.url("/m.json"), key).certificates([self.server.ca.clone()]);
        Updater::builder("Demo.msix", version.parse().unwrap(), source)
            .app(self.app(version))
            .data_folder(self.dir.path().join("data"))
            .delay(Duration::ZERO)
            .start()
    }

    fn runs(&self, version: &str) -> (Updater, Events) {
        let Started::Running(updater) = self.start(version) else { panic!("{version} was rolled back") };
        let events = updater.events();
        (updater, events)
    }

    fn took(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.took.lock().unwrap())
    }
}

fn until<T>(events: &Events, mut take: impl FnMut(Event) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    while Instant::now() < deadline {
        if let Some(found) = events.recv_timeout(Duration::from_secs(1)).and_then(&mut take) {
            return found;
        }
    }
    panic!("it did not come");
}

fn updated(event: Event) -> Option<String> {
    match event {
        Event::Updated(update) => Some(update.version().to_string()),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

#[test]
fn a_packaged_application_is_updated_and_rolled_back_like_every_other() {
    let bed = Bed::new();

    // 1.0.0 finds 1.0.1. Windows says no once: what is installed stays, and it is offered again.
    bed.offer("1.0.1");
    let (updater, events) = bed.runs("1.0.0");
    assert_eq!(until(&events, updated), "1.0.1");
    *bed.refuses.lock().unwrap() = Some("Deployment failed with HRESULT: 0x80073D02".to_owned());
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(bed.took(), Vec::<Vec<u8>>::new());
    let applied = updater.apply_update().wait().unwrap();
    assert_eq!((applied.version.to_string(), applied.previous.to_string()), ("1.0.1".into(), "1.0.0".into()));
    assert_eq!(bed.took(), [package("1.0.1")]);
    // It takes effect when the application has ended, and nobody watches.
    assert_eq!(updater.restart().unwrap(), Outcome::WhenEnded);
    drop(updater);
    assert_eq!(
        std::fs::read(bed.app("1.0.0")).unwrap(),
        b"1.0.0",
        "nothing beside the application is touched"
    );
    let beside = bed.app("1.0.0").parent().unwrap().to_owned();
    assert_eq!(std::fs::read_dir(beside).unwrap().count(), 1);

    // 1.0.1 starts and works.
    let (updater, events) = bed.runs("1.0.1");
    assert!(updater.mark_healthy().wait().unwrap(), "it was on trial");
    bed.offer("1.0.2");
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.2");
    updater.apply_update().wait().unwrap();
    assert_eq!(bed.took(), [package("1.0.2")]);
    drop((updater, events));

    // 1.0.2 never says a word: after three starts Windows gets 1.0.1 back.
    for _ in 0..3 {
        let (updater, _) = bed.runs("1.0.2");
        drop(updater);
    }
    assert_eq!(bed.took(), Vec::<Vec<u8>>::new());
    let Started::RolledBack(failed) = bed.start("1.0.2") else { panic!("it is not rolled back") };
    assert_eq!(
        (failed.version().to_string(), failed.restored().to_string()),
        ("1.0.2".into(), "1.0.1".into())
    );
    assert_eq!(bed.took(), [package("1.0.1")]);
    let e = failed.restart().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "the person starts it: {e}");

    // 1.0.1 runs again, and hears of it once; 1.0.2 is not taken again, 1.0.3 is.
    let (updater, events) = bed.runs("1.0.1");
    let rolled_back = until(&events, |e| match e {
        Event::RolledBack { version, restored, .. } => Some((version.to_string(), restored.to_string())),
        _ => None,
    });
    assert_eq!(rolled_back, ("1.0.2".into(), "1.0.1".into()));
    let refused = until(&events, |e| match e {
        Event::Error(e) => Some(e.kind()),
        Event::Updated(update) => panic!("{update:?}"),
        _ => None,
    });
    assert_eq!(refused, ErrorKind::Refused);
    bed.offer("1.0.3");
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.3");
    drop((updater, events));

    // A program that did not come in a package does not take one.
    stand_in::unset();
    let (updater, events) = bed.runs("1.0.0");
    let kind = until(&events, |e| match e {
        Event::Error(e) => Some(e.kind()),
        Event::Updated(update) => panic!("{update:?}"),
        _ => None,
    });
    assert_eq!(kind, ErrorKind::Unsupported);
    drop(updater);
}
