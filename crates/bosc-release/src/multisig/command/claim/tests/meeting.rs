//! Claims that meet, between whole nodes on loopback.

use super::*;
use crate::event::Event;
use bosc_node::{NodeConfig, Role};
use std::net::Ipv4Addr;
use std::sync::Barrier;

const LONG: Duration = Duration::from_secs(60);

/// Nodes that others find each other by.
struct Network {
    _nodes: Vec<Node>,
    bootstrap: Vec<SocketAddrV4>,
}

impl Network {
    fn new() -> Self {
        let (mut nodes, mut bootstrap) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let mut config = NodeConfig::peer(bootstrap.iter().take(1).copied().collect());
            config.host = Ipv4Addr::LOCALHOST;
            config.role = Role::Persistent(Ipv4Addr::LOCALHOST);
            let node = Node::start(config, None).unwrap();
            bootstrap.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, node.port()));
            nodes.push(node);
        }
        Self { _nodes: nodes, bootstrap }
    }

    fn take(&self, commit: &Commit) -> Taken {
        let mut rivals = Vec::new();
        let mut sink = |event: Event| {
            if let Event::Multisig(MultisigEvent::Unguarded(told)) = event {
                rivals.extend(told.rivals);
            }
        };
        let (text, responses) = (&commit.text, &commit.responses);
        let claim = Claim::take(
            self.bootstrap.clone(),
            None,
            &commit.production,
            9,
            (text, responses),
            &mut sink,
            &Stop::new(),
        );
        Taken { claim: claim.map_err(|e| e.code().to_owned()), rivals }
    }

    /// Somebody who shows these blocks where commits to a production meet.
    fn stranger(&self, production: &CoreKey, blocks: &[&[u8]]) -> Stranger {
        let engine = Engine::in_memory(self.bootstrap.clone()).unwrap();
        let seed = crypto::hash(&[CONTEXT, production]);
        let pair = CreateOptions::with_key_pair(KeyPair::from_seed(&seed));
        let meeting = engine.store.create_core(pair).unwrap();
        let pair = CreateOptions::with_key_pair(engine.node_key().unwrap());
        let own = engine.store.create_core(pair).unwrap();
        let node = engine.node().unwrap();
        let shown = node.attach(&own);
        let mut meeting = Meeting::join(&node, &engine.topics, &meeting);
        let mut stranger = Stranger { shown, own, node, meeting: None, _engine: engine };
        stranger.show(blocks);
        meeting.announce(&mut Wait::new(&Stop::new()).timeout(LONG)).unwrap();
        stranger.meeting = Some(meeting);
        stranger
    }
}

struct Taken {
    claim: Result<Claim, String>,
    /// Claims that could not be believed.
    rivals: Vec<usize>,
}

/// Leaves the topic, and then ends.
struct Stranger {
    meeting: Option<Meeting>,
    shown: LiveCore,
    own: Core,
    node: Arc<Node>,
    _engine: Engine,
}

impl Stranger {
    fn show(&self, blocks: &[&[u8]]) {
        let blocks: Vec<_> = blocks.iter().map(|block| block.to_vec().into()).collect();
        self.own.append(&blocks).unwrap();
    }

    /// Waits until somebody has all of it.
    fn until_read(&self) {
        let length = self.own.length();
        let stop = Stop::new();
        let read = Wait::new(&stop).timeout(LONG).run(self.node.signal(), |_| {
            let read = self.shown.status().peers.iter().any(|p| p.synced && p.holds(0, length));
            Ok::<_, CommandError>(read.then_some(()))
        });
        assert!(read.unwrap().is_some(), "nobody reads it");
    }
}

/// A request to production that its quorum signed.
struct Commit {
    production: CoreKey,
    text: String,
    responses: Vec<String>,
}

impl Commit {
    /// Two that exclude each other; the first goes first.
    fn two(quorum: u64) -> [Self; 2] {
        let mut both = [1, 2].map(|salt| {
            let keys: Vec<_> = pairs().iter().map(KeyPair::public).collect();
            let content = Content { length: 4, tree_hash: [7; 32] };
            let manifest = Manifest::multisig(&keys, quorum as _, "a/b");
            let request = Request::new(manifest, 10, 0, [salt; 32], Some(content));
            let bytes = request.encode();
            let responses = pairs().iter().map(|p| request.sign(&bytes, p).unwrap().to_text()).collect();
            Self { production: request.key(), text: request.to_text(), responses }
        });
        both.sort_by_key(|commit| order(&commit.production, 0, &commit.claim()).unwrap());
        both
    }

