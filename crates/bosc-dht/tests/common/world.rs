//! Nodes with connectors in that network.

use super::{CLIENT_PORT, Nat, Net, SERVER_PORT, seeded};
use bosc_dht::connect::{
    ConnectConfig, ConnectError, ConnectEvent, ConnectId, ConnectOptions, Connection, Connector,
    ServerOptions, StreamPacket,
};
use bosc_dht::{Config, Dht, Event, SocketKind};
use bosc_format::crypto::KeyPair;
use std::net::SocketAddrV4;
use std::time::Duration;

pub struct World {
    pub net: Net,
    pub connectors: Vec<Connector>,
    pub made: Vec<Vec<(Option<ConnectId>, Connection)>>,
    pub failed: Vec<Vec<(ConnectId, ConnectError)>>,
    /// What was said of blind relays.
    pub blind: Vec<Vec<(Duration, ConnectEvent)>>,
    /// Events the connector gave back.
    pub others: Vec<Vec<Event>>,
}

pub fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

impl World {
    /// Six persistent nodes.
    pub fn new(seed: u64, config: ConnectConfig) -> Self {
        let net = Net::persistent(seed, 6);
        let mut w = Self {
            net,
            connectors: Vec::new(),
            made: Vec::new(),
            failed: Vec::new(),
            blind: Vec::new(),
            others: Vec::new(),
        };
        w.equip(&config);
        w
    }

    pub fn equip(&mut self, config: &ConnectConfig) {
        while self.connectors.len() < self.net.hosts.len() {
            let n = self.connectors.len() as u64;
            self.connectors.push(Connector::new(config.clone(), seeded(n + 999)));
            self.made.push(Vec::new());
            self.failed.push(Vec::new());
            self.blind.push(Vec::new());
            self.others.push(Vec::new());
        }
    }

    pub fn add(&mut self, nat: bool, config: &ConnectConfig) -> usize {
        self.add_behind(if nat { Nat::Cone } else { Nat::Open }, config)
    }

    pub fn add_behind(&mut self, nat: Nat, config: &ConnectConfig) -> usize {
        let hidden = nat != Nat::Open;
        let n = self.net.add_behind(Config { firewalled: hidden, ..self.net.base_config() }, nat);
        self.equip(config);
        self.run(Duration::from_secs(60));
        assert_eq!(self.net.hosts[n].dht.remote_address().is_none(), hidden, "host {n}");
        n
    }

    /// Does something with a host's node and connector, and what follows from it.
    pub fn with<T>(&mut self, n: usize, f: impl FnOnce(&mut Connector, &mut Dht, Duration) -> T) -> T {
        let connector = &mut self.connectors[n];
        let out = self.net.with(n, |dht, now| f(connector, dht, now));
        self.settle(n);
        out
    }

    pub fn settle(&mut self, n: usize) {
        while let Some(event) = self.net.hosts[n].events.pop_front() {
            let connector = &mut self.connectors[n];
            let other = self.net.with(n, |dht, now| connector.handle_event(dht, event, now));
            self.others[n].extend(other);
        }
        while let Some((number, from)) = self.net.hosts[n].probes.pop_front() {
            let connector = &mut self.connectors[n];
            self.net.with(n, |dht, now| connector.handle_probe(dht, number, from, now));
        }
        while let Some(event) = self.connectors[n].poll_event() {
            match event {
                ConnectEvent::Connected { connect, connection, .. } => {
                    self.made[n].push((connect, *connection));
                }
                ConnectEvent::Failed { connect, error, .. } => self.failed[n].push((connect, error)),
                ConnectEvent::SocketUnused { number } => {
                    assert!(!self.connectors[n].uses_socket(number), "{number}");
                    self.net.hosts[n].pool.remove(&number);
                }
                other => self.blind[n].push((self.net.now, other)),
            }
        }
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.net.now + time;
        while self.net.now < until {
            self.net.run(Duration::from_millis(5));
            for n in 0..self.connectors.len() {
                if self.connectors[n].next_timeout().is_some_and(|at| at <= self.net.now) {
                    let connector = &mut self.connectors[n];
                    self.net.with(n, |dht, now| connector.handle_timeout(dht, now));
                }
                self.settle(n);
            }
        }
    }

    pub fn listen(&mut self, n: usize, key_pair: &KeyPair, options: ServerOptions) -> bosc_dht::ListenId {
        let listen = self.with(n, |c, dht, now| c.listen(dht, key_pair, options, now).unwrap());
        self.run(Duration::from_secs(20));
        assert!(!self.net.hosts[n].dht.relays(listen).is_empty());
        listen
    }

    pub fn connect(&mut self, n: usize, options: &ConnectOptions, remote: &KeyPair) -> ConnectId {
        self.with(n, |c, dht, now| c.connect(dht, remote.public(), options, now).unwrap())
    }

    pub fn place(&self, n: usize, socket: SocketKind) -> SocketAddrV4 {
        let port = match socket {
            SocketKind::Server => SERVER_PORT,
            SocketKind::Client => CLIENT_PORT,
            SocketKind::Pool(number) => super::pool_port(number),
        };
        SocketAddrV4::new(self.net.hosts[n].ip, port)
    }

    /// The last connection of `from` sends its first packet to `to`.
    pub fn packet(&mut self, from: usize, to: usize) -> StreamPacket {
        let (_, c) = self.made[from].last().unwrap();
        let (id, address, source) = (c.remote_id, c.remote_address, self.place(from, c.socket));
        assert_eq!(*address.ip(), self.net.hosts[to].ip);
        let socket = if address.port() == SERVER_PORT { SocketKind::Server } else { SocketKind::Client };
        self.with(to, |c, dht, now| c.handle_stream_packet(dht, id, socket, source, b"packet", now))
    }

    /// Checks that two hosts have the same one connection.
    pub fn agree(&self, client: usize, server: usize) {
        let ([(Some(_), a)], [(None, b)]) = (&self.made[client][..], &self.made[server][..]) else {
            panic!("{:?} {:?}", self.made[client], self.made[server])
        };
        assert!(a.is_initiator && !b.is_initiator);
        assert_eq!((a.local_id, a.remote_id), (b.remote_id, b.local_id));
        assert_eq!(a.handshake.tx, b.handshake.rx);
        assert_eq!(a.handshake.rx, b.handshake.tx);
        assert_eq!(a.handshake.hash, b.handshake.hash);
        assert_eq!(a.remote_address, self.place(server, b.socket));
        assert_eq!(b.remote_address, self.place(client, a.socket));
    }

    pub fn forgotten(&mut self) {
        self.run(Duration::from_secs(25));
        for (n, c) in self.connectors.iter().enumerate() {
            assert!(c.is_idle(), "host {n}: {c:?}");
        }
    }
}
