//! Turns away methods that the contract does not have, with an error like every other.

use boxwood_protocol::{ErrorCode, METHODS, RpcError, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD};
use jsonrpsee::MethodResponse;
use jsonrpsee::core::middleware::{Batch, Notification, RpcServiceT};
use jsonrpsee::types::Request;

use crate::rpc::object;

/// Lets known methods through.
#[derive(Debug, Clone)]
pub(crate) struct Known<S>(pub(crate) S);

fn is_known(name: &str) -> bool {
    name == SUBSCRIBE_METHOD || name == UNSUBSCRIBE_METHOD || METHODS.iter().any(|method| method.name == name)
}

impl<S> RpcServiceT for Known<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.0.clone();
        async move {
            if is_known(request.method_name()) {
                return service.call(request).await;
            }
            let message = format!("there is no method {:.200}", request.method_name());
            MethodResponse::error(request.id, object(&RpcError::new(ErrorCode::UnknownMethod, message)))
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.0.batch(batch)
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.0.notification(notification)
    }
}
