//! A daemon that speaks the real protocol on a real socket and does nothing: what it answers is the test's choice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxwood_client::transport;
use boxwood_core::paths::Paths;
use boxwood_protocol::params::HelloResult;
use boxwood_protocol::{
    EVENT_METHOD, ErrorCode, MAX_REQUEST_BYTES, PROTOCOL_VERSION, RpcError, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD,
};
use jsonrpsee::server::{RpcModule, Server, ServerConfig, ServerHandle, serve_with_graceful_shutdown, stop_channel};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who the fake says it is.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) version: &'static str,
    pub(crate) protocol: u32,
    pub(crate) build: String,
    /// Whether it refuses to leave.
    pub(crate) is_busy: bool,
}

impl Identity {
    /// As old as the tests' client.
    pub(crate) fn current() -> Self {
        Self { build: "1.0.0+5".to_owned(), ..Self::of("1.0.0") }
    }

    pub(crate) fn of(version: &'static str) -> Self {
        Self { version, protocol: PROTOCOL_VERSION, build: format!("{version}+1"), is_busy: false }
    }
}

struct State {
    identity: Identity,
    calls: Mutex<Vec<(String, Value)>>,
    /// Raised with every call, so that a test can wait for one.
    called: watch::Sender<usize>,
    events: broadcast::Sender<Value>,
    /// Parameters of every subscription so far.
    subscriptions: watch::Sender<Vec<Value>>,
    /// What `attach` answers with.
    target: Mutex<Value>,
    /// What methods answer with, in turn and then always the last: a result, an operation's end, or an error.
    answers: Mutex<BTreeMap<String, VecDeque<Result<Value, RpcError>>>>,
    /// How the last operation of these ended, for whoever waits for it.
    ended: Mutex<Option<Value>>,
    stop: CancellationToken,
    cancel: CancellationToken,
}

/// The fake. It leaves when dropped.
pub(crate) struct FakeDaemon {
    state: Arc<State>,
    handle: ServerHandle,
    /// Its own, so that it can end as a process does: everywhere at once.
    runtime: Mutex<Option<Runtime>>,
}

impl FakeDaemon {
    /// Listens on the socket of these directories.
    pub(crate) fn listen(paths: &Paths, identity: Identity) -> Self {
        transport::prepare(paths).expect("socket directory");
        let _ = std::fs::remove_file(paths.socket());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let entered = runtime.enter();
        let listener = UnixListener::bind(paths.socket()).expect("socket");
        drop(entered);
        let state = Arc::new(State {
            identity,
            calls: Mutex::default(),
            called: watch::Sender::new(0),
            events: broadcast::Sender::new(64),
            subscriptions: watch::Sender::new(Vec::new()),
            target: Mutex::default(),
            answers: Mutex::default(),
            ended: Mutex::default(),
            stop: CancellationToken::new(),
            cancel: CancellationToken::new(),
        });
        let config = ServerConfig::builder().max_request_body_size(MAX_REQUEST_BYTES).ws_only().build();
        let builder = Server::builder().set_config(config).to_service_builder();
        let (stop, handle) = stop_channel();
        let (module, stopping, stopper) = (module(&state), state.stop.clone(), handle.clone());
        runtime.spawn(async move {
            loop {
                let stream = tokio::select! {
                    stream = listener.accept() => stream.expect("client").0,
                    () = stopping.cancelled() => break,
                };
                let service = builder.clone().build(module.clone(), stop.clone());
                tokio::spawn(serve_with_graceful_shutdown(stream, service, stop.clone().shutdown()));
            }
            let _ = stopper.stop();
        });
        Self { state, handle, runtime: Mutex::new(Some(runtime)) }
    }

    /// Completes when it was asked to leave and has.
    pub(crate) async fn left(&self) {
        self.state.stop.cancelled().await;
        self.handle.clone().stopped().await;
    }

    /// Ends every conversation in the middle of a word.
    pub(crate) fn kill(&self) {
        if let Some(runtime) = self.runtime.lock().expect("runtime").take() {
            runtime.shutdown_background();
        }
    }

