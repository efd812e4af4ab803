use bosc_updater::{Event, Updater};
/// On a thread of its own: `true` when the person wants to restart now. Then close the window, and end `main` with
/// `updater.restart()` instead of `updater.quit()`.
fn ask_about_updates(updater: &Updater) -> bool {
    for event in updater.events() {
        match event {
            Event::Updated(update) => {
                if ask(&format!("Version {} is ready. Restart?", update.version())) {
                    return true;
                }
            }
            Event::RolledBack { version, restored, .. } => {
                tell(&format!("{version} did not work; {restored} is back."));
            }
            _ => {} // everything else may be ignored
        }
    }
    false
}
