//! Thousands of clients in virtual time: partitions, mirrors that stand still, a stolen operator's key. At every install and at the end
//! the decision is held against a second, naive telling of the rules.
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
    About, Facts, Halt, Installation, Policy, Release, Right, Seen, Share, Signed, Statement, Target, decide,
};
use bosc_testkit::{Replay, Rng};
use semver::Version;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const LINK: [u8; 32] = [7; 32];
const CLIENTS: usize = 300;
const STEPS: u64 = 60;
/// Operators 0 and 1 are honest; the key of 2 is stolen.
const OPERATORS: usize = 3;

static KEYS: LazyLock<Vec<(KeyPair, [u8; 32])>> = LazyLock::new(|| {
    let pair = |n| KeyPair::from_seed(&[n as u8 + 1; 32]);
    (0..OPERATORS).map(|n| (pair(n), pair(n).public())).collect()
});

fn policy(release: u64) -> Policy {
    let may = [json!(["rollout", "halt", "recall"]), json!(["halt", "refresh"]), json!(["rollout", "halt"])];
    let operators: Vec<_> =
        KEYS.iter().zip(may).map(|((_, key), may)| json!({"key": id::encode(key), "may": may})).collect();
    // Every third release waits for a word; the rest go to a tenth first.
    let rollout = if release.is_multiple_of(3) { 0 } else { 10 };
    Policy::from_json(&json!({"schema": 1, "recall": true, "operators": operators, "rollout": rollout}))
        .unwrap()
}

fn version(n: u64) -> Version {
    Version::new(1, n, 0)
}

/// What can be seen somewhere: releases up to a number, and statements.
#[derive(Clone, Default)]
struct View {
    newest: u64,
    statements: Vec<Signed>,
}

struct Client {
    installation: Installation,
    seen: Seen,
    /// The naive telling's memory: all statements that ever came.
    all: Vec<Signed>,
    known: u64,
    installed: u64,
    kept: Option<u64>,
    on_trial: bool,
    /// It looks as clients of links do: at the newest, and only where that is held back at some releases below it.
    over_links: bool,
}

/// How many releases below the newest a client of a link looks at.
const LOOKED: u64 = 4;

/// What the rules say of one version, from all statements at once.
struct Rules<'a> {
    policy: &'a Policy,
    all: &'a [Signed],
}

impl Rules<'_> {
    /// Of every operator with the right, the last thing said by the highest counter that says something.
    fn last<T: Copy>(&self, v: &Version, right: Right, of: impl Fn(&About) -> Option<T>) -> Vec<T> {
        let mut out = Vec::new();
        for (_, key) in KEYS.iter() {
            if !self.policy.lets(key, right) {
                continue;
            }
            let mut told: BTreeMap<u64, T> = BTreeMap::new();
            for signed in self.all.iter().filter(|s| s.operator() == key) {
                let about = signed.statement().versions.iter().find(|a| a.version == *v);
                if let Some(said) = about.and_then(&of) {
                    told.insert(signed.statement().counter, said);
                }
            }
            out.extend(told.into_values().next_back());
        }
        out
    }

    fn halted(&self, n: u64) -> bool {
        self.last(&version(n), Right::Halt, |a| a.halt).iter().any(|h| *h != Halt::Lifted)
    }

    fn recalled(&self, n: u64) -> bool {
        self.last(&version(n), Right::Recall, |a| a.halt).contains(&Halt::Recalled)
    }

    fn reaches(&self, who: &Installation, n: u64) -> bool {
        let said = self.last(&version(n), Right::Rollout, |a| a.share);
        let share = if said.contains(&Share::NONE) { Some(Share::NONE) } else { said.into_iter().max() };
        share.unwrap_or(self.policy.rollout()).reaches(who, &version(n))
    }

    fn allows(&self, who: &Installation, n: u64) -> bool {
        !self.halted(n) && self.reaches(who, n)
    }
}

impl Client {
    fn new(rng: &mut Rng) -> Self {
        let mut id = [0; 32];
        rng.fill(&mut id);
        let installation = Installation::new(id);
        Self {
            installation,
            seen: Seen::new(LINK),
            all: Vec::new(),
            known: 1,
            installed: 1,
            kept: None,
            on_trial: false,
            over_links: false,
        }
    }

    /// The lowest release above what is installed that it looks at.
    fn lowest(&self) -> u64 {
        let all = self.installed + 1;
        if self.over_links { all.max(self.known.saturating_sub(LOOKED)) } else { all }
    }

