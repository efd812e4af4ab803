use bosc_updater::{UpdateError, Updater};
/// "Check for updates…" in a menu. In async code, `.await` instead of `.wait()`, on any executor.
fn check_for_updates(updater: &Updater) -> Result<(), UpdateError> {
    let Some(update) = updater.check().wait()? else { return Ok(tell("This is the newest version.")) };
    update.download(|p| show_progress(p.bytes, p.total)).wait()?;
    if ask(&format!("Version {} is ready. Restart?", update.version())) {
        update.apply().wait()?;
        close_the_window(); // and end `main` with `updater.restart()`
    }
    Ok(())
}
