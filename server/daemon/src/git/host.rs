//! The person's own git on this machine, asked about them and for credentials.
//!
//! It runs in a directory of Boxwood's, never in a project: a repository's configuration could name programs to run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use boxwood_core::credentials::Secret;
use boxwood_core::git::{Answer, Identity, Request, identity};
use tokio::process::Command;

use crate::credentials::process::{self, Bounds, RunError};
use crate::error::Result;
use crate::files;

/// What reading the configuration may take.
const READING: Bounds = Bounds { time: Duration::from_secs(5), output: 64 * 1024 };
/// What getting a credential may take: a helper may wait for a keyring, or have a token renewed.
const FILLING: Bounds = Bounds { time: Duration::from_secs(30), output: 64 * 1024 };
/// Most bytes of a public key's file.
const LARGEST_KEY: u64 = 64 * 1024;

/// The person's git.
#[derive(Debug, Clone)]
pub(crate) struct HostGit {
    program: PathBuf,
    /// Where it runs: empty, and no repository is looked for above it.
    directory: PathBuf,
    /// The person's home, for `~` in paths.
    home: Option<PathBuf>,
    /// Stands in for the person's configuration in tests.
    #[cfg(test)]
    configuration: Option<PathBuf>,
}

impl HostGit {
    /// The git that the person's `PATH` leads to.
    pub(crate) fn new(state: &Path, home: Option<String>) -> Self {
        Self {
            program: PathBuf::from("git"),
            directory: state.join("git"),
            home: home.map(PathBuf::from),
            #[cfg(test)]
            configuration: None,
        }
    }

    /// One that reads another configuration than the person's.
    #[cfg(all(test, unix))]
    pub(crate) fn with_configuration(mut self, path: &Path) -> Self {
        self.configuration = Some(path.to_path_buf());
        self
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        files::private_directory(&self.directory)?;
        let mut git = Command::new(&self.program);
        git.args(arguments).current_dir(&self.directory);
        git.env("GIT_CEILING_DIRECTORIES", self.directory.parent().unwrap_or(&self.directory));
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        #[cfg(test)]
        if let Some(path) = &self.configuration {
            git.env("GIT_CONFIG_GLOBAL", path).env("GIT_CONFIG_NOSYSTEM", "1");
        }
        Ok(git)
    }

    /// Who the person is; nobody where there is no git or it says nothing.
    pub(crate) async fn identity(&self) -> Result<Identity> {
        let arguments = ["config", "--global", "--includes", "--null", "--get-regexp", identity::WANTED];
        match process::run(self.command(&arguments)?, None, READING).await {
            Ok(ran) => Ok(Identity::parse(&ran.output)),
            Err(cause) => {
                tracing::info!(why = why(&cause), "the person's git configuration was not read");
                Ok(Identity::default())
            }
        }
    }

    /// What a file holds that is said to be a public key.
    pub(crate) fn key(&self, path: &str) -> Option<String> {
        let path = match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        };
        // Git takes the path of a private key as well; only the public one beside it is read.
        let is_public = path.extension().is_some_and(|extension| extension == "pub");
        let path = if is_public { path } else { PathBuf::from(format!("{}.pub", path.display())) };
        let bytes = path.is_absolute().then(|| files::read_project_file(&path, LARGEST_KEY).ok()).flatten()?;
        String::from_utf8(bytes).ok()
    }

    /// The person's credential for what is asked. Nobody is prompted: whoever could answer is not looking here.
    pub(crate) async fn fill(&self, request: &Request) -> std::result::Result<Answer, String> {
        let mut git = self.command(&["credential", "fill"]).map_err(|problem| problem.message)?;
        // An empty program to ask with is none.
        git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "");
        git.env("GCM_INTERACTIVE", "never");
        let input = Secret::new(request.lines());
        let ran = process::run(git, Some(&input), FILLING).await.map_err(|cause| why(&cause).to_owned())?;
        if ran.status != Some(0) {
            return Err("git on this machine has no credential for it".to_owned());
        }
        Answer::parse(&ran.output, request).map_err(|cause| cause.to_string())
    }
}

const fn why(cause: &RunError) -> &'static str {
    match cause {
        RunError::NotStarted(_) => "git could not be started on this machine",
        RunError::TookTooLong => "git on this machine did not answer in time",
        RunError::SaidTooMuch => "git on this machine said more than a credential",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn git(configuration: &str) -> (tempfile::TempDir, HostGit) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("gitconfig");
        std::fs::write(&file, configuration).expect("written");
        let home = directory.path().to_string_lossy().into_owned();
        let git = HostGit::new(&directory.path().join("state"), Some(home)).with_configuration(&file);
        (directory, git)
    }

    #[tokio::test]
    async fn the_person_is_who_their_own_configuration_says() {
        let (directory, git) = git("[include]\n\tpath = more\n[user]\n\tname = A B\n[core]\n\teditor = vi\n");
        std::fs::write(directory.path().join("more"), "[user]\n\temail = a@b.example\n").expect("written");
        let identity = git.identity().await.expect("read");
        assert_eq!((identity.name.as_deref(), identity.email.as_deref()), (Some("A B"), Some("a@b.example")));
        let mut nobody = git.clone();
        nobody.program = PathBuf::from("/nonexistent/git");
        assert_eq!(nobody.identity().await.expect("read"), Identity::default());
    }

    #[test]
    fn only_public_keys_are_read() {
        let (directory, git) = git("");
        std::fs::write(directory.path().join("key"), "private").expect("written");
        assert_eq!(git.key("~/key"), None);
        std::fs::write(directory.path().join("key.pub"), "public").expect("written");
        for path in ["~/key", "~/key.pub"] {
            assert_eq!(git.key(path).as_deref(), Some("public"), "{path}");
        }
        assert_eq!(git.key("key.pub"), None, "a path that leads from anywhere");
    }

    #[tokio::test]
    async fn a_credential_comes_from_the_persons_helper_and_nobody_is_prompted() {
        let helper = "[credential \"https://a.example\"]\n\thelper = \"!f() { test \\\"$1\\\" = get && pwd >seen && \
                      printf 'username=me\\\\npassword=s3cret\\\\n'; }; f\"\n";
        let (directory, git) = git(helper);
        let request = |host| Request::new("https", host, None).expect("a request");
        let answer = git.fill(&request("a.example")).await.expect("a credential");
        assert_eq!((answer.username.reveal(), answer.password.reveal()), ("me", "s3cret"));
        let seen = std::fs::read_to_string(directory.path().join("state/git/seen")).expect("it ran there");
        assert!(seen.trim().ends_with("state/git"), "{seen}");
        let refused = git.fill(&request("b.example")).await.expect_err("nothing");
        assert_eq!(refused, "git on this machine has no credential for it");
    }
}
