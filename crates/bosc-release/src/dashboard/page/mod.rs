//! The snapshot as HTML: works without a script, which only draws anew what changed.
//!
//! Invariants:
//! * Markup is a literal of this program; a text from outside goes through [`Html::text`] ([`Html`] takes nothing else).
//! * Every text is cut, every list has a bound: a page has at most [`PAGE_MAX`] bytes, style and script included.
//! * No style and no script stands in the page: its policy (CSP) allows neither.
//!
//! # Files
//!
//! - Here: the whole page, and its most bytes.
//! - `html`: text made harmless and cut, and how numbers are written. `overview`: all lines, the network, the store, what needs
//!   somebody. `line`: one line. `pieces`: what both show.
//! - `curve`: versions over time, as SVG and as a table. What the page loads lies beside them: `style.css`, `live.js`, `icon.svg`.

mod curve;
mod html;
mod line;
mod overview;
mod pieces;

pub use html::Html;

use super::snapshot::{LineView, Snapshot};

/// What the page looks like.
pub(super) const STYLE: &str = include_str!("style.css");
/// What draws it anew.
pub(super) const SCRIPT: &str = include_str!("live.js");
/// Its icon.
pub(super) const ICON: &str = include_str!("icon.svg");
/// Most bytes of a page with all it loads.
pub const PAGE_MAX: usize = 150_000;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View<'a> {
    /// All lines.
    All,
    /// The line with this slug.
    Line(&'a str),
}

/// Whether there is a line with this slug.
pub(super) fn has(snapshot: &Snapshot, slug: &str) -> bool {
    find(snapshot, slug).is_some()
}

fn find<'a>(snapshot: &'a Snapshot, slug: &str) -> Option<&'a LineView> {
    snapshot.lines.iter().find(|l| l.slug() == slug)
}

fn begin(title: &str) -> Html {
    let mut h = Html::default();
    h.raw(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    );
    h.text(title, 100);
    h.raw(
        "</title>\n<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n",
    );
    h
}

/// A page.
pub fn whole(snapshot: &Snapshot, view: View<'_>) -> String {
    let line = match view {
        View::All => None,
        View::Line(slug) => find(snapshot, slug),
    };
    let title = line.map_or("Releases".to_owned(), LineView::title);
    let mut h = begin(&format!("{title} · Bosc"));
    h.raw(
        "<script src=\"/live.js\" defer></script>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n\
         <header>\n<a class=\"brand\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"24\" height=\"24\"> Bosc</a>\n\
         <nav aria-label=\"Lines\"><ul>\n<li><a href=\"/\"",
    );
    h.raw(if view == View::All { " aria-current=\"page\"" } else { "" });
    h.raw(">All lines</a></li>\n");
    for other in snapshot.lines.iter().take(MAX_NAV) {
        h.raw("<li><a href=\"/line/");
        h.slug(&other.slug());
        h.raw("\"");
        h.raw(if line.is_some_and(|l| l.slug() == other.slug()) { " aria-current=\"page\"" } else { "" });
        h.raw(">");
        h.text(&other.title(), 24);
        h.raw("</a></li>\n");
    }
    h.raw(
        "</ul></nav>\n<p id=\"state\" class=\"state\" role=\"status\">as it was when the page was loaded</p>\n</header>\n\
         <p id=\"news\" class=\"news\" role=\"status\" aria-live=\"polite\"></p>\n\
         <main id=\"main\" tabindex=\"-1\">\n",
    );
    content(&mut h, snapshot, view);
    h.raw("</main>\n<footer>\n<p>bosc ");
    h.text(&snapshot.program, 40);
    h.raw(
        " · nothing is signed or released from this page: copy a command and run it in a terminal</p>\n</footer>\n\
         </body>\n</html>\n",
    );
    h.done()
}

/// Most lines in the navigation; the table has all.
const MAX_NAV: usize = 8;

/// What the script puts into a page that is open.
pub fn part(snapshot: &Snapshot, view: View<'_>) -> String {
    let mut h = Html::default();
    content(&mut h, snapshot, view);
    h.done()
}

fn content(h: &mut Html, snapshot: &Snapshot, view: View<'_>) {
    match view {
        View::Line(slug) => {
            if let Some(line) = find(snapshot, slug) {
                line::page(h, line, snapshot.at);
            }
        }
        View::All => overview::page(h, snapshot),
    }
}

/// A page that says one thing.
fn alone(title: &str, body: &'static str) -> String {
    let mut h = begin(&format!("{title} · Bosc"));
    h.raw("</head>\n<body>\n<main id=\"main\" class=\"alone\">\n<h1>");
    h.text(title, 100);
    h.raw("</h1>\n");
    h.raw(body);
    h.raw("</main>\n</body>\n</html>\n");
    h.done()
}

/// What is shown to who has no cookie.
pub(super) fn refused() -> String {
    alone(
        "Not from here",
        "<p>Open the address that <code>bosc dashboard</code> printed: its token lets this browser in. A new start of the command \
         prints a new one.</p>\n",
    )
}

pub(super) fn not_found() -> String {
    alone("Nothing here", "<p>This line is not shown (any more). <a href=\"/\">All lines</a></p>\n")
}

/// Asks for the password.
pub(super) fn login(wrong: bool) -> String {
    match wrong {
        true => alone(
            "Bosc dashboard",
            "<form method=\"post\" action=\"/login\">\n<p id=\"wrong\" class=\"bad\" role=\"alert\">That is not the password.</p>\n\
             <label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" type=\"password\" \
             autocomplete=\"current-password\" aria-describedby=\"wrong\" required autofocus>\n<button>Open</button>\n</form>\n",
        ),
        false => alone(
            "Bosc dashboard",
            "<form method=\"post\" action=\"/login\">\n<label for=\"password\">Password</label>\n<input id=\"password\" \
             name=\"password\" type=\"password\" autocomplete=\"current-password\" required autofocus>\n<button>Open</button>\n\
             </form>\n",
        ),
    }
}

#[cfg(test)]
mod tests;
