//! `bosc init`: at most three questions, and what comes of the answers.
//!
//! Which application, where there are several; what it is called and its version, where no file says it (a folder of builds: then
//! there is nothing to choose from); and whether files that are there may be changed as shown. Of these a folder asks three at
//! most. Without a terminal nobody can be asked: `--yes` takes what would be proposed, and without it the command says what it
//! would have to know.

pub(crate) mod args;
pub(crate) mod human;

use crate::global::Global;
use crate::human::Human;
use crate::on_store::{primary_key, with_store};
use crate::plain::{Tone, one_line};
use crate::printer::{Ended, Final, Printer};
use crate::question::{confirm, typed};
use crate::values::absolute;
use args::{CiFor, Init};
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::event::{Event, Output};
use bosc_release::init::{
    self, BuildFound, Candidate, ChangeKind, Ci, FileChanged, Found, InitDone, InitEvent, InitLink, Plan,
    Settings, check_app_name, new_link_name,
};
use bosc_release::request::Request;
use bosc_release::touch::Touch;
use bosc_release::touch::event::Touched;
use std::io::IsTerminal;
use std::path::Path;

/// The version of what has none.
const FIRST_VERSION: &str = "1.0.0";
/// What is shown where the link will stand.
const LINK_TO_COME: &str = "pear://(made when this is written)";

/// Who decides what no file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decides {
    /// The person at the terminal.
    Person,
    /// What would be proposed is taken.
    Defaults,
    /// Nobody is there.
    Nobody,
}

/// What nobody could be asked, and what would be proposed.
#[derive(Debug, Default)]
struct Unknown(Vec<(String, String)>);

pub(crate) fn init(a: &Init, g: &Global, printer: &Printer, stop: &Stop) -> Ended {
    let dir = absolute(&a.folder)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let decides = match (a.yes || a.dry_run, terminal && !printer.is_json()) {
        (true, _) => Decides::Defaults,
        (false, true) => Decides::Person,
        (false, false) => Decides::Nobody,
    };
    let mut human = Human::new(printer, false, false);
    let mut unknown = Unknown::default();
    let candidate = choose((a, &dir), &init::applications(&dir)?, decides, &mut unknown, printer, stop)?;
    let found = init::look(&dir, candidate.as_ref())?;
    human.event(&Event::Init(told(&dir, &found)));
    let name = match &found.name {
        Some(name) => said_already(a.name.as_deref(), name, "--name", &found)?,
        None => name(a, &dir, decides, &mut unknown, printer, stop)?,
    };
    let found = if found.name.is_none() { found.called(&name) } else { found };
    let version = match &found.version {
        Some(version) => said_already(a.version.as_deref(), version, "--version", &found)?,
        None => version(a, decides, &mut unknown, printer, stop)?,
    };
    unknown.none()?;
    let ci = match a.ci {
        CiFor::Github => Ci::Github,
        CiFor::Gitlab => Ci::Gitlab,
        CiFor::None => Ci::None,
    };
    let settings = Settings { name, version, ci, force: a.force };

    let mut link = InitLink {
        link: found.upgrade.clone().unwrap_or_else(|| LINK_TO_COME.to_owned()),
        name: init::known_link_name(&dir)?,
    };
    if found.upgrade.is_none() && link.name.is_none() {
        link.name = Some(new_link_name(&settings.name)?);
    }
    let plan = Plan::new(&dir, &found, &settings, &link)?;
    let is_new = found.upgrade.is_none();
    let mut shared = primary_key()?.is_some();
    for (file, why) in &plan.kept {
        human.event(&Event::Init(InitEvent::Kept { file: file.clone(), why: why.clone() }));
    }
    show(&plan, &mut human);
    if plan.files.is_empty() {
        printer.say(Tone::Good, "Nothing to do: everything is there");
    } else if a.dry_run {
        printer.say(Tone::Warn, "Dry run: nothing is written");
    } else {
        agree(&plan, decides, printer, stop)?;
        plan.check(&dir)?;
        let plan = match is_new {
            true => {
                let touched = mint(link.name.clone(), g, printer, stop)?;
                (link.link, shared) = (touched.link, touched.shared);
                Plan::new(&dir, &found, &settings, &link)?
            }
            false => plan.clone(),
        };
        plan.write(&dir)?;
        if is_new {
            printer.say(Tone::Good, &format!("New link {}", link.link));
        }
    }
    let made = !(is_new && (a.dry_run || plan.files.is_empty()));
    let next = init::next(&found, &dir, if made { &link.link } else { "LINK" }, shared);
    for (i, step) in next.iter().enumerate() {
        let word = if i == 0 { "Next:" } else { "     " };
        printer.say(Tone::Plain, &format!("{word} {}", one_line(step)));
    }
    Ok(Final::of(InitDone {
        dir,
        name: settings.name,
        version: settings.version,
        link: made.then_some(link.link),
        files: plan.files.iter().map(|f| f.file.clone()).collect(),
        dry_run: a.dry_run,
        next,
    }))
}

