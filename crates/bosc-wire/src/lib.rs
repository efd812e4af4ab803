//! How peers talk, as state machines without IO: bytes and `now` in, bytes and events out.
//!
//! It owns handshakes, encryption, channels, and what is asked of which peer on them. It never opens a connection (`bosc-node`),
//! never finds a peer (`bosc-dht`), and keeps no block: it proves what arrives and hands it on. Its files:
//!
//! * [`noise`]: the handshakes (IK, XX over Ed25519 points), points that are refused, the longest message.
//! * [`secret_stream`]: framed, encrypted messages over an ordered byte stream; the longest.
//! * [`mux`]: protomux, many channels over one secret stream; frames and batches, what a peer can make us keep.
//! * [`replication`]: the hypercore wire protocol over a mux: what is asked of whom, forks and conflicts, peers that lie or are silent.
//! * [`blind_relay`]: what two peers and the relay between them say to each other, and which tokens are paired.
//! * [`blind_peer`]: what peers say to one that keeps their cores available; how many cores a message may name.
//! * [`secretbox`]: one-shot sealed messages for datagrams and holepunch payloads.
//!
//! Each module says which JavaScript package and file decides what is right.
//!
//! Invariants: nothing here reads a clock, a socket, a file or a random source; no input panics; every length a
//! peer chooses is bounded before memory is taken for it.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

pub mod blind_peer;
pub mod blind_relay;
pub mod mux;
pub mod noise;
pub mod replication;
pub mod secret_stream;
pub mod secretbox;