    fn claim(&self) -> Shown {
        Shown::new(&self.text, &self.responses).unwrap().0
    }

    fn block(&self) -> Vec<u8> {
        serde_json::to_vec(&self.claim()).unwrap()
    }
}

#[test]
fn of_two_commits_at_once_one_gets_the_claim() {
    let network = Network::new();
    let both = Commit::two(2);
    let decided = Barrier::new(2);
    let codes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads = both.each_ref().map(|commit| {
            let (network, decided) = (&network, &decided);
            scope.spawn(move || {
                let taken = network.take(commit);
                // Who has it keeps it until the other one has decided.
                decided.wait();
                taken.claim.map(drop)
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|c| c.is_ok()).count(), 1, "{codes:?}");
    assert!(codes.contains(&Err("ERR_COMMIT_CLAIMED".into())), "{codes:?}");
}

#[test]
fn a_claim_keeps_others_out_as_long_as_it_is_held() {
    let network = Network::new();
    // The one that would go first comes second.
    let [lower, higher] = Commit::two(2);
    let mut held = network.take(&higher).claim.unwrap();
    let shown: Vec<_> = (0..held.own.length()).map(|i| held.own.block(i).unwrap().unwrap()).collect();
    assert_eq!(shown, [&higher.block()[..], b"writing", b"held"]);
    assert_eq!(network.take(&lower).claim.err().as_deref(), Some("ERR_COMMIT_CLAIMED"));
    held.check().unwrap();
    drop(network.take(&higher).claim.expect("the same request is no rival"));
    drop(held);
    drop(network.take(&lower).claim.expect("nobody holds it any more"));
}

#[test]
fn with_a_quorum_of_one_a_rival_is_only_named() {
    let network = Network::new();
    let [lower, higher] = Commit::two(1);
    let _held = network.take(&lower).claim.unwrap();
    let second = network.take(&higher);
    assert_eq!((second.claim.err(), second.rivals), (None, vec![1]));
}

#[test]
fn right_before_it_writes_a_commit_looks_once_more() {
    let network = Network::new();
    let [lower, higher] = Commit::two(2);
    let mut held = network.take(&higher).claim.unwrap();
    let stranger = network.stranger(&higher.production, &[&lower.block(), b"writing", b"held"]);
    let start = Instant::now();
    while held.check().is_ok() {
        assert!(start.elapsed() < LONG, "it is never seen");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whoever held it may have written before it went.
    drop(stranger);
    while !held.meeting.others().is_empty() {
        assert!(start.elapsed() < LONG, "it never goes");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(held.check().unwrap_err().code(), "ERR_COMMIT_CLAIMED");
}

#[test]
fn what_nobody_signed_and_what_is_too_large_keeps_nobody_out() {
    let network = Network::new();
    let [lower, higher] = Commit::two(2);
    let unsigned = Shown { request: lower.text.clone(), responses: Vec::new() };
    let unsigned = serde_json::to_vec(&unsigned).unwrap();
    // A good one, were it not for its size.
    let mut large = lower.block();
    large.resize(MAX_CLAIM as usize + 1, b' ');
    let strangers: Vec<_> = [&unsigned[..], &large, b"{"]
        .iter()
        .map(|first| network.stranger(&higher.production, &[first, b"writing", b"held"]))
        .collect();
    drop(network.take(&higher).claim.expect("no claim, and no reason to wait"));
    // Where it is a claim, it does.
    drop(strangers);
    let _stranger = network.stranger(&higher.production, &[&lower.block(), b"writing", b"held"]);
    assert_eq!(network.take(&higher).claim.err().as_deref(), Some("ERR_COMMIT_CLAIMED"));
}

#[test]
fn who_goes_first_waits_for_one_that_has_not_decided() {
    let network = Network::new();
    let [lower, higher] = Commit::two(2);
    let stranger = network.stranger(&higher.production, &[&higher.block(), b"writing"]);
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| network.take(&lower).claim.map(drop));
        stranger.until_read();
        std::thread::sleep(Duration::from_millis(500));
        stranger.show(&[b"withdrawn"]);
        taking.join().unwrap()
    });
    assert_eq!(taken, Ok(()));
}
