//! Two commits to one production link see each other before either writes.
//!
//! Two requests that each extend production, both signed by the quorum, make two histories when they are committed at
//! once from two stores. So a commit first claims production: on a node of its own it joins a topic that follows from
//! production's key, and shows its request with all but one of the quorum's answers in a core that its node's key signs:
//! enough to keep strangers out, too few to commit with. What is not a request for this production with that many valid
//! signatures is not a claim, and neither is one that goes no further than production does. With a quorum of one nothing can
//! be shown that a stranger could not make up: such claims only warn (`unguarded`, `rivals`).
//!
//! ```text
//! announced --> looked once more --> every claim read, nobody else between *writing* and *held* --> no rival
//!     --> *writing* shown --> settled, read again --> no rival that goes first --> *held* shown --> [write, seed] --> dropped
//! first look:   a rival is one that *holds* it or one that sorts lower (by length, then by hash of the request)
//! second look:  a rival is one that sorts lower
//! a rival:      ERR_COMMIT_CLAIMED; when *writing* was shown, after *withdrawn* is shown and was read
//! ```
//!
//! Invariants:
//! * Who holds it was announced before its last look began. Of two commits at least one finds the other, and the
//!   connection tells both.
//! * Of two different requests at most one holds it. The higher one gives way to a lower one that it sees at either look.
//!   When it saw none, the lower one was announced later, so sees *writing* at its first look, and waits there until the
//!   higher one has decided.
//! * Of those that see each other one holds it: the lowest gives way only to one that holds it already. (A commit that
//!   is killed between *writing* and its decision, or loses its connection there, is taken for one that holds it.)
//! * The same request committed twice is not a rival: it ends in the same heads.
//! * A commit that was killed is not waited for by the same one started again ([`Name`]); by others it is, as long as one try to reach
//!   it takes, and what it showed counts for those who saw it.
//!
//! What followers, who know production's key too, can do: cost time ([`LONGEST`] for each of two looks) and cause
//! `unguarded`; and show again what they saw of a commit that was given up, as long as production has not reached its
//! length. Nothing tells that from a commit which is slow, so it is refused, never written over; the hint names
//! `--force-dangerous`, which claims nothing and looks at no claims.
//!
//! What it cannot do: two commits that reach the DHT but not each other do not see each other; `unguarded` tells when the
//! look was not complete. The conflict then shows to whoever meets both (see `conflict`).

use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::event::{MultisigEvent, Unguarded};
use crate::multisig::{errors, quorum, text};
use bosc_follow::{Meeting, Wait};
use bosc_format::crypto::{self, CoreKey, Hash, KeyPair, PublicKey};
use bosc_format::id;
use bosc_format::manifest::Manifest;
use bosc_node::{Download, DownloadHandle, LiveCore, Node};
use bosc_store::{Core, CreateOptions};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What the topic's key is derived with. Not secret: what counts is the quorum's signature on a claim.
const CONTEXT: &[u8] = b"bosc commit claim";
/// How long to wait for the announcement and the look after it.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a peer of the topic has to show its claim.
const READ: Duration = Duration::from_secs(10);
/// Longest look at the claims of others, however many come and go.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest claim read, in bytes.
const MAX_CLAIM: u64 = 1 << 16;
/// Most peers looked at at once.
const MAX_PEERS: usize = 64;
/// Most keys looked at ever: each leaves a core in memory until the claim is dropped, with one block at most.
const MAX_KEYS: usize = 128;
/// How long one that gives way stays for those who wait for its decision.
const FAREWELL: Duration = Duration::from_secs(3);
/// Most blocks of a claim: the request, and what became of it.
const MAX_BLOCKS: u64 = 4;

/// A request and who signed it.
#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    request: String,
    responses: Vec<String>,
}

impl Shown {
    /// What is shown of a request that is signed by the quorum, and how large that is.
    fn new(request: &str, responses: &[String]) -> Result<(Self, u64), CommandError> {
        let quorum = text::request(request)?.0.manifest.quorum;
        let show = usize::try_from(quorum.saturating_sub(1)).unwrap_or(usize::MAX);
        // Never the whole quorum: whoever has that can commit.
        let responses = responses.iter().take(show).cloned().collect();
        Ok((Self { request: request.to_owned(), responses }, quorum))
    }
}

/// By what claims are sorted: lower goes first.
type Order = (u64, Hash);

