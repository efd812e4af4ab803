//! `bosc.toml`: `[publish]` is put in, and everything else keeps its bytes.

use super::found::Build;
use crate::error::{CommandError, ErrorKind};
use crate::publish::project_file::{FILE_NAME, ProjectFile};
use std::collections::BTreeMap;
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

/// The head of a file that is made anew.
const HEAD: &str = "\
# What `bosc publish` releases from this folder, and release lines if there are any (`bosc help line`). A link is the right to
# read what is on it: keep this file with the project and out of what is released.
";

/// What is to stand in `[publish]`; what stands there already is kept.
pub(super) struct Publishing<'a> {
    pub(super) package: &'a str,
    pub(super) link_name: Option<&'a str>,
    pub(super) builds: &'a BTreeMap<String, Build>,
}

/// The text of the file, from the one that is there.
///
/// # Errors
/// `ERR_INVALID_CONFIG`.
pub(super) fn text(old: Option<&str>, of: &Publishing<'_>) -> Result<String, CommandError> {
    let (mark, body) = match old {
        Some(old) => old.strip_prefix('\u{feff}').map_or(("", old), |body| ("\u{feff}", body)),
        None => ("", HEAD),
    };
    let known = ProjectFile::parse(body)?.unwrap_or_default();
    let mut doc: DocumentMut =
        body.parse().map_err(|e: toml_edit::TomlError| damaged(&crate::toml_fault::edit(body, &e)))?;
    let comments = doc.is_empty();
    if comments {
        doc = DocumentMut::new();
    }
    let complete = known.package.is_some()
        && (known.link_name.is_some() || of.link_name.is_none())
        && of.builds.keys().all(|platform| known.builds.contains_key(platform));
    if complete {
        return Ok(old.unwrap_or(HEAD).to_owned());
    }
    let table = below(doc.as_table_mut(), "publish")?;
    if known.package.is_none() {
        table.insert("package", value(of.package));
        comment(table, "package", "# Says name, version and, as `upgrade`, the link.\n");
    }
    if let (None, Some(name)) = (&known.link_name, of.link_name) {
        table.insert("link-name", value(name));
        comment(
            table,
            "link-name",
            "# Which link of this store's primary key it is: see docs/ci.md of Bosc.\n",
        );
    }
    if !of.builds.is_empty() {
        let builds = below(table, "builds")?;
        for (platform, build) in of.builds {
            if !builds.contains_key(platform) {
                builds.insert(platform, value(build.path.as_str()));
            }
        }
    }
    // Comments without a table behind them are the end of a document: what is new comes after them.
    let out = match comments {
        true => format!("{mark}{body}\n{}", doc.to_string().trim_start()),
        false => format!("{mark}{doc}"),
    };
    let crlf = body.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'));
    let out = if crlf { out.replace("\r\n", "\n").replace('\n', "\r\n") } else { out };
    // What was written is what is read.
    ProjectFile::parse(out.trim_start_matches('\u{feff}'))?;
    Ok(out)
}

fn below<'t>(table: &'t mut dyn TableLike, name: &str) -> Result<&'t mut dyn TableLike, CommandError> {
    if table.get(name).is_none() {
        table.insert(name, Item::Table(Table::new()));
    }
    table
        .get_mut(name)
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| damaged(&format!("{name} is not a table")))
}

fn comment(table: &mut dyn TableLike, key: &str, text: &str) {
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(text);
    }
}

fn damaged(what: &str) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_CONFIG", format!("{FILE_NAME}: {what}"))
        .hint("correct the file and run `bosc init` again")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_a_second_time_changes_nothing() {
        let build = |path: &str| Build { path: path.into(), there: true };
        let builds = BTreeMap::from([("linux-x64".to_owned(), build("dist/a"))]);
        let of = Publishing { package: "package.json", link_name: Some("a-1"), builds: &builds };
        let made = text(None, &of).unwrap();
        assert!(made.starts_with("# What `bosc publish`"), "{made}");
        assert_eq!(text(Some(&made), &of).unwrap(), made);
        let lines = "# mine\r\n[line.rc]\r\nkind = \"stage\" # here\r\n";
        let both = text(Some(lines), &of).unwrap();
        assert!(both.starts_with(lines) && both.contains("linux-x64 = \"dist/a\"\r\n"), "{both}");
        assert_eq!(text(Some(&both), &of).unwrap(), both);
        // What a person changed counts; another platform is added.
        let mine = made.replace("dist/a", "mine/a");
        assert_eq!(text(Some(&mine), &of).unwrap(), mine);
        let remark = text(Some("# mine\n"), &of).unwrap();
        assert!(remark.starts_with("# mine\n\n[publish]\n"), "{remark}");
        let more = BTreeMap::from([("linux-x64".into(), build("x")), ("win32-x64".into(), build("w"))]);
        let more = text(Some(&mine), &Publishing { builds: &more, ..of }).unwrap();
        assert_eq!(more, format!("{mine}win32-x64 = \"w\"\n"));
        for bad in ["[publish", "publish = 1", "[publish]\nbuilds = 1"] {
            let of = Publishing { package: "p", link_name: None, builds: &builds };
            assert_eq!(text(Some(bad), &of).unwrap_err().code(), "ERR_INVALID_CONFIG", "{bad}");
        }
    }
}
