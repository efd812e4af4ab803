//! The thread that owns the sockets. What it does with what comes in is decided by [`machine::NetMachine`]; here is
//! only the waiting, the system calls and the handing over.
//!
//! It never waits for a disk. Received batches go in first, then everything that follows from them, then everything to
//! send. It sleeps until the machine's next timeout, a datagram or a command: nothing else wakes it, on Linux not even a timer on
//! its way (see [`alarm`]).
//!
//! # Files
//!
//! - Here: how many datagrams a call sends or receives, and when DHT nodes are kept for the next run.
//! - `machine`: all that is decided; how long a connection may take to open, and how many that are not open are kept. `dial`,
//!   `links`, `topics` and `facts` are parts of it: handshakes that are over; connections: who makes room for a new one, keep-alives, encryption,
//!   frames written and read; topics on the DHT, and handshakes of banned peers that are not answered; what is seen
//!   from outside.
//! - `dialer`: outgoing attempts. `connection`: what is kept of a connection and of a query, and when a frame that does not grow is
//!   stuck. `share`: memory for what was sent and is not acknowledged or waits to be written, and which connection that stopped is
//!   closed. `meter`: how fast all together send (a rate that is set), shared fairly.
//! - `end`: the end of a node: in which order, and how long it may take.
//! - `records`: mutable records of the DHT: got, put, and when a question is given up.
//! - `watch`: noticing that the network changed or the machine slept: how it is told, how often it is looked. `life`: what follows
//!   from it (which links are asked, how long they have to answer), and resting.
//! - `lan/`: peers in the same local network, without a DHT.
//! - `relay/`: blind relays that we use, and being one.
//! - `alarm`: sleeping until a time-out without being woken on the way.
//! - `socket`: one UDP socket, many datagrams a call, its buffers. `pool`: sockets for holepunching, and how many at most. `tags`:
//!   how sockets are called.

mod alarm;
mod connection;
mod dial;
mod dialer;
mod end;
mod facts;
mod lan;
mod life;
mod links;
pub(crate) mod machine;
mod meter;
mod pool;
mod records;
pub(crate) mod relay;
mod share;
mod socket;
pub(crate) mod tags;
mod topics;
mod watch;

use crate::between::{Input, NetCommand};
use crate::mapping::Notices;
use crate::record::{Asker, RecordTicket};
use crate::signal::Signal;
use crate::status::NetStatus;
use crate::swarm::{Limits, Topic};
use alarm::Alarm;
use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_udx::SocketTag;
use lan::socket::LanSocket;
use machine::{Datagram, NetMachine, NetSetup, Tuning};
use pool::Pool;
use relay::{RelaySetup, RelayStatus};
use socket::Socket;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tags::{CLIENT, SERVER};
use tokio::sync::mpsc::UnboundedReceiver;
use watch::{Clocks, Seen, Watch, local_addresses};

/// Datagrams handed to the kernel at once.
const SEGMENTS: usize = 44;
/// System calls for receiving before something is sent.
const RECEIVES: usize = 8;
/// The same of packets of the local network.
const LAN_RECEIVES: usize = 64;
/// When DHT nodes are kept for the next run first, and how often then. Nothing is woken for it.
const KEEP_FIRST: Duration = Duration::from_secs(10);
const KEEP_EVERY: Duration = Duration::from_secs(1800);
/// Sleep of a machine that waits for nothing.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// How to take part in the DHT.
pub(crate) struct NetConfig {
    pub(crate) key_pair: KeyPair,
    pub(crate) host: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) dht: bosc_dht::Config,
    pub(crate) limits: Limits,
    pub(crate) relay_through: Vec<PublicKey>,
    pub(crate) relay: Option<RelaySetup>,
    pub(crate) upload_limit: Option<u64>,
    /// Find peers in the local network, and be found there.
    pub(crate) lan: bool,
}

/// Snapshot shared with callers. The byte counts are read on demand: they change all the time and wake nobody.
#[derive(Debug, Default)]
pub(crate) struct NetShared {
    status: Mutex<NetStatus>,
    received: AtomicU64,
    sent: AtomicU64,
    /// Changes with every packet that passes, and wakes nobody.
    relay: Mutex<Option<RelayStatus>>,
}