/// How far a commit is, shown by the last block of its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It looks for others.
    Looking,
    /// It saw no rival and looks once more. Whoever sees this waits for what comes of it.
    Writing,
    /// It goes on to write.
    Held,
    /// It gave way.
    Withdrawn,
}

impl Stage {
    /// The block that says so.
    fn block(self) -> &'static [u8] {
        match self {
            // The request itself.
            Self::Looking => b"",
            Self::Writing => b"writing",
            Self::Held => b"held",
            Self::Withdrawn => b"withdrawn",
        }
    }

    /// What a claim of `length` blocks says, whose last block is `last`, if it is here.
    fn read(length: u64, last: Option<&[u8]>) -> Self {
        match last {
            _ if length <= 1 => Self::Looking,
            // Longer than any claim of ours; to be safe, the worst.
            _ if length > MAX_BLOCKS => Self::Held,
            Some(b"held") => Self::Held,
            Some(b"withdrawn") => Self::Withdrawn,
            // Not here yet, or not known.
            _ => Self::Writing,
        }
    }

    /// Whether a claim with this stage, sorted lower than ours or not, goes first.
    fn goes_first(self, lower: bool, first_look: bool) -> bool {
        match self {
            Self::Withdrawn => false,
            Self::Looking => lower,
            // At the first look it was waited for until it decided, or for too long.
            Self::Writing | Self::Held => lower || first_look,
        }
    }
}

/// What a commit is known by. The same for the same request from the same store: one that was killed is still announced for minutes,
/// and whoever comes next would try to reach it, in vain and for seconds. Under its name the next one is not somebody else.
pub(super) struct Name(Zeroizing<[u8; 32]>);

/// Names of commits that are going on in this process: no two have one.
static NAMES: Mutex<BTreeSet<PublicKey>> = Mutex::new(BTreeSet::new());

impl Name {
    /// The name that a store, by a key of its own, has for a request. `None` while a commit of this process has it.
    pub(super) fn new(store: &KeyPair, request: &str, responses: &[String]) -> Option<Self> {
        // What is shown under a name is always the same, so that nobody who saw it before sees another history.
        let mut said = vec![CONTEXT, request.as_bytes()];
        said.extend(responses.iter().map(String::as_bytes));
        let seed = Zeroizing::new(crypto::hash(&[CONTEXT, &store.sign(&crypto::hash(&said))]));
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        // Only made when it is ours: dropping one gives the name back.
        names.insert(KeyPair::from_seed(&seed).public()).then(|| Self(seed))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(&KeyPair::from_seed(&self.0).public());
    }
}

/// What a peer of the topic shows. One that shows no claim to this production is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimSeen {
    /// Nothing yet.
    Unread,
    Claim(Order, Stage),
}

/// A peer of the topic.
struct Peer {
    live: LiveCore,
    since: Instant,
    seen: ClaimSeen,
    /// It went while it was writing, or held the claim: that still counts.
    gone: bool,
    _download: DownloadHandle,
}

/// Held until it is dropped.
pub(super) struct Claim {
    production: CoreKey,
    /// How long production is; what goes no further is not a claim.
    floor: u64,
    /// Whether claims show a signature, and so can be believed.
    signed: bool,
    order: Order,
    own: Core,
    shown: LiveCore,
    peers: BTreeMap<PublicKey, Peer>,
    /// Every key that was looked at.
    known: BTreeSet<PublicKey>,
    /// Keys that show no claim.
    nothing: BTreeSet<PublicKey>,
    /// Somebody was not looked at, for want of room.
    skipped: bool,
    node: Arc<Node>,
    // Dropped in this order: the topic is left while the engine still runs, and whoever waits for us learns at once that
    // we are gone.
    meeting: Meeting,
    engine: Engine,
    _name: Option<Name>,
}

