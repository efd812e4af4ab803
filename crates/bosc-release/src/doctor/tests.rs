#![allow(clippy::unwrap_used)]

use super::*;

fn healthy() -> Facts {
    Facts {
        link: "pear://k".into(),
        key: "k".into(),
        length: 9,
        at: 9,
        batch_end: true,
        peers: 2,
        full: (2, 2, 2),
        signers: 1,
        quorum: 1,
        package: true,
        app: Some("Demo".into()),
        version: Some("1.2.0".into()),
        upgrade: Some("pear://k".into()),
        upgrade_key: Some("k".into()),
        platforms: vec![Platform {
            platform: "linux-x64".into(),
            apps: vec!["Demo.AppImage".into()],
            files: 1,
            length: 9,
            version: Some("1.2.0".into()),
        }],
        ..Facts::default()
    }
}

fn blind(reached: bool, db: Option<u64>, blobs: u64) -> BlindPeerSeen {
    BlindPeerSeen { key: "b".into(), reached, db, blobs, needed: 4 }
}

fn level(f: &Facts, check: &str) -> Level {
    judge(f).iter().filter(|x| x.check == check).map(|x| x.level).max().unwrap()
}

#[test]
fn a_healthy_link_has_nothing_bad_and_every_other_finding_says_what_to_do() {
    assert!(judge(&healthy()).iter().all(|f| f.level == Level::Ok && f.next.is_none()));
    type Change = Box<dyn Fn(&mut Facts)>;
    let sick: Vec<(&str, Level, Change)> = vec![
        ("resolve", Level::Bad, Box::new(|f| (f.length, f.peers) = (0, 0))),
        ("seeders", Level::Bad, Box::new(|f| f.full = (2, 0, 0))),
        ("seeders", Level::Warn, Box::new(|f| f.full = (1, 1, 1))),
        ("seeders", Level::Warn, Box::new(|f| (f.peers, f.full, f.mirrors) = (0, (0, 0, 0), 1))),
        ("fork", Level::Warn, Box::new(|f| f.fork = 1)),
        ("blind-peer", Level::Warn, Box::new(|f| f.blind_peers = vec![blind(false, None, 0)])),
        ("blind-peer", Level::Warn, Box::new(|f| f.blind_peers = vec![blind(true, None, 0)])),
        ("blind-peer", Level::Warn, Box::new(|f| f.blind_peers = vec![blind(true, Some(8), 4)])),
        ("blind-peer", Level::Warn, Box::new(|f| f.blind_peers = vec![blind(true, Some(9), 3)])),
        ("blind-peer", Level::Ok, Box::new(|f| f.blind_peers = vec![blind(true, Some(9), 4)])),
        ("batch", Level::Bad, Box::new(|f| f.batch_end = false)),
        ("signers", Level::Warn, Box::new(|f| (f.signers, f.quorum) = (3, 1))),
        ("signers", Level::Warn, Box::new(|f| (f.signers, f.quorum) = (3, 3))),
        ("signers", Level::Ok, Box::new(|f| (f.signers, f.quorum) = (3, 2))),
        ("package", Level::Bad, Box::new(|f| f.package = false)),
        ("version", Level::Bad, Box::new(|f| f.version = None)),
        ("version", Level::Bad, Box::new(|f| f.version = Some("1.2".into()))),
        ("version", Level::Warn, Box::new(|f| f.version = Some("1.2.0-rc.1".into()))),
        ("upgrade", Level::Warn, Box::new(|f| f.upgrade = None)),
        ("upgrade", Level::Bad, Box::new(|f| f.upgrade_key = None)),
        ("upgrade", Level::Warn, Box::new(|f| (f.key, f.signers, f.quorum) = ("m".into(), 3, 2))),
        ("platforms", Level::Bad, Box::new(|f| f.platforms.clear())),
        ("platforms", Level::Bad, Box::new(|f| f.app = Some("Other".into()))),
        (
            "platforms",
            Level::Warn,
            Box::new(|f| f.platforms.first_mut().unwrap().version = Some("1.1.0".into())),
        ),
        ("writable", Level::Warn, Box::new(|f| (f.writable, f.shared) = (true, true))),
        ("writable", Level::Warn, Box::new(|f| (f.writable, f.copied) = (true, Some("a copy".into())))),
        ("package", Level::Bad, Box::new(|f| f.package_mark = true)),
        ("names", Level::Bad, Box::new(|f| f.files.refused = Some((1, "/aux".into())))),
        ("names", Level::Warn, Box::new(|f| f.files.warned = Some((1, "/aux".into())))),
        ("links", Level::Warn, Box::new(|f| f.files.dangling = Some((1, "/a -> b".into())))),
        ("secrets", Level::Warn, Box::new(|f| f.files.secret = Some((1, "/.env".into())))),
        ("raised", Level::Warn, Box::new(|f| f.not_raised = Some(("linux-x64".into(), "1.2.0".into())))),
        ("program", Level::Warn, Box::new(|f| f.says = vec![("x/Info.plist".into(), "1.1.0".into())])),
        ("installed", Level::Bad, Box::new(|f| f.installed = Some(Err("damaged".into())))),
        ("installed", Level::Ok, Box::new(|f| f.installed = Some(Ok(None)))),
        (
            "installed",
            Level::Warn,
            Box::new(|f| {
                f.installed = Some(Ok(None));
                f.journal_damaged = Some("/a/.app.bosc/journal.damaged".into());
            }),
        ),
        (
            "installed",
            Level::Warn,
            Box::new(|f| f.installed = Some(Ok(Some(("1.0.5".into(), "1.0.4".into()))))),
        ),
        ("history", Level::Bad, Box::new(|f| f.conflict = Some(("two".into(), "cut it back".into())))),
    ];
    for (check, expected, change) in sick {
        let mut f = healthy();
        change(&mut f);
        assert_eq!(level(&f, check), expected, "{check}: {f:?}");
        for x in judge(&f) {
            assert_eq!(x.level == Level::Ok, x.next.is_none(), "{x:?}");
        }
    }
}

