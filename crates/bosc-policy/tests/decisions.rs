//! Each rule of a decision, alone.
#![allow(
    unused_crate_dependencies,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::type_complexity
)]

use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_policy::{
    AHEAD, About, Facts, Freshness, Halt, Installation, Newest, Policy, Release, Seen, Share, Signed,
    Statement, Target, Verdict, Why, decide,
};
use semver::Version;
use serde_json::{Value, json};

const LINK: [u8; 32] = [7; 32];
const NOW: u64 = 1_796_000_000;
const WEEK: u64 = 7 * 24 * 60 * 60;

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

/// Operators: 1 may do all, 2 refresh only, 3 rollout only, 4 halt but not recall.
fn policy(more: Value) -> Policy {
    let may = [
        (1, json!(["refresh", "rollout", "halt", "recall"])),
        (2, json!(["refresh"])),
        (3, json!(["rollout"])),
        (4, json!(["halt"])),
    ];
    let operators: Vec<_> =
        may.into_iter().map(|(n, may)| json!({"key": id::encode(&key(n).public()), "may": may})).collect();
    let mut all = json!({"schema": 1, "recall": true, "operators": operators});
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    Policy::from_json(&all).unwrap()
}

struct World {
    policy: Policy,
    seen: Seen,
    releases: Vec<Release>,
    installation: Installation,
    counter: u64,
}

impl World {
    fn new(more: Value, versions: &[&str]) -> Self {
        let releases = versions
            .iter()
            .enumerate()
            .map(|(i, text)| Release { version: v(text), length: 100 - i as u64 })
            .collect();
        Self {
            policy: policy(more),
            seen: Seen::new(LINK),
            releases,
            installation: Installation::new([1; 32]),
            counter: 0,
        }
    }

    fn says(&mut self, n: u8, time: u64, newest: Option<Newest>, versions: Vec<About>) {
        self.counter += 1;
        let statement = Statement { link: LINK, counter: self.counter, time, newest, versions };
        self.seen.take(Signed::new(&statement, &key(n)).unwrap(), &self.policy).unwrap();
    }

    fn halts(&mut self, n: u8, version: &str, halt: Halt) {
        self.says(n, NOW, None, vec![About { version: v(version), share: None, halt: Some(halt) }]);
    }

    fn rolls(&mut self, n: u8, version: &str, percent: &str) {
        let share = Some(percent.parse::<Share>().unwrap());
        self.says(n, NOW, None, vec![About { version: v(version), share, halt: None }]);
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            now: NOW,
            installation: &self.installation,
            installed: None,
            on_trial: false,
            kept: None,
            releases: &self.releases,
            head: None,
        }
    }

    fn decide(&self, installed: &str) -> Verdict {
        decide(&self.policy, &self.seen, &Facts { installed: Some(&v(installed)), ..self.facts() })
    }
}

fn head(length: u64, tree: u8) -> Newest {
    Newest { fork: 0, length, tree_hash: [tree; 32] }
}

#[test]
fn with_a_policy_that_says_nothing_the_newest_is_installed() {
    let world = World::new(json!({}), &["1.2.0", "1.1.0", "1.0.0"]);
    assert_eq!(world.decide("1.0.0").target, Target::Install(0));
    for newest in ["1.2.0", "1.2.0+5", "1.3.0"] {
        assert_eq!(world.decide(newest).target, Target::Stay, "{newest}");
    }
    assert_eq!(decide(&world.policy, &world.seen, &world.facts()).target, Target::Install(0));
}

#[test]
fn what_is_halted_is_passed_over_and_the_next_is_taken() {
    let mut world = World::new(json!({}), &["1.2.0", "1.1.0", "1.0.0"]);
    world.halts(4, "1.2.0", Halt::Halted);
    let verdict = world.decide("1.0.0");
    assert_eq!(verdict.target, Target::Install(1));
    assert_eq!(verdict.held[0].why, Why::Halted(key(4).public()));
    // It runs where it runs: a halt takes nothing back, and there is no way down.
    assert_eq!(world.decide("1.2.0").target, Target::Stay);
    // Another operator cannot lift it.
    world.halts(1, "1.2.0", Halt::Lifted);
    assert_eq!(world.decide("1.0.0").target, Target::Install(1));
    world.halts(4, "1.2.0", Halt::Lifted);
    assert_eq!(world.decide("1.0.0").target, Target::Install(0));
}

