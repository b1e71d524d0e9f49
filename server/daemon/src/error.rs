//! Engine and file errors in the words of the contract.

use std::path::Path;

use boxwood_engine::EngineError;
use boxwood_protocol::{ErrorCode, RpcError};

/// What most of the daemon returns.
pub(crate) type Result<T> = std::result::Result<T, RpcError>;

/// An engine's error, seen while doing `what` ("create the container").
pub(crate) fn engine(what: &str, error: &EngineError) -> RpcError {
    let code = match error {
        EngineError::Unavailable { .. } | EngineError::Broken(_) | EngineError::Endpoint { .. } => {
            ErrorCode::EngineUnavailable
        }
        EngineError::Permission { .. } => ErrorCode::EnginePermission,
        EngineError::TooOld { .. } => ErrorCode::EngineTooOld,
        EngineError::Conflict(_) => ErrorCode::NameConflict,
        EngineError::NoSpace(_) => ErrorCode::DiskFull,
        EngineError::Image(_) => ErrorCode::ImageFailed,
        EngineError::Failed { message, .. } if is_no_space(message) => ErrorCode::DiskFull,
        EngineError::NotFound(_) | EngineError::Overlap(_) | EngineError::Failed { .. } => ErrorCode::EngineFailed,
    };
    RpcError::new(code, format!("failed to {what}")).caused_by(error)
}

/// A file error, seen while doing `what` ("write") with `path`.
pub(crate) fn file(what: &str, path: &Path, error: &std::io::Error) -> RpcError {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
        _ => ErrorCode::StateFailed,
    };
    RpcError::new(code, format!("failed to {what} {}", path.display())).caused_by(error)
}

/// A fault of our own.
pub(crate) fn internal(message: impl Into<String>) -> RpcError {
    RpcError::new(ErrorCode::Internal, message)
}

fn is_no_space(message: &str) -> bool {
    message.contains("no space left on device")
}
