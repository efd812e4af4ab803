//! The only road to stdout and stderr. Data goes to stdout, everything else to stderr; under `--json` stdout
//! carries one object per line and nothing else. What goes to a terminal goes there through its owner, [`crate::screen`].

use crate::columns::wrapped;
use crate::global::{Color, Global};
use crate::plain::{Tone, json_line, one_line, printable, render, sentence};
use crate::screen::{Full, Question, Screen, Stream, Worth, direct};
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::Output;
use console::measure_text_width;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};

/// Most lines of a cause.
const CAUSE_LINES: usize = 20;
/// Words are broken at no fewer columns.
const LEAST: usize = 12;

/// What a command of the program ends with: the data of its `final` line.
#[derive(Debug)]
pub(crate) struct Final(Value);

/// How a command of the program ends.
pub(crate) type Ended = Result<Final, CommandError>;

impl Final {
    /// These fields.
    pub(crate) fn of(data: impl Serialize) -> Self {
        Self(value(&data))
    }
}

impl From<Output> for Final {
    fn from(output: Output) -> Self {
        Self::of(output.data())
    }
}

fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
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
    /// Whether stdout is a terminal.
    terminal: bool,
    /// What is written is worth this, whatever it is.
    worth: Option<Worth>,
    /// The owner of the terminal, for each stream that is one; or of both streams, for who must never wait for them.
    out: Option<&'static Screen>,
    err: Option<&'static Screen>,
}

impl Printer {
    /// For the command named `cmd`, which `stop` ends.
    pub(crate) fn new(cmd: &'static str, g: &Global, stop: &Stop) -> Self {
        Self::with(cmd, g, stop, Full::Wait)
    }

    /// The same, for a command that must never wait for whoever reads what it says.
    pub(crate) fn never_waiting(cmd: &'static str, g: &Global, stop: &Stop) -> Self {
        Self::with(cmd, g, stop, Full::Forget)
    }

    fn with(cmd: &'static str, g: &Global, stop: &Stop, full: Full) -> Self {
        let wanted = |terminal: bool| match g.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let screen = Screen::start(stop, full);
        Self {
            cmd,
            json: g.json,
            quiet: g.quiet,
            verbose: g.verbose,
            color_err: wanted(err),
            color_out: wanted(out),
            progress: err && !dumb() && !g.no_progress && !g.quiet && !g.json,
            terminal: out,
            worth: None,
            out: screen.filter(|_| out || full == Full::Forget),
            err: screen.filter(|_| err || full == Full::Forget),
        }
    }

    /// A printer whose lines are worth this, when there is no room for all.
    pub(crate) fn worth(&self, worth: Worth) -> Self {
        Self { worth: Some(worth), ..self.clone() }
    }

    /// Waits until everything was read, for so long at most. Whether it was.
    pub(crate) fn drain(&self, patience: std::time::Duration) -> bool {
        self.err.or(self.out).is_none_or(|screen| screen.drain_within(patience))
    }

