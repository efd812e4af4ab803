//! `seed`: keep drives here, whole and up to date, for whoever asks. What all links of one command have in common.

use super::blind::BlindPeers;
use super::board::{Board, LinkFacts};
use super::event::{MappingBy, OfLink, SeedEvent};
use super::links::LinksFile;
use super::notify::Notifier;
use super::seeding::Seeding;
use super::serve::Service;
use super::{GRACE, Seed, SeedRelay, disk, serve};
use crate::command::{Sink, Stop};
use crate::engine::drive::parse_link;
use crate::engine::follow::timed_out;
use crate::engine::{Engine, NodeWishes, OFFLINE_AFTER, public_keys};
use crate::error::{CommandError, ErrorKind};
use crate::event::Event;
use crate::mirror::GRACE_MS;
use crate::mirror::keep::Keeping;
use crate::operator::refresher::beside;
use crate::relay::command::RELAY_KEY;
use bosc_follow::{Alarm, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{MappingStatus, NetStatus, Node, RelayFor, RelaySetup};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often it is looked whether one answers after it was said that none does.
const OFFLINE_LOOK: Duration = Duration::from_secs(1);
/// Many links are not looked at more often.
const LOOK: Duration = Duration::from_millis(50);
/// How old what machines are told is at most.
const BOARD: Duration = Duration::from_secs(2);
/// Where no signal says so, how often it is looked whether the file has changed.
#[cfg(windows)]
const FILE: Duration = Duration::from_secs(2);

/// All links of a command.
struct Seeds<'a> {
    engine: &'a Engine,
    request: &'a Seed,
    until: Vec<PublicKey>,
    file: Option<LinksFile>,
    /// How often it was asked to read the file again.
    reloads: u64,
    #[cfg(windows)]
    file_looked: Instant,
    links: Vec<Seeding<'a>>,
    /// Links that failed, and why: they stay so until they are named anew.
    failed: Vec<(PearLink, String)>,
    start: Instant,
    looked: Option<Instant>,
    /// When the peers were last told.
    peers_told: Instant,
    board: Arc<Board>,
    offline: bool,
    mapping: Option<MappingStatus>,
}

/// Sends events of one link of many on with its name.
struct Named<'a> {
    link: &'a str,
    sink: &'a mut dyn Sink,
}

impl Sink for Named<'_> {
    fn event(&mut self, event: Event) {
        self.sink.event(match event {
            Event::Seed(event) => Event::SeedOf(OfLink { link: self.link.to_owned(), event }),
            event => event,
        });
    }
}

impl Engine {
    /// What the node has to be for this.
    pub(crate) fn seed_wishes(&self, request: &Seed) -> Result<NodeWishes, CommandError> {
        let relay = |relay: &SeedRelay| -> Result<RelaySetup, CommandError> {
            Ok(RelaySetup {
                key_pair: self.own_key(RELAY_KEY)?,
                allow: if relay.anyone { RelayFor::Anyone } else { RelayFor::Peers },
                offer: true,
                bounds: relay.bounds(),
            })
        };
        Ok(NodeWishes {
            port: request.port,
            map_port: !request.no_port_mapping,
            relay: request.relay.as_ref().map(relay).transpose()?,
            max_connections: request.max_peers,
            upload_limit: request.upload_limit,
            grace: GRACE,
            ..NodeWishes::default()
        })
    }