impl NetShared {
    pub(crate) fn get(&self) -> NetStatus {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.received = self.received.load(Ordering::Relaxed);
        status.sent = self.sent.load(Ordering::Relaxed);
        status
    }

    pub(crate) fn relay(&self) -> Option<RelayStatus> {
        *self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_flushed(&self, topic: &Topic) -> bool {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).flushed.contains(topic)
    }
}

pub(crate) struct Net {
    start: Instant,
    machine: NetMachine,
    server: Socket,
    client: Socket,
    /// For holepunching.
    pool: Pool,
    live: Sender<Input>,
    shared: Arc<NetShared>,
    signal: Signal,
    /// Dropped when the thread has ended.
    done: Option<Sender<()>>,
    /// Dropped when the node rests.
    resting: Vec<Sender<()>>,
    /// Who waits for what the DHT keeps.
    askers: BTreeMap<RecordTicket, Asker>,
    host: Ipv4Addr,
    watch: Watch,
    /// Is to know when we are behind a NAT, and when the network changed; whether it was told the former.
    mapper: Option<Notices>,
    mapping_wanted: bool,
    /// Multicast DNS, if it is spoken.
    lan: Option<LanSocket>,
    clocks: Clocks,
    /// When DHT nodes are kept next.
    keep_at: Duration,
    scratch: Vec<u8>,
    /// For what arrives, on any socket.
    storage: Vec<u8>,
}

impl Net {
    /// Binds the sockets. Must run inside a tokio runtime.
    pub(crate) fn bind(
        config: NetConfig,
        start: Instant,
        live: Sender<Input>,
        shared: Arc<NetShared>,
        signal: Signal,
    ) -> std::io::Result<Self> {
        let server = Socket::bind(config.host, config.port)?;
        let client = Socket::bind(config.host, 0)?;
        let lan = if config.lan { Some(LanSocket::bind()?) } else { None };
        let mut dht = config.dht;
        dht.server_port = server.port();
        dht.local_addresses = local_addresses(config.host, server.port());
        if let Some(known) = &mut dht.known_address {
            known.set_port(server.port());
        }
        let watch = Watch::new(&dht.bootstrap, start.elapsed());
        let mut seed = [0; 8];
        entropy(&mut seed);
        let setup = NetSetup {
            key_pair: config.key_pair,
            dht,
            limits: config.limits,
            tuning: Tuning::default(),
            seed: u64::from_le_bytes(seed),
            relay_through: config.relay_through,
            relay: config.relay,
            upload_limit: config.upload_limit,
            lan: config.lan.then(|| -> bosc_dht::Entropy { Box::new(entropy) }),
            entropy: [Box::new(entropy), Box::new(entropy), Box::new(entropy)],
        };
        Ok(Self {
            start,
            machine: NetMachine::new(setup, start.elapsed()),
            server,
            client,
            pool: Pool::new(config.host),
            live,
            shared,
            signal,
            done: None,
            resting: Vec::new(),
            askers: BTreeMap::new(),
            host: config.host,
            watch,
            mapper: None,
            mapping_wanted: false,
            lan,
            clocks: Clocks::default(),
            keep_at: start.elapsed() + KEEP_FIRST,
            scratch: Vec::with_capacity(1 << 16),
            storage: Vec::new(),
        })
    }

    /// Tells it of changes of the network.
    pub(crate) fn set_mapper(&mut self, mapper: Notices) {
        self.mapper = Some(mapper);
    }

