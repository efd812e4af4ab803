//! The work of `multisig` that needs a store.

use crate::global::Global;
use crate::human::Human;
use crate::on_store::with_store;
use crate::printer::Printer;
use bosc_release::command::{Outcome, Stop};
use bosc_release::error::CommandError;
use bosc_release::event::Event;
use bosc_release::multisig::Work;
use bosc_release::request::Request;

/// The store answered something other than was asked.
pub(crate) fn unexpected() -> CommandError {
    CommandError::failed("the store gave another answer than was asked for").hint(
        "end the process that has the store open, which is of another version, and run the command again",
    )
}

pub(crate) fn milliseconds(seconds: f64) -> Result<u64, CommandError> {
    if seconds.is_finite() && (0.0..=86_400.0 * 365.0).contains(&seconds) {
        Ok((seconds * 1000.0) as u64)
    } else {
        Err(CommandError::input("--wait takes a number of seconds"))
    }
}

pub(crate) fn on_store(work: Work, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let mut human = Human::new(printer, false, false);
    let mut sink = |event: Event| human.event(&event);
    let outcome = with_store(g, &Request::Multisig(work), &mut sink, stop, printer);
    human.finish();
    outcome
}
