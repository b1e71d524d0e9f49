//! The contract, held against itself and against recorded conversations with the real server.
//!
//! The recordings in `tests/contract` were made by `record.mjs` beside them; the extension's tests read the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use boxwood_protocol::contract::{Stop, Wait, check};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::{
    EVENT_METHOD, ErrorCode, Event, METHODS, Method, MethodInfo, NAMESPACE, RpcError, SUBSCRIBE_METHOD,
    UNSUBSCRIBE_METHOD,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Direction {
    ToServer,
    FromServer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    direction: Direction,
    message: Message,
}

/// Requests, answers and notifications in one; what is absent tells them apart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    jsonrpc: String,
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
    // An answer may be null, which is not the same as none.
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<ErrorObject>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorObject {
    code: i32,
    message: String,
    data: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn method(name: &str) -> Option<&'static MethodInfo> {
    METHODS.iter().find(|method| method.name == name)
}

/// A conversation as far as it was read.
#[derive(Default)]
struct Reading {
    /// Requests without an answer yet, by id.
    asked: BTreeMap<String, (String, Option<Value>)>,
    /// Which method started an operation.
    operations: BTreeMap<String, &'static MethodInfo>,
    answered: BTreeSet<&'static str>,
    problems: Vec<String>,
}

impl Reading {
    fn read(&mut self, entry: Entry) {
        let Message { jsonrpc, id, method, params, result, error } = entry.message;
        assert_eq!(jsonrpc, "2.0");
        match (entry.direction, id, method) {
            (Direction::ToServer, Some(id), Some(method)) => {
                let is_new = self.asked.insert(id.to_string(), (method, params)).is_none();
                assert!(is_new, "two requests of the id {id}");
            }
            (Direction::FromServer, Some(id), None) => {
                let request = self.asked.remove(&id.to_string());
                let (method, params) = request.unwrap_or_else(|| panic!("an answer to {id}, which nobody asked"));
                match (result, error) {
                    (Some(result), None) => self.answer(&method, params.as_ref(), &result),
                    (None, Some(error)) => self.refusal(&method, params.as_ref(), &error),
                    _ => self.problems.push(format!("{method}: neither a result nor an error")),
                }
            }
            (Direction::FromServer, None, Some(method)) if method == EVENT_METHOD => {
                self.event(&params.unwrap_or_default());
            }
            (_, None, Some(method)) if !method.starts_with(NAMESPACE) => {}
            (direction, id, method) => {
                self.problems.push(format!("{direction:?}: unexpected message {id:?} {method:?}"));
            }
        }
    }

    fn answer(&mut self, name: &str, params: Option<&Value>, result: &Value) {
        let Some(method) = method(name) else {
            if name == SUBSCRIBE_METHOD {
                self.hold(&format!("{name}: params"), check::<SubscribeParams>, params.unwrap_or(&Value::Null));
            } else if name.starts_with(NAMESPACE) && name != UNSUBSCRIBE_METHOD {
                self.problems.push(format!("{name}: answered, but not in the contract"));
            }
            return;
        };
        self.answered.insert(method.name);
        self.hold(&format!("{name}: params"), method.check_params, params.unwrap_or(&Value::Null));
        self.hold(&format!("{name}: result"), method.check_result, result);
        if name == Wait::NAME {
            self.end(result);
        } else if let Some(id) = result.get("operationId").and_then(Value::as_str) {
            self.operations.insert(id.to_owned(), method);
        }
    }

    fn refusal(&mut self, name: &str, params: Option<&Value>, error: &ErrorObject) {
        // The editor's own protocol has errors of its own.
        let Some(data) = error.data.as_ref().filter(|_| name.starts_with(NAMESPACE)) else {
            if name.starts_with(NAMESPACE) {
                self.problems.push(format!("{name}: an error without data: {}", error.message));
            }
            return;
        };
        self.hold(&format!("{name}: error"), check::<RpcError>, data);
        let Ok(known) = RpcError::deserialize(data) else { return };
        if (known.code.number(), &known.message) != (error.code, &error.message) {
            self.problems.push(format!("{name}: {} {} carries {data}", error.code, error.message));
        }
        match method(name) {
            // What is wrong with them on purpose cannot be read.
            Some(_) if known.code == ErrorCode::InvalidParams => {}
            Some(method) => {
                self.hold(&format!("{name}: params"), method.check_params, params.unwrap_or(&Value::Null));
            }
            None if known.code == ErrorCode::UnknownMethod || name == SUBSCRIBE_METHOD => {}
            None => self.problems.push(format!("{name}: is not in the contract, but refused with {data}")),
        }
    }

    fn event(&mut self, event: &Value) {
        self.hold("event", check::<Event>, event);
        if let Some(end) = event.get("end") {
            self.end(end);
        }
    }

    /// The result of an operation has the type that the method which started it promises.
    fn end(&mut self, end: &Value) {
        let id = end["operationId"].as_str().unwrap_or_default();
        let Some(method) = self.operations.get(id) else { return };
        let is_ok = OutcomeKind::deserialize(&end["outcome"]).is_ok_and(|outcome| outcome == OutcomeKind::Ok);
        match end.get("result") {
            Some(result) if is_ok => self.hold(&format!("{}: outcome", method.name), method.check_outcome, result),
            None if !is_ok && end.get("error").is_some() => {}
            _ => self.problems.push(format!("{}: ended with {end}", method.name)),
        }
    }

