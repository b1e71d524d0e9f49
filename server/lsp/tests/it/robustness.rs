//! What an editor should not send, and does.

use boxwood_protocol::ErrorCode;
use serde_json::json;

use crate::daemon_for;
use crate::editor::Editor;

/// Sends bytes and expects an answer with this error, and that the next request is answered.
async fn check_survives(bytes: &[u8], id: serde_json::Value, number: i32) {
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.write(bytes).await;
    assert_eq!(editor.answer(id).await["error"]["code"], number);
    editor.request("after", "boxwood/test/echo", json!({ "still": "there" })).await;
    assert_eq!(editor.answer("after").await["result"], json!({ "still": "there" }));
}

fn framed(body: &[u8]) -> Vec<u8> {
    [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn a_bad_message_costs_one_error() {
    check_survives(&framed(b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\""), json!(null), -32700).await;
    check_survives(&framed(b"\xff\xfe\xfd"), json!(null), -32700).await;
    check_survives(&framed(b"[]"), json!(null), -32600).await;
    check_survives(&framed(b"{\"id\": 5, \"jsonrpc\": \"1.0\", \"method\": \"x\"}"), json!(5), -32600).await;
    let nested =
        [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":".as_slice(), &b"[".repeat(100_000)].concat();
    check_survives(&framed(&nested), json!(null), -32700).await;
    check_survives(&framed(br#"{"jsonrpc":"2.0","id":9,"method":"no/such"}"#), json!(9), -32601).await;
}

#[tokio::test]
async fn a_request_of_ten_megabytes_is_refused() {
    let filler = "x".repeat(10 * 1024 * 1024);
    for method in ["boxwood/test/echo", "textDocument/hover"] {
        let body = json!({ "jsonrpc": "2.0", "id": 4, "method": method, "params": { "text": filler } }).to_string();
        check_survives(&framed(body.as_bytes()), json!(4), ErrorCode::RequestTooLarge.number()).await;
    }
}

#[tokio::test]
async fn a_request_just_too_large_for_the_daemon_is_refused_here() {
    let text = "x".repeat(boxwood_protocol::MAX_REQUEST_BYTES as usize - 150);
    let body = json!({ "jsonrpc": "2.0", "id": 4, "method": "boxwood/test/echo", "params": { "text": text } });
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.send(&body).await;
    assert_eq!(editor.answer(4).await["error"]["data"]["code"], "rpc.requestTooLarge");
    editor.request(5, "boxwood/test/echo", json!({})).await;
    assert_eq!(editor.answer(5).await["result"], json!({}));
}

#[tokio::test]
async fn half_a_message_at_the_end_is_an_orderly_end() {
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.write(b"Content-Length: 100\r\n\r\n{\"jsonrpc\":").await;
    assert!(editor.leave().await);
}

#[tokio::test]
async fn a_lost_structure_is_said_and_ends_the_server() {
    let mut editor = Editor::open("exit 1");
    let _daemon = daemon_for(&editor);
    editor.initialize().await;
    editor.write(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(editor.answer(json!(null)).await["error"]["code"], -32700);
    assert!(editor.ended().await);
}

#[tokio::test]
async fn leaving_before_a_word_is_orderly() {
    assert!(Editor::open("exit 1").leave().await);
}