    pub(crate) fn server_port(&self) -> u16 {
        self.server.port()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs until told to shut down.
    pub(crate) async fn run(mut self, mut commands: UnboundedReceiver<NetCommand>) {
        let mut alarm = Alarm::new();
        loop {
            self.look();
            self.machine.work(self.now());
            self.hand_over();
            self.transmit();
            self.publish();
            self.keep_nodes();
            self.want_mapping();
            if self.machine.is_closed(self.now()) {
                return;
            }
            if self.machine.is_suspended() {
                self.resting.clear();
                let Some(command) = commands.recv().await else { return };
                self.command(command);
                continue;
            }
            let next = [self.machine.next_timeout(), self.watch.next()].into_iter().flatten().min();
            let wait = next.map_or(FOR_EVER, |t| t.saturating_sub(self.now()));
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.command(command);
                    while let Ok(next) = commands.try_recv() {
                        self.command(next);
                    }
                }
                _ = self.server.readable() => {}
                _ = self.client.readable() => {}
                () = self.pool.readable() => {}
                () = lan_readable(self.lan.as_ref()) => {}
                () = self.watch.happened() => {}
                () = alarm.after(wait) => {}
            }
            self.receive();
            self.receive_lan();
        }
    }

    /// Sees whether the network under us changed, or the machine slept.
    fn look(&mut self) {
        let now = self.now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let slept = self.clocks.slept(wall, now);
        if slept {
            self.machine.slept(now);
        }
        self.watch.take(now);
        let seen = self.watch.look(slept, now);
        if let Some(lan) = self.lan.as_mut().filter(|_| seen != Seen::Same) {
            lan.look();
        }
        match seen {
            Seen::Changed => {
                let local = local_addresses(self.host, self.server.port());
                self.machine.network_changed(local, now);
                self.forget_mapping();
            }
            Seen::Around => self.machine.look_around(now),
            Seen::Same => {}
        }
    }

    fn forget_mapping(&mut self) {
        self.mapping_wanted = false;
        self.mapper.iter().for_each(Notices::network_changed);
    }

    /// Has the router asked for a port, once that is of use.
    fn want_mapping(&mut self) {
        if let Some(mapper) = self.mapper.as_ref().filter(|_| !self.mapping_wanted)
            && self.machine.wants_mapping()
        {
            self.mapping_wanted = true;
            mapper.look();
        }
    }

    /// Has DHT nodes that answered kept for the next run.
    fn keep_nodes(&mut self) {
        let now = self.now();
        if now < self.keep_at {
            return;
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seen = |(node, at): (SocketAddrV4, Duration)| (node, wall.saturating_sub(now.saturating_sub(at)));
        let nodes: Vec<_> = self.machine.answering_nodes(crate::nodes::MAX).into_iter().map(seen).collect();
        if nodes.is_empty() {
            return;
        }
        self.keep_at = now + KEEP_EVERY;
        let _ = self.live.send(Input::KeepNodes { nodes });
    }

    /// Goes on after a rest. Systems may have taken our sockets from us meanwhile, so they are bound anew, to the same ports if
    /// they are still free.
    fn resume(&mut self) {
        for socket in [&mut self.server, &mut self.client] {
            if let Err(e) = socket.bind_again(self.host) {
                tracing::debug!(error = %e, "the sockets stay as they are");
            }
        }
        let port = self.server.port();
        let now = self.now();
        self.machine.resume(local_addresses(self.host, port), port, now);
        self.forget_mapping();
    }

    /// Takes in what has arrived, bounded, so that answers go out between.
    fn receive(&mut self) {
        let now = self.now();
        let machine = &mut self.machine;
        for (tag, socket) in [(SERVER, &mut self.server), (CLIENT, &mut self.client)] {
            for _ in 0..RECEIVES {
                let each = |from, datagram: &[u8]| machine.receive(tag, from, datagram, now);
                match socket.receive(&mut self.storage, each) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => {
                        tracing::warn!(error = %e, "receiving failed");
                        break;
                    }
                }
            }
        }
        self.pool.receive(RECEIVES, &mut self.storage, |tag, from, datagram| {
            machine.receive(tag, from, datagram, now)
        });
    }

    /// Takes in what others in the local network say, bounded as well.
    fn receive_lan(&mut self) {
        let now = self.now();
        let Some(lan) = &mut self.lan else { return };
        let machine = &mut self.machine;
        lan.receive(LAN_RECEIVES, |from, packet| machine.receive_lan(from, packet, now));
    }

    fn socket(&mut self, tag: SocketTag) -> Option<&mut Socket> {
        match tag {
            SERVER => Some(&mut self.server),
            CLIENT => Some(&mut self.client),
            other => self.pool.get(other),
        }
    }

    fn command(&mut self, command: NetCommand) {
        let now = self.now();
        match command {
            NetCommand::Live(told) => self.machine.from_live(told, now),
            NetCommand::Join { topic, part } => self.machine.join(topic, part, now),
            NetCommand::Leave { topic } => self.machine.leave(topic),
            NetCommand::Name { peer, named } => self.machine.name(peer, named, now),
            NetCommand::Mapping { got } => self.machine.set_mapping(got, now),
            NetCommand::AddRelays { relays } => self.machine.add_relays(&relays),
            NetCommand::Listen => self.machine.listen_always(now),
            NetCommand::LookAgain { topic, reply } => {
                self.machine.look_again(topic, now);
                self.publish();
                let _ = reply.send(());
            }
            NetCommand::Nodes { limit, reply } => {
                let _ = reply.send(self.machine.nodes(limit));
            }
            NetCommand::Suspend { done } => {
                self.machine.suspend(now);
                self.resting.push(done);
            }
            NetCommand::Record { ticket, question, asker } => {
                self.askers.insert(ticket, asker);
                self.machine.ask_record(ticket, question, now);
            }
            NetCommand::DropRecord { ticket } => {
                self.askers.remove(&ticket);
                self.machine.drop_record(ticket, now);
            }
            NetCommand::Resume => self.resume(),
            NetCommand::Shutdown { grace, done } => {
                self.machine.shut_down(grace, now);
                self.done = Some(done);
            }
        }
    }

    fn hand_over(&mut self) {
        while let Some(told) = self.machine.poll_live() {
            let _ = self.live.send(Input::Net(told));
        }
        while let Some((ticket, result)) = self.machine.poll_record() {
            if let Some(asker) = self.askers.remove(&ticket) {
                asker.answer(result);
            }
        }
    }

    fn transmit(&mut self) {
        let now = self.now();
        while let Some(Datagram { socket: tag, to, bytes, ttl }) = self.machine.poll_datagram() {
            match tag {
                SERVER => self.server.push(to, &bytes),
                CLIENT => self.client.push(to, &bytes),
                other => self.pool.send(other, to, &bytes, ttl),
            }
        }
        self.server.flush();
        self.client.flush();
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some((tag, to, segment)) = self.machine.poll_stream(now, SEGMENTS, &mut scratch) {
            if let Some(socket) = self.socket(tag) {
                socket.send(to, &scratch, segment);
            }
        }
        self.scratch = scratch;
        if let Some(lan) = &self.lan {
            while let Some(out) = self.machine.poll_lan() {
                lan.send(|from| out.bytes(from));
            }
        }
        while let Some(tag) = self.machine.poll_unused() {
            self.pool.close(tag);
        }
    }

    fn publish(&mut self) {
        let (received, sent) = self.pool.traffic();
        self.shared.received.store(self.server.received + self.client.received + received, Ordering::Relaxed);
        self.shared.sent.store(self.server.sent + self.client.sent + sent, Ordering::Relaxed);
        if let Some(status) = self.machine.relay_status() {
            *self.shared.relay.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        }
        if !self.machine.take_changed() {
            return;
        }
        let status = NetStatus { port: self.server.port(), ..self.machine.status() };
        let mut shared = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *shared != status;
        *shared = status;
        drop(shared);
        if news {
            self.signal.raise();
        }
    }
}

/// Waits for a packet of the local network, for ever where nobody listens.
async fn lan_readable(lan: Option<&LanSocket>) {
    match lan {
        Some(lan) => lan.readable().await,
        None => std::future::pending().await,
    }
}

/// Fills `out` from the operating system's random source.
pub(crate) fn entropy(out: &mut [u8]) {
    // Without randomness no key may be made: there is nothing safe to go on with.
    if getrandom::fill(out).is_err() {
        std::process::abort();
    }
}
