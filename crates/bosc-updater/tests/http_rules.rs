//! The rules of a manifest over HTTPS: what a publisher signs and operators say is obeyed as over links, and what a server without the
//! key, an old file or a stolen operator's key can do is withhold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_policy::manifest::{application, head};
use bosc_policy::{About, Halt, Newest, Policy, Share, Signed, Statement, Statements};
use bosc_release::command::Stop;
use bosc_release::engine::{Engine, EngineConfig};
use bosc_release::event::Output;
use bosc_release::manifest::compose::{Compose, PLATFORMS, compose};
use bosc_release::operator::signed::{sign, to_text};
use bosc_release::operator::{Change, KeyHere, Work};
use bosc_release::request::Request;
use bosc_updater::http::{HttpOptions, HttpSource};
use bosc_updater::install::Reason;
use bosc_updater::release::Release;
use bosc_updater::source::{Guidance, HeldBy, Source, Standing};
use bosc_updater::{ErrorKind, Event, PublicKey, Started, UpdateError, UpdateSource, Updater};
use semver::Version;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::*;

const APP: &str = "hello";
const FILE: &str = "/m.json.bosc-statements";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Somebody with an operator's key.
struct Operator {
    key: KeyPair,
    counter: u64,
    link: [u8; 32],
}

impl Operator {
    fn new(seed: u8) -> Self {
        Self { key: KeyPair::from_seed(&[seed; 32]), counter: 0, link: application(APP) }
    }

    fn listed(&self) -> Value {
        json!({"key": id::encode(&self.key.public()), "may": ["refresh", "rollout", "halt", "recall"]})
    }

    fn signs(&mut self, newest: Option<Newest>, versions: Vec<About>, time: u64) -> Signed {
        self.counter += 1;
        let statement = Statement { link: self.link, counter: self.counter, time, newest, versions };
        Signed::new(&statement, &self.key).unwrap()
    }

    fn about(&mut self, version: &str, percent: Option<u64>, halt: Option<Halt>) -> Signed {
        let share = percent.map(|p| Share::from_hundredths(p * 100).unwrap());
        let versions = vec![About { version: version.parse().unwrap(), share, halt }];
        self.signs(None, versions, now())
    }
}

/// A server whose files can be changed, and a client of an application of some version.
struct World {
    dir: tempfile::TempDir,
    server: Server,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    standing: Arc<Mutex<Standing>>,
}

impl World {
    fn new() -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = Arc::clone(&files);
        let server = Server::start(Cert::Good, move |r| match served.lock().unwrap().get(r.path.as_str()) {
            Some(bytes) => answer(200, &[], bytes.clone()),
            None => answer(404, &[], "no such file"),
        });
        let standing = Standing { installed: Version::new(1, 0, 0), on_trial: false, kept: None };
        let dir = tempfile::tempdir().unwrap();
        let w = Self { dir, server, files, standing: Arc::new(Mutex::new(standing)) };
        w.put("/app", b"new build");
        w
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
    }

    fn offer(&self, manifest: &Value) {
        self.put("/m.json", manifest.to_string().as_bytes());
    }

    fn say(&self, statements: impl IntoIterator<Item = Signed>) {
        self.put(FILE, &statements.into_iter().collect::<Statements>().to_bytes());
    }

    fn ruled(&self, version: &str, policy: &Value) -> Value {
        self.with_text(version, &policy.to_string())
    }

    fn with_text(&self, version: &str, policy: &str) -> Value {
        Signing::new(7).ruled(version, &self.server.url("/app"), b"new build", APP, policy)
    }

    fn plain(&self, version: &str) -> Value {
        Signing::new(7).manifest(version, &self.server.url("/app"), b"new build")
    }

    fn options(&self) -> HttpOptions {
        let mut o = options(&self.server, &Signing::new(7));
        o.state = Some(self.dir.path().join("https.json"));
        o.device = Some([5; 16]);
        o.tries = 1;
        o.never_below_seen = true;
        let standing = Arc::clone(&self.standing);
        o.standing = Some(Arc::new(move || Ok(standing.lock().unwrap().clone())));
        o
    }

    fn client(&self) -> HttpSource {
        HttpSource::new(self.options()).unwrap()
    }

    fn stands(&self, installed: &str, on_trial: bool, kept: Option<&str>) {
        let kept = kept.map(|v| v.parse().unwrap());
        *self.standing.lock().unwrap() = Standing { installed: installed.parse().unwrap(), on_trial, kept };
    }

    /// What a check finds, and what follows, of a client in a new process.
    fn check(&self) -> (Result<Option<Release>, UpdateError>, Option<Guidance>) {
        self.check_with(&mut self.client())
    }

    fn check_with(
        &self,
        source: &mut HttpSource,
    ) -> (Result<Option<Release>, UpdateError>, Option<Guidance>) {
        let installed = self.standing.lock().unwrap().installed.clone();
        let found = source.check(&installed);
        (found, source.guidance())
    }

    fn finds(&self) -> Option<String> {
        self.check().0.unwrap().map(|release| release.version.to_string())
    }

    fn held(&self) -> HeldBy {
        let (found, guidance) = self.check();
        assert_eq!(found.unwrap(), None);
        let guidance = guidance.unwrap();
        assert_eq!(guidance.allowed, None);
        guidance.held.unwrap().by
    }

    fn refused(&self) -> String {
        let (found, _) = self.check();
        let e = found.unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::Refused | ErrorKind::Integrity), "{e:?}");
        assert!(e.next_step().is_some(), "{e:?}");
        e.to_string()
    }
}

