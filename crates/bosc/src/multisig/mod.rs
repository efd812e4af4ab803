//! `bosc multisig`: from its arguments to what is printed. Secrets stay in this process: the owner of the store, when it
//! is another one, is asked about cores only.

pub(crate) mod args;
mod human;
mod keys;
mod terminal;

use crate::args::Global;
use crate::printer::{Printer, Tone};
use crate::run::with_store;
use args::{Multisig, MultisigCommand, Sign, Signed};
use bosc_format::link::PearLink;
use bosc_release::command::{Outcome, Request, Stop};
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::multisig::config::Config;
use bosc_release::multisig::keyring::{Keyring, key_error};
use bosc_release::multisig::{self, Work, text, vanity};
use human::Talk;
use serde_json::{Value, json};
use terminal::{Origin, confirm};

/// What is said when there is nothing to list.
const NO_COMMITS: &str = "(nothing was committed from this store)";

/// The `cmd` of the JSON lines.
pub(crate) fn name(a: &Multisig) -> &'static str {
    if matches!(a.command, MultisigCommand::Keys(_)) { "keys" } else { "multisig" }
}

/// `bosc data multisig`: the links committed from this store.
pub(crate) fn records(g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let data = on_store(Work::Records, g, printer, stop)?;
    for record in data.get("records").and_then(Value::as_array).into_iter().flatten() {
        printer.data(record.get("key").and_then(Value::as_str).unwrap_or_default());
    }
    if data.get("records").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        printer.say(Tone::Plain, NO_COMMITS);
    }
    Ok(data)
}

/// `bosc multisig`.
pub(crate) fn run(a: &Multisig, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    match &a.command {
        MultisigCommand::Keys(k) => keys::run(k, printer, stop),
        MultisigCommand::Link(l) => {
            let mut config = Config::read(&l.config.config)?;
            if let Some(prefix) = &l.vanity {
                let namespace = vanity::find(&config.signers, prefix, stop)?;
                if namespace != config.signers.namespace {
                    config.set_namespace(&namespace)?;
                    printer.json("namespace", &json!({ "namespace": namespace }));
                    printer.say(Tone::Warn, &format!("Namespace has been updated to {namespace}"));
                }
            }
            let link = PearLink::new(config.signers.manifest()?.key()).to_string();
            printer.data(&link);
            Ok(json!({ "link": link }))
        }
        MultisigCommand::Request(r) => {
            let work = Work::Request(multisig::MakeRequest {
                signers: Config::read(&r.config.config)?.signers,
                link: r.verlink.clone(),
                force: r.force,
                legacy: r.legacy,
                peer_update_timeout_ms: r.peer_update_timeout,
                wait_ms: r.wait.map(milliseconds).transpose()?,
            });
            let data = on_store(work, g, printer, stop)?;
            printer.data(data.get("request").and_then(Value::as_str).unwrap_or_default());
            printer.say(Tone::Plain, "Next, each signer: bosc multisig sign <request>");
            Ok(data)
        }
        // Nobody is asked to sign what was not shown.
        MultisigCommand::Sign(s) if g.quiet && !s.yes => {
            let g = Global { quiet: false, ..g.clone() };
            sign(s, &g, &Printer::new(name(a), &g), stop)
        }
        MultisigCommand::Sign(s) => sign(s, g, printer, stop),
        MultisigCommand::Verify(v) => commit(&v.signed, None, g, printer, stop),
        MultisigCommand::Commit(c) => commit(&c.signed, Some(milliseconds(c.wait)?), g, printer, stop),
        MultisigCommand::Status(s) => {
            let data = on_store(Work::Status { link: s.link.clone() }, g, printer, stop)?;
            if data.get("count").and_then(Value::as_u64) == Some(0) {
                printer.say(Tone::Plain, NO_COMMITS);
            }
            Ok(data)
        }
    }
}

