//! What operators of a link say now, for commands that show it.

use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::open::Opened;
use crate::error::CommandError;
use bosc_follow::operators::{self, Heard};
use bosc_follow::{FollowedDrive, Wait};
use bosc_policy::Policy;
use std::time::Duration;

/// How long operators' statements are looked for.
const ASK_FOR: Duration = Duration::from_secs(15);

impl Engine {
    /// Asks the DHT and the mirrors of a drive. Only what the policy's operators say of this link is kept.
    pub(crate) fn hear_operators(
        &self,
        opened: &Opened,
        policy: &Policy,
        stop: &Stop,
    ) -> Result<Heard, CommandError> {
        let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
        if keys.is_empty() {
            return Ok(Heard::default());
        }
        let mirrors = opened.followed.as_ref().map(FollowedDrive::mirrors);
        let mut wait = Wait::new(stop).timeout(ASK_FOR);
        let mut heard = operators::ask(&*self.node()?, mirrors, &keys, &mut wait)?;
        let link = *opened.drive.key();
        heard.statements.retain(|s| s.statement().link == link && keys.contains(s.operator()));
        Ok(heard)
    }
}
