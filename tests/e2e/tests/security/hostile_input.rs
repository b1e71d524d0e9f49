//! What no client should say, said to the daemon's socket and to the language server. Each must answer or hang up, and go
//! on serving others.

use std::io::{Read as _, Write as _};

use boxwood_e2e::lsp::Lsp;
use boxwood_e2e::rpc::{self, BINARY, Rpc, TEXT};
use boxwood_e2e::{World, until};
use boxwood_protocol::contract::{Ensure, Exec, Hello, List, METHODS, Status};
use boxwood_protocol::{ErrorCode, MAX_REQUEST_BYTES, Method};
use serde_json::{Value, json};

/// A world with a daemon, and the daemon's number.
fn world() -> (World, u32) {
    let world = World::new();
    let _ = world.list();
    let pid = world.daemon().expect("it runs").pid;
    (world, pid)
}

#[track_caller]
fn is_error(answer: Option<Value>, code: ErrorCode) {
    let answer = answer.expect("it answers");
    assert_eq!(answer["error"]["code"], json!(code.number()), "{answer}");
}

#[test]
fn unknown_methods_and_wrong_types_are_answered_with_errors() {
    let (world, pid) = world();
    let mut daemon = Rpc::open(&world);
    for method in ["", "x", "boxwood/", "rpc.discover", "__proto__", "boxwood/sandbox/ensure ", &"m".repeat(100_000)] {
        is_error(daemon.ask(method, &json!({})), ErrorCode::UnknownMethod);
    }
    let wrong = [
        json!([1, 2]),
        json!({ "project": 5 }),
        json!({ "project": ["/"] }),
        json!({ "unknown": 1 }),
        json!([{ "unknown": 1 }]),
        json!({ "project": { "deep": {} } }),
    ];
    for method in METHODS.iter().filter(|method| method.name != Hello::NAME) {
        for params in &wrong {
            let answer =
                daemon.ask(method.name, params).unwrap_or_else(|| panic!("{} with {params} hung up", method.name));
            assert!(answer["error"]["code"].is_number(), "{} took {params}: {answer}", method.name);
        }
    }
    rpc::is_well(&world, pid);
}

#[test]
fn values_that_are_well_formed_and_absurd_are_refused() {
    let (world, pid) = world();
    let mut daemon = Rpc::open(&world);
    for project in ["", ".", "relative", "/nonexistent", "/\0", "/../../..", &"/x".repeat(50_000)] {
        let answer = daemon.ask(Ensure::NAME, &json!({ "project": project })).expect("it answers");
        assert!(answer["error"]["data"]["code"].is_string(), "{project:.40?}: {answer}");
    }
    let project = world.project().to_string_lossy().into_owned();
    for config in [
        json!({ "memory": "999999999999t" }),
        json!({ "cpus": 1e308 }),
        json!({ "pids": -1 }),
        json!({ "image": "$(reboot)" }),
        json!({ "env": { "A=B": "c" } }),
        json!({ "env": { "A": "\u{0}" } }),
        json!({ "protectedPaths": ["../../etc"] }),
        json!({ "dockerfile": "/etc/passwd" }),
    ] {
        let answer = daemon.ask(Ensure::NAME, &json!({ "project": project, "config": config })).expect("it answers");
        if let Some(operation) = answer["result"]["operationId"].as_str() {
            let end = daemon
                .ask(boxwood_protocol::contract::Wait::NAME, &json!({ "operationId": operation }))
                .expect("it answers");
            assert_eq!(end["result"]["outcome"], "failed", "{config}: {end}");
        }
    }
    is_error(
        daemon.ask(Exec::NAME, &json!({ "target": { "project": project }, "command": [] })),
        ErrorCode::InvalidParams,
    );
    assert!(world.has_no_container());
    rpc::is_well(&world, pid);
}

#[test]
fn requests_beyond_the_limit_are_refused_and_below_it_are_read() {
    let (world, pid) = world();
    let limit = MAX_REQUEST_BYTES as usize;
    let filler = |length: usize| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": List::NAME, "params": { "project": "x".repeat(length) } })
            .to_string()
    };
    let mut daemon = Rpc::open(&world);
    daemon.send(TEXT, filler(limit / 2).as_bytes()).expect("it reads");
    assert!(daemon.receive().expect("it answers")["result"].is_array());
    for length in [limit + 1, 10 << 20] {
        let mut daemon = Rpc::open(&world);
        // It may hang up before all of it is sent.
        if daemon.send(TEXT, filler(length).as_bytes()).is_ok()
            && let Some(answer) = daemon.receive()
        {
            assert_eq!(answer["error"]["code"], json!(ErrorCode::RequestTooLarge.number()), "{answer}");
        }
        rpc::is_well(&world, pid);
    }
    let memory = world.daemon().expect("it runs").memory_bytes.expect("it knows");
    assert!(memory < 128 << 20, "{memory} bytes are held after a large request");
}