    /// Whether stdout carries JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars and live tables may be drawn (on stderr).
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// An event as a JSON line, if `--json` was given: what has a `tag` and, unless there is none,
    /// `data`; and the `link` that it is of, where there are several.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.json {
            let mut line = value(event);
            let mut take = |key: &str| line.get_mut(key).map(Value::take).unwrap_or_default();
            let (tag, data, link) = (take("tag"), take("data"), take("link"));
            let mut line = json!({ "cmd": self.cmd, "tag": tag, "data": data });
            if let Some(fields) = line.as_object_mut().filter(|_| !link.is_null()) {
                fields.insert("link".into(), link);
            }
            self.line(&line);
        }
    }

    /// One JSON line, if `--json` was given.
    pub(crate) fn json(&self, tag: &str, data: &impl Serialize) {
        if self.json {
            self.line(&json!({ "cmd": self.cmd, "tag": tag, "data": value(data) }));
        }
    }

    fn line(&self, line: &Value) {
        let line = line.to_string();
        let line = if self.terminal { json_line(&line) } else { line.into() };
        self.send(format!("{line}\n").into_bytes());
    }

    /// A line of data.
    pub(crate) fn data(&self, line: &str) {
        if !self.json {
            self.out(line);
        }
    }

    /// A line of data that ends in a value too long for most terminals, such as a link: where it does not fit, that has a line of its
    /// own. For scripts it is always one.
    pub(crate) fn data_row(&self, short: &str, long: &str) {
        let fits = measure_text_width(short) + 1 + measure_text_width(long) <= self.columns();
        if !self.terminal || fits {
            self.data(format!("{short} {long}").trim_end());
        } else {
            // Where even its columns do not fit, what keeps them apart goes.
            let short = match measure_text_width(short.trim_end()) > self.columns() {
                true => short.split_whitespace().collect::<Vec<_>>().join(" "),
                false => short.trim_end().to_owned(),
            };
            self.data(&short);
            self.data(&format!("  {long}"));
        }
    }

    /// A line of data that begins with a mark in its tone. On a terminal its words are broken to fit, each line below the first.
    pub(crate) fn data_marked(&self, tone: Tone, mark: &str, text: &str) {
        let indent = measure_text_width(mark) + 1;
        let text = match self.terminal {
            true => wrapped(text, self.columns().saturating_sub(indent).max(LEAST), 0),
            false => text.to_owned(),
        };
        for (i, line) in text.split('\n').enumerate() {
            match i {
                0 => self.data_parts(&[(tone, mark), (Tone::Plain, &format!(" {line}"))]),
                _ => self.data(&format!("{:indent$}{line}", "")),
            }
        }
    }

    /// A line of data, of words. On a terminal they are broken to fit, each line below the first behind `indent` spaces.
    pub(crate) fn data_words(&self, text: &str, indent: usize) {
        match self.terminal {
            true => {
                let lead = text.len() - text.trim_start().len();
                let width = self.columns().saturating_sub(lead).max(indent + LEAST);
                let lines = wrapped(text.trim_start(), width, indent.saturating_sub(lead));
                let lead = " ".repeat(lead);
                lines.split('\n').for_each(|line| self.data(&format!("{lead}{line}")));
            }
            false => self.data(text),
        }
    }

    /// Columns that a line of data has on the terminal.
    fn columns(&self) -> usize {
        usize::from(console::Term::stdout().size().1)
    }

    /// A name as a line of data: on a terminal so that it can be told from every other, else as it is.
    pub(crate) fn data_name(&self, name: &str) {
        if !self.json {
            let line = if self.terminal { one_line(name) } else { name.to_owned() };
            self.send(format!("{line}\n").into_bytes());
        }
    }

    /// A JSON document as lines of data.
    pub(crate) fn document(&self, document: &impl Serialize) {
        self.data(&serde_json::to_string_pretty(document).unwrap_or_default());
    }

    /// Raw data, as it is.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.send(bytes.to_vec());
    }

    /// A page of help: with its styles where stdout is coloured.
    pub(crate) fn help(&self, styled: String) {
        let text = if self.color_out { styled } else { clap::builder::StyledStr::from(styled).to_string() };
        self.send(text.into_bytes());
    }

    /// Sets the rows below everything else, where they may be drawn; `None` takes them off.
    pub(crate) fn status(&self, rows: Option<&[String]>) {
        if let Some(screen) = self.err.filter(|_| self.progress) {
            screen.status(rows.map(|rows| rows.iter().map(|row| sentence(row).into_owned()).collect()));
        }
    }

    /// Keeps the terminal quiet for a question, with everything before it shown.
    pub(crate) fn question(&self) -> Option<Question<'static>> {
        self.err.or(self.out).map(Screen::question)
    }

    /// From now on nothing that goes to a terminal is left out, however slow it is: a person decides by it.
    pub(crate) fn keep_everything(&self) {
        for screen in [self.out, self.err].into_iter().flatten() {
            screen.keep_everything();
        }
    }

    /// Waits until everything is shown. The end of the process.
    pub(crate) fn close(&self) {
        if let Some(screen) = self.err.or(self.out) {
            screen.close();
        }
    }

    /// A line for the person watching; not printed under --quiet or --json.
    pub(crate) fn say(&self, tone: Tone, line: &str) {
        if !self.quiet && !self.json {
            self.err(&[(tone, line)]);
        }
    }

    /// A line of parts, each in its tone, for the person watching.
    pub(crate) fn say_parts(&self, parts: &[(Tone, &str)]) {
        if !self.quiet && !self.json {
            self.err(parts);
        }
    }

    /// A question on stderr, where the answer is typed; printed even under --quiet and --json, in the quiet that
    /// [`Printer::question`] made.
    pub(crate) fn prompt(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(printable(text).as_bytes()).and_then(|()| err.flush());
    }

    /// A line printed only under --verbose.
    pub(crate) fn detail(&self, line: &str) {
        if self.verbose && !self.json {
            self.err(&[(Tone::Plain, line)]);
        }
    }

    /// The end of a command that succeeded, for those who read JSON.
    pub(crate) fn success(&self, end: Final) {
        let mut data = match end.0 {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        data.insert("success".into(), Value::Bool(true));
        self.json("final", &data);
    }

    /// The end of a failed command: one JSON line, or message, causes and hint on stderr.
    pub(crate) fn failure(&self, e: &CommandError) {
        if self.json {
            self.json("error", &e.told());
            return;
        }
        self.failure_text(e);
    }

    /// The same on stderr, also under --json: stdout cannot be written.
    pub(crate) fn failure_text(&self, e: &CommandError) {
        let (tone, word) = match e.kind() {
            ErrorKind::Unfinished => (Tone::Warn, "unfinished"),
            _ => (Tone::Bad, "error"),
        };
        self.err(&[(tone, &format!("{word}: {}", sentence(e.message())))]);
        let plain = |line: String| self.err_worth(&[(Tone::Plain, &line)], Worth::Keep);
        for cause in e.causes() {
            // A cause may have a picture of the place in a file, over several lines. None of them can be taken for one of ours.
            let mut lines = cause.lines().filter(|line| !line.trim().is_empty()).take(CAUSE_LINES);
            plain(format!("  because: {}", sentence(lines.next().unwrap_or_default())));
            lines.for_each(|line| plain(format!("           | {}", sentence(line))));
        }
        plain(format!("  next: {}", sentence(e.hint_text())));
        if self.verbose {
            plain(format!("  code: {}", sentence(e.code())));
        }
    }

    /// A line of data in parts, each in its tone when stdout is coloured.
    pub(crate) fn data_parts(&self, parts: &[(Tone, &str)]) {
        if !self.json {
            let line = if self.color_out || self.terminal {
                render(parts, self.color_out)
            } else {
                parts.iter().map(|(_, text)| *text).collect()
            };
            self.send(format!("{line}\n").into_bytes());
        }
    }

    fn out(&self, line: &str) {
        // A script gets the bytes as they are.
        let line = if self.terminal { printable(line) } else { line.into() };
        self.send(format!("{line}\n").into_bytes());
    }

    fn err(&self, parts: &[(Tone, &str)]) {
        let spare = parts.iter().all(|(tone, _)| matches!(tone, Tone::Plain | Tone::Good));
        self.err_worth(parts, if spare { Worth::Spare } else { Worth::Keep });
    }

    fn err_worth(&self, parts: &[(Tone, &str)], worth: Worth) {
        let line = format!("{}\n", render(parts, self.color_err)).into_bytes();
        match self.err {
            Some(screen) => screen.line(Stream::Err, line, self.worth.unwrap_or(worth)),
            None => direct(Stream::Err, &line),
        }
    }

    fn send(&self, bytes: Vec<u8>) {
        match self.out {
            Some(screen) => screen.line(Stream::Out, bytes, self.worth.unwrap_or(Worth::Keep)),
            None => direct(Stream::Out, &bytes),
        }
    }
}

/// Whether the terminal can neither move its cursor nor colour.
fn dumb() -> bool {
    cfg!(unix) && std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb")
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