fn milliseconds(seconds: f64) -> Result<u64, CommandError> {
    if seconds.is_finite() && (0.0..=86_400.0 * 365.0).contains(&seconds) {
        Ok((seconds * 1000.0) as u64)
    } else {
        Err(CommandError::input("--wait takes a number of seconds"))
    }
}

fn on_store(work: Work, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let mut talk = Talk::new(printer);
    let mut sink = |tag: &str, data: Value| talk.event(tag, &data);
    let outcome = with_store(g, &Request::Multisig(work), &mut sink, stop, printer);
    talk.finish();
    outcome
}

fn commit(s: &Signed, wait_ms: Option<u64>, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let mut arguments = vec![s.request.clone()];
    arguments.extend(s.responses.iter().cloned());
    let texts = text::gather(&arguments, &mut std::io::stdin().lock())?;
    let (request, responses) = text::sort(&texts)?;
    let work = Work::Commit(multisig::Commit {
        signers: Config::read(&s.config.config)?.signers,
        link: s.source_link.clone(),
        request,
        responses,
        dry_run: wait_ms.is_none(),
        first_commit: s.first_commit,
        force_dangerous: s.force_dangerous,
        peer_update_timeout_ms: s.peer_update_timeout,
        wait_ms: wait_ms.unwrap_or(0),
    });
    let data = on_store(work, g, printer, stop)?;
    human::committed(&data, printer);
    Ok(data)
}

fn sign(s: &Sign, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let texts = text::gather(std::slice::from_ref(&s.request), &mut std::io::stdin().lock())?;
    let [only] = texts.as_slice() else {
        return Err(
            CommandError::input("one request is signed at a time").hint("give the text of one request")
        );
    };
    let (request, bytes) = text::request(only)?;
    let ring = Keyring::open(s.keys.dir.as_deref())?;
    let key = ring.require_private(&s.name)?;
    let paths = ring.paths(&s.name)?;
    let not_a_signer = |e: bosc_format::signing::SigningError| {
        CommandError::new(
            ErrorKind::Permission,
            "ERR_PERMISSION_REQUIRED",
            "Public key is not a declared signer for this request",
        )
        .because(e)
        .hint(format!("the key \"{}\" is not in this request's list; sign with another: bosc multisig sign <request> <name>", s.name))
    };
    if let Some(public) = key.public_key() {
        request.signables(public).map_err(not_a_signer)?;
    }
    let wait_ms = if s.offline { 0 } else { milliseconds(s.wait)? };
    let work = Work::Inspect(multisig::Inspect { request: only.clone(), source: s.source.clone(), wait_ms });
    let told = match on_store(work, g, printer, stop) {
        Ok(told) => told,
        // A signer may have no store at all, or one that is in use. The request itself is told of all the same.
        Err(e) if e.kind() == ErrorKind::Store => human::bare(&request, &e),
        Err(e) => return Err(e),
    };
    printer.json("signing", &told);
    human::request(&told, printer);
    if !s.yes && !confirm(&format!("Sign this with the key \"{}\"?", s.name), "--yes", printer, stop)? {
        return Err(CommandError::failed("not signed").hint("answer y to sign"));
    }
    let passphrase = Origin::present(s.passphrase.passphrase_fd).read(printer, stop)?;
    let open = key.decrypt(&passphrase).map_err(|e| key_error(e, &s.name))?;
    drop(passphrase);
    let response = request.sign(&bytes, open.pair()).map_err(not_a_signer)?.to_text();
    let at = json!({ "pub": ring.shown(&paths.public), "prv": ring.shown(&paths.private) });
    printer.say(Tone::Good, &format!("Response signed by {}:", ring.shown(&paths.private)));
    printer.data(&response);
    printer.json("sign", &json!({ "response": response, "at": at }));
    printer.say(
        Tone::Plain,
        "Next: send it to whoever commits (bosc multisig commit <source-link> <request> <responses>)",
    );
    Ok(json!({}))
}
