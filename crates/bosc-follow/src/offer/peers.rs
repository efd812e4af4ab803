//! Peers as a source of bytes: the one that has everything, and costs the most.

use super::gathering::{Cost, Gathering, Offer};
use crate::error::FollowError;

/// Fetches what is missing from peers, who prove every block themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peers;

impl Offer for Peers {
    fn name(&self) -> &'static str {
        "peers"
    }

    fn cost(&self) -> Cost {
        Cost::Peers
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        let missing = to.missing()?;
        to.fetch(missing)
    }
}
