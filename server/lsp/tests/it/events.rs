//! The daemon's events on their way to the editor, across the daemon's death.

use serde_json::json;

use crate::daemon_for;
use crate::editor::Editor;
use crate::fifo::Fifo;

#[tokio::test]
async fn events_flow_from_the_beginning() {
    let mut editor = Editor::open("exit 1");
    let daemon = daemon_for(&editor);
    editor.initialize().await;
    assert_eq!(editor.event().await["type"], "snapshot");
    let event = json!({ "type": "ofALaterVersion", "any": [1, 2] });
    daemon.send(event.clone());
    assert_eq!(editor.event().await, event);
    assert_eq!(daemon.subscribed(1).await, [json!({ "stats": [] })]);
}

#[tokio::test]
async fn the_editors_subscription_replaces_the_servers_own() {
    let mut editor = Editor::open("exit 1");
    let daemon = daemon_for(&editor);
    editor.initialize().await;
    assert_eq!(editor.event().await["type"], "snapshot");
    editor.request(1, "boxwood/events/subscribe", json!({ "stats": ["a"] })).await;
    assert_eq!(editor.answer(1).await["result"], json!({}));
    assert_eq!(editor.event().await["type"], "snapshot");
    assert_eq!(daemon.subscribed(2).await[1], json!({ "stats": ["a"] }));
    // One event comes once: the first subscription is gone.
    daemon.send(json!({ "type": "one" }));
    daemon.send(json!({ "type": "two" }));
    assert_eq!(editor.event().await["type"], "one");
    assert_eq!(editor.event().await["type"], "two");
    editor.request(2, "boxwood/events/subscribe", json!({ "unknown": true })).await;
    assert_eq!(editor.answer(2).await["error"]["data"]["code"], "rpc.invalidParams");
    editor.request(3, "boxwood/events/unsubscribe", json!({})).await;
    assert_eq!(editor.answer(3).await["result"], json!({}));
}

#[tokio::test]
async fn a_daemon_that_dies_fails_what_waits_and_its_successor_sends_a_snapshot() {
    let mut editor = Editor::open("echo >BASE/started; read -r _ <BASE/listening; echo ready");
    let (mut started, mut listening) = (Fifo::new(&editor.place("started")), Fifo::new(&editor.place("listening")));
    let first = daemon_for(&editor);
    editor.initialize().await;
    assert_eq!(editor.event().await["type"], "snapshot");
    editor.request(1, "boxwood/test/never", json!({})).await;
    first.called("boxwood/test/never").await;
    first.kill();
    assert_eq!(editor.answer(1).await["error"]["data"]["code"], "daemon.unavailable");

    // The server starts a successor by itself, because it wants events.
    started.heard().await;
    let second = daemon_for(&editor);
    listening.say().await;
    assert_eq!(editor.event().await["type"], "snapshot");
    editor.request(2, "boxwood/test/echo", json!({ "again": true })).await;
    assert_eq!(editor.answer(2).await["result"], json!({ "again": true }));
    second.send(json!({ "type": "fromTheSecond" }));
    assert_eq!(editor.event().await["type"], "fromTheSecond");
    assert!(editor.leave().await);
}