    /// What was called so far.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.state.calls.lock().expect("calls").clone()
    }

    /// Completes when `method` has been called.
    pub(crate) async fn called(&self, method: &str) {
        let mut called = self.state.called.subscribe();
        while !self.calls().iter().any(|(name, _)| name == method) {
            let changed = tokio::time::timeout(PATIENCE, called.changed()).await;
            changed.unwrap_or_else(|_| panic!("{method} is not called")).expect("the fake is there");
        }
    }

    /// Completes when so many subscriptions have been made; gives their parameters.
    pub(crate) async fn subscribed(&self, number: usize) -> Vec<Value> {
        let mut subscriptions = self.state.subscriptions.subscribe();
        let made = tokio::time::timeout(PATIENCE, subscriptions.wait_for(|made| made.len() >= number)).await;
        made.expect("subscribed in time").expect("the fake is there").clone()
    }

    /// Says what attaching is to lead to.
    pub(crate) fn lead_to(&self, target: Value) {
        *self.state.target.lock().expect("target") = target;
    }

    /// Says what a method about credentials is to answer with, or its operation to end with, in turn.
    pub(crate) fn answer(&self, method: &str, answers: impl IntoIterator<Item = Result<Value, RpcError>>) {
        self.state.answers.lock().expect("answers").insert(method.to_owned(), answers.into_iter().collect());
    }

    /// Parameters of every call of `method` so far.
    pub(crate) fn params_of(&self, method: &str) -> Vec<Value> {
        self.calls().into_iter().filter(|(name, _)| name == method).map(|(_, params)| params).collect()
    }

    /// Sends an event to every subscriber.
    pub(crate) fn send(&self, event: Value) {
        let _ = self.state.events.send(event);
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn object(error: &RpcError) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(error.code.number(), error.message.clone(), Some(error))
}

/// Id of every operation of the fake.
pub(crate) const OPERATION: &str = "00000000000000000000000000000001";

fn end(outcome: &str, rest: &Value) -> Value {
    let mut end =
        json!({ "operationId": OPERATION, "kind": "ensure", "outcome": outcome, "durationMs": 1, "leftOver": [] });
    end.as_object_mut().expect("object").extend(rest.as_object().expect("object").clone());
    end
}

impl State {
    /// What a test has prepared for `method`; without that it is not there.
    fn prepared(&self, method: &str) -> Result<Value, RpcError> {
        let mut answers = self.answers.lock().expect("answers");
        let prepared = answers.get_mut(method);
        let next = prepared.and_then(|list| if list.len() > 1 { list.pop_front() } else { list.front().cloned() });
        next.unwrap_or_else(|| Err(RpcError::new(ErrorCode::UnknownMethod, method)))
    }

    /// Begins an operation that ends as was prepared, and has ended when the answer comes.
    fn operate(&self, method: &str) -> Result<Value, RpcError> {
        let end = end("ok", &json!({ "result": self.prepared(method)? }));
        *self.ended.lock().expect("end") = Some(end.clone());
        let _ = self.events.send(json!({ "type": "operationEnded", "end": end }));
        Ok(json!({ "operationId": OPERATION }))
    }
}

/// How the operation goes is said by the project's name.
fn script(project: &str) -> (Vec<Value>, Value) {
    let progress = json!({ "type": "operationProgress", "operationId": OPERATION, "step": "image", "message": "building", "done": 0, "total": 2 });
    let output = json!({ "type": "operationOutput", "operationId": OPERATION, "stream": "log", "text": "a line" });
    let foreign =
        json!({ "type": "operationOutput", "operationId": "f".repeat(32), "stream": "log", "text": "another's" });
    let unknown = json!({ "type": "ofALaterVersion" });
    let end = match project {
        "/fails" => {
            end("failed", &json!({ "error": RpcError::new(ErrorCode::ImageFailed, "no"), "leftOver": ["a volume"] }))
        }
        _ => end("ok", &json!({ "result": { "ready": project } })),
    };
    (vec![foreign, progress, unknown, output], end)
}

