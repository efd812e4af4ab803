//! Runs a request: which feature a command belongs to.

use crate::command::{Outcome, Stop};
use crate::engine::Engine;
use crate::engine::errors::{no_dht, store_error};
use crate::error::CommandError;
use crate::event::{Output, Sink};
use crate::owner::Executor;
use crate::owner::caller::Caller;
use crate::request::Request;

impl Executor for Engine {
    fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        // Only another version of the program hands such a one over.
        if request.needs_own_process() {
            return Err(crate::owner::ask::own_process(request));
        }
        self.execute_request(request, sink, stop)
    }

    fn admit(&self, caller: &Caller) -> Result<(), CommandError> {
        caller.check_primary_key(&self.store.primary_key())
    }
}

/// Whether an error says that there were no peers, or none with something: without a network that says nothing of them.
fn is_for_want_of_peers(code: &str) -> bool {
    matches!(
        code,
        "ERR_NETWORK_TIMEOUT"
            | "SOURCE_CORE_INSUFFICIENT_PEERS"
            | "SOURCE_CORE_NOT_FULLY_SEEDED"
            | "TARGET_CORE_INSUFFICIENT_PEERS"
            | "TARGET_CORE_NOT_FULLY_SEEDED"
            | "TARGET_STATE_UNKNOWN"
    )
}

impl Engine {
    /// Runs one command. Its last event, `final`, is the caller's to make from the outcome.
    pub fn execute_request(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        if request.is_sole_copy() {
            self.store.declare_sole_copy().map_err(store_error)?;
        }
        let outcome = self.dispatch(request, sink, stop);
        outcome.map_err(|e| self.or_no_dht(e))
    }

    /// The error, or that no DHT node answered: whoever waited in vain for peers, or could not learn from them what is
    /// newest, did so for want of a network then. The way without one that the error names is named still.
    pub(crate) fn or_no_dht(&self, e: CommandError) -> CommandError {
        let waited =
            is_for_want_of_peers(e.code()) || ["ERR_NOT_NEWEST", "ERR_STORE_COPIED"].contains(&e.code());
        match self.unanswered() {
            Some(tried) if waited => {
                let without = match e.code() {
                    "ERR_NOT_NEWEST" | "ERR_STORE_COPIED" => {
                        format!("; without a network: {}", e.hint_text())
                    }
                    _ => String::new(),
                };
                let error = no_dht(&tried);
                let hint = format!("{}{without}", error.hint_text());
                error.hint(hint).because(e)
            }
            _ => e,
        }
    }

    fn dispatch(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        match request {
            Request::Touch(r) => self.touch(r, stop).map(Output::Touch),
            Request::Stage(r) => self.stage(r, sink, stop).map(|(staged, _)| Output::Stage(staged)),
            Request::Seed(r) => self.seed(r, sink, stop).map(|()| Output::Nothing),
            Request::Relay(r) => self.relay(r, sink, stop).map(|()| Output::Nothing),
            Request::BlindPeer(r) => self.blind_peer(r, sink, stop).map(|()| Output::Nothing),
            Request::Info(r) => self.info(r, sink, stop).map(|()| Output::Nothing),
            Request::Dump(r) => self.dump(r, sink, stop).map(Output::Dump),
            Request::Mirror(r) => self.mirror(r, sink, stop).map(Output::Mirrored),
            Request::Multisig(r) => self.multisig(r, sink, stop),
            Request::Provision(r) => {
                self.provision(r, sink, stop).map(|done| done.map_or(Output::Nothing, |p| Box::new(p).into()))
            }
            Request::Publish(r) => self.publish(r, sink, stop).map(Output::Publish),
            Request::Line(r) => self.line(r, sink, stop),
            Request::Rotate(r) => self.rotate(r, sink, stop),
            Request::Policy(r) => self.policy_of_link(r, sink, stop),
            Request::Operator(work) => self.operator(work, stop),
            Request::Changelog(r) => Ok(self.changelog(r, sink, stop)?.into()),
            Request::Versions(r) => Ok(self.versions(r, sink, stop)?.into()),
            Request::Log(r) => Ok(self.log(r, sink, stop)?.into()),
            Request::Monitor(r) => Ok(self.monitor(r, sink, stop)?.into()),
            Request::Cores(r) => Ok(self.cores(r, sink)?.into()),
            Request::Gc(r) => Ok(self.gc(r, sink)?.into()),
            Request::DataDht(r) => Ok(self.data_dht(r, stop)?.into()),
            Request::Install(r) if r.uninstall => Ok(self.uninstall(r, sink)?.into()),
            Request::Install(r) => Ok(self.install(r, sink, stop)?.into()),
            Request::Dashboard(r) => self.dashboard(r, sink, stop).map(|()| Output::Nothing),
            Request::Doctor(r) => Ok(self.doctor(r, sink, stop)?.into()),
            Request::KeysExport(r) => Ok(self.keys_export(r, sink)?.into()),
            Request::KeysImport(r) => Ok(self.keys_import(r, sink)?.into()),
            Request::StoreCheck(r) => Ok(self.store_check(r, sink, stop)?.into()),
            Request::StoreRepair(r) => Ok(self.store_repair(r, sink, stop)?.into()),
        }
    }
}
