//! What a service's library says went wrong, without what nobody else may read.
//!
//! Invariant: no value of a variable that credentials come from is in a reason, whatever the library quotes; nor a user or password of an
//! address. A reason is one line and at most [`MAX`] characters: services answer with pages.

use std::fmt;

/// Most characters of a reason.
const MAX: usize = 300;
/// What the variables begin with that services and this program read.
const PREFIXES: [&str; 6] =
    ["AWS_", "GOOGLE_", "AZURE_", "AZ_", concat!("BOSC_", "MIRROR_"), "SERVICE_ACCOUNT"];
/// Values that are shorter hide nothing, and stand in many words.
const LEAST: usize = 6;

/// One line that says why.
#[derive(Debug)]
pub(super) struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl Reason {
    /// What an error says, and whatever it was caused by.
    pub(super) fn of(e: &dyn std::error::Error) -> Self {
        let mut text = e.to_string();
        let mut source = e.source();
        while let Some(e) = source {
            let more = e.to_string();
            // Most say their source themselves.
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = e.source();
        }
        let secret = |name: &str| PREFIXES.iter().any(|p| name.starts_with(p));
        let values: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, value)| secret(name) && value.len() >= LEAST)
            .collect();
        Self(shown(&text, &values))
    }
}

fn shown(text: &str, values: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    // The longest first: a value may hold another.
    let mut values: Vec<_> = values.iter().collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    for (name, value) in values {
        let quoted = format!("{value:?}");
        let escaped = quoted.trim_matches('"');
        for form in [escaped, value.as_str(), value.trim_end_matches('/')] {
            if form.len() >= LEAST {
                text = text.replace(form, &format!("(the value of {name})"));
            }
        }
    }
    let line = without_users(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= MAX {
        return line;
    }
    line.chars().take(MAX).chain(['…']).collect()
}

/// Leaves out what stands before `@` in addresses.
fn without_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '"').unwrap_or(after.len());
        let authority = after.get(..end).unwrap_or_default();
        rest = match authority.rfind('@') {
            Some(at) => after.get(at + 1..).unwrap_or_default(),
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str, value: &str) -> String {
        shown(text, &[("GOOGLE_SERVICE_ACCOUNT".to_owned(), value.to_owned())])
    }

    #[test]
    fn values_of_the_environment_are_in_no_reason() {
        let key = "{\"private_key\":\"SECRET\nSECRET\"}";
        for text in [format!("no file {key}: x"), format!("no file {key:?}: x")] {
            let line = hidden(&text, key);
            assert!(
                !line.contains("SECRET") && line.contains("(the value of GOOGLE_SERVICE_ACCOUNT)"),
                "{line}"
            );
        }
        assert_eq!(
            hidden("at http://host:1/b", "http://host:1/"),
            "at (the value of GOOGLE_SERVICE_ACCOUNT)b"
        );
        assert_eq!(hidden("at http://host:1", "http://host:1/"), "at (the value of GOOGLE_SERVICE_ACCOUNT)");
        assert_eq!(hidden("a b", "a"), "a b", "what hides nothing stays");
    }

    #[test]
    fn users_of_addresses_are_in_no_reason() {
        assert_eq!(
            hidden("at http://u:p@ss@host/x and https://h/@y", "-"),
            "at http://host/x and https://h/@y"
        );
    }

    #[test]
    fn a_page_becomes_a_line() {
        let line = hidden(&format!("501\n\t<html>\u{1b}[31m{}", "é ".repeat(1000)), "-");
        assert!(line.starts_with("501 <html>[31mé é") && line.chars().count() == MAX + 1, "{line}");
    }

    #[test]
    fn a_cause_that_is_not_quoted_is_said() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        assert_eq!(Reason::of(&Outer(std::io::Error::other("inner"))).to_string(), "outer: inner");
    }
}