fn told(dir: &Path, found: &Found) -> InitEvent {
    let builds = found.builds.iter().map(|(platform, build)| BuildFound {
        platform: platform.clone(),
        path: build.path.clone(),
        there: build.there,
    });
    InitEvent::Found {
        dir: dir.to_owned(),
        tool: found.candidate.tool,
        package: found.candidate.package.clone(),
        name: found.name.clone(),
        version: found.version.clone(),
        upgrade: found.upgrade.clone(),
        builds: builds.collect(),
    }
}

fn show(plan: &Plan, human: &mut Human<'_>) {
    for planned in &plan.files {
        let diff = init::diff::unified(planned.old.as_deref().unwrap_or_default(), &planned.new);
        let of = FileChanged { file: planned.file.clone(), change: planned.change, diff };
        human.event(&Event::Init(InitEvent::Writes(of)));
    }
}

/// Asks before anything that is there is changed.
fn agree(plan: &Plan, decides: Decides, printer: &Printer, stop: &Stop) -> Result<(), CommandError> {
    let changed: Vec<&str> =
        plan.files.iter().filter(|f| f.change != ChangeKind::Create).map(|f| f.file.as_str()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    match decides {
        Decides::Defaults => Ok(()),
        Decides::Person => match confirm("Change these files as shown?", "--yes", printer, stop)? {
            true => Ok(()),
            false => Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "nothing was written")
                .hint("run it again when you are ready; --dry-run shows all of it")),
        },
        Decides::Nobody => Err(CommandError::input(format!(
            "{} would be changed, and there is no terminal to ask",
            changed.join(" and ")
        ))
        .hint("look at it with --dry-run, then add --yes")),
    }
}

/// The application, of several.
fn choose(
    (a, dir): (&Init, &Path),
    all: &[Candidate],
    decides: Decides,
    unknown: &mut Unknown,
    printer: &Printer,
    stop: &Stop,
) -> Result<Option<Candidate>, CommandError> {
    let labels: Vec<String> = all.iter().map(|c| one_line(&c.label)).collect();
    let is = |c: &&Candidate, text: &str| c.label == text || c.package.as_deref() == Some(text);
    if let Some(wanted) = &a.app {
        return match all.iter().find(|c| is(c, wanted)) {
            Some(candidate) => Ok(Some(candidate.clone())),
            None if init::left_out(dir)?.iter().any(|c| is(&c, wanted)) => {
                let here = labels.first().cloned().unwrap_or_default();
                let wanted = one_line(wanted);
                Err(CommandError::input(format!(
                    "bosc.toml in this folder releases {here}, and a folder releases one application, so not {wanted}"
                ))
                .hint(format!(
                    "copy the build of {wanted} into a folder of its own and run `bosc init` there; or remove [publish] and \
                     [publish.builds] from bosc.toml to release {wanted} from here instead"
                )))
            }
            None => Err(CommandError::input(format!(
                "there is no application {:?} in the folder",
                one_line(wanted)
            ))
            .hint(match labels.is_empty() {
                true => "leave --app out: the folder has no project".to_owned(),
                false => format!("there are: {}", labels.join(", ")),
            })),
        };
    }
    let (Some(first), true) = (all.first(), all.len() > 1) else { return Ok(all.first().cloned()) };
    let proposed = one_line(&first.label);
    match decides {
        Decides::Defaults => {
            printer.say(
                Tone::Warn,
                &format!(
                    "There are {}; this is about {proposed} (--app NAME for another)",
                    labels.join(", ")
                ),
            );
            Ok(Some(first.clone()))
        }
        Decides::Nobody => {
            unknown.0.push((format!("which application (--app: {})", labels.join(", ")), proposed.clone()));
            Ok(Some(first.clone()))
        }
        Decides::Person => {
            printer.say(Tone::Plain, "The folder holds several applications:");
            for (c, label) in all.iter().zip(&labels) {
                let package = one_line(c.package.as_deref().unwrap_or_default());
                printer.say(Tone::Plain, &format!("  {label:<20} {}, {package}", c.tool.name()));
            }
            loop {
                let text = typed(&format!("Which one? [{proposed}] "), "--app", printer, stop)?;
                if text.is_empty() {
                    return Ok(Some(first.clone()));
                }
                if let Some(found) = all.iter().find(|c| is(c, &text)) {
                    return Ok(Some(found.clone()));
                }
                printer.say(Tone::Warn, &format!("There is no {}", one_line(&text)));
            }
        }
    }
}

