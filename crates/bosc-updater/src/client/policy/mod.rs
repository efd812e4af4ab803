//! When to look for releases, which to take, and when to fetch them. No clock, no network, no random numbers: `now`
//! (time since an arbitrary start, never going back) and inputs in, actions out.
//!
//! # State machine
//!
//! ```text
//!            Open, News, CheckNow, the poll interval
//!                          │
//!   Idle ── check_due ──▶ Checking ── nothing newer ──▶ Idle (and once: Prefetching)
//!     ▲                    │ a newer release
//!     │                    ▼
//!     │                 pending, due now or after its delay ── due ──▶ Fetching ──▶ staged ("updated")
//!     │                    ▲                                            │
//!     │                    └────── failed: again after a back-off ──────┘
//!     └── Applying ◀── Apply, when something is staged (a failed one may be asked for again)
//! ```
//!
//! # Invariants
//!
//! 1. At most one action runs. A person's Apply interrupts a check or a fetch; what that fetch had is kept.
//! 2. Only a release that is newer than what is installed and newer than what is staged is fetched.
//! 3. A release found at the start, within the grace after it, or because a person asked is fetched at once. Any other
//!    waits for a delay that depends on the device and the release alone: looking again never draws it again, and a
//!    release that replaces one which waits never waits longer than that one would have. So appends, however frequent,
//!    cannot put an update off by more than the longest delay.
//! 4. Nothing that was rolled back or that the person stopped or does not want is fetched again by itself. Errors are tried again after
//!    a back-off from 30 s to an hour; a missing network ends it early, when a peer appears.
//! 5. With updates switched off nothing is ever done but what the person applies or says.
//! 6. Without automatic checks nothing is looked for but what is asked for, not even after an error; without automatic downloads a
//!    release that was found is reported and waits until it is asked for.
//! 7. [`Policy::next_timeout`] names a moment only when something is due then: at rest nothing wakes.
//!
//! # Files
//!
//! - `machine`: the decisions, back-off, the random delay. `types`: what goes in (delay, interval) and what comes out.

mod machine;
mod types;

pub use machine::Policy;
pub use types::{Action, Input, PolicyConfig, Verdict};
