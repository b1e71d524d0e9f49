//! Failures in the product's terms.

use std::error::Error as _;
use std::io;

use bollard::errors::Error;

use crate::error::EngineError;

/// Turns what bollard says into what the product understands.
pub(super) fn translate(endpoint: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => answer(status_code, &message),
        Error::DockerStreamError { error } => {
            if is_out_of_space(&error) {
                EngineError::NoSpace(error)
            } else {
                EngineError::Image(error)
            }
        }
        Error::IOError { err } => transport_failure(endpoint, err),
        Error::HyperLegacyError { err } if err.is_connect() => unreachable_engine(endpoint, &err),
        other => EngineError::Broken(chain(&other)),
    }
}

/// What an error status means.
pub(super) fn answer(status: u16, message: &str) -> EngineError {
    let message = message.trim().to_owned();
    match status {
        _ if is_out_of_space(&message) => EngineError::NoSpace(message),
        404 => EngineError::NotFound(message),
        409 => EngineError::Conflict(message),
        // The engine's way of saying the same of networks.
        403 if message.contains("has active endpoints") => EngineError::Conflict(message),
        _ if message.contains("overlaps with other") => EngineError::Overlap(message),
        _ => EngineError::Failed { status, message },
    }
}

/// An error that comes from an image being made or fetched: whatever the engine says is about the image.
pub(super) fn about_image(error: EngineError) -> EngineError {
    match error {
        EngineError::NotFound(message) | EngineError::Failed { message, .. } => EngineError::Image(message),
        other => other,
    }
}

fn is_out_of_space(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("no space left") || message.contains("disk quota exceeded")
}

fn transport_failure(endpoint: &str, error: io::Error) -> EngineError {
    let text = error.to_string();
    let kind = error.kind();
    match error.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<EngineError>) {
        Some(Ok(ours)) => *ours,
        _ if kind == io::ErrorKind::PermissionDenied => EngineError::Permission { endpoint: endpoint.to_owned() },
        _ => EngineError::Broken(text),
    }
}

fn unreachable_engine(endpoint: &str, error: &hyper_util::client::legacy::Error) -> EngineError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            let endpoint = endpoint.to_owned();
            return match io.kind() {
                io::ErrorKind::PermissionDenied => EngineError::Permission { endpoint },
                io::ErrorKind::NotFound => {
                    EngineError::Unavailable { endpoint, reason: "the socket does not exist".to_owned() }
                }
                io::ErrorKind::ConnectionRefused => {
                    EngineError::Unavailable { endpoint, reason: "the connection was refused".to_owned() }
                }
                _ => EngineError::Unavailable { endpoint, reason: io.to_string() },
            };
        }
        source = cause.source();
    }
    EngineError::Unavailable { endpoint: endpoint.to_owned(), reason: error.to_string() }
}

/// An error with its causes, without repeating what already stands in the message.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, message: &str, is_expected: impl Fn(&EngineError) -> bool) {
        let error = answer(status, message);
        assert!(is_expected(&error), "{status} {message:?} became {error:?}");
    }

    #[test]
    fn statuses_have_one_meaning_each() {
        check(404, "No such container: x", |e| matches!(e, EngineError::NotFound(m) if m == "No such container: x"));
        check(409, "name is taken\n", |e| matches!(e, EngineError::Conflict(m) if m == "name is taken"));
        check(403, "network a id 1 has active endpoints", |e| matches!(e, EngineError::Conflict(_)));
        check(403, "Pool overlaps with other one on this address space", |e| matches!(e, EngineError::Overlap(_)));
        check(400, "bad parameter", |e| matches!(e, EngineError::Failed { status: 400, .. }));
        check(500, "write /x: no space left on device", |e| matches!(e, EngineError::NoSpace(_)));
        check(500, "boom", |e| matches!(e, EngineError::Failed { status: 500, .. }));
    }

    #[test]
    fn an_image_that_cannot_be_had_is_about_the_image() {
        let missing = about_image(answer(404, "manifest unknown"));
        assert!(matches!(missing, EngineError::Image(message) if message == "manifest unknown"));
        assert!(matches!(about_image(EngineError::NoSpace(String::new())), EngineError::NoSpace(_)));
    }

    #[test]
    fn an_error_of_ours_survives_its_way_through_bollard() {
        let carried = super::super::transport::carry(EngineError::TooOld { found: "1.40".to_owned(), needed: "1.41" });
        assert!(matches!(translate("unix:///s", carried), EngineError::TooOld { found, .. } if found == "1.40"));
    }

    #[test]
    fn a_failed_build_step_is_about_the_image_unless_the_disk_is_full() {
        let stream = |text: &str| translate("e", Error::DockerStreamError { error: text.to_owned() });
        assert!(matches!(stream("returned a non-zero code: 1"), EngineError::Image(_)));
        assert!(matches!(stream("No space left on device"), EngineError::NoSpace(_)));
    }
}
