//! A release from the publisher's command to the user's second start, over HTTPS: `bosc updater manifest` makes it, a
//! server with an authority of its own offers it, an application in a process of its own follows it, puts it in its
//! place, starts it, and takes the broken one after it back.
//!
//! Every build is a copy of this very program with a note at its end: no compiler is needed.
#![allow(
    missing_docs,
    unused_crate_dependencies,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[cfg(unix)]
#[path = "https_update/story.rs"]
mod story;

fn main() {
    #[cfg(unix)]
    story::main();
}