#[test]
fn a_manifest_without_rules_is_as_it_was() {
    let w = World::new();
    w.offer(&w.plain("1.0.1"));
    let (found, guidance) = w.check();
    assert!(found.unwrap().is_some());
    assert_eq!(guidance, None);
    let asked: Vec<String> = w.server.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(asked, ["/m.json"], "nobody is asked");
    assert!(!w.dir.path().join("https.json.statements").exists());
}

#[test]
fn a_rollout_reaches_a_client_and_stays_there() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let policy = json!({"schema": 1, "time": now(), "operators": [operator.listed()], "rollout": 0,
        "mandatory": true, "minimumSystem": {"linux": "5.4"}, "notes": {"en": "Better."}});
    w.offer(&w.ruled("1.0.1", &policy));
    assert!(matches!(w.held(), HeldBy::Share { hundredths: 0, .. }));
    w.say([operator.about("1.0.1", Some(100), None)]);
    let mut source = w.client();
    let (found, guidance) = w.check_with(&mut source);
    let release = found.unwrap().unwrap();
    assert_eq!(release.notes.as_deref(), Some("Better."));
    assert!(source.terms().mandatory, "signed, unlike what a manifest says beside its rules");
    assert_eq!(guidance.unwrap().allowed, Some(Version::new(1, 0, 1)));
    let staged = source.fetch(&release, &w.dir.path().join("staging"), &mut |_| true).unwrap();
    assert_eq!(std::fs::read(staged.path).unwrap(), b"new build");
    // A server that withholds it now, or has something else in its place, takes nothing back.
    for other in [&b"<html>"[..], b"boscsays\x02", &[0; 40_000], b""] {
        w.put(FILE, other);
        assert_eq!(w.finds().as_deref(), Some("1.0.1"));
    }
    w.files.lock().unwrap().remove(FILE);
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
}

#[test]
fn halt_recall_and_lift_are_obeyed() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let policy = json!({"schema": 1, "time": now(), "operators": [operator.listed()], "recall": true});
    w.offer(&w.ruled("1.0.1", &policy));
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
    w.say([operator.about("1.0.1", None, Some(Halt::Halted))]);
    assert!(
        matches!(w.held(), HeldBy::Halt { operator: by, .. } if by == id::encode(&operator.key.public()))
    );
    // On trial it goes back; healthy, with a recall alone.
    w.stands("1.0.1", true, Some("1.0.0"));
    let guidance = w.check().1.unwrap();
    assert!(guidance.restore && guidance.taken_back == Some(Version::new(1, 0, 1)), "{guidance:?}");
    w.stands("1.0.1", false, Some("1.0.0"));
    assert!(!w.check().1.unwrap().restore);
    w.say([operator.about("1.0.1", None, Some(Halt::Recalled))]);
    assert!(w.check().1.unwrap().restore);
    w.stands("1.0.0", false, None);
    assert!(matches!(w.held(), HeldBy::Halt { .. }));
    w.say([operator.about("1.0.1", None, Some(Halt::Lifted))]);
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
}

