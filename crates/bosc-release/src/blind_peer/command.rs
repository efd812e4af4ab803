//! Keeps cores for clients until stopped.

use super::BlindPeer;
use super::event::{BlindPeerEvent as Told, BlindPeerStats};
use super::plan::{Admission, Bounds, Kept, Plan, admit, plan};
use super::record::{NAME, Record};
use crate::clock;
use crate::command::{Sink, Stop};
use crate::engine::errors::store_error;
use crate::engine::{Engine, NodeWishes, OFFLINE_AFTER, public_keys};
use crate::error::{CommandError, ErrorKind};
use bosc_follow::{Alarm, FollowError, Topic, Wait};
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_format::id;
use bosc_node::{BlindFor, BlindRequest, Blocks, Download, DownloadHandle, LiveCore, NetStatus, Node};
use bosc_store::Core;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked at all cores at most.
const LOOK: Duration = Duration::from_millis(200);
/// When somebody wanted a core is written down so often only, in seconds.
const WRITE_AGAIN: u64 = 600;
/// How long a request waits for its connection to be told of.
const EARLY: Duration = Duration::from_secs(2);
/// Most of these.
const MAX_EARLY: usize = 256;
/// How often it is told of one client that there is no room for its cores.
const FULL_AGAIN: Duration = Duration::from_secs(60);
/// Most cores that are announced: each costs the DHT a few messages every ten minutes.
const MAX_ANNOUNCED: usize = 900;

/// A core that is kept.
struct Keep {
    core: Core,
    record: Record,
    /// As it is in the store.
    written: u64,
    /// Once somebody asked for it in this run, or it is announced. Its download is dropped before it.
    fetching: Option<Fetching>,
    live: Option<LiveCore>,
    /// Others find it here.
    topic: Option<Topic>,
    /// Its head was told as whole: fork and length.
    whole: Option<(u64, u64)>,
}

/// All blocks of one head are fetched.
struct Fetching {
    fork: u64,
    length: u64,
    handle: DownloadHandle,
}

struct Keeping<'a> {
    engine: &'a Engine,
    node: Arc<Node>,
    bounds: Bounds,
    allow: BTreeSet<PublicKey>,
    cores: BTreeMap<CoreKey, Keep>,
    /// What clients that are connected asked for.
    clients: BTreeMap<PublicKey, BTreeSet<CoreKey>>,
    /// Requests of clients whose connection is not in the snapshot yet.
    early: Vec<(Instant, BlindRequest)>,
    /// When a client was last told to be one core too many.
    full_told: BTreeMap<PublicKey, Instant>,
    stats: BlindPeerStats,
    told: Option<BlindPeerStats>,
    told_at: Instant,
    looked: Option<Instant>,
    start: Instant,
    announced: bool,
    offline: bool,
}

impl Engine {
    /// What the node has to be for this.
    pub(crate) fn blind_peer_wishes(&self, request: &BlindPeer) -> Result<NodeWishes, CommandError> {
        let allow = public_keys(&request.allow, "--allow")?;
        let blind_for = match request.public {
            true => BlindFor::Anyone,
            false => BlindFor::Keys(allow.into_iter().collect()),
        };
        let map_port = !request.no_port_mapping;
        Ok(NodeWishes { port: request.port, map_port, blind_for: Some(blind_for), ..NodeWishes::default() })
    }

