//! Signing in with nothing on the host: the real claude in a container, an imitation of what it signs in to, and a person
//! who copies a code.

mod kinds;
mod on_terminal;

use std::fs;

use boxwood_e2e::World;
use boxwood_e2e::docker;
use boxwood_e2e::identity::Identity;
use boxwood_e2e::identity_realm::address_asked;
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::until;
use boxwood_protocol::contract::{Cancel, LoginCode, Operations, StartLogin, Wait};
use boxwood_protocol::credentials::{CredentialsStatus, Secret};
use boxwood_protocol::login::{LoginAsk, LoginCodeParams, LoginStartParams};
use boxwood_protocol::operation::{OperationEnd, OperationParams, OutcomeKind};
use boxwood_protocol::params::Empty;
use boxwood_protocol::{ErrorCode, SUBSCRIBE_METHOD};
use serde_json::json;

/// A world whose daemon runs and whose sign-ins reach the imitation.
pub(crate) struct Signing {
    pub(crate) world: World,
    pub(crate) identity: Identity,
}

impl Signing {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(arrange: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new();
        let identity = Identity::serve(&mut world);
        arrange(&mut world);
        let _ = world.boxwood(["list"]).run().ok();
        Self { world, identity }
    }

    pub(crate) fn start(&self) -> String {
        let started =
            Rpc::open(&self.world).call::<StartLogin>(&LoginStartParams { replace: true, ..Default::default() });
        started.expect("it begins").operation_id
    }

    /// Waits until the code is wanted, and gives the address.
    pub(crate) fn asked(&self, operation_id: &str) -> String {
        until("the question for the code", || address_asked(&self.world, operation_id))
    }

    pub(crate) fn give(&self, operation_id: &str, code: &str) {
        let params = LoginCodeParams { operation_id: operation_id.to_owned(), code: Secret::new(code.to_owned()) };
        let _ = Rpc::open(&self.world).call::<LoginCode>(&params).expect("it is wanted");
    }

    pub(crate) fn end(&self, operation_id: &str) -> OperationEnd {
        let params = OperationParams { operation_id: operation_id.to_owned() };
        Rpc::open(&self.world).call::<Wait>(&params).expect("it ends")
    }

