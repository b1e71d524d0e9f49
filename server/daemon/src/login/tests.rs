//! Sign-ins from their request to their end, with what the real `claude` wrote on a terminal in the place of a container.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use boxwood_engine::{EngineError, Output, OutputStream};
use boxwood_protocol::operation::{OperationEnd, OutcomeKind};
use bytes::Bytes;
use futures::channel::mpsc::unbounded;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio::sync::broadcast::Receiver;

use super::home::tests::{ADA, BOB, names, sign_in as leave_login};
use super::*;

const LOGIN: &[u8] = include_bytes!("../../../core/src/login/recordings/login.bin");
const LOGIN_WRONG: &[u8] = include_bytes!("../../../core/src/login/recordings/login-wrong.bin");
const CONSOLE: &[u8] = include_bytes!("../../../core/src/login/recordings/console.bin");
const SETUP_TOKEN: &[u8] = include_bytes!("../../../core/src/login/recordings/setup-token.bin");

/// Makes the terminal of a sign-in, and the status with which it ends.
pub(super) type Fake = Box<dyn Fn(LoginKind, PathBuf) -> (Terminal, i64) + Send + Sync>;

/// Where in a recording the code was given.
fn answered_at(recording: &[u8]) -> usize {
    let find = |words: &[u8]| recording.windows(words.len()).position(|window| window == words);
    let prompt = b"Paste code here if prompted > ";
    find(prompt).map(|at| at + prompt.len()).or_else(|| find(b"***")).expect("a prompt")
}

/// A terminal on which a recording goes on when a code and the Enter key have arrived; `done` happens before its end.
fn terminal(recording: &'static [u8], done: impl FnOnce() + Send + 'static) -> Terminal {
    let (sender, output) = unbounded();
    let (input, mut keys) = tokio::io::duplex(1 << 14);
    let show = move |bytes: &'static [u8]| {
        let piece = Output { stream: OutputStream::Stdout, bytes: Bytes::from_static(bytes) };
        sender.unbounded_send(Ok::<_, EngineError>(piece)).is_ok()
    };
    tokio::spawn(async move {
        let (before, after) = recording.split_at(answered_at(recording));
        show(before);
        let mut typed = Vec::new();
        let mut piece = [0; 256];
        let is_masked = after.starts_with(b"***");
        while !typed.ends_with(b"\r") {
            match keys.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(length) => typed.extend_from_slice(&piece[..length]),
            }
            // Stars are shown for what is pasted, and the Enter key is awaited behind them.
            if is_masked && !typed.ends_with(b"\r") {
                let stars = after.iter().take_while(|byte| **byte == b'*').count();
                show(&after[..stars]);
            }
        }
        done();
        let shown = if is_masked { after.iter().take_while(|byte| **byte == b'*').count() } else { 0 };
        show(&after[shown..]);
    });
    Terminal { output: Box::pin(output), input: Box::pin(input) }
}

/// Keeps what it is given where a test can see it.
#[derive(Default)]
struct Kept(Mutex<Vec<(StoredCredential, String)>>);

impl Keep for Kept {
    fn keep(&self, kind: StoredCredential, value: Secret) -> BoxFuture<'_, Result<()>> {
        self.0.lock().expect("not poisoned").push((kind, value.reveal().to_owned()));
        Box::pin(async { Ok(()) })
    }
}

struct World {
    daemon: Arc<Daemon>,
    kept: Arc<Kept>,
    events: Receiver<Event>,
    directory: tempfile::TempDir,
}

impl World {
    /// A daemon without an engine, whose sign-ins go as `fake` says.
    fn new(patience: Duration, fake: impl Fn(LoginKind, PathBuf) -> (Terminal, i64) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = super::home::tests::paths(directory.path());
        let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
        let mut daemon =
            Daemon::open(paths, &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()), Box::new(none))
                .expect("opened");
        Arc::get_mut(&mut daemon).expect("nobody else has it yet").logins.patience = patience;
        assert!(daemon.logins.fake.set(Box::new(fake)).is_ok());
        let kept = Arc::new(Kept::default());
        daemon.logins.keep_with(Arc::clone(&kept) as Arc<dyn Keep>);
        daemon.registry.set_ready();
        Self { events: daemon.hub.listen(), daemon, kept, directory }
    }

    fn signing_in_as(account: &'static str) -> Self {
        Self::new(PATIENCE, move |_, claude| (terminal(LOGIN, move || leave_login(&claude, account, "made")), 0))
    }

    fn start(&self, params: LoginStartParams) -> Result<String> {
        start(&self.daemon, params).map(|started| started.operation_id)
    }

    /// The next thing that a sign-in asks.
    async fn asked(&mut self) -> LoginAsk {
        loop {
            if let Event::LoginAsks { ask, .. } = self.events.recv().await.expect("an event") {
                return ask;
            }
        }
    }

    /// Waits until the code is wanted and gives it, as the page of this address would show it.
    async fn give_code(&mut self, operation_id: &str) {
        let LoginAsk::Url { url } = self.asked().await else { panic!("no address") };
        assert_eq!(self.asked().await, LoginAsk::WantsCode);
        let state = url.split("&state=").nth(1).expect("a state");
        self.say_code(operation_id, &format!("the-code#{state}")).expect("wanted");
    }

    fn say_code(&self, operation_id: &str, code: &str) -> Result<Empty> {
        let params = LoginCodeParams { operation_id: operation_id.to_owned(), code: Secret::new(code.to_owned()) };
        super::code(&self.daemon, params)
    }

    async fn end(&self, operation_id: &str) -> OperationEnd {
        self.daemon.operations.wait(operation_id).await.expect("an end")
    }

    /// What there is, but for the copy of what was replaced.
    fn names(&self) -> Vec<String> {
        let mut names = names(&self.daemon.paths);
        names.retain(|name| !name.starts_with(".replaced-"));
        names
    }

    fn token(&self, home: &str) -> String {
        let path = home::path(&self.daemon.paths, home).join(".claude/.credentials.json");
        std::fs::read_to_string(path).expect("a login")
    }
}

