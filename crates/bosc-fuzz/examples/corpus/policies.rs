//! Policies, statements of operators, and what a client remembers of them.

use crate::samples::Corpus;
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_policy::{About, Halt, Newest, Policy, Seen, Share, Signed, Statement};
use serde_json::json;

pub(crate) fn policies(c: &mut Corpus) {
    let key = KeyPair::from_seed(&[3; 32]);
    let full = json!({
        "schema": 1, "time": 1_796_028_000, "channel": "stable", "minimum": "1.2.0", "mandatory": true,
        "minimumSystem": {"linux": "5.4"}, "notes": {"en": "New."}, "mirrors": ["https://example.org/app/"],
        "relays": [id::encode(&[2; 32])], "rollout": 12.5, "freshness": 604_800, "recall": true,
        "operators": [{"key": id::encode(&key.public()), "name": "night", "may": ["refresh", "rollout", "halt", "recall"]}],
        "x-ours": {"ticket": 7}
    });
    for value in
        [full.clone(), json!({"schema": 1}), json!({"schema": 2}), json!({"schema": 1, "rollout": "0.5 %"})]
    {
        c.add("policy", value.to_string().into_bytes());
    }
    c.add("policy", br#"{"schema":1,"recall":true,"recall":false}"#.to_vec());

    let policy = Policy::from_json(&full).unwrap();
    let link = [9; 32];
    let mut seen = Seen::new(link);
    c.add("seen", seen.to_bytes());
    let about = |version: &str, share, halt| About { version: version.parse().unwrap(), share, halt };
    let versions = [
        vec![],
        vec![about("1.3.0", Some(Share::from_hundredths(1_000).unwrap()), None)],
        vec![
            about("1.2.0", None, Some(Halt::Lifted)),
            about("1.3.0-rc.1", Some(Share::ALL), Some(Halt::Recalled)),
        ],
        (0..8).map(|n| about(&format!("2.{n}.0"), Some(Share::NONE), Some(Halt::Halted))).collect(),
    ];
    for (counter, versions) in (1..).zip(versions) {
        let newest = (counter % 2 == 0).then_some(Newest { fork: 0, length: 1_234, tree_hash: [5; 32] });
        let statement = Statement { link, counter, time: 1_796_028_000 + counter, newest, versions };
        let signed = Signed::new(&statement, &key).unwrap();
        c.add("statement", signed.as_bytes().to_vec());
        seen.take(signed, &policy).unwrap();
        c.add("seen", seen.to_bytes());
    }
}
