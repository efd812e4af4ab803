//! Requests and responses from arguments, files and standard input.
//!
//! An argument is the text itself, the path of a file that holds texts, or `-` for standard input. Of several texts in
//! one place each stands on a line of its own (or one text is wrapped over many lines). A request is recognised by its
//! type, so one file may hold a request followed by its responses.

use super::errors::shown;
use crate::error::CommandError;
use bosc_format::id;
use bosc_format::signing::{Request, Response, SigningError};
use std::io::Read;
use std::path::Path;

/// Most bytes read from a file or standard input: room for the responses of many signers.
const INPUT_MAX: u64 = 8 << 20;
/// Most texts in one place.
const TEXTS_MAX: usize = 4096;

/// All texts the arguments stand for, in order.
///
/// # Errors
/// Unreadable files; `-` given twice; too much.
pub fn gather(arguments: &[String], stdin: &mut dyn Read) -> Result<Vec<String>, CommandError> {
    let mut out = Vec::new();
    let mut stdin = Some(stdin);
    for argument in arguments {
        if argument == "-" {
            let stdin = stdin.take().ok_or_else(|| {
                CommandError::input("standard input can be read once")
                    .hint("give `-` once; it may hold several texts")
            })?;
            out.extend(split(&read(stdin, "standard input")?));
        } else if looks_like_text(argument) {
            out.push(argument.trim().to_owned());
        } else {
            let path = Path::new(argument);
            let file = bosc_files::open_plain(path).map_err(|e| {
                CommandError::input(format!(
                    "neither a request or response nor a file: {:?}",
                    shown(argument)
                ))
                .because(e)
                .hint("give the text, a file that holds it, or - for standard input, which may be a pipe")
            })?;
            out.extend(split(&read(&mut { file }, argument)?));
        }
        if out.len() > TEXTS_MAX {
            return Err(CommandError::input("too many requests and responses at once"));
        }
    }
    Ok(out)
}

/// Long z-base-32 that is not a file. What is wrong with it is said by whoever reads it.
fn looks_like_text(argument: &str) -> bool {
    let clean: String = argument.chars().filter(|c| !c.is_whitespace()).collect();
    clean.len() > 64 && id::decode_bytes(&clean).is_ok() && !Path::new(argument).exists()
}

fn read(from: &mut dyn Read, name: &str) -> Result<String, CommandError> {
    let mut text = String::new();
    from.take(INPUT_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|e| CommandError::input(format!("{name} cannot be read as text")).because(e))?;
    if text.len() as u64 > INPUT_MAX {
        return Err(CommandError::input(format!("{name} is too large")).hint("it may hold at most 8 MiB"));
    }
    Ok(text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Request,
    Response,
}

/// What a text is. Responses first: old requests and responses carry no type, and only one reading fits. A request that
/// nobody must sign is a request all the same, so that it is named as one.
fn kind(text: &str) -> Option<TextKind> {
    if Response::from_text(text).is_ok() {
        return Some(TextKind::Response);
    }
    match Request::from_text(text) {
        Ok(_) => Some(TextKind::Request),
        Err(e) if e.is_refusal() => Some(TextKind::Request),
        Err(_) => None,
    }
}

fn split(text: &str) -> Vec<String> {
    // An editor may have put a mark in front; of files put together, in front of each.
    let text = &text.replace('\u{feff}', "");
    let whole: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if whole.is_empty() {
        return Vec::new();
    }
    if kind(&whole).is_some() {
        return vec![whole];
    }
    text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// A request.
///
/// # Errors
/// `Invalid request: ...` with the reason.
pub fn request(text: &str) -> Result<(Request, Vec<u8>), CommandError> {
    Request::from_text(text).map_err(|e| {
        let error = CommandError::input(format!("Invalid request: {}", shown(text)));
        match &e {
            SigningError::WrongType { .. } => error.hint("this is a response; the request comes first"),
            SigningError::EmptyCore => error.hint("length 0 is refused: there is nothing to sign"),
            SigningError::UnknownVersion(_) => error.hint("update Bosc to read it"),
            SigningError::NotADrive | SigningError::OldManifest | SigningError::NoVersion => error.hint(
                "do not sign it anywhere: such a signature can be valid for another link than the one that is shown; \
                 ask for a request made with `bosc multisig request <verlink>` or `pear multisig request`",
            ),
            SigningError::Forked(_) => error.hint(
                "mint a fresh drive with `bosc touch`, provision to it, and make the request from that",
            ),
            e if e.is_refusal() => error.hint(
                "do not sign it anywhere, and ask whoever sent it how it was made; \
                 `bosc multisig request <verlink>` makes a new one",
            ),
            _ => error.hint("copy it whole, or pass it in a file"),
        }
        .because(e)
    })
}

/// A response.
///
/// # Errors
/// `Invalid response: ...` with the reason.
pub fn response(text: &str) -> Result<Response, CommandError> {
    Response::from_text(text).map_err(|e| {
        let error = CommandError::input(format!("Invalid response: {}", shown(text)));
        match &e {
            SigningError::WrongType { .. } => {
                error.hint("this is a request; give what `bosc multisig sign` printed")
            }
            SigningError::UnknownVersion(_) => error.hint("update Bosc to read it"),
            _ => error.hint("copy it whole, or pass it in a file"),
        }
        .because(e)
    })
}

fn read_request(text: &str) -> Result<(Request, Vec<u8>), CommandError> {
    request(text)
}

/// Splits gathered texts into the one request and the responses. The request may stand anywhere.
///
/// # Errors
/// No request, or several.
pub fn sort(texts: &[String]) -> Result<(String, Vec<String>), CommandError> {
    let mut request = None;
    let mut responses = Vec::new();
    for text in texts {
        match kind(text) {
            Some(TextKind::Request) if request.is_none() => request = Some(text.clone()),
            Some(TextKind::Request) if request.as_deref().is_some_and(|r: &str| same(r, text)) => {}
            Some(TextKind::Request) => {
                return Err(CommandError::input("two different requests were given")
                    .hint("give one request and the responses to it"));
            }
            Some(TextKind::Response) => responses.push(text.clone()),
            // Says what is wrong with it.
            None if request.is_none() => read_request(text).map(drop)?,
            None => response(text).map(drop)?,
        }
    }
    let request = request.ok_or_else(|| {
        CommandError::input("no request was given").hint("give the text `bosc multisig request` printed")
    })?;
    Ok((request, responses))
}

fn same(a: &str, b: &str) -> bool {
    let clean = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    clean(a) == clean(b)
}

#[cfg(test)]
mod tests;
