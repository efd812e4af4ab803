//! Everything the program says about itself is complete, and true where it can be tried.

use super::*;
use clap::error::ErrorKind;
use std::collections::BTreeSet;
use std::path::Path;

/// All commands that are shown, by path.
fn paths() -> BTreeSet<String> {
    fn walk(command: &Command, path: &str, out: &mut BTreeSet<String>) {
        out.insert(path.to_owned());
        for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            walk(below, format!("{path} {}", below.get_name()).trim_start(), out);
        }
    }
    let mut out = BTreeSet::new();
    walk(&Cli::command(), "", &mut out);
    out
}

fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    pages::PAGES
        .iter()
        .flat_map(|g| g.iter())
        .flat_map(|p| p.examples.iter().map(move |(_, line)| (p.path, *line)))
}

/// The words of a line as a shell splits them, up to a pipe or redirection.
fn words(line: &str) -> Vec<String> {
    let line = line.strip_prefix("source <(").and_then(|l| l.strip_suffix(')')).unwrap_or(line);
    let (mut out, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '|' | '>' if !quoted => break,
            ' ' if !quoted => out.push(String::new()),
            c => out.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "{line}");
    out.retain(|w| !w.is_empty());
    out
}

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    parse_from(words(line).into_iter().map(OsString::from).collect())
}

