//! What the node has to be for a request, taken note of before it starts.

use super::Engine;
use crate::error::CommandError;
use crate::request::Request;

impl Engine {
    /// Takes note of what the node has to be for this request. To be called before anything else runs.
    ///
    /// # Errors
    /// What the store says.
    pub fn prepare(&self, request: &Request) -> Result<(), CommandError> {
        if let Request::Seed(seed) = request {
            let wishes = self.seed_wishes(seed)?;
            *self.wishes() = wishes;
        }
        Ok(())
    }
}
