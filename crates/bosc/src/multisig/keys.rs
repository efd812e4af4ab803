//! `bosc multisig keys`.

use super::args::{Keys, KeysCommand, NewPassphraseFlags};
use super::event::{At, Exported, KeyringEvent, ListedKey};
use crate::plain::Tone;
use crate::printer::{Ended, Printer};
use crate::question::{Origin, Secret, confirm};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::event::Output;
use bosc_release::keys::keyring::{
    KeyPaths, Keyring, bytes_argument, check_name, key_error, public_argument, write_new,
};
use bosc_release::keys::signing_key::EncryptedKey;
use bosc_release::keys::transfer;
use std::io::Read;
use std::path::Path;

/// Most bytes of a key read from standard input.
const STDIN_MAX: u64 = 64 * 1024;

pub(super) fn run(a: &Keys, printer: &Printer, stop: &Stop) -> Ended {
    let ring = Keyring::open(a.keys.dir.as_deref())?;
    match &a.command {
        KeysCommand::Get { name, secret, passphrase } => {
            get(&ring, name, *secret, Origin::present(passphrase.passphrase_fd), printer, stop)
        }
        KeysCommand::Paths { name } => {
            let paths = ring.paths(name)?;
            printer.event(&KeyringEvent::Paths {
                paths: true,
                r#pub: paths.public.display().to_string(),
                prv: paths.private.display().to_string(),
            });
            printer.data(&format!("public: {}", paths.public.display()));
            printer.data(&format!("private: {}", paths.private.display()));
            Ok(Output::Nothing.into())
        }
        KeysCommand::List => list(&ring, printer),
        KeysCommand::Add { name, public_key, private_key } => {
            check_name(name)?;
            let public_key = public_argument(public_key)?;
            let private = private_key
                .as_deref()
                .map(|text| transfer::from_bytes(&bytes_argument(text)?).map(|c| c.key))
                .transpose()?;
            let paths = ring.add(name, &public_key, private.as_ref())?;
            show(&ring, name, &public_key, &paths, None, printer);
            Ok(Output::Nothing.into())
        }
        KeysCommand::Remove { name, force } => remove(&ring, name, *force, printer, stop),
        KeysCommand::Export { name, file, new, passphrase } => {
            let present = Origin::present(passphrase.passphrase_fd);
            export(&ring, name, file.as_deref(), new, present, printer, stop)
        }
        KeysCommand::Import { from, name, new, passphrase } => {
            let present = Origin::present(passphrase.passphrase_fd);
            import(&ring, from, name.as_deref(), new, present, printer, stop)
        }
    }
}

/// A signing key's public key; it is made if there is none.
pub(crate) fn get(
    ring: &Keyring,
    name: &str,
    secret: bool,
    origin: Origin,
    printer: &Printer,
    stop: &Stop,
) -> Ended {
    let public_key = match ring.public(name)? {
        Some(key) => key,
        None => {
            printer.say(
                Tone::Plain,
                &format!("Making the signing key \"{name}\". Its passphrase cannot be recovered."),
            );
            let passphrase = origin.read_new(printer, stop)?;
            printer.say(Tone::Plain, "Encrypting it (takes some seconds and 1 GiB of memory on purpose)...");
            ring.generate(name, passphrase.bytes())?
        }
    };
    let private = if secret { Some(ring.private(name)?) } else { None };
    show(ring, name, &public_key, &ring.paths(name)?, private.as_ref().map(Option::as_ref), printer);
    Ok(Output::Nothing.into())
}

/// `private`: `Some(None)` was asked for and is not here.
fn show(
    ring: &Keyring,
    name: &str,
    public_key: &PublicKey,
    paths: &KeyPaths,
    private: Option<Option<&EncryptedKey>>,
    printer: &Printer,
) {
    let public = id::encode(public_key);
    printer.say(Tone::Plain, &format!("{name} {}", ring.shown(&paths.public)));
    printer.data(&public);
    let private = private
        .map(|key| key.map_or_else(|| "(no private key)".to_owned(), |k| id::encode_bytes(&k.encode())));
    if let Some(text) = &private {
        printer.data(text);
    }
    printer.event(&KeyringEvent::Key {
        name: name.to_owned(),
        r#pub: paths.public.display().to_string(),
        prv: paths.private.display().to_string(),
        public_key: public,
        at: at(ring, paths),
        private_key: private,
    });
}