    /// Looks at what somebody shows, decides, and does it; perhaps in a new process, which has what was kept.
    fn look(&mut self, view: &View, restarts: bool) {
        // A head never goes back.
        self.known = self.known.max(view.newest);
        let policy = policy(self.known);
        for signed in &view.statements {
            let _ = self.seen.take(signed.clone(), &policy);
            if !self.all.contains(signed) {
                self.all.push(signed.clone());
            }
        }
        if restarts {
            self.seen = Seen::from_bytes(&self.seen.to_bytes()).unwrap();
        }
        let release = |n: u64| Release { version: version(n), length: n * 10 };
        let mut releases: Vec<_> = if self.over_links {
            vec![release(self.known)]
        } else {
            (1..=self.known).rev().map(release).collect()
        };
        let (installed, kept) = (version(self.installed), self.kept.map(version));
        let decided = |releases: &[Release]| {
            let facts = Facts {
                now: 0,
                installation: &self.installation,
                installed: Some(&installed),
                on_trial: self.on_trial,
                kept: kept.as_ref(),
                releases,
                head: None,
            };
            decide(&policy, &self.seen, &facts)
        };
        let mut verdict = decided(&releases);
        if self.over_links && !matches!(verdict.target, Target::Install(_)) && !verdict.held.is_empty() {
            releases.extend((self.lowest()..self.known).rev().map(release));
            verdict = decided(&releases);
        }
        let rules = Rules { policy: &policy, all: &self.all };
        let back = rules.recalled(self.installed) && rules.halted(self.installed)
            || self.on_trial && rules.halted(self.installed);
        let to = match verdict.target {
            Target::Stay => {
                let missed = (self.lowest()..=self.known).find(|n| rules.allows(&self.installation, *n));
                assert_eq!(missed, None, "an allowed release above {} is not taken", self.installed);
                return;
            }
            Target::Install(i) => {
                let n = releases[i].version.minor;
                assert!(n <= self.known, "what no quorum signed");
                assert!(rules.allows(&self.installation, n), "1.{n}.0 is halted or not for this client");
                n
            }
            Target::Restore => {
                let n = self.kept.expect("there is a build beside it");
                assert!(back && !rules.halted(n), "1.{n}.0 is put back");
                n
            }
        };
        assert!(to > self.installed || back, "down from {} to {to} without an order", self.installed);
        self.kept = Some(self.installed).filter(|_| to > self.installed);
        self.installed = to;
        self.on_trial = true;
    }
}

#[derive(Default)]
struct Operators {
    counters: [u64; OPERATORS],
    /// What each said of a version last: it repeats the last eight.
    said: [BTreeMap<u64, (Option<Share>, Option<Halt>)>; OPERATORS],
}

impl Operators {
    fn says(
        &mut self,
        who: usize,
        n: u64,
        share: Option<Share>,
        halt: Option<Halt>,
        counter: Option<u64>,
    ) -> Signed {
        let said = &mut self.said[who];
        let before = said.get(&n).copied().unwrap_or_default();
        said.insert(n, (share.or(before.0), halt.or(before.1)));
        while said.len() > 8 {
            said.pop_first();
        }
        let versions = said
            .iter()
            .map(|(n, (share, halt))| About { version: version(*n), share: *share, halt: *halt })
            .collect();
        self.counters[who] = counter.unwrap_or(self.counters[who] + 1);
        let statement =
            Statement { link: LINK, counter: self.counters[who], time: 0, newest: None, versions };
        Signed::new(&statement, &KEYS[who].0).unwrap()
    }
}