#[test]
fn rights_are_what_the_policy_gives() {
    let mut world = World::new(json!({}), &["1.2.0", "1.1.0"]);
    // May refresh, or roll out; not halt.
    world.halts(2, "1.2.0", Halt::Recalled);
    world.halts(3, "1.2.0", Halt::Recalled);
    world.rolls(2, "1.2.0", "0");
    assert_eq!(world.decide("1.1.0").target, Target::Install(0));
    // May halt, not recall: it halts.
    world.halts(4, "1.2.0", Halt::Recalled);
    let verdict = world.decide("1.2.0");
    assert_eq!((verdict.target, verdict.taken_back), (Target::Stay, false));
    assert_eq!(world.decide("1.1.0").target, Target::Stay);
    // No recall in the policy: the same.
    let mut world = World::new(json!({"recall": false}), &["1.2.0", "1.1.0"]);
    world.halts(1, "1.2.0", Halt::Recalled);
    assert_eq!(world.decide("1.2.0").target, Target::Stay);
    assert_eq!(world.decide("1.1.0").target, Target::Stay);
}

#[test]
fn a_recall_goes_forward_if_it_can_and_otherwise_back() {
    let mut world = World::new(json!({}), &["1.3.0", "1.2.0", "1.1.0", "1.0.0"]);
    world.halts(1, "1.2.0", Halt::Recalled);
    let verdict = world.decide("1.2.0");
    assert_eq!((verdict.target, verdict.taken_back), (Target::Install(0), true));
    world.halts(4, "1.3.0", Halt::Halted);
    assert_eq!(world.decide("1.2.0").target, Target::Install(2));
    world.halts(4, "1.1.0", Halt::Halted);
    assert_eq!(world.decide("1.2.0").target, Target::Install(3));
    // Others do not go down with it.
    assert_eq!(world.decide("1.1.0").target, Target::Stay);
    // All that is left is the build beside it, where that is not halted itself.
    let with_kept = |world: &World, kept: &str| {
        let (installed, kept) = (v("1.2.0"), v(kept));
        decide(
            &world.policy,
            &world.seen,
            &Facts { installed: Some(&installed), kept: Some(&kept), ..world.facts() },
        )
        .target
    };
    assert_eq!(with_kept(&world, "1.0.5"), Target::Restore);
    assert_eq!(with_kept(&world, "0.9.0"), Target::Install(3), "the highest that is allowed");
    assert_eq!(with_kept(&world, "1.1.0"), Target::Install(3));
    world.halts(4, "1.0.0", Halt::Halted);
    assert_eq!(with_kept(&world, "0.9.0"), Target::Restore);
    let verdict = world.decide("1.2.0");
    assert_eq!((verdict.target, verdict.taken_back), (Target::Stay, true));
}

#[test]
fn on_trial_a_halt_takes_back() {
    let mut world = World::new(json!({}), &["1.2.0", "1.1.0"]);
    world.halts(4, "1.2.0", Halt::Halted);
    let (installed, kept) = (v("1.2.0"), v("1.1.0"));
    let facts = Facts { installed: Some(&installed), kept: Some(&kept), on_trial: true, ..world.facts() };
    let verdict = decide(&world.policy, &world.seen, &facts);
    assert_eq!((verdict.target, verdict.taken_back), (Target::Restore, true));
}

