//! Requests on their way to the daemon and back.

use boxwood_protocol::ErrorCode;
use serde_json::json;

use crate::daemon_for;
use crate::editor::Editor;

#[tokio::test]
async fn the_server_says_who_it_is_and_serves_no_text_yet() {
    let mut editor = Editor::open("exit 1");
    let answer = editor.initialize().await;
    assert_eq!(answer["result"]["serverInfo"]["name"], "boxwood");
    assert_eq!(answer["result"]["capabilities"], json!({}));
    assert!(editor.leave().await);
}

#[tokio::test]
async fn requests_and_answers_pass_as_they_are() {
    let mut editor = Editor::open("exit 1");
    let daemon = daemon_for(&editor);
    editor.initialize().await;
    let params = json!({ "ü": [1, 1.5, null, { "deep": true }], "large": u64::MAX });
    editor.request(1, "boxwood/test/echo", params.clone()).await;
    assert_eq!(editor.answer(1).await, json!({ "jsonrpc": "2.0", "id": 1, "result": params }));
    editor.send(&json!({ "jsonrpc": "2.0", "id": "two", "method": "boxwood/sandbox/list" })).await;
    assert_eq!(editor.answer("two").await["result"], json!([]));
    assert!(daemon.calls().contains(&("boxwood/sandbox/list".to_owned(), json!(null))));
}

#[tokio::test]
async fn the_daemons_error_arrives_whole() {
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.request(1, "boxwood/test/refuse", json!({})).await;
    let error = editor.answer(1).await["error"].take();
    assert_eq!(error["code"], ErrorCode::SandboxBusy.number());
    assert_eq!(error["message"], "busy");
    assert_eq!(error["data"]["code"], "sandbox.busy");
    assert_eq!(error["data"]["causes"], json!(["somebody else"]));
    editor.request(2, "boxwood/no/such", json!({})).await;
    assert_eq!(editor.answer(2).await["error"]["code"], ErrorCode::UnknownMethod.number());
}

#[tokio::test]
async fn nothing_is_relayed_outside_the_conversation() {
    let mut editor = Editor::open("exit 1");
    let daemon = daemon_for(&editor);
    editor.request(1, "boxwood/test/echo", json!({})).await;
    assert_eq!(editor.answer(1).await["error"]["code"], -32002);
    editor.initialize().await;
    editor.request(2, "shutdown", json!(null)).await;
    assert_eq!(editor.answer(2).await["result"], json!(null));
    editor.request(3, "boxwood/test/echo", json!({})).await;
    assert_eq!(editor.answer(3).await["error"]["code"], -32600);
    editor.notify("exit", json!(null)).await;
    assert!(editor.ended().await, "shutdown, then exit is orderly");
    assert!(!daemon.calls().iter().any(|(method, _)| method == "boxwood/test/echo"));
}

#[tokio::test]
async fn requests_that_wait_delay_no_other() {
    let mut editor = Editor::open("exit 1");
    let daemon = daemon_for(&editor);
    editor.initialize().await;
    for id in 0..200 {
        editor.request(id, "boxwood/test/never", json!({})).await;
    }
    daemon.called("boxwood/test/never").await;
    editor.request("fast", "boxwood/test/echo", json!({ "a": 1 })).await;
    assert_eq!(editor.answer("fast").await["result"], json!({ "a": 1 }));
    editor.notify("$/cancelRequest", json!({ "id": 7 })).await;
    assert_eq!(editor.answer(7).await["error"]["code"], -32800);
    // What still waits is cancelled by leaving.
    editor.notify("exit", json!(null)).await;
    for id in (0..200).filter(|id| *id != 7) {
        assert_eq!(editor.answer(id).await["error"]["code"], -32800);
    }
    assert!(!editor.ended().await, "exit without shutdown is not orderly");
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time() {
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.request(1, "boxwood/test/never", json!({})).await;
    editor.request(1, "boxwood/test/echo", json!({})).await;
    assert_eq!(editor.answer(1).await["error"]["code"], -32600);
    editor.notify("$/cancelRequest", json!({ "id": 1 })).await;
    assert_eq!(editor.answer(1).await["error"]["code"], -32800);
    editor.request(1, "boxwood/test/echo", json!({})).await;
    assert_eq!(editor.answer(1).await["result"], json!({}));
}

#[tokio::test]
async fn a_daemon_that_cannot_start_is_the_answer_and_the_next_request_tries_again() {
    let mut editor = Editor::initialized("echo x >>BASE/starts; echo no luck >&2; exit 1").await;
    // The subscription tries first, and says so in the way the editor knows.
    let event = editor.event().await;
    assert_eq!((event["type"].as_str(), &event["engine"]["isAvailable"]), (Some("engineChanged"), &json!(false)));
    editor.request(1, "boxwood/sandbox/list", json!({})).await;
    let error = editor.answer(1).await["error"].take();
    assert_eq!(error["data"]["code"], "daemon.unavailable");
    assert!(error["data"]["causes"][0].as_str().is_some_and(|cause| cause.contains("no luck")), "{error}");
    let starts = std::fs::read_to_string(editor.place("starts")).expect("starts");
    assert_eq!(starts, "x\nx\n");
    let _daemon = daemon_for(&editor);
    editor.request(2, "boxwood/sandbox/list", json!({})).await;
    assert_eq!(editor.answer(2).await["result"], json!([]));
}
