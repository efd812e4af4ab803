//! What other programs keep passwords and tokens in, told by what it says rather than by its name: such files are copied
//! and renamed. Only whole texts of at most [`HEAD`](super::kinds::HEAD) bytes are looked at.

use super::kinds::Suspect;
use super::search::find;
use serde_json::Value;

/// Settings whose values are secrets, in files of lines: `name = value`, `name: value` or `name value`.
const SETTINGS: [&str; 5] =
    ["aws_secret_access_key", "aws_session_token", "client-key-data", "_authtoken", "npmauthtoken"];

/// What a text is, by its content.
pub(super) fn looks(name: &str, text: &[u8]) -> Option<Suspect> {
    let text = std::str::from_utf8(text).ok()?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('{') {
        return json(start.as_bytes()).then_some(Suspect::Credentials);
    }
    if settings(text) {
        return Some(Suspect::Credentials);
    }
    if pypirc(text) || (matches!(name, "credentials" | "credentials.toml") && cargo(text)) {
        return Some(Suspect::RegistryToken);
    }
    let github = name == "hosts.yml"
        && text.lines().filter_map(setting).any(|(n, v)| n == "oauth_token" && is_value(v));
    (github || kubeconfig(start) || netrc(start) || git_credentials(start)).then_some(Suspect::Credentials)
}

/// A value that is written out: `$NAME` and `${NAME}` name a variable, `<...>` and `...` stand for one.
fn is_value(value: &str) -> bool {
    let value = value.trim().trim_end_matches([',', ';']).trim_matches(['"', '\'']);
    !value.is_empty()
        && !value.starts_with(['$', '<', '%', '{', '*'])
        && !value.contains("...")
        && value != "null"
}

/// Name and value of a line that sets something.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").or(line.strip_prefix("set ")).unwrap_or(line);
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once(['=', ' ']).or(line.split_once(':'))?;
    let name = name.trim_end_matches(':').trim().trim_matches(['"', '\'']);
    Some((name, value.trim_start_matches(['=', ':', ' '])))
}

/// Lines of any ini, YAML, properties or shell file that set what is only ever a secret. In a program a name stands there.
fn settings(text: &str) -> bool {
    text.lines().filter_map(setting).any(|(name, value)| {
        // A registry's host may stand in front: `//registry.npmjs.org/:_authToken`.
        let name = name.rsplit(':').next().unwrap_or(name);
        SETTINGS.iter().any(|s| name.eq_ignore_ascii_case(s)) && is_literal(value)
            || matches!(name, "BOSC_PASSPHRASE" | "BOSC_NEW_PASSPHRASE")
                && is_value(value)
                && !value.contains('(')
    })
}

/// Whether a part of a long text sets one of those. Its lines are read only where such a name stands. `has_words`: whether it
/// has long words, as all but passphrases are.
pub(super) fn sets_secret(text: &[u8], has_words: bool) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"ecret_access_key",
        b"ECRET_ACCESS_KEY",
        b"session_token",
        b"SESSION_TOKEN",
        b"client-key-data",
        b"uthToken",
        b"authtoken",
    ];
    let named = || has_words && NAMES.iter().any(|name| find(text, name).is_some());
    (find(text, b"_PASSPHRASE").is_some() || named()) && settings(&String::from_utf8_lossy(text))
}

/// A long word as keys and tokens are.
fn is_literal(value: &str) -> bool {
    let word = value.split_ascii_whitespace().next().unwrap_or_default().trim_matches(['"', '\'', ',', ';']);
    word.len() >= 16 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))
}

/// `.pypirc`
fn pypirc(text: &str) -> bool {
    let mut inside = false;
    text.lines().any(|line| {
        inside |= matches!(line.trim(), "[distutils]" | "[pypi]" | "[testpypi]");
        inside && setting(line).is_some_and(|(name, value)| name == "password" && is_value(value))
    })
}

/// Cargo's `credentials.toml`.
fn cargo(text: &str) -> bool {
    text.lines()
        .filter_map(setting)
        .any(|(name, value)| matches!(name, "token" | "secret-key") && is_value(value))
}

/// A kubeconfig in YAML whose users have a secret of their own.
fn kubeconfig(start: &str) -> bool {
    let first = ["apiVersion:", "kind:", "clusters:", "contexts:", "users:", "current-context:", "---"];
    if !first.iter().any(|f| start.starts_with(f)) {
        return false;
    }
    let mut is_config = false;
    let mut has_secret = false;
    for line in start.lines() {
        let line = line.trim_start_matches(['-', ' ']);
        is_config |= line.trim_end() == "kind: Config";
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        has_secret |= matches!(name, "token" | "password" | "client-key-data" | "id-token" | "refresh-token")
            && is_value(value);
    }
    is_config && has_secret
}

/// `.netrc`
fn netrc(start: &str) -> bool {
    let mut words = start.split_ascii_whitespace();
    if !matches!(words.next(), Some("machine" | "default")) {
        return false;
    }
    let words: Vec<&str> = words.take(4096).collect();
    let value = words.windows(2).find(|w| w.first() == Some(&"password")).and_then(|w| w.get(1));
    words.contains(&"login") && value.is_some_and(|v| is_value(v))
}

/// `.git-credentials`: every line an address with a name and a password.
fn git_credentials(start: &str) -> bool {
    let mut some = false;
    for line in start.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let rest = line.strip_prefix("https://").or(line.strip_prefix("http://"));
        let Some((user, _)) = rest.and_then(|r| r.split('/').next()).and_then(|host| host.rsplit_once('@'))
        else {
            return false;
        };
        if !user.split_once(':').is_some_and(|(_, password)| is_value(password)) {
            return false;
        }
        some = true;
    }
    some
}

