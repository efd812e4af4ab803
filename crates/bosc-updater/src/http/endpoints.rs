//! What several addresses of one manifest said.

use super::agent::cancelled;
use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::{SecureUrl, UrlKind};

/// Why no address gave a manifest: of one address that, of several what each said. The kind, and what to do, are the first's.
pub(super) fn none_of(mut failed: Vec<(&str, UpdateError)>) -> UpdateError {
    let all = failed.len();
    if all <= 1 {
        return failed.pop().map_or_else(cancelled, |(_, e)| e);
    }
    let kind = failed.first().map_or(ErrorKind::Network, |(_, e)| e.kind());
    let hint = failed.first().and_then(|(_, e)| e.next_step().map(str::to_owned));
    failed.truncate(MAX_TOLD);
    let mut next = None;
    for (number, (address, e)) in failed.iter().enumerate().rev() {
        // The rest of an address may hold what is not for everybody.
        let host = SecureUrl::parse(UrlKind::Manifest, address).map(|url| url.host().to_owned());
        let host = host.unwrap_or_else(|_| "not an address".to_owned());
        let why = e.causes().into_iter().fold(e.to_string(), |text, cause| format!("{text}: {cause}"));
        let text = format!("endpoint {} ({host}): {why}", number + 1);
        next = Some(Box::new(Said { text: text.chars().take(MAX_SAID).collect(), next }));
    }
    let e = UpdateError::new(kind, format!("updater: none of the {all} endpoints gave a usable manifest"));
    let e = match next {
        Some(said) => e.because(*said),
        None => e,
    };
    match hint {
        Some(hint) => e.hint(hint),
        None => e,
    }
}

/// Most endpoints whose errors are reported: as many as an error has causes.
const MAX_TOLD: usize = 8;
/// Most characters of the text about one.
const MAX_SAID: usize = 400;

/// What one of several endpoints said, and then the next.
#[derive(Debug)]
struct Said {
    text: String,
    next: Option<Box<Said>>,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Said {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|said| said as _)
    }
}
