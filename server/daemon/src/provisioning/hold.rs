//! What a sandbox holds: decided from all that is there when it starts, put into its directory, and handed to whoever
//! gives the gateway its part.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boxwood_core::config::Resolved;
use boxwood_core::credentials::environment::{Material, Server};
use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::provision::{Before, Injection, Place, Traces, provide};
use boxwood_core::credentials::select::{Choice, Found, Refusal, Wish, choose};
use boxwood_core::credentials::sync::Decision;
use boxwood_core::credentials::{Clock, CredentialFile, LoginState, Secret, View};
use boxwood_core::egress::{self, EndpointError};
use boxwood_core::labels;
use boxwood_protocol::config::Network;
use boxwood_protocol::credentials::{ClientEnvironment, CredentialMode, CredentialSource};
use boxwood_protocol::{ErrorCode, RpcError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::origin::Origin;
use super::{Where, apply, wish};
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::gather::Gathered;
use crate::credentials::host::CREDENTIALS;
use crate::credentials::locks::{self, Purpose};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::gateway;
use crate::lifecycle::login_home;
use crate::lifecycle::spec::CLAUDE_CONFIG;
use crate::registry::Known;
use crate::{files, sys};

/// The login home that is used unless another one is named.
pub(crate) const LOGIN: &str = "default";
/// How long Claude Code's own locks are waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// An access token that has less is renewed before a sandbox starts with it.
const NEARLY_OVER_MS: i64 = 60 * 1000;
/// Where requests of Claude Code go.
const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// What a sandbox holds, as the state directory remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<CredentialSource>,
    pub(crate) mode: CredentialMode,
}

/// What the gateway gets: what it puts on requests, and which servers it lets through beside those.
pub(crate) type ForGateway = (Vec<Injection>, Vec<Server>);

/// Variables of Claude Code that clients gave, kept in memory for as long as the daemon runs: a sandbox that is started by
/// a client without them has what it was started with before.
#[derive(Default)]
pub(crate) struct Environments(Mutex<HashMap<String, ClientEnvironment>>);

impl Environments {
    /// The variables for a sandbox; `None` when no client ever gave any.
    pub(crate) fn of(&self, sandbox: &str, given: Option<&ClientEnvironment>) -> Option<ClientEnvironment> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match given {
            Some(given) => {
                all.insert(sandbox.to_owned(), given.clone());
                Some(given.clone())
            }
            None => all.get(sandbox).cloned(),
        }
    }

    /// Forgets what was given for a sandbox that is no more.
    pub(crate) fn forget(&self, sandbox: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(sandbox);
    }
}

/// A sandbox whose credential is in question.
pub(crate) struct Subject<'a> {
    pub(crate) daemon: &'a Daemon,
    pub(crate) sandbox: &'a str,
    /// The project inside.
    pub(crate) workspace: &'a str,
    /// Settings that it is made with; absent where a project's cannot be read any more.
    pub(crate) resolved: Option<&'a Resolved>,
    pub(crate) has_gateway: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    /// `None` when everything stays as it is.
    pub(crate) for_gateway: Option<ForGateway>,
    pub(crate) warnings: Vec<String>,
}

/// What was decided, and the credential itself where one is to be handed on.
pub(crate) struct Decided {
    pub(crate) choice: Choice,
    pub(crate) material: Option<Material>,
}

impl<'a> Subject<'a> {
    /// A sandbox that is there.
    pub(crate) fn of(daemon: &'a Daemon, known: &'a Known, resolved: Option<&'a Resolved>) -> Self {
        Self {
            daemon,
            sandbox: &known.info.id,
            workspace: known.detail.labels.get(labels::WORKSPACE).map_or("", String::as_str),
            resolved,
            has_gateway: gateway::is_used(&known.detail.labels),
        }
    }
}