/// Attack `strip`: a server leaves the rules out.
#[test]
fn rules_that_were_seen_cannot_be_taken_out() {
    let w = World::new();
    let policy = json!({"schema": 1, "time": now(), "rollout": 0});
    w.offer(&w.ruled("1.0.1", &policy));
    w.held();
    let mut stripped = w.ruled("1.0.1", &policy);
    stripped.as_object_mut().unwrap().remove("boscRules");
    for bad in [stripped.clone(), w.plain("1.0.1"), w.plain("1.0.2"), w.plain("1.0.0")] {
        w.offer(&bad);
        let (found, guidance) = w.check();
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Refused, "{bad}");
        assert_eq!(guidance, Some(Guidance::default()), "what was fetched before is not installed either");
    }
    // Whoever names the application needs not to have seen any.
    let w = World::new();
    w.offer(&stripped);
    let mut o = w.options();
    (o.app, o.require_bound) = (Some(APP.to_owned()), true);
    let e = HttpSource::new(o.clone()).unwrap().check(&Version::new(1, 0, 0)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity, "{e}");
    w.offer(&w.ruled("1.0.1", &json!({"schema": 1})));
    assert!(HttpSource::new(o).unwrap().check(&Version::new(1, 0, 0)).unwrap().is_some());
}

/// Attack `swap`: rules of another release, another application, another key, or changed.
#[test]
fn rules_of_another_release_are_not_taken() {
    let (strict, free) = (json!({"schema": 1, "rollout": 0}), json!({"schema": 1}));
    let platform = bosc_updater::manifest::platform_key();
    let swap = |change: &dyn Fn(&World, &mut Value)| {
        let w = World::new();
        let mut manifest = w.ruled("1.0.2", &strict);
        w.offer(&manifest);
        w.held();
        let w = World::new();
        change(&w, &mut manifest);
        w.offer(&manifest);
        w.refused()
    };
    swap(&|_, m| m["boscRules"]["policy"] = free.to_string().into());
    swap(&|_, m| m["boscRules"]["policy"] = "".into());
    swap(&|_, m| m["boscRules"]["app"] = "other".into());
    swap(&|_, m| m["boscRules"] = json!([]));
    swap(&|_, m| m["boscRules"] = json!({"app": APP}));
    swap(&|_, m| m["boscRules"]["policy"] = "x".repeat(70_000).into());
    swap(&|_, m| drop(m["platforms"][&platform].as_object_mut().unwrap().remove("boscSignature")));
    swap(&|_, m| drop(m["platforms"][&platform].as_object_mut().unwrap().remove("size")));
    // The rules of another version, with the signature that they came with.
    swap(&|w, m| {
        let other = w.ruled("1.0.1", &free);
        m["boscRules"] = other["boscRules"].clone();
        m["platforms"][&platform]["boscSignature"] = other["platforms"][&platform]["boscSignature"].clone();
    });
    // Another key.
    swap(&|w, m| {
        let other =
            Signing::new(8).ruled("1.0.2", &w.server.url("/app"), b"new build", APP, &free.to_string());
        m["boscRules"] = other["boscRules"].clone();
        m["platforms"][&platform]["boscSignature"] = other["platforms"][&platform]["boscSignature"].clone();
    });
    // Those of another application are not this one's, where the application has a name.
    let w = World::new();
    let mut o = w.options();
    o.app = Some("another".into());
    w.offer(&w.ruled("1.0.1", &free));
    assert!(HttpSource::new(o).unwrap().check(&Version::new(1, 0, 0)).is_err());
}

