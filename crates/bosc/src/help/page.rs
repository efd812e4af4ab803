//! What a page of the help is made of.

/// What is said of a command beside its line and its flags.
#[derive(Debug)]
pub(crate) struct Page {
    /// The words after `bosc`.
    pub(crate) path: &'static str,
    /// Some sentences, broken into lines; may be empty.
    pub(crate) details: &'static str,
    /// What is done and the command that does it.
    pub(crate) examples: &'static [(&'static str, &'static str)],
}
