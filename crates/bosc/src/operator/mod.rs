//! `bosc rollout`, `halt`, `lift`, `refresh`: from their arguments to what is printed. The secret stays in this process: the owner of
//! the store, when it is another one, gets what was signed.
//!
//! ```text
//! keys of this machine -> what is known, and what would be said (by the owner of the store) -> shown -> [--dry-run: end]
//! -> passphrase -> signed here -> kept, put and read back (by the owner of the store) -> told
//! ```

pub(crate) mod args;
pub(crate) mod human;

use crate::changelog::is_link;
use crate::global::Global;
use crate::human::Human;
use crate::multisig::unexpected;
use crate::on_store::with_store;
use crate::policy::{is_address, share};
use crate::printer::{Ended, Final, Printer};
use crate::question::Origin;
use crate::values::{absolute, mirrors, seconds};
use args::{Halt, Lift, Refresh, Rollout, Speak};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::{Event, Output};
use bosc_release::keys::keyring::{Keyring, key_error};
use bosc_release::operator::manifest::Found;
use bosc_release::operator::signed::{sign, to_text};
use bosc_release::operator::{Change, KeyHere, Prepare, RefreshKey, Work};
use bosc_release::policy::event::{PolicyEvent, Prepared};
use bosc_release::request::Request;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// `bosc rollout`.
pub(crate) fn rollout(a: &Rollout, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let share = share(&a.share)?.hundredths();
    speak(&a.link, Change::Rollout { version: a.version.clone(), share }, &a.speak, g, printer, stop)
}

/// `bosc halt`.
pub(crate) fn halt(a: &Halt, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let change = Change::Halt { version: a.version.clone(), recall: a.recall };
    speak(&a.link, change, &a.speak, g, printer, stop)
}

/// `bosc lift`.
pub(crate) fn lift(a: &Lift, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    speak(&a.link, Change::Lift { version: a.version.clone() }, &a.speak, g, printer, stop)
}

/// `bosc refresh`.
pub(crate) fn refresh(a: &Refresh, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    speak(&a.link, Change::Refresh, &a.speak, g, printer, stop)
}

fn speak(link: &str, change: Change, a: &Speak, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    // Nobody signs what was not shown.
    if g.quiet {
        let g = Global { quiet: false, ..g.clone() };
        let printer = Printer::new(change.name(), &g, stop);
        return speak(link, change, a, &g, &printer, stop);
    }
    printer.keep_everything();
    let ring = Keyring::open(a.keys.as_deref())?;
    let manifest = match (is_link(link), is_address(link)) {
        (true, _) => None,
        (false, false) => Some(absolute(Path::new(link))?),
        (false, true) => Some(Found::on_server(link)?.save(&absolute(Path::new("."))?)?),
    };
    let keys = keys_here(&ring, a.key.as_deref())?;
    let prepare = match &manifest {
        Some(manifest) => Work::PrepareFile { manifest: manifest.clone(), what: change, keys },
        None => Work::Prepare(Prepare {
            link: link.to_owned(),
            change,
            keys,
            timeout_ms: seconds(a.timeout)?,
            mirrors: mirrors(&a.mirror)?,
        }),
    };
    let Output::Prepared(prepared) = on_store(prepare, g, printer, stop)? else { return Err(unexpected()) };
    let shown = PolicyEvent::Statement(prepared.clone());
    printer.event(&shown);
    if !printer.is_json() {
        human::meaning(printer, &prepared);
    }
    if a.dry_run {
        return Ok(Final::from(Output::Prepared(prepared)));
    }
    let record = signed(&prepared, &ring, a, printer, stop)?;
    let say = match manifest {
        Some(manifest) => Work::SayFile { manifest, record },
        None => Work::Say { link: prepared.link.clone(), record },
    };
    let Output::Stated(stated) = on_store(say, g, printer, stop)? else { return Err(unexpected()) };
    human::said(printer, &stated);
    Ok(Final::from(Output::Stated(stated)))
}

/// Signs what was shown.
fn signed(
    prepared: &Prepared,
    ring: &Keyring,
    a: &Speak,
    printer: &Printer,
    stop: &Stop,
) -> Result<String, CommandError> {
    let link = PearLink::parse(&prepared.link).map_err(|_| unexpected())?;
    let statement = prepared.statement.to_statement(link.key).ok_or_else(unexpected)?;
    let key = ring.require_private(&prepared.key)?;
    let passphrase = Origin::present(a.passphrase_fd).read(printer, stop)?;
    let open = key.decrypt(passphrase.bytes()).map_err(|e| key_error(e, &prepared.key))?;
    drop(passphrase);
    if id::encode(&open.pair().public()) != prepared.operator.key {
        return Err(CommandError::new(
            ErrorKind::Integrity,
            "ERR_WRONG_KEY",
            format!("the key {:?} is not the one that its .public file says", prepared.key),
        )
        .hint("put the right file back from a backup"));
    }
    let spoken = sign(&statement, open.pair()).map_err(|e| {
        CommandError::failed("the statement cannot be signed").because(e).hint("run the command again")
    })?;
    Ok(to_text(&spoken))
}

/// The keys of this machine that can sign: the one of this name, or all.
fn keys_here(ring: &Keyring, name: Option<&str>) -> Result<Vec<KeyHere>, CommandError> {
    let here = |name: &str, key: &[u8; 32]| KeyHere { name: name.to_owned(), key: id::encode(key) };
    if let Some(name) = name {
        ring.require_private(name)?;
        let public = ring.public(name)?;
        return Ok(public.iter().map(|key| here(name, key)).collect());
    }
    let owned = ring.list()?.into_iter().filter(|key| key.owned);
    let all: Vec<_> = owned.map(|key| here(&key.name, &key.public_key)).collect();
    if all.is_empty() {
        return Err(CommandError::not_found("there is no operator's key on this machine").hint(
            "make one with `bosc keys operator NAME`, and have it named in the rules of the next release; \
             one of another machine comes with `bosc multisig keys import`",
        ));
    }
    Ok(all)
}

fn on_store(work: Work, g: &Global, printer: &Printer, stop: &Stop) -> Result<Output, CommandError> {
    let mut human = Human::new(printer, false, false);
    let mut sink = |event: Event| human.event(&event);
    let outcome = with_store(g, &Request::Operator(work), &mut sink, stop, printer);
    human.finish();
    outcome
}

/// The secret of `seed --refresh-with`, opened before anything is seeded.
pub(crate) fn refresh_key(
    name: &str,
    keys: Option<&Path>,
    passphrase_fd: Option<u32>,
    printer: &Printer,
    stop: &Stop,
) -> Result<RefreshKey, CommandError> {
    let ring = Keyring::open(keys)?;
    let key = ring.require_private(name)?;
    let passphrase = Origin::present(passphrase_fd).read(printer, stop)?;
    let open = key.decrypt(passphrase.bytes()).map_err(|e| key_error(e, name))?;
    let mut seed = open.pair().seed();
    let kept = RefreshKey::new(name, Zeroizing::new(seed));
    seed.zeroize();
    Ok(kept)
}