/// Attack `replay`: old rules, and old statements.
#[test]
fn what_is_older_than_what_was_seen_counts_for_nothing() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let mut stolen = Operator::new(78);
    let old = json!({"schema": 1, "time": 1_000, "operators": [stolen.listed()], "rollout": 0});
    let new = json!({"schema": 1, "time": 2_000, "operators": [operator.listed()], "rollout": 0});
    w.offer(&w.ruled("1.0.2", &new));
    let first = operator.about("1.0.2", Some(100), None);
    w.say([operator.about("1.0.2", None, Some(Halt::Halted))]);
    assert!(matches!(w.held(), HeldBy::Halt { .. }));
    // What the operator said before.
    w.say([first]);
    assert!(matches!(w.held(), HeldBy::Halt { .. }));
    // The release before, and the same one with the rules before, which name a key that was stolen since.
    w.say([stolen.about("1.0.2", Some(100), Some(Halt::Lifted))]);
    assert!(matches!(w.held(), HeldBy::Halt { .. }), "the rules of today do not name it");
    for replayed in [w.ruled("1.0.1", &old), w.ruled("1.0.2", &old)] {
        w.offer(&replayed);
        assert!(w.refused().contains("older than"), "{replayed}");
    }
    w.offer(&w.ruled("1.0.2", &new));
    assert!(matches!(w.held(), HeldBy::Halt { .. }));
}

/// Attacks `forged rollout` and `stolen operator's key`.
#[test]
fn an_operator_releases_nothing_and_a_stranger_says_nothing() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let policy = json!({"schema": 1, "time": now(), "operators": [operator.listed()], "rollout": 0});
    w.offer(&w.ruled("1.0.1", &policy));
    let mut stranger = Operator::new(78);
    let mut elsewhere = Operator { link: application("other"), ..Operator::new(77) };
    for forged in [stranger.about("1.0.1", Some(100), None), elsewhere.about("1.0.1", Some(100), None)] {
        w.say([forged]);
        assert!(matches!(w.held(), HeldBy::Share { hundredths: 0, .. }));
    }
    // With the key: what it names and the publisher did not sign is not there.
    w.say([operator.about("9.9.9", Some(100), None)]);
    w.held();
    let mut forged = w.ruled("9.9.9", &policy);
    forged["platforms"] =
        Signing::new(9).ruled("9.9.9", &w.server.url("/app"), b"new build", APP, "{}")["platforms"].clone();
    w.offer(&forged);
    w.refused();
}

/// Attack `freeze`: a server that goes on to offer an old manifest, with or without the newest statements.
#[test]
fn a_freeze_is_noticed() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let text = |time: u64| {
        json!({"schema": 1, "time": time, "freshness": 3_600, "operators": [operator.listed()]}).to_string()
    };
    let head_of = |version: &str, text: &str| head(version, text, &Policy::read(text.as_bytes()).unwrap());
    let (old, new) = (text(now() - 10_000), text(now() - 5_000));
    w.offer(&w.with_text("1.0.1", &old));
    assert_eq!(w.held(), HeldBy::Stale);
    let stale = w.check().1.unwrap().stale.unwrap();
    assert_eq!(stale.limit, Duration::from_secs(3_600));
    // Somebody says that it is the newest.
    w.say([operator.signs(Some(head_of("1.0.1", &old)), vec![], now())]);
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
    // Somebody says that another one is, which this server does not show.
    w.say([operator.signs(Some(head_of("1.0.2", &new)), vec![], now())]);
    assert_eq!(w.held(), HeldBy::Stale);
    assert!(w.check().1.unwrap().stale.is_some());
    w.offer(&w.with_text("1.0.2", &new));
    assert_eq!(w.finds().as_deref(), Some("1.0.2"));
    // From the future it says nothing.
    let w = World::new();
    let mut operator = Operator::new(77);
    w.offer(&w.with_text("1.0.1", &old));
    w.say([operator.signs(Some(head_of("1.0.1", &old)), vec![], now() + 3 * 24 * 3_600)]);
    assert_eq!(w.held(), HeldBy::Stale);
}

#[test]
fn a_publisher_says_that_there_are_no_rules_any_more() {
    let w = World::new();
    w.offer(&w.ruled("1.0.1", &json!({"schema": 1, "time": 5, "rollout": 0})));
    w.held();
    w.offer(&w.plain("1.0.2"));
    w.refused();
    w.offer(&w.with_text("1.0.2", ""));
    assert_eq!(w.finds().as_deref(), Some("1.0.2"));
    w.offer(&w.plain("1.0.3"));
    assert_eq!(w.finds().as_deref(), Some("1.0.3"));
    w.offer(&w.ruled("1.0.1", &json!({"schema": 1, "time": 5})));
    w.refused();
}

