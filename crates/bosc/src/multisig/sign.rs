//! `bosc multisig sign`: a person is shown what a request releases, and signs it or does not.
//!
//! ```text
//! read the request (refused here if its signature could mean anything else) -> what this key signed before
//! -> what the store and peers tell of it -> shown -> [not all seen: --blind] [another was signed: --replace]
//! -> confirmed -> passphrase -> key -> put down what is signed, durably -> response
//! ```
//!
//! What the request says of itself is told from the request in this process, never from what the store answered.

use super::args::Sign;
use super::event::{At, KeyringEvent, OfRequest, RequestHash, Signing};
use super::human;
use super::store::{milliseconds, on_store, unexpected};
use crate::global::Global;
use crate::plain::{Tone, one_line};
use crate::printer::{Ended, Final, Printer};
use crate::question::{Origin, confirm};
use bosc_format::signing::{SigningError, request_hash};
use bosc_release::clock::now;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::Output;
use bosc_release::keys::keyring::{Keyring, key_error};
use bosc_release::multisig::signed::{Book, Earlier, Signed};
use bosc_release::multisig::{self, Work, errors, text};

pub(super) fn run(s: &Sign, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    // Whoever signs has to see all of it, however slow the terminal is.
    printer.keep_everything();
    let texts = text::gather(std::slice::from_ref(&s.request), &mut std::io::stdin().lock())?;
    let [only] = texts.as_slice() else {
        return Err(
            CommandError::input("one request is signed at a time").hint("give the text of one request")
        );
    };
    let (request, bytes) = text::request(only)?;
    let new = Signed::of(&request, &bytes, now());
    let ring = Keyring::open(s.keys.dir.as_deref())?;
    let key = ring.require_private(&s.name)?;
    let paths = ring.paths(&s.name)?;
    let memory = ring.memory(s.record.as_deref())?;
    let other_record = ring.other_memory(s.record.as_deref());
    let not_a_signer = |e: SigningError| {
        CommandError::new(
            ErrorKind::Permission,
            "ERR_PERMISSION_REQUIRED",
            "Public key is not a declared signer for this request",
        )
        .because(e)
        .hint(format!("the key \"{}\" is not in this request's list; sign with another: bosc multisig sign <request> <name>", s.name))
    };
    // An old key file does not say whose it is: what it signed is known once it is open.
    let mut book = Book::default();
    if let Some(public) = key.public_key() {
        request.signables(public).map_err(not_a_signer)?;
        book = memory.read(public)?;
        book.refuse_halves(&new)?;
    }
    let wait_ms = if s.offline { 0 } else { milliseconds(s.wait)? };
    let work = Work::Inspect(multisig::Inspect {
        request: only.clone(),
        source: s.source.clone(),
        wait_ms,
        signed: book.of(&request.key()),
    });
    let of_request = OfRequest::new(&request, &request_hash(&bytes), &book, other_record.as_deref());
    let told = match on_store(work, g, printer, stop) {
        Ok(Output::MultisigInspect(told)) => Signing::asked(of_request, *told),
        Ok(_) => return Err(unexpected()),
        // A signer may have no store at all, or one that cannot be used. The request itself is told of all the same.
        Err(e) if e.kind() == ErrorKind::Store => Signing::bare(of_request, &e),
        Err(e) => return Err(e),
    };
    human::request(&told, printer);
    let (inspected, missing) = (told.seen().inspected, told.seen().missing.clone());
    let unseen =
        (!inspected).then(|| missing.unwrap_or_else(|| "the store did not say what it is".to_owned()));
    let earlier: Vec<Earlier> = told.seen().earlier.clone();
    printer.event(&KeyringEvent::Signing(Box::new(told)));
    if let Some(missing) = unseen.as_ref().filter(|_| !s.blind) {
        return Err(errors::not_inspected(missing));
    }
    against(&book, &new, &earlier, s.replace, printer)?;
    let question = match &unseen {
        Some(_) => format!("Sign what was NOT SEEN with the key \"{}\"?", s.name),
        None => format!("Sign this with the key \"{}\"?", s.name),
    };
    if !s.yes && !confirm(&question, "--yes", printer, stop)? {
        return Err(CommandError::failed("not signed").hint("answer y to sign"));
    }
    let passphrase = Origin::present(s.passphrase.passphrase_fd).read(printer, stop)?;
    let open = key.decrypt(passphrase.bytes()).map_err(|e| key_error(e, &s.name))?;
    drop(passphrase);
    let public = open.pair().public();
    let response = request.sign(&bytes, open.pair()).map_err(not_a_signer)?.to_text();
    if key.public_key().is_none() {
        book = memory.read(&public)?;
        book.refuse_halves(&new)?;
        // What is given up by --replace is shown before it is given up.
        against(&book, &new, &earlier, s.replace, printer)?;
        if !book.against(&new, &earlier).is_empty() && !s.yes && !confirm(&question, "--yes", printer, stop)?
        {
            return Err(CommandError::failed("not signed").hint("answer y to sign"));
        }
    }
    // From here on this key signs nothing else of this length, also when the response is lost.
    memory.record(&public, &new, &book, &earlier, s.replace)?;
    let at = At { r#pub: ring.shown(&paths.public), prv: ring.shown(&paths.private) };
    printer.say(Tone::Good, &format!("Response signed by {}:", one_line(&ring.shown(&paths.private))));
    printer.data(&response);
    let spoken = new.spoken();
    printer.event(&KeyringEvent::Sign { response, at, request_hash: new.request, spoken });
    printer.say(
        Tone::Plain,
        "Next: send it to whoever commits (bosc multisig commit <source-link> <request> <responses>)",
    );
    Ok(Final::from(Output::Nothing))
}

/// Says what stands against signing it, and refuses it unless that is to be replaced.
fn against(
    book: &Book,
    new: &Signed,
    earlier: &[Earlier],
    replace: bool,
    printer: &Printer,
) -> Result<(), CommandError> {
    let against = book.against(new, earlier);
    let Some(last) = against.last() else { return Ok(()) };
    if !replace {
        let same_length = last.length == new.length;
        return Err(errors::signed_before(last.length, &last.spoken(), &new.spoken(), same_length));
    }
    for s in against {
        let line = format!(
            "In place of the release of length {} that this key signed: request {}",
            s.length,
            s.spoken()
        );
        printer.say(Tone::Warn, &line);
    }
    Ok(())
}

/// Shows a request's hash, to be compared, and gives it for the `final` event of `request`, `verify` and `commit`.
pub(super) fn tell_hash(text: &str, printer: &Printer) -> Result<RequestHash, CommandError> {
    let (_, bytes) = text::request(text)?;
    let hash = request_hash(&bytes);
    let spoken = bosc_format::signing::spoken(&hash);
    printer.say(Tone::Plain, &format!("Request {spoken}"));
    Ok(RequestHash { request_hash: bosc_format::id::encode(&hash), spoken })
}