#[test]
fn a_share_reaches_some_and_all_in_the_end() {
    let mut world = World::new(json!({"rollout": 0}), &["1.2.0", "1.1.0"]);
    world.rolls(3, "1.1.0", "100");
    // Nobody spoke of it: the policy's own share.
    let verdict = world.decide("1.1.0");
    assert_eq!((verdict.target, verdict.held[0].why), (Target::Stay, Why::NotYet(Share::NONE)));
    let reached = |world: &mut World| {
        let count = (0..=255u8).filter(|n| {
            world.installation = Installation::new([*n; 32]);
            world.decide("1.1.0").target == Target::Install(0)
        });
        count.count()
    };
    world.rolls(3, "1.2.0", "50");
    let half = reached(&mut world);
    assert!((90..166).contains(&half), "{half}");
    // The larger of two; but whoever stops it is who lets it go on.
    world.rolls(1, "1.2.0", "100");
    assert_eq!(reached(&mut world), 256);
    world.rolls(3, "1.2.0", "0");
    assert_eq!(reached(&mut world), 0);
    world.rolls(1, "1.2.0", "100");
    assert_eq!(reached(&mut world), 0);
    world.rolls(3, "1.2.0", "10");
    assert_eq!(reached(&mut world), 256);
}

#[test]
fn who_says_nothing_for_long_stops_installs_and_nothing_else() {
    let mut world = World::new(json!({"freshness": WEEK, "time": NOW - 2 * WEEK}), &["1.2.0", "1.1.0"]);
    let verdict = world.decide("1.1.0");
    assert_eq!(verdict.freshness, Freshness::Stale { last: Some(NOW - 2 * WEEK), limit: WEEK });
    assert_eq!((verdict.target, verdict.held[0].why), (Target::Stay, Why::Stale));
    // Rollouts and halts say nothing about what is the newest; nor does who may not.
    world.rolls(1, "1.2.0", "100");
    world.says(3, NOW, Some(head(100, 1)), vec![]);
    assert_eq!(world.decide("1.1.0").target, Target::Stay);
    world.says(2, NOW - WEEK, Some(head(100, 1)), vec![]);
    let verdict = world.decide("1.1.0");
    assert_eq!((verdict.freshness, verdict.target), (Freshness::Fresh(NOW - WEEK), Target::Install(0)));
    // A time that lies ahead is no time; one that the clocks may differ by is.
    world.says(2, NOW + AHEAD + 1, Some(head(100, 1)), vec![]);
    assert_eq!(world.decide("1.1.0").target, Target::Stay);
    world.says(2, NOW + AHEAD, Some(head(100, 1)), vec![]);
    assert_eq!(world.decide("1.1.0").target, Target::Install(0));
    // A recall is obeyed while it is recent.
    world.halts(1, "1.2.0", Halt::Recalled);
    assert!(world.decide("1.2.0").taken_back);
    let later = |now| {
        let installed = v("1.2.0");
        decide(&world.policy, &world.seen, &Facts { now, installed: Some(&installed), ..world.facts() })
    };
    assert!(!later(NOW + WEEK + 1).taken_back);
    // A clock that stands before the quorum signed is not believed.
    assert_eq!(later(0).freshness, later(NOW - 2 * WEEK).freshness);
}

#[test]
fn a_longer_head_and_another_history_are_named() {
    let mut world = World::new(json!({}), &["1.2.0"]);
    world.says(2, NOW, Some(head(120, 1)), vec![]);
    let at = |world: &World, head| {
        decide(&world.policy, &world.seen, &Facts { head: Some(head), ..world.facts() })
    };
    let verdict = at(&world, head(100, 1));
    assert_eq!((verdict.longer, verdict.other_history), (Some(head(120, 1)), None));
    let verdict = at(&world, head(120, 2));
    assert_eq!((verdict.longer, verdict.other_history), (None, Some(key(2).public())));
    let verdict = at(&world, head(130, 2));
    assert_eq!((verdict.longer, verdict.other_history), (None, None));
    // Who may not say so is not heard.
    world.says(3, NOW, Some(head(900, 1)), vec![]);
    assert_eq!(at(&world, head(120, 1)).longer, None);
}

#[test]
fn below_the_minimum_the_application_is_told() {
    let world = World::new(json!({"minimum": "1.1.0", "rollout": 0}), &["1.2.0"]);
    let verdict = world.decide("1.0.9");
    assert_eq!((verdict.must_update, verdict.target), (true, Target::Stay), "a share is a share");
    assert!(!world.decide("1.1.0").must_update);
}
