//! Following operations, and what becomes of requests when things go wrong.

use std::time::Duration;

use boxwood_client::{CallError, Cancel, Connection};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::EnsureParams;
use boxwood_protocol::{ErrorCode, Event, MAX_REQUEST_BYTES, Method, RpcError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{FakeDaemon, Identity, OPERATION};
use crate::launcher;

/// `ensure` with an outcome that is easy to make up.
struct Ensure;

impl Method for Ensure {
    const NAME: &'static str = "boxwood/sandbox/ensure";
    type Params = EnsureParams;
    type Result = OperationStarted;
    type Outcome = Value;
}

async fn connect() -> (TempDir, FakeDaemon, Connection) {
    let base = tempfile::tempdir().expect("temporary directory");
    let launcher = launcher(base.path(), "exit 1");
    let fake = FakeDaemon::listen(&launcher.paths, Identity::current());
    let connection = launcher.connect().await.expect("connected");
    (base, fake, connection)
}

fn project(path: &str) -> EnsureParams {
    EnsureParams { project: path.to_owned(), ..EnsureParams::default() }
}

#[tokio::test]
async fn an_operation_shows_its_own_events_in_order_and_ends() {
    let (_base, _fake, connection) = connect().await;
    let mut seen = Vec::new();
    let result = connection
        .run::<Ensure>(&project("/ok"), &Cancel::default(), |event| {
            seen.push(match event {
                Event::OperationProgress { step, .. } => step.clone(),
                Event::OperationOutput { text, .. } => text.clone(),
                other => panic!("not of this operation: {other:?}"),
            });
        })
        .await;
    assert_eq!(result, Ok(json!({ "ready": "/ok" })));
    assert_eq!(seen, ["image", "a line"]);
}

#[tokio::test]
async fn an_operation_is_waited_for_without_a_subscription() {
    let (_base, fake, connection) = connect().await;
    let result = connection.run_quietly::<Ensure>(&project("/ok"), &Cancel::default()).await;
    assert_eq!(result, Ok(json!({ "ready": "/ok" })));
    let calls: Vec<String> = fake.calls().into_iter().map(|(method, _)| method).collect();
    assert_eq!(calls, ["boxwood/daemon/hello", "boxwood/sandbox/ensure"]);
}

#[tokio::test]
async fn a_failed_operation_gives_its_error_and_what_is_left() {
    let (_base, _fake, connection) = connect().await;
    for is_quiet in [false, true] {
        let cancel = Cancel::default();
        let result = match is_quiet {
            true => connection.run_quietly::<Ensure>(&project("/fails"), &cancel).await,
            false => connection.run::<Ensure>(&project("/fails"), &cancel, |_| {}).await,
        };
        let error = result.expect_err("it failed");
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::ImageFailed, "no"));
        assert_eq!(error.causes, ["not undone yet: a volume"]);
        assert_eq!(error.trace_id.as_deref(), Some(OPERATION));
    }
}

#[tokio::test]
async fn cancelling_asks_the_daemon_and_waits_for_the_end() {
    for is_quiet in [false, true] {
        let (_base, fake, connection) = connect().await;
        let cancel = Cancel::default();
        let cancelling = async {
            fake.called("boxwood/sandbox/ensure").await;
            assert!(tokio::time::timeout(Duration::ZERO, cancel.taken()).await.is_err(), "nobody wished it yet");
            cancel.wish();
            // It is not to be waited for any longer then: the daemon knows.
            cancel.taken().await;
            fake.called("boxwood/operation/cancel").await;
        };
        let running = async {
            match is_quiet {
                true => connection.run_quietly::<Ensure>(&project("/slow"), &cancel).await,
                false => connection.run::<Ensure>(&project("/slow"), &cancel, |_| {}).await,
            }
        };
        let (result, ()) = tokio::join!(running, cancelling);
        assert_eq!(result.map_err(|error| error.code), Err(ErrorCode::Cancelled));
        assert!(
            fake.calls()
                .iter()
                .any(|(method, params)| { method == "boxwood/operation/cancel" && params["operationId"] == OPERATION })
        );
    }
}

#[tokio::test]
async fn a_daemon_that_dies_fails_what_waits() {
    let (_base, fake, connection) = connect().await;
    let dying = async {
        fake.called("boxwood/sandbox/ensure").await;
        fake.kill();
    };
    let (cancel, params) = (Cancel::default(), project("/slow"));
    let (result, ()) = tokio::join!(connection.run::<Ensure>(&params, &cancel, |_| {}), dying);
    assert_eq!(result.map_err(|error| error.code), Err(ErrorCode::DaemonUnavailable));
    connection.closed().await;
    assert!(!connection.is_open());
}

#[tokio::test]
async fn requests_are_relayed_as_they_are() {
    let (_base, _fake, connection) = connect().await;
    let params = json!({ "ü": [1, 1.5, null, { "deep": true }], "large": u64::MAX, "a": "\n\u{0}" });
    assert_eq!(connection.relay("boxwood/test/echo", Some(&params)).await, Ok(params));
    let Err(CallError::Refused { number, message, data }) = connection.relay("boxwood/test/refuse", None).await else {
        panic!("refused");
    };
    assert_eq!((number, message.as_str()), (ErrorCode::SandboxBusy.number(), "busy"));
    let error: RpcError = serde_json::from_value(data.expect("data")).expect("an error of the product");
    assert_eq!(error.causes, ["somebody else"]);
    let unknown = connection.relay("boxwood/test/unknown", None).await.map_err(RpcError::from);
    assert_eq!(unknown.map_err(|error| error.code), Err(ErrorCode::UnknownMethod));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent_and_the_connection_stays() {
    let (_base, _fake, connection) = connect().await;
    let params = json!({ "text": "x".repeat(MAX_REQUEST_BYTES as usize) });
    let error = connection.relay("boxwood/test/echo", Some(&params)).await.map_err(RpcError::from);
    assert_eq!(error.map_err(|error| error.code), Err(ErrorCode::RequestTooLarge));
    let most = json!({ "text": "x".repeat(MAX_REQUEST_BYTES as usize - 1024) });
    assert_eq!(connection.relay("boxwood/test/echo", Some(&most)).await, Ok(most));
}

#[tokio::test]
async fn a_subscription_begins_with_a_snapshot_and_leaves_out_what_it_does_not_know() {
    let (_base, fake, connection) = connect().await;
    let params = SubscribeParams { stats: vec!["a".to_owned()] };
    let mut events = connection.subscribe(&params).await.expect("subscribed");
    assert_eq!(fake.subscribed(1).await, [json!({ "stats": ["a"] })]);
    assert!(matches!(events.next().await, Some(Event::Snapshot { .. })));
    fake.send(json!({ "type": "ofALaterVersion" }));
    fake.send(json!({ "type": "sandboxRemoved", "id": "a" }));
    assert_eq!(events.next().await, Some(Event::SandboxRemoved { id: "a".to_owned() }));
    fake.kill();
    assert_eq!(events.next().await, None);
}