/// What a file says is not said again.
fn said_already(given: Option<&str>, said: &str, flag: &str, found: &Found) -> Result<String, CommandError> {
    match given {
        Some(given) if given != said && found.candidate.package.is_some() => {
            let file = found.candidate.package.clone().unwrap_or_default();
            Err(CommandError::input(format!("{flag} is {given:?}, and {file} says {said:?}"))
                .hint(format!("change it in {file}, where your tools read it too, and leave {flag} out")))
        }
        Some(given) if flag == "--name" => check_app_name(given).map(|()| given.to_owned()),
        _ => Ok(said.to_owned()),
    }
}

/// Letters of the folder's name, where they make one.
fn proposed_name(dir: &Path) -> String {
    let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let clean: String =
        name.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-')).collect();
    let clean = clean.trim_matches([' ', '.', '-', '_']).to_owned();
    if check_app_name(&clean).is_ok() { clean } else { "app".to_owned() }
}

fn name(
    a: &Init,
    dir: &Path,
    decides: Decides,
    unknown: &mut Unknown,
    printer: &Printer,
    stop: &Stop,
) -> Result<String, CommandError> {
    if let Some(name) = &a.name {
        return check_app_name(name).map(|()| name.clone());
    }
    let proposed = proposed_name(dir);
    match decides {
        Decides::Defaults => Ok(proposed),
        Decides::Nobody => {
            unknown.0.push(("what the application is called (--name)".into(), proposed.clone()));
            Ok(proposed)
        }
        Decides::Person => loop {
            let text =
                typed(&format!("What is the application called? [{proposed}] "), "--name", printer, stop)?;
            let text = if text.is_empty() { proposed.clone() } else { text };
            match check_app_name(&text) {
                Ok(()) => return Ok(text),
                Err(e) => printer.say(Tone::Warn, &format!("{}; {}", e.message(), e.hint_text())),
            }
        },
    }
}

fn version(
    a: &Init,
    decides: Decides,
    unknown: &mut Unknown,
    printer: &Printer,
    stop: &Stop,
) -> Result<String, CommandError> {
    let check = |text: &str| bosc_release::stage::link_rules::version(Some(text)).map(|_| text.to_owned());
    if let Some(version) = &a.version {
        return check(version).map_err(|_| {
            CommandError::input(format!("not a version: {:?}", one_line(version)))
                .hint("give three numbers, as in `--version 1.2.3`")
        });
    }
    match decides {
        Decides::Defaults => Ok(FIRST_VERSION.to_owned()),
        Decides::Nobody => {
            unknown.0.push(("its version (--version)".into(), FIRST_VERSION.into()));
            Ok(FIRST_VERSION.to_owned())
        }
        Decides::Person => loop {
            let text =
                typed(&format!("Which version is it? [{FIRST_VERSION}] "), "--version", printer, stop)?;
            let text = if text.is_empty() { FIRST_VERSION.to_owned() } else { text };
            match check(&text) {
                Ok(version) => return Ok(version),
                Err(_) => printer.say(Tone::Warn, "A version is three numbers, as in 1.2.3"),
            }
        },
    }
}

impl Unknown {
    /// Fails with all that nobody could be asked.
    fn none(&self) -> Result<(), CommandError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (what, proposed): (Vec<&str>, Vec<&str>) =
            self.0.iter().map(|(w, p)| (w.as_str(), p.as_str())).unzip();
        Err(CommandError::input(format!("not known: {}; and there is no terminal to ask", what.join("; ")))
            .hint(format!("give the flags, or take {} with --yes", proposed.join(", "))))
    }
}

/// A link of this store for the application.
fn mint(name: Option<String>, g: &Global, printer: &Printer, stop: &Stop) -> Result<Touched, CommandError> {
    let request = Request::Touch(Touch { named: name, ..Touch::default() });
    let mut nothing = |_: Event| {};
    match with_store(g, &request, &mut nothing, stop, printer)? {
        Output::Touch(touched) => Ok(touched),
        _ => Err(CommandError::failed("the store made no link")
            .hint("run it again with the `bosc` that runs `bosc seed`")),
    }
}
