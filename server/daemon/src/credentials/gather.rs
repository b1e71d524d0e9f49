//! Every source at once: what is there, and what the chosen one gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boxwood_core::credentials::environment::{Endpoint, Environment, KeyForm, Material, Vertex};
use boxwood_core::credentials::select::{Finding, Found, Problem};
use boxwood_core::credentials::stored::Stored;
use boxwood_core::credentials::{Clock, LoginState};
use boxwood_core::paths::Paths;
use boxwood_protocol::credentials::{ClientEnvironment, CredentialSource};

use super::helper::{self, Printer};
use super::host::{self, Claude, Login, Trouble};
use super::store::{Entry, Failure, Kept};

/// How long a file is waited for; a home directory may be on another machine.
const FILE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the host's own login is waited for: on macOS a person may be looking at a dialog.
const LOGIN_PATIENCE: Duration = Duration::from_secs(45);
/// Prints an access token of this machine's Google login, the one that Claude Code itself would use there.
const GOOGLE: &str = "gcloud auth application-default print-access-token";

/// Where credentials come from on this machine.
pub(crate) struct Sources {
    kept: Kept,
    claude: Claude,
    logins: PathBuf,
    helper: Printer,
    google: Printer,
    google_command: String,
}

/// What a client's environment, the stores and the files have; credentials among it are given by [`Gathered::material`].
pub(crate) struct Gathered<'a> {
    sources: &'a Sources,
    /// Whether nobody is there to be asked.
    pub(crate) is_ci: bool,
    /// What was found where, for [`boxwood_core::credentials::select::choose`].
    pub(crate) findings: Vec<Finding>,
    /// What is wrong at sources that cannot be used, in plain words, and what was put right.
    pub(crate) notes: Vec<String>,
    /// When the token of `claude setup-token` was stored, milliseconds since 1970.
    pub(crate) stored_at_ms: Option<i64>,
    /// The login of the login home that was asked for, also when it has ended.
    pub(crate) login_home: Option<Login>,
    /// The login of Claude Code on this machine, also when it has ended.
    pub(crate) host_login: Option<Login>,
    materials: BTreeMap<CredentialSource, Material>,
    /// Of these nobody knows whether they are there: no keyring answers.
    away: Vec<CredentialSource>,
    helper: Option<String>,
    endpoint: Endpoint,
    vertex: Option<Vertex>,
}

impl Sources {
    /// The sources of this machine; `lookup` is the daemon's environment.
    pub(crate) fn open(paths: &Paths, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            kept: Kept::open(paths, lookup),
            claude: Claude::find(&paths.home, lookup),
            logins: paths.state.join("logins"),
            helper: Printer::new("apiKeyHelper", &paths.home, helper::lifetime(lookup)),
            google: Printer::new("gcloud", &paths.home, None),
            google_command: GOOGLE.to_owned(),
        }
    }

    /// What is kept for the person.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Claude Code on this machine.
    pub(crate) fn claude(&self) -> &Claude {
        &self.claude
    }

    /// The directory of login homes: `<name>/.claude` below it is one.
    pub(crate) fn logins(&self) -> &Path {
        &self.logins
    }

    /// Has commands that print credentials run again: what they printed was refused.
    pub(crate) async fn forget_printed(&self) {
        self.helper.forget().await;
        self.google.forget().await;
    }

    /// Looks at every source at once, for a client with this environment and the login home of this name. Each answers in
    /// bounded time, and one that does not is one that cannot be used.
    pub(crate) async fn gather(&self, environment: ClientEnvironment, login: &str, clock: &Clock) -> Gathered<'_> {
        let read = Environment::read(environment);
        let mut gathered = Gathered {
            sources: self,
            is_ci: read.is_ci,
            findings: read.findings,
            notes: Vec::new(),
            stored_at_ms: None,
            login_home: None,
            host_login: None,
            materials: read.materials,
            away: Vec::new(),
            helper: None,
            endpoint: read.endpoint,
            vertex: read.vertex,
        };
        if gathered.vertex.is_some() {
            gathered.found(CredentialSource::Vertex, self.google.problem(&self.google_command));
        }
        // The entries are asked for one after the other: the keyring has one dialog.
        let kept = async {
            let [first, second] = Entry::ALL;
            [(first, self.kept.get(first).await), (second, self.kept.get(second).await)]
        };
        let (helper, kept, login_home, host_login) = tokio::join!(
            bounded(FILE_PATIENCE, "Claude Code's settings", self.claude.key_helper()),
            kept,
            bounded(FILE_PATIENCE, "the login home", host::login_home(&self.logins, login)),
            bounded(LOGIN_PATIENCE, "Claude Code's login on this machine", self.claude.login()),
        );
        match helper {
            Ok(Some(command)) => {
                gathered.found(CredentialSource::KeyHelper, self.helper.problem(&command));
                gathered.helper = Some(command);
            }
            Ok(None) => {}
            // Settings that cannot be read name no helper that is known, so that source is not in question.
            Err(trouble) => gathered.notes.push(trouble.reason),
        }
        for (entry, found) in kept {
            match found {
                Ok(None) => {}
                Ok(Some(text)) => gathered.stored(entry, Stored::parse(&text)),
                Err(Failure::Absent(why)) => {
                    tracing::debug!(why, ?entry, "there is no keyring");
                    gathered.away.push(entry.source());
                }
                Err(failure) => {
                    gathered.notes.push(failure.to_string());
                    gathered.found(entry.source(), Some(failure.problem()));
                }
            }
        }
        gathered.login_home = gathered.login(CredentialSource::LoginHome, login_home, clock);
        gathered.host_login = gathered.login(CredentialSource::HostLogin, host_login, clock);
        gathered.notes.extend(self.kept.warnings());
        // The same may be wrong with several.
        let mut told = std::collections::BTreeSet::new();
        gathered.notes.retain(|note| told.insert(note.clone()));
        gathered
    }
}

