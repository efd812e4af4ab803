use crate::changelog::event::{ChangelogEvent, ChangelogShown};
use crate::cores::event::{CoreKept, CoreKind, CoresEvent, CoresShown};
use crate::dht::event::{DhtNode, DhtNodes};
use crate::doctor::event::{Diagnosis, DoctorEvent, Examined, RotSeen, SeedersSeen};
use crate::doctor::nat::{MappingSeen, NatKind, NatSeen, Reaches};
use crate::doctor::{Client, Finding, Level, Platform};
use crate::gc::event::{GcDone, GcEvent, Kept};
use crate::golden;
use crate::install::event::{InstallEvent, Installed, Installing, Uninstalled};
use crate::keys::event::{KeyFileKind, KeysEvent, KeysExported, KeysImported};
use crate::seed::event::MappingBy;
use crate::store::event::{Checked, DatabaseState, StoreChecked, StoreEvent, StoreRepaired};
use crate::versions::event::{VersionsEvent, VersionsShown};

#[test]
fn events_of_reading_have_the_names_that_others_read() {
    golden::events(vec![
        (ChangelogEvent::NoChangelog, "no-changelog", "null"),
        (
            ChangelogEvent::Changelog {
                version: "1.0.0".into(),
                heading: "h".into(),
                changelog: "c".into(),
                index: 0,
                max: 1,
            },
            "changelog",
            r#"{"version":"1.0.0","heading":"h","changelog":"c","index":0,"max":1}"#,
        ),
    ]);
    golden::events(vec![(
        VersionsEvent::Version {
            length: 1,
            fork: 2,
            verlink: "v".into(),
            semver: None,
            released: false,
            put: 3,
            deleted: 4,
            upgrade: None,
            gone: false,
        },
        "version",
        concat!(
            r#"{"length":1,"fork":2,"verlink":"v","semver":null,"released":false,"put":3,"deleted":4,"#,
            r#""upgrade":null,"gone":false}"#
        ),
    )]);
    let core = |kind, drive: Option<&str>| {
        CoresEvent::Core(Box::new(CoreKept {
            link: "l".into(),
            writable: true,
            length: 1,
            contiguous_length: 2,
            fork: 3,
            blocks: 4,
            bytes: 5,
            byte_length: 6,
            kind,
            drive: drive.map(str::to_owned),
            discovery_key: "d".into(),
        }))
    };
    let begin = r#"{"link":"l","writable":true,"length":1,"contiguousLength":2,"fork":3,"blocks":4,"bytes":5,"byteLength":6"#;
    golden::events(vec![
        (
            core(CoreKind::Db, None),
            "core",
            &format!(r#"{begin},"kind":"db","drive":null,"discoveryKey":"d"}}"#),
        ),
        (
            core(CoreKind::Blobs, Some("p")),
            "core",
            &format!(r#"{begin},"kind":"blobs","drive":"p","discoveryKey":"d"}}"#),
        ),
    ]);
}

#[test]
fn events_of_gc_and_install_have_the_names_that_others_read() {
    let cores = |reason| GcEvent::Cores {
        link: "l".into(),
        core: "c".into(),
        content: true,
        skipped: false,
        reason,
        blocks: 1,
    };
    let begin = r#"{"link":"l","core":"c","content":true,"skipped":false"#;
    golden::events(vec![
        (GcEvent::Dry, "dry", "null"),
        (cores(None), "cores", &format!(r#"{begin},"blocks":1}}"#)),
        (cores(Some(None)), "cores", &format!(r#"{begin},"reason":null,"blocks":1}}"#)),
        (cores(Some(Some(Kept::InUse))), "cores", &format!(r#"{begin},"reason":"in use","blocks":1}}"#)),
        (
            cores(Some(Some(Kept::InstalledFrom))),
            "cores",
            &format!(r#"{begin},"reason":"installed from","blocks":1}}"#),
        ),
        (
            cores(Some(Some(Kept::Damaged))),
            "cores",
            &format!(r#"{begin},"reason":"damaged: repair it first","blocks":1}}"#),
        ),
        (GcEvent::Removed { file: "f".into(), bytes: 1 }, "removed", r#"{"file":"f","bytes":1}"#),
    ]);
    golden::events(vec![
        (
            InstallEvent::Installing { link: "l".into(), host: "linux-x64".into() },
            "installing",
            r#"{"link":"l","host":"linux-x64"}"#,
        ),
        (
            InstallEvent::App(Box::new(Installing {
                app: "A".into(),
                name: "A.AppImage".into(),
                version: Some("1.0.0".into()),
                upgrade: None,
                verlink: "v".into(),
                key: "k".into(),
                tmp: Some("t".into()),
                dest: "d".into(),
            })),
            "app",
            concat!(
                r#"{"app":"A","name":"A.AppImage","version":"1.0.0","upgrade":null,"verlink":"v","key":"k","#,
                r#""tmp":"t","dest":"d"}"#
            ),
        ),
        (
            InstallEvent::Warning { file: "f".into(), message: "m".into() },
            "warning",
            r#"{"file":"f","message":"m"}"#,
        ),
        (InstallEvent::Path { dir: "d".into() }, "path", r#"{"dir":"d"}"#),
        (InstallEvent::Removed { file: "f".into() }, "removed", r#"{"file":"f"}"#),
    ]);
}

#[test]
fn events_of_doctor_have_the_names_that_others_read() {
    golden::events(vec![
        (
            DoctorEvent::Doctor(Box::new(Examined {
                link: "l".into(),
                verlink: None,
                length: 1,
                fork: 2,
                at: 3,
                batch_end: true,
                name: None,
                version: None,
                upgrade: None,
                writable: true,
                shared_key: false,
                signers: 3,
                quorum: 2,
                here: true,
                seeding: false,
                seeders: SeedersSeen { peers: 1, db: 2, blobs: 3, both: 4 },
                rot: RotSeen { damaged: 0, checked_bytes: 1, total_bytes: 2 },
            })),
            "doctor",
            concat!(
                r#"{"link":"l","verlink":null,"length":1,"fork":2,"at":3,"batchEnd":true,"name":null,"version":null,"#,
                r#""upgrade":null,"writable":true,"sharedKey":false,"signers":3,"quorum":2,"here":true,"#,
                r#""seeding":false,"seeders":{"peers":1,"db":2,"blobs":3,"both":4},"#,
                r#""rot":{"damaged":0,"checkedBytes":1,"totalBytes":2}}"#
            ),
        ),
        (
            DoctorEvent::Platform(Platform {
                platform: "linux-x64".into(),
                apps: vec!["A".into()],
                files: 1,
                length: 2,
                version: None,
            }),
            "platform",
            r#"{"platform":"linux-x64","apps":["A"],"files":1,"length":2,"version":null}"#,
        ),
        (
            DoctorEvent::Finding(Finding {
                check: "fork".into(),
                level: Level::Warn,
                message: "m".into(),
                next: None,
            }),
            "finding",
            r#"{"check":"fork","level":"warn","message":"m","next":null}"#,
        ),
        (
            DoctorEvent::Client(Client {
                version: Some("1.0.0".into()),
                platform: None,
                updates: false,
                why: vec!["w".into()],
            }),
            "client",
            r#"{"version":"1.0.0","platform":null,"updates":false,"why":["w"]}"#,
        ),
        (
            DoctorEvent::Nat(NatSeen {
                nat: NatKind::Random,
                address: Some("5.9.0.7".into()),
                samples: 3,
                reaches: Some(Reaches { open: true, consistent: true, random: false }),
                mapping: Some(MappingSeen { address: "a".into(), by: MappingBy::Upnp, reached: true }),
                message: "m".into(),
                next: None,
            }),
            "nat",
            concat!(
                r#"{"nat":"random","address":"5.9.0.7","samples":3,"#,
                r#""reaches":{"open":true,"consistent":true,"random":false},"#,
                r#""mapping":{"address":"a","by":"upnp","reached":true},"message":"m","next":null}"#
            ),
        ),
    ]);
}

#[test]
fn events_of_keys_and_store_have_the_names_that_others_read() {
    golden::events(vec![
        (
            KeysEvent::Exported { link: "l".into(), length: 1, fork: 2 },
            "exported",
            r#"{"link":"l","length":1,"fork":2}"#,
        ),
        (
            KeysEvent::Imported {
                link: "l".into(),
                verlink: "v".into(),
                length: 1,
                fork: 2,
                already_writable: true,
            },
            "imported",
            r#"{"link":"l","verlink":"v","length":1,"fork":2,"alreadyWritable":true}"#,
        ),
    ]);
    let database = |state| StoreEvent::Database { state };
    golden::events(vec![
        (
            StoreEvent::Checked(Box::new(Checked {
                link: "l".into(),
                core: "c".into(),
                content: false,
                writable: true,
                length: 1,
                blocks: 2,
                bytes: 3,
                damaged: 4,
                damaged_blocks: vec![5],
                unreadable: 6,
                restored: 7,
            })),
            "checked",
            concat!(
                r#"{"link":"l","core":"c","content":false,"writable":true,"length":1,"blocks":2,"bytes":3,"#,
                r#""damaged":4,"damagedBlocks":[5],"unreadable":6,"restored":7}"#
            ),
        ),
        (database(DatabaseState::Ok), "database", r#"{"state":"ok"}"#),
        (database(DatabaseState::Mended), "database", r#"{"state":"mended"}"#),
        (database(DatabaseState::Damaged), "database", r#"{"state":"damaged"}"#),
        (
            StoreEvent::Repaired {
                link: "l".into(),
                core: "c".into(),
                content: true,
                writable: false,
                blocks: 1,
                missing: 1,
                missing_blocks: vec![2],
            },
            "repaired",
            concat!(
                r#"{"link":"l","core":"c","content":true,"writable":false,"blocks":1,"missing":1,"#,
                r#""missingBlocks":[2]}"#
            ),
        ),
    ]);
}

#[test]
fn results_have_the_names_that_others_read() {
    golden::texts(vec![(ChangelogShown { shown: 1, found: 2 }, r#"{"shown":1,"found":2}"#)]);
    golden::texts(vec![(
        VersionsShown { link: "l".into(), length: 1, fork: 2, shown: 3, versions: 4 },
        r#"{"link":"l","length":1,"fork":2,"shown":3,"versions":4}"#,
    )]);
    golden::texts(vec![(
        CoresShown { count: 1, writable: 2, bytes: 3, disk_bytes: 4 },
        r#"{"count":1,"writable":2,"bytes":3,"diskBytes":4}"#,
    )]);
    golden::texts(vec![(
        GcDone { dry_run: true, blocks: 1, bytes: 2, disk_bytes: 3 },
        r#"{"dryRun":true,"blocks":1,"bytes":2,"diskBytes":3}"#,
    )]);
    golden::texts(vec![(
        DhtNodes { nodes: vec![DhtNode { host: "h".into(), port: 1 }] },
        r#"{"nodes":[{"host":"h","port":1}]}"#,
    )]);
    golden::texts(vec![(
        Installed {
            installed: true,
            exists: false,
            app: "A".into(),
            version: None,
            paths: vec!["p".into()],
            link: "l".into(),
        },
        r#"{"installed":true,"exists":false,"app":"A","version":null,"paths":["p"],"link":"l"}"#,
    )]);
    golden::texts(vec![(
        Uninstalled { uninstalled: true, app: "A".into(), removed: vec!["p".into()] },
        r#"{"uninstalled":true,"app":"A","removed":["p"]}"#,
    )]);
    golden::texts(vec![(Diagnosis { ok: 1, warn: 2, bad: 3 }, r#"{"ok":1,"warn":2,"bad":3}"#)]);
    let exported = |kind, verlink: Option<&str>| KeysExported {
        file: "f".into(),
        kind,
        links: 1,
        verlink: verlink.map(str::to_owned),
    };
    golden::texts(vec![
        (exported(KeyFileKind::Link, Some("v")), r#"{"file":"f","kind":"link","links":1,"verlink":"v"}"#),
        (exported(KeyFileKind::Backup, None), r#"{"file":"f","kind":"backup","links":1,"verlink":null}"#),
    ]);
    golden::texts(vec![(
        KeysImported { kind: KeyFileKind::Backup, links: 2, imported: 1 },
        r#"{"kind":"backup","links":2,"imported":1}"#,
    )]);
    golden::texts(vec![(
        StoreChecked { cores: 1, blocks: 2, bytes: 3, damaged: 0, seconds: 0.5, unnamed_bytes: 4 },
        r#"{"cores":1,"blocks":2,"bytes":3,"damaged":0,"seconds":0.5,"unnamedBytes":4}"#,
    )]);
    golden::texts(vec![(StoreRepaired { blocks: 1, missing: 0 }, r#"{"blocks":1,"missing":0}"#)]);
}
