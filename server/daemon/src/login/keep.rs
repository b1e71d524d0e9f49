//! Where a token or a key goes that a sign-in gave.

use boxwood_protocol::credentials::{Secret, StoredCredential};
use futures::future::BoxFuture;

use crate::error::Result;

/// Keeps what a sign-in gave: the keyring, or what stands in for it.
pub(crate) trait Keep: Send + Sync {
    /// Keeps it in the place of what was there of the same kind. It is whole when this has come back well; nothing of it is told.
    fn keep(&self, kind: StoredCredential, value: Secret) -> BoxFuture<'_, Result<()>>;
}
