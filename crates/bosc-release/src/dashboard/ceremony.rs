//! How far a release is that a quorum signs: from the journal of commits, and from a folder in which requests and responses are
//! collected. Nothing is signed or committed here.
//!
//! Bounds: [`MAX_FILES`] files of [`MAX_FILE`] bytes, [`MAX_TEXTS`] texts. What is neither request nor response is left out without a
//! word; a response that does not count is named.

use super::snapshot::{CeremonyStage, CeremonyView, LineView, NextStep, SignerView, cut};
use crate::multisig::event::Verdict;
use crate::multisig::journal::{Journal, Phase};
use crate::multisig::{quorum, text};
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_format::manifest::Manifest;
use bosc_format::signing::Request;
use std::collections::BTreeSet;
use std::path::Path;

/// Most files of the folder that are read.
const MAX_FILES: usize = 64;
/// Longest file in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Most texts.
const MAX_TEXTS: usize = 256;

/// What a folder holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    requests: Vec<(Request, Vec<u8>, String)>,
    responses: Vec<String>,
}

impl Collected {
    /// Reads a folder; one that cannot be read holds nothing.
    pub(super) fn read(folder: &Path) -> Self {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(4 * MAX_FILES)
            .map(|item| item.path())
            .collect();
        names.sort();
        let mut texts = Vec::new();
        for path in names.iter().take(MAX_FILES) {
            let Ok(Some(bytes)) = bosc_files::read_bounded(path, MAX_FILE) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            texts.extend(text.split_whitespace().take(MAX_TEXTS - texts.len()).map(str::to_owned));
        }
        Self::of(texts)
    }

    /// Who signs a link, by a request for it: before its first release nothing here says so otherwise.
    pub(super) fn manifest(&self, key: &CoreKey) -> Option<Manifest> {
        self.requests.iter().map(|(request, ..)| &request.manifest).find(|m| m.key() == *key).cloned()
    }

    fn of(texts: Vec<String>) -> Self {
        let mut out = Self::default();
        for word in texts {
            if let Ok((request, bytes)) = text::request(&word) {
                out.requests.push((request, bytes, word));
            } else if text::response(&word).is_ok() && !out.responses.contains(&word) {
                out.responses.push(word);
            }
        }
        out
    }
}

/// Where a link's next release is. None for a link that one key writes.
pub(super) fn ceremony(
    key: &CoreKey,
    manifest: &Manifest,
    length: u64,
    journal: &Journal,
    collected: &Collected,
) -> Option<(CeremonyView, Option<String>)> {
    if manifest.signers.len() < 2 {
        return None;
    }
    let mut view = CeremonyView {
        quorum: manifest.quorum,
        signers: manifest
            .signers
            .iter()
            .map(|s| SignerView { key: id::encode(&s.public_key), signed: false })
            .collect(),
        ..CeremonyView::default()
    };
    // The newest request that asks for something new wins over what was committed before.
    let open = collected
        .requests
        .iter()
        .filter(|(r, ..)| r.manifest.key() == *key && r.length > length)
        .max_by_key(|(r, ..)| r.length);
    let record = journal.get(key);
    let (request, bytes, text, responses, phase) = match (open, record) {
        (Some((request, bytes, text)), record) => {
            let phase = record.filter(|r| r.is_for(text)).map(|r| r.phase);
            let kept = record.filter(|r| r.is_for(text)).map(|r| r.responses.clone()).unwrap_or_default();
            let all: BTreeSet<String> = collected.responses.iter().cloned().chain(kept).collect();
            (request.clone(), bytes.clone(), text.clone(), all.into_iter().collect::<Vec<_>>(), phase)
        }
        (None, Some(record)) => {
            let Ok((request, bytes)) = text::request(&record.request) else { return Some((view, None)) };
            (request, bytes, record.request.clone(), record.responses.clone(), Some(record.phase))
        }
        (None, None) => return Some((view, None)),
    };
    view.length = Some(request.length);
    if let Ok(judged) = quorum::judge(&request, &bytes, &responses) {
        for response in &judged.valid {
            if let Some(s) = view.signers.iter_mut().find(|s| s.key == id::encode(&response.public_key)) {
                s.signed = true;
            }
        }
        for (key, verdict) in &judged.verdicts {
            let what = match verdict {
                Verdict::UnknownSigner => "is from a key that may not sign this link",
                Verdict::InvalidSignature => "has a signature that is wrong",
                // Answers to earlier requests lie in the same folder.
                Verdict::OtherRequest | Verdict::Valid | Verdict::Duplicate => continue,
            };
            view.problems.push(format!("The response of {} {what}", cut(&id::encode(key), 12)));
        }
    }
    let signed = view.signers.iter().filter(|s| s.signed).count() as u64;
    view.stage = match phase {
        Some(Phase::Begun) => CeremonyStage::Begun,
        Some(Phase::Written) => CeremonyStage::Written,
        Some(Phase::Committed) => CeremonyStage::Committed,
        None if signed >= view.quorum => CeremonyStage::Ready,
        None => CeremonyStage::Collecting,
    };
    Some((view, Some(text)))
}

