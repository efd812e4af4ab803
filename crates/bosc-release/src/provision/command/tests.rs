//! Targets in every state, without a network: all drives are of one store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::command::Stop;
use crate::engine::drive::parse_link;
use crate::engine::{Engine, EngineConfig};
use crate::error::CommandError;
use crate::event::{Event, Output};
use crate::provision::Provision;
use crate::request::Request;
use crate::stage::Stage;
use crate::stage::tests::noise;
use crate::touch::Touch;
use bosc_store::Core;
use serde_json::Value;
use std::path::Path;

struct Fixture {
    dir: tempfile::TempDir,
    engine: Engine,
}

type Events = Vec<(String, Value)>;

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("app")).unwrap();
        let config = EngineConfig {
            store: dir.path().join("store"),
            // Nothing here may ask anybody.
            bootstrap: vec!["127.0.0.1:1".into()],
            relay: Vec::new(),
            primary_key: None,
            ..EngineConfig::default()
        };
        Self { engine: Engine::open(&config).unwrap(), dir }
    }

    fn run(&self, request: &Request) -> (Result<Value, CommandError>, Events) {
        let mut events = Vec::new();
        let mut sink = |event: Event| events.push(event.parts());
        let outcome = self.engine.execute_request(request, &mut sink, &Stop::new()).map(|o| data(&o));
        (outcome, events)
    }

    fn touch(&self) -> String {
        text(&self.run(&Request::Touch(Touch::default())).0.unwrap(), "link")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.app().join(name), content).unwrap();
    }

    fn app(&self) -> std::path::PathBuf {
        self.dir.path().join("app")
    }

    fn stage(&self, link: &str, version: &str) -> String {
        self.write("package.json", format!("{{\"name\":\"a\",\"version\":\"{version}\"}}"));
        self.stage_dir(link, &self.app())
    }

    fn stage_dir(&self, link: &str, dir: &Path) -> String {
        let stage = Stage { link: link.into(), dir: dir.to_owned(), ..Stage::default() };
        text(&self.run(&Request::Stage(stage)).0.unwrap(), "verlink")
    }

    fn try_provision(
        &self,
        source: &str,
        target: &str,
        production: &str,
    ) -> (Result<Value, CommandError>, Events) {
        self.run(&Request::Provision(Provision {
            newest: false,
            source: source.into(),
            target: target.into(),
            production: production.into(),
            timeout_ms: 500,
            ..Provision::default()
        }))
    }

    fn provision(&self, source: &str, target: &str, production: &str) -> Value {
        self.try_provision(source, target, production).0.unwrap()
    }

    fn refused(&self, source: &str, target: &str, production: &str) -> CommandError {
        let before = self.lengths(target);
        let error = self.try_provision(source, target, production).0.unwrap_err();
        assert_eq!(self.lengths(target), before, "{error}");
        error
    }

    fn cores(&self, link: &str) -> (Core, Core) {
        let drive = self.engine.open_drive(&parse_link(link).unwrap()).unwrap();
        let blobs = drive.blobs().unwrap().unwrap();
        (drive.db, blobs)
    }

    fn lengths(&self, link: &str) -> (u64, u64) {
        let (db, blobs) = self.cores(link);
        (db.length(), blobs.length())
    }

    /// Puts the first blocks of another drive into this one, as a run that was cut off leaves them.
    fn copy(&self, from: &str, to: &str, db: u64, blobs: u64) {
        let (from, to) = (self.cores(from), self.cores(to));
        for (from, to, length) in [(from.0, to.0, db), (from.1, to.1, blobs)] {
            let blocks: Vec<_> = (to.length()..length).map(|i| from.block(i).unwrap().unwrap()).collect();
            if !blocks.is_empty() {
                to.append(&blocks).unwrap();
            }
        }
    }
}