#[test]
fn half_messages_and_broken_frames_disturb_nobody() {
    let (world, pid) = world();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": Status::NAME, "params": {} }).to_string();
    let whole = rpc::frame(TEXT, hello.as_bytes());
    let mut huge_length = vec![0x81, 0xff];
    huge_length.extend(u64::MAX.to_be_bytes());
    let cases: Vec<Vec<u8>> = vec![
        whole[..1].to_vec(),
        whole[..7].to_vec(),
        whole[..whole.len() - 3].to_vec(),
        huge_length,
        vec![0x81, 0x05, b'h', b'e', b'l', b'l', b'o'],
        vec![0xff; 64],
        vec![0; 64],
        [vec![0x01], whole[1..].to_vec(), vec![0x80 | 0x0f, 0x80, 0, 0, 0, 0]].concat(),
        rpc::frame(8, &[0x03]),
        rpc::frame(9, &[b'x'; 125]),
    ];
    for bytes in cases {
        let mut daemon = Rpc::open(&world);
        // It may have hung up; and the next thing is that this side does.
        let _ = daemon.send_bytes(&bytes);
        drop(daemon);
        rpc::is_well(&world, pid);
    }
    for text in [
        "",
        "{",
        "[",
        "null",
        "1",
        "\"x\"",
        "[]",
        "{}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}",
        &"[".repeat(100_000),
        "{\"id\":{},\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
        "[1,2,3]",
    ] {
        let mut daemon = Rpc::open(&world);
        daemon.send(TEXT, text.as_bytes()).expect("it reads");
        drop(daemon);
        rpc::is_well(&world, pid);
    }
    until("the conversations are over", || (world.daemon()?.clients <= 1).then_some(()));
}

#[test]
fn bytes_that_are_no_text_and_no_websocket_disturb_nobody() {
    let (world, pid) = world();
    for payload in
        [&b"\xff\xfe\xfd"[..], b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", b"\xed\xa0\x80", &[0; 1000]]
    {
        for kind in [TEXT, BINARY] {
            let mut daemon = Rpc::open(&world);
            daemon.send(kind, payload).expect("it reads");
            drop(daemon);
            rpc::is_well(&world, pid);
        }
    }
    for text in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00",
        b"\0\0\0\0",
        &[b'A'; 200_000],
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let mut stream = rpc::connect(&world);
        // It may hang up before all of it is sent.
        let _ = stream.write_all(text);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("jsonrpc") && !answer.starts_with("HTTP/1.1 101"), "{answer}");
        rpc::is_well(&world, pid);
    }
}

#[test]
fn a_page_in_a_browser_cannot_talk_to_the_daemon() {
    let (world, pid) = world();
    let mut stream = rpc::connect(&world);
    let request = "POST / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("it answers");
    assert!(!head.ends_with(b"200"), "plain HTTP is not served");
    rpc::is_well(&world, pid);
}

#[test]
fn many_clients_that_say_nothing_keep_nobody_out() {
    let (world, pid) = world();
    let silent: Vec<_> = (0..100).map(|_| rpc::connect(&world)).collect();
    let open: Vec<_> = (0..50).map(|_| Rpc::open(&world)).collect();
    rpc::is_well(&world, pid);
    drop((silent, open));
    rpc::is_well(&world, pid);
}

#[test]
fn the_language_server_answers_what_it_cannot_read_and_goes_on() {
    let (world, pid) = world();
    let mut lsp = Lsp::initialized(&world);
    let answer = lsp.ask("boxwood/no/such", &json!({}));
    assert_eq!(answer["error"]["code"], json!(ErrorCode::UnknownMethod.number()), "{answer}");
    let answer = lsp.ask("textDocument/nothing", &json!({ "x": [1, 2, 3] }));
    assert!(answer["error"].is_object(), "{answer}");
    let answer = lsp.ask(Ensure::NAME, &json!({ "project": 5 }));
    assert_eq!(answer["error"]["code"], json!(ErrorCode::InvalidParams.number()), "{answer}");
    for body in [
        &b"{"[..],
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{\"jsonrpc\":\"2.0\",\"id\":\"x\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":5,\"id\":9}",
    ] {
        let mut bytes = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        lsp.send_bytes(&bytes);
        let listed = lsp.ask(List::NAME, &json!({}));
        assert!(listed["result"].is_array(), "after {:?}: {listed}", String::from_utf8_lossy(body));
    }
    let large = lsp.ask(List::NAME, &json!({ "project": "x".repeat(10 << 20) }));
    assert_eq!(large["error"]["code"], json!(ErrorCode::RequestTooLarge.number()), "{large}");
    assert!(lsp.ask(List::NAME, &json!({}))["result"].is_array());
    assert_eq!(lsp.close(), 0, "it leaves when its input ends");
    rpc::is_well(&world, pid);
}

#[test]
fn the_language_server_leaves_when_its_editor_says_half_a_message_and_goes() {
    let (world, pid) = world();
    for bytes in [
        &b"Content-Le"[..],
        b"Content-Length: 100\r\n\r\n{\"half\":",
        b"nonsense\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 99999999999999999999\r\n\r\n",
    ] {
        let mut lsp = Lsp::initialized(&world);
        lsp.send_bytes(bytes);
        // Its status says that the conversation did not end in order, or that it did; what counts is that it ends.
        let _ = lsp.close();
        rpc::is_well(&world, pid);
    }
}
