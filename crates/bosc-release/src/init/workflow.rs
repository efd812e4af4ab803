//! The workflow that releases every tag `v1.2.3`: for each platform a job that builds, then one that publishes with what
//! docs/ci.md asks for: one run at a time, the secret from the environment, and the snapshot committed whatever happened.
//!
//! Names and paths in it were checked before (`look`): letters, digits and a few signs, so that neither YAML nor the shell nor the
//! runner reads anything else in them. Builds travel as archives, which keep links and executable bits.

use super::found::{Found, Tool};
use super::look::package_manager;
use crate::build::release_name;
use std::fmt::Write;
use std::path::Path;

/// For whom a workflow is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ci {
    /// GitHub.
    #[default]
    Github,
    /// GitLab.
    Gitlab,
    /// No workflow.
    None,
}

/// Where GitHub's is.
pub(super) const GITHUB: &str = ".github/workflows/bosc-publish.yml";
/// Where GitLab's is, if it is the only one, and beside another.
pub(super) const GITLAB: [&str; 2] = [".gitlab-ci.yml", ".gitlab/bosc-publish.yml"];

/// What begins each of them.
pub(super) const MARK: &str = "# Made by `bosc init`";

const SECRETS: &str = "\
# Secrets it needs, one of:
#   BOSC_PRIMARY_KEY_FILE  what `bosc keys backup --shared FILE` wrote on the machine that ran `bosc init`, and BOSC_PASSPHRASE
#   BOSC_PRIMARY_KEY       64 hex characters, if that was set where `bosc init` ran
# Two machines that stay online run `bosc seed` with the link: a run leaves the release with them, and the next learns from them.
";

/// A workflow.
pub(super) struct Workflow<'a> {
    pub(super) dir: &'a Path,
    pub(super) found: &'a Found,
    pub(super) name: &'a str,
    pub(super) link_name: &'a str,
}