impl Gathered<'_> {
    fn found(&mut self, source: CredentialSource, problem: Option<Problem>) {
        let found = problem.map_or(Found::Usable, Found::Unusable);
        self.findings.push(Finding { source, found });
    }

    /// Says of what a sandbox holds that it is still there when nobody can know: a keyring goes with a person's session.
    pub(crate) fn expect(&mut self, held: Option<CredentialSource>) {
        if let Some(source) = held.filter(|source| self.away.contains(source)) {
            self.found(source, Some(Problem::Away));
        }
    }

    fn stored(&mut self, entry: Entry, stored: Result<Stored, Problem>) {
        let stored = stored.and_then(|stored| {
            // Somebody may have put one entry in the place of another.
            if stored.source() != entry.source() {
                return Err(Problem::Unreadable);
            }
            let stored_at_ms = stored.stored_at_ms();
            Ok((stored.material()?, stored_at_ms))
        });
        match stored {
            Ok((material, stored_at_ms)) => {
                if entry == Entry::SetupToken {
                    self.stored_at_ms = Some(stored_at_ms);
                }
                self.materials.insert(entry.source(), material);
                self.found(entry.source(), None);
            }
            Err(problem) => self.found(entry.source(), Some(problem)),
        }
    }

    fn login(
        &mut self,
        source: CredentialSource,
        login: Result<Option<Login>, Trouble>,
        clock: &Clock,
    ) -> Option<Login> {
        match login {
            Ok(None) => None,
            Ok(Some(login)) => {
                let view = login.view();
                match view.state {
                    // Logins of others may stand there without one of Claude's.
                    LoginState::Absent | LoginState::Stub => {}
                    LoginState::Blank => self.found(source, Some(Problem::Ended)),
                    LoginState::AccessOnly | LoginState::Full => {
                        self.found(source, view.is_over(clock).then_some(Problem::Ended));
                    }
                }
                Some(login)
            }
            Err(trouble) => {
                self.notes.push(trouble.reason);
                self.found(source, Some(trouble.problem));
                None
            }
        }
    }

    /// The login of a source that has one, also when it has ended.
    pub(crate) fn login_of(&self, source: CredentialSource) -> Option<&Login> {
        match source {
            CredentialSource::LoginHome => self.login_home.as_ref(),
            CredentialSource::HostLogin => self.host_login.as_ref(),
            _ => None,
        }
    }

    /// What a source gives. Commands are run only here, so that looking at sources never asks a person anything. A problem
    /// is to be put in the place of the source's finding, and the choice made again. A credential is given once.
    pub(crate) async fn material(&mut self, source: CredentialSource) -> Result<Option<Material>, Problem> {
        let access_only = |login: &Option<Login>| {
            let access_only = login.as_ref().and_then(|login| login.file.access_only());
            access_only.map(|file| Material::Login { access_only: file.render() })
        };
        match source {
            CredentialSource::KeyHelper => {
                let Some(command) = &self.helper else { return Ok(None) };
                let value = self.sources.helper.print(command).await?;
                Ok(Some(Material::Key { value, form: KeyForm::Both, endpoint: self.endpoint.clone() }))
            }
            CredentialSource::Vertex => {
                let Some(vertex) = self.vertex.clone() else { return Ok(None) };
                let value = self.sources.google.print(&self.sources.google_command).await?;
                Ok(Some(Material::Vertex { value, vertex }))
            }
            CredentialSource::LoginHome => Ok(access_only(&self.login_home)),
            CredentialSource::HostLogin => Ok(access_only(&self.host_login)),
            source => Ok(self.materials.remove(&source)),
        }
    }
}

async fn bounded<T>(
    patience: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
        Err(Trouble { problem: Problem::Unreadable, reason: format!("{what} could not be read in time") })
    })
}

#[cfg(all(test, unix))]
mod tests;
