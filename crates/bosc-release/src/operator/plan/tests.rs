use super::*;
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use serde_json::{Value, json};

const LINK: [u8; 32] = [7; 32];
const NOW: u64 = 1_796_028_000;

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn policy_of(change: &dyn Fn(&mut Value)) -> Policy {
    let one = |n: u8, name: &str, may: &[&str]| json!({"key": id::encode(&key(n).public()), "name": name, "may": may});
    let mut value = json!({
        "schema": 1, "rollout": 10, "recall": true,
        "operators": [
            one(1, "night shift", &["refresh", "rollout", "halt", "recall"]),
            one(2, "boss", &["halt"]),
        ]
    });
    change(&mut value);
    Policy::from_json(&value).unwrap()
}

fn statement(counter: u64, versions: Vec<About>) -> Statement {
    Statement { link: LINK, counter, time: NOW - 100, newest: None, versions }
}

fn about(version: &str, percent: Option<u64>, halt: Option<Halt>) -> About {
    let share = percent.map(|p| Share::from_hundredths(p * 100).unwrap());
    About { version: version.parse().unwrap(), share, halt }
}

fn signed(n: u8, counter: u64, versions: Vec<About>) -> Signed {
    Signed::new(&statement(counter, versions), &key(n)).unwrap()
}

fn word(n: u8, statement: Option<Signed>) -> Word {
    let heard = if statement.is_some() { Heard::Statement } else { Heard::Nothing };
    let seq = statement.as_ref().map_or(0, |s| s.statement().counter);
    Word { operator: key(n).public(), heard, seq, statement, answered: true }
}

/// What is known, to be changed.
struct World {
    policy: Policy,
    words: Vec<Word>,
    kept: Option<Signed>,
    vouched: bool,
    signers: Vec<PublicKey>,
    length: u64,
}

impl World {
    fn new() -> Self {
        let words = vec![word(1, None), word(2, None)];
        Self { policy: policy_of(&|_| {}), words, kept: None, vouched: true, signers: vec![], length: 50 }
    }

    fn plan_as(&self, n: usize, change: &Change) -> Result<Plan, CommandError> {
        let known = Known {
            link: LINK,
            policy: &self.policy,
            operator: &self.policy.operators()[n - 1],
            head: Newest { fork: 0, length: self.length, tree_hash: [3; 32] },
            vouched: self.vouched,
            version: Some(&Version::new(1, 4, 2)),
            released: None,
            signers: &self.signers,
            words: &self.words,
            kept: self.kept.as_ref(),
            now: NOW,
        };
        plan(&known, change)
    }

    fn plan(&self, change: &Change) -> Result<Plan, CommandError> {
        self.plan_as(1, change)
    }

    fn code(&self, change: &Change) -> String {
        self.plan(change).unwrap_err().code().to_owned()
    }
}

fn rollout(version: &str, percent: u16) -> Change {
    Change::Rollout { version: version.into(), share: percent * 100 }
}

fn halt(version: &str, recall: bool) -> Change {
    Change::Halt { version: version.into(), recall }
}

fn lift(version: &str) -> Change {
    Change::Lift { version: version.into() }
}

#[test]
fn what_holds_is_repeated_and_the_counter_goes_on() {
    let mut world = World::new();
    let first = world.plan(&rollout("1.4.2", 20)).unwrap();
    assert_eq!((first.statement.counter, first.statement.time), (1, NOW));
    assert_eq!(first.statement.newest.unwrap().length, 50);
    let (_, before, after) = first.effect.unwrap();
    assert_eq!((before.share.hundredths(), after.share.hundredths()), (1_000, 2_000));

    world.words[0] = word(1, Some(signed(1, 7, vec![about("1.4.2", Some(20), None)])));
    let plan = world.plan(&halt("v1.4.1", false)).unwrap();
    assert_eq!(plan.statement.counter, 8);
    let all = [about("1.4.1", None, Some(Halt::Halted)), about("1.4.2", Some(20), None)];
    assert_eq!(plan.statement.versions, all);
    // What this store signed and nobody got counts, too: killed between the store and the network.
    world.kept = Some(signed(1, 9, vec![about("1.4.2", Some(50), None)]));
    let plan = world.plan(&Change::Refresh).unwrap();
    assert_eq!((plan.statement.counter, plan.statement.versions), (10, vec![about("1.4.2", Some(50), None)]));
    // A record of a higher version than its statement says.
    world.words[0].seq = 90;
    assert_eq!(world.plan(&Change::Refresh).unwrap().statement.counter, 91);
    // An older one from the network never makes a lower one.
    world.words[0] = word(1, Some(signed(1, 3, vec![])));
    assert_eq!(world.plan(&Change::Refresh).unwrap().statement.counter, 10);
    world.words[0] = word(1, Some(signed(1, MAX_COUNTER, vec![])));
    assert_eq!(world.code(&Change::Refresh), "ERR_OPERATION_FAILED");
}

#[test]
fn only_what_the_rules_let_this_operator_do() {
    let mut world = World::new();
    let e = world.plan_as(2, &rollout("1.4.2", 20)).unwrap_err();
    assert_eq!((e.code(), e.kind()), ("ERR_NOT_ALLOWED", ErrorKind::Permission));
    assert!(e.hint_text().starts_with("night shift may"), "{}", e.hint_text());
    assert_eq!(world.plan_as(2, &halt("1.4.2", true)).unwrap_err().code(), "ERR_NOT_ALLOWED");
    let plan = world.plan_as(2, &halt("1.4.2", false)).unwrap();
    assert_eq!((plan.statement.newest, plan.unsaid), (None, Some(Unsaid::NoRight)));
    world.policy = policy_of(&|p| p["recall"] = json!(false));
    let e = world.plan(&halt("1.4.2", true)).unwrap_err();
    assert!(e.message().contains("no recalls"), "{}", e.message());
    assert!(world.plan(&halt("1.4.2", false)).is_ok());
    // The quorum's own keys are not for every night.
    world.signers = vec![key(1).public()];
    assert_eq!(world.code(&Change::Refresh), "ERR_KEY_IN_USE");
}

