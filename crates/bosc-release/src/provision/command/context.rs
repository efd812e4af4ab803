//! What the parts of one command share: where events go, how long to wait, when to stop.

use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::follow::stopped;
use crate::error::CommandError;
use crate::event::Event;
use crate::provision::ProvisionEvent;
use crate::update_costs::CostsOf;
use bosc_store::Core;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Between two events of progress.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What all sides of one command share.
pub(crate) struct Context<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) timeout: Duration,
    pub(crate) stop: &'a Stop,
    sink: RefCell<&'a mut dyn Sink>,
    told: Cell<Instant>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(engine: &'a Engine, timeout: Duration, sink: &'a mut dyn Sink, stop: &'a Stop) -> Self {
        Self { engine, timeout, stop, sink: RefCell::new(sink), told: Cell::new(Instant::now()) }
    }

    pub(crate) fn tell(&self, event: impl Into<Event>) {
        // Nobody who handles an event calls back here.
        if let Ok(mut sink) = self.sink.try_borrow_mut() {
            sink.tell(event);
        }
    }

    /// Tells what updates to a drive of this store cost.
    pub(crate) fn tell_costs(&self, db: &Core, blobs: &Core) {
        // Everything is written: a stop ends the look, and nothing else.
        if let Ok(mut sink) = self.sink.try_borrow_mut() {
            let _ = CostsOf::stored(db, blobs, db.length(), self.stop).tell(&mut **sink);
        }
    }

    /// An event of progress: left out when there was one a moment ago.
    pub(crate) fn progress(&self, event: impl FnOnce() -> ProvisionEvent) {
        if self.told.get().elapsed() >= TELL_EVERY {
            self.told.set(Instant::now());
            self.tell(event());
        }
    }

    pub(crate) fn check_stop(&self) -> Result<(), CommandError> {
        if self.stop.is_stopped() { Err(stopped()) } else { Ok(()) }
    }
}
