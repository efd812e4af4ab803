//! `bosc multisig`: from its arguments to what is printed. Secrets stay in this process: the owner of the store, when it
//! is another one, is asked about cores only.
//!
//! # Files
//!
//! - `args`: flags. `store`: what needs a store. `keys`: runs `multisig keys`. `sign`: runs `multisig sign`, in which order,
//!   `--blind` and `--replace`. `event`: events of those two. `human`: lines for people.

pub(crate) mod args;
mod event;
pub(crate) mod human;
mod keys;
mod sign;
mod store;

use crate::global::Global;
use crate::plain::Tone;
use crate::printer::{Ended, Final, Printer};
use args::{Multisig, MultisigCommand, Signed};
use bosc_format::link::PearLink;
use bosc_release::command::Stop;
use bosc_release::event::Output;
use bosc_release::multisig::config::Config;
use bosc_release::multisig::{self, Work, text, vanity};
use event::{DoneAndHash, KeyringEvent, LinkShown, MadeAndHash};
pub(crate) use keys::get as signing_key;
pub(crate) use store::unexpected;
use store::{milliseconds, on_store};

/// What is said when there is nothing to list.
const NO_COMMITS: &str = "(nothing was committed from this store)";

/// The `cmd` of the JSON lines.
pub(crate) fn name(a: &Multisig) -> &'static str {
    if matches!(a.command, MultisigCommand::Keys(_)) { "keys" } else { "multisig" }
}

/// `bosc data multisig`: the links committed from this store.
pub(crate) fn records(g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let Output::MultisigRecords(of) = on_store(Work::Records, g, printer, stop)? else {
        return Err(unexpected());
    };
    for record in &of.records {
        printer.data(&record.key);
    }
    if of.records.is_empty() {
        printer.say(Tone::Plain, NO_COMMITS);
    }
    Ok(Final::of(of))
}

/// `bosc multisig`.
pub(crate) fn run(a: &Multisig, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    match &a.command {
        MultisigCommand::Keys(k) => keys::run(k, printer, stop),
        MultisigCommand::Link(l) => {
            let mut config = Config::read(&l.config.config)?;
            if let Some(prefix) = &l.vanity {
                let namespace = vanity::find(&config.signers, prefix, stop)?;
                if namespace != config.signers.namespace {
                    config.set_namespace(&namespace)?;
                    printer.event(&KeyringEvent::Namespace { namespace: namespace.clone() });
                    printer.say(Tone::Warn, &format!("Namespace has been updated to {namespace}"));
                }
            }
            let link = PearLink::new(config.signers.manifest()?.key()).to_string();
            printer.data(&link);
            Ok(Final::of(LinkShown { link }))
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
            let Output::MultisigRequest(made) = on_store(work, g, printer, stop)? else {
                return Err(unexpected());
            };
            printer.data(&made.request);
            let hash = sign::tell_hash(&made.request, printer)?;
            printer.say(Tone::Plain, "Next, each signer: bosc multisig sign <request>");
            Ok(Final::of(MadeAndHash { made, hash }))
        }
        // Nobody is asked to sign what was not shown.
        MultisigCommand::Sign(s) if g.quiet && !s.yes => {
            let g = Global { quiet: false, ..g.clone() };
            sign::run(s, &g, &Printer::new(name(a), &g, stop), stop)
        }
        MultisigCommand::Sign(s) => sign::run(s, g, printer, stop),
        MultisigCommand::Verify(v) => commit(&v.signed, None, g, printer, stop),
        MultisigCommand::Commit(c) => commit(&c.signed, Some(milliseconds(c.wait)?), g, printer, stop),
        MultisigCommand::Status(s) => {
            let output = on_store(Work::Status { link: s.link.clone() }, g, printer, stop)?;
            if matches!(&output, Output::MultisigStatus(of) if of.count == 0) {
                printer.say(Tone::Plain, NO_COMMITS);
            }
            Ok(output.into())
        }
    }
}

fn commit(s: &Signed, wait_ms: Option<u64>, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let mut arguments = vec![s.request.clone()];
    arguments.extend(s.responses.iter().cloned());
    let texts = text::gather(&arguments, &mut std::io::stdin().lock())?;
    let (request, responses) = text::sort(&texts)?;
    let hash = sign::tell_hash(&request, printer)?;
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
    let Output::MultisigCommit(done) = on_store(work, g, printer, stop)? else { return Err(unexpected()) };
    human::committed(&done, printer);
    Ok(Final::of(DoneAndHash { done: *done, hash }))
}
