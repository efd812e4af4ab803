//! What a quorum allows for its releases, what operators say about them, and what a client makes of both.
//!
//! A *policy* ([`Policy`]) is a file in the signed release, `/release.json`: the quorum signed it. A *statement* ([`Statement`]) is
//! signed by one operator's key and travels apart from releases. [`Seen`] is what a client remembers of statements, [`decide`] what
//! it does. Owns both formats and the rules; never talks to anybody, never installs, never reads a clock.
//!
//! # Who may what
//!
//! | | quorum | operator, as far as the policy lets it |
//! |---|---|---|
//! | release a version | yes | never |
//! | how far a release goes | its first share (`rollout`) | another share, upward, or 0 |
//! | take a release from circulation | by a newer release | halt; with `recall` also from where it runs |
//! | say that this is the newest | by a release (`time`) | `refresh` |
//! | name operators | yes | never |
//!
//! # A release, as one client sees it
//!
//! ```text
//!              share reaches the client's place
//!   signed ──────────────────────────────────────> offered ──install──> installed
//!     │  ▲                                            │                     │
//!     │  └───────────── halt lifted ──────────┐       │ halt                │ halt on trial, or recall
//!     └─────────── halt ─────────────────> halted <───┘                     ▼
//!                                             └──────────────────────── taken back
//! ```
//!
//! # Invariants
//!
//! 1. Nothing is installed but what the caller names as a release of the quorum; statements only choose among those.
//! 2. Nothing that is halted or whose share does not reach the client's place is installed, going back included; only the build
//!    that is kept beside the installed one needs no share.
//! 3. A lower version than the installed one is chosen only where a statement takes the installed one back: on trial, or by a recall
//!    that the policy lets this operator order.
//! 4. A client's place in a release is a hash of its installation and the version: it never leaves the machine and never changes, so
//!    who is in a wave stays in it as its share grows.
//! 5. Of an operator the highest counter counts; what was seen once is never forgotten by seeing something older. What one operator
//!    says about a version never widens to what another has stopped.
//! 6. Without a policy nothing here restricts anything.
//! 7. Every length is bounded before memory is taken: [`MAX_POLICY`], [`MAX_SIGNED`], [`MAX_VERSIONS`], [`MAX_REMEMBERED`],
//!    [`MAX_STATEMENTS_FILE`].
//!
//! # Time
//!
//! Times are seconds since 1970. A statement's time that lies more than [`AHEAD`] after now counts as not told: a stolen key cannot
//! make releases look fresh for ever. Now is never earlier than the time that the quorum signed into the policy.
//!
//! # Files
//!
//! - `policy`: the quorum's file: fields, what follows where one is missing, how many operators and how long freshness. `json`: its
//!   text, in which no name comes twice. `share`: how far, and who is in it: a place that never changes. `statement`: an operator's
//!   word as bytes, versions in one, its signature. `seen`: what is remembered of them, and of two which counts. `statements`:
//!   several of them in one file, which was not cut off. `manifest`: what stands for a link where there is none. `decision`: what
//!   follows: offered, held, recalled, stale; a statement from the future.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod decision;
mod json;
pub mod manifest;
mod policy;
mod seen;
mod share;
mod statement;
mod statements;

pub use decision::{
    AHEAD, Facts, Freshness, Held, Release, Standing, Target, Verdict, Why, decide, foresee, freshness,
    standing,
};
pub use policy::{FILE, MAX_OPERATORS, MAX_POLICY, Operator, Policy, PolicyError, Right};
pub use seen::{Contradiction, MAX_REMEMBERED, Refused, Seen, Taken};
pub use share::{Installation, InvalidShare, Share};
pub use statement::{
    About, Halt, MAX_SIGNED, MAX_VERSION, MAX_VERSIONS, Newest, Signed, Statement, StatementError, plain,
};
pub use statements::{MAX_STATEMENTS, MAX_STATEMENTS_FILE, STATEMENTS_FILE, Statements, StatementsError};
