//! The flags of `policy`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bosc policy`
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Show the rules of a link, folder or manifest, and what operators say now
    Show(PolicyOf),
    /// Write or change the rules in a folder that is about to be released
    Set(PolicySet),
    /// Name everything that is wrong with the rules of a link, folder or manifest
    Check(PolicyOf),
}

/// `bosc policy show` and `bosc policy check`
#[derive(Debug, Args)]
pub(crate) struct PolicyOf {
    /// The link, the folder that is staged, or a manifest: its file or https:// address
    #[arg(value_name = "LINK|FOLDER|MANIFEST")]
    pub(crate) of: String,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
}

/// `bosc policy set`
#[derive(Debug, Args)]
pub(crate) struct PolicySet {
    /// The folder that is staged; the rules are in its release.json
    pub(crate) folder: PathBuf,
    /// How far the version goes before an operator says more, such as 10%
    #[arg(long, value_name = "SHARE")]
    pub(crate) rollout: Option<String>,
    /// Name an operator: NAME is a key of this machine (`bosc keys operator`) unless =KEY follows; then what it may do
    /// [default: refresh,rollout,halt]; may be given more than once
    #[arg(long, value_name = "NAME[=KEY][:MAY,...]")]
    pub(crate) operator: Vec<String>,
    /// Take an operator out; may be given more than once
    #[arg(long, value_name = "NAME|KEY")]
    pub(crate) remove_operator: Vec<String>,
    /// Clients install nothing when nobody said for so long what is the newest, such as 7d; `never` asks nothing
    #[arg(long, value_name = "SPAN")]
    pub(crate) freshness: Option<String>,
    /// Operators who may `recall` take a version back from where it runs
    #[arg(long, overrides_with = "no_recall")]
    pub(crate) recall: bool,
    /// They may not
    #[arg(long)]
    pub(crate) no_recall: bool,
    /// This release is not to be put off
    #[arg(long, overrides_with = "no_mandatory")]
    pub(crate) mandatory: bool,
    /// It may be put off
    #[arg(long)]
    pub(crate) no_mandatory: bool,
    /// Versions below this one must update; `none` for no such version
    #[arg(long, value_name = "VERSION")]
    pub(crate) minimum: Option<String>,
    /// The oldest system that it runs on, such as darwin=12.0 (linux, darwin, win32); may be given more than once
    #[arg(long, value_name = "SYSTEM=VERSION")]
    pub(crate) minimum_system: Vec<String>,
    /// What is new, in a language, such as en=Faster; @FILE reads it from a file; may be given more than once
    #[arg(long, value_name = "LANGUAGE=TEXT|@FILE")]
    pub(crate) notes: Vec<String>,
    /// Folder of the operators' keys [default: ~/.pear, then ~/.hypercore-sign]
    #[arg(long = "keys", env = "BOSC_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}