#[test]
fn rules_that_cannot_be_obeyed_stop_installs() {
    for policy in
        ["{\"schema\":2}", "{\"schema\":1,\"rollout\":\"all\"}", "{\"schema\":1,\"schema\":1}", "no"]
    {
        let w = World::new();
        w.offer(&w.with_text("1.0.1", policy));
        let (found, guidance) = w.check();
        assert!(found.is_err(), "{policy}");
        assert_eq!(guidance, Some(Guidance::default()), "{policy}");
    }
}

/// The statements of every address count, and a mirror that withholds them stops nothing.
#[test]
fn every_address_is_asked_for_statements() {
    let (w, other) = (World::new(), World::new());
    let mut operator = Operator::new(77);
    w.offer(&w.ruled("1.0.1", &json!({"schema": 1, "time": now(), "operators": [operator.listed()]})));
    other.put(FILE, &Statements::from_iter([operator.about("1.0.1", None, Some(Halt::Halted))]).to_bytes());
    let mut o = w.options();
    o.mirrors = vec![other.server.url("/m.json"), "https://127.0.0.1:1/m.json".into()];
    o.roots = bosc_updater::http::Roots::Only(vec![w.server.ca.clone(), other.server.ca.clone()]);
    let mut source = HttpSource::new(o).unwrap();
    assert_eq!(w.check_with(&mut source).0.unwrap(), None);
}