    pub(crate) fn blind_peer(
        &self,
        request: &BlindPeer,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let allow: BTreeSet<PublicKey> = public_keys(&request.allow, "--allow")?.into_iter().collect();
        let cores = self.kept_cores()?;
        let node = self.node()?;
        node.listen();
        let mut keeping = Keeping {
            engine: self,
            node: Arc::clone(&node),
            bounds: Bounds { disk: request.max_disk, cores: request.max_cores },
            allow,
            cores,
            clients: BTreeMap::new(),
            early: Vec::new(),
            full_told: BTreeMap::new(),
            stats: BlindPeerStats::default(),
            told: None,
            told_at: Instant::now(),
            looked: None,
            start: Instant::now(),
            announced: false,
            offline: false,
        };
        sink.tell(Told::Keeping {
            key: id::encode(node.public_key()),
            port: node.port(),
            public: request.public,
            allowed: keeping.allow.len(),
            cores: keeping.cores.len(),
            bytes: keeping.cores.values().map(|k| k.core.info().block_bytes).sum(),
        });
        keeping.announce_again();
        let every = Duration::from_millis(request.stats_interval_ms.max(20));
        let result: Result<Option<()>, CommandError> = Wait::new(stop).run(node.signal(), |alarm| {
            keeping.look(every, sink, alarm)?;
            Ok(None)
        });
        sink.tell(Told::Stats(keeping.stats));
        drop(keeping);
        let _ = node.flush();
        match result {
            Ok(_) => Ok(()),
            // That is how it ends.
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// What was kept before.
    fn kept_cores(&self) -> Result<BTreeMap<CoreKey, Keep>, CommandError> {
        let mut kept = BTreeMap::new();
        for info in self.store.cores().map_err(store_error)? {
            let Some(core) = self.store.get_core(&info.key).map_err(store_error)? else { continue };
            let record = core.user_data(NAME).map_err(store_error)?.and_then(|b| Record::decode(&b));
            if let Some(record) = record.filter(|_| !core.writable()) {
                kept.insert(info.key, Keep::new(core, record));
            }
        }
        Ok(kept)
    }
}

impl Keep {
    fn new(core: Core, record: Record) -> Self {
        Self { core, record, written: record.wanted, fetching: None, live: None, topic: None, whole: None }
    }

    /// How it stands for a plan.
    fn kept(&self, present: bool) -> Kept {
        let held = self.core.info().block_bytes;
        let whole = self.core.head().byte_length.max(held);
        Kept { record: self.record, held, whole, present }
    }

    /// Fetches all blocks of the present head, or nothing.
    fn fetch(&mut self, fetch: bool) {
        let Some(live) = self.live.as_ref().filter(|_| fetch) else {
            self.fetching = None;
            return;
        };
        let head = self.core.head();
        let missing = self.core.contiguous_length() < head.length;
        let here = self.fetching.as_ref().is_some_and(|f| {
            (f.fork, f.length) == (head.fork, head.length) && !(missing && f.handle.is_done())
        });
        if missing && !here {
            let blocks = Blocks::Range { start: 0, end: Some(head.length) };
            let handle = live.download(Download { blocks, linear: false });
            self.fetching = Some(Fetching { fork: head.fork, length: head.length, handle });
        }
    }
}

impl Keeping<'_> {
    /// Cores that were announced are so again.
    fn announce_again(&mut self) {
        let announced = self.cores.iter().filter(|(_, k)| k.record.announce).map(|(key, _)| *key);
        for key in announced.collect::<Vec<_>>() {
            self.go_live(&key);
        }
    }

    fn look(&mut self, every: Duration, sink: &mut dyn Sink, alarm: &mut Alarm) -> Result<(), CommandError> {
        let now = alarm.now();
        self.early.extend(self.node.blind_requests().into_iter().map(|request| (now, request)));
        let net = self.node.status();
        for (came, request) in std::mem::take(&mut self.early) {
            if net.peers.contains_key(&request.client) {
                self.asked(&request, &net, sink)?;
            } else if !alarm.has_passed(came, EARLY) {
                // The connection is told of by another thread than what came on it; or it is gone.
                self.early.push((came, request));
                self.early.truncate(MAX_EARLY);
            }
        }
        self.tell_network(&net, sink, alarm);
        if let Some(looked) = self.looked
            && !alarm.has_passed(looked, LOOK)
        {
            return Ok(());
        }
        self.looked = Some(alarm.now());
        self.clients.retain(|client, _| net.connections.contains(client));
        self.full_told.retain(|_, at| now.saturating_duration_since(*at) < FULL_AGAIN);
        self.check_failed()?;
        self.note_wanted()?;
        let planned = self.plan();
        self.carry_out(&planned, sink)?;
        if alarm.has_passed(self.told_at, every) {
            self.told_at = alarm.now();
            alarm.has_passed(self.told_at, every);
            if self.told != Some(self.stats) {
                self.told = Some(self.stats);
                sink.tell(Told::Stats(self.stats));
            }
        }
        Ok(())
    }

    /// A disk that is full or fails ends it: whatever supervises it is to notice.
    fn check_failed(&self) -> Result<(), CommandError> {
        let failed = self.cores.values().filter_map(|k| k.live.as_ref()?.status().failed).next();
        failed.map_or(Ok(()), |why| Err(FollowError::NotStored(why).into()))
    }

    fn tell_network(&mut self, net: &NetStatus, sink: &mut dyn Sink, alarm: &mut Alarm) {
        if net.listening && !self.announced {
            self.announced = true;
            sink.tell(Told::Announced);
        }
        if !self.announced
            && !self.offline
            && alarm.has_passed(self.start, OFFLINE_AFTER)
            && let Some(tried) = self.engine.unanswered()
        {
            self.offline = true;
            sink.tell(Told::Offline { tried: tried.iter().map(ToString::to_string).collect() });
        }
    }

    /// A client asks for cores.
    fn asked(
        &mut self,
        request: &BlindRequest,
        net: &NetStatus,
        sink: &mut dyn Sink,
    ) -> Result<(), CommandError> {
        let Some(at) = net.peers.get(&request.client) else { return Ok(()) };
        let network = match at.address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                [a, b, c]
            }
            IpAddr::V6(_) => [0; 3],
        };
        let trusted = self.allow.contains(&request.client);
        let now = clock::now();
        let new = Record {
            announce: trusted && request.cores.announce,
            trusted,
            priority: u8::from(request.cores.priority > 0),
            network,
            wanted: now,
        };
        let mut batch = self.engine.store.batch();
        let mut live = Vec::new();
        let mut kept = self.kept();
        for wish in &request.cores.cores {
            if let Some(keep) = self.cores.get_mut(&wish.key) {
                let r = &mut keep.record;
                let more = Record {
                    announce: r.announce || new.announce,
                    trusted: r.trusted || trusted,
                    priority: r.priority.max(new.priority),
                    wanted: now,
                    ..*r
                };
                let changed = Record { wanted: r.wanted, ..more } != *r;
                *r = more;
                // It makes no room for one behind it.
                kept.entry(wish.key).and_modify(|k| (k.record, k.present) = (more, true));
                if changed {
                    keep.written = now;
                    batch.set_user_data(Some(&keep.core), NAME, Some(&more.encode())).map_err(store_error)?;
                }
                live.push(wish.key);
                continue;
            }
            if let Some(own) = self.engine.store.get_core(&wish.key).map_err(store_error)? {
                // This store's own, or a command's: it is here, and stays or goes as its owner wants.
                self.node.attach_for_clients(&own);
                continue;
            }
            let (core, client) = (id::encode(&wish.key), id::encode(&request.client));
            match admit(&kept, &new, self.bounds, now) {
                Admission::Yes => {}
                Admission::InPlaceOf(other) => {
                    kept.remove(&other);
                    self.remove(&other, sink)?;
                }
                Admission::No => {
                    self.stats.refused += 1;
                    if let Entry::Vacant(first) = self.full_told.entry(request.client) {
                        first.insert(Instant::now());
                        sink.tell(Told::Full { core, client });
                    }
                    continue;
                }
            }
            let opened = self.engine.store.open_core(&wish.key).map_err(store_error)?;
            batch.set_user_data(Some(&opened), NAME, Some(&new.encode())).map_err(store_error)?;
            let keep = Keep::new(opened, new);
            kept.insert(wish.key, keep.kept(true));
            self.cores.insert(wish.key, keep);
            self.stats.added += 1;
            live.push(wish.key);
            sink.tell(Told::Add { core, client, announce: new.announce });
        }
        if !batch.is_empty() {
            batch.commit().map_err(store_error)?;
        }
        self.clients.entry(request.client).or_default().extend(&live);
        for key in live {
            self.go_live(&key);
        }
        Ok(())
    }

    /// All cores as they stand for a plan.
    fn kept(&self) -> BTreeMap<CoreKey, Kept> {
        let present: BTreeSet<CoreKey> = self.clients.values().flatten().copied().collect();
        self.cores.iter().map(|(key, k)| (*key, k.kept(present.contains(key)))).collect()
    }

    /// Offers a core to those who asked for it, or to all where it is announced.
    fn go_live(&mut self, key: &CoreKey) {
        let announced = self.cores.values().filter(|k| k.topic.is_some()).count();
        let Some(keep) = self.cores.get_mut(key) else { return };
        if keep.record.announce && keep.topic.is_none() && announced < MAX_ANNOUNCED {
            keep.live = Some(self.node.attach(&keep.core));
            keep.topic = Some(self.engine.topics.join(&self.node, *keep.core.discovery_key(), true));
        } else {
            // Each time: to the connection on which it was asked for.
            keep.live = Some(self.node.attach_for_clients(&keep.core));
        }
    }

    /// Somebody has or fetches it: it is wanted.
    fn note_wanted(&mut self) -> Result<(), CommandError> {
        let now = clock::now();
        let mut batch = self.engine.store.batch();
        for keep in self.cores.values_mut() {
            if keep.live.as_ref().is_some_and(|l| !l.status().peers.is_empty()) {
                keep.record.wanted = now;
            }
            if keep.record.wanted.abs_diff(keep.written) >= WRITE_AGAIN {
                keep.written = keep.record.wanted;
                batch
                    .set_user_data(Some(&keep.core), NAME, Some(&keep.record.encode()))
                    .map_err(store_error)?;
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => batch.commit().map_err(store_error),
        }
    }

    fn plan(&mut self) -> Plan {
        let kept = self.kept();
        let planned = plan(&kept, self.bounds, clock::now());
        let missing = |(key, k): &(&CoreKey, &Kept)| k.held < k.whole && !planned.fetch.contains(*key);
        self.stats.clients = self.clients.len();
        self.stats.cores = kept.len();
        self.stats.announced = self.cores.values().filter(|k| k.topic.is_some()).count();
        self.stats.bytes = kept.values().map(|k| k.held).sum();
        self.stats.waiting = kept.iter().filter(missing).count();
        planned
    }

    fn carry_out(&mut self, planned: &Plan, sink: &mut dyn Sink) -> Result<(), CommandError> {
        for key in &planned.clear {
            let Some(keep) = self.cores.get_mut(key) else { continue };
            keep.fetch(false);
            keep.whole = None;
            let bytes = keep.core.info().block_bytes;
            keep.core.clear(0, u64::MAX).map_err(store_error)?;
            self.stats.cleared_bytes = self.stats.cleared_bytes.saturating_add(bytes);
            sink.tell(Told::Cleared { core: id::encode(key), bytes });
        }
        let mut whole = Vec::new();
        for (key, keep) in &mut self.cores {
            keep.fetch(planned.fetch.contains(key));
            let head = keep.core.head();
            let at = (head.fork, head.length);
            if head.length > 0 && keep.core.contiguous_length() >= head.length && keep.whole != Some(at) {
                keep.whole = Some(at);
                whole.push(Told::Whole { core: id::encode(key), bytes: head.byte_length });
            }
        }
        if !whole.is_empty() {
            // What is said to be here is here after a loss of power, too. Why it is not, the next look says.
            let _ = self.node.flush();
            whole.into_iter().for_each(|told| sink.tell(told));
        }
        Ok(())
    }

    /// Forgets a core.
    fn remove(&mut self, key: &CoreKey, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let Some(keep) = self.cores.remove(key) else { return Ok(()) };
        let bytes = keep.core.info().block_bytes;
        drop(keep);
        self.node.detach(key);
        self.engine.store.remove_core(key).map_err(store_error)?;
        self.stats.cleared_bytes = self.stats.cleared_bytes.saturating_add(bytes);
        sink.tell(Told::Removed { core: id::encode(key) });
        Ok(())
    }
}
