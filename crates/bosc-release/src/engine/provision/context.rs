//! What the parts of one command share: where events go, how long to wait, when to stop.

use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::wait::stopped;
use crate::error::CommandError;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Between two events of progress.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What all sides of one command share.
pub(super) struct Context<'a> {
    pub(super) engine: &'a Engine,
    pub(super) timeout: Duration,
    pub(super) stop: &'a Stop,
    sink: RefCell<&'a mut dyn Sink>,
    told: Cell<Instant>,
}

impl<'a> Context<'a> {
    pub(super) fn new(engine: &'a Engine, timeout: Duration, sink: &'a mut dyn Sink, stop: &'a Stop) -> Self {
        Self { engine, timeout, stop, sink: RefCell::new(sink), told: Cell::new(Instant::now()) }
    }

    pub(super) fn event(&self, tag: &str, data: Value) {
        // Nobody who handles an event calls back here.
        if let Ok(mut sink) = self.sink.try_borrow_mut() {
            sink.event(tag, data);
        }
    }

    /// An event of progress: left out when there was one a moment ago.
    pub(super) fn progress(&self, tag: &str, data: impl FnOnce() -> Value) {
        if self.told.get().elapsed() >= TELL_EVERY {
            self.told.set(Instant::now());
            self.event(tag, data());
        }
    }

    pub(super) fn check_stop(&self) -> Result<(), CommandError> {
        if self.stop.is_stopped() { Err(stopped()) } else { Ok(()) }
    }
}