fn is_help(e: &clap::Error) -> bool {
    matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

fn mistake(line: &str) -> clap::Error {
    parsed(line).unwrap_err()
}

#[test]
fn every_command_has_a_page_with_an_example() {
    let told: BTreeSet<String> =
        pages::PAGES.iter().flat_map(|g| g.iter()).map(|p| p.path.to_owned()).collect();
    assert_eq!(told, paths());
    for page in pages::PAGES.iter().flat_map(|g| g.iter()) {
        assert!(!page.examples.is_empty(), "{:?} has no example", page.path);
        for line in page.details.lines() {
            assert!(line.chars().count() <= 92, "{:?}: {line}", page.path);
        }
    }
}

#[test]
fn every_example_parses_and_is_of_its_command() {
    for (path, line) in examples() {
        parsed(line).unwrap_or_else(|e| panic!("{path:?}: {line}\n{e}"));
        let typed = words(line);
        let (program, typed) = typed.split_first().unwrap();
        assert_eq!(program, "bosc", "{line}");
        let path: Vec<&str> = path.split(' ').filter(|w| !w.is_empty()).collect();
        assert!(
            typed.iter().map(String::as_str).take(path.len()).eq(path.iter().copied()),
            "{path:?}: {line}"
        );
    }
    assert!(parsed("bosc stage pear://KEY --no-such-flag").is_err());
}

#[test]
fn every_command_is_in_one_group() {
    let grouped: Vec<&str> = groups::GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let listed: BTreeSet<&str> = grouped.iter().copied().collect();
    assert_eq!(grouped.len(), listed.len(), "a command is in two groups");
    let root = Cli::command();
    let all: BTreeSet<&str> =
        root.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
    assert_eq!(all, listed);
    let help = strip(&command().render_help().ansi().to_string());
    for command in root.get_subcommands() {
        let about = command.get_about().unwrap().to_string();
        assert!(about.len() <= 72 && !about.contains('\n'), "one line: {about:?}");
        assert!(help.contains(&format!("  {} ", command.get_name())) && help.contains(&about), "{about}");
    }
}

#[test]
fn the_common_flags_come_last_under_their_own_heading() {
    for path in paths() {
        let words: Vec<String> = path.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let help = strip(&of_command(&words).unwrap());
        let (own, common) = help.split_once(&format!("{COMMON}:\n")).unwrap_or_else(|| panic!("{help}"));
        let flags = [
            "--store <DIR>",
            "--bootstrap <",
            "--json",
            "--quiet",
            "--verbose",
            "--no-progress",
            "--color",
            "--help",
        ];
        for flag in flags {
            let once = |text: &str| {
                text.lines().filter(|l| l.trim_start().starts_with('-') && l.contains(flag)).count()
            };
            assert_eq!((once(own), once(common)), (0, 1), "{path}: {flag}\n{help}");
        }
        assert!(own.contains("Examples:\n"), "{help}");
        let longest = help.lines().map(|l| l.chars().count()).max().unwrap();
        let example = help.lines().any(|l| l.starts_with("  bosc ") && l.chars().count() > 106);
        assert!(longest <= 106 || example, "{path}: {longest} columns\n{help}");
    }
}

#[test]
fn every_help_fits_the_terminal() {
    for width in [40, 60, 80, 100] {
        for path in paths() {
            let mut root = command_in(width);
            root.build();
            let mut at = &mut root;
            for word in path.split(' ').filter(|w| !w.is_empty()) {
                at = at.find_subcommand_mut(word).unwrap();
            }
            let help = strip(&at.render_help().ansi().to_string());
            // The usage is clap's, on one line. Below 80 columns what is shown as it has to be in a file or on a command line stands
            // out, and what clap puts behind a text; text does not.
            let is_text = |line: &str| {
                let indent = line.len() - line.trim_start().len();
                (indent == 0 || indent == BELOW) && line.trim().contains(' ') && !line.contains('[')
            };
            let long = |line: &&str| {
                line.chars().count() > width
                    && !line.starts_with("Usage")
                    && (width >= 80 && !line.contains("[possible values: ") || is_text(line))
            };
            let out: Vec<&str> = help.lines().filter(long).collect();
            assert_eq!(out, Vec::<&str>::new(), "{path} in {width} columns");
        }
    }
    for (topic, _) in topics::TOPICS {
        let text = strip(&topics::text(topic).unwrap());
        assert_eq!(
            text.lines().filter(|l| l.chars().count() > WIDTH).collect::<Vec<_>>(),
            Vec::<&str>::new()
        );
    }
    assert!(strip(&start_page()).lines().all(|l| l.chars().count() <= WIDTH));
}

#[test]
fn help_is_the_same_by_all_ways() {
    for path in paths().iter().filter(|p| !p.is_empty()) {
        let words: Vec<String> = path.split(' ').map(str::to_owned).collect();
        let by_command = strip(&of_command(&words).unwrap());
        for line in [format!("bosc {path} --help"), format!("bosc {path} -h")] {
            let by_flag = mistake(&line);
            assert!(is_help(&by_flag));
            assert_eq!(strip(&by_flag.render().ansi().to_string()), by_command, "{line}");
        }
        if let [first, rest @ ..] = words.as_slice()
            && let [_, ..] = rest
        {
            let nested = mistake(&format!("bosc {first} help {}", rest.join(" ")));
            assert_eq!(strip(&nested.render().ansi().to_string()), by_command);
        }
    }
    assert!(is_help(&mistake("bosc --help")) && is_help(&mistake("bosc -V")));
}

#[test]
fn a_mistake_shows_what_was_meant() {
    for (line, meant) in [
        ("bosc stge pear://KEY", "`stage`"),
        ("bosc multisig comit", "`commit`"),
        ("bosc sign REQUEST", "did you mean `multisig sign` or `updater sign`?"),
        ("bosc stage pear://KEY --dryrun", "did you mean `--dry-run`?"),
        ("bosc info pear://KEY --jsn", "did you mean `--json`?"),
        ("bosc completions bsh", "did you mean `bash`"),
        ("bosc dump", "run it with --help"),
    ] {
        let e = mistake(line);
        assert!(hint(&e).contains(meant), "{line}: {}", hint(&e));
        if let Some(word) = meant.split('`').nth(1) {
            assert!(e.render().to_string().contains(word), "{line}: {e}");
        }
    }
    for (words, meant) in [
        ("stagee", "`stage`"),
        ("exitcodes", "`exit-codes`"),
        ("env", "`environment`"),
        ("error", "`errors`"),
        ("ERR_NOT_NEWST", "`ERR_NOT_NEWEST`"),
        ("commit", "`multisig commit`"),
        ("multisig sgin", "`sign`"),
        ("qqqqqqqqqqqqqqqqqqqq", "see `bosc help`"),
    ] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let e = of_command(&words).unwrap_err();
        assert!(e.hint_text().contains(meant), "{words:?}: {}", e.hint_text());
    }
}

