//! `bosc help TOPIC`: exit codes, errors, environment, and one error by its code.

use super::environment;
use super::errors::{self, ERRORS};
use super::text::{heading, literal, wrap};
use std::fmt::Write;

/// Columns of the text of a topic.
const WIDTH: usize = 88;

/// The topics, each with its line in `bosc --help`.
pub(super) const TOPICS: [(&str, &str); 3] = [
    ("exit-codes", "What the exit code of a command means"),
    ("errors", "Every error code, with what to do; `bosc help ERR_...` shows one"),
    ("environment", "The environment variables"),
];

/// The exit codes.
pub(super) const EXIT_CODES: [(u8, &str); 10] = [
    (0, "done"),
    (1, "failed for any other reason"),
    (2, "wrong input: a flag, link, path, file or package.json"),
    (3, "not found"),
    (4, "network: no peer answered in time"),
    (5, "store: locked, damaged, full, or made by a newer version"),
    (6, "not permitted: no write key, no quorum, no file permission, a wrong passphrase"),
    (7, "a signature, hash or proof is wrong"),
    (8, "nothing failed: one step is done, and the next one is yours"),
    (130, "stopped with Ctrl+C before it was done; a second Ctrl+C ends it at once"),
];

/// The end of `bosc --help`.
pub(super) fn pointers() -> String {
    let mut out = String::new();
    heading(&mut out, "Topics");
    for (name, about) in TOPICS {
        let _ =
            writeln!(out, "  {}{:gap$}{about}", literal(name), "", gap = 13_usize.saturating_sub(name.len()));
    }
    out.push_str(
        "\n`bosc help COMMAND` or `bosc COMMAND --help` shows a command, `bosc help TOPIC` a topic.\n",
    );
    out
}

/// What `bosc help TOPIC` prints, if there is such a topic.
pub(super) fn text(topic: &str) -> Option<String> {
    let mut out = String::new();
    match topic {
        "exit-codes" => {
            heading(&mut out, "Exit codes");
            for (code, meaning) in EXIT_CODES {
                let _ = writeln!(out, "  {code:>3}  {meaning}");
            }
            out.push_str("\nUnder --json the last line of a failed command has the code too, as `exit`.\n");
        }
        "errors" => {
            out.push_str(
                "An error names its cause and what to do next. Its code is in the last line under --json, and is shown\n\
                 with --verbose.\n\n",
            );
            heading(&mut out, "Error codes");
            ERRORS.iter().for_each(|e| error(&mut out, e));
        }
        "environment" => {
            out.push_str("A flag wins over its variable. A passphrase is never taken from an argument: other users can see those.\n\n");
            heading(&mut out, "Variables that Bosc reads");
            environment::READ.iter().for_each(|v| variable(&mut out, v));
            out.push('\n');
            heading(&mut out, "Variables that Bosc sets for programs it starts");
            environment::SET.iter().for_each(|v| variable(&mut out, v));
        }
        code => error(&mut out, errors::find(code)?),
    }
    Some(out)
}

fn error(out: &mut String, e: &errors::Known) {
    let _ = writeln!(out, "  {}  exit {}", literal(e.code), e.exit);
    block(out, e.meaning);
    block(out, &format!("Next: {}", e.next));
}

fn variable(out: &mut String, v: &environment::Variable) {
    let _ = writeln!(out, "  {}  {}", literal(v.name), v.who);
    block(out, v.meaning);
}

fn block(out: &mut String, text: &str) {
    let _ = writeln!(out, "      {}", wrap(text, WIDTH).replace('\n', "\n      "));
}