/// Where a key's files are, as people are shown it.
fn at(ring: &Keyring, paths: &KeyPaths) -> At {
    At { r#pub: ring.shown(&paths.public), prv: ring.shown(&paths.private) }
}

fn list(ring: &Keyring, printer: &Printer) -> Ended {
    let all = ring.list()?;
    let keys = all.iter().map(|k| ListedKey {
        name: k.name.clone(),
        public_key: id::encode(&k.public_key),
        owned: k.owned,
        at: at(ring, &k.paths),
    });
    printer.event(&KeyringEvent::List { keys: keys.collect() });
    if all.is_empty() {
        printer.say(Tone::Plain, "(no keys)");
    }
    for k in all {
        let owned = if k.owned { "" } else { "  (public only)" };
        printer.data(&format!("{:<20} {}{owned}", k.name, id::encode(&k.public_key)));
    }
    Ok(Output::Nothing.into())
}

fn remove(ring: &Keyring, name: &str, force: bool, printer: &Printer, stop: &Stop) -> Ended {
    check_name(name)?;
    let known = ring.list()?.into_iter().find(|k| k.name == name);
    if !force {
        let lost = if known.is_some_and(|k| k.owned) {
            "Its private key is lost for good unless it was exported. "
        } else {
            ""
        };
        if !confirm(&format!("Delete the key \"{name}\"? {lost}"), "--force", printer, stop)? {
            return Err(CommandError::failed("not deleted").hint("answer y, or add --force, to delete it"));
        }
    }
    ring.remove(name)?;
    printer.event(&KeyringEvent::Removed { name: name.to_owned() });
    printer.say(Tone::Good, &format!("{name} removed"));
    Ok(Output::Nothing.into())
}

/// The key under its new passphrase, if one is wanted.
fn renewed(
    key: EncryptedKey,
    name: &str,
    new: &NewPassphraseFlags,
    present: Origin,
    printer: &Printer,
    stop: &Stop,
) -> Result<EncryptedKey, CommandError> {
    if !new.new_passphrase {
        return Ok(key);
    }
    let before: Secret = present.read(printer, stop)?;
    let after = Origin::renewed(new.new_passphrase_fd).read_new(printer, stop)?;
    let open = key.decrypt(before.bytes()).map_err(|e| key_error(e, name))?;
    open.encrypt(after.bytes()).map_err(|e| key_error(e, name))
}

fn export(
    ring: &Keyring,
    name: &str,
    file: Option<&Path>,
    new: &NewPassphraseFlags,
    present: Origin,
    printer: &Printer,
    stop: &Stop,
) -> Ended {
    let key = renewed(ring.require_private(name)?, name, new, present, printer, stop)?;
    let text = transfer::to_text(name, &key).ok_or_else(|| {
        CommandError::input(format!("the public key of \"{name}\" is not known"))
            .hint("put its .public file back, or export it with --new-passphrase")
    })?;
    let public = key.public_key().map(id::encode);
    match file.filter(|f| *f != Path::new("-")) {
        Some(path) => {
            write_new(path, format!("{text}\n").as_bytes())?;
            printer.event(&KeyringEvent::Export(Exported {
                name: name.to_owned(),
                public_key: public,
                file: Some(path.display().to_string()),
                key: None,
            }));
            printer.say(Tone::Good, &format!("Written to {}", path.display()));
        }
        None => {
            printer.data(&text);
            printer.event(&KeyringEvent::Export(Exported {
                name: name.to_owned(),
                public_key: public,
                file: None,
                key: Some(text),
            }));
        }
    }
    printer.say(Tone::Plain, "Next, on the other machine: bosc multisig keys import <file>");
    Ok(Output::Nothing.into())
}

fn import(
    ring: &Keyring,
    from: &str,
    name: Option<&str>,
    new: &NewPassphraseFlags,
    present: Origin,
    printer: &Printer,
    stop: &Stop,
) -> Ended {
    let bytes = if from == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(STDIN_MAX)
            .read_to_end(&mut bytes)
            .map_err(|e| CommandError::input("standard input cannot be read").because(e))?;
        bytes
    } else {
        bytes_argument(from)?
    };
    let carried = transfer::from_bytes(&bytes)?;
    let name = name.or(carried.name.as_deref()).unwrap_or("default").to_owned();
    check_name(&name)?;
    if ring.public(&name)?.is_some() {
        return Err(CommandError::input(format!("Key \"{name}\" already exists"))
            .hint("give it another name: bosc multisig keys import <file> <name>"));
    }
    let mut key = renewed(carried.key, &name, new, present, printer, stop)?;
    let public_key = match key.public_key() {
        Some(public_key) => *public_key,
        None => {
            // An old key file does not say whose it is: only opening it tells.
            let passphrase = present.read(printer, stop)?;
            let public_key =
                key.decrypt(passphrase.bytes()).map_err(|e| key_error(e, &name))?.pair().public();
            key = key.with_public_key(public_key);
            public_key
        }
    };
    let paths = ring.add(&name, &public_key, Some(&key))?;
    show(ring, &name, &public_key, &paths, None, printer);
    Ok(Output::Nothing.into())
}
