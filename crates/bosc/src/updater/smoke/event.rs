//! What `updater smoke` tells, and what it ends with.

use serde::Serialize;

/// What happens during `updater smoke`.
#[derive(Debug, Serialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case")]
pub(super) enum SmokeEvent {
    /// A step that went well.
    Step {
        /// What it showed.
        #[serde(flatten)]
        data: SmokeStep,
        /// Its name.
        step: &'static str,
    },
    /// The release says another version than the running program.
    VersionMismatch {
        /// The former.
        release: String,
        /// The latter.
        running: String,
    },
}

/// What a step showed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum SmokeStep {
    Installed { version: String, kind: &'static str, entries: usize, bytes: u64 },
    OldRuns { ended: bool },
    Applied { version: String, method: String, bytes: u64 },
    Healthy { pid: Option<u32>, seconds: f64, by: &'static str },
    Committed { floor: Option<String>, previous: String },
    Broken { version: String, how: &'static str },
    RolledBack { version: String, restored: String, reason: String, pid: u32 },
    Refused { version: String },
}

impl SmokeStep {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "installed",
            Self::OldRuns { .. } => "old-runs",
            Self::Applied { .. } => "applied",
            Self::Healthy { .. } => "healthy",
            Self::Committed { .. } => "committed",
            Self::Broken { .. } => "broken",
            Self::RolledBack { .. } => "rolled-back",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What `updater smoke` ends with.
#[derive(Debug, Serialize)]
pub(crate) struct Smoked {
    /// How many steps went well.
    pub(crate) steps: u32,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_names_that_others_read() {
        let version = || "1.0.0".to_owned();
        let steps = [
            (
                SmokeStep::Installed { version: version(), kind: "file", entries: 1, bytes: 2 },
                r#"{"version":"1.0.0","kind":"file","entries":1,"bytes":2,"step":"installed"}"#,
            ),
            (SmokeStep::OldRuns { ended: true }, r#"{"ended":true,"step":"old-runs"}"#),
            (
                SmokeStep::Applied { version: version(), method: "exchange".into(), bytes: 2 },
                r#"{"version":"1.0.0","method":"exchange","bytes":2,"step":"applied"}"#,
            ),
            (
                SmokeStep::Healthy { pid: None, seconds: 0.5, by: "word" },
                r#"{"pid":null,"seconds":0.5,"by":"word","step":"healthy"}"#,
            ),
            (
                SmokeStep::Committed { floor: None, previous: version() },
                r#"{"floor":null,"previous":"1.0.0","step":"committed"}"#,
            ),
            (
                SmokeStep::Broken { version: version(), how: "no-program" },
                r#"{"version":"1.0.0","how":"no-program","step":"broken"}"#,
            ),
            (
                SmokeStep::RolledBack {
                    version: version(),
                    restored: "0.9.0".into(),
                    reason: "not-healthy".into(),
                    pid: 7,
                },
                r#"{"version":"1.0.0","restored":"0.9.0","reason":"not-healthy","pid":7,"step":"rolled-back"}"#,
            ),
            (SmokeStep::Refused { version: version() }, r#"{"version":"1.0.0","step":"refused"}"#),
        ];
        for (step, data) in steps {
            let name = step.name();
            let event = SmokeEvent::Step { data: step, step: name };
            let text = format!(r#"{{"tag":"step","data":{data}}}"#);
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
        }
        let event = SmokeEvent::VersionMismatch { release: "2.0.0".into(), running: version() };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"tag":"version-mismatch","data":{"release":"2.0.0","running":"1.0.0"}}"#
        );
        assert_eq!(serde_json::to_string(&Smoked { steps: 12 }).unwrap(), r#"{"steps":12}"#);
    }
}
