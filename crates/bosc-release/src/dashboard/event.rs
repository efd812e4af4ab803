//! What `dashboard` reports on the way.

use serde::{Deserialize, Serialize};

/// What happens while a dashboard is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DashboardEvent {
    /// It is served.
    Dashboard {
        /// What to open. It has the token when no password is needed: whoever has it gets in.
        url: String,
        /// Address and port.
        address: String,
        /// Only this machine reaches it.
        loopback: bool,
        /// A password is asked for.
        password: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn what_dashboard_reports_has_the_names_that_others_read() {
        golden::events(vec![(
            DashboardEvent::Dashboard {
                url: "u".into(),
                address: "a".into(),
                loopback: true,
                password: false,
            },
            "dashboard",
            r#"{"url":"u","address":"a","loopback":true,"password":false}"#,
        )]);
    }
}
