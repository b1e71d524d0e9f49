//! Starting a daemon when there is none.

use boxwood_protocol::ErrorCode;
use tempfile::TempDir;

use crate::fake::{FakeDaemon, Identity};
use crate::fifo::Fifo;
use crate::{launcher, paths_in};

fn base() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

/// Says what a daemon that was started answers to the one who started it.
async fn check_failure(script: &str, code: ErrorCode, words: &str) {
    let base = base();
    let error = launcher(base.path(), script).connect().await.err().expect("no daemon");
    assert_eq!(error.code, code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn a_daemon_that_cannot_start_says_why() {
    let report = r#"echo '{"code":"daemon.socketUnsafe","message":"not safe","actions":[]}'"#;
    check_failure(report, ErrorCode::SocketUnsafe, "not safe").await;
    check_failure("echo first line >&2; exit 3", ErrorCode::DaemonUnavailable, "first line").await;
    check_failure("exit 3", ErrorCode::DaemonUnavailable, "ended before it listened").await;
    check_failure("echo nonsense", ErrorCode::DaemonUnavailable, "ended before it listened").await;
}

#[tokio::test]
async fn a_daemon_that_claims_to_listen_and_does_not_is_not_tried_for_ever() {
    check_failure("echo ready", ErrorCode::DaemonUnavailable, "does not stay").await;
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let base = base();
    let mut launcher = launcher(base.path(), "");
    launcher.program = base.path().join("missing");
    let error = launcher.connect().await.err().expect("no daemon");
    assert!(error.message.contains("missing"), "{error}");
}

#[tokio::test]
async fn looking_for_a_daemon_starts_none() {
    let base = base();
    let launcher = launcher(base.path(), &format!("touch {}/started; echo ready", base.path().display()));
    assert!(launcher.connect_running().await.expect("nothing in the way").is_none());
    assert!(!base.path().join("started").exists());
}

#[tokio::test]
async fn two_clients_at_once_start_one_daemon() {
    let base = base();
    let place = base.path().display().to_string();
    let (mut started, mut listening) =
        (Fifo::new(&base.path().join("started")), Fifo::new(&base.path().join("listening")));
    // The script says that it runs, and waits until the test listens for it.
    let script = format!("echo x >>{place}/starts; echo >{place}/started; read -r _ <{place}/listening; echo ready");
    let (first, second) = (launcher(base.path(), &script), launcher(base.path(), &script));
    let paths = paths_in(base.path());
    let daemon = tokio::spawn(async move {
        started.heard().await;
        let fake = FakeDaemon::listen(&paths, Identity::current());
        listening.say().await;
        (fake, listening)
    });
    let (first, second) = tokio::join!(first.connect(), second.connect());
    first.expect("connected");
    second.expect("connected");
    let _daemon = daemon.await.expect("the fake listens");
    let starts = std::fs::read_to_string(base.path().join("starts")).expect("starts");
    assert_eq!(starts, "x\n");
}

#[tokio::test]
async fn secrets_of_the_client_do_not_live_on_in_the_daemon() {
    let base = base();
    let seen = base.path().join("environment");
    let script = format!("env >{}; exit 1", seen.display());
    let error = launcher(base.path(), &script).connect().await;
    assert!(error.is_err());
    let environment = std::fs::read_to_string(seen).expect("environment");
    for name in ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"] {
        assert!(!environment.contains(name), "{name}");
    }
    assert!(environment.contains("PWD=/\n"), "it holds no directory: {environment}");
}
