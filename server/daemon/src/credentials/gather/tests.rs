//! Every source, on a machine that has all of them.

use std::fs;
use std::sync::Arc;

use boxwood_core::credentials::Secret;
use boxwood_core::credentials::select::{Refusal, Wish, choose};
use boxwood_protocol::credentials::StoredCredential;

use super::super::host::tests::{ACCOUNT, credentials};
use super::super::store::Store;
use super::*;

const NOW: i64 = 1_795_000_000_000;
const LATER: i64 = NOW + 8 * 60 * 60 * 1000;

struct Machine {
    root: tempfile::TempDir,
    sources: Sources,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let text = |name: &str| Some(root.path().join(name).to_string_lossy().into_owned());
        let lookup = |name: &str| match name {
            "HOME" => text(""),
            "BOXWOOD_STATE_DIR" => text("state"),
            "BOXWOOD_KEYRING" => Some("file".to_owned()),
            _ => None,
        };
        let mut sources = Sources::open(&Paths::resolve(&lookup, 0), &lookup);
        sources.google_command = "echo ya29.token-of-google".to_owned();
        Self { root, sources }
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }

    async fn keep(&self, kind: StoredCredential, value: &str) {
        let stored = Stored::new(kind, Secret::new(value.to_owned()), None, 7).expect("a credential");
        self.sources.kept().set(Entry::of(kind), &stored.render()).await.expect("kept");
    }

    async fn gather(&self, environment: &[(&str, &str)]) -> Gathered<'_> {
        let lookup =
            |asked: &str| environment.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
        self.sources.gather(ClientEnvironment::read(&lookup), "mine", &Clock::at(NOW)).await
    }
}

fn found(gathered: &Gathered<'_>) -> Vec<(CredentialSource, Option<Problem>)> {
    let mut found: Vec<_> = gathered
        .findings
        .iter()
        .map(|finding| match finding.found {
            Found::Usable => (finding.source, None),
            Found::Unusable(problem) => (finding.source, Some(problem)),
        })
        .collect();
    found.sort_by_key(|(source, _)| *source);
    found
}

#[tokio::test]
async fn a_machine_with_nothing_has_nothing() {
    let machine = Machine::new();
    let mut gathered = machine.gather(&[]).await;
    assert_eq!((found(&gathered), gathered.notes.len(), gathered.is_ci), (vec![], 0, false));
    for entry in boxwood_core::credentials::source::SOURCES {
        assert_eq!(gathered.material(entry.source).await, Ok(None), "{:?}", entry.source);
    }
    assert!(!machine.root.path().join("state").exists(), "looking leaves nothing behind");
    assert!(machine.gather(&[("CI", "true")]).await.is_ci);
}