#[test]
fn clients_go_by_version_platform_and_seeders() {
    let f = healthy();
    for (version, platform, updates, says) in [
        ("1.1.0", "linux-x64", true, "newer"),
        ("v1.1.9", "linux-x64", true, "newer"),
        ("1.2.0-rc.1", "linux-x64", true, "newer"),
        ("1.2.0", "linux-x64", false, "already"),
        ("1.2.0+build", "linux-x64", false, "already"),
        ("1.3.0", "linux-x64", false, "never go back"),
        ("1.1.0", "darwin-arm64", false, "no build for darwin-arm64"),
    ] {
        let c = client(&f, Some(version), Some(platform)).unwrap();
        assert_eq!(c.updates, updates, "{version} {platform}: {c:?}");
        assert!(c.why.join("; ").contains(says), "{c:?}");
    }
    assert!(client(&f, Some("one"), None).is_err());
    let alone = Facts { full: (1, 0, 0), ..healthy() };
    assert!(!client(&alone, Some("1.0.0"), None).unwrap().updates);
    let mirrored = Facts { mirrors: 1, ..alone.clone() };
    assert!(client(&mirrored, Some("1.0.0"), None).unwrap().updates);
    let renamed = Facts { app: Some("New".into()), ..healthy() };
    assert!(!client(&renamed, Some("1.0.0"), Some("linux-x64")).unwrap().updates);
    assert!(is_app("My.App.exe", "My.App") && !is_app("My.Apps", "My.App"));
}

#[test]
fn rules_and_what_operators_say_are_judged() {
    use crate::policy::event::Heard;
    use crate::policy::shown::{FreshnessShown, VersionStanding};
    let with = |change: &dyn Fn(&mut Rules)| {
        let mut rules = Rules {
            meaning: "m".into(),
            doubts: vec![],
            operators: vec![("night shift".into(), Heard::Statement)],
            freshness: FreshnessShown { limit: Some(1_000), last: Some(5_000), stale: false },
            standings: vec![VersionStanding {
                version: "1.2.0".into(),
                share: 10_000,
                halted_by: None,
                recalled: false,
            }],
            now: 5_100,
        };
        change(&mut rules);
        Facts { rules: Some(RulesSeen::Obeyed(Box::new(rules))), ..healthy() }
    };
    let well = with(&|_| {});
    for check in ["policy", "operators", "freshness", "rollout"] {
        assert_eq!(level(&well, check), Level::Ok, "{check}");
    }
    let next = |f: &Facts, check: &str| {
        judge(f).into_iter().find(|x| x.check == check && x.level > Level::Ok).and_then(|x| x.next).unwrap()
    };
    let tenth = with(&|r| r.standings[0].share = 1_000);
    assert!(next(&tenth, "rollout").contains("bosc rollout pear://k 1.2.0 100%"));
    let halted = with(&|r| r.standings[0].halted_by = Some("boss".into()));
    assert!(next(&halted, "halt").contains("bosc lift pear://k 1.2.0"));
    let older = with(&|r| {
        r.standings[0].halted_by = Some("boss".into());
        r.standings[0].version = "1.1.0".into();
    });
    assert_eq!(level(&older, "halt"), Level::Ok);
    let soon = with(&|r| r.now = 5_900);
    assert_eq!(level(&soon, "freshness"), Level::Warn);
    assert!(next(&soon, "freshness").contains("bosc refresh pear://k"));
    let stale = with(&|r| r.freshness.stale = true);
    assert_eq!(level(&stale, "freshness"), Level::Bad);
    for heard in [Heard::NoAnswer, Heard::Foreign] {
        assert_eq!(level(&with(&|r| r.operators[0].1 = heard), "operators"), Level::Warn);
    }
    assert_eq!(level(&with(&|r| r.operators[0].1 = Heard::Nothing), "operators"), Level::Ok);
    let wrong = Facts { rules: Some(RulesSeen::Wrong("rollout".into())), ..healthy() };
    assert_eq!(level(&wrong, "policy"), Level::Bad);
    let missing = Facts { rules: Some(RulesSeen::Missing), ..healthy() };
    assert_eq!(level(&missing, "policy"), Level::Ok);
}