    /// What is said is exactly what the contract's types would say.
    fn hold(&mut self, what: &str, check: impl Fn(&Value) -> serde_json::Result<Value>, value: &Value) {
        match check(value) {
            Ok(read) if is_same(value, &read) => {}
            Ok(read) => self.problems.push(format!("{what}: {value} is read as {read}")),
            Err(error) => self.problems.push(format!("{what}: {value}: {error}")),
        }
    }
}

/// Numbers are compared by value: whoever wrote the recording does not tell `1.0` from `1`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|same| is_same(value, same)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(value, same)| is_same(value, same))
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn recordings() -> Vec<(PathBuf, Vec<Entry>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("readable");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(|path| (path.clone(), read(path))).collect()
}

fn read(entries: Vec<Entry>) -> Reading {
    let mut reading = Reading::default();
    entries.into_iter().for_each(|entry| reading.read(entry));
    let unanswered = std::mem::take(&mut reading.asked).into_values();
    reading.problems.extend(unanswered.map(|(method, _)| format!("{method}: is not answered")));
    reading
}

#[test]
fn recorded_conversations_keep_to_the_contract() {
    let mut answered = BTreeSet::new();
    let mut problems = Vec::new();
    for (path, entries) in recordings() {
        let reading = read(entries);
        let name = path.file_name().unwrap_or_default().display().to_string();
        problems.extend(reading.problems.into_iter().map(|problem| format!("{name}: {problem}")));
        answered.extend(reading.answered);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));

    let missing: Vec<&str> = METHODS.iter().map(|method| method.name).filter(|name| !answered.contains(name)).collect();
    assert!(
        missing.is_empty(),
        "no recording has an answer to {missing:?}; tests/contract/README.md says how to add one"
    );
}

/// The reader itself: what departs from the contract is found.
#[test]
fn a_departure_is_found() {
    let check = |messages: Value, expected: &str| {
        let entries: Vec<Entry> = serde_json::from_value(messages.clone()).expect("entries");
        let problems = read(entries).problems;
        let is_found = if expected.is_empty() { problems.is_empty() } else { problems.join("\n").contains(expected) };
        assert!(is_found, "{messages}: expected {expected:?}, found {problems:?}");
    };
    let to = |message: Value| json!({ "direction": "toServer", "message": with_version(message) });
    let from = |message: Value| json!({ "direction": "fromServer", "message": with_version(message) });
    let stop = |params: Value| to(json!({ "id": 1, "method": Stop::NAME, "params": params }));
    let started = from(json!({ "id": 1, "result": { "operationId": "op" } }));
    let event = |event: Value| from(json!({ "method": EVENT_METHOD, "params": event }));
    let ended = |result: Value| {
        let end = json!({ "operationId": "op", "kind": "stop", "outcome": "ok", "result": result, "leftOver": [], "durationMs": 1 });
        event(json!({ "type": "operationEnded", "end": end }))
    };
    let refused =
        |code: i32, data: Value| from(json!({ "id": 1, "error": { "code": code, "message": "m", "data": data } }));
    let busy = json!({ "code": "sandbox.busy", "message": "m", "actions": [], "causes": [] });

    check(json!([stop(json!({ "sandbox": "x" })), started]), "");
    check(json!([stop(json!({})), refused(-33205, busy.clone())]), "");
    check(json!([stop(json!({}))]), "is not answered");
    check(json!([stop(json!({ "sandbox": 7 })), started]), "params");
    check(json!([stop(json!({ "other": "x" })), started]), "params");
    check(json!([stop(json!({})), from(json!({ "id": 1, "result": { "operationId": "op", "more": 1 } }))]), "result");
    check(json!([stop(json!({})), started, ended(json!({ "lines": [] }))]), "outcome");
    check(json!([stop(json!({})), refused(-1, busy)]), "carries");
    check(json!([stop(json!({})), refused(-33205, json!({ "code": "no.such" }))]), "error");
    check(json!([event(json!({ "type": "sandboxRemoved" }))]), "event");
    check(json!([event(json!({ "type": "sandboxRemoved", "id": "x", "more": true }))]), "event");
    check(json!([from(json!({ "method": format!("{NAMESPACE}other") }))]), "unexpected message");
}

fn with_version(mut message: Value) -> Value {
    message["jsonrpc"] = json!("2.0");
    message
}

#[test]
fn nothing_is_listed_twice() {
    let names: BTreeSet<&str> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len(), "a name on the wire occurs twice");
    let markers: BTreeSet<&str> = METHODS.iter().map(|method| method.rust_name).collect();
    assert_eq!(markers.len(), METHODS.len(), "a marker occurs twice");
    for name in names {
        assert!(name.starts_with(NAMESPACE), "{name} would not be relayed");
        assert!(![EVENT_METHOD, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD].contains(&name), "{name} has another meaning");
    }
}

#[test]
fn every_error_has_a_number_and_a_name_of_its_own() {
    let numbers: BTreeSet<i32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
    let names: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!((numbers.len(), names.len()), (ErrorCode::ALL.len(), ErrorCode::ALL.len()));
    for code in ErrorCode::ALL {
        assert_eq!(serde_json::to_value(code).expect("a string"), code.as_str());
    }
}
