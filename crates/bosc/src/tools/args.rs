//! Flags of the commands around the pipeline.

use crate::run::absolute;
use bosc_release::error::CommandError;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The commands around the pipeline.
#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Merge builds for several systems into a deployment directory
    Build(Box<Build>),
    /// Show what changed, release by release
    Changelog(Changelog),
    /// Show every version in a link's history, or what this bosc is
    Versions(Versions),
    /// List the cores kept in the store
    Cores(Cores),
    /// Give disk space back
    #[command(subcommand)]
    Gc(Gc),
    /// Show what the store and the network node know
    #[command(subcommand)]
    Data(Data),
    /// Install the application a link ships
    Install(Install),
    /// Say what is well and what is not with a link, and why a client would or would not update
    Doctor(Doctor),
    /// Move write keys between stores in encrypted files
    #[command(subcommand)]
    Keys(Keys),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page, or write all of them to a folder
    Man(Man),
}

/// The built applications, for `bosc build` and `bosc publish`.
#[derive(Debug, Args)]
pub(crate) struct Apps {
    /// Application for macOS on Apple silicon; may be given several times, as all of these
    #[arg(long, value_name = "PATH")]
    pub(crate) darwin_arm64_app: Vec<PathBuf>,
    /// Application for macOS on Intel
    #[arg(long, value_name = "PATH")]
    pub(crate) darwin_x64_app: Vec<PathBuf>,
    /// Application for Linux on arm64
    #[arg(long, value_name = "PATH")]
    pub(crate) linux_arm64_app: Vec<PathBuf>,
    /// Application for Linux on x64
    #[arg(long, value_name = "PATH")]
    pub(crate) linux_x64_app: Vec<PathBuf>,
    /// Application for Windows on arm64
    #[arg(long, value_name = "PATH")]
    pub(crate) win32_arm64_app: Vec<PathBuf>,
    /// Application for Windows on x64
    #[arg(long, value_name = "PATH")]
    pub(crate) win32_x64_app: Vec<PathBuf>,
}

impl Apps {
    /// Each with its platform; the paths are absolute.
    pub(crate) fn named(&self) -> Result<Vec<(String, PathBuf)>, CommandError> {
        let mut out = Vec::new();
        for (arch, paths) in [
            ("darwin-arm64", &self.darwin_arm64_app),
            ("darwin-x64", &self.darwin_x64_app),
            ("linux-arm64", &self.linux_arm64_app),
            ("linux-x64", &self.linux_x64_app),
            ("win32-arm64", &self.win32_arm64_app),
            ("win32-x64", &self.win32_x64_app),
        ] {
            for path in paths {
                out.push((arch.to_owned(), absolute(path)?));
            }
        }
        Ok(out)
    }
}

/// `bosc build`
///
/// Makes `<target>/package.json` and `<target>/by-arch/<platform>-<arch>/app/<name>` of each artifact; that folder is
/// what `bosc stage` stages. CHANGELOG.md and pear.json beside the package come along. An artifact must be called as
/// productName (else name) says, before its extension.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// package.json, a Cargo.toml with [package.metadata.bosc], or a tauri.conf.json; or a folder that holds one
    /// [default: the one in this folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) package: Option<PathBuf>,
    /// The deployment directory to make (default: `./<name>-<version>`)
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) apps: Apps,
    /// Replace an existing deployment directory
    #[arg(long, short)]
    pub(crate) force: bool,
}

/// `bosc changelog`
#[derive(Debug, Args)]
pub(crate) struct Changelog {
    /// A link, or a folder with a CHANGELOG.md
    #[arg(default_value = ".", value_name = "LINK|DIR")]
    pub(crate) source: String,
    /// Show at most so many releases, the newest [default: 10; all with --full]
    #[arg(long, short)]
    pub(crate) max: Option<usize>,
    /// Releases in this range, as npm writes them: 1.x, ^2.1, ">=1.0.0 <2.0.0" [default: the newest major version]
    #[arg(long, value_name = "SEMVER")]
    pub(crate) of: Option<String>,
    /// Releases of all versions, and headings that are none
    #[arg(long)]
    pub(crate) full: bool,
    /// How many seconds to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}

/// `bosc versions`
///
/// With a link: every version in the drive's history, oldest first, each with its length, verlink and the SemVer of
/// its package.json. These lengths are what `dump --checkout`, `stage --truncate` and `provision` take; a `*` marks
/// where the SemVer changed, which is what clients call a release. (Pear's `versions` tells the versions of the
/// platform itself; without a link that is what is told here, of bosc.)
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Versions {
    /// The link; its version part, if any, is where to stop
    pub(crate) link: Option<String>,
    /// Show at most so many versions, the newest
    #[arg(long, short, default_value_t = 1000)]
    pub(crate) max: usize,
    /// How many seconds to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}

/// `bosc cores`
#[derive(Debug, Args)]
pub(crate) struct Cores {
    /// Also cores of which the first block is not here
    #[arg(long)]
    pub(crate) all_cores: bool,
}

/// `bosc gc`
#[derive(Debug, Subcommand)]
pub(crate) enum Gc {
    /// The blocks of one link's drive; they can be fetched again from whoever seeds it
    Cores(GcCores),
    /// Blocks of downloads that were never finished
    Downloads(GcPlain),
    /// What `stage` remembers of unchanged files; the next stage reads every file again
    StageIndex(GcPlain),
    /// Space in the store that nothing uses any more
    Store(GcPlain),
}

/// `bosc gc cores`
#[derive(Debug, Args)]
pub(crate) struct GcCores {
    /// The link
    pub(crate) link: String,
    /// Also when this store writes to the link or an application was installed from it
    #[arg(long)]
    pub(crate) force: bool,
    /// Tell what would go and remove nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
}

/// Flags of the other kinds of `bosc gc`
#[derive(Debug, Args)]
pub(crate) struct GcPlain {
    /// Tell what would go and remove nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
}

/// `bosc data`
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Nodes of the DHT that are known
    Dht(DataDht),
    /// The links that were committed from this store
    Multisig,
}

/// `bosc data dht`
#[derive(Debug, Args)]
pub(crate) struct DataDht {
    /// How many seconds to ask the network
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) timeout: f64,
}