/// What to run next for it. `source`: the line it comes from.
pub(super) fn steps(view: &CeremonyView, request: Option<&str>, source: Option<&LineView>) -> Vec<NextStep> {
    let step = |why: &str, command: String| NextStep { why: why.to_owned(), command };
    let verlink = source.and_then(|s| s.verlink.as_deref());
    let shown = verlink.unwrap_or("VERLINK");
    let request = request.unwrap_or("REQUEST");
    match view.stage {
        CeremonyStage::Idle | CeremonyStage::Committed => Vec::new(),
        CeremonyStage::Collecting => {
            let signed = view.signers.iter().filter(|s| s.signed).count() as u64;
            let missing = view.quorum.saturating_sub(signed);
            let from = source.and_then(|s| s.link.as_deref());
            let from = from.map(|l| format!(" --source {l}")).unwrap_or_default();
            let plural = if missing == 1 { "signature is" } else { "signatures are" };
            vec![step(
                &format!("{missing} more {plural} missing: send this to the signers who have not signed"),
                format!("bosc multisig sign {request}{from}"),
            )]
        }
        CeremonyStage::Ready => vec![
            step(
                "Enough have signed. First check everything:",
                format!("bosc multisig verify {shown} {request} RESPONSE..."),
            ),
            step("Then release it:", format!("bosc multisig commit {shown} {request} RESPONSE...")),
        ],
        CeremonyStage::Begun | CeremonyStage::Written => vec![step(
            "The commit is not finished: run the same command again",
            format!("bosc multisig commit {shown} {request} RESPONSE..."),
        )],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_format::crypto::KeyPair;
    use bosc_format::manifest::Manifest;
    use bosc_format::signing::Content;

    struct Quorum {
        keys: Vec<KeyPair>,
        manifest: Manifest,
    }

    impl Quorum {
        fn new() -> Self {
            let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_seed(&[n; 32])).collect();
            let public: Vec<_> = keys.iter().map(KeyPair::public).collect();
            let manifest = Manifest::multisig(&public, 2, "test");
            Self { keys, manifest }
        }

        fn request(&self, length: u64) -> Request {
            Request {
                version: 3,
                length,
                fork: 0,
                tree_hash: [9; 32],
                manifest: self.manifest.clone(),
                content: Some(Content { length: 4, tree_hash: [8; 32] }),
            }
        }

        fn seen(&self, texts: Vec<String>, length: u64) -> (CeremonyView, Option<String>) {
            let collected = Collected::of(texts);
            ceremony(&self.manifest.key(), &self.manifest, length, &Journal::default(), &collected).unwrap()
        }
    }

    #[test]
    fn who_signed_and_what_is_missing() {
        let q = Quorum::new();
        assert_eq!(q.seen(vec![], 0).0.stage, CeremonyStage::Idle);
        let request = q.request(5).to_text();
        let (parsed, bytes) = text::request(&request).unwrap();
        let sign = |n: usize| parsed.sign(&bytes, &q.keys[n]).unwrap().to_text();
        let (view, asked) = q.seen(vec!["noise".into(), request.clone(), sign(2)], 0);
        assert_eq!(view.stage, CeremonyStage::Collecting);
        assert_eq!(view.signers.iter().map(|s| s.signed).collect::<Vec<_>>(), [false, false, true]);
        let steps_now = steps(&view, asked.as_deref(), None);
        assert!(
            steps_now[0].command.starts_with("bosc multisig sign ") && steps_now[0].why.starts_with("1 more")
        );
        let (view, _) = q.seen(vec![request.clone(), sign(2), sign(0)], 0);
        assert_eq!(view.stage, CeremonyStage::Ready);
        // What the link already holds is no open request.
        assert_eq!(q.seen(vec![request, sign(2)], 5).0.stage, CeremonyStage::Idle);
    }

    #[test]
    fn a_folder_is_read_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let q = Quorum::new();
        std::fs::write(dir.path().join("request"), q.request(5).to_text()).unwrap();
        std::fs::write(dir.path().join("large"), vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let read = Collected::read(dir.path());
        assert_eq!((read.requests.len(), read.responses.len()), (1, 0));
        assert_eq!(read.manifest(&q.manifest.key()), Some(q.manifest.clone()));
        assert_eq!(read.manifest(&[1; 32]), None);
        assert!(Collected::read(&dir.path().join("none")).requests.is_empty());
    }
}
