//! Names that mean the same file everywhere, or none. The rules are those of [`bosc_names`], which the publisher's tools ask
//! too.

use crate::error::UpdateError;
use crate::install::integrity;
use crate::install::tree::is_inner_path;
use bosc_names::{NameProblem, Target, check_name};

/// Checks the path of an entry and takes off what has no meaning: `./` in front and `/` at the end. `Ok(None)` for the
/// root itself.
pub(super) fn clean(path: &str) -> Result<Option<String>, UpdateError> {
    let refused = |why: &str| Err(integrity(format!("the archive holds {:?}, {why}", shown(path))));
    let mut inner = path;
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    inner = inner.strip_suffix('/').unwrap_or(inner);
    if matches!(inner, "" | ".") && !path.starts_with('/') {
        return Ok(None);
    }
    if !is_inner_path(inner) {
        return refused("which is not a path inside a build");
    }
    for part in inner.split('/') {
        match check_name(part, Target::Archive) {
            Ok(()) => {}
            Err(NameProblem::TooLong) => return refused("whose name is too long"),
            Err(NameProblem::Character(_)) => return refused("a name that not every system can hold"),
            Err(NameProblem::Ending(_) | NameProblem::Device) => {
                return refused("a name that Windows reads as another");
            }
        }
    }
    Ok(Some(inner.to_owned()))
}

/// The same for names that a file system may take for one.
pub(super) fn folded(path: &str) -> String {
    bosc_names::folded(path, Target::Archive).into_owned()
}

/// As much of a hostile name as an error needs.
fn shown(path: &str) -> String {
    path.chars().take(80).collect()
}
