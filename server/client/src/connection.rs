//! One conversation with the daemon.

use std::fmt;
use std::time::Duration;

use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::HelloResult;
use boxwood_protocol::{ErrorCode, Event, MAX_REQUEST_BYTES, Method, RpcError, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD};
use jsonrpsee::client_transport::ws::{Url, WsTransportClientBuilder};
use jsonrpsee::core::client::{Client, ClientBuilder, ClientT as _, Error, SubscriptionClientT as _};
use jsonrpsee::core::traits::ToRpcParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::transport::Stream;

/// Largest answer that is accepted, bytes: room for the output of a command with every character escaped.
const LARGEST_ANSWER: u32 = 64 * 1024 * 1024;

/// What surrounds the parameters in a request, generously.
const ENVELOPE: usize = 256;

/// Some requests are answered only when an operation ends. The connection's end is what ends the waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60 * 24 * 30);

/// How long the other side may take to open the conversation.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Events that may wait to be read before the subscription is given up.
const EVENTS_AHEAD: usize = 16 * 1024;

/// A conversation that has been opened. Dropping it closes it.
pub struct Connection {
    client: Client,
    daemon: HelloResult,
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum CallError {
    /// The daemon answered with an error object.
    Refused {
        /// JSON-RPC's number.
        number: i32,
        /// What failed.
        message: String,
        /// An [`RpcError`], if it comes from the product.
        data: Option<Value>,
    },
    /// The request is larger than the daemon accepts, bytes; it was not sent.
    TooLarge(usize),
    /// The connection is gone, or something came that cannot be read.
    Lost(String),
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { number, message, data } => {
                let sent = data.and_then(|data| serde_json::from_value(data).ok());
                sent.unwrap_or_else(|| Self::new(code_of(number), message))
            }
            CallError::TooLarge(size) => Self::new(
                ErrorCode::RequestTooLarge,
                format!("the request has {size} bytes and {MAX_REQUEST_BYTES} are the most"),
            ),
            CallError::Lost(cause) => {
                Self::new(ErrorCode::DaemonUnavailable, "the connection to the daemon was lost").caused_by(cause)
            }
        }
    }
}

/// The code of an error that came without one, from JSON-RPC itself.
fn code_of(number: i32) -> ErrorCode {
    ErrorCode::ALL.iter().copied().find(|code| code.number() == number).unwrap_or(ErrorCode::Internal)
}

/// Parameters as they are sent: one JSON object, or none.
struct Params(Option<Box<RawValue>>);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(self.0)
    }
}

impl Connection {
    /// Opens the WebSocket on a stream; nothing is asked yet.
    pub(crate) async fn open(stream: Stream) -> Result<Unintroduced, RpcError> {
        let lost = |cause: &dyn fmt::Display| {
            RpcError::new(ErrorCode::DaemonUnavailable, "the daemon does not open the conversation").caused_by(cause)
        };
        let url = Url::parse("ws://localhost/").map_err(|error| lost(&error))?;
        let (sender, receiver) = WsTransportClientBuilder::default()
            .connection_timeout(HANDSHAKE)
            .max_request_size(MAX_REQUEST_BYTES)
            .max_response_size(LARGEST_ANSWER)
            .build_with_stream(url, stream)
            .await
            .map_err(|error| lost(&error))?;
        let client = ClientBuilder::new()
            .request_timeout(LONGEST_WAIT)
            .max_buffer_capacity_per_subscription(EVENTS_AHEAD)
            .build_with_tokio(sender, receiver);
        Ok(Unintroduced { client })
    }

    /// Who the daemon said it is.
    #[must_use]
    pub fn daemon(&self) -> &HelloResult {
        &self.daemon
    }