impl Subject<'_> {
    /// Decides and puts it into the sandbox's directory.
    pub(crate) async fn hold(&self, given: Option<&ClientEnvironment>) -> Result<Outcome> {
        let before = self.daemon.records.get(self.sandbox).and_then(|record| record.held);
        let environment = self.daemon.environments.of(self.sandbox, given);
        if environment.is_none() && before.is_some_and(|held| held.source.is_some_and(is_of_environment)) {
            // Whoever asks knows of no environment, and no other source was ever in question: nothing is taken away.
            return Ok(Outcome { for_gateway: None, warnings: self.base()? });
        }
        let (environment, mut warnings) = self.read(environment.unwrap_or_default());
        let url = environment.0.get(BASE_URL).map(|url| url.reveal().to_owned());
        let mut gathered = self.gather(environment.clone(), before).await;
        let mut decided = decide(&mut gathered, &self.wish(), self.has_gateway).await;
        if let Ok((source, CredentialMode::Token)) = decided.choice.outcome
            && gathered.login_of(source).is_some_and(|login| is_nearly_over(&login.view()))
        {
            // Nobody renewed it while no sandbox ran that needed it.
            if let Some(origin) = Origin::of(self.daemon, self.sandbox, source) {
                self.daemon.renewals.fresh(origin).await;
            }
            gathered = self.gather(environment, before).await;
            decided = decide(&mut gathered, &self.wish(), self.has_gateway).await;
        }
        let Decided { choice, mut material } = decided;
        if let Some((_, refusal)) = unchanged(&choice, before) {
            warnings.extend(self.base()?);
            warnings.push(format!("{}: {}", refusal.reason(), refusal.next_step()));
            return Ok(Outcome { for_gateway: None, warnings });
        }
        warnings.extend(material.as_mut().and_then(|material| self.reach(material, url.as_deref())));
        let mode = choice.mode();
        let source = choice.outcome.ok().map(|(source, _)| source);
        let own = self.daemon.paths.sandbox(self.sandbox);
        if super::is_last_sync_due(&own, mode) {
            // The copy may hold what was renewed last; it does not go before that is safe.
            self.make_same(before.and_then(|held| held.source), &mut warnings).await?;
        } else if mode == CredentialMode::Sync && !super::is_copy(&own) {
            // What both sides had in an earlier time says nothing of this copy.
            files::remove(&own.join(super::sync::RECORD))?;
        }
        let applied = apply(&self.place(), mode, material.as_ref(), &mut || Ok(()))?;
        // Not before: a login that is found when a sandbox begins to hold a copy was made inside, and is put away.
        if mode == CredentialMode::Sync
            && let Err(problem) = self.make_same(source, &mut warnings).await
        {
            warnings.push(problem.to_string());
        }
        self.remember(Held { source, mode })?;
        self.daemon.renewals.saw_to(self.sandbox);
        if let Err(refusal) = choice.outcome
            && refusal.is_worth_saying()
        {
            warnings.push(format!("{}: {}", refusal.reason(), refusal.next_step()));
        }
        warnings.extend(choice.warnings.into_iter().chain(gathered.notes).chain(applied.warnings));
        Ok(Outcome { for_gateway: Some((applied.injections, applied.reach)), warnings })
    }

    /// Makes the copy in the sandbox and the login of `source` the same.
    async fn make_same(&self, source: Option<CredentialSource>, warnings: &mut Vec<String>) -> Result<()> {
        let origin = source.and_then(|source| Origin::of(self.daemon, self.sandbox, source)).unwrap_or(Origin::Host);
        let decision = super::copies::make_same(self.daemon, self.sandbox, &origin, None).await?;
        if let Decision::Conflict(conflict) = decision {
            warnings.push(format!("{}: {}", conflict.reason(), conflict.next_step()));
        }
        Ok(())
    }

    /// The mode in which it would hold a credential now. Nothing changes.
    pub(crate) async fn mode(&self, given: Option<&ClientEnvironment>) -> CredentialMode {
        let before = self.daemon.records.get(self.sandbox).and_then(|record| record.held);
        let environment = self.daemon.environments.of(self.sandbox, given);
        if let (None, Some(held)) = (&environment, before.filter(|held| held.source.is_some_and(is_of_environment))) {
            return held.mode;
        }
        let (environment, _) = self.read(environment.unwrap_or_default());
        let mut gathered = self.gather(environment, before).await;
        let choice = decide(&mut gathered, &self.wish(), self.has_gateway).await.choice;
        unchanged(&choice, before).map_or_else(|| choice.mode(), |(held, _)| held.mode)
    }

    async fn gather(&self, environment: ClientEnvironment, before: Option<Held>) -> Gathered<'_> {
        let login = login_home::name(self.daemon, self.sandbox);
        let mut gathered = self.daemon.sources.gather(environment, &login, &clock()).await;
        gathered.expect(before.and_then(|held| held.source));
        gathered
    }

    /// Only what has nothing to do with a credential.
    fn base(&self) -> Result<Vec<String>> {
        super::seed_base(&self.place())
    }

    fn is_host_login(&self) -> bool {
        self.resolved.is_some_and(|resolved| resolved.host_login)
    }

    /// What the person chose.
    fn wish(&self) -> Wish {
        wish::of(self.daemon, Some(self.sandbox), self.is_host_login())
    }

    fn place(&self) -> Where {
        Where {
            own: self.daemon.paths.sandbox(self.sandbox),
            home: self.daemon.records.home(self.sandbox),
            configuration: CLAUDE_CONFIG.to_owned(),
            workspace: self.workspace.to_owned(),
            park: self.daemon.sources.logins().join(self.sandbox),
        }
    }

    /// The environment as it is to be read, and what is wrong with the URL of the API in it.
    fn read(&self, mut environment: ClientEnvironment) -> (ClientEnvironment, Vec<String>) {
        let Some(url) = environment.0.get(BASE_URL).map(|url| url.reveal().trim().to_owned()) else {
            return (environment, Vec::new());
        };
        let problem = egress::endpoint(&url).err().filter(|problem| !self.is_reached_otherwise(problem));
        environment.0.insert(BASE_URL.to_owned(), Secret::new(url));
        (environment, problem.map(|problem| format!("{BASE_URL} {problem}")).into_iter().collect())
    }

    /// Names the endpoint of a credential as it is known inside, wherever the credential comes from, and says what is wrong
    /// with it. Of `told` that was said already.
    fn reach(&self, material: &mut Material, told: Option<&str>) -> Option<String> {
        if !self.has_gateway {
            return None;
        }
        let endpoint = material.endpoint_mut()?;
        let is_told = endpoint.url.as_ref().is_some_and(|(url, _)| told == Some(url));
        let problem = endpoint.behind_gateway().err()?;
        // That one is said of every endpoint.
        let is_said = is_told || problem == EndpointError::Loopback;
        (!is_said).then(|| format!("the base URL {problem}"))
    }

    /// Whether that keeps nobody from it who has no gateway to pass.
    fn is_reached_otherwise(&self, problem: &EndpointError) -> bool {
        let is_open = self.resolved.is_some_and(|resolved| resolved.network == Network::Open);
        is_open && matches!(problem, EndpointError::TlsWithAddress | EndpointError::Ipv6)
    }

    fn remember(&self, held: Held) -> Result<()> {
        let mut record = self.daemon.records.get(self.sandbox).unwrap_or_default();
        record.is_unexplained = wish::is_to_explain(&record, self.is_host_login(), held);
        record.held = Some(held);
        self.daemon.records.put(self.sandbox, record)
    }
}

