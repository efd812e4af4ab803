//! Parts of the swarm simulation. See `swarm_sim.rs`. What is simulated is what ships: the machines of the node itself.

mod history;
mod host;
mod liar;
mod plan;
mod rest;
mod world;

pub use rest::{AtRest, rest};
pub use world::{Report, World};