fn code_of(end: &OperationEnd) -> Option<ErrorCode> {
    end.error.as_ref().map(|error| error.code)
}

#[tokio::test]
async fn a_login_is_asked_for_and_kept() {
    let mut world = World::signing_in_as(ADA);
    let id = world.start(LoginStartParams::default()).expect("started");
    world.give_code(&id).await;
    let end = world.end(&id).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let status: CredentialsStatus = serde_json::from_value(end.result.expect("a result")).expect("a status");
    assert_eq!(status.source, Some(CredentialSource::LoginHome));
    assert_eq!(status.account.and_then(|account| account.id).as_deref(), Some(ADA));
    assert_eq!(world.names(), ["default"]);
    assert!(world.token("default").contains("made"));
    assert!(world.daemon.logins.asks().is_empty());
}

#[tokio::test]
async fn what_others_missed_can_be_asked_for() {
    let mut world = World::signing_in_as(ADA);
    let id = world.start(LoginStartParams::default()).expect("started");
    assert!(matches!(world.asked().await, LoginAsk::Url { .. }));
    assert_eq!(world.asked().await, LoginAsk::WantsCode);
    let asks = world.daemon.logins.asks().remove(&id).expect("asked");
    assert!(matches!(asks.as_slice(), [LoginAsk::Url { .. }, LoginAsk::WantsCode]), "{asks:?}");
    assert!(world.daemon.operations.cancel(&id).expect("known").was_running);
    assert_eq!(world.end(&id).await.outcome, OutcomeKind::Cancelled);
    assert_eq!(world.names(), Vec::<String>::new());
    assert_eq!(world.say_code(&id, "a#b").map_err(|problem| problem.code), Err(ErrorCode::LoginNotAsked));
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_asked_for_again_and_typed_nowhere() {
    let mut world = World::signing_in_as(ADA);
    let id = world.start(LoginStartParams::default()).expect("started");
    let LoginAsk::Url { url } = world.asked().await else { panic!("no address") };
    assert_eq!(world.asked().await, LoginAsk::WantsCode);
    for code in ["somebody's#state", "code", ""] {
        world.say_code(&id, code).expect("wanted");
        let ask = world.asked().await;
        assert!(matches!(ask, LoginAsk::WrongCode { .. }), "{ask:?}");
    }
    let state = url.split("&state=").nth(1).expect("a state");
    world.say_code(&id, &format!("the-code#{state}")).expect("wanted");
    assert_eq!(world.end(&id).await.outcome, OutcomeKind::Ok);
}

#[tokio::test]
async fn a_code_that_is_refused_leaves_everything_as_it_was() {
    let mut world = World::new(PATIENCE, |_, _| (terminal(LOGIN_WRONG, || ()), 1));
    leave_login(&home::path(&world.daemon.paths, "default").join(".claude"), ADA, "before");
    let params = LoginStartParams { replace: true, ..LoginStartParams::default() };
    let id = world.start(params).expect("started");
    world.give_code(&id).await;
    let end = world.end(&id).await;
    assert_eq!(code_of(&end), Some(ErrorCode::LoginWrongCode), "{:?}", end.error);
    assert!(end.error.and_then(|error| error.hint).is_some());
    assert_eq!(world.names(), ["default"]);
    assert!(world.token("default").contains("before"));
}

#[tokio::test]
async fn nobody_there_ends_it_in_time() {
    let mut world = World::new(Duration::from_millis(50), |_, _| (terminal(LOGIN, || ()), 0));
    let id = world.start(LoginStartParams::default()).expect("started");
    assert!(matches!(world.asked().await, LoginAsk::Url { .. }));
    assert_eq!(code_of(&world.end(&id).await), Some(ErrorCode::LoginTimedOut));
    assert_eq!(world.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_sign_in_to_the_same_home_is_refused_and_one_to_another_is_not() {
    let world = World::signing_in_as(ADA);
    let first = world.start(LoginStartParams::default()).expect("started");
    let problem = world.start(LoginStartParams::default()).expect_err("refused");
    assert_eq!(problem.code, ErrorCode::LoginRunning);
    assert!(problem.to_string().contains(&first), "{problem}");
    let other = LoginStartParams { home: Some("work".to_owned()), ..LoginStartParams::default() };
    let second = world.start(other).expect("started");
    for id in [&first, &second] {
        world.daemon.operations.cancel(id).expect("known");
        assert_eq!(world.end(id).await.outcome, OutcomeKind::Cancelled);
    }
    let third = world.start(LoginStartParams::default()).expect("started");
    world.daemon.operations.cancel(&third).expect("known");
    world.end(&third).await;
}

#[tokio::test]
async fn a_login_that_is_there_is_replaced_only_when_that_was_said() {
    let world = World::signing_in_as(ADA);
    leave_login(&home::path(&world.daemon.paths, "default").join(".claude"), ADA, "before");
    let problem = world.start(LoginStartParams::default()).expect_err("refused");
    assert_eq!(problem.code, ErrorCode::LoginExists);
    assert!(problem.message.contains("1@mail.example"), "{problem}");
    for name in ["../out", ".new-x", ""] {
        let params = LoginStartParams { home: Some(name.to_owned()), ..LoginStartParams::default() };
        assert_eq!(world.start(params).expect_err("refused").code, ErrorCode::InvalidParams, "{name:?}");
    }
}

#[tokio::test]
async fn another_account_takes_the_place_of_the_one_before_only_when_the_person_says_so() {
    for is_accepted in [false, true] {
        let mut world = World::signing_in_as(BOB);
        leave_login(&home::path(&world.daemon.paths, "default").join(".claude"), ADA, "before");
        let params = LoginStartParams { replace: true, ..LoginStartParams::default() };
        let id = world.start(params).expect("started");
        world.give_code(&id).await;
        let LoginAsk::OtherAccount { before, now } = world.asked().await else { panic!("not asked") };
        assert_eq!((before.as_deref(), now.as_deref()), (Some("1@mail.example"), Some("2@mail.example")));
        assert_eq!(world.say_code(&id, "a#b").map_err(|problem| problem.code), Err(ErrorCode::LoginNotAsked));
        let params = LoginAcceptParams { operation_id: id.clone(), accept: is_accepted };
        accept(&world.daemon, &params).expect("asked");
        let end = world.end(&id).await;
        let expected = if is_accepted { OutcomeKind::Ok } else { OutcomeKind::Cancelled };
        assert_eq!(end.outcome, expected, "{:?}", end.error);
        assert_eq!(world.token("default").contains("made"), is_accepted);
        assert_eq!(world.names(), ["default"]);
    }
}

#[tokio::test]
async fn tokens_and_keys_are_kept_elsewhere_and_told_nowhere() {
    let key = "sk-ant-api03-a-key";
    let mut world = World::new(PATIENCE, move |kind, claude| match kind {
        LoginKind::Console => {
            let leave = move || write(&claude, ".claude.json", &format!(r#"{{"primaryApiKey":"{key}"}}"#));
            (terminal(CONSOLE, leave), 0)
        }
        _ => (terminal(SETUP_TOKEN, || ()), 0),
    });
    for (kind, stored, source, beginning) in [
        (LoginKind::SetupToken, StoredCredential::SetupToken, CredentialSource::StoredLogin, "sk-ant-oat01-"),
        (LoginKind::Console, StoredCredential::ApiKey, CredentialSource::StoredKey, key),
    ] {
        let id = world.start(LoginStartParams { kind, ..LoginStartParams::default() }).expect("started");
        world.give_code(&id).await;
        let end = world.end(&id).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        assert!(!serde_json::to_string(&end).expect("text").contains("sk-ant-"));
        let status: CredentialsStatus = serde_json::from_value(end.result.expect("a result")).expect("a status");
        assert_eq!(status.source, Some(source));
        let (kind, value) = world.kept.0.lock().expect("not poisoned").pop().expect("kept");
        assert_eq!(kind, stored);
        assert!(value.starts_with(beginning) && value.len() > 15, "{value}");
    }
    assert_eq!(world.names(), Vec::<String>::new());
    assert!(world.directory.path().exists());
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("written");
}

#[tokio::test]
async fn a_token_has_to_have_a_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
    let daemon = Daemon::open(
        super::home::tests::paths(directory.path()),
        &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()),
        Box::new(none),
    )
    .expect("opened");
    for kind in [LoginKind::SetupToken, LoginKind::Console] {
        let params = LoginStartParams { kind, ..LoginStartParams::default() };
        assert_eq!(start(&daemon, params).expect_err("refused").code, ErrorCode::StateFailed);
    }
    // Without an engine it ends with the engine's error, and leaves nothing.
    let started = start(&daemon, LoginStartParams::default()).expect("started");
    let end = daemon.operations.wait(&started.operation_id).await.expect("an end");
    assert_eq!(code_of(&end), Some(ErrorCode::EngineUnavailable), "{:?}", end.error);
    assert_eq!(names(&daemon.paths), Vec::<String>::new());
}
