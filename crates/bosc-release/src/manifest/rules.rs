//! The rules that a manifest has, held against what clients can obey.

use super::event::RulesEntry;
use crate::command::Sink;
use crate::error::{CommandError, ErrorKind};
use crate::policy::check::read;
use crate::policy::event::PolicyEvent;
use crate::policy::shown::PolicyShown;
use crate::policy::{bytes_of_file, bytes_of_folder};
use std::path::Path;

/// The rules of a release, from a file or folder or to say that they end, reported as clients will read them; none if none were named.
///
/// # Errors
/// There is no such file, clients could not obey it, or it lacks what rules of a manifest must have.
pub(super) fn of(
    (path, ends): (Option<&Path>, bool),
    (app, version): (Option<&str>, &str),
    sink: &mut dyn Sink,
) -> Result<Option<RulesEntry>, CommandError> {
    if path.is_none() && !ends {
        return Ok(None);
    }
    let app = app.ok_or_else(|| {
        CommandError::input("the rules of a manifest are of an application, and no name is known")
            .hint("give --app NAME, or put \"name\" into package.json")
    })?;
    let Some(path) = path else {
        return Ok(Some(RulesEntry { app: app.to_owned(), policy: String::new() }));
    };
    let bytes = if path.is_dir() { bytes_of_folder(path)? } else { bytes_of_file(path)? };
    let bytes = bytes.ok_or_else(|| {
        CommandError::not_found(format!("{} holds no rules", path.display()))
            .hint("write them with `bosc policy set FOLDER`, and name the folder or its release.json")
    })?;
    let policy = read(&bytes, ErrorKind::Input)?;
    if policy.time().is_none() {
        return Err(CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_POLICY",
            format!("the rules in {} do not say when they were made", path.display()),
        )
        .hint(
            "`bosc policy set FOLDER` sets the time: clients of a manifest tell by it which rules are newer",
        ));
    }
    let text =
        String::from_utf8(bytes).map_err(|e| crate::policy::not_read(path, std::io::Error::other(e)))?;
    let of = path.display().to_string();
    sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, Some(version), &policy))));
    Ok(Some(RulesEntry { app: app.to_owned(), policy: text }))
}
