//! The errors of `multisig`, by the codes npm `hyper-multisig` gives them where it has one.

use crate::error::{CommandError, ErrorKind};
use bosc_follow::CoreName;

fn error(kind: ErrorKind, code: &str, message: String, hint: &str) -> CommandError {
    CommandError::new(kind, code, message).hint(hint)
}

/// A text of unknown origin, short enough to show.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if out.len() < text.len() {
        out.push_str("...");
    }
    out
}

/// A public key of the configuration is none.
pub fn bad_signer(text: &str) -> CommandError {
    error(
        ErrorKind::Input,
        "ERR_INVALID_CONFIG",
        format!("Invalid publicKeys signing key: {}", shown(text)),
        "a signing key is 52 characters of z-base-32 or 64 of hex; `bosc multisig keys get` prints yours",
    )
}

/// The source is shorter than the request or the link says.
pub fn source_too_small(core: CoreName, have: u64, need: u64) -> CommandError {
    error(
        ErrorKind::NotFound,
        "SOURCE_CORE_TOO_SMALL",
        format!("the source's {core} core has length {have}, the request needs {need}"),
        "check the source link; if it is right, make sure that an up to date seeder is online and try again",
    )
}

/// The source holds something other than what was requested.
pub fn source_mismatch(core: CoreName, length: u64) -> CommandError {
    error(
        ErrorKind::Integrity,
        "SRC_KEY_MISMATCH",
        format!("the source's {core} core at length {length} is not what the request names"),
        "use the source link the request was made from; if that drive was changed, make a new request and sign it",
    )
}

/// The source was cut back, so that no quorum link can follow it.
pub fn source_forked(core: CoreName, fork: u64) -> CommandError {
    error(
        ErrorKind::Input,
        "SOURCE_CORE_FORKED",
        format!(
            "the source's {core} core was truncated before (fork {fork}); a signed copy of it could never be committed"
        ),
        "mint a fresh drive with `bosc touch`, provision to it, and make the request from that",
    )
}

/// Too few peers have the source.
pub fn source_peers(core: CoreName, have: usize, need: usize) -> CommandError {
    error(
        ErrorKind::Network,
        "SOURCE_CORE_INSUFFICIENT_PEERS",
        format!("{have} of {need} peers were found that have the source's {core} core"),
        "run `bosc seed` with the source link on two machines that stay online, then try again (longer with --wait)",
    )
}

/// Too few peers hold a full copy of the source.
pub fn source_copies(core: CoreName, have: usize, need: usize) -> CommandError {
    error(
        ErrorKind::Network,
        "SOURCE_CORE_NOT_FULLY_SEEDED",
        format!("{have} of {need} peers hold a full copy of the source's {core} core"),
        "wait until the seeders of the source link have everything, then try again (longer with --wait)",
    )
}

/// The target holds more than the request.
pub fn target_too_big(core: CoreName, have: u64, need: u64, contained: bool) -> CommandError {
    let (what, hint) = if contained {
        ("it holds this release already, and later ones", "nothing is left to do for this request")
    } else {
        (
            "another release was committed since",
            "provision the release again from the present production link, and make and sign a new request",
        )
    };
    error(
        ErrorKind::Input,
        "TARGET_CORE_TOO_BIG",
        format!("the production {core} core has length {have}, the request only {need}: {what}"),
        hint,
    )
}

/// Too few peers have the target.
pub fn target_peers(core: CoreName, have: usize, need: usize) -> CommandError {
    error(
        ErrorKind::Network,
        "TARGET_CORE_INSUFFICIENT_PEERS",
        format!("{have} of {need} peers were found that have the production {core} core"),
        "run `bosc seed` with the production link on two machines that stay online, then try again",
    )
}

/// Too few peers hold a full copy of the target.
pub fn target_copies(core: CoreName, have: usize, need: usize) -> CommandError {
    error(
        ErrorKind::Network,
        "TARGET_CORE_NOT_FULLY_SEEDED",
        format!("{have} of {need} peers hold a full copy of production's {core} core"),
        "wait until the seeders of the production link have everything, then try again",
    )
}

/// A first commit was announced and there is a release.
pub fn target_not_empty(core: CoreName, length: u64) -> CommandError {
    error(
        ErrorKind::Input,
        "TARGET_NOT_EMPTY",
        format!(
            "--first-commit was given, but the production {core} core has length {length} and is not part of this release"
        ),
        "leave --first-commit out; provision the release from the production link and make a new request",
    )
}

/// Source and target parted ways.
pub fn incompatible(core: CoreName, length: u64) -> CommandError {
    let hint = if core == CoreName::Blobs {
        "if the commit of another release was cut off, finish that one first with its request and responses; then \
         provision this release again from the production link, and make and sign a new request"
    } else {
        "never force this: provision the release again, from the present production link to a fresh drive, and \
         make and sign a new request"
    };
    error(
        ErrorKind::Integrity,
        "INCOMPATIBLE_SOURCE_AND_TARGET",
        format!("production's {core} core (length {length}) is not what the source begins with"),
        hint,
    )
}

