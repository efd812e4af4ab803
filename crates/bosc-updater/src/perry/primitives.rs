//! The low-level calls of `perry/updater`, with their return codes: 1 for done, 0 for not, no reason given.
//!
//! | call | returns |
//! |---|---|
//! | [`compare_versions`] | -1 update, 0 equal, 1 downgrade, -2 no version |
//! | [`verify_hash`], [`verify_signature`], [`verify_signature_v2`] | 1 good, 0 anything else |
//! | [`compute_file_sha256`], [`read_sentinel`], [`get_exe_path`], [`get_backup_path`], [`get_sentinel_path`] | the text, `""` on failure |
//! | [`write_sentinel`], [`clear_sentinel`] | 1 done (also when there was none to clear), 0 failed |
//! | [`install_update`], [`perform_rollback`] | 1 done, 0 failed: the build that was there is in place |
//! | [`relaunch`] | the process id, -1 on failure |
//!
//! Each is a call of [`super::install`], [`super::sentinel`] or [`crate::manifest`] that says why it failed; use those in new code.
//! As with Perry's own, nothing is proved by [`install_update`]: verify the file first, with [`verify_signature_v2`]. Better:
//! [`super::check_for_update`] proves what it installs.

use super::{paths, sentinel};
use crate::health::{self, Program};
use crate::install::{Installer, Options, plain};
use crate::manifest::verify;
use crate::manifest::version;
use semver::Version;
use std::path::Path;

fn code(done: bool) -> i32 {
    i32::from(done)
}

/// `compareVersions`: -1 when `candidate` is an update, 0 when equal, 1 when it is a downgrade, -2 when one of them is not a version.
pub fn compare_versions(current: &str, candidate: &str) -> i32 {
    version::compare_versions(current, candidate)
}

/// `verifyHash`: 1 when the file has this SHA-256, hex of either case.
pub fn verify_hash(file: impl AsRef<Path>, expected_hex: &str) -> i32 {
    code(verify::verify_hash(file.as_ref(), expected_hex))
}

/// `computeFileSha256`: 64 lower-case hex digits; `""` on failure.
pub fn compute_file_sha256(file: impl AsRef<Path>) -> String {
    verify::compute_file_sha256(file.as_ref()).unwrap_or_default()
}

/// `verifySignature` (schema 1): 1 when the signature is over the file's digest alone. It says nothing about the version: whoever
/// holds an old one can pass the old file off as new.
pub fn verify_signature(file: impl AsRef<Path>, signature: &str, public_key: &str) -> i32 {
    code(verify::verify_signature(file.as_ref(), signature, public_key))
}

/// `verifySignatureV2`: 1 when the signature is over the file's digest and this version; 0 for an empty version.
pub fn verify_signature_v2(file: impl AsRef<Path>, signature: &str, public_key: &str, version: &str) -> i32 {
    code(verify::verify_signature_v2(file.as_ref(), signature, public_key, version))
}

/// `writeSentinel`: 1 when the file holds the text, on disk.
pub fn write_sentinel(path: impl AsRef<Path>, json: &str) -> i32 {
    code(sentinel::write_sentinel(path.as_ref(), json).is_ok())
}

/// `readSentinel`: the text; `""` when there is none or it cannot be read.
pub fn read_sentinel(path: impl AsRef<Path>) -> String {
    sentinel::read_sentinel(path.as_ref()).ok().flatten().unwrap_or_default()
}

/// `clearSentinel`: 1 when there is none any more.
pub fn clear_sentinel(path: impl AsRef<Path>) -> i32 {
    code(sentinel::clear_sentinel(path.as_ref(), "").is_ok())
}

/// `getExePath`: what an update replaces; `""` on failure.
pub fn get_exe_path() -> String {
    paths::get_exe_path().map(text).unwrap_or_default()
}

/// `getBackupPath`: [`get_exe_path`] with `.prev` behind; `""` on failure.
pub fn get_backup_path() -> String {
    paths::get_backup_path().map(text).unwrap_or_default()
}

/// `getSentinelPath`.
pub fn get_sentinel_path() -> String {
    text(paths::get_sentinel_path())
}

fn text(path: std::path::PathBuf) -> String {
    path.into_os_string().into_string().unwrap_or_default()
}

/// `installUpdate`: 1 when what was staged has replaced the target and what was there is at `<target>.prev`. Where the system
/// can, the target never is without a build in between; what a kill leaves is put right by the next start's
/// [`super::init_updater`].
pub fn install_update(staged: impl AsRef<Path>, target: impl AsRef<Path>) -> i32 {
    code(plain::put(staged.as_ref(), target.as_ref()).is_ok())
}

/// `performRollback`: 1 when `<target>.prev` has replaced the target; 0 when there is none.
pub fn perform_rollback(target: impl AsRef<Path>) -> i32 {
    code(plain::put_back(target.as_ref()).is_ok())
}

/// `relaunch`: starts a program detached, without arguments. Its process id, or -1.
pub fn relaunch(exe: impl AsRef<Path>) -> i64 {
    let options = Options::new(exe.as_ref(), Version::new(0, 0, 0));
    Installer::open(options).and_then(|i| health::relaunch(&i, &Program::new())).map_or(-1, i64::from)
}
