use bosc_updater::{package_version, Started, UpdateSource, Updater};
fn main() -> Result<(), bosc_updater::UpdateError> {
    let source = UpdateSource::pear("pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo");
    let updater = match Updater::builder("Demo", package_version!(), source).start() {
        Started::Running(updater) => updater, // online or not, the only instance or not, …
        Started::RolledBack(failed) => return failed.restart(), // it did not work: the previous version is back
    };
    let window = open_window(); // the application, as it always was
    updater.mark_healthy(); // it works
    window.run_until_closed(); // meanwhile an update is downloaded, quietly
    if let Err(e) = updater.quit() {
        eprintln!("{e}"); // an update could not be put in place; it is offered again
    }
    Ok(())
}