/// Nobody told whether the target has releases.
pub fn target_unknown() -> CommandError {
    error(
        ErrorKind::Network,
        "TARGET_STATE_UNKNOWN",
        "whether the production link has releases already could not be learned: no peer that has any of it answered, and this store has no record of it".into(),
        "bring a seeder of the production link online and try again; if this is its very first release, add --first-commit",
    )
}

/// The target's db is the request's, and nobody told whether its content is.
pub fn target_blobs_unknown(length: u64) -> CommandError {
    error(
        ErrorKind::Network,
        "TARGET_STATE_UNKNOWN",
        format!(
            "production has length {length} already, and whether it is this release or another one with the same file \
             names and sizes could not be learned: no peer reported its content"
        ),
        "run the commit again on the machine that ran it first, or bring an up to date seeder of the production link online, \
         and try again; only if no peer has that content any longer, --force-dangerous writes this release's",
    )
}

/// The target is shorter than this store remembers it.
pub fn target_stale(have: u64, known: u64) -> CommandError {
    error(
        ErrorKind::Network,
        "TARGET_STATE_STALE",
        format!(
            "production was committed up to length {known} from this store, but only length {have} was found"
        ),
        "bring an up to date seeder of the production link online and try again",
    )
}

/// Too few signatures.
pub fn insufficient_quorum(have: u64, need: u64) -> CommandError {
    error(
        ErrorKind::Permission,
        "INSUFFICIENT_QUORUM",
        format!("Insufficient quorum: {have} / {need}"),
        "collect responses of more signers (`bosc multisig sign`) and give them all",
    )
}

/// The request is for another link than the configuration's.
pub fn other_link(request: &str, config: &str) -> CommandError {
    error(
        ErrorKind::Input,
        "REQUEST_CONFIG_MISMATCH",
        format!("the request is for {request}, the configuration stands for {config}"),
        "use the pear.json the request was made with: same keys in the same order, same quorum, same namespace",
    )
}

/// The request names a fork, or is for a core without blobs.
pub fn bad_request(what: &str) -> CommandError {
    error(
        ErrorKind::Input,
        "ERR_INVALID_INPUT",
        format!("Invalid request: {what}"),
        "make a new request with `bosc multisig request <verlink>` from a freshly provisioned drive",
    )
}

/// What the request would release was not seen whole.
pub fn not_inspected(missing: &str) -> CommandError {
    error(
        ErrorKind::NotFound,
        "ERR_NOT_INSPECTED",
        format!("what this request would release cannot be seen on this machine: {missing}"),
        "name the drive it was made from with --source <link> while a seeder of it is online, or sign on a machine that \
         has it; --blind, typed out, signs what nobody here has seen",
    )
}

/// This key signed something else for the link, and both could be released.
pub fn signed_before(length: u64, earlier: &str, this: &str, same_length: bool) -> CommandError {
    let what = if same_length {
        format!("this key signed another release of length {length} for this link")
    } else {
        format!(
            "this key signed a release of length {length} for this link that this one does not go on from"
        )
    };
    error(
        ErrorKind::Permission,
        "ERR_ALREADY_SIGNED",
        format!("{what} (request {earlier}; this one is {this})"),
        "committing both would split the link for good: ask the team which one counts. When the earlier one was given \
         up and is committed nowhere, add --replace, typed out",
    )
}

/// What this key signed changed while a person was asked.
pub fn signed_meanwhile() -> CommandError {
    error(
        ErrorKind::Permission,
        "ERR_ALREADY_SIGNED",
        "this key signed something else for this link meanwhile".into(),
        "run the command again: it shows both",
    )
}

/// The request's drive is one half of a drive this key signed for.
pub fn half_of(link: &str) -> CommandError {
    bad_request(&format!(
        "its link is one of the two cores of {link}, and a signature would be valid for a release of it"
    ))
}

/// The signed heads could not be written.
pub fn commit_failed(why: impl std::error::Error + Send + Sync + 'static) -> CommandError {
    error(
        ErrorKind::Store,
        "COMMIT_FAILED",
        "Failed to commit the batch; nothing was changed".into(),
        "run the same command again; `bosc multisig status` shows how far commits got",
    )
    .because(why)
}

/// The release is written and too few others have it.
pub fn not_seeded(db: usize, blobs: usize, need: usize, link: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Network,
        "COMMIT_NOT_SEEDED",
        format!("the release is written here, but in time only {db} (db) and {blobs} (blobs) of {need} peers took all of it"),
    )
    .hint(format!(
        "run `bosc seed {link}` on two other machines, then run the same commit again: it goes on from here (longer with --wait)"
    ))
}
