//! Parts of the swarm simulation. See `swarm_sim.rs`.

/// The adapter of the live node itself: what is simulated is what ships.
#[path = "../../src/live/access.rs"]
#[allow(dead_code)]
mod access;
mod cores;
mod history;
mod host;
mod liar;
mod links;
mod plan;
mod world;

pub use world::{Report, World};