#[test]
fn a_newcomer_sees_five_commands_first() {
    let five = strip(&groups::first(WIDTH));
    assert!(
        strip(&command().render_help().ansi().to_string()).contains(&format!("\n\n{five}Make what")),
        "{five}"
    );
    let start = strip(&start_page());
    assert!(start.contains(&five) && start.contains("bosc --help") && start.lines().count() <= 12, "{start}");
    for (line, _) in groups::FIRST {
        let name = line.split(' ').nth(1).unwrap();
        assert!(Cli::command().find_subcommand(name).is_some(), "{line}");
        assert!(start.lines().all(|l| l.chars().count() <= 106), "{start}");
    }
}

#[test]
fn topics_are_no_commands_and_have_texts() {
    let root = Cli::command();
    for (topic, _) in topics::TOPICS {
        assert!(root.find_subcommand(topic).is_none(), "{topic}");
        assert!(topics::text(topic).unwrap().len() > 200, "{topic}");
    }
    let one = strip(&topics::text("err_not_newest").unwrap());
    assert!(
        one.contains("ERR_NOT_NEWEST  exit 3, 4\n") && one.contains("Next: ") && one.lines().count() < 8,
        "{one}"
    );
    assert!(topics::text("ERR_NO_SUCH").is_none());
}

#[test]
fn exit_codes_are_those_of_the_library() {
    use bosc_release::error::ErrorKind as Kind;
    let told: Vec<u8> = topics::EXIT_CODES.iter().map(|(code, _)| *code).collect();
    for code in 1..=255_u8 {
        assert_eq!(Kind::from_exit_code(code).exit_code() == code, told.contains(&code), "{code}");
    }
    for e in errors::ERRORS {
        for exit in e.exit.split(", ") {
            assert!(told.contains(&exit.parse().unwrap()), "{}", e.code);
        }
        assert!(!e.next.is_empty() && !e.next.ends_with('.') && !e.meaning.ends_with('.'), "{}", e.code);
    }
}

/// The texts in quotes of the sources below `dir`, each with its file; files of tests and of this help left out.
fn quoted(dir: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "help" && name != "tests" {
                quoted(&path, each);
            }
        } else if name.ends_with(".rs") && !name.contains("test") {
            let text = std::fs::read_to_string(&path).unwrap();
            text.split('"').for_each(|t| each(&path, t));
        }
    }
}

fn sources(crates: &[&str], mut each: impl FnMut(&Path, &str)) {
    for name in crates {
        quoted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"), &mut each);
    }
}

#[test]
fn the_table_of_errors_has_every_code_and_no_other() {
    let mut known = BTreeSet::new();
    sources(&["bosc", "bosc-release"], |path, text| {
        // In these files every such text is a code.
        let all = path.ends_with("multisig/errors.rs") || path.ends_with("multisig/quorum.rs");
        let shape = text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if shape && (all || text.starts_with("ERR_")) && text != "ERR_" {
            known.insert(text.to_owned());
        }
    });
    let told: BTreeSet<String> = errors::ERRORS.iter().map(|e| e.code.to_owned()).collect();
    assert!(known.len() > 50, "the codes were not found: {known:?}");
    assert_eq!(known.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "not in help/errors.rs");
    assert_eq!(told.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "in no source");
    assert_eq!(told.len(), errors::ERRORS.len(), "a code is there twice");
}