    /// Calls a method of the contract.
    ///
    /// # Errors
    ///
    /// The daemon's own error, or one that says why there is no answer.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, RpcError> {
        let params = to_raw_value(params).map_err(|error| unencodable(M::NAME, &error))?;
        Ok(request(&self.client, M::NAME, Some(params)).await?)
    }

    /// Passes on a request as it is and gives the answer as it is.
    ///
    /// # Errors
    ///
    /// The daemon's error object as it is, or why there is no answer.
    pub async fn relay(&self, method: &str, params: Option<&Value>) -> Result<Value, CallError> {
        let params = params.map(to_raw_value).transpose().map_err(|error| CallError::Lost(error.to_string()))?;
        request(&self.client, method, params).await
    }

    /// Subscribes to the daemon's events; the first is a snapshot.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub async fn subscribe(&self, params: &SubscribeParams) -> Result<Subscription<Event>, RpcError> {
        self.subscribe_as(params).await.map_err(RpcError::from)
    }

    /// Subscribes with parameters and events as they are.
    ///
    /// # Errors
    ///
    /// As [`Self::relay`].
    pub async fn subscribe_as<P: Serialize + Sync, N: DeserializeOwned>(
        &self,
        params: &P,
    ) -> Result<Subscription<N>, CallError> {
        let params = Params(Some(to_raw_value(params).map_err(|error| CallError::Lost(error.to_string()))?));
        let subscribed = self.client.subscribe(SUBSCRIBE_METHOD, params, UNSUBSCRIBE_METHOD).await;
        subscribed.map(Subscription).map_err(call_error)
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.client.is_connected()
    }

    /// Completes when the connection is gone.
    pub async fn closed(&self) {
        self.client.on_disconnect().await;
    }
}

/// Events as they come.
pub struct Subscription<N>(jsonrpsee::core::client::Subscription<N>);

impl<N: DeserializeOwned> Subscription<N> {
    /// The next event; `None` when the connection is gone or events were lost because nobody read them. An event of
    /// a kind that this program does not know is left out.
    pub async fn next(&mut self) -> Option<N> {
        loop {
            match self.0.next().await? {
                Ok(event) => return Some(event),
                Err(error) => tracing::debug!(%error, "an event could not be read"),
            }
        }
    }
}

/// An open connection on which the first request has not been made.
pub(crate) struct Unintroduced {
    client: Client,
}

impl Unintroduced {
    /// Calls a method whose answer may be in another version's form.
    pub(crate) async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, CallError> {
        let params = to_raw_value(params).map_err(|error| CallError::Lost(error.to_string()))?;
        let answer = request(&self.client, M::NAME, Some(params));
        match tokio::time::timeout(HANDSHAKE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Lost(format!("no answer within {} seconds", HANDSHAKE.as_secs()))),
        }
    }

    pub(crate) fn introduced(self, daemon: HelloResult) -> Connection {
        Connection { client: self.client, daemon }
    }

    pub(crate) async fn closed(&self) {
        self.client.on_disconnect().await;
    }
}

async fn request<R: DeserializeOwned>(
    client: &Client,
    method: &str,
    params: Option<Box<RawValue>>,
) -> Result<R, CallError> {
    // The transport would close the connection over it, and every other request with it.
    let size = params.as_ref().map_or(0, |params| params.get().len()) + method.len() + ENVELOPE;
    if size > MAX_REQUEST_BYTES as usize {
        return Err(CallError::TooLarge(size));
    }
    client.request(method, Params(params)).await.map_err(call_error)
}

fn call_error(error: Error) -> CallError {
    match error {
        Error::Call(object) => CallError::Refused {
            number: object.code(),
            message: object.message().to_owned(),
            data: object.data().and_then(|data| serde_json::from_str(data.get()).ok()),
        },
        Error::RestartNeeded(cause) => CallError::Lost(cause.to_string()),
        other => CallError::Lost(other.to_string()),
    }
}

fn unencodable(method: &str, error: &serde_json::Error) -> RpcError {
    RpcError::new(ErrorCode::InvalidParams, format!("the parameters of {method} cannot be sent")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_product_arrives_whole() {
        let error = RpcError::new(ErrorCode::SandboxBusy, "busy").caused_by("another operation");
        let refused = CallError::Refused {
            number: error.code.number(),
            message: error.message.clone(),
            data: serde_json::to_value(&error).ok(),
        };
        assert_eq!(RpcError::from(refused), error);
    }

    #[test]
    fn an_error_of_the_transport_gets_a_code() {
        let refused = |number| CallError::Refused { number, message: "no".to_owned(), data: None };
        assert_eq!(RpcError::from(refused(-32601)).code, ErrorCode::UnknownMethod);
        assert_eq!(RpcError::from(refused(-1)).code, ErrorCode::Internal);
        assert_eq!(RpcError::from(CallError::Lost("gone".to_owned())).code, ErrorCode::DaemonUnavailable);
    }
}