/// Chooses, and gets the credential; what cannot be had after all is no choice.
pub(crate) async fn decide(gathered: &mut Gathered<'_>, wish: &Wish, has_gateway: bool) -> Decided {
    loop {
        let choice = choose(&gathered.findings, wish, has_gateway, gathered.is_ci);
        let Ok((source, CredentialMode::Brokered | CredentialMode::Token)) = choice.outcome else {
            return Decided { choice, material: None };
        };
        let problem = match gathered.material(source).await {
            Ok(Some(material)) => return Decided { choice, material: Some(material) },
            Ok(None) => boxwood_core::credentials::select::Problem::Unreadable,
            Err(problem) => problem,
        };
        for finding in gathered.findings.iter_mut().filter(|finding| finding.source == source) {
            finding.found = Found::Unusable(problem);
        }
    }
}

/// What a sandbox goes on holding, and why nothing else can be said of it: what is there is not taken away because a keyring
/// is locked at the moment.
fn unchanged(choice: &Choice, before: Option<Held>) -> Option<(Held, Refusal)> {
    match (choice.outcome, before) {
        (Err(refusal @ Refusal::Unusable(source, problem)), Some(held)) => {
            (problem.is_passing() && held.source == Some(source)).then_some((held, refusal))
        }
        _ => None,
    }
}

/// Whether an access token would not be of use for long.
fn is_nearly_over(view: &View) -> bool {
    view.expires_at_ms.is_some_and(|end| end <= clock().now_ms.saturating_add(NEARLY_OVER_MS))
}

/// Whether a source is there only for a client that has it in its environment.
pub(crate) const fn is_of_environment(source: CredentialSource) -> bool {
    matches!(
        source,
        CredentialSource::BedrockKey
            | CredentialSource::BedrockSession
            | CredentialSource::Vertex
            | CredentialSource::EnvironmentToken
            | CredentialSource::EnvironmentKey
            | CredentialSource::EnvironmentLogin
    )
}