impl Workflow<'_> {
    fn head(&self) -> String {
        format!(
            "{MARK}: releases {} with every tag such as v1.2.3. See docs/ci.md of Bosc.\n{SECRETS}",
            self.name
        )
    }

    /// For GitHub.
    pub(super) fn github(&self) -> String {
        let mut out = self.head();
        out.push_str(
            "name: publish\non:\n  push:\n    tags: ['v*']\npermissions:\n  contents: write # for the snapshot\n\
             concurrency: publish # one at a time\njobs:\n",
        );
        let builds = !self.found.builds.is_empty();
        if builds {
            out.push_str("  build:\n    strategy:\n      matrix:\n        include:\n");
            for (platform, build) in &self.found.builds {
                let runner = runner(platform);
                let to = release_name(&build.path, self.name, &[]);
                let _ = writeln!(
                    out,
                    "          - {{ platform: {platform}, runner: {runner}, build: {}, as: {} }}",
                    quoted(&glob(&build.path, self.name)),
                    quoted(&to)
                );
            }
            out.push_str(
                "    runs-on: ${{ matrix.runner }}\n    steps:\n      - uses: actions/checkout@v5\n",
            );
            out.push_str(&self.steps());
            out.push_str(
                "      - shell: bash\n        run: |\n          mkdir -p 'builds/${{ matrix.platform }}'\n          \
                 cp -R ${{ matrix.build }} 'builds/${{ matrix.platform }}/${{ matrix.as }}'\n          \
                 tar -cf '${{ matrix.platform }}.tar' builds # keeps links and executable bits\n      \
                 - uses: actions/upload-artifact@v4\n        with:\n          name: ${{ matrix.platform }}\n          \
                 path: ${{ matrix.platform }}.tar\n",
            );
        }
        out.push_str("  publish:\n");
        if builds {
            out.push_str("    needs: build\n");
        }
        out.push_str("    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n");
        if builds {
            out.push_str(
                "      - uses: actions/download-artifact@v4\n        with:\n          merge-multiple: true\n      \
                 - run: for archive in *.tar; do tar -xf \"$archive\" && rm \"$archive\"; done\n",
            );
        } else if self.found.candidate.tool == Tool::Pear {
            out.push_str(&self.steps());
        }
        out.push_str("      - uses: bosc-project/bosc/.github/actions/publish@main\n        with:\n          folder: .\n");
        if builds {
            out.push_str("          builds: builds\n");
        }
        let name = self.link_name;
        let _ = write!(
            out,
            "          name: {}\n          primary-key: ${{{{ secrets.BOSC_PRIMARY_KEY }}}}\n          \
             primary-key-file: ${{{{ secrets.BOSC_PRIMARY_KEY_FILE }}}}\n          \
             passphrase: ${{{{ secrets.BOSC_PASSPHRASE }}}}\n      \
             - if: always() # also after a failure: a peer may have seen the release\n        run: |\n          \
             git config user.name ci && git config user.email ci@localhost\n          \
             git add ci/snapshot.json\n          \
             git diff --cached --quiet || {{ git commit -m 'snapshot of {name}' && git push origin HEAD:${{{{ \
             github.event.repository.default_branch }}}}; }}\n",
            quoted(name)
        );
        out
    }

    /// For GitLab. Its runners are Linux's, so that it builds for the platform of `bosc init` and what is for Linux.
    pub(super) fn gitlab(&self) -> String {
        let mut out = self.head();
        let mut jobs = Vec::new();
        for (platform, build) in &self.found.builds {
            if !platform.starts_with("linux") {
                let _ =
                    writeln!(out, "# {platform}: add a job like build-linux-x64 on a runner of that system.");
                continue;
            }
            let to = release_name(&build.path, self.name, &[]);
            let mut job = format!(
                "build-{platform}:\n  stage: build\n  image: {}\n  rules:\n    - if: $CI_COMMIT_TAG =~ /^v/\n  script:\n",
                self.image()
            );
            for line in self.commands() {
                let _ = writeln!(job, "    - {}", quoted(&line));
            }
            let _ = writeln!(job, "    - mkdir -p builds/{platform}");
            let copy = format!("cp -R {} 'builds/{platform}/{to}'", glob(&build.path, self.name));
            let _ = writeln!(job, "    - {}", quoted(&copy));
            let _ = writeln!(job, "    - tar -cf {platform}.tar builds # keeps links and executable bits");
            let _ = write!(job, "  artifacts:\n    paths: ['{platform}.tar']\n    expire_in: 1 day\n");
            jobs.push(job);
        }
        out.push_str("stages: [build, publish]\n");
        out.extend(jobs);
        let extract = match self.found.builds.is_empty() {
            true => "",
            false => {
                "    - for archive in *.tar; do tar -xf \"$archive\" && rm \"$archive\"; done\n    - export PUBLISH_BUILDS=builds\n"
            }
        };
        let _ = write!(
            out,
            "publish:\n  stage: publish\n  image: rust:latest\n  resource_group: publish # one at a time\n  rules:\n    \
             - if: $CI_COMMIT_TAG =~ /^v/\n  script:\n    \
             - git clone --depth 1 https://github.com/bosc-project/bosc /opt/bosc\n    \
             - cargo install --locked --path /opt/bosc/crates/bosc\n{extract}    \
             - PUBLISH_NAME={} sh /opt/bosc/docs/ci-publish.sh .\n  artifacts:\n    when: always # commit it: the next run \
             writes on top of nothing shorter\n    paths: [ci/snapshot.json]\n",
            quoted(self.link_name)
        );
        out
    }

    /// What a job needs before it can build, and the build.
    fn steps(&self) -> String {
        let mut out = String::new();
        let tool = self.found.candidate.tool;
        if uses_node(tool, self.dir) {
            out.push_str("      - uses: actions/setup-node@v5\n        with:\n          node-version: 22\n");
        }
        if tool == Tool::Pyinstaller {
            out.push_str(
                "      - uses: actions/setup-python@v6\n        with:\n          python-version: '3.13'\n",
            );
        }
        if tool == Tool::Tauri {
            out.push_str(
                "      - if: runner.os == 'Linux'\n        run: sudo apt-get update && sudo apt-get install -y libwebkit2gtk-4.1-dev \
                 libayatana-appindicator3-dev librsvg2-dev patchelf\n",
            );
        }
        for line in self.commands() {
            let _ = writeln!(out, "      - run: {}", quoted(&line));
        }
        out
    }

    fn commands(&self) -> Vec<String> {
        let mut out = Vec::new();
        let tool = self.found.candidate.tool;
        if uses_node(tool, self.dir) {
            let manager = package_manager(self.dir);
            out.push(match manager {
                "npm" if self.dir.join("package-lock.json").is_file() => "npm ci".to_owned(),
                "npm" => "npm install".to_owned(),
                "bun" => "npm install --global bun && bun install --frozen-lockfile".to_owned(),
                other => format!("npm install --global {other} && {other} install --frozen-lockfile"),
            });
        }
        match tool {
            Tool::Pyinstaller => out.push("pip install pyinstaller .".to_owned()),
            Tool::Tauri if self.found.build_command.as_deref() == Some("cargo tauri build") => {
                out.push("cargo install tauri-cli --locked".to_owned());
            }
            _ => {}
        }
        out.extend(self.found.build_command.clone());
        out
    }

    fn image(&self) -> &'static str {
        match self.found.candidate.tool {
            Tool::Cargo | Tool::Tauri => "rust:latest",
            Tool::Pyinstaller => "python:3.13",
            _ => "node:22",
        }
    }
}

fn uses_node(tool: Tool, dir: &Path) -> bool {
    match tool {
        Tool::ElectronBuilder | Tool::ElectronForge | Tool::Pear | Tool::Node => true,
        Tool::Tauri => dir.join("package.json").is_file(),
        _ => false,
    }
}

fn runner(platform: &str) -> &'static str {
    match platform {
        "darwin-arm64" => "macos-latest",
        "darwin-x64" => "macos-15-intel",
        "linux-arm64" => "ubuntu-24.04-arm",
        "win32-arm64" => "windows-11-arm",
        "win32-x64" => "windows-latest",
        _ => "ubuntu-latest",
    }
}

/// A path as a word of the shell; the version, which changes, is any text.
fn glob(path: &str, name: &str) -> String {
    let parts: Vec<String> = path
        .replace("{name}", name)
        .split("{version}")
        .map(|part| if part.is_empty() { String::new() } else { format!("'{part}'") })
        .collect();
    parts.join("*")
}

/// A string of YAML: one of JSON is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