impl Claim {
    /// Claims `production`, which is `floor` long as far as is known, for a request, under a name or one that was never used.
    ///
    /// # Errors
    /// `ERR_COMMIT_CLAIMED` when another request goes first.
    pub(super) fn take(
        bootstrap: Vec<SocketAddrV4>,
        name: Option<Name>,
        production: &CoreKey,
        floor: u64,
        (request, responses): (&str, &[String]),
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let engine = match &name {
            Some(name) => Engine::in_memory_as(bootstrap, &name.0)?,
            None => Engine::in_memory(bootstrap)?,
        };
        let (shown, quorum) = Shown::new(request, responses)?;
        let order = order(production, floor, &shown)
            .ok_or_else(|| errors::bad_request("it is not signed by enough signers of production"))?;
        let bytes = serde_json::to_vec(&shown)
            .map_err(|e| CommandError::failed("the claim cannot be written").because(e))?;
        let seed = crypto::hash(&[CONTEXT, production]);
        let meeting = CreateOptions::with_key_pair(KeyPair::from_seed(&seed));
        let meeting = engine.store.create_core(meeting).map_err(store_error)?;
        let pair = engine.node_key()?;
        let own = engine.store.create_core(CreateOptions::with_key_pair(pair)).map_err(store_error)?;
        own.append(&[bytes.into()]).map_err(store_error)?;
        let node = engine.node()?;
        let shown = node.attach(&own);
        let meeting = Meeting::join(&node, &engine.topics, &meeting);
        let mut claim = Self {
            production: *production,
            floor,
            signed: quorum > 1,
            order,
            own,
            shown,
            peers: BTreeMap::new(),
            known: BTreeSet::new(),
            nothing: BTreeSet::new(),
            skipped: false,
            node,
            meeting,
            engine,
            _name: name,
        };
        claim.look(sink, stop)?;
        claim.settle(true, sink, stop)?;
        claim.yield_to(true)?;
        claim.show(Stage::Writing)?;
        let decided = claim.settle(false, sink, stop).and_then(|()| claim.yield_to(false));
        if let Err(e) = decided {
            claim.withdraw(stop);
            return Err(e);
        }
        claim.show(Stage::Held)?;
        let rivals = claim.rivals(false);
        if rivals > 0 {
            sink.tell(MultisigEvent::Unguarded(Unguarded {
                announced: true,
                rivals: Some(rivals),
                ..Unguarded::default()
            }));
        }
        Ok(claim)
    }

    /// Whether no rival goes first meanwhile. To be called right before writing.
    pub(super) fn check(&mut self) -> Result<(), CommandError> {
        self.read()?;
        self.yield_to(false)
    }

    fn show(&self, stage: Stage) -> Result<(), CommandError> {
        self.own.append(&[stage.block().into()]).map(drop).map_err(store_error)
    }

    /// Tells those who wait for our decision that we gave way, and stays until they know.
    fn withdraw(&self, stop: &Stop) {
        if self.show(Stage::Withdrawn).is_err() {
            return;
        }
        let length = self.own.length();
        let told = Wait::new(stop).timeout(FAREWELL).run(self.node.signal(), |_| {
            let open = self.shown.status().peers.iter().any(|p| p.synced && !p.holds(0, length));
            Ok::<_, CommandError>((!open).then_some(()))
        });
        // Who does not know takes us for one that holds it, and gives way: that is safe.
        drop(told);
    }

    fn yield_to(&self, first_look: bool) -> Result<(), CommandError> {
        match self.signed && self.rivals(first_look) > 0 {
            true => Err(claimed(&id::encode(&self.production))),
            false => Ok(()),
        }
    }

    /// How many rivals go first.
    fn rivals(&self, first_look: bool) -> usize {
        let first = |p: &&Peer| match p.seen {
            ClaimSeen::Claim(order, stage) if order != self.order => {
                stage.goes_first(order < self.order, first_look)
            }
            _ => false,
        };
        self.peers.values().filter(first).count()
    }

    /// Whether another request is between *writing* and its decision.
    fn is_undecided(&self) -> bool {
        let open = |p: &Peer| match p.seen {
            ClaimSeen::Claim(order, Stage::Writing) => order != self.order && !p.gone,
            _ => false,
        };
        self.signed && self.peers.values().any(open)
    }

    /// Announces itself, and then looks once more.
    fn look(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let met = self.meeting.announce(&mut Wait::new(stop).timeout(PATIENCE))?;
        if !met.announced || !met.looked || met.alone {
            let announced = met.announced && !met.alone;
            sink.tell(MultisigEvent::Unguarded(Unguarded { announced, ..Unguarded::default() }));
        }
        Ok(())
    }

