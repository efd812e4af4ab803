//! `bosc policy`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::changelog::is_link;
use crate::global::Global;
use crate::human::Human;
use crate::on_store::with_store;
use crate::plain::Tone;
use crate::printer::{Ended, Final, Printer};
use crate::values::{absolute, mirrors, seconds};
use args::{Policy, PolicyOf, PolicySet};
use bosc_format::id;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::event::{Event, Output};
use bosc_release::keys::keyring::Keyring;
use bosc_release::operator::manifest::Found;
use bosc_release::policy::edit::{Edit, OperatorWish, set};
use bosc_release::policy::span::parse_span;
use bosc_release::policy::{
    PolicyOfLink, Right, Share, check_folder, check_manifest, show_folder, show_manifest,
};
use bosc_release::request::Request;
use semver::Version;
use std::path::Path;

/// Longest file of notes, in bytes: rules have fewer.
const MAX_NOTES: u64 = 64 * 1024;

/// What an operator may do unless it is said.
const USUAL: [Right; 3] = [Right::Refresh, Right::Rollout, Right::Halt];

/// `bosc policy`.
pub(crate) fn run(a: &Policy, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let (of, check) = match a {
        Policy::Set(a) => return change(a, printer),
        Policy::Show(of) => (of, false),
        Policy::Check(of) => (of, true),
    };
    let output = look(of, check, g, printer, stop)?;
    if let Output::PolicyChecked(done) = &output
        && done.policy
    {
        let verdict = match done.warn {
            0 => "Clients can obey the rules".to_owned(),
            n => format!("Clients can obey the rules; {n} to look at"),
        };
        printer.say(Tone::Good, &verdict);
    }
    Ok(output.into())
}

fn look(
    a: &PolicyOf,
    check: bool,
    g: &Global,
    printer: &Printer,
    stop: &Stop,
) -> Result<Output, CommandError> {
    let mut human = Human::new(printer, false, false);
    let mut sink = |event: Event| human.event(&event);
    if !is_link(&a.of) {
        let manifest = match is_address(&a.of) {
            true => Some(Found::on_server(&a.of)?),
            false => {
                let path = absolute(Path::new(&a.of))?;
                path.is_file().then(|| Found::in_file(&path)).transpose()?
            }
        };
        return Ok(match (manifest, check) {
            (Some(manifest), true) => check_manifest(&manifest, &mut sink)?.into(),
            (Some(manifest), false) => show_manifest(&manifest, &mut sink)?.into(),
            (None, true) => check_folder(&absolute(Path::new(&a.of))?, &mut sink)?.into(),
            (None, false) => show_folder(&absolute(Path::new(&a.of))?, &mut sink)?.into(),
        });
    }
    let request = Request::Policy(PolicyOfLink {
        link: a.of.clone(),
        check,
        timeout_ms: seconds(a.timeout)?,
        mirrors: mirrors(&a.mirror)?,
    });
    with_store(g, &request, &mut sink, stop, printer)
}

/// Whether this is the address of a manifest on a server.
pub(crate) fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

fn change(a: &PolicySet, printer: &Printer) -> Ended {
    let edit = edit(a)?;
    let folder = absolute(&a.folder)?;
    let mut human = Human::new(printer, false, false);
    let mut sink = |event: Event| human.event(&event);
    let done = set(&folder, &edit, &mut sink)?;
    let shown = show_folder(&folder, &mut sink)?;
    printer.data_name(&done.file.display().to_string());
    debug_assert!(shown.policy);
    Ok(Final::from(Output::from(done)))
}

fn edit(a: &PolicySet) -> Result<Edit, CommandError> {
    let either = |yes: bool, no: bool| (yes || no).then_some(yes && !no);
    Ok(Edit {
        rollout: a.rollout.as_deref().map(share).transpose()?,
        operators: a
            .operator
            .iter()
            .map(|text| operator(text, a.keys.as_deref()))
            .collect::<Result<_, _>>()?,
        remove_operators: a.remove_operator.clone(),
        freshness: a.freshness.as_deref().map(freshness).transpose()?,
        recall: either(a.recall, a.no_recall),
        mandatory: either(a.mandatory, a.no_mandatory),
        minimum: a.minimum.as_deref().map(minimum).transpose()?,
        minimum_system: a
            .minimum_system
            .iter()
            .map(|text| pair(text, "--minimum-system"))
            .collect::<Result<_, _>>()?,
        notes: a.notes.iter().map(|text| notes(text)).collect::<Result<_, _>>()?,
    })
}

