//! What the node has to be for a request, taken note of before it starts.

use super::{Engine, NodeWishes};
use crate::error::CommandError;
use crate::request::Request;

impl Engine {
    /// Takes note of what the node has to be for this request. To be called before anything else runs.
    ///
    /// # Errors
    /// What the store says.
    pub fn prepare(&self, request: &Request) -> Result<(), CommandError> {
        let wishes = match request {
            Request::Seed(seed) => self.seed_wishes(seed)?,
            Request::BlindPeer(blind_peer) => self.blind_peer_wishes(blind_peer)?,
            Request::Dashboard(_) => {
                NodeWishes { map_port: true, grace: crate::seed::GRACE, ..NodeWishes::default() }
            }
            // To say whether the router gives a port.
            Request::Doctor(_) => NodeWishes { map_port: true, ..NodeWishes::default() },
            _ => return Ok(()),
        };
        *self.wishes() = wishes;
        Ok(())
    }
}
