//! Names of files and folders and targets of links go along with the files: no key in use is one.

use super::found::SecretFound;
use super::in_use::KeysInUse;
use super::kinds::Secret;
use std::path::Path;

/// Looks at what files and folders are called. `root`: the folder they lie in; `keys`: their paths in it, with the targets of links.
///
/// # Errors
/// The first one. It names the folder, or the link, and not the key.
pub(crate) fn check_names<'f>(
    root: &Path,
    keys: impl Iterator<Item = (&'f str, Option<&'f str>)>,
    in_use: &KeysInUse,
) -> Result<(), SecretFound> {
    let mut folder = "";
    for (key, target) in keys {
        // Of names in one folder only the last part is new.
        let (parent, name) = key.rsplit_once('/').unwrap_or(("", key));
        if in_use.in_name(name) || (parent != folder && in_use.in_name(key)) {
            return Err(SecretFound { path: join(root, above(key, in_use)), secret: Secret::InName });
        }
        folder = parent;
        if target.is_some_and(|target| in_use.in_name(target)) {
            return Err(SecretFound { path: join(root, key), secret: Secret::InTarget });
        }
    }
    Ok(())
}

/// The folder above what is named by a key; none when the key is written in several names.
fn above<'k>(key: &'k str, in_use: &KeysInUse) -> &'k str {
    let mut from = 0;
    for name in key.split('/') {
        if in_use.in_name(name) {
            return key.get(..from).unwrap_or_default();
        }
        from += name.len() + 1;
    }
    ""
}

fn join(root: &Path, key: &str) -> std::path::PathBuf {
    let key = key.trim_matches('/');
    if key.is_empty() { root.to_owned() } else { root.join(key) }
}
