//! Commands around the pipeline: flags in `args`, what they run in `run`, how events look to people in `human`.

mod args;
mod generate;
mod human;
mod passphrase;
mod run;

pub(crate) use args::{Apps, Tools};
pub(crate) use human::line as human_line;
pub(crate) use passphrase::from_environment as passphrase_from_environment;