fn run(rng: &mut Rng, heal: bool, over_links: bool) -> (View, Vec<Client>) {
    let mut truth = View { newest: 1, statements: Vec::new() };
    let mut operators = Operators::default();
    // Mirrors that stand still, each at another time.
    let mut mirrors = vec![truth.clone(); 4];
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client { over_links, ..Client::new(rng) }).collect();
    for step in 0..STEPS {
        if step % 6 == 0 {
            truth.newest += 1;
        }
        let n = 1 + rng.below(truth.newest);
        let honest = rng.index(2);
        let share =
            |rng: &mut Rng| Share::from_hundredths([0, 100, 1_000, 5_000, 10_000][rng.index(5)]).unwrap();
        let halt = |rng: &mut Rng| [Halt::Lifted, Halt::Lifted, Halt::Halted, Halt::Recalled][rng.index(4)];
        let signed = match rng.below(4) {
            0 => operators.says(honest, n, Some(share(rng)), None, None),
            1 => operators.says(honest, n, None, Some(halt(rng)), None),
            // The thief: versions that nobody released, any share, a lift of what others halted, the last counter there is.
            2 => {
                let n = 1 + rng.below(truth.newest + 3);
                let last = (step == STEPS - 10).then_some(u64::MAX - 20);
                let lifts = Some(Halt::Lifted).filter(|_| rng.chance(0.5));
                operators.says(2, n, Some(share(rng)), lifts, last)
            }
            _ => operators.says(honest, n, Some(share(rng)), Some(halt(rng)), None),
        };
        truth.statements.push(signed);
        if rng.chance(0.1) {
            let mirror = rng.index(mirrors.len());
            mirrors[mirror] = truth.clone();
        }
        for client in &mut clients {
            if rng.chance(0.5) {
                continue;
            }
            client.on_trial &= rng.chance(0.5);
            let mut view =
                if rng.chance(0.6) { mirrors[rng.index(mirrors.len())].clone() } else { truth.clone() };
            // What comes comes in part and in any order.
            rng.shuffle(&mut view.statements);
            let part = rng.index(view.statements.len() + 1);
            view.statements.truncate(part);
            client.look(&view, rng.chance(0.05));
        }
    }
    if heal {
        for client in &mut clients {
            client.on_trial = false;
            // Once it has gone back, it is at rest.
            for _ in 0..3 {
                client.look(&truth, false);
                client.on_trial = false;
            }
        }
    }
    (truth, clients)
}

#[test]
fn nobody_installs_outside_the_rules_and_all_end_at_the_newest_that_is_allowed() {
    let mut at_rest = 0;
    let mut seeds = 0;
    for replay in Replay::seeds("fleet", 8) {
        seeds += 1;
        let mut rng = replay.rng();
        let (truth, clients) = run(&mut rng, true, false);
        let policy = policy(truth.newest);
        let rules = Rules { policy: &policy, all: &truth.statements };
        for client in &clients {
            let allowed = (1..=truth.newest).rev().find(|n| rules.allows(&client.installation, *n));
            match allowed {
                // Higher only where it came before the halt or while the share was larger, and nobody recalled it.
                Some(newest) if client.installed != newest => {
                    assert!(
                        client.installed > newest && !rules.recalled(client.installed),
                        "{newest}, {}",
                        client.installed
                    );
                }
                Some(_) => at_rest += 1,
                None => {}
            }
        }
    }
    assert!(at_rest > seeds * CLIENTS / 5, "{at_rest} at the newest");
}

/// Clients of links look at the newest release first, and at a few below it only where that is held back.
#[test]
fn over_links_all_end_at_the_newest_allowed_one_of_those_they_look_at() {
    let (mut at_rest, mut between, mut seeds) = (0, 0, 0);
    for replay in Replay::seeds("between", 8) {
        seeds += 1;
        let (truth, clients) = run(&mut replay.rng(), true, true);
        let policy = policy(truth.newest);
        let rules = Rules { policy: &policy, all: &truth.statements };
        for client in &clients {
            let looked_at = client.lowest()..=truth.newest;
            let missed = looked_at.rev().find(|n| rules.allows(&client.installation, *n));
            assert_eq!(missed, None, "an allowed release above {} is not taken", client.installed);
            let allowed = rules.allows(&client.installation, client.installed);
            at_rest += usize::from(allowed);
            between += usize::from(allowed && client.installed < truth.newest && client.installed > 1);
        }
    }
    assert!(at_rest > seeds * CLIENTS / 5, "{at_rest} at one that is allowed");
    assert!(between > seeds * CLIENTS / 20, "{between} at one below the newest");
}

#[test]
fn with_every_operators_key_stolen_nobody_installs_what_the_quorum_did_not_sign() {
    for replay in Replay::seeds("stolen", 20) {
        let mut rng = replay.rng();
        let mut operators = Operators::default();
        let mut clients: Vec<_> = (0..20).map(|_| Client::new(&mut rng)).collect();
        for _ in 0..100 {
            let (who, n) = (rng.index(OPERATORS), 1 + rng.below(9));
            let halt = [None, Some(Halt::Lifted), Some(Halt::Recalled)][rng.index(3)];
            let signed = operators.says(who, n, Some(Share::ALL), halt, None);
            for client in &mut clients {
                // The quorum released 1.1.0 and 1.2.0. `look` refuses everything else.
                client.look(&View { newest: 2, statements: vec![signed.clone()] }, rng.chance(0.05));
                assert!(client.installed <= 2);
            }
        }
    }
}
