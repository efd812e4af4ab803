use super::*;
use crate::golden;

#[test]
fn events_have_the_names_that_others_read() {
    use SeedEvent as E;
    let rot = || Rot { core: "c".into(), content: true, blocks: 1, missing: 2 };
    let row = |address: Option<&str>| PeerRow {
        key: "k".into(),
        address: address.map(str::to_owned),
        relayed: true,
        fork: 1,
        length: 2,
        full: true,
        content_length: 3,
        content_held: 4,
        sent_bytes: 5,
    };
    let stats = |nat_type| {
        E::Stats(Box::new(SeedStats {
            peers: 1,
            drive_key: "k".into(),
            drive_length: 2,
            drive_fork: 3,
            drive_byte_length: 4,
            drive_synced: true,
            blobs_length: 5,
            blobs_byte_length: 6,
            blobs_synced: false,
            discovery_key: "d".into(),
            content_key: "pending".into(),
            verlink: "v".into(),
            whoami: "w".into(),
            firewalled: true,
            nat_type,
            full_copies: 7,
            upload: Traffic { total_bytes: 1, total_blocks: 2, speed: 3 },
            download: Traffic { total_bytes: 4, total_blocks: 5, speed: 6 },
            network: NetworkTraffic { received_bytes: 1, sent_bytes: 2 },
            connections: 8,
            scrub: ScrubStats {
                checked_bytes: 1,
                total_bytes: 2,
                damaged: 3,
                repaired: 4,
                unreadable: 5,
                passes: 6,
            },
            conflicts: 9,
        }))
    };
    let text = |nat: &str| {
        [
            r#"{"peers":1,"driveKey":"k","driveLength":2,"driveFork":3,"driveByteLength":4,"driveSynced":true,"#,
            r#""blobsLength":5,"blobsByteLength":6,"blobsSynced":false,"discoveryKey":"d","contentKey":"pending","#,
            r#""verlink":"v","whoami":"w","firewalled":true,"natType":""#,
            nat,
            r#"","fullCopies":7,"upload":{"totalBytes":1,"totalBlocks":2,"speed":3},"#,
            r#""download":{"totalBytes":4,"totalBlocks":5,"speed":6},"network":{"receivedBytes":1,"sentBytes":2},"#,
            r#""connections":8,"scrub":{"checkedBytes":1,"totalBytes":2,"damaged":3,"repaired":4,"unreadable":5,"#,
            r#""passes":6},"conflicts":9}"#,
        ]
        .concat()
    };
    golden::events(vec![
        (E::Seeding { key: "k".into(), link: "l".into() }, "seeding", r#"{"key":"k","link":"l"}"#),
        (E::Announced, "announced", "null"),
        (E::Offline { tried: Some(vec!["a:1".into()]) }, "offline", r#"{"tried":["a:1"]}"#),
        (E::Online { tried: None }, "online", r#"{"tried":null}"#),
        (
            E::Links { file: "f".into(), links: 1, added: 2, removed: 3, bad: 4 },
            "links",
            r#"{"file":"f","links":1,"added":2,"removed":3,"bad":4}"#,
        ),
        (
            E::BadLine { file: "f".into(), line: 1, text: "t".into(), why: "w".into() },
            "bad-line",
            r#"{"file":"f","line":1,"text":"t","why":"w"}"#,
        ),
        (
            E::LinksUnreadable { file: "f".into(), why: "w".into() },
            "links-unreadable",
            r#"{"file":"f","why":"w"}"#,
        ),
        (E::Removed, "removed", "null"),
        (
            E::Failed { code: "c".into(), message: "m".into(), hint: "h".into() },
            "failed",
            r#"{"code":"c","message":"m","hint":"h"}"#,
        ),
        (
            E::DiskLimit { needed_bytes: 2, limit_bytes: 1 },
            "disk-limit",
            r#"{"neededBytes":2,"limitBytes":1}"#,
        ),
        (E::DiskRoom, "disk-room", "null"),
        (
            E::Metrics { address: "a".into(), loopback: true },
            "metrics",
            r#"{"address":"a","loopback":true}"#,
        ),
        (
            E::RelayFor { key: "k".into(), anyone: true },
            "relay-for",
            r#"{"key":"k","anyone":true}"#,
        ),
        (
            E::PortMapping { address: Some("a".into()), by: Some(MappingBy::NatPmp) },
            "port-mapping",
            r#"{"address":"a","by":"nat-pmp"}"#,
        ),
        (E::PortMapping { address: None, by: None }, "port-mapping", r#"{"address":null,"by":null}"#),
        (
            E::BlindPeer { key: "k".into(), state: BlindPeerIs::Whole },
            "blind-peer",
            r#"{"key":"k","state":"whole"}"#,
        ),
        (
            E::Peers { fork: 1, length: 2, peers: vec![row(Some("a:1")), row(None)], more: 3, network: None },
            "peers",
            &[
                r#"{"fork":1,"length":2,"peers":[{"key":"k","address":"a:1","relayed":true,"fork":1,"length":2,"full":true,"#,
                r#""contentLength":3,"contentHeld":4,"sentBytes":5},{"key":"k","address":null,"relayed":true,"fork":1,"#,
                r#""length":2,"full":true,"contentLength":3,"contentHeld":4,"sentBytes":5}],"more":3}"#,
            ]
            .concat(),
        ),
        (E::Key("k".into()), "key", r#""k""#),
        (E::PeerAdd("p".into()), "peer-add", r#""p""#),
        (E::PeerRemove("p".into()), "peer-remove", r#""p""#),
        (E::PeerSync("p".into()), "peer-sync", r#""p""#),
        (stats(NatType::Random), "stats", &text("Random")),
        (stats(NatType::Consistent), "stats", &text("Consistent")),
        (E::Damaged(rot()), "damaged", r#"{"core":"c","content":true,"blocks":1,"missing":2}"#),
        (E::Repaired(rot()), "repaired", r#"{"core":"c","content":true,"blocks":1,"missing":2}"#),
        (
            E::Copies { full: 1, wanted: 2, peers: 3, length: 4, uploaded_bytes: 5 },
            "copies",
            r#"{"full":1,"wanted":2,"peers":3,"length":4,"uploadedBytes":5}"#,
        ),
    ]);
}

#[test]
fn events_of_one_link_of_many_name_it_beside_tag_and_data() {
    let of = |event| OfLink { link: "l".into(), event };
    golden::texts(vec![
        (of(SeedEvent::Announced), r#"{"link":"l","tag":"announced"}"#),
        (of(SeedEvent::PeerAdd("p".into())), r#"{"link":"l","tag":"peer-add","data":"p"}"#),
        (
            of(SeedEvent::DiskLimit { needed_bytes: 2, limit_bytes: 1 }),
            r#"{"link":"l","tag":"disk-limit","data":{"neededBytes":2,"limitBytes":1}}"#,
        ),
    ]);
}
