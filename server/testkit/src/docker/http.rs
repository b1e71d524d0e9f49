//! Requests and answers in the form the handlers want them.

use std::collections::HashMap;
use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::{Value, json};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Answer = Response<Body>;

/// An error as the engine words it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

pub(super) type Outcome<T = Answer> = Result<T, Refusal>;

pub(super) fn refuse<T>(status: u16, message: impl Into<String>) -> Outcome<T> {
    Err(Refusal { status, message: message.into() })
}

impl Refusal {
    pub(super) fn answer(&self) -> Answer {
        json_answer(self.status, &json!({ "message": self.message }))
    }
}

fn respond(status: u16, kind: &str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    if let Ok(status) = status.try_into() {
        *answer.status_mut() = status;
    }
    if let Ok(kind) = kind.parse() {
        answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    }
    answer
}

pub(super) fn json_answer(status: u16, value: &Value) -> Answer {
    bytes_answer(status, "application/json", format!("{value}\n").into_bytes())
}

pub(super) fn bytes_answer(status: u16, kind: &str, bytes: Vec<u8>) -> Answer {
    respond(status, kind, Full::new(Bytes::from(bytes)).boxed_unsync())
}

pub(super) fn empty_answer(status: u16) -> Answer {
    let mut answer = Response::new(Full::default().boxed_unsync());
    if let Ok(status) = status.try_into() {
        *answer.status_mut() = status;
    }
    answer
}

/// An answer whose head goes out at once and whose body as it comes.
pub(super) fn stream_answer(kind: &str, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    respond(200, kind, StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync())
}

/// One message of a JSON stream.
pub(super) fn message(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\r\n"))
}

/// A frame of a container's output: 1 is standard output, 2 standard error.
pub(super) fn frame(kind: u8, bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut frame = vec![kind, 0, 0, 0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(bytes);
    Bytes::from(frame)
}

/// A request's query.
#[derive(Debug, Default, Clone)]
pub(super) struct Query(HashMap<String, String>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), "1" | "true" | "True")
    }

    /// A filter's values. The engine takes `{"label":["a"]}` and the older `{"label":{"a":true}}`.
    pub(super) fn filter(&self, name: &str) -> Vec<String> {
        let filters: Value = serde_json::from_str(self.get("filters")).unwrap_or_default();
        match filters.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            Some(Value::Object(values)) => values.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// A map of strings in JSON, as builds have them.
    pub(super) fn map(&self, name: &str) -> Vec<(String, String)> {
        let Ok(Value::Object(map)) = serde_json::from_str(self.get(name)) else { return Vec::new() };
        map.into_iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned())).collect()
    }
}
