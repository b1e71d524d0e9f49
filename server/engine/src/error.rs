//! What can go wrong with an engine.

/// Why an engine did not do what it was asked. Messages read after "failed to …:".
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers at the endpoint.
    #[error("no engine answers at {endpoint}: {reason}")]
    Unavailable {
        /// Where it was asked.
        endpoint: String,
        /// What the connection said.
        reason: String,
    },
    /// The socket is there and refuses this user.
    #[error("permission denied at {endpoint}")]
    Permission {
        /// Where it was asked.
        endpoint: String,
    },
    /// The engine's API is older than the product needs.
    #[error("the engine speaks API {found}, and {needed} is the oldest that works")]
    TooOld {
        /// The newest it speaks.
        found: String,
        /// The oldest that works.
        needed: &'static str,
    },
    /// The endpoint cannot be understood, or its kind is not supported.
    #[error("the endpoint {endpoint} cannot be used: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The object does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken, or the object is in use.
    #[error("{0}")]
    Conflict(String),
    /// The addresses belong to another network already.
    #[error("{0}")]
    Overlap(String),
    /// The engine has no space left.
    #[error("{0}")]
    NoSpace(String),
    /// A build or a pull ended without an image.
    #[error("{0}")]
    Image(String),
    /// The engine answered with an error.
    #[error("the engine answered {status}: {message}")]
    Failed {
        /// HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The connection broke, or the engine's answer made no sense.
    #[error("the connection to the engine broke: {0}")]
    Broken(String),
}

impl EngineError {
    /// Whether the object was not there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}