    /// Names of what is kept of sign-ins.
    fn homes(&self) -> Vec<String> {
        let entries = fs::read_dir(self.world.state().join("logins")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn kept(&self) -> String {
        fs::read_to_string(self.world.state().join("logins/default/.claude/.credentials.json"))
            .expect("a login is kept")
    }

    pub(crate) fn containers(&self) -> Vec<String> {
        self.world.filter().map(|filter| docker::containers_of("login", &filter)).unwrap_or_default()
    }

    /// Signs in from the beginning to the end.
    pub(crate) fn sign_in(&self) {
        let id = self.start();
        let url = self.asked(&id);
        self.give(&id, &self.identity.sign_in(&url));
        let end = self.end(&id);
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    }
}

#[test]
fn a_login_is_kept_and_its_code_and_tokens_are_told_nowhere() {
    // Also by a daemon that says all it can.
    let signing = Signing::with(|world| world.set("BOXWOOD_LOG", "trace"));
    let id = signing.start();
    let url = signing.asked(&id);
    let containers = signing.containers();
    assert_eq!(containers.len(), 1);
    let second = Rpc::open(&signing.world).call::<StartLogin>(&LoginStartParams::default()).expect_err("it is refused");
    assert_eq!(second.code, ErrorCode::LoginRunning);
    assert!(second.to_string().contains(&id), "{second}");

    signing.give(&id, "somebody's#code");
    let url_again = signing.asked_again(&id);
    assert_eq!(url, url_again);
    let code = signing.identity.sign_in(&url);
    signing.give(&id, &code);
    let end = signing.end(&id);
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let status: CredentialsStatus = serde_json::from_value(end.result.expect("a result")).expect("a status");
    assert_eq!(status.account.and_then(|account| account.email).as_deref(), Some("ada@example.test"));

    assert_eq!((signing.homes(), signing.containers()), (vec!["default".to_owned()], Vec::new()));
    let secrets = signing.identity.ask("secrets", &json!({}));
    let values: Vec<&str> =
        secrets.as_array().into_iter().flatten().filter_map(|secret| secret["value"].as_str()).collect();
    let kept = signing.kept();
    assert_eq!(values.iter().filter(|value| kept.contains(**value)).count(), 2, "access and refresh token are kept");
    let logs = fs::read_dir(signing.world.state().join("logs")).expect("logs").flatten();
    let logs: String = logs.map(|log| fs::read_to_string(log.path()).expect("a log")).collect();
    assert!(logs.contains(&id), "the log is of this sign-in");
    for value in values.iter().chain([&code.as_str()]) {
        assert!(
            !logs.contains(value),
            "a secret stands in the log: {:?}",
            logs.lines().find(|line| line.contains(value))
        );
    }
}

impl Signing {
    /// Waits until the code is wanted again, and gives the address.
    fn asked_again(&self, operation_id: &str) -> String {
        boxwood_e2e::until("the question for another code", || {
            let mut rpc = Rpc::open(&self.world);
            let _ = rpc.ask(SUBSCRIBE_METHOD, &json!({}))?;
            let event = rpc.receive()?["params"]["result"].take();
            let asks: Vec<LoginAsk> = serde_json::from_value(event["logins"][operation_id].clone()).ok()?;
            match asks.as_slice() {
                [LoginAsk::Url { url }, LoginAsk::WrongCode { .. }] => Some(url.clone()),
                _ => None,
            }
        })
    }
}

#[test]
fn a_code_that_is_refused_and_a_cancelled_sign_in_leave_the_login_before() {
    let signing = Signing::new();
    signing.sign_in();
    let before = signing.kept();

    let id = signing.start();
    let code = signing.identity.sign_in(&signing.asked(&id));
    signing.give(&id, &format!("wrong{}", &code[5..]));
    let end = signing.end(&id);
    assert_eq!(end.error.map(|error| error.code), Some(ErrorCode::LoginWrongCode));
    assert_eq!(signing.identity.count("refusedCodes"), 1);
    assert_eq!((signing.kept(), signing.containers()), (before.clone(), Vec::new()));

    let id = signing.start();
    let _ = signing.asked(&id);
    let cancelled = Rpc::open(&signing.world).call::<Cancel>(&OperationParams { operation_id: id.clone() });
    assert!(cancelled.expect("it is known").was_running);
    assert_eq!(signing.end(&id).outcome, OutcomeKind::Cancelled);
    assert_eq!((signing.kept(), signing.containers()), (before, Vec::new()));
    assert_eq!(signing.homes(), ["default"]);
}

#[test]
fn nothing_is_left_of_a_sign_in_whose_daemon_was_killed() {
    let signing = Signing::new();
    signing.sign_in();
    let before = signing.kept();
    let id = signing.start();
    let _ = signing.asked(&id);
    assert_eq!(signing.homes().len(), 2);
    signing.world.kill_daemon();
    let _ = signing.world.boxwood(["list"]).run().ok();
    boxwood_e2e::until("the end of what was left", || {
        (signing.containers().is_empty() && signing.homes() == ["default"]).then_some(())
    });
    assert_eq!(signing.kept(), before);
    signing.sign_in();
}

#[test]
fn a_sign_in_that_nobody_finishes_ends_by_itself() {
    let signing = Signing::with(|world| world.set("BOXWOOD_LOGIN_SECONDS", "3"));
    let id = signing.start();
    let error = signing.end(&id).error.expect("an error");
    assert_eq!(error.code, ErrorCode::LoginTimedOut);
    assert!(error.hint.is_some());
    assert_eq!((signing.homes(), signing.containers()), (Vec::new(), Vec::new()));
}

#[test]
fn a_person_signs_in_on_a_terminal() {
    let signing = Signing::new();
    let mut terminal = Terminal::open(&signing.world, "login --no-browser");
    terminal.wait_for("Code (not shown while you type):");
    let running = Rpc::open(&signing.world).call::<Operations>(&Empty {}).expect("a list");
    let id = running.into_iter().find(|operation| operation.kind == "login").expect("it runs").operation_id;
    let code = signing.identity.sign_in(&signing.asked(&id));
    terminal.press(format!("{code}\n").as_bytes());
    terminal.wait_for("Signed in as ada@example.test.");
    assert_eq!(terminal.wait(), 0);
    assert!(!terminal.shown().contains(&code), "the code was shown");
    assert_eq!((signing.homes(), signing.containers()), (vec!["default".to_owned()], Vec::new()));

    // A second time it says so and asks.
    let mut terminal = Terminal::open(&signing.world, "login --no-browser");
    terminal.wait_for("is signed in already as ada@example.test. Sign in again? [y/N]");
    terminal.press(b"n\n");
    assert_eq!(terminal.wait(), i32::from(ErrorCode::Cancelled.exit_code()));
}