/// A share of all installations.
pub(crate) fn share(text: &str) -> Result<Share, CommandError> {
    text.parse().map_err(|e: bosc_release::policy::InvalidShare| {
        CommandError::input(format!("{text:?} is not a share"))
            .because(e)
            .hint("give it in percent, such as 10%")
    })
}

fn freshness(text: &str) -> Result<Option<u64>, CommandError> {
    if text == "never" {
        return Ok(None);
    }
    parse_span(text).map(Some).ok_or_else(|| {
        CommandError::input(format!("{text:?} is not a span of time"))
            .hint("give it as 7d, 12h or 90m; `never` asks for no freshness")
    })
}

fn minimum(text: &str) -> Result<Option<Version>, CommandError> {
    if text == "none" {
        return Ok(None);
    }
    Version::parse(text).map(Some).map_err(|e| {
        CommandError::input(format!("{text:?} is not a version"))
            .because(e)
            .hint("give it as 1.2.0, or `none`")
    })
}

fn pair(text: &str, flag: &str) -> Result<(String, String), CommandError> {
    let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    parts.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
        CommandError::input(format!("{flag} {text:?} has no name and value"))
            .hint(format!("give it as {flag} NAME=VALUE"))
    })
}

fn notes(text: &str) -> Result<(String, String), CommandError> {
    let (language, said) = pair(text, "--notes")?;
    let Some(file) = said.strip_prefix('@') else { return Ok((language, said)) };
    let unreadable = || {
        CommandError::input(format!("cannot read the notes in {file}"))
            .hint("give a file of text of at most 64 KiB; without `@` the text itself")
    };
    let bytes = bosc_files::read_plain(Path::new(file), MAX_NOTES).map_err(|e| unreadable().because(e))?;
    let said = String::from_utf8(bytes).map_err(|e| unreadable().because(e))?;
    Ok((language, said.trim_end().to_owned()))
}

/// `NAME`, `NAME=KEY`, either with `:refresh,halt` behind it.
fn operator(text: &str, keys: Option<&Path>) -> Result<OperatorWish, CommandError> {
    let (who, may) = text.rsplit_once(':').map_or((text, None), |(who, may)| (who, Some(may)));
    let may = match may {
        None => USUAL.to_vec(),
        Some(may) => may.split(',').filter(|m| !m.is_empty()).map(right).collect::<Result<_, _>>()?,
    };
    let (name, key) = match who.split_once('=') {
        Some((name, key)) => {
            let key = id::decode(key).map_err(|e| {
                CommandError::input(format!("the key of the operator {name:?} is not a public key"))
                    .because(e)
                    .hint("a key is 52 characters of z-base-32 or 64 of hex; `bosc keys operator NAME` prints it")
            })?;
            (name, key)
        }
        None => {
            let key = Keyring::open(keys)?.public(who)?.ok_or_else(|| {
                CommandError::not_found(format!("there is no key {who:?} on this machine")).hint(format!(
                    "make it with `bosc keys operator {who}`, or give the public key: `{who}=KEY`"
                ))
            })?;
            (who, key)
        }
    };
    if name.is_empty() {
        return Err(CommandError::input("an operator has no name").hint("give it as NAME=KEY"));
    }
    Ok(OperatorWish { name: name.to_owned(), key, may })
}

fn right(text: &str) -> Result<Right, CommandError> {
    Right::ALL.into_iter().find(|right| right.as_str() == text).ok_or_else(|| {
        CommandError::input(format!("an operator cannot be given {text:?}"))
            .hint("give refresh, rollout, halt, recall")
    })
}
