//! `boxwood credentials`, with a daemon that says what the test wants: what is asked, what is shown, and what is not.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{FakeDaemon, Identity};
use crate::terminal::Terminal;

const STATUS: &str = "boxwood/credentials/status";
const SET: &str = "boxwood/credentials/set";
const SET_MODE: &str = "boxwood/credentials/setMode";
const SIGN_OUT: &str = "boxwood/credentials/signOut";
const RESOLVE: &str = "boxwood/credentials/resolve";

/// What must be seen nowhere.
const CANARY: &str = "sk-ant-api03-canary";

const MEANS: &str = "The sandbox gets a copy of the whole login.";

/// A directory that is nobody's project, and a daemon that knows no sandbox.
struct Place {
    directory: TempDir,
    daemon: FakeDaemon,
}

fn status(health: &str) -> Value {
    let mode = |mode: &str, explanation: Option<&str>| {
        let mut report = json!({ "mode": mode, "holds": "something", "isDefault": false, "isAvailable": true });
        report["explanation"] = json!(explanation);
        report
    };
    json!({
        "source": "loginHome", "mode": "isolated", "health": health, "detail": "signed in; held as 'isolated'",
        "isInConflict": false, "warnings": ["a warning"],
        "sources": [{ "source": "loginHome", "title": "login made with Boxwood", "usage": "chosen", "reason": "there" }],
        "modes": [mode("isolated", None), mode("token", None), mode("sync", Some(MEANS))],
    })
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let runtime = directory.path().join("run").display().to_string();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_RUNTIME_DIR").then(|| runtime.clone()), 0);
        let version = env!("CARGO_PKG_VERSION");
        let newest = Identity { build: format!("{version}+{}", u64::MAX), ..Identity::of(version) };
        let daemon = FakeDaemon::listen(&paths, newest);
        daemon.answer("boxwood/sandbox/inspect", [Err(RpcError::new(ErrorCode::SandboxNotFound, "none"))]);
        for method in [STATUS, SET, SET_MODE, SIGN_OUT, RESOLVE] {
            daemon.answer(method, [Ok(status("ok"))]);
        }
        Self { directory, daemon }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxwood"));
        command.arg("credentials").args(arguments.split_whitespace()).env_clear();
        command.env("HOME", self.directory.path()).current_dir(self.directory.path());
        command.env("BOXWOOD_RUNTIME_DIR", self.directory.path().join("run"));
        command
    }

    fn run(&self, arguments: &str, input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("input").write_all(input.as_bytes()).expect("written");
        child.wait_with_output().expect("it ends")
    }

    fn asked(&self, method: &str) -> Vec<Value> {
        self.daemon.params_of(method)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_status_is_of_new_sandboxes_where_there_is_none_and_its_exit_status_says_how_it_is() {
    let place = Place::new();
    for (health, expected) in
        [("ok", 0), ("expiring", 0), ("attention", 0), ("expired", 1), ("unreadable", 1), ("signedOut", 1)]
    {
        place.daemon.answer(STATUS, [Ok(status(health))]);
        let output = place.run("status --json", "");
        assert_eq!(output.status.code(), Some(expected), "{health}: {}", text(&output.stderr));
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["health"], health);
    }
    assert_eq!(place.asked(STATUS)[0], json!({ "environment": {} }));
    place.run("status --sandbox shop", "");
    assert_eq!(place.asked(STATUS).last(), Some(&json!({ "target": { "sandbox": "shop" }, "environment": {} })));
    let output = place.run("status", "");
    assert!(text(&output.stdout).contains("THE SANDBOX HOLDS"), "{}", text(&output.stdout));
}

#[test]
fn a_value_comes_through_a_pipe_and_is_repeated_nowhere() {
    let place = Place::new();
    let output = place.run("-vv set api-key --base-url https://api.example", &format!("{CANARY}\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = json!({ "kind": "apiKey", "value": CANARY, "baseUrl": "https://api.example" });
    assert_eq!(place.asked(SET), [expected]);
    assert!(text(&output.stdout).starts_with("Kept the API key.\nSigned in"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("warning: a warning"));
    for shown in [&output.stdout, &output.stderr] {
        assert!(!text(shown).contains(CANARY), "{}", text(shown));
    }
    for wrong in ["", "\n", "sk-ant-api03-canary\nrest\n", "sk-ant-api03-canary\u{7}"] {
        let output = place.run("set api-key", wrong);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), ""), "{wrong:?}");
        assert!(!text(&output.stderr).contains(CANARY), "{}", text(&output.stderr));
    }
    assert_eq!(place.asked(SET).len(), 1);
}

