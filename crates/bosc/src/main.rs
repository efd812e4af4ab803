//! The `bosc` program.
#![forbid(unsafe_code)]

mod args;
mod human;
mod multisig;
mod printer;
mod provision;
mod release;
mod run;
mod smoke;
mod tools;
mod updater;
mod watch;

fn main() -> std::process::ExitCode {
    run::main()
}
