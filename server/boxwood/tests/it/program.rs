//! The program as a person or a script meets it, with a home of its own and no engine.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A home with nothing in it, whose daemon leaves with it.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("temporary directory") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let place = self.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxwood"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", place)
            .env("BOXWOOD_RUNTIME_DIR", place.join("run"))
            .env("DOCKER_HOST", format!("unix://{}", place.join("no-engine.sock").display()))
            .current_dir(place)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["daemon", "status", "--json"]).stdout).expect("JSON")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["daemon", "stop", "--force"]);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[track_caller]
fn check_error(output: &Output, status: i32, code: &str) {
    assert_eq!(text(&output.stdout), "", "a result although it failed");
    let error: Value = serde_json::from_slice(&output.stderr).expect("one JSON document");
    assert_eq!((output.status.code(), error["error"]["code"].as_str()), (Some(status), Some(code)), "{error}");
}

#[test]
fn the_version_needs_no_daemon() {
    let home = Home::new();
    let output = home.run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("boxwood {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(home.status(), Value::Null);
}

#[test]
fn a_daemon_starts_when_it_is_needed_stays_and_leaves() {
    let home = Home::new();
    let output = home.run(&["daemon", "status"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    assert!(text(&output.stderr).contains("does not run"));

    assert_eq!(home.run(&["template", "list", "--json"]).status.code(), Some(0));
    let first = home.status();
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(home.run(&["template", "list"]).status.code(), Some(0));
    assert_eq!(home.status()["pid"], first["pid"], "the same one answers");

    assert_eq!(text(&home.run(&["daemon", "stop", "--json"]).stdout), "{}\n");
    assert_eq!(home.status(), Value::Null);
    assert_eq!(home.run(&["daemon", "stop"]).status.code(), Some(0), "stopping twice is fine");
}

#[test]
fn a_killed_daemon_is_followed_by_another() {
    let home = Home::new();
    home.run(&["template", "list"]);
    let first = home.status()["pid"].as_i64().expect("pid");
    let killed = Command::new("kill").args(["-9", &first.to_string()]).status().expect("kill");
    assert!(killed.success());
    let next = home.run(&["template", "list"]);
    assert_eq!(next.status.code(), Some(0), "{}", text(&next.stderr));
    assert_ne!(home.status()["pid"].as_i64(), Some(first));
}

#[test]
fn clients_at_once_share_one_daemon() {
    let home = Home::new();
    let clients: Vec<_> = (0..4)
        .map(|_| home.command(&["template", "list", "--json"]).stdout(Stdio::piped()).spawn().expect("it runs"))
        .collect();
    for client in clients {
        assert_eq!(client.wait_with_output().expect("it ends").status.code(), Some(0));
    }
    let log = std::fs::read_to_string(home.directory.path().join(".local/state/boxwood/logs/daemon.log"));
    assert_eq!(log.expect("log").matches("\"listening\"").count(), 1);
}

#[test]
fn a_project_has_a_network_policy_before_it_has_a_sandbox() {
    let home = Home::new();
    let project = home.directory.path().join("shop");
    std::fs::create_dir(&project).expect("a project");
    let run = |arguments: &[&str]| home.command(arguments).current_dir(&project).output().expect("it runs");
    let policy: Value = serde_json::from_slice(&run(&["egress", "policy", "--json"]).stdout).expect("JSON");
    assert_eq!((&policy["enforcement"], &policy["default"]), (&json!("off"), &json!("ask")));
    let verdict = run(&["egress", "test", "new.example:8443"]);
    assert_eq!(verdict.status.code(), Some(0), "{}", text(&verdict.stderr));
    assert!(text(&verdict.stdout).starts_with("held"), "{}", text(&verdict.stdout));

    assert_eq!(text(&run(&["egress", "deny", "new.example"]).stdout), "new.example is refused in this project.\n");
    let verdict = run(&["egress", "test", "new.example:8443", "--json"]);
    let said: Value = serde_json::from_slice(&verdict.stdout).expect("JSON");
    assert_eq!((verdict.status.code(), &said["layer"]), (Some(1), &json!("remembered")));
    let shown = run(&["egress", "policy"]);
    assert!(text(&shown.stdout).contains("this project, decided"), "{}", text(&shown.stdout));

    assert_eq!(run(&["egress", "forget", "new.example"]).status.code(), Some(0));
    check_error(&run(&["egress", "forget", "new.example", "--json"]), 66, "egress.nothing");
    check_error(&run(&["egress", "allow", "not a host", "--json"]), 64, "rpc.invalidParams");
    check_error(&run(&["egress", "allow", "a.example", "--for-session", "--json"]), 69, "sandbox.notRunning");
    let empty = run(&["egress", "log"]);
    assert_eq!((empty.status.code(), text(&empty.stdout)), (Some(0), ""));
    assert!(text(&empty.stderr).contains("Nothing was decided yet"), "{}", text(&empty.stderr));
    assert!(text(&run(&["egress", "policy", "--presets"]).stdout).contains("claude: "));
}

#[test]
fn without_an_engine_errors_say_so_and_have_their_status() {
    let home = Home::new();
    check_error(&home.run(&["list", "--json"]), 69, "engine.unavailable");
    let output = home.run(&["list"]);
    let said = text(&output.stderr);
    assert!(said.starts_with("error: ") && said.contains("no-engine.sock") && said.contains("\nnext: "), "{said}");
    assert!(!said.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn the_examination_names_what_does_not_work() {
    let home = Home::new();
    let output = home.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let engine = report["checks"].as_array().and_then(|checks| checks.iter().find(|check| check["id"] == "engine"));
    let engine = engine.expect("a check of the engine");
    assert_eq!(engine["status"], "failed");
    assert!(engine["hint"].is_string());
}

#[test]
fn the_examination_works_without_a_daemon() {
    let home = Home::new();
    std::fs::create_dir(home.directory.path().join("run")).expect("directory");
    std::fs::set_permissions(home.directory.path().join("run"), PermissionsExt::from_mode(0o777)).expect("mode");
    check_error(&home.run(&["list", "--json"]), 77, "daemon.socketUnsafe");
    let output = home.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("FAIL  Daemon: "), "{}", text(&output.stdout));
    std::fs::set_permissions(home.directory.path().join("run"), PermissionsExt::from_mode(0o700)).expect("mode");
}

#[test]
fn what_needs_a_person_is_refused_without_one() {
    let home = Home::new();
    check_error(&home.run(&["cleanup-all", "--json"]), 64, "rpc.invalidParams");
    let output = home.run(&["attach"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("boxwood exec"));
}

#[test]
fn a_project_that_is_not_there_is_named() {
    let home = Home::new();
    let missing = "miss ing\n'ü\"";
    let output = home.run(&["start", missing, "--json"]);
    check_error(&output, 66, "project.invalid");
    let output = home.run(&["start", missing]);
    assert!(text(&output.stderr).contains("miss ing\\n'ü\""), "{}", text(&output.stderr));
}

#[test]
fn a_wrong_command_line_is_status_two() {
    let home = Home::new();
    for arguments in [&["nonsense"][..], &["exec"], &["run", "--memory"], &["start", "--variant", "huge"]] {
        let output = home.run(arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?}");
    }
    assert_eq!(home.status(), Value::Null, "no daemon was started for it");
}

#[test]
fn every_shell_gets_its_completions() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = home.run(&["completions", shell]);
        assert!(text(&output.stdout).contains("cleanup-all"), "{shell}");
    }
    let script = home.directory.path().join("boxwood.bash");
    std::fs::write(&script, home.run(&["completions", "bash"]).stdout).expect("written");
    let checked = Command::new("bash").arg("-n").arg(&script).status().expect("bash");
    assert!(checked.success());
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let home = Home::new();
    let mut child = home.command(&["completions", "zsh"]).stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn the_language_server_speaks_over_standard_streams_and_leaves_with_its_input() {
    let home = Home::new();
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "capabilities": {} } }).to_string();
    let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let input = home.directory.path().join("input");
    std::fs::write(&input, message).expect("written");
    let input = std::fs::File::open(input).expect("opened");
    let output = home.command(&["lsp", "--stdio"]).stdin(input).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(said.starts_with("Content-Length: ") && said.contains(r#""name":"boxwood""#), "{said}");
    assert_eq!(said.matches("Content-Length").count(), 1, "nothing but the protocol");
}