#[test]
fn a_value_is_typed_without_being_shown() {
    let place = Place::new();
    let mut terminal = Terminal::open(place.command("set setup-token"));
    terminal.wait_for("token of 'claude setup-token': ");
    assert!(!terminal.is_cooked(), "what is typed is hidden");
    terminal.press(format!("{CANARY}\r").as_bytes());
    terminal.wait_for("Kept the token");
    assert!(terminal.end().success() && terminal.is_cooked());
    assert!(!terminal.shown().contains(CANARY), "{}", terminal.shown());
    assert_eq!(place.asked(SET)[0]["value"], CANARY);
}

#[test]
fn ctrl_c_at_the_prompt_puts_the_terminal_back() {
    let place = Place::new();
    let mut terminal = Terminal::open(place.command("set api-key"));
    terminal.wait_for("API key: ");
    terminal.signal(rustix::process::Signal::INT);
    assert_eq!(terminal.end().code(), Some(130));
    assert!(terminal.is_cooked());
    assert_eq!(place.asked(SET), Vec::<Value>::new());
}

#[test]
fn what_a_mode_means_is_shown_and_asked_about() {
    let place = Place::new();
    let mut terminal = Terminal::open(place.command("mode sync"));
    terminal.wait_for(MEANS);
    terminal.wait_for("Hold the credential as 'sync' in new sandboxes?");
    terminal.wait_for("[y/N] ");
    terminal.press(b"n\r");
    assert_eq!(terminal.end().code(), Some(130));
    assert_eq!(place.asked(SET_MODE), Vec::<Value>::new());

    let mut terminal = Terminal::open(place.command("mode sync --sandbox shop"));
    terminal.wait_for("in sandbox shop?");
    terminal.press(b"y\r");
    terminal.wait_for("held as 'sync' in sandbox shop");
    assert!(terminal.end().success());
    let expected = json!({ "target": { "sandbox": "shop" }, "mode": "sync", "consent": true, "environment": {} });
    assert_eq!(place.asked(SET_MODE), [expected]);
}

#[test]
fn without_a_person_a_mode_is_refused_with_its_explanation_unless_it_was_agreed_to() {
    let place = Place::new();
    let output = place.run("mode sync", "");
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.contains(MEANS) && said.contains("add --yes"), "{said}");
    assert_eq!(place.asked(SET_MODE), Vec::<Value>::new());

    assert_eq!(place.run("mode sync --yes", "").status.code(), Some(0));
    assert_eq!(place.run("mode token", "").status.code(), Some(0), "it has no explanation");
    let wish = |mode: &str, consent: bool| json!({ "mode": mode, "consent": consent, "environment": {} });
    let expected = [wish("sync", true), wish("token", false)];
    assert_eq!(place.asked(SET_MODE), expected);
}

#[test]
fn what_another_source_means_is_said_by_its_refusal() {
    let place = Place::new();
    let refusal = RpcError::new(ErrorCode::CredentialConsent, "holding it is for you to decide").hint(MEANS);
    place.daemon.answer(SET_MODE, [Err(refusal.clone()), Ok(status("ok"))]);
    let mut terminal = Terminal::open(place.command("mode token --source hostLogin"));
    terminal.wait_for(MEANS);
    terminal.press(b"y\r");
    assert!(terminal.end().success());
    let consents: Vec<Value> = place.asked(SET_MODE).iter().map(|params| params["consent"].clone()).collect();
    assert_eq!(consents, [json!(false), json!(true)]);

    place.daemon.answer(SET_MODE, [Err(refusal)]);
    let output = place.run("mode token --source host-login", "");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains(MEANS), "{}", text(&output.stderr));
}

#[test]
fn signing_out_takes_the_source_in_use_or_the_one_that_is_named() {
    let place = Place::new();
    let output = place.run("sign-out", "");
    assert_eq!(text(&output.stdout).lines().next(), Some("Signed out of login made with Boxwood."));
    place.run("sign-out stored-key", "");
    assert_eq!(place.asked(SIGN_OUT), [json!({ "source": "loginHome" }), json!({ "source": "storedKey" })]);

    let mut nobody = status("signedOut");
    nobody.as_object_mut().expect("object").remove("source");
    place.daemon.answer(STATUS, [Ok(nobody)]);
    let output = place.run("sign-out", "");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("nothing to sign out of"), "{}", text(&output.stderr));
}

#[test]
fn a_conflict_is_ended_for_the_sandbox_that_is_meant() {
    let place = Place::new();
    let output = place.run("resolve --keep host --sandbox shop --json", "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(place.asked(RESOLVE), [json!({ "target": { "sandbox": "shop" }, "keep": "host" })]);
}
