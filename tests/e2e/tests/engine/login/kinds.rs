//! The ways to sign in that end in a token or a key: it is kept, told nowhere, and used by the next start.

use std::fs;
use std::path::Path;

use boxwood_e2e::docker;
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::terminal::Terminal;
use boxwood_protocol::contract::Operations;
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource, CredentialsStatus};
use boxwood_protocol::params::Empty;
use serde_json::json;

use super::Signing;

/// Everything in the files of a directory.
fn text_in(directory: &Path) -> String {
    let files = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
    files.map(|path| String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned()).collect()
}

fn is_kept_told_nowhere_and_used(flag: &str, source: CredentialSource) {
    // Also by a daemon that says all it can.
    let signing = Signing::with(|world| {
        world.set("BOXWOOD_LOG", "trace");
        world.set("BOXWOOD_KEYRING", "file");
    });
    signing.world.configure(&json!({ "network": "open", "env": { "HTTPS_PROXY": signing.identity.proxy } }));
    let mut terminal = Terminal::open(&signing.world, &format!("login --no-browser {flag}"));
    terminal.wait_for("Code (not shown while you type):");
    let running = Rpc::open(&signing.world).call::<Operations>(&Empty {}).expect("a list");
    let id = running.into_iter().find(|operation| operation.kind == "login").expect("it runs").operation_id;
    let code = signing.identity.sign_in(&signing.asked(&id));
    terminal.press(format!("{code}\n").as_bytes());
    assert_eq!(terminal.wait(), 0, "{}", terminal.shown());
    assert_eq!((signing.homes(), signing.containers()), (Vec::new(), Vec::new()), "no login home is made for it");

    let sandbox = signing.world.start().sandbox;
    let asked = signing.world.boxwood(["exec", "--", "claude", "-p", "say hello"]).run().ok();
    assert_eq!(asked.out().trim(), "hello");
    let told = signing.world.boxwood(["credentials", "status", "--json"]).run().ok();
    let status: CredentialsStatus = serde_json::from_slice(&told.stdout).expect("a status");
    assert_eq!(
        (status.source, status.mode, status.health),
        (Some(source), Some(CredentialMode::Token), CredentialHealth::Ok),
        "{status:?}"
    );

    let secrets = signing.identity.ask("secrets", &json!({}));
    let values: Vec<&str> =
        secrets.as_array().into_iter().flatten().filter_map(|secret| secret["value"].as_str()).collect();
    let kept = text_in(&signing.world.state().join("credentials"));
    assert_eq!(values.iter().filter(|value| kept.contains(**value)).count(), 1, "what it is for is kept, and no more");
    let logs = text_in(&signing.world.state().join("logs"));
    assert!(logs.contains(&id), "the log is of this sign-in");
    let places = [
        ("the log", logs),
        ("the terminal", terminal.shown()),
        ("the end of the sign-in", serde_json::to_string(&signing.end(&id)).expect("JSON")),
        ("the status", told.out()),
        ("what the engine shows", docker::inspect(&sandbox.container).expect("it is there").to_string()),
    ];
    for (place, text) in &places {
        let lines: Vec<&str> = text.lines().filter(|line| values.iter().any(|value| line.contains(value))).collect();
        assert!(lines.is_empty() && !text.contains(&code), "a secret stands in {place}: {lines:?}");
    }
}

#[test]
fn a_token_of_a_year_is_kept_and_told_nowhere() {
    is_kept_told_nowhere_and_used("--setup-token", CredentialSource::StoredLogin);
}

#[test]
fn a_key_of_the_console_is_kept_and_told_nowhere() {
    is_kept_told_nowhere_and_used("--console", CredentialSource::StoredKey);
}
