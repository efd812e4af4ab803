//! Mirrors that commands read from: which are in use for which drive.
//!
//! The policy of a drive names some for everybody. A command names its own for as long as it runs. Whatever follows the drive meanwhile has them.

use super::event::MirrorEvent;
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::mirrors::InUse;
use crate::error::{CommandError, ErrorKind};
use bosc_follow::{FollowedDrive, policy_here};
use bosc_format::crypto::CoreKey;
use bosc_policy::Policy;
use bosc_updater::http::{Proxies, Roots};

impl Engine {
    /// Names mirrors of a drive.
    pub(crate) fn read_mirrors(&self, key: &CoreKey, addresses: &[String]) -> Result<InUse, CommandError> {
        let carrier = |address: &String| {
            bosc_updater::p2p::mirror(address, Roots::System, Proxies::from_environment()).map_err(|e| {
                let hint = e.next_step().unwrap_or_default().to_owned();
                CommandError::input(e.to_string()).hint(hint)
            })
        };
        let carriers = addresses.iter().map(carrier).collect::<Result<Vec<_>, _>>()?;
        Ok(self.mirrors.add(key, carriers))
    }

    /// Adds the mirrors that are in use for a drive to one that is followed, and those that its policy names, as far as that is here.
    /// What an address of those is not taken for is left out: nobody here gave it. The relays that it names are gone through as well.
    pub(crate) fn add_mirrors(&self, followed: &FollowedDrive) -> Result<(), CommandError> {
        let policy = policy_here(followed.cores());
        followed.node().add_relays(policy.as_ref().map_or(&[], Policy::relays));
        let named = policy.iter().flat_map(|policy| policy.mirrors()).filter_map(|address| {
            bosc_updater::p2p::named_mirror(address, Roots::System, Proxies::from_environment()).ok()
        });
        for carrier in self.mirrors.of(followed.cores().key()).into_iter().chain(named) {
            followed.mirrors().add(carrier).map_err(|e| {
                CommandError::new(
                    ErrorKind::Failed,
                    "ERR_OPERATION_FAILED",
                    "no thread for a mirror could be had",
                )
                .because(e)
                .hint("close other programs, then run the command again")
            })?;
        }
        Ok(())
    }
}

/// Tells what the mirrors of a drive were found to be.
pub(crate) fn tell(followed: Option<&FollowedDrive>, sink: &mut dyn Sink) {
    for status in followed.map(|f| f.mirrors().statuses()).unwrap_or_default() {
        sink.tell(MirrorEvent::MirrorUsed(status.into()));
    }
}
