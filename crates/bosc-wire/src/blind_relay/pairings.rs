//! What a relay knows of tokens: see the module's documentation for the states and invariants.

use super::messages::{Pair, Token};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The owner's name for a client's session.
pub type ClientId = u64;

/// Names a pair that was made.
pub type PairId = u64;

/// Bounds on what clients can make a relay keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Halves of one client that wait.
    pub waiting_per_client: usize,
    /// Halves of all clients that wait.
    pub waiting: usize,
    /// Pairs that one client is a half of.
    pub pairs_per_client: usize,
    /// Pairs of all clients.
    pub pairs: usize,
    /// How long a half waits for the other.
    pub pair_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting_per_client: 16,
            waiting: 1024,
            pairs_per_client: 16,
            pairs: 128,
            pair_timeout: Duration::from_secs(30),
        }
    }
}

/// One end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Half {
    /// Whose it is.
    pub client: ClientId,
    /// The client's UDX stream id.
    pub stream_id: u32,
}

/// Two halves that have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paired {
    /// Its name.
    pub pair: PairId,
    /// Its token.
    pub token: Token,
    /// The half that said it is the initiator.
    pub initiator: Half,
    /// The other one.
    pub responder: Half,
}

/// Why a half was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The token is paired, or this half of it waits already.
    TokenInUse,
    /// The client, or its partner, has as many pairs as it may have.
    ClientFull,
    /// The relay has as many pairs as it may have.
    Full,
}

/// What became of a [`Pair`] message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It waits for the other half.
    Waiting,
    /// Both are here.
    Paired(Paired),
    /// It was not taken: tell the client that it is over.
    Refused(Refusal),
}

/// A token that is over, and who is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The pair, if there was one.
    pub pair: Option<PairId>,
    /// The token.
    pub token: Token,
    /// The clients that held a half of it.
    pub clients: [Option<ClientId>; 2],
}

#[derive(Debug)]
struct Waiting {
    half: Half,
    is_initiator: bool,
    until: Duration,
}

#[derive(Debug, Default)]
struct Client {
    /// By the time from which on they wait.
    waiting: BTreeSet<(Duration, Token)>,
    pairs: BTreeSet<PairId>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Pairings {
    limits: Limits,
    waiting: HashMap<Token, Waiting>,
    timers: BTreeSet<(Duration, Token)>,
    pairs: BTreeMap<PairId, Paired>,
    by_token: HashMap<Token, PairId>,
    clients: BTreeMap<ClientId, Client>,
    next: PairId,
    expired: u64,
}

impl Pairings {
    /// Without clients.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A client asks to be paired.
    pub fn pair(&mut self, client: ClientId, asked: &Pair, now: Duration) -> Answer {
        let half = Half { client, stream_id: asked.id };
        if self.by_token.contains_key(&asked.token) {
            return Answer::Refused(Refusal::TokenInUse);
        }
        match self.waiting.get(&asked.token) {
            Some(w) if w.is_initiator == asked.is_initiator => Answer::Refused(Refusal::TokenInUse),
            Some(w) => {
                let other = w.half;
                if self.pairs.len() >= self.limits.pairs {
                    return Answer::Refused(Refusal::Full);
                }
                if self.is_full(client) || self.is_full(other.client) {
                    return Answer::Refused(Refusal::ClientFull);
                }
                self.forget_waiting(&asked.token);
                let (initiator, responder) = if asked.is_initiator { (half, other) } else { (other, half) };
                self.next = self.next.wrapping_add(1);
                let paired = Paired { pair: self.next, token: asked.token, initiator, responder };
                self.pairs.insert(paired.pair, paired);
                self.by_token.insert(paired.token, paired.pair);
                for client in [initiator.client, responder.client] {
                    self.clients.entry(client).or_default().pairs.insert(paired.pair);
                }
                Answer::Paired(paired)
            }
            None => {
                self.make_room(client);
                let until = now.saturating_add(self.limits.pair_timeout);
                self.waiting.insert(asked.token, Waiting { half, is_initiator: asked.is_initiator, until });
                self.timers.insert((until, asked.token));
                self.clients.entry(client).or_default().waiting.insert((until, asked.token));
                Answer::Waiting
            }
        }
    }

