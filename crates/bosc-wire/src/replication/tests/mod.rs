//! Whole replicators against each other in virtual time, over links that can be slow, cut, silent or hostile.

mod compare;
mod heads;
mod hostile;
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
