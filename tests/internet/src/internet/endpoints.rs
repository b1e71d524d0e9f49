//! What a server that stands for anybody's can do: tell what it was asked, send and take much, be slow, break off.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::http::{Body, bare, json_answer};
use super::ports::Arrival;
use super::websocket;

const PIECE: usize = 64 * 1024;

/// A body whose pieces are sent to it.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

/// Answers with what `fill` sends.
fn in_pieces<F>(fill: impl FnOnce(Sender) -> F) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(fill(sender));
    Response::new(Pieces(receiver).boxed())
}

pub(crate) async fn answer(request: Request<Incoming>, host: &str, arrival: &Arrival) -> io::Result<Response<Body>> {
    let query: HashMap<String, String> = pairs(request.uri().query().unwrap_or_default());
    let number = |name: &str, other: u64| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(other);
    let (count, pause) = (number("count", 10), Duration::from_millis(number("pause", 100)));
    Ok(match request.uri().path() {
        "/down" => {
            let bytes = number("bytes", 0);
            let mut response = in_pieces(move |sender| async move {
                for piece in pattern(bytes) {
                    if sender.send(Ok(piece)).await.is_err() {
                        return;
                    }
                }
            });
            response.headers_mut().insert(header::CONTENT_LENGTH, bytes.into());
            response
        }
        "/sum" => {
            let mut hasher = Sha256::new();
            pattern(number("bytes", 0)).for_each(|piece| hasher.update(&piece));
            json_answer(&json!({ "sha256": hexadecimal(&hasher.finalize()) }))
        }
        "/up" => {
            let (mut hasher, mut bytes, mut body) = (Sha256::new(), 0, request.into_body());
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                    bytes += data.len();
                    hasher.update(&data);
                }
            }
            json_answer(&json!({ "bytes": bytes, "sha256": hexadecimal(&hasher.finalize()) }))
        }
        "/events" => {
            let is_timed = query.contains_key("timed");
            let mut response = in_pieces(move |sender| async move {
                for at in 0..count {
                    let sent = if is_timed { format!(" {}", microseconds()) } else { String::new() };
                    if sender.send(Ok(Bytes::from(format!("data: {at}{sent}\n\n")))).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
            });
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
            response
        }
        "/cut" => {
            let mut response = in_pieces(move |sender| async move {
                let _ = sender.send(Ok(Bytes::from_static(b"the beginning"))).await;
                // The beginning is on its way by then.
                tokio::time::sleep(pause).await;
                let _ = sender.send(Err(io::Error::other("asked to break off"))).await;
            });
            response.headers_mut().insert(header::CONTENT_LENGTH, 1_000_000.into());
            response
        }
        "/redirect" => {
            let mut response = bare(StatusCode::FOUND);
            let to = query.get("to").map(String::as_str).unwrap_or_default();
            let to = header::HeaderValue::from_str(to).map_err(io::Error::other)?;
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        "/socket" => upgrade(request),
        _ => {
            let (head, mut body) = request.into_parts();
            while body.frame().await.is_some() {}
            described(&head, host, arrival)
        }
    })
}

/// The time, microseconds since 1970: who gets it on the same machine knows how long it was under way.
pub(crate) fn microseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn upgrade(mut request: Request<Incoming>) -> Response<Body> {
    let key = request.headers().get("sec-websocket-key").and_then(|key| key.to_str().ok()).map(websocket::accept);
    let Some(key) = key.and_then(|key| header::HeaderValue::from_str(&key).ok()) else {
        return bare(StatusCode::BAD_REQUEST);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // It ends as the client wishes.
            let _ = websocket::echo(upgraded).await;
        }
    });
    let mut response = bare(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", key);
    *response.body_mut() = super::http::whole("");
    response
}

/// Tells what was asked. That it was this server that answered can be told by `internet`.
fn described(head: &Parts, host: &str, arrival: &Arrival) -> Response<Body> {
    let mut headers = Map::new();
    for (name, value) in &head.headers {
        headers.insert(name.to_string(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    json_answer(&json!({
        "internet": host, "method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers,
        "peer": arrival.peer.ip().to_string(), "sni": arrival.sni, "port": arrival.port,
    }))
}

/// So many bytes, no two pieces the same.
fn pattern(bytes: u64) -> impl Iterator<Item = Bytes> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let filler: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(PIECE)
    .collect();
    (0..bytes.div_ceil(PIECE as u64)).map(move |at| {
        let length = usize::try_from((bytes - at * PIECE as u64).min(PIECE as u64)).unwrap_or(PIECE);
        let mut piece = BytesMut::with_capacity(PIECE);
        piece.put_u64(at);
        piece.put_slice(&filler[8..]);
        piece.truncate(length);
        piece.freeze()
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pairs(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
