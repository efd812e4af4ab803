//! Parts of the swarm simulation. See `swarm_sim.rs`. What is simulated is what ships: the machines of the node itself.

mod claims;
mod history;
mod host;
mod liar;
mod life;
mod network;
mod plan;
mod relayed;
mod rest;
mod siege;
mod twins;
mod world;

pub use claims::{claims_in_vain, contents_without_db};
pub use life::{After, Turn, found_after_move, turn};
pub use rest::{AtRest, rest};
pub use siege::{Siege, siege};
pub use twins::{Met, twins};
pub use world::{Report, World};