#[test]
fn a_rollout_only_grows_or_stops() {
    let mut world = World::new();
    assert_eq!(world.code(&rollout("1.4.2", 5)), "ERR_INVALID_INPUT");
    assert!(world.plan(&rollout("1.4.2", 10)).is_ok());
    let stopped = world.plan(&rollout("1.4.2", 0)).unwrap();
    assert!(stopped.effect.unwrap().2.share.is_none());
    world.words[0] = word(1, Some(signed(1, 7, vec![about("1.4.2", Some(0), None)])));
    assert!(world.plan(&rollout("1.4.2", 3)).is_ok());
    for version in ["1.4.3", "1.4", "latest", ""] {
        assert!(world.plan(&rollout(version, 50)).is_err(), "{version}");
    }
}

#[test]
fn a_halt_is_weakened_by_a_lift_alone_and_by_who_ordered_it() {
    let mut world = World::new();
    assert_eq!(world.code(&lift("1.4.2")), "ERR_NOT_FOUND");
    world.words[0] = word(1, Some(signed(1, 7, vec![about("1.4.2", None, Some(Halt::Recalled))])));
    let again = world.plan(&halt("1.4.2", false)).unwrap();
    assert_eq!(again.statement.versions[0].halt, Some(Halt::Recalled));
    let (_, before, after) = world.plan(&lift("1.4.2")).unwrap().effect.unwrap();
    assert!(before.recalled && before.halted_by.is_some());
    assert!(!after.recalled && after.halted_by.is_none());
    world.words[0] = word(1, None);
    world.words[1] = word(2, Some(signed(2, 1, vec![about("1.4.2", None, Some(Halt::Halted))])));
    let e = world.plan(&lift("1.4.2")).unwrap_err();
    assert_eq!(e.code(), "ERR_NOT_ALLOWED");
    assert!(e.message().contains("boss"), "{}", e.message());
}

#[test]
fn of_two_statements_under_one_counter_the_stricter_is_repeated() {
    let mut world = World::new();
    world.words[0] = word(1, Some(signed(1, 7, vec![about("1.4.2", Some(100), Some(Halt::Lifted))])));
    world.kept = Some(signed(1, 7, vec![about("1.4.2", Some(20), Some(Halt::Halted))]));
    let plan = world.plan(&Change::Refresh).unwrap();
    assert!(plan.contradicted);
    assert_eq!(plan.statement.counter, 8);
    assert_eq!(plan.statement.versions, [about("1.4.2", Some(20), Some(Halt::Halted))]);
}

#[test]
fn the_newest_is_named_only_where_it_is_known_and_never_a_shorter_one() {
    let mut world = World::new();
    world.vouched = false;
    assert_eq!(world.code(&Change::Refresh), "ERR_NOT_NEWEST");
    let plan = world.plan(&halt("1.4.2", false)).unwrap();
    assert_eq!((plan.statement.newest, plan.unsaid), (None, Some(Unsaid::NotVouched)));
    world.vouched = true;
    let mut longer = statement(4, vec![]);
    longer.newest = Some(Newest { fork: 0, length: 51, tree_hash: [4; 32] });
    world.words[0] = word(1, Some(Signed::new(&longer, &key(1)).unwrap()));
    assert_eq!(world.code(&Change::Refresh), "ERR_NOT_NEWEST");
    assert_eq!(world.plan(&halt("1.4.2", false)).unwrap().unsaid, Some(Unsaid::Longer));
    world.length = 51;
    assert!(world.plan(&Change::Refresh).is_ok());
}

#[test]
fn a_key_of_another_link_says_nothing() {
    let mut world = World::new();
    let other = Statement { link: [8; 32], ..statement(3, vec![]) };
    let signed = Signed::new(&other, &key(1)).unwrap();
    world.words[0] = crate::policy::look::heard(
        &LINK,
        key(1).public(),
        bosc_follow::operators::Kept::Record { seq: 3, statement: Some(Box::new(signed)) },
    );
    assert_eq!(world.code(&Change::Refresh), "ERR_KEY_IN_USE");
    // What is no statement at all is in the way of the counter only.
    world.words[0] = Word { heard: Heard::Foreign, seq: 12, ..word(1, None) };
    assert_eq!(world.plan(&Change::Refresh).unwrap().statement.counter, 13);
}

#[test]
fn when_there_is_no_room_what_stops_nobody_goes_first() {
    let mut world = World::new();
    let mut all: Vec<_> =
        (0..MAX_VERSIONS).map(|i| about(&format!("1.0.{i}"), None, Some(Halt::Halted))).collect();
    all[5] = about("1.0.5", Some(100), Some(Halt::Lifted));
    world.words[0] = word(1, Some(signed(1, 7, all)));
    let plan = world.plan(&halt("1.4.2", false)).unwrap();
    assert_eq!(plan.dropped, [about("1.0.5", Some(100), Some(Halt::Lifted))]);
    assert_eq!(plan.statement.versions.len(), MAX_VERSIONS);
    world.words[0] = word(1, Some(Signed::new(&plan.statement, &key(1)).unwrap()));
    // What is said now is never what goes.
    let plan = world.plan(&halt("0.9.0", false)).unwrap();
    assert_eq!(plan.dropped[0].version, Version::new(1, 0, 0));
    assert!(plan.statement.versions.iter().any(|a| a.version == Version::new(0, 9, 0)));
}
