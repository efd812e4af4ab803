//! `publish`.

use crate::lines::shown;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use crate::stage::human::seed_next;
use bosc_release::publish::{CiEvent, Publish, PublishEvent, Published, Voucher};

pub(crate) fn line(p: &Printer, event: &PublishEvent) {
    match event {
        PublishEvent::Minted { link, file, artifacts } => {
            p.say(Tone::Good, &format!("New link {link} written to {}", shown(file)));
            if *artifacts {
                p.say(
                    Tone::Warn,
                    "The applications were built before the link was known: build them again, so that they follow it",
                );
            }
        }
        PublishEvent::Publishing { name, version, link, .. } => {
            let text = |t: &Option<String>| one_line(t.as_deref().unwrap_or_default());
            p.say(Tone::Plain, &format!("Publishing {} {} to {link}", text(name), text(version)));
        }
        PublishEvent::NotBuilt { platform, path } => p.say(
            Tone::Warn,
            &format!(
                "Not built: there is no {}, so this release has no build for {}",
                shown(path),
                one_line(platform)
            ),
        ),
        PublishEvent::Fetching { link } => p.say(Tone::Plain, &format!("Fetching {}", one_line(link))),
        PublishEvent::Unchanged { version, verlink, .. } => {
            p.say(Tone::Good, &format!("Nothing changed: {verlink} holds {}", one_line(version)));
            // What is there is the result, as after a change: scripts read it.
            p.data(verlink);
        }
        PublishEvent::SeededHere { link } => {
            p.say(
                Tone::Good,
                &format!("Released: `bosc seed {}` runs in this store and serves it", one_line(link)),
            );
        }
        PublishEvent::SamePlatform { platform, version, before } => p.say(
            Tone::Warn,
            &format!(
                "{} did not change since {}: build it for {} too, if its program has the version in it",
                one_line(platform),
                one_line(before),
                one_line(version)
            ),
        ),
        PublishEvent::FewCopies { full, wanted, link } => p.say(
            Tone::Warn,
            &format!("Only {full} of {wanted} hold it: keep it available with `bosc seed {link}`"),
        ),
    }
}

pub(crate) fn ci_line(p: &Printer, event: &CiEvent) {
    match event {
        CiEvent::Mirror { length, .. } => p.say(Tone::Plain, &format!("The cache has length {length}")),
        CiEvent::Learning { .. } => p.say(Tone::Plain, "Asking peers for the newest version"),
        CiEvent::Fetching { link, .. } => p.say(Tone::Plain, &format!("Fetching {link}")),
        CiEvent::Learned { length, from, peers, .. } => p.say(
            Tone::Good,
            &match from {
                Voucher::Peers if *peers == 1 => format!("Newest length {length}, as 1 peer holds it"),
                Voucher::Peers => format!("Newest length {length}, as {peers} peers hold it"),
                Voucher::Mirror => format!("Newest length {length}, as the cache holds it"),
                Voucher::First => "Nobody has anything of it: this is its first release".to_owned(),
            },
        ),
        CiEvent::Mirrored { length, .. } => {
            p.say(Tone::Good, &format!("The cache has length {length} now"));
        }
        CiEvent::Snapshot { file, length } => {
            p.say(Tone::Good, &format!("{} says length {length} now", shown(file)));
        }
    }
}

/// What is to be done when nobody was waited for: until a peer has the release, it is nowhere else.
pub(crate) fn done(p: &Printer, request: &Publish, done: &Published, seeded_here: bool) {
    if request.copies == 0 && request.ci.is_none() && !done.dry_run && !seeded_here {
        p.say(Tone::Plain, &seed_next(&done.link));
    }
}
