//! Where each message goes: the product's own namespace to the daemon, all others to the language server.
//!
//! A relayed request waits in a task of its own. It ends with the daemon's answer as it is, with the editor's
//! `$/cancelRequest`, or with the editor.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use boxwood_client::CallError;
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::{ErrorCode, MAX_REQUEST_BYTES, NAMESPACE, RpcError, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_lsp::jsonrpc::{Error, ErrorCode as RpcCode, Id, Request, Response};

use crate::framing;
use crate::link::Link;

/// LSP's number for a request before `initialize`.
const NOT_INITIALIZED: i64 = -32002;

/// The conversation's three phases.
const BEFORE: u8 = 0;
const OPEN: u8 = 1;
const SHUT_DOWN: u8 = 2;

/// A service around the language server's.
pub(crate) struct Relay<S> {
    inner: S,
    link: Link,
    pending: Pending,
    phase: Arc<AtomicU8>,
    leaving: CancellationToken,
}

impl<S> Relay<S> {
    pub(crate) fn new(inner: S, link: Link, leaving: CancellationToken) -> Self {
        Self { inner, link, pending: Pending::default(), phase: Arc::new(AtomicU8::new(BEFORE)), leaving }
    }

    /// Tells, once the conversation is over, whether it ended as the protocol has it: an `exit` needs a `shutdown`
    /// before, the end of the input does not.
    pub(crate) fn is_orderly(&self) -> impl FnOnce() -> bool + use<S> {
        let (phase, said_exit) = (Arc::clone(&self.phase), Arc::clone(&self.pending.said_exit));
        move || !said_exit.load(Ordering::Relaxed) || phase.load(Ordering::Relaxed) == SHUT_DOWN
    }

    fn relay(&self, id: &Id, method: String, params: Option<Value>) -> BoxFuture<'static, Result<Value, Error>> {
        match self.phase.load(Ordering::Relaxed) {
            BEFORE => return refused(NOT_INITIALIZED, "Server not initialized"),
            SHUT_DOWN => return async { Err(Error::invalid_request()) }.boxed(),
            _ => {}
        }
        match method.as_str() {
            SUBSCRIBE_METHOD => return self.subscribe(params),
            UNSUBSCRIBE_METHOD => {
                self.link.unsubscribe();
                return async { Ok(json!({})) }.boxed();
            }
            _ => {}
        }
        let Some(ticket) = self.pending.enter(id, &self.leaving) else {
            return async { Err(Error::invalid_request()) }.boxed();
        };
        let link = self.link.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                answer = link.relay(&method, params.as_ref()) => answer.map_err(as_sent),
                () = ticket.token.cancelled() => Err(Error::request_cancelled()),
            }
        });
        async move {
            task.await.unwrap_or_else(|error| {
                tracing::error!(%error, "relaying a request failed");
                Err(Error::internal_error())
            })
        }
        .boxed()
    }

    /// The editor's subscription is this server's own on the daemon, made anew.
    fn subscribe(&self, params: Option<Value>) -> BoxFuture<'static, Result<Value, Error>> {
        match serde_json::from_value::<SubscribeParams>(params.unwrap_or_else(|| json!({}))) {
            Ok(params) => {
                self.link.subscribe(params);
                async { Ok(json!({})) }.boxed()
            }
            Err(error) => {
                let error = RpcError::new(ErrorCode::InvalidParams, format!("invalid parameters: {error}"));
                async move { Err(as_object(&error)) }.boxed()
            }
        }
    }
}

impl<S> Service<Request> for Relay<S>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Option<Response>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Option<Response>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match request.method() {
            method if method.starts_with(NAMESPACE) => {
                let (method, id, params) = request.into_parts();
                let Some(id) = id else {
                    tracing::debug!(%method, "a notification that nobody wants");
                    return async { Ok(None) }.boxed();
                };
                let answer = self.relay(&id, method.into_owned(), params);
                async move { Ok(Some(Response::from_parts(id, answer.await))) }.boxed()
            }
            framing::TOO_LARGE => answer(&request, as_sent(CallError::TooLarge(MAX_REQUEST_BYTES as usize))),
            framing::UNREADABLE => answer(&request, Error::parse_error()),
            framing::MEANINGLESS => answer(&request, Error::invalid_request()),
            "$/cancelRequest" => {
                if self.pending.cancel(request.params()) {
                    return async { Ok(None) }.boxed();
                }
                self.inner.call(request).boxed()
            }
            "initialize" => {
                let (phase, initializing) = (Arc::clone(&self.phase), self.inner.call(request));
                async move {
                    let response = initializing.await?;
                    if response.as_ref().is_some_and(Response::is_ok) {
                        phase.store(OPEN, Ordering::Relaxed);
                    }
                    Ok(response)
                }
                .boxed()
            }
            "shutdown" => {
                if self.phase.load(Ordering::Relaxed) == OPEN {
                    self.phase.store(SHUT_DOWN, Ordering::Relaxed);
                }
                self.inner.call(request).boxed()
            }
            "exit" => {
                self.pending.said_exit.store(true, Ordering::Relaxed);
                self.leaving.cancel();
                self.inner.call(request).boxed()
            }
            _ => self.inner.call(request).boxed(),
        }
    }
}

fn answer<E>(request: &Request, error: Error) -> BoxFuture<'static, Result<Option<Response>, E>> {
    let id = request.id().cloned().unwrap_or(Id::Null);
    async move { Ok(Some(Response::from_error(id, error))) }.boxed()
}

fn refused(number: i64, message: &'static str) -> BoxFuture<'static, Result<Value, Error>> {
    let error = Error { code: RpcCode::from(number), message: message.into(), data: None };
    async move { Err(error) }.boxed()
}

/// The daemon's error object as it is; an error of the way to it in the same form.
fn as_sent(error: CallError) -> Error {
    match error {
        CallError::Refused { number, message, data } => {
            Error { code: RpcCode::from(i64::from(number)), message: message.into(), data }
        }
        other => as_object(&RpcError::from(other)),
    }
}

fn as_object(error: &RpcError) -> Error {
    Error {
        code: RpcCode::from(i64::from(error.code.number())),
        message: error.message.clone().into(),
        data: serde_json::to_value(error).ok(),
    }
}

/// The relayed requests that wait.
#[derive(Clone, Default)]
struct Pending {
    waiting: Arc<Mutex<HashMap<Id, CancellationToken>>>,
    said_exit: Arc<std::sync::atomic::AtomicBool>,
}

impl Pending {
    /// `None` when a request of this id waits already.
    fn enter(&self, id: &Id, leaving: &CancellationToken) -> Option<Ticket> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains_key(id) {
            return None;
        }
        let token = leaving.child_token();
        waiting.insert(id.clone(), token.clone());
        Some(Ticket { id: id.clone(), token, waiting: Arc::clone(&self.waiting) })
    }

    /// Whether the request to cancel is one of these.
    fn cancel(&self, params: Option<&Value>) -> bool {
        let id = params.and_then(|params| params.get("id")).cloned();
        let Some(id) = id.and_then(|id| serde_json::from_value::<Id>(id).ok()) else {
            return false;
        };
        let token = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        token.inspect(CancellationToken::cancel).is_some()
    }
}

/// A waiting request's entry, removed when it no longer waits.
struct Ticket {
    id: Id,
    token: CancellationToken,
    waiting: Arc<Mutex<HashMap<Id, CancellationToken>>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
