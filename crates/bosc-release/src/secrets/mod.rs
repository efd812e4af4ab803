//! What must not be published, and what probably should not be.
//!
//! # Two kinds
//!
//! * [`Secret`]: whoever has it can write to a link, sign a release or command a store. It is refused wherever a folder
//!   leaves this machine, on dry runs too; there is no flag that lets it through. `--ignore` leaves it out.
//! * [`Suspect::KeyInText`]: a key as a value in a text. Refused like a secret, but a test or an example may hold one: the file
//!   passes when `--allow-key PATH` names it, and is reported all the same. What only goes from folder to folder (`build`), or
//!   was released already (`line promote`, `rotate`), is reported.
//! * [`Suspect`]: it looks like a secret of another program. It is named before anything is written; `publish --ci` refuses
//!   it, as nobody is there to read, unless `--allow PATH` names it.
//!
//! # What tells them
//!
//! A secret is known by its *content*, whatever its name and place, and however it came there (a copy, a hard link, a
//! symlink that is followed):
//!
//! | secret | what tells it |
//! |---|---|
//! | the store in use | device and number of its folder and of each of its files (`Places`) |
//! | a Bosc store | `FORMAT`'s text; redb's magic and, in one page, the names of our tables |
//! | a Bosc store's segment | `data/NNNNNN.seg` beside one of the above; alone it is a [`Suspect`]: it holds blocks, no key |
//! | write keys, backups | `bosc-key-file` at the start |
//! | signing keys | what `bosc multisig` and npm `hypercore-sign` write: the bytes of a key, or those as z-base-32 text |
//! | the updater's key pair | JSON with `public_key` and a `secret_key` of 32 or 64 bytes |
//! | a secret key alone | 64 bytes, also in base64, hex or z-base-32, whose second half is the public key of the first |
//! | a key in use | it equals the store's primary key, the key the command signs with, or one in the environment (`KeysInUse`), in one of the `writings`; also as a name or the target of a link |
//! | a key in a text | `BOSC_PRIMARY_KEY` or `BOSC_UPDATER_SECRET_KEY` with its value |
//! | the same inside of something else | in a text of any length, UTF-16 too (`words`, `stream`): a file of `bosc keys`, a word that is a signing key, a pair in base64 of which one is the public key of the other and the word "secret"; `--secret-key-b64` with its value |
//! | the owner's address | JSON with `port`, `pid` and a token of 32 bytes |
//! | Corestore, Pear's platform | the device file (`device/platform`, `device/inode`); `primary-key`, 32 bytes beside `cores/` |
//!
//! A suspect is known by its content where it tells (`programs`: files of AWS, Google, Azure, Docker, Kubernetes, git, netrc,
//! package registries; tokens that begin as those of large services do; a pair of keys as test vectors have it; `text_keys`: keys of
//! minisign, age, WireGuard, OpenVPN, GnuPG, JSON Web Keys; `binary_keys`: keys in DER, PKCS #12, key stores of Java and KeePass,
//! key rings of OpenPGP), else by its name (`looks`).
//!
//! 32 bytes alone may be a public key or a checksum as well: unless they are in use, they are a [`Suspect`].
//!
//! Not looked into: archives, and files of a Corestore's RocksDB that lie alone.
//!
//! # Invariants
//!
//! 1. Whatever is staged, built or packed was asked about: `look` sees the first [`HEAD`] bytes of every file whose
//!    content is read, before any of it is handed on, and a file whose content is not read was looked at with the same
//!    `RULES` when it was (the change index says so).
//! 2. Behind its first bytes the whole file is searched as it is read (`Search`), on dry runs too; what is found there ends
//!    the stage before its commit. Memory does not grow with the file.
//! 3. A stage reads no file twice for it, but for databases of redb's format, which are few. Other commands read a file once
//!    for this and once for themselves; what is only removed (`keep`) is told by its start.
//! 4. Nothing of a secret's content is in an error or event.
//!
//! # Files
//!
//! - `content`: what the first bytes tell: stores, keys, PEM. `looks`: what a name tells. `programs`: files in which other programs
//!   keep passwords and tokens. `text_keys`, `binary_keys`: private keys of other programs (minisign, age, WireGuard, OpenVPN; DER,
//!   PKCS #12, key stores, OpenPGP).
//! - `places`: where the store in use lies. `names`: what files and folders are called. `found`: what was found. `check`: from there
//!   to errors and events: what is refused, `--allow` and `--allow-key`.
//! - `in_use`: keys in use, also of another process. `writings`: the ways to write one down. `dumps`: what stands in dumps of files.
//!   `tests_in_use`: tests of these. `stream`: the search through a long file, its window. `tests_long`: tests of both.
//! - `kinds`: what a file is, how much of it is looked at, the number of the rules. `bare`: a key that stands alone. `words`: keys of
//!   ours inside of something else, and tokens of large services anywhere. `search`: searching in bytes.

mod bare;
mod binary_keys;
pub(crate) mod check;
mod content;
mod dumps;
mod found;
mod in_use;
mod kinds;
mod looks;
mod names;
mod places;
mod programs;
mod search;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_long;
mod text_keys;
mod words;
mod writings;

#[cfg(test)]
pub(crate) use check::find_suspects;
pub use check::{Allow, Found, LooksSecret};
pub(crate) use check::{check_files, check_text, find_suspect_keys, keep, of_file, refused, with_keys};
pub(crate) use content::look;
pub use found::SecretFound;
pub use in_use::{HeldKeys, KeysInUse};
pub(crate) use kinds::{ContentVerdict, RULES};
pub use kinds::{HEAD, Secret, Suspect};
pub(crate) use looks::key_looks;
pub(crate) use names::check_names;
pub(crate) use places::{StoreFolders, StorePlaces};
pub(crate) use stream::{FileLook, Search};