#[test]
fn the_table_of_variables_has_every_variable_and_no_other() {
    let others = [
        "NO_COLOR",
        "HYPERCORE_SIGN_KEYS_DIRECTORY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "AWS_*, GOOGLE_*, AZURE_*",
    ];
    let mut known: BTreeSet<String> = others.map(String::from).into();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let names: Vec<String> =
        std::fs::read_dir(crates).unwrap().map(|d| d.unwrap().file_name().into_string().unwrap()).collect();
    // Tools of the tests have variables of their own, described where they are.
    let shipped: Vec<&str> =
        names.iter().map(String::as_str).filter(|n| !["bosc-testkit", "bosc-fuzz"].contains(n)).collect();
    sources(&shipped, |path, text| {
        // A tool of the tests in a shipped crate.
        if path.ends_with("bosc-release/src/golden.rs") {
            return;
        }
        let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if text.starts_with("BOSC_") && text.len() > 5 && text.chars().all(name) {
            known.insert(text.to_owned());
        }
    });
    let all = || environment::READ.iter().chain(&environment::SET);
    let told: BTreeSet<String> = all().map(|v| v.name.to_owned()).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(told, known, "help/environment.rs (left) and the sources (right)");
    let root = Cli::command();
    for path in paths() {
        let mut at = &root;
        for word in path.split(' ').filter(|w| !w.is_empty()) {
            at = at.find_subcommand(word).unwrap();
        }
        for variable in at.get_arguments().filter_map(|a| a.get_env()).filter_map(|v| v.to_str()) {
            assert!(told.contains(variable), "{path}: {variable}");
        }
    }
}

#[test]
fn manual_pages_have_what_help_has() {
    let pages = man::all_pages().unwrap();
    let names: BTreeSet<String> =
        pages.iter().map(|(n, _)| n.trim_end_matches(".1").replace('-', " ")).collect();
    let wanted: BTreeSet<String> =
        paths().iter().map(|p| format!("bosc {p}").trim_end().replace('-', " ")).collect();
    assert_eq!(names, wanted);
    for (name, text) in &pages {
        let text = String::from_utf8(text.clone()).unwrap();
        let plain = text.replace("\\-", "-");
        assert!(text.starts_with(".") || text.contains("\n.TH "), "{name}");
        let of = |path: &str| format!("bosc {path}").trim_end().replace(' ', "-") + ".1" == *name;
        for (_, line) in examples().filter(|(path, _)| of(path)) {
            assert!(plain.contains(&line.replace('\\', "\\e")), "{name} lacks {line}\n{text}");
        }
        for line in text.lines().filter(|l| l.starts_with('.')) {
            let control = line.split(' ').next().unwrap();
            let known = [
                ".TH", ".SH", ".SS", ".TP", ".IP", ".PP", ".RS", ".RE", ".nf", ".fi", ".B", ".BR", ".ie",
                ".el", ".br",
            ];
            assert!(known.contains(&control), "{name}: {line}");
        }
    }
    let main = String::from_utf8(man::main_page().unwrap()).unwrap();
    for section in ["COMMANDS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "ERRORS", "COMMON FLAGS"] {
        assert!(main.contains(section), "{section}");
    }
}

#[test]
fn a_variable_that_is_empty_counts_as_not_set() {
    fn variables(command: &Command, found: &mut Vec<String>) {
        let of = command.get_arguments().filter_map(|arg| arg.get_env());
        found.extend(of.map(|name| name.to_string_lossy().into_owned()));
        command.get_subcommands().for_each(|below| variables(below, found));
    }
    let (mut all, mut left) = (Vec::new(), Vec::new());
    variables(&command(), &mut all);
    for name in ["BOSC_STORE", "BOSC_BOOTSTRAP", "BOSC_KEYS"] {
        assert!(all.iter().any(|n| n == name), "{all:?}");
    }
    variables(&without_variables(command(), &|name| name != "BOSC_KEYS"), &mut left);
    left.dedup();
    assert_eq!(left, ["BOSC_KEYS"]);
}
