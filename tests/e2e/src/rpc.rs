//! The daemon's socket, spoken to byte by byte: a WebSocket client that can also say what no client should.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use boxwood_protocol::contract::{Hello, Status};
use boxwood_protocol::params::{DaemonStatus, Empty, HelloParams};
use boxwood_protocol::{EVENT_METHOD, Event, Method, SUBSCRIBE_METHOD};
use boxwood_protocol::{PROTOCOL_VERSION, RpcError};
use serde_json::{Value, json};

use crate::world::World;

/// How long the daemon may take for one answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Kinds of frames.
pub const TEXT: u8 = 1;
/// Bytes that are not text.
pub const BINARY: u8 = 2;

/// A conversation.
#[derive(Debug)]
pub struct Rpc {
    stream: UnixStream,
    next_id: u64,
}

impl Rpc {
    /// Opens a conversation with the daemon that runs.
    ///
    /// # Panics
    /// When there is none, or it does not speak WebSocket.
    #[must_use]
    pub fn open(world: &World) -> Self {
        Self::try_open(world).expect("the daemon answers")
    }

    /// The same with a daemon that may be gone at any moment.
    ///
    /// # Panics
    /// When what answers does not speak WebSocket.
    #[must_use]
    pub fn try_open(world: &World) -> Option<Self> {
        let mut stream = UnixStream::connect(world.runtime().join("daemon.sock")).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        let request = "GET / HTTP/1.1\r\nHost: boxwood\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Some(Self { stream, next_id: 0 })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the daemon has hung up.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one whole frame.
    ///
    /// # Errors
    /// When the daemon has hung up.
    pub fn send(&mut self, kind: u8, payload: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(&frame(kind, payload))
    }

    /// The next message that is text; [`None`] when the conversation is over.
    ///
    /// # Panics
    /// When the daemon is silent for long, or says what is not JSON.
    pub fn receive(&mut self) -> Option<Value> {
        loop {
            let mut head = [0; 2];
            self.read(&mut head)?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut length = [0; 2];
                    self.read(&mut length)?;
                    usize::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.read(&mut length)?;
                    usize::try_from(u64::from_be_bytes(length)).expect("it fits")
                }
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.read(&mut payload)?;
            match head[0] & 0x0f {
                TEXT => return Some(serde_json::from_slice(&payload).expect("the daemon speaks JSON")),
                8 => return None,
                _ => {}
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => panic!("the daemon is silent"),
            Err(_) => None,
        }
    }

    /// Sends a request by name and gives the whole answer; [`None`] when the daemon hung up instead.
    pub fn ask(&mut self, method: &str, params: &Value) -> Option<Value> {
        self.next_id += 1;
        let id = self.next_id;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(TEXT, request.to_string().as_bytes()).ok()?;
        loop {
            let answer = self.receive()?;
            if answer["id"] == json!(id) {
                return Some(answer);
            }
        }
    }

    /// Calls a method of the contract.
    ///
    /// # Errors
    /// When the daemon refuses.
    ///
    /// # Panics
    /// When it hangs up, or its answer is not what the contract says.
    pub fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, RpcError> {
        let params = serde_json::to_value(params).expect("parameters are JSON");
        let mut answer = self.ask(M::NAME, &params).expect("the daemon answers");
        if answer["error"].is_null() {
            return Ok(serde_json::from_value(answer["result"].take()).expect("the result has the contract's type"));
        }
        Err(serde_json::from_value(answer["error"]["data"].take()).expect("the error has the contract's type"))
    }

    /// Asks to be told of every change from now on, and gives how things stand. Whatever else is asked in this
    /// conversation loses the changes that come before its answer, so other calls have one of their own.
    ///
    /// # Panics
    /// When the daemon refuses.
    #[must_use]
    pub fn subscribe(&mut self) -> Event {
        let answer = self.ask(SUBSCRIBE_METHOD, &json!({})).expect("the daemon answers");
        assert!(answer["error"].is_null(), "{answer}");
        self.event()
    }

    /// The next change.
    ///
    /// # Panics
    /// When none comes for long, or what comes is none.
    #[must_use]
    pub fn event(&mut self) -> Event {
        let mut message = self.receive().expect("the daemon stays");
        assert_eq!(message["method"], EVENT_METHOD, "{message}");
        serde_json::from_value(message["params"]["result"].take()).expect("the event has the contract's type")
    }
}

/// A bare connection to the daemon's socket.
///
/// # Panics
/// When nobody listens.
#[must_use]
pub fn connect(world: &World) -> UnixStream {
    let stream = UnixStream::connect(world.runtime().join("daemon.sock")).expect("the daemon listens");
    stream.set_read_timeout(Some(ANSWER)).expect("a limit can be set");
    stream
}

/// One whole masked frame.
#[must_use]
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];
    let mut frame = vec![0x80 | kind];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap_or_default()),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Checks, in a conversation of its own, that the daemon is the one that it was and answers as it should.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn is_well(world: &World, pid: u32) {
    let mut rpc = Rpc::open(world);
    let hello =
        HelloParams { client: "test".into(), version: env!("CARGO_PKG_VERSION").into(), protocol: PROTOCOL_VERSION };
    rpc.call::<Hello>(&hello).expect("the daemon greets");
    let status: DaemonStatus = rpc.call::<Status>(&Empty {}).expect("the daemon says how it is");
    assert_eq!(status.pid, pid, "it is another daemon");
}