/// The time.
pub(crate) fn clock() -> Clock {
    Clock::at(sys::now_ms())
}

/// The login of which a sandbox holds something, when it holds it in this mode.
pub(crate) fn origin_of(daemon: &Daemon, sandbox: &str, mode: CredentialMode) -> Option<Origin> {
    let held = daemon.records.get(sandbox)?.held.filter(|held| held.mode == mode)?;
    Origin::of(daemon, sandbox, held.source?)
}

/// What the login inside a sandbox is; nothing where it cannot be read.
pub(crate) fn view_inside(daemon: &Daemon, sandbox: &str) -> View {
    let read = || -> Result<Option<Vec<u8>>> {
        ClaudeDirectory::open(&daemon.records.home(sandbox))?.head(CREDENTIALS, MAX_BYTES as u64 + 1)
    };
    let bytes = read().ok().flatten().map(Zeroizing::new);
    let file = bytes.and_then(|bytes| CredentialFile::parse(&bytes).ok());
    file.map_or_else(View::absent, |file| file.view())
}

/// Puts the access token of a source's login into a sandbox that holds one of it, and gives what was put there. `None` when
/// it holds something else by now, or there is no token. Whoever calls this has the sandbox's turn.
pub(crate) async fn hand_out(daemon: &Arc<Daemon>, origin: &Origin, sandbox: &str) -> Result<Option<View>> {
    if origin_of(daemon, sandbox, CredentialMode::Token).as_ref() != Some(origin) {
        return Ok(None);
    }
    let Some(known) = daemon.registry.get(sandbox) else { return Ok(None) };
    let Some(login) = origin.login(daemon).await? else { return Ok(None) };
    let view = login.view();
    let Some(access) = login.file.access_only() else { return Ok(None) };
    let home = daemon.records.home(sandbox);
    let directory = ClaudeDirectory::open(&home)?;
    directory.unlink_oddity(CREDENTIALS)?;
    directory.free_locks()?;
    // As Claude Code inside does when it writes there.
    let lock = locks::take(&home.join(".claude"), Purpose::Write, PATIENCE).await;
    let _lock = lock.map_err(|cause| RpcError::new(ErrorCode::CredentialLocked, cause.to_string()))?;
    let before = directory.head(CREDENTIALS, MAX_BYTES as u64 + 1)?.map(Zeroizing::new);
    let before = before.map_or_else(|| Ok(CredentialFile::default()), |bytes| CredentialFile::parse(&bytes));
    match before {
        Ok(mut file) if file.view().state != LoginState::Full && super::is_token(&daemon.paths.sandbox(sandbox)) => {
            file.set_login(Some(&access));
            directory.write_if_different(CREDENTIALS, file.render().reveal())?;
        }
        // What was put there inside is kept aside, which is more than a write.
        _ => {
            let subject = Subject::of(daemon, &known, None);
            let material = Material::Login { access_only: access.render() };
            drop(apply(&subject.place(), CredentialMode::Token, Some(&material), &mut || Ok(()))?);
        }
    }
    Ok(Some(view))
}

/// What a running sandbox's gateway puts on requests, from where it came before: for a gateway that may have lost it. `None`
/// when nothing, or something else, is to be had there now; then nothing is taken from the gateway.
pub(crate) async fn injections_again(daemon: &Arc<Daemon>, known: &Known) -> Option<ForGateway> {
    let held = daemon.records.get(&known.info.id)?.held?;
    let subject = Subject::of(daemon, known, None);
    let login = login_home::name(daemon, &known.info.id);
    let mut gathered = daemon.sources.gather(ClientEnvironment::default(), &login, &clock()).await;
    let wish = Wish { source: held.source, mode: Some(held.mode), consent: true };
    let Decided { choice, material } = decide(&mut gathered, &wish, subject.has_gateway).await;
    let is_same = choice.outcome.ok() == held.source.map(|source| (source, held.mode));
    let material = material.filter(|_| is_same)?;
    let place = Place { configuration: CLAUDE_CONFIG, workspace: subject.workspace };
    // Only what is the gateway's; what is inside was put there at the start.
    let provision = provide(held.mode, Some(&material), &Traces::default(), &Before::default(), &place);
    Some((provision.injections, provision.reach))
}