fn data(output: &Output) -> Value {
    serde_json::to_value(output.data()).unwrap()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn none(link: &str) -> String {
    format!("pear://0.0.{}", link.trim_start_matches("pear://"))
}

fn hashes(outcome: &Value) -> (Value, Value) {
    let target = &outcome["target"];
    (target["core"]["hash"].clone(), target["blobs"]["hash"].clone())
}

fn warnings(events: &Events) -> Vec<&str> {
    events.iter().filter(|e| e.0 == "warning").map(|e| e.1["code"].as_str().unwrap()).collect()
}

/// A source at 1.0.0, production made of it, the source at 1.1.0, and what comes of it undisturbed.
fn released() -> (Fixture, String, String, String, Value) {
    let f = Fixture::new();
    let (source, first) = (f.touch(), f.touch());
    for i in 0..6 {
        f.write(&format!("f{i}"), noise(i + 1, 200_000));
    }
    let v1 = f.stage(&source, "1.0.0");
    f.provision(&v1, &first, &none(&first));
    // Production: another key with the same blocks.
    let production = f.touch();
    let (db, blobs) = f.lengths(&first);
    f.copy(&first, &production, db, blobs);
    let verlink = format!("pear://0.{db}.{}", production.trim_start_matches("pear://"));
    std::fs::rename(f.app().join("f1"), f.app().join("moved")).unwrap();
    f.write("f2", noise(99, 300_000));
    let v2 = f.stage(&source, "1.1.0");
    let expected = f.provision(&v2, &first, &verlink);
    (f, v2, production, verlink, expected)
}

#[test]
fn a_run_that_was_cut_off_anywhere_is_finished() {
    let (f, v2, production, verlink, expected) = released();
    let (db, blobs) = f.lengths(&production);
    assert!(db > 4 && blobs > 4);
    for (db, blobs) in
        [(0, 0), (0, 1), (0, blobs), (1, 0), (3, 2), (db - 1, blobs), (db, 0), (db, blobs - 1), (db, blobs)]
    {
        let target = f.touch();
        f.copy(&production, &target, db, blobs);
        let outcome = f.provision(&v2, &target, &verlink);
        assert_eq!(hashes(&outcome), hashes(&expected), "from {db} and {blobs}");
        let again = f.provision(&v2, &target, &verlink);
        assert_eq!(hashes(&again), hashes(&expected));
        assert_eq!(again["changes"], 0);
    }
}

#[test]
fn targets_that_went_another_way_are_refused_untouched() {
    let (f, v2, production, verlink, expected) = released();
    let (db, blobs) = f.lengths(&production);
    let code = |e: CommandError| {
        assert!(!e.hint_text().is_empty());
        e.code().to_owned()
    };
    // Another block in the db, or in the content, at the end and behind it.
    let other = f.touch();
    f.copy(&production, &other, db - 1, blobs);
    f.cores(&other).0.append(&[f.cores(&production).0.block(1).unwrap().unwrap()]).unwrap();
    assert_eq!(code(f.refused(&v2, &other, &verlink)), "ERR_TARGET_DIVERGED");
    for (db, blobs) in [(0, 2), (2, blobs - 1), (db, blobs - 1), (db, blobs), (0, blobs)] {
        let other = f.touch();
        f.copy(&production, &other, db, blobs);
        f.cores(&other).1.append(&["other".into()]).unwrap();
        assert_eq!(code(f.refused(&v2, &other, &verlink)), "ERR_TARGET_DIVERGED", "{db} {blobs}");
    }
    let other = f.touch();
    f.cores(&other).1.append(&["left over".into()]).unwrap();
    assert_eq!(code(f.refused(&v2, &other, &none(&other))), "ERR_TARGET_DIVERGED");
    // Longer: fine when it is what was wished for.
    let target = parse_link(expected["target"]["link"].as_str().unwrap()).unwrap().to_string();
    assert_eq!(hashes(&f.provision(&v2, &target, &verlink)), hashes(&expected));
    let source = parse_link(&v2).unwrap();
    let source = bosc_format::link::PearLink::new(source.key).to_string();
    f.write("f3", "late");
    let v3 = f.stage(&source, "1.2.0");
    let error = f.refused(&v3, &target, &verlink);
    assert_eq!(error.code(), "ERR_TARGET_AHEAD");
    // The way out that the hint names: on top of what the target holds.
    let own = text(&expected["target"], "verlink");
    assert!(error.hint_text().contains(&own));
    let on_top = f.provision(&v3, &target, &own);
    assert_eq!(on_top["production"]["core"], expected["target"]["core"]);
    // The same version once more is not a release yet.
    f.write("f3", "later");
    let v4 = f.stage(&source, "1.2.0");
    let (outcome, events) = f.try_provision(&v4, &target, &text(&on_top["target"], "verlink"));
    assert!(outcome.is_ok());
    assert_eq!(warnings(&events), ["VERSION_NOT_ABOVE"]);
}

/// A draft's content that no release names: production's blobs end before it.
#[test]
fn content_of_drafts_stays_in_the_target_that_has_it() {
    let (f, v2, production, verlink, expected) = released();
    let source = bosc_format::link::PearLink::new(parse_link(&v2).unwrap().key).to_string();
    let target = text(&expected["target"], "link");
    // Two drafts; the second takes out what only the first had, and appends no content.
    f.write("zz", noise(5, 100_000));
    let draft = f.provision(&f.stage(&source, "1.2.0"), &target, &text(&expected["target"], "verlink"));
    std::fs::remove_file(f.app().join("zz")).unwrap();
    f.provision(&f.stage(&source, "1.2.0"), &target, &text(&draft["target"], "verlink"));
    let drive = f.engine.open_drive(&parse_link(&target).unwrap()).unwrap();
    let needed = bosc_drive::drive::Drive::new(crate::engine::drive::CoreSource::new(&drive.db))
        .blobs_length()
        .unwrap();
    let (db, blobs) = f.lengths(&target);
    assert!(needed < blobs);
    f.copy(&target, &production, db, needed);
    let released = format!("pear://0.{db}.{}", production.trim_start_matches("pear://"));
    f.write("f4", "end");
    let v5 = f.stage(&source, "1.4.0");
    let made = f.touch();
    let (outcome, events) = f.try_provision(&v5, &made, &released);
    assert!(warnings(&events).is_empty());
    let made_hashes = hashes(&outcome.unwrap());
    assert_eq!(
        f.cores(&made).1.head_at(needed).unwrap().tree_hash(),
        f.cores(&production).1.head().tree_hash()
    );
    let (outcome, events) = f.try_provision(&v5, &target, &released);
    assert_eq!(warnings(&events), ["DRAFTS_IN_TARGET"]);
    assert_ne!(hashes(&outcome.unwrap()), made_hashes);
    assert_eq!(f.lengths(&target).0, f.lengths(&made).0);
    // The base is an older version than production has by now: still made, and said.
    let (outcome, events) = f.try_provision(&v5, &f.touch(), &verlink);
    assert!(outcome.is_ok());
    assert_eq!(warnings(&events), ["PRODUCTION_AHEAD"]);
}

#[test]
fn a_dry_run_and_a_stopped_cooldown_write_nothing() {
    let (f, v2, _, verlink, expected) = released();
    let target = f.touch();
    let request = Provision {
        newest: false,
        source: v2.clone(),
        target: target.clone(),
        production: verlink.clone(),
        dry_run: true,
        timeout_ms: 500,
        ..Provision::default()
    };
    let (outcome, dry) = f.run(&Request::Provision(request.clone()));
    assert_eq!(outcome.unwrap(), serde_json::json!({}));
    assert_eq!(f.lengths(&target), (0, 0));
    assert!(dry.iter().any(|e| e.0 == "dry") && !dry.iter().any(|e| e.0 == "staging"));

    let stop = Stop::new();
    let mut tags = Vec::new();
    let mut sink = |event: Event| {
        let (tag, _) = event.parts();
        tags.push(tag.clone());
        if tag == "cooldown" {
            stop.stop();
        }
    };
    let request = Provision { dry_run: false, cooldown_ms: 600_000, ..request };
    let outcome = f.engine.execute_request(&Request::Provision(request), &mut sink, &stop);
    assert_eq!(outcome.unwrap_err().code(), "ERR_INTERRUPTED");
    assert_eq!(tags.last().map(String::as_str), Some("cooldown"));
    assert_eq!(f.lengths(&target), (0, 0));

    let (outcome, real) = f.try_provision(&v2, &target, &verlink);
    assert_eq!(hashes(&outcome.unwrap()), hashes(&expected));
    let diffs = |events: &Events| -> Vec<Value> {
        events.iter().filter(|e| e.0 == "byte-diff").map(|e| e.1.clone()).collect()
    };
    assert_eq!(diffs(&real), diffs(&dry));
    assert_eq!(diffs(&real).len(), 4);
}
