use super::*;
use bosc_format::signing::{Content, Request};
use std::collections::HashSet;

mod meeting;

fn pairs() -> Vec<KeyPair> {
    (1..=3).map(|n| KeyPair::from_seed(&[n; 32])).collect()
}

/// A request of that length to a production of that quorum, and every signer's answer.
fn signed(quorum: u64, length: u64) -> (Request, String, Vec<String>) {
    let keys: Vec<_> = pairs().iter().map(KeyPair::public).collect();
    let content = Content { length: 4, tree_hash: [7; 32] };
    let manifest = Manifest::multisig(&keys, quorum as _, "a/b");
    let request = Request::new(manifest, length, 0, [9; 32], Some(content));
    let bytes = request.encode();
    let responses = pairs().iter().map(|p| request.sign(&bytes, p).unwrap().to_text()).collect();
    let text = request.to_text();
    (request, text, responses)
}

#[test]
fn a_claim_never_shows_the_whole_quorum() {
    for quorum in 1..=3 {
        let (request, text, responses) = signed(quorum, 10);
        let (shown, _) = Shown::new(&text, &responses).unwrap();
        assert_eq!(shown.responses.len() as u64, quorum - 1);
        let bytes = request.encode();
        let judged = quorum::judge(&request, &bytes, &shown.responses).unwrap();
        assert!(request.assemble(&bytes, &judged.valid).is_err(), "nobody can commit with it");
        assert!(order(&request.key(), 9, &shown).is_some(), "and it is a claim");
    }
}

#[test]
fn what_production_has_already_and_what_too_few_signed_is_no_claim() {
    let (request, text, responses) = signed(2, 10);
    let (shown, _) = Shown::new(&text, &responses).unwrap();
    for (floor, counts) in [(0, true), (9, true), (10, false), (15, false)] {
        assert_eq!(order(&request.key(), floor, &shown).is_some(), counts, "{floor}");
    }
    assert!(order(&[0; 32], 0, &shown).is_none());
    let unsigned = Shown { request: text, responses: Vec::new() };
    assert!(order(&request.key(), 0, &unsigned).is_none());
}

#[test]
fn a_stage_is_read_from_the_last_block() {
    for (length, last, stage) in [
        (0, None, Stage::Looking),
        (1, Some("{}"), Stage::Looking),
        (2, None, Stage::Writing),
        (2, Some("writing"), Stage::Writing),
        (2, Some("withdrawn"), Stage::Withdrawn),
        (3, Some("held"), Stage::Held),
        (3, None, Stage::Writing),
        (4, Some("withdrawn"), Stage::Withdrawn),
        (3, Some("else"), Stage::Writing),
        (5, Some("withdrawn"), Stage::Held),
    ] {
        assert_eq!(Stage::read(length, last.map(str::as_bytes)), stage, "{length} {last:?}");
    }
    for stage in [Stage::Writing, Stage::Held, Stage::Withdrawn] {
        assert_eq!(Stage::read(2, Some(stage.block())), stage);
    }
}

/// What a commit of the model shows and whether it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Model {
    /// Not announced yet.
    Absent,
    First,
    Second,
    Holds,
    GaveWay,
}

impl Model {
    fn shows(self) -> Option<Stage> {
        match self {
            Self::Absent => None,
            Self::First => Some(Stage::Looking),
            Self::Second => Some(Stage::Writing),
            Self::Holds => Some(Stage::Held),
            Self::GaveWay => Some(Stage::Withdrawn),
        }
    }
}

/// A commit of the model, and what it saw of all of them since it entered its look: what it decides on may have changed.
type Commit = (Model, Option<[Model; 3]>);

/// What commit `i` does next. `None`: it has ended, or looks again until somebody else decides.
fn step(i: usize, state: &[Commit; 3]) -> Option<Commit> {
    let (now, Some(view)) = state[i] else {
        return match state[i].0 {
            Model::Absent => Some((Model::First, None)),
            Model::First | Model::Second => Some((state[i].0, Some(state.map(|(m, _)| m)))),
            Model::Holds | Model::GaveWay => None,
        };
    };
    let others = || (0..3).filter(|j| *j != i).filter_map(|j| Some((j < i, view[j].shows()?)));
    let rival = |first| others().any(|(lower, stage)| stage.goes_first(lower, first));
    Some(match now {
        Model::First if !rival(false) && others().any(|(_, s)| s == Stage::Writing) => {
            // It waits, and so sees what is there later.
            let newer = state.map(|(m, _)| m);
            return (newer != view).then_some((now, Some(newer)));
        }
        Model::First if rival(true) => (Model::GaveWay, None),
        Model::First => (Model::Second, None),
        Model::Second if rival(false) => (Model::GaveWay, None),
        _ => (Model::Holds, None),
    })
}

/// Every order of steps of three commits whose looks miss nothing that was announced before they began: at most one holds
/// the claim, and when all have ended, one does. Index is order: lower goes first.
#[test]
fn of_three_commits_one_holds_the_claim_in_every_order_of_steps() {
    let mut open = vec![[(Model::Absent, None); 3]];
    let mut seen: HashSet<_> = open.iter().copied().collect();
    let mut winners = BTreeSet::new();
    while let Some(state) = open.pop() {
        let holds: Vec<_> = (0..3).filter(|i| state[*i].0 == Model::Holds).collect();
        assert!(holds.len() <= 1, "{state:?}");
        let mut ended = true;
        for i in 0..3 {
            let Some(next) = step(i, &state) else { continue };
            ended = false;
            let mut after = state;
            after[i] = next;
            if seen.insert(after) {
                open.push(after);
            }
        }
        if ended {
            assert_eq!(holds.len(), 1, "{state:?}");
            winners.extend(holds);
        }
    }
    assert_eq!(winners.len(), 3, "each of them can be the one");
}

#[test]
fn a_commit_that_is_started_again_has_the_same_name_and_two_at_once_have_not() {
    let (store, other) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let seed = |store: &KeyPair, request: &str, responses: &[String]| {
        Name::new(store, request, responses).map(|name| *name.0)
    };
    let responses = ["one".to_owned(), "two".to_owned()];
    let name = seed(&store, "request", &responses).unwrap();
    assert_eq!(seed(&store, "request", &responses), Some(name), "killed, or over, and started again");
    assert_ne!(seed(&other, "request", &responses), Some(name));
    assert_ne!(seed(&store, "another", &responses), Some(name));
    assert_ne!(seed(&store, "request", responses.get(..1).unwrap()), Some(name), "it shows something else");
    let held = Name::new(&store, "request", &responses).unwrap();
    assert!(Name::new(&store, "request", &responses).is_none(), "it goes on");
    assert!(Name::new(&store, "another", &responses).is_some());
    drop(held);
    assert_eq!(seed(&store, "request", &responses), Some(name));
}
