//! Following an operation from its start to its one end.

use boxwood_protocol::contract::{self, Wait};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::operation::{OperationEnd, OperationParams, OperationStarted, OutcomeKind};
use boxwood_protocol::{ErrorCode, Event, Method, RpcError};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, Subscription};

/// A person's wish that an operation stops, from the moment when it is made until the daemon has taken it.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    wanted: CancellationToken,
    taken: CancellationToken,
}

impl Cancel {
    /// Wishes it.
    pub fn wish(&self) {
        self.wanted.cancel();
    }

    /// Completes when it is wished.
    pub async fn wished(&self) {
        self.wanted.cancelled().await;
    }

    /// The daemon has taken it, or there is nothing left to stop.
    pub fn take(&self) {
        self.taken.cancel();
    }

    /// Completes when the daemon has answered that the operation stops, which it then does whatever becomes of the client,
    /// or when it has ended.
    pub async fn taken(&self) {
        self.taken.cancelled().await;
    }
}

impl Connection {
    /// Runs an operation and shows what it says on the way. Wishing `cancel` asks it to stop; the answer is then
    /// still awaited, as undoing takes its time.
    ///
    /// # Errors
    ///
    /// Why it could not begin, why it failed, or that it was cancelled.
    pub async fn run<M: Method<Result = OperationStarted>>(
        &self,
        params: &M::Params,
        cancel: &Cancel,
        mut on_event: impl FnMut(&Event),
    ) -> Result<M::Outcome, RpcError> {
        // Subscribed before it begins, so that no line of it is missed.
        let mut events = self.subscribe(&SubscribeParams::default()).await?;
        let OperationStarted { operation_id } = self.call::<M>(params).await?;
        let end = tokio::select! {
            end = follow(&mut events, &operation_id, &mut on_event) => end,
            error = self.cancel_on(cancel, &operation_id) => return Err(error),
        };
        match end {
            Some(end) => {
                cancel.take();
                outcome(end)
            }
            None => self.wait(operation_id, cancel).await,
        }
    }

    /// Runs an operation without looking at what it says on the way.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn run_quietly<M: Method<Result = OperationStarted>>(
        &self,
        params: &M::Params,
        cancel: &Cancel,
    ) -> Result<M::Outcome, RpcError> {
        let OperationStarted { operation_id } = self.call::<M>(params).await?;
        self.wait(operation_id, cancel).await
    }

    async fn wait<T: DeserializeOwned>(&self, operation_id: String, cancel: &Cancel) -> Result<T, RpcError> {
        let params = OperationParams { operation_id };
        tokio::select! {
            end = self.call::<Wait>(&params) => {
                let end = end?;
                cancel.take();
                outcome(end)
            }
            error = self.cancel_on(cancel, &params.operation_id) => Err(error),
        }
    }

    /// Asks for the operation's end when that is wished. Comes back only when that cannot be asked.
    async fn cancel_on(&self, cancel: &Cancel, operation_id: &str) -> RpcError {
        cancel.wished().await;
        let params = OperationParams { operation_id: operation_id.to_owned() };
        match self.call::<contract::Cancel>(&params).await {
            Ok(_) => {
                cancel.take();
                std::future::pending().await
            }
            Err(error) => error,
        }
    }
}

/// Passes on an operation's events until it ends; `None` when its end may have been among events that were lost.
async fn follow(events: &mut Subscription<Event>, id: &str, on_event: &mut impl FnMut(&Event)) -> Option<OperationEnd> {
    let mut has_begun = false;
    loop {
        let event = events.next().await?;
        match &event {
            // The first one begins the subscription; another one stands for events that were lost.
            Event::Snapshot { operations, logins, .. } => {
                if has_begun && !operations.iter().any(|operation| operation.operation_id == id) {
                    return None;
                }
                has_begun = true;
                for ask in logins.get(id).into_iter().flatten() {
                    on_event(&Event::LoginAsks { operation_id: id.to_owned(), ask: ask.clone() });
                }
            }
            Event::OperationEnded { end } if end.operation_id == id => return Some(end.clone()),
            Event::OperationProgress { operation_id, .. }
            | Event::OperationOutput { operation_id, .. }
            | Event::LoginAsks { operation_id, .. }
                if operation_id == id =>
            {
                on_event(&event);
            }
            _ => {}
        }
    }
}

fn outcome<T: DeserializeOwned>(end: OperationEnd) -> Result<T, RpcError> {
    let OperationEnd { operation_id, kind, outcome, result, error, left_over, .. } = end;
    let mut error = match (outcome, error) {
        (OutcomeKind::Ok, _) => {
            return serde_json::from_value(result.unwrap_or_default()).map_err(|cause| {
                RpcError::new(ErrorCode::Internal, format!("the result of {kind} cannot be read")).caused_by(cause)
            });
        }
        (_, Some(error)) => error,
        (OutcomeKind::Cancelled, None) => RpcError::new(ErrorCode::Cancelled, format!("{kind} was cancelled")),
        (OutcomeKind::Failed, None) => RpcError::new(ErrorCode::Internal, format!("{kind} failed")),
    };
    error.trace_id.get_or_insert(operation_id);
    error.causes.extend(left_over.into_iter().map(|what| format!("not undone yet: {what}")));
    Err(error)
}