/// From `bosc updater manifest --policy` and `bosc halt MANIFEST` to a client.
#[test]
fn what_the_commands_write_is_what_clients_obey() {
    let w = World::new();
    let operator = Operator::new(77);
    let (deploy, www) = (w.dir.path().join("deploy"), w.dir.path().join("www"));
    let folder = PLATFORMS.iter().find(|(_, key)| *key == bosc_updater::manifest::platform_key()).unwrap().0;
    let app = deploy.join("by-arch").join(folder).join("app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("App"), "#!/bin/sh\n").unwrap();
    std::fs::write(deploy.join("package.json"), r#"{"name":"hello","version":"1.0.1"}"#).unwrap();
    let rules = json!({"schema": 1, "time": now() - 100, "operators": [operator.listed()], "rollout": 0, "freshness": 3_600});
    let compose_with = |rules: Option<&Value>, no_policy: bool| {
        if let Some(rules) = rules {
            std::fs::write(deploy.join("release.json"), rules.to_string()).unwrap();
        }
        let request = Compose {
            dir: deploy.clone(),
            out: Some(www.clone()),
            url_base: w.server.url("/"),
            manifest_name: "m.json".into(),
            policy: rules.map(|_| deploy.clone()),
            no_policy,
            ..Compose::default()
        };
        compose(
            &request,
            &bosc_release::manifest::keypair::KeyPair::from_seed(&[7; 32]),
            &mut |_: bosc_release::event::Event| {},
        )
    };
    let upload = || {
        for entry in std::fs::read_dir(&www).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            w.put(&format!("/{name}"), &std::fs::read(&path).unwrap());
        }
    };
    // Rules that say not when they were made are refused, and so are those that nobody could obey.
    for bad in [json!({"schema": 1}), json!({"schema": 1, "time": 5, "rollout": 101})] {
        assert_eq!(compose_with(Some(&bad), false).unwrap_err().code(), "ERR_INVALID_POLICY", "{bad}");
        assert!(!www.exists());
    }
    compose_with(Some(&rules), false).unwrap();
    upload();
    assert!(matches!(w.held(), HeldBy::Share { hundredths: 0, .. }));

    let manifest = www.join("m.json");
    let config = EngineConfig { store: w.dir.path().join("store"), ..EngineConfig::default() };
    let engine = Engine::open(&config).unwrap();
    let run = |work: Work| {
        engine.execute_request(
            &Request::Operator(work),
            &mut |_: bosc_release::event::Event| {},
            &Stop::new(),
        )
    };
    let prepare = |seed: u8, what: Change| {
        let key = id::encode(&KeyPair::from_seed(&[seed; 32]).public());
        let keys = vec![KeyHere { name: "night-shift".into(), key }];
        run(Work::PrepareFile { manifest: manifest.clone(), what, keys })
    };
    let rollout = |version: &str, share: u16| Change::Rollout { version: version.into(), share };
    assert_eq!(prepare(78, rollout("1.0.1", 10_000)).unwrap_err().code(), "ERR_NOT_ALLOWED");
    assert_eq!(prepare(77, rollout("1.0.2", 10_000)).unwrap_err().code(), "ERR_NOT_FOUND");
    let says = |what: Change| {
        let Output::Prepared(prepared) = prepare(77, what).unwrap() else { panic!("nothing was prepared") };
        let statement = prepared.statement.to_statement(application("hello")).unwrap();
        let record = to_text(&sign(&statement, &KeyPair::from_seed(&[77; 32])).unwrap());
        let say = || Work::SayFile { manifest: manifest.clone(), record: record.clone() };
        let Output::Stated(stated) = run(say()).unwrap() else { panic!("nothing was said") };
        assert!(stated.file.unwrap().ends_with("m.json.bosc-statements"));
        assert_eq!(run(say()).unwrap_err().code(), "ERR_STATEMENT_BEHIND", "once is enough");
        upload();
        statement.counter
    };
    assert_eq!(says(rollout("1.0.1", 10_000)), 1);
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
    assert_eq!(says(Change::Halt { version: "1.0.1".into(), recall: false }), 2);
    assert!(matches!(w.held(), HeldBy::Halt { .. }));
    assert_eq!(says(Change::Lift { version: "1.0.1".into() }), 3);
    assert_eq!(says(Change::Refresh), 4);
    assert_eq!(w.finds().as_deref(), Some("1.0.1"));
    // Without the file the counter goes on from the store; a damaged one is not taken for none.
    std::fs::remove_file(www.join("m.json.bosc-statements")).unwrap();
    assert_eq!(says(Change::Refresh), 5);
    std::fs::write(www.join("m.json.bosc-statements"), "<html>").unwrap();
    assert_eq!(prepare(77, Change::Refresh).unwrap_err().code(), "ERR_INTEGRITY");
    // No rules from here on.
    std::fs::write(deploy.join("package.json"), r#"{"name":"hello","version":"1.0.2"}"#).unwrap();
    compose_with(None, true).unwrap();
    upload();
    assert_eq!(w.finds().as_deref(), Some("1.0.2"));
}

/// The facade: the same events as over links.
#[test]
fn an_application_is_told_and_taken_back() {
    let w = World::new();
    let mut operator = Operator::new(77);
    let app = w.dir.path().join("App");
    std::fs::write(&app, "old build").unwrap();
    let policy =
        json!({"schema": 1, "time": now(), "operators": [operator.listed()], "rollout": 0, "recall": true});
    w.offer(&w.ruled("1.0.1", &policy));
    let client = |version: &str| {
        let key = PublicKey::base64(Signing::new(7).public());
        let source = UpdateSource::https(w.server.url("/m.json"), key).certificates([w.server.ca.clone()]);
        let started = Updater::builder("App", version.parse().unwrap(), source)
            .app(&app)
            .data_folder(w.dir.path().join("me"))
            .delay(Duration::ZERO)
            .check_automatically(false)
            .download_automatically(false)
            .start();
        let Started::Running(updater) = started else { panic!("it was rolled back") };
        let events = updater.events();
        (updater, events)
    };
    let told = |updater: &Updater, events: &bosc_updater::Events, wanted: &dyn Fn(&Event) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let _ = updater.check().wait();
            while let Some(event) = events.recv_timeout(Duration::from_millis(50)) {
                if wanted(&event) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "it did not come");
        }
    };
    let (updater, events) = client("1.0.0");
    told(
        &updater,
        &events,
        &|e| matches!(e, Event::Held(held) if matches!(held.by, HeldBy::Share { hundredths: 0, .. })),
    );
    w.say([operator.about("1.0.1", Some(100), None)]);
    let update = updater.check().wait().unwrap().unwrap();
    update.download(|_| ()).wait().unwrap();
    update.apply().wait().unwrap();
    assert_eq!(std::fs::read(&app).unwrap(), b"new build");
    updater.close();
    let (updater, events) = client("1.0.1");
    assert!(updater.mark_healthy().wait().unwrap());
    w.say([operator.about("1.0.1", None, Some(Halt::Recalled))]);
    told(&updater, &events, &|e| matches!(e, Event::RolledBack { reason: Reason::Recalled, .. }));
    assert_eq!(std::fs::read(&app).unwrap(), b"old build");
    updater.close();
}