/// `bosc install`
///
/// Fetches the build for this machine and puts it where applications live: ~/Applications on macOS; ~/Applications,
/// ~/AppImages or ~/.local/bin on Linux; %LOCALAPPDATA%\Programs on Windows. Interrupted, it goes on when run again. The
/// drive stays in the store, so that `bosc seed` can help others to it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Install {
    /// The link
    pub(crate) link: String,
    /// Take away what was installed from the link
    #[arg(long, conflicts_with_all = ["only", "to"])]
    pub(crate) uninstall: bool,
    /// Install only these: the application's name, or names of programs in `bin`
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Install into this folder; it is made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Give up when no peer delivers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}

/// `bosc doctor`
///
/// Exit code 1 when a finding is bad.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The link
    pub(crate) link: String,
    /// Version of a client: would it update, and why or why not?
    #[arg(long, value_name = "SEMVER")]
    pub(crate) version: Option<String>,
    /// Platform of that client, as linux-x64 [default with --version: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// How many seconds to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    pub(crate) timeout: f64,
}

/// `bosc keys`
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Write the key that writes to a link to an encrypted file, for use on another machine
    Export(KeysExport),
    /// Take a link's key, or a whole backup into a new store, from a file
    Import(KeysImport),
    /// Write all keys of the store to an encrypted file, for the day this machine is gone
    Backup(KeysBackup),
}

/// Where the passphrase comes from. Never from an argument: arguments are seen by other users.
#[derive(Debug, Clone, Args)]
pub(crate) struct Passphrase {
    /// Read the passphrase from this open file descriptor, its first line [default: BOSC_PASSPHRASE, else asked for]
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// `bosc keys export`
///
/// From then on both stores ask peers for the newest version before they write to the link: two machines that write
/// without knowing of each other make two histories, which nobody can join again.
#[derive(Debug, Args)]
pub(crate) struct KeysExport {
    /// The link
    pub(crate) link: String,
    /// The file to write (default: `./<first characters of the key>.bosc-key`)
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

/// `bosc keys import`
///
/// The next `bosc stage` to the link fetches its newest version from peers and continues it.
#[derive(Debug, Args)]
pub(crate) struct KeysImport {
    /// The file that `keys export` or `keys backup` wrote
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

/// `bosc keys backup`
#[derive(Debug, Args)]
pub(crate) struct KeysBackup {
    /// The file to write
    #[arg(default_value = "store.bosc-key")]
    pub(crate) file: PathBuf,
    /// Replace the file
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

/// `bosc completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Shells completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// `source <(bosc completions bash)`
    Bash,
    /// `bosc completions elvish`
    Elvish,
    /// `bosc completions fish > ~/.config/fish/completions/bosc.fish`
    Fish,
    /// `bosc completions powershell | Out-String | Invoke-Expression`
    Powershell,
    /// `bosc completions zsh > "${fpath[1]}/_bosc"`
    Zsh,
}

/// `bosc man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write a page of each command to; without one, bosc(1) goes to stdout
    pub(crate) dir: Option<PathBuf>,
}

impl Tools {
    /// The `cmd` of its JSON lines.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Build(_) => "build",
            Self::Changelog(_) => "changelog",
            Self::Versions(_) => "versions",
            Self::Cores(_) => "cores",
            Self::Gc(_) => "gc",
            Self::Data(_) => "data",
            Self::Install(_) => "install",
            Self::Doctor(_) => "doctor",
            Self::Keys(_) => "keys",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}
