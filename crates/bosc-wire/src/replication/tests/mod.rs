//! Whole replicators against each other in virtual time, over links that can be slow, cut, silent or hostile.
//!
//! # Files
//!
//! - `network`: nodes, links and time. `sync`: one giver, one taker. `swarm`: many peers.
//! - `heads`: heads that are taken or not. `compare`: two histories. `reorganise`: another fork. `hostile`: peers that mean
//!   harm. `liars`: one honest peer among many of those. `vectors`: messages against those that hypercore makes.

mod compare;
mod heads;
mod hostile;
mod liars;
mod network;
mod reorganise;
mod swarm;
mod sync;
mod vectors;

use super::messages::Data;
use super::*;

#[allow(unreachable_pub, dead_code)]
#[path = "../../../tests/replication_support/memory_core.rs"]
mod memory_core;