/// Docker's `config.json`, what gcloud and Google's APIs keep, and a kubeconfig in JSON.
fn json(text: &[u8]) -> bool {
    let marks: [&[u8]; 6] = [
        b"\"auths\"",
        b"\"refresh_token\"",
        b"\"client_secret\"",
        b"\"private_key\"",
        b"\"client-key-data\"",
        b"\"AccessToken\"",
    ];
    if !marks.iter().any(|m| find(text, m).is_some()) {
        return false;
    }
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return false };
    let has = |v: &Value, names: &[&str]| {
        names.iter().any(|n| v.get(n).and_then(Value::as_str).is_some_and(is_value))
    };
    let docker = value.get("auths").and_then(Value::as_object).is_some_and(|hosts| {
        hosts.values().any(|h| has(h, &["auth", "password", "identitytoken", "registrytoken"]))
    });
    let google = has(&value, &["refresh_token", "private_key"])
        || ["installed", "web"].iter().filter_map(|k| value.get(k)).any(|v| has(v, &["client_secret"]));
    let users = value.get("users").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let kube =
        users.iter().filter_map(|u| u.get("user")).any(|u| has(u, &["client-key-data", "token", "password"]));
    // Azure's cache of tokens.
    let azure = value.get("AccessToken").is_some_and(Value::is_object);
    docker || google || kube || azure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_known_by_what_they_say() {
        for (name, text) in [
            (
                "c.ini",
                "[default]\naws_access_key_id = AKIAX\naws_secret_access_key = wJalrXUtnFEMIK7MDENG/b\n",
            ),
            ("ci.sh", "export AWS_SECRET_ACCESS_KEY=\"wJalrXUtnFEMIK7MDENG+b\"\n"),
            (".pypirc", "[pypi]\nusername = __token__\npassword = pypi-AgEI\n"),
            ("x", "[distutils]\nindex-servers = a\n[a]\npassword: secret\n"),
            (".netrc", "machine api.x.com login me password abc\n"),
            ("_n", "machine api.x.com\n  login me\n  password abc\n"),
            ("g", "https://me:tok@github.com\nhttps://a:b@c.d/e\n"),
            ("k", "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    token: abc\n"),
            ("k2", "users:\n- user: {}\n- user:\n    client-key-data: LS0tLS1CRUdJTiBS\nkind: Config\n"),
            ("k.json", r#"{"kind":"Config","users":[{"user":{"client-key-data":"LS0t"}}]}"#),
            ("d.json", r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz"}}}"#),
            (
                "adc.json",
                r#"{"client_id":"x","client_secret":"y","refresh_token":"1//0abc","type":"authorized_user"}"#,
            ),
            ("client.json", r#"{"installed":{"client_id":"x","client_secret":"GOCSPX-a"}}"#),
            ("sa.json", r#"{"type":"service_account","private_key":"short"}"#),
            ("npm", "//registry.npmjs.org/:_authToken=npm_abcdefghijklmnop\n"),
            ("yarn", "npmAuthToken: \"abcdefghijklmnopq\"\n"),
            ("credentials.toml", "[registry]\ntoken = \"cio123\"\n"),
            ("hosts.yml", "github.com:\n    oauth_token: gho_x\n"),
            ("run.sh", "BOSC_PASSPHRASE=hunter2 bosc multisig sign\nBOSC_PASSPHRASE=hunter2\n"),
            ("msal.json", r#"{"AccessToken":{"a":{"secret":"x"}}}"#),
            ("web.json", r#"{"web":{"client_id":"x","client_secret":"GOCSPX-a"}}"#),
            ("marked.json", "\u{feff}\n{\"auths\":{\"ghcr.io\":{\"auth\":\"dXNlcjpwYXNz\"}}}"),
            ("remark", "aws_secret_access_key = wJalrXUtnFEMIK7MDENG/b # from the console, see ...\n"),
        ] {
            assert!(looks(name, text.as_bytes()).is_some(), "{name}");
        }
        for (name, text) in [
            (
                "c.ini",
                "[default]\n# aws_secret_access_key = x\nregion = eu\naws_secret_access_key = ${KEY}\n",
            ),
            (
                "doc.md",
                "Set `aws_secret_access_key`, then run.\nmachine learning needs a login and a password\n",
            ),
            ("x", "[pypi]\nusername = me\n[other]\n"),
            ("setup.cfg", "[metadata]\nname = a\npassword = x\n"),
            (".netrc", "machine api.x.com login me\n"),
            ("urls", "https://github.com/a/b\nhttps://me@github.com\n"),
            ("deploy.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  token: abc\n"),
            (
                "k",
                "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    exec: {}\n    token: null\n",
            ),
            ("d.json", r#"{"auths":{"ghcr.io":{}},"credsStore":"desktop"}"#),
            ("package.json", r#"{"name":"a","private_key":"","description":"\"auths\""}"#),
            ("schema.json", r#"{"properties":{"refresh_token":{"type":"string"}}}"#),
            ("npm", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n"),
            ("config.toml", "[registry]\ntoken = \"cio123\"\n"),
            ("code.py", "refresh_token = get()\naws_secret_access_key=settings.secret,\noauth_token = a\n"),
            ("s.sh", "BOSC_PASSPHRASE=$(pass show x)\n"),
            ("s.py", "BOSC_PASSPHRASE = os.getenv('X')\n"),
            ("short.py", "aws_secret_access_key=config\n"),
            ("essay", "machine learning: the password is long\n"),
        ] {
            let found = looks(name, text.as_bytes());
            assert!(found.is_none(), "{name}: {found:?}");
        }
    }
}
