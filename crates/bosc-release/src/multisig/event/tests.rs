use super::Verdict;
use super::*;
use crate::golden;
use crate::multisig::signed::{Earlier, Relation, Signed};
use serde_json::json;

#[test]
fn events_have_the_names_that_others_read() {
    use MultisigEvent as E;
    golden::events(vec![
        (E::GettingSrcBlobs, "getting-src-blobs", "null"),
        (E::VerifyDbRequestableStart, "verify-db-requestable-start", "null"),
        (E::GettingBlobsLength, "getting-blobs-length", "null"),
        (E::VerifyBlobsRequestableStart, "verify-blobs-requestable-start", "null"),
        (E::CreatingDrive, "creating-drive", "null"),
        (
            E::Multisigging { request: "r".into(), responses: vec!["a".into()], dry_run: true },
            "multisigging",
            r#"{"request":"r","responses":["a"],"dryRun":true}"#,
        ),
        (
            E::Signatures {
                quorum: 2,
                valid: 1,
                responses: [
                    Verdict::Valid,
                    Verdict::Duplicate,
                    Verdict::OtherRequest,
                    Verdict::UnknownSigner,
                    Verdict::InvalidSignature,
                ]
                .map(|verdict| JudgedResponse { public_key: "k".into(), verdict })
                .into(),
            },
            "signatures",
            concat!(
                r#"{"quorum":2,"valid":1,"responses":[{"publicKey":"k","verdict":"valid"},"#,
                r#"{"publicKey":"k","verdict":"duplicate"},{"publicKey":"k","verdict":"other-request"},"#,
                r#"{"publicKey":"k","verdict":"unknown-signer"},{"publicKey":"k","verdict":"invalid-signature"}]}"#
            ),
        ),
        (
            E::VerifyCommittableStart { src_key: "s".into(), dst_key: "d".into() },
            "verify-committable-start",
            r#"{"srcKey":"s","dstKey":"d"}"#,
        ),
        (E::TargetUnknown { link: "l".into() }, "target-unknown", r#"{"link":"l"}"#),
        (E::NotFirstCommit { length: 5 }, "not-first-commit", r#"{"length":5}"#),
        (
            E::Target { length: 1, blobs_length: 2, first_commit: false, from_peers: true },
            "target",
            r#"{"length":1,"blobsLength":2,"firstCommit":false,"fromPeers":true}"#,
        ),
        (
            E::Waiting(Waiting {
                whose: CopiesOf::Source,
                core: CoreName::Db,
                peers: 1,
                full_copies: 0,
                need: 2,
            }),
            "waiting",
            r#"{"for":"source","core":"db","peers":1,"fullCopies":0,"need":2}"#,
        ),
        (
            E::Waiting(Waiting {
                whose: CopiesOf::Production,
                core: CoreName::Blobs,
                peers: 1,
                full_copies: 0,
                need: 2,
            }),
            "waiting",
            r#"{"for":"production","core":"blobs","peers":1,"fullCopies":0,"need":2}"#,
        ),
        (
            E::Download { core: CoreName::Db, blocks: 1, bytes: 2, of: 3 },
            "download",
            r#"{"core":"db","blocks":1,"bytes":2,"of":3}"#,
        ),
        (
            E::CommitStart { dry_run: false, src_key: "s".into(), dst_key: "d".into() },
            "commit-start",
            r#"{"dryRun":false,"srcKey":"s","dstKey":"d"}"#,
        ),
        (E::Claiming { key: "k".into(), length: 5 }, "claiming", r#"{"key":"k","length":5}"#),
        (E::Claimed { key: "k".into(), length: 5 }, "claimed", r#"{"key":"k","length":5}"#),
        (
            E::Unguarded(Unguarded { announced: false, ..Unguarded::default() }),
            "unguarded",
            r#"{"announced":false}"#,
        ),
        (
            E::Unguarded(Unguarded { announced: true, rivals: Some(1), ..Unguarded::default() }),
            "unguarded",
            r#"{"announced":true,"rivals":1}"#,
        ),
        (
            E::Unguarded(Unguarded {
                announced: true,
                unread: Some(1),
                skipped: Some(false),
                ..Unguarded::default()
            }),
            "unguarded",
            r#"{"announced":true,"unread":1,"skipped":false}"#,
        ),
        (E::Journaled { phase: Phase::Begun }, "journaled", r#"{"phase":"begun"}"#),
        (
            E::CommitProgress { core: CoreName::Blobs, blocks: 1, of: 2 },
            "commit-progress",
            r#"{"core":"blobs","blocks":1,"of":2}"#,
        ),
        (
            E::Committed { length: 1, blobs_length: 2, resumed: true },
            "committed",
            r#"{"length":1,"blobsLength":2,"resumed":true}"#,
        ),
        (
            E::VerifyCommittedStart { first_commit: true, key: "k".into(), link: "l".into() },
            "verify-committed-start",
            r#"{"firstCommit":true,"key":"k","link":"l"}"#,
        ),
        (
            E::VerifyCommitted {
                db: FullCopies { full_copies: 1 },
                blobs: FullCopies { full_copies: 0 },
                need: 2,
            },
            "verify-committed",
            r#"{"db":{"fullCopies":1},"blobs":{"fullCopies":0},"need":2}"#,
        ),
        (
            E::Commit(CommitState {
                key: "k".into(),
                link: "l".into(),
                verlink: "v".into(),
                source: "s".into(),
                phase: Phase::Committed,
                first_commit: true,
                signatures: 2,
                began: 3,
                updated: 4,
                request: "r".into(),
                db: HeldCore { length: 5, here: 6, held: 7 },
                blobs: HeldCore { length: 8, here: 9, held: 10 },
                next: "n".into(),
            }),
            "commit",
            concat!(
                r#"{"key":"k","link":"l","verlink":"v","source":"s","phase":"committed","firstCommit":true,"#,
                r#""signatures":2,"began":3,"updated":4,"request":"r","db":{"length":5,"here":6,"held":7},"#,
                r#""blobs":{"length":8,"here":9,"held":10},"next":"n"}"#
            ),
        ),
        (
            E::ByteDiff(ByteDiff::change("/a", 1, 2)),
            "byte-diff",
            r#"{"type":0,"sizes":[-1,2],"message":"/a"}"#,
        ),
        (E::File { key: "/a".into(), size: 1 }, "file", r#"{"key":"/a","size":1}"#),
    ]);
}

fn hash(text: &str) -> LengthAndHash {
    LengthAndHash { length: 1, tree_hash: text.into() }
}

fn says() -> RequestSays {
    RequestSays {
        key: "k".into(),
        link: "l".into(),
        verlink: "v".into(),
        length: 2,
        fork: 0,
        tree_hash: "t".into(),
        blobs: Some(hash("b")),
        quorum: 2,
        signers: vec!["a".into()],
    }
}

fn inspected() -> Inspected {
    let signed = Signed {
        link: "l".into(),
        blobs: "b".into(),
        length: 1,
        tree_hash: "t".into(),
        blobs_length: 2,
        blobs_tree_hash: "u".into(),
        request: "r".into(),
        at: 3,
        replaced: false,
    };
    Inspected {
        says: says(),
        known: Known {
            source: None,
            production: Production {
                known: true,
                from: ToldBy::EmptyPeers,
                length: Some(0),
                tree_hash: Some("p".into()),
            },
            compatible: None,
            released: false,
            content: Some(ReleaseContent {
                name: json!("n"),
                version: json!("1.0.0"),
                add: 1,
                ..ReleaseContent::default()
            }),
            notes: vec!["n".into()],
        },
        request_hash: "h".into(),
        seen: Seen {
            inspected: false,
            missing: Some("m".into()),
            earlier: vec![Earlier { signed, relation: Relation::Continues }],
        },
    }
}

#[test]
fn what_a_signer_is_shown_has_the_names_that_others_read() {
    const SAYS: &str = concat!(
        r#"{"key":"k","link":"l","verlink":"v","length":2,"fork":0,"treeHash":"t","#,
        r#""blobs":{"length":1,"treeHash":"b"},"quorum":2,"signers":["a"],"#
    );
    let text = concat!(
        r#""source":null,"production":{"known":true,"from":"empty-peers","length":0,"treeHash":"p"},"#,
        r#""compatible":null,"released":false,"content":{"name":"n","version":"1.0.0","upgrade":null,"#,
        r#""productionVersion":null,"add":1,"change":0,"remove":0,"files":0},"notes":["n"],"requestHash":"h","#,
        r#""inspected":false,"missing":"m","earlier":[{"signed":{"link":"l","blobs":"b","length":1,"treeHash":"t","#,
        r#""blobsLength":2,"blobsTreeHash":"u","request":"r","at":3,"replaced":false},"relation":"continues"}]}"#
    );
    golden::texts(vec![(inspected(), &format!("{SAYS}{text}"))]);
    let mut unseen = inspected();
    unseen.known.content = None;
    unseen.seen = Seen { inspected: true, missing: None, earlier: Vec::new() };
    let text = concat!(
        r#""source":null,"production":{"known":true,"from":"empty-peers","length":0,"treeHash":"p"},"#,
        r#""compatible":null,"released":false,"content":{},"notes":["n"],"requestHash":"h","#,
        r#""inspected":true,"missing":null,"earlier":[]}"#
    );
    golden::texts(vec![(unseen, &format!("{SAYS}{text}"))]);
}

#[test]
fn results_have_the_names_that_others_read() {
    golden::texts(vec![(
        RequestMade {
            request: "r".into(),
            link: "l".into(),
            source: "s".into(),
            length: 2,
            tree_hash: "t".into(),
            blobs: hash("b"),
            production: Length { length: 0 },
        },
        concat!(
            r#"{"request":"r","link":"l","source":"s","length":2,"treeHash":"t","#,
            r#""blobs":{"length":1,"treeHash":"b"},"production":{"length":0}}"#
        ),
    )]);
    golden::texts(vec![(StatusShown { count: 1 }, r#"{"count":1}"#)]);
    let records = Records { records: vec![RecordKey { key: "k".into() }] };
    golden::texts(vec![(records, r#"{"records":[{"key":"k"}]}"#)]);
    let head = CoreHead {
        key: "k".into(),
        key_hex: "kh".into(),
        length: 1,
        tree_hash: "t".into(),
        tree_hash_hex: "th".into(),
    };
    let core = |signature: Option<&str>, source: bool| CommittedCore {
        dest_core: head.clone(),
        src_core: source.then(|| head.clone()),
        batch: SignedHead { head: head.clone(), signature: signature.map(str::to_owned) },
    };
    let text = concat!(
        r#"{"dstKey":"d","dryRun":false,"quorum":{"amount":2,"total":3},"result":{"db":{"#,
        r#""destCore":{"key":"k","keyHex":"kh","length":1,"treeHash":"t","treeHashHex":"th"},"#,
        r#""srcCore":{"key":"k","keyHex":"kh","length":1,"treeHash":"t","treeHashHex":"th"},"#,
        r#""batch":{"key":"k","keyHex":"kh","length":1,"treeHash":"t","treeHashHex":"th","signature":"s"}},"#,
        r#""blobs":{"destCore":{"key":"k","keyHex":"kh","length":1,"treeHash":"t","treeHashHex":"th"},"#,
        r#""srcCore":null,"#,
        r#""batch":{"key":"k","keyHex":"kh","length":1,"treeHash":"t","treeHashHex":"th","signature":null}}},"#,
        r#""link":"l","verlink":"v","firstCommit":true,"seeded":null}"#
    );
    let done = CommitDone {
        dst_key: "d".into(),
        dry_run: false,
        quorum: QuorumReached { amount: 2, total: 3 },
        result: CommittedCores { db: core(Some("s"), true), blobs: core(None, false) },
        link: "l".into(),
        verlink: "v".into(),
        first_commit: true,
        seeded: None,
    };
    golden::texts(vec![(done, text)]);
}
