//! The only road to stdout and stderr. Data goes to stdout, everything else to stderr; under `--json` stdout
//! carries one object a line and nothing else.

use crate::args::{Color, Global};
use crate::plain::{GREEN, RED, RESET, YELLOW, one_line, printable};
use bosc_release::error::CommandError;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// How a line on stderr is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Done.
    Good,
    /// Failed.
    Bad,
    /// Worth a look.
    Warn,
    /// Ordinary.
    Plain,
}

/// Where and how a command prints.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    cmd: &'static str,
    json: bool,
    quiet: bool,
    verbose: bool,
    color_err: bool,
    color_out: bool,
    progress: bool,
}

impl Printer {
    /// For the command named `cmd`.
    pub(crate) fn new(cmd: &'static str, g: &Global) -> Self {
        let wanted = |terminal: bool| match g.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self {
            cmd,
            json: g.json,
            quiet: g.quiet,
            verbose: g.verbose,
            color_err: wanted(err),
            color_out: wanted(out),
            progress: err && !g.no_progress && !g.quiet && !g.json,
        }
    }

    /// Whether stdout carries JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars and live tables may be drawn (on stderr).
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// One JSON line, if `--json` was given.
    pub(crate) fn json(&self, tag: &str, data: &Value) {
        if self.json {
            self.out(&json!({ "cmd": self.cmd, "tag": tag, "data": data }).to_string());
        }
    }

    /// A line of data.
    pub(crate) fn data(&self, line: &str) {
        if !self.json {
            self.out(line);
        }
    }

    /// Raw data, as it is.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        // A closed pipe (`bosc dump x - | head`) is the reader's choice, not a failure.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// A line for the person watching; not printed under --quiet or --json.
    pub(crate) fn say(&self, tone: Tone, line: &str) {
        if !self.quiet && !self.json {
            self.err(&self.paint(tone, line));
        }
    }

    /// A question on stderr, where the answer is typed; printed even under --quiet and --json.
    pub(crate) fn prompt(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(printable(text).as_bytes()).and_then(|()| err.flush());
    }

    /// A line printed only under --verbose.
    pub(crate) fn detail(&self, line: &str) {
        if self.verbose && !self.json {
            self.err(line);
        }
    }

    /// The end of a failed command: one JSON line, or message, causes and hint on stderr.
    pub(crate) fn failure(&self, e: &CommandError) {
        if self.json {
            self.json("error", &e.to_json());
            return;
        }
        self.err(&self.paint(Tone::Bad, &format!("error: {}", one_line(e.message()))));
        for cause in e.causes() {
            self.err(&format!("  because: {}", one_line(&cause)));
        }
        self.err(&format!("  next: {}", e.hint_text()));
        if self.verbose {
            self.err(&format!("  code: {}", e.code()));
        }
    }

    /// Paints a mark at the head of a data line when stdout is coloured.
    pub(crate) fn mark(&self, tone: Tone, mark: &str) -> String {
        if self.color_out { format!("{}{mark}{RESET}", code(tone)) } else { mark.to_owned() }
    }

    fn paint(&self, tone: Tone, line: &str) -> String {
        if self.color_err && tone != Tone::Plain {
            format!("{}{line}{RESET}", code(tone))
        } else {
            line.to_owned()
        }
    }

    fn out(&self, line: &str) {
        let mut out = std::io::stdout().lock();
        // A script gets the bytes as they are.
        let line = if out.is_terminal() { printable(line) } else { line.into() };
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    fn err(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
    }
}

fn code(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => GREEN,
        Tone::Bad => RED,
        Tone::Warn => YELLOW,
        Tone::Plain => "",
    }
}

/// Bytes as people read them: `15.2 MB` (powers of 1000, one digit).
pub(crate) fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = "B";
    for u in units {
        unit = u;
        if value < 999.95 || u == "TB" {
            break;
        }
        value /= 1000.0;
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(157_306_334), "157.3 MB");
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
    }
}
