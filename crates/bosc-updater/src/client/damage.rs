//! A journal that was damaged.

use super::event::Event;
use crate::install::Installer;
use std::time::SystemTime;

/// That the journal was damaged, if it was not reported yet.
pub(super) fn damage(installer: &Installer) -> Option<Event> {
    installer.tell_damage(SystemTime::now()).map(|aside| Event::JournalDamaged { aside })
}
