//! What people read of a dashboard.

use crate::plain::Tone;
use crate::printer::Printer;
use bosc_release::dashboard::event::DashboardEvent;

/// The lines of an event.
pub(crate) fn dashboard(p: &Printer, event: &DashboardEvent) {
    let DashboardEvent::Dashboard { url, address, loopback, password } = event;
    p.data(url);
    match (loopback, password) {
        (true, false) => p.say(
            Tone::Plain,
            "Open this address in a browser on this machine. Whoever has it can see the page; Ctrl+C ends it",
        ),
        (true, true) => p.say(Tone::Plain, "Open this address in a browser on this machine; Ctrl+C ends it"),
        (false, _) => {
            p.say(
                Tone::Plain,
                &format!("Every machine that reaches {address} can ask for the page; Ctrl+C ends it"),
            );
            p.say(
                Tone::Warn,
                "It is not encrypted: who can read this network can read the password and the page. Put a server with TLS in \
                 front, or use SSH (`ssh -L`) and leave --addr out",
            );
        }
    }
}