    fn is_full(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|c| c.pairs.len() >= self.limits.pairs_per_client)
    }

    /// Room for one more that waits: the client's own oldest goes, or that of the client that has most.
    fn make_room(&mut self, client: ClientId) {
        let own = self.clients.get(&client).map_or(0, |c| c.waiting.len());
        let loser = if own >= self.limits.waiting_per_client {
            Some(client)
        } else if self.waiting.len() >= self.limits.waiting {
            self.clients.iter().max_by_key(|(_, c)| c.waiting.len()).map(|(id, _)| *id)
        } else {
            None
        };
        let oldest = loser.and_then(|l| self.clients.get(&l)).and_then(|c| c.waiting.first().copied());
        if let Some((_, token)) = oldest {
            self.forget_waiting(&token);
        }
    }

    fn forget_waiting(&mut self, token: &Token) -> Option<Half> {
        let w = self.waiting.remove(token)?;
        self.timers.remove(&(w.until, *token));
        if let Some(client) = self.clients.get_mut(&w.half.client) {
            client.waiting.remove(&(w.until, *token));
        }
        self.tidy(w.half.client);
        Some(w.half)
    }

    /// Forgets a client that holds nothing.
    fn tidy(&mut self, client: ClientId) {
        if self.clients.get(&client).is_some_and(|c| c.waiting.is_empty() && c.pairs.is_empty()) {
            self.clients.remove(&client);
        }
    }

    /// A client takes its half back. None when it holds none of this token.
    pub fn unpair(&mut self, client: ClientId, token: &Token) -> Option<Ended> {
        if self.waiting.get(token).is_some_and(|w| w.half.client == client) {
            let half = self.forget_waiting(token)?;
            return Some(Ended { pair: None, token: *token, clients: [Some(half.client), None] });
        }
        let pair = self.by_token.get(token).copied()?;
        let paired = self.pairs.get(&pair)?;
        let holds = paired.initiator.client == client || paired.responder.client == client;
        if holds { self.end(pair) } else { None }
    }

    /// A pair is over, by the owner's decision. None when it was over already.
    pub fn end(&mut self, pair: PairId) -> Option<Ended> {
        let paired = self.pairs.remove(&pair)?;
        self.by_token.remove(&paired.token);
        let clients = [paired.initiator.client, paired.responder.client];
        for client in clients {
            if let Some(c) = self.clients.get_mut(&client) {
                c.pairs.remove(&pair);
            }
            self.tidy(client);
        }
        Some(Ended { pair: Some(pair), token: paired.token, clients: clients.map(Some) })
    }

    /// A client left. What it held is over.
    pub fn left(&mut self, client: ClientId) -> Vec<Ended> {
        let Some(c) = self.clients.get(&client) else { return Vec::new() };
        let (waiting, pairs): (Vec<_>, Vec<_>) =
            (c.waiting.iter().map(|(_, token)| *token).collect(), c.pairs.iter().copied().collect());
        for token in &waiting {
            self.forget_waiting(token);
        }
        pairs.into_iter().filter_map(|pair| self.end(pair)).collect()
    }

    /// When [`Pairings::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Forgets halves that waited too long. Gives them, so that their clients can be told.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Ended> {
        let mut out = Vec::new();
        while let Some((_, token)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            if let Some(half) = self.forget_waiting(&token) {
                self.expired += 1;
                out.push(Ended { pair: None, token, clients: [Some(half.client), None] });
            }
        }
        out
    }

    /// Whether a client holds anything, waiting or paired.
    pub fn holds_any(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client)
    }

    /// Halves that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Pairs.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Halves that waited in vain, since the start.
    pub fn expired(&self) -> u64 {
        self.expired
    }
}