    pub(crate) fn seed(&self, request: &Seed, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let mut until = Vec::new();
        for key in &request.until_sync {
            until.push(id::decode(key).map_err(|_| {
                CommandError::input("--until-sync takes the public key of a peer")
                    .hint("it is the `whoami` of the peer's stats: 52 characters of z-base-32 or 64 of hex")
            })?);
        }
        let one = request.links.is_none().then(|| parse_link(&request.link)).transpose()?;
        request.metrics.as_deref().map(serve::parse).transpose()?;
        let blind_peers = public_keys(&request.blind_peers, "--blind-peer")?;
        let mut seeds = Seeds {
            engine: self,
            request,
            until,
            file: request.links.as_deref().map(LinksFile::new),
            reloads: self.reload.load(Ordering::SeqCst),
            #[cfg(windows)]
            file_looked: Instant::now(),
            links: Vec::new(),
            failed: Vec::new(),
            start: Instant::now(),
            looked: None,
            peers_told: Instant::now(),
            board: Arc::new(Board::new(request)),
            offline: false,
            mapping: None,
        };
        let _mirrors = one.as_ref().map(|link| self.read_mirrors(&link.key, &request.mirrors)).transpose()?;
        let keeping = request.mirror_to.as_deref().map(|to| Keeping::new(to, GRACE_MS)).transpose()?;
        match &one {
            Some(link) => {
                let mut seeding = Seeding::begin(self, link, seeds.interval(), sink)?;
                seeding.keeping = keeping;
                seeds.links.push(seeding);
            }
            None => seeds.read_file(sink)?,
        }
        let node = self.node()?;
        let serving = match &request.metrics {
            None => None,
            Some(at) => {
                let service = Service::start(at, Arc::clone(&seeds.board))?;
                let address = service.address();
                sink.tell(SeedEvent::Metrics {
                    address: address.to_string(),
                    loopback: address.ip().is_loopback(),
                });
                Some(service)
            }
        };
        if let Some(relay) = &request.relay {
            let key = id::encode(&self.own_key(RELAY_KEY)?.public());
            sink.tell(SeedEvent::RelayFor { key, anyone: relay.anyone });
        }
        let mut blind = BlindPeers::new(&node, blind_peers);
        let mut notify = Notifier::from_env();
        notify.ready(&seeds.summary());
        // Nothing but a stop, a failure, or that all have everything ends it.
        let refresh = one.as_ref().zip(request.refresh.as_ref());
        let result: Result<Option<()>, CommandError> = beside(self, refresh, stop, |told| {
            Wait::new(stop).run(node.signal(), |alarm| {
                for event in told.try_iter() {
                    sink.tell(event);
                }
                if let Some(at) = notify.alive(alarm.now()) {
                    alarm.is_past(at);
                }
                let done = seeds.look(&node, sink, alarm)?;
                seeds.tell_blind_peers(&mut blind, sink);
                Ok(done)
            })
        });
        notify.stopping();
        if request.peers_interval_ms.is_some() {
            seeds.tell_peers(&node, sink);
        }
        drop(serving);
        drop(blind);
        drop(seeds);
        let _ = node.flush();
        match result {
            Ok(_) => Ok(()),
            // That is how it usually ends.
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl<'a> Seeds<'a> {
    fn interval(&self) -> Duration {
        Duration::from_millis(self.request.stats_interval_ms.max(20))
    }

    fn summary(&self) -> String {
        match self.links.len() {
            1 => "seeding 1 link".to_owned(),
            n => format!("seeding {n} links"),
        }
    }

    /// Reads the file, begins with links that are new in it and ends with those that are not in it any more.
    fn read_file(&mut self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let named = file.read()?;
        let path = file.shown();
        let bad = named.bad.len();
        for event in named.bad {
            sink.tell(event);
        }
        let wanted: Vec<(String, &PearLink)> =
            named.links.iter().map(|l| (PearLink::new(l.key).to_string(), l)).collect();
        let mut removed = 0;
        self.links.retain(|s| {
            let stays = wanted.iter().any(|(link, _)| link == s.link());
            if !stays {
                removed += 1;
                Named { link: s.link(), sink: &mut *sink }.event(SeedEvent::Removed.into());
            }
            stays
        });
        // What failed is tried anew: the file was read again because somebody did something.
        self.failed.clear();
        let mut added = 0;
        for (name, link) in &wanted {
            if self.links.iter().any(|s| s.link() == name) {
                continue;
            }
            let interval = self.interval();
            let begun =
                Seeding::begin(self.engine, link, interval, &mut Named { link: name, sink: &mut *sink });
            match begun {
                Ok(seeding) => {
                    added += 1;
                    self.links.push(seeding);
                }
                Err(e) => self.fail((*link).clone(), &e, sink),
            }
        }
        // In the file's order: the first ones are the last to be left out for want of room.
        self.links.sort_by_key(|s| wanted.iter().position(|(link, _)| link == s.link()));
        sink.tell(SeedEvent::Links { file: path, links: self.links.len(), added, removed, bad });
        Ok(())
    }

    /// A link cannot be seeded; the others go on.
    fn fail(&mut self, link: PearLink, e: &CommandError, sink: &mut dyn Sink) {
        let name = PearLink::new(link.key).to_string();
        let told = e.told();
        Named { link: &name, sink }.event(
            SeedEvent::Failed { code: told.code, message: told.message.clone(), hint: told.hint }.into(),
        );
        self.failed.push((link, told.message));
    }

    /// Reads the file again if somebody asked for it. What runs goes on when it cannot be read.
    fn reload(&mut self, sink: &mut dyn Sink, alarm: &mut Alarm) {
        let reloads = self.engine.reload.load(Ordering::SeqCst);
        let asked = std::mem::replace(&mut self.reloads, reloads) != reloads;
        let due = asked || self.file_changed(alarm);
        if due
            && self.file.is_some()
            && let Err(e) = self.read_file(sink)
        {
            let file = self.file.as_ref().map(LinksFile::shown).unwrap_or_default();
            let why = e.causes().first().cloned().unwrap_or_else(|| e.message().to_owned());
            sink.tell(SeedEvent::LinksUnreadable { file, why });
        }
    }

    /// Without a signal that says so, whether the file looks different.
    #[cfg(windows)]
    fn file_changed(&mut self, alarm: &mut Alarm) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| alarm.has_passed(self.file_looked, FILE)) else {
            return false;
        };
        self.file_looked = alarm.now();
        alarm.has_passed(self.file_looked, FILE);
        file.has_changed()
    }

    #[cfg(not(windows))]
    fn file_changed(&mut self, _: &mut Alarm) -> bool {
        false
    }

    /// One look at all of them.
    fn look(
        &mut self,
        node: &Arc<Node>,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) -> Result<Option<()>, CommandError> {
        self.reload(sink, alarm);
        let many = self.file.is_some();
        if many
            && let Some(looked) = self.looked
            && !alarm.has_passed(looked, LOOK)
        {
            return Ok(None);
        }
        self.looked = Some(alarm.now());
        let net = node.status();
        self.tell_offline(sink, alarm);
        self.tell_mapping(&net, sink);
        let mut failed = Vec::new();
        for (at, seeding) in self.links.iter_mut().enumerate() {
            if !many {
                seeding.look(&net, sink, alarm)?;
                continue;
            }
            let name = seeding.link().to_owned();
            match seeding.look(&net, &mut Named { link: &name, sink: &mut *sink }, alarm) {
                Ok(()) => {}
                // The store is the same for all.
                Err(e) if e.kind() == ErrorKind::Store => return Err(e),
                Err(e) => failed.push((at, e)),
            }
        }
        for (at, e) in failed.into_iter().rev() {
            let seeding = self.links.remove(at);
            let link = parse_link(seeding.link())?;
            drop(seeding);
            self.fail(link, &e, sink);
        }
        self.fetch(sink);
        if let Some(every) = self.request.peers_interval_ms.map(Duration::from_millis)
            && alarm.has_passed(self.peers_told, every)
        {
            self.peers_told = alarm.now();
            alarm.has_passed(self.peers_told, every);
            self.tell_peers(node, sink);
        }
        self.post(node, &net, alarm);
        let Some(first) = self.links.first().filter(|_| !many) else { return Ok(None) };
        if !self.until.is_empty() && self.until.iter().all(|k| first.synced.contains(k)) {
            return Ok(Some(()));
        }
        let db = first.db();
        if let Some(ms) = self.request.timeout_ms
            && db.length == 0
            && alarm.has_passed(self.start, Duration::from_millis(ms))
        {
            return Err(timed_out(&db));
        }
        Ok(None)
    }

    /// Fetches what may be fetched, and tells what may not and what may again.
    fn fetch(&mut self, sink: &mut dyn Sink) {
        let many = self.file.is_some();
        let Some(most) = self.request.max_disk else {
            self.links.iter_mut().for_each(|s| s.fetch(false, true));
            return;
        };
        let needs: Vec<Option<disk::Need>> = self.links.iter().map(Seeding::need).collect();
        let counted: Vec<disk::Need> = needs.iter().flatten().copied().collect();
        let mut fits = disk::fits(&counted, most).into_iter();
        for (seeding, need) in self.links.iter_mut().zip(needs) {
            let fits = need.is_none() || fits.next().unwrap_or(false);
            let needed = need.filter(|_| !fits).map(|n| n.whole);
            let told = std::mem::replace(&mut seeding.limited, needed);
            if told != needed && (told.is_some() != needed.is_some()) {
                let event = match needed {
                    Some(needed_bytes) => SeedEvent::DiskLimit { needed_bytes, limit_bytes: most },
                    None => SeedEvent::DiskRoom,
                };
                let name = seeding.link().to_owned();
                match many {
                    true => Named { link: &name, sink: &mut *sink }.event(event.into()),
                    false => sink.tell(event),
                }
            }
            seeding.fetch(true, fits);
        }
    }

    /// Asks blind peers for what there is, and tells how they stand.
    fn tell_blind_peers(&self, blind: &mut BlindPeers, sink: &mut dyn Sink) {
        if blind.is_empty() {
            return;
        }
        blind.ask(self.links.iter().flat_map(Seeding::wishes).collect());
        let whole =
            |peer: &PublicKey| self.links.iter().all(|s| s.db().length > 0 && s.synced.contains(peer));
        blind.tell(|peer| !self.links.is_empty() && whole(peer), sink);
    }

    /// Who is connected, and what each has.
    fn tell_peers(&self, node: &Node, sink: &mut dyn Sink) {
        let net = node.status();
        for seeding in &self.links {
            let event = seeding.peer_table(&net);
            match self.file.is_some() {
                true => Named { link: seeding.link(), sink: &mut *sink }.event(event.into()),
                false => sink.tell(event),
            }
        }
    }

    /// What machines are told of all this, anew.
    fn post(&self, node: &Arc<Node>, net: &NetStatus, alarm: &mut Alarm) {
        if self.request.metrics.is_none() {
            return;
        }
        alarm.has_passed(alarm.now(), BOARD);
        let failed = self.failed.iter().map(|(link, why)| LinkFacts {
            link: PearLink::new(link.key).to_string(),
            failed: Some(why.clone()),
            ..LinkFacts::default()
        });
        let links = self.links.iter().map(Seeding::facts).chain(failed).collect();
        self.board.post(net.clone(), node.relay(), self.engine.store.stats(), links, alarm.now());
    }

    /// Says which port the router gives us once peers can reach us there, and that it does no longer.
    fn tell_mapping(&mut self, net: &NetStatus, sink: &mut dyn Sink) {
        let now = net.mapping.filter(|m| m.proved);
        if now == self.mapping {
            return;
        }
        self.mapping = now;
        sink.tell(SeedEvent::PortMapping {
            address: now.map(|m| m.address.to_string()),
            by: now.map(|m| MappingBy::from(m.by)),
        });
    }

    /// Says once that no DHT node answers, and once that one does again.
    fn tell_offline(&mut self, sink: &mut dyn Sink, alarm: &mut Alarm) {
        // The first datagram that arrives raises no signal.
        if self.offline {
            alarm.is_past(alarm.now() + OFFLINE_LOOK);
        } else if !alarm.has_passed(self.start, OFFLINE_AFTER) {
            return;
        }
        let tried = self.engine.unanswered();
        if tried.is_some() == self.offline {
            return;
        }
        self.offline = tried.is_some();
        let tried: Option<Vec<String>> = tried.map(|t| t.iter().map(ToString::to_string).collect());
        sink.tell(match self.offline {
            true => SeedEvent::Offline { tried },
            false => SeedEvent::Online { tried },
        });
    }
}
