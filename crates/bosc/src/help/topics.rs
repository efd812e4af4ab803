//! `bosc help TOPIC`: exit codes, errors, environment, and one error by its code.

use super::environment;
use super::errors::{self, ERRORS};
use super::text::{hanging, heading, literal, paragraphs, width};
use std::fmt::Write;

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
pub(super) fn pointers(width: usize) -> String {
    let mut out = String::new();
    heading(&mut out, "Topics");
    for (name, about) in TOPICS {
        let (about, gap) = (hanging(about, width, 15, &" ".repeat(15)), 13_usize.saturating_sub(name.len()));
        let _ = writeln!(out, "  {}{:gap$}{about}", literal(name), "");
    }
    let line = "`bosc help COMMAND` or `bosc COMMAND --help` shows a command, `bosc help TOPIC` a topic.";
    let _ = writeln!(out, "\n{}", paragraphs(line, width));
    out
}

/// What `bosc help TOPIC` prints, if there is such a topic.
pub(super) fn text(topic: &str) -> Option<String> {
    let (mut out, width) = (String::new(), width());
    match topic {
        "exit-codes" => {
            heading(&mut out, "Exit codes");
            for (code, meaning) in EXIT_CODES {
                let _ = writeln!(out, "  {code:>3}  {}", hanging(meaning, width, 7, &" ".repeat(7)));
            }
            let line = "Under --json the last line of a failed command has the code too, as `exit`.";
            let _ = writeln!(out, "\n{}", paragraphs(line, width));
        }
        "errors" => {
            let line = "An error names its cause and what to do next. Its code is in the last line under --json, and is \
                        shown with --verbose.";
            let _ = writeln!(out, "{}\n", paragraphs(line, width));
            heading(&mut out, "Error codes");
            ERRORS.iter().for_each(|e| error(&mut out, e, width));
        }
        "environment" => {
            let line = "A flag wins over its variable. A passphrase is never taken from an argument: other users can see those.";
            let _ = writeln!(out, "{}\n", paragraphs(line, width));
            heading(&mut out, "Variables that Bosc reads");
            environment::READ.iter().for_each(|v| variable(&mut out, v, width));
            out.push('\n');
            heading(&mut out, "Variables that Bosc sets for programs it starts");
            environment::SET.iter().for_each(|v| variable(&mut out, v, width));
        }
        code => error(&mut out, errors::find(code)?, width),
    }
    Some(out)
}

fn error(out: &mut String, e: &errors::Known, width: usize) {
    let _ = writeln!(out, "  {}  exit {}", literal(e.code), e.exit);
    block(out, e.meaning, width);
    block(out, &format!("Next: {}", e.next), width);
}

fn variable(out: &mut String, v: &environment::Variable, width: usize) {
    let _ = writeln!(out, "  {}  {}", literal(v.name), hanging(v.who, width, v.name.len() + 4, "      "));
    block(out, v.meaning, width);
}

fn block(out: &mut String, text: &str, width: usize) {
    let _ = writeln!(out, "      {}", hanging(text, width, 6, "      "));
}
