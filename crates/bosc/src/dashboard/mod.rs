//! `bosc dashboard`: flags, and what people read. The page is in `bosc-release/src/dashboard`.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::absolute;
use args::Dashboard;
use bosc_release::dashboard;
use bosc_release::error::CommandError;
use bosc_release::keys::Passphrase;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest file with a password, in bytes.
const MAX_FILE: u64 = 4 << 10;
/// Shortest password, in characters: it is guessed at five times a minute.
const LEAST: usize = 8;
/// Longest password, in characters: what a form may have, written as `%xx`.
const MOST: usize = 64;

/// What the flags mean.
pub(crate) fn dashboard(a: &Dashboard) -> Result<dashboard::Dashboard, CommandError> {
    let password = a.password_file.as_deref().map(password).transpose()?;
    // A wrong flag is said before a store opens.
    dashboard::server::parse_addr(&a.addr, password.is_some())?;
    let file = absolute(&a.file)?;
    // Without a file there are no lines; with `--line` there has to be one.
    let file = (file.exists() || !a.line.is_empty()).then_some(file);
    let ceremony = a.ceremony.as_deref().map(absolute).transpose()?;
    if let Some(folder) = ceremony.as_deref().filter(|f| !f.is_dir()) {
        return Err(CommandError::not_found(format!("there is no folder {}", folder.display()))
            .hint("name the folder into which you put the request and the responses, as files"));
    }
    Ok(dashboard::Dashboard {
        links: a.links.clone(),
        lines: a.line.clone(),
        file,
        addr: a.addr.clone(),
        password,
        ceremony,
    })
}

/// The first line of a file.
fn password(path: &Path) -> Result<Passphrase, CommandError> {
    let hint = format!(
        "write one line of {LEAST} to {MOST} characters into it, and let only yourself read it (`chmod 600`)"
    );
    let bytes = bosc_files::read_plain(path, MAX_FILE).map_err(|e| {
        CommandError::input(format!("the password in {} cannot be read", path.display()))
            .because(e)
            .hint(hint.clone())
    })?;
    let bytes = Zeroizing::new(bytes);
    let text =
        std::str::from_utf8(&bytes).ok().and_then(|t| t.lines().next()).map(str::trim).unwrap_or_default();
    let length = text.chars().count();
    if length < LEAST || text.len() > MOST * 4 || length > MOST {
        let why = format!("the password in {} has {length} characters", path.display());
        return Err(CommandError::input(why).hint(hint));
    }
    Ok(Passphrase::new(Zeroizing::new(text.to_owned())))
}