#[tokio::test]
async fn every_source_is_found_and_gives_what_it_has() {
    let machine = Machine::new();
    machine.put(".claude/settings.json", r#"{"apiKeyHelper":"touch ran; echo key-of-helper"}"#);
    machine.put(".claude/.credentials.json", &credentials(1, LATER));
    machine.put(".claude.json", &format!(r#"{{"oauthAccount":{{"accountUuid":"{ACCOUNT}"}}}}"#));
    machine.put("state/logins/mine/.claude/.credentials.json", &credentials(2, LATER));
    machine.keep(StoredCredential::AuthToken, "stored-key").await;
    machine.keep(StoredCredential::SetupToken, "sk-ant-oat01-stored").await;
    let mut gathered = machine
        .gather(&[
            ("ANTHROPIC_API_KEY", "key-of-environment"),
            ("ANTHROPIC_AUTH_TOKEN", "token-of-environment"),
            ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-environment"),
            ("CLAUDE_CODE_USE_VERTEX", "1"),
            ("CLOUD_ML_REGION", "europe-west1"),
            ("ANTHROPIC_VERTEX_PROJECT_ID", "project"),
        ])
        .await;
    let expected = [
        CredentialSource::Vertex,
        CredentialSource::EnvironmentToken,
        CredentialSource::EnvironmentKey,
        CredentialSource::KeyHelper,
        CredentialSource::EnvironmentLogin,
        CredentialSource::StoredKey,
        CredentialSource::StoredLogin,
        CredentialSource::LoginHome,
        CredentialSource::HostLogin,
    ];
    assert_eq!(found(&gathered), expected.map(|source| (source, None)));
    assert_eq!((gathered.notes.as_slice(), gathered.stored_at_ms), ([].as_slice(), Some(7)));
    assert!(!machine.root.path().join("ran").exists(), "looking runs no command");
    let mut given = Vec::new();
    for source in expected {
        given.push(match gathered.material(source).await.expect("given").expect("there") {
            Material::Key { value, form, .. } => format!("{form:?} {}", value.reveal()),
            Material::SetupToken { value, .. } | Material::Vertex { value, .. } => value.reveal().to_owned(),
            Material::Login { access_only } => {
                assert!(!access_only.reveal().contains("ort01") && !access_only.reveal().contains("s3cret"));
                boxwood_core::credentials::CredentialFile::parse(access_only.reveal().as_bytes())
                    .expect("a file")
                    .access_token()
                    .expect("a token")
                    .reveal()
                    .to_owned()
            }
            other => panic!("{other:?}"),
        });
    }
    let tokens = [
        "ya29.token-of-google",
        "Bearer token-of-environment",
        "Key key-of-environment",
        "Both key-of-helper",
        "sk-ant-oat01-environment",
        "Bearer stored-key",
        "sk-ant-oat01-stored",
        "sk-ant-oat01-access-2",
        "sk-ant-oat01-access-1",
    ];
    assert_eq!(given, tokens);
    assert!(machine.root.path().join("ran").exists());
    let host = gathered.host_login.as_ref().expect("there");
    assert_eq!(host.view().account.expect("an account").as_str(), ACCOUNT);
    assert!(gathered.login_home.is_some());
    assert_eq!(machine.sources.claude().storage(), machine.root.path().join(".claude"));
    assert_eq!(machine.sources.logins(), machine.root.path().join("state/logins"));
}

#[tokio::test]
async fn what_cannot_be_used_says_why_and_nothing_else_is_taken_instead() {
    let machine = Machine::new();
    machine.put(".claude/.credentials.json", &credentials(1, NOW - 10 * 60 * 1000));
    let blank = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}}"#;
    machine.put("state/logins/mine/.claude/.credentials.json", blank);
    machine.put("state/credentials/api-key", "s3cret");
    let swapped = Stored::new(StoredCredential::ApiKey, Secret::new("k".into()), None, 7).expect("a key").render();
    machine.put("state/credentials/setup-token", swapped.reveal());
    let gathered = machine.gather(&[]).await;
    let expected = [
        (CredentialSource::StoredKey, Some(Problem::Unreadable)),
        (CredentialSource::StoredLogin, Some(Problem::Unreadable)),
        (CredentialSource::LoginHome, Some(Problem::Ended)),
        (CredentialSource::HostLogin, Some(Problem::Ended)),
    ];
    assert_eq!(found(&gathered), expected);
    assert!(gathered.host_login.is_some() && gathered.login_home.is_some(), "what has ended can still be renewed");
    let choice = choose(&gathered.findings, &Wish::default(), true, false);
    assert_eq!(choice.outcome, Err(Refusal::Unusable(CredentialSource::StoredKey, Problem::Unreadable)));
    let notes = gathered.notes.join("\n");
    assert!(notes.contains("could be read by others") && !notes.contains("s3cret"), "{notes}");
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named() {
    let machine = Machine::new();
    machine.put(".claude/.credentials.json", "{\"claudeAiOauth\":{\"accessToken\":\"s3cret");
    machine.put(".claude/settings.json", "x");
    fs::write(machine.root.path().join(".claude/settings.json"), b"\xff").expect("written");
    let aside = machine.root.path().join("aside");
    fs::create_dir_all(machine.root.path().join("state/logins/mine")).expect("made");
    std::os::unix::fs::symlink(&aside, machine.root.path().join("state/logins/mine/.claude")).expect("linked");
    let gathered = machine.gather(&[]).await;
    let expected = [
        (CredentialSource::LoginHome, Some(Problem::Unreadable)),
        (CredentialSource::HostLogin, Some(Problem::Unreadable)),
    ];
    assert_eq!(found(&gathered), expected);
    let notes = gathered.notes.join("\n");
    for part in ["settings.json", ".claude/.credentials.json", "cut off", "logins/mine"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(!notes.contains("s3cret"), "{notes}");
}

#[tokio::test]
async fn a_login_without_claudes_is_none() {
    let machine = Machine::new();
    machine.put(".claude/.credentials.json", r#"{"mcpOAuth":{"x":{"accessToken":"s3cret"}}}"#);
    let mut gathered = machine.gather(&[]).await;
    assert_eq!((found(&gathered), gathered.material(CredentialSource::HostLogin).await), (vec![], Ok(None)));
}

#[tokio::test]
async fn a_command_that_failed_is_unusable_until_it_is_forgotten() {
    let mut machine = Machine::new();
    machine.put(".claude/settings.json", r#"{"apiKeyHelper":"echo s3cret >&2; exit 1"}"#);
    machine.sources.google_command = "exit 1".to_owned();
    let environment = [
        ("CLAUDE_CODE_USE_VERTEX", "1"),
        ("CLOUD_ML_REGION", "europe-west1"),
        ("ANTHROPIC_VERTEX_PROJECT_ID", "project"),
    ];
    let all = |problem: Option<Problem>| [(CredentialSource::Vertex, problem), (CredentialSource::KeyHelper, problem)];
    let mut gathered = machine.gather(&environment).await;
    assert_eq!(found(&gathered), all(None));
    for source in [CredentialSource::Vertex, CredentialSource::KeyHelper] {
        assert_eq!(gathered.material(source).await, Err(Problem::CommandFailed));
    }
    assert_eq!(found(&machine.gather(&environment).await), all(Some(Problem::CommandFailed)));
    machine.sources.forget_printed().await;
    assert_eq!(found(&machine.gather(&environment).await), all(None));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_is_unusable_in_bounded_time() {
    let never = std::future::pending::<Result<(), Trouble>>();
    let trouble = bounded(FILE_PATIENCE, "the login home", never).await.expect_err("no answer");
    assert_eq!(trouble.problem, Problem::Unreadable);
    assert!(trouble.reason.contains("the login home"));
}

/// A keyring that went with the person's session.
struct Gone;

fn gone<T>() -> Result<T, Failure> {
    Err(Failure::Absent("no bus".to_owned()))
}

#[async_trait::async_trait]
impl Store for Gone {
    async fn get(&self, _name: &str) -> Result<Option<Secret>, Failure> {
        gone()
    }

    async fn set(&self, _name: &str, _value: &Secret) -> Result<(), Failure> {
        gone()
    }

    async fn delete(&self, _name: &str) -> Result<(), Failure> {
        gone()
    }
}

#[tokio::test]
async fn what_a_sandbox_holds_from_a_keyring_that_went_is_not_taken_for_gone() {
    let mut machine = Machine::new();
    machine.sources.kept = Kept::of(Some(Arc::new(Gone)), &machine.root.path().join("state"));
    let mut gathered = machine.gather(&[]).await;
    assert_eq!((found(&gathered), gathered.notes.len()), (vec![], 0), "who has no keyring need not know");
    for other in [None, Some(CredentialSource::KeyHelper), Some(CredentialSource::LoginHome)] {
        gathered.expect(other);
        assert_eq!(found(&gathered), []);
    }
    gathered.expect(Some(CredentialSource::StoredKey));
    assert_eq!(found(&gathered), [(CredentialSource::StoredKey, Some(Problem::Away))]);
    // What is in a file is known, and so is what was forgotten.
    machine.keep(StoredCredential::ApiKey, "stored-key").await;
    let mut gathered = machine.gather(&[]).await;
    gathered.expect(Some(CredentialSource::StoredKey));
    assert_eq!(found(&gathered), [(CredentialSource::StoredKey, None)]);
    machine.sources.kept().delete(Entry::ApiKey).await.expect("forgotten");
    let mut gathered = machine.gather(&[]).await;
    gathered.expect(Some(CredentialSource::StoredKey));
    assert_eq!(found(&gathered), []);
}