    /// Waits until nobody new comes and everybody who is there was read (and, at the first look, has decided), or for
    /// [`LONGEST`].
    fn settle(&mut self, first_look: bool, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let node = Arc::clone(&self.node);
        self.meeting.begin();
        let mut unread = 0;
        let settled = Wait::new(stop).timeout(LONGEST).run(node.signal(), |alarm| {
            self.read()?;
            let mut open = 0;
            unread = 0;
            for peer in self.peers.values().filter(|p| p.seen == ClaimSeen::Unread) {
                unread += 1;
                open += usize::from(!alarm.has_passed(peer.since, READ));
            }
            // Who sorts higher than one that is there gives way to it, however the others decide.
            let decides = first_look && self.rivals(false) == 0 && self.is_undecided();
            Ok::<_, CommandError>((self.meeting.is_settled(alarm) && open == 0 && !decides).then_some(()))
        })?;
        if unread > 0 || self.skipped || settled.is_none() {
            sink.tell(MultisigEvent::Unguarded(Unguarded {
                announced: true,
                unread: Some(unread),
                skipped: Some(self.skipped),
                ..Unguarded::default()
            }));
        }
        Ok(())
    }

    /// Takes in who came and what they show.
    fn read(&mut self) -> Result<(), CommandError> {
        let there = self.meeting.others();
        self.peers.retain(|key, peer| {
            peer.gone = !there.contains(key);
            !peer.gone || matches!(peer.seen, ClaimSeen::Claim(_, Stage::Writing | Stage::Held))
        });
        for key in there {
            if self.peers.contains_key(&key) || self.nothing.contains(&key) {
                continue;
            }
            let room = self.peers.len() < MAX_PEERS;
            if !room || (!self.known.contains(&key) && self.known.len() >= MAX_KEYS) {
                self.skipped = true;
                continue;
            }
            self.known.insert(key);
            let core = self.engine.store.open_core(&Manifest::single(key).key()).map_err(store_error)?;
            let live = self.node.attach(&core);
            let download = live.download(Download::range(0, MAX_BLOCKS));
            let (since, seen) = (Instant::now(), ClaimSeen::Unread);
            let peer = Peer { live, since, seen, gone: false, _download: download };
            self.peers.insert(key, peer);
        }
        for (key, peer) in self.peers.iter_mut().filter(|(_, p)| p.seen == ClaimSeen::Unread) {
            // Given up as soon as its size is proved, whatever has come of it.
            if peer.live.status().byte_length > MAX_CLAIM {
                self.nothing.insert(*key);
                continue;
            }
            // One that cannot be read is none.
            let Ok(Some(block)) = peer.live.core().block(0) else { continue };
            let shown = serde_json::from_slice::<Shown>(&block).ok();
            match shown.and_then(|s| order(&self.production, self.floor, &s)) {
                Some(order) => peer.seen = ClaimSeen::Claim(order, Stage::Looking),
                None => drop(self.nothing.insert(*key)),
            }
        }
        for peer in self.peers.values_mut() {
            if let ClaimSeen::Claim(order, _) = peer.seen {
                let length = peer.live.status().length;
                let last = length.checked_sub(1).filter(|i| *i < MAX_BLOCKS);
                let last = last.and_then(|i| peer.live.core().block(i).ok().flatten());
                peer.seen = ClaimSeen::Claim(order, Stage::read(length, last.as_deref()));
            }
        }
        let nothing = &self.nothing;
        self.peers.retain(|key, _| !nothing.contains(key));
        Ok(())
    }
}

/// What a claim is sorted by. `None`: it is none for this production, it goes no further than `floor`, or too few signed
/// it.
fn order(production: &CoreKey, floor: u64, shown: &Shown) -> Option<Order> {
    let (request, bytes) = text::request(&shown.request).ok()?;
    if request.key() != *production || request.length <= floor {
        return None;
    }
    let judged = quorum::judge(&request, &bytes, &shown.responses).ok()?;
    let enough = judged.count() >= request.manifest.quorum.saturating_sub(1);
    enough.then(|| (request.length, crypto::hash(&[&bytes])))
}

/// Another request is being committed.
fn claimed(production: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Failed,
        "ERR_COMMIT_CLAIMED",
        format!("another request for pear://{production} is being committed; nothing was written"),
    )
    .hint(
        "wait until that commit is over and look at `bosc info`: when production holds it, make a new request on top of \
         it; else run this commit again. When it says the same again and you know that nobody else commits, a peer still \
         shows the claim of an abandoned commit: --force-dangerous continues without looking at claims",
    )
}

#[cfg(test)]
mod tests;