fn module(state: &Arc<State>) -> RpcModule<Arc<State>> {
    let mut module = RpcModule::new(Arc::clone(state));
    let mut on = |name: &'static str, answer: fn(&Arc<State>, Value) -> Result<Value, RpcError>| {
        let answered = module.register_async_method(name, move |params, state, _| async move {
            let params: Value = params.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"));
            state.calls.lock().expect("calls").push((name.to_owned(), params.clone()));
            let answer = answer(&state, params);
            state.called.send_modify(|count| *count += 1);
            answer.map_err(|error| object(&error))
        });
        answered.expect("a method of its own name");
    };
    on("boxwood/daemon/hello", |state, _| {
        let Identity { version, protocol, build, .. } = state.identity.clone();
        let hello = HelloResult { version: version.to_owned(), protocol, pid: 1, build };
        Ok(serde_json::to_value(hello).expect("JSON"))
    });
    on("boxwood/daemon/stop", |state, _| {
        if state.identity.is_busy {
            return Err(RpcError::new(ErrorCode::DaemonBusy, "busy"));
        }
        state.stop.cancel();
        Ok(json!({}))
    });
    on("boxwood/sandbox/list", |_, _| Ok(json!([])));
    on("boxwood/sandbox/attach", |state, _| Ok(state.target.lock().expect("target").clone()));
    on("boxwood/test/echo", |_, params| Ok(params));
    on("boxwood/test/refuse", |_, _| Err(RpcError::new(ErrorCode::SandboxBusy, "busy").caused_by("somebody else")));
    on("boxwood/sandbox/ensure", |state, params| {
        let project = params["project"].as_str().expect("project").to_owned();
        let (events, end) = script(&project);
        for event in events {
            let _ = state.events.send(event);
        }
        if project == "/ok" || project == "/fails" {
            let _ = state.events.send(json!({ "type": "operationEnded", "end": end }));
        }
        Ok(json!({ "operationId": OPERATION }))
    });
    on("boxwood/operation/cancel", |state, _| {
        state.cancel.cancel();
        let _ = state.events.send(json!({ "type": "operationEnded", "end": end("cancelled", &json!({})) }));
        Ok(json!({ "wasRunning": true }))
    });
    on("boxwood/sandbox/inspect", |state, _| state.prepared("boxwood/sandbox/inspect"));
    on("boxwood/credentials/status", |state, _| state.prepared("boxwood/credentials/status"));
    on("boxwood/credentials/set", |state, _| state.operate("boxwood/credentials/set"));
    on("boxwood/credentials/signOut", |state, _| state.operate("boxwood/credentials/signOut"));
    on("boxwood/credentials/setMode", |state, _| state.operate("boxwood/credentials/setMode"));
    on("boxwood/credentials/resolve", |state, _| state.operate("boxwood/credentials/resolve"));
    // These two answer late or never.
    let waited = module.register_async_method("boxwood/operation/wait", |_, state, _| async move {
        if let Some(end) = state.ended.lock().expect("end").clone() {
            return end;
        }
        let project = state
            .calls
            .lock()
            .expect("calls")
            .iter()
            .rev()
            .find_map(|(_, params)| params["project"].as_str().map(str::to_owned));
        let project = project.unwrap_or_default();
        if project == "/slow" {
            state.cancel.cancelled().await;
            return end("cancelled", &json!({}));
        }
        script(&project).1
    });
    waited.expect("a method of its own name");
    let never = module.register_async_method("boxwood/test/never", |_, state, _| async move {
        state.calls.lock().expect("calls").push(("boxwood/test/never".to_owned(), Value::Null));
        state.called.send_modify(|count| *count += 1);
        std::future::pending::<Value>().await
    });
    never.expect("a method of its own name");
    let subscribed = module.register_subscription(
        SUBSCRIBE_METHOD,
        EVENT_METHOD,
        UNSUBSCRIBE_METHOD,
        |params, pending, state, _| async move {
            let params: Value = params.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"));
            let mut events = state.events.subscribe();
            let sink = pending.accept().await?;
            let snapshot = json!({ "type": "snapshot", "sandboxes": [], "operations": [], "engine": {
                "isAvailable": true, "endpoint": "unix:///nowhere", "source": "default" } });
            let mut next = Some(snapshot);
            state.subscriptions.send_modify(|made| made.push(params));
            loop {
                if let Some(event) = next.take() {
                    sink.send(serde_json::value::to_raw_value(&event)?).await?;
                }
                tokio::select! {
                    event = events.recv() => next = Some(event?),
                    () = sink.closed() => return Ok(()),
                }
            }
        },
    );
    subscribed.expect("a subscription of its own name");
    module
}
