//! The `bosc` program.
#![forbid(unsafe_code)]

mod args;
mod human;
mod printer;
mod provision;
mod run;
mod smoke;
mod updater;
mod watch;

fn main() -> std::process::ExitCode {
    run::main()
}
